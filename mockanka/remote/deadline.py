"""The total deadline of a request, which the timeouts of httpx are not: they start again with every byte received."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

CONNECTION_EVENTS = ("connection.connect_tcp.complete", "connection.start_tls.complete")


class Deadline:
    """Shuts down the connection of a request when its time is over; ``expired`` says whether it did."""

    def __init__(self) -> None:
        self.expired = False
        self._connection: socket.socket | None = None
        self.connections = 0
        """The number of connections that were made."""

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """Remember the connection; to be passed to httpx as the request extension ``trace``."""
        if event == CONNECTION_EVENTS[0]:
            self.connections += 1
        if event in CONNECTION_EVENTS:
            self._connection = info["return_value"].get_extra_info("socket")

    @contextmanager
    def limit(self, seconds: float) -> Iterator[None]:
        """Limit the body of the ``with`` statement to this wall-clock time."""
        self.expired = False
        timer = threading.Timer(seconds, self._expire)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _expire(self) -> None:
        self.expired = True
        if self._connection is not None:
            try:
                # Not the method of a TLS socket, which would discard its state while another thread reads from it.
                socket.socket.shutdown(self._connection, socket.SHUT_RDWR)
            except OSError:
                self._connection = None
