"""Functions that the simulator's server and the proxy share: listening sockets, TCP resets, serving until a signal."""

from __future__ import annotations

import asyncio
import signal
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")

BACKLOG = 2048
"""Connections that may wait to be accepted."""


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
    # Closing a socket whose time to linger is zero sends a reset.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def run_event_loop(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a new event loop of uvloop, and return its result."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def serve_until_signal(
    start: Callable[[], Awaitable[None]], ready: Callable[[], None], stop: Callable[[], Awaitable[T]]
) -> T:
    """Start a server, call ``ready``, wait for SIGINT or SIGTERM, and return what ``stop`` returns."""

    async def serve() -> T:
        signalled, loop = asyncio.Event(), asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, signalled.set)
        await start()
        ready()
        await signalled.wait()
        return await stop()

    return run_event_loop(serve())
