"""The HTTP server: uvicorn's protocol on sockets of our own, which can refuse connections and close at once."""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
import os
import re
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any
from weakref import WeakSet

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from mockanka.server.asgi import Gateway
from mockanka.serving import BACKLOG, end_connection, serve_until_signal, url_of
from mockanka.simulator.simulator import Simulator

GRACE = 0.3
"""Seconds that responses on their way have left once the server is told to stop."""
KEEP_ALIVE = 120
"""Seconds that an idle connection is kept: longer than clients pause between polls."""

_REQUEST_LINE = re.compile(rb"[A-Z]+ [^\r\n]* HTTP/1\.[01]\r\n")
_UPGRADE = re.compile(rb"\r\nupgrade:[^\r\n]*", re.IGNORECASE)
_ODD_BYTE = re.compile(rb"[\x80-\xff]")
_NOT_FOUND = (
    b"HTTP/1.1 404 Not Found\r\ncontent-type: text/plain; charset=utf-8\r\nx-content-type-options: nosniff\r\n"
    b"content-length: 19\r\nconnection: close\r\n\r\n404 page not found\n"
)


_SILENT_LOGGER = logging.Logger("mockanka.server", logging.CRITICAL)
_SILENT_LOGGER.disabled = True
"""Logger of uvicorn's protocol. It is not among the loggers of the process, which belong to the suite under test."""


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol, but it logs nothing, and some odd requests are taken as Go's server takes them.

    Bytes that HTTP does not allow in a request line are part of the path; an offer to upgrade, as Java's client makes
    it, is ignored, where the parser would take the body for another protocol.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.logger = self.access_logger = _SILENT_LOGGER
        self.access_log = False

    def connection_lost(self, exc: Exception | None) -> None:
        end_connection(self.transport.get_extra_info("socket"))
        super().connection_lost(exc)

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


FILLING_CONNECTIONS = 3
"""Connections that are more than a queue of length 0 takes."""


class Listener:
    """An address that is served: its socket, and the connections that it accepted, with their numbers."""

    def __init__(self, listening: socket.socket, config: uvicorn.Config, numbers: Iterator[int]) -> None:
        self._numbers = numbers
        self.listening = listening
        self.url = url_of(listening)
        self._config = config
        self.state = ServerState()
        self._serving: asyncio.Server | None = None
        self._filling: list[socket.socket] = []
        """Connections that fill the queue while attempts to connect get no answer."""
        _LISTENERS.add(self)

    async def open(self) -> None:
        """Accept connections and answer their requests."""
        loop = asyncio.get_running_loop()
        self._serving = await loop.create_server(self._protocol, sock=self.listening, backlog=BACKLOG)

    def close(self) -> None:
        """Accept no more connections; those that exist stay."""
        self._drop_filling()
        with suppress(OSError):  # it does not listen while connections are refused; macOS knows no such shutdown
            # Closing alone would leave it listening while another process holds a copy of the socket.
            self.listening.shutdown(socket.SHUT_RDWR)
        # And it would keep the address, which another socket may bind only if both of them allow it.
        self.listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self._serving is not None:
            self._serving.close()
            self._serving = None

    def refuse(self) -> None:
        """Refuse connections, but keep the address: a socket that does not listen holds it."""
        address, family = self.listening.getsockname(), self.listening.family
        self.close()
        self.listening.close()
        self.listening = socket.socket(family, socket.SOCK_STREAM)
        self.listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listening.bind(address)
        # This socket may bind although earlier connections linger, but no other may while it does not listen.
        self.listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        self.abort_connections()

    def ignore(self) -> None:
        """Leave attempts to connect without an answer, after ``refuse``: the queue of the socket is full.

        Linux drops what does not fit into a queue of connections that are not accepted.
        """
        self.listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listening.listen(0)
        for _ in range(FILLING_CONNECTIONS):
            filling = socket.socket(self.listening.family, socket.SOCK_STREAM)
            filling.setblocking(False)
            filling.connect_ex(self.listening.getsockname())
            self._filling.append(filling)

    def listen(self) -> None:
        """End the refusal: connections are accepted again, and wait until ``open`` has their requests answered."""
        self._drop_filling()
        self.listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listening.listen(BACKLOG)

    def _drop_filling(self) -> None:
        while self._filling:
            filling = self._filling.pop()
            end_connection(filling)
            filling.close()

    def abort_connections(self) -> None:
        """Abort every connection."""
        for connection in list(self.state.connections):
            connection.transport.abort()

    def leave_to_parent(self) -> None:
        """Close the sockets of this process, a fork of the one that serves, which goes on with its own.

        Otherwise what the parent closes would stay open for its clients for as long as the fork lives.
        """
        sockets = [connection.transport.get_extra_info("socket") for connection in list(self.state.connections)]
        null = os.open(os.devnull, os.O_RDWR)
        for number in {sock.fileno() for sock in (self.listening, *self._filling, *sockets) if sock is not None}:
            if number >= 0:
                os.dup2(null, number, inheritable=False)  # the number stays taken: objects of the event loop hold it
        os.close(null)

    def _protocol(self) -> asyncio.Protocol:
        return Protocol(config=self._config, server_state=self.state, app_state={"connection": next(self._numbers)})


