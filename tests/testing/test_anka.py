"""``mockanka.serve`` and the object that it returns: served over real HTTP, commanded from Python."""

from __future__ import annotations

import gc
import http.client
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

import mockanka
from mockanka.core.release import DEFAULT_RELEASE
from mockanka.testing.anka import Anka
from tests.testing.controller import (
    SMALL,
    SMALL_YAML,
    START,
    TIMEOUT,
    UNAVAILABLE,
    send,
    server_threads,
    start,
    visible_state,
)

# Serving.


def test_it_serves_while_the_block_lasts() -> None:
    """Inside the block the URL answers; after it nothing listens there."""
    with mockanka.serve("default", clock="manual", seed=1) as anka:
        answer = send(anka, "GET", "status")

        assert 200 == answer.status_code
    with pytest.raises(requests.ConnectionError):
        send(anka, "GET", "status")


def test_serve_returns_an_anka(anka: Anka) -> None:
    """The type is ``mockanka.Anka``, and its repr shows the URL."""
    assert isinstance(anka, mockanka.Anka)
    assert f"<mockanka at {anka.url}>" == repr(anka)
    assert "<clock manual 2024-01-01T00:00:00+00:00>" == repr(anka.clock)


def test_a_package_has_no_other_names() -> None:
    """A name that the package does not have is an AttributeError."""
    with pytest.raises(AttributeError, match="'mockanka' has no attribute 'sevre'"):
        mockanka.sevre  # noqa: B018


def test_a_block_whose_body_raises_stops_it_too() -> None:
    """The error is passed on, and nothing listens at the URL any more."""
    with pytest.raises(ZeroDivisionError), mockanka.serve("empty") as anka:
        _ = 1 / 0
    with pytest.raises(requests.ConnectionError):
        send(anka, "GET")


def test_no_thread_is_left_behind() -> None:
    """Each server has one thread, which ends when the server is stopped."""
    before = server_threads()
    with mockanka.serve("empty") as first, mockanka.serve("empty") as second:
        send(first, "GET")
        send(second, "GET")
        while_served = server_threads()

    assert 2 == len(while_served) - len(before)
    assert before == server_threads()


def test_stopping_twice_is_fine() -> None:
    """A server can be stopped twice, and again at the end of its block."""
    with mockanka.serve("empty") as anka:
        anka.stop()
        anka.stop()

    assert [] == [thread for thread in server_threads() if thread is anka._handle._thread._thread]


def test_a_connected_client_does_not_delay_stopping() -> None:
    """An idle connection, an event stream and half a request are closed when the server stops."""
    anka = mockanka.serve("empty")
    idle = http.client.HTTPConnection("127.0.0.1", int(anka.url.rpartition(":")[2]), timeout=TIMEOUT)
    idle.request("GET", "/api/v1/vm")
    idle.getresponse().read()
    stream = requests.get(
        f"{anka.url}/_mock/events", headers={"Accept": "text/event-stream"}, stream=True, timeout=TIMEOUT
    )
    half = socket.create_connection(("127.0.0.1", idle.port), timeout=TIMEOUT)
    half.sendall(b"GET /api/v1/vm HTTP/1.1\r\nHos")
    ending = threading.Thread(target=anka.stop, daemon=True)
    ending.start()
    ending.join(TIMEOUT)

    assert not ending.is_alive()
    for connection in (idle, stream, half):
        connection.close()


COMMANDS: dict[str, Callable[[Anka], object]] = {
    "advance": lambda anka: anka.clock.advance("1s"),
    "faults": lambda anka: anka.faults.add(do={"delay": "1s"}),
    "reset": lambda anka: anka.reset(),
    "wait": lambda anka: anka.wait("x"),
}


@pytest.mark.parametrize("use", COMMANDS.values(), ids=COMMANDS.keys())
def test_a_command_to_a_stopped_controller_is_an_error(use: Callable[[Anka], object]) -> None:
    """Each command is a RuntimeError that says that the controller was stopped."""
    anka = mockanka.serve("empty")
    anka.stop()
    with pytest.raises(RuntimeError, match=r"^this controller has been stopped$"):
        use(anka)


LOOKS: dict[str, Callable[[Anka], object]] = {
    "now": lambda anka: anka.clock.now,
    "instances": lambda anka: {id: (instance.state, instance.timeline) for id, instance in anka.instances.items()},
    "requests": lambda anka: [request.line for request in anka.requests],
    "events": lambda anka: anka.events,
    "faults": lambda anka: list(anka.faults),
    "report": lambda anka: anka.report(),
    "dump": lambda anka: anka.dump(),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS.keys())
