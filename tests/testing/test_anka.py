"""mockanka.serve and the object it gives: served over real HTTP, steered and looked at from Python."""

from __future__ import annotations

import gc
import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

import mockanka
from mockanka.testing.anka import Anka
from mockanka.testing.request_log import Requests, distance, explain

TEMPLATE = "14.5-arm64"
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
PATIENCE = 10.0
"""Seconds that anything which should happen at once may take."""
SMALL: dict[str, Any] = {
    "templates": [{"name": "macos", "versions": [{"tag": "base", "size": "10GB"}]}],
    "nodes": [{"name": "only", "capacity": 2, "cached": ["macos:base"]}],
}
SMALL_YAML = """
templates: [{name: macos, versions: [{tag: base, size: 10GB}]}]
nodes: [{name: only, capacity: 2, cached: ["macos:base"]}]
"""
UNAVAILABLE: dict[str, Any] = {"match": {"method": "GET", "path": "/api/v1/vm"}, "do": {"status": 503}}


@pytest.fixture
def anka() -> Iterator[Anka]:
    """The default scenario by a manual clock."""
    with mockanka.serve(clock="manual", seed=1) as anka:
        yield anka


def ask(anka: Anka, method: str, path: str = "vm", **more: Any) -> requests.Response:
    return requests.request(method, f"{anka.url}/api/v1/{path}", timeout=PATIENCE, **more)


def start(anka: Anka, **body: Any) -> str:
    """Start an instance as a client does, and its id."""
    template = next(iter(anka.templates))
    return str(ask(anka, "POST", json={"vmid": template, **body}).json()["body"][0])


def shown(anka: Anka) -> tuple[object, ...]:
    """All that a test can see, to be compared with what it sees later."""
    return anka.dump(), list(anka.requests), list(anka.events), list(anka.faults), anka.clock.now, str(anka.report())


def own_threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "mockanka"]


# Serving.


def test_it_serves_while_the_block_lasts() -> None:
    """Inside the block the URL answers; after it nobody listens there."""
    with mockanka.serve("default", clock="manual", seed=1) as anka:
        answer = ask(anka, "GET", "status")

        assert 200 == answer.status_code
    with pytest.raises(requests.ConnectionError):
        ask(anka, "GET", "status")


def test_it_is_the_controller_that_the_names_of_the_package_promise(anka: Anka) -> None:
    """What ``serve`` returns is an ``Anka``, and it shows where it serves."""
    assert isinstance(anka, mockanka.Anka)
    assert f"<mockanka at {anka.url}>" == repr(anka)
    assert "<clock manual 2024-01-01T00:00:00+00:00>" == repr(anka.clock)


def test_a_package_has_no_other_names() -> None:
    """What is not promised is an AttributeError."""
    with pytest.raises(AttributeError, match="'mockanka' has no attribute 'sevre'"):
        mockanka.sevre  # noqa: B018


def test_a_block_whose_body_raises_stops_it_too() -> None:
    """The error goes on, and nobody listens any more."""
    with pytest.raises(ZeroDivisionError), mockanka.serve("empty") as anka:
        _ = 1 / 0
    with pytest.raises(requests.ConnectionError):
        ask(anka, "GET")


def test_no_thread_is_left_behind() -> None:
    """Each server has one thread, and it ends with it."""
    before = own_threads()
    with mockanka.serve("empty") as one, mockanka.serve("empty") as other:
        ask(one, "GET")
        ask(other, "GET")
        while_served = own_threads()

    assert 2 == len(while_served) - len(before)
    assert before == own_threads()


def test_stopping_twice_is_fine() -> None:
    """Stop, and again, and at the end of the block."""
    with mockanka.serve("empty") as anka:
        anka.stop()
        anka.stop()

    assert [] == [each for each in own_threads() if each is anka._handle._thread._thread]


def test_a_client_that_is_still_connected_does_not_keep_it() -> None:
    """An idle connection, an event stream and half a request are broken off when it stops."""
    anka = mockanka.serve("empty")
    idle = http.client.HTTPConnection("127.0.0.1", int(anka.url.rpartition(":")[2]), timeout=PATIENCE)
    idle.request("GET", "/api/v1/vm")
    idle.getresponse().read()
    stream = requests.get(
        f"{anka.url}/_mock/events", headers={"Accept": "text/event-stream"}, stream=True, timeout=PATIENCE
    )
    half = socket.create_connection(("127.0.0.1", idle.port), timeout=PATIENCE)
    half.sendall(b"GET /api/v1/vm HTTP/1.1\r\nHos")
    ending = threading.Thread(target=anka.stop, daemon=True)
    ending.start()
    ending.join(PATIENCE)

    assert not ending.is_alive()
    for each in (idle, stream, half):
        each.close()


COMMANDS: dict[str, Callable[[Anka], object]] = {
    "advance": lambda anka: anka.clock.advance("1s"),
    "faults": lambda anka: anka.faults.add(do={"delay": "1s"}),
    "reset": lambda anka: anka.reset(),
    "wait": lambda anka: anka.wait("x"),
}


@pytest.mark.parametrize("use", COMMANDS.values(), ids=COMMANDS.keys())
def test_who_commands_it_after_it_was_stopped_is_told_so(use: Callable[[Anka], object]) -> None:
    """Whatever a stopped controller is told to do is a RuntimeError that says it was stopped."""
    anka = mockanka.serve("empty")
    anka.stop()
    with pytest.raises(RuntimeError, match=r"^this controller has been stopped$"):
        use(anka)


LOOKS: dict[str, Callable[[Anka], object]] = {
    "now": lambda anka: anka.clock.now,
    "instances": lambda anka: {id: (one.state, one.timeline) for id, one in anka.instances.items()},
    "requests": lambda anka: [each.line for each in anka.requests],
    "events": lambda anka: anka.events,
    "faults": lambda anka: list(anka.faults),
    "report": lambda anka: anka.report(),
    "dump": lambda anka: anka.dump(),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS.keys())
def test_it_can_be_looked_at_after_it_was_stopped(look: Callable[[Anka], object]) -> None:
    """A stopped controller still tells how things were in the end."""
    anka = mockanka.serve("default", clock="manual")
    start(anka)
    anka.faults.add(do={"delay": "1s"})
    before = look(anka)
    anka.stop()

    assert before == look(anka)


def test_who_commands_while_it_is_stopped_is_told_so_and_never_hangs() -> None:
    """Threads that command the controller while it stops all end, each told that it was stopped."""
    told: list[str] = []
    stuck = 0
    for _ in range(5):
        anka = mockanka.serve("empty", clock="manual")
        together = threading.Barrier(5)

        def look(anka: Anka = anka, together: threading.Barrier = together) -> None:
            together.wait(PATIENCE)
            try:
                while True:
                    assert BEGIN == anka.clock.advance("0s")
            except RuntimeError as wrong:
                told.append(str(wrong))

        threads = [threading.Thread(target=look, daemon=True) for _ in range(4)]
        for each in threads:
            each.start()
        together.wait(PATIENCE)
        anka.clock.advance("0s")
        anka.stop()
        for each in threads:
            each.join(1)
        stuck = sum(each.is_alive() for each in threads)
        if stuck:
            break

    assert 0 == stuck
    assert {"this controller has been stopped"} == set(told)


