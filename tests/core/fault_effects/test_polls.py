"""Faults that strike after an instance was looked at a number of times."""

import pytest

from mockanka.core import nodes
from mockanka.core.controller import Controller
from mockanka.core.instance_record import Instance
from mockanka.core.polls import count_poll
from tests.controllers import reload, state_of
from tests.core.builders import WARM, build_controller, node_named, pass_time, start_instance, started_instance
from tests.core.fault_effects.helpers import add_fault, remove_fault, shown_state, start_promptly


def poll(controller: Controller, instance: Instance | None = None) -> None:
    """Look at an instance, or at the list."""
    count_poll(controller, instance.id if instance else None)
    controller.advance()


STATES = {
    "fail: no": "Error",
    "stop: true": "Stopping",
    "end: true": "Terminating",
    "vanish: true": "gone",
}


@pytest.mark.parametrize("do", STATES)
@pytest.mark.parametrize("seconds", [0, 3600])
def test_a_fault_strikes_after_two_looks_however_much_time_passes(do: str, seconds: int) -> None:
    """One look by the id and one at the list make two; the second one still shows the instance as it was."""
    controller = build_controller(WARM)
    add_fault(controller, "started", f"{{{do}, after_polls: 2}}")
    instance = start_promptly(controller)
    poll(controller, instance)
    pass_time(controller, seconds)
    assert "Started" == instance.state
    poll(controller)

    assert STATES[do] == instance.state


def test_looks_at_other_instances_do_not_count() -> None:
    """Only those at the instance itself, and at the list, do."""
    controller = build_controller(WARM)
    other = started_instance(controller)
    add_fault(controller, "started", "{stop: true, after_polls: 1}")
    instance = start_promptly(controller)
    poll(controller, other)
    assert "Started" == instance.state
    poll(controller)

    assert ("Stopping", "Started") == (instance.state, other.state)


def test_a_hidden_instance_is_not_looked_at() -> None:
    """The list does not show it, so that a look at the list is none at the instance."""
    controller = build_controller(WARM)
    add_fault(controller, "started", "{vanish: true, for: 5s, every: 10s, after_polls: 1}", times=1)
    instance = start_promptly(controller)
    poll(controller, instance)
    assert instance.hidden
    pass_time(controller, 5)
    shown = instance.hidden
    pass_time(controller, 5)

    assert (False, True) == (shown, instance.hidden)


def test_the_node_of_an_instance_changes_its_state() -> None:
    """The override lasts as long as the rule says."""
    controller = build_controller(WARM)
    add_fault(controller, "started", "{node: unhealthy, for: 1m, after_polls: 1}")
    poll(controller, start_promptly(controller))
    assert "Unhealthy" == shown_state(controller)
    pass_time(controller, 60)

    assert "Active" == shown_state(controller)


def test_a_failure_on_a_lost_node_shows_when_the_node_is_back() -> None:
    """The node reports the end of the instance, as it does those that come by the time."""
    controller = build_controller(WARM)
    add_fault(controller, "started", "{fail: no, after_polls: 1}")
    instance = start_promptly(controller)
    nodes.lose_node(controller, node_named(controller).id)
    poll(controller, instance)
    assert "Started" == instance.state
    nodes.restore_node(controller, node_named(controller).id)
    pass_time(controller, 1)

    assert ("Error", "no") == (instance.state, instance.message)


def test_the_removal_of_the_rule_does_not_end_the_wait() -> None:
    """The instance stops, as the rule has decided when it was Started."""
    controller = build_controller(WARM)
    rule = add_fault(controller, "started", "{stop: true, after_polls: 1}")
    instance = start_promptly(controller)
    remove_fault(controller, rule)
    poll(controller)

    assert "Stopping" == instance.state


def test_what_an_instance_waited_for_is_dropped_once_it_is_gone() -> None:
    """Nothing is left of a rule for an instance that has vanished."""
    controller = build_controller(WARM)
    add_fault(controller, "schedule", "{end: true, after_polls: 5}", times=1)
    add_fault(controller, "start", "{vanish: true}", times=1)
    start_instance(controller)
    pass_time(controller, 30)
    poll(controller)

    assert [] == controller.awaited_polls


@pytest.mark.parametrize("do", STATES)
def test_a_dump_counts_on(do: str) -> None:
    """After a dump as many looks are missing as before."""
    controller = build_controller(WARM)
    add_fault(controller, "started", f"{{{do}, after_polls: 2}}")
    instance = start_promptly(controller)
    poll(controller)
    copy = reload(controller)
    assert state_of(controller) == state_of(copy)
    poll(controller)
    poll(copy)

    assert STATES[do] == instance.state
    assert state_of(controller) == state_of(copy)
