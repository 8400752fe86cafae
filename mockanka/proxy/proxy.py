"""The proxy between clients and a controller: it forwards every byte, and checks the exchanges."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from mockanka.proxy.endpoints import Endpoint
from mockanka.proxy.local_responses import LocalResponses
from mockanka.proxy.recorder import Recorder
from mockanka.proxy.relay import Relay
from mockanka.proxy.target import TargetAddress
from mockanka.serving import BACKLOG, serve_until_signal


class Proxy:
    """Accepts clients on a socket, and has a relay for each."""

    def __init__(
        self,
        address: TargetAddress,
        recorder: Recorder,
        annotate: bool = False,
        log: Callable[[str], None] = print,
    ) -> None:
        """With ``annotate``, responses with violations get a header that names them."""
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
        return Relay(self._address, self.recorder, self._local_responses, self._annotate, self.relays).client

    async def stop(self) -> dict[str, Any]:
        """End all connections, check the exchanges that are left, and return the report."""
        if self._server is not None:
            self._server.close()
        for relay in list(self.relays):
            relay.stop()
        return await self.recorder.close()


def run_proxy(proxy: Proxy, listening: socket.socket, ready: Callable[[], None]) -> dict[str, Any]:
    """Forward traffic until SIGINT or SIGTERM, and return the report; ``ready`` is called once clients are accepted."""
    return serve_until_signal(lambda: proxy.start(listening), ready, proxy.stop)
