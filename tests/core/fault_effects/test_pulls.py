"""Faults of the event ``pull``: failures, stalls and bandwidths."""

import pytest

from mockanka.core import pulls
from mockanka.core.lifecycle import InstanceState
from tests.core.builders import (
    COLD,
    build_controller,
    node_named,
    pass_time,
    start_instance,
    start_instances,
    states,
)
from tests.core.fault_effects.helpers import REGISTRY_DOWN, add_fault, history_after, remove_fault, start_distribution


@pytest.mark.parametrize(("at", "seconds", "progress"), [("0%", 1.0, 0.0), ("40%", 7.0, 0.4), ("100%", 16.0, 1.0)])
def test_a_pull_fails_at_a_share_of_its_length(at: str, seconds: float, progress: float) -> None:
    """Error comes at that share of the pull, with the message; the progress stays, nothing is cached."""
    controller = build_controller(COLD)
    add_fault(controller, "pull", f"{{fail: broken pipe, at: {at}, final: true}}")
    instance = start_instance(controller)

    assert [(0.0, "Scheduling"), (1.0, "Pulling"), (seconds, "Error")] == history_after(controller, instance)
    assert ("broken pipe", progress) == (instance.message, instance.progress(controller))
    alpha = node_named(controller)
    assert ({}, {}, {}) == (alpha.pulls, alpha.cached, alpha.occupants)


def test_after_a_failed_pull_the_next_starts_from_zero() -> None:
    """A failed pull leaves nothing cached, so the next instance pulls everything."""
    controller = build_controller(COLD)
    add_fault(controller, "pull", "{fail: no, at: 90%, final: true}", times=1)
    history_after(controller, start_instance(controller))
    second = start_instance(controller)

    assert [(0.0, "Scheduling"), (1.0, "Pulling"), (16.0, "Scheduling"), (36.0, "Started")] == history_after(
        controller, second
    )


@pytest.mark.parametrize(("seconds", "progress"), [(7, 0.4), (10, 0.4), (36.9, 0.4), (40, 0.6), (46, 1.0), (100, 1.0)])
def test_a_pull_stalls_for_a_duration_at_a_share(seconds: float, progress: float) -> None:
    """A pull that stalls for 30 s at 40 % keeps that progress, then continues at its own speed."""
    controller = build_controller(COLD)
    add_fault(controller, "pull", "{stall: true, at: 40%, for: 30s}")
    instance = start_instance(controller)
    pass_time(controller, seconds)

    assert progress == pytest.approx(instance.progress(controller), abs=1e-9)
    assert [(0.0, "Scheduling"), (1.0, "Pulling"), (46.0, "Scheduling"), (66.0, "Started")] == history_after(
        controller, instance
    )


def test_a_pull_stalls_at_a_share() -> None:
    """It reaches 40 % at its own speed and stays there."""
    controller = build_controller(COLD)
    add_fault(controller, "pull", "{stall: true, at: 40%}")
    instance = start_instance(controller)
    seen = []
    for seconds in (4, 3, 3, 1000):
        pass_time(controller, seconds)
        seen.append(instance.progress(controller))

    assert [0.2, 0.4, 0.4, 0.4] == seen
    assert ["Pulling"] == states(instance)


@pytest.mark.parametrize(("held", "rest"), [(2, 13), (6, 9), (100, 9)])
def test_a_released_pull_continues_from_its_progress(held: float, rest: float) -> None:
    """Its progress neither jumps nor falls, and the rest is pulled; a rule removed before the share costs no time."""
    controller = build_controller(COLD)
    rule = add_fault(controller, "pull", "{stall: true, at: 40%}")
    instance = start_instance(controller)
    pass_time(controller, 1 + held)
    before = instance.progress(controller)
    remove_fault(controller, rule)

    assert before == instance.progress(controller)
    pass_time(controller, rest - 0.01)
    assert 0.99 < instance.progress(controller) < 1.0
    pass_time(controller, 0.01 + 20)
    assert ["Started"] == states(instance)


def test_a_bandwidth_makes_a_pull_slower() -> None:
    """15 GB at 1 Gbit/s take 120 s, with even progress."""
    controller = build_controller(COLD)
    add_fault(controller, "pull", "{bandwidth: 1Gbit/s}")
    instance = start_instance(controller)
    pass_time(controller, 61)

    assert 0.5 == instance.progress(controller)
    assert [(0.0, "Scheduling"), (1.0, "Pulling"), (121.0, "Scheduling"), (141.0, "Started")] == history_after(
        controller, instance
    )


@pytest.mark.parametrize(("stall", "seconds"), [("{stall: true, at: 40%}", 100), ("{stall: true, for: 1m}", 30)])
def test_a_stalled_pull_that_fails_keeps_its_progress(stall: str, seconds: float) -> None:
    """The registry goes down during a stall: the pull fails with the progress that was shown."""
    controller = build_controller(COLD)
    controller.retries = 0
    add_fault(controller, "pull", stall)
    instance = start_instance(controller)
    pass_time(controller, seconds)
    before = instance.progress(controller)
    add_fault(controller, "begin", "{registry: down}")
    pass_time(controller, 0)

    assert ("Error", REGISTRY_DOWN, before) == (instance.state, instance.message, instance.progress(controller))


@pytest.mark.parametrize(("stall", "seconds"), [("{stall: true, at: 40%}", 100), ("{stall: true, for: 1m}", 30)])
def test_a_stalled_delivery_that_fails_keeps_its_progress(stall: str, seconds: float) -> None:
    """It has the error and the progress of its pull."""
    controller = build_controller(COLD)
    add_fault(controller, "pull", stall)
    distribution, delivery = start_distribution(controller)
    pass_time(controller, seconds)
    alpha = node_named(controller).id
    before = distribution.progress(controller, alpha)
    add_fault(controller, "begin", "{registry: down}")
    pass_time(controller, 0)

    assert (REGISTRY_DOWN, before) == (delivery.error, distribution.progress(controller, alpha))


def test_a_stalled_pull_uses_disk_by_its_progress() -> None:
    """At 40 % of 15 GB, 6 GB are on the disk, however long it is stalled."""
    controller = build_controller(COLD)
    add_fault(controller, "pull", "{stall: true, at: 40%}")
    start_instances(controller)
    pass_time(controller, 100)

    assert 6_000_000_000 == pulls.compute_disk_usage(controller, node_named(controller), controller.now)


def test_a_pull_without_bytes_may_stall() -> None:
    """A version without files is Pulling for the duration of the stall, and then boots."""
    controller = build_controller("templates: [{name: mac, versions: [{tag: v, size: 0}]}]\nnodes: [{name: alpha}]\n")
    add_fault(controller, "pull", "{stall: true, at: 10%, for: 20m}")
    instance = start_instance(controller)
    pass_time(controller, 5)
    resting = (instance.state, instance.progress(controller))
    pass_time(controller, 1300)

    assert (InstanceState.PULLING, 0.1) == resting
    assert InstanceState.STARTED == instance.state
