"""Node groups and their fallbacks."""

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


def list_chain(controller: Controller, name: str) -> list[str]:
    """Return the names of a group and its fallbacks."""
    return [group.name for group in groups.iterate_fallback_chain(controller, group_named(controller, name).id)]


def test_a_new_group_has_no_nodes() -> None:
    """It has its name, description and fallback."""
    controller = build_controller(GROUPS)
    second = group_named(controller, "second")
    group = groups.create_group(controller, "new", "fresh", second.id)

    assert ("new", "fresh", second.id) == (group.name, group.description, group.fallback_id)
    assert group is controller.groups[group.id]
    assert not any(group.id in node.groups for node in controller.nodes.values())


def test_names_of_groups_need_not_be_unique() -> None:
    """Two groups may have the same name; their ids differ."""
    controller = build_controller(GROUPS)

    assert groups.create_group(controller, "same").id != groups.create_group(controller, "same").id


@pytest.mark.parametrize("blank", ["", None])
def test_an_empty_fallback_is_none(blank: str | None) -> None:
    """Clients send an empty text for no fallback."""
    assert groups.create_group(build_controller(GROUPS), "new", fallback_id=blank).fallback_id is None


def test_a_group_cannot_fall_back_to_an_unknown_group() -> None:
    """It is refused, and no group is created."""
    controller = build_controller(GROUPS)
    with pytest.raises(NoSuchGroup, match=r"^No such group nobody$"):
        groups.create_group(controller, "new", fallback_id="nobody")

    assert not any(group.name == "new" for group in controller.groups.values())


def test_a_group_is_found_by_its_id() -> None:
    """An unknown id is NotFound."""
    controller = build_controller(GROUPS)
    first = group_named(controller, "first")

    assert first is groups.find_group(controller, first.id) is groups.require_group(controller, first.id)
    with pytest.raises(NotFound):
        groups.find_group(controller, "nobody")


def test_a_request_that_refers_to_an_unknown_group_is_refused() -> None:
    """The refusal names the group."""
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
def test_an_update_changes_the_fields_that_it_has(changes: dict[str, str | None], expected: tuple[str, str]) -> None:
    """The other fields stay."""
    controller = build_controller(GROUPS)
    second = group_named(controller, "second")
    groups.update_group(controller, second.id, changes)

    assert expected == (second.name, second.description)


def test_an_update_can_remove_the_fallback() -> None:
    """An empty fallback is none."""
    controller = build_controller(GROUPS)
    first = group_named(controller, "first")
    groups.update_group(controller, first.id, {"fallback_id": ""})

    assert first.fallback_id is None


def test_an_update_to_an_unknown_fallback_changes_nothing() -> None:
    """The other fields stay, too."""
    controller = build_controller(GROUPS)
    first = group_named(controller, "first")
    with pytest.raises(NoSuchGroup):
        groups.update_group(controller, first.id, {"name": "renamed", "fallback_id": "nobody"})

    assert "first" == first.name


def test_an_update_of_an_unknown_group_is_not_found() -> None:
    """The group must exist."""
    with pytest.raises(NotFound):
        groups.update_group(build_controller(GROUPS), "nobody", {"name": "renamed"})


def test_a_waiting_instance_is_placed_by_a_new_fallback() -> None:
    """It is placed when its group gets a fallback with a free slot."""
    controller = build_controller(GROUPS)
    instance = start_instance(controller, within="third")
    pass_time(controller, 10)
    before = states(instance)
    set_fallback(controller, "third", "second")
    pass_time(controller, 20)
    expected = (["Scheduling"], ["Started"], ["beta"])

    assert expected == (before, states(instance), node_names(controller, instance))


def test_nothing_refers_to_a_deleted_group() -> None:
    """Its nodes leave it, and groups that fell back to it have no fallback (G)."""
    controller = build_controller(GROUPS)
    second = group_named(controller, "second")
    groups.delete_group(controller, second.id)
    expected = []

    assert second.id not in controller.groups
    assert group_named(controller, "first").fallback_id is None
    assert expected == node_named(controller, "beta").groups


def test_a_group_in_use_may_be_deleted() -> None:
    """Its instances continue to run, and instances that wait for it continue to wait (G)."""
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
    """A group must exist."""
    with pytest.raises(NotFound):
        groups.delete_group(build_controller(GROUPS), "nobody")


