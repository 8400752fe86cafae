"""Which node takes which waiting instance: each rule by itself, where it alone decides."""

import pytest

from mockanka.core import groups, instances, nodes, placement, templates
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
    states,
    template_named,
)

MAC = """
templates:
  - {name: mac, cpus: 2, ram: 4G, versions: [{tag: base, size: 10GB}]}
  - {name: suspended, cpus: 2, ram: 4G, versions: [{tag: base, size: 10GB, state_size: 1GB}]}
"""
TAKEN = "instances: [{template: mac, node: alpha, name: occupant}]\n"
FULL = WARM.replace("capacity: 2", "capacity: 1") + TAKEN
"""One node of one slot, which is taken."""


def placed(text: str, **wanted: object) -> str | None:
    """The name of the node that takes one instance in that world."""
    controller = build_controller(MAC + text)
    mine = start_instance(controller, **wanted)  # type: ignore[arg-type]
    pass_time(controller, 1)
    return node_names(controller, mine)[0]


# What a node is.


ARMS = """
templates:
  - {name: arm, arch: arm64, versions: [{tag: base, size: 10GB}]}
  - {name: intel, arch: amd64, versions: [{tag: base, size: 10GB}]}
nodes:
  - {name: a-intel, arch: amd64, capacity: 9}
  - {name: b-arm, arch: arm64, capacity: 2}
  - {name: c-any, capacity: 1}
"""


@pytest.mark.parametrize(("template", "nodes"), [("arm", ["b-arm", "b-arm", "c-any"]), ("intel", ["a-intel"] * 3)])
def test_a_node_takes_templates_of_its_kind(template: str, nodes: list[str]) -> None:
    """One that says what it is takes nothing else; one that does not takes anything."""
    controller = build_controller(ARMS)
    several = start_instances(controller, template, count=3)
    pass_time(controller, 1)

    assert nodes == sorted(name or "" for name in node_names(controller, *several))


def test_who_finds_no_node_of_its_kind_is_told_so() -> None:
    """It waits, with the reason."""
    controller = build_controller(ARMS)
    several = start_instances(controller, "arm", count=4)
    pass_time(controller, 1)

    assert "is amd64, the template arm64 (1 node); no free slot (2 nodes)" in [each.waits_for for each in several]


def test_a_node_that_does_not_say_is_of_the_kind_of_the_templates() -> None:
    """What it shows then; where there are none, arm64 (a guess)."""
    controller = build_controller(ARMS)
    kinds = [nodes.host_arch(controller, node) for node in controller.nodes.values()]
    alone = build_controller("nodes: [{name: alpha}]")

    assert ["amd64", "arm64", "arm64"] == kinds
    assert "arm64" == nodes.host_arch(alone, node_named(alone))


# The order of nodes: each rule where it alone decides.


def test_of_two_equal_nodes_the_name_decides() -> None:
    """With cache and slots equal the node whose name comes first takes it, though it was written last."""
    nodes = """
nodes:
  - {name: beta, capacity: 2}
  - {name: alpha, capacity: 2}
"""

    assert "alpha" == placed(nodes)


def test_more_free_slots_beat_the_name() -> None:
    """With cache equal the node with more free slots takes it, though its name comes last."""
    nodes = """
nodes:
  - {name: alpha, capacity: 2}
  - {name: beta, capacity: 3}
"""

    assert "beta" == placed(nodes)


def test_free_slots_are_what_is_left_not_what_there_is() -> None:
    """A large node that is nearly full comes after a small one that is empty."""
    nodes = """
nodes:
  - {name: alpha, capacity: 3}
  - {name: beta, capacity: 2}
instances:
  - {template: suspended, node: alpha, count: 2}
"""

    assert "beta" == placed(nodes)


def test_a_cached_template_beats_more_free_slots() -> None:
    """The node that has the template takes it, though another has more slots and the better name."""
    nodes = """
nodes:
  - {name: alpha, capacity: 9}
  - {name: beta, capacity: 1, cached: [mac]}
"""

    assert "beta" == placed(nodes)


def test_a_cache_of_another_template_is_no_advantage() -> None:
    """It must be the template asked for that is cached."""
    nodes = """
nodes:
  - {name: alpha, capacity: 1}
  - {name: beta, capacity: 1, cached: [suspended]}
"""

    assert "alpha" == placed(nodes)


