"""Stalled instances, pushes and deliveries whose node is lost or deleted."""

import pytest

from mockanka.core import fault_effects, instances, nodes
from tests.core.builders import (
    COLD,
    LOST_IN_ERROR,
    WARM,
    build_controller,
    lose_node,
    node_named,
    pass_time,
    restore_node,
    start_instance,
    started_instance,
)
from tests.core.fault_effects.helpers import SCENARIOS, add_fault, begin_push, remove_fault, start_distribution


@pytest.mark.parametrize(("event", "seconds"), [("pull", 35), ("start", 20)])
@pytest.mark.parametrize("when", ["away", "back"])
def test_a_stalled_instance_continues_after_its_node_was_lost(event: str, seconds: float, when: str) -> None:
    """With the rule removed while the node is away, or when it is back, the instance is Started in the end."""
    controller = build_controller(SCENARIOS[event])
    rule = add_fault(controller, event, "{stall: true}")
    instance = start_instance(controller)
    pass_time(controller, 30)
    lose_node(controller)
    pass_time(controller, 10)
    before = instance.progress(controller)
    if when == "away":
        remove_fault(controller, rule)
    pass_time(controller, 40)
    assert before == instance.progress(controller)
    restore_node(controller)
    pass_time(controller, 0)
    assert before <= instance.progress(controller)
    if when == "back":
        remove_fault(controller, rule)
        pass_time(controller, seconds - 0.1)
        assert "Started" != instance.state
        pass_time(controller, 0.1)
    else:
        pass_time(controller, 20)  # 40 s are gone already, in which the node went on unheard

    assert "Started" == instance.state


@pytest.mark.parametrize("event", ["pull", "start"])
@pytest.mark.parametrize("end", ["lost", "deleted"])
def test_a_stalled_instance_is_in_error_with_its_node(event: str, end: str) -> None:
    """A node that is offline or deleted ends the stall too; the removal of the rule brings nothing back."""
    controller = build_controller(LOST_IN_ERROR + SCENARIOS[event])
    rule = add_fault(controller, event, "{stall: true, at: 40%}" if event == "pull" else "{stall: true}")
    instance = start_instance(controller)
    pass_time(controller, 30)
    before = instance.progress(controller)
    if end == "lost":
        lose_node(controller)
        pass_time(controller, 120)
    else:
        nodes.delete_node(controller, node_named(controller).id)
    remove_fault(controller, rule)
    pass_time(controller, 100)

    assert ("Error", before, None) == (instance.state, instance.progress(controller), instance.stall)
    assert [] == list(fault_effects.describe_stalls(controller))


def test_a_stalled_delivery_fails_when_its_node_is_deleted() -> None:
    """It fails with a message that names the node, and keeps its progress."""
    controller = build_controller(COLD)
    add_fault(controller, "distribute", "{stall: true, at: 40%}")
    distribution, delivery = start_distribution(controller)
    pass_time(controller, 100)
    alpha = node_named(controller).id
    nodes.delete_node(controller, alpha)

    assert ("failed", "node alpha was deleted") == (delivery.stage, delivery.error)
    assert 0.4 == distribution.progress(controller, alpha)


def test_a_stalled_push_fails_when_its_node_is_deleted() -> None:
    """Request and instance end with the node."""
    controller = build_controller(WARM)
    add_fault(controller, "save_image", "{stall: true}")
    instance, save = begin_push(controller)
    nodes.delete_node(controller, node_named(controller).id)

    assert ("Error", "error", []) == (instance.state, save.status, list(fault_effects.describe_stalls(controller)))


def test_a_pull_that_a_lost_node_has_finished_does_not_fail() -> None:
    """The registry goes down after a lost node has finished its pull: that changes nothing."""
    controller = build_controller(COLD)
    instance = start_instance(controller)
    pass_time(controller, 3)
    lose_node(controller)
    pass_time(controller, 40)
    add_fault(controller, "begin", "{registry: down}")
    pass_time(controller, 1)
    restore_node(controller)
    pass_time(controller, 30)

    assert ("Started", "") == (instance.state, instance.message)


def test_an_instance_of_a_deleted_node_has_no_end_of_its_phase() -> None:
    """No node is left to confirm its termination, so nothing ends its phase but the forgetting."""
    controller = build_controller(WARM)
    instance = started_instance(controller)
    instances.terminate_instance(controller, instance.id)
    nodes.delete_node(controller, node_named(controller).id)

    assert ("Terminating", None) == (instance.state, instance.until)
