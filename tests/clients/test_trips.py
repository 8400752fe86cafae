"""Mistakes of clients, each shown by a scenario that ships."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from mockanka import Anka
from tests.clients.clients import BEFORE_1_24, STARTERS, Outcome, at, by_release, outcome_of
from tests.clients.engine import Client
from tests.clients.exporter import Exporter
from tests.clients.gitlab_executor import GitlabExecutor
from tests.clients.jenkins import Jenkins
from tests.clients.teamcity import TeamCity

SSH = "192.0.2.11:10000"
LOST_BY_TEAMCITY = "NullPointerException: the instance is not in the list"
SETTINGS: dict[str, dict[str, Any]] = {"missing-tag": {"tag": "nightly"}, "stops-early": {"job_limit": 1800}}
NO_TAG = '{"status":"FAIL","message":"No such tag nightly"}'
NOT_FOUND = '{"status":"FAIL","message":"Not found"}'

TRIPS: dict[str, dict[tuple[str, str], Outcome]] = {
    # Failures have status 400 since about 1.20, and then nobody reads their message (controller-facts A0.3).
    "missing-tag": {
        ("jenkins", "1.8.0"): Outcome("works", SSH, 1),
        ("jenkins", "1.24.0"): Outcome("fails", "HTTP 400", 0),
        ("jenkins", "1.50.1"): Outcome("fails", "HTTP 400", 0),
        ("teamcity", "1.8.0"): Outcome("works", SSH, 1),
        ("teamcity", "1.50.1"): Outcome("fails", f"HTTP 400: {NO_TAG}", 0),
        ("drone", "1.8.0"): Outcome("crashes", "panic: index out of range [0] with length 0", 0),
        ("drone", "1.50.1"): Outcome("fails", f"client error 400: {NO_TAG}", 0),
        ("mgmtcl", "1.8.0"): Outcome("works", "None", 0),
        ("mgmtcl", "1.50.1"): Outcome("fails", "HTTPError: 400", 0),
        ("cirrus", "1.8.0"): Outcome("fails", "No such tag nightly", 0),
        ("cirrus", "1.50.1"): Outcome("fails", "null", 0),
    },
    # Since 1.50 an instance is Scheduling again after its pull, and budgets for Scheduling are short (D1, D2).
    "long-pull": {
        ("jenkins", "1.24.0"): Outcome("works", SSH),
        ("jenkins", "1.50.1"): Outcome("fails", "Scheduling for more than 1800 s", 1, 1),
        ("teamcity", "1.24.0"): Outcome("works", SSH),
        ("teamcity", "1.50.1"): Outcome("fails", "not booted within 120 s: Scheduling", 1, 1),
        ("gitlab-executor", "1.50.1"): Outcome("works", SSH),
        ("gitlab-runner", "1.50.1"): Outcome("works", SSH),
        ("drone", "1.50.1"): Outcome("works", SSH),
        ("mcp", "1.24.0"): Outcome("works", "pending"),
        ("mcp", "1.50.1"): Outcome("works", "pending"),
        ("cirrus", "1.24.0"): Outcome("fails", "unexpected state Pulling", 1, 1),
        ("cirrus", "1.50.1"): Outcome("fails", "unexpected state Pulling", 1, 1),
    },
    "ssh-second": {
        ("drone", "1.8.0"): Outcome("works", "192.0.2.11:10000"),  # that is the screen
        ("drone", "1.50.1"): Outcome("works", "192.0.2.11:10000"),
        ("jenkins", "1.50.1"): Outcome("works", "192.0.2.11:10001"),
        ("teamcity", "1.50.1"): Outcome("works", "192.0.2.11:10001"),
        ("gitlab-executor", "1.50.1"): Outcome("works", "192.0.2.11:10001"),
        ("gitlab-runner", "1.50.1"): Outcome("works", "192.0.2.11:10001"),
        ("mcp", "1.24.0"): Outcome("works", "192.0.2.11:10001"),
        ("mcp", "1.50.1"): Outcome("works", "192.0.2.11:10000"),  # its own rules replace the template's, since 1.39
    },
    "lost-answer": {
        ("gitlab-executor", "1.50.1"): Outcome("fails", "http: ContentLength=212 with Body length 0"),
        ("gitlab-runner", "1.50.1"): Outcome("fails", "http: ContentLength=148 with Body length 0"),
        ("actions-2022", "1.50.1"): Outcome("fails", "HTTP request failed: unexpected EOF"),
        ("actions-2026", "1.50.1"): Outcome("fails", "HTTP request failed: unexpected EOF"),
        ("jenkins", "1.50.1"): Outcome("works", "192.0.2.11:10001", 2),
        ("teamcity", "1.50.1"): Outcome("works", "192.0.2.11:10001", 2),
        ("drone", "1.50.1"): Outcome("works", "192.0.2.11:10001", 2),
        ("mcp", "1.50.1"): Outcome("fails", "unexpected EOF"),
    },
    "not-json": {
        ("jenkins", "1.8.0"): Outcome("fails", "10 tries: not JSON: b'<html><body>Please log in</body></html>'", 10),
        ("jenkins", "1.50.1"): Outcome("fails", "10 tries: not JSON: b'<html><body>Please log in</body></html>'", 10),
        ("teamcity", "1.50.1"): Outcome("fails", "7 tries: not JSON: b'<html><body>Please log in</body></html>'", 7),
        ("gitlab-executor", "1.50.1"): Outcome(
            "cannot decode", "not JSON: b'<html><body>Please log in</body></html>'", 1
        ),
        ("actions-2022", "1.50.1"): Outcome("cannot decode", "not JSON: b'<html><body>Please log in</body></html>'", 1),
        ("actions-2026", "1.50.1"): Outcome("cannot decode", "not JSON: b'<html><body>Please log in</body></html>'", 1),
    },
    "busy": {("mcp", "1.50.1"): Outcome("fails", "not ready within 180 s, last seen Scheduling")},
    "cold-cache": {("cirrus", "1.50.1"): Outcome("fails", "unexpected state Pulling", 1, 1)},
    "slow-answer": {
        ("jenkins", "1.50.1"): Outcome("works", "192.0.2.11:10001", 2),
        ("teamcity", "1.50.1"): Outcome("works", "192.0.2.11:10001", 2),
        ("gitlab-executor", "1.50.1"): Outcome("fails", "no answer within 10 s", 1),
        ("gitlab-runner", "1.50.1"): Outcome("fails", "http: ContentLength=148 with Body length 0", 1),
        ("drone", "1.50.1"): Outcome("works", SSH),
        ("actions-2026", "1.50.1"): Outcome("works", "started"),
    },
    "late-in-list": {
        ("jenkins", "1.50.1"): Outcome("works", SSH),  # it forgives ten misses
        ("teamcity", "1.50.1"): Outcome("crashes", LOST_BY_TEAMCITY),
        ("gitlab-executor", "1.50.1"): Outcome("fails", "HTTP 400: Not found"),
        ("gitlab-runner", "1.50.1"): Outcome("fails", "Not found", 1, 1),
        ("actions-2022", "1.50.1"): Outcome("fails", f"controller: {NOT_FOUND}"),
        ("actions-2026", "1.50.1"): Outcome("fails", "HTTP request failed: 400"),
        ("drone", "1.50.1"): Outcome("works", SSH),  # it asks again for ever
        ("flower", "1.8.0"): Outcome("fails", "the VM is gone"),
        ("flower", "1.50.1"): Outcome("fails", "the VM is gone"),
    },
    "stops-early": {
        ("jenkins", "1.8.0"): Outcome("waits", "no end after 1800 s"),
        ("jenkins", "1.50.1"): Outcome("waits", "no end after 1800 s"),
        ("teamcity", "1.50.1"): Outcome("works", ":10000"),  # it waits for the guest's address, and uses the node's
        ("gitlab-runner", "1.50.1"): Outcome("fails", "Unable to determine SSH Host!", 1, 1),
        ("drone", "1.50.1"): Outcome("works", ":10000"),
        ("mcp", "1.50.1"): Outcome("fails", "Stopped: "),
    },
}
"""The outcomes by scenario, client and release."""

CASES = [
    pytest.param(scenario, name, expected, marks=at(release, scenario), id=f"{scenario}-{name}-{release}")
    for scenario, clients in TRIPS.items()
    for (name, release), expected in clients.items()
]


@pytest.mark.parametrize(("scenario", "name", "expected"), CASES)
def test_the_client_trips(anka: Anka, scenario: str, name: str, expected: Outcome) -> None:
    """In a scenario made for it a client does what its authors did not mean, and others do not."""
    client = STARTERS[name](anka, vmid=anka.templates["14.5-arm64"].id, **SETTINGS.get(scenario, {}))

    assert expected == outcome_of(anka, client.start)


@pytest.mark.parametrize("release", by_release("missing-tag"))
@pytest.mark.parametrize("plugin", [Jenkins, TeamCity])
def test_the_fallback_to_the_latest_tag_needs_status_200(
    anka: Anka, plugin: type[Jenkins | TeamCity], release: str
) -> None:
    """The plugins start the latest tag instead of a missing one only on releases whose failures have status 200."""
    outcome_of(anka, plugin(anka, vmid=anka.templates["14.5-arm64"].id, tag="nightly").start)
    tags = [request.body.get("tag") for request in anka.requests.where(method="POST", path="/api/v1/vm")]

    assert (["nightly", None] if release in BEFORE_1_24 else ["nightly"]) == tags


@pytest.mark.parametrize("release", by_release("null-in-list"))
def test_a_null_makes_the_whole_list_unreadable_in_java(anka: Anka, release: str) -> None:
    """Java's getters throw at a null in any item; Go ignores it."""
    template = anka.templates["14.5-arm64"].id
    seen = {
        "jenkins": outcome_of(anka, lambda: str(Jenkins(anka, vmid=template).list_all())),
        "teamcity": outcome_of(anka, lambda: str(TeamCity(anka, vmid=template).list_all())),
        "gitlab-executor": outcome_of(anka, lambda: GitlabExecutor(anka, vmid=template).look(None)),  # type: ignore[arg-type,func-returns-value]
        "exporter": outcome_of(anka, lambda: str(len(Exporter(anka).ask("list", Exporter.BODIES["list"])))),
    }

    assert {
        "jenkins": ("cannot decode", "None is no JSONObject (vminfo)"),
        "teamcity": ("cannot decode", "JSONObject['external_id'] is None, no str"),
        "gitlab-executor": ("works", "no instance of this job is of use"),
        "exporter": ("works", "1"),
    } == {name: (outcome.what, outcome.text) for name, outcome in seen.items()}


