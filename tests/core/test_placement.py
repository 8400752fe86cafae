"""Placement of waiting instances: each rule is tested where it alone decides."""

import pytest

from mockanka.core import groups, instances, nodes, placement, templates
from mockanka.core.failures import KEEP_FAILED_VM
from mockanka.core.lifecycle import NodeState
from mockanka.core.release import Release
from tests.core.builders import (
    PAIR,
    WARM,
    build_controller,
    count_log_entries,
    group_named,
    lose_node,
    node_named,
    node_names,
    pass_time,
    restore_node,
    set_fallback,
    start_instance,
    start_instances,
    started_instance,
    state_history,
    states,
    template_named,
)
from tests.core.fault_effects.helpers import MONITORED, add_fault, start_monitored

MAC = """
templates:
  - {name: mac, cpus: 2, ram: 4G, versions: [{tag: base, size: 10GB}]}
  - {name: suspended, cpus: 2, ram: 4G, versions: [{tag: base, size: 10GB, state_size: 1GB}]}
"""
TWO_TEMPLATES = """
templates:
  - {name: big, versions: [{tag: base, size: 50GB}]}
  - {name: hot, versions: [{tag: base, size: 1GB}]}
nodes:
  - {name: alpha, capacity: 9, cached: [hot]}
"""
"""One node, which takes 50 s to pull the big template."""

BETA = "  - {name: beta}\n"
OCCUPANT = "instances: [{template: mac, node: alpha, name: occupant}]\n"
FULL = WARM.replace("capacity: 2", "capacity: 1") + OCCUPANT
"""One node with one slot, which is occupied."""


def find_placement(text: str, **wanted: object) -> str | None:
    """Return the name of the node that takes an instance in a scenario."""
    controller = build_controller(MAC + text)
    instance = start_instance(controller, **wanted)  # type: ignore[arg-type]
    pass_time(controller, 1)
    return node_names(controller, instance)[0]


# The architecture of a node.


ARCHITECTURES = """
templates:
  - {name: arm, arch: arm64, versions: [{tag: base, size: 10GB}]}
  - {name: intel, arch: amd64, versions: [{tag: base, size: 10GB}]}
nodes:
  - {name: a-intel, arch: amd64, capacity: 9, workers: 9, cached: [intel]}
  - {name: b-arm, arch: arm64, capacity: 2, cached: [arm]}
  - {name: c-any, capacity: 1}
"""


@pytest.mark.parametrize(("template", "nodes"), [("arm", ["b-arm", "b-arm", "c-any"]), ("intel", ["a-intel"] * 3)])
def test_a_node_takes_templates_of_its_architecture(template: str, nodes: list[str]) -> None:
    """A node with an architecture takes only templates of it; a node without takes any."""
    controller = build_controller(ARCHITECTURES)
    batch = start_instances(controller, template, count=3)
    pass_time(controller, 1)

    assert nodes == sorted(name or "" for name in node_names(controller, *batch))


def test_the_reason_for_waiting_names_the_architecture() -> None:
    """An instance that no node can run waits, and the reason has both architectures."""
    controller = build_controller(ARCHITECTURES)
    batch = start_instances(controller, "arm", count=4)
    pass_time(controller, 1)

    assert "is amd64, the template arm64 (1 node); no free slot (2 nodes)" in [instance.waits_for for instance in batch]


def test_a_node_without_architecture_shows_that_of_the_templates() -> None:
    """Without templates it shows arm64 (a guess)."""
    controller = build_controller(ARCHITECTURES)
    kinds = [nodes.host_arch(controller, node) for node in controller.nodes.values()]
    alone = build_controller("nodes: [{name: alpha}]")

    assert ["amd64", "arm64", "arm64"] == kinds
    assert "arm64" == nodes.host_arch(alone, node_named(alone))


# The order of nodes: each rule where it alone decides.


def test_the_name_decides_between_equal_nodes() -> None:
    """If cache and free slots are equal, the first node by name takes the instance, though it is defined last."""
    nodes = """
nodes:
  - {name: beta, capacity: 2}
  - {name: alpha, capacity: 2}
"""

    assert "alpha" == find_placement(nodes)


def test_more_free_slots_beat_the_name() -> None:
    """If the cache is equal, the node with more free slots takes the instance, though its name comes last."""
    nodes = """
nodes:
  - {name: alpha, capacity: 2}
  - {name: beta, capacity: 3}
"""

    assert "beta" == find_placement(nodes)