def test_a_cached_version_counts_only_if_it_has_all_layers() -> None:
    """A node that has but the lower layer of a version comes with those that have nothing; the later has both."""
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


def test_the_more_urgent_goes_first() -> None:
    """Of two that wait for one slot the one with the lower priority gets it, though it came later."""
    controller = build_controller(WARM.replace("capacity: 2", "capacity: 1"))
    plain, urgent = start_instance(controller), start_instance(controller, priority=1)
    pass_time(controller, 30)
    expected = ["Scheduling", "Started"]

    assert expected == states(plain, urgent)


def test_among_equals_the_older_goes_first() -> None:
    """Of two with one priority the older gets the slot."""
    controller = build_controller(WARM.replace("capacity: 2", "capacity: 1"))
    older, newer = start_instances(controller, count=2)
    pass_time(controller, 30)
    expected = ["Started", "Scheduling"]

    assert expected == states(older, newer)


def test_age_counts_from_creation_not_from_when_it_was_queued() -> None:
    """One that took longer to be queued still goes before a newer one that has been waiting for longer."""
    controller = build_controller(FULL)
    occupant, older = next(iter(controller.instances.values())), start_instance(controller)
    pass_time(controller, 0.5)
    newer = start_instance(controller)
    pass_time(controller, 10)
    instances.terminate_instance(controller, occupant.id)
    pass_time(controller, 30)
    expected = ["Started", "Scheduling"]

    assert expected == states(older, newer)


def test_freed_capacity_goes_to_the_most_urgent_that_waits() -> None:
    """Of all that wait the one with the lowest priority gets the slot that becomes free."""
    controller = build_controller(FULL)
    waiting = [start_instance(controller, priority=priority) for priority in (1000, 5, 1, 10_000)]
    pass_time(controller, 10)
    instances.terminate_instance(controller, next(iter(controller.instances)))
    pass_time(controller, 30)
    expected = ["Scheduling", "Scheduling", "Started", "Scheduling"]

    assert expected == states(*waiting)


def test_one_that_cannot_be_placed_holds_up_nobody() -> None:
    """Behind an urgent instance without a node the others are placed all the same."""
    controller = build_controller(PAIR + "instances: [{template: mac, node: alpha}]\n")
    stuck, behind = start_instance(controller, on="alpha", priority=1), start_instance(controller)
    pass_time(controller, 30)
    expected = ["Scheduling", "Started"]

    assert expected == states(stuck, behind)


# Which nodes may take it.


def test_a_pinned_instance_runs_on_its_node_alone() -> None:
    """A pin beats the cache; while its node is full a pinned instance waits, though another is empty."""
    controller = build_controller(PAIR)
    first, second = start_instances(controller, count=2, on="beta")
    pass_time(controller, 30)
    expected = ["beta", None]

    assert expected == node_names(controller, first, second)
    assert ["Started", "Scheduling"] == states(first, second)


def test_a_pin_comes_before_a_group() -> None:
    """If both a node and a group are named the node alone counts."""
    nodes = """
nodes: [{name: alpha}, {name: beta}]
groups: [{name: others, nodes: [alpha]}]
"""

    assert "beta" == placed(nodes, on="beta", within="others")


def test_a_group_confines() -> None:
    """An instance for a group runs on a node of the group, though a better one is outside."""
    nodes = """
nodes: [{name: alpha, cached: [mac]}, {name: beta}]
groups: [{name: mine, nodes: [beta]}]
"""

    assert "beta" == placed(nodes, within="mine")


@pytest.mark.parametrize(
    "state", [NodeState.UPDATING, NodeState.UNHEALTHY, NodeState.UNLICENSED, NodeState.OFFLINE], ids=str
)
def test_only_an_active_node_takes_work(state: NodeState) -> None:
    """A node in any other state is passed over, though it has the cache (C5)."""
    nodes = f"""
nodes:
  - {{name: alpha, cached: [mac], state: "{state.value}"}}
  - {{name: beta}}
"""

    assert "beta" == placed(nodes)


