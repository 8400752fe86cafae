"""A controller asked over HTTP: what goes out, and what is said when nothing usable comes back."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from mockanka.contract.exchange import Exchange
from mockanka.core.release import Release
from mockanka.remote.client import Access, OutOfTime, Remote, Unanswered, Unusable, connect, read_header

CERTIFICATE = Path(__file__).parent / "self_signed.pem"
"""Of localhost and 127.0.0.1, with its key; nobody trusts it."""
ANSWER = b'{"status":"OK","message":"","body":{"version":"1.43.0-24e848a5"}}\n'
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(ANSWER), ANSWER)


def answering(
    answer: Callable[[httpx.Request], httpx.Response], url: str = "http://anka:8090", **options: object
) -> Remote:
    return connect(url, transport=httpx.MockTransport(answer), **options)


def fixed(status: int = 200, **answer: object) -> Remote:
    return answering(lambda _: httpx.Response(status, **answer))  # type: ignore[arg-type]


@contextmanager
def listening(
    speak: Callable[[socket.socket], None], tls: bool = False, hear: Callable[[bytes], None] = lambda heard: None
) -> Iterator[str]:
    """A port whose one connection is heard and spoken to as given; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            try:
                connection, _ = server.accept()
                with connection:
                    if tls:
                        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                        context.load_cert_chain(CERTIFICATE)
                        connection = context.wrap_socket(connection, server_side=True)
                    with connection:
                        hear(connection.recv(65536))
                        speak(connection)
            except OSError:
                pass  # the client went away, which is what some tests are about

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_request_goes_out_as_it_is_asked_and_comes_back_as_an_exchange() -> None:
    """Path, query, body and headers arrive; the answer is kept with headers in lower case."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(400, content=b"x", headers={"X-Some": "thing"})

    heard: list[Exchange] = []
    remote = answering(answer, "http://anka:8090/base/", access=Access(token="t", headers=[("X-Team", "builds")]))
    remote.heard.append(heard.append)
    exchange = remote.ask("PUT", "/api/v1/vm", "id=a%20b", {"name": "x"})

    assert "http://anka:8090/base/api/v1/vm?id=a%20b" == str(seen[0].url)
    assert ("PUT", b'{"name": "x"}', "builds") == (seen[0].method, seen[0].content, seen[0].headers["x-team"])
    assert "Basic cm9vdDp0" == seen[0].headers["authorization"]
    assert (400, b"x", "thing") == (exchange.status, exchange.content, exchange.headers["x-some"])
    assert ("PUT", "/api/v1/vm", "id=a%20b") == (exchange.method, exchange.path, exchange.query)
    assert [exchange] == heard


@pytest.mark.parametrize("content_type", [None, "text/plain"])
def test_a_body_goes_with_the_content_type_asked_for(content_type: str | None) -> None:
    """Also with none at all."""
    seen: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("content-type"))
        return httpx.Response(200)

    answering(answer).ask("POST", "/api/v1/group", body=b"{}", content_type=content_type)

    assert [content_type] == seen


@pytest.mark.parametrize(
    ("version", "release"),
    [("1.13.0-24e848a5", Release(1, 13, 0)), ("1.50.1", Release(1, 50, 1)), ("v1.8.0-x", Release(1, 8, 0))],
)
def test_the_release_is_read_from_the_status(version: str, release: Release) -> None:
    """The build behind the hyphen does not count."""
    assert release == fixed(json={"status": "OK", "message": "", "body": {"version": version}}).release()


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({"version": "latest"}, "cannot tell the release of http://anka:8090: 'latest' is no release"),
        ({"version": "1.7.1-aa"}, "is older than 1.8.0"),
        ({}, "it tells none; give --release"),
        ([], "without a body"),
    ],
)
def test_a_release_that_cannot_be_told_is_asked_for(body: object, complaint: str) -> None:
    """The text says what the status had."""
    with pytest.raises(Unusable, match=complaint):
        fixed(json={"status": "OK", "message": "", "body": body}).release()


@pytest.mark.parametrize(
    ("status", "answer", "complaint"),
    [
        (301, {"headers": {"Location": "https://anka/"}}, "a redirect to https://anka/: give the URL"),
        (
            401,
            {"json": {"status": "FAIL", "message": "Authentication Required"}},
            r"\(Authentication Required\).*--token",
        ),
        (403, {"json": {"status": "FAIL", "message": "no"}}, r"403 \(no\)"),
        (
            200,
            {"html": "<html></html>"},
            "200 and text/html without an envelope: the web server there is no controller",
        ),
        (
            400,
            {"text": "Client sent an HTTP request to an HTTPS server."},
            "it speaks https, so write https:// in the URL",
        ),
        (404, {"text": "404 page not found"}, "404 and text/plain without an envelope"),
        (200, {"json": []}, "without an envelope"),
        (400, {"json": {"status": "FAIL", "message": "broken"}}, "fails at http://anka:8090: broken"),
    ],
)
def test_what_is_no_usable_controller_is_said(status: int, answer: dict[str, object], complaint: str) -> None:
    """A redirect, a login, a web page, a failure: each names what came and what to do."""
    with pytest.raises(Unusable, match=complaint):
        fixed(status, **answer).status()


@pytest.mark.parametrize(
    "url", ["", "anka", "anka:8090", "ftp://anka", "http://", "http://anka?x=1", "http://a:b", "http://[::1"]
)
def test_what_is_no_url_is_said(url: str) -> None:
    """The text shows what one looks like."""
    with pytest.raises(Unusable, match=r"write it like http://anka\.example:8090"):
        connect(url)


def test_a_host_that_does_not_resolve_is_named() -> None:
    """The name is what is wrong."""
    with pytest.raises(Unanswered, match=r"the host nowhere\.invalid does not resolve"):
        connect("http://nowhere.invalid:8090").status()


def test_a_closed_port_is_named() -> None:
    """Nothing listens there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(Unanswered, match=f"nothing listens at 127.0.0.1 port {port}"):
        connect(f"http://127.0.0.1:{port}").status()


