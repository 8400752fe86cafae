"""The classes of response faults: what a rule makes, and what a class makes of a response."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mockanka.core.controller import Controller
from mockanka.core.durations import WallTime
from mockanka.core.faults import RESPONSE_FAULTS, Amount, FaultAction, FaultMatch, FaultRule
from mockanka.server.http_messages import Response
from mockanka.server.response_faults import (
    REPLACED_OUTCOMES,
    BeUnreachable,
    ChangeBody,
    ClientConnection,
    CloseConnection,
    Cut,
    Dribble,
    Fail,
    Refuse,
    ReplaceBody,
    ReplaceContentType,
    ReplaceStatus,
    ResetConnection,
    ResponseFault,
    Stale,
    make_response_fault,
)
from mockanka.units import SECOND
from tests.controllers import controller_of

OWN = Response(200, [(b"content-type", b"application/json"), (b"content-length", b"10")], b"0123456789")
LAST = Response(200, [], b"last")

LIST = Response(200, [], b'{"status":"OK","body":[{"a":1,"v":{"a":1,"b":2}},{"a":2,"v":{"a":3},"n":"x"}]}')


def change(**fields: Any) -> ChangeBody:
    """Return a change of a body that has only these fields."""
    return ChangeBody(**{"new_values": {}, "merge_patch": {}, "item": None, **fields})


FAULTS: list[tuple[dict[str, Any], ResponseFault]] = [
    ({"refuse": 5}, Refuse(rule_id="r", length=5)),
    ({"unreachable": 5}, BeUnreachable(rule_id="r", length=5)),
    ({"connection": "close"}, CloseConnection()),
    ({"connection": "close", "acts": False}, CloseConnection(acts=False)),
    ({"connection": "reset"}, ResetConnection(at=0.5)),
    ({"connection": "reset", "at": 0.0}, ResetConnection(at=0.0)),
    ({"cut": Amount(0.3)}, Cut(amount=Amount(0.3))),
    ({"fail": "no", "status": 500}, Fail(message="no", status=500, acts=False)),
    (
        {"status": 503, "body": "x", "content_type": "text/x"},
        ReplaceStatus(status=503, body="x", content_type="text/x"),
    ),
    ({"status": 503, "acts": True}, ReplaceStatus(status=503, acts=True)),
    ({"body": "", "content_type": "text/x"}, ReplaceBody(body="", content_type="text/x")),
    ({"content_type": "text/x"}, ReplaceContentType(content_type="text/x")),
    ({"dribble": 7}, Dribble(length=7)),
    ({"stale": True}, Stale(last=LAST)),
    ({"without": ("a",)}, change(without=("a",))),
    ({"new_values": {"a": 1}, "item": 2}, change(new_values={"a": 1}, item=2)),
    ({"merge_patch": {"a": None}}, change(merge_patch={"a": None})),
    ({"delay": WallTime(9)}, ResponseFault(wall_delay=9)),
    ({"delay": None}, ResponseFault()),
]


@pytest.mark.parametrize(("do", "fault"), FAULTS)
def test_a_rule_makes_a_fault_of_its_kind(do: dict[str, Any], fault: ResponseFault) -> None:
    """The class and its fields follow from the keys of the rule."""
    rule = FaultRule("r", FaultMatch(), FaultAction(**do))

    assert fault == make_response_fault(rule, 0, LAST)


KEYS = {"new_values": "set"}
"""Keys of rules by the fields that have other names."""


def test_every_kind_makes_a_class_of_its_own() -> None:
    """FAULTS has all kinds, and only a delay is the base class."""
    made: dict[str, set[type]] = {}
    for do, fault in FAULTS:
        kind = next(kind for kind in RESPONSE_FAULTS if kind in {KEYS.get(name, name) for name in do})
        made.setdefault(kind, set()).add(type(fault))

    assert set(RESPONSE_FAULTS) == set(made)
    assert ["delay"] == [kind for kind, classes in made.items() if ResponseFault in classes]


def failure(message: str) -> Response:
    return Response(400, [], message.encode())


@pytest.mark.parametrize(
    ("fault", "own", "status", "content"),
    [
        (ResponseFault(), OWN, 200, b"0123456789"),
        (ResponseFault(), None, 400, b"the request was not carried out"),
        (Fail(message="no"), None, 400, b"no"),
        (Fail(message="no", status=500), OWN, 500, b"no"),
        (ReplaceStatus(status=503), OWN, 503, b""),
        (ReplaceBody(body="x"), OWN, 200, b"x"),
        (ReplaceBody(body="x"), None, 200, b"x"),
        (change(without=("a",)), LIST, 200, b'{"status":"OK","body":[{"v":{"b":2}},{"v":{},"n":"x"}]}\n'),
        (change(without=("v.a",)), LIST, 200, b'{"status":"OK","body":[{"a":1,"v":{"b":2}},{"a":2,"v":{},"n":"x"}]}\n'),
        (change(without=("v",), item=0), LIST, 200, b'{"status":"OK","body":[{"a":1},{"a":2,"v":{"a":3},"n":"x"}]}\n'),
        (change(without=("v",), item=7), LIST, 200, LIST.content + b"\n"),
        (
            change(new_values={"v.c.d": None}, item={"n": "x"}),
            LIST,
            200,
            b'{"status":"OK","body":[{"a":1,"v":{"a":1,"b":2}},{"a":2,"v":{"a":3,"c":{"d":null}},"n":"x"}]}\n',
        ),
        (
            change(merge_patch={"a": None, "v": {"b": 5}}, item={"v.b": 2}),
            LIST,
            200,
            b'{"status":"OK","body":[{"v":{"a":1,"b":5}},{"a":2,"v":{"a":3},"n":"x"}]}\n',
        ),
        (change(new_values={"a": 1}), Response(200, [], b'{"body":{"b":2}}'), 200, b'{"body":{"b":2,"a":1}}\n'),
        (
            change(new_values={"a": 1}, item={"b": 2}),
            Response(200, [], b'{"body":{"b":2}}'),
            200,
            b'{"body":{"b":2,"a":1}}\n',
        ),
        (
            change(new_values={"a": 1}, item={"b": 3}),
            Response(200, [], b'{"body":{"b":2}}'),
            200,
            b'{"body":{"b":2}}\n',
        ),
        (change(new_values={"a": 1}, item=0), Response(200, [], b'{"body":{"b":2}}'), 200, b'{"body":{"b":2}}\n'),
        (change(without=("a",)), Response(400, [], b'{"status":"FAIL"}'), 400, b'{"status":"FAIL"}'),
        (change(without=("a",)), OWN, 200, b"0123456789"),
        (ReplaceContentType(content_type="text/x"), OWN, 200, b"0123456789"),
        (Stale(last=LAST), OWN, 200, b"last"),
    ],
)
def test_a_fault_makes_the_response(fault: ResponseFault, own: Response | None, status: int, content: bytes) -> None:
    """The status and the body follow from the fault, and from the controller's own response if there is one."""
    response = fault.response(own, failure)

    assert (status, content) == (response.status, response.content)


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (ResponseFault(), ""),
        (Refuse(rule_id="r", length=1), "refused"),
        (CloseConnection(), "closed"),
        (ResetConnection(at=1.0), "reset"),
        (Cut(amount=Amount(0.5)), "cut"),
        (Cut(amount=Amount(1.0)), ""),
        (Cut(amount=Amount(0.0, 99)), ""),
    ],
)
def test_a_fault_names_the_outcome(fault: ResponseFault, outcome: str) -> None:
    """The outcome is a word if the client does not get the whole response, else it is empty."""
    assert outcome == fault.outcome(OWN)