@pytest.mark.parametrize("release", by_release("stops-early"))
def test_jenkins_spins_in_states_that_it_does_not_know(anka: Anka, release: str) -> None:
    """While it waits for an address it does not sleep if the instance is Stopped: only its cache slows it down."""
    client = Jenkins(anka, vmid=anka.templates["14.5-arm64"].id, job_limit=1800)
    outcome_of(anka, client.start)

    assert 100 < client.log.count("spins in Stopped")


@pytest.mark.parametrize("release", by_release("lost-answer"))
def test_the_report_names_what_a_lost_answer_leads_to(anka: Anka, release: str) -> None:
    """A client that gives up leaks an instance, and a client that retries starts two: the report has both."""
    template = anka.templates["14.5-arm64"].id
    outcome_of(anka, GitlabExecutor(anka, vmid=template).start)
    assert ["leaks"] == [finding.kind for finding in anka.report().of_kinds(["leaks", "retried-starts"])]
    anka.reset()
    jenkins = Jenkins(anka, vmid=template)
    jenkins.end(jenkins.start())

    assert {"leaks", "retried-starts"} == {
        finding.kind for finding in anka.report().of_kinds(["leaks", "retried-starts"])
    }


@pytest.mark.anka(scenario="not-json", clock="manual")
def test_ten_instances_are_there_when_jenkins_gives_up(anka: Anka) -> None:
    """Each of its ten attempts has started an instance, and it terminates none of them."""
    outcome_of(anka, Jenkins(anka, vmid=anka.templates["14.5-arm64"].id).start)

    assert 10 == len(anka.instances)


