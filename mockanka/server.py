"""uvicorn around the door, as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import re
import signal
import socket
import sys
from collections.abc import Callable, Iterator

import httptools
import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mockanka.door import Door
from mockanka.house import House

GRACE = 0.3
"""Seconds that answers in the making have left once the server is told to stop."""
KEEP_ALIVE = 120
"""Seconds an idle connection is kept: longer than clients pause between polls."""


class Server(uvicorn.Server):
    """A uvicorn server that leaves the process's signals alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


_REQUEST_LINE = re.compile(rb"[A-Z]+ [^\r\n]* HTTP/1\.[01]\r\n")
_ODD_BYTE = re.compile(rb"[\x80-\xff]")
_NOT_FOUND = (
    b"HTTP/1.1 404 Not Found\r\ncontent-type: text/plain; charset=utf-8\r\nx-content-type-options: nosniff\r\n"
    b"content-length: 19\r\nconnection: close\r\n\r\n404 page not found\n"
)


class Protocol(HttpToolsProtocol):
    """Takes request lines with bytes that HTTP does not allow there as Go's server does: they are part of the path."""

    def data_received(self, data: bytes) -> None:
        if not data.isascii() and (self.cycle is None or self.cycle.response_complete):
            line = _REQUEST_LINE.match(data)
            if line is not None:
                data = _ODD_BYTE.sub(lambda byte: b"%%%02X" % byte[0][0], line[0]) + data[line.end() :]
        super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        if isinstance(sys.exc_info()[1], httptools.HttpParserInvalidURLError):
            self.transport.write(_NOT_FOUND)
            self.transport.close()
        else:
            super().send_400_response(msg)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. OSError if it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=2048)


def url_of(listening: socket.socket) -> str:
    """The URL a client on this machine reaches the socket by."""
    host, port = listening.getsockname()[:2]
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{local}]:{port}" if ":" in local else f"http://{local}:{port}"


def run(house: House, listening: socket.socket, ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; ``ready`` is called with the URL once requests are answered."""
    gc.collect()
    gc.freeze()  # what was imported stays for good: the collector need not walk it while requests are answered
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(house, listening, ready))


async def _serve(house: House, listening: socket.socket, ready: Callable[[str], None]) -> None:
    door = Door(house)
    server = Server(_config(door))

    def stop() -> None:
        door.close()
        server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    serving = asyncio.ensure_future(server.serve(sockets=[listening]))
    while not (server.started or serving.done()):
        await asyncio.sleep(0.002)
    if server.started:
        ready(url_of(listening))
    await serving


def _config(door: Door) -> uvicorn.Config:
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    return uvicorn.Config(
        door,
        http=Protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,  # type: ignore[arg-type]
    )
