"""Intervals, limits and retries of clients, measured with the controller's clock (controller-facts D0 to D8)."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any, NamedTuple

import pytest

from mockanka import Anka
from mockanka.testing.request_log import Requests
from tests.clients.clients import STARTERS, Outcome, at, outcome_of
from tests.clients.engine import Client, Lost, Refused, Reply
from tests.clients.gitlab_executor import GitlabExecutor
from tests.clients.gitlab_runner import GitlabRunner
from tests.clients.golang import SentRequest
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
    "drone": [5, 5, 5, 5],
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
    "drone": [5, 10],
}
"""Seconds from a start without a response to the next; clients that are not listed send it once."""


@pytest.mark.parametrize("name", params(*STARTERS))
def test_a_client_retries_as_the_record_says(anka: Anka, name: str) -> None:
    """A start without a response is sent again as often, and with the pauses, as on record, or not at all."""
    anka.faults.add(match={"method": "POST", "path": VM}, do=CLOSED)
    seen = outcome_of(anka, STARTERS[name](anka, vmid=anka.templates[CACHED].id).start)

    assert "fails" == seen.what
    assert RETRIES.get(name, []) == gaps(anka.requests.where(method="POST", path=VM))


@at("1.50.1")
def test_mcp_polls_every_three_seconds(anka: Anka) -> None:
    """It does so while the instance is Scheduling; a pull ends its wait."""
    STARTERS["mcp"](anka, vmid=anka.templates[CACHED].id).start()
    asked = Requests([*anka.requests.where(method="POST", path=VM), *anka.requests.where(method="GET", path=VM)])

    assert [0, 3, 3, 3] == gaps(asked)[:4]


DRAINED = "http: ContentLength={} with Body length 0"
"""The message of a request whose body was sent by an attempt before, with the length of that body."""

LOST_STARTS: dict[tuple[str, str], tuple[str, float]] = {
    ("gitlab-executor", "late"): ("no answer within 10 s", 11),
    ("gitlab-executor", "cut"): (DRAINED, 5),
    ("gitlab-executor", "closed"): ("RemoteDisconnected", 0),
    ("gitlab-runner", "late"): (DRAINED, 11 + 210),
    ("gitlab-runner", "cut"): (DRAINED, 210),
    ("gitlab-runner", "closed"): (DRAINED, 210),
}
"""The message of a client whose start has no response in time, and the seconds until it gives up."""
LOSSES: dict[str, dict[str, Any]] = {"late": {"delay": "11s"}, "cut": {"cut": "50%"}, "closed": {"connection": "close"}}


@pytest.mark.parametrize(
    ("name", "loss"), [pytest.param(*key, marks=at("1.50.1"), id="-".join(key)) for key in LOST_STARTS]
)
def test_a_body_is_sent_once(anka: Anka, name: str, loss: str) -> None:
    """Further attempts find no body to send and fail without a request: one POST, one instance, which is left."""
    anka.faults.add(match={"method": "POST", "path": VM}, do=LOSSES[loss])
    client = STARTERS[name](anka, vmid=anka.templates[CACHED].id)
    seen = outcome_of(anka, client.start)
    text, seconds = LOST_STARTS[name, loss]
    (start,) = anka.requests.where(method="POST", path=VM)

    assert Outcome("fails", text.format(len(json.dumps(start.body, separators=(",", ":")))), 1) == seen
    assert seconds == client.since(client.began)


@at("1.50.1")
def test_a_refused_connection_leaves_the_body(anka: Anka) -> None:
    """Nothing has been read from it, so the next attempt sends it."""
    client = GitlabRunner(anka, vmid=anka.templates[CACHED].id)
    request, exchange = SentRequest(client, "start", {}), client._exchange

    def refuse(*args: Any) -> Reply:
        client._exchange = exchange  # type: ignore[method-assign]
        raise Refused("connection refused")

    client._exchange = refuse  # type: ignore[method-assign]
    with pytest.raises(Refused):
        request.send()

    assert 200 == request.send().status


@pytest.mark.parametrize("name", params("gitlab-executor", "gitlab-runner"))
def test_a_delete_is_sent_once(anka: Anka, name: str) -> None:
    """Its response is late, and what is tried again is a request without its body."""
    client = STARTERS[name](anka, vmid=anka.templates[CACHED].id)
    machine = client.start()
    anka.faults.add(match={"method": "DELETE", "path": VM}, do={"delay": "11s"})
    seen = outcome_of(anka, lambda: client.end(machine))

    assert Outcome("fails", DRAINED.format(len(f'{{"id":"{machine.id}"}}')), 1, 1) == seen
    assert 1 == len(anka.requests.where(method="DELETE"))
    assert anka.instances[machine.id].state in ("Terminating", "Terminated", "gone")


@at("1.50.1")
def test_the_gitlab_executor_tries_the_list_again_after_a_timeout(anka: Anka) -> None:
    """It sends the list twice more, after 5 and 10 s; a look at the instance is not sent again."""
    client = GitlabExecutor(anka, vmid=anka.templates[CACHED].id)
    machine = client.prepare()
    anka.faults.add(match={"method": "GET", "path": VM}, do={"delay": "11s"})
    anka.requests.clear()

    assert "no answer within 10 s" == client.look(machine)
    assert [11 + 5, 11 + 10] == gaps(anka.requests.where(method="GET", path=VM))
    anka.requests.clear()
    assert "no answer within 10 s" == outcome_of(anka, lambda: client.ask("show", str, id=machine.id)).text
    assert 1 == len(anka.requests)


@pytest.mark.parametrize("name", params("gitlab-executor", "gitlab-runner", "drone"))
def test_a_lost_get_is_sent_once_more_on_a_kept_connection(anka: Anka, name: str) -> None:
    """``net/http`` does that by itself, so the client works on; a second loss is on a new connection, and an error."""
    anka.faults.add(match={"method": "GET", "path": VM}, do={"connection": "close"}, times=1)
    client = STARTERS[name](anka, vmid=anka.templates[CACHED].id)
    client.start()
    first, second, *_ = anka.requests.where(method="GET", path=VM)

    assert first.fault is not None
    assert 0 == (second.at - first.at).total_seconds()


@pytest.mark.parametrize("name", params("jenkins", "teamcity", "actions-2022", "mcp", "mgmtcl"))
def test_the_library_of_the_plugins_sends_a_get_four_times(anka: Anka, name: str) -> None:
    """Apache HttpClient 4 does that on a new connection too, for each of the plugin's own tries; others do not."""
    anka.faults.add(match={"method": "GET", "path": VM}, do={"connection": "close"})
    client = STARTERS[name](anka, vmid=anka.templates[CACHED].id)
    with pytest.raises(Lost):
        client.send("list" if "list" in client.CALLS else "show", id="x")

    assert (4 if name in ("jenkins", "teamcity") else 1) == len(anka.requests)
