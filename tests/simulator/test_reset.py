"""A reset is total: whatever the state before, the state after it is that of a new controller."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from hypothesis import example, given, settings
from hypothesis import strategies as st

import mockanka
from mockanka.core.release import Release
from mockanka.scenario import Options, Scenario, dump
from mockanka.server.asgi import Gateway
from mockanka.simulator.simulator import Simulator
from mockanka.testing.anka import Anka
from mockanka.units import SECOND
from tests.conftest import examples
from tests.controllers import CORNERS

VM = "/api/v1/vm"
TIMEOUT = 5.0
Action = tuple[Any, ...]

NOISY = """
seed: 11
clock: {mode: manual, step: 7s}
report: {poll_every: 10s, poll_burst: 2}
templates: [{name: mac, versions: [{tag: base, size: 10GB}]}]
nodes: [{name: alpha, capacity: 2, cached: [mac]}, {name: beta, capacity: 1, usb: [phone]}]
instances:
  - {template: mac, node: alpha, state: Pushing}
  - {template: mac, count: 3}
faults:
  - {match: {path: /api/v1/usb}, do: {status: 503}, times: 1}
  - {match: {event: pull}, do: {stall: true, at: 40%}}
  - {match: {event: begin, node: beta}, do: {node: unhealthy}}
