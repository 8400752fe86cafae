"""Requests of clients when they are set up, and the HTTP statuses that they read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mockanka import Anka
from tests.clients.clients import STARTERS, Outcome, by_client, by_release, outcome_of
from tests.clients.drone import Drone
from tests.clients.gitlab_executor import GitlabExecutor
from tests.clients.gitlab_runner import GitlabRunner
from tests.clients.jenkins import Jenkins
from tests.clients.mcp import Mcp
from tests.clients.teamcity import TeamCity

LATEST, COLD = "14.5-arm64", "13.6-arm64"


@pytest.mark.parametrize("release", by_release())
def test_the_gitlab_executor_finds_a_template_by_its_name(anka: Anka, release: str) -> None:
    """It reads the short list of templates, where there is one, else the long list; the name must be exact."""
    client = GitlabExecutor(anka)

    assert anka.templates[COLD].id == client.template_id(COLD)
    missing = Outcome("fails", "no template 13.6", 0)
    assert missing == outcome_of(anka, lambda: client.template_id("13.6"))


@pytest.mark.parametrize("release", by_release())
@pytest.mark.parametrize("key", ["name", "id"])
def test_the_gitlab_runner_finds_a_group_by_name_or_id(anka: Anka, release: str, key: str) -> None:
    """Its start goes to a node of that group. One that is not there is sent unchanged, and the controller refuses."""
    (id,) = [group["id"] for group in anka.dump()["groups"] if group["name"] == "spare"]
    client = GitlabRunner(anka, vmid=anka.templates[LATEST].id, group="spare" if key == "name" else id)

    assert "mini-01" == client.start().text
    missing = GitlabRunner(anka, vmid=anka.templates[LATEST].id, group="nobody")
    assert Outcome("fails", "No such group nobody", 1) == outcome_of(anka, missing.start)
    assert "nobody" == anka.requests.where(method="POST")[-1].body["group_id"]


@pytest.mark.parametrize("license", ["basic", "enterprise plus"])
@pytest.mark.parametrize("release", by_release())
def test_teamcity_asks_for_groups_unless_the_licence_is_basic(anka: Anka, release: str, license: str) -> None:
    """It reads the licence from the status first."""
    anka.load({"controller": {"license": license}, **({} if license == "basic" else {"groups": [{"name": "ios"}]})})
    found = TeamCity(anka).configure()

    assert ([] if license == "basic" else ["ios"]) == found
    assert (license != "basic") == ({"path": "/api/v1/group"} in anka.requests)


@pytest.mark.parametrize("release", by_release())
def test_jenkins_asks_for_resources(anka: Anka, release: str) -> None:
    """Group, priority, cores and memory are accepted."""
    (group_id,) = [group["id"] for group in anka.dump()["groups"] if group["name"] == "ios"]
    more = {"group_id": group_id, "priority": 10, "vcpu": 2, "vram": 4096, "tag": "vanilla"}
    machine = Jenkins(anka, vmid=anka.templates[LATEST].id, **more).start()
    found = anka.instances[machine.id]

    assert ("ios", "mini-02", "vanilla") == (found.group, found.node, found.tag)
    start = anka.requests.expect(method="POST", path="/api/v1/vm", times=1)[0]
    assert more.items() <= start.body.items()


@pytest.mark.parametrize("release", by_release())
def test_jenkins_counts_the_slots_of_active_nodes(anka: Anka, release: str) -> None:
    """A lost node does not count."""
    client = Jenkins(anka)
    assert 4 == client.capacity()
    anka.node("mini-01", "offline", at_once=True)

    assert 2 == client.capacity()


@pytest.mark.parametrize("release", by_release())
def test_the_health_check_of_drone_passes(anka: Anka, release: str) -> None:
    """It finds a licence, a registry, and Running."""
    assert Drone(anka).ping()


@pytest.mark.parametrize("release", by_release())
def test_mcp_finds_every_tag(anka: Anka, release: str) -> None:
    """It reads each template by its id."""
    assert {LATEST: ["vanilla", "xcode-15"], COLD: ["vanilla"]} == Mcp(anka).templates()


@pytest.mark.parametrize(
    ("delay", "text"), [("5s", None), ("6s", "{} tries: no answer within 5 s")], ids=["in time", "late"]
)
@pytest.mark.parametrize("plugin", [Jenkins, TeamCity])
@pytest.mark.anka(clock="manual")
def test_a_plugin_waits_five_seconds_for_the_status(
    anka: Anka, plugin: type[Jenkins | TeamCity], delay: str, text: str | None
) -> None:
    """For all other responses it waits thirty seconds."""
    anka.faults.add(match={"path": "/api/v1/status"}, do={"delay": delay})
    anka.faults.add(match={"path": "/api/v1/group"}, do={"delay": "30s"})
    seen = outcome_of(anka, lambda: str(plugin(anka, vmid=anka.templates[LATEST].id).configure()))

    assert ("works" if text is None else "fails") == seen.what
    if text is not None:
        assert text.format(plugin.TRIES) == seen.text


CREATED = '{"status":"OK","message":"","body":["ID"]}'
GATEWAY, DENIED = "<html>Bad Gateway</html>", '{"status":"FAIL","message":"Authentication Required"}'
NOT_JSON = f"not JSON: b'{GATEWAY}'"

ANSWERS: dict[str, tuple[int, str]] = {"201": (201, CREATED), "502": (502, GATEWAY), "401": (401, DENIED)}
NULL_POINTER = ("crashes", "NullPointerException: HTTP 201 is no answer")
NIGHTLY = ("works", "192.0.2.11:10000")

READ: dict[str, dict[str, tuple[str, str]]] = {
    "jenkins": {"201": NULL_POINTER, "502": ("fails", "HTTP 502"), "401": ("fails", "not authenticated")},
    "teamcity": {
        "201": NULL_POINTER,
        "502": ("fails", f"HTTP 502: {GATEWAY}"),
        "401": ("fails", f"HTTP 401: {DENIED}"),
    },
    "gitlab-executor": {
        "201": ("fails", "HTTP 201: "),
        "502": ("cannot decode", NOT_JSON),
        "401": ("fails", "HTTP 401: Authentication Required"),
    },
    "gitlab-runner": {
        "201": NIGHTLY,
        "502": ("cannot decode", NOT_JSON),
        "401": ("fails", "Authentication Required"),
    },
    "actions-2022": {
        "201": ("works", "started"),
        "502": ("fails", "HTTP request failed: 502"),
        "401": ("fails", "HTTP request failed: 401"),
    },
    "actions-2026": {
        "201": ("works", "started"),
        "502": ("fails", "HTTP request failed: 502"),
        "401": ("fails", "HTTP request failed: 401"),
    },
    "drone": {
        "201": NIGHTLY,
        "502": ("fails", f"client error 502: {GATEWAY}"),
        "401": ("fails", f"client error 401: {DENIED}"),
    },
    "mcp": {
        "201": NIGHTLY,
        "502": ("fails", f"HTTP 502: {GATEWAY}"),
        "401": ("fails", f"HTTP 401: {DENIED}"),
    },
    "flower": {
        "201": ("works", "running"),
        "502": ("cannot decode", NOT_JSON),
        "401": ("fails", "Authentication Required"),
    },
    "mgmtcl": {
        "201": ("works", "Started"),
        "502": ("fails", "HTTPError: 502"),
        "401": ("fails", "HTTPError: 401"),
    },
    "cirrus": {"201": ("fails", "null"), "502": ("fails", "null"), "401": ("fails", "null")},
}
"""The outcome of a start that is answered with that status, by client."""


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("name", by_client())
def test_the_client_reads_the_status_or_not(anka: Anka, name: str, answer: str) -> None:
    """Some clients fail at any status but 200, others read only the body."""
    (nightly,) = anka.instances
    status, body = ANSWERS[answer]
    do: dict[str, Any] = {"status": status, "body": body.replace("ID", nightly), "content_type": "application/json"}
    anka.faults.add(match={"method": "POST", "path": "/api/v1/vm"}, do=do)
    seen = outcome_of(anka, STARTERS[name](anka, vmid=anka.templates[LATEST].id).start)

    assert READ[name][answer] == (seen.what, seen.text)


@pytest.mark.anka(clock="manual")
def test_jenkins_knows_403(anka: Anka) -> None:
    """It has a message of its own for 401 and for 403, and for no other status."""
    body = json.dumps({"status": "FAIL", "message": "Not authorized to perform this request"})
    anka.faults.add(match={"path": "/api/v1/vm"}, do={"status": 403, "body": body})
    client = Jenkins(anka, vmid=anka.templates[LATEST].id)

    assert Outcome("fails", "not authorized", 0) == outcome_of(anka, client.start)
