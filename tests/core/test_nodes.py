"""Nodes: their load and limits, their settings and states, and what happens when one is lost or deleted."""

import pytest

from mockanka.core import instances, nodes, pulls
from mockanka.core.errors import NotFound
from mockanka.core.lifecycle import NodeState
from mockanka.core.nodes import Node, NodeLoad
from mockanka.units import GB, SECOND
from tests.controllers import reload, state_of
from tests.core.builders import (
    COLD,
    LOST_IN_ERROR,
    PAIR,
    WARM,
    build_controller,
    lose_node,
    node_named,
    pass_time,
    restore_node,
    start_instance,
    start_instances,
    started_instance,
    state_history,
    states,
    version_ref,
)

SIZED = """
templates:
  - {name: mac, cpus: 3, ram: 4G, versions: [{tag: base, size: 10GB}]}
nodes:
  - {name: alpha, cpus: 8, ram: 16, capacity: 3, workers: 3, cached: [mac]}
"""


def test_an_empty_node_has_no_load() -> None:
    """Everything that is derived from instances is zero."""
    controller = build_controller(SIZED)
    alpha = node_named(controller)

    assert NodeLoad(0, 0, 0) == nodes.running_load(controller, alpha)
    assert 0 == nodes.ram_util(controller, alpha)


def test_load_counts_running_vms() -> None:
    """VMs, cores and MB of RAM are those of the running VMs, with the sizes that requests asked for."""
    controller = build_controller(SIZED)
    start_instances(controller)
    start_instances(controller, vcpu=1, vram=1000)
    pass_time(controller, 60)
    expected = 5096 / 16384

    assert NodeLoad(2, 4, 5096) == nodes.running_load(controller, node_named(controller))
    assert expected == nodes.ram_util(controller, node_named(controller))


def test_load_leaves_out_booting_and_removed_vms() -> None:
    """Stopping and terminating VMs count until they are off the node."""
    controller = build_controller(SIZED)
    counts = []
    stopping, leaving, _ = start_instances(controller, count=3)
    for seconds in (5, 30):
        pass_time(controller, seconds)
        counts.append(nodes.running_load(controller, node_named(controller)).vm_count)
    instances.stop_instance(controller, stopping.id)
    instances.terminate_instance(controller, leaving.id)
    for seconds in (1, 10):
        pass_time(controller, seconds)
        counts.append(nodes.running_load(controller, node_named(controller)).vm_count)
    expected = [0, 3, 3, 1]

    assert expected == counts


def test_ram_util_of_a_node_without_ram_is_zero() -> None:
    """There is no division by zero."""
    controller = build_controller(SIZED)

    assert 0 == nodes.ram_util(controller, Node("id", "name", "ip", ram=0))


def test_cpu_util_grows_with_running_vms_up_to_one() -> None:
    """The host's load is a little noise without VMs, and more with each core in use."""
    controller = build_controller(SIZED)
    idle = nodes.cpu_util(controller, node_named(controller))
    start_instances(controller, count=3, vcpu=60)
    pass_time(controller, 60)

    assert 0 < idle < 0.1
    assert 1 == nodes.cpu_util(controller, node_named(controller))


def test_cpu_util_changes_with_the_heartbeat_only() -> None:
    """Nothing new is reported between two heartbeats."""
    controller = build_controller(SIZED)
    seen = set()
    for _ in range(500):
        pass_time(controller, 0.1)
        seen.add(nodes.cpu_util(controller, node_named(controller)))

    assert 10 <= len(seen) <= 11


def test_a_node_sends_a_heartbeat_every_five_seconds() -> None:
    """The last heartbeat is never longer ago than that, and never in the future."""
    controller = build_controller(SIZED)
    ages = []
    for _ in range(100):
        pass_time(controller, 0.37)
        ages.append(controller.now - node_named(controller).heartbeat(controller))
    expected = 0

    assert expected <= min(ages)
    assert max(ages) < 5 * SECOND


def test_heartbeats_of_nodes_are_not_synchronous() -> None:
    """Each node has times of its own."""
    controller = build_controller(PAIR)
    expected = 2

    assert expected == len({node.heartbeat(controller) for node in controller.nodes.values()})