def test_free_slots_count_not_the_capacity() -> None:
    """An empty small node comes before a large one that is nearly full."""
    nodes = """
nodes:
  - {name: alpha, capacity: 3}
  - {name: beta, capacity: 2}
instances:
  - {template: suspended, node: alpha, count: 2}
"""

    assert "beta" == find_placement(nodes)


def test_a_cached_template_beats_more_free_slots() -> None:
    """The node that has the template takes the instance, though another has more free slots and comes first by name."""
    nodes = """
nodes:
  - {name: alpha, capacity: 9}
  - {name: beta, capacity: 1, cached: [mac]}
"""

    assert "beta" == find_placement(nodes)


def test_a_cache_of_another_template_is_no_advantage() -> None:
    """Only the template of the instance counts."""
    nodes = """
nodes:
  - {name: alpha, capacity: 1}
  - {name: beta, capacity: 1, cached: [suspended]}
"""

    assert "alpha" == find_placement(nodes)


def test_a_cached_version_counts_only_if_it_has_all_layers() -> None:
    """A node with only the lower layer of a version is like one with nothing."""
    controller = build_controller("""
templates:
  - {name: mac, versions: [{tag: base, size: 10GB}, {tag: tools, size: 5GB}]}
nodes:
  - {name: alpha, capacity: 1, cached: ["mac:base"]}
  - {name: beta, capacity: 1, cached: ["mac:tools"]}
""")
    lower, upper = start_instance(controller, tag="base"), start_instance(controller, tag="tools")
    pass_time(controller, 1)
    expected = ["alpha", "beta"]

    assert expected == node_names(controller, lower, upper)


# The order of instances.


def test_the_lower_priority_goes_first() -> None:
    """Of two instances that wait for a slot, the one with the lower priority gets it, though it is newer."""
    controller = build_controller(WARM.replace("capacity: 2", "capacity: 1"))
    plain, urgent = start_instance(controller), start_instance(controller, priority=1)
    pass_time(controller, 30)
    expected = ["Scheduling", "Started"]

    assert expected == states(plain, urgent)


def test_the_older_goes_first_if_priorities_are_equal() -> None:
    """Of two instances with the same priority, the older gets the slot."""
    controller = build_controller(WARM.replace("capacity: 2", "capacity: 1"))
    older, newer = start_instances(controller, count=2)
    pass_time(controller, 30)
    expected = ["Started", "Scheduling"]

    assert expected == states(older, newer)


def test_age_counts_from_creation_not_from_when_it_was_queued() -> None:
    """An older instance goes first, though it began to wait later."""
    controller = build_controller(FULL)
    occupant, older = next(iter(controller.instances.values())), start_instance(controller)
    pass_time(controller, 0.5)
    newer = start_instance(controller)
    pass_time(controller, 10)
    instances.terminate_instance(controller, occupant.id)
    pass_time(controller, 30)
    expected = ["Started", "Scheduling"]

    assert expected == states(older, newer)


def test_a_freed_slot_goes_to_the_lowest_priority() -> None:
    """Of all waiting instances, the one with the lowest priority gets the slot."""
    controller = build_controller(FULL)
    waiting = [start_instance(controller, priority=priority) for priority in (1000, 5, 1, 10_000)]
    pass_time(controller, 10)
    instances.terminate_instance(controller, next(iter(controller.instances)))
    pass_time(controller, 30)
    expected = ["Scheduling", "Scheduling", "Started", "Scheduling"]

    assert expected == states(*waiting)


def test_an_instance_that_cannot_be_placed_does_not_hold_up_others() -> None:
    """Instances after one that finds no node are placed."""
    controller = build_controller(PAIR + "instances: [{template: mac, node: alpha}]\n")
    stuck, behind = start_instance(controller, on="alpha", priority=1), start_instance(controller)
    pass_time(controller, 30)
    expected = ["Scheduling", "Started"]

    assert expected == states(stuck, behind)


# Which nodes may take an instance.


def test_an_instance_for_a_node_runs_only_there() -> None:
    """It waits while that node is full, though another is empty."""
    controller = build_controller(PAIR)
    first, second = start_instances(controller, count=2, on="beta")
    pass_time(controller, 30)
    expected = ["beta", None]

    assert expected == node_names(controller, first, second)
    assert ["Started", "Scheduling"] == states(first, second)


def test_a_node_comes_before_a_group() -> None:
    """If a start names a node and a group, only the node counts."""
    nodes = """
nodes: [{name: alpha}, {name: beta}]
groups: [{name: others, nodes: [alpha]}]
"""

    assert "beta" == find_placement(nodes, on="beta", within="others")


