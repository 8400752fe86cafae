"""Functions that the simulator's server and the proxy share: listening sockets, TCP resets, serving until a signal."""

from __future__ import annotations

import asyncio
import ctypes
import signal
import socket
import struct
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from types import FrameType
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")

BACKLOG = 2048
"""Connections that may wait to be accepted."""
WORK_GRACE = 1.0
"""Seconds that the event loop may be busy after a signal before what it does is broken off."""
_WORK_GRACE_AGAIN = 0.2
_RESET_WHEN_CLOSED = struct.pack("ii", 1, 0)
"""The option SO_LINGER with no time: the socket sends a reset when it is closed."""
_NO_ADDRESS = bytes(16)
"""A socket address of the family AF_UNSPEC."""


class WorkInterrupted(BaseException):
    """The server is to stop, and the event loop has been busy since then, as with a large scenario.

    It is no Exception, so that no handler of errors takes it for one.
    """


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free port. Raises OSError if the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def url_of(listening: socket.socket) -> str:
    """Return the URL at which a client on this machine reaches a listening socket."""
    host, port = listening.getsockname()[:2]
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{local}]:{port}" if ":" in local else f"http://{local}:{port}"


def reset_connection(transport: asyncio.Transport) -> None:
    """End a connection by a TCP reset; what has not been sent yet is lost."""
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_WHEN_CLOSED)
    if sys.platform == "linux":
        # Closing alone would send nothing while another process holds a copy of the socket. Linux also resets a
        # connection whose socket is connected to no address; Python's own connect() cannot say that.
        ctypes.CDLL(None).connect(connection.fileno(), _NO_ADDRESS, len(_NO_ADDRESS))
    transport.abort()


def end_connection(connection: Any) -> None:
    """Have the other side see the end of a connection that is about to be closed, whoever holds a copy of its socket.

    ``connection`` is a socket, or what a transport has in its place. One that is to be reset is left alone.
    """
    with suppress(OSError):  # it has ended already
        if connection.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, len(_RESET_WHEN_CLOSED)) == _RESET_WHEN_CLOSED:
            return
        borrowed = socket.socket(connection.family, connection.type, connection.proto, connection.fileno())
        try:
            borrowed.shutdown(socket.SHUT_RDWR)
        finally:
            borrowed.detach()


def run_event_loop(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a new event loop of uvloop, and return its result."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def serve_until_signal(
    start: Callable[[], Awaitable[None]], ready: Callable[[], None], stop: Callable[[], Awaitable[T]]
) -> T:
    """Start a server, call ``ready``, wait for SIGINT, SIGTERM or SIGHUP, and return what ``stop`` returns.

    A SIGHUP that the process ignores, as under nohup, stays ignored. What keeps the event loop busy for longer than
    WORK_GRACE seconds after the signal is broken off by a WorkInterrupted.
    """

    async def serve() -> T:
        signalled, loop, own_task = asyncio.Event(), asyncio.get_running_loop(), asyncio.current_task()

        # The event loop has handlers of its own, but it calls them only between two tasks.
        def note_signal(number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(signalled.set)
            # Again and again: Python drops an exception of a handler that is called within a finalizer.
            signal.setitimer(signal.ITIMER_REAL, WORK_GRACE, _WORK_GRACE_AGAIN)

        def break_off_work(number: int, frame: FrameType | None) -> None:
            if asyncio.current_task() not in (None, own_task):
                raise WorkInterrupted

        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            numbers.append(signal.SIGHUP)
        handlers = {number: signal.signal(number, note_signal) for number in numbers}
        handlers[signal.SIGALRM] = signal.signal(signal.SIGALRM, break_off_work)
        try:
            await start()
            ready()
            await signalled.wait()
            return await stop()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in handlers.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)

    return run_event_loop(serve())
