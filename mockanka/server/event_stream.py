"""Who follows the events: answers of text/event-stream that go on until the client leaves or the server stops."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from mockanka.control import as_json
from mockanka.simulator.simulator import Simulator
from mockanka.units import SECOND

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class Listeners:
    """Everyone who listens to a house."""

    def __init__(self, house: Simulator) -> None:
        self.house = house
        self._news: set[asyncio.Event] = set()
        self._closing = False

    def close(self) -> None:
        """Let go of everyone."""
        self._closing = True
        self.wake()

    def wake(self) -> None:
        """Something may have happened."""
        for news in self._news:
            news.set()

    async def stream(self, scope: Any, receive: Receive, send: Send, date: bytes) -> None:
        """Events as they happen, until the client leaves or the server stops."""
        last, log = _last_seen(scope) or 0, self.house.controller.log
        headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store"), (b"date", date)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        gone, news = asyncio.ensure_future(left(receive)), asyncio.Event()
        self._news.add(news)
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
            self._news.discard(news)
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


def wants_stream(scope: Any) -> bool:
    """Whether it asks for the events as a stream, and says from where in a way that can be understood."""
    if scope["path"] != "/_mock/events" or scope["method"] != "GET":
        return False
    accepted = any(name == b"accept" and b"text/event-stream" in value for name, value in scope["headers"])
    return accepted and _last_seen(scope) is not None


async def left(receive: Receive) -> None:
    """Comes back when the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _last_seen(scope: Any) -> int | None:
    """Where a listener wants to go on: Last-Event-ID, as browsers send it, or ``?since=``; None if it is no number."""
    query = scope["query_string"]
    if query and not query.startswith(b"since="):
        return None
    wanted = dict(scope["headers"]).get(b"last-event-id") or query[len(b"since=") :]
    if not wanted:
        return None if query else 0
    return int(wanted) if wanted.isdigit() and len(wanted) < 20 else None


def _frame(number: int, data: dict[str, object]) -> bytes:
    return f"id: {number}\nevent: {data['event']}\ndata: {json.dumps(data)}\n\n".encode()
