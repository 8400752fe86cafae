"""Event streams: what their clients get, and when they end."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from mockanka.server import event_stream
from mockanka.server.asgi import Gateway
from tests.server.asgi_client import (
    Headers,
    gateway_of,
    request,
    run_coroutine,
    scope_of,
    send_request,
    start_instance,
)


class StreamClient:
    """A client that reads an event stream."""

    def __init__(self, gateway: Gateway, target: str = "/_mock/events", headers: Headers | None = None) -> None:
        self.gateway = gateway
        self.sent: list[dict[str, Any]] = []
        self.news = asyncio.Event()
        self.leave = asyncio.Event()
        accept = (b"accept", b"text/event-stream")
        scope = scope_of("GET", target, [accept, *(headers or [])])
        self.task = asyncio.ensure_future(gateway(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        await self.leave.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)
        self.news.set()

    @property
    def text(self) -> str:
        return b"".join(message.get("body", b"") for message in self.sent[1:]).decode()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line[6:]) for line in self.text.splitlines() if line.startswith("data: ")]

    @property
    def numbers(self) -> list[int]:
        return [event["number"] for event in self.events]

    async def wait_for_events(self, count: int) -> None:
        """Wait until that many events have come, and the beginning of the stream."""
        while len(self.events) < count or not self.text:
            self.news.clear()
            await self.news.wait()

    async def disconnect(self) -> None:
        """Close the connection, and wait for the end of the call."""
        self.leave.set()
        await self.task


async def let_others_run() -> None:
    """Let all other tasks run as far as they can."""
    for _ in range(20):
        await asyncio.sleep(0)


def test_a_stream_has_the_events_of_requests() -> None:
    """Each event is sent when it happens, with its number, its kind and its details."""

    async def converse() -> tuple[StreamClient, str]:
        gateway = gateway_of()
        client = StreamClient(gateway)
        await client.wait_for_events(0)
        id = await start_instance(gateway)
        await client.wait_for_events(1)
        await send_request(gateway, "POST", "/_mock/clock/advance", {"until": {"instance": id, "state": "Started"}})
        await client.wait_for_events(4)
        await client.disconnect()
        return client, id

    client, id = run_coroutine(converse)
    first, *_, last = client.events

    assert (200, b"text/event-stream") == (
        client.sent[0]["status"],
        dict(client.sent[0]["headers"])[b"content-type"],
    )
    assert [1, 2, 3, 4] == client.numbers
    assert ("instance", id, "Scheduling", "Started") == (
        first["event"],
        first["subject"],
        first["state"],
        last["state"],
    )
    assert client.text.startswith(": listening\n\nid: 1\nevent: instance\ndata: {")
    assert client.text.endswith("}\n\n")


@pytest.mark.parametrize(
    ("target", "headers", "expected"),
    [
        ("/_mock/events", [], [1, 2, 3, 4]),
        ("/_mock/events?since=2", [], [3, 4]),
        ("/_mock/events", [(b"last-event-id", b"3")], [4]),
        ("/_mock/events?since=1", [(b"last-event-id", b"3")], [4]),
    ],
)
def test_a_stream_begins_after_the_last_event_of_the_client(target: str, headers: Headers, expected: list[int]) -> None:
    """A client that names the last event it has gets those after it; the header takes precedence over the query."""

    async def converse() -> list[int]:
        gateway = gateway_of()
        id = await start_instance(gateway)
        await send_request(gateway, "POST", "/_mock/clock/advance", {"until": {"instance": id, "state": "Started"}})
        client = StreamClient(gateway, target, headers)
        await client.wait_for_events(len(expected))
        await client.disconnect()
        return client.numbers

    assert expected == run_coroutine(converse)


BAD_STARTS = ["since=nonsense", "since=-1", "since=", "sinc=1", "since=" + "9" * 5000, "since=1&x=2"]


@pytest.mark.parametrize("query", BAD_STARTS, ids=[query[:14] for query in BAD_STARTS])
def test_a_start_that_is_not_a_number_is_refused(query: str) -> None:
    """The response is a problem, and no stream stays open."""
    gateway = gateway_of()
    response = request(gateway, "GET", f"/_mock/events?{query}", headers=[(b"accept", b"text/event-stream")])

    assert 400 == response.status
    assert "application/problem+json" == response.header("content-type")
    assert not gateway.event_streams._news


def test_a_stream_ends_when_the_gateway_closes() -> None:
    """When the server stops, the response is completed; the client need not disconnect."""

    async def converse() -> StreamClient:
        gateway = gateway_of()
        client = StreamClient(gateway)
        await client.wait_for_events(0)
        gateway.close()
        await client.task
        return client

    assert {"type": "http.response.body", "body": b""} == run_coroutine(converse).sent[-1]


def test_a_stream_that_begins_after_closing_ends_at_once() -> None:
    """A stream that is asked for while the server stops is completed without events."""

    async def converse() -> StreamClient:
        gateway = gateway_of()
        gateway.close()
        client = StreamClient(gateway)
        await client.task
        return client

    assert b"" == run_coroutine(converse).sent[-1]["body"]


def test_a_client_that_disconnects_gets_nothing_more() -> None:
    """After a disconnect the call ends, and later events are not sent."""

    async def converse() -> tuple[int, int]:
        gateway = gateway_of()
        client = StreamClient(gateway)
        await client.wait_for_events(0)
        await client.disconnect()
        count = len(client.sent)
        await start_instance(gateway)
        return count, len(client.sent)

    before, after = run_coroutine(converse)

    assert before == after


def test_a_stream_goes_on_after_a_reset() -> None:
    """After a reset the same connection gets the events of the new state, from the first on."""

    async def converse() -> list[int]:
        gateway = gateway_of()
        client = StreamClient(gateway)
        await client.wait_for_events(0)
        await start_instance(gateway)
        await send_request(gateway, "GET", "/api/v1/vm")
        await client.wait_for_events(3)
        await send_request(gateway, "POST", "/_mock/reset", {"scenario": "cold-cache"})
        await let_others_run()
        await start_instance(gateway)
        await client.wait_for_events(4)
        await client.disconnect()
        return client.numbers

    assert [1, 2, 3, 1] == run_coroutine(converse)


def test_a_stream_has_all_events_after_a_reset() -> None:
    """No event is missing, also when the new state begins with as many events as the old one had."""
    pulls = (
        "templates: [{name: os, versions: [{tag: t, size: 1GB}]}]\nnodes: [{name: 'n{n}', count: 5}]\ninstances:\n"
        + "".join(f"  - {{template: os, node: n{n}, state: Pulling}}\n" for n in range(1, 6))
    )

    async def converse() -> list[int]:
        gateway = gateway_of(clock="manual")
        client = StreamClient(gateway)
        await client.wait_for_events(0)
        await start_instance(gateway)
        await client.wait_for_events(1)
        await send_request(gateway, "PUT", "/_mock/scenario", pulls.encode())
        await let_others_run()
        kept = list(gateway.simulator.controller.log.since(0))
        assert kept
        await send_request(gateway, "GET", "/api/v1/vm")
        await let_others_run()
        await client.disconnect()
        return [*client.numbers, -1, *(line.number for line in kept)]

    numbers = run_coroutine(converse)
    cut = numbers.index(-1)

    assert [1, *numbers[cut + 1 :]] == numbers[:cut]


def test_every_stream_has_all_events() -> None:
    """Five streams at once get the same event."""

    async def converse() -> list[list[int]]:
        gateway = gateway_of()
        clients = [StreamClient(gateway) for _ in range(5)]
        for client in clients:
            await client.wait_for_events(0)
        await start_instance(gateway)
        for client in clients:
            await client.wait_for_events(1)
        gateway.close()
        for client in clients:
            await client.task
        return [client.numbers for client in clients]

    assert [[1]] * 5 == run_coroutine(converse)


def test_a_stream_has_events_that_no_request_causes() -> None:
    """With a real clock events are sent when they are due, without any request."""

    async def converse() -> list[str]:
        gateway = gateway_of(clock="real", speed=1000.0)
        client = StreamClient(gateway)
        await client.wait_for_events(0)
        await start_instance(gateway)
        await client.wait_for_events(4)
        await client.disconnect()
        return [event.get("state", event["event"]) for event in client.events]

    assert ["Scheduling", "placed", "VM cloned", "Started"] == run_coroutine(converse)


def test_a_stream_follows_a_change_of_the_speed() -> None:
    """A stream that waits for a slow clock goes on when the clock is made fast."""

    async def converse() -> int:
        gateway = gateway_of(clock="real", speed=0.001)
        client = StreamClient(gateway)
        await client.wait_for_events(0)
        await start_instance(gateway)
        await client.wait_for_events(1)
        await send_request(gateway, "PUT", "/_mock/clock", {"speed": 1000})
        await client.wait_for_events(4)
        await client.disconnect()
        return len(client.events)

    assert 4 <= run_coroutine(converse)


def test_without_the_accept_header_events_are_a_list() -> None:
    """Without text/event-stream in Accept the response is JSON with the events so far."""
    response = request(gateway_of(), "GET", "/_mock/events")

    assert (200, {"events": []}) == (response.status, response.json)
    assert "application/json" == response.header("content-type")


def test_a_stream_carries_requests_when_asked() -> None:
    """Requests that are answered after the stream has begun are frames of their own kind, without an id."""
    gateway = gateway_of()

    async def converse() -> tuple[str, str]:
        await send_request(gateway, "GET", "/api/v1/status")
        stream, plain = StreamClient(gateway, "/_mock/events?requests=true&since=0"), StreamClient(gateway)
        await let_others_run()
        await send_request(gateway, "GET", "/api/v1/vm")
        await let_others_run()
        await stream.disconnect()
        await plain.disconnect()
        return stream.text, plain.text

    text, plain_text = run_coroutine(converse)
    frames = [frame for frame in text.split("\n\n") if frame.startswith("event: request\n")]

    assert [2] == [json.loads(frame.partition("data: ")[2])["number"] for frame in frames]
    assert "/api/v1/vm" in frames[0]
    assert "event: request" not in plain_text


@pytest.mark.parametrize(
    ("do", "outcome"),
    [
        ({"body": "<p>", "delay": {"wall": "50ms"}}, "replaced"),
        ({"without": ["name"], "delay": {"wall": "50ms"}}, "changed"),
    ],
)
def test_a_stream_carries_a_request_once_its_response_is_sent(do: dict[str, object], outcome: str) -> None:
    """A delayed response that a fault has changed is not carried before it has its status."""
    gateway = gateway_of()
    gateway.simulator.add_faults([{"match": {"path": "/api/v1/vm", "method": "GET"}, "do": do}])

    messages = iter([{"type": "http.request", "body": b""}])

    async def receive() -> dict[str, Any]:
        return next(messages, None) or await asyncio.sleep(10, {"type": "http.disconnect"})

    async def send(message: dict[str, Any]) -> None:
        assert message

    async def converse() -> list[dict[str, Any]]:
        await start_instance(gateway)
        stream = StreamClient(gateway, "/_mock/events?requests=true&since=9999")
        delayed = asyncio.ensure_future(gateway(scope_of("GET", "/api/v1/vm", []), receive, send))
        await let_others_run()
        await send_request(gateway, "GET", "/api/v1/status")
        await let_others_run()
        await delayed
        await let_others_run()
        await stream.disconnect()
        return [event for event in stream.events if "outcome" in event]

    requests = [(entry["path"], entry["status"], entry["outcome"]) for entry in run_coroutine(converse)]

    assert [("/api/v1/vm", 200, outcome)] == [request for request in requests if request[0] == "/api/v1/vm"]


def test_a_stream_without_news_sends_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    """When nothing happens for a while the stream sends a comment."""
    monkeypatch.setattr(event_stream, "KEEP_ALIVE_SECONDS", 0.01)
    gateway = gateway_of()

    async def converse() -> str:
        stream = StreamClient(gateway)
        while ": keep-alive" not in stream.text:
            await asyncio.sleep(0.01)
        await stream.disconnect()
        return stream.text

    assert ": listening\n\n: keep-alive\n\n" in run_coroutine(converse)


def test_requests_that_a_stream_does_not_carry_hold_up_no_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that has nothing to send of the requests that come meanwhile sends its comments nevertheless."""
    monkeypatch.setattr(event_stream, "KEEP_ALIVE_SECONDS", 0.05)
    gateway = gateway_of()

    async def converse() -> str:
        stream, began = StreamClient(gateway), time.monotonic()
        while ": keep-alive" not in stream.text and time.monotonic() - began < 5:
            await send_request(gateway, "GET", "/api/v1/vm")
            await asyncio.sleep(0.005)
        await stream.disconnect()
        return stream.text

    assert ": listening\n\n: keep-alive\n\n" == run_coroutine(converse)