def test_it_may_be_stopped_from_several_threads_at_once() -> None:
    """Stop is fine again also while another thread stops it."""
    wrong: list[str] = []
    for _ in range(20):
        anka = mockanka.serve("empty", clock="manual")
        together = threading.Barrier(8)

        def stop(anka: Anka = anka, together: threading.Barrier = together) -> None:
            together.wait(PATIENCE)
            try:
                anka.stop()
            except RuntimeError as error:
                wrong.append(str(error))

        threads = [threading.Thread(target=stop, daemon=True) for _ in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(PATIENCE)

    assert [] == wrong


def test_two_servers_have_nothing_in_common() -> None:
    """Each has its URL, its state, its clock and its journal."""
    with mockanka.serve(clock="manual", seed=1) as one, mockanka.serve(clock="manual", seed=1) as other:
        start(one)
        one.clock.advance("1h")

        assert one.url != other.url
        assert (2, 1) == (len(one.instances), len(other.instances))
        assert (1, 0) == (len(one.requests), len(other.requests))
        assert BEGIN == other.clock.now


def test_it_takes_the_port_and_the_host_that_it_is_given() -> None:
    """The URL names both; 0.0.0.0 is reached by 127.0.0.1."""
    with mockanka.serve("empty") as anka:
        port = int(anka.url.rpartition(":")[2])
    with mockanka.serve("empty", port=port) as anka:
        assert f"http://127.0.0.1:{port}" == anka.url
        assert 200 == ask(anka, "GET").status_code
    with mockanka.serve("empty", host="0.0.0.0") as anka:
        assert anka.url.startswith("http://127.0.0.1:")
        assert 200 == ask(anka, "GET").status_code


def test_a_port_that_is_taken_is_an_os_error() -> None:
    """Who asks for a port that another has gets OSError, and no thread is started for it."""
    with mockanka.serve("empty") as anka:
        before = own_threads()
        with pytest.raises(OSError, match="in use"):
            mockanka.serve("empty", port=int(anka.url.rpartition(":")[2]))

        assert before == own_threads()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # CPython's create_server forgets it
@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_cannot_be_is_one_of_the_promised_errors(port: int) -> None:
    """A number that is no port is an OSError or a ValueError, as ``serve`` promises."""
    kind: type[Exception] | None = None
    try:
        mockanka.serve("empty", port=port).stop()
    except Exception as wrong:
        kind = type(wrong)
    gc.collect()

    assert kind is not None
    assert issubclass(kind, OSError | ValueError), kind


# The scenario and the options.


def test_a_scenario_is_given_by_name_path_or_data(tmp_path: Path) -> None:
    """A shipped one's name, a file's path as text or as PathLike, and data all make the same controller."""
    file = tmp_path / "small.yaml"
    file.write_text(SMALL_YAML)
    dumps = []
    for given in (str(file), file, SMALL):
        with mockanka.serve(given, clock="manual") as anka:
            dumps.append(anka.dump())
    with mockanka.serve("fleet", clock="manual") as anka:
        assert 100 == len(anka.nodes)

    assert dumps[0] == dumps[1] == dumps[2]
    assert ["only"] == [each["name"] for each in dumps[0]["nodes"]]


def test_a_file_that_has_changed_is_read_again(tmp_path: Path) -> None:
    """Loading the same path gives what stands there now."""
    file = tmp_path / "mine.yaml"
    file.write_text("nodes: [{name: first}]\n")
    with mockanka.serve(file) as anka:
        file.write_text("nodes: [{name: another}]\n")
        anka.load(file)

        assert ["another"] == [each.name for each in anka.nodes.values()]


def test_data_that_is_changed_later_changes_nothing() -> None:
    """A reset begins with the scenario as it was given, whatever became of the dictionary."""
    mine: dict[str, Any] = {"nodes": [{"name": "mine"}], "faults": [{"do": {"status": 503, "body": {"why": "a"}}}]}
    with mockanka.serve(mine, clock="manual") as anka:
        before = anka.dump()
        mine["nodes"][0]["name"] = "other"
        mine["faults"][0]["do"]["body"]["why"] = "b"
        anka.reset()

        assert before == anka.dump()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("defalt", "defalt: there is no such file, and no shipped scenario: did you mean 'default'?"),
        ({"nodes": [{"nam": "x", "name": "x"}]}, "scenario: nodes[0].nam: unknown key, did you mean 'name'?"),
        (5, "5 is no scenario: give the name of one that ships, a file, or data"),
        (b"default", "b'default' is no scenario: give the name of one that ships, a file, or data"),
    ],
)
def test_a_wrong_scenario_says_what_is_wrong(given: Any, message: str) -> None:
    """ScenarioError names the place and the nearest right word."""
    with pytest.raises(mockanka.ScenarioError) as caught:
        mockanka.serve(given)

    assert message == str(caught.value)


def test_options_beat_the_scenario_and_outlive_reset_and_load() -> None:
    """Clock, step, release and seed are as given at the start, whatever a scenario says."""
    opinionated = {"seed": 99, "controller": {"release": "1.20.0"}, "clock": {"mode": "real", "step": "1m"}}

    def given(anka: Anka) -> tuple[object, ...]:
        dump = anka.dump()
        return dump["seed"], dump["controller"]["release"], dump["clock"]["mode"], dump["clock"]["step"]

    with mockanka.serve(opinionated, clock="manual", seed=7, release="1.43.0", step="9s") as anka:
        at_first = given(anka)
        anka.reset()
        after_reset = given(anka)
        anka.load({**opinionated, "seed": 3})
        after_load = given(anka)

    assert (7, "1.43.0", "manual", "9s") == at_first == after_reset == after_load


DRAINING: dict[str, Any] = {
    "controller": {"release": "1.8.0"},
    "nodes": [{"name": "mini"}],
    "faults": [{"match": {"event": "begin"}, "do": {"node": "drain"}}],
}


def test_a_scenario_is_judged_by_the_release_that_it_runs_with(tmp_path: Path) -> None:
    """What an older release does not know is no mistake of a scenario that runs with a newer one, loaded or served."""
    file = tmp_path / "draining.yaml"
    file.write_text(json.dumps(DRAINING))
    for given in (DRAINING, file):
        with mockanka.serve(given, clock="manual", release="1.50.1") as anka:
            served = anka.nodes["mini"].state
            anka.load("empty")
            anka.load(given)

            assert ("Drain Mode", "Drain Mode") == (served, anka.nodes["mini"].state)
        with mockanka.serve("default", clock="manual") as anka:
            with pytest.raises(mockanka.ScenarioError, match=r"release 1\.8\.0 knows no Drain Mode"):
                anka.load(given)
            assert 2 == len(anka.nodes)
        with pytest.raises(mockanka.ScenarioError, match=r"release 1\.8\.0 knows no Drain Mode"):
            mockanka.serve(given)


def test_the_clock_is_the_wall_s_unless_told_otherwise() -> None:
    """Without options the scenario rules: a real clock that starts now."""
    before = datetime.now(UTC)
    with mockanka.serve("empty") as anka:
        now = anka.clock.now

        assert "real" == anka.clock.mode
    assert before <= now + timedelta(microseconds=1)
    assert now <= datetime.now(UTC)


def test_a_stepping_clock_moves_with_each_api_request() -> None:
    """Each request moves it by the step, given as text or timedelta; looking does not."""
    for step in ("7s", timedelta(seconds=7)):
        with mockanka.serve("empty", clock="step", step=step) as anka:
            ask(anka, "GET")
            ask(anka, "GET")
            assert [] == list(anka.nodes)

            assert BEGIN + timedelta(seconds=14) == anka.clock.now


