"""Faults that override nodes: how they begin, how they end, and how several of them combine."""

import pytest

from mockanka.core import instances, nodes, time_control
from mockanka.core.controller import Controller
from mockanka.core.lifecycle import InstanceState, NodeState
from mockanka.units import SECOND
from tests.controllers import reload
from tests.core.builders import (
    COLD,
    PAIR,
    WARM,
    build_controller,
    lose_node,
    node_named,
    node_names,
    pass_time,
    start_instance,
    started_instance,
    states,
)
from tests.core.fault_effects.helpers import RELEASE_1_32, SCENARIOS, add_fault, shown_state


@pytest.mark.parametrize(
    ("what", "state"),
    [
        ("offline", "Offline"),
        ("drain", "Drain Mode"),
        ("unhealthy", "Unhealthy"),
        ("updating", "Updating"),
        ("unlicensed", "Inactive (Invalid License)"),
        ("full", "Active"),
        ("registry-unreachable", "Active"),
        ("blank", ""),
    ],
)
def test_an_override_of_a_node_ends_after_its_duration(what: str, state: str) -> None:
    """The node takes no work and is_overridden its state, and takes work again exactly when the duration is over."""
    needs_pull = what == "registry-unreachable"
    controller = build_controller(RELEASE_1_32 + (COLD if needs_pull else WARM))
    add_fault(controller, "begin", f"{{node: {what}, after: 10s, for: 5m}}")
    pass_time(controller, 10)
    instance = start_instance(controller)
    pass_time(controller, 299.9)

    assert (state, "Scheduling", None) == (shown_state(controller), instance.state, instance.node_id)
    assert instance.waits_for
    pass_time(controller, 0.1)
    assert ("Active", ["alpha"]) == (shown_state(controller), node_names(controller, instance))
    pass_time(controller, 35 if needs_pull else 20)
    assert "Started" == instance.state


@pytest.mark.parametrize("what", ["drain", "unhealthy", "updating", "unlicensed", "full", "registry-unreachable"])
def test_vms_keep_running_on_an_overridden_node(what: str) -> None:
    """Only new work is refused; a start that has begun continues."""
    controller = build_controller(RELEASE_1_32 + WARM)
    instance = started_instance(controller)
    booting = start_instance(controller)
    pass_time(controller, 5)
    add_fault(controller, "begin", f"{{node: {what}}}")
    pass_time(controller, 100)

    assert ["Started", "Started"] == states(instance, booting)


def test_a_full_node_runs_vms_started_by_hand() -> None:
    """They take the free slots, and are gone when the override ends."""
    controller = build_controller(WARM)
    started_instance(controller)
    add_fault(controller, "begin", "{node: full, for: 1m}")
    pass_time(controller, 0)
    full = nodes.running_load(controller, node_named(controller)).vm_count
    pass_time(controller, 60)

    assert (2, 1) == (full, nodes.running_load(controller, node_named(controller)).vm_count)


@pytest.mark.parametrize(
    ("lasts", "policy", "expected"),
    [
        ("30s", "error", "Started"),
        ("10m", "error", "Error"),
        ("10m", "terminate", "gone"),
        ("10m", "keep", "Started"),
    ],
)
@pytest.mark.parametrize(
    "setting", ["", "controller: {lost_instances: keep}\n", "controller: {lost_instances: error}\n"]
)
def test_a_rule_says_what_becomes_of_instances_of_an_offline_node(
    lasts: str, policy: str, expected: str, setting: str
) -> None:
    """It wins over the setting of the scenario; a short absence has no effect."""
    controller = build_controller(setting + WARM)
    instance = started_instance(controller)
    add_fault(controller, "begin", f"{{node: offline, for: {lasts}, lost_instances: {policy}}}")
    pass_time(controller, 700)

    assert (expected, "Active") == (instance.state, shown_state(controller))
    assert node_named(controller).lost_instances is None


def test_a_rule_speaks_for_one_absence_of_a_node() -> None:
    """When the node is lost another time, what the scenario or the release says counts again."""
    controller = build_controller(WARM)
    add_fault(controller, "begin", "{node: offline, for: 10m, lost_instances: error}")
    pass_time(controller, 700)
    instance = started_instance(controller)
    lose_node(controller)
    pass_time(controller, 700)

    assert "Started" == instance.state


def test_a_rule_says_nothing_about_a_node_that_is_offline_already() -> None:
    """The instances have been kept when the second rule begins."""
    controller = build_controller(WARM)
    instance = started_instance(controller)
    lose_node(controller)
    pass_time(controller, 200)
    add_fault(controller, "begin", "{node: offline, for: 10m, lost_instances: error}")
    pass_time(controller, 700)

    assert ("Started", None) == (instance.state, node_named(controller).lost_instances)


