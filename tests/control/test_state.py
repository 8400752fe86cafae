"""Resetting the controller, showing its state and loading another."""

from __future__ import annotations

import pytest
import yaml

from mockanka.control import create_control
from mockanka.core.release import Release
from mockanka.scenario import Options, Scenario, dump
from mockanka.simulator.simulator import Simulator
from tests.control.client import BEGIN, ControlClient
from tests.controllers import state_of


@pytest.mark.parametrize("body", [None, "{}", "  "])
def test_a_reset_starts_the_scenario_again(control: ControlClient, body: str | None) -> None:
    """A reset without options brings back the scenario as it was at its start."""
    before = dump(control.controller)
    control.start()
    control.advance(by="5m")
    response = control.send("POST", "reset", body)

    assert (200, before) == (response.status_code, dump(control.controller))


def test_a_reset_loads_a_shipped_scenario_by_its_name(control: ControlClient) -> None:
    """The name of a scenario that ships brings that scenario."""
    control.send("POST", "reset", {"scenario": "fleet"})

    assert 100 == len(control.controller.nodes)


def test_a_reset_loads_a_scenario_given_in_full(control: ControlClient) -> None:
    """A scenario given as JSON is loaded."""
    response = control.send("POST", "reset", {"scenario": {"nodes": [{"name": "a", "capacity": 7}]}, "seed": 5})
    (node,) = control.controller.nodes.values()

    assert (200, "a", 7, 5) == (response.status_code, node.name, node.capacity, control.controller.seed)


NEWER_THAN_ITS_RELEASE = {
    "controller": {"release": "1.22.0"},
    "templates": [{"name": "mac", "versions": [{"tag": "base"}]}],
    "nodes": [{"name": "a", "cached": ["mac"]}],
    "instances": [{"template": "mac", "id": "one", "vlan_tag": "12"}],
}
"""A scenario with a field that its release does not know."""


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("POST", "reset", {"scenario": NEWER_THAN_ITS_RELEASE}), ("PUT", "scenario", NEWER_THAN_ITS_RELEASE)],
)
def test_what_a_release_does_not_know_is_noted(control: ControlClient, method: str, path: str, body: object) -> None:
    """The response has notes on what the release does not know, and which is left out."""
    responses = [
        control.send(method, path, body, content_type="application/json").get_json(),
        control.send("POST", "reset").get_json(),
        control.send("POST", "reset", {"scenario": "default"}).get_json(),
    ]
    expected = {"status": "ok", "notes": ["instance one: vlan_tag came with 1.23.0, and is left out"]}

    assert [expected, expected, {"status": "ok", "notes": []}] == responses


def test_a_reset_with_a_seed_makes_other_ids(control: ControlClient) -> None:
    """Another seed makes other ids, until the next reset."""
    first = set(control.controller.nodes)
    control.send("POST", "reset", {"seed": 9})
    second = set(control.controller.nodes)
    control.send("POST", "reset", {})

    assert first.isdisjoint(second)
    assert first == set(control.controller.nodes)


def test_a_reset_with_a_release_and_a_clock_lasts_until_the_next(control: ControlClient) -> None:
    """Both apply instead of those of the scenario and the options, and the next reset brings these back."""
    before = dump(control.controller)
    body = {"release": "1.24.0", "clock": {"mode": "step", "speed": 7, "step": "3s"}}
    response = control.send("POST", "reset", body)
    shown = control.send("GET", "clock").get_json()
    release = control.controller.release
    control.send("POST", "reset")

    assert ({"status": "ok", "notes": []}, Release(1, 24, 0)) == (response.get_json(), release)
    assert {"now": BEGIN, "mode": "step", "speed": 7.0, "step": "3s"} == shown
    assert before == dump(control.controller)


def test_the_clock_of_a_reset_may_have_some_settings_only() -> None:
    """Those that are left out are the options', else the scenario's."""
    control = ControlClient(clock="step", speed=2.5)
    control.send("POST", "reset", {"clock": {"step": "3s"}})

    assert {"now": BEGIN, "mode": "step", "speed": 2.5, "step": "3s"} == control.send("GET", "clock").get_json()