@pytest.mark.parametrize("release", by_release())
def test_drone_starts_again_after_a_failure(anka: Anka, release: str) -> None:
    """An instance that fails is terminated, from 1.24 on, and another one is started."""
    anka.faults.add(match={"event": "start"}, do={"fail": "failed to start VM", "final": True}, times=1)
    client = STARTERS["drone"](anka, vmid=anka.templates["14.5-arm64"].id)

    ended = 0 if release in BEFORE_1_24 else 1
    assert Outcome("works", "192.0.2.12:10000", 2, ended) == outcome_of(anka, client.start)


@pytest.mark.anka(clock="manual", release="1.50.1")
def test_the_gitlab_runner_spins_in_states_that_it_does_not_know(anka: Anka) -> None:
    """It has no pause for an instance that is pushed before it was seen Started: it polls on, and ends nothing."""
    template = anka.templates["14.5-arm64"].id
    anka.faults.add(match={"event": "save_image"}, do={"stall": True})
    client = STARTERS["gitlab-runner"](anka, vmid=template, job_limit=60)

    def save(id: str) -> None:
        anka.wait(id)
        body = {"id": id, "target_vm_id": template, "tag": "new"}
        assert requests.post(f"{anka.url}/api/v1/image", json=body).ok

    interfere(anka, client, save)

    assert Outcome("waits", "no end after 60 s", 1, 0) == outcome_of(anka, client.start)
    assert {"spins in Pushing"} == set(client.log)
    assert 100 < len(anka.requests.where(method="GET", path="/api/v1/vm"))