def test_a_fast_clock_runs_by_itself() -> None:
    """With a speed of 10^6 more than a day passes while 100 requests are answered."""
    with mockanka.serve("empty", clock="real", speed=1e6) as anka:
        before = anka.clock.now
        for _ in range(100):
            ask(anka, "GET")

        assert anka.clock.now - before > timedelta(days=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clock": "manul"}, "'manul' is no clock: did you mean 'manual'?"),
        ({"speed": 0}, "0 is no speed: give a number above zero, like 60"),
        ({"speed": -1.0}, "-1.0 is no speed: give a number above zero, like 60"),
        ({"release": "newest"}, "'newest' is no release: give one like 1.50.1"),
        ({"step": "soon"}, "'soon' is no duration: write it like 20s, 1m30s or 250ms"),
    ],
)
def test_a_wrong_option_is_a_value_error(options: dict[str, Any], message: str) -> None:
    """It says which one, and what would be right."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        mockanka.serve("empty", **options)

    assert message == str(caught.value)


def test_a_step_backwards_is_refused() -> None:
    """A negative step would turn time back with each request."""
    with pytest.raises(ValueError, match="back"):
        mockanka.serve("empty", clock="step", step=timedelta(seconds=-5)).stop()


def test_a_seed_that_is_no_number_is_refused() -> None:
    """A seed is a whole number, as in a scenario."""
    with pytest.raises((ValueError, TypeError), match="seed"):
        mockanka.serve("empty", seed="seven").stop()  # type: ignore[arg-type]


# The clock.


def test_advance_takes_text_and_timedelta_and_says_what_time_it_is(anka: Anka) -> None:
    """Both let so much time pass, and the moment after it is returned."""
    assert BEGIN == anka.clock.now
    assert BEGIN + timedelta(seconds=90) == anka.clock.advance("1m30s")
    assert BEGIN + timedelta(seconds=90, microseconds=1500) == anka.clock.advance(timedelta(microseconds=1500))
    assert BEGIN + timedelta(seconds=90, microseconds=1500) == anka.clock.now


@pytest.mark.parametrize(
    ("by", "kind", "message"),
    [
        ("-5s", ValueError, "is less than nothing"),
        (timedelta(seconds=-5), ValueError, "time does not go back"),
        ("8766000000000h", ValueError, "longer than a thousand years"),
        (timedelta(days=365_000_000), ValueError, "beyond the year 9000"),
        (5, TypeError, "5 has no unit: write it like '30s', or give a timedelta"),
    ],
)
def test_time_goes_neither_back_nor_to_its_end(anka: Anka, by: Any, kind: type[Exception], message: str) -> None:
    """What is negative, has no unit or leads beyond the end of time is refused, and no time passes."""
    before = shown(anka)
    with pytest.raises(kind, match=message):
        anka.clock.advance(by)

    assert before == shown(anka)


def test_a_thousand_years_at_a_time_until_the_end_is_refused(anka: Anka) -> None:
    """Long advances add up to the year 9000 and no further."""
    for _ in range(6):
        anka.clock.advance("8760000h")
    with pytest.raises(ValueError, match="beyond the year 9000"):
        anka.clock.advance("8760000h")

    assert 8020 == anka.clock.now.year


def test_a_year_passes_at_once(anka: Anka) -> None:
    """A year with an instance on its way is lived through, and the instance is Started since."""
    id = start(anka)
    anka.clock.advance("8760h")

    assert BEGIN + timedelta(days=365) == anka.clock.now
    assert "Started" == anka.instances[id].state


def test_next_goes_from_one_thing_that_happens_to_the_next(anka: Anka) -> None:
    """An instance is placed, then it is up; then nothing comes any more, and no time passes."""
    id = start(anka)

    assert BEGIN + timedelta(seconds=1) == anka.clock.next()
    assert "mini-02" in str(anka.instances[id].waits_for)
    assert BEGIN + timedelta(seconds=21) == anka.clock.next()
    assert "Started" == anka.instances[id].state
    with pytest.raises(mockanka.Never, match="nothing comes next"):
        anka.clock.next()
    assert BEGIN + timedelta(seconds=21) == anka.clock.now


def test_a_real_clock_can_be_moved_on_too() -> None:
    """Waiting needs no wall time by any clock."""
    with mockanka.serve(seed=1) as anka:
        id = start(anka)

        assert "Started" == anka.wait(id).state
        assert anka.clock.advance("1h") - anka.instances[id].created > timedelta(hours=1)


# Waiting.


def test_wait_goes_on_until_the_instance_is_started(anka: Anka) -> None:
    """It returns the instance as it is then; the client sees the same."""
    one = anka.wait(start(anka))
    body = ask(anka, "GET", params={"id": one.id}).json()["body"]

    assert "Started" == one.state == body["instance_state"]
    assert BEGIN + timedelta(seconds=21) == anka.clock.now


def test_wait_goes_on_to_any_state(anka: Anka) -> None:
    """Through all the life of an instance."""
    id = start(anka)
    anka.wait(id, "Started")
    anka.shut_down(id)

    assert "Stopping" == anka.wait(id, "Stopping").state
    assert "Stopped" == anka.wait(id, "Stopped").state
    ask(anka, "DELETE", json={"id": id})
    assert "Terminating" == anka.wait(id, "Terminating").state
    assert "Terminated" == anka.wait(id, "Terminated").state


def test_wait_says_that_there_is_no_capacity() -> None:
    """An instance that no node can take never starts, and Never says why."""
    with mockanka.serve(SMALL, clock="manual") as anka:
        for _ in range(2):
            anka.wait(start(anka))
        third = start(anka)
        with pytest.raises(mockanka.Never) as caught:
            anka.wait(third)

    assert f"instance {third} stays Scheduling: no free slot (1 node)" == str(caught.value)


def test_wait_says_which_fault_holds_it(anka: Anka) -> None:
    """An instance that a rule holds never starts, until the rule is gone."""
    rule = anka.faults.add(match={"event": "start"}, do={"stall": True})
    id = start(anka)
    with pytest.raises(mockanka.Never, match=f"is held in Scheduling by {rule}"):
        anka.wait(id)
    anka.faults.remove(rule)

    assert "Started" == anka.wait(id).state


def test_wait_says_with_what_message_it_failed(anka: Anka) -> None:
    """An instance in Error never starts."""
    anka.faults.add(match={"event": "start"}, do={"fail": "no license"})
    id = start(anka)
    with pytest.raises(mockanka.Never) as caught:
        anka.wait(id)

    assert "an instance that is Error is never Started (no license)" == str(caught.value)
    assert "no license" == anka.wait(id, "Error").message


def test_wait_says_that_it_vanished(anka: Anka) -> None:
    """An instance that is gone on the way never starts."""
    anka.faults.add(match={"event": "schedule"}, do={"vanish": True, "after": "10s"})
    id = start(anka)
    with pytest.raises(mockanka.Never) as caught:
        anka.wait(id)

    assert f"instance {id} is gone without having been Started" == str(caught.value)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("Startd", "'Startd' is no state: did you mean 'Started'?"),
        ("gone", "'gone' is no state: known are Error, Pulling, Pushing"),
        ("started", "'started' is no state: did you mean 'Started'?"),
    ],
)
def test_wait_knows_the_states(anka: Anka, state: str, message: str) -> None:
    """What is no state of the wire is a ValueError that names the nearest."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        anka.wait(start(anka), state)

    assert str(caught.value).startswith(message)
    assert BEGIN == anka.clock.now


def test_wait_for_what_is_not_there_is_a_key_error(anka: Anka) -> None:
    """An unknown id is named; no time passes."""
    with pytest.raises(KeyError, match="there is no instance 'nobody'"):
        anka.wait("nobody")

    assert BEGIN == anka.clock.now


def test_settle_goes_on_until_nothing_is_on_its_way() -> None:
    """All that can start has started; what waits for capacity waits on."""
    with mockanka.serve(SMALL, clock="manual") as anka:
        ids = [start(anka) for _ in range(3)]
        anka.settle()

        assert ["Started", "Started", "Scheduling"] == [anka.instances[id].state for id in ids]


def test_settle_is_at_rest_where_nothing_moves(anka: Anka) -> None:
    """Where nothing is on its way no time passes."""
    anka.settle()

    assert BEGIN == anka.clock.now


