"""The proxy between clients and a controller: it forwards every byte, and checks the exchanges."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from mockanka.proxy.endpoints import Endpoint
from mockanka.proxy.local_responses import LocalResponses
from mockanka.proxy.mirror import Mirror, MirroredRelay
from mockanka.proxy.recorder import TrafficRecorder
from mockanka.proxy.recorder_process import RecorderProcess
from mockanka.proxy.relay import Relay
from mockanka.proxy.target import TargetAddress
from mockanka.serving import BACKLOG, serve_until_signal


class Proxy:
    """Accepts clients on a socket, and has a relay for each."""

    def __init__(
        self,
        address: TargetAddress,
        recorder: TrafficRecorder,
        annotate: bool = False,
        log: Callable[[str], None] = print,
        mirror: Mirror | None = None,
    ) -> None:
        """With ``annotate``, responses with violations get a header that names them.

        With ``mirror`` bytes are forwarded before anything is read, where nothing has to wait for it: annotations do,
        and so does the end of a connection with TLS, which cannot be half-closed.
        """
        self._mirror = None if annotate or address.ssl_context is not None else mirror
        self.recorder = recorder
        self.relays: set[Relay] = set()
        self._address, self._annotate = address, annotate
        self._local_responses = LocalResponses(address.base_url, recorder, log)
        self._server: asyncio.Server | None = None

    async def start(self, listening: socket.socket) -> None:
        """Accept clients from now on."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, sock=listening, backlog=BACKLOG)

    def _accept(self) -> Endpoint:
        arguments = (self._address, self.recorder, self._local_responses, self._annotate, self.relays)
        relay = Relay(*arguments) if self._mirror is None else MirroredRelay(self._mirror, *arguments)
        return relay.client

    async def stop(self) -> dict[str, Any]:
        """End all connections, check the exchanges that are left, and return the report."""
        if self._server is not None:
            self._server.close()
        for relay in list(self.relays):
            relay.stop()
        return await self.recorder.close()


def run_proxy(
    proxy: Proxy, recorder: RecorderProcess, listening: socket.socket, ready: Callable[[], None]
) -> dict[str, Any]:
    """Forward traffic until SIGINT or SIGTERM, and return the report; ``ready`` is called once clients are accepted."""

    async def start() -> None:
        await recorder.start()
        await proxy.start(listening)

    return serve_until_signal(start, ready, proxy.stop)
