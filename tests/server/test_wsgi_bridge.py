"""The WSGI bridge: what the application gets of a request, and what becomes of its response."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from mockanka.server.http_messages import Response
from mockanka.server.wsgi_bridge import call_wsgi

SCOPE = {
    "type": "http",
    "method": "POST",
    "path": "/a b/ü",
    "query_string": b"x=%20&y=\xff",
    "headers": [
        (b"host", b"example"),
        (b"content-type", b"text/plain"),
        (b"content-length", b"999"),
        (b"transfer-encoding", b"chunked"),
        (b"x-twice", b"one"),
        (b"x-twice", b"two"),
        (b"x-latin", b"\xe9"),
    ],
    "http_version": "1.1",
    "scheme": "http",
    "server": ("10.0.0.1", 8090),
}


class Echo:
    """A WSGI application that keeps the request."""

    def __init__(self, status: str = "200 OK", parts: Iterable[bytes] = (b"one", b"two")) -> None:
        self.status = status
        self.parts = parts
        self.environ: dict[str, Any] = {}
        self.body = b""
        self.closed = False

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Echo:
        self.environ = environ
        self.body = environ["wsgi.input"].read()
        start_response(self.status, [("Content-Type", "text/x"), ("X-Latin", "é")])
        return self

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.parts)

    def close(self) -> None:
        self.closed = True


def test_the_application_gets_the_whole_request() -> None:
    """Method, path, query, server and headers are where WSGI has them."""
    app = Echo()
    call_wsgi(app, SCOPE, b"body", 4)
    environ = {key: value for key, value in app.environ.items() if isinstance(value, str)}

    assert {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a b/Ã¼",
        "QUERY_STRING": "x=%20&y=ÿ",
        "SERVER_NAME": "10.0.0.1",
        "SERVER_PORT": "8090",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": "4",
        "CONTENT_TYPE": "text/plain",
        "HTTP_HOST": "example",
        "HTTP_X_TWICE": "one,two",
        "HTTP_X_LATIN": "é",
        "wsgi.url_scheme": "http",
    } == environ
    assert b"body" == app.body


def test_the_response_is_whole() -> None:
    """Status, headers in lower case and all parts of the body are returned, and the iterable is closed."""
    app = Echo("418 I'm a teapot")
    response = call_wsgi(app, SCOPE, b"", 0)

    assert Response(418, [(b"content-type", b"text/x"), (b"x-latin", b"\xe9")], b"onetwo") == response
    assert app.closed


def test_an_iterable_that_raises_is_closed() -> None:
    """An error on the way does not keep the iterable from being closed."""

    def broken() -> Iterator[bytes]:
        yield b"one"
        raise OSError("broken")

    app = Echo(parts=broken())
    with pytest.raises(OSError, match="broken"):
        call_wsgi(app, SCOPE, b"", 0)

    assert app.closed


def test_a_list_is_a_response_too() -> None:
    """The iterable need not have a close method."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("204 No Content", [])
        return []

    assert Response(204, [], b"") == call_wsgi(app, SCOPE, b"", 0)


def test_the_length_is_that_of_the_whole_body() -> None:
    """CONTENT_LENGTH is that of the whole body, also when not all of it was kept."""
    app = Echo()
    call_wsgi(app, SCOPE, b"cut", 10**9)

    assert ("1000000000", b"cut") == (app.environ["CONTENT_LENGTH"], app.body)


def test_a_server_without_a_name_is_localhost() -> None:
    """A scope without a server is accepted."""
    app = Echo()
    call_wsgi(app, {**SCOPE, "server": None}, b"", 0)

    assert ("localhost", "0") == (app.environ["SERVER_NAME"], app.environ["SERVER_PORT"])