def test_limits_in_resource_mode_come_from_the_hardware() -> None:
    """Two vCPUs for each core, and all RAM but 2 GB (C7)."""
    alpha = Node("id", "name", "ip", cpus=8, ram=16)
    expected = (16, 14 * 1024)

    assert expected == (alpha.vcpu_limit, alpha.vram_limit)


def test_overrides_take_precedence_over_the_hardware() -> None:
    """An override is the limit as it is."""
    alpha = Node("id", "name", "ip", cpus=8, ram=16, vcpu_override=5, ram_override=7)
    expected = (5, 7 * 1024)

    assert expected == (alpha.vcpu_limit, alpha.vram_limit)


def test_a_node_with_little_ram_has_a_limit_of_zero() -> None:
    """The RAM that a node keeps for itself is never more than it has."""
    assert 0 == Node("id", "name", "ip", ram=1).vram_limit


def test_disk_usage_grows_with_the_cache() -> None:
    """A pull adds its files."""
    controller = build_controller(COLD)
    before = pulls.compute_disk_usage(controller, node_named(controller), controller.now)
    started_instance(controller)
    expected = (0, 15 * GB)

    assert expected == (before, pulls.compute_disk_usage(controller, node_named(controller), controller.now))


# Configuration and states.


def test_a_node_is_found_by_its_id() -> None:
    """find_node returns it, or raises NotFound."""
    controller = build_controller(WARM)
    alpha = node_named(controller)

    assert alpha is nodes.find_node(controller, alpha.id)
    with pytest.raises(NotFound, match=r"^Not found$"):
        nodes.find_node(controller, "nobody")


def test_configuration_changes_the_named_settings() -> None:
    """The others stay."""
    controller = build_controller(WARM)
    alpha = node_named(controller)
    nodes.configure_node(controller, alpha.id, {"name": "omega", "vcpu_override": 3})
    expected = ("omega", 3, 2, "number")

    assert expected == (alpha.name, alpha.vcpu_override, alpha.capacity, alpha.capacity_mode)


def test_vms_show_a_new_address_of_their_node() -> None:
    """It is the host address of the VMs that run on it."""
    controller = build_controller(WARM)
    instance = started_instance(controller)
    nodes.configure_node(controller, node_named(controller).id, {"ip": "10.8.8.8"})

    assert instance.vm
    assert "10.8.8.8" == instance.vm.host_ip


def test_vms_above_a_lowered_capacity_keep_running() -> None:
    """A lowered capacity stops no instance."""
    controller = build_controller(WARM)
    batch = start_instances(controller, count=2)
    pass_time(controller, 60)
    nodes.configure_node(controller, node_named(controller).id, {"capacity": 0})
    pass_time(controller, 60)
    expected = ["Started", "Started"]

    assert expected == states(*batch)


@pytest.mark.parametrize("state", [NodeState.UPDATING, NodeState.UNHEALTHY, NodeState.UNLICENSED, NodeState.ACTIVE])
def test_a_node_can_be_put_into_any_state_but_offline(state: NodeState) -> None:
    """The state is shown, and VMs keep running."""
    controller = build_controller(WARM)
    instance = started_instance(controller)
    alpha = node_named(controller)
    nodes.set_node_state(controller, alpha.id, state)
    pass_time(controller, 60)

    assert (state, state is NodeState.ACTIVE) == (alpha.state(controller.now), alpha.takes_work)
    assert "Started" == instance.state


def test_offline_cannot_be_set() -> None:
    """A node is Offline by being lost only."""
    controller = build_controller(WARM)

    with pytest.raises(ValueError, match="by being lost"):
        nodes.set_node_state(controller, node_named(controller).id, NodeState.OFFLINE)


