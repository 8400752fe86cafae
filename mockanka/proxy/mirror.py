"""Mirroring: bytes are forwarded first, and copies of them go to the process that reads and checks them.

That process may fall behind. Then connections are skipped from some request on, until it has caught up.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from typing import Any

from mockanka.proxy.frames import FrameKind, pack_frame
from mockanka.proxy.http1 import LOCAL_PREFIX
from mockanka.proxy.relay import Relay

FLUSH_SIZE = 64 * 1024
FLUSH_INTERVAL = 0.002
"""Seconds that a copy may wait for others, to be sent with them."""
MAX_WAITING = 4 * 1024 * 1024
"""Bytes of copies that wait for the other process; beyond them, connections are skipped."""
MIN_WAITING = 1024 * 1024
"""Bytes of copies below which no more connections are skipped."""
_STATUS_LINE_START = b"HTTP/1.1 200"
_MAY_BE_LOCAL = re.compile(rb"[!-~]{0,32}(?: [^\r\n]{0,6})?\Z|[!-~]+ " + LOCAL_PREFIX)


class Mirror:
    """Sends copies of traffic in frames. ``write`` takes bytes, and ``waiting`` returns how many are not sent yet."""

    def __init__(self, write: Callable[[bytes], None], waiting: Callable[[], int], log: Callable[[str], None]) -> None:
        self._write, self._waiting, self._log = write, waiting, log
        self._buffer = bytearray()
        self._flush_timer: asyncio.TimerHandle | None = None
        self._connections = 0
        self._is_behind = False
        self.skipped_requests = 0
        """Requests that were forwarded without a copy."""

    def new_number(self) -> int:
        """Return the number of another connection."""
        self._connections += 1
        return self._connections

    def add(self, kind: FrameKind, number: int, content: bytes = b"") -> None:
        """Send a frame soon."""
        self._buffer += pack_frame(kind, number, content, time.perf_counter())
        if len(self._buffer) >= FLUSH_SIZE:
            self.flush()
        elif self._flush_timer is None:
            self._flush_timer = asyncio.get_running_loop().call_later(FLUSH_INTERVAL, self.flush)

    def flush(self) -> None:
        """Send all frames now."""
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        if self._buffer:
            self._write(bytes(self._buffer))
            self._buffer.clear()

    @property
    def is_behind(self) -> bool:
        """True if so many copies wait that connections are to be skipped."""
        self._is_behind = self._waiting() > (MIN_WAITING if self._is_behind else MAX_WAITING)
        return self._is_behind

    def skip_request(self) -> None:
        """Count a request that is forwarded without a copy; the first is logged."""
        self.skipped_requests += 1
        if self.skipped_requests == 1:
            self._log("checks fall behind: from here on requests are skipped; the report counts them as skipped")


class MirroredRelay(Relay):
    """Forwards bytes without reading them, and has a mirror send copies.

    Requests to the proxy itself have to be read. Where one may begin, the relay goes on as one that reads: at the
    beginning of a connection, or when the client sends after the target has sent.
    """

    def __init__(self, mirror: Mirror, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._mirror: Mirror | None = mirror
        self._number = mirror.new_number()
        """The connection's number in the frames; 0 while it is skipped."""
        self._is_clients_turn = True
        """True if a request may begin."""
        self._response_start = b""
        """The beginning of what the target has sent since the client has."""
        self._has_other_protocol = False

    def stop(self) -> None:
        self._copy(FrameKind.STOPPED)
        super().stop()

    def _copy(self, kind: FrameKind, content: bytes = b"") -> None:
        if self._mirror is None or not self._number:
            return
        if not self._mirror.is_behind:
            self._mirror.add(kind, self._number, content)
            return
        self._abandon(self._mirror)
        if not self._is_clients_turn:
            self._mirror.skip_request()  # the one that is being answered

    def _abandon(self, mirror: Mirror) -> None:
        mirror.add(FrameKind.ABANDONED, self._number)
        self._number = 0

    def _on_client_data(self, data: bytes) -> None:
        if self._mirror is None:
            super()._on_client_data(data)
            return
        if self._is_clients_turn and _MAY_BE_LOCAL.match(data):
            if self._number:
                self._abandon(self._mirror)
            self._mirror = None
            super()._on_client_data(data)
            return
        if self._is_clients_turn:
            self._begin_request(self._mirror)
        self._is_clients_turn, self._response_start = False, b""
        self._copy(FrameKind.CLIENT_DATA, data)
        self._send_to_target(data)

    def _begin_request(self, mirror: Mirror) -> None:
        """Decide whether a request is copied, and the connection from then on."""
        if mirror.is_behind:
            if self._number:
                self._abandon(mirror)
            mirror.skip_request()
        elif not self._number:
            self._number = mirror.new_number()
            if self.target.is_connected:
                self._copy(FrameKind.TARGET_CONNECTED)

    def _on_target_data(self, data: bytes) -> None:
        if self._mirror is None:
            super()._on_target_data(data)
            return
        if len(self._response_start) < len(_STATUS_LINE_START):
            self._response_start += data[: len(_STATUS_LINE_START)]
            self._note_status()
        self._copy(FrameKind.TARGET_DATA, data)
        self.client.write(data)

    def _note_status(self) -> None:
        """Find out from the beginning of a response if a request may follow it: not if it is an informational one."""
        start = self._response_start
        if start[9:12] == b"101":
            self._has_other_protocol = True
        self._is_clients_turn = len(start) >= 12 and start[9:10] != b"1" and not self._has_other_protocol

    def _on_client_eof(self) -> None:
        self._copy(FrameKind.CLIENT_EOF)
        super()._on_client_eof()

    def _on_client_lost(self, error: Exception | None) -> None:
        self._copy(FrameKind.CLIENT_LOST, b"reset" if error is not None else b"")
        super()._on_client_lost(error)

    def _on_target(self) -> None:
        self._copy(FrameKind.TARGET_CONNECTED)
        super()._on_target()

    def _on_target_eof(self) -> None:
        self._copy(FrameKind.TARGET_EOF)
        super()._on_target_eof()

    def _on_target_lost(self, error: Exception | None) -> None:
        self._copy(FrameKind.TARGET_LOST, b"reset" if error is not None else b"")
        super()._on_target_lost(error)

    def _refuse_client(self, reason: str) -> None:
        self._copy(FrameKind.TARGET_UNREACHABLE, reason.encode())
        super()._refuse_client(reason)
