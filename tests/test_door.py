"""The door, called as ASGI in this process: time, polls, dates, broken clients, and who listens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mockanka import door as door_module
from mockanka import wsgi
from mockanka.api.bodies import MAX_BODY
from mockanka.core.release import Release
from mockanka.door import LONGEST_READ, Door
from mockanka.house import House
from mockanka.scenario import Options, Scenario, dump
from mockanka.units import SECOND, format_moment
from tests.conftest import examples
from tests.worlds import CORNERS

BEGIN = "2024-01-01T00:00:00Z"
Headers = list[tuple[bytes, bytes]]


def scope_of(method: str, target: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> dict[str, Any]:
    path, _, query = target.partition("?")
    return {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(b"host", b"test"), *headers],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("127.0.0.1", 8090),
    }


class Answer:
    """What the door sent."""

    def __init__(self, messages: list[dict[str, Any]]) -> None:
        self.status: int = messages[0]["status"]
        self.headers: Headers = list(messages[0]["headers"])
        self.body = b"".join(message.get("body", b"") for message in messages[1:])
        self.messages = messages

    def header(self, name: str) -> str:
        (value,) = [value for key, value in self.headers if key == name.encode()]
        return value.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def door_of(scenario: str | Scenario = "default", **options: Any) -> Door:
    found = Scenario.named(scenario) if isinstance(scenario, str) else scenario
    return Door(House(found, Options(**{"clock": "step", **options})))


async def send_parts(door: Door, scope: dict[str, Any], parts: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """All that the door sends for a request whose messages are those."""
    left = iter(parts)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return next(left)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await door(scope, receive, send)
    return sent


async def ask(door: Door, method: str, target: str, body: object = None, headers: Headers | None = None) -> Answer:
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    message = {"type": "http.request", "body": raw, "more_body": False}
    return Answer(await send_parts(door, scope_of(method, target, headers or []), [message]))


def run(story: Callable[[], Awaitable[Any]]) -> Any:
    """Run a story to its end, which must come within a few seconds."""

    async def limited() -> Any:
        async with asyncio.timeout(10):
            return await story()

    return asyncio.run(limited())


def call(door: Door, method: str, target: str, body: object = None, headers: Headers | None = None) -> Answer:
    answer = run(lambda: ask(door, method, target, body, headers))
    assert isinstance(answer, Answer)
    return answer


def now(door: Door) -> str:
    return format_moment(door.house.controller.clock.now())


# Time.

API = [
    ("GET", "/api/v1/vm"),
    ("GET", "/api/v1/vm?id=nobody"),
    ("GET", "/api/v1/node"),
    ("POST", "/api/v1/vm"),
    ("DELETE", "/api/v1/vm"),
    ("GET", "/api/v1/status"),
    ("GET", "/nowhere"),
    ("PATCH", "/api/v1/vm"),
]


@pytest.mark.parametrize(("method", "target"), API)
def test_each_api_request_moves_a_stepping_clock(method: str, target: str) -> None:
    """A stepping clock moves on by its step with each API request, whatever becomes of it."""
    door = door_of(step=7 * SECOND)
    call(door, method, target)

    assert "2024-01-01T00:00:07Z" == now(door)


@pytest.mark.parametrize(("method", "target"), API)
def test_no_request_moves_a_manual_clock(method: str, target: str) -> None:
    """A manual clock moves only when told."""
    door = door_of(clock="manual", step=7 * SECOND)
    call(door, method, target)

    assert BEGIN == now(door)


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/_mock"),
        ("GET", "/_mock/"),
        ("GET", "/_mock/health"),
        ("GET", "/_mock/clock"),
        ("PUT", "/_mock/clock"),
        ("GET", "/_mock/scenario"),
        ("GET", "/_mock/events"),
        ("GET", "/_mock/nowhere"),
        ("DELETE", "/_mock/health"),
    ],
)
def test_steering_does_not_move_a_stepping_clock(method: str, target: str) -> None:
    """Calls of the control API leave a stepping clock where it is."""
    door = door_of()
    call(door, method, target)

    assert BEGIN == now(door)


def test_who_polls_gets_there() -> None:
    """By a stepping clock an instance is Started after a handful of polls."""
    door = door_of()
    template = next(iter(door.house.controller.templates))
    (id,) = call(door, "POST", "/api/v1/vm", {"vmid": template}).json["body"]
    states = [call(door, "GET", f"/api/v1/vm?id={id}").json["body"]["instance_state"] for _ in range(6)]

    assert ["Scheduling"] * 4 + ["Started"] * 2 == states


def test_the_date_is_the_clocks() -> None:
    """Each answer carries the date of the virtual clock, API and control API alike."""
    door = door_of(step=3600 * SECOND)
    dates = [
        call(door, "GET", target).header("date")
        for target in ("/_mock/health", "/api/v1/vm", "/api/v1/node", "/nowhere", "/_mock/clock")
    ]

    assert [0, 1, 2, 3, 3] == [parsedate_to_datetime(date).hour for date in dates]
    assert "Mon, 01 Jan 2024 00:00:00 GMT" == dates[0]


def test_a_step_beyond_all_calendars_still_answers() -> None:
    """A clock that steps past the year 9999 is no reason not to answer."""
    door = door_of(step=1000 * 365 * 24 * 3600 * SECOND)
    statuses = [call(door, "GET", "/api/v1/vm").status for _ in range(10)]

    assert [200] * 10 == statuses


# Polls.


def unordered(headers: Headers) -> list[tuple[bytes, bytes]]:
    return sorted(headers)


@pytest.mark.parametrize(
    "query", ["", "?id={id}", "?id=nobody", "?id=", "?id={id}&x=1", "?ID={id}", "?x", "?id={id}&id=x"]
)
def test_polls_at_the_door_are_those_of_the_application(query: str) -> None:
    """An answer given at the door equals the application's own, byte for byte, headers too, at any time."""
    fast, slow = (door_of("busy", step=3 * SECOND) for _ in range(2))
    id = next(iter(fast.house.controller.instances))
    target = "/api/v1/vm" + query.format(id=id)
    for _ in range(12):
        quick = call(fast, "GET", target)
        slow.house.controller.clock.tick()
        status, headers, body = wsgi.call(slow.house.app, scope_of("GET", target), b"", 0)
        expected = [*headers, (b"date", quick.header("date").encode())]

        assert (status, body) == (quick.status, quick.body)
        assert unordered(expected) == unordered(quick.headers)


