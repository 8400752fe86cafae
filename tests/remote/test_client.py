"""The HTTP client of a controller: what it sends, and its errors when there is no usable response."""

from __future__ import annotations

import gzip
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from mockanka.contract.conformance import contract_of
from mockanka.core.release import Release
from mockanka.remote.client import (
    ClientOptions,
    ControllerClient,
    ControllerError,
    DeadlineExceeded,
    NoResponse,
    find_proxy,
    is_loopback,
    parse_header,
)
from tests.remote.servers import CERTIFICATE, COMPLETE_RESPONSE, STATUS_ENVELOPE, listening


def client_of(
    handler: Callable[[httpx.Request], httpx.Response], url: str = "http://anka:8090", **options: object
) -> ControllerClient:
    """Return a client whose requests are handled by a function."""
    return ControllerClient(url, transport=httpx.MockTransport(handler), **options)  # type: ignore[arg-type]


def client_with_response(status: int = 200, **response: object) -> ControllerClient:
    """Return a client that gets the same response to every request."""
    return client_of(lambda _: httpx.Response(status, **response))  # type: ignore[arg-type]


def test_a_request_returns_an_exchange() -> None:
    """Path, query, body and headers are sent; the exchange has the response, with headers in lower case."""
    requests: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(400, content=b"x", headers={"X-Some": "thing"})

    options = ClientOptions(token="t", headers=[("X-Team", "builds")])
    client = client_of(handle, "http://anka:8090/base/", options=options)
    exchange = client.request("PUT", "/api/v1/vm", "id=a%20b", {"name": "x"})
    (request,) = requests

    assert "http://anka:8090/base/api/v1/vm?id=a%20b" == str(request.url)
    assert ("PUT", b'{"name": "x"}', "builds") == (request.method, request.content, request.headers["x-team"])
    assert "Basic cm9vdDp0" == request.headers["authorization"]
    assert (400, b"x", "thing") == (exchange.status, exchange.response_content, exchange.headers["x-some"])
    assert ("PUT", "/api/v1/vm", "id=a%20b") == (exchange.method, exchange.path, exchange.query)
    assert b'{"name": "x"}' == exchange.request_content


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
def test_a_controller_on_this_machine_is_reached_without_a_proxy(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy of the environment is not asked for a loopback address."""
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    with (
        listening(lambda connection: connection.sendall(COMPLETE_RESPONSE)) as url,
        ControllerClient(url, timeout=5) as client,
    ):
        assert Release(1, 43, 0) == client.release()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *[(host, True) for host in ("127.0.0.1", "127.8.0.1", "::1", "Localhost")],
        *[(host, False) for host in ("10.0.0.1", "anka", "localhost.example")],
    ],
)
def test_a_loopback_host_is_recognized(host: str, expected: bool) -> None:
    """Addresses of 127.0.0.0/8, ::1 and localhost are this machine."""
    assert expected is is_loopback(host)


@pytest.mark.parametrize("content_type", [None, "text/plain"])
def test_a_body_has_the_given_content_type(content_type: str | None) -> None:
    """With None there is no content type."""
    content_types: list[str | None] = []

    def handle(request: httpx.Request) -> httpx.Response:
        content_types.append(request.headers.get("content-type"))
        return httpx.Response(200)

    client_of(handle).request("POST", "/api/v1/group", body=b"{}", content_type=content_type)

    assert [content_type] == content_types


@pytest.mark.parametrize(
    ("version", "release"),
    [("1.13.0-24e848a5", Release(1, 13, 0)), ("1.50.1", Release(1, 50, 1)), ("v1.8.0-x", Release(1, 8, 0))],
)
def test_the_release_is_read_from_the_status(version: str, release: Release) -> None:
    """The build after the hyphen is ignored."""
    envelope = {"status": "OK", "message": "", "body": {"version": version}}

    assert release == client_with_response(json=envelope).release()


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({"version": "latest"}, "cannot determine the release of http://anka:8090: 'latest' is no release"),
        ({"version": "1.7.1-aa"}, "is older than 1.8.0"),
        ({}, "its status has no version; give --release"),
        ([], "without a body: it is not a controller"),
    ],
)
def test_an_unusable_version_is_an_error(body: object, complaint: str) -> None:
    """The error shows the version, and asks for ``--release``."""
    with pytest.raises(ControllerError, match=complaint):
        client_with_response(json={"status": "OK", "message": "", "body": body}).release()


@pytest.mark.parametrize(
    ("status", "response", "complaint"),
    [
        (301, {"headers": {"Location": "https://anka/"}}, "a redirect to https://anka/: give the URL"),
        (
            401,
            {"json": {"status": "FAIL", "message": "Authentication Required"}},
            r"\(Authentication Required\).*--token",
        ),
        (403, {"json": {"status": "FAIL", "message": "no"}}, r"403 \(no\): the permission for it is missing"),
        (
            200,
            {"html": "<html></html>"},
            "200 and text/html without an envelope: the web server there is not a controller",
        ),
        (
            400,
            {"text": "Client sent an HTTP request to an HTTPS server."},
            "it expects HTTPS, so write https:// in the URL",
        ),
        (404, {"text": "404 page not found"}, "404 and text/plain without an envelope"),
        (200, {"json": []}, "without an envelope"),
        (400, {"json": {"status": "FAIL", "message": "broken"}}, "fails at http://anka:8090: broken"),
    ],
)
def test_an_unusable_response_is_an_error(status: int, response: dict[str, object], complaint: str) -> None:
    """For a redirect, a login, a web page and a failure the error says what was received and what to do."""
    with pytest.raises(ControllerError, match=complaint):
        client_with_response(status, **response).status()


@pytest.mark.parametrize(
    "url", ["", "anka", "anka:8090", "ftp://anka", "http://", "http://anka?x=1", "http://a:b", "http://[::1"]
)
def test_a_malformed_url_is_an_error(url: str) -> None:
    """The error shows the form of a URL."""
    with pytest.raises(ControllerError, match=r"write it like http://anka\.example:8090"):
        ControllerClient(url)


def test_an_unknown_host_is_named() -> None:
    """The error names the host."""
    with pytest.raises(NoResponse, match=r"the host nowhere\.invalid does not resolve"):
        ControllerClient("http://nowhere.invalid:8090").status()


def test_a_closed_port_is_named() -> None:
    """The error names host and port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(NoResponse, match=f"nothing listens at 127.0.0.1 port {port}"):
        ControllerClient(f"http://127.0.0.1:{port}").status()


def test_a_self_signed_certificate_is_rejected_unless_it_is_trusted() -> None:
    """The error names the two options, and each of them helps."""

    def respond(connection: socket.socket) -> None:
        connection.sendall(COMPLETE_RESPONSE)

    with (
        listening(respond, tls=True) as url,
        pytest.raises(NoResponse, match=r"self-signed certificate\): give --ca FILE .* or --insecure to trust any"),
    ):
        ControllerClient(url).status()
    for options in (ClientOptions(insecure=True), ClientOptions(ca=CERTIFICATE)):
        with listening(respond, tls=True) as url, ControllerClient(url, options) as client:
            assert Release(1, 43, 0) == client.release()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (ClientOptions(ca=Path("missing.pem")), "--ca: there is no file missing.pem"),
        (ClientOptions(cert=Path("missing.pem")), "--cert: there is no file"),
        (ClientOptions(cert=CERTIFICATE, key=Path("missing.pem")), "--key: there is no file"),
        (ClientOptions(key=CERTIFICATE), "--key needs --cert"),
        (ClientOptions(ca=Path(__file__)), "holds no certificate"),
        (ClientOptions(cert=Path(__file__)), "--cert: .* cannot be used"),
    ],
)
def test_unusable_files_are_named(options: ClientOptions, complaint: str) -> None:
    """The error comes before a request is sent, and names the option."""
    with pytest.raises(ControllerError, match=complaint):
        ControllerClient("https://anka", options)


