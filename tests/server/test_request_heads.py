"""Odd requests, on the wire: taken, refused and told apart as Go's server does it."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest

import mockanka
from mockanka.server.request_heads import HeadRefused, read_head
from mockanka.testing.anka import Anka

ENTRIES = json.loads((Path(__file__).parent / "raw_requests" / "answers.json").read_text("utf-8"))
STATUS = "/api/v1/status"
HEADERS = b"\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large" + HEADERS + b"431 Request Header Fields Too Large"
BAD_REQUEST = b"HTTP/1.1 400 Bad Request" + HEADERS + b"400 Bad Request"


@pytest.fixture(scope="module")
def server() -> Iterator[Anka]:
    """A server for all requests of this module."""
    with mockanka.serve("default", clock="manual") as anka:
        yield anka


def open_connection(anka: Anka) -> socket.socket:
    host, port = anka.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def exchange(anka: Anka, *parts: bytes) -> bytes:
    """Send the parts, end the sending side, and return all that is answered until the connection is closed."""
    with closing(open_connection(anka)) as connection:
        try:
            for part in parts:
                connection.sendall(part)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the server has refused what came so far
        return b"".join(iter(lambda: connection.recv(65536), b""))


def answers_in(received: bytes) -> list[bytes]:
    return re.findall(rb"HTTP/1\.[01] \d{3}[^\r]*\r\n", received)


def request(target: str = STATUS, *headers: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


LONG_HEADS = {
    "spaces before a bare line end": b"GET / HTTP/1.1\r\nHost:%s\n\r\n" % (b" " * 1_000_000),
    "spaces within a host": b"GET / HTTP/1.1\r\nHost: a%sb\r\n\r\n" % (b" " * 1_000_000),
    "spaces within an offer": b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: a%sb\r\n\r\n" % (b" \t" * 500_000),
    "words before a bare line end": b"GET / HTTP/1.1\r\nHost: a\r\nX:%s\n\r\n" % (b" a" * 500_000),
    "continued lines": b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n%s\r\n" % (b" b\r\n" * 250_000),
    "short headers": b"GET / HTTP/1.1\r\nHost: a\r\n%s\r\n" % (b"a:\r\n" * 200_000),
    "brackets": b"GET http://%s HTTP/1.1\r\nHost: a\r\n\r\n" % (b"[" * 1_000_000),
}


@pytest.mark.parametrize("name", LONG_HEADS)
def test_long_heads_are_read_in_linear_time(name: str) -> None:
    """A head has at most 1 MB, and nobody else is answered meanwhile: a tenth of a second or so, never minutes."""
    before = time.process_time()
    with suppress(HeadRefused):
        read_head(LONG_HEADS[name])
    assert time.process_time() - before < 2


def test_a_header_that_is_continued_is_joined_by_spaces() -> None:
    head = read_head(b"GET / HTTP/1.1\r\nHost: a\r\nX: a \r\n\t b\r\n \r\n  c \r\nY:\r\n d\r\n\r\n")
    assert head.content.endswith(b"\r\nX: a b c\r\nY: d\r\n\r\n")


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: repr(entry["request"])[:60])
@pytest.mark.parametrize("is_split", [False, True], ids=["whole", "split"])
def test_an_odd_request_is_taken_or_refused_as_by_go(server: Anka, entry: dict[str, Any], is_split: bool) -> None:
    """Method, path, query and length of the body are those that a handler in Go gets, refusals have the same bytes."""
    raw = str(entry["request"]).encode("latin-1")
    server.requests.clear()
    received = exchange(server, *([bytes([byte]) for byte in raw] if is_split else [raw]))
    handled = [
        (handled.method, handled.path, unquote_to_bytes(handled.raw_query), handled.body_length)
        for handled in server._simulator.journal
    ]
    expected = []
    for line in entry["handled"]:
        rest, query, length = line.encode("latin-1").rsplit(b" ", 2)
        method, _, path = rest.partition(b" ")
        expected.append((method.decode(), path.decode("utf-8", "replace"), unquote_to_bytes(query), int(length)))

    assert expected == handled
    assert len(handled) + bool(entry["refusal"]) == len(answers_in(received))
    assert received.endswith(str(entry["refusal"]).encode())


def test_a_path_and_a_query_may_be_long(server: Anka) -> None:
    """More than 64 KiB, which the parser cannot split, are an unknown path like any other."""
    server.requests.clear()
    path, query = "/" + "a" * 70_000, "b" * 70_000
    received = exchange(server, request(f"{path}?{query}"))
    (entry,) = server.requests

    assert [b"HTTP/1.1 404 Not Found\r\n"] == answers_in(received)
    assert (path, {query: ""}) == (entry.path, entry.query)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (request(STATUS, "A: " + "a" * 1_000_000), b"HTTP/1.1 200 OK\r\n"),
        (request(STATUS, "A: " + "a" * 1_100_000), TOO_LARGE),
        (request("/" + "a" * 1_100_000), TOO_LARGE),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 400_000, TOO_LARGE),
        (b"G" * 1_100_000, TOO_LARGE),
    ],
    ids=["below", "header", "path", "without end", "one line"],
)
def test_a_head_has_at_most_one_megabyte(server: Anka, head: bytes, expected: bytes) -> None:
    """Go reads that much, and refuses what is longer as soon as it has come."""
    server.requests.clear()
    received = exchange(server, head)

    assert received.startswith(expected)
    assert (expected != TOO_LARGE) == len(server.requests)


@pytest.mark.parametrize("parts", [[b"HELLO\r\n"], [b"HEL", b"LO", b"\r", b"\n"]], ids=["whole", "split"])
def test_a_refusal_comes_at_once(server: Anka, parts: list[bytes]) -> None:
    """A request line that is wrong is refused when it has come: its client may wait before it sends more."""
    with closing(open_connection(server)) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(0.01)

        assert BAD_REQUEST == connection.recv(65536)
        assert b"" == connection.recv(65536)


@pytest.mark.parametrize("chunks", [b"zz\r\nab\r\n0\r\n\r\n", b"2\r\nabXX0\r\n\r\n"])
def test_a_start_whose_chunks_are_broken_is_not_carried_out(server: Anka, chunks: bytes) -> None:
    """The request before it is answered, and this one is refused."""
    server.requests.clear()
    start = request("/api/v1/vm", "Transfer-Encoding: chunked", method="POST")
    received = exchange(server, request() + start + chunks)

    assert [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 400 Bad Request\r\n"] == answers_in(received)
    assert [STATUS] == [entry.path for entry in server.requests]


@pytest.mark.parametrize("faulty", [b"BAD\r\n", request("/%zz"), request("/", "nocolon")])
def test_responses_that_are_due_come_before_a_refusal(faulty: bytes) -> None:
    """Also if a fault delays them: neither is lost, and nothing after the refusal is carried out."""
    with mockanka.serve("default", clock="real", speed=1000) as anka:
        anka.faults.add(match={"path": STATUS}, do={"delay": "20s"})
        received = exchange_open(anka, request() + request() + faulty + request())

        assert [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n"] == answers_in(received)[:2]
        assert received.endswith(BAD_REQUEST)
        assert 2 == len(anka.requests)


def exchange_open(anka: Anka, raw: bytes) -> bytes:
    """Send bytes, and return all that is answered until the server closes the connection."""
    with closing(open_connection(anka)) as connection:
        connection.sendall(raw)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_the_header_of_an_offer_to_upgrade_is_in_the_journal(server: Anka) -> None:
    """The parser does not see it, and everybody else does."""
    server.requests.clear()
    exchange(server, request(STATUS, "Connection: Upgrade", "Upgrade: h2c"))
    (entry,) = server.requests

    assert ("Upgrade", "h2c") == (entry.headers["connection"], entry.headers["upgrade"])


def test_a_broken_body_is_refused_though_its_request_waits_to_be_told_to_go_on(
    server: Anka, caplog: pytest.LogCaptureFixture
) -> None:
    """The client gets the refusal alone, and nothing is logged."""
    head = request("/api/v1/vm", "Expect: 100-continue", "Transfer-Encoding: chunked", method="POST")

    assert BAD_REQUEST == exchange(server, head + b"broken\r\n")
    assert [] == caplog.records