def test_polls_see_every_change() -> None:
    """What is kept at hand is never older than the last request."""
    door = door_of(clock="manual")
    template = next(iter(door.house.controller.templates))
    counts = [len(call(door, "GET", "/api/v1/vm").json["body"])]
    (id,) = call(door, "POST", "/api/v1/vm", {"vmid": template}).json["body"]
    counts.append(len(call(door, "GET", "/api/v1/vm").json["body"]))
    call(door, "PUT", f"/api/v1/vm?id={id}", {"name": "renamed"})
    named = call(door, "GET", "/api/v1/vm").json["body"][-1]["name"]
    call(door, "POST", "/_mock/reset")
    counts.append(len(call(door, "GET", "/api/v1/vm").json["body"]))

    assert ([1, 2, 1], "renamed") == (counts, named)


WORLD = Scenario.from_yaml(CORNERS)
SAMPLE = WORLD.controller(Options(clock="step"))
TEMPLATES, NODES, GROUPS = (list(part) for part in (SAMPLE.templates, SAMPLE.nodes, SAMPLE.groups))
ONES = [door_of(WORLD).house.controller.mint("instance")]
REQUESTS = st.one_of(
    st.just(("GET", "/api/v1/vm", None)),
    st.sampled_from(
        [("GET", f"/api/v1/{path}", None) for path in ("node", "registry/vm", "group", "status", "usb", "image")]
    ),
    st.builds(
        lambda template, count, group: ("POST", "/api/v1/vm", {"vmid": template, "count": count, **group}),
        st.sampled_from(TEMPLATES),
        st.integers(1, 3),
        st.sampled_from([{}, *({"group_id": id} for id in GROUPS)]),
    ),
    st.builds(
        lambda template: ("POST", "/api/v1/registry/vm/distribute", {"template_id": template}),
        st.sampled_from(TEMPLATES),
    ),
    st.sampled_from([("GET", f"/api/v1/vm?id={id}", None) for id in ONES]),
    st.sampled_from([("DELETE", "/api/v1/vm", {"id": id}) for id in ONES]),
    st.sampled_from([("DELETE", "/api/v1/node", {"node_id": id}) for id in NODES]),
    st.sampled_from([("POST", "/api/v1/image", {"id": id, "new_template_name": "saved"}) for id in ONES]),
    st.just(("POST", "/_mock/clock/advance", {"until": "next"})),
    st.just(("POST", "/_mock/clock/advance", {"by": "37s"})),
    st.just(("GET", "/_mock/scenario", None)),
    st.just(("GET", "/_mock/events", None)),
    st.just(("POST", "/_mock/reset", {})),
)


