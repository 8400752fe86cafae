"""Requests that a rule matches: carried out by the controller, or not."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from mockanka.core.faults import RESPONSE_FAULTS
from mockanka.testing.anka import Anka
from tests.server.http_client import (
    VM,
    open_socket,
    receive_all,
    request_bytes,
)
from tests.server.response_faults.helpers import any_template

ACTS: list[tuple[dict[str, object], bool]] = [
    ({"status": 503}, False),
    ({"status": 503, "acts": False}, False),
    ({"status": 503, "acts": True}, True),
    ({"fail": "no"}, False),
    ({"fail": "no", "acts": True}, True),
    ({"fail": "no", "status": 500}, False),
    ({"fail": "no", "status": 500, "acts": True}, True),
    ({"body": "<p>"}, True),
    ({"body": "<p>", "acts": False}, False),
    ({"status": 200, "body": "<p>"}, False),
    ({"connection": "close"}, True),
    ({"connection": "close", "acts": False}, False),
    ({"connection": "reset"}, True),
    ({"connection": "reset", "acts": False}, False),
    ({"cut": "50%"}, True),
    ({"cut": "50%", "acts": False}, False),
    ({"refuse": "1h"}, False),
    ({"unreachable": "1h"}, False),
    ({"delay": "1s"}, True),
    ({"dribble": "1s"}, True),
    ({"without": "arch"}, True),
    ({"set": {"a": 1}}, True),
    ({"merge_patch": {"a": 1}}, True),
    ({"content_type": "text/html"}, True),
]


@pytest.mark.parametrize(("do", "carried_out"), ACTS)
def test_the_rule_decides_whether_a_request_is_carried_out(
    anka: Anka, do: dict[str, object], carried_out: bool
) -> None:
    """A POST vm starts an instance depending on ``acts``, and without it on the kind of fault."""
    body = json.dumps({"vmid": any_template(anka)}).encode()
    anka.faults.add(match={"method": "POST"}, do=do)
    with closing(open_socket(anka.url)) as connection:
        connection.sendall(request_bytes("POST", VM, body).replace(b"Host: x", b"Host: x\r\nConnection: close"))
        receive_all(connection)

    assert (2 if carried_out else 1) == len(anka.instances)
    assert carried_out == bool(anka.requests[0].instances)


@pytest.mark.parametrize("do", [{"cut": "10"}, {"connection": "reset"}, {"body": "x"}])
def test_the_response_to_a_request_that_is_not_carried_out_is_a_failure(anka: Anka, do: dict[str, object]) -> None:
    """A part of a FAIL is sent, with its status, unless the rule has another body: that is sent with 200."""
    anka.faults.add(do={**do, "acts": False})
    with closing(open_socket(anka.url)) as connection:
        connection.sendall(request_bytes().replace(b"Host: x", b"Host: x\r\nConnection: close"))
        received = receive_all(connection)[0]

    assert received.startswith(b"HTTP/1.1 200 OK\r\n" if "body" in do else b"HTTP/1.1 400 Bad Request\r\n")
    assert (b"\r\n\r\nx" if "body" in do else b'\r\n\r\n{"status":') in received


def test_every_response_fault_is_tried_here() -> None:
    """ACTS has a rule of every kind but ``stale``, which matches only GETs and has tests of its own."""
    assert set(RESPONSE_FAULTS) - {"stale"} == {key for do, _ in ACTS for key in do if key in RESPONSE_FAULTS}
