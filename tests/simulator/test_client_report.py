"""The report: each thing that a client can do wrong is found, and its innocent neighbour is not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import requests

import mockanka
from mockanka.api.instances import START
from mockanka.api.request_fields import Remarks
from mockanka.core.release import DEFAULT_RELEASE, Release
from mockanka.simulator.client_monitor import ClientMonitor
from mockanka.simulator.client_report import (
    FINDING_KINDS,
    MAX_FINDING_REQUESTS,
    ClientFinding,
    Report,
    parse_finding_kinds,
)
from mockanka.simulator.journal import Journal
from mockanka.testing.anka import Anka
from tests.controllers import controller_of

VM = "/api/v1/vm"
TIMEOUT = 5.0
NOBODY = "11111111-2222-3333-4444-555555555555"
Found = list[tuple[str, list[int]]]


class Client:
    """A client of a controller in this process."""

    def __init__(self, anka: Anka) -> None:
        self.anka = anka
        self.template = next(iter(anka.templates))

    def ask(self, method: str, target: str, **more: Any) -> requests.Response:
        return requests.request(method, f"{self.anka.url}{target}", timeout=TIMEOUT, **more)

    def start(self, **more: object) -> list[str]:
        answer = self.ask("POST", VM, json={"vmid": self.template, **more})
        try:
            ids: list[str] = answer.json()["body"]
        except (ValueError, KeyError):
            return []
        return ids

    def lose(self, **more: object) -> None:
        """A start whose answer does not come through."""
        with pytest.raises(requests.RequestException):
            self.start(**more)

    def poll(self, id: str, times: int = 1) -> str:
        for _ in range(times):
            answer = self.ask("GET", f"{VM}?id={id}").json()
        return str(answer["body"]["instance_state"]) if "body" in answer else str(answer["message"])

    def list(self, times: int = 1) -> None:
        with requests.Session() as session:
            for _ in range(times):
                session.get(self.anka.url + VM, timeout=TIMEOUT)

    def terminate(self, *ids: str) -> None:
        for id in ids:
            self.ask("DELETE", VM, json={"id": id})

    def found(self, *kinds: str) -> Found:
        """The findings of those kinds, all but leaks if none is named, each with its requests."""
        wanted = kinds or [kind for kind in FINDING_KINDS if kind != "leaks"]
        return [(each.kind, each.requests) for each in self.anka.report().of_kinds(wanted)]


@contextmanager
def client_of(scenario: object = "default", clock: str = "manual", **options: Any) -> Iterator[Client]:
    with mockanka.serve(scenario, clock=clock, **{"seed": 1, **options}) as anka:  # type: ignore[arg-type]
        yield Client(anka)


@pytest.fixture
def client() -> Iterator[Client]:
    with client_of() as made:
        yield made


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not what():
        assert time.monotonic() < deadline


def messages(client: Client, kind: str) -> list[str]:
    return [each.message for each in client.anka.report().of_kinds([kind])]


# The whole.


def test_a_client_that_does_nothing_wrong_is_told_so(client: Client) -> None:
    """Start, poll now and then, terminate, poll until it is told Terminated: nothing to find fault with."""
    (id,) = client.start(external_id="job-1")
    for _ in range(30):
        client.anka.clock.advance("1s")
        if client.poll(id) == "Started":
            break
    client.terminate(id)
    while client.poll(id) != "Terminated":
        client.anka.clock.advance("1s")
    report = client.anka.report()

    assert [] == report.findings
    assert f"mockanka report: {len(client.anka.requests)} requests\n  no findings" == str(report)


def test_each_kind_of_finding_has_a_test() -> None:
    """Every kind in KINDS is named in this file as one that was found."""
    text = Path(__file__).read_text("utf-8")

    assert [] == [kind for kind in FINDING_KINDS if f'("{kind}", [' not in text]


def test_the_control_api_tells_the_same(client: Client) -> None:
    """GET /_mock/report has the findings with kind, message, requests, instance and count, as Python has them."""
    (id,) = client.start(external_id="job-1")
    client.poll(NOBODY)
    client.anka.faults.add(id="idle", match={"path": "/api/v1/usb"}, do={"status": 503})
    told = client.ask("GET", "/_mock/report").json()
    report = client.anka.report()

    assert ["unknown-ids", "leaks"] == [each["kind"] for each in told["findings"]]
    assert (2, 0, ["idle"]) == (told["requests"], told["dropped"], told["unused_faults"])
    assert [each.message for each in report.findings] == [each["message"] for each in told["findings"]]
    assert {"kind", "message", "requests", "instance", "count"} == set(told["findings"][1])
    assert (id, 1, [1]) == tuple(told["findings"][1][key] for key in ("instance", "count", "requests"))


def test_a_report_can_be_asked_for_again(client: Client) -> None:
    """Asking changes nothing; what comes later is added."""
    client.poll(NOBODY)
    first, second = client.anka.report(), client.anka.report()
    client.poll(NOBODY)

    assert first == second
    assert [("unknown-ids", [1, 2])] == client.found()


# Leaks.


def test_an_instance_left_behind_is_a_leak(client: Client) -> None:
    """It is named with its state, its external id and the request that started it."""
    client.list()
    (id,) = client.start(external_id="job-7")
    client.anka.wait(id)

    assert [("leaks", [2])] == client.found("leaks")
    assert [f"instance {id}, external_id 'job-7' is still Started"] == messages(client, "leaks")
    assert f"leaks: instance {id}, external_id 'job-7' is still Started (#2)" in str(client.anka.report())


def test_each_instance_of_a_count_is_a_leak_of_its_own(client: Client) -> None:
    """Three of one request are three leaks; one that is terminated is none."""
    ids = client.start(count=3)
    client.terminate(ids[1])

    assert [("leaks", [1])] * 2 == client.found("leaks")
    assert [ids[0], ids[2]] == [each.instance for each in client.anka.report().of_kinds(["leaks"])]


@pytest.mark.parametrize("state", ["Error", "Stopped", "Started"])
def test_a_leak_leaks_in_any_state(client: Client, state: str) -> None:
    """Also what has failed or stopped is listed until somebody terminates it."""
    (id,) = client.start()
    client.anka.wait(id)
    if state == "Error":
        client.anka.fail(id)
    if state == "Stopped":
        client.anka.shut_down(id)
        client.anka.wait(id, "Stopped")

    assert [f"instance {id} is still {state}"] == messages(client, "leaks")


def test_what_is_terminated_or_gone_is_no_leak(client: Client) -> None:
    """From the moment the request is accepted on; and what vanished or was saved as an image is none."""
    terminated, vanished, saved = client.start(count=3)
    client.anka.settle()
    client.terminate(terminated)
    client.anka.vanish(vanished)
    client.ask("POST", "/api/v1/image", json={"id": saved, "new_template_name": "new"})
    while saved in client.anka.instances:
        client.anka.clock.advance("10s")

    assert [] == client.found("leaks")


def test_an_instance_whose_termination_was_ignored_is_no_leak(client: Client) -> None:
    """Whatever a fault makes of a request that was answered OK, the client has done its part."""
    (id,) = client.start()
    client.anka.faults.add(match={"event": "terminate"}, do={"ignore": True})
    client.terminate(id)

    assert "Scheduling" == client.poll(id)
    assert [] == client.found("leaks")


def test_an_instance_whose_termination_was_answered_with_a_failure_is_a_leak(client: Client) -> None:
    """A client that is told FAIL, or 503, has to try again."""
    (id,) = client.start()
    client.anka.faults.add(match={"method": "DELETE"}, do={"status": 503})
    client.terminate(id)

    assert [("leaks", [1])] == client.found("leaks")


def test_what_was_there_before_is_no_leak(client: Client) -> None:
    """Only what a client started can be left behind by it."""
    client.list()

    assert 1 == len(client.anka.instances)
    assert [] == client.found("leaks")


def test_what_was_started_though_nobody_heard_of_it_is_a_leak(client: Client) -> None:
    """An answer that was lost is no excuse."""
    client.anka.faults.add(match={"method": "POST"}, do={"connection": "close"})
    client.lose(external_id="job-1")

    assert [("leaks", [1])] == client.found("leaks")


@pytest.mark.parametrize("size", [100, 100_000])
def test_a_leak_names_its_external_id_however_long_its_request_was(client: Client, size: int) -> None:
    """A long startup script does not make the report forget who asked."""
    (id,) = client.start(startup_script="YWFh" * (size // 4), external_id="job-1")

    assert [f"instance {id}, external_id 'job-1' is still Scheduling"] == messages(client, "leaks")


def test_a_leak_outlives_the_journal(client: Client) -> None:
    """Who deletes the journal, or makes it overflow, is told of leaks all the same."""
    client.start(external_id="job-1")
    client.anka.requests.clear()

    assert [("leaks", [1])] == client.found("leaks")


# Double starts.


def test_an_external_id_started_twice_is_a_double_start(client: Client) -> None:
    """Both requests are named, and the instance that lived."""
    (id,) = client.start(external_id="job-1")
    client.start(external_id="job-2")
    client.start(external_id="job-1")

    assert [("double-starts", [1, 3])] == client.found()
    assert [f"external_id 'job-1' was started again while instance {id} was Scheduling"] == messages(
        client, "double-starts"
    )


def test_a_third_start_is_added_to_the_second(client: Client) -> None:
    """One finding, which counts on."""
    for _ in range(3):
        client.start(external_id="job-1")
    (finding,) = client.anka.report().of_kinds(["double-starts"])

    assert ([1, 2, 3], 3) == (finding.requests, finding.count)


def test_a_count_in_one_request_is_no_double_start(client: Client) -> None:
    """Three with one external id, asked for at once, were meant."""
    client.start(external_id="job-1", count=3)

    assert [] == client.found()


@pytest.mark.parametrize("end", ["terminate", "vanish", "forget"])
def test_a_start_after_the_first_has_ended_is_none(client: Client, end: str) -> None:
    """Once the first is terminated, or gone, its external id may be used again."""
    (id,) = client.start(external_id="job-1")
    client.anka.wait(id)
    client.anka.vanish(id) if end == "vanish" else client.terminate(id)
    if end == "forget":
        client.anka.clock.advance("10m")
    client.start(external_id="job-1")

    assert [] == client.found()


def test_starts_without_an_external_id_are_none(client: Client) -> None:
    """Nobody can tell whether they were meant; a blank one is none."""
    for external_id in ("", ""):
        client.start()
        client.start(external_id=external_id)

    assert [] == client.found()


def test_a_refused_start_is_none(client: Client) -> None:
    """What started nothing did not start it twice."""
    client.start(external_id="job-1")
    client.start(external_id="job-1", vmid="nothing")

    assert [] == client.found("double-starts")


def test_a_start_after_an_error_is_no_double_start(client: Client) -> None:
    """An instance in Error lives no more, though it still has to be terminated."""
    (id,) = client.start(external_id="job-1")
    client.anka.fail(id)
    client.start(external_id="job-1")

    assert [] == client.found("double-starts")
    assert id in [finding.instance for finding in client.anka.report().of_kinds(["leaks"])]


def test_a_double_start_is_found_however_long_its_requests_are(client: Client) -> None:
    """Also with startup scripts that the journal cuts off."""
    for _ in range(2):
        client.start(startup_script="YWFh" * 25_000, external_id="job-1")

    assert [("double-starts", [1, 2])] == client.found()


def test_an_external_id_that_was_changed_counts_as_it_is(client: Client) -> None:
    """Who gives the first another external id may use the old one again."""
    (id,) = client.start(external_id="job-1")
    client.ask("PUT", f"{VM}?id={id}", json={"external_id": "job-0"})
    client.start(external_id="job-1")

    assert [] == client.found()


# Retried starts.

LOST: dict[str, dict[str, object]] = {
    "close": {"connection": "close"},
    "reset": {"connection": "reset"},
    "cut": {"cut": "50%"},
    "no JSON": {"body": "<html>"},
    "503": {"status": 503, "acts": True},
    "failure": {"fail": "no", "acts": True},
}


@pytest.mark.parametrize("how", LOST)
@pytest.mark.parametrize("external_id", ["job-1", None])
def test_a_start_sent_again_after_its_answer_was_lost_is_found(
    client: Client, how: str, external_id: str | None
) -> None:
    """The first had started something: both requests are named, known by their external id, or being the same."""
    more = {"external_id": external_id} if external_id else {"name": "mine"}
    client.anka.faults.add(match={"method": "POST"}, do=LOST[how], times=1)
    if how in ("close", "reset", "cut"):
        client.lose(**more)
    else:
        client.start(**more)
    client.start(**more)

    assert [("retried-starts", [1, 2])] == client.found("retried-starts")
    assert ["#1 had started something, though its answer was lost; it was sent again"] == messages(
        client, "retried-starts"
    )
    assert ([("double-starts", [1, 2])] if external_id else []) == client.found("double-starts")


def test_a_start_sent_again_at_once_is_found_each_time() -> None:
    """However quick the client is: by the time it sees its connection break, the report knows."""
    found: list[int] = []
    for _ in range(15):
        with client_of() as client:
            client.anka.faults.add(match={"method": "POST"}, do={"connection": "close"}, times=1)
            client.lose(name="mine")
            client.start(name="mine")
            found.append(len(client.found("retried-starts")))

    assert [1] * 15 == found


@pytest.mark.parametrize("do", [{"status": 503}, {"fail": "no"}, {"connection": "close", "acts": False}])
def test_a_start_sent_again_that_had_started_nothing_is_right(client: Client, do: dict[str, object]) -> None:
    """A client that retries after a 503 that did not act does what it should."""
    client.anka.faults.add(match={"method": "POST"}, do=do, times=1)
    with suppress(requests.ConnectionError):
        client.start(external_id="job-1")
    client.start(external_id="job-1")

    assert [] == client.found()


def test_another_start_after_a_lost_one_is_none(client: Client) -> None:
    """Another external id, or another request, was not sent again."""
    client.anka.faults.add(match={"method": "POST"}, do={"connection": "close"}, times=2)
    client.lose(external_id="job-1")
    client.lose(name="one")
    client.start(external_id="job-2")
    client.start(name="two")

    assert [] == client.found()


def test_other_requests_that_are_lost_are_no_starts(client: Client) -> None:
    """Polls may be sent again."""
    client.anka.faults.add(match={"method": "GET"}, do={"connection": "close"}, times=1)
    with pytest.raises(requests.ConnectionError):
        client.poll(next(iter(client.anka.instances)))
    client.poll(next(iter(client.anka.instances)))

    assert [] == client.found()


def test_long_starts_that_differ_at_their_end_are_not_the_same(client: Client) -> None:
    """Two scripts that begin alike are two starts."""
    client.anka.faults.add(match={"method": "POST"}, do={"connection": "close"}, times=1)
    client.lose(startup_script="YWFh" * 25_000 + "YQ==")
    client.start(startup_script="YWFh" * 25_000 + "Yg==")

    assert [] == client.found("retried-starts")


def test_a_lost_start_that_was_cleaned_up_may_be_sent_again(client: Client) -> None:
    """A client that finds what it had started, terminates it and begins again has done nothing wrong."""
    client.anka.faults.add(match={"method": "POST"}, do={"connection": "close"}, times=1)
    client.lose(external_id="job-1")
    items = client.ask("GET", VM).json()["body"]
    client.terminate(*[item["instance_id"] for item in items if item.get("external_id") == "job-1"])
    client.start(external_id="job-1")

    assert [] == client.found()


def test_a_client_that_leaves_while_its_start_is_delayed_has_lost_its_answer() -> None:
    """A timeout that is too short, and a retry: found."""
    with client_of(clock="real", speed=100) as client:
        client.anka.faults.add(match={"method": "POST"}, do={"delay": "1h"}, times=1)
        with pytest.raises(requests.Timeout):
            requests.post(client.anka.url + VM, json={"vmid": client.template, "name": "x"}, timeout=0.1)
        until(lambda: client.anka.requests[0].outcome == "client left")
        client.start(name="x")

        assert "client left" == client.anka.requests[0].outcome
        assert [("retried-starts", [1, 2])] == client.found()


def test_an_answer_lost_in_two_ways_is_one_lost_answer() -> None:
    """Replaced, and then not even waited for: the start that comes again is counted once."""
    with client_of(clock="real", speed=100) as client:
        client.anka.faults.add(match={"method": "POST"}, do={"body": "<p>", "delay": "1h"}, times=1)
        with pytest.raises(requests.Timeout):
            requests.post(client.anka.url + VM, json={"vmid": client.template, "name": "x"}, timeout=0.1)
        until(lambda: client.anka.requests[0].outcome == "client left")
        client.start(name="x")

        assert [("retried-starts", [1, 2])] == client.found()


# Hammering.


def test_more_polls_than_the_rate_allows_are_hammering(client: Client) -> None:
    """By a clock that stands still twenty polls are let pass, and each one more is named."""
    client.list(23)

    assert [("hammering", [21, 22, 23])] == client.found()
    assert ["the list of instances was polled more often than its rate allows"] == messages(client, "hammering")


def test_twenty_polls_at_once_are_none(client: Client) -> None:
    """The burst is allowed."""
    client.list(20)

    assert [] == client.found()


def test_each_instance_has_a_rate_of_its_own(client: Client) -> None:
    """Who polls three in turn may do so three times as often; the one that is polled more is named."""
    one, two = client.start(count=2)
    for _ in range(20):
        client.poll(one)
        client.poll(two)
        client.list()
    client.poll(two)
    (finding,) = client.anka.report().of_kinds(["hammering"])

    assert (two, [62]) == (finding.instance, finding.requests)
    assert f"instance {two} was polled more often than its rate allows" == finding.message


def test_a_slow_poller_never_hammers(client: Client) -> None:
    """One poll a second may go on for ever; after a pause a burst is allowed again."""
    for _ in range(60):
        client.list()
        client.anka.clock.advance("1s")
    client.anka.clock.advance("20s")
    client.list(20)

    assert [] == client.found()


def test_a_poller_whose_clock_moves_by_hand_may_poll_anew(client: Client) -> None:
    """Where the clock does not run by itself, any move of it gives the whole burst again."""
    for _ in range(5):
        client.list(20)
        client.anka.clock.advance("1ms")

    assert [] == client.found()


def test_a_poller_a_little_too_fast_is_found_in_the_end() -> None:
    """By a clock that runs, two polls each second use up the burst."""
    with client_of(clock="real", speed=0.001) as client:
        for _ in range(40):
            client.list(1)
            client.anka.clock.advance("500ms")

        assert "hammering" in [kind for kind, _ in client.found()]


def test_by_a_stepping_clock_nobody_hammers() -> None:
    """Each poll is 5 s later than the one before, however fast the client is."""
    with client_of(clock="step") as client:
        client.list(60)

        assert [] == client.found()


@pytest.mark.parametrize(("step", "expected"), [("100ms", []), ("0s", [("hammering", [21, 22, 23])])])
def test_by_a_stepping_clock_only_a_step_of_nothing_is_hammering(step: str, expected: Found) -> None:
    """However small the step, the clock has moved; a step of nothing is a clock that stands still."""
    with client_of(clock="step", step=step) as client:
        client.list(23)

        assert expected == client.found()


@pytest.mark.parametrize(("speed", "expected"), [(0.001, [("hammering", [21, 22])]), (1e6, [])])
def test_by_a_real_clock_it_is_the_controllers_time_that_counts(speed: float, expected: Found) -> None:
    """Where a second is an instant nobody hammers; where it takes a quarter of an hour 22 polls do."""
    with client_of(clock="real", speed=speed) as client:
        client.list(22)

        assert expected == client.found()


def test_the_scenario_sets_the_rate() -> None:
    """``report: {poll_every: 10s, poll_burst: 2}``."""
    with client_of({"report": {"poll_every": "10s", "poll_burst": 2}, "templates": [{"name": "x"}]}) as client:
        client.list(3)
        client.anka.clock.advance("25s")
        client.list(1)

        assert [("hammering", [3])] == client.found()


def test_the_rate_comes_and_goes_with_its_scenario() -> None:
    """A load brings another rate, a reset keeps it, a dump has it."""
    strict = {"report": {"poll_every": "10s", "poll_burst": 2}}
    with client_of() as client:
        client.anka.load(strict)
        client.anka.reset()
        client.list(3)
        found = client.found()
        client.anka.load(client.anka.dump())
        client.list(3)
        again = client.found()
        client.anka.load("default")
        client.list(3)

        assert ([("hammering", [3])], [("hammering", [3])], []) == (found, again, client.found())


def test_polls_that_a_fault_answers_count_as_well(client: Client) -> None:
    """A client that is told 503 and comes back at once hammers."""
    client.anka.faults.add(do={"status": 503})
    client.list(21)

    assert [("hammering", [21])] == client.found()


def test_other_requests_are_no_polls(client: Client) -> None:
    """Nodes, templates and starts may be asked for as often as one likes."""
    for _ in range(25):
        client.ask("GET", "/api/v1/node")
        client.ask("GET", "/api/v1/registry/vm")

    assert [] == client.found()


# Polls of what is terminated.


def terminated(client: Client) -> str:
    """An instance that is Terminated, and nobody has been told yet."""
    (id,) = client.start()
    client.anka.wait(id)
    client.terminate(id)
    client.anka.wait(id, "Terminated")
    return id


def test_polls_after_being_told_terminated_are_found(client: Client) -> None:
    """The first that says so is none; each one more is named."""
    id = terminated(client)
    client.poll(id, 3)

    assert [("terminated-polls", [4, 5])] == client.found()
    assert [f"instance {id} was polled again after it was terminated"] == messages(client, "terminated-polls")


def test_polls_of_what_is_forgotten_are_found(client: Client) -> None:
    """It was terminated, and still is, though nobody lists it any more."""
    id = terminated(client)
    client.anka.clock.advance("10m")
    client.poll(id, 3)

    assert [("terminated-polls", [4, 5])] == client.found()


def test_polls_of_what_vanished_are_none(client: Client) -> None:
    """Nobody has terminated it, so nobody was told so."""
    (id,) = client.start()
    client.anka.wait(id)
    client.anka.vanish(id)
    client.poll(id, 3)

    assert [] == client.found()


def test_an_unknown_id_that_a_request_names_twice_is_named_once(client: Client) -> None:
    """As its node and as its group: one request, one finding."""
    client.start(node_id=NOBODY, group_id=NOBODY)

    assert [("unknown-ids", [1])] == client.found("unknown-ids")


def test_a_client_that_stops_when_told_is_innocent(client: Client) -> None:
    """However often it polled before."""
    (id,) = client.start()
    client.anka.wait(id)
    client.terminate(id)
    client.poll(id, 5)
    client.anka.wait(id, "Terminated")
    client.poll(id)

    assert [] == client.found()


def test_being_told_that_nobody_knows_it_any_more_counts_as_well(client: Client) -> None:
    """Not found, once, is how a slow poller learns it; the second time it should know."""
    id = terminated(client)
    client.anka.clock.advance("10m")
    first = client.poll(id)
    innocent = client.found()
    client.poll(id)

    assert ("Not found", []) == (first, innocent)
    assert [("terminated-polls", [4])] == client.found()


def test_the_list_may_be_polled_on(client: Client) -> None:
    """Who looks at the list does not ask for the terminated one."""
    terminated(client)
    client.list(5)

    assert [] == client.found()


def test_who_was_told_something_else_was_not_told(client: Client) -> None:
    """A poll that a fault answered with a 503 did not tell the client anything."""
    id = terminated(client)
    client.anka.faults.add(match={"method": "GET"}, do={"status": 503, "acts": True}, times=1)
    client.ask("GET", f"{VM}?id={id}")
    client.poll(id)

    assert [] == client.found()


# Ids that never were.


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("GET", f"{VM}?id={NOBODY}", None),
        ("PUT", f"{VM}?id={NOBODY}", {"name": "x"}),
        ("DELETE", VM, {"id": NOBODY}),
        ("POST", VM, {"vmid": NOBODY}),
        ("GET", f"/api/v1/node?id={NOBODY}", None),
        ("POST", "/api/v1/node/config", {"node_id": NOBODY}),
        ("GET", f"/api/v1/registry/vm?id={NOBODY}", None),
        ("POST", "/api/v1/registry/vm/distribute", {"template_id": NOBODY}),
        ("POST", "/api/v1/image", {"id": NOBODY, "new_template_name": "x"}),
        ("GET", f"/api/v1/image?id={NOBODY}", None),
        ("DELETE", f"/api/v1/group?id={NOBODY}", None),
    ],
)
@pytest.mark.parametrize("release", ["1.8.0", "1.50.1"])
def test_a_call_on_an_id_that_never_was_is_found(method: str, target: str, body: object, release: str) -> None:
    """Wherever the id stands; the calls are counted by what they were."""
    with client_of(release=release) as client:
        for _ in range(2):
            client.ask(method, target, **({} if body is None else {"json": body}))

        assert [("unknown-ids", [1, 2])] == client.found("unknown-ids")
        path = target.partition("?")[0]
        assert [f"{method} {path}: there never was a '{NOBODY}'"] == messages(client, "unknown-ids")


def test_ids_that_were_are_known(client: Client) -> None:
    """What was there, was started, or was made, may be asked for also when it is gone."""
    before, template = next(iter(client.anka.instances)), client.template
    node = next(iter(client.anka.nodes))
    (started,) = client.start()
    group = client.ask("POST", "/api/v1/group", json={"name": "new"}).json()["body"]["id"]
    client.anka.vanish(before)
    client.anka.vanish(started)
    client.ask("DELETE", f"/api/v1/group?id={group}")
    client.ask("DELETE", "/api/v1/node", json={"node_id": node})
    client.ask("DELETE", f"/api/v1/registry/vm?id={template}")
    for target in (f"{VM}?id={before}", f"{VM}?id={started}", f"/api/v1/node?id={node}"):
        client.ask("GET", target)
    client.ask("DELETE", f"/api/v1/group?id={group}")
    client.ask("GET", f"/api/v1/registry/vm?id={template}")

    assert [] == client.found()


def test_what_a_lost_answer_named_was_there(client: Client) -> None:
    """A client may know ids that the report's answers never told it, such as those it found in the list."""
    client.anka.faults.add(match={"method": "POST"}, do={"connection": "close"})
    client.lose()
    id = next(id for id in client.anka.instances if client.anka.instances[id].started_by)
    client.anka.vanish(id)
    client.poll(id)

    assert [] == client.found()