def test_before_1_39_every_node_joins_every_group() -> None:
    """Each node is in each group afterwards, once."""
    controller = build_controller(GROUPS, release=Release.parse("1.38.0"))
    ids = [group.id for group in controller.groups.values()]
    groups.add_nodes_to_groups(controller, [*ids, *ids], list(controller.nodes))

    assert [sorted(ids)] * 2 == [sorted(node.groups) for node in controller.nodes.values()]
    groups.remove_nodes_from_groups(controller, ids, list(controller.nodes))
    assert [[], []] == [node.groups for node in controller.nodes.values()]


def test_from_1_39_on_only_the_first_node_joins_and_leaves() -> None:
    """The other nodes of the request stay in their groups (A10)."""
    controller = build_controller(GROUPS)
    ids = [group.id for group in controller.groups.values()]
    before = [sorted(node.groups) for node in controller.nodes.values()]
    groups.add_nodes_to_groups(controller, ids, list(controller.nodes))
    joined = [sorted(node.groups) for node in controller.nodes.values()]
    groups.remove_nodes_from_groups(controller, ids, list(reversed(controller.nodes)))

    assert [sorted(ids), before[1]] == joined
    assert [sorted(ids), []] == [sorted(node.groups) for node in controller.nodes.values()]


def test_a_node_that_joins_takes_waiting_instances() -> None:
    """An instance that waits for a group is placed when a node joins the group."""
    controller = build_controller(GROUPS)
    instance = start_instance(controller, within="third")
    pass_time(controller, 10)
    groups.add_nodes_to_groups(controller, [group_named(controller, "third").id], [node_named(controller, "beta").id])
    pass_time(controller, 20)
    expected = (["Started"], ["beta"])

    assert expected == (states(instance), node_names(controller, instance))


def test_vms_run_on_when_their_node_leaves_its_group() -> None:
    """The node is not in the group any more."""
    controller = build_controller(GROUPS)
    running = started_instance(controller, within="first")
    groups.remove_nodes_from_groups(controller, [group_named(controller, "first").id], [node_named(controller).id])
    pass_time(controller, 10)
    expected = ([], ["Started"])

    assert expected == (node_named(controller).groups, states(running))


@pytest.mark.parametrize("release", ["1.38.0", "1.39.0"])
@pytest.mark.parametrize("operation", [groups.add_nodes_to_groups, groups.remove_nodes_from_groups])
def test_joining_and_leaving_is_all_or_nothing(operation: object, release: str) -> None:
    """If a group or node is unknown, nothing changes."""
    controller = build_controller(GROUPS, release=Release.parse(release))
    known_group, known_node = group_named(controller, "first").id, node_named(controller).id
    before = repr(state_of(controller))
    assert callable(operation)
    with pytest.raises(NoSuchGroup):
        operation(controller, [known_group, "nobody"], [known_node])
    with pytest.raises(NoSuchNode, match=r"^No such node nobody$"):
        operation(controller, [known_group], ["nobody", known_node] if release == "1.39.0" else [known_node, "nobody"])

    assert before == repr(state_of(controller))


def test_a_fallback_may_have_a_fallback() -> None:
    """The group itself comes first, then its fallback, then the fallback of that."""
    controller = build_controller(GROUPS)
    set_fallback(controller, "second", "third")
    expected = ["first", "second", "third"]

    assert expected == list_chain(controller, "first")


def test_a_cycle_of_fallbacks_ends_where_it_began() -> None:
    """Each group is listed once, whichever comes first."""
    controller = build_controller(GROUPS)
    set_fallback(controller, "second", "third")
    set_fallback(controller, "third", "first")
    expected = ["second", "third", "first"]

    assert expected == list_chain(controller, "second")


def test_a_group_that_falls_back_to_itself_is_listed_once() -> None:
    """It is the shortest cycle."""
    controller = build_controller(GROUPS)
    set_fallback(controller, "third", "third")
    expected = ["third"]

    assert expected == list_chain(controller, "third")


def test_an_unknown_group_has_no_fallbacks() -> None:
    """An instance for a deleted group has no nodes to run on."""
    expected = []

    assert expected == list(groups.iterate_fallback_chain(build_controller(GROUPS), "nobody"))
