"""Instances of nodes that are Offline: by release, by setting, and by what they were doing."""

from __future__ import annotations

import pytest

from mockanka.core import instances, nodes, time_control
from mockanka.core.lifecycle import InstanceState
from mockanka.scenario import ScenarioError
from mockanka.units import SECOND
from tests.controllers import reload, state_of
from tests.core.builders import (
    COLD,
    PAIR,
    WARM,
    build_controller,
    lose_node,
    node_named,
    node_names,
    pass_time,
    restore_node,
    save_instance,
    start_instance,
    started_instance,
    state_history,
    states,
)
from tests.core.fault_effects.helpers import COLD_PAIR, add_fault

FROM_1_13 = ["1.13.0", "1.24.0", "1.50.1"]
SETTINGS = {"keep": "Started", "error": "Error", "terminate": "Terminating"}


@pytest.mark.parametrize("release", FROM_1_13)
def test_a_running_instance_is_kept_from_1_13_on(release: str) -> None:
    """Its time of the last update stands still while its node is lost, and moves on when it is back (C5)."""
    controller = build_controller(f"controller: {{release: {release}}}\n" + WARM)
    instance = started_instance(controller)
    lose_node(controller)
    frozen = instance.updated(controller)
    pass_time(controller, 3600)
    assert ("Started", True, frozen) == (instance.state, node_named(controller).is_offline(controller.now), frozen)
    assert frozen == instance.updated(controller)
    restore_node(controller)
    pass_time(controller, 10)

    assert ("Started", True) == (instance.state, controller.now - 5 * SECOND <= instance.updated(controller))
    assert [instance.id] == list(node_named(controller).occupants)


@pytest.mark.parametrize("release", ["1.8.0", "1.11.1"])
def test_a_running_instance_is_terminated_before_1_13(release: str) -> None:
    """That is when the node is Offline; nobody confirms, so the instance is Terminating until it is forgotten (C5)."""
    controller = build_controller(f"controller: {{release: {release}}}\n" + WARM)
    instance = started_instance(controller)
    lose_node(controller)
    offline = node_named(controller).timeout_at
    pass_time(controller, 125)
    assert ("Terminating", offline) == (instance.state, instance.since)
    pass_time(controller, 60)

    assert InstanceState.GONE is instance.state
    assert {} == node_named(controller).occupants


def test_a_node_that_is_back_confirms_that_it_terminated_its_instances() -> None:
    """The instance is Terminated then."""
    controller = build_controller("controller: {lost_instances: terminate}\n" + WARM)
    instance = started_instance(controller)
    lose_node(controller)
    pass_time(controller, 140)
    restore_node(controller)
    pass_time(controller, 0)

    assert "Terminated" == instance.state


@pytest.mark.parametrize("release", ["1.8.0", "1.50.1"])
@pytest.mark.parametrize(("setting", "state"), SETTINGS.items())
def test_a_scenario_chooses_what_becomes_of_running_instances(setting: str, state: str, release: str) -> None:
    """It wins over the release."""
    controller = build_controller(f"controller: {{release: {release}, lost_instances: {setting}}}\n" + WARM)
    instance = started_instance(controller)
    lose_node(controller)
    pass_time(controller, 125)

    assert (state, "" if setting != "error" else "node alpha is offline") == (instance.state, instance.message)
    assert state_of(controller) == state_of(reload(controller))


@pytest.mark.parametrize("setting", ["keep", "terminate"])
@pytest.mark.parametrize(("scenario", "seconds"), [(PAIR, 5), (COLD_PAIR, 5), (COLD_PAIR, 20)])
def test_a_start_is_tried_on_another_node(setting: str, scenario: str, seconds: float) -> None:
    """An instance that pulls or boots is Scheduling again when its node is Offline, and the other node takes it."""
    controller = build_controller(f"controller: {{lost_instances: {setting}}}\n" + scenario)
    instance = start_instance(controller)
    pass_time(controller, seconds)
    lose_node(controller)
    pass_time(controller, 300)

    assert (["Started"], ["beta"]) == (states(instance), node_names(controller, instance))
    assert (node_named(controller).id,) == instance.failed_on
    assert "start failed, and is tried again: node alpha is offline" in [entry.cause for entry in instance.timeline]


