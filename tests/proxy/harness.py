"""Proxies in a thread, and conversations of which a test holds both ends."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import uvloop

from mockanka.core.release import Release
from mockanka.proxy.proxy import Book, Proxy, target_of
from mockanka.recording.har import Writer
from mockanka.remote.client import ClientOptions
from mockanka.serving import url_of
from tests.server.http_client import TIMEOUT
from tests.server.http_client import open_socket as raw
from tests.server.http_client import send_request as ask


class Passing:
    """A proxy that passes on to a target until ``stop``."""

    def __init__(self, target: str, release: str, har: Path | None, annotate: bool, access: ClientOptions) -> None:
        self.said: list[str] = []
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = url_of(self.listening)
        where = target_of(target, access)
        self.book = Book(where.base, Release.parse(release), self.said.append, Writer(har, where.base) if har else None)
        self.proxy = Proxy(where, self.book, annotate, self.said.append)
        self._loop = uvloop.new_event_loop()
        self._end = asyncio.Event()
        self._up: Future[None] = Future()
        self._told: Future[dict[str, Any]] = Future()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self._up.result(TIMEOUT)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def report(self) -> dict[str, Any]:
        """What the proxy says at this moment."""
        found: dict[str, Any] = ask(self.url, target="/_mock/report").json
        return found

    def found(self) -> list[tuple[str, str]]:
        """Who did what, in the order in which it was first seen."""
        return [(each["side"], each["check"]) for each in self.report()["findings"]]

    def stop(self) -> dict[str, Any]:
        """End; what the report says then. Again is fine."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
        return self._told.result(0)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            self._told.set_result(runner.run(self._serve()))

    async def _serve(self) -> dict[str, Any]:
        await self.proxy.start(self.listening)
        self._up.set_result(None)
        await self._end.wait()
        return await self.proxy.stop()


@contextmanager
def passing(
    target: str,
    release: str = "1.50.1",
    har: Path | None = None,
    annotate: bool = False,
    access: ClientOptions | None = None,
) -> Iterator[Passing]:
    """A proxy in front of a target, ended at the end."""
    proxy = Passing(target, release, har, annotate, access or ClientOptions())
    try:
        yield proxy
    finally:
        proxy.stop()


@contextmanager
def listening() -> Iterator[socket.socket]:
    """A port on which a test is the target."""
    with closing(socket.create_server(("127.0.0.1", 0))) as port:
        port.settimeout(TIMEOUT)
        yield port


@contextmanager
def conversation(
    first: bytes, release: str = "1.50.1", har: Path | None = None, annotate: bool = False
) -> Iterator[tuple[socket.socket, socket.socket, Passing]]:
    """The client's end and the target's, with a proxy between, once the client has sent its first bytes."""
    with (
        listening() as port,
        passing(url_of(port), release, har, annotate) as proxy,
        closing(raw(proxy.url)) as client,
    ):
        client.sendall(first)
        target, _ = port.accept()
        target.settimeout(TIMEOUT)
        with closing(target):
            yield client, target, proxy


def exactly(connection: socket.socket, size: int) -> bytes:
    """The next so many bytes, or fewer if the connection ends before."""
    heard = b""
    while len(heard) < size:
        part = connection.recv(size - len(heard))
        if not part:
            break
        heard += part
    return heard
