"""Adding fault rules with extreme values."""

from __future__ import annotations

from typing import Any

import pytest

from tests.control.client import ControlClient

ENDLESS = "9" * 1_000_001


@pytest.mark.parametrize(
    "rule",
    [
        {"do": {"cut": f"{ENDLESS}TB"}},
        {"match": {"event": "pull"}, "do": {"bandwidth": f"{ENDLESS}Gbit/s"}},
    ],
)
def test_an_amount_of_a_million_digits_is_refused(control: ControlClient, rule: dict[str, object]) -> None:
    """An amount of a million digits is refused as too much."""
    assert 400 == control.send("POST", "faults", rule).status_code


@pytest.mark.parametrize("depth", [300, 500, 700, 900])
@pytest.mark.parametrize("rule", ['{"do": {"status": 503}, "match": {"body": {"a": %s}}}', '{"do": {"body": %s}}'])
def test_a_deeply_nested_rule_is_accepted_or_refused(control: ControlClient, rule: str, depth: int) -> None:
    """Nesting, however deep, is no internal error."""
    response = control.send("POST", "faults", rule % ("[" * depth + "]" * depth))

    assert response.status_code in (201, 400)


def test_a_connection_reset_at_0_percent_is_kept(control: ControlClient) -> None:
    """A rule that resets the connection after 0 % is shown so, and still so after its state was loaded again."""
    response = control.send("POST", "faults", {"id": "rude", "do": {"connection": "reset", "at": "0%"}})
    control.send("PUT", "scenario", control.send("GET", "scenario").get_json())
    rule = control.controller.faults.get("rude")

    assert "0%" == response.get_json()["do"].get("at")
    assert rule is not None
    assert 0.0 == rule.action.at


@pytest.mark.parametrize(
    "do",
    [{"status": 503, "body": "\ud800"}, {"body": "\ud800"}, {"content_type": "a\r\nb: c"}, {"content_type": "a\nb"}],
)
def test_a_rule_whose_response_cannot_be_sent_is_refused(control: ControlClient, do: dict[str, object]) -> None:
    """A rule with half a surrogate pair in its body, or a line break in a header, is refused."""
    assert 400 == control.send("POST", "faults", {"do": do}).status_code


@pytest.mark.parametrize(
    ("rule", "kept"),
    [
        (
            {
                "match": {"event": "pull", "query": {}, "body": {}, "header": {}},
                "do": {"bandwidth": "1Mbit/s", "set": {}},
            },
            {"match": {"event": "pull"}, "do": {"bandwidth": "1Mbit/s"}},
        ),
        ({"match": {}, "do": {"delay": {"uniform": ["1s", "2s"], "normal": []}, "without": []}}, {}),
        ({"do": {"body": {}, "content_type": "text/x"}}, {"do": {"body": "{}", "content_type": "text/x"}}),
        ({"do": {"set": {"metadata": {}, "x": [[]]}}}, {"do": {"set": {"metadata": {}, "x": [[]]}}}),
        ({"do": {"merge_patch": {"metadata": {}}}}, {"do": {"merge_patch": {"metadata": {}}}}),
    ],
)
def test_an_empty_list_or_object_counts_as_absent(
    control: ControlClient, rule: dict[str, Any], kept: dict[str, Any]
) -> None:
    """Generated clients send them for what was not given; in a body and in new values they mean something."""
    response = control.send("POST", "faults", rule)
    shown = {key: value for key, value in response.get_json().items() if key in ("match", "do")}

    assert 201 == response.status_code
    assert (kept or {"do": {"delay": {"uniform": ["1s", "2s"]}}}) == shown
