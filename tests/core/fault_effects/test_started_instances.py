"""Faults of the event ``started``."""

import pytest

from mockanka.core import instances, time_control
from mockanka.units import SECOND
from tests.core.builders import (
    WARM,
    build_controller,
    lose_node,
    node_named,
    pass_time,
    restore_node,
    start_instance,
    states,
)
from tests.core.fault_effects.helpers import add_fault, history_after, start_promptly


def test_a_started_instance_fails_after_a_duration() -> None:
    """It is in Error 30 s after Started, with the message; the VM is_overridden as failed, and the slot is free."""
    controller = build_controller(WARM)
    add_fault(controller, "started", "{fail: panic, after: 30s}")
    instance = start_instance(controller)

    assert [(0.0, "Scheduling"), (21.0, "Started"), (51.0, "Error")] == history_after(controller, instance)
    assert instance.vm is not None
    assert ("panic", "failed", {}) == (instance.message, instance.vm.status, node_named(controller).occupants)


def test_a_started_instance_stops_after_a_duration() -> None:
    """Its VM shuts down 30 s after Started: Stopping, then Stopped."""
    controller = build_controller(WARM)
    add_fault(controller, "started", "{stop: true, after: 30s}")
    instance = start_instance(controller)
    expected = [(0.0, "Scheduling"), (21.0, "Started"), (51.0, "Stopping"), (56.0, "Stopped")]

    assert expected == history_after(controller, instance)


def test_without_after_a_started_instance_fails_at_once() -> None:
    """It is in Error at the moment at which it was Started."""
    controller = build_controller(WARM)
    add_fault(controller, "started", "{fail: panic}")

    assert [(0.0, "Scheduling"), (21.0, "Started"), (21.0, "Error")] == history_after(
        controller, start_instance(controller)
    )


def test_settling_does_not_wait_for_a_failure_after_started() -> None:
    """The instance is Started; its failure an hour later is not waited for."""
    controller = build_controller(WARM)
    add_fault(controller, "started", "{fail: panic, after: 1h}")
    instance = start_instance(controller)
    begin = controller.now
    time_control.settle(controller)

    assert ("Started", 21 * SECOND) == (instance.state, controller.now - begin)


def test_a_fault_after_started_hits_instances_of_the_scenario() -> None:
    """An instance of the scenario counts as Started from the beginning."""
    controller = build_controller(
        WARM + "instances: [{template: mac, node: alpha}]\n"
        "faults: [{match: {event: started}, do: {fail: panic, after: 10s}}]\n"
    )
    (instance,) = controller.instances.values()
    pass_time(controller, 9.9)
    before = states(instance)
    pass_time(controller, 0.1)

    assert (["Started"], ["Error"]) == (before, states(instance))


def test_terminating_prevents_a_later_failure() -> None:
    """An instance terminated before it would have failed is not in Error."""
    controller = build_controller(WARM)
    add_fault(controller, "started", "{fail: panic, after: 30s}")
    instance = start_promptly(controller)
    instances.terminate_instance(controller, instance.id)
    pass_time(controller, 40)

    assert ("Terminated", "") == (instance.state, instance.message)


@pytest.mark.parametrize("do", ["{fail: panic, after: 30s}", "{stop: true, after: 30s}"])
def test_a_failure_on_a_lost_node_is_reported_on_return(do: str) -> None:
    """The report of a lost node comes when it is back."""
    controller = build_controller(WARM)
    add_fault(controller, "started", do)
    instance = start_promptly(controller)
    lose_node(controller)
    pass_time(controller, 60)
    before = states(instance)
    restore_node(controller)
    pass_time(controller, 0)

    assert (["Started"], ["Error" if "fail" in do else "Stopping"]) == (before, states(instance))
