"""The end of an instance by each client, in every state of the instance (controller-facts D, A4)."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
import yaml

from mockanka import Anka, resources
from tests.clients.clients import BEFORE_1_24, STARTERS, by_release, outcome_of
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


def default_with_instance(state: str, external_id: str) -> dict[str, Any]:
    """Return the scenario ``default`` with an instance in a state that it does not leave by itself for hours."""
    whole = yaml.safe_load(resources.find_resource("scenarios/default.yaml").read_text("utf-8"))
    if state == "gone":
        return {**whole, "instances": []}
    cold = state == "Pulling"
    instance = {
        "template": "13.6-arm64" if cold else "14.5-arm64",
        "id": ID,
        "external_id": external_id,
        "state": state,
    }
    if cold or state in ON_NODE:
        instance["node"] = "mini-02"
    more: dict[str, Any] = {"instances": [instance], "timings": {**SLOW, "pull_bandwidth": "1Mbit/s"}}
    if state == "Scheduling":
        more["faults"] = [{"match": {"event": "schedule"}, "do": {"stall": True}}]
    if state == "Pushing":
        instance["state"] = "Started"
        more["save_images"] = [{"instance": ID, "template": "14.5-arm64", "tag": "saved"}]
    return {**whole, **more}


def in_states(text: str, *states: str) -> dict[str, str]:
    """Return the same text for some states."""
    return dict.fromkeys(states, text)


DELETE = "DELETE"
EXCEPTIONS: dict[str, dict[str, str]] = {
    "jenkins": in_states("nothing", "Terminating", "Terminated", "gone"),
    "teamcity": in_states("nothing", "gone"),
    "gitlab-executor": in_states(
        "no instance of this job is of use",
        *(state for state in STATES if state not in ("Started", "Scheduling", "Pulling")),
    ),
    "gitlab-runner": in_states("Not found", "gone"),
    "actions-2022": in_states("nothing", "gone"),
    "actions-2026": in_states("nothing", "gone"),
    "drone": in_states("client error 400: {}", "gone"),
    "mcp": in_states("HTTP 400: {}", "gone"),
    "flower": in_states("Not found", "gone"),
    "mgmtcl": in_states("HTTPError: 400", "gone"),
    "cirrus": in_states("null", "gone"),
}
"""The states in which clients do not send DELETE, or fail: their message, or nothing. ``{}`` is the answer."""

AT_200: dict[str, dict[str, str]] = {
    "gitlab-executor": in_states("no instance of this job is of use", *STATES),
    "drone": {"gone": DELETE},
    "mcp": {"gone": 'HTTP 200: {"status":"FAIL","message":"Not found"}'},
    "mgmtcl": {"gone": DELETE},
    "cirrus": {"gone": "Not found"},
}
"""The differences before 1.20 and 1.24: failures have HTTP status 200, and external_id is not inside vm."""


@pytest.mark.parametrize("release", by_release())
@pytest.mark.parametrize("name", STARTERS)
def test_the_client_ends_what_it_is_on_record_to_end(anka: Anka, name: str, release: str) -> None:
    """In each state a client sends DELETE, does nothing, or fails, as its code is known to do."""
    seen = {}
    for state in STATES:
        anka.load(default_with_instance(state, STARTERS[name].DEFAULTS.get("external_id", "job-1")))
        client = STARTERS[name](anka, vmid=anka.templates["14.5-arm64"].id)
        assert state == (anka.instances[ID].state if state != "gone" else "gone")
        outcome = outcome_of(anka, lambda client=client: client.end(Machine(ID)))
        seen[state] = outcome.text if outcome.what != "works" else DELETE if outcome.ended else "nothing"
    answer = json.dumps({"status": "FAIL", "message": "Not found"}, separators=(",", ":"))
    expected = {
        **dict.fromkeys(STATES, DELETE),
        **EXCEPTIONS[name],
        **(AT_200.get(name, {}) if release in BEFORE_1_24 else {}),
    }

    assert {state: result.replace("{}", answer) for state, result in expected.items()} == seen


@pytest.mark.parametrize("release", by_release())
@pytest.mark.parametrize("name", ["actions-2022", "actions-2026"])
def test_down_ignores_instances_of_others(anka: Anka, name: str, release: str) -> None:
    """It ignores an instance without external_id too, which comes before its own in the list."""
    template = anka.templates["14.5-arm64"].id
    started = requests.post(f"{anka.url}/api/v1/vm", json={"vmid": template})
    (foreign,) = started.json()["body"]
    client = STARTERS[name](anka, vmid=template)
    machine = client.start()
    client.end(machine)

    assert ("Started", "Terminating") == (anka.instances[foreign].state, anka.instances[machine.id].state)


@pytest.mark.parametrize("state", STATES[:-2])
@pytest.mark.parametrize("release", by_release())
def test_a_delete_leads_to_terminating_from_every_state(anka: Anka, release: str, state: str) -> None:
    """After a client's DELETE an instance is Terminating, whatever its state was, and never Started again."""
    anka.load(default_with_instance(state, "job-1"))
    STARTERS["drone"](anka).end(Machine(ID))

    assert "Terminating" == anka.instances[ID].state
    anka.clock.advance("3h")
    states = [stay.state for stay in anka.instances[ID].timeline]
    assert ["Terminating"] == states[states.index("Terminating") :]