def test_a_stopped_controller_can_be_read(look: Callable[[Anka], object]) -> None:
    """Its views, journal, events, report and dump are those of the moment when it was stopped."""
    anka = mockanka.serve("default", clock="manual")
    start(anka)
    anka.faults.add(do={"delay": "1s"})
    before = look(anka)
    anka.stop()

    assert before == look(anka)


def test_commands_while_it_stops_end_with_an_error() -> None:
    """Threads that command the controller while it stops do not hang: each gets the RuntimeError."""
    errors: list[str] = []
    stuck = 0
    for _ in range(5):
        anka = mockanka.serve("empty", clock="manual")
        together = threading.Barrier(5)

        def look(anka: Anka = anka, together: threading.Barrier = together) -> None:
            together.wait(TIMEOUT)
            try:
                while True:
                    assert START == anka.clock.advance("0s")
            except RuntimeError as error:
                errors.append(str(error))

        threads = [threading.Thread(target=look, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        together.wait(TIMEOUT)
        anka.clock.advance("0s")
        anka.stop()
        for thread in threads:
            thread.join(1)
        stuck = sum(thread.is_alive() for thread in threads)
        if stuck:
            break

    assert 0 == stuck
    assert {"this controller has been stopped"} == set(errors)


def test_it_may_be_stopped_from_several_threads_at_once() -> None:
    """Stopping it while another thread stops it is no error."""
    errors: list[str] = []
    for _ in range(20):
        anka = mockanka.serve("empty", clock="manual")
        together = threading.Barrier(8)

        def stop(anka: Anka = anka, together: threading.Barrier = together) -> None:
            together.wait(TIMEOUT)
            try:
                anka.stop()
            except RuntimeError as error:
                errors.append(str(error))

        threads = [threading.Thread(target=stop, daemon=True) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT)

    assert [] == errors


def test_two_servers_have_nothing_in_common() -> None:
    """Each server has its own URL, state, clock and journal."""
    with mockanka.serve(clock="manual", seed=1) as first, mockanka.serve(clock="manual", seed=1) as second:
        start(first)
        first.clock.advance("1h")

        assert first.url != second.url
        assert (2, 1) == (len(first.instances), len(second.instances))
        assert (1, 0) == (len(first.requests), len(second.requests))
        assert START == second.clock.now


def test_port_and_host_can_be_chosen() -> None:
    """The URL has both; a server on 0.0.0.0 is reached at 127.0.0.1."""
    with mockanka.serve("empty") as anka:
        port = int(anka.url.rpartition(":")[2])
    with mockanka.serve("empty", port=port) as anka:
        assert f"http://127.0.0.1:{port}" == anka.url
        assert 200 == send(anka, "GET").status_code
    with mockanka.serve("empty", host="0.0.0.0") as anka:
        assert anka.url.startswith("http://127.0.0.1:")
        assert 200 == send(anka, "GET").status_code


def test_a_port_in_use_is_an_os_error() -> None:
    """OSError is raised, and no thread is started."""
    with mockanka.serve("empty") as anka:
        before = server_threads()
        with pytest.raises(OSError, match="in use"):
            mockanka.serve("empty", port=int(anka.url.rpartition(":")[2]))

        assert before == server_threads()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # CPython's create_server forgets it
@pytest.mark.parametrize("port", [-1, 65536])
def test_a_wrong_port_is_an_os_error_or_a_value_error(port: int) -> None:
    """A number that is no port is one of the errors in the docstring of ``serve``."""
    kind: type[Exception] | None = None
    try:
        mockanka.serve("empty", port=port).stop()
    except Exception as error:
        kind = type(error)
    gc.collect()

    assert kind is not None
    assert issubclass(kind, OSError | ValueError), kind


# Commands.


def test_the_state_of_a_node_can_be_overridden() -> None:
    """A node is found by name or id; the client sees its state, and no instance is placed there."""
    with mockanka.serve(clock="manual", release="1.50.1") as anka:
        drained = anka.node("mini-01", "drain")
        offline = anka.node(anka.nodes["mini-02"].id, "offline", at_once=True)
        states = {node["node_name"]: node["state"] for node in send(anka, "GET", "node").json()["body"]}
        id = start(anka)
        with pytest.raises(mockanka.Never, match=r"Drain Mode.*not reporting"):
            anka.wait(id)
        anka.node("mini-01", "online")

        assert ("Drain Mode", False) == (drained.state, drained.takes_work)
        assert ("Offline", False) == (offline.state, offline.reports)
        assert {"mini-01": "Drain Mode", "mini-02": "Offline"} == states
        assert "mini-01" == anka.wait(id).node


def test_a_node_takes_nothing_while_it_pulls() -> None:
    """The start of a template that the node has waits in Scheduling, and says why."""
    scenario = {
        "templates": [
            {"name": "big", "versions": [{"tag": "v", "size": "50GB"}]},
            {"name": "hot", "versions": [{"tag": "v", "size": "1GB"}]},
        ],
        "nodes": [{"name": "n", "capacity": 2, "cached": ["hot:v"]}],
    }
    with mockanka.serve(scenario, clock="manual") as anka:
        pulling = start(anka, vmid=anka.templates["big"].id)
        anka.clock.advance("5s")
        waiting = start(anka, vmid=anka.templates["hot"].id)
        anka.clock.advance("1m")

        assert ("Pulling", "Scheduling") == (anka.instances[pulling].state, anka.instances[waiting].state)
        assert "pulls a template (1 node)" == anka.instances[waiting].waits_for


def test_a_node_can_be_cut_off_from_the_registry() -> None:
    """An instance that would need a pull there waits until the node is online again; the node is Active meanwhile."""
    with mockanka.serve("cold-cache", clock="manual") as anka:
        cut_off = [anka.node(name, "registry-unreachable").state for name in ("mini-01", "mini-02")]
        id = start(anka)
        with pytest.raises(mockanka.Never, match=r"cannot reach the registry \(2 nodes\)"):
            anka.wait(id)
        anka.node("mini-02", "online")

        assert ["Active", "Active"] == cut_off
        assert "mini-02" == anka.wait(id).node


def test_a_node_that_goes_offline_is_shown_as_offline_later(anka: Anka) -> None:
    """For two minutes it is shown as before, though it does not report."""
    gone = anka.node("mini-02", "offline")
    anka.clock.advance("3m")

    assert ("Active", False) == (gone.state, gone.reports)
    assert "Offline" == anka.nodes["mini-02"].state


@pytest.mark.parametrize(
    ("name", "state", "kind", "message"),
    [
        ("mini-01", "drian", ValueError, "a node cannot be made 'drian': did you mean 'drain'?"),
        ("mini-9", "offline", KeyError, "there is no node 'mini-9': did you mean 'mini-02'?"),
    ],
)
def test_an_unknown_node_or_state_is_refused(
    anka: Anka, name: str, state: str, kind: type[Exception], message: str
) -> None:
    """The error names the nearest, and nothing changes."""
    before = visible_state(anka)
    with pytest.raises(kind) as caught:
        anka.node(name, state)

    assert message == caught.value.args[0]
    assert before == visible_state(anka)


def test_a_state_that_the_release_does_not_know_is_refused() -> None:
    """Before 1.32 Drain Mode is refused, and nothing changes."""
    with mockanka.serve(clock="manual", release="1.31.0") as anka:
        before = visible_state(anka)
        with pytest.raises(ValueError, match=r"^release 1\.31\.0 knows no Drain Mode: it came with 1\.32\.0$"):
            anka.node("mini-01", "drain")

        assert before == visible_state(anka)


def test_fail_brings_an_instance_to_error(anka: Anka) -> None:
    """The instance is in Error with the message, and the client reads both."""
    id = start(anka)
    anka.fail(id, "disk full")
    body = send(anka, "GET", params={"id": id}).json()["body"]

    assert ("Error", "disk full") == (anka.instances[id].state, anka.instances[id].message)
    assert ("Error", "disk full") == (body["instance_state"], body["message"])


def test_shut_down_stops_the_vm(anka: Anka) -> None:
    """The instance is Stopping, then Stopped."""
    id = start(anka)
    anka.wait(id)
    anka.shut_down(id)

    assert "Stopping" == anka.instances[id].state
    anka.settle()
    assert "Stopped" == anka.instances[id].state


def test_vanish_removes_an_instance(anka: Anka) -> None:
    """The instance is unknown to the test and to the client."""
    id = start(anka)
    anka.vanish(id)

    assert id not in anka.instances
    assert "FAIL" == send(anka, "GET", params={"id": id}).json()["status"]
    with pytest.raises(KeyError, match="there is no instance"):
        anka.vanish(id)


def test_an_impossible_transition_is_a_value_error(anka: Anka) -> None:
    """An instance that is not Started does not shut down, one in Error does not fail, and nothing changes."""
    id = start(anka)
    before = visible_state(anka)
    with pytest.raises(ValueError, match="an instance that is Scheduling cannot stop"):
        anka.shut_down(id)
    assert before == visible_state(anka)
    anka.fail(id)
    with pytest.raises(ValueError, match="an instance that is Error cannot fail"):
        anka.fail(id)


@pytest.mark.parametrize("strike", [Anka.fail, Anka.shut_down, Anka.vanish])
def test_an_unknown_instance_is_a_key_error(anka: Anka, strike: Callable[[Anka, str], None]) -> None:
    """The error names the id."""
    with pytest.raises(KeyError, match="there is no instance 'nobody'"):
        strike(anka, "nobody")


# Resets, scenarios and dumps.


def test_a_reset_restores_the_state_of_the_start(anka: Anka) -> None:
    """Instances, faults, journal, events and clock are as at the start, and the URL stays."""
    url, before = anka.url, visible_state(anka)
    anka.faults.add(**UNAVAILABLE, times=1)
    start(anka)
    send(anka, "GET")
    anka.node("mini-01", "offline")
    anka.clock.advance("1h")
    anka.reset()

    assert before == visible_state(anka)
    assert url == anka.url
    assert 200 == send(anka, "GET").status_code


def test_the_seed_of_a_reset_counts_once(anka: Anka) -> None:
    """The next reset returns to the seed of the start."""
    anka.reset(seed=5)
    once = anka.dump()["seed"]
    anka.reset()

    assert (5, 1) == (once, anka.dump()["seed"])


def test_the_release_and_the_clock_of_a_reset_count_once(anka: Anka) -> None:
    """They apply until the next reset; a wrong one changes nothing."""
    anka.reset(release="1.24.0", clock="step", speed=2, step="3s")
    during = (anka.dump()["controller"]["release"], anka.clock.mode, anka.clock.speed, anka.clock.step)
    with pytest.raises(ValueError, match="'sundial' is no clock"):
        anka.reset(clock="sundial")
    unchanged = anka.clock.mode
    anka.reset()

    assert ("1.24.0", "step", 2.0, timedelta(seconds=3)) == during
    assert "step" == unchanged
    assert (str(DEFAULT_RELEASE), "manual") == (anka.dump()["controller"]["release"], anka.clock.mode)


def test_the_same_seed_gives_the_same_ids(anka: Anka) -> None:
    """A reset gives the ids of the start again, another seed gives others."""
    first = start(anka)
    anka.reset()
    second = start(anka)
    anka.reset(seed=2)

    assert first == second
    assert first != start(anka)


def test_load_replaces_the_scenario_that_a_reset_returns_to(anka: Anka, tmp_path: Path) -> None:
    """The scenario is a name, a file or data."""
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
    """ScenarioError is raised, and the state stays; a reset returns to the scenario before."""
    anka.faults.add(**UNAVAILABLE, times=1)
    anka.wait(start(anka))
    before = visible_state(anka)
    with pytest.raises(mockanka.ScenarioError):
        anka.load(wrong)

    assert before == visible_state(anka)
    anka.reset()
    assert ["mini-01", "mini-02"] == [node.name for node in anka.nodes.values()]


def test_an_instance_that_is_made_to_fail_is_not_tried_again(anka: Anka) -> None:
    """It is in Error at once, also while it starts, with a message that agents have logged unless one is given."""
    first, second = start(anka), start(anka)
    anka.clock.advance("7s")
    anka.fail(first)
    anka.fail(second, "boom")

    assert ["Error", "Error"] == [anka.instances[id].state for id in (first, second)]
    assert anka.instances[first].message.endswith(": failed to start: No child processes")
    assert "boom" == anka.instances[second].message


def test_a_dump_can_be_loaded(anka: Anka) -> None:
    """A dump of a pending start and of faults continues as the controller would have."""
    anka.faults.add(match={"event": "start"}, do={"fail": "x", "final": True}, times=1, skip=1)
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
    """A dump is a deep copy."""
    before, changed = anka.dump(), anka.dump()
    changed["nodes"][0]["cached"].clear()
    changed["instances"][0]["vm"]["ports"].clear()
    changed["controller"]["release"] = "x"

    assert before == anka.dump()


def test_a_dump_of_another_release_is_loaded_with_notes() -> None:
    """Parts that the release does not know are left out, and noted."""
    with mockanka.serve(clock="manual") as today:
        today.node("mini-01", "drain")
        dumped = today.dump()
        assert [] == today.notes
    with mockanka.serve(dumped, clock="manual", release="1.31.0") as older:
        assert ["node mini-01: Drain Mode came with 1.32.0; it is Active"] == older.notes
        assert "Active" == older.nodes["mini-01"].state
        older.load("default")
        assert [] == older.notes
    with mockanka.serve(clock="manual", release="1.12.3") as unknown:
        assert ["release 1.12.3 is not known: 1.12.0 is simulated, the nearest lower one"] == unknown.notes


def test_another_server_can_start_from_a_dump(anka: Anka) -> None:
    """A dump is a scenario like any other."""
    id = start(anka)
    anka.clock.advance("7s")
    with mockanka.serve(anka.dump(), clock="manual") as other:
        assert "Started" == other.wait(id).state
        assert START + timedelta(seconds=21) == other.clock.now


# The report.


def test_the_report_has_a_leak_until_the_instance_is_terminated(anka: Anka) -> None:
    """A leak names the instance and the request that started it; instances of the scenario are no leaks."""
    id = start(anka, external_id="job-1")
    left = anka.report().of_kinds(["leaks"])
    send(anka, "DELETE", json={"id": id})

    assert [(id, [1])] == [(finding.instance, finding.requests) for finding in left]
    assert f"leaks: instance {id}, external_id 'job-1' is still Scheduling (#1)" == str(left[0])
    assert [] == anka.report().findings
    assert "mockanka report: 2 requests\n  no findings" == str(anka.report())


def test_the_report_names_rules_that_never_fired(anka: Anka) -> None:
    """A rule is named until it fires."""
    rule = anka.faults.add(**UNAVAILABLE)
    before = anka.report().unused_faults
    send(anka, "GET")

    assert [rule] == before
    assert [] == anka.report().unused_faults


def test_a_report_does_not_change(anka: Anka) -> None:
    """Later requests of the client are in a later report."""
    for _ in range(25):
        send(anka, "GET")
    report = anka.report()
    before = str(report)
    for _ in range(25):
        send(anka, "GET")

    assert "hammering" in before
    assert before == str(report)


def test_the_report_begins_anew_with_a_reset(anka: Anka) -> None:
    """Findings from before a reset are not in the report."""
    start(anka)
    anka.reset()

    assert ([], 0) == (anka.report().findings, anka.report().requests)


# Threads.


def test_many_threads_poll_while_the_test_advances_the_clock() -> None:
    """Every response is complete, every request is kept once, and times in the journal never go back."""
    with mockanka.serve("fleet", clock="manual", seed=3) as anka, ThreadPoolExecutor(8) as pool:
        ids = [start(anka) for _ in range(8)]
        anka.requests.clear()

        def poll(id: str) -> list[str]:
            with requests.Session() as session:
                url, states = f"{anka.url}/api/v1/vm", []
                for _ in range(60):
                    answer = session.get(url, params={"id": id}, timeout=TIMEOUT)
                    states.append(answer.json()["body"]["instance_state"])
                    assert id in anka.instances
                return states

        polls = [pool.submit(poll, id) for id in ids]
        for _ in range(60):
            anka.clock.advance("1s")
            assert len(list(anka.instances.values())) >= 8
        seen = [poll.result(TIMEOUT) for poll in polls]
        found = anka.requests

    order = ["Scheduling", "Pulling", "Started"]
    assert all(states == sorted(states, key=order.index) for states in seen)
    assert 480 == len(found)
    assert [request.number for request in found] == list(range(9, 489))
    assert [request.at for request in found] == sorted(request.at for request in found)


def test_a_client_in_another_thread_reaches_started() -> None:
    """A client that polls with a stepping clock gets to Started, and nobody waits."""
    with mockanka.serve(clock="step", seed=1) as anka:

        def build() -> int:
            id, polls = start(anka), 1
            while send(anka, "GET", params={"id": id}).json()["body"]["instance_state"] != "Started":
                polls += 1
            send(anka, "DELETE", json={"id": id})
            return polls

        with ThreadPoolExecutor(1) as pool:
            polls = pool.submit(build).result(TIMEOUT)

        assert 1 < polls < 20
        assert [] == anka.report().findings
