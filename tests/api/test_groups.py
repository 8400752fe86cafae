"""Node groups: create, list, update, delete, and which nodes are in them."""

import pytest

from tests.api.client import GROUP, NODE, OTHER_GROUP, OTHER_NODE, RELEASES, UNKNOWN_ID, api_of, default_api

KEYS = ["id", "name", "description", "fallback_group_id"]


def test_a_new_group_is_returned() -> None:
    """POST answers with the group: its description is blank and its fallback null unless given."""
    api = default_api()
    bare = api.perform("POST", "group", {"name": "bare"})
    full = api.perform("POST", "group", {"name": "full", "description": "all", "fallback_group_id": GROUP})

    assert [list(bare), list(full)] == [KEYS, KEYS]
    assert (list(bare.values())[1:], list(full.values())[1:]) == (["bare", "", None], ["full", "all", GROUP])
    assert [bare, full] == api.get("group")[-2:]


def test_groups_are_listed_in_order_of_creation_and_empty_is_an_empty_list() -> None:
    """Groups are listed in order of creation; without groups the list is an empty array."""
    assert (api_of("{}").get("group"), [group["name"] for group in default_api().get("group")]) == (
        [],
        ["spare", "ios"],
    )


def test_an_id_in_the_query_is_ignored() -> None:
    """There is no GET of one group: an id in the query has no effect."""
    api = default_api()

    assert api.get("group") == api.get("group", f"id={GROUP}")


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
    """Fields that are not sent stay, and so does a blank name; null or blank ends the fallback."""
    api = default_api()
    api.perform("PUT", "group", change, f"id={OTHER_GROUP}")

    assert expected == list(api.get("group")[1].values())[1:]


def test_a_deleted_group_leaves_nodes_and_fallbacks() -> None:
    """A deleted group is removed from its nodes, and as the fallback of other groups."""
    api = default_api()
    api.perform("DELETE", "group", query=f"id={GROUP}")

    assert [(group["name"], group["fallback_group_id"]) for group in api.get("group")] == [("ios", None)]
    assert "groups" not in api.get("node")[0]


def test_nodes_join_and_leave_groups() -> None:
    """Every named node joins, or leaves, every named group; joining twice has no effect."""
    api = default_api()
    both = {"group_ids": [GROUP, OTHER_GROUP], "node_ids": [NODE, OTHER_NODE]}
    memberships = []
    for method in ("POST", "POST", "DELETE"):
        api.perform(method, "node/group", both)
        memberships.append([[group["id"] for group in node.get("groups", [])] for node in api.get("node")])

    joined = [[GROUP, OTHER_GROUP], [OTHER_GROUP, GROUP]]
    assert [joined, joined, [[], []]] == memberships


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_empty_lists_change_nothing(method: str) -> None:
    """Joining or leaving with an empty list of groups or nodes succeeds and does nothing."""
    api = default_api()
    before = api.dump()
    for body in ({"group_ids": [], "node_ids": []}, {"group_ids": [GROUP], "node_ids": []}):
        api.perform(method, "node/group", body)
    api.perform(method, "node/group", {"group_ids": [], "node_ids": [OTHER_NODE]})

    assert before["nodes"] == api.dump()["nodes"]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_one_unknown_id_among_several_changes_nothing(release: str, method: str) -> None:
    """If any group or node is unknown, none joins or leaves."""
    api = default_api(release)
    before = api.dump()
    envelopes = [
        api.envelope(method, "node/group", {"group_ids": [GROUP, OTHER_GROUP], "node_ids": [UNKNOWN_ID, NODE]}),
        api.envelope(method, "node/group", {"group_ids": [GROUP, UNKNOWN_ID], "node_ids": [NODE, OTHER_NODE]}),
    ]

    assert [f"No such node {UNKNOWN_ID}", f"No such group {UNKNOWN_ID}"] == [
        envelope["message"] for envelope in envelopes
    ]
    assert before == api.dump()
