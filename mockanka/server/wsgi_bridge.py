"""Call a WSGI application with an ASGI request, in the thread of the event loop."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from io import BytesIO
from itertools import chain
from typing import TYPE_CHECKING, Any

from mockanka.server.http_messages import Response

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def call_wsgi(app: WSGIApplication, scope: Any, body: bytes, length: int) -> Response:
    """Return the response of a WSGI application to an ASGI request.

    ``length`` is the length of the request's body, of which ``body`` may be only the beginning.
    """
    response, parts = start_wsgi(app, scope, body, length)
    response.content = b"".join(parts)
    return response


def start_wsgi(app: WSGIApplication, scope: Any, body: bytes, length: int) -> tuple[Response, Iterable[bytes]]:
    """Return the response of a WSGI application to an ASGI request, without its body, and the parts of that."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode("utf-8", "surrogateescape").decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": (scope.get("server") or ("localhost", 0))[0],
        "SERVER_PORT": str((scope.get("server") or ("localhost", 0))[1]),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "CONTENT_LENGTH": str(length),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").upper().replace("-", "_"), raw_value.decode("latin-1")
        if name == "CONTENT_TYPE":
            environ[name] = value
        elif name not in ("CONTENT_LENGTH", "TRANSFER_ENCODING"):
            key = f"HTTP_{name}"
            environ[key] = f"{environ[key]},{value}" if key in environ else value
    started: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
        started[:] = [int(status[:3]), headers]
        return None

    parts = _closing(app(environ, start_response))
    first = next(parts, b"")  # an application may start its response with the first part
    status, headers = started
    raw_headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    return Response(status, raw_headers, b""), chain((first,), parts)


def _closing(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the parts of a response, and close their source at the end."""
    try:
        yield from parts
    finally:
        if hasattr(parts, "close"):
            parts.close()