def test_a_begin_rule_matches_nodes_by_name_and_group() -> None:
    """It overrides the nodes that it names, or all of them."""
    text = PAIR + "groups: [{name: second, nodes: [beta]}]\n"
    for match, expected in (({"node": "alpha"}, [True, False]), ({"group": "second"}, [False, True]), ({}, [True] * 2)):
        controller = build_controller(text)
        add_fault(controller, "begin", "{node: updating}", **match)
        pass_time(controller, 0)

        assert expected == [node.condition is NodeState.UPDATING for node in controller.nodes.values()]


@pytest.mark.parametrize(("event", "begins", "length"), [("pull", 1, 15), ("start", 1, 20)])
def test_an_override_begins_at_a_share_of_a_pull_or_boot(event: str, begins: float, length: float) -> None:
    """Offline at 40 % of a pull or a boot, the node reports nothing more until it is back."""
    controller = build_controller(SCENARIOS[event])
    add_fault(controller, event, "{node: offline, at: 40%, for: 60s}", times=1)
    instance = start_instance(controller)
    pass_time(controller, begins + 0.4 * length - 0.001)
    before = node_named(controller).lost_at
    pass_time(controller, 0.001)
    lost = node_named(controller).lost_at
    pass_time(controller, 59)

    assert (None, controller.now - 59 * SECOND) == (before, lost)
    assert "Started" != instance.state
    assert (0.4 if event == "pull" else 0.0) == instance.progress(controller)
    pass_time(controller, 21)
    assert "Started" == instance.state


def test_an_override_begins_after_an_instance_is_started() -> None:
    """A rule drains the node of every instance that is Started."""
    controller = build_controller(RELEASE_1_32 + PAIR)
    add_fault(controller, "started", "{node: drain, after: 10s, for: 1m}")
    instance = start_instance(controller)
    pass_time(controller, 31)

    assert (["alpha"], "Drain Mode", "Active") == (
        node_names(controller, instance),
        shown_state(controller),
        shown_state(controller, "beta"),
    )
    pass_time(controller, 60)
    assert ("Active", "Started") == (shown_state(controller), instance.state)


def test_the_end_of_an_override_does_nothing_to_a_deleted_node() -> None:
    """The node was deleted while it was offline."""
    controller = build_controller(PAIR)
    add_fault(controller, "begin", "{node: offline, for: 1m}", node="alpha")
    pass_time(controller, 10)
    nodes.delete_node(controller, node_named(controller).id)
    pass_time(controller, 100)

    assert ["beta"] == [node.name for node in controller.nodes.values()]


def test_the_end_of_one_override_leaves_others_alone() -> None:
    """A node that is offline for ten minutes is not back when its minute of Updating ends."""
    controller = build_controller(WARM + RELEASE_1_32)
    add_fault(controller, "begin", "{node: offline, for: 10m}")
    add_fault(controller, "begin", "{node: updating, after: 1m, for: 1m}")
    pass_time(controller, 130)
    lost = node_named(controller).lost_at
    pass_time(controller, 480)

    assert lost is not None
    assert (None, NodeState.ACTIVE) == (node_named(controller).lost_at, node_named(controller).condition)


SHOWN_BY_OVERRIDE = {
    "offline": "Offline",
    "drain": "Drain Mode",
    "unhealthy": "Unhealthy",
    "updating": "Updating",
    "unlicensed": "Inactive (Invalid License)",
}


def is_overridden(controller: Controller, what: str) -> bool:
    """Return whether an override shows on the node alpha."""
    return (
        bool(node_named(controller).manual_vms)
        if what == "full"
        else shown_state(controller) == SHOWN_BY_OVERRIDE[what]
    )


@pytest.mark.parametrize("what", [*SHOWN_BY_OVERRIDE, "full"])
@pytest.mark.parametrize(
    ("first", "second", "ends"),
    [
        ("for: 10m", "after: 5m, for: 1h", 65),
        ("for: 1h", "after: 5m, for: 10m", 60),
        ("for: 10m", "after: 10m, for: 1m", 11),
    ],
)
def test_an_override_by_two_rules_lasts_until_the_later_end(what: str, first: str, second: str, ends: int) -> None:
    """The node is back at the later of the two ends, and not before, whichever rule began first."""
    controller = build_controller(RELEASE_1_32 + WARM)
    for times in (first, second):
        add_fault(controller, "begin", f"{{node: {what}, {times}}}")
    pass_time(controller, ends * 60 - 1)
    before = is_overridden(controller, what)
    pass_time(controller, 1)

    assert (True, False) == (before, is_overridden(controller, what))
    assert (True, 0) == (node_named(controller).takes_work, node_named(controller).manual_vms)