def test_settle_leaves_everything_as_it_was_when_a_fault_holds_something(anka: Anka) -> None:
    """Never names what is held and by which rule; state, clock, events and counts of rules are untouched."""
    anka.wait(start(anka))
    rule = anka.faults.add(match={"event": "start"}, do={"stall": True})
    held = start(anka)
    before = shown(anka)
    listed = ask(anka, "GET").content
    anka.requests.clear()
    before = shown(anka)
    with pytest.raises(mockanka.Never) as caught:
        anka.settle()

    assert f"it would never be idle: instance {held} is held in Scheduling by {rule}" == str(caught.value)
    assert before == shown(anka)
    assert listed == ask(anka, "GET").content
    anka.faults.clear()
    anka.settle()
    assert "Started" == anka.instances[held].state


def test_what_is_held_while_it_terminates_is_in_flight_until_it_is_forgotten(anka: Anka) -> None:
    """Nothing would bring it to Terminated, so settling says so; once it is forgotten all is at rest."""
    id = start(anka)
    anka.wait(id)
    rule = anka.faults.add(match={"event": "terminate"}, do={"stall": True})
    ask(anka, "DELETE", json={"id": id})
    before = anka.clock.now
    with pytest.raises(mockanka.Never, match=f"instance {id} is held in Terminating by {rule}"):
        anka.settle()

    assert (before, "Terminating") == (anka.clock.now, anka.instances[id].state)
    anka.clock.advance("1m")
    anka.settle()
    assert id not in anka.instances


# What there is.


def test_views_are_read_only(anka: Anka) -> None:
    """Neither what is seen nor the collection can be changed."""
    node, template, instance = anka.nodes["mini-01"], anka.templates[TEMPLATE], anka.instances["nightly"]
    for view in (node, template, instance, instance.timeline[0], instance.ports[0]):
        with pytest.raises(FrozenInstanceError):
            view.name = "other"  # type: ignore[misc,union-attr]
    with pytest.raises(TypeError):
        anka.nodes["mini-01"] = node  # type: ignore[index]


def test_an_event_cannot_be_changed_by_who_looks_at_it(anka: Anka) -> None:
    """Whatever is done to the detail of an event that was looked at, the log stays as it is."""
    start(anka)
    detail: Any = anka.events[0].detail
    before = dict(detail)
    with suppress(TypeError):
        detail["state"] = "forged"

    assert before == anka.events[0].detail


def test_an_instance_is_seen_with_all_that_is_known_of_it(anka: Anka) -> None:
    """Names, places, addresses, times and who started it."""
    group = next(each["id"] for each in anka.dump()["groups"] if each["name"] == "ios")
    one = anka.wait(start(anka, name="build", external_id="job-7", group_id=group, metadata={"pipeline": "x"}))

    assert ("Started", "", TEMPLATE, "xcode-15") == (one.state, one.message, one.template, one.tag)
    assert ("build", "job-7", "ios", {"pipeline": "x"}) == (one.name, one.external_id, one.group, one.metadata)
    assert ("mini-02", anka.nodes["mini-02"].id) == (one.node, one.node_id)
    assert ("192.168.64.2", "10.0.0.12") == (one.ip, one.host_ip)
    assert [("ssh", 22, "tcp")] == [(port.name, port.guest, port.protocol) for port in one.ports]
    assert (BEGIN, 1, None) == (one.created, one.started_by, one.waits_for)


def test_an_instance_that_is_not_started_shows_no_addresses(anka: Anka) -> None:
    """Blank and empty, as the controller has them; and in words what it waits for."""
    one = anka.instances[start(anka)]

    assert ("", "", ()) == (one.ip, one.host_ip, one.ports)
    assert (None, None) == (one.node, one.node_id)
    assert "is queued until 2024-01-01T00:00:01Z" == one.waits_for


def test_a_pull_shows_its_progress() -> None:
    """A share from 0 to 1 that grows with time."""
    scenario = {**SMALL, "nodes": [{"name": "only", "capacity": 2}]}
    with mockanka.serve(scenario, clock="manual") as anka:
        one = anka.wait(start(anka), "Pulling")
        anka.clock.advance("40s")

        assert 0.0 == one.progress
        assert pytest.approx(0.5) == anka.instances[one.id].progress
        assert "pulls to node only, 50%" in str(anka.instances[one.id].waits_for)


def test_the_timeline_tells_each_state_from_when_to_when_and_why(anka: Anka) -> None:
    """States follow each other without a gap; the present one has no end."""
    id = start(anka)
    anka.wait(id)
    anka.fail(id, "boom")
    timeline = anka.instances[id].timeline
    up = BEGIN + timedelta(seconds=21)

    assert [("Scheduling", BEGIN, up), ("Started", up, up), ("Error", up, None)] == [
        (stay.state, stay.start, stay.end) for stay in timeline
    ]
    assert ["requested", "VM is up"] == [stay.cause for stay in timeline[:2]]


def test_the_timeline_is_told_after_the_instance_is_forgotten(anka: Anka) -> None:
    """By its id, as the control API tells it; it is not among those that are there."""
    id = start(anka, name="mine")
    anka.wait(id)
    ask(anka, "DELETE", json={"id": id})
    anka.clock.advance("10m")
    there = anka.instances

    expected = ["Scheduling", "Started", "Terminating", "Terminated", "gone"]
    assert expected == [stay.state for stay in there[id].timeline]
    assert (False, False, None, 1) == (id in there, id in list(there), there.get(id), len(there))
    assert there.get(next(iter(there))) is not None
    with pytest.raises(KeyError, match="there is no instance 'mine'"):
        there["mine"]
    with pytest.raises(KeyError, match="there is no instance"):
        anka.fail(id)
    anka.reset()
    with pytest.raises(KeyError, match="there is no instance"):
        there[id]


def test_nodes_and_templates_are_seen_as_they_are_now(anka: Anka) -> None:
    """A view that is looked at anew shows what changed since; one that was kept does not."""
    kept = anka.nodes["mini-02"]
    id = start(anka)
    anka.wait(id)
    node = anka.nodes["mini-02"]

    assert (0, ()) == (kept.running, kept.instances)
    assert (1, (id,)) == (node.running, node.instances)
    assert ("Active", 2, True, True) == (node.state, node.capacity, node.reports, node.takes_work)
    assert (("14.5-arm64:xcode-15",), ("ios",)) == (node.cached, node.groups)
    assert ("arm64", 28 * 10**9, ("vanilla", "xcode-15")) == (
        anka.templates[TEMPLATE].arch,
        anka.templates[TEMPLATE].size,
        anka.templates[TEMPLATE].tags,
    )


def test_things_are_found_by_id_and_by_name(anka: Anka) -> None:
    """Both lead to the same thing; iterating gives ids."""
    for views, name in ((anka.nodes, "mini-01"), (anka.templates, TEMPLATE), (anka.instances, "nightly")):
        found = views[name]
        assert found == views[found.id]
        assert found.id in list(views)
        assert found in list(views.values())
        assert name in views
        assert "nowhere" not in views
    assert (2, 2, 1) == (len(anka.nodes), len(anka.templates), len(anka.instances))
    assert repr(anka.nodes["mini-01"]) in repr(anka.nodes)


def test_a_name_that_several_have_is_a_key_error_that_says_so(anka: Anka) -> None:
    """Two instances of one name are told apart by id only."""
    ids = [start(anka, name="twin") for _ in range(2)]
    with pytest.raises(KeyError, match="there is no instance 'twin': it is the name of several"):
        anka.instances["twin"]

    assert ids == [anka.instances[id].id for id in ids]