def test_a_release_that_is_not_known_is_noted(control: ControlClient) -> None:
    """It is simulated as the nearest lower one, as with the option."""
    (note,) = control.send("POST", "reset", {"release": "1.24.7"}).get_json()["notes"]

    assert "1.24.7" in note
    assert Release.parse("1.24.7").known == control.controller.release


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"release": "latest"}, "release: 'latest' is no release: give one like"),
        ({"release": "1.2"}, "older than 1.8.0"),
        ({"release": 1.5}, "release: 1.5 is not text"),
        ({"clock": "manual"}, "clock: must be keys with values"),
        ({"clock": None}, "clock: has no value"),
        ({"clock": {"mode": "stp"}}, "clock.mode: 'stp' is not known: did you mean 'step'?"),
        ({"clock": {"keep": True}}, "clock.keep: unknown key"),
        ({"scenario": "defualt"}, "did you mean 'default'?"),
        ({"scenario": "/etc/passwd"}, "no scenario of that name ships"),
        ({"scenario": "scenarios/default.yaml"}, "no scenario of that name ships"),
        (
            {"scenario": {"nodes": [{"name": "a", "capacty": 3}]}},
            "nodes[0].capacty: unknown key, did you mean 'capacity'?",
        ),
        (
            {"scenario": {"instances": [{"template": "x"}]}},
            "instances[0].template: there is no template 'x': there are none",
        ),
        ({"scenario": 5}, "must be keys with values"),
        ({"scenario": None}, "scenario"),
        ({"sed": 5}, "unknown key, did you mean 'seed'?"),
        ({"seed": "x"}, "'x' is not a whole number"),
        ({"seed": 1.5}, "1.5 is not a whole number"),
        ({"seed": 2**63}, str(2**63)),
        ("[]", "the body must be a JSON object"),
        ("{", "the body is not valid JSON"),
    ],
)
def test_a_bad_reset_changes_nothing(control: ControlClient, body: object, detail: str) -> None:
    """A reset that is refused says why, and changes nothing."""
    control.start()
    control.advance(by="10s")
    before = state_of(control.controller)
    status, message = control.refused("POST", "reset", body)

    assert 400 == status
    assert detail in message
    assert before == state_of(control.controller)


def test_the_scenario_is_json_unless_yaml_is_accepted(control: ControlClient) -> None:
    """YAML is sent to clients that accept it, JSON to all others, with the same data."""
    responses = {
        accept: control.send("GET", "scenario", headers={"Accept": accept} if accept else {})
        for accept in (
            "",
            "*/*",
            "image/png",
            "application/json",
            "application/yaml",
            "application/x-yaml",
            "text/yaml",
        )
    }

    assert {"application/json"} == {
        responses[accept].content_type for accept in ("", "*/*", "image/png", "application/json")
    }
    assert ["application/yaml", "application/x-yaml", "text/yaml"] == [
        responses[accept].content_type for accept in ("application/yaml", "application/x-yaml", "text/yaml")
    ]
    assert responses[""].get_json() == yaml.safe_load(responses["application/yaml"].text) == dump(control.controller)


@pytest.mark.parametrize(
    ("accept", "content_type"), [("application/json", "application/json"), ("text/yaml", "text/yaml")]
)
def test_a_state_can_be_shown_and_loaded_again(accept: str, content_type: str) -> None:
    """The whole state can be loaded again, in either content type and at any time."""
    control, other = ControlClient("cold-cache"), ControlClient("empty")
    for _ in range(3):
        control.start()
    control.advance(by="20s")
    text = control.send("GET", "scenario", headers={"Accept": accept}).data
    response = other.send("PUT", "scenario", text, content_type=content_type)

    assert 200 == response.status_code
    assert state_of(control.controller) == state_of(other.controller)