@pytest.mark.parametrize("what", [*SHOWN_BY_OVERRIDE, "full"])
@pytest.mark.parametrize(
    "order", [("for: 10m", "after: 5m"), ("for: 1h", "after: 5m"), ("after: 1s", "after: 5m, for: 10m")]
)
def test_an_override_for_good_is_not_ended_by_another_rule(what: str, order: tuple[str, str]) -> None:
    """A day later it still stands, in a loaded dump too, until the node is made online."""
    controller = build_controller(RELEASE_1_32 + WARM)
    for times in order:
        add_fault(controller, "begin", f"{{node: {what}, {times}}}")
    pass_time(controller, 360)
    copied = reload(controller)
    for either in (controller, copied):
        pass_time(either, 24 * 3600)

        assert is_overridden(either, what)
        nodes.override_node(either, node_named(either).id, "online")
        assert not is_overridden(either, what)
        assert {} == node_named(either).overrides


def test_the_end_of_an_override_shows_the_one_before_it() -> None:
    """Unlicensed for a while within an hour of Updating: Updating again, then Active."""
    controller = build_controller(WARM)
    add_fault(controller, "begin", "{node: updating, for: 1h}")
    add_fault(controller, "begin", "{node: unlicensed, after: 10m, for: 10m}")
    seen = []
    for seconds in (660, 600, 2340):
        pass_time(controller, seconds)
        seen.append(shown_state(controller))

    assert ["Inactive (Invalid License)", "Updating", "Active"] == seen


@pytest.mark.parametrize("given", ["state: Updating", "state: Offline", "by_hand: 1"])
def test_no_rule_ends_a_state_that_the_scenario_sets(given: str) -> None:
    """A rule that overrides the node in the same way for a minute does not end what the scenario says."""
    what = {"state: Updating": "updating", "state: Offline": "offline", "by_hand: 1": "full"}[given]
    controller = build_controller(WARM.replace("capacity: 2", f"capacity: 2, {given}"))
    add_fault(controller, "begin", f"{{node: {what}, for: 1m}}")
    pass_time(controller, 120)

    assert is_overridden(controller, what)


def test_an_end_that_is_not_current_ends_no_later_override() -> None:
    """After online and a new override, the end of the first rule has no effect."""
    controller = build_controller(WARM)
    add_fault(controller, "begin", "{node: updating, for: 10m}")
    pass_time(controller, 60)
    nodes.override_node(controller, node_named(controller).id, "online")
    add_fault(controller, "begin", "{node: updating, for: 1h}")
    pass_time(controller, 1200)

    assert "Updating" == shown_state(controller)


def test_settling_does_not_wait_for_an_end_that_was_extended() -> None:
    """A node that a second rule keeps offline for good does not come back at the end of the first."""
    controller = build_controller(WARM)
    add_fault(controller, "begin", "{node: offline, for: 1h}")
    add_fault(controller, "begin", "{node: offline}")
    start_instance(controller)
    pass_time(controller, 200)
    before = controller.now
    time_control.settle(controller)

    assert before == controller.now


def test_an_override_full_takes_all_free_slots() -> None:
    """On a node with three slots, one of them taken, two VMs are started by hand."""
    controller = build_controller(WARM.replace("capacity: 2", "capacity: 3"))
    started_instance(controller)
    add_fault(controller, "begin", "{node: full}")
    pass_time(controller, 0)

    assert (3, 2) == (
        nodes.running_load(controller, node_named(controller)).vm_count,
        node_named(controller).manual_vms,
    )


def test_a_full_node_takes_no_work_when_a_slot_is_freed() -> None:
    """At least one VM is started by hand, also if instances have taken all slots."""
    controller = build_controller(WARM.replace("capacity: 2", "capacity: 1"))
    first = started_instance(controller)
    add_fault(controller, "begin", "{node: full}")
    pass_time(controller, 0)
    instances.terminate_instance(controller, first.id)
    waiting = start_instance(controller)
    pass_time(controller, 100)

    assert ["Scheduling"] == states(waiting)


def test_a_node_takes_work_when_it_is_not_full_any_more() -> None:
    """The VMs started by hand are gone then, and the waiting instance starts."""
    controller = build_controller(WARM)
    add_fault(controller, "begin", "{node: full, for: 1m}")
    waiting = start_instance(controller)
    pass_time(controller, 30)
    before = waiting.state
    pass_time(controller, 60)

    assert (InstanceState.SCHEDULING, InstanceState.STARTED) == (before, waiting.state)
