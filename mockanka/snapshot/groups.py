"""The groups section."""

from __future__ import annotations

from mockanka.snapshot.commented_yaml import CommentedMap
from mockanka.snapshot.fetch import FetchedState
from mockanka.snapshot.names import UniqueNames
from mockanka.snapshot.reader import JsonObject, JsonReader


def known_groups(state: FetchedState) -> list[JsonObject]:
    """Return the listed groups, and those that only nodes name."""
    groups = {str(group.get("id")): group for group in state.groups}
    for node in map(JsonReader, state.nodes):
        for group in node.objects("groups"):
            groups.setdefault(str(group.get("id")), group)
    return [group for group in groups.values() if (reader := JsonReader(group)).text("id") and reader.text("name")]


def group_section(groups: list[JsonObject], names: UniqueNames) -> list[CommentedMap]:
    """Return the section."""
    items = []
    for group in map(JsonReader, groups):
        fallback = group.text("fallback_group_id")
        item = CommentedMap(name=group.text("name"), id=group.text("id"), description=group.text("description"))
        if fallback in names.by_id:
            item["fallback"] = names.reference(fallback)
        elif fallback:
            item.comments.append(f"Its fallback, {fallback}, is not in the list of groups.")
        item.comments += group.remarks
        items.append(item)
    return items
