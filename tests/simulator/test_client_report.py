"""The report in words, and the names of the kinds of findings."""

from __future__ import annotations

import pytest

from mockanka.simulator.client_report import (
    FINDING_KINDS,
    ClientFinding,
    Report,
    parse_finding_kinds,
)


@pytest.mark.parametrize(
    ("finding", "expected"),
    [
        (ClientFinding("leaks", "x"), "leaks: x"),
        (ClientFinding("leaks", "x", [3], None, 1), "leaks: x (#3)"),
        (ClientFinding("leaks", "x", [1, 2, 3, 4, 5], None, 5), "leaks: x (#1, #2, #3, #4, #5)"),
        (ClientFinding("leaks", "x", [1, 2, 3, 4, 5, 6], None, 6), "leaks: x (#1, #2, #3, #4, #5 and 1 more)"),
    ],
)
def test_a_finding_in_words(finding: ClientFinding, expected: str) -> None:
    """The text has the kind, the message and the numbers of the requests."""
    assert expected == str(finding)


def test_a_report_in_words_has_a_line_for_each_finding() -> None:
    """The text has the number of requests, then the findings, then the faults that never fired."""
    report = Report([ClientFinding("leaks", "x", [1], None, 1), ClientFinding("contract", "y")], ["idle"], 1, 0)

    assert "mockanka report: 1 request\n  leaks: x (#1)\n  contract: y\n  fault idle never struck" == str(report)
    assert [report.findings[1]] == report.of_kinds(["contract"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("leaks", ["leaks"]),
        ("leaks,hammering", ["leaks", "hammering"]),
        ("double_starts  contract", ["double-starts", "contract"]),
        ("all", list(FINDING_KINDS)),
        ("leaks, all", list(FINDING_KINDS)),
        ("", []),
    ],
)
def test_kinds_are_read_from_a_list(text: str, expected: list[str]) -> None:
    """Kinds are separated by commas or blanks, with - or _; ``all`` is all of them."""
    assert expected == parse_finding_kinds(text)


def test_an_unknown_kind_is_refused() -> None:
    """The message names the kinds that there are."""
    with pytest.raises(ValueError, match="'leak' is no kind of finding: there are leaks, double-starts"):
        parse_finding_kinds("leak")