@pytest.mark.parametrize("state", ["Stopped", "Terminating"])
@pytest.mark.anka(clock="manual", release="1.50.1")
def test_the_gitlab_runner_ends_an_instance_that_cannot_start(anka: Anka, state: str) -> None:
    """A known state that does not lead to Started is a failure."""
    client = STARTERS["gitlab-runner"](anka, vmid=anka.templates["14.5-arm64"].id)

    def spoil(id: str) -> None:
        anka.wait(id)
        if state == "Stopped":
            anka.shut_down(id)
            anka.wait(id, "Stopped")
        else:
            delete_instance(anka, id)

    interfere(anka, client, spoil)

    assert Outcome("fails", f"unexpected state {state}", 1, 1) == outcome_of(anka, client.start)


@pytest.mark.parametrize("path", ["/api/v1/vm", "/api/v1/node"])
@pytest.mark.anka(clock="manual", release="1.50.1")
def test_the_gitlab_runner_ends_an_instance_after_an_unreadable_response(anka: Anka, path: str) -> None:
    """A response that is not JSON is a failure like any other once there is an instance: it sends DELETE."""
    anka.faults.add(match={"method": "GET", "path": path}, do={"status": 502, "body": "Bad Gateway"}, times=1)
    client = STARTERS["gitlab-runner"](anka, vmid=anka.templates["14.5-arm64"].id)

    assert Outcome("cannot decode", "not JSON: b'Bad Gateway'", 1, 1) == outcome_of(anka, client.start)


ENDED_BY_OTHERS: dict[str, Outcome] = {
    "jenkins": Outcome("fails", "Terminating: ", 1, 1),
    "teamcity": Outcome("fails", "Terminating: ", 1, 1),
    "gitlab-executor": Outcome("fails", "unexpected state Terminating: ", 1, 1),
    "gitlab-runner": Outcome("fails", "unexpected state Terminating", 1, 1),
    "actions-2022": Outcome("fails", f"controller: {NOT_FOUND}", 1, 1),
    "actions-2026": Outcome("fails", "Terminating:", 1, 1),
    "mcp": Outcome("fails", "Terminating: ", 1, 1),
    "flower": Outcome("fails", "the VM is gone", 1, 1),
}


def delete_instance(anka: Anka, id: str) -> None:
    """Send DELETE as another client would."""
    assert requests.delete(f"{anka.url}/api/v1/vm", json={"id": id}).ok


def interfere(anka: Anka, client: Client, do: Callable[[str], None]) -> None:
    """Let another client do something to the started instance after the first sleep of this client."""
    original_sleep = client.sleep

    def sleep(seconds: float) -> None:
        client.sleep = original_sleep  # type: ignore[method-assign]
        original_sleep(seconds)
        (id,) = anka.requests.where(method="POST")[-1].instances
        do(id)

    client.sleep = sleep  # type: ignore[method-assign]


@pytest.mark.parametrize("name", [pytest.param(name, marks=at("1.50.1"), id=name) for name in ENDED_BY_OTHERS])
def test_another_client_ends_the_instance(anka: Anka, name: str) -> None:
    """Most clients see Terminating; the action of 2022 and flower wait on until the instance is forgotten."""
    client = STARTERS[name](anka, vmid=anka.templates["14.5-arm64"].id)
    interfere(anka, client, lambda id: delete_instance(anka, id))

    assert ENDED_BY_OTHERS[name] == outcome_of(anka, client.start)
