"""Groups of nodes, and the chain of groups a request falls back along."""

import pytest

from mockanka.core import groups
from mockanka.core.controller import Controller
from mockanka.core.errors import NoSuchGroup, NoSuchNode, NotFound
from mockanka.core.release import Release
from tests.controllers import state_of
from tests.core.builders import (
    build_controller,
    group_named,
    node_named,
    node_names,
    pass_time,
    set_fallback,
    start_instance,
    started_instance,
    states,
)

GROUPS = """
templates:
  - {name: mac, versions: [{tag: base, size: 10GB}]}
nodes:
  - {name: alpha, capacity: 2, cached: [mac]}
  - {name: beta, capacity: 2, cached: [mac]}
groups:
  - {name: first, nodes: [alpha], fallback: second}
  - {name: second, description: the next, nodes: [beta]}
  - {name: third}
"""


def chain(controller: Controller, name: str) -> list[str]:
    return [each.name for each in groups.fallback_chain(controller, group_named(controller, name).id)]


def test_a_new_group_has_no_nodes() -> None:
    """A group is created with its name, description and fallback, and no node is in it."""
    controller = build_controller(GROUPS)
    second = group_named(controller, "second")
    made = groups.create_group(controller, "new", "fresh", second.id)

    assert ("new", "fresh", second.id) == (made.name, made.description, made.fallback_id)
    assert made is controller.groups[made.id]
    assert not any(made.id in node.groups for node in controller.nodes.values())


def test_names_of_groups_need_not_differ() -> None:
    """Two groups may have one name; their ids differ."""
    controller = build_controller(GROUPS)

    assert groups.create_group(controller, "same").id != groups.create_group(controller, "same").id


@pytest.mark.parametrize("blank", ["", None])
def test_a_blank_fallback_is_none(blank: str | None) -> None:
    """Clients send a blank fallback for none."""
    assert groups.create_group(build_controller(GROUPS), "new", fallback_id=blank).fallback_id is None


def test_a_group_cannot_fall_back_to_nothing_known() -> None:
    """An unknown fallback is refused, and no group is made."""
    controller = build_controller(GROUPS)
    with pytest.raises(NoSuchGroup, match=r"^No such group nobody$"):
        groups.create_group(controller, "new", fallback_id="nobody")

    assert not any(group.name == "new" for group in controller.groups.values())


def test_find_knows_groups_by_id() -> None:
    """Find gives the group of that id, or says Not found."""
    controller = build_controller(GROUPS)
    first = group_named(controller, "first")

    assert first is groups.find_group(controller, first.id) is groups.require_group(controller, first.id)
    with pytest.raises(NotFound):
        groups.find_group(controller, "nobody")


def test_who_leans_on_a_group_needs_it() -> None:
    """A request that leans on an unknown group is told which."""
    with pytest.raises(NoSuchGroup, match=r"^No such group nobody$"):
        groups.require_group(build_controller(GROUPS), "nobody")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"name": "renamed"}, ("renamed", "the next")),
        ({"description": ""}, ("second", "")),
        ({}, ("second", "the next")),
    ],
)
def test_an_update_changes_what_it_names(changes: dict[str, str | None], expected: tuple[str, str]) -> None:
    """What is not among the changes stays."""
    controller = build_controller(GROUPS)
    second = group_named(controller, "second")
    groups.update_group(controller, second.id, changes)

    assert expected == (second.name, second.description)


def test_an_update_takes_a_fallback_away() -> None:
    """A blank fallback in an update is none from then on."""
    controller = build_controller(GROUPS)
    first = group_named(controller, "first")
    groups.update_group(controller, first.id, {"fallback_id": ""})

    assert first.fallback_id is None


def test_an_update_to_an_unknown_fallback_changes_nothing() -> None:
    """A refused update leaves the other changes undone as well."""
    controller = build_controller(GROUPS)
    first = group_named(controller, "first")
    with pytest.raises(NoSuchGroup):
        groups.update_group(controller, first.id, {"name": "renamed", "fallback_id": "nobody"})

    assert "first" == first.name


def test_an_update_of_an_unknown_group_is_not_found() -> None:
    """There must be something to update."""
    with pytest.raises(NotFound):
        groups.update_group(build_controller(GROUPS), "nobody", {"name": "renamed"})


def test_a_new_fallback_lets_the_waiting_go_on() -> None:
    """An instance that waits for a group is placed when the group gets a fallback with room."""
    controller = build_controller(GROUPS)
    mine = start_instance(controller, within="third")
    pass_time(controller, 10)
    before = states(mine)
    set_fallback(controller, "third", "second")
    pass_time(controller, 20)
    expected = (["Scheduling"], ["Started"], ["beta"])

    assert expected == (before, states(mine), node_names(controller, mine))


def test_a_deleted_group_leaves_nothing_dangling() -> None:
    """Nodes leave a deleted group, and who fell back to it falls back to none (G)."""
    controller = build_controller(GROUPS)
    second = group_named(controller, "second")
    groups.delete_group(controller, second.id)
    expected = []

    assert second.id not in controller.groups
    assert group_named(controller, "first").fallback_id is None
    assert expected == node_named(controller, "beta").groups