@settings(max_examples=examples(30, 300))
@given(st.lists(REQUESTS, max_size=12), st.integers(0, 3))
def test_the_same_requests_get_the_same_bytes(requests: list[tuple[str, str, Any]], seed: int) -> None:
    """Two doors with the same scenario and seed answer the same requests alike to the last byte."""

    async def story() -> list[list[dict[str, Any]]]:
        doors = [door_of(WORLD, seed=seed) for _ in range(2)]
        return [[message for r in requests for message in (await ask(door, *r)).messages] for door in doors]

    one, other = run(story)

    assert one == other


# Clients that misbehave.


class Part(bytes):
    """A piece of a body that knows how many bytes of its kind are still held."""

    held = 0
    most = 0

    def __new__(cls, size: int) -> Part:
        self = super().__new__(cls, size)
        cls.held += size
        cls.most = max(cls.most, cls.held)
        return self

    def __del__(self) -> None:
        Part.held -= len(self)


@pytest.mark.parametrize("release", ["1.8.0", "1.50.1"])
def test_a_body_over_the_limit_is_refused_without_being_kept(release: str) -> None:
    """Of a body that is too long no more is held than the limit, and the refusal names it."""
    door = door_of(release=Release.parse(release))
    before = dump(door.house.controller)["nodes"]
    size, count = 1 << 20, 40
    Part.held = Part.most = 0
    parts = ({"type": "http.request", "body": Part(size), "more_body": n < count - 1} for n in range(count))
    answer = Answer(run(lambda: send_parts(door, scope_of("POST", "/api/v1/vm"), parts)))

    assert ("FAIL", 200 if release == "1.8.0" else 400) == (answer.json["status"], answer.status)
    assert str(MAX_BODY) in answer.json["message"]
    assert Part.most <= MAX_BODY + 3 * size
    assert before == dump(door.house.controller)["nodes"]


