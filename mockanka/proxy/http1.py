"""An incremental reader of HTTP/1.1: where messages on a connection begin and end, and what they contain.

The proxy forwards all bytes as they come, also those that are not HTTP. The readers only observe them, and report when
they cannot read any further.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import h11

from mockanka.contract.exchange import Headers

LOCAL_PREFIX = b"/_mock"
"""The proxy responds itself to requests for paths under this one, and does not forward them."""
MAX_HEAD_SIZE = 1024 * 1024
"""The largest head in bytes that is read. Client and target usually have lower limits."""


@dataclass
class MessageHead:
    """The first line of a message and its headers, as they were written."""

    version: str
    headers: Headers
    method: str = ""
    target: str = ""
    status: int = 0
    reason: str = ""

    def get(self, name: str) -> str:
        """Return the values of a header, joined by commas; empty if there are none. ``name`` is in lower case."""
        return ", ".join(value for key, value in self.headers if key.lower() == name)


@dataclass
class MessagePart:
    """Some bytes of one message, and what they contain."""

    raw: bytes = b""
    head: MessageHead | None = None
    body: bytes = b""
    is_last: bool = False
    """The message ends with this part."""
    is_local: bool = False
    """The part belongs to a request to the proxy itself."""
    is_informational: bool = False
    """The part belongs to a response that another one follows, such as 100 Continue."""
    error: str = ""
    """Why nothing that follows on this connection can be read; empty if it can."""


@dataclass
class RequestReader:
    """Reads the requests of a client."""

    _held: bytes = b""
    _parser: h11.Connection | None = None
    _is_local: bool = False

    def feed(self, data: bytes) -> Iterator[MessagePart]:
        """Yield the parts. Bytes are held back only until it is clear whether their request is local."""
        self._held += data
        while self._held:
            raw = self._held
            if self._parser is None:
                # Some clients send a line break too many after a body; servers skip it.
                start = raw.lstrip(b"\r\n")
                if start != raw:
                    self._held = start
                    yield MessagePart(raw[: len(raw) - len(start)])
                    continue
                is_local = _is_local(raw)
                if is_local is None:
                    return
                self._is_local = is_local
                self._parser = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_SIZE)
            self._held = b""
            part, rest = _read_part(self._parser, raw)
            part.raw, part.is_local = raw[: len(raw) - len(rest)], self._is_local
            if part.is_last:
                self._held, self._parser = rest, None
            yield part
            if part.error:
                return

    def take_held(self) -> bytes:
        """Return the bytes that are held back, and forget them."""
        held, self._held = self._held, b""
        return held


class ResponseReader:
    """Reads the response to one request."""

    def __init__(self, request: MessageHead) -> None:
        self._request = request
        self._parser = self._new_parser()

    def feed(self, data: bytes) -> tuple[MessagePart, bytes]:
        """Return a part, and the bytes behind it."""
        part, rest = _read_part(self._parser, data)
        part.raw = data[: len(data) - len(rest)]
        if part.is_informational:
            # The parser has received the bytes behind the part already.
            self._parser = self._new_parser()
        if part.head is not None and self._switches_protocol(part.head):
            part.error, part.is_last = "the connection continues in another protocol", True
        return part, rest

    def feed_end(self) -> MessagePart:
        """Return the part that the end of the connection makes; it may be the last of the response."""
        part, _ = _read_part(self._parser, b"")
        return part

    def _switches_protocol(self, head: MessageHead) -> bool:
        return head.status == 101 or (self._request.method == "CONNECT" and head.status // 100 == 2)

    def _new_parser(self) -> h11.Connection:
        """Return a parser that has sent a request of the same kind."""
        parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_SIZE)
        headers = [("host", "x"), ("content-length", "0")]
        if upgrade := self._request.get("upgrade"):
            headers += [("upgrade", upgrade), ("connection", "upgrade")]
        parser.send(h11.Request(method=self._request.method, target="/", headers=headers))
        parser.send(h11.EndOfMessage())
        return parser


def _read_part(parser: h11.Connection, data: bytes) -> tuple[MessagePart, bytes]:
    """Return a part that ends at the latest with the message or informational response, and the bytes behind it."""
    part, body = MessagePart(), []
    try:
        parser.receive_data(data)
        while True:
            event = parser.next_event()
            if event is h11.NEED_DATA or event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
                break
            if isinstance(event, h11.Request):
                target = event.target.decode("latin-1")
                part.head = MessageHead(_version(event), _headers(event), event.method.decode("latin-1"), target)
            elif isinstance(event, h11.Response | h11.InformationalResponse):
                reason = event.reason.decode("latin-1")
                part.head = MessageHead(_version(event), _headers(event), status=event.status_code, reason=reason)
                if isinstance(event, h11.InformationalResponse):
                    part.is_informational = True
                    break
            elif isinstance(event, h11.Data):
                body.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                part.is_last = True
                break
    except h11.RemoteProtocolError as error:
        part.error = str(error)
    part.body = b"".join(body)
    rest = parser.trailing_data[0] if part.is_last or part.is_informational else b""
    return part, rest


def _version(event: h11.Request | h11.Response | h11.InformationalResponse) -> str:
    return f"HTTP/{event.http_version.decode('latin-1')}"


def _headers(event: h11.Request | h11.Response | h11.InformationalResponse) -> Headers:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers.raw_items()]


def _is_local(start: bytes) -> bool | None:
    """Return whether a request that starts like this is local, or None if more bytes are needed."""
    _, space, target = start[:64].partition(b" ")
    if not space:
        return None if len(start) < 32 and re.fullmatch(rb"[!-~]*", start) else False
    if len(target) <= len(LOCAL_PREFIX):
        return None if LOCAL_PREFIX.startswith(target) else False
    return target.startswith(LOCAL_PREFIX) and target[len(LOCAL_PREFIX)] in b"/? "


@dataclass
class BoundedBody:
    """A body as it comes. If it exceeds the limit only its size is kept."""

    limit: int
    size: int = 0
    _pieces: list[bytes] = field(default_factory=list)

    def add(self, piece: bytes) -> None:
        """Append some bytes."""
        self.size += len(piece)
        if self.is_complete:
            self._pieces.append(piece)
        else:
            self._pieces.clear()

    @property
    def is_complete(self) -> bool:
        """True if the body is within the limit."""
        return self.size <= self.limit

    @property
    def content(self) -> bytes:
        """The bytes; empty if the body exceeds the limit."""
        return b"".join(self._pieces)


class UndecodableBody(ValueError):
    """A body has an unknown or wrong content encoding, or exceeds the limit when it is decoded."""


def decode_body(content: bytes, encoding: str, limit: int) -> bytes:
    """Return a body without its content encoding. UndecodableBody if that fails."""
    for name in reversed([name.strip().lower() for name in encoding.split(",") if name.strip()]):
        if name == "identity":
            continue
        if name not in ("gzip", "x-gzip", "deflate"):
            raise UndecodableBody(f"content-encoding {name}")
        # Some servers send deflate without the zlib header, which begins with 0x78.
        window_bits = -zlib.MAX_WBITS if name == "deflate" and content[:1] != b"\x78" else zlib.MAX_WBITS | 32
        decompressor = zlib.decompressobj(window_bits)
        try:
            content = decompressor.decompress(content, limit)
        except zlib.error as error:
            raise UndecodableBody(f"content-encoding {name}: {error}") from None
        if decompressor.unconsumed_tail:
            raise UndecodableBody(f"more than {limit} bytes once unpacked")
    return content