def test_a_client_certificate_needs_https() -> None:
    """With http it would never be sent."""
    with pytest.raises(ControllerError, match="--cert: certificates need a URL with https"):
        ControllerClient("http://anka", ClientOptions(cert=CERTIFICATE))


def test_a_password_in_the_url_is_rejected_and_not_repeated() -> None:
    """URLs are shown in reports."""
    with pytest.raises(ControllerError, match="give --token or --header instead") as caught:
        ControllerClient("http://root:s3cret@anka:8090")

    assert "s3cret" not in str(caught.value)


def test_a_client_certificate_is_accepted() -> None:
    """Its key is in the same file or in a separate one."""
    ControllerClient("https://anka", ClientOptions(cert=CERTIFICATE)).close()
    ControllerClient("https://anka", ClientOptions(cert=CERTIFICATE, key=CERTIFICATE)).close()


def test_a_silent_controller_is_a_timeout() -> None:
    """The error names the option for the time limit."""
    done = threading.Event()
    with listening(lambda _: done.wait(20) and None) as url:
        with pytest.raises(NoResponse, match=r"no complete response within 0\.1 s; --timeout allows more"):
            ControllerClient(url, timeout=0.1).status()
        done.set()


def test_a_response_that_trickles_is_a_timeout() -> None:
    """Each byte of the body does not extend the time limit."""
    now = [0.0]

    def trickle() -> Iterator[bytes]:
        while True:
            now[0] += 3
            yield b" "

    with pytest.raises(NoResponse, match="no complete response within 10 s"):
        client_of(lambda _: httpx.Response(200, content=trickle()), clock=lambda: now[0]).status()
    assert 12 == now[0]


