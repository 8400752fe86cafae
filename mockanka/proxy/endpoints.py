"""The two connections that a relay holds, and the order in which things go out."""

from __future__ import annotations

import asyncio
import fcntl
import struct
import termios
from collections import deque
from collections.abc import Callable
from typing import Any

from mockanka.serving import reset_connection

DRAIN, EACH = 5.0, 0.002
"""Seconds that bytes have left to get out before a reset, and between two looks."""


class End(asyncio.Protocol):
    """One of the two connections."""

    transport: asyncio.Transport | None = None
    peer: End

    def __init__(
        self,
        made: Callable[[], None],
        data: Callable[[bytes], None],
        ended: Callable[[], None],
        lost: Callable[[Exception | None], None],
    ) -> None:
        self._made, self._data, self._ended, self._lost = made, data, ended, lost
        self.ended = self.closed = self._shut = False
        self._holds: set[str] = set()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        if self._holds:
            transport.pause_reading()
        self._made()

    def data_received(self, data: bytes) -> None:
        self._data(data)

    def eof_received(self) -> bool:
        self.ended = True
        self._ended()
        # TLS has no half of a connection that stays open.
        return self.transport is not None and self.transport.get_extra_info("ssl_object") is None

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.peer.free("slow")
        self._lost(exc)

    def pause_writing(self) -> None:
        self.peer.hold("slow")

    def resume_writing(self) -> None:
        self.peer.free("slow")

    def hold(self, why: str) -> None:
        """Read no further until every reason for it is gone."""
        if not self._holds and self.transport is not None and not self.closed:
            self.transport.pause_reading()
        self._holds.add(why)

    def free(self, why: str) -> None:
        if why in self._holds:
            self._holds.discard(why)
            if not self._holds and self.transport is not None and not self.closed:
                self.transport.resume_reading()

    def write(self, data: bytes) -> None:
        if self.transport is not None and not self.closed and not self._shut:
            self.transport.write(data)

    def shut(self) -> None:
        """Say that no more comes, and go on hearing if there is such a thing."""
        if self.transport is None or self.closed or self._shut:
            return
        self._shut = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    def close(self) -> None:
        if self.transport is not None and not self.closed:
            self.transport.close()

    def abort(self) -> None:
        if self.transport is not None and not self.closed:
            self.transport.abort()

    def reset(self, until: float | None = None) -> None:
        """Tell the peer by a TCP reset, once all that was written before is with it."""
        if self.transport is None or self.closed:
            return
        loop = asyncio.get_running_loop()
        until = loop.time() + DRAIN if until is None else until
        if (self.transport.get_write_buffer_size() or self._unsent()) and loop.time() < until:
            loop.call_later(EACH, self.reset, until)
            return
        reset_connection(self.transport)

    def _unsent(self) -> int:
        assert self.transport is not None
        try:
            number = self.transport.get_extra_info("socket").fileno()
            found: int = struct.unpack("i", fcntl.ioctl(number, termios.TIOCOUTQ, b"\0" * 4))[0]
        except OSError:  # not every system tells that of a socket
            return 0
        return found


class Outbox:
    """What goes to the client, in order, though some of it is not there yet."""

    def __init__(self) -> None:
        self._slots: deque[list[Callable[[], None]]] = deque()

    def add(self, do: Callable[[], None]) -> None:
        """Do it now, or as soon as all before it is done."""
        self.reserve()(do)

    def reserve(self) -> Callable[[Callable[[], None]], None]:
        """A place, and how to fill it."""
        slot: list[Callable[[], None]] = []
        self._slots.append(slot)

        def fill(do: Callable[[], None]) -> None:
            slot.append(do)
            while self._slots and self._slots[0]:
                self._slots.popleft()[0]()

        return fill

    @property
    def waits(self) -> bool:
        return bool(self._slots)