""".replace("  - {template: mac, node: alpha, state: Pushing}\n", "  - {template: mac, node: alpha}\n")
"""A scenario with faults, a poll rate, and instances that are about to start."""

WORLDS = {
    "default": Scenario.named("default"),
    "corners": Scenario.from_yaml(CORNERS),
    "noisy": Scenario.from_yaml(NOISY),
}

FAULTS: list[dict[str, Any]] = [
    {"match": {"method": "POST"}, "do": {"status": 503}, "skip": 1},
    {"match": {"path": VM}, "do": {"fail": "no", "acts": True}, "probability": 0.5},
    {"do": {"delay": {"uniform": ["1s", "1m"]}}},
    {"match": {"method": "GET"}, "do": {"stale": True}},
    {"do": {"connection": "close"}, "times": 1},
    {"match": {"path": VM}, "do": {"cut": "50%"}},
    {"match": {"path": VM, "method": "POST"}, "do": {"body": "<p>", "delay": "3s"}},
    {"do": {"refuse": "1h"}, "times": 1},
    {"do": {"dribble": "10s"}},
    {"id": "stall", "match": {"event": "schedule"}, "do": {"stall": True}, "times": 1},
    {"match": {"event": "pull"}, "do": {"fail": "disk", "at": "40%"}},
    {"match": {"event": "pull"}, "do": {"stall": True, "at": "50%"}},
    {"match": {"event": "start"}, "do": {"without": "ip", "for": "5s"}},
    {"match": {"event": "started"}, "do": {"stop": True, "after": "5s"}},
    {"match": {"event": "started"}, "do": {"vanish": True, "after": "5s", "for": "1m"}},
    {"match": {"event": "terminate"}, "do": {"ignore": True}, "times": 1},
    {"match": {"event": "begin"}, "do": {"node": "offline", "for": "1m"}},
    {"match": {"event": "begin"}, "do": {"registry": "down"}},
    {"match": {"event": "begin"}, "do": {"license": "expired"}},
]
NODE_TURNS = ("offline", "online", "unhealthy", "updating", "full", "drain")
few = st.integers(0, 3)

actions: st.SearchStrategy[Action] = st.one_of(
    st.tuples(st.just("start"), few, st.integers(1, 3), st.sampled_from(["", "job-1", "job-2"])),
    st.tuples(st.just("list"), st.integers(1, 25)),
    st.tuples(st.just("poll"), few, st.integers(1, 3)),
    st.tuples(st.just("terminate"), few),
    st.tuples(st.just("save"), few),
    st.tuples(st.just("rename"), few),
    st.tuples(st.just("distribute"), few),
    st.tuples(st.just("configure"), few),
    st.tuples(st.just("delete node"), few),
    st.tuples(st.just("delete template"), few),
    st.tuples(st.just("make group"), few),
    st.tuples(st.just("restart"), few),
    st.tuples(st.just("remove"), few),
    st.tuples(st.just("cancel"), few),
    st.tuples(st.just("drain"), few, st.booleans()),
    st.tuples(st.just("update agents")),
    st.tuples(st.just("break"), st.sampled_from([b"", b"{", b'{"vmid": 1}', b'{"x": NaN}'])),
    st.tuples(st.just("look"), st.sampled_from(["node", "registry/vm", "usb", "image", "status", "nowhere"])),
    st.tuples(st.just("fault"), st.integers(0, len(FAULTS) - 1)),
    st.tuples(st.just("remove faults")),
    st.tuples(st.just("advance"), st.sampled_from(["1s", "20s", "3m", "1000h"])),
    st.tuples(st.just("until"), st.sampled_from(["next", "idle"])),
    st.tuples(
        st.just("clock"), st.sampled_from(["manual", "step"]), st.sampled_from([0.5, 60]), st.sampled_from(["1s", "9s"])
    ),
    st.tuples(st.just("turn"), few, st.sampled_from(NODE_TURNS), st.booleans()),
    st.tuples(st.just("fate"), few, st.sampled_from(["fail", "stop", "vanish"])),
    st.tuples(st.just("load"), st.sampled_from(sorted(WORLDS))),
    st.tuples(st.just("load dump")),
    st.tuples(st.just("reset"), st.one_of(st.none(), st.integers(0, 5))),
    st.tuples(st.just("forget requests")),
)


class Session:
    """A gateway, and the actions that tests do with it."""

    def __init__(self, scenario: Scenario, options: Options) -> None:
        self.gateway = Gateway(Simulator(scenario, options))

    @property
    def simulator(self) -> Simulator:
        return self.gateway.simulator

    async def ask(self, method: str, target: str, body: object = None) -> list[dict[str, Any]]:
        """Return all messages that are sent for a request; none if a fault closes the connection."""
        path, _, query = target.partition("?")
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(b"host", b"test")],
            "http_version": "1.1",
            "scheme": "http",
            "server": ("127.0.0.1", 8090),
        }
        sent: list[dict[str, Any]] = []
        messages = [{"type": "http.request", "body": raw, "more_body": False}]
        never = asyncio.Event()

        async def receive() -> dict[str, Any]:
            if not messages:
                await never.wait()
            return messages.pop()

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.gateway(scope, receive, send)
        return sent

    def pick(self, kind: str, number: int) -> str:
        """Return the id of one of the entities of a kind, or of nothing if there are none."""
        ids = list(getattr(self.simulator.controller, kind))
        return ids[number % len(ids)] if ids else "nobody"

    async def act(self, action: Action) -> None:
        """Do an action."""
        name, *args = action
        match name, args:
            case "start", [number, count, external_id]:
                body = {"vmid": self.pick("templates", number), "count": count, "external_id": external_id}
                await self.ask("POST", VM, {**body, "usb_device": "phone"} if number == 3 else body)
            case "list", [times]:
                for _ in range(times):
                    await self.ask("GET", VM)
            case "poll", [number, times]:
                for _ in range(times):
                    await self.ask("GET", f"{VM}?id={self.pick('instances', number)}")
            case "terminate", [number]:
                await self.ask("DELETE", VM, {"id": self.pick("instances", number)})
            case "save", [number]:
                target = {"target_vm_id": self.pick("templates", number), "tag": "new"}
                await self.ask("POST", "/api/v1/image", {"id": self.pick("instances", number), **target})
            case "rename", [number]:
                await self.ask("PUT", f"{VM}?id={self.pick('instances', number)}", {"name": "x", "external_id": "y"})
            case "distribute", [number]:
                await self.ask(
                    "POST", "/api/v1/registry/vm/distribute", {"template_id": self.pick("templates", number)}
                )
            case "configure", [number]:
                await self.ask(
                    "POST", "/api/v1/node/config", {"node_id": self.pick("nodes", number), "max_vm_count": 5}
                )
            case "delete node", [number]:
                await self.ask("DELETE", "/api/v1/node", {"node_id": self.pick("nodes", number)})
            case "delete template", [number]:
                await self.ask("DELETE", f"/api/v1/registry/vm?id={self.pick('templates', number)}")
            case "make group", [number]:
                await self.ask("POST", "/api/v1/group", {"name": f"group {number}"})
            case "restart", [number]:
                await self.ask("POST", "/api/v1/rpc/vm/restart", {"instance_id": self.pick("instances", number)})
            case "remove", [number]:
                await self.ask("DELETE", f"/api/v1/registry/vm/remove?id={self.pick('templates', number)}")
            case "cancel", [number]:
                target = f"/api/v1/registry/vm/distribute?id={self.pick('distributions', number)}"
                await self.ask("DELETE", target)
            case "drain", [number, drained]:
                body = {"node_id": self.pick("nodes", number), "drain_mode": drained}
                await self.ask("POST", "/api/v1/node/config", body)
            case "update agents", []:
                await self.ask("PUT", "/api/v1/node/update")
            case "break", [body]:
                await self.ask("POST", VM, body)
            case "look", [path]:
                await self.ask("GET", f"/api/v1/{path}")
            case "fault", [number]:
                await self.ask("POST", "/_mock/faults", FAULTS[number])
            case "remove faults", []:
                await self.ask("DELETE", "/_mock/faults")
            case "advance", [length]:
                await self.ask("POST", "/_mock/clock/advance", {"by": length})
            case "until", [wait_until]:
                await self.ask("POST", "/_mock/clock/advance", {"until": wait_until})
            case "clock", [mode, speed, step]:
                await self.ask("PUT", "/_mock/clock", {"mode": mode, "speed": speed, "step": step})
            case "turn", [number, turn, at_once]:
                await self.ask("POST", f"/_mock/nodes/{self.pick('nodes', number)}/{turn}", {"at_once": at_once})
            case "fate", [number, fate]:
                await self.ask("POST", f"/_mock/instances/{self.pick('instances', number)}/{fate}")
            case "load", [name]:
                self.simulator.reset(WORLDS[name])
            case "load dump", []:
                (_, body) = await self.ask("GET", "/_mock/scenario")
                await self.ask("PUT", "/_mock/scenario", body["body"])
            case "reset", [seed]:
                await self.ask("POST", "/_mock/reset", {} if seed is None else {"seed": seed})
            case "forget requests", []:
                await self.ask("DELETE", "/_mock/requests")
            case _:
                raise AssertionError(action)

    async def picture(self) -> dict[str, Any]:
        """Return all that a client can ask for and all that is inside, without revisions."""
        controller, monitor = self.simulator.controller, self.simulator.client_monitor
        responses = {}
        for path in ("scenario", "clock", "faults", "requests", "report", "events"):
            head, body = await self.ask("GET", f"/_mock/{path}")
            responses[path] = (head["status"], head["headers"], body["body"])
        inside = {
            key: value
            for key, value in vars(controller).items()
            if key not in ("clock", "queue", "log", "revision", "faults")
        }
        for instance in controller.instances.values():
            assert instance.revision <= controller.revision
        plain = {key: repr(value) for key, value in inside.items()}
        return {
            **responses,
            "inside": {key: _without_revisions(text) for key, text in plain.items()},
            "queue": controller.queue.current_events(controller),
            "rules": list(controller.faults),
            "added": (
                controller.faults.added,
                controller.faults.has_lifecycle_rules,
                controller.faults.has_response_rules,
            ),
            "log": controller.log.count,
            "watch": {key: value for key, value in vars(monitor).items() if key != "controller"},
            "older": dict(self.gateway._earlier_responses._histories),
            "options": self.simulator.options,
        }

    async def conversation(self) -> list[list[dict[str, Any]]]:
        """Return the messages that are sent to a client that sends requests of many kinds."""
        template = self.pick("templates", 0)
        responses = [
            await self.ask("GET", VM),
            await self.ask("POST", VM, {"vmid": template, "count": 2, "external_id": "job-1"}),
            await self.ask("POST", "/api/v1/group", {"name": "new"}),
            await self.ask("POST", "/api/v1/registry/vm/distribute", {"template_id": template}),
            await self.ask("POST", "/_mock/faults", {"match": {"path": "/api/v1/status"}, "do": {"delay": "2s"}}),
        ]
        for _ in range(6):
            responses.append(await self.ask("POST", "/_mock/clock/advance", {"by": "13s"}))
            responses.append(await self.ask("GET", VM))
            for number in range(3):
                responses.append(await self.ask("GET", f"{VM}?id={self.pick('instances', -number)}"))
            for path in ("node", "registry/vm", "registry/vm/distribute", "group", "status", "image"):
                responses.append(await self.ask("GET", f"/api/v1/{path}"))
        responses += [await self.ask("GET", "/_mock/report"), await self.ask("GET", "/_mock/events")]
        return responses


def _without_revisions(text: str) -> str:
    return re.sub(r"revision=\d+", "", text)


OPTIONS = [
    Options(clock="manual"),
    Options(clock="step", seed=3, step=4 * SECOND),
    Options(clock="manual", release=Release(1, 8, 0), seed=8),
]


@given(
    world=st.sampled_from(sorted(WORLDS)),
    options=st.sampled_from(OPTIONS),
    story=st.lists(actions, min_size=1, max_size=25),
    over_http=st.booleans(),
)
@settings(max_examples=examples(20, 80))
@example(
    world="noisy",
    options=OPTIONS[0],
    story=[("fault", number) for number in range(len(FAULTS))]
    + [("start", 0, 3, "job-1"), ("list", 25), ("advance", "3m")],
    over_http=True,
)
def test_a_reset_is_a_fresh_start(world: str, options: Options, story: list[Action], over_http: bool) -> None:
    """After any requests, control calls and faults the state and all later responses are those of a new controller.

    The state includes clock, seed, faults, journal, report and events.
    """

    async def tell() -> None:
        old = Session(WORLDS[world], options)
        for action in story:
            await old.act(action)
        if over_http:
            await old.ask("POST", "/_mock/reset", {})
        else:
            old.simulator.reset()
        new = Session(old.simulator.scenario, options)

        assert await new.picture() == await old.picture()
        assert await new.conversation() == await old.conversation()
        assert without_wall_times(await new.picture()) == without_wall_times(await old.picture())

    asyncio.run(tell())


def without_wall_times(picture: dict[str, Any]) -> dict[str, Any]:
    """Return a picture without wall times: when the requests came, and how long they took."""
    status, _, body = picture["requests"]
    journal = json.loads(body)
    for entry in journal["requests"]:
        assert entry.pop("wall")
        assert entry.pop("seconds") >= 0
    return {**picture, "requests": (status, journal), "older": list(picture["older"])}


@pytest.mark.parametrize("name", sorted(WORLDS))
def test_a_reset_with_a_scenario_is_a_fresh_start_of_it(name: str) -> None:
    """A load is one, too; the options of the simulator still apply."""

    async def tell() -> None:
        pictures = []
        for how in ("reset", "load"):
            old = Session(WORLDS["default"], OPTIONS[1])
            for action in (("start", 0, 2, "job-1"), ("fault", 0), ("clock", "manual", 60, "1s"), ("list", 30)):
                await old.act(action)
            data = WORLDS[name].document.data
            if how == "reset":
                (head, _) = await old.ask("POST", "/_mock/reset", {"scenario": data})
            else:
                (head, _) = await old.ask("PUT", "/_mock/scenario", data)
            assert 200 == head["status"]
            pictures.append(await old.picture())
        new = await Session(WORLDS[name], OPTIONS[1]).picture()

        assert [new, new] == pictures

    asyncio.run(tell())


def test_the_seed_of_a_reset_determines_the_ids() -> None:
    """Instances that are started after a reset with seed 5 have the ids of a controller with seed 5."""

    async def tell() -> None:
        old, new = (
            Session(WORLDS["default"], Options(clock="manual")),
            Session(WORLDS["default"], Options(clock="manual", seed=5)),
        )
        await old.act(("start", 0, 3, ""))
        await old.ask("POST", "/_mock/reset", {"seed": 5})

        assert await new.conversation() == await old.conversation()

    asyncio.run(tell())


def test_a_refused_reset_changes_nothing() -> None:
    """After an invalid scenario or an unknown key everything is as before, journal and faults included."""

    async def tell() -> None:
        story = Session(WORLDS["noisy"], OPTIONS[0])
        for action in (("start", 0, 2, "job-1"), ("fault", 0), ("list", 5)):
            await story.act(action)
        before = await story.picture()
        for body in ({"scenario": "nope"}, {"scenario": {"nodes": 1}}, {"sceario": "x"}, {"seed": "x"}, b"[]", b"{"):
            (head, _) = await story.ask("POST", "/_mock/reset", body)
            assert 400 == head["status"]

        assert before == await story.picture()

    asyncio.run(tell())


# While somebody is being answered.


@contextmanager
def serving(speed: float = 1.0) -> Iterator[Anka]:
    with mockanka.serve("default", clock="real", speed=speed, seed=1) as anka:
        yield anka


def wait_until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def send_raw_request(anka: Anka, method: str = "GET", body: bytes = b"") -> socket.socket:
    host, port = urlsplit(anka.url).hostname, urlsplit(anka.url).port
    connection = socket.create_connection((host or "", port or 0), timeout=TIMEOUT)
    connection.sendall(f"{method} {VM} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    return connection


def receive_all(connection: socket.socket) -> bytes:
    """Return all bytes that come until the connection ends."""
    received = b""
    try:
        while part := connection.recv(65536):
            received += part
    except ConnectionResetError:
        pass
    return received


def visible_state(anka: Anka) -> tuple[object, ...]:
    """Return what a reset with a real clock must restore."""
    report = anka.report()
    names = [instance.name for instance in anka.instances.values()]
    return names, len(anka.requests), len(anka.faults), report.findings, report.requests, list(anka.events)


FRESH: tuple[object, ...] = (["nightly"], 0, 0, [], 0, [])
RESETS: dict[str, Callable[[Anka], object]] = {
    "python": lambda anka: anka.reset(),
    "http": lambda anka: requests.post(f"{anka.url}/_mock/reset", timeout=TIMEOUT),
    "load": lambda anka: anka.load("default"),
}


@pytest.mark.parametrize("how", RESETS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_reset_ends_requests_that_are_delayed(how: str, method: str) -> None:
    """The connection ends at once without a response, and the new state has nothing of the request."""
    with serving() as anka:
        wanted = json.dumps({"vmid": next(iter(anka.templates)), "external_id": "job-1"}).encode()
        anka.faults.add(match={"path": VM}, do={"delay": "1h"})
        with closing(send_raw_request(anka, method, wanted if method == "POST" else b"")) as connection:
            wait_until(lambda: len(anka.requests) == 1)
            began = time.monotonic()
            RESETS[how](anka)
            received = receive_all(connection)
            seconds = time.monotonic() - began

        assert b"" == received
        assert seconds < 1
        assert FRESH == visible_state(anka)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_reset_ends_responses_that_dribble(method: str) -> None:
    """The rest of such a response is never sent: it is from before the reset."""
    with serving() as anka:
        wanted = json.dumps({"vmid": next(iter(anka.templates)), "external_id": "job-1"}).encode()
        anka.faults.add(match={"path": VM}, do={"dribble": "1s"})
        with closing(send_raw_request(anka, method, wanted if method == "POST" else b"")) as connection:
            assert connection.recv(65536)
            began = time.monotonic()
            anka.reset()
            connection.settimeout(0.3)
            try:
                receive_all(connection)
                seconds = time.monotonic() - began
            except TimeoutError:
                seconds = float("inf")

        assert seconds < 0.3
        assert FRESH == visible_state(anka)


def test_a_client_that_leaves_after_a_reset_is_ignored() -> None:
    """The lost response to a start from before the reset is neither a finding nor an error."""
    errors: list[str] = []
    with serving() as anka:
        wanted = json.dumps({"vmid": next(iter(anka.templates)), "external_id": "job-1"}).encode()
        anka.faults.add(match={"path": VM}, do={"dribble": "1s"})
        lost = anka._simulator.client_monitor.record_lost_response

        def watched(entry: Any) -> None:
            try:
                lost(entry)
            except KeyError as error:
                errors.append(repr(error))
                raise

        anka._simulator.client_monitor.record_lost_response = watched  # type: ignore[method-assign]
        with closing(send_raw_request(anka, "POST", wanted)) as connection:
            assert connection.recv(65536)
            anka.reset()
        time.sleep(0.15)

        assert [] == errors
        assert FRESH == visible_state(anka)


def test_a_start_after_a_reset_has_the_first_ids_though_another_is_still_delayed() -> None:
    """A request that is still delayed does not use up ids of the new state."""
    with serving() as anka:
        template = next(iter(anka.templates))
        first = requests.post(anka.url + VM, json={"vmid": template}, timeout=TIMEOUT).json()
        anka.reset()
        anka.faults.add(match={"path": VM}, do={"delay": "1h"})
        with closing(send_raw_request(anka, "POST", json.dumps({"vmid": template}).encode())) as connection:
            wait_until(lambda: len(anka.requests) == 1)
            anka.reset()
            again = requests.post(anka.url + VM, json={"vmid": template}, timeout=TIMEOUT).json()

            assert b"" == receive_all(connection)
        assert first == again
        assert [1] == [request.number for request in anka.requests]


def test_many_delayed_requests_end_together() -> None:
    """A reset ends twenty requests that are delayed."""
    with serving() as anka:
        anka.faults.add(match={"path": VM}, do={"delay": "1h"})
        connections = [send_raw_request(anka) for _ in range(20)]
        try:
            wait_until(lambda: len(anka.requests) == 20)
            anka.reset()

            assert [b""] * 20 == [receive_all(connection) for connection in connections]
            assert FRESH == visible_state(anka)
        finally:
            for connection in connections:
                connection.close()


def test_resets_while_clients_start_and_poll_leave_a_sound_state() -> None:
    """Clients that go on through twenty resets get valid responses, and the last reset is total."""
    with serving(speed=1000) as anka:
        template = next(iter(anka.templates))
        end = threading.Event()
        errors: list[object] = []

        def build() -> None:
            with requests.Session() as session:
                while not end.is_set():
                    try:
                        started = session.post(
                            anka.url + VM, json={"vmid": template, "count": 2}, timeout=TIMEOUT
                        ).json()
                        shown = session.get(f"{anka.url}{VM}?id={started['body'][0]}", timeout=TIMEOUT).json()
                        if shown["status"] == "FAIL" and shown["message"] != "Not found":
                            errors.append(shown)
                    except Exception as error:
                        errors.append(error)

        clients = [threading.Thread(target=build) for _ in range(4)]
        for thread in clients:
            thread.start()
        for _ in range(20):
            anka.reset()
            anka.faults.add(match={"path": VM}, do={"delay": "500ms"}, probability=0.2)
            anka.faults.clear()
        end.set()
        for thread in clients:
            thread.join()
        anka.reset()

        assert [] == errors
        assert FRESH == visible_state(anka)


def test_a_dump_after_a_reset_is_that_of_a_fresh_controller() -> None:
    """With a manual clock the dump is that of a new controller."""
    with mockanka.serve("busy", clock="manual", seed=4) as anka:
        before = anka.dump()
        template = next(iter(anka.templates))
        requests.post(anka.url + VM, json={"vmid": template, "count": 5}, timeout=TIMEOUT)
        anka.faults.add(match={"event": "begin"}, do={"license": "expired"})
        anka.clock.advance("1h")
        anka.reset(seed=9)
        with mockanka.serve("busy", clock="manual", seed=9) as other:
            assert other.dump() == anka.dump()
        anka.reset()

        assert before == anka.dump() == dump(Scenario.named("busy").controller(Options(clock="manual", seed=4)))
