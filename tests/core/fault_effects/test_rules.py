"""Lifecycle rules in general: which fires, how often, and what is logged."""

from tests.core.builders import (
    COLD,
    PAIR,
    WARM,
    build_controller,
    count_log_entries,
    pass_time,
    start_instance,
    start_instances,
    states,
)
from tests.core.fault_effects.helpers import add_fault, history_after, remove_fault, start_promptly


def test_a_rule_hits_only_matching_instances() -> None:
    """An instance with another name is Started as usual."""
    controller = build_controller(PAIR)
    add_fault(controller, "start", "{fail: no}", name="first")
    instance, other = start_instance(controller, name="first"), start_instance(controller, name="other")
    pass_time(controller, 100)

    assert ["Error", "Started"] == states(instance, other)


def test_the_first_rule_that_fires_decides() -> None:
    """The second rule fires at the next instance."""
    controller = build_controller(WARM)
    first = add_fault(controller, "start", "{fail: first, final: true}", times=1)
    second = add_fault(controller, "start", "{fail: second, final: true}")
    instance, other = start_instances(controller, count=2)
    pass_time(controller, 100)

    assert ["first", "second"] == [instance.message, other.message]
    assert ((2, 1), (1, 1)) == ((first.matched, first.applied), (second.matched, second.applied))


def test_a_rule_matches_each_pull_once() -> None:
    """Instances that join a pull, or find the version cached, are no new match."""
    controller = build_controller(COLD.replace("capacity: 2", "capacity: 5"))
    rule = add_fault(controller, "pull", "{bandwidth: 8Gbit/s}")
    start_instances(controller, count=3)
    pass_time(controller, 100)
    start_instances(controller, count=2)
    pass_time(controller, 100)

    assert (1, 1) == (rule.matched, rule.applied)


def test_the_removal_of_a_rule_does_not_undo_its_faults() -> None:
    """A failure that is scheduled happens though its rule is removed."""
    controller = build_controller(WARM)
    rule = add_fault(controller, "started", "{fail: panic, after: 30s}")
    instance = start_promptly(controller)
    remove_fault(controller, rule)

    assert (51.0, "Error") == history_after(controller, instance)[-1]


def test_every_fault_is_logged() -> None:
    """The log has the rule that fired, what was released, and the removal."""
    controller = build_controller(WARM)
    rule = add_fault(controller, "start", "{stall: true}")
    start_instance(controller)
    pass_time(controller, 5)
    remove_fault(controller, rule)

    assert (1, 1, 1) == tuple(count_log_entries(controller, what) for what in ("fault", "let go", "fault removed"))
