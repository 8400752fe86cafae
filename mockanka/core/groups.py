"""Node groups, and the chain of groups a request falls back along (controller-facts A21, C9)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mockanka.core.errors import NoSuchGroup, NoSuchNode, NotFound

if TYPE_CHECKING:
    from mockanka.core.controller import Controller


NODE_GROUPS = "Node groups"


@dataclass
class Group:
    """A named set of nodes; nodes know which groups they are in."""

    id: str
    name: str
    description: str = ""
    fallback_id: str | None = None


def listed_groups(controller: Controller) -> list[Group]:
    """All groups, in the order in which they were created; on a basic licence none.

    That is a guess (controller-facts A21): Jenkins asks whatever the licence, and could not be set up if it failed.
    """
    return list(controller.groups.values()) if controller.license.includes("groups") else []


def find_group(controller: Controller, group_id: str) -> Group:
    """The group with that id, or NotFound."""
    group = controller.groups.get(group_id)
    if group is None:
        raise NotFound
    return group


def require_group(controller: Controller, group_id: str) -> Group:
    """The group that a request leans on, or NoSuchGroup."""
    group = controller.groups.get(group_id)
    if group is None:
        raise NoSuchGroup(group_id)
    return group


def create_group(controller: Controller, name: str, description: str = "", fallback_id: str | None = None) -> Group:
    """A new group without nodes. Names need not be unique: nothing published says so."""
    controller.license.require("groups", NODE_GROUPS)
    if fallback_id:
        require_group(controller, fallback_id)
    group = Group(controller.new_id("group"), name, description, fallback_id or None)
    controller.groups[group.id] = group
    controller.record("group created", group.id, name=name)
    return group


def update_group(controller: Controller, group_id: str, changes: dict[str, str | None]) -> None:
    """Change ``name``, ``description`` or ``fallback_id``; what is not among ``changes`` stays."""
    controller.license.require("groups", NODE_GROUPS)
    group = find_group(controller, group_id)
    fallback_id = changes.get("fallback_id")
    if fallback_id:
        require_group(controller, fallback_id)
    for key, value in changes.items():
        setattr(group, key, (value or None) if key == "fallback_id" else value)
    controller.placement_due = True
    controller.record("group updated", group_id, **changes)


def delete_group(controller: Controller, group_id: str) -> None:
    """Delete a group, also one in use: its nodes leave it, who fell back to it falls back to none.

    Guess, as controller-facts G proposes. Instances that wait for the group wait on.
    """
    controller.license.require("groups", NODE_GROUPS)
    find_group(controller, group_id)
    del controller.groups[group_id]
    for group in controller.groups.values():
        if group.fallback_id == group_id:
            group.fallback_id = None
    for node in controller.nodes.values():
        if group_id in node.groups:
            node.groups.remove(group_id)
    controller.placement_due = True
    controller.record("group deleted", group_id)


def add_nodes(controller: Controller, group_ids: Sequence[str], node_ids: Sequence[str]) -> None:
    """Put every node into every group; all must exist, or nothing changes. From 1.39 on only the first node counts."""
    node_ids = _require_all(controller, group_ids, node_ids)
    for node_id in node_ids:
        groups = controller.nodes[node_id].groups
        groups.extend(id for id in dict.fromkeys(group_ids) if id not in groups)
    controller.placement_due = True
    controller.record("nodes joined groups", ",".join(group_ids), nodes=list(node_ids))


def remove_nodes(controller: Controller, group_ids: Sequence[str], node_ids: Sequence[str]) -> None:
    """Take every node out of every group; all must exist, or nothing changes. VMs that run there run on.

    From 1.39 on only the first node counts (controller-facts A10).
    """
    node_ids = _require_all(controller, group_ids, node_ids)
    for node_id in node_ids:
        node = controller.nodes[node_id]
        node.groups = [id for id in node.groups if id not in group_ids]
    controller.placement_due = True
    controller.record("nodes left groups", ",".join(group_ids), nodes=list(node_ids))


def _require_all(controller: Controller, group_ids: Sequence[str], node_ids: Sequence[str]) -> Sequence[str]:
    """The nodes that are meant, of those named."""
    controller.license.require("groups", NODE_GROUPS)
    if controller.release.has("one-node-a-call"):
        node_ids = node_ids[:1]
    for group_id in group_ids:
        require_group(controller, group_id)
    for node_id in node_ids:
        if node_id not in controller.nodes:
            raise NoSuchNode(node_id)
    return node_ids


def fallback_chain(controller: Controller, group_id: str) -> Iterator[Group]:
    """The group, its fallback, that one's, and so on; a cycle ends where it began."""
    seen: set[str] = set()
    next_id: str | None = group_id
    while next_id is not None and next_id not in seen and next_id in controller.groups:
        seen.add(next_id)
        group = controller.groups[next_id]
        yield group
        next_id = group.fallback_id