def test_a_group_in_use_may_be_deleted() -> None:
    """An instance that runs for the group runs on; one that waits for it waits on (G)."""
    controller = build_controller(GROUPS)
    running = started_instance(controller, within="second")
    waiting = start_instance(controller, within="third")
    pass_time(controller, 10)
    for name in ("second", "third"):
        groups.delete_group(controller, group_named(controller, name).id)
    pass_time(controller, 100)
    expected = ["Started", "Scheduling"]

    assert expected == states(running, waiting)


def test_an_unknown_group_cannot_be_deleted() -> None:
    """There must be something to delete."""
    with pytest.raises(NotFound):
        groups.delete_group(build_controller(GROUPS), "nobody")


def test_every_node_joins_every_group() -> None:
    """Before 1.39 joining names groups and nodes, and each node is in each group afterwards, once."""
    controller = build_controller(GROUPS, release=Release.parse("1.38.0"))
    ids = [group.id for group in controller.groups.values()]
    groups.add_nodes(controller, [*ids, *ids], list(controller.nodes))

    assert [sorted(ids)] * 2 == [sorted(node.groups) for node in controller.nodes.values()]
    groups.remove_nodes(controller, ids, list(controller.nodes))
    assert [[], []] == [node.groups for node in controller.nodes.values()]


def test_from_1_39_on_only_the_first_node_joins_and_leaves() -> None:
    """Of the nodes that are named the others stay where they are (A10)."""
    controller = build_controller(GROUPS)
    ids = [group.id for group in controller.groups.values()]
    before = [sorted(node.groups) for node in controller.nodes.values()]
    groups.add_nodes(controller, ids, list(controller.nodes))
    joined = [sorted(node.groups) for node in controller.nodes.values()]
    groups.remove_nodes(controller, ids, list(reversed(controller.nodes)))

    assert [sorted(ids), before[1]] == joined
    assert [sorted(ids), []] == [sorted(node.groups) for node in controller.nodes.values()]


def test_a_joining_node_takes_the_waiting() -> None:
    """An instance that waits for a group is placed when a node joins it."""
    controller = build_controller(GROUPS)
    mine = start_instance(controller, within="third")
    pass_time(controller, 10)
    groups.add_nodes(controller, [group_named(controller, "third").id], [node_named(controller, "beta").id])
    pass_time(controller, 20)
    expected = (["Started"], ["beta"])

    assert expected == (states(mine), node_names(controller, mine))


def test_nodes_leave_groups_and_their_vms_run_on() -> None:
    """A node that left a group is not in it; what runs there goes on."""
    controller = build_controller(GROUPS)
    running = started_instance(controller, within="first")
    groups.remove_nodes(controller, [group_named(controller, "first").id], [node_named(controller).id])
    pass_time(controller, 10)
    expected = ([], ["Started"])

    assert expected == (node_named(controller).groups, states(running))


@pytest.mark.parametrize("release", ["1.38.0", "1.39.0"])
@pytest.mark.parametrize("operation", [groups.add_nodes, groups.remove_nodes])
def test_joining_and_leaving_is_all_or_nothing(operation: object, release: str) -> None:
    """One unknown group or node among the known, and nothing changes."""
    controller = build_controller(GROUPS, release=Release.parse(release))
    known_group, known_node = group_named(controller, "first").id, node_named(controller).id
    before = repr(state_of(controller))
    assert callable(operation)
    with pytest.raises(NoSuchGroup):
        operation(controller, [known_group, "nobody"], [known_node])
    with pytest.raises(NoSuchNode, match=r"^No such node nobody$"):
        operation(controller, [known_group], ["nobody", known_node] if release == "1.39.0" else [known_node, "nobody"])

    assert before == repr(state_of(controller))


def test_a_chain_goes_from_fallback_to_fallback() -> None:
    """The group itself comes first, then its fallback, then that one's."""
    controller = build_controller(GROUPS)
    set_fallback(controller, "second", "third")
    expected = ["first", "second", "third"]

    assert expected == chain(controller, "first")


def test_a_cycle_ends_where_it_began() -> None:
    """Groups that fall back in a circle are each asked once, whichever comes first."""
    controller = build_controller(GROUPS)
    set_fallback(controller, "second", "third")
    set_fallback(controller, "third", "first")
    expected = ["second", "third", "first"]

    assert expected == chain(controller, "second")


def test_a_group_that_falls_back_to_itself_is_asked_once() -> None:
    """The shortest circle is one group."""
    controller = build_controller(GROUPS)
    set_fallback(controller, "third", "third")
    expected = ["third"]

    assert expected == chain(controller, "third")


def test_the_chain_of_an_unknown_group_is_empty() -> None:
    """Who waits for a deleted group has nowhere to go."""
    expected = []

    assert expected == list(groups.fallback_chain(build_controller(GROUPS), "nobody"))
