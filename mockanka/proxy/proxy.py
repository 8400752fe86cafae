"""A proxy between any client and a controller: all goes on as it came, and each exchange is judged on the side."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from mockanka import __version__
from mockanka.core.release import DEFAULT_RELEASE, Release
from mockanka.proxy.http1 import Head
from mockanka.proxy.recorder import Book
from mockanka.proxy.relay import Relay
from mockanka.remote.client import (
    ClientOptions,
    ControllerClient,
    ControllerError,
    NoResponse,
    create_ssl_context,
    parse_controller_url,
)
from mockanka.serving import BACKLOG, serve_until_signal

__all__ = ["Asking", "Book", "Proxy", "Target", "run", "target_of"]

LINKS = {"health": "/_mock/health", "report": "/_mock/report"}
PROBLEM = "application/problem+json"


@dataclass(frozen=True)
class Target:
    """Where everything goes."""

    base: str
    host: str
    port: int
    tls: ssl.SSLContext | None = None


def target_of(url: str, access: ClientOptions) -> Target:
    """The target that a URL names. ControllerError if it is none, or if its host does not resolve."""
    read = parse_controller_url(url, instead="give it to the client, for requests go on as they come")
    if read.raw_path not in (b"", b"/"):
        raise ControllerError(
            f"{url!r} has a path, but requests go on as they come: leave it out, and give it to the client"
        )
    port = read.port or (443 if read.scheme == "https" else 80)
    try:
        socket.getaddrinfo(read.host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise ControllerError(f"the host {read.host} does not resolve: is its name right?") from None
    base = f"{read.scheme}://{read.netloc.decode()}"
    trusted = create_ssl_context(access, read.scheme)
    return Target(base, read.host, port, trusted if read.scheme == "https" else None)


class Asking:
    """The release of a target, asked for once; as it is needed only to judge, the target may be down before that."""

    def __init__(self, target: Target, access: ClientOptions, said: Callable[[str], None]) -> None:
        self._target, self._access, self._said = target, access, said

    def now(self) -> Release | None:
        """The release, or None if the target is down. ControllerError if it answers, but says none."""
        try:
            return self._ask()
        except NoResponse as wrong:
            self._said(f"{wrong}; its release is asked for later")
            return None

    def later(self) -> Release:
        """The release; if it cannot be had that of today, for a judgement by that is better than none."""
        try:
            return self._ask()
        except ControllerError as wrong:
            self._said(f"judged by release {DEFAULT_RELEASE}, for {wrong}")
            return DEFAULT_RELEASE

    def _ask(self) -> Release:
        with ControllerClient(self._target.base, self._access) as remote:
            return remote.release()


class Proxy:
    """Takes clients on a socket, and has a relay for each."""

    def __init__(self, target: Target, book: Book, annotate: bool = False, said: Callable[[str], None] = print) -> None:
        self.base, self.host, self.port, self.tls = target.base, target.host, target.port, target.tls
        self.book, self.annotate, self._said = book, annotate, said
        self.relays: set[Relay] = set()
        self._serving: asyncio.Server | None = None

    async def start(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._serving = await loop.create_server(lambda: Relay(self).near, sock=listening, backlog=BACKLOG)

    async def stop(self) -> dict[str, Any]:
        """End every connection, judge what was seen, and report."""
        if self._serving is not None:
            self._serving.close()
        for relay in list(self.relays):
            relay.stop()
        return await self.book.close()

    async def own(self, head: Head) -> bytes:
        """The answer to a request for the proxy itself."""
        path = head.target.partition("?")[0]
        known = {"/_mock": self._index, "/_mock/": self._index, "/_mock/health": self._health, "/_mock/report": None}
        if path not in known:
            return _problem(head, 404, f"there is no {path} at this proxy; GET /_mock/ lists what there is")
        if head.method not in ("GET", "HEAD"):
            return _problem(head, 405, f"{path} takes GET, not {head.method}", "allow: GET\r\n")
        make = known[path]
        return _written(head, 200, make() if make is not None else await self.book.report())

    def no_target(self, why: str) -> bytes:
        """The answer to a client when there is no target."""
        text = f"cannot reach {self.base}: {why}"
        self._said(text)
        return _problem(None, 502, text, "connection: close\r\n")

    def unread(self, why: str) -> bytes:
        """The answer to a request for the proxy itself that is no HTTP/1.1."""
        return _problem(None, 400, f"the request cannot be read: {why}", "connection: close\r\n")

    def _index(self) -> dict[str, Any]:
        return {"mockanka": __version__, "target": self.base, "links": LINKS}

    def _health(self) -> dict[str, Any]:
        return {"status": "ok"}


def _problem(head: Head | None, status: int, detail: str, more: str = "") -> bytes:
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return _written(head, status, body, PROBLEM, more)


def _written(head: Head | None, status: int, body: object, kind: str = "application/json", more: str = "") -> bytes:
    content = (json.dumps(body, separators=(",", ":")) + "\n").encode()
    top = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: {kind}\r\n{more}"
    bare = head is not None and head.method == "HEAD"
    return f"{top}content-length: {len(content)}\r\n\r\n".encode() + (b"" if bare else content)


def run(proxy: Proxy, listening: socket.socket, ready: Callable[[], None]) -> dict[str, Any]:
    """Pass traffic on until SIGINT or SIGTERM, and report what was found; ``ready`` is called once clients get in."""
    return serve_until_signal(lambda: proxy.start(listening), ready, proxy.stop)
