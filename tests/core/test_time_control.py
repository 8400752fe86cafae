"""Control of the time."""

import pytest

from mockanka.core import instances, nodes, time_control
from mockanka.core.errors import NotFound
from mockanka.core.lifecycle import InstanceState
from mockanka.core.time_control import END_OF_TIME, Never
from mockanka.units import SECOND
from tests.core.builders import (
    COLD,
    LOST_IN_ERROR,
    WARM,
    build_controller,
    lose_node,
    node_named,
    pass_time,
    start_instance,
    started_instance,
)
from tests.core.fault_effects.helpers import add_fault

FULL = WARM.replace("capacity: 2", "capacity: 0")


def test_time_is_advanced_by_a_length() -> None:
    """Events that are due happen, and the time is that much later."""
    controller = build_controller(WARM)
    instance = start_instance(controller)
    before = controller.now
    time_control.advance_by(controller, 21 * SECOND)

    assert (before + 21 * SECOND, "Started") == (controller.now, instance.state)


def test_time_can_be_advanced_by_nothing() -> None:
    """Only events that are due now happen."""
    controller = build_controller(WARM)
    before = controller.now
    time_control.advance_by(controller, 0)

    assert before == controller.now


def test_time_does_not_go_back() -> None:
    """A negative length is refused, and nothing changes."""
    controller = build_controller(WARM)
    before = controller.now
    with pytest.raises(ValueError, match="time does not go back"):
        time_control.advance_by(controller, -1)

    assert before == controller.now == controller.clock.now()


def test_time_ends_with_the_year_9000() -> None:
    """Time can be advanced up to its end, and not beyond."""
    controller = build_controller(WARM)
    with pytest.raises(ValueError, match="beyond the year 9000"):
        time_control.advance_by(controller, END_OF_TIME - controller.now + 1)
    time_control.advance_by(controller, END_OF_TIME - controller.now)
    expected = END_OF_TIME

    assert expected == controller.now


def test_time_advances_to_the_next_event() -> None:
    """Each call advances to the moment of one, until none is left."""
    controller = build_controller(WARM)
    instance = start_instance(controller)
    begun, seen = controller.now, []
    while time_control.advance_to_next(controller):
        seen.append(((controller.now - begun) / SECOND, instance.state.value))
    expected = [(1.0, "Scheduling"), (21.0, "Started")]

    assert expected == [pair for n, pair in enumerate(seen) if pair not in seen[:n]]
    assert "Started" == instance.state


def test_an_event_that_is_not_current_is_not_the_next() -> None:
    """Time advances to the first that is."""
    controller = build_controller(WARM)
    instance = start_instance(controller)
    instances.terminate_instance(controller, instance.id)
    begun = controller.now
    moved = time_control.advance_to_next(controller)

    assert moved
    assert begun + 60 * SECOND == controller.now


def test_settle_waits_for_final_states() -> None:
    """It waits for pulls and boots, but not until a terminated instance is forgotten."""
    controller = build_controller(COLD)
    instance, leaving = started_instance(controller), started_instance(controller)
    instances.terminate_instance(controller, leaving.id)
    begun = controller.now
    time_control.settle(controller)
    expected = ("Started", "Terminated", True)

    assert expected == (instance.state, leaving.state, controller.idle)
    assert begun + 5 * SECOND == controller.now


def test_settle_does_not_wait_for_capacity() -> None:
    """An instance that no node takes stays Scheduling."""
    controller = build_controller(FULL)
    instance = start_instance(controller)
    time_control.settle(controller)
    expected = ("Scheduling", True)

    assert expected == (instance.state, controller.idle)


def test_settle_waits_for_the_timeout_of_a_lost_node() -> None:
    """Its instances are Error afterwards, if the scenario says so."""
    controller = build_controller(LOST_IN_ERROR + WARM)
    instance = started_instance(controller)
    lose_node(controller)
    time_control.settle(controller)

    assert "Error" == instance.state


