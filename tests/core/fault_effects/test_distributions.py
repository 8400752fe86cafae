"""Faults of the event ``distribute``."""

import pytest

from tests.core.builders import COLD, WARM, build_controller, node_named, pass_time, start_instance
from tests.core.fault_effects.helpers import add_fault, remove_fault, start_distribution


def test_a_delivery_fails_at_a_share_of_its_pull() -> None:
    """It fails at 40 % of the pull, with the message."""
    controller = build_controller(COLD)
    add_fault(controller, "distribute", "{fail: no, at: 40%}")
    distribution, delivery = start_distribution(controller)
    pass_time(controller, 6.9)
    before = delivery.stage.value
    pass_time(controller, 0.1)

    assert ("pulling", "failed", "no") == (before, delivery.stage, delivery.error)
    assert 0.4 == distribution.progress(controller, node_named(controller).id)


def test_a_delivery_without_a_pull_fails_at_once() -> None:
    """The node has the version cached, and the delivery fails all the same."""
    controller = build_controller(WARM)
    add_fault(controller, "distribute", "{fail: no, at: 40%}")
    _, delivery = start_distribution(controller)
    pass_time(controller, 1)

    assert ("failed", "no") == (delivery.stage, delivery.error)


@pytest.mark.parametrize(("do", "seconds"), [("{stall: true, at: 40%, for: 30s}", 46), ("{bandwidth: 1Gbit/s}", 121)])
def test_a_stall_or_a_bandwidth_lengthens_a_delivery(do: str, seconds: float) -> None:
    """It is done exactly when the longer pull ends."""
    controller = build_controller(COLD)
    add_fault(controller, "distribute", do)
    _, delivery = start_distribution(controller)
    pass_time(controller, seconds - 0.1)
    before = delivery.stage.value
    pass_time(controller, 0.1)

    assert ("pulling", "done") == (before, delivery.stage)


def test_a_stalled_delivery_continues_when_its_rule_is_removed() -> None:
    """It continues from 40 % for the remaining 9 s; an instance of the same version waits for the end of it."""
    controller = build_controller(COLD)
    rule = add_fault(controller, "distribute", "{stall: true, at: 40%}")
    distribution, delivery = start_distribution(controller)
    pass_time(controller, 50)
    instance = start_instance(controller)
    pass_time(controller, 50)
    remove_fault(controller, rule)

    assert 0.4 == distribution.progress(controller, node_named(controller).id)
    assert ("Scheduling", "pulls a template (1 node)") == (instance.state, instance.waits_for)
    pass_time(controller, 8.9)
    assert "pulling" == delivery.stage
    pass_time(controller, 0.1)
    assert "done" == delivery.stage
    pass_time(controller, 20)
    assert "Started" == instance.state


def test_a_rule_for_pulls_matches_the_pull_of_a_delivery() -> None:
    """A distribution pulls, so rules for pulls match as well."""
    controller = build_controller(COLD)
    add_fault(controller, "pull", "{fail: no}")
    _, delivery = start_distribution(controller)
    pass_time(controller, 2)

    assert "no" == delivery.error
