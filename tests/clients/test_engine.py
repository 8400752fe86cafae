"""The tools of the doubles: kinds of transport errors, and decoding as strict as that of the clients."""

from __future__ import annotations

from typing import Any

import pytest

from mockanka import Anka
from tests.clients import decoding
from tests.clients.decoding import JavaObject
from tests.clients.engine import Call, Client, CutShort, Lost, Refused, StillWaiting, TimedOut, Undecodable, fill
from tests.clients.jenkins import Jenkins


def test_values_replace_their_names() -> None:
    """A text that is only a name becomes the value, a name inside a text becomes text; values may be optional."""
    template = {"id": "<id>", "tag": "<tag?>", "text": "at <id>", "list": ["<id>"], "$ts": "$ts", "on": True}

    assert {"id": 7, "text": "at 7", "list": [7], "$ts": "$ts", "on": True} == fill(template, {"id": 7, "tag": None})


@pytest.mark.anka(clock="manual")
def test_sleeping_moves_the_clock_of_the_mock(anka: Anka) -> None:
    """A client's sleep advances the controller's clock, and ends at the limit of its job."""
    client = Jenkins(anka, job_limit=60)
    client.sleep(59)

    assert 59.0 == client.since(client.began)
    with pytest.raises(StillWaiting, match="60 s"):
        client.sleep(5)


class Probe(Client):
    """A client with one call."""

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
def test_transport_errors_are_told_apart(anka: Anka, fault: dict[str, Any], kind: type[Lost]) -> None:
    """A late response, an incomplete one, a missing one and a refused connection are different errors."""
    anka.faults.add(match={"path": "/api/v1/status"}, do=fault, times=1)
    probe = Probe(anka)
    if kind is Refused:
        with pytest.raises(Lost):
            probe.send("status")  # the present connection is closed, later ones are refused
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
    """A value of another type is an error, as in encoding/json."""
    with pytest.raises(Undecodable):
        STRUCT(wrong)


def test_go_decodes_null_as_the_zero_value() -> None:
    """Null and absent leave zero values, unknown keys are ignored, and keys are compared without case."""
    found = STRUCT({"TEXT": "a", "count": None, "at": None, "rest": None, "unknown": {}})

    assert ("a", 0, None, None, None) == (found.text, found.count, found.at, found.rest, found.several)


@pytest.mark.parametrize(
    ("value", "getter"),
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
def test_java_throws(value: dict[str, Any], getter: str) -> None:
    """A getter throws if a value is null, absent or of another type, as in org.json."""
    with pytest.raises(Undecodable):
        getattr(JavaObject(value), getter)("a")


def test_java_has_a_key_with_null() -> None:
    """``has`` is true for null, and ``opt`` takes it for absent: the two plugins fail between these."""
    value = JavaObject({"a": None})

    assert (True, "else") == (value.has("a"), value.opt("a", "else"))