def test_an_unknown_name_is_a_key_error_that_names_the_nearest(anka: Anka) -> None:
    """The nearest name there is stands at the end of the message."""
    with pytest.raises(KeyError, match="there is no node 'mini-1': did you mean 'mini-01'"):
        anka.nodes["mini-1"]
    with pytest.raises(KeyError, match=f"there is no template '14.5': did you mean '{TEMPLATE}'|known are"):
        anka.templates["14.5"]
    with pytest.raises(KeyError, match="there is no instance 'nightl': did you mean 'nightly'"):
        anka.instances["nightl"]


def test_going_through_views_survives_what_is_gone_meanwhile() -> None:
    """Values are as they were at one moment: what goes while a test walks over them is no error."""
    scenario = {**SMALL, "instances": [{"template": "macos", "node": "only", "count": 2}]}
    with mockanka.serve(scenario, clock="manual") as anka:
        walk = iter(anka.instances.values())
        first = next(walk)
        for id in list(anka.instances):
            anka.vanish(id)

        assert ["Started", "Started"] == [first.state, *(each.state for each in walk)]
        assert 0 == len(anka.instances)


def test_events_tell_what_happened(anka: Anka) -> None:
    """Newest last, numbered, each with its moment and its detail."""
    id = start(anka)
    anka.wait(id)
    events = [event for event in anka.events if event.subject == id]

    assert [1, 2, 3, 4] == [event.number for event in anka.events]
    assert [("instance", "Scheduling"), ("instance", "Started")] == [
        (event.event, event.detail["state"]) for event in events if event.event == "instance"
    ]
    assert BEGIN + timedelta(seconds=21) == events[-1].at
    assert f"2024-01-01T00:00:21.000+00:00 instance {id} state: Started, cause: VM is up" == str(events[-1])


# Faults.


def test_a_rule_strikes_and_counts(anka: Anka) -> None:
    """It strikes as often as it may; ``seen`` and ``fired`` say how it fared."""
    rule = anka.faults.add(match={"method": "GET", "path": "/api/v1/vm"}, do={"status": 503}, skip=1, times=1)
    answers = [ask(anka, "GET").status_code for _ in range(3)]

    assert [200, 503, 200] == answers
    assert (3, 1) == (anka.faults[rule]["seen"], anka.faults[rule]["fired"])
    assert [rule] == [each["id"] for each in anka.faults]
    assert [rule] == [each.fault for each in anka.requests if each.fault]


def test_a_rule_is_shown_as_it_was_written(anka: Anka) -> None:
    """With its id, match, do and how often."""
    rule = anka.faults[anka.faults.add(**UNAVAILABLE, times=2, id="mine")]

    assert UNAVAILABLE["match"] == rule["match"]
    assert UNAVAILABLE["do"] == rule["do"]
    assert (2, "mine", 0, 0) == (rule["times"], rule["id"], rule["seen"], rule["fired"])


def test_a_rule_that_is_removed_strikes_no_more(anka: Anka) -> None:
    """Remove takes one out of force, clear all."""
    first, second = anka.faults.add(**UNAVAILABLE), anka.faults.add(do={"status": 500})
    anka.faults.remove(first)
    without_first = ask(anka, "GET").status_code
    anka.faults.clear()

    assert first != second
    assert 500 == without_first
    assert 200 == ask(anka, "GET").status_code
    assert (0, []) == (len(anka.faults), list(anka.faults))


def test_a_rule_that_is_not_there_is_a_key_error(anka: Anka) -> None:
    """The nearest is named where one is removed."""
    anka.faults.add(**UNAVAILABLE, id="unavailable")
    with pytest.raises(KeyError, match="there is no fault 'unavailible': did you mean 'unavailable'"):
        anka.faults.remove("unavailible")
    with pytest.raises(KeyError, match="there is no fault 'other'"):
        anka.faults["other"]

    assert 1 == len(anka.faults)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            {"match": {"event": "pul"}, "do": {"fail": "x"}},
            "fault: match.event: 'pul' is not known: did you mean",
        ),
        ({"do": {"status": 503}, "time": 1}, "fault: time: unknown key, did you mean 'times'?"),
        ({"do": {"status": 503}, "id": "taken"}, "fault: id: there is another fault 'taken'"),
        ({"do": {}}, "fault: do: it must have one of refuse, connection"),
        ({"match": {"event": "pull", "node": "mini-1"}, "do": {"fail": "x"}}, "fault: match.node: "),
        ({"do": {"status": 503}, "times": 1, "fired": 1}, "fault: fired: is counted by the controller"),
        ({"match": 5, "do": {"status": 503}}, "fault: match: must be keys with values"),
        ({"match": [], "do": {"status": 503}}, "fault: match: must be keys with values"),
        ({"do": 5}, "fault: do: must be keys with values"),
        ({"do": None}, "fault: do: has no value"),
    ],
)
def test_a_wrong_rule_changes_nothing(anka: Anka, rule: dict[str, Any], message: str) -> None:
    """ScenarioError says which key is wrong; the rules in force stay, and the next id is the one it would have been."""
    anka.faults.add(**UNAVAILABLE, id="taken")
    before = shown(anka)
    with pytest.raises(mockanka.ScenarioError) as caught:
        anka.faults.add(**rule)

    assert str(caught.value).startswith(message)
    assert before == shown(anka)


def test_refused_connections_are_taken_again_after_a_reset(anka: Anka) -> None:
    """When reset returns the controller can be reached, whatever a rule refused before."""
    refused = 0
    for _ in range(50):
        anka.faults.add(match={"path": "/api/v1/vm"}, do={"refuse": "1h"}, times=1)
        with pytest.raises(requests.ConnectionError):
            ask(anka, "GET")
        anka.reset()
        try:
            ask(anka, "GET")
        except requests.ConnectionError:
            refused += 1

    assert 0 == refused


def test_it_stops_while_connections_are_refused() -> None:
    """And right after they are taken again."""
    for reset in (False, True):
        with mockanka.serve("empty", clock="manual") as anka:
            anka.faults.add(do={"refuse": "1h"}, times=1)
            with pytest.raises(requests.ConnectionError):
                ask(anka, "GET")
            if reset:
                anka.reset()


# The journal.


def test_requests_are_kept_newest_last(anka: Anka) -> None:
    """Each with what was asked, when, and what was answered."""
    anka.clock.advance("5s")
    id = start(anka, tag="vanilla")
    ask(anka, "GET", params={"id": id})
    first, second = anka.requests

    assert ("POST", "/api/v1/vm", {}, 200) == (first.method, first.path, first.query, first.status)
    assert {"vmid": anka.templates[TEMPLATE].id, "tag": "vanilla"} == first.body
    assert [id] == first.answer["body"]
    assert ("GET", {"id": id}, None) == (second.method, second.query, second.body)
    assert BEGIN + timedelta(seconds=5) == first.at
    assert (1, 2) == (first.number, second.number)
    assert 0 < first.seconds < PATIENCE
    assert str(first).startswith("#1 2024-01-01T00:00:05Z POST /api/v1/vm {")


def test_requests_that_got_no_answer_say_so_at_once(anka: Anka) -> None:
    """When the client finds its connection closed, the journal has no status, what became of it, and the rule."""
    rule = anka.faults.add(do={"connection": "close"})
    seen = set()
    for _ in range(20):
        with pytest.raises(requests.ConnectionError):
            ask(anka, "GET")
        last = anka.requests[-1]
        seen.add((last.status, last.outcome, last.fault))

    assert {(None, "closed", rule)} == seen


def test_a_start_that_is_sent_again_at_once_is_reported(anka: Anka) -> None:
    """However soon after the closed connection the client tries again."""
    body = {"vmid": anka.templates[TEMPLATE].id, "external_id": "job-1"}
    found = []
    for _ in range(10):
        anka.reset()
        anka.faults.add(match={"method": "POST"}, do={"connection": "close", "acts": True}, times=1)
        with pytest.raises(requests.ConnectionError):
            ask(anka, "POST", json=body)
        ask(anka, "POST", json=body)
        found.append(len(anka.report().of(["retried-starts"])))

    assert [1] * 10 == found