def test_an_instance_for_a_group_runs_only_there() -> None:
    """It runs on a node of the group, though a node outside has the template cached."""
    nodes = """
nodes: [{name: alpha, cached: [mac]}, {name: beta}]
groups: [{name: own, nodes: [beta]}]
"""

    assert "beta" == find_placement(nodes, within="own")


@pytest.mark.parametrize(
    "state", [NodeState.UPDATING, NodeState.UNHEALTHY, NodeState.UNLICENSED, NodeState.OFFLINE], ids=str
)
def test_only_an_active_node_takes_work(state: NodeState) -> None:
    """A node in any other state takes nothing, though it has the template cached (C5)."""
    nodes = f"""
nodes:
  - {{name: alpha, cached: [mac], state: "{state.value}"}}
  - {{name: beta}}
"""

    assert "beta" == find_placement(nodes)


def test_a_node_that_becomes_active_takes_waiting_instances() -> None:
    """An instance waits for the only node to finish its update."""
    controller = build_controller(WARM)
    nodes.set_node_state(controller, node_named(controller).id, NodeState.UPDATING)
    instance = start_instance(controller)
    pass_time(controller, 30)
    before = states(instance)
    nodes.set_node_state(controller, node_named(controller).id, NodeState.ACTIVE)
    pass_time(controller, 20)
    expected = (["Scheduling"], ["Started"])

    assert expected == (before, states(instance))


def test_a_lost_node_takes_no_work_though_it_is_still_active() -> None:
    """It takes nothing in the two minutes before it is Offline; when it is back it does."""
    controller = build_controller(WARM)
    lose_node(controller)
    instance = start_instance(controller)
    pass_time(controller, 30)
    seen = (node_named(controller).state(controller.now), *states(instance))
    restore_node(controller)
    pass_time(controller, 20)
    expected = (NodeState.ACTIVE, "Scheduling", ["Started"])

    assert expected == (*seen, states(instance))


def test_only_a_node_with_the_usb_device_takes_an_instance() -> None:
    """The node with the device takes it, though it must pull the template."""
    nodes = """
nodes:
  - {name: alpha, cached: [mac]}
  - {name: beta, usb: [phone]}
"""

    assert "beta" == find_placement(nodes, usb_device="phone")


# Slots.


def test_a_node_takes_as_many_instances_as_its_capacity() -> None:
    """In number mode vCPUs do not matter."""
    controller = build_controller(MAC + "nodes: [{name: alpha, cpus: 1, ram: 1, capacity: 3}]\n")
    batch = start_instances(controller, count=4)
    pass_time(controller, 60)
    expected = ["Started", "Started", "Started", "Scheduling"]

    assert expected == states(*batch)


def test_a_pulling_instance_holds_its_slot() -> None:
    """A second instance finds no slot while the first pulls."""
    controller = build_controller(MAC + "nodes: [{name: alpha, capacity: 1}]\n")
    pulling, waiting = start_instances(controller, count=2)
    pass_time(controller, 5)
    expected = ["Pulling", "Scheduling"]

    assert expected == states(pulling, waiting)
    assert [None] == node_names(controller, waiting)


def test_a_booting_instance_holds_its_slot() -> None:
    """A second instance finds no slot while the first boots."""
    controller = build_controller(MAC + "nodes: [{name: alpha, capacity: 1, cached: [mac]}]\n")
    booting, waiting = start_instances(controller, count=2)
    pass_time(controller, 5)
    expected = ["alpha", None]

    assert expected == node_names(controller, booting, waiting)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ("cpus: 2, ram: 64", 2),  # 2 vCPUs for each core, 2 for each VM
        ("cpus: 64, ram: 14", 3),  # 2 GB for the node itself, 4 for each VM
        ("cpus: 64, ram: 64, vcpu_override: 9", 4),
        ("cpus: 64, ram: 64, ram_override: 20", 5),
        ("cpus: 1, ram: 64, vcpu_override: 6", 3),
    ],
)
def test_in_resource_mode_cores_and_memory_decide(limits: str, expected: int) -> None:
    """A node takes what fits into its vCPUs and RAM, and its capacity does not matter (C7)."""
    controller = build_controller(
        MAC + f"nodes: [{{name: alpha, capacity: 1, capacity_mode: resource, workers: 8, {limits}, cached: [mac]}}]\n"
    )
    batch = start_instances(controller, count=8)
    pass_time(controller, 60)

    assert expected == states(*batch).count("Started")


