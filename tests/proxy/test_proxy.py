"""The proxy: what goes through it comes out as it went in, and what is wrong with it is found on the side."""

from __future__ import annotations

import fcntl
import gzip
import http.client
import json
import re
import socket
import ssl
import struct
import termios
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mockanka
from mockanka.core.faults import RESPONSE_FAULTS
from mockanka.proxy.relay import HEADER
from mockanka.remote.client import ClientOptions
from mockanka.serving import url_of
from mockanka.testing.anka import Anka
from tests.conftest import examples
from tests.proxy.harness import Passing, conversation, exactly, listening, passing
from tests.remote.servers import CERTIFICATE
from tests.server.http_client import STATUS, TIMEOUT, VM, connect
from tests.server.http_client import Response as Answer
from tests.server.http_client import open_socket as raw
from tests.server.http_client import read_response as take
from tests.server.http_client import receive_all as hear
from tests.server.http_client import refuses_connections as refused
from tests.server.http_client import request_bytes as head
from tests.server.http_client import send_request as ask
from tests.server.http_client import wait_until as until

OK = b'{"status":"OK","message":""}\n'


def answer(content: bytes = OK, status: str = "200 OK", more: str = "") -> bytes:
    top = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{more}content-length: {len(content)}\r\n\r\n"
    return top.encode() + content


@pytest.fixture
def anka() -> Iterator[Anka]:
    """A controller whose clock stands still, with one instance."""
    with mockanka.serve("default", clock="manual", seed=1) as served:
        yield served


@pytest.fixture
def proxy(anka: Anka) -> Iterator[Passing]:
    with passing(anka.url) as between:
        yield between


# ---- as it came ----------------------------------------------------------------------------------------------------

