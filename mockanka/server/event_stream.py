"""Event streams: responses of text/event-stream that go on until the client leaves or the server stops."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from mockanka.control import event_to_json
from mockanka.server.http_messages import Receive, Send, wait_for_disconnect
from mockanka.simulator.simulator import Simulator
from mockanka.units import SECOND


class EventStreams:
    """The open event streams of a simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self._news: set[asyncio.Event] = set()
        """One for each stream, set when there may be events to send."""
        self._closing = False

    def close(self) -> None:
        """End all streams, also those that are still to come."""
        self._closing = True
        self.notify()

    def notify(self) -> None:
        """Have all streams look for new events."""
        for news in self._news:
            news.set()

    async def serve(self, scope: Any, receive: Receive, send: Send, date: bytes) -> None:
        """Send events as they happen, until the client leaves or the server stops."""
        last, log = _requested_start(scope) or 0, self.simulator.controller.log
        headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store"), (b"date", date)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        disconnect, news = asyncio.ensure_future(wait_for_disconnect(receive)), asyncio.Event()
        self._news.add(news)
        chunk = b": listening\n\n"
        try:
            while not (disconnect.done() or self._closing):
                self.simulator.controller.advance()
                if log is not self.simulator.controller.log:  # a reset begins the log anew
                    last, log = 0, self.simulator.controller.log
                events = list(log.since(last))
                last = events[-1].number if events else last
                chunk += b"".join(_frame(event.number, event_to_json(event)) for event in events)
                if chunk:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                chunk = b""
                await self._wait_for_news(disconnect, news)
        finally:
            self._news.discard(news)
            disconnect.cancel()
        if self._closing:
            await send({"type": "http.response.body", "body": b""})

    async def _wait_for_news(self, disconnect: asyncio.Future[None], news: asyncio.Event) -> None:
        """Wait for a request, for the next event's time if the clock runs by itself, or for an end."""
        notified: asyncio.Future[Any] = asyncio.ensure_future(news.wait())
        ends: set[asyncio.Future[Any]] = {notified, disconnect}
        try:
            await asyncio.wait(ends, timeout=self._seconds_to_next_event(), return_when=asyncio.FIRST_COMPLETED)
        finally:
            notified.cancel()
            news.clear()

    def _seconds_to_next_event(self) -> float | None:
        """Return the seconds of wall time until an event is due, or None if only a request can bring one about."""
        controller = self.simulator.controller
        due = controller.next_due()
        if controller.clock.mode != "real" or due is None:
            return None
        return max(0.001, (due - controller.clock.now()) / SECOND / controller.clock.speed)


def wants_event_stream(scope: Any) -> bool:
    """Return whether a request asks for the events as a stream, from a start that can be understood."""
    if scope["path"] != "/_mock/events" or scope["method"] != "GET":
        return False
    accepted = any(name == b"accept" and b"text/event-stream" in value for name, value in scope["headers"])
    return accepted and _requested_start(scope) is not None


def _requested_start(scope: Any) -> int | None:
    """Return the number of the last event that the client has; None if what it says is not a number.

    Clients say it in Last-Event-ID, as browsers send it, or in ``?since=``.
    """
    query = scope["query_string"]
    if query and not query.startswith(b"since="):
        return None
    text = dict(scope["headers"]).get(b"last-event-id") or query[len(b"since=") :]
    if not text:
        return None if query else 0
    return int(text) if text.isdigit() and len(text) < 20 else None


def _frame(number: int, data: dict[str, object]) -> bytes:
    return f"id: {number}\nevent: {data['event']}\ndata: {json.dumps(data)}\n\n".encode()