# Fields and parameters.


def test_fields_that_nobody_knows_are_found() -> None:
    """A misspelt field, one that came later, and a parameter that means nothing."""
    with client_of(release="1.8.0") as client:
        client.start(strat_up="x")
        client.start(strat_up="x")
        client.start(startup_script="YQ==", script_monitoring=True)
        client.ask("GET", f"{VM}?uuid=x")

        assert [("unknown-fields", [1, 2]), ("unknown-fields", [3]), ("unknown-fields", [4])] == client.found()
        assert [
            f"POST {VM}: strat_up: no such field",
            f"POST {VM}: script_monitoring: release 1.8.0 does not know it, it came with 1.24.0",
            f"GET {VM}: uuid: no such query parameter",
        ] == messages(client, "unknown-fields")


def test_fields_that_the_release_knows_are_none() -> None:
    """Whatever case they are written in, as Go reads them."""
    with client_of(release="1.50.1") as client:
        client.start(startup_script="YQ==", script_monitoring=True, External_ID="x")

        assert [] == client.found()


def test_fields_that_went_away_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A field that an earlier release knew is told apart from one that never was."""
    with client_of(release="1.19.0") as client, client_of(release="1.20.0") as later:
        monkeypatch.setitem(START.fields["priority"].metadata, "until", Release(1, 20, 0))
        client.start(priority=3)
        later.start(priority=3)

        assert [] == client.found()
        assert [("deprecated-fields", [1])] == later.found()
        assert [f"POST {VM}: priority: release 1.20.0 does not know it any more, it went with 1.20.0"] == messages(
            later, "deprecated-fields"
        )


# The contract.


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"vmid": 7}', b'{"vmid": "x", "count": 0}'])
@pytest.mark.parametrize("release", ["1.8.0", "1.50.1"])
def test_a_request_that_breaks_the_contract_is_found(body: bytes, release: str) -> None:
    """What the controller cannot read is named with what was wrong."""
    with client_of(release=release) as client:
        answer = client.ask("POST", VM, data=body).json()

        assert [("contract", [1])] == client.found("contract")
        assert [f"POST {VM}: {answer['message'].removeprefix('invalid request: ')}"] == messages(client, "contract")


def test_a_refusal_of_a_sound_request_breaks_nothing(client: Client) -> None:
    """A tag that is not there, an instance that does not run: the client could not know."""
    client.start(tag="nothing")
    client.ask("POST", "/api/v1/image", json={"id": client.start()[0], "new_template_name": "x"})

    assert [] == client.found()


def test_what_the_controller_never_saw_is_not_looked_at(client: Client) -> None:
    """A request that a fault answered alone was not read."""
    client.anka.faults.add(do={"status": 503})
    client.ask("POST", VM, data=b"{")
    client.ask("GET", f"{VM}?id={NOBODY}")

    assert [] == client.found()


# Faults that did not strike, and the words.


def test_faults_that_never_struck_are_told(client: Client) -> None:
    """A test that thinks it tested something is told that it did not."""
    client.anka.faults.add(id="used", match={"path": "/api/v1/status"}, do={"status": 503})
    client.anka.faults.add(id="skips", match={"path": "/api/v1/status"}, do={"status": 503}, skip=9)
    client.anka.faults.add(id="idle", match={"event": "pull"}, do={"fail": "x"})
    client.ask("GET", "/api/v1/status")
    report = client.anka.report()

    assert ["skips", "idle"] == report.unused_faults
    assert ("mockanka report: 1 request\n  no findings\n  fault skips never struck\n  fault idle never struck") == str(
        report
    )


def test_an_unused_fault_is_no_finding(client: Client) -> None:
    """It is not the client that did wrong."""
    client.anka.faults.add(do={"status": 503})

    assert [] == client.anka.report().of_kinds(FINDING_KINDS)


def test_a_finding_names_the_first_requests_and_counts_the_others(client: Client) -> None:
    """Five in words, twenty in all, and how many there were."""
    client.list(50)
    (finding,) = client.anka.report().findings

    assert (30, list(range(21, 41))) == (finding.count, finding.requests)
    assert MAX_FINDING_REQUESTS == len(finding.requests)
    assert str(finding).endswith("(#21, #22, #23, #24, #25 and 25 more)")


@pytest.mark.parametrize(
    ("finding", "expected"),
    [
        (ClientFinding("leaks", "x"), "leaks: x"),
        (ClientFinding("leaks", "x", [3], None, 1), "leaks: x (#3)"),
        (ClientFinding("leaks", "x", [1, 2, 3, 4, 5], None, 5), "leaks: x (#1, #2, #3, #4, #5)"),
        (ClientFinding("leaks", "x", [1, 2, 3, 4, 5, 6], None, 6), "leaks: x (#1, #2, #3, #4, #5 and 1 more)"),
    ],
)
def test_a_finding_in_words(finding: ClientFinding, expected: str) -> None:
    """Its kind, what was wrong, and the numbers of its requests."""
    assert expected == str(finding)


def test_a_report_in_words_has_a_line_for_each_finding() -> None:
    """How many requests there were, then the findings, then the faults that never struck."""
    report = Report([ClientFinding("leaks", "x", [1], None, 1), ClientFinding("contract", "y")], ["idle"], 1, 0)

    assert "mockanka report: 1 request\n  leaks: x (#1)\n  contract: y\n  fault idle never struck" == str(report)
    assert [report.findings[1]] == report.of_kinds(["contract"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("leaks", ["leaks"]),
        ("leaks,hammering", ["leaks", "hammering"]),
        ("double_starts  contract", ["double-starts", "contract"]),
        ("all", list(FINDING_KINDS)),
        ("leaks, all", list(FINDING_KINDS)),
        ("", []),
    ],
)
def test_kinds_are_read_from_a_list(text: str, expected: list[str]) -> None:
    """Separated by commas or blanks, with either dash; all is all."""
    assert expected == parse_finding_kinds(text)


def test_a_kind_that_is_none_is_refused() -> None:
    """The message names those there are."""
    with pytest.raises(ValueError, match="'leak' is no kind of finding: there are leaks, double-starts"):
        parse_finding_kinds("leak")


def test_a_reset_forgets_what_was_found(client: Client) -> None:
    """Nothing of before is told, and what was known before is not."""
    (id,) = client.start(external_id="job-1")
    client.list(30)
    client.anka.reset(seed=99)
    empty = client.anka.report()
    client.poll(id)

    assert ([], 0) == (empty.findings, empty.requests)
    assert [("unknown-ids", [1])] == client.found()


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("GET", "/api/v1/vms", "GET /api/v1/vms: no operation has that path: did you mean '/api/v1/vm'?"),
        ("PATCH", "/api/v1/vm", "PATCH /api/v1/vm: it takes GET, POST, PUT, DELETE"),
    ],
)
def test_what_is_no_operation_breaks_the_contract(client: Client, method: str, path: str, said: str) -> None:
    """A wrong path names the nearest, a wrong method those that there are; the ids in them were never asked for."""
    requests.request(method, f"{client.anka.url}{path}?id=x", timeout=5)

    assert [said] == [each.message for each in client.anka.report().findings]
    assert [("contract", [1])] == client.found()


def test_a_poll_counts_for_its_instance_whatever_else_it_says(client: Client) -> None:
    """Who adds a number to each poll hammers all the same."""
    (id,) = client.start()
    for number in range(21):
        requests.get(f"{client.anka.url}/api/v1/vm?id={id}&_={number}", timeout=5)

    assert [22] == next(each.requests for each in client.anka.report().of_kinds(["hammering"]))


def test_too_many_findings_are_counted() -> None:
    """A thousand are kept apart, of the others there is the number."""
    monitor = ClientMonitor(controller_of("{}"))
    journal = Journal()
    for number in range(1_010):
        entry = journal.add("GET", "/api/v1/node", f"id=n{number}".encode(), b"", 0)
        monitor.record_request(
            entry, Remarks(lambda: DEFAULT_RELEASE), b"", 200, b'{"status":"FAIL","message":"Not found"}'
        )
    report = monitor.report(journal)

    assert (1_000, 10) == (len(report.findings), report.more)
    assert "and 10 more" in str(report)