def test_a_self_signed_certificate_is_refused_unless_it_is_trusted() -> None:
    """The text names the options, and each of the two helps."""

    def speak(connection: socket.socket) -> None:
        connection.sendall(WHOLE)

    with (
        listening(speak, tls=True) as url,
        pytest.raises(Unanswered, match=r"self-signed certificate\): give --ca FILE"),
    ):
        connect(url).status()
    for access in (Access(insecure=True), Access(ca=CERTIFICATE)):
        with listening(speak, tls=True) as url, connect(url, access) as remote:
            assert Release(1, 43, 0) == remote.release()


@pytest.mark.parametrize(
    ("access", "complaint"),
    [
        (Access(ca=Path("missing.pem")), "--ca: there is no file missing.pem"),
        (Access(cert=Path("missing.pem")), "--cert: there is no file"),
        (Access(cert=CERTIFICATE, key=Path("missing.pem")), "--key: there is no file"),
        (Access(key=CERTIFICATE), "--key needs --cert"),
        (Access(ca=Path(__file__)), "holds no certificate"),
        (Access(cert=Path(__file__)), "--cert: .* cannot be used"),
    ],
)
def test_files_of_the_access_that_are_wrong_are_named(access: Access, complaint: str) -> None:
    """Before anything is sent."""
    with pytest.raises(Unusable, match=complaint):
        connect("https://anka", access)


def test_a_certificate_needs_https() -> None:
    """Else nobody would ever see it."""
    with pytest.raises(Unusable, match="--cert: certificates need a URL with https"):
        connect("http://anka", Access(cert=CERTIFICATE))


def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    """URLs stand in reports."""
    with pytest.raises(Unusable, match="give --token or --header instead") as caught:
        connect("http://root:s3cret@anka:8090")

    assert "s3cret" not in str(caught.value)


def test_a_client_certificate_is_taken() -> None:
    """With its key in the same file or in one of its own."""
    connect("https://anka", Access(cert=CERTIFICATE)).close()
    connect("https://anka", Access(cert=CERTIFICATE, key=CERTIFICATE)).close()


def test_a_controller_that_says_nothing_ends_in_time() -> None:
    """The text names the option that gives it longer."""
    done = threading.Event()
    with listening(lambda _: done.wait(20) and None) as url:
        with pytest.raises(Unanswered, match=r"no whole answer within 0\.1 s; --timeout"):
            connect(url, timeout=0.1).status()
        done.set()


def test_an_answer_that_dribbles_ends_in_time() -> None:
    """Bytes that keep coming do not stretch the limit."""
    now = [0.0]

    def dribble() -> Iterator[bytes]:
        while True:
            now[0] += 3
            yield b" "

    with pytest.raises(Unanswered, match="no whole answer within 10 s"):
        answering(lambda _: httpx.Response(200, content=dribble()), clock=lambda: now[0]).status()
    assert 12 == now[0]


def test_a_head_that_dribbles_ends_in_time() -> None:
    """A byte now and then, before the answer has begun, does not stretch the limit either, nor does it in the end."""
    over = threading.Event()

    def dribble(serving: socket.socket) -> None:
        with suppress(OSError):
            connection, _ = serving.accept()
            with connection:
                while not over.wait(0.02):
                    connection.sendall(b"H")

    with socket.create_server(("127.0.0.1", 0)) as serving:
        thread = threading.Thread(target=dribble, args=(serving,), daemon=True)
        thread.start()
        with connect(f"http://127.0.0.1:{serving.getsockname()[1]}", timeout=0.3, limit=60) as remote:
            begun = time.monotonic()
            with pytest.raises(Unanswered, match=r"no whole answer within 0\.3 s"):
                remote.status()
            took = time.monotonic() - begun
        over.set()
    thread.join(10)

    assert 0.3 <= took < 5


def test_the_whole_has_a_limit() -> None:
    """Requests after it are not sent, and one under way is given only what is left."""
    now, sent = [0.0], []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.extensions["timeout"]["read"])
        now[0] += 8
        return httpx.Response(200, json={"status": "OK", "message": "", "body": {}})

    remote = answering(answer, clock=lambda: now[0], limit=15)
    remote.status()
    with pytest.raises(OutOfTime, match="limit of 15 s on the whole"):
        remote.status()
    with pytest.raises(OutOfTime, match="--limit raises it"):
        remote.status()
    assert [10, 7] == sent

    remote.allow(30)

    assert {} == remote.status()


def test_a_connection_that_breaks_is_said() -> None:
    """With the request that had no answer."""
    with (
        listening(lambda _: None) as url,
        pytest.raises(Unanswered, match=r"GET /api/v1/status: the connection to .* broke"),
    ):
        connect(url).status()


@pytest.mark.parametrize("text", ["", "x", ": y", "X-Ü: y", "X: a\nb"])
def test_what_is_no_header_is_refused(text: str) -> None:
    """The text shows what one looks like."""
    with pytest.raises(ValueError, match="is no header: write it like"):
        read_header(text)


def test_a_header_is_name_and_value() -> None:
    """The value may have colons."""
    assert ("Authorization", "Bearer a:b") == read_header("Authorization: Bearer a:b")