def test_a_node_that_becomes_active_takes_the_waiting() -> None:
    """An instance waits for the only node to finish its update."""
    controller = build_controller(WARM)
    nodes.set_node_state(controller, node_named(controller).id, NodeState.UPDATING)
    mine = start_instance(controller)
    pass_time(controller, 30)
    before = states(mine)
    nodes.set_node_state(controller, node_named(controller).id, NodeState.ACTIVE)
    pass_time(controller, 20)
    expected = (["Scheduling"], ["Started"])

    assert expected == (before, states(mine))


def test_a_silent_node_takes_no_work_though_it_is_still_active() -> None:
    """A lost node asks for nothing, also in the two minutes before it is Offline; when it is back it does."""
    controller = build_controller(WARM)
    lose_node(controller)
    mine = start_instance(controller)
    pass_time(controller, 30)
    seen = (node_named(controller).state(controller.now), *states(mine))
    restore_node(controller)
    pass_time(controller, 20)
    expected = (NodeState.ACTIVE, "Scheduling", ["Started"])

    assert expected == (*seen, states(mine))


def test_only_a_node_with_the_device_takes_it() -> None:
    """An instance that wants a USB device goes to the node that has it, though it must pull there."""
    nodes = """
nodes:
  - {name: alpha, cached: [mac]}
  - {name: beta, usb: [phone]}
"""

    assert "beta" == placed(nodes, usb_device="phone")


# Slots.


def test_a_node_takes_as_many_as_its_capacity() -> None:
    """In number mode capacity says how many; vCPUs do not matter."""
    controller = build_controller(MAC + "nodes: [{name: alpha, cpus: 1, ram: 1, capacity: 3}]\n")
    several = start_instances(controller, count=4)
    pass_time(controller, 60)
    expected = ["Started", "Started", "Started", "Scheduling"]

    assert expected == states(*several)


def test_a_pulling_instance_holds_its_slot() -> None:
    """While the first still pulls a second finds no slot."""
    controller = build_controller(MAC + "nodes: [{name: alpha, capacity: 1}]\n")
    pulling, waiting = start_instances(controller, count=2)
    pass_time(controller, 5)
    expected = ["Pulling", "Scheduling"]

    assert expected == states(pulling, waiting)
    assert [None] == node_names(controller, waiting)


def test_a_booting_instance_holds_its_slot() -> None:
    """While the first still boots a second finds no slot."""
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
    """In resource mode a node takes what fits its vCPUs and RAM, and capacity does not matter (C7)."""
    controller = build_controller(MAC + f"nodes: [{{name: alpha, capacity: 1, capacity_mode: resource, {limits}}}]\n")
    several = start_instances(controller, count=8)
    pass_time(controller, 60)

    assert expected == states(*several).count("Started")


def test_what_a_request_asks_for_counts_in_resource_mode() -> None:
    """If the node is told to count it, from 1.50 on; what is left is too little for another of its kind."""
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


@pytest.mark.parametrize(("told", "release"), [("false", "1.50.1"), ("true", "1.49.0")])
def test_what_the_template_has_counts_in_resource_mode(told: str, release: str) -> None:
    """Unless it is told otherwise, and before 1.50 in any case, a node takes no notice of what requests ask for."""
    nodes = f"nodes: [{{name: alpha, capacity_mode: resource, cpus: 4, ram: 64, force_overrides: {told}}}]\n"
    controller = build_controller(MAC + nodes, release=Release.parse(release))
    several = [start_instance(controller, vcpu=6) for _ in range(5)]
    pass_time(controller, 60)

    assert ["Started"] * 4 + ["Scheduling"] == states(*several)


def test_a_suspended_template_keeps_its_size() -> None:
    """vCPU and vRAM of a request do not count for a VM that was suspended (A1)."""
    controller = build_controller(MAC)
    need = placement.need_of(controller, start_instance(controller, "suspended", vcpu=6, vram=9000))
    expected = (2, 4096)

    assert expected == (need.asked_vcpus, need.asked_vram)


def test_a_need_is_all_that_placement_asks() -> None:
    """A need names version, pin, group, device and VLAN of the request, and what its VM is: size and kind."""
    controller = build_controller(PAIR + "groups: [{name: mine, nodes: [alpha]}]\n")
    node_named(controller, "beta").vlans = ("12",)
    mine = start_instance(controller, on="beta", within="mine", vcpu=3, vram=5000, vlan_tag="12")
    bound_to = (mine.ref, node_named(controller, "beta").id, group_named(controller, "mine").id, None)
    expected = (*bound_to, 2, 4096, 3, 5000, (), "amd64", "12")

    assert expected == placement.need_of(controller, mine)