_LISTENERS: WeakSet[Listener] = WeakSet()
"""All listeners of this process."""


def _leave_listeners_to_parent() -> None:
    for listener in _LISTENERS:
        listener.leave_to_parent()
    _LISTENERS.clear()


os.register_at_fork(after_in_child=_leave_listeners_to_parent)


class Server:
    """Serves a simulator on one or more listening sockets. A fault can have the first of them refuse connections."""

    def __init__(self, simulator: Simulator, *listening: socket.socket) -> None:
        self.gateway = Gateway(simulator, self.refuse_connections, self.accept_connections)
        config = _config(self.gateway)
        config.load()
        connection_numbers = itertools.count(1)
        self.listeners = [Listener(sock, config, connection_numbers) for sock in listening]
        self._refusing_rule = ""
        self._refusal_end: asyncio.TimerHandle | None = None
        self._reopening: asyncio.Task[None] | None = None
        simulator.after_reset.append(self.accept_connections)
        simulator.after_fault_removed.append(self._accept_without_rule)

    @property
    def url(self) -> str:
        """The URL of the controller."""
        return self.listeners[0].url

    @property
    def control_url(self) -> str:
        """The URL of the control API, which also answers while connections are refused if there are two sockets."""
        return self.listeners[-1].url

    async def start(self) -> None:
        """Accept connections."""
        for listener in self.listeners:
            await listener.open()

    def refuse_connections(self, seconds: float, rule_id: str, silently: bool) -> None:
        """Refuse connections for so many seconds of wall time, by a fault rule; those that exist are aborted.

        With ``silently`` attempts to connect get no answer. A refusal that is on goes on as it is.
        """
        if self._reopening is not None:
            self._reopening.cancel()  # it has not begun yet, or it is over
        if self._refusal_end is None:
            self.listeners[0].refuse()
            if silently:
                self.listeners[0].ignore()
        else:
            self._refusal_end.cancel()
        self._refusing_rule = rule_id
        self._refusal_end = asyncio.get_running_loop().call_later(seconds, self.accept_connections)

    def accept_connections(self) -> None:
        """End a refusal, if there is one."""
        if self._refusal_end is not None:
            self._refusal_end.cancel()
            self._refusal_end = None
            self._refusing_rule = ""
            self.listeners[0].listen()
            self._reopening = asyncio.ensure_future(self.listeners[0].open())

    def _accept_without_rule(self, rule_id: str) -> None:
        if rule_id == self._refusing_rule:
            self.accept_connections()

    async def stop(self, grace: float = GRACE) -> None:
        """Stop: responses on their way may still be sent, for so many seconds at most."""
        self.gateway.close()
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
            listener.abort_connections()
            listener.listening.close()
        if self._refusal_end is not None:
            self._refusal_end.cancel()
        await asyncio.sleep(0)


def serve_simulator(
    simulator: Simulator, listening: Sequence[socket.socket], ready: Callable[[str, str], None]
) -> None:
    """Serve until SIGINT or SIGTERM.

    ``ready`` is called with the URLs of the controller and of the control API, which may be the same, once requests are
    answered.
    """
    freeze_imports()
    server = Server(simulator, *listening)
    serve_until_signal(server.start, lambda: ready(server.url, server.control_url), server.stop)


def freeze_imports() -> None:
    """Keep the garbage collector from walking all that was imported while requests are answered."""
    gc.collect()
    gc.freeze()


def _config(gateway: Gateway) -> uvicorn.Config:
    return uvicorn.Config(
        gateway,
        http=Protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=KEEP_ALIVE,
    )