def test_a_start_without_another_node_waits_for_its_own() -> None:
    """It says that the node does not report, and is Started after the node is back."""
    controller = build_controller(COLD)
    instance = start_instance(controller)
    pass_time(controller, 5)
    lose_node(controller)
    pass_time(controller, 300)
    assert ("Scheduling", "not reporting (1 node)") == (instance.state, instance.waits_for)
    restore_node(controller)
    pass_time(controller, 60)

    assert "Started" == instance.state


def test_a_start_without_retries_is_in_error() -> None:
    """As after any other failure of a start."""
    controller = build_controller("controller: {retries: 0}\n" + WARM)
    instance = start_instance(controller)
    pass_time(controller, 5)
    lose_node(controller)
    pass_time(controller, 120)

    assert ("Error", "node alpha is offline") == (instance.state, instance.message)


@pytest.mark.parametrize("setting", SETTINGS)
def test_an_instance_that_terminates_is_terminating_until_it_is_forgotten(setting: str) -> None:
    """Nobody confirms, whatever becomes of the others."""
    controller = build_controller(f"controller: {{lost_instances: {setting}}}\n" + WARM)
    instance = started_instance(controller)
    instances.terminate_instance(controller, instance.id)
    nodes.lose_node(controller, node_named(controller).id, at_once=True)
    pass_time(controller, 100)

    assert [(200.0, "Terminating"), (260.0, "gone")] == state_history(controller, instance)[-2:]


def test_a_kept_instance_can_be_terminated() -> None:
    """It is forgotten after a minute, and its slot is free."""
    controller = build_controller(WARM)
    instance = started_instance(controller)
    lose_node(controller)
    pass_time(controller, 300)
    instances.terminate_instance(controller, instance.id)
    pass_time(controller, 60)

    assert (InstanceState.GONE, {}) == (instance.state, node_named(controller).occupants)


def test_a_save_image_request_ends_when_its_instance_is_terminated() -> None:
    """Before 1.13 an instance that is being saved is terminated as well."""
    controller = build_controller("controller: {release: 1.8.0}\n" + WARM)
    instance = started_instance(controller)
    save = save_instance(controller, instance)
    pass_time(controller, 1)
    lose_node(controller)
    pass_time(controller, 121)

    assert ("Terminating", "error") == (instance.state, save.status)


def test_a_wait_for_a_kept_instance_says_that_its_node_does_not_report() -> None:
    """Its state is not going to change."""
    controller = build_controller(WARM)
    instance = started_instance(controller)
    lose_node(controller)

    with pytest.raises(time_control.Never, match=r"stays Started: node alpha does not report$"):
        time_control.wait_for_state(controller, instance.id, InstanceState.ERROR)


def test_the_policy_of_a_rule_survives_dump_and_load() -> None:
    """Both before the node is lost, and while it is."""
    controller = build_controller(WARM)
    instance = started_instance(controller)
    add_fault(controller, "begin", "{node: offline, after: 10s, lost_instances: error}")
    for seconds in (5, 30, 120):
        pass_time(controller, seconds)
        loaded = reload(controller)
        assert state_of(controller) == state_of(loaded)
        pass_time(loaded, 200)
        assert "Error" == loaded.instances[instance.id].state


def test_a_scenario_can_have_a_running_instance_on_an_offline_node() -> None:
    """It is kept from the beginning, and continues when the node is back."""
    instance = "instances: [{template: mac, node: alpha, state: Started}]\n"
    controller = build_controller(WARM.replace("capacity: 2", "capacity: 2, state: Offline") + instance)
    (kept,) = controller.instances.values()
    pass_time(controller, 600)
    assert ("Started", True) == (kept.state, kept.updated(controller) < controller.now)
    restore_node(controller)
    pass_time(controller, 6)

    assert controller.now - 5 * SECOND <= kept.updated(controller)


@pytest.mark.parametrize("state", ["Started", "Pulling", "Stopped"])
def test_a_scenario_cannot_have_what_leaves_an_offline_node(state: str) -> None:
    """Nothing pulls there, and nothing runs there before 1.13."""
    instance = f"instances: [{{template: mac, node: alpha, state: {state}}}]\n"
    text = "controller: {release: 1.8.0}\n" + COLD.replace("capacity: 2", "capacity: 2, state: Offline") + instance
    with pytest.raises(ScenarioError, match=f"node alpha is Offline, so nothing on it is {state}"):
        build_controller(text)
