"""The two connections of a relay, and a queue that keeps the order of what is sent."""

from __future__ import annotations

import asyncio
import fcntl
import struct
import termios
from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from mockanka.serving import reset_connection

DRAIN_TIMEOUT = 5.0
"""Seconds that bytes have to be acknowledged before a reset, which would discard them."""
DRAIN_POLL_INTERVAL = 0.002


class PauseReason(Enum):
    """Why nothing is read from an endpoint."""

    CONNECTING = auto()
    """The client has sent more than is kept until the target is connected."""
    PEER_SLOW = auto()
    """The write buffer of the other endpoint is full."""
    CHECKING = auto()
    """The recorder is full, or the response waits for its check."""


class Endpoint(asyncio.Protocol):
    """One of the two connections. It has no transport until it is connected."""

    transport: asyncio.Transport | None = None
    peer: Endpoint
    """The other connection, from which nothing is read while this one cannot be written to."""

    def __init__(
        self,
        on_connect: Callable[[], None],
        on_data: Callable[[bytes], None],
        on_eof: Callable[[], None],
        on_lost: Callable[[Exception | None], None],
    ) -> None:
        self._on_connect, self._on_data, self._on_eof, self._on_lost = on_connect, on_data, on_eof, on_lost
        self.received_eof = self.closed = self._sent_eof = False
        self._pause_reasons: set[PauseReason] = set()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        if self._pause_reasons:
            transport.pause_reading()
        self._on_connect()

    def data_received(self, data: bytes) -> None:
        self._on_data(data)

    def eof_received(self) -> bool:
        """Return whether the connection stays open for writing."""
        self.received_eof = True
        self._on_eof()
        # TLS connections cannot be half-closed.
        return self.transport is not None and self.transport.get_extra_info("ssl_object") is None

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.peer.resume_reading(PauseReason.PEER_SLOW)
        self._on_lost(exc)

    def pause_writing(self) -> None:
        self.peer.pause_reading(PauseReason.PEER_SLOW)

    def resume_writing(self) -> None:
        self.peer.resume_reading(PauseReason.PEER_SLOW)

    @property
    def is_connected(self) -> bool:
        """True if there is a connection that is not closed yet."""
        return self.transport is not None and not self.closed

    @property
    def supports_half_close(self) -> bool:
        """True if the connection stays open for reading after ``send_eof``."""
        return self.transport is not None and self.transport.can_write_eof()

    def pause_reading(self, reason: PauseReason) -> None:
        """Read nothing until reading is resumed for every reason."""
        if not self._pause_reasons and self.transport is not None and not self.closed:
            self.transport.pause_reading()
        self._pause_reasons.add(reason)

    def resume_reading(self, reason: PauseReason) -> None:
        """Take a reason back, if it is one."""
        if reason in self._pause_reasons:
            self._pause_reasons.discard(reason)
            if not self._pause_reasons and self.transport is not None and not self.closed:
                self.transport.resume_reading()

    def write(self, data: bytes) -> None:
        """Send bytes, unless the connection is closed."""
        if self.transport is not None and not self.closed and not self._sent_eof:
            self.transport.write(data)

    def send_eof(self) -> None:
        """Half-close the connection, or close it if it cannot be half-closed."""
        if self.transport is None or self.closed or self._sent_eof:
            return
        self._sent_eof = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    def close(self) -> None:
        """Close the connection once everything is sent."""
        if self.transport is not None and not self.closed:
            self.transport.close()

    def abort(self) -> None:
        """Close the connection at once."""
        if self.transport is not None and not self.closed:
            self.transport.abort()

    def reset(self, until: float | None = None) -> None:
        """Reset the connection once the other side has everything, or at the loop's time ``until``."""
        if self.transport is None or self.closed:
            return
        loop = asyncio.get_running_loop()
        until = loop.time() + DRAIN_TIMEOUT if until is None else until
        if (self.transport.get_write_buffer_size() or self._unacknowledged()) and loop.time() < until:
            loop.call_later(DRAIN_POLL_INTERVAL, self.reset, until)
            return
        reset_connection(self.transport)

    def _unacknowledged(self) -> int:
        """Return the bytes in the socket's send queue; 0 on systems that cannot tell."""
        assert self.transport is not None
        try:
            number = self.transport.get_extra_info("socket").fileno()
            size: int = struct.unpack("i", fcntl.ioctl(number, termios.TIOCOUTQ, b"\0" * 4))[0]
        except OSError:
            return 0
        return size


class OrderedOutbox:
    """A queue of actions on an endpoint that keeps their order, though some become known later than others."""

    def __init__(self) -> None:
        self._slots: deque[list[Callable[[], None]]] = deque()

    def add(self, action: Callable[[], None]) -> None:
        """Run the action when all before it have run, which may be now."""
        self.reserve()(action)

    def reserve(self) -> Callable[[Callable[[], None]], None]:
        """Reserve a place in the order, and return a function that takes its action."""
        slot: list[Callable[[], None]] = []
        self._slots.append(slot)

        def fill(action: Callable[[], None]) -> None:
            slot.append(action)
            while self._slots and self._slots[0]:
                self._slots.popleft()[0]()

        return fill

    @property
    def is_waiting(self) -> bool:
        """True if actions wait for one that is not known yet."""
        return bool(self._slots)