@pytest.mark.parametrize("operation", [nodes.delete_node, nodes.lose_node, nodes.restore_node])
def test_an_unknown_node_is_not_found(operation: object) -> None:
    """Every operation on it is refused."""
    assert callable(operation)
    controller = build_controller(WARM)

    with pytest.raises(NotFound):
        operation(controller, "nobody")
    with pytest.raises(NotFound):
        nodes.configure_node(controller, "nobody", {})
    with pytest.raises(NotFound):
        nodes.set_node_state(controller, "nobody", NodeState.ACTIVE)


# Lost nodes and their return.


def test_a_lost_node_is_offline_two_minutes_after_its_last_heartbeat() -> None:
    """To the nanosecond; until then it shows its state as before."""
    controller = build_controller(WARM)
    pass_time(controller, 33)
    alpha = node_named(controller)
    last = alpha.heartbeat(controller)
    lose_node(controller)
    deadline = last + 120 * SECOND
    seen = []
    for at in (deadline - 1, deadline):
        controller.clock.advance(at - controller.now)
        controller.advance()
        seen.append(alpha.state(controller.now).value)
    expected = ["Active", "Offline"]

    assert expected == seen
    assert alpha.is_offline(controller.now)


def test_instances_of_an_offline_node_go_to_error_with_a_message() -> None:
    """They are in Error from the moment at which the node is Offline, if the scenario says so."""
    controller = build_controller(LOST_IN_ERROR + WARM)
    up = started_instance(controller)
    booting = start_instance(controller)
    pass_time(controller, 5)
    lose_node(controller)
    pass_time(controller, 110)
    before = states(up, booting)
    pass_time(controller, 10)
    expected = (["Started", "Scheduling"], ["Error", "Error"])

    assert expected == (before, states(up, booting))
    assert up.message == booting.message == "node alpha is offline"
    assert up.since == booting.since == node_named(controller).timeout_at


def test_losing_a_lost_node_changes_nothing() -> None:
    """The two minutes count from the first loss."""
    controller = build_controller(WARM)
    lose_node(controller)
    deadline = node_named(controller).timeout_at
    pass_time(controller, 60)
    lose_node(controller)

    assert deadline == node_named(controller).timeout_at


def test_restoring_a_node_that_is_not_lost_does_nothing() -> None:
    """Nothing is logged."""
    controller = build_controller(WARM)
    lines = controller.log.count
    restore_node(controller)

    assert lines == controller.log.count


def test_a_node_that_is_back_in_time_is_never_offline() -> None:
    """Node and instances are as before if it is back within two minutes."""
    controller = build_controller(WARM)
    instance = started_instance(controller)
    lose_node(controller)
    pass_time(controller, 100)
    restore_node(controller)
    pass_time(controller, 500)
    expected = ("Started", NodeState.ACTIVE)

    assert expected == (instance.state, node_named(controller).state(controller.now))


def test_a_boot_that_ends_on_a_lost_node_is_reported_on_return() -> None:
    """The instance is Started when the node is back, and not before."""
    controller = build_controller(WARM)
    instance = start_instance(controller)
    pass_time(controller, 5)
    lose_node(controller)
    pass_time(controller, 60)
    restore_node(controller)
    pass_time(controller, 0)
    expected = [(0.0, "Scheduling"), (65.0, "Started")]

    assert expected == state_history(controller, instance)


def test_a_pull_that_ends_on_a_lost_node_is_reported_on_return() -> None:
    """The VM boots from the node's return on."""
    controller = build_controller(COLD)
    instance = start_instance(controller)
    pass_time(controller, 5)
    lose_node(controller)
    pass_time(controller, 60)
    restore_node(controller)
    pass_time(controller, 100)
    expected = [(0.0, "Scheduling"), (1.0, "Pulling"), (65.0, "Scheduling"), (85.0, "Started")]

    assert expected == state_history(controller, instance)


def test_a_boot_that_is_not_due_on_return_takes_no_longer() -> None:
    """A short loss of contact has no effect."""
    controller = build_controller(WARM)
    instance = start_instance(controller)
    pass_time(controller, 5)
    lose_node(controller)
    pass_time(controller, 5)
    restore_node(controller)
    pass_time(controller, 100)
    expected = [(0.0, "Scheduling"), (21.0, "Started")]

    assert expected == state_history(controller, instance)


