"""Frames between the process that forwards traffic and the one that checks it: what happened on a connection."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator
from enum import IntEnum, auto
from typing import NamedTuple

_HEADER = struct.Struct("!BIdI")


class FrameKind(IntEnum):
    """The meaning of a frame."""

    CLIENT_DATA = auto()
    CLIENT_EOF = auto()
    CLIENT_LOST = auto()
    """The content is not empty if the connection was reset."""
    TARGET_CONNECTED = auto()
    TARGET_UNREACHABLE = auto()
    """The content is the reason."""
    TARGET_DATA = auto()
    TARGET_EOF = auto()
    TARGET_LOST = auto()
    ABANDONED = auto()
    """No more frames of the connection follow, though it goes on."""
    STOPPED = auto()
    """The proxy stops, and the connection with it."""
    EXCHANGE = auto()
    """An exchange that was read in the process that forwards it."""
    CHECKED = auto()
    """The violations of such an exchange."""
    UNREAD = auto()
    """The reason why a connection is forwarded without being read."""
    REPORT = auto()
    """A request for the report, or the report."""
    CLOSE = auto()
    """A request to complete the recording, or the last report."""
    LOG = auto()


class Frame(NamedTuple):
    """A frame. ``number`` is that of a connection or of an exchange, ``at`` a time of ``time.perf_counter``."""

    kind: FrameKind
    number: int
    at: float
    content: bytes


def pack_frame(kind: FrameKind, number: int = 0, content: bytes = b"", at: float = 0.0) -> bytes:
    """Return the bytes of a frame."""
    return _HEADER.pack(kind, number, at, len(content)) + content


def unpack_frames(data: bytes) -> Iterator[Frame]:
    """Yield the frames of bytes that have whole ones."""
    position = 0
    while position < len(data):
        kind, number, at, size = _HEADER.unpack_from(data, position)
        position += _HEADER.size + size
        yield Frame(FrameKind(kind), number, at, data[position - size : position])


async def read_frame(reader: asyncio.StreamReader) -> Frame | None:
    """Return the next frame of a stream, or None at its end."""
    try:
        kind, number, at, size = _HEADER.unpack(await reader.readexactly(_HEADER.size))
        return Frame(FrameKind(kind), number, at, await reader.readexactly(size))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