def test_a_response_head_that_trickles_is_a_timeout() -> None:
    """Each byte before the body does not extend the time limit either."""
    over = threading.Event()

    def trickle(server: socket.socket) -> None:
        with suppress(OSError):
            connection, _ = server.accept()
            with connection:
                while not over.wait(0.02):
                    connection.sendall(b"H")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=trickle, args=(server,), daemon=True)
        thread.start()
        with ControllerClient(f"http://127.0.0.1:{server.getsockname()[1]}", timeout=0.3, limit=60) as client:
            started = time.monotonic()
            with pytest.raises(NoResponse, match=r"no complete response within 0\.3 s"):
                client.status()
            took = time.monotonic() - started
        over.set()
    thread.join(10)

    assert 0.3 <= took < 5


def test_all_requests_together_have_a_limit() -> None:
    """A request before the limit has only the remaining time; after the limit no request is sent."""
    now, timeouts = [0.0], []

    def handle(request: httpx.Request) -> httpx.Response:
        timeouts.append(request.extensions["timeout"]["read"])
        now[0] += 8
        return httpx.Response(200, json={"status": "OK", "message": "", "body": {}})

    client = client_of(handle, clock=lambda: now[0], limit=15)
    client.status()
    with pytest.raises(DeadlineExceeded, match="total limit of 15 s"):
        client.status()
    with pytest.raises(DeadlineExceeded, match="--limit raises it"):
        client.status()
    assert [10, 7] == timeouts

    client.restart_limit(30)

    assert {} == client.status()


def test_a_broken_connection_is_an_error() -> None:
    """The error names the request without a response."""
    with (
        listening(lambda _: None) as url,
        pytest.raises(NoResponse, match=r"GET /api/v1/status: the connection to .* broke"),
    ):
        ControllerClient(url).status()


@pytest.mark.parametrize("text", ["", "x", ": y", "X-Ü: y", "X: a\nb"])
def test_a_malformed_header_is_rejected(text: str) -> None:
    """The error shows the form of a header."""
    with pytest.raises(ValueError, match="is not a header: write it like"):
        parse_header(text)


