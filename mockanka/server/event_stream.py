"""Event streams: responses of text/event-stream that go on until the client leaves or the server stops."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from urllib.parse import parse_qsl

from mockanka.control import event_to_json
from mockanka.json_text import write_ascii_json
from mockanka.server.http_messages import Receive, Send, wait_for_disconnect
from mockanka.server.response_faults import REPLACED_OUTCOMES
from mockanka.simulator.journal import JournalEntry
from mockanka.simulator.simulator import Simulator
from mockanka.units import SECOND

KEEP_ALIVE_SECONDS = 15.0
"""Seconds of wall time after which a stream that has sent nothing sends a comment, so that proxies do not close it."""
_PARAMETERS = {"since", "requests"}


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
        last_request = self.simulator.journal.count if _wants_requests(scope) else None
        journal, pending = self.simulator.journal, list[JournalEntry]()
        headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store"), (b"date", date)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        disconnect, news = asyncio.ensure_future(wait_for_disconnect(receive)), asyncio.Event()
        self._news.add(news)
        chunk, sent_at = b": listening\n\n", time.monotonic()
        try:
            while not (disconnect.done() or self._closing):
                self.simulator.controller.advance()
                if log is not self.simulator.controller.log:  # a reset begins the log anew
                    last, log = 0, self.simulator.controller.log
                if journal is not self.simulator.journal:
                    journal, last_request = self.simulator.journal, None if last_request is None else 0
                    pending = []
                events = list(log.since(last))
                last = events[-1].number if events else last
                chunk += b"".join(_frame(event.number, event_to_json(event)) for event in events)
                if last_request is not None:
                    if journal.count > last_request:
                        pending += journal.select(since=last_request)
                        last_request = journal.count
                    chunk += b"".join(_request_frame(entry) for entry in pending if _is_answered(entry))
                    pending = [entry for entry in pending if not _is_answered(entry)]
                if not chunk and time.monotonic() - sent_at >= KEEP_ALIVE_SECONDS:
                    chunk = b": keep-alive\n\n"
                if chunk:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                    chunk, sent_at = b"", time.monotonic()
                await self._wait_for_news(disconnect, news, sent_at + KEEP_ALIVE_SECONDS - time.monotonic())
        finally:
            self._news.discard(news)
            disconnect.cancel()
        if self._closing:
            await send({"type": "http.response.body", "body": b""})

    async def _wait_for_news(self, disconnect: asyncio.Future[None], news: asyncio.Event, longest: float) -> None:
        """Wait for a request, for the next event's time if the clock runs by itself, or for an end.

        ``longest`` is the seconds of wall time after which the wait ends anyway.
        """
        next_event = self._seconds_to_next_event()
        timeout = max(0.0, longest if next_event is None else min(next_event, longest))
        notified: asyncio.Future[Any] = asyncio.ensure_future(news.wait())
        ends: set[asyncio.Future[Any]] = {notified, disconnect}
        try:
            await asyncio.wait(ends, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
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
    query = _stream_parameters(scope)
    if query is None:
        return None
    text = dict(scope["headers"]).get(b"last-event-id") or query.get("since", "").encode()
    if not text:
        return None if "since" in query else 0
    return int(text) if text.isdigit() and len(text) < 20 else None


def _stream_parameters(scope: Any) -> dict[str, str] | None:
    """Return the parameters of the query, or None if they are not those of a stream."""
    query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
    if query.keys() - _PARAMETERS or query.get("requests", "true") not in ("true", "false"):
        return None
    return query


def _wants_requests(scope: Any) -> bool:
    query = _stream_parameters(scope)
    return query is not None and query.get("requests") == "true"


def _is_answered(entry: JournalEntry) -> bool:
    """Return whether it is known what became of the response; a fault may delay one that it has replaced."""
    return entry.status is not None or bool(entry.outcome and entry.outcome not in REPLACED_OUTCOMES)


def _request_frame(entry: JournalEntry) -> bytes:
    """Return the frame of a request. It has no id: that is the number of an event, at which a client goes on."""
    return f"event: request\ndata: {write_ascii_json(entry.as_json())}\n\n".encode()


def _frame(number: int, data: dict[str, object]) -> bytes:
    return f"id: {number}\nevent: {data['event']}\ndata: {write_ascii_json(data)}\n\n".encode()
