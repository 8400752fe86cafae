"""Odd byte streams on the wire: each is answered or its connection closed, and what is refused changes nothing."""

from __future__ import annotations

import json
import random
import re
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

import mockanka
from mockanka.testing.anka import Anka
from tests.conftest import examples
from tests.server.http_client import VM, open_socket, send_request, start_instance, template_id, wait_until

STREAMS_OF_A_SEED = 250
SEEDS = examples(8, 80)
"""With the streams of each seed: 2,000 by default."""
STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3}) [^\r\n]*\r\n")

METHODS = [b"GET", b"POST", b"DELETE"] * 6 + [b"HEAD", b"OPTIONS"]
ODD_METHODS = [
    b"get",
    b"BREW",
    b"",
    b"GE T",
    b"PO\x00ST",
    b"\xff",
]
TARGETS = [b"/api/v1/vm"] * 8 + [b"/api/v1/status", b"/api/v1/vm?id=x"]
ODD_TARGETS = [
    b"/api/v1/vm?id=%ed%a0%80",
    b"/api/v1//vm",
    b"http://x/api/v1/vm",
    b"/%zz",
    b"/\xff\x01",
    b"/a b",
    b"/" + b"a" * 70_000,
    b"*",
    b"",
]
ODD_VERSIONS = [b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/11", b"http/1.1", b"HTTP/1.1 ", b""]
HEADERS = [
    b"Connection: close",
    b"Connection: keep-alive",
    b"Connection: Upgrade\r\nUpgrade: h2c",
    b"Upgrade: websocket",
    b"Expect: 100-continue",
    b"Expect: nothing",
    b"Host: y",
    b"Content-Length: 5",
    b"Content-Length: 5, 5",
    b"Content-Length: -1",
    b"Content-Length: 99999999999999999999",
    b"Content-Length: 0x10",
    b"Content-Length:",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: identity",
    b"Na me: x",
    b"Name : x",
    b": x",
    b"Name",
    b"Name: a\x00b",
    b"Name: a\rb",
    b" folded",
    b"Name: \xff\xfe",
    b"Name: " + b"v" * 20_000,
]
ODD_CHUNK_SIZES = [b"%x;a=b", b"0%x", b"%x ", b"-%x", b"+%x", b"0x%x", b"g", b"", b"ffffffffffffffffff%x"]
ODD_LINE_ENDS = [b"\n", b"\r", b"\r\r\n", b"\n\r\n", b""]


def make_stream(rng: random.Random, body: bytes) -> bytes:
    """Return some requests in a row that start instances, list them or are odd, and are perhaps damaged."""
    stream = b"".join(_make_request(rng, body) for _ in range(rng.choice([1, 1, 1, 2, 3])))
    for _ in range(rng.choice([0, 0, 1, 1, 2, 8])):
        stream = _damage(rng, stream)
    return stream


def _draw(rng: random.Random, oddness: float, usual: list[bytes], odd: list[bytes]) -> bytes:
    return rng.choice(odd if rng.random() < oddness else usual)


def _make_request(rng: random.Random, body: bytes) -> bytes:
    oddness = rng.choice([0, 0, 0.05, 0.2])
    method, target = _draw(rng, oddness, METHODS, ODD_METHODS), _draw(rng, oddness, TARGETS, ODD_TARGETS)
    lines = [b" ".join([method, target, _draw(rng, oddness, [b"HTTP/1.1"], ODD_VERSIONS)])]
    headers = [] if rng.random() < oddness else [b"Host: x"]
    headers += rng.sample(HEADERS, rng.choice([0, 1, 1, 2, 4]) if oddness else 0)
    content = rng.choice([body, body, body, b"{}", b""])
    match rng.choice(["length", "length", "chunks", "neither"]):
        case "length":
            error = rng.choice([-1, 1, 1000]) if rng.random() < oddness else 0
            headers.append(b"Content-Length: %d" % (len(content) + error))
        case "chunks":
            headers.append(b"Transfer-Encoding: chunked")
            content = _in_chunks(rng, oddness, content)
    rng.shuffle(headers)
    return _draw(rng, oddness, [b"\r\n"], ODD_LINE_ENDS).join([*lines, *headers, b"", b""]) + content


def _in_chunks(rng: random.Random, oddness: float, content: bytes) -> bytes:
    size = max(1, len(content) // rng.randint(1, 4))
    parts = [content[start : start + size] for start in range(0, len(content), size)] + [b""]
    chunks = []
    for part in parts:
        written = _draw(rng, oddness, [b"%x"], ODD_CHUNK_SIZES)
        chunks.append(
            (written % len(part) if b"%" in written else written) + _draw(rng, oddness, [b"\r\n"], ODD_LINE_ENDS)
        )
        chunks.append(part + (_draw(rng, oddness, [b"\r\n"], ODD_LINE_ENDS) if part else b""))
    trailer = _draw(rng, oddness, [b""], [b"Trailer: x\r\n", b"broken trailer\r\n", b"Content-Length: 4\r\n"])
    return b"".join(chunks) + trailer + _draw(rng, oddness, [b"\r\n"], [b"", b"x"])


def _damage(rng: random.Random, stream: bytes) -> bytes:
    start = rng.randrange(len(stream) + 1)
    end = min(len(stream), start + rng.choice([1, 1, 2, 30]))
    match rng.randrange(5):
        case 0:
            return stream[:start] + stream[end:]
        case 1:
            return stream[:start] + rng.randbytes(end - start) + stream[end:]
        case 2:
            return stream[:end] + stream[start:]
        case 3:
            return stream[:start] + rng.choice([b"\r\n", b"\n", b"\x00", b" ", b"\t", b":", b"\xff"]) + stream[start:]
    return stream[:start]


def exchange(anka: Anka, rng: random.Random, stream: bytes) -> bytes:
    """Send a stream in some pieces, and return all that is answered until the server closes the connection."""
    cuts = sorted(rng.randrange(len(stream) + 1) for _ in range(rng.choice([0, 0, 1, 3])))
    received = b""
    with closing(open_socket(anka.url)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(OSError):  # the server has refused what came so far
            for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
                connection.sendall(stream[start:end])
            connection.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while part := connection.recv(65536):  # a server that neither answers nor closes raises TimeoutError
                received += part
    return received


@pytest.fixture(scope="module")
def server() -> Iterator[Anka]:
    """A server for all streams of this module."""
    with mockanka.serve("default", clock="manual", seed=1) as anka:
        yield anka


@pytest.mark.parametrize("seed", range(SEEDS))
def test_odd_byte_streams_are_answered_or_closed_and_change_nothing_if_refused(
    server: Anka, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    """No request is carried out without an answer, no stream gets more than one refusal, and the server works on."""
    rng = random.Random(seed)
    server.reset()
    body = json.dumps({"vmid": template_id(server.url)}).encode()
    statuses: Counter[bytes] = Counter()
    changed = 0
    before = server.dump()
    for number in range(STREAMS_OF_A_SEED):
        stream = make_stream(rng, body)
        server.requests.clear()
        received = exchange(server, rng, stream)
        found = [status for status in STATUS_LINE.findall(received) if status != b"100"]
        after = server.dump()
        context = (seed, number, stream[:300], received[:300])

        assert b"500" not in found, context
        assert len(server.requests) <= len(found) <= len(server.requests) + 1, context
        assert after == before or b"200" in found, context
        changed += after != before
        statuses.update(found)
        before = after

    assert start_instance(server.url).json["status"] == "OK"
    assert send_request(server.url, target=VM).json["status"] == "OK"
    assert [] == caplog.records
    assert min(changed, statuses[b"200"], statuses[b"400"]) > 0


def test_no_connection_is_left_after_odd_byte_streams(server: Anka) -> None:
    """The server has closed all of them, and answers no request any more."""
    rng = random.Random(1)
    body = json.dumps({"vmid": template_id(server.url)}).encode()
    for _ in range(50):
        exchange(server, rng, make_stream(rng, body))
    (listener,) = server._handle._thread.server.listeners

    wait_until(lambda: not listener.state.connections and not listener.state.tasks)