@pytest.mark.parametrize("kind", [ResponseFault, *ResponseFault.__subclasses__()])
def test_the_outcome_of_another_body_is_known(kind: type[ResponseFault]) -> None:
    """Event streams know by it that such a response is still to come."""
    assert kind.outcome_if_replaced in REPLACED_OUTCOMES


def send(fault: ResponseFault, controller: Controller, interrupted: bool = False) -> list[bytes]:
    """Return the parts of the body that a fault sends."""
    messages: list[dict[str, Any]] = []

    async def keep(message: dict[str, Any]) -> None:
        messages.append(message)

    async def wait() -> Any:
        await asyncio.Event().wait()

    async def main() -> None:
        interruption = asyncio.Event()
        if interrupted:
            interruption.set()
        client = ClientConnection(controller, wait, keep, lambda: b"now", interruption, lambda seconds, rule_id: None)
        await fault.send(OWN, client)
        client.release()

    asyncio.run(main())
    return [message["body"] for message in messages if message["type"] == "http.response.body"]


def test_a_reset_sends_a_share_of_the_body() -> None:
    """The rest of the body is not sent."""
    assert [b"0123"] == send(ResetConnection(at=0.49), controller_of("{}"))


def test_a_dribble_spreads_the_body_over_the_controllers_time() -> None:
    """Each byte is a piece, and the clock has moved by the length."""
    controller = controller_of("{}")
    began = controller.clock.now()
    parts = send(Dribble(length=20 * SECOND), controller)

    assert [*(b"%d" % number for number in range(10)), b""] == parts
    assert 20 * SECOND == controller.clock.now() - began


def test_a_dribble_that_is_interrupted_sends_nothing_more() -> None:
    """After a reset not even the end of the body is sent."""
    assert [] == send(Dribble(length=20 * SECOND), controller_of("{}"), interrupted=True)