C, T = "client", "target"
GET = b"GET /api/v1/vm HTTP/1.1\r\nHost: x\r\n\r\n"
CONVERSATIONS: dict[str, list[tuple[str, bytes]]] = {
    "one answer": [(C, GET), (T, answer())],
    "kept alive": [(C, GET), (T, answer()), (C, head("DELETE", VM, b"{}")), (T, answer(b"{}"))],
    "pipelined": [(C, GET + head("POST", VM, b"{}") + GET), (T, answer() + answer(b"{}")), (T, answer())],
    "odd spelling": [
        (C, b"GET /api/v1/vm?ID=%7e%%zz&&= HTTP/1.1\r\nhOST:x\r\nX-A:  1\r\nx-a: \xe9\xff\r\nX-A:\t2 \r\n\r\n"),
        (T, b"HTTP/1.1 200 Very Fine\r\nSET-cookie: a=b\r\nset-COOKIE: c=d\r\nContent-length:2\r\n\r\n{}"),
    ],
    "line feeds alone": [(C, b"GET / HTTP/1.1\nHost: x\n\n"), (T, b"HTTP/1.1 200 OK\nContent-Length: 1\n\nx")],
    "line breaks between": [(C, GET + b"\r\n\r\n"), (T, answer()), (C, b"\r\n" + GET), (T, answer())],
    "chunks": [
        (C, b"POST /api/v1/vm HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n"),
        (C, b"0\r\nTrailer: yes\r\n\r\n" + GET),
        (T, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n00A\r\n0123456789\r\n0\r\n"),
        (T, b"X-Sum: 1\r\n\r\n" + answer()),
    ],
    "until it closes": [(C, b"GET / HTTP/1.0\r\n\r\n"), (T, b"HTTP/1.0 200 OK\r\n\r\nsome"), (T, b" more")],
    "100 continue": [
        (C, b"POST /api/v1/vm HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"),
        (T, b"HTTP/1.1 100 Continue\r\n\r\n"),
        (C, b"{}"),
        (T, b"HTTP/1.1 102 Processing\r\nX: y\r\n\r\n" + answer()),
        (C, GET),
        (T, answer()),
    ],
    "refused before the body came": [
        (C, b"POST /api/v1/vm HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"),
        (T, answer(status="413 Too Large")),
        (C, b"123456789" + GET),
        (T, answer()),
    ],
    "head": [(C, GET.replace(b"GET", b"HEAD")), (T, answer().removesuffix(OK)), (C, GET), (T, answer())],
    "204 and 304": [
        (C, GET),
        (T, b"HTTP/1.1 204 No Content\r\n\r\n"),
        (C, GET),
        (T, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n"),
        (C, GET),
        (T, answer()),
    ],
    "an upgrade that is not taken": [
        (C, head("POST", VM, b"{}").replace(b"Host", b"Connection: Upgrade\r\nUpgrade: h2c\r\nHost")),
        (T, answer()),
        (C, GET),
        (T, answer()),
    ],
    "an upgrade": [
        (C, GET.replace(b"Host", b"Connection: Upgrade\r\nUpgrade: chat\r\nHost")),
        (T, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: chat\r\nConnection: Upgrade\r\n\r\n\x00hello"),
        (C, b"\xff\xfe\x00 HTTP"),
        (T, b"GET /_mock/health"),
        (C, b"GET /_mock/health HTTP/1.1\r\n\r\n"),
    ],
    "a tunnel": [
        (C, b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"),
        (T, b"HTTP/1.1 200 Fine\r\n\r\n"),
        (C, b"\x16\x03\x01 anything"),
        (T, b"\x16\x03\x03"),
    ],
    "no HTTP at all": [(C, b"\x16\x03\x01\x02\x00\x01"), (T, b"\x15\x03\x01"), (C, b"\x00"), (T, b"\x01")],
    "no host": [(C, b"GET /api/v1/vm HTTP/1.1\r\n\r\n"), (T, answer(status="400 Bad Request")), (C, GET), (T, OK)],
    "an answer that is none": [(C, GET), (T, b"SSH-2.0-OpenSSH\r\n\r\n"), (C, b"SSH-2.0-Go\r\n"), (T, b"\x00")],
    "an answer nobody asked for": [
        (C, b"GET /api/v1/vm HT"),
        (T, b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"),
        (C, b"TP/1.1\r\nHost: x\r\n\r\n"),
    ],
    "two lengths": [(C, GET), (T, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"), (C, GET)],
    "a name that is nearly ours": [(C, GET.replace(b"/api/v1/vm", b"/_mockery")), (T, answer())],
}


UNREAD = {
    "an upgrade": 1,
    "a tunnel": 1,
    "no HTTP at all": 0,
    "no host": 0,
    "an answer that is none": 1,
    "an answer nobody asked for": 0,
    "two lengths": 1,
}
"""Conversations that from some point on are passed on without being read, and how many exchanges there were before."""


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_conversation_passes_byte_for_byte(name: str) -> None:
    """Each end hears at once exactly what the other one said, and nothing more until the end."""
    (_, first), *further = CONVERSATIONS[name]
    with conversation(first) as (client, target, proxy):
        heard = [exactly(target, len(first))]
        for who, said in further:
            speaks, hears = (client, target) if who == C else (target, client)
            speaks.sendall(said)
            heard.append(exactly(hears, len(said)))
        client.shutdown(socket.SHUT_WR)
        at_the_end = [hear(target)]
        target.shutdown(socket.SHUT_WR)
        at_the_end.append(hear(client))
        report = proxy.report()
    asked = sum(said.count(b"Host") + said.count(b"hOST") for who, said in [*further, (C, first)] if who == C)

    assert [said for _, said in CONVERSATIONS[name]] == heard
    assert (UNREAD.get(name, max(asked, 1)), name in UNREAD) == (report["exchanges"], report["unread"] == 1)
    assert [(b"", False), (b"", False)] == at_the_end


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_conversation_passes_in_single_bytes(name: str) -> None:
    """However small the pieces are, they come out the same."""
    (_, first), *further = CONVERSATIONS[name]
    with conversation(first[:32]) as (client, target, _proxy):
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        target.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        heard = []
        for who, said in [(C, first[32:]), *further]:
            speaks, hears = (client, target) if who == C else (target, client)
            for each in said:
                speaks.sendall(bytes([each]))
            wanted = first if not heard else said
            heard.append(exactly(hears, len(wanted)))

    assert [said for _, said in CONVERSATIONS[name]] == heard


@pytest.fixture(scope="module")
def to_a_port() -> Iterator[tuple[socket.socket, Passing]]:
    with listening() as port, passing(url_of(port)) as proxy:
        yield port, proxy


SAID = [said for each in CONVERSATIONS.values() for _, said in each if b"/_mock/" not in said]
PIECES = st.lists(
    st.tuples(st.booleans(), st.binary(min_size=1, max_size=40) | st.sampled_from([*SAID, *(s[:20] for s in SAID)])),
    max_size=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(30, 300))
@given(first=st.sampled_from([b"\x00", *(said for said in SAID if b"Host: x" in said)]), pieces=PIECES)
def test_anything_passes_byte_for_byte(
    to_a_port: tuple[socket.socket, Passing], first: bytes, pieces: list[tuple[bool, bytes]]
) -> None:
    """HTTP, what only begins like it, or none: the ends hear what was said, in order, and then the end."""
    port, proxy = to_a_port
    said = {True: first, False: b""}
    with closing(raw(proxy.url)) as client:
        client.sendall(first)
        target, _ = port.accept()
        with closing(target):
            target.settimeout(TIMEOUT)
            for from_client, piece in pieces:
                (client if from_client else target).sendall(piece)
                said[from_client] += piece
            client.shutdown(socket.SHUT_WR)
            target.shutdown(socket.SHUT_WR)

            assert ((said[True], False), (said[False], False)) == (hear(target), hear(client))


def test_a_client_that_ends_its_half_hears_the_answer() -> None:
    """Ending one direction leaves the other one open, as without the proxy."""
    with conversation(GET) as (client, target, _proxy):
        client.shutdown(socket.SHUT_WR)
        asked = hear(target)
        target.sendall(answer())
        target.close()

        assert ((GET, False), (answer(), False)) == (asked, hear(client))


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_a_reset_of_the_client_reaches_the_target() -> None:
    """Who breaks off breaks off at the other end too."""
    with conversation(GET) as (client, target, _proxy):
        asked = exactly(target, len(GET))
        reset(client)

        assert (GET, (b"", True)) == (asked, hear(target))


def unsent(connection: socket.socket) -> int:
    """Bytes that the other end has not taken yet; 0 where the system does not tell."""
    try:
        found: int = struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, b"\0" * 4))[0]
    except OSError:
        return 0
    return found


def test_a_reset_of_the_target_reaches_the_client_behind_what_came_before() -> None:
    """All that the proxy has got before the reset arrives, also if it is read late, and then the reset."""
    whole = answer(b"x" * 3_000_000)[:-1]
    with conversation(GET) as (client, target, _proxy):
        target.sendall(whole)
        until(lambda: unsent(target) == 0)
        reset(target)
        begun = exactly(client, 1000)

        rest, was_reset = hear(client)

    assert was_reset
    assert len(whole) == len(begun + rest)
    assert whole == begun + rest


def test_what_only_might_have_been_for_the_proxy_goes_on_at_the_end() -> None:
    """Bytes are held back while it is open whose they are; the end of the connection decides it."""
    with listening() as port, passing(url_of(port)) as proxy, closing(raw(proxy.url)) as client:
        client.sendall(b"GET /_mo")
        client.shutdown(socket.SHUT_WR)
        target, _ = port.accept()
        with closing(target):
            assert (b"GET /_mo", False) == hear(target)


@pytest.mark.parametrize("size", [0, 1, 65536, 20_000_000])
def test_large_bodies_pass(size: int) -> None:
    """Bodies that no buffer holds come through in both directions at the same time as they are read."""
    body = bytes(range(256)) * (size // 256) + b"y" * (size % 256)
    asked, answered = head("POST", VM, body), answer(body)
    with conversation(asked[:10]) as (client, target, proxy):
        with ThreadPoolExecutor(2) as both:
            both.submit(client.sendall, asked[10:])
            heard = both.submit(exactly, client, len(answered))
            came = exactly(target, len(asked))
            target.sendall(answered)

            assert (asked, answered) == (came, heard.result(TIMEOUT))
        assert 1 == proxy.report()["exchanges"]


def as_much_as_goes(connection: socket.socket, whole: bytes) -> int:
    """How many bytes somebody takes who does not read."""
    sent = 0
    try:
        while sent < len(whole):
            sent += connection.send(whole[sent : sent + 1_000_000])
    except TimeoutError:
        pass
    return sent


def test_a_client_that_does_not_read_holds_up_the_target() -> None:
    """The proxy keeps no more than some buffers of what nobody takes."""
    with conversation(GET) as (client, target, _proxy):
        exactly(target, len(GET))
        target.settimeout(0.3)
        whole = b"x" * 64_000_000
        target.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(whole)}\r\n\r\n".encode())
        sent = as_much_as_goes(target, whole)
        client.close()

    assert 0 < sent < 40_000_000


# ---- faults --------------------------------------------------------------------------------------------------------

FAULTS: list[dict[str, object]] = [
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


def struck(anka: Anka, url: str, do: dict[str, object]) -> list[tuple[bytes, bool]]:
    """What a client hears by a fault, in the world as it was at first: of two requests, each its own connection."""
    anka.reset()
    anka.faults.add(match={"path": VM}, do=do)
    found = []
    for _ in range(2):
        with closing(raw(url)) as connection:
            connection.sendall(GET.replace(b"Host: x", b"Host: x\r\nConnection: close"))
            found.append(hear(connection))
    return found


@pytest.mark.parametrize("do", FAULTS, ids=str)
def test_a_fault_is_the_same_through_the_proxy(anka: Anka, proxy: Passing, do: dict[str, object]) -> None:
    """The same bytes, and the same kind of end behind them."""
    assert struck(anka, anka.url, do) == struck(anka, proxy.url, do)


@pytest.mark.parametrize("do", FAULTS, ids=str)
def test_a_fault_is_the_same_but_for_the_header_in_annotated_answers(anka: Anka, do: dict[str, object]) -> None:
    """What breaks off breaks off at the same byte; what is whole has at most the header more."""
    with passing(anka.url, annotate=True) as proxy:
        through = [
            (re.sub(rb"\r\n" + HEADER.encode() + rb": [^\r]*", b"", heard), broke)
            for heard, broke in struck(anka, proxy.url, do)
        ]

    assert struck(anka, anka.url, do) == through


def test_each_kind_at_the_door_passes_the_proxy() -> None:
    """No kind of fault is forgotten; acts goes with others, and refuse and dribble have tests of their own."""
    assert set(RESPONSE_FAULTS) - {key for do in FAULTS for key in do} <= {"acts", "refuse"}


def test_a_dribbling_answer_dribbles_through_the_proxy() -> None:
    """The pieces are passed on as they come."""
    with mockanka.serve("default", clock="real", speed=10, seed=1) as anka, passing(anka.url) as proxy:
        anka.faults.add(do={"dribble": "2s"})
        pieces = []
        with closing(raw(proxy.url)) as connection:
            connection.sendall(head(target="/api/v1/node").replace(b"Host: x", b"Host: x\r\nConnection: close"))
            while piece := connection.recv(65536):
                pieces.append(piece)

    assert 5 < len(pieces) <= 21
    assert 200 == int(b"".join(pieces).split()[1])


def test_a_target_that_refuses_breaks_what_there_is_and_is_a_502_to_who_comes(anka: Anka, proxy: Passing) -> None:
    """The connection that strikes ends without an answer; later ones are told what is wrong, until it is over."""
    rule = anka.faults.add(match={"path": STATUS}, do={"refuse": "1h"})
    with closing(raw(proxy.url)) as connection:
        connection.sendall(head(target=STATUS))
        broken = hear(connection)[0]
    while_it_lasts = [ask(proxy.url), ask(proxy.url, "POST", VM, {"count": 1})]
    anka.faults.remove(rule)
    until(lambda: not refused(anka.url))

    assert b"" == broken
    assert [(502, "application/problem+json")] * 2 == [each[:2] for each in while_it_lasts]
    assert f"cannot reach {anka.url}: connection refused" == while_it_lasts[0].json["detail"]
    assert 200 == ask(proxy.url).status
    assert ("server", "no-answer") in proxy.found()


def test_a_target_that_is_gone_is_a_502_also_to_who_pipelines_or_sends_much(anka: Anka, proxy: Passing) -> None:
    """Whatever was sent on the connection, the one answer is heard, and the connection ends."""
    anka.stop()
    heard = []
    for asked in (GET + GET, head("POST", VM, b"x" * 5_000_000), GET[:20]):
        with closing(raw(proxy.url)) as connection:
            connection.sendall(asked)
            heard.append(hear(connection))

    assert [False] * 3 == [broke for _, broke in heard]
    assert [1] * 3 == [said.count(b"HTTP/1.1 502 Bad Gateway\r\n") for said, _ in heard]
    assert 200 == ask(proxy.url, target="/_mock/health").status


# ---- what is found -------------------------------------------------------------------------------------------------


def test_what_is_right_is_not_reported(anka: Anka, proxy: Passing) -> None:
    """A client and a controller that keep to the contract have no findings."""
    template = ask(proxy.url, target="/api/v1/registry/vm").json["body"][0]["id"]
    (made,) = ask(proxy.url, "POST", VM, {"vmid": template}).json["body"]
    ask(proxy.url, target=f"{VM}?id={made}")
    ask(proxy.url, "DELETE", VM, {"id": made})
    report = proxy.report()

    assert (4, 0, 0, []) == (report["exchanges"], report["client"], report["server"], report["findings"])
    assert {"target": anka.url, "release": "1.50.1", "unjudged": 0, "unread": 0, "more": 0}.items() <= report.items()


CLIENTS: list[tuple[str, str, object, str]] = [
    ("POST", VM, {"count": 1}, "body"),
    ("POST", VM, {"vmid": "x", "colour": "red"}, "body-unknown"),
    ("GET", f"{VM}?colour=red", None, "query-unknown"),
    ("GET", "/nowhere", None, "operation"),
    ("PATCH", VM, None, "method"),
]


@pytest.mark.parametrize(("method", "target", "body", "check"), CLIENTS)
def test_what_the_client_does_wrong_is_found(
    proxy: Passing, method: str, target: str, body: object, check: str
) -> None:
    """It stands in the report, with the exchange that it was in, and in the log, once."""
    for _ in range(2):
        ask(proxy.url, method, target, body)
    (finding,) = proxy.report()["findings"]

    assert ("client", check, 2, [0, 1]) == tuple(finding[key] for key in ("side", "check", "count", "entries"))
    assert f"{method} {target}" == finding["first"]
    assert [f"client ({finding['level']}) in {method} {target}: {check}"] == [
        each[: len(f"client ({finding['level']}) in {method} {target}: {check}")] for each in proxy.said
    ]


SERVERS: list[tuple[bytes, str]] = [
    (answer(b'{"status":"OK","message":"","body":{}}\n'), "shape"),
    (answer(b'{"status":"OK"}\n'), "envelope"),
    (answer(b"<html>"), "json"),
    (answer(b'{"status":"FAIL","message":"x"}\n'), "status-code"),
    (answer(b'{"status":"OK","message":"","body":[]}\n').replace(b"application/json", b"text/html"), "content-type"),
    (b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{", "no-answer"),
    (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab", "no-answer"),
    (b"", "no-answer"),
    (b"hello\r\n\r\n", "no-answer"),
    (answer(b"\x1f\x8b", more="content-encoding: br\r\n"), ""),
    (answer(gzip.compress(b'{"status":"OK","message":"","body":[]}\n'), more="content-encoding: gzip\r\n"), ""),
    (answer(gzip.compress(b"no"), more="content-encoding: gzip\r\n"), "json"),
    (b'HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n{"status":"OK","message":"","body":[]}\n', ""),
    (b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\nno", "json"),
]


@pytest.mark.parametrize(("said", "check"), SERVERS)
def test_what_the_server_does_wrong_is_found(said: bytes, check: str) -> None:
    """Each kind by the check that is meant for it, also what breaks off, is compressed, or ends with the connection."""
    with conversation(GET) as (client, target, proxy):
        exactly(target, len(GET))
        target.sendall(said)
        target.close()
        heard = hear(client)
        report = proxy.report()

    assert (said, False) == heard
    assert ({("server", check)} if check else set()) == {(each["side"], each["check"]) for each in report["findings"]}
    assert 1 == report["exchanges"]


def test_a_client_that_leaves_is_not_blamed_on_the_server() -> None:
    """Who hangs up before the answer gets none, and nobody did anything wrong."""
    with conversation(GET) as (client, target, proxy):
        exactly(target, len(GET))
        client.close()
        hear(target)
        target.close()
        until(lambda: proxy.proxy.relays == set() or proxy.report()["exchanges"] == 1)

        assert (1, []) == (proxy.report()["exchanges"], proxy.report()["findings"])


def test_half_a_request_is_not_judged() -> None:
    """A body that never came whole says nothing about its client."""
    with conversation(head("POST", VM, b"{" * 10)[:-5]) as (client, target, proxy):
        target.sendall(answer(status="400 Bad Request"))
        target.close()
        hear(client)
        client.close()
        until(lambda: proxy.report()["exchanges"] == 1)

        assert [] == proxy.report()["findings"]


# ---- in the answer -------------------------------------------------------------------------------------------------


def test_violations_are_named_in_the_answer_when_asked(anka: Anka) -> None:
    """The header names who did what, notes aside; an answer with nothing wrong is as it came."""
    with passing(anka.url, annotate=True) as proxy, connect(proxy.url) as connection:
        named, bodies = [], []
        for target in (VM, "/nowhere", f"{VM}?colour=red"):
            connection.request("GET", target)
            with connection.getresponse() as response:
                named.append(response.headers[HEADER])
                bodies.append(response.read())

    assert [None, "client operation", None] == named
    assert b"404 page not found\n" == bodies[1]


def test_an_annotated_answer_has_a_header_more_and_is_else_as_it_came() -> None:
    """The header stands behind the first line; other bytes are as they were, in any form of body, in order."""
    asked = GET.replace(b"GET", b"HEAD") + GET + b"GET /_mock/health HTTP/1.1\r\nHost: x\r\n\r\n" + GET
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1]\r\n0\r\nX: y\r\n\r\n"
    answers = [answer().removesuffix(OK), b"HTTP/1.1 100 Continue\r\n\r\n" + chunked, answer()]
    with conversation(asked, annotate=True) as (client, target, _proxy):
        exactly(target, len(asked) - len(b"GET /_mock/health HTTP/1.1\r\nHost: x\r\n\r\n"))
        target.sendall(b"".join(answers))
        target.close()
        heard, _ = hear(client)

    own = heard[heard.index(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 16") :]
    own = own[: own.index(b"}\n") + 2]
    lines = [line for line in heard.split(b"\r\n") if line.startswith(HEADER.encode())]
    bare = heard.replace(own, b"")
    for line in lines:
        bare = bare.replace(line + b"\r\n", b"", 1)

    assert b"".join(answers) == bare
    assert 3 == len(lines)
    assert heard.index(chunked[-10:]) < heard.index(own) < heard.rindex(HEADER.encode())


def test_an_answer_that_breaks_off_is_not_annotated() -> None:
    """What came goes on as it came, once it is clear that there is no more."""
    said = b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n<html>"
    with conversation(GET, annotate=True) as (client, target, _proxy):
        exactly(target, len(GET))
        target.sendall(said)
        target.close()

        assert (said, False) == hear(client)


# ---- the proxy's own -----------------------------------------------------------------------------------------------


def test_the_proxy_answers_for_itself(anka: Anka, proxy: Passing) -> None:
    """Health, the list of what there is, and the report; nothing of that reaches the target or is reported."""
    answers = {path: ask(proxy.url, target=f"/_mock{path}") for path in ("", "/", "/health", "/report?x=y")}

    assert [200] * 4 == [each.status for each in answers.values()]
    assert {"status": "ok"} == answers["/health"].json
    assert answers[""] == answers["/"]
    assert {"health": "/_mock/health", "report": "/_mock/report"} == answers["/"].json["links"]
    assert (0, []) == (proxy.report()["exchanges"], list(anka.requests))


@pytest.mark.parametrize(
    ("method", "target", "status", "text"),
    [
        ("GET", "/_mock/clock", 404, "there is no /_mock/clock at this proxy; GET /_mock/ lists what there is"),
        ("POST", "/_mock/report", 405, "/_mock/report takes GET, not POST"),
    ],
)
def test_what_the_proxy_has_not_is_a_problem(
    anka: Anka, proxy: Passing, method: str, target: str, status: int, text: str
) -> None:
    """It says so in the words of the control API, and passes nothing on; the connection stays usable."""
    with connect(proxy.url) as connection:
        connection.request(method, target, b"{}" if method == "POST" else None)
        refusal = take(connection)
        connection.request("GET", STATUS)
        after = take(connection)

    assert (status, "application/problem+json", text) == (refusal.status, refusal.type, refusal.json["detail"])
    assert 200 == after.status
    assert [STATUS] == [each.path for each in anka.requests]


def test_own_answers_come_in_their_turn(anka: Anka, proxy: Passing) -> None:
    """Pipelined with requests that are passed on they keep their place."""
    own = b"GET /_mock/health HTTP/1.1\r\nHost: x\r\n\r\n"
    status = head(target=STATUS)
    with closing(raw(proxy.url)) as connection:
        connection.sendall(own + status + own + own + status.replace(b"Host", b"Connection: close\r\nHost"))
        heard, _ = hear(connection)

    kinds = [b"Running" in each for each in heard.split(b"HTTP/1.1 200 OK")[1:]]
    assert [False, True, False, False, True] == kinds


def test_a_request_for_the_proxy_may_come_in_pieces_and_ask_to_close(proxy: Passing) -> None:
    """Byte by byte it is still not passed on, and the connection ends if that is wished."""
    asked = b"GET /_mock/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with closing(raw(proxy.url)) as connection:
        for each in asked:
            connection.sendall(bytes([each]))
        heard, broke = hear(connection)

    assert heard.startswith(b"HTTP/1.1 200 OK\r\n")
    assert not broke


def test_a_broken_request_for_the_proxy_is_a_problem(anka: Anka, proxy: Passing) -> None:
    """It is answered, and not passed on."""
    with closing(raw(proxy.url)) as connection:
        connection.sendall(b"GET /_mock/health HTTP/1.1\r\n\r\n")
        heard, _ = hear(connection)

    assert heard.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert [] == list(anka.requests)


# ---- many, and TLS -------------------------------------------------------------------------------------------------


def test_many_clients_pass_at_once(anka: Anka, proxy: Passing) -> None:
    """Each of forty clients gets its own answers on its own connection, and every exchange is judged."""

    def poll(number: int) -> list[Answer]:
        found = []
        with connect(proxy.url) as connection:
            for _ in range(5):
                connection.request("GET", f"{VM}?id={number}" if number % 2 else STATUS)
                found.append(take(connection))
        return found

    with ThreadPoolExecutor(40) as clients:
        statuses = [[each.status for each in answers] for answers in clients.map(poll, range(40))]

    assert [[400 if number % 2 else 200] * 5 for number in range(40)] == statuses
    assert (200, []) == (proxy.report()["exchanges"], proxy.report()["findings"])


@contextmanager
def tls_port(answers: bytes) -> Iterator[str]:
    """A target that speaks TLS by a certificate of its own, answers each connection once and ends it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    with listening() as port:

        def serve() -> None:
            while True:
                try:
                    plain, _ = port.accept()
                except OSError:
                    return
                try:
                    with context.wrap_socket(plain, server_side=True) as connection:
                        while b"\r\n\r\n" not in connection.recv(65536):
                            pass
                        connection.sendall(answers)
                except OSError:
                    plain.close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"https://localhost:{port.getsockname()[1]}"
        port.shutdown(socket.SHUT_RDWR)
        thread.join(TIMEOUT)


@pytest.mark.parametrize("access", [ClientOptions(insecure=True), ClientOptions(ca=CERTIFICATE)])
def test_a_target_may_speak_tls(access: ClientOptions) -> None:
    """The client speaks plain HTTP, and hears the same bytes and the same end."""
    with tls_port(answer()) as url, passing(url, access=access) as proxy, closing(raw(proxy.url)) as connection:
        connection.sendall(GET)

        assert (answer(), False) == hear(connection)


def test_a_certificate_that_is_not_trusted_is_a_502() -> None:
    """Nothing is sent to who cannot prove who he is, and the text says why."""
    with tls_port(answer()) as url, passing(url) as proxy:
        refusal = ask(proxy.url)

    assert 502 == refusal.status
    assert refusal.json["detail"].startswith(f"cannot reach {url}: TLS: self-signed certificate")


@pytest.mark.parametrize("ending", ["client closes", "client resets", "target closes", "target resets"])
@pytest.mark.parametrize("asked", [GET, GET[:10], b"\x00", GET + GET])
def test_nothing_is_left_of_a_connection_that_ended(ending: str, asked: bytes) -> None:
    """However it ends, in whatever state, both its halves are gone."""
    with conversation(asked) as (client, target, proxy):
        exactly(target, len(asked))
        first, second = (client, target) if ending.startswith("client") else (target, client)
        if ending.endswith("resets"):
            reset(first)
        else:
            first.close()
        hear(second)
        second.close()
        until(lambda: not proxy.proxy.relays)

        assert set() == proxy.proxy.relays


def test_stopping_ends_every_connection(anka: Anka) -> None:
    """Idle, in the middle of a request, or waiting: all end, and what was begun counts."""
    with passing(anka.url) as proxy, closing(raw(proxy.url)) as idle, closing(raw(proxy.url)) as half:
        idle.sendall(GET)
        exactly(idle, 20)
        half.sendall(head("POST", VM, b"{}")[:-1])
        until(lambda: len(proxy.proxy.relays) == 2 and proxy.report()["exchanges"] == 1)
        report = proxy.stop()

        assert b"" == hear(half)[0]
        assert json.dumps(report).count("no-answer") == 0
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            ask(proxy.url)
