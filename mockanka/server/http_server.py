"""The HTTP server: uvicorn's protocol on sockets of our own, which can refuse connections and close at once."""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any
from weakref import WeakSet

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from mockanka.server.asgi import Gateway
from mockanka.server.request_heads import (
    BAD_REQUEST,
    CHUNKED,
    HEAD_END,
    MASKED_UPGRADE,
    MAX_HEAD,
    MAX_SMALL_HEAD,
    TOO_LARGE,
    HeadRefused,
    Target,
    check_request_line,
    read_head,
    read_small_head,
)
from mockanka.serving import BACKLOG, end_connection, serve_until_signal, url_of
from mockanka.simulator.simulator import Simulator

GRACE = 0.3
"""Seconds that responses on their way have left once the server is told to stop."""
KEEP_ALIVE = 120
"""Seconds that an idle connection is kept: longer than clients pause between polls."""

LINGER = 0.5
"""Seconds that a connection stays half open after a refusal: closed at once it would be reset, and the refusal lost."""

_SILENT_LOGGER = logging.Logger("mockanka.server", logging.CRITICAL)
_SILENT_LOGGER.disabled = True
"""Logger of uvicorn's protocol. It is not among the loggers of the process, which belong to the suite under test."""


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol, but it logs nothing, and reads requests as Go's server does.

    Each head is read on its own, before the parser gets it. An offer to upgrade, as Java's client makes it, is ignored.
    What is refused is refused after the responses to the requests before it.
    """

    def __init__(self, *args: Any, gateway: Gateway, **options: Any) -> None:
        super().__init__(*args, **options)
        self._gateway = gateway
        self.logger = self.access_logger = _SILENT_LOGGER
        self.access_log = False
        self._head = bytearray()
        """The beginning of a head that is not complete."""
        self._body_left = 0
        """Bytes of the body that are still to come, or CHUNKED."""
        self._target: Target | None = None
        self._masks_upgrade = False
        self._follows_post = False
        self._refusal = b""
        self._is_refused = False
        self._running: RequestResponseCycle | None = None
        """The request that was handed to the application last; those in the pipeline wait for it."""

    @property
    def _is_idle(self) -> bool:
        """True if no response is due."""
        running = self._running
        return not self.pipeline and (running is None or running.response_complete or running.disconnected)

    @property
    def _is_ending(self) -> bool:
        """True if what comes is no request any more: one was refused, or said to be the last."""
        is_last = self.cycle is not None and not self._body_left and not self.cycle.keep_alive
        return self._is_refused or is_last or self.transport.is_closing()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._gateway.note_opened(self.app_state["connection"])

    def connection_lost(self, exc: Exception | None) -> None:
        self._gateway.note_closed(self.app_state["connection"])
        end_connection(self.transport.get_extra_info("socket"))
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            if self._head:
                data = self._complete_head(data)
            while data and not self._is_ending:
                data = self._receive_body(data) if self._body_left else self._receive_head(data)
        except HeadRefused as refusal:
            self._refuse(refusal.response)
        except httptools.HttpParserError:
            # Guess: a body whose chunks are broken gets this answer too, and the request is not carried out.
            self._abandon_request()
            self._refuse(HeadRefused(BAD_REQUEST).response)

    def _complete_head(self, data: bytes) -> bytes:
        """Append data to the beginning of a head, and return all of it if it is complete or too long, else nothing."""
        before = len(self._head)
        self._head += data
        if HEAD_END.search(self._head, max(0, before - 2)) is None and len(self._head) <= MAX_HEAD:
            if b"\n" in data and (line_end := self._head.find(b"\n")) >= before:
                check_request_line(bytes(self._head[:line_end]))
            return b""
        data = bytes(self._head)
        self._head.clear()
        return data

    def _receive_head(self, data: bytes) -> bytes:
        """Take a head from the beginning of the data, if it is complete, and return what follows it."""
        if self._follows_post:  # some old clients send a line break after a body
            data = data[:4].lstrip(b"\r\n") + data[4:]
        end = HEAD_END.search(data)
        if end is None or end.end() > MAX_HEAD:
            if len(data) > MAX_HEAD:
                raise HeadRefused(TOO_LARGE)
            line, line_end, _ = data.partition(b"\n")
            if line_end:
                check_request_line(line)
            self._head += data
            return b""
        raw = data[: end.end()]
        head = read_small_head(raw) if len(raw) <= MAX_SMALL_HEAD else read_head(raw)
        self._target, self._masks_upgrade, self._body_left = head.target, head.masks_upgrade, head.length
        self._follows_post = raw.startswith(b"POST ")
        self.parser.feed_data(head.content)
        return data[end.end() :]

    def _receive_body(self, data: bytes) -> bytes:
        """Take a part of the body, and return what follows the body."""
        length = self._body_left
        if length == CHUNKED:
            # The last chunk ends with a line break, so the next request never begins within what the parser is given.
            length = data.find(b"\n") + 1 or len(data)
        part, rest = data[:length], data[length:]
        if self._body_left != CHUNKED:
            self._body_left -= len(part)
        self.parser.feed_data(part)
        return rest

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        if not self.pipeline:
            self._running = self.cycle
        if self._target is not None:
            method, path, raw_path, query = self._target
            scope: Any = self.scope
            scope.update(method=method, path=path, raw_path=raw_path, query_string=query)
        if self._masks_upgrade:
            self.headers[:] = [(b"upgrade" if name == MASKED_UPGRADE else name, value) for name, value in self.headers]

    def on_message_complete(self) -> None:
        self._body_left = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        waiting = self.pipeline[-1][0] if self.pipeline else None
        super().on_response_complete()
        if waiting is not None and (not self.pipeline or self.pipeline[-1][0] is not waiting):
            self._running = waiting
        if self._refusal and self._is_idle:
            self._send_refusal()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Close the connection, but first send the responses that are ready: a client may end its side before them.

        The beginning of a head is refused, but after another request Go's server does not look at less than four bytes.
        """
        if not self._is_ending and len(self._head) >= (1 if self.cycle is None else 4):
            self._refuse(HeadRefused(BAD_REQUEST).response)
        if self._is_idle:
            return False
        self.loop.call_soon(self._close_after, self._running)
        return True

    def _close_after(self, running: RequestResponseCycle | None) -> None:
        """Close the connection once a request that is being answered has its response, or has to wait for it."""
        if self._running is not running:  # it has its response, and the next request of the pipeline was started
            self.loop.call_soon(self._close_after, self._running)
        else:
            self.transport.close()

    def _abandon_request(self) -> None:
        """End the request whose body is being received: nothing more of it comes."""
        if not self._body_left or self.cycle is None:
            return
        self.cycle.disconnected = True
        self.cycle.waiting_for_100_continue = False
        self.cycle.message_event.set()
        if self.pipeline and self.pipeline[0][0] is self.cycle:
            self.pipeline.popleft()

    def _refuse(self, response: bytes) -> None:
        self._is_refused = True
        self._refusal = response
        if self._is_idle:
            self._send_refusal()

    def _send_refusal(self) -> None:
        if not self.transport.is_closing():
            self._unset_keepalive_if_required()
            self.transport.write(self._refusal)
            self.transport.write_eof()
            self.loop.call_later(LINGER, self.transport.close)
        self._refusal = b""


FILLING_CONNECTIONS = 3
"""Connections that are more than a queue of length 0 takes."""


class Listener:
    """An address that is served: its socket, and the connections that it accepted, with their numbers."""

    def __init__(
        self, listening: socket.socket, gateway: Gateway, config: uvicorn.Config, numbers: Iterator[int]
    ) -> None:
        self._gateway = gateway
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
        state = {"connection": next(self._numbers)}
        return Protocol(config=self._config, server_state=self.state, app_state=state, gateway=self._gateway)


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
        self.listeners = [Listener(sock, self.gateway, config, connection_numbers) for sock in listening]
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
