"""When clients ask, how often, and how long they bear it, by the mock's clock (controller-facts D0 to D8)."""

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
    """Seconds from one request to the next."""
    return [(after.at - before.at).total_seconds() for before, after in pairwise(found)]


def names(*known: str) -> list[Any]:
    return [pytest.param(name, marks=at("1.50.1"), id=name) for name in known]


POLLS: dict[str, list[float]] = {
    # Every five and every four seconds, but the list is kept for seven.
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
"""Seconds from a start to the first look, and from each look to the next; who is not here looks once."""


@pytest.mark.parametrize("name", names(*POLLS))
def test_a_client_looks_so_often(anka: Anka, name: str) -> None:
    """While its template is pulled a client looks in the intervals of the record."""
    STARTERS[name](anka, vmid=anka.templates[COLD].id).start()
    asked = Requests([*anka.requests.where(method="POST", path=VM), *anka.requests.where(method="GET", path=VM)])

    assert POLLS[name] == gaps(asked)[:4]


@at("1.50.1")
def test_teamcity_asks_for_the_status_every_five_seconds(anka: Anka) -> None:
    """Beside the start that it waits for, from its beginning on, and whether or not an answer comes in time."""
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
def test_jenkins_looks_again_at_once_for_one_that_is_missing(anka: Anka) -> None:
    """It does not trust its cache then, and gives up at the tenth miss in a row."""
    anka.faults.add(match={"event": "schedule"}, do={"vanish": True})
    seen = outcome_of(anka, Jenkins(anka, vmid=anka.templates[CACHED].id).start)
    asked = anka.requests.where(method="GET", path=VM)

    assert "fails" == seen.what
    assert [0, *[5] * 9] == gaps(asked)


@at("1.50.1")
def test_jenkins_ends_three_seconds_after_its_job(anka: Anka) -> None:
    """Then it looks, and sends DELETE."""
    client = Jenkins(anka, vmid=anka.templates[CACHED].id)
    machine = client.start()
    over = client.now
    client.end(machine)

    assert 3.0 == (anka.requests.where(method="DELETE")[0].at - over).total_seconds()


class Limit(NamedTuple):
    """Until when a client bears what."""

    name: str
    match: str
    do: dict[str, Any]
    text: str
    seconds: float
    """From the start to its last request."""
    template: str = CACHED
    leap: float = 0.0
    """Seconds that pass unseen, which spares requests."""
    sleeps: int = 0
    """How often the client sleeps before."""


STALL = {"stall": True}
NO_IP = {"without": ["ip"]}
# All look after their limit, not at it. Started is the VM after 21 s.
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


def leaping(client: Client, seconds: float, sleeps: int) -> None:
    """Once, after so many sleeps, more time passes than the client knows."""
    asleep, left = client.sleep, sleeps

    def sleep(time: float) -> None:
        nonlocal left
        if left == 0:
            client.sleep = asleep  # type: ignore[method-assign]
            client.anka.clock.advance(f"{seconds:.0f}s")
        left -= 1
        asleep(time)

    client.sleep = sleep  # type: ignore[method-assign]


@pytest.mark.parametrize("limit", [pytest.param(each, marks=at("1.50.1"), id=id) for id, each in LIMITS.items()])
def test_a_client_gives_up_at_its_limit(anka: Anka, limit: Limit) -> None:
    """It says how long it has waited, and that is how long it was."""
    anka.faults.add(match={"event": limit.match}, do=limit.do)
    client = STARTERS[limit.name](anka, vmid=anka.templates[limit.template].id)
    if limit.leap:
        leaping(client, limit.leap, limit.sleeps)
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
"""Seconds from a start that got no answer to the next; who is not here does not try again."""


@pytest.mark.parametrize("name", names(*STARTERS))
def test_a_client_tries_again_so_often(anka: Anka, name: str) -> None:
    """When no answer comes to a start it is sent again, as often and with the pauses of the record, or not."""
    anka.faults.add(match={"method": "POST", "path": VM}, do=CLOSED)
    seen = outcome_of(anka, STARTERS[name](anka, vmid=anka.templates[CACHED].id).start)

    assert "fails" == seen.what
    assert RETRIES.get(name, []) == gaps(anka.requests.where(method="POST", path=VM))


@at("1.50.1")
def test_the_gitlab_executor_tries_again_when_it_has_waited(anka: Anka) -> None:
    """Only then: it takes an answer after ten seconds, and asks twice more for one that is later."""
    anka.faults.add(match={"method": "POST", "path": VM}, do={"delay": "11s"})
    outcome_of(anka, STARTERS["gitlab-executor"](anka, vmid=anka.templates[CACHED].id).start)

    assert [11 + 5, 11 + 10] == gaps(anka.requests.where(method="POST", path=VM))
