"""Responses with a header that names the violations of their exchanges."""

from __future__ import annotations

from mockanka.proxy.relay import ANNOTATION_HEADER
from mockanka.testing.anka import Anka
from tests.proxy.harness import (
    GET,
    OK_ENVELOPE,
    connect_through_proxy,
    receive_exactly,
    response_bytes,
    run_proxy_thread,
)
from tests.server.http_client import VM, connect, receive_all


def test_violations_are_named_in_a_header(anka: Anka) -> None:
    """The header has side and check of violations, but not of notes; without violations there is no header."""
    with run_proxy_thread(anka.url, annotate=True) as proxy, connect(proxy.url) as connection:
        headers, bodies = [], []
        for target in (VM, "/nowhere", f"{VM}?colour=red"):
            connection.request("GET", target)
            with connection.getresponse() as response:
                headers.append(response.headers[ANNOTATION_HEADER])
                bodies.append(response.read())

    assert [None, "client operation", None] == headers
    assert b"404 page not found\n" == bodies[1]


def test_annotation_changes_nothing_but_the_header() -> None:
    """The header stands behind the first line. All other bytes and the order of responses are unchanged."""
    health = b"GET /_mock/health HTTP/1.1\r\nHost: x\r\n\r\n"
    requests = GET.replace(b"GET", b"HEAD") + GET + health + GET
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1]\r\n0\r\nX: y\r\n\r\n"
    head_response = response_bytes().removesuffix(OK_ENVELOPE)
    responses = [head_response, b"HTTP/1.1 100 Continue\r\n\r\n" + chunked, response_bytes()]
    with connect_through_proxy(requests, annotate=True) as (client, target, _proxy):
        receive_exactly(target, len(requests) - len(health))
        target.sendall(b"".join(responses))
        target.close()
        received, _ = receive_all(client)

    local = received[received.index(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 16") :]
    local = local[: local.index(b"}\n") + 2]
    annotations = [line for line in received.split(b"\r\n") if line.startswith(ANNOTATION_HEADER.encode())]
    without_annotations = received.replace(local, b"")
    for line in annotations:
        without_annotations = without_annotations.replace(line + b"\r\n", b"", 1)

    assert b"".join(responses) == without_annotations
    assert 3 == len(annotations)
    last_annotation = received.rindex(ANNOTATION_HEADER.encode())
    assert received.index(chunked[-10:]) < received.index(local) < last_annotation


def test_an_incomplete_response_is_not_annotated() -> None:
    """It is forwarded unchanged when the connection ends."""
    incomplete = b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n<html>"
    with connect_through_proxy(GET, annotate=True) as (client, target, _proxy):
        receive_exactly(target, len(GET))
        target.sendall(incomplete)
        target.close()

        assert (incomplete, False) == receive_all(client)