def test_free_slots_say_how_many_more_of_its_kind() -> None:
    """Free slots are what is left by number, or by the scarcer of vCPUs and RAM."""
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
    need = placement.need_of(controller, start_instance(controller))
    expected = [2, 2]

    assert expected == [placement.free_slots(controller, node, need) for node in controller.nodes.values()]


def test_a_lowered_capacity_leaves_less_than_nothing() -> None:
    """A node above its capacity takes nobody until enough have gone."""
    controller = build_controller(FULL.replace("capacity: 1", "capacity: 2"))
    nodes.configure_node(controller, node_named(controller).id, {"capacity": 0})
    mine = start_instance(controller)
    pass_time(controller, 30)

    assert -1 == placement.free_slots(controller, node_named(controller), placement.need_of(controller, mine))
    assert ["Scheduling"] == states(mine)


# Groups that are full.


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


def test_a_full_group_hands_on_to_its_fallback_and_that_to_the_next() -> None:
    """Each group is asked when the one before is full; after the last an instance waits, outside nothing is asked."""
    controller = build_controller(MAC + CHAIN)
    several = start_instances(controller, count=4, within="first")
    pass_time(controller, 60)
    expected = ["delta", "gamma", "beta", None]

    assert expected == node_names(controller, *several)


def test_a_fallback_is_not_asked_while_the_group_has_room() -> None:
    """A node of the group takes it, though one of the fallback has the template cached."""
    controller = build_controller(
        MAC + CHAIN.replace("{name: gamma, capacity: 1}", "{name: gamma, capacity: 1, cached: [mac]}")
    )
    mine = start_instance(controller, within="first")
    pass_time(controller, 1)

    assert ["delta"] == node_names(controller, mine)


@pytest.mark.parametrize("change", ["state: Updating", "state: Offline", "capacity_mode: resource, cpus: 1, ram: 4"])
def test_a_group_is_full_when_none_of_its_nodes_may_take_it(change: str) -> None:
    """A group whose nodes are busy, silent or too small is full."""
    controller = build_controller(MAC + CHAIN.replace("{name: delta,", f"{{name: delta, {change},"))
    mine = start_instance(controller, within="first")
    pass_time(controller, 1)

    assert ["gamma"] == node_names(controller, mine)


def test_a_group_without_the_device_is_full() -> None:
    """A device that only the fallback has is found there."""
    controller = build_controller(MAC + CHAIN.replace("{name: beta,", "{name: beta, usb: [phone],"))
    mine = start_instance(controller, within="first", usb_device="phone")
    pass_time(controller, 1)

    assert ["beta"] == node_names(controller, mine)


def test_an_empty_group_is_full() -> None:
    """A group without nodes hands on at once."""
    controller = build_controller(MAC + CHAIN.replace("nodes: [delta]", "nodes: []"))
    mine = start_instance(controller, within="first")
    pass_time(controller, 1)

    assert ["gamma"] == node_names(controller, mine)


def test_a_cycle_of_full_groups_ends() -> None:
    """Groups that fall back in a circle are each asked once; then the instance waits."""
    controller = build_controller(MAC + CHAIN)
    set_fallback(controller, "third", "first")
    several = start_instances(controller, count=4, within="second")
    pass_time(controller, 60)
    expected = ["gamma", "beta", "delta", None]

    assert expected == node_names(controller, *several)


# Choosing, refusing, waiting.


def test_choose_is_the_rule_and_changes_nothing() -> None:
    """The node chosen is the one that would take it; asked again it is the same."""
    controller = build_controller(PAIR)
    need = placement.need_of(controller, start_instance(controller))
    chosen = placement.choose(controller, need)

    assert chosen is node_named(controller, "alpha") is placement.choose(controller, need)


def test_choose_finds_none_where_there_is_none() -> None:
    """With every node full nobody is chosen."""
    controller = build_controller(FULL)

    assert placement.choose(controller, placement.need_of(controller, start_instance(controller))) is None


