"""Serving HTTP: uvicorn's protocol on sockets of our own, so that they can refuse, and an end comes at once."""

from __future__ import annotations

import asyncio
import gc
import logging
import re
import signal
import socket
import sys
from collections.abc import Callable, Sequence

import httptools
import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from mockanka.server.asgi import Gateway
from mockanka.simulator.simulator import Simulator

GRACE = 0.3
"""Seconds that answers in the making have left once the server is told to stop."""
KEEP_ALIVE = 120
"""Seconds an idle connection is kept: longer than clients pause between polls."""
BACKLOG = 2048

_REQUEST_LINE = re.compile(rb"[A-Z]+ [^\r\n]* HTTP/1\.[01]\r\n")
_UPGRADE = re.compile(rb"\r\nupgrade:[^\r\n]*", re.IGNORECASE)
_ODD_BYTE = re.compile(rb"[\x80-\xff]")
_NOT_FOUND = (
    b"HTTP/1.1 404 Not Found\r\ncontent-type: text/plain; charset=utf-8\r\nx-content-type-options: nosniff\r\n"
    b"content-length: 19\r\nconnection: close\r\n\r\n404 page not found\n"
)


class Protocol(HttpToolsProtocol):
    """Takes some requests as Go's server does.

    Bytes that HTTP does not allow in a request line are part of the path; an offer to upgrade, as Java's client makes
    it, is passed over, where the parser would take the body for another protocol.
    """

    def data_received(self, data: bytes) -> None:
        if self.cycle is None or self.cycle.response_complete:
            if not data.isascii():
                line = _REQUEST_LINE.match(data)
                if line is not None:
                    data = _ODD_BYTE.sub(lambda byte: b"%%%02X" % byte[0][0], line[0]) + data[line.end() :]
            if b"pgrade" in data or b"PGRADE" in data:
                head, end, rest = data.partition(b"\r\n\r\n")
                data = _UPGRADE.sub(b"", head) + end + rest
        super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        if isinstance(sys.exc_info()[1], httptools.HttpParserInvalidURLError):
            self.transport.write(_NOT_FOUND)
            self.transport.close()
        else:
            super().send_400_response(msg)


class Listener:
    """One address that is served: its socket, and the connections that came in by it."""

    def __init__(self, listening: socket.socket, config: uvicorn.Config) -> None:
        self.listening = listening
        self.url = url_of(listening)
        self._config = config
        self.state = ServerState()
        self._serving: asyncio.Server | None = None

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._serving = await loop.create_server(self._protocol, sock=self.listening, backlog=BACKLOG)

    def close(self) -> None:
        """Take no more connections. What there are stay."""
        if self._serving is not None:
            self._serving.close()
            self._serving = None

    def hold(self) -> None:
        """Refuse connections but keep the address: it stays taken by a socket that does not listen."""
        address, family = self.listening.getsockname(), self.listening.family
        self.close()
        self.listening.close()
        self.listening = socket.socket(family, socket.SOCK_STREAM)
        self.listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listening.bind(address)
        # It may be taken although connections of before linger, but nobody else may take it while it does not listen.
        self.listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        self.drop()

    def release(self) -> None:
        """Take connections again; they wait until ``open`` has them answered."""
        self.listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listening.listen(BACKLOG)

    def drop(self) -> None:
        """Break off every connection."""
        for connection in list(self.state.connections):
            connection.transport.abort()

    def _protocol(self) -> asyncio.Protocol:
        return Protocol(config=self._config, server_state=self.state, app_state={})


class Server:
    """A door on one or more addresses. The first is the one that a fault may have refuse connections."""

    def __init__(self, door: Gateway, *listening: socket.socket) -> None:
        self.door = door
        config = _config(door)
        config.load()
        self.listeners = [Listener(each, config) for each in listening]
        self._refusing = ""
        self._until: asyncio.TimerHandle | None = None
        self._reopening: asyncio.Task[None] | None = None
        door.refuse = self.refuse
        door.house.when_reset.append(self.accept)
        door.house.when_fault_removed.append(lambda rule_id: self.accept() if rule_id == self._refusing else None)

    @property
    def url(self) -> str:
        return self.listeners[0].url

    @property
    def control_url(self) -> str:
        """Where the control API is answered also while connections are refused, if there is such a place."""
        return self.listeners[-1].url

    async def start(self) -> None:
        for listener in self.listeners:
            await listener.open()

    def refuse(self, seconds: float, rule_id: str = "") -> None:
        """Refuse connections for so many seconds of the wall's clock; those there are break off."""
        if self._reopening is not None:
            self._reopening.cancel()  # it has not come to it yet, or it is over
        if self._until is None:
            self.listeners[0].hold()
        else:
            self._until.cancel()
        self._refusing = rule_id
        self._until = asyncio.get_running_loop().call_later(seconds, self.accept)

    def accept(self) -> None:
        """Refuse no more."""
        if self._until is not None:
            self._until.cancel()
            self._until = None
            self._refusing = ""
            self.listeners[0].release()
            self._reopening = asyncio.ensure_future(self.listeners[0].open())

    async def stop(self, grace: float = GRACE) -> None:
        """Let answers in the making get out, for so many seconds at most, and end."""
        self.door.close()
        for listener in self.listeners:
            listener.close()
            for connection in list(listener.state.connections):
                connection.shutdown()
        tasks = {task for listener in self.listeners for task in listener.state.tasks}
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace)
            for task in late:
                task.cancel()
        for listener in self.listeners:
            listener.drop()
            listener.listening.close()
        if self._until is not None:
            self._until.cancel()
        await asyncio.sleep(0)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. OSError if it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def url_of(listening: socket.socket) -> str:
    """The URL a client on this machine reaches the socket by."""
    host, port = listening.getsockname()[:2]
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{local}]:{port}" if ":" in local else f"http://{local}:{port}"


def run(house: Simulator, listening: Sequence[socket.socket], ready: Callable[[str, str], None]) -> None:
    """Serve until SIGINT or SIGTERM; ``ready`` hears both URLs, which may be one, once requests are answered."""
    freeze()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(house, listening, ready))


def freeze() -> None:
    """What was imported stays for good: the collector need not walk it while requests are answered."""
    gc.collect()
    gc.freeze()


async def _serve(house: Simulator, listening: Sequence[socket.socket], ready: Callable[[str, str], None]) -> None:
    server, stop = Server(Gateway(house), *listening), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await server.start()
    ready(server.url, server.control_url)
    await stop.wait()
    await server.stop()


def _config(door: Gateway) -> uvicorn.Config:
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
    )
