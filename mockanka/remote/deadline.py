"""An end to answers that do not come in time: a client's own timeouts begin anew with every byte that does."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

CONNECTED = ("connection.connect_tcp.complete", "connection.start_tls.complete")


class Cutter:
    """Shuts the connection down that a request is on, once its time is over; ``late`` says that it did."""

    def __init__(self) -> None:
        self.late = False
        self._connection: socket.socket | None = None

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """Hears of what httpx does, under the name of the extension ``trace``."""
        if event in CONNECTED:
            self._connection = info["return_value"].get_extra_info("socket")

    @contextmanager
    def after(self, seconds: float) -> Iterator[None]:
        """Within it nothing takes longer than so many seconds of the wall's clock."""
        self.late = False
        timer = threading.Timer(seconds, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _cut(self) -> None:
        self.late = True
        if self._connection is not None:
            try:
                # Not the method of a TLS connection, which would take its state from under whoever reads.
                socket.socket.shutdown(self._connection, socket.SHUT_RDWR)
            except OSError:
                self._connection = None