def test_settle_does_not_wait_for_a_lost_node_whose_instances_are_kept() -> None:
    """They stay as they are, whether the node comes back or not."""
    controller = build_controller(WARM)
    started_instance(controller)
    add_fault(controller, "begin", "{node: offline, for: 10m}")
    pass_time(controller, 1)
    begun = controller.now
    time_control.settle(controller)

    assert begun == controller.now


def test_settle_waits_for_a_node_that_comes_back_to_a_start() -> None:
    """The only node is lost in the middle of a boot: it takes the start again when it is back."""
    controller = build_controller(WARM)
    instance = start_instance(controller)
    pass_time(controller, 5)
    add_fault(controller, "begin", "{node: offline, for: 10m}")
    time_control.settle(controller)

    assert "Started" == instance.state


def test_time_advances_until_an_instance_has_a_state() -> None:
    """It advances no further."""
    controller = build_controller(COLD)
    instance = start_instance(controller)
    begun = controller.now
    time_control.wait_for_state(controller, instance.id, InstanceState.STARTED)

    assert ("Started", begun + 36 * SECOND) == (instance.state, controller.now)


def test_waiting_for_the_present_state_takes_no_time() -> None:
    """The instance has the state already."""
    controller = build_controller(WARM)
    instance = started_instance(controller)
    begun = controller.now
    time_control.wait_for_state(controller, instance.id, InstanceState.STARTED)

    assert begun == controller.now


def test_waiting_for_an_unknown_instance_is_not_found() -> None:
    """The instance must exist."""
    with pytest.raises(NotFound):
        time_control.wait_for_state(build_controller(WARM), "nobody", InstanceState.STARTED)


def test_waiting_for_a_state_that_cannot_be_reached_fails_at_once() -> None:
    """The life cycle decides that, and no time passes."""
    controller = build_controller(WARM)
    instance = started_instance(controller)
    begun = controller.now
    with pytest.raises(Never, match=r"^an instance that is Started is never Pulling$"):
        time_control.wait_for_state(controller, instance.id, InstanceState.PULLING)

    assert begun == controller.now


def test_waiting_for_an_instance_in_error_names_its_message() -> None:
    """The exception says why it failed."""
    controller = build_controller(WARM)
    instance = started_instance(controller)
    nodes.delete_node(controller, node_named(controller).id)

    with pytest.raises(Never, match=r"^an instance that is Error is never Started \(node alpha was deleted\)$"):
        time_control.wait_for_state(controller, instance.id, InstanceState.STARTED)


def test_waiting_without_capacity_names_what_is_missing() -> None:
    """The exception says why no node takes the instance."""
    controller = build_controller(FULL)
    instance = start_instance(controller)

    with pytest.raises(Never, match=rf"^instance {instance.id} stays Scheduling: no free slot \(1 node\)$"):
        time_control.wait_for_state(controller, instance.id, InstanceState.STARTED)


def test_waiting_for_an_instance_that_is_gone_fails() -> None:
    """An instance that was never placed is gone without having been Terminated."""
    controller = build_controller(FULL)
    instance = start_instance(controller)
    instances.terminate_instance(controller, instance.id)

    with pytest.raises(Never, match=f"^instance {instance.id} is gone without having been Terminated$"):
        time_control.wait_for_state(controller, instance.id, InstanceState.TERMINATED)


def test_waiting_fails_if_nothing_is_on_its_way() -> None:
    """A Started instance does not terminate by itself."""
    controller = build_controller(WARM)
    instance = started_instance(controller)

    with pytest.raises(Never, match=r"stays Started: nothing is on its way$"):
        time_control.wait_for_state(controller, instance.id, InstanceState.TERMINATED)


def test_the_reason_for_a_standstill() -> None:
    """It is a lost node, missing capacity, or that nothing is on its way."""
    controller = build_controller(WARM)
    up = started_instance(controller)
    resting = time_control.explain_standstill(controller, up)
    lose_node(controller)
    waiting = start_instance(controller)
    pass_time(controller, 5)

    assert "nothing is on its way" == resting
    assert "node alpha does not report" == time_control.explain_standstill(controller, up)
    assert "not reporting (1 node)" == time_control.explain_standstill(controller, waiting)