def test_requests_are_chosen_by_what_they_have(anka: Anka) -> None:
    """``where`` takes what must be there, among whatever else; a path may have stars; choices can be chosen from."""
    start(anka, tag="vanilla", name="a")
    start(anka, name="b")
    ask(anka, "GET", "node")
    found = anka.requests

    assert [1, 2] == [each.number for each in found.where(method="POST")]
    assert [1] == [each.number for each in found.where(method="POST").where(body={"tag": "vanilla"})]
    assert [3] == [each.number for each in found.where(path="/api/*/node", status=200)]
    assert [] == found.where(method="DELETE")
    assert "no requests" == str(found.where(method="DELETE"))
    with pytest.raises(TypeError, match="a request has no 'verb', it has number, at, method"):
        found.where(verb="GET")


def test_requests_about_an_instance_are_those_that_started_or_named_it(anka: Anka) -> None:
    """And no others."""
    id, _ = start(anka), start(anka)
    ask(anka, "GET")
    ask(anka, "GET", params={"id": id})
    ask(anka, "DELETE", json={"id": id})

    assert [1, 4, 5] == [each.number for each in anka.requests.about(id)]


def test_the_story_of_an_instance_has_the_requests_that_touched_it(anka: Anka) -> None:
    """Its start, and each that named it, in a query or in a body, and no others; also when it is gone."""
    id, _ = start(anka), start(anka)
    ask(anka, "GET")
    ask(anka, "GET", params={"id": id})
    ask(anka, "PUT", params={"id": id}, json={"name": "mine"})
    ask(anka, "DELETE", json={"id": id})
    anka.clock.advance("10m")
    story = requests.get(f"{anka.url}/_mock/instances/{id}", timeout=PATIENCE).json()

    expected = [(1, "POST"), (4, "GET"), (5, "PUT"), (6, "DELETE")]
    assert expected == [(each["number"], each["method"]) for each in story["requests"]]
    assert expected == [(each.number, each.method) for each in anka.requests.about(id)]


def test_expect_returns_those_that_fit(anka: Anka) -> None:
    """Any number, or as many as are expected."""
    ask(anka, "GET")
    ask(anka, "GET")

    assert [1, 2] == [each.number for each in anka.requests.expect(method="GET")]
    assert [1, 2] == [each.number for each in anka.requests.expect(times=2, method="GET")]
    assert [] == anka.requests.expect(times=0, method="POST")


def test_expect_names_the_nearest_first(anka: Anka) -> None:
    """An AssertionError with what is different in those that come nearest, three at most."""
    for path in ("node", "vm", "registry/vm", "status"):
        ask(anka, "GET", path)
    start(anka, tag="vanilla")
    with pytest.raises(AssertionError) as caught:
        anka.requests.expect(method="POST", path="/api/v1/vm", body={"tag": "xcode-15"})
    lines = str(caught.value).splitlines()

    assert ("no request fits method='POST', path='/api/v1/vm', body={'tag': 'xcode-15'}; the nearest are") == lines[0]
    assert lines[1].startswith("  #5 ")
    assert "      body.tag: 'vanilla', wanted 'xcode-15'" == lines[2]
    assert ["  and 4 more"] == lines[3:]


def test_a_request_without_a_body_is_not_nearer_than_one_whose_body_is_wrong(anka: Anka) -> None:
    """Each key of the body counts, also where there is no body; by expect and by ``in``."""
    start(anka, tag="vanilla", external_id="a")
    ask(anka, "GET")
    wanted = {"method": "POST", "path": "/api/v1/vm", "body": {"vmid": "q", "tag": "v2", "external_id": "z"}}
    with pytest.raises(AssertionError) as caught:
        anka.requests.expect(**wanted)
    explained = explain("in", wanted, anka.requests)

    assert explained is not None
    for lines in (str(caught.value).splitlines(), explained):
        assert lines[1].startswith("  #1 ")
        assert ["body.vmid", "body.tag", "body.external_id"] == [line.split(":")[0].strip() for line in lines[2:5]]


@pytest.mark.parametrize("there", [None, "text", [1]])
def test_what_is_no_object_lacks_all_keys(anka: Anka, there: object) -> None:
    """A body that is nothing, text or a list is as far away as it has keys to have."""
    ask(anka, "POST", json=there)
    wanted = {"body": {"a": {"b": 1, "c": 2}, "d": 3}}

    assert [3, 1] == [distance(each, anka.requests[0]) for each in (wanted, {"body": {}})]
    assert 0 == distance({"method": "POST", "path": "/api/*"}, anka.requests[0])


def test_expect_counts(anka: Anka) -> None:
    """Too many and too few both fail, and how many there are is told."""
    with pytest.raises(AssertionError, match=r"^no request fits method='GET'; the nearest are\nthere were no requests"):
        anka.requests.expect(method="GET")
    ask(anka, "GET")
    with pytest.raises(AssertionError, match=r"^1 request fits method='GET', where 2 are expected; the nearest are\n"):
        anka.requests.expect(times=2, method="GET")
    with pytest.raises(AssertionError, match=r"^1 request fits method='GET', where 0 are expected"):
        anka.requests.expect(times=0, method="GET")


def test_a_mapping_is_in_the_requests_if_one_fits(anka: Anka) -> None:
    """What is named must be there; what is no key of a request is a TypeError."""
    start(anka, tag="vanilla")
    found = anka.requests

    assert {"method": "POST", "body": {"tag": "vanilla"}} in found
    assert {"method": "POST", "body": {"tag": "xcode-15"}} not in found
    assert {"method": "POST", "body": {"tag": None}} not in found
    assert {"body": {"name": None}} not in found
    assert {"path": "/api/*"} in found
    assert found[0] in found
    assert "POST" not in found
    with pytest.raises(TypeError, match="a request has no 'Method'"):
        assert {"Method": "POST"} in found


def test_requests_equal_a_list_of_mappings_that_fit_in_order(anka: Anka) -> None:
    """As many, each fitting; from either side."""
    id = start(anka)
    ask(anka, "GET", params={"id": id})
    found = anka.requests

    assert found == [{"method": "POST"}, {"method": "GET", "query": {"id": id}}]
    assert [{"method": "POST"}, {"method": "GET"}] == found
    assert found != [{"method": "GET"}, {"method": "POST"}]
    assert found != [{"method": "POST"}]
    assert found == anka.requests
    assert found == list(found)
    assert anka.requests.where(method="PUT") == []
    with pytest.raises(TypeError, match="unhashable"):
        hash(found)


def test_explain_names_the_nearest_of_what_is_not_in_the_requests(anka: Anka) -> None:
    """What an assertion on ``in`` shows when it fails."""
    ask(anka, "GET", "node")
    ask(anka, "GET", "vm")
    lines = explain("in", {"method": "GET", "path": "/api/v1/vm", "status": 404}, anka.requests)

    assert lines is not None
    assert "no request fits {'method': 'GET', 'path': '/api/v1/vm', 'status': 404}" == lines[0]
    assert lines[1].startswith("  #2 ")
    assert "      status: 200, wanted 404" == lines[2]
    assert ["  and 1 more"] == lines[3:]