def test_requested_resources_count_in_resource_mode() -> None:
    """They do from 1.50 on, if the node is configured so."""
    nodes = "nodes: [{name: alpha, capacity_mode: resource, cpus: 4, ram: 64, force_overrides: true}]\n"
    controller = build_controller(MAC + nodes)
    large, too_large, small = (
        start_instance(controller, vcpu=6),
        start_instance(controller, vcpu=6),
        start_instance(controller),
    )
    pass_time(controller, 60)
    expected = ["Started", "Scheduling", "Started"]

    assert expected == states(large, too_large, small)


@pytest.mark.parametrize(("force_overrides", "release"), [("false", "1.50.1"), ("true", "1.49.0")])
def test_resources_of_the_template_count_in_resource_mode(force_overrides: str, release: str) -> None:
    """Requested resources do not count unless the node is configured so, and never before 1.50."""
    nodes = f"nodes: [{{name: alpha, capacity_mode: resource, cpus: 4, ram: 64, force_overrides: {force_overrides}}}]\n"
    controller = build_controller(MAC + nodes, release=Release.parse(release))
    batch = [start_instance(controller, vcpu=6) for _ in range(5)]
    pass_time(controller, 60)

    assert ["Started"] * 4 + ["Scheduling"] == states(*batch)


def test_a_suspended_template_keeps_its_size() -> None:
    """Requested vCPUs and RAM do not count for a VM that was suspended (A1)."""
    controller = build_controller(MAC)
    requirements = placement.determine_requirements(
        controller, start_instance(controller, "suspended", vcpu=6, vram=9000)
    )
    expected = (2, 4096)

    assert expected == (requirements.requested_vcpus, requirements.requested_vram)


def test_requirements_are_all_that_placement_needs() -> None:
    """They have version, node, group, USB device and VLAN of the request, and size and architecture of the VM."""
    controller = build_controller(PAIR + "groups: [{name: own, nodes: [alpha]}]\n")
    node_named(controller, "beta").vlans = ("12",)
    instance = start_instance(controller, on="beta", within="own", vcpu=3, vram=5000, vlan_tag="12")
    bound_to = (instance.ref, node_named(controller, "beta").id, group_named(controller, "own").id, None)
    expected = (*bound_to, 2, 4096, 3, 5000, (), "amd64", "12")

    assert expected == placement.determine_requirements(controller, instance)


def test_free_slots_are_counted_for_the_requirements() -> None:
    """They are what is left of the capacity, or of the scarcer of vCPUs and RAM."""
    controller = build_controller(
        MAC
        + """
nodes:
  - {name: alpha, capacity: 3}
  - {name: beta, capacity_mode: resource, cpus: 4, ram: 14}
instances:
  - {template: mac, node: alpha}
  - {template: mac, node: beta}
"""
    )
    requirements = placement.determine_requirements(controller, start_instance(controller))
    expected = [2, 2]

    free = [placement.count_free_slots(controller, node, requirements) for node in controller.nodes.values()]
    assert expected == free


def test_a_lowered_capacity_may_leave_negative_free_slots() -> None:
    """A node above its capacity takes nothing until enough instances are gone."""
    controller = build_controller(FULL.replace("capacity: 1", "capacity: 2"))
    nodes.configure_node(controller, node_named(controller).id, {"capacity": 0})
    instance = start_instance(controller)
    pass_time(controller, 30)

    assert -1 == placement.count_free_slots(
        controller, node_named(controller), placement.determine_requirements(controller, instance)
    )
    assert ["Scheduling"] == states(instance)


# The tasks of a node.


def test_a_node_works_on_as_many_starts_as_it_has_workers() -> None:
    """It has two by default: the other instances wait, though there are slots, until VMs are up (C8)."""
    controller = build_controller(WARM.replace("capacity: 2", "capacity: 5"))
    batch = start_instances(controller, count=5)
    pass_time(controller, 100)
    histories = [state_history(controller, instance)[-1] for instance in batch]

    assert [(21.0, "Started"), (21.0, "Started"), (41.0, "Started"), (41.0, "Started"), (61.0, "Started")] == histories


def test_starts_of_one_moment_go_to_nodes_with_a_free_worker() -> None:
    """The node with the template cached takes what it has workers for, the other one pulls for a single instance."""
    controller = build_controller(MAC + "nodes: [{name: a, capacity: 9, cached: [mac]}, {name: b, capacity: 9}]\n")
    batch = start_instances(controller, count=6)
    pass_time(controller, 1)

    assert ["a", "a", "b", None, None, None] == node_names(controller, *batch)
    assert {"no free worker (1 node); pulls a template (1 node)"} == {instance.waits_for for instance in batch[3:]}