def test_a_boot_that_is_due_at_the_moment_of_return_ends_then() -> None:
    """It is reported with the return, as one that was due before."""
    controller = build_controller(WARM)
    instance = start_instance(controller)
    pass_time(controller, 5)
    lose_node(controller)
    pass_time(controller, 16)
    assert controller.now == instance.until
    restore_node(controller)
    pass_time(controller, 0)

    assert ["Started"] == states(instance)


def test_progress_does_not_change_while_the_node_is_lost() -> None:
    """When the node is back, progress is that of the time that has passed."""
    controller = build_controller(COLD)
    instance = start_instance(controller)
    pass_time(controller, 4)
    lose_node(controller)
    seen = [instance.progress(controller)]
    pass_time(controller, 3)
    seen.append(instance.progress(controller))
    restore_node(controller)
    seen.append(instance.progress(controller))

    assert pytest.approx([3 / 15, 3 / 15, 6 / 15]) == seen


def test_a_node_that_was_offline_takes_work_again() -> None:
    """Instances that went to Error stay so; the node is Active and empty, and takes the next instance."""
    controller = build_controller(LOST_IN_ERROR + WARM)
    instance = started_instance(controller)
    lose_node(controller)
    pass_time(controller, 300)
    restore_node(controller)
    fresh = started_instance(controller)
    expected = ["Error", "Started"]

    assert expected == states(instance, fresh)
    assert NodeState.ACTIVE is node_named(controller).state(controller.now)
    assert [fresh.id] == list(node_named(controller).occupants)


def test_a_restored_node_shows_the_state_it_had() -> None:
    """A node that was Updating when it was lost still is when it is back."""
    controller = build_controller(WARM)
    nodes.set_node_state(controller, node_named(controller).id, NodeState.UPDATING)
    lose_node(controller)
    pass_time(controller, 300)
    offline = node_named(controller).state(controller.now)
    restore_node(controller)
    expected = (NodeState.OFFLINE, NodeState.UPDATING)

    assert expected == (offline, node_named(controller).state(controller.now))


def test_the_last_contact_with_a_lost_node_is_its_loss() -> None:
    """The last contact with any other node is now."""
    controller = build_controller(WARM)
    alpha = node_named(controller)
    pass_time(controller, 10)
    before = alpha.last_contact(controller.now)
    lose_node(controller)
    pass_time(controller, 10)

    assert controller.now - 10 * SECOND == before == alpha.last_contact(controller.now)


# Deletion.


def test_instances_of_a_deleted_node_go_to_error_at_once() -> None:
    """The node is unknown, and its instances are in Error with a message, a pulling one too."""
    controller = build_controller(COLD)
    up = started_instance(controller)
    pulling = start_instance(controller, tag="base")
    pass_time(controller, 1)
    alpha = node_named(controller)
    nodes.delete_node(controller, alpha.id)
    pass_time(controller, 300)
    expected = ["Error", "Error"]

    assert expected == states(up, pulling)
    assert "node alpha was deleted" == up.message == pulling.message
    assert alpha.id not in controller.nodes


def test_the_end_of_a_pull_on_a_deleted_node_does_nothing() -> None:
    """The instance stays in Error with its progress."""
    controller = build_controller(COLD)
    instance = start_instance(controller)
    pass_time(controller, 8.5)
    nodes.delete_node(controller, node_named(controller).id)
    pass_time(controller, 300)
    expected = ("Error", 0.5)

    assert expected == (instance.state, instance.progress(controller))


def test_without_confirmation_by_a_deleted_node_the_instance_is_forgotten() -> None:
    """It is Terminating until then."""
    controller = build_controller(WARM)
    instance = started_instance(controller)
    instances.terminate_instance(controller, instance.id)
    nodes.delete_node(controller, node_named(controller).id)
    pass_time(controller, 100)
    expected = ["Started", "Terminating", "gone"]

    assert expected == [state for _, state in state_history(controller, instance)][1:]


