"""Node groups: create, list, update, delete, and which nodes are in them."""

import pytest

from tests.api.client import GROUP, NODE, NOWHERE, OTHER_GROUP, OTHER_NODE, RELEASES, office, world

KEYS = ["id", "name", "description", "fallback_group_id"]


def test_a_new_group_is_handed_back_whole() -> None:
    """The answer to a creation is the group: description blank and fallback null unless given."""
    wire = office()
    bare = wire.do("POST", "group", {"name": "bare"})
    full = wire.do("POST", "group", {"name": "full", "description": "all", "fallback_group_id": GROUP})

    assert [list(bare), list(full)] == [KEYS, KEYS]
    assert (list(bare.values())[1:], list(full.values())[1:]) == (["bare", "", None], ["full", "all", GROUP])
    assert [bare, full] == wire.get("group")[-2:]


def test_groups_are_listed_in_order_of_creation_and_empty_is_an_empty_list() -> None:
    """The list is an array, also when there is nothing in it."""
    assert (world("{}").get("group"), [group["name"] for group in office().get("group")]) == ([], ["spare", "ios"])


def test_the_list_of_groups_knows_no_id() -> None:
    """There is no asking for one group: an id in the query is not looked at."""
    wire = office()

    assert wire.get("group") == wire.get("group", f"id={GROUP}")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, ["ios", "with a device attached", GROUP]),
        ({"name": "new"}, ["new", "with a device attached", GROUP]),
        ({"name": ""}, ["ios", "with a device attached", GROUP]),
        ({"name": None}, ["ios", "with a device attached", GROUP]),
        ({"description": ""}, ["ios", "", GROUP]),
        ({"description": None}, ["ios", "with a device attached", GROUP]),
        ({"fallback_group_id": None}, ["ios", "with a device attached", None]),
        ({"FALLBACK_GROUP_ID": None}, ["ios", "with a device attached", None]),
        ({"fallback_group_id": ""}, ["ios", "with a device attached", None]),
        ({"fallback_group_id": OTHER_GROUP}, ["ios", "with a device attached", OTHER_GROUP]),
    ],
)
def test_an_update_changes_what_it_names_and_nothing_else(change: dict[str, object], expected: list[object]) -> None:
    """What is not sent stays; a blank name stays too; null or blank ends the fallback."""
    wire = office()
    wire.do("PUT", "group", change, f"id={OTHER_GROUP}")

    assert expected == list(wire.get("group")[1].values())[1:]


def test_a_deleted_group_leaves_nodes_and_fallbacks() -> None:
    """A group that is deleted while in use disappears from its nodes and from who fell back to it."""
    wire = office()
    wire.do("DELETE", "group", query=f"id={GROUP}")

    assert [(group["name"], group["fallback_group_id"]) for group in wire.get("group")] == [("ios", None)]
    assert "groups" not in wire.get("node")[0]


def test_nodes_join_and_leave_groups() -> None:
    """Every node named joins, or leaves, every group named; joining twice is once."""
    wire = office()
    both = {"group_ids": [GROUP, OTHER_GROUP], "node_ids": [NODE, OTHER_NODE]}
    seen = []
    for method in ("POST", "POST", "DELETE"):
        wire.do(method, "node/group", both)
        seen.append([[group["id"] for group in node.get("groups", [])] for node in wire.get("node")])

    joined = [[GROUP, OTHER_GROUP], [OTHER_GROUP, GROUP]]
    assert [joined, joined, [[], []]] == seen


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_empty_lists_are_fine_and_change_nothing(method: str) -> None:
    """Joining or leaving with an empty list of groups or nodes succeeds and does nothing."""
    wire = office()
    before = wire.state()
    for body in ({"group_ids": [], "node_ids": []}, {"group_ids": [GROUP], "node_ids": []}):
        wire.do(method, "node/group", body)
    wire.do(method, "node/group", {"group_ids": [], "node_ids": [OTHER_NODE]})

    assert before["nodes"] == wire.state()["nodes"]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_one_unknown_among_several_changes_nobody(release: str, method: str) -> None:
    """All groups and nodes must be there, or none joins or leaves."""
    wire = office(release)
    before = wire.state()
    answers = [
        wire.ask(method, "node/group", {"group_ids": [GROUP, OTHER_GROUP], "node_ids": [NOWHERE, NODE]}),
        wire.ask(method, "node/group", {"group_ids": [GROUP, NOWHERE], "node_ids": [NODE, OTHER_NODE]}),
    ]

    assert [f"No such node {NOWHERE}", f"No such group {NOWHERE}"] == [answer["message"] for answer in answers]
    assert before == wire.state()