@pytest.mark.parametrize("workers", [1, 3])
def test_a_node_has_as_many_workers_as_the_scenario_says(workers: int) -> None:
    """So many instances boot at once."""
    controller = build_controller(WARM.replace("capacity: 2", f"capacity: 5, workers: {workers}"))
    batch = start_instances(controller, count=5)
    pass_time(controller, 5)

    assert workers == sum(instance.booting for instance in batch)


def test_a_node_that_pulls_takes_no_other_start() -> None:
    """Neither one of another template, though it is cached, nor one of the template that is pulled (C8)."""
    controller = build_controller(TWO_TEMPLATES)
    pulling = start_instance(controller, "big")
    pass_time(controller, 2)
    cached, same = start_instance(controller, "hot"), start_instance(controller, "big")
    pass_time(controller, 20)

    assert ["Pulling", "Scheduling", "Scheduling"] == states(pulling, cached, same)
    assert ["pulls a template (1 node)"] * 2 == [cached.waits_for, same.waits_for]
    pass_time(controller, 100)
    assert [(51.0, "Scheduling"), (71.0, "Started")] == state_history(controller, pulling)[2:]
    assert [(0.0, "Scheduling"), (69.0, "Started")] == state_history(controller, cached)
    assert [(0.0, "Scheduling"), (89.0, "Started")] == state_history(controller, same)


def test_a_start_goes_to_another_node_while_one_pulls() -> None:
    """The other node pulls the same template, though the first will have it sooner."""
    controller = build_controller(TWO_TEMPLATES + BETA)
    start_instance(controller, "big")
    pass_time(controller, 2)
    second = start_instance(controller, "big")
    pass_time(controller, 2)

    assert (["Pulling"], ["beta"]) == (states(second), node_names(controller, second))


def test_a_start_that_was_taken_before_a_pull_goes_on_beside_it() -> None:
    """A node with a free worker takes a start that needs a pull while a VM boots."""
    controller = build_controller(TWO_TEMPLATES)
    booting = start_instance(controller, "hot")
    pass_time(controller, 2)
    pulling = start_instance(controller, "big")
    pass_time(controller, 22)

    assert ["Started", "Pulling"] == states(booting, pulling)


@pytest.mark.parametrize("end", ["terminate", "fail", "vanish"])
def test_a_start_that_ends_early_frees_its_worker(end: str) -> None:
    """The next instance is placed at that moment, in a slot that was free all the time."""
    controller = build_controller(WARM.replace("capacity: 2", "capacity: 5, workers: 1"))
    controller.retries = 0
    if end != "terminate":
        add_fault(controller, "start", {"fail": "{fail: no, at: 50%}", "vanish": "{vanish: true, after: 10s}"}[end], 1)
    first, second = start_instances(controller, count=2)
    pass_time(controller, 10.9)
    before = second.node_id
    pass_time(controller, 0.1)
    if end == "terminate":
        instances.terminate_instance(controller, first.id)
    pass_time(controller, 20)

    assert (None, ["Started"]) == (before, states(second))


def test_a_failed_script_frees_the_worker_of_its_start() -> None:
    """Also if the VM is kept, and with it the slot."""
    text = MONITORED.replace("capacity: 2", "capacity: 2, workers: 1")
    controller = build_controller(text)
    failed = start_monitored(controller, script_fail_handler=KEEP_FAILED_VM)
    second = start_instance(controller)
    pass_time(controller, 25 + 20)

    assert ["Error", "Started"] == states(failed, second)


def test_a_termination_waits_for_no_worker() -> None:
    """Nor do stops: both end as soon as on a node that does nothing else (a guess)."""
    controller = build_controller(TWO_TEMPLATES.replace("capacity: 9", "capacity: 9, workers: 1"))
    ended, stopped = started_instance(controller, "hot"), started_instance(controller, "hot")
    pulling = start_instance(controller, "big")
    pass_time(controller, 2)
    instances.terminate_instance(controller, ended.id)
    instances.stop_instance(controller, stopped.id)
    pass_time(controller, 5)

    assert ["Terminated", "Stopped", "Pulling"] == states(ended, stopped, pulling)


# Room on the disk, and the registry.


