"""The relay: bytes and ends of connections are forwarded unchanged, whatever they contain."""

from __future__ import annotations

import fcntl
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

from mockanka.remote.client import ClientOptions
from mockanka.serving import url_of
from tests.conftest import examples
from tests.proxy.harness import (
    GET,
    OK_ENVELOPE,
    RunningProxy,
    connect_through_proxy,
    listening_socket,
    receive_exactly,
    reset,
    response_bytes,
    run_proxy_thread,
    send_until_blocked,
)
from tests.remote.servers import CERTIFICATE
from tests.server.http_client import (
    TIMEOUT,
    VM,
    open_socket,
    receive_all,
    request_bytes,
    send_request,
    wait_until,
)

pytestmark = pytest.mark.usefixtures("forwarding")

CLIENT, TARGET = "client", "target"
CONVERSATIONS: dict[str, list[tuple[str, bytes]]] = {
    "one response": [(CLIENT, GET), (TARGET, response_bytes())],
    "kept alive": [
        (CLIENT, GET),
        (TARGET, response_bytes()),
        (CLIENT, request_bytes("DELETE", VM, b"{}")),
        (TARGET, response_bytes(b"{}")),
    ],
    "pipelined": [
        (CLIENT, GET + request_bytes("POST", VM, b"{}") + GET),
        (TARGET, response_bytes() + response_bytes(b"{}")),
        (TARGET, response_bytes()),
    ],
    "odd spelling": [
        (CLIENT, b"GET /api/v1/vm?ID=%7e%%zz&&= HTTP/1.1\r\nhOST:x\r\nX-A:  1\r\nx-a: \xe9\xff\r\nX-A:\t2 \r\n\r\n"),
        (TARGET, b"HTTP/1.1 200 Very Fine\r\nSET-cookie: a=b\r\nset-COOKIE: c=d\r\nContent-length:2\r\n\r\n{}"),
    ],
    "line feeds alone": [
        (CLIENT, b"GET / HTTP/1.1\nHost: x\n\n"),
        (TARGET, b"HTTP/1.1 200 OK\nContent-Length: 1\n\nx"),
    ],
    "line breaks between": [
        (CLIENT, GET + b"\r\n\r\n"),
        (TARGET, response_bytes()),
        (CLIENT, b"\r\n" + GET),
        (TARGET, response_bytes()),
    ],
    "chunks": [
        (CLIENT, b"POST /api/v1/vm HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n"),
        (CLIENT, b"0\r\nTrailer: yes\r\n\r\n" + GET),
        (TARGET, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n00A\r\n0123456789\r\n0\r\n"),
        (TARGET, b"X-Sum: 1\r\n\r\n" + response_bytes()),
    ],
    "until it closes": [
        (CLIENT, b"GET / HTTP/1.0\r\n\r\n"),
        (TARGET, b"HTTP/1.0 200 OK\r\n\r\nsome"),
        (TARGET, b" more"),
    ],
    "100 continue": [
        (CLIENT, b"POST /api/v1/vm HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"),
        (TARGET, b"HTTP/1.1 100 Continue\r\n\r\n"),
        (CLIENT, b"{}"),
        (TARGET, b"HTTP/1.1 102 Processing\r\nX: y\r\n\r\n" + response_bytes()),
        (CLIENT, GET),
        (TARGET, response_bytes()),
    ],
    "refused before the body came": [
        (CLIENT, b"POST /api/v1/vm HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"),
        (TARGET, response_bytes(status="413 Too Large")),
        (CLIENT, b"123456789" + GET),
        (TARGET, response_bytes()),
    ],
    "head": [
        (CLIENT, GET.replace(b"GET", b"HEAD")),
        (TARGET, response_bytes().removesuffix(OK_ENVELOPE)),
        (CLIENT, GET),
        (TARGET, response_bytes()),
    ],
    "204 and 304": [
        (CLIENT, GET),
        (TARGET, b"HTTP/1.1 204 No Content\r\n\r\n"),
        (CLIENT, GET),
        (TARGET, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n"),
        (CLIENT, GET),
        (TARGET, response_bytes()),
    ],
    "an upgrade that is declined": [
        (CLIENT, request_bytes("POST", VM, b"{}").replace(b"Host", b"Connection: Upgrade\r\nUpgrade: h2c\r\nHost")),
        (TARGET, response_bytes()),
        (CLIENT, GET),
        (TARGET, response_bytes()),
    ],
    "an upgrade": [
        (CLIENT, GET.replace(b"Host", b"Connection: Upgrade\r\nUpgrade: chat\r\nHost")),
        (TARGET, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: chat\r\nConnection: Upgrade\r\n\r\n\x00hello"),
        (CLIENT, b"\xff\xfe\x00 HTTP"),
        (TARGET, b"GET /_mock/health"),
        (CLIENT, b"GET /_mock/health HTTP/1.1\r\n\r\n"),
    ],
    "a tunnel": [
        (CLIENT, b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"),
        (TARGET, b"HTTP/1.1 200 Fine\r\n\r\n"),
        (CLIENT, b"\x16\x03\x01 anything"),
        (TARGET, b"\x16\x03\x03"),
    ],
    "not HTTP": [
        (CLIENT, b"\x16\x03\x01\x02\x00\x01"),
        (TARGET, b"\x15\x03\x01"),
        (CLIENT, b"\x00"),
        (TARGET, b"\x01"),
    ],
    "no host": [
        (CLIENT, b"GET /api/v1/vm HTTP/1.1\r\n\r\n"),
        (TARGET, response_bytes(status="400 Bad Request")),
        (CLIENT, GET),
        (TARGET, OK_ENVELOPE),
    ],
    "a response that is not HTTP": [
        (CLIENT, GET),
        (TARGET, b"SSH-2.0-OpenSSH\r\n\r\n"),
        (CLIENT, b"SSH-2.0-Go\r\n"),
        (TARGET, b"\x00"),
    ],
    "a response without a request": [
        (CLIENT, b"GET /api/v1/vm HT"),
        (TARGET, b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"),
        (CLIENT, b"TP/1.1\r\nHost: x\r\n\r\n"),
    ],
    "two lengths": [
        (CLIENT, GET),
        (TARGET, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
        (CLIENT, GET),
    ],
    "a path that is almost local": [(CLIENT, GET.replace(b"/api/v1/vm", b"/_mockery")), (TARGET, response_bytes())],
}

"""Data that the two sides send, one after the other."""
EXCHANGES_BEFORE_UNREAD = {
    "an upgrade": 1,
    "a tunnel": 1,
    "not HTTP": 0,
    "no host": 0,
    "a response that is not HTTP": 1,
    "a response without a request": 0,
    "two lengths": 1,
}
"""Conversations that are not read from some point on, and the number of exchanges before."""


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_conversation_is_forwarded_byte_for_byte(name: str) -> None:
    """Each side receives at once what the other one sends, and nothing more until the end."""
    (_, first), *further = CONVERSATIONS[name]
    with connect_through_proxy(first) as (client, target, proxy):
        received = [receive_exactly(target, len(first))]
        for side, sent in further:
            sender, receiver = (client, target) if side == CLIENT else (target, client)
            sender.sendall(sent)
            received.append(receive_exactly(receiver, len(sent)))
        client.shutdown(socket.SHUT_WR)
        ends = [receive_all(target)]
        target.shutdown(socket.SHUT_WR)
        ends.append(receive_all(client))
        report = proxy.report()
    by_client = [sent for side, sent in CONVERSATIONS[name] if side == CLIENT]
    requests = sum(sent.count(b"Host") + sent.count(b"hOST") for sent in by_client)

    assert [sent for _, sent in CONVERSATIONS[name]] == received
    exchanges = EXCHANGES_BEFORE_UNREAD.get(name, max(requests, 1))
    assert (exchanges, name in EXCHANGES_BEFORE_UNREAD) == (report["exchanges"], report["unread"] == 1)
    assert [(b"", False), (b"", False)] == ends


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_conversation_is_forwarded_in_single_bytes(name: str) -> None:
    """The size of the pieces does not matter."""
    (_, first), *further = CONVERSATIONS[name]
    with connect_through_proxy(first[:32]) as (client, target, _proxy):
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        target.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        received: list[bytes] = []
        for side, sent in [(CLIENT, first[32:]), *further]:
            sender, receiver = (client, target) if side == CLIENT else (target, client)
            for byte in sent:
                sender.sendall(bytes([byte]))
            expected = sent if received else first
            received.append(receive_exactly(receiver, len(expected)))

    assert [sent for _, sent in CONVERSATIONS[name]] == received


@pytest.fixture(scope="module")
def listening_and_proxy() -> Iterator[tuple[socket.socket, RunningProxy]]:
    with listening_socket() as listening, run_proxy_thread(url_of(listening)) as proxy:
        yield listening, proxy


MESSAGES = [sent for steps in CONVERSATIONS.values() for _, sent in steps if b"/_mock/" not in sent]
FIRST_MESSAGES = [b"\x00", *(message for message in MESSAGES if b"Host: x" in message)]
PIECES = st.lists(
    st.tuples(
        st.booleans(),
        st.binary(min_size=1, max_size=40) | st.sampled_from([*MESSAGES, *(message[:20] for message in MESSAGES)]),
    ),
    max_size=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(30, 120))
@given(first=st.sampled_from(FIRST_MESSAGES), pieces=PIECES)
def test_any_bytes_are_forwarded(
    listening_and_proxy: tuple[socket.socket, RunningProxy], first: bytes, pieces: list[tuple[bool, bytes]]
) -> None:
    """HTTP, the beginning of HTTP and other bytes are received in order, and then the end."""
    listening, proxy = listening_and_proxy
    sent = {True: first, False: b""}
    with closing(open_socket(proxy.url)) as client:
        client.sendall(first)
        target, _ = listening.accept()
        with closing(target):
            target.settimeout(TIMEOUT)
            for from_client, piece in pieces:
                (client if from_client else target).sendall(piece)
                sent[from_client] += piece
            client.shutdown(socket.SHUT_WR)
            target.shutdown(socket.SHUT_WR)

            assert ((sent[True], False), (sent[False], False)) == (receive_all(target), receive_all(client))


def test_undecided_bytes_are_forwarded_at_the_end() -> None:
    """Bytes are held back until it is clear whether the request is local; the end of the connection makes it clear."""
    with (
        listening_socket() as listening,
        run_proxy_thread(url_of(listening)) as proxy,
        closing(open_socket(proxy.url)) as client,
    ):
        client.sendall(b"GET /_mo")
        client.shutdown(socket.SHUT_WR)
        target, _ = listening.accept()
        with closing(target):
            assert (b"GET /_mo", False) == receive_all(target)


@pytest.mark.parametrize("size", [0, 1, 65536, 20_000_000])
def test_large_bodies_are_forwarded(size: int) -> None:
    """Bodies that no buffer holds are forwarded in both directions while they are received."""
    body = bytes(range(256)) * (size // 256) + b"y" * (size % 256)
    request, response = request_bytes("POST", VM, body), response_bytes(body)
    with connect_through_proxy(request[:10]) as (client, target, proxy):
        with ThreadPoolExecutor(2) as threads:
            threads.submit(client.sendall, request[10:])
            received_by_client = threads.submit(receive_exactly, client, len(response))
            received_by_target = receive_exactly(target, len(request))
            target.sendall(response)

            assert (request, response) == (received_by_target, received_by_client.result(TIMEOUT))
        assert 1 == proxy.report()["exchanges"]


def test_a_client_that_does_not_read_slows_down_the_target() -> None:
    """The proxy buffers only a part of what the client does not read."""
    with connect_through_proxy(GET) as (client, target, _proxy):
        receive_exactly(target, len(GET))
        target.settimeout(0.3)
        body = b"x" * 64_000_000
        target.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        sent = send_until_blocked(target, body)
        client.close()

    assert 0 < sent < 40_000_000


# ---- ends of connections -------------------------------------------------------------------------------------------


def test_a_client_that_half_closes_gets_the_response() -> None:
    """An EOF of the client leaves the other direction open, as without the proxy."""
    with connect_through_proxy(GET) as (client, target, _proxy):
        client.shutdown(socket.SHUT_WR)
        request = receive_all(target)
        target.sendall(response_bytes())
        target.close()

        assert ((GET, False), (response_bytes(), False)) == (request, receive_all(client))


def test_a_reset_of_the_client_reaches_the_target() -> None:
    """The target's connection is reset as well."""
    with connect_through_proxy(GET) as (client, target, _proxy):
        request = receive_exactly(target, len(GET))
        reset(client)

        assert (GET, (b"", True)) == (request, receive_all(target))


def unacknowledged(connection: socket.socket) -> int:
    """Return the bytes that the other side has not received yet; 0 on systems that cannot tell."""
    try:
        size: int = struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, b"\0" * 4))[0]
    except OSError:
        return 0
    return size


def test_a_reset_of_the_target_reaches_the_client_behind_the_data() -> None:
    """A client that reads late still receives all that the proxy received before the reset, and then the reset."""
    response = response_bytes(b"x" * 3_000_000)[:-1]
    with connect_through_proxy(GET) as (client, target, _proxy):
        target.sendall(response)
        wait_until(lambda: unacknowledged(target) == 0)
        reset(target)
        beginning = receive_exactly(client, 1000)

        rest, was_reset = receive_all(client)

    assert was_reset
    assert len(response) == len(beginning + rest)
    assert response == beginning + rest


@pytest.mark.parametrize("ending", ["client closes", "client resets", "target closes", "target resets"])
@pytest.mark.parametrize("sent", [GET, GET[:10], b"\x00", GET + GET])
def test_an_ended_connection_is_forgotten(ending: str, sent: bytes) -> None:
    """The proxy keeps nothing of it, whichever side ends it, and in whatever state it is."""
    with connect_through_proxy(sent) as (client, target, proxy):
        receive_exactly(target, len(sent))
        first, second = (client, target) if ending.startswith("client") else (target, client)
        if ending.endswith("resets"):
            reset(first)
        else:
            first.close()
        receive_all(second)
        second.close()
        wait_until(lambda: not proxy.proxy.relays)

        assert set() == proxy.proxy.relays


# ---- TLS -----------------------------------------------------------------------------------------------------------


@contextmanager
def tls_target(response: bytes) -> Iterator[str]:
    """Run a target with a self-signed certificate that sends one response on each connection; return its URL."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    with listening_socket() as listening:

        def serve() -> None:
            while True:
                try:
                    plain, _ = listening.accept()
                except OSError:
                    return
                try:
                    with context.wrap_socket(plain, server_side=True) as connection:
                        while b"\r\n\r\n" not in connection.recv(65536):
                            pass
                        connection.sendall(response)
                except OSError:
                    plain.close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"https://localhost:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(TIMEOUT)


@pytest.mark.parametrize("half_close", [False, True])
@pytest.mark.parametrize("options", [ClientOptions(insecure=True), ClientOptions(ca=CERTIFICATE)])
def test_a_target_may_require_tls(options: ClientOptions, half_close: bool) -> None:
    """The client uses plain HTTP, and receives the same bytes and the same end, also if it half-closes."""
    with (
        tls_target(response_bytes()) as url,
        run_proxy_thread(url, options=options) as proxy,
        closing(open_socket(proxy.url)) as client,
    ):
        client.sendall(GET)
        if half_close:
            client.shutdown(socket.SHUT_WR)

        assert (response_bytes(), False) == receive_all(client)


def test_an_untrusted_certificate_is_a_502() -> None:
    """Nothing is sent to a target with such a certificate, and the response gives the reason."""
    with tls_target(response_bytes()) as url, run_proxy_thread(url) as proxy:
        refusal = send_request(proxy.url)

    assert 502 == refusal.status
    assert refusal.json["detail"].startswith(f"cannot reach {url}: TLS: self-signed certificate")
