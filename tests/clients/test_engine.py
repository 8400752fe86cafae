"""The doubles' own tools: what goes wrong on the wire has a name, and decoding is as strict as the clients'."""

from __future__ import annotations

from typing import Any

import pytest

from mockanka import Anka
from tests.clients import decoding
from tests.clients.decoding import JavaObject
from tests.clients.engine import Call, Client, CutShort, Lost, Refused, StillWaiting, TimedOut, Undecodable, filled
from tests.clients.jenkins import Jenkins


def test_values_take_their_places() -> None:
    """A place that is all of a text takes a value as it is, one inside a text as text, and an optional one may go."""
    template = {"id": "<id>", "tag": "<tag?>", "text": "at <id>", "list": ["<id>"], "$ts": "$ts", "on": True}

    assert {"id": 7, "text": "at 7", "list": [7], "$ts": "$ts", "on": True} == filled(template, {"id": 7, "tag": None})


@pytest.mark.anka(clock="manual")
def test_sleeping_moves_the_clock_of_the_mock(anka: Anka) -> None:
    """A client's sleep is the mock's time, and ends where the patience of who runs it ends."""
    client = Jenkins(anka, job_limit=60)
    client.sleep(59)

    assert 59.0 == client.since(client.began)
    with pytest.raises(StillWaiting, match="60 s"):
        client.sleep(5)


class Probe(Client):
    TIMEOUT = 10.0
    CALLS = {"status": Call("GET", "/api/v1/status")}  # noqa: RUF012


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"delay": "11s"}, TimedOut),
        ({"cut": "50%"}, CutShort),
        ({"connection": "close"}, Lost),
        ({"connection": "reset"}, Lost),
        ({"refuse": "10m"}, Refused),
    ],
)
@pytest.mark.anka(clock="manual")
def test_what_goes_wrong_on_the_way_has_a_name(anka: Anka, fault: dict[str, Any], kind: type[Lost]) -> None:
    """An answer that is late, breaks off, never comes, or a door that is shut are told apart."""
    anka.faults.add(match={"path": "/api/v1/status"}, do=fault, times=1)
    probe = Probe(anka)
    if kind is Refused:
        with pytest.raises(Lost):
            probe.send("status")  # the one that is there breaks off, those that come are refused
    with pytest.raises(kind):
        probe.send("status")


STRUCT = decoding.struct(
    text=decoding.string,
    count=decoding.unsigned,
    share=decoding.real,
    at=decoding.time,
    yes=decoding.boolean,
    rest=decoding.pointer(decoding.struct(number=decoding.integer)),
    several=decoding.many(decoding.string),
)


@pytest.mark.parametrize(
    "wrong",
    [
        {"text": 1},
        {"count": -1},
        {"count": 0.5},
        {"count": True},
        {"count": 2**64},
        {"share": "1"},
        {"at": ""},
        {"at": "2024-01-01"},
        {"at": "2024-13-01T00:00:00Z"},
        {"yes": 1},
        {"rest": []},
        {"rest": {"number": 0.42}},
        {"several": {}},
        {"several": [1]},
        [],
    ],
)
def test_go_refuses(wrong: Any) -> None:
    """What is of another type is an error, as in encoding/json."""
    with pytest.raises(Undecodable):
        STRUCT(wrong)


def test_go_makes_nothing_of_null() -> None:
    """Null and absent leave zero values, unknown keys are passed over, and keys compare without case."""
    found = STRUCT({"TEXT": "a", "count": None, "at": None, "rest": None, "unknown": {}})

    assert ("a", 0, None, None, None) == (found.text, found.count, found.at, found.rest, found.several)


@pytest.mark.parametrize(
    ("there", "getter"),
    [
        ({"a": None}, "text"),
        ({}, "text"),
        ({"a": 1}, "text"),
        ({"a": "1"}, "whole"),
        ({"a": None}, "inner"),
        ({"a": None}, "array"),
        ({"a": {}}, "array"),
    ],
)
def test_java_throws(there: dict[str, Any], getter: str) -> None:
    """A getter throws at what is null, absent, or of another type, as org.json does."""
    with pytest.raises(Undecodable):
        getattr(JavaObject(there), getter)("a")


def test_java_has_what_is_null() -> None:
    """``has`` is true for null, and ``opt`` takes it for absent: between these two plugins fall."""
    there = JavaObject({"a": None})

    assert (True, "else") == (there.has("a"), there.opt("a", "else"))
