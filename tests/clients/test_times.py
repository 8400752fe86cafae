"""Intervals, limits and retries of clients, measured with the controller's clock (controller-facts D0 to D8)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import pytest

from mockanka import Anka
from mockanka.testing.request_log import Requests
from tests.clients.clients import STARTERS, at, outcome_of
from tests.clients.engine import Client
from tests.clients.jenkins import Jenkins
from tests.clients.teamcity import TeamCity

VM = "/api/v1/vm"
CACHED, COLD = "14.5-arm64", "13.6-arm64"


def gaps(found: Requests) -> list[float]:
    """Return the seconds from each request to the next."""
    return [(after.at - before.at).total_seconds() for before, after in pairwise(found)]


def params(*known: str) -> list[Any]:
    """Return the parameters of a test for some clients on the default release."""
    return [pytest.param(name, marks=at("1.50.1"), id=name) for name in known]


POLLS: dict[str, list[float]] = {
    # They poll every five and every four seconds, but the list is cached for seven.
    "jenkins": [0, 10, 10, 10],
    "teamcity": [0, 8, 8, 8],
    "gitlab-executor": [10, 10, 10, 10],
    "gitlab-runner": [0, 2, 2, 2],
    "actions-2022": [0, 5, 5, 5],
    "actions-2026": [0, 5, 5, 5],
    "drone": [0, 5, 5, 5],
    "mcp": [0, 3, 3, 3],
    "flower": [0, 5, 5, 5],
}
"""Seconds from a start to the first poll, and between polls; clients that are not listed poll once."""


@pytest.mark.parametrize("name", params(*POLLS))
def test_a_client_polls_in_the_intervals_of_the_record(anka: Anka, name: str) -> None:
    """While its template is pulled a client polls as often as its code is known to."""
    STARTERS[name](anka, vmid=anka.templates[COLD].id).start()
    asked = Requests([*anka.requests.where(method="POST", path=VM), *anka.requests.where(method="GET", path=VM)])

    assert POLLS[name] == gaps(asked)[:4]


@at("1.50.1")
def test_teamcity_asks_for_the_status_every_five_seconds(anka: Anka) -> None:
    """It polls the status from its beginning, while it waits for a start, also when a response is late."""
    anka.faults.add(match={"path": "/api/v1/status"}, do={"delay": "5100ms"}, times=1)
    client = TeamCity(anka, vmid=anka.templates[COLD].id)
    machine = client.start()
    asked = anka.requests.where(method="GET", path="/api/v1/status")

    assert machine.address
    assert ["status: no answer within 5 s"] == client.log
    assert 5.0 == client.since(client.began) - client.since(asked[0].at)
    assert [5.1, 4.9, *[5] * (len(asked) - 3)] == gaps(asked)
    assert 12 < len(asked)


@at("1.50.1")
def test_jenkins_polls_a_missing_instance_without_its_cache(anka: Anka) -> None:
    """It reads the list anew, and gives up at the tenth miss in a row."""
    anka.faults.add(match={"event": "schedule"}, do={"vanish": True})
    seen = outcome_of(anka, Jenkins(anka, vmid=anka.templates[CACHED].id).start)
    asked = anka.requests.where(method="GET", path=VM)

    assert "fails" == seen.what
    assert [0, *[5] * 9] == gaps(asked)


@at("1.50.1")
def test_jenkins_ends_three_seconds_after_its_job(anka: Anka) -> None:
    """Three seconds after the job it reads the list, and sends DELETE."""
    client = Jenkins(anka, vmid=anka.templates[CACHED].id)
    machine = client.start()
    ended_at = client.now
    client.end(machine)

    assert 3.0 == (anka.requests.where(method="DELETE")[0].at - ended_at).total_seconds()


class Limit(NamedTuple):
    """A limit of a client: the fault that makes it wait, its message, and the seconds until it gives up."""

    name: str
    match: str
    do: dict[str, Any]
    text: str
    seconds: float
    """Seconds from the start to the last request."""
    template: str = CACHED
    leap: float = 0.0
    """Seconds by which the clock is advanced once more, which saves requests."""
    sleeps: int = 0
    """Number of sleeps of the client before that."""


STALL = {"stall": True}
NO_IP = {"without": ["ip"]}
# All poll after their limit, not at it. The VM is Started after 21 s.
LIMITS = {
    "jenkins, scheduling": Limit("jenkins", "schedule", STALL, "Scheduling for more than 1800 s", 1805, leap=1500),
    "jenkins, no port": Limit(
        "jenkins", "start", {"without": ["ip", "port_forwarding"]}, "the VM has no address", 30 + 6 * 10
    ),
    "teamcity, scheduling": Limit("teamcity", "schedule", STALL, "Scheduling for more than 3600 s", 3604, leap=3000),
    "teamcity, pulling": Limit(
        "teamcity", "pull", STALL, "Pulling for more than 21600 s", 8 + 21604, COLD, leap=21400, sleeps=2
    ),
    "teamcity, no address": Limit("teamcity", "start", NO_IP, "the VM has no address", 24 + 124),
    "gitlab-runner, starting": Limit("gitlab-runner", "schedule", STALL, "not Started within 5400 s", 5402, leap=5000),
    "gitlab-runner, no address": Limit("gitlab-runner", "start", NO_IP, "the VM has no address", 22 + 302),
    "mcp": Limit("mcp", "schedule", STALL, "not ready within 180 s, last seen Scheduling", 180),
}


def advance_during_sleep(client: Client, seconds: float, sleeps: int) -> None:
    """Advance the clock once more than the client knows, after so many of its sleeps."""
    original_sleep, sleeps_left = client.sleep, sleeps

    def sleep(time: float) -> None:
        nonlocal sleeps_left
        if sleeps_left == 0:
            client.sleep = original_sleep  # type: ignore[method-assign]
            client.anka.clock.advance(f"{seconds:.0f}s")
        sleeps_left -= 1
        original_sleep(time)

    client.sleep = sleep  # type: ignore[method-assign]


@pytest.mark.parametrize("limit", [pytest.param(limit, marks=at("1.50.1"), id=id) for id, limit in LIMITS.items()])
def test_a_client_gives_up_at_its_limit(anka: Anka, limit: Limit) -> None:
    """It reports the limit, and has waited that long."""
    anka.faults.add(match={"event": limit.match}, do=limit.do)
    client = STARTERS[limit.name](anka, vmid=anka.templates[limit.template].id)
    if limit.leap:
        advance_during_sleep(client, limit.leap, limit.sleeps)
    seen = outcome_of(anka, client.start)
    (start,) = anka.requests.where(method="POST", path=VM)

    assert ("fails", limit.text) == (seen.what, seen.text)
    assert limit.seconds == (anka.requests[-1].at - start.at).total_seconds()


CLOSED = {"connection": "close", "acts": False}
RETRIES: dict[str, list[float]] = {
    "jenkins": [0] * 9,
    "teamcity": [1, 2, 4, 8, 16, 32],
    "gitlab-runner": [10, 20, 30, 40, 50, 60],
    "drone": [5, 10],
}
"""Seconds from a start without a response to the next; clients that are not listed do not retry."""


@pytest.mark.parametrize("name", params(*STARTERS))
def test_a_client_retries_as_the_record_says(anka: Anka, name: str) -> None:
    """A start without a response is sent again as often, and with the pauses, as on record, or not at all."""
    anka.faults.add(match={"method": "POST", "path": VM}, do=CLOSED)
    seen = outcome_of(anka, STARTERS[name](anka, vmid=anka.templates[CACHED].id).start)

    assert "fails" == seen.what
    assert RETRIES.get(name, []) == gaps(anka.requests.where(method="POST", path=VM))


@at("1.50.1")
def test_the_gitlab_executor_retries_only_after_a_timeout(anka: Anka) -> None:
    """It takes a response within ten seconds, and sends the start twice more after a later one."""
    anka.faults.add(match={"method": "POST", "path": VM}, do={"delay": "11s"})
    outcome_of(anka, STARTERS["gitlab-executor"](anka, vmid=anka.templates[CACHED].id).start)

    assert [11 + 5, 11 + 10] == gaps(anka.requests.where(method="POST", path=VM))
