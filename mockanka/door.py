"""The door: ASGI, in front of the house. What the test harness adds, and all that waits, is here.

One event loop and one thread: what happens between two awaits nobody else sees the middle of, so the state
needs no lock.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any

from mockanka import wsgi
from mockanka.api.bodies import MAX_BODY
from mockanka.control import MAX_BODY as MAX_CONTROL_BODY
from mockanka.control import as_json, create_control
from mockanka.house import House
from mockanka.units import SECOND

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

POLLED = "/api/v1/vm"
LONGEST_READ = 64 * MAX_BODY
"""Bytes of a body that is too long are still read, up to here, so that the client hears why it is refused."""


class Disconnected(Exception):
    """The client left before it had sent everything."""


class Door:
    """An ASGI application over a house."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.control = create_control(house)
        self._listeners: set[asyncio.Event] = set()
        self._closing = False
        self._date: tuple[int, bytes] = (-1, b"")

    def close(self) -> None:
        """Let go of everyone who listens."""
        self._closing = True
        self._wake()

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path = scope["path"]
        if path == POLLED and scope["method"] == "GET":
            await self._poll(scope, receive, send)
        elif path.startswith("/_mock/") or path == "/_mock":
            await self._steer(scope, receive, send)
        else:
            await self._ask(scope, receive, send)
        if self._listeners:
            self._wake()

    async def _poll(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer from the bytes at hand, or ask the house."""
        controller = self.house.controller
        controller.clock.tick()
        controller.advance()
        raw = self.house.app.answers.at_hand(scope["query_string"])
        if raw is None:
            await self._answer(send, *wsgi.call(self.house.app, scope, b"", 0))
            return
        headers = [
            (b"content-type", b"application/json"),
            (b"cache-control", b"no-store"),
            (b"content-length", b"%d" % len(raw)),
            (b"date", self._now()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": raw})

    async def _ask(self, scope: Any, receive: Receive, send: Send) -> None:
        """Pass the request on to the house."""
        try:
            body, length = await _read(receive, MAX_BODY)
        except Disconnected:
            return
        self.house.controller.clock.tick()
        await self._answer(send, *wsgi.call(self.house.app, scope, body, length))

    async def _steer(self, scope: Any, receive: Receive, send: Send) -> None:
        """The control API: neither moves a stepping clock nor counts as a request."""
        if scope["path"] == "/_mock/events" and scope["method"] == "GET" and _wants_stream(scope):
            await self._stream(scope, receive, send)
            return
        try:
            body, length = await _read(receive, MAX_CONTROL_BODY)
        except Disconnected:
            return
        await self._answer(send, *wsgi.call(self.control, scope, body, length))

    async def _answer(self, send: Send, status: int, headers: wsgi.Headers, content: bytes) -> None:
        headers = [*headers, (b"date", self._now())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _now(self) -> bytes:
        """The Date header, by the controller's clock: the same requests give the same bytes."""
        second = self.house.controller.now // SECOND
        if second != self._date[0]:
            self._date = (second, formatdate(second, usegmt=True).encode())
        return self._date[1]

    # Listeners.

    def _wake(self) -> None:
        for news in self._listeners:
            news.set()

    async def _stream(self, scope: Any, receive: Receive, send: Send) -> None:
        """Events as they happen, as text/event-stream, until the client leaves or the server stops."""
        gone = asyncio.ensure_future(_left(receive))
        news = asyncio.Event()
        self._listeners.add(news)
        headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store"), (b"date", self._now())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        last, log = _last_seen(scope), self.house.controller.log
        chunk = b": listening\n\n"
        try:
            while not (gone.done() or self._closing):
                self.house.controller.advance()
                if log is not self.house.controller.log:  # a reset begins the log anew
                    last, log = 0, self.house.controller.log
                lines = list(log.since(last))
                last = lines[-1].number if lines else last
                chunk += b"".join(_frame(line.number, as_json(line)) for line in lines)
                if chunk:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                chunk = b""
                await self._something_happens(gone, news)
        finally:
            self._listeners.discard(news)
            gone.cancel()
        if self._closing:
            await send({"type": "http.response.body", "body": b""})

    async def _something_happens(self, gone: asyncio.Future[None], news: asyncio.Event) -> None:
        """Wait for a request, for the next event's time if the clock runs by itself, or for an end."""
        woken: asyncio.Future[Any] = asyncio.ensure_future(news.wait())
        waited: set[asyncio.Future[Any]] = {woken, gone}
        try:
            await asyncio.wait(waited, timeout=self._until_next(), return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()
            news.clear()

    def _until_next(self) -> float | None:
        """Seconds of the wall's clock until something is due; None if only a request can bring that about."""
        controller = self.house.controller
        due = controller.next_due()
        if controller.clock.mode != "real" or due is None:
            return None
        return max(0.001, (due - controller.clock.now()) / SECOND / controller.clock.speed)


async def _read(receive: Receive, most: int) -> tuple[bytes, int]:
    """The request's body, of which no more is kept than is ever looked at, and its whole length."""
    parts: list[bytes] = []
    length = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        part = message.get("body", b"")
        if length <= most:
            parts.append(part)
        length += len(part)
        if not message.get("more_body") or length > LONGEST_READ:
            return b"".join(parts), length


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _wants_stream(scope: Any) -> bool:
    return any(name == b"accept" and b"text/event-stream" in value for name, value in scope["headers"])


def _last_seen(scope: Any) -> int:
    """Where a listener wants to go on: Last-Event-ID, as browsers send it, or ``?since=``."""
    wanted = dict(scope["headers"]).get(b"last-event-id") or b""
    for pair in scope["query_string"].split(b"&"):
        if pair.startswith(b"since=") and not wanted:
            wanted = pair[len(b"since=") :]
    return int(wanted) if wanted.isdigit() else 0


def _frame(number: int, data: dict[str, object]) -> bytes:
    return f"id: {number}\nevent: {data['event']}\ndata: {json.dumps(data)}\n\n".encode()