def test_explain_names_the_first_request_that_is_not_as_expected(anka: Anka) -> None:
    """From either side; and how many there are where the number is another."""
    ask(anka, "GET", "node")
    ask(anka, "GET", "vm")
    found = anka.requests
    wanted = [{"path": "/api/v1/node"}, {"path": "/api/v1/usb"}]
    lines = explain("==", found, wanted)

    assert lines is not None
    assert lines == explain("==", wanted, found)
    assert ["the requests are not as expected", "request 1 is not as expected:"] == lines[:2]
    assert "      path: '/api/v1/vm', wanted '/api/v1/usb'" == lines[3]
    assert [
        "the requests are not as expected",
        "2 requests, where 1 are expected",
        f"  more than expected: {found[1]}",
    ] == explain("==", found, wanted[:1])
    assert [
        "the requests are not as expected",
        "2 requests, where 3 are expected",
        "  missing: {'status': 200}",
    ] == explain("==", found, [{}, {}, {"status": 200}])


def test_explain_lays_side_by_side_what_fits(anka: Anka) -> None:
    """One too many at the front, or one too few, hides nothing of the rest; the nearest stand opposite each other."""
    for path in ("status", "node", "vm", "usb"):
        ask(anka, "GET", path)
    found = anka.requests
    node, vm, usb = ({"path": f"/api/v1/{path}"} for path in ("node", "vm", "usb"))
    head = "the requests are not as expected"

    assert [head, "4 requests, where 3 are expected", f"  more than expected: {found[0]}"] == explain(
        "==", found, [node, vm, usb]
    )
    assert [
        head,
        "3 requests, where 2 are expected",
        f"  more than expected: {found[0]}",
        "request 2 is not as expected:",
        f"  {found[2]}",
        "      status: 200, wanted 500",
    ] == explain("==", found[:3], [node, {**vm, "status": 500}])
    assert [
        head,
        "2 requests, where 1 are expected",
        f"  more than expected: {found[0]}",
        "request 1 is not as expected:",
        f"  {found[1]}",
        "      status: 200, wanted 500",
    ] == explain("==", found[:2], [{**node, "status": 500}])
    assert [head, "2 requests, where 3 are expected", f"  missing: {node!r}"] == explain(
        "==", found[2:], [node, vm, usb]
    )
    assert [head, "  missing: {'method': 'PUT'}", f"  more than expected: {found[3]}"] == explain(
        "==", found, [{"method": "PUT"}, {"path": "/api/v1/status"}, node, vm]
    )


def test_explain_names_three_differences_and_counts_the_rest(anka: Anka) -> None:
    """However many there are, and quickly."""
    for _ in range(5):
        ask(anka, "GET")
    few, many = (explain("==", Requests(list(anka.requests) * times), []) for times in (1, 400))

    assert few is not None
    assert many is not None
    assert ("  and 2 more differences", "  and more differences") == (few[-1], many[-1])
    assert [6, 6] == [len(few), len(many)]


def test_explain_leaves_other_comparisons_alone(anka: Anka) -> None:
    """What is no comparison with requests is none of its business."""
    assert explain("!=", anka.requests, []) is None
    assert explain("in", 1, anka.requests) is None
    assert explain("==", [], []) is None


def test_clearing_the_requests_clears_the_journal(anka: Anka) -> None:
    """A choice that is cleared leaves the journal alone; numbers go on."""
    ask(anka, "GET")
    found = anka.requests
    found.where(method="GET").clear()
    left_alone = len(anka.requests)
    found.clear()
    ask(anka, "GET")

    assert 1 == left_alone
    assert [] == found
    assert [2] == [each.number for each in anka.requests]


def test_the_commands_of_a_test_stand_not_in_the_journal(anka: Anka) -> None:
    """Only what comes over HTTP is a request, and the control API is none."""
    anka.settle()
    requests.get(f"{anka.url}/_mock/clock", timeout=PATIENCE)

    assert [] == anka.requests


# The report.


def test_the_report_tells_what_is_left_behind_until_it_is_not(anka: Anka) -> None:
    """A leak names the instance and the request that started it; what the scenario began with is no leak."""
    id = start(anka, external_id="job-1")
    left = anka.report().of(["leaks"])
    ask(anka, "DELETE", json={"id": id})

    assert [(id, [1])] == [(finding.instance, finding.requests) for finding in left]
    assert f"leaks: instance {id}, external_id 'job-1' is still Scheduling (#1)" == str(left[0])
    assert [] == anka.report().findings
    assert "mockanka report: 2 requests\n  no findings" == str(anka.report())


def test_the_report_tells_which_rules_never_struck(anka: Anka) -> None:
    """Until they do."""
    rule = anka.faults.add(**UNAVAILABLE)
    before = anka.report().unused_faults
    ask(anka, "GET")

    assert [rule] == before
    assert [] == anka.report().unused_faults


def test_a_report_stays_as_it_was_made(anka: Anka) -> None:
    """What the client does later stands in a later report."""
    for _ in range(25):
        ask(anka, "GET")
    report = anka.report()
    before = str(report)
    for _ in range(25):
        ask(anka, "GET")

    assert "hammering" in before
    assert before == str(report)


def test_the_report_begins_anew_with_a_reset(anka: Anka) -> None:
    """What was before is not told."""
    start(anka)
    anka.reset()

    assert ([], 0) == (anka.report().findings, anka.report().requests)


# What can be done to it.


def test_a_node_is_made_what_a_test_wants() -> None:
    """By name or by id; the client sees it, and no instance goes there."""
    with mockanka.serve(clock="manual", release="1.50.1") as anka:
        drained = anka.node("mini-01", "drain")
        offline = anka.node(anka.nodes["mini-02"].id, "offline", at_once=True)
        states = {each["node_name"]: each["state"] for each in ask(anka, "GET", "node").json()["body"]}
        id = start(anka)
        with pytest.raises(mockanka.Never, match=r"Drain Mode.*not reporting"):
            anka.wait(id)
        anka.node("mini-01", "online")

        assert ("Drain Mode", False) == (drained.state, drained.takes_work)
        assert ("Offline", False) == (offline.state, offline.reports)
        assert {"mini-01": "Drain Mode", "mini-02": "Offline"} == states
        assert "mini-01" == anka.wait(id).node


def test_a_node_that_goes_offline_is_shown_so_when_it_has_been_missed(anka: Anka) -> None:
    """For two minutes it is shown as it was, though it does not report."""
    gone = anka.node("mini-02", "offline")
    anka.clock.advance("3m")

    assert ("Active", False) == (gone.state, gone.reports)
    assert "Offline" == anka.nodes["mini-02"].state


@pytest.mark.parametrize(
    ("name", "state", "kind", "message"),
    [
        ("mini-01", "drian", ValueError, "a node cannot be made 'drian': did you mean 'drain'?"),
        ("mini-9", "offline", KeyError, "there is no one node 'mini-9': did you mean 'mini-02'?"),
    ],
)
def test_a_node_cannot_be_made_what_there_is_not(
    anka: Anka, name: str, state: str, kind: type[Exception], message: str
) -> None:
    """An unknown state, an unknown node: each is told, and nothing changed."""
    before = shown(anka)
    with pytest.raises(kind) as caught:
        anka.node(name, state)

    assert message == caught.value.args[0]
    assert before == shown(anka)


def test_a_node_cannot_be_made_what_the_release_does_not_know() -> None:
    """Before 1.32 there is no Drain Mode: that is told, and nothing changed."""
    with mockanka.serve(clock="manual", release="1.31.0") as anka:
        before = shown(anka)
        with pytest.raises(ValueError, match=r"^release 1\.31\.0 knows no Drain Mode: it came with 1\.32\.0$"):
            anka.node("mini-01", "drain")

        assert before == shown(anka)


def test_an_instance_fails_when_told(anka: Anka) -> None:
    """It goes to Error with that message, and the client reads it."""
    id = start(anka)
    anka.fail(id, "disk full")
    body = ask(anka, "GET", params={"id": id}).json()["body"]

    assert ("Error", "disk full") == (anka.instances[id].state, anka.instances[id].message)
    assert ("Error", "disk full") == (body["instance_state"], body["message"])


