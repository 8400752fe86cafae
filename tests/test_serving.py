"""Listening sockets, TCP resets, and serving until a signal."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from contextlib import closing

import pytest

from mockanka.serving import listen, reset_connection, serve_until_signal, url_of


def test_the_url_of_a_socket_is_one_that_a_local_client_reaches() -> None:
    """A socket on all addresses is reached at the loopback address."""
    with closing(listen("0.0.0.0", 0)) as everywhere, closing(listen("127.0.0.1", 0)) as local:
        assert f"http://127.0.0.1:{everywhere.getsockname()[1]}" == url_of(everywhere)
        assert f"http://127.0.0.1:{local.getsockname()[1]}" == url_of(local)


def test_an_address_in_use_is_an_error() -> None:
    """Two sockets cannot listen on the same port."""
    with closing(listen("127.0.0.1", 0)) as first, pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", first.getsockname()[1])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_server_stops_at_a_signal(number: signal.Signals) -> None:
    """It is started, said to be ready, stopped by the signal, and the result is that of stopping."""
    calls: list[str] = []

    async def start() -> None:
        calls.append("start")

    def ready() -> None:
        calls.append("ready")
        os.kill(os.getpid(), number)

    async def stop() -> str:
        calls.append("stop")
        return "result"

    assert "result" == serve_until_signal(start, ready, stop)
    assert ["start", "ready", "stop"] == calls


def test_a_reset_is_an_error_to_the_other_end() -> None:
    """The other end does not read an end of the connection, but a reset."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with closing(listen("127.0.0.1", 0)) as listening:
            listening.setblocking(False)
            with closing(socket.create_connection(listening.getsockname())) as other:
                accepted, _ = await loop.sock_accept(listening)
                transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, accepted)
                reset_connection(transport)
                await asyncio.sleep(0)
                other.settimeout(5)
                with pytest.raises(ConnectionResetError):
                    other.recv(1)

    asyncio.run(main())