def test_a_header_has_a_name_and_a_value() -> None:
    """The value may contain colons."""
    assert ("Authorization", "Bearer a:b") == parse_header("Authorization: Bearer a:b")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (None, "the proxy {proxy} does not connect to anka.example port 8090"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", "the proxy {proxy} may have answered"),
    ],
)
def test_a_proxy_that_does_not_answer_is_named(
    answer: bytes | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing listens at the proxy, or it answers by itself: the message has its address, not its password."""
    with listening(lambda connection: connection.sendall(answer or b"")) as url:
        proxy = url if answer else "http://127.0.0.1:9"
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, proxy.replace("http://", "http://user:passphrase@"))
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        with (
            ControllerClient("http://anka.example:8090", timeout=5) as client,
            pytest.raises(ControllerError) as raised,
        ):
            client.status()

    assert expected.format(proxy=proxy) in str(raised.value)
    assert "NO_PROXY=anka.example in the environment" in str(raised.value)
    assert "passphrase" not in str(raised.value)


def test_a_proxy_that_is_not_asked_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exceptions of the environment, and this machine, are reached without a proxy."""
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    monkeypatch.setenv("no_proxy", "anka.example")
    hosts = ["anka.example", "127.0.0.1", "other"]

    assert ["", "", "http://proxy:3128"] == [find_proxy(httpx.URL(f"http://{host}:8090")) for host in hosts]


def compressed(content: bytes, encoding: str = "gzip") -> Callable[[httpx.Request], httpx.Response]:
    """Return a handler whose response has the encoding, and is read from a stream as from a network."""
    return lambda _: httpx.Response(200, headers={"Content-Encoding": encoding}, content=iter([content]))


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_compressed_response_is_decompressed(encoding: str, compress: Callable[[bytes], bytes]) -> None:
    """A server may compress although that was not asked for."""
    assert {"version": "1.43.0-24e848a5"} == client_of(compressed(compress(STATUS_ENVELOPE), encoding)).status()


def test_a_response_that_is_large_only_when_decompressed_is_refused() -> None:
    """It is not decompressed beyond the limit."""
    bomb = gzip.compress(b"x" * (2**26 + 1))
    with pytest.raises(NoResponse, match="the response is larger than 64 MB"):
        client_of(compressed(bomb)).status()


def test_a_response_with_too_many_values_is_refused() -> None:
    """In memory they would take much more than on the wire."""
    with pytest.raises(NoResponse, match="more than 4,000,000 values"):
        client_of(lambda _: httpx.Response(200, content=b"[" + b"1," * 4_000_001)).status()


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(STATUS_ENVELOPE)[:-10]], ids=["other", "cut"])
def test_a_malformed_compressed_response_is_refused(content: bytes) -> None:
    """The message says that it cannot be decompressed."""
    with pytest.raises(NoResponse, match="cannot be decompressed"):
        client_of(compressed(content)).status()


@pytest.mark.parametrize(
    ("start", "header", "is_announced"),
    [(b"HTTP/1.1", b"", False), (b"HTTP/1.1", b"Connection: close\r\n", True), (b"HTTP/1.0", b"", True)],
)
def test_a_connection_that_is_closed_without_notice_is_noticed(start: bytes, header: bytes, is_announced: bool) -> None:
    """The next exchange says so, unless the response announced it, as every response of HTTP/1.0 does."""
    response = COMPLETE_RESPONSE.replace(b"HTTP/1.1", start).replace(b"Content-Type", header + b"Content-Type")
    closed = threading.Semaphore(0)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            for _ in range(2):
                connection, _ = server.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(response)
                closed.release()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        with ControllerClient(f"http://127.0.0.1:{server.getsockname()[1]}") as client:
            first = client.request("GET", "/api/v1/status")
            closed.acquire()
            second = client.request("GET", "/api/v1/status")
        thread.join()
    checks = [violation.check for violation in contract_of(Release(1, 43, 0)).check_response(second)]

    assert (False, not is_announced) == (first.is_reconnected, second.is_reconnected)
    assert ("connection" in checks) is not is_announced
