"""Moving time on by hand."""

import pytest

from mockanka.core import instances, nodes, time_control
from mockanka.core.errors import NotFound
from mockanka.core.lifecycle import InstanceState
from mockanka.core.time_control import END_OF_TIME, Never
from mockanka.units import SECOND
from tests.core.builders import (
    COLD,
    WARM,
    build_controller,
    lose_node,
    node_named,
    pass_time,
    start_instance,
    started_instance,
)

FULL = WARM.replace("capacity: 2", "capacity: 0")


def test_time_is_advanced_by_a_length() -> None:
    """Everything due in that length happens, and now is as much later."""
    controller = build_controller(WARM)
    mine = start_instance(controller)
    before = controller.now
    time_control.advance_by(controller, 21 * SECOND)

    assert (before + 21 * SECOND, "Started") == (controller.now, mine.state)


def test_time_is_advanced_by_nothing() -> None:
    """A length of nothing lives through what is due now."""
    controller = build_controller(WARM)
    before = controller.now
    time_control.advance_by(controller, 0)

    assert before == controller.now


def test_time_does_not_go_back() -> None:
    """A negative length is refused and nothing moves."""
    controller = build_controller(WARM)
    before = controller.now
    with pytest.raises(ValueError, match="time does not go back"):
        time_control.advance_by(controller, -1)

    assert before == controller.now == controller.clock.now()


def test_time_ends_with_the_year_9000() -> None:
    """What leads beyond the last moment that can be written is refused; up to it time moves."""
    controller = build_controller(WARM)
    with pytest.raises(ValueError, match="beyond the year 9000"):
        time_control.advance_by(controller, END_OF_TIME - controller.now + 1)
    time_control.advance_by(controller, END_OF_TIME - controller.now)
    expected = END_OF_TIME

    assert expected == controller.now


def test_next_goes_to_the_next_event_and_no_further() -> None:
    """Each step is one moment at which something happens; with nothing left there is no step."""
    controller = build_controller(WARM)
    mine = start_instance(controller)
    begun, seen = controller.now, []
    while time_control.advance_to_next(controller):
        seen.append(((controller.now - begun) / SECOND, mine.state.value))
    expected = [(1.0, "Scheduling"), (21.0, "Started")]

    assert expected == [pair for n, pair in enumerate(seen) if pair not in seen[:n]]
    assert "Started" == mine.state


def test_next_passes_over_dead_events() -> None:
    """What no longer matters is no next event."""
    controller = build_controller(WARM)
    mine = start_instance(controller)
    instances.terminate_instance(controller, mine.id)
    begun = controller.now
    moved = time_control.advance_to_next(controller)

    assert moved
    assert begun + 60 * SECOND == controller.now


def test_settle_goes_on_until_all_are_where_they_are_going() -> None:
    """Pulling and booting are over afterwards; being forgotten is not waited for."""
    controller = build_controller(COLD)
    mine, leaving = started_instance(controller), started_instance(controller)
    instances.terminate_instance(controller, leaving.id)
    begun = controller.now
    time_control.settle(controller)
    expected = ("Started", "Terminated", True)

    assert expected == (mine.state, leaving.state, controller.idle)
    assert begun + 5 * SECOND == controller.now


def test_settle_does_not_wait_for_capacity() -> None:
    """Who has no node is not on its way; settling ends."""
    controller = build_controller(FULL)
    mine = start_instance(controller)
    time_control.settle(controller)
    expected = ("Scheduling", True)

    assert expected == (mine.state, controller.idle)


def test_settle_waits_for_a_lost_node_to_be_given_up() -> None:
    """Instances of a lost node are on their way to Error."""
    controller = build_controller(WARM)
    mine = started_instance(controller)
    lose_node(controller)
    time_control.settle(controller)

    assert "Error" == mine.state


def test_waiting_for_a_state_goes_there_and_no_further() -> None:
    """Time stops the moment the instance is in the state."""
    controller = build_controller(COLD)
    mine = start_instance(controller)
    begun = controller.now
    time_control.wait_for(controller, mine.id, InstanceState.STARTED)

    assert ("Started", begun + 36 * SECOND) == (mine.state, controller.now)


def test_waiting_for_the_state_it_is_in_takes_no_time() -> None:
    """An instance that is there need not move."""
    controller = build_controller(WARM)
    mine = started_instance(controller)
    begun = controller.now
    time_control.wait_for(controller, mine.id, InstanceState.STARTED)

    assert begun == controller.now


def test_waiting_for_an_unknown_instance_is_not_found() -> None:
    """There must be somebody to wait for."""
    with pytest.raises(NotFound):
        time_control.wait_for(build_controller(WARM), "nobody", InstanceState.STARTED)


def test_waiting_for_what_cannot_be_ends_at_once() -> None:
    """A state that the life cycle does not lead to is never waited for."""
    controller = build_controller(WARM)
    mine = started_instance(controller)
    begun = controller.now
    with pytest.raises(Never, match=r"^an instance that is Started is never Pulling$"):
        time_control.wait_for(controller, mine.id, InstanceState.PULLING)

    assert begun == controller.now


def test_waiting_for_an_instance_in_error_says_its_message() -> None:
    """Who waits for a failed instance hears why it failed."""
    controller = build_controller(WARM)
    mine = started_instance(controller)
    nodes.delete_node(controller, node_named(controller).id)

    with pytest.raises(Never, match=r"^an instance that is Error is never Started \(node alpha was deleted\)$"):
        time_control.wait_for(controller, mine.id, InstanceState.STARTED)


def test_waiting_without_capacity_says_what_is_missing() -> None:
    """Who waits for an instance without a node hears why there is none."""
    controller = build_controller(FULL)
    mine = start_instance(controller)

    with pytest.raises(Never, match=rf"^instance {mine.id} stays Scheduling: no free slot \(1 node\)$"):
        time_control.wait_for(controller, mine.id, InstanceState.STARTED)


def test_waiting_for_one_that_vanishes_says_so() -> None:
    """A never-placed instance is gone without having been Terminated."""
    controller = build_controller(FULL)
    mine = start_instance(controller)
    instances.terminate_instance(controller, mine.id)

    with pytest.raises(Never, match=f"^instance {mine.id} is gone without having been Terminated$"):
        time_control.wait_for(controller, mine.id, InstanceState.TERMINATED)


def test_waiting_for_one_that_rests_says_that_nothing_is_on_its_way() -> None:
    """A Started instance terminates only when it is told to."""
    controller = build_controller(WARM)
    mine = started_instance(controller)

    with pytest.raises(Never, match=r"stays Started: nothing is on its way$"):
        time_control.wait_for(controller, mine.id, InstanceState.TERMINATED)


def test_why_it_stays_knows_lost_nodes_and_missing_ones() -> None:
    """The reason is the silent node, the missing capacity, or that nothing happens by itself."""
    controller = build_controller(WARM)
    up = started_instance(controller)
    resting = time_control.why_not_reached(controller, up)
    lose_node(controller)
    waiting = start_instance(controller)
    pass_time(controller, 5)

    assert "nothing is on its way" == resting
    assert "node alpha does not report" == time_control.why_not_reached(controller, up)
    assert "not reporting (1 node)" == time_control.why_not_reached(controller, waiting)
