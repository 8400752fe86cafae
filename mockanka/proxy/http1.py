"""HTTP/1.1 read on the side: where each message of a connection begins and ends, and what it says.

What is read here goes on as it came, also what is no HTTP: the readers only look, and say when they cannot any more.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import h11

from mockanka.contract.exchange import Headers

OWN = b"/_mock"
"""What stands under this path is the proxy's own, and is not passed on."""
MAX_HEAD = 1024 * 1024
"""Bytes of a head that are waited for; whether it is too long the two ends decide before."""


@dataclass
class Head:
    """The first line of a message and its headers, as they were written."""

    version: str
    headers: Headers
    method: str = ""
    target: str = ""
    status: int = 0
    reason: str = ""

    def get(self, name: str) -> str:
        """All that a header says; empty if it is not there."""
        return ", ".join(value for key, value in self.headers if key.lower() == name)


@dataclass
class Part:
    """Some bytes of one message, and what they say."""

    raw: bytes = b""
    head: Head | None = None
    body: bytes = b""
    ends: bool = False
    """The message is whole with this."""
    own: bool = False
    early: bool = False
    """It is an answer that another one follows, such as 100 Continue."""
    unread: str = ""
    """Why nothing that follows on this connection can be read; empty if it can."""


@dataclass
class Requests:
    """Reads what a client sends."""

    _held: bytes = b""
    _parser: h11.Connection | None = None
    _own: bool = False

    def feed(self, data: bytes) -> Iterator[Part]:
        """The parts that came; bytes are held back only while it is open whether they are for the proxy itself."""
        self._held += data
        while self._held:
            raw = self._held
            if self._parser is None:
                # Some clients end a body by a line break too many; servers pass over it.
                start = raw.lstrip(b"\r\n")
                if start != raw:
                    self._held = start
                    yield Part(raw[: len(raw) - len(start)])
                    continue
                own = _is_own(raw)
                if own is None:
                    return
                self._own = own
                self._parser = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
            self._held = b""
            part, rest = _read(self._parser, raw)
            part.raw, part.own = raw[: len(raw) - len(rest)], self._own
            if part.ends:
                self._held, self._parser = rest, None
            yield part
            if part.unread:
                return

    def rest(self) -> bytes:
        """What is held back still."""
        held, self._held = self._held, b""
        return held

    @property
    def between(self) -> bool:
        """Whether no message has begun."""
        return self._parser is None


class Answer:
    """Reads one answer, to a request whose head is known."""

    def __init__(self, asked: Head) -> None:
        self._asked = asked
        self._parser = self._fresh()

    def feed(self, data: bytes) -> tuple[Part, bytes]:
        """What the bytes say, and those of them that come behind the part."""
        part, rest = _read(self._parser, data)
        part.raw = data[: len(data) - len(rest)]
        if part.early:
            self._parser = self._fresh()  # the old one has the rest already
        if part.head is not None:
            switches = part.head.status == 101 or (self._asked.method == "CONNECT" and part.head.status // 100 == 2)
            if switches:
                part.unread, part.ends = "the connection speaks another protocol from here on", True
        return part, rest

    def _fresh(self) -> h11.Connection:
        parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        headers = [("host", "x"), ("content-length", "0")]
        if upgrade := self._asked.get("upgrade"):
            headers += [("upgrade", upgrade), ("connection", "upgrade")]
        parser.send(h11.Request(method=self._asked.method, target="/", headers=headers))
        parser.send(h11.EndOfMessage())
        return parser

    def end(self) -> Part:
        """The same for the end of the connection, which may be that of the answer."""
        part, _ = _read(self._parser, b"")
        return part


def _read(parser: h11.Connection, data: bytes) -> tuple[Part, bytes]:
    """What a parser makes of bytes, at most to the end of a message or of an early answer, and what is left of them."""
    part, body = Part(), []
    try:
        parser.receive_data(data)
        while True:
            event = parser.next_event()
            if event is h11.NEED_DATA or event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
                break
            if isinstance(event, h11.Request):
                target = event.target.decode("latin-1")
                part.head = Head(_version(event), _headers(event), event.method.decode("latin-1"), target)
            elif isinstance(event, h11.Response | h11.InformationalResponse):
                reason = event.reason.decode("latin-1")
                part.head = Head(_version(event), _headers(event), status=event.status_code, reason=reason)
                if isinstance(event, h11.InformationalResponse):
                    part.early = True
                    break
            elif isinstance(event, h11.Data):
                body.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                part.ends = True
                break
    except h11.RemoteProtocolError as wrong:
        part.unread = str(wrong)
    part.body = b"".join(body)
    rest = parser.trailing_data[0] if part.ends or part.early else b""
    return part, rest


def _version(event: h11.Request | h11.Response | h11.InformationalResponse) -> str:
    return f"HTTP/{event.http_version.decode('latin-1')}"


def _headers(event: h11.Request | h11.Response | h11.InformationalResponse) -> Headers:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers.raw_items()]


def _is_own(start: bytes) -> bool | None:
    """Whether a request is for the proxy itself; None as long as that is open."""
    _, blank, target = start[:64].partition(b" ")
    if not blank:
        return None if len(start) < 32 and re.fullmatch(rb"[!-~]*", start) else False
    if len(target) <= len(OWN):
        return None if OWN.startswith(target) else False
    return target.startswith(OWN) and target[len(OWN)] in b"/? "


@dataclass
class Kept:
    """A body as it comes, as far as it is kept."""

    limit: int
    pieces: list[bytes] = field(default_factory=list)
    size: int = 0

    def add(self, piece: bytes) -> None:
        self.size += len(piece)
        if self.size <= self.limit:
            self.pieces.append(piece)
        else:
            self.pieces.clear()

    @property
    def whole(self) -> bool:
        return self.size <= self.limit

    @property
    def content(self) -> bytes:
        return b"".join(self.pieces)


class CannotDecode(ValueError):
    """A body is compressed in a way that is not known, or is more than can be kept."""


def decoded(content: bytes, encoding: str, limit: int) -> bytes:
    """A body as it was before it was compressed."""
    for name in reversed([each.strip().lower() for each in encoding.split(",") if each.strip()]):
        if name == "identity":
            continue
        if name not in ("gzip", "x-gzip", "deflate"):
            raise CannotDecode(f"content-encoding {name}")
        bits = -zlib.MAX_WBITS if name == "deflate" and content[:1] != b"\x78" else zlib.MAX_WBITS | 32
        unpacker = zlib.decompressobj(bits)
        try:
            content = unpacker.decompress(content, limit)
        except zlib.error as wrong:
            raise CannotDecode(f"content-encoding {name}: {wrong}") from None
        if unpacker.unconsumed_tail:
            raise CannotDecode(f"more than {limit} bytes once unpacked")
    return content
