"""Faults of the event ``schedule``, which begins when an instance is created."""

from tests.core.builders import WARM, build_controller, pass_time, start_instance, start_instances, states
from tests.core.fault_effects.helpers import add_fault, history_after, remove_fault


def test_an_instance_fails_at_the_end_of_scheduling() -> None:
    """It is in Error when it would have been queued, with the message."""
    controller = build_controller(WARM)
    add_fault(controller, "schedule", "{fail: no luck}")
    instance = start_instance(controller)

    assert [(0.0, "Scheduling"), (1.0, "Error")] == history_after(controller, instance)
    assert ("no luck", None, None) == (instance.message, instance.vm, instance.node_id)


def test_a_stall_with_a_duration_lengthens_scheduling() -> None:
    """A stall of 30 s is added to the scheduling."""
    controller = build_controller(WARM)
    add_fault(controller, "schedule", "{stall: true, for: 30s}")
    instance = start_instance(controller)

    assert [(0.0, "Scheduling"), (51.0, "Started")] == history_after(controller, instance)


def test_a_stall_of_scheduling_lasts_until_its_rule_is_removed() -> None:
    """Nothing changes for a year; after the removal the rest of the scheduling passes."""
    controller = build_controller(WARM)
    rule = add_fault(controller, "schedule", "{stall: true}")
    instance = start_instance(controller)
    pass_time(controller, 365 * 24 * 3600)
    before = states(instance)
    remove_fault(controller, rule)
    pass_time(controller, 20.9)

    assert (["Scheduling"], ["Scheduling"]) == (before, states(instance))
    pass_time(controller, 0.1)
    assert ["Started"] == states(instance)


def test_a_stalled_instance_does_not_block_the_next() -> None:
    """A rule with one time stalls the first instance only; the second overtakes it."""
    controller = build_controller(WARM)
    add_fault(controller, "schedule", "{stall: true}", times=1)
    first, second = start_instances(controller, count=2)
    pass_time(controller, 100)

    assert ["Scheduling", "Started"] == states(first, second)
