"""Events, and journal entries that are no JSON."""

from __future__ import annotations

import pytest

from tests.control.client import BEGIN, ControlClient, is_strict_json


def test_events_are_listed_in_order(control: ControlClient) -> None:
    """Events have a number, a time, a kind and a subject."""
    instance_id = control.start()
    control.advance(by="1s")
    events = control.send("GET", "events").get_json()["events"]

    assert [1, 2, 3] == [event["number"] for event in events]
    assert [BEGIN, "2024-01-01T00:00:01Z", "2024-01-01T00:00:01Z"] == [event["at"] for event in events]
    assert [("instance", instance_id), ("placed", instance_id), ("VM cloned", instance_id)] == [
        (event["event"], event["subject"]) for event in events
    ]


def test_events_can_be_listed_since_a_number(control: ControlClient) -> None:
    """``since`` leaves out the events up to a number."""
    control.start()
    control.advance(by="1s")
    numbers = [
        [event["number"] for event in control.send("GET", "events", query_string=f"since={since}").get_json()["events"]]
        for since in (0, 2, 3, 99)
    ]

    assert [[1, 2, 3], [3], [], []] == numbers


@pytest.mark.parametrize("since", ["x", "-1", "1.5", "²"])
def test_a_since_that_is_no_number_is_refused(control: ControlClient, since: str) -> None:
    """``since`` must be a whole number."""
    status, detail = control.refused("GET", "events", query_string={"since": since})

    assert (400, f"since must be a whole number, 0 or more, not {since!r}") == (status, detail)


def test_a_lifecycle_fault_is_an_event(control: ControlClient) -> None:
    """A lifecycle fault that is applied is an event of the kind fault, like a response fault."""
    control.send("POST", "faults", {"id": "down", "match": {"event": "begin"}, "do": {"registry": "down"}})
    events = control.send("GET", "events").get_json()["events"]

    assert ["fault"] == [event["event"] for event in events if event["subject"] == "down"]


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_every_response_is_strict_json(control: ControlClient, word: str) -> None:
    """NaN and Infinity, which Python reads as JSON, are refused or shown as text."""
    control.send("POST", "faults", f'{{"do": {{"status": 503}}, "match": {{"body": {{"a": {word}}}}}}}')
    sent = f'{{"a": {word}}}'.encode()
    control.simulator.journal.add("POST", "/api/v1/vm", b"", sent, len(sent))
    texts = {target: control.send("GET", target).text for target in ("faults", "scenario", "requests")}

    assert [] == [target for target, text in texts.items() if not is_strict_json(text)]