def test_the_scenario_is_that_of_now() -> None:
    """Everything due by now has happened in the scenario that is shown."""
    control = ControlClient()
    instance_id = control.start()
    control.controller.clock.advance(60 * 10**9)
    scenario = control.send("GET", "scenario").get_json()

    assert "2024-01-01T00:01:00Z" == scenario["clock"]["start"]
    assert {"Started"} == {instance["state"] for instance in scenario["instances"]}
    assert instance_id in [instance["id"] for instance in scenario["instances"]]


YAML_WITH_MISTAKE = "nodes:\n  - {name: a, capacty: 3}\n"


@pytest.mark.parametrize(
    ("body", "content_type", "detail"),
    [
        (YAML_WITH_MISTAKE, "application/yaml", "request:2: nodes[0].capacty: unknown key, did you mean 'capacity'?"),
        (YAML_WITH_MISTAKE, None, "request:2: nodes[0].capacty: unknown key, did you mean 'capacity'?"),
        ('{"nods": []}', "application/json", "request: nods: unknown key, did you mean 'nodes'?"),
        ("{", "application/json", "request: not valid JSON: "),
        ("- a", "application/yaml", "must be keys with values"),
        (b"\xff", "application/yaml", "the body is not UTF-8: "),
        (b"\xff\xfe\xfd", "application/json", "request: not valid JSON: "),
        ("[" * 5000, "application/yaml", "request"),
        ("[" * 100_000, "application/json", "request"),
        ("a: &a [*a]", "application/yaml", "is nested in itself, or too deep"),
        (
            "templates: [{name: os, versions: [{}]}]\ninstances: [{template: os, version: 3}]",
            "text/yaml",
            "instances[0].version",
        ),
        ("nodes: [{name: 'a{n.x}', count: 1}]", "text/yaml", "nodes[0].name"),
    ],
)
def test_a_broken_scenario_is_refused_and_changes_nothing(
    control: ControlClient, body: str | bytes, content_type: str | None, detail: str
) -> None:
    """A scenario that cannot be loaded is refused as on the command line, and nothing changes."""
    control.start()
    before = state_of(control.controller)
    status, message = control.refused("PUT", "scenario", body, content_type=content_type)

    assert 400 == status
    assert detail in message
    assert before == state_of(control.controller)


WITH_DRAIN_MODE = (
    "controller: {release: 1.8.0}\nnodes: [{name: a}]\nfaults: [{match: {event: begin}, do: {node: drain}}]\n"
)


def test_a_scenario_is_checked_for_the_release_that_it_runs_with(control: ControlClient) -> None:
    """A release from the options overrides that of the scenario, so what only the latter lacks is no mistake."""
    simulator = Simulator(Scenario.named("default"), Options(clock="manual", release=Release(1, 50, 1)))
    client = create_control(simulator).test_client()
    in_full = {"scenario": {"controller": {"release": "1.8.0"}, "nodes": [{"name": "b", "state": "Drain Mode"}]}}

    assert 200 == client.put("/_mock/scenario", data=WITH_DRAIN_MODE).status_code
    assert (["a"], 1) == ([node.name for node in simulator.controller.nodes.values()], len(simulator.controller.faults))
    assert 200 == client.post("/_mock/reset", json=in_full).status_code
    assert "1.8.0 knows no Drain Mode" in control.refused("PUT", "scenario", WITH_DRAIN_MODE)[1]
    assert "1.8.0 knows no Drain Mode" in control.refused("POST", "reset", in_full)[1]
    assert 2 == len(control.controller.nodes)


def test_every_problem_of_a_scenario_is_listed(control: ControlClient) -> None:
    """The problem details list all problems of the scenario."""
    response = control.send("PUT", "scenario", "nods: []\nclok: {}\n")

    assert [
        "request:1: nods: unknown key, did you mean 'nodes'?",
        "request:2: clok: unknown key, did you mean 'clock'?",
    ] == response.get_json(force=True)["problems"]


def test_a_scenario_without_a_content_type_is_read_as_yaml(control: ControlClient) -> None:
    """JSON without a content type is accepted, as it is YAML too."""
    response = control.send("PUT", "scenario", '{"nodes": [{"name": "a", "cpus": 3}]}')

    assert (200, [3]) == (response.status_code, [node.cpus for node in control.controller.nodes.values()])
