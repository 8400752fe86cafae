"""Faults of a simulated controller, and missing targets, as clients of a proxy see them."""

from __future__ import annotations

import re
from contextlib import closing

import pytest

import mockanka
from mockanka.core.faults import RESPONSE_FAULTS
from mockanka.proxy import relay
from mockanka.proxy.relay import ANNOTATION_HEADER
from mockanka.serving import url_of
from mockanka.testing.anka import Anka
from tests.proxy.harness import GET, RunningProxy, listening_socket, run_proxy_thread
from tests.server.http_client import (
    STATUS,
    VM,
    open_socket,
    receive_all,
    refuses_connections,
    request_bytes,
    send_request,
    wait_until,
)

pytestmark = pytest.mark.usefixtures("forwarding")

FAULTS: list[dict[str, object]] = [
    {"without": "arch"},
    {"set": {"vm.vminfo": None}, "item": 0},
    {"merge_patch": {"instance_id": None}},
    {"status": 503, "body": "busy"},
    {"status": 204},
    {"status": 304},
    {"status": 502, "body": "<html>", "content_type": "text/html"},
    {"fail": "no"},
    {"body": "<p>"},
    {"body": ""},
    {"content_type": "text/plain"},
    {"connection": "close"},
    {"connection": "reset"},
    {"connection": "reset", "at": "0%"},
    {"connection": "reset", "at": "100%"},
    {"cut": 0},
    {"cut": 1},
    {"cut": "50%"},
    {"delay": "1h"},
    {"dribble": "1h"},
    {"stale": True},
]


def responses_with_fault(anka: Anka, url: str, fault: dict[str, object]) -> list[tuple[bytes, bool]]:
    """Reset the controller, and return what two connections with a request each receive with a fault in force."""
    anka.reset()
    anka.faults.add(match={"path": VM}, do=fault)
    responses = []
    for _ in range(2):
        with closing(open_socket(url)) as connection:
            connection.sendall(GET.replace(b"Host: x", b"Host: x\r\nConnection: close"))
            responses.append(receive_all(connection))
    return responses


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_is_the_same_through_the_proxy(anka: Anka, proxy: RunningProxy, fault: dict[str, object]) -> None:
    """The client receives the same bytes, and the same kind of end."""
    assert responses_with_fault(anka, anka.url, fault) == responses_with_fault(anka, proxy.url, fault)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_is_the_same_in_annotated_responses(anka: Anka, fault: dict[str, object]) -> None:
    """Complete responses may have the header in addition; incomplete ones end at the same byte."""
    with run_proxy_thread(anka.url, annotate=True) as proxy:
        through_proxy = [
            (re.sub(rb"\r\n" + ANNOTATION_HEADER.encode() + rb": [^\r]*", b"", received), was_reset)
            for received, was_reset in responses_with_fault(anka, proxy.url, fault)
        ]

    assert responses_with_fault(anka, anka.url, fault) == through_proxy


def test_every_response_fault_is_tested() -> None:
    """No kind is missing above; ``acts`` only goes with others, and refusals concern the connection of the proxy."""
    assert set(RESPONSE_FAULTS) - {key for fault in FAULTS for key in fault} <= {"acts", "refuse", "unreachable"}


def test_a_dribbled_response_is_forwarded_in_pieces() -> None:
    """The pieces are forwarded as they come."""
    with mockanka.serve("default", clock="real", speed=10, seed=1) as anka, run_proxy_thread(anka.url) as proxy:
        anka.faults.add(do={"dribble": "2s"})
        pieces = []
        with closing(open_socket(proxy.url)) as connection:
            request = request_bytes(target="/api/v1/node")
            connection.sendall(request.replace(b"Host: x", b"Host: x\r\nConnection: close"))
            while piece := connection.recv(65536):
                pieces.append(piece)

    assert 5 < len(pieces) <= 21
    assert 200 == int(b"".join(pieces).split()[1])


def test_a_target_that_refuses_connections_is_a_502(anka: Anka, proxy: RunningProxy) -> None:
    """The connection that the fault hits ends without a response; later ones get a 502 until the fault is removed."""
    rule = anka.faults.add(match={"path": STATUS}, do={"refuse": "1h"})
    with closing(open_socket(proxy.url)) as connection:
        connection.sendall(request_bytes(target=STATUS))
        received = receive_all(connection)[0]
    refusals = [send_request(proxy.url), send_request(proxy.url, "POST", VM, {"count": 1})]
    anka.faults.remove(rule)
    wait_until(lambda: not refuses_connections(anka.url))

    assert b"" == received
    assert [(502, "application/problem+json")] * 2 == [refusal[:2] for refusal in refusals]
    assert f"cannot reach {anka.url}: connection refused" == refusals[0].json["detail"]
    assert 200 == send_request(proxy.url).status
    assert ("server", "no-answer") in proxy.findings()


def test_a_missing_target_is_one_502_whatever_is_sent(anka: Anka, proxy: RunningProxy) -> None:
    """Pipelined requests, a large body and half a request get one response each, and the connection ends."""
    anka.stop()
    received = []
    for request in (GET + GET, request_bytes("POST", VM, b"x" * 5_000_000), GET[:20]):
        with closing(open_socket(proxy.url)) as connection:
            connection.sendall(request)
            received.append(receive_all(connection))

    assert [False] * 3 == [was_reset for _, was_reset in received]
    assert [1] * 3 == [content.count(b"HTTP/1.1 502 Bad Gateway\r\n") for content, _ in received]
    assert 200 == send_request(proxy.url, target="/_mock/health").status


def test_a_target_that_does_not_accept_in_time_is_a_502(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy waits for a connection only so long."""
    monkeypatch.setattr(relay, "CONNECT_TIMEOUT", 0.0)
    with listening_socket() as listening, run_proxy_thread(url_of(listening)) as proxy:
        refusal = send_request(proxy.url)

    assert 502 == refusal.status
    assert refusal.json["detail"].endswith(": no connection within 0 s")
