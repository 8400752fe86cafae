"""Faults of the event ``terminate``, and the termination of stalled instances."""

import pytest

from mockanka.core import instances
from mockanka.core.lifecycle import InstanceState
from mockanka.units import SECOND
from tests.controllers import state_of
from tests.core.builders import WARM, build_controller, node_named, pass_time, start_instance, started_instance, states
from tests.core.fault_effects.helpers import SCENARIOS, add_fault, begin_push, remove_fault


@pytest.mark.parametrize("times", [1, 3])
def test_requests_to_terminate_are_ignored_so_often(times: int) -> None:
    """The first requests do nothing; the next one is obeyed."""
    controller = build_controller(WARM)
    add_fault(controller, "terminate", "{ignore: true}", times=times)
    instance = started_instance(controller)
    before = state_of(controller)
    for _ in range(times):
        instances.terminate_instance(controller, instance.id)

    assert before == state_of(controller)
    instances.terminate_instance(controller, instance.id)
    assert "Terminating" == instance.state


def test_a_stall_delays_the_confirmation() -> None:
    """The node confirms 30 s later than usual."""
    controller = build_controller(WARM)
    add_fault(controller, "terminate", "{stall: true, for: 30s}")
    instance = started_instance(controller)
    instances.terminate_instance(controller, instance.id)
    pass_time(controller, 34.9)
    before = (states(instance), len(node_named(controller).occupants))
    pass_time(controller, 0.1)

    assert ((["Terminating"], 1), ["Terminated"]) == (before, states(instance))


@pytest.mark.parametrize("do", ["{stall: true}", "{stall: true, for: 2m}"])
def test_without_confirmation_in_time_the_instance_is_forgotten(do: str) -> None:
    """It is forgotten from Terminating 60 s after the request, and its slot is free."""
    controller = build_controller(WARM)
    add_fault(controller, "terminate", do)
    instance = started_instance(controller)
    asked = controller.now
    instances.terminate_instance(controller, instance.id)
    pass_time(controller, 59.9)
    before = states(instance)
    pass_time(controller, 0.1)

    assert (["Terminating"], False, {}) == (
        before,
        instance.id in controller.instances,
        node_named(controller).occupants,
    )
    assert (InstanceState.GONE, asked + 60 * SECOND) == (instance.state, instance.timeline[-1].since)


def test_a_stalled_confirmation_comes_when_its_rule_is_removed() -> None:
    """From the removal on the node takes its usual time to confirm."""
    controller = build_controller(WARM)
    rule = add_fault(controller, "terminate", "{stall: true}")
    instance = started_instance(controller)
    instances.terminate_instance(controller, instance.id)
    pass_time(controller, 20)
    remove_fault(controller, rule)
    pass_time(controller, 5)

    assert "Terminated" == instance.state


@pytest.mark.parametrize("event", SCENARIOS)
def test_a_stalled_instance_can_be_terminated(event: str) -> None:
    """DELETE is accepted in every state; no trace of the stall is left, nor when the rule is removed."""
    controller = build_controller(SCENARIOS[event])
    rule = add_fault(controller, event, "{stall: true}")
    instance = start_instance(controller)
    pass_time(controller, 30)
    instances.terminate_instance(controller, instance.id)
    remove_fault(controller, rule)
    pass_time(controller, 10)

    assert ("Terminating", {}) == (instance.state, node_named(controller).occupants)
    pass_time(controller, 100)
    assert ({}, {}) == (controller.instances, node_named(controller).occupants)


def test_an_instance_with_a_stalled_push_can_be_terminated() -> None:
    """The request ends in error with the instance."""
    controller = build_controller(WARM)
    rule = add_fault(controller, "save_image", "{stall: true}")
    instance, save = begin_push(controller)
    instances.terminate_instance(controller, instance.id)
    remove_fault(controller, rule)
    pass_time(controller, 10)

    assert ("Terminated", "error", None) == (instance.state, save.status, save.stall)