def test_a_stopped_instance_of_a_deleted_node_waits_for_no_confirmation() -> None:
    """It is Terminating until it is forgotten, and its phase has no other end."""
    controller = build_controller(WARM)
    instance = started_instance(controller)
    instances.stop_instance(controller, instance.id)
    pass_time(controller, 10)
    nodes.delete_node(controller, node_named(controller).id)
    instances.terminate_instance(controller, instance.id)

    assert ("Terminating", None) == (instance.state, instance.until)


def test_the_timeout_of_a_deleted_node_does_nothing() -> None:
    """Instances keep the message of the deletion."""
    controller = build_controller(PAIR)
    instance = started_instance(controller, on="alpha")
    lose_node(controller)
    nodes.delete_node(controller, node_named(controller).id)
    pass_time(controller, 300)

    assert "node alpha was deleted" == instance.message
    assert version_ref(controller) in node_named(controller, "beta").cached


# Drain Mode, and updates of agents.


def test_a_node_in_drain_mode_takes_no_work() -> None:
    """Its VMs keep running, and afterwards it takes work again."""
    controller = build_controller(WARM)
    running = started_instance(controller)
    nodes.configure_node(controller, node_named(controller).id, {"drain_mode": True})
    waiting = start_instance(controller)
    pass_time(controller, 100)
    drained = (node_named(controller).condition, *states(running, waiting))
    nodes.configure_node(controller, node_named(controller).id, {"drain_mode": False})
    pass_time(controller, 100)

    assert ("Drain Mode", "Started", "Scheduling") == drained
    assert ("Active", "Started", "Started") == (node_named(controller).condition, *states(running, waiting))


@pytest.mark.parametrize("condition", [NodeState.UNHEALTHY, NodeState.UPDATING, NodeState.UNLICENSED])
def test_ending_drain_mode_ends_no_other_state(condition: NodeState) -> None:
    """A node that is in another state stays in it."""
    controller = build_controller(WARM)
    nodes.set_node_state(controller, node_named(controller).id, condition)
    nodes.configure_node(controller, node_named(controller).id, {"drain_mode": False})

    assert condition == node_named(controller).condition


TWO = WARM + "  - {name: beta, state: Unhealthy}\n  - {name: gamma}\n"


def test_an_update_of_agents_makes_active_nodes_updating() -> None:
    """For half a minute they take no work; VMs keep running, and other nodes show nothing."""
    controller = build_controller(TWO)
    running = started_instance(controller)
    lose_node(controller, "gamma")
    nodes.update_agents(controller)
    waiting = start_instance(controller)
    before = [node.condition.value for node in controller.nodes.values()]
    pass_time(controller, 29.9)
    still = (node_named(controller).condition, *states(running, waiting))
    pass_time(controller, 0.1)

    assert ["Updating", "Unhealthy", "Active"] == before
    assert ("Updating", "Started", "Scheduling") == still
    assert ("Active", None) == (node_named(controller).condition, node_named(controller).overrides.get("updating"))
    pass_time(controller, 20)
    assert ["Started"] == states(waiting)


def test_an_update_during_an_update_changes_nothing() -> None:
    """A node that fetches its package already is done at the same time."""
    controller = build_controller(WARM)
    nodes.update_agents(controller)
    until = node_named(controller).overrides.get("updating")
    pass_time(controller, 10)
    nodes.update_agents(controller)

    assert until == node_named(controller).overrides.get("updating")


def test_a_node_that_was_lost_while_updating_is_active_when_it_is_back() -> None:
    """Its update has ended meanwhile."""
    controller = build_controller(WARM)
    nodes.update_agents(controller)
    lose_node(controller)
    pass_time(controller, 60)
    silent = node_named(controller).condition
    restore_node(controller)
    pass_time(controller, 0)

    assert ("Updating", "Active") == (silent, node_named(controller).condition)


def test_an_update_survives_a_dump() -> None:
    """It ends at the same time in the loaded controller."""
    controller = build_controller(WARM)
    nodes.update_agents(controller)
    pass_time(controller, 10)
    loaded = reload(controller)
    before = state_of(controller) == state_of(loaded)
    pass_time(loaded, 20)

    assert (True, "Active") == (before, node_named(loaded).condition)
