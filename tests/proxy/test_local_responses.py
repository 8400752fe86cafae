"""Responses of the proxy itself, under ``/_mock``."""

from __future__ import annotations

from contextlib import closing

import pytest

from mockanka.testing.anka import Anka
from tests.proxy.harness import RunningProxy
from tests.server.http_client import (
    STATUS,
    connect,
    open_socket,
    read_response,
    receive_all,
    request_bytes,
    send_request,
)

pytestmark = pytest.mark.usefixtures("forwarding")


def test_local_requests_are_not_forwarded(anka: Anka, proxy: RunningProxy) -> None:
    """Health, the index and the report are the proxy's; the target does not get the requests, nor the report."""
    responses = {path: send_request(proxy.url, target=f"/_mock{path}") for path in ("", "/", "/health", "/report?x=y")}

    assert [200] * 4 == [response.status for response in responses.values()]
    assert {"status": "ok"} == responses["/health"].json
    assert responses[""] == responses["/"]
    assert {"health": "/_mock/health", "report": "/_mock/report"} == responses["/"].json["links"]
    assert (0, []) == (proxy.report()["exchanges"], list(anka.requests))


@pytest.mark.parametrize(
    ("method", "target", "status", "text"),
    [
        ("GET", "/_mock/clock", 404, "there is no /_mock/clock at this proxy; GET /_mock/ lists what there is"),
        ("POST", "/_mock/report", 405, "/_mock/report takes GET, not POST"),
    ],
)
def test_an_unknown_path_or_method_is_a_problem(
    anka: Anka, proxy: RunningProxy, method: str, target: str, status: int, text: str
) -> None:
    """The response is a problem document as in the control API, and the connection stays usable."""
    with connect(proxy.url) as connection:
        connection.request(method, target, b"{}" if method == "POST" else None)
        refusal = read_response(connection)
        connection.request("GET", STATUS)
        next_response = read_response(connection)

    assert (status, "application/problem+json", text) == (refusal.status, refusal.type, refusal.json["detail"])
    assert 200 == next_response.status
    assert [STATUS] == [request.path for request in anka.requests]


def test_local_responses_keep_their_place(proxy: RunningProxy) -> None:
    """Local requests may be pipelined with requests that are forwarded."""
    local = b"GET /_mock/health HTTP/1.1\r\nHost: x\r\n\r\n"
    status = request_bytes(target=STATUS)
    with closing(open_socket(proxy.url)) as connection:
        connection.sendall(local + status + local + local + status.replace(b"Host", b"Connection: close\r\nHost"))
        received, _ = receive_all(connection)

    forwarded = [b"Running" in response for response in received.split(b"HTTP/1.1 200 OK")[1:]]
    assert [False, True, False, False, True] == forwarded


def test_a_local_request_may_come_in_pieces_and_ask_to_close(proxy: RunningProxy) -> None:
    """Byte by byte it is recognized, and the connection ends behind the response."""
    request = b"GET /_mock/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with closing(open_socket(proxy.url)) as connection:
        for byte in request:
            connection.sendall(bytes([byte]))
        received, was_reset = receive_all(connection)

    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert not was_reset


def test_a_malformed_local_request_is_a_problem(anka: Anka, proxy: RunningProxy) -> None:
    """It is not forwarded."""
    with closing(open_socket(proxy.url)) as connection:
        connection.sendall(b"GET /_mock/health HTTP/1.1\r\n\r\n")
        received, _ = receive_all(connection)

    assert received.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert [] == list(anka.requests)


@pytest.mark.parametrize("path", ["/_mock/health", "/_mock/nowhere"])
def test_a_head_request_has_a_response_without_a_body(proxy: RunningProxy, path: str) -> None:
    """It has the headers of the response to a GET, and the next response follows them."""
    received = {}
    for method in ("HEAD", "GET"):
        with closing(open_socket(proxy.url)) as connection:
            connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            received[method], _ = receive_all(connection)
    head, end, _ = received["GET"].partition(b"\r\n\r\n")

    assert head + end == received["HEAD"]