def test_an_instance_waits_for_room_on_the_disk() -> None:
    """It stays in Scheduling, and starts when an instance of another template has left the node."""
    controller = build_controller(TWO_TEMPLATES.replace("capacity: 9", "capacity: 9, disk: 110GB"))
    occupant = started_instance(controller, "hot")
    instance = start_instance(controller, "big")
    pass_time(controller, 1000)
    before = (states(instance), instance.waits_for)
    instances.terminate_instance(controller, occupant.id)
    pass_time(controller, 5 + 50 + 20)

    assert (["Scheduling"], "no room on the disk (1 node)") == before
    assert ["Started"] == states(instance)


def test_an_instance_that_waits_for_room_fails_if_its_template_is_deleted() -> None:
    """At that moment, as one whose template was deleted before a node took it (a guess)."""
    controller = build_controller(TWO_TEMPLATES.replace("capacity: 9", "disk: 70GB"))
    instance = start_instance(controller, "big")
    pass_time(controller, 10)
    before = states(instance)
    templates.delete_template(controller, template_named(controller, "big").id)
    pass_time(controller, 0)

    assert (["Scheduling"], ["Error"], "VM not in the registry") == (before, states(instance), instance.message)


def test_an_instance_goes_to_a_node_with_room_on_the_disk() -> None:
    """The node without room is not asked, and no try is counted."""
    controller = build_controller(TWO_TEMPLATES.replace("capacity: 9", "disk: 70GB") + BETA)
    instance = start_instance(controller, "big")
    pass_time(controller, 2)

    assert (["Pulling"], ["beta"], ()) == (states(instance), node_names(controller, instance), instance.failed_on)


@pytest.mark.parametrize(
    ("do", "reason"),
    [
        ("{registry: down, for: 10m}", "the registry is down (1 node)"),
        ("{node: registry-unreachable, for: 10m}", "cannot reach the registry (1 node)"),
    ],
)
def test_an_instance_waits_for_the_registry(do: str, reason: str) -> None:
    """It stays in Scheduling and is placed as soon as the node can pull; one that needs no pull starts meanwhile."""
    controller = build_controller(TWO_TEMPLATES)
    instance, cached = start_instance(controller, "big"), start_instance(controller, "hot")
    add_fault(controller, "begin", do)
    pass_time(controller, 599)
    before = (states(instance, cached), instance.waits_for)
    pass_time(controller, 1)

    assert (["Scheduling", "Started"], reason) == before
    assert (["Pulling"], ()) == (states(instance), instance.failed_on)


def test_an_instance_goes_to_a_node_that_reaches_the_registry() -> None:
    """The node that is cut off still takes what it has cached."""
    controller = build_controller(TWO_TEMPLATES.replace("capacity: 9", "state: registry-unreachable") + BETA)
    big, hot = start_instance(controller, "big"), start_instance(controller, "hot")
    pass_time(controller, 2)

    assert ["beta", "alpha"] == node_names(controller, big, hot)


# Groups and their fallbacks.


CHAIN = """
nodes:
  - {name: alpha, capacity: 1}
  - {name: beta, capacity: 1}
  - {name: gamma, capacity: 1}
  - {name: delta, capacity: 1}
groups:
  - {name: first, nodes: [delta], fallback: second}
  - {name: second, nodes: [gamma], fallback: third}
  - {name: third, nodes: [beta]}
"""


def test_a_full_group_falls_back_to_the_next_group() -> None:
    """Each group is asked if the one before is full; after the last one an instance waits."""
    controller = build_controller(MAC + CHAIN)
    batch = start_instances(controller, count=4, within="first")
    pass_time(controller, 60)
    expected = ["delta", "gamma", "beta", None]

    assert expected == node_names(controller, *batch)


def test_a_fallback_is_not_asked_while_the_group_has_a_free_slot() -> None:
    """A node of the group takes the instance, though one of the fallback has the template cached."""
    controller = build_controller(
        MAC + CHAIN.replace("{name: gamma, capacity: 1}", "{name: gamma, capacity: 1, cached: [mac]}")
    )
    instance = start_instance(controller, within="first")
    pass_time(controller, 1)

    assert ["delta"] == node_names(controller, instance)


@pytest.mark.parametrize("change", ["state: Updating", "state: Offline", "capacity_mode: resource, cpus: 1, ram: 4"])
def test_a_group_is_full_if_none_of_its_nodes_takes_the_instance(change: str) -> None:
    """A group whose nodes are updating, offline or too small is full."""
    controller = build_controller(MAC + CHAIN.replace("{name: delta,", f"{{name: delta, {change},"))
    instance = start_instance(controller, within="first")
    pass_time(controller, 1)

    assert ["gamma"] == node_names(controller, instance)


