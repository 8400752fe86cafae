"""HTTP requests and responses as ASGI sends them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
RawHeaders = list[tuple[bytes, bytes]]
"""Names in lower case."""


class Disconnected(Exception):
    """The client has closed its connection."""


@dataclass(slots=True)
class NotedSend:
    """ASGI's ``send``, which notes that a response has begun."""

    send: Send
    has_begun: bool = False

    def __call__(self, message: Any) -> Awaitable[None]:
        self.has_begun = True
        return self.send(message)


@dataclass(slots=True)
class Response:
    """A response before it is sent, without its Date."""

    status: int
    headers: RawHeaders
    content: bytes

    def with_content_type(self, content_type: str) -> Response:
        """Return a copy with another content type."""
        value = content_type.encode("latin-1", "replace")
        others = [pair for pair in self.headers if pair[0] != b"content-type"]
        return Response(self.status, [(b"content-type", value), *others], self.content)

    def with_content(self, content: bytes) -> Response:
        """Return a copy with another body and its length."""
        others = [pair for pair in self.headers if pair[0] != b"content-length"]
        return Response(self.status, [*others, (b"content-length", b"%d" % len(content))], content)


def decode_headers(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return headers by name in lower case; the values of those that come several times are joined by commas."""
    decoded: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        decoded[name] = f"{decoded[name]}, {value}" if name in decoded else value
    return decoded


async def send_start(send: Send, response: Response, date: bytes) -> None:
    """Send the status line and the headers."""
    headers = [*response.headers, (b"date", date)]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})


async def send_response(send: Send, response: Response, date: bytes) -> None:
    """Send a whole response."""
    headers = [*response.headers, (b"date", date)]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.content})


async def send_parts(send: Send, response: Response, parts: Iterable[bytes], date: bytes) -> None:
    """Send a response whose body comes in parts; others are served between two of them.

    A body that has one part, or whose length is known, is sent as a whole. An empty part only gives way to others.
    """
    remaining = iter(parts)
    if any(name == b"content-length" for name, _ in response.headers):
        response.content = b"".join(remaining)
        await send_response(send, response, date)
        return
    first, second = next(remaining, b""), next(remaining, None)
    if second is None:
        await send_response(send, response.with_content(first), date)
        return
    await send_start(send, response, date)
    for part in chain((first, second), remaining):
        if part:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b""})


async def read_body(receive: Receive, kept: int, read: int) -> tuple[bytes, int]:
    """Return the body of a request and its length.

    Of a body with more than ``kept`` bytes the rest is dropped; after ``read`` bytes no more are read. Raises
    Disconnected if the client leaves before it has sent everything.
    """
    parts: list[bytes] = []
    length = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        part = message.get("body", b"")
        if length <= kept:
            parts.append(part)
        length += len(part)
        if not message.get("more_body") or length > read:
            return b"".join(parts), length


async def wait_for_disconnect(receive: Receive) -> None:
    """Return when the client has closed its connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
