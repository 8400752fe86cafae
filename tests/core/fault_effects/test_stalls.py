"""Stalls for good: what settle and waiting say about them, and what the removal of their rule does."""

import copy

import pytest

from mockanka.core import fault_effects, time_control
from mockanka.core.lifecycle import InstanceState
from tests.controllers import state_of, state_with_rules
from tests.core.builders import (
    COLD,
    PAIR,
    WARM,
    build_controller,
    lose_node,
    node_named,
    pass_time,
    save_instance,
    start_instance,
    start_instances,
    started_instance,
)
from tests.core.fault_effects.helpers import COLD_PAIR, add_fault, begin_push, remove_fault, start_distribution


def test_waiting_for_a_stalled_instance_names_the_rule() -> None:
    """Never names the rule that stalls the instance in Scheduling, not the free nodes."""
    controller = build_controller(WARM)
    rule = add_fault(controller, "schedule", "{stall: true}")
    instance = start_instance(controller)
    with pytest.raises(time_control.Never, match=f"held in Scheduling by {rule.id}"):
        time_control.wait_for_state(controller, instance.id, InstanceState.STARTED)


STALL_SCENARIOS = {
    "schedule": WARM,
    "pull": COLD,
    "start": WARM,
    "save_image": WARM,
    "distribute": COLD,
}


@pytest.mark.parametrize("event", STALL_SCENARIOS)
def test_settling_raises_never_for_a_stall_and_changes_nothing(event: str) -> None:
    """Never names what is stalled and by which rule; time, state, rules and counts are unchanged."""
    controller = build_controller(STALL_SCENARIOS[event])
    rule = add_fault(controller, event, "{stall: true}")
    if event == "save_image":
        _, distribution = begin_push(controller, 1)
        named = distribution.id
    elif event == "distribute":
        named = start_distribution(controller)[0].id
    else:
        named = start_instance(controller).id
    before = copy.deepcopy(state_with_rules(controller))
    with pytest.raises(time_control.Never) as never:
        time_control.settle(controller)

    assert "it would never be idle" in str(never.value)
    assert named in str(never.value)
    assert rule.id in str(never.value)
    assert before == state_with_rules(controller)
    fault_effects.remove_rule(controller, rule.id)
    time_control.settle(controller)
    assert controller.idle


def test_settling_does_not_raise_for_a_stall_that_ends_by_itself() -> None:
    """A stalled boot on a node that is given up is tried elsewhere, so nothing is stalled in the end."""
    controller = build_controller(WARM)
    add_fault(controller, "start", "{stall: true}")
    instance = start_instance(controller)
    pass_time(controller, 10)
    lose_node(controller)
    time_control.settle(controller)

    assert ("Scheduling", False) == (instance.state, instance.holds_slot)


def test_settling_names_all_stalls() -> None:
    """One message names two instances and two rules."""
    controller = build_controller(PAIR)
    add_fault(controller, "schedule", "{stall: true}", times=1)
    add_fault(controller, "start", "{stall: true}")
    instance, other = start_instances(controller, count=2)
    with pytest.raises(time_control.Never) as never:
        time_control.settle(controller)

    assert [True] * 4 == [word in str(never.value) for word in (instance.id, other.id, "fault-1", "fault-2")]


def test_stalls_are_described_with_their_progress() -> None:
    """A pull's stall names the share at which it stands, a distribution's the node."""
    controller = build_controller(COLD_PAIR)
    add_fault(controller, "distribute", "{stall: true, at: 40%}")
    distribution, _ = start_distribution(controller)
    pass_time(controller, 5)
    add_fault(controller, "pull", "{stall: true, at: 60%}")
    instance = start_instance(controller)
    pass_time(controller, 20)

    assert [
        f"the pull of instance {instance.id} is held at 60% by fault-2",
        f"distribution {distribution.id} to node {node_named(controller).id} is held by fault-1",
    ] == [text for _, text in fault_effects.describe_stalls(controller)]


def test_the_removal_of_a_rule_without_stalls_changes_nothing_else() -> None:
    """Only the rule is gone."""
    controller = build_controller(WARM)
    rule = add_fault(controller, "pull", "{stall: true}")
    start_instance(controller)
    pass_time(controller, 5)
    before = state_of(controller)
    remove_fault(controller, rule)

    assert (before, 0) == (state_of(controller), len(controller.faults))


def test_waiting_for_an_instance_with_a_stalled_push_names_the_rule() -> None:
    """Never names the rule that stalls the push."""
    controller = build_controller(WARM)
    instance = started_instance(controller)
    add_fault(controller, "save_image", "{stall: true}")
    save_instance(controller, instance, tag="x")
    pass_time(controller, 60)
    with pytest.raises(time_control.Never, match=r"is held by fault-1"):
        time_control.wait_for_state(controller, instance.id, InstanceState.TERMINATED)