def test_a_group_without_the_usb_device_is_full() -> None:
    """The device is found in the fallback."""
    controller = build_controller(MAC + CHAIN.replace("{name: beta,", "{name: beta, usb: [phone],"))
    instance = start_instance(controller, within="first", usb_device="phone")
    pass_time(controller, 1)

    assert ["beta"] == node_names(controller, instance)


def test_an_empty_group_is_full() -> None:
    """A group without nodes falls back at once."""
    controller = build_controller(MAC + CHAIN.replace("nodes: [delta]", "nodes: []"))
    instance = start_instance(controller, within="first")
    pass_time(controller, 1)

    assert ["gamma"] == node_names(controller, instance)


def test_a_cycle_of_fallbacks_ends() -> None:
    """Each group of the cycle is asked once; then the instance waits."""
    controller = build_controller(MAC + CHAIN)
    set_fallback(controller, "third", "first")
    batch = start_instances(controller, count=4, within="second")
    pass_time(controller, 60)
    expected = ["gamma", "beta", "delta", None]

    assert expected == node_names(controller, *batch)


# The choice, and the reason for waiting.


def test_the_choice_of_a_node_changes_nothing() -> None:
    """The second choice is the same as the first."""
    controller = build_controller(PAIR)
    requirements = placement.determine_requirements(controller, start_instance(controller))
    chosen = placement.choose_node(controller, requirements)

    assert chosen is node_named(controller, "alpha") is placement.choose_node(controller, requirements)


def test_no_node_is_chosen_if_all_are_full() -> None:
    """There is no node to choose."""
    controller = build_controller(FULL)

    assert (
        placement.choose_node(controller, placement.determine_requirements(controller, start_instance(controller)))
        is None
    )


def test_a_node_that_takes_an_instance_gives_no_reason() -> None:
    """Only a refusal has a reason."""
    controller = build_controller(PAIR)

    assert (
        placement.explain_refusal(
            controller, node_named(controller), placement.determine_requirements(controller, start_instance(controller))
        )
        is None
    )


@pytest.mark.parametrize(
    ("text", "wanted", "expected"),
    [
        (FULL, {}, "no free slot (1 node)"),
        (
            PAIR + "instances: [{template: mac, node: alpha}, {template: mac, node: beta}]\n",
            {},
            "no free slot (2 nodes)",
        ),
        (WARM.replace("capacity", "state: Updating, capacity"), {}, "is Updating (1 node)"),
        (WARM.replace("capacity", "state: Offline, capacity"), {}, "not reporting (1 node)"),
        (
            WARM.replace("capacity", "usb: [phone], capacity")
            + "instances: [{template: mac, node: alpha, usb_device: phone}]\n",
            {"usb_device": "phone"},
            "no free USB device phone (1 node)",
        ),
        (
            PAIR.replace("beta, capacity", "beta, state: Unhealthy, capacity")
            + "instances: [{template: mac, node: alpha}]\n",
            {},
            "is Unhealthy (1 node); no free slot (1 node)",
        ),
        (WARM + "groups: [{name: none}]\n", {"within": "none"}, "there is no node it may run on"),
    ],
)
def test_the_reason_for_waiting_counts_the_nodes(text: str, wanted: dict[str, str], expected: str) -> None:
    """The reason says what the nodes lack, and how many lack it."""
    controller = build_controller(text)
    instance = start_instance(controller, **wanted)
    pass_time(controller, 30)

    assert ["Scheduling"] == states(instance)
    assert expected == placement.explain_waiting(controller, instance)


def test_the_reason_for_waiting_names_a_deleted_node() -> None:
    """An instance for a node waits on if the node is deleted."""
    controller = build_controller(FULL)
    instance = start_instance(controller, on="alpha")
    id = node_named(controller).id
    pass_time(controller, 10)
    nodes.delete_node(controller, id)
    pass_time(controller, 10)

    assert f"node {id} does not exist any more" == placement.explain_waiting(controller, instance)


def test_the_reason_for_waiting_names_a_deleted_group() -> None:
    """An instance for a group waits on if the group is deleted."""
    controller = build_controller(FULL + "groups: [{name: own, nodes: [alpha]}]\n")
    instance = start_instance(controller, within="own")
    id = group_named(controller, "own").id
    pass_time(controller, 10)
    groups.delete_group(controller, id)
    pass_time(controller, 10)

    assert f"group {id} does not exist any more" == placement.explain_waiting(controller, instance)


