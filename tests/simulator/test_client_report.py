"""The report in words, and the names of the kinds of findings."""

from __future__ import annotations

import pytest

from mockanka.simulator.client_report import (
    FINDING_KINDS,
    Allowance,
    ClientFinding,
    Report,
    parse_allowances,
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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("leaks", [Allowance("leaks")]),
        ("leaks,unknown_fields:vnc", [Allowance("leaks"), Allowance("unknown-fields", "vnc")]),
        ("contract:/api/v1/vms  leaks", [Allowance("contract", "/api/v1/vms"), Allowance("leaks")]),
        ("all", [Allowance(kind) for kind in FINDING_KINDS]),
        ("", []),
    ],
)
def test_allowances_are_read_from_a_list(text: str, expected: list[Allowance]) -> None:
    """A kind, or a kind and a field after a colon; they are separated by commas or blanks."""
    assert expected == parse_allowances(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("leak", "'leak' is no kind of finding"),
        ("leaks:job-1", "'leaks:job-1': leaks have no field; those that have one are unknown-ids"),
        ("unknown-fields:", "'unknown-fields:': a kind and a field are written like unknown-fields:vnc"),
        ("all:vnc", "'all:vnc': a kind and a field are written like unknown-fields:vnc"),
    ],
)
def test_a_wrong_allowance_is_refused(text: str, message: str) -> None:
    """The message says what would be right."""
    with pytest.raises(ValueError, match=message):
        parse_allowances(text)


def test_findings_that_are_allowed_are_left_out() -> None:
    """A kind is allowed as a whole, or for one field."""
    leak, vnc, usb = (
        ClientFinding("leaks", "x"),
        ClientFinding("unknown-fields", "y", field="vnc"),
        ClientFinding("unknown-fields", "z", field="usb"),
    )
    report = Report([leak, vnc, usb], [], 0, 0)

    assert [leak, usb] == report.of_kinds(FINDING_KINDS, [Allowance("unknown-fields", "vnc")])
    assert [leak] == report.of_kinds(FINDING_KINDS, [Allowance("unknown-fields")])
    assert [vnc] == report.of_kinds(["unknown-fields"], [Allowance("leaks"), Allowance("unknown-fields", "usb")])
