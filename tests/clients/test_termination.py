"""How each client is rid of an instance, in whatever state it is (controller-facts D, A4)."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
import yaml

from mockanka import Anka, resources
from tests.clients.clients import RELEASES, STARTERS, at, outcome_of
from tests.clients.engine import Machine

ID = "11111111-2222-4333-4444-555555555555"
STATES = (
    "Scheduling",
    "Pulling",
    "Started",
    "Pushing",
    "Stopping",
    "Stopped",
    "Error",
    "Terminating",
    "Terminated",
    "gone",
)
SLOW = {"boot": "6h", "stop": "6h", "terminate": "6h", "forget": "6h"}
ON_NODE = ("Started", "Pushing", "Stopping", "Stopped", "Error", "Terminating", "Terminated")


def office(state: str, external_id: str) -> dict[str, Any]:
    """The scenario ``default``, and in it one instance in that state, which it does not leave by itself for hours."""
    whole = yaml.safe_load(resources.find_resource("scenarios/default.yaml").read_text("utf-8"))
    if state == "gone":
        return {**whole, "instances": []}
    cold = state == "Pulling"
    one = {"template": "13.6-arm64" if cold else "14.5-arm64", "id": ID, "external_id": external_id, "state": state}
    if cold or state in ON_NODE:
        one["node"] = "mini-02"
    more: dict[str, Any] = {"instances": [one], "timings": {**SLOW, "pull_bandwidth": "1Mbit/s"}}
    if state == "Scheduling":
        more["faults"] = [{"match": {"event": "schedule"}, "do": {"stall": True}}]
    if state == "Pushing":
        one["state"] = "Started"
        more["save_images"] = [{"instance": ID, "template": "14.5-arm64", "tag": "saved"}]
    return {**whole, **more}


def failing(text: str, *states: str) -> dict[str, str]:
    return dict.fromkeys(states, text)


DELETE = "DELETE"
OTHERWISE: dict[str, dict[str, str]] = {
    "jenkins": failing("nothing", "Terminating", "Terminated", "gone"),
    "teamcity": failing("HTTP 400: {}", "gone"),
    "gitlab-executor": failing(
        "no instance of this job is of use",
        *(each for each in STATES if each not in ("Started", "Scheduling", "Pulling")),
    ),
    "gitlab-runner": failing("Not found", "gone"),
    "actions-2022": failing("nothing", "gone"),
    "actions-2026": failing("nothing", "gone"),
    "drone": failing("client error 400: {}", "gone"),
    "mcp": failing("HTTP 400: {}", "gone"),
    "flower": failing("Not found", "gone"),
    "mgmtcl": failing("HTTPError: 400", "gone"),
    "cirrus": failing("null", "gone"),
}
"""All send DELETE in every state, but for these: what they say then, or that they do nothing. ``{}`` is the answer."""

AT_200: dict[str, dict[str, str]] = {
    "teamcity": {"gone": "Failed to terminate VM instance: Not found"},
    "gitlab-executor": failing("no instance of this job is of use", *STATES),
    "drone": {"gone": DELETE},
    "mcp": {"gone": 'HTTP 200: {"status":"FAIL","message":"Not found"}'},
    "mgmtcl": {"gone": "no such thing"},
    "cirrus": {"gone": "Not found"},
}
"""What 1.8.0 changes: failures have HTTP status 200, and external_id is not inside vm."""


@pytest.mark.parametrize("release", [pytest.param(each, marks=at(each), id=each) for each in RELEASES])
@pytest.mark.parametrize("name", STARTERS)
def test_the_client_ends_what_it_is_on_record_to_end(anka: Anka, name: str, release: str) -> None:
    """In each state a client sends DELETE, does nothing, or fails, as its code is known to do."""
    seen = {}
    for state in STATES:
        anka.load(office(state, STARTERS[name].DEFAULTS.get("external_id", "job-1")))
        client = STARTERS[name](anka, vmid=anka.templates["14.5-arm64"].id)
        assert state == (anka.instances[ID].state if state != "gone" else "gone")
        outcome = outcome_of(anka, lambda client=client: client.end(Machine(ID)))
        seen[state] = outcome.text if outcome.what != "works" else DELETE if outcome.ended else "nothing"
    answer = json.dumps({"status": "FAIL", "message": "Not found"}, separators=(",", ":"))
    expected = {
        **dict.fromkeys(STATES, DELETE),
        **OTHERWISE[name],
        **(AT_200.get(name, {}) if release == "1.8.0" else {}),
    }

    assert {state: each.replace("{}", answer) for state, each in expected.items()} == seen


@pytest.mark.parametrize("release", [pytest.param(each, marks=at(each), id=each) for each in RELEASES])
@pytest.mark.parametrize("name", ["actions-2022", "actions-2026"])
def test_down_passes_over_what_is_not_its_own(anka: Anka, name: str, release: str) -> None:
    """Also an instance that was started without external_id, which stands before its own and has none in the list."""
    template = anka.templates["14.5-arm64"].id
    started = requests.post(f"{anka.url}/api/v1/vm", json={"vmid": template})
    (foreign,) = started.json()["body"]
    client = STARTERS[name](anka, vmid=template)
    machine = client.start()
    client.end(machine)

    assert ("Started", "Terminating") == (anka.instances[foreign].state, anka.instances[machine.id].state)


@pytest.mark.parametrize("state", STATES[:-2])
@pytest.mark.parametrize("release", [pytest.param(each, marks=at(each), id=each) for each in RELEASES])
def test_a_delete_leads_to_terminating_from_every_state(anka: Anka, release: str, state: str) -> None:
    """Whatever state an instance is in, once a client has sent DELETE it is Terminating, and never Started again."""
    anka.load(office(state, "job-1"))
    STARTERS["drone"](anka).end(Machine(ID))

    assert "Terminating" == anka.instances[ID].state
    anka.clock.advance("3h")
    states = [stay.state for stay in anka.instances[ID].timeline]
    assert ["Terminating"] == states[states.index("Terminating") :]