def test_an_instance_waits_for_capacity_for_ever() -> None:
    """It has no timeout (C7)."""
    controller = build_controller(FULL)
    instance = start_instance(controller)
    pass_time(controller, 30 * 24 * 3600)

    assert ["Scheduling"] == states(instance)


@pytest.mark.parametrize(
    "event",
    [
        lambda c: instances.terminate_instance(c, next(iter(c.instances))),
        lambda c: instances.stop_instance(c, next(iter(c.instances))),
        lambda c: nodes.configure_node(c, node_named(c).id, {"capacity": 2}),
        lambda c: nodes.configure_node(c, node_named(c).id, {"capacity_mode": "resource"}),
    ],
    ids=["terminate", "stop", "capacity", "mode"],
)
def test_a_waiting_instance_takes_a_freed_slot(event: object) -> None:
    """It is placed when another instance ends, or the capacity of a node grows."""
    controller = build_controller(FULL)
    instance = start_instance(controller)
    pass_time(controller, 30)
    before = states(instance)
    assert callable(event)
    event(controller)
    pass_time(controller, 26)
    expected = (["Scheduling"], ["Started"])

    assert expected == (before, states(instance))


def test_a_round_places_as_many_instances_as_it_can() -> None:
    """Every waiting instance that a node takes is placed in the same round."""
    controller = build_controller(PAIR)
    batch = start_instances(controller, count=3)
    pass_time(controller, 1)
    controller.nodes["new"] = nodes.Node("new", "zeta", "10.9.9.9", capacity=1)
    placement.place_waiting_instances(controller)
    expected = ["alpha", "beta", "zeta"]

    assert expected == node_names(controller, *batch)
    assert [] == controller.waiting


def test_an_instance_that_fails_leaves_its_slot_to_the_next() -> None:
    """An instance whose template is deleted is Error, and the next one gets its slot."""
    controller = build_controller(MAC + "nodes: [{name: alpha, capacity: 1, cached: [suspended]}]\n")
    doomed, next_one = start_instance(controller), start_instance(controller, "suspended")
    templates.delete_template(controller, template_named(controller).id)
    pass_time(controller, 30)
    expected = ["Error", "Started"]

    assert expected == states(doomed, next_one)
    assert "VM not in the registry" == doomed.message


def test_placements_are_in_the_log() -> None:
    """Each placement is an entry."""
    controller = build_controller(PAIR)
    start_instances(controller, count=3)
    pass_time(controller, 5)

    assert 2 == count_log_entries(controller, "placed")


def test_a_freed_slot_of_a_fallback_is_taken() -> None:
    """An instance gets the first slot that is freed in the group or any of its fallbacks."""
    controller = build_controller(MAC + CHAIN)
    batch = start_instances(controller, count=3, within="first")
    late = start_instance(controller, within="first")
    pass_time(controller, 60)
    instances.terminate_instance(controller, batch[2].id)
    pass_time(controller, 60)
    expected = (["Started"], ["beta"])

    assert expected == (states(late), node_names(controller, late))


def test_a_large_instance_waits_until_it_fits() -> None:
    """It is placed as soon as enough small instances are gone."""
    controller = build_controller(
        MAC + "nodes: [{name: alpha, capacity_mode: resource, cpus: 2, ram: 64, cached: [mac]}]\n"
    )
    first, second = start_instances(controller, count=2)
    large = start_instance(controller, vcpu=4)
    pass_time(controller, 60)
    instances.terminate_instance(controller, first.id)
    pass_time(controller, 10)
    between = states(large)
    instances.terminate_instance(controller, second.id)
    pass_time(controller, 30)
    expected = (["Scheduling"], ["Started"])

    assert expected == (between, states(large))


def test_an_occupant_counts_with_the_size_of_its_own_template() -> None:
    """The free resources of a node do not depend on the requirements of the waiting instance."""
    controller = build_controller("""
        templates:
          - {name: big, cpus: 6, ram: 2G, versions: [{tag: base, size: 1GB}]}
          - {name: small, cpus: 2, ram: 2G, versions: [{tag: base, size: 1GB}]}
        nodes:
          - {name: alpha, cpus: 4, ram: 16, capacity_mode: resource, cached: [big, small]}
        """)
    start_instance(controller, "big")
    pass_time(controller, 100)
    fitting, waiting = start_instances(controller, "small", 2)
    pass_time(controller, 100)

    assert ["Started", "Scheduling"] == states(fitting, waiting)