def test_nobody_is_refused_who_is_taken() -> None:
    """A node that takes an instance gives no reason."""
    controller = build_controller(PAIR)

    assert (
        placement.refusal(controller, node_named(controller), placement.need_of(controller, start_instance(controller)))
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
def test_who_waits_says_why(text: str, wanted: dict[str, str], expected: str) -> None:
    """The reason names what every node lacks, and how many lack it."""
    controller = build_controller(text)
    mine = start_instance(controller, **wanted)
    pass_time(controller, 30)

    assert ["Scheduling"] == states(mine)
    assert expected == placement.why_waiting(controller, mine)


def test_who_waits_for_a_deleted_node_says_so() -> None:
    """The reason names a pinned node that is no more."""
    controller = build_controller(FULL)
    mine = start_instance(controller, on="alpha")
    id = node_named(controller).id
    pass_time(controller, 10)
    nodes.delete_node(controller, id)
    pass_time(controller, 10)

    assert f"node {id} does not exist any more" == placement.why_waiting(controller, mine)


def test_who_waits_for_a_deleted_group_says_so() -> None:
    """The reason names a group that is no more."""
    controller = build_controller(FULL + "groups: [{name: mine, nodes: [alpha]}]\n")
    mine = start_instance(controller, within="mine")
    id = group_named(controller, "mine").id
    pass_time(controller, 10)
    groups.delete_group(controller, id)
    pass_time(controller, 10)

    assert f"group {id} does not exist any more" == placement.why_waiting(controller, mine)


def test_with_no_capacity_an_instance_waits_for_ever() -> None:
    """Nothing ends the wait but capacity (C7)."""
    controller = build_controller(FULL)
    mine = start_instance(controller)
    pass_time(controller, 30 * 24 * 3600)

    assert ["Scheduling"] == states(mine)


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
def test_a_slot_that_becomes_free_is_taken(event: object) -> None:
    """An instance that waits is placed when a slot is given back, or a node gets larger."""
    controller = build_controller(FULL)
    mine = start_instance(controller)
    pass_time(controller, 30)
    before = states(mine)
    assert callable(event)
    event(controller)
    pass_time(controller, 26)
    expected = (["Scheduling"], ["Started"])

    assert expected == (before, states(mine))


def test_place_waiting_places_as_many_as_it_can() -> None:
    """One round gives every waiting instance a node, as far as there is one."""
    controller = build_controller(PAIR)
    several = start_instances(controller, count=3)
    pass_time(controller, 1)
    controller.nodes["new"] = nodes.Node("new", "zeta", "10.9.9.9", capacity=1)
    placement.place_waiting(controller)
    expected = ["alpha", "beta", "zeta"]

    assert expected == node_names(controller, *several)
    assert [] == controller.waiting


def test_one_that_fails_on_its_way_leaves_its_slot_to_the_next() -> None:
    """An instance whose template is gone is in Error; the slot it was given goes to the next in line."""
    controller = build_controller(MAC + "nodes: [{name: alpha, capacity: 1, cached: [suspended]}]\n")
    doomed, next_one = start_instance(controller), start_instance(controller, "suspended")
    templates.delete_template(controller, template_named(controller).id)
    pass_time(controller, 30)
    expected = ["Error", "Started"]

    assert expected == states(doomed, next_one)
    assert "VM not in the registry" == doomed.message


def test_placing_is_told_in_the_log() -> None:
    """Each placement is a line of the log."""
    controller = build_controller(PAIR)
    start_instances(controller, count=3)
    pass_time(controller, 5)

    assert 2 == count_log_entries(controller, "placed")


def test_the_node_freed_by_one_group_serves_who_falls_back_to_it() -> None:
    """One that waits for a full chain gets the first slot that becomes free in any group of it."""
    controller = build_controller(MAC + CHAIN)
    several = start_instances(controller, count=3, within="first")
    late = start_instance(controller, within="first")
    pass_time(controller, 60)
    instances.terminate_instance(controller, several[2].id)
    pass_time(controller, 60)
    expected = (["Started"], ["beta"])

    assert expected == (states(late), node_names(controller, late))


def test_sizes_are_not_forgotten_between_rounds() -> None:
    """A large instance waits while small ones come and go, and is placed as soon as it fits."""
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