def test_a_vm_shuts_down_by_itself_when_told(anka: Anka) -> None:
    """Stopping, then Stopped."""
    id = start(anka)
    anka.wait(id)
    anka.shut_down(id)

    assert "Stopping" == anka.instances[id].state
    anka.settle()
    assert "Stopped" == anka.instances[id].state


def test_an_instance_vanishes_when_told(anka: Anka) -> None:
    """Nobody knows it any more."""
    id = start(anka)
    anka.vanish(id)

    assert id not in anka.instances
    assert "FAIL" == ask(anka, "GET", params={"id": id}).json()["status"]
    with pytest.raises(KeyError, match="there is no instance"):
        anka.vanish(id)


def test_what_the_life_cycle_does_not_know_is_a_value_error(anka: Anka) -> None:
    """What is not Started does not shut down, what has failed does not fail, and nothing changes."""
    id = start(anka)
    before = shown(anka)
    with pytest.raises(ValueError, match="an instance that is Scheduling cannot stop"):
        anka.shut_down(id)
    assert before == shown(anka)
    anka.fail(id)
    with pytest.raises(ValueError, match="an instance that is Error cannot fail"):
        anka.fail(id)


@pytest.mark.parametrize("strike", [Anka.fail, Anka.shut_down, Anka.vanish])
def test_what_is_done_to_an_unknown_instance_is_a_key_error(anka: Anka, strike: Callable[[Anka, str], None]) -> None:
    """The id is named."""
    with pytest.raises(KeyError, match="there is no instance 'nobody'"):
        strike(anka, "nobody")


# Beginning anew.


def test_a_reset_leaves_nothing_of_what_was_before(anka: Anka) -> None:
    """Instances, faults, journal, events, clock: all as at the start, under the same URL."""
    url, before = anka.url, shown(anka)
    anka.faults.add(**UNAVAILABLE, times=1)
    start(anka)
    ask(anka, "GET")
    anka.node("mini-01", "offline")
    anka.clock.advance("1h")
    anka.reset()

    assert before == shown(anka)
    assert url == anka.url
    assert 200 == ask(anka, "GET").status_code


def test_a_seed_given_to_a_reset_counts_once(anka: Anka) -> None:
    """The next reset is back at the seed of the start."""
    anka.reset(seed=5)
    once = anka.dump()["seed"]
    anka.reset()

    assert (5, 1) == (once, anka.dump()["seed"])


def test_the_same_seed_gives_the_same_ids(anka: Anka) -> None:
    """Whoever starts with one seed gets the same instances, and others with another."""
    first = start(anka)
    anka.reset()
    second = start(anka)
    anka.reset(seed=2)

    assert first == second
    assert first != start(anka)


def test_load_begins_with_another_scenario_and_a_reset_goes_back_to_it(anka: Anka, tmp_path: Path) -> None:
    """By name, file or data."""
    file = tmp_path / "small.yaml"
    file.write_text(SMALL_YAML)
    numbers = []
    for scenario in ("busy", file, SMALL, "fleet"):
        anka.load(scenario)
        anka.reset()
        numbers.append(len(anka.nodes))

    assert [3, 1, 1, 100] == numbers


@pytest.mark.parametrize("wrong", ["busi", {"nodes": [{"nam": "x"}]}, {"instances": [{"template": "none"}]}])
def test_a_wrong_scenario_changes_nothing(anka: Anka, wrong: Any) -> None:
    """ScenarioError, and all is as it was; a reset goes back to the scenario before."""
    anka.faults.add(**UNAVAILABLE, times=1)
    anka.wait(start(anka))
    before = shown(anka)
    with pytest.raises(mockanka.ScenarioError):
        anka.load(wrong)

    assert before == shown(anka)
    anka.reset()
    assert ["mini-01", "mini-02"] == [each.name for each in anka.nodes.values()]


def test_what_is_dumped_can_be_loaded(anka: Anka) -> None:
    """In the midst of things, faults and all; what follows is what would have followed."""
    anka.faults.add(match={"event": "start"}, do={"fail": "x"}, times=1, skip=1)
    ids = [start(anka) for _ in range(3)]
    anka.clock.advance("7s")
    dumped = anka.dump()
    anka.settle()
    after = anka.dump()
    anka.load(dumped)
    loaded = anka.dump()
    anka.settle()

    assert dumped == loaded
    assert after == anka.dump()
    assert ["Started", "Error", "Started"] == [anka.instances[id].state for id in ids]


def test_a_dump_that_is_changed_changes_nothing(anka: Anka) -> None:
    """It is a copy through and through."""
    before, mine = anka.dump(), anka.dump()
    mine["nodes"][0]["cached"].clear()
    mine["instances"][0]["vm"]["ports"].clear()
    mine["controller"]["release"] = "x"

    assert before == anka.dump()


def test_a_dump_of_another_release_is_loaded_with_notes() -> None:
    """What the release does not know is left out, and named."""
    with mockanka.serve(clock="manual") as today:
        today.node("mini-01", "drain")
        dumped = today.dump()
        assert [] == today.notes
    with mockanka.serve(dumped, clock="manual", release="1.31.0") as older:
        assert ["node mini-01: Drain Mode came with 1.32.0; it is Active"] == older.notes
        assert "Active" == older.nodes["mini-01"].state
        older.load("default")
        assert [] == older.notes
    with mockanka.serve(clock="manual", release="1.12.0") as unknown:
        assert ["release 1.12.0 is not known: 1.11.1 is simulated, the nearest lower one"] == unknown.notes


def test_another_server_begins_where_one_was_dumped(anka: Anka) -> None:
    """A dump is a scenario like any other."""
    id = start(anka)
    anka.clock.advance("7s")
    with mockanka.serve(anka.dump(), clock="manual") as other:
        assert "Started" == other.wait(id).state
        assert BEGIN + timedelta(seconds=21) == other.clock.now


# Many at once.


def test_many_threads_poll_while_the_test_moves_time_on() -> None:
    """Every answer is whole, every request is kept once, and times in the journal never go back."""
    with mockanka.serve("fleet", clock="manual", seed=3) as anka, ThreadPoolExecutor(8) as pool:
        ids = [start(anka) for _ in range(8)]
        anka.requests.clear()

        def poll(id: str) -> list[str]:
            with requests.Session() as session:
                url, states = f"{anka.url}/api/v1/vm", []
                for _ in range(60):
                    answer = session.get(url, params={"id": id}, timeout=PATIENCE)
                    states.append(answer.json()["body"]["instance_state"])
                    assert id in anka.instances
                return states

        polls = [pool.submit(poll, id) for id in ids]
        for _ in range(60):
            anka.clock.advance("1s")
            assert len(list(anka.instances.values())) >= 8
        seen = [each.result(PATIENCE) for each in polls]
        found = anka.requests

    order = ["Scheduling", "Pulling", "Started"]
    assert all(states == sorted(states, key=order.index) for states in seen)
    assert 480 == len(found)
    assert [each.number for each in found] == list(range(9, 489))
    assert [each.at for each in found] == sorted(each.at for each in found)


def test_a_client_in_another_thread_gets_what_the_test_does() -> None:
    """A client that polls by a stepping clock gets to Started without anybody waiting."""
    with mockanka.serve(clock="step", seed=1) as anka:

        def build() -> int:
            id, polls = start(anka), 1
            while ask(anka, "GET", params={"id": id}).json()["body"]["instance_state"] != "Started":
                polls += 1
            ask(anka, "DELETE", json={"id": id})
            return polls

        with ThreadPoolExecutor(1) as pool:
            polls = pool.submit(build).result(PATIENCE)

        assert 1 < polls < 20
        assert [] == anka.report().findings