def test_a_body_without_end_is_read_no_further_than_needed() -> None:
    """A client that never stops sending is answered once it has sent far more than anybody needs."""
    door = door_of()
    piece = bytes(LONGEST_READ // 16)
    served = 0

    def parts() -> Iterable[dict[str, Any]]:
        nonlocal served
        while True:
            served += 1
            yield {"type": "http.request", "body": piece, "more_body": True}

    answer = Answer(run(lambda: send_parts(door, scope_of("POST", "/api/v1/vm"), parts())))

    assert "FAIL" == answer.json["status"]
    assert served <= 18


def test_a_scenario_over_the_limit_is_refused_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control API too says that a body is too long, as a problem that names the limit."""
    most = 2 << 20
    monkeypatch.setattr("mockanka.door.MAX_CONTROL_BODY", most)
    monkeypatch.setattr("mockanka.control.problems.MAX_BODY", most)
    door = door_of()
    size, count = 1 << 20, 5
    parts = ({"type": "http.request", "body": b"#" * size, "more_body": n < count - 1} for n in range(count))
    answer = Answer(run(lambda: send_parts(door, scope_of("PUT", "/_mock/scenario"), parts)))

    assert "application/problem+json" == answer.header("content-type")
    assert (413, f"the body has {size * count} bytes, at most {most} are read") == (
        answer.status,
        answer.json["detail"],
    )


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("POST", "/api/v1/vm", b'{"vmid": "'),
        ("DELETE", "/api/v1/vm", b'{"id": "'),
        ("POST", "/_mock/reset", b"{}"),
        ("PUT", "/_mock/scenario", b"nodes: []\n"),
        ("POST", "/_mock/clock/advance", b'{"by": "30s"}'),
    ],
)
def test_a_client_that_leaves_in_mid_body_changes_nothing(method: str, target: str, body: bytes) -> None:
    """A request that was never finished is no request: no answer, no step of the clock, no change."""
    door = door_of()
    before = dump(door.house.controller)
    parts = [{"type": "http.request", "body": body, "more_body": True}, {"type": "http.disconnect"}]
    sent = run(lambda: send_parts(door, scope_of(method, target), parts))

    assert [] == sent
    assert (before, BEGIN) == (dump(door.house.controller), now(door))


def test_a_body_in_pieces_is_one_body() -> None:
    """However a body is cut, it is read as a whole."""
    door = door_of()
    raw = json.dumps({"vmid": next(iter(door.house.controller.templates))}).encode()
    parts = [{"type": "http.request", "body": raw[n : n + 1], "more_body": n < len(raw) - 1} for n in range(len(raw))]
    answer = Answer(run(lambda: send_parts(door, scope_of("POST", "/api/v1/vm"), parts)))

    assert "OK" == answer.json["status"]


def test_what_is_no_http_is_let_be() -> None:
    """A scope of another kind is left without an answer."""
    assert [] == run(lambda: send_parts(door_of(), {"type": "lifespan"}, []))


# Listeners.


class Listener:
    """A client that listens to events, as one who keeps the connection open."""

    def __init__(self, door: Door, target: str = "/_mock/events", headers: Headers | None = None) -> None:
        self.door = door
        self.sent: list[dict[str, Any]] = []
        self.news = asyncio.Event()
        self.leave = asyncio.Event()
        accept = (b"accept", b"text/event-stream")
        scope = scope_of("GET", target, [accept, *(headers or [])])
        self.task = asyncio.ensure_future(door(scope, self._receive, self._send))

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

    async def until(self, count: int) -> None:
        """Wait until it has heard of that many events."""
        while len(self.events) < count or not self.text:
            self.news.clear()
            await self.news.wait()

    async def go(self) -> None:
        self.leave.set()
        await self.task


async def take_turns() -> None:
    """Let everybody else go on as far as they can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def start_one(door: Door) -> str:
    template = next(iter(door.house.controller.templates))
    (id,) = (await ask(door, "POST", "/api/v1/vm", {"vmid": template})).json["body"]
    return str(id)


def test_a_listener_hears_what_requests_bring_about() -> None:
    """Each event is sent when it happens, with its number, its kind and its story."""

    async def story() -> tuple[Listener, str]:
        door = door_of()
        listener = Listener(door)
        await listener.until(0)
        id = await start_one(door)
        await listener.until(1)
        await ask(door, "POST", "/_mock/clock/advance", {"until": {"instance": id, "state": "Started"}})
        await listener.until(4)
        await listener.go()
        return listener, id

    listener, id = run(story)
    first, *_, last = listener.events

    assert (200, b"text/event-stream") == (
        listener.sent[0]["status"],
        dict(listener.sent[0]["headers"])[b"content-type"],
    )
    assert [1, 2, 3, 4] == listener.numbers
    assert ("instance", id, "Scheduling", "Started") == (
        first["event"],
        first["subject"],
        first["state"],
        last["state"],
    )
    assert listener.text.startswith(": listening\n\nid: 1\nevent: instance\ndata: {")
    assert listener.text.endswith("}\n\n")


@pytest.mark.parametrize(
    ("target", "headers", "expected"),
    [
        ("/_mock/events", [], [1, 2, 3, 4]),
        ("/_mock/events?since=2", [], [3, 4]),
        ("/_mock/events", [(b"last-event-id", b"3")], [4]),
        ("/_mock/events?since=1", [(b"last-event-id", b"3")], [4]),
    ],
)
def test_a_listener_goes_on_where_it_left(target: str, headers: Headers, expected: list[int]) -> None:
    """Who names the last event it saw hears those after it; the header beats the query."""

    async def story() -> list[int]:
        door = door_of()
        id = await start_one(door)
        await ask(door, "POST", "/_mock/clock/advance", {"until": {"instance": id, "state": "Started"}})
        listener = Listener(door, target, headers)
        await listener.until(len(expected))
        await listener.go()
        return listener.numbers

    assert expected == run(story)


WISHES = ["since=nonsense", "since=-1", "since=", "sinc=1", "since=" + "9" * 5000, "since=1&x=2"]


@pytest.mark.parametrize("query", WISHES, ids=[query[:14] for query in WISHES])
def test_a_listener_whose_wish_makes_no_sense_is_refused(query: str) -> None:
    """Who asks for the events after what is no number is told so, and nobody listens on."""
    door = door_of()
    answer = call(door, "GET", f"/_mock/events?{query}", headers=[(b"accept", b"text/event-stream")])

    assert 400 == answer.status
    assert "application/problem+json" == answer.header("content-type")
    assert not door.listeners._news


def test_a_listener_is_let_go_when_the_door_closes() -> None:
    """When the server stops, the stream ends as a whole, and nobody has to leave by himself."""

    async def story() -> Listener:
        door = door_of()
        listener = Listener(door)
        await listener.until(0)
        door.close()
        await listener.task
        return listener

    assert {"type": "http.response.body", "body": b""} == run(story).sent[-1]


def test_a_listener_that_comes_after_closing_is_let_go_at_once() -> None:
    """A stream that is asked for while the server stops ends right away."""

    async def story() -> Listener:
        door = door_of()
        door.close()
        listener = Listener(door)
        await listener.task
        return listener

    assert b"" == run(story).sent[-1]["body"]


def test_a_listener_that_leaves_is_forgotten() -> None:
    """Nothing is sent to who has left, and the call ends."""

    async def story() -> tuple[int, int]:
        door = door_of()
        listener = Listener(door)
        await listener.until(0)
        await listener.go()
        heard = len(listener.sent)
        await start_one(door)
        return heard, len(listener.sent)

    before, after = run(story)

    assert before == after


def test_a_listener_survives_a_reset() -> None:
    """After a reset the same connection goes on with the events of the new world, from its first."""

    async def story() -> list[int]:
        door = door_of()
        listener = Listener(door)
        await listener.until(0)
        await start_one(door)
        await ask(door, "GET", "/api/v1/vm")
        await listener.until(3)
        await ask(door, "POST", "/_mock/reset", {"scenario": "cold-cache"})
        await take_turns()
        await start_one(door)
        await listener.until(4)
        await listener.go()
        return listener.numbers

    assert [1, 2, 3, 1] == run(story)


def test_a_listener_misses_nothing_of_a_new_world() -> None:
    """All events of the new world are heard, also when it begins with as many as the old one had."""
    pulls = (
        "templates: [{name: os, versions: [{tag: t, size: 1GB}]}]\nnodes: [{name: 'n{n}', count: 5}]\ninstances:\n"
        + "".join(f"  - {{template: os, node: n{n}, state: Pulling}}\n" for n in range(1, 6))
    )

    async def story() -> list[int]:
        door = door_of(clock="manual")
        listener = Listener(door)
        await listener.until(0)
        await start_one(door)
        await listener.until(1)
        await ask(door, "PUT", "/_mock/scenario", pulls.encode())
        await take_turns()
        kept = list(door.house.controller.log.since(0))
        assert kept
        await ask(door, "GET", "/api/v1/vm")
        await take_turns()
        await listener.go()
        return [*listener.numbers, -1, *(line.number for line in kept)]

    numbers = run(story)
    cut = numbers.index(-1)

    assert [1, *numbers[cut + 1 :]] == numbers[:cut]


def test_many_listen_at_once() -> None:
    """Every listener hears everything."""

    async def story() -> list[list[int]]:
        door = door_of()
        listeners = [Listener(door) for _ in range(5)]
        for listener in listeners:
            await listener.until(0)
        await start_one(door)
        for listener in listeners:
            await listener.until(1)
        door.close()
        for listener in listeners:
            await listener.task
        return [listener.numbers for listener in listeners]

    assert [[1]] * 5 == run(story)


def test_time_that_passes_by_itself_is_heard_of() -> None:
    """By a real clock a listener hears of what comes due, without anybody asking for anything."""

    async def story() -> list[str]:
        door = door_of(clock="real", speed=1000.0)
        listener = Listener(door)
        await listener.until(0)
        await start_one(door)
        await listener.until(4)
        await listener.go()
        return [event.get("state", event["event"]) for event in listener.events]

    assert ["Scheduling", "placed", "VM cloned", "Started"] == run(story)


def test_a_change_of_speed_is_noticed_by_who_listens() -> None:
    """A listener that waits for a slow clock wakes up when the clock is made fast."""

    async def story() -> int:
        door = door_of(clock="real", speed=0.001)
        listener = Listener(door)
        await listener.until(0)
        await start_one(door)
        await listener.until(1)
        await ask(door, "PUT", "/_mock/clock", {"speed": 1000})
        await listener.until(4)
        await listener.go()
        return len(listener.events)

    assert 4 <= run(story)


def test_without_the_accept_header_events_are_a_list() -> None:
    """Who does not ask for a stream gets what there is, and the answer ends."""
    answer = call(door_of(), "GET", "/_mock/events")

    assert (200, {"events": []}) == (answer.status, answer.json)
    assert "application/json" == answer.header("content-type")


def test_the_longest_body_is_read_in_full() -> None:
    """What is kept at most is what the application takes at most."""
    assert door_module.MAX_BODY == MAX_BODY < LONGEST_READ
