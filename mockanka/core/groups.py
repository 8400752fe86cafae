"""Node groups, and the groups that they fall back to (controller-facts A21, C9)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mockanka.core.errors import NoSuchGroup, NoSuchNode, NotFound

if TYPE_CHECKING:
    from mockanka.core.controller import Controller


NODE_GROUPS = "Node groups"
"""Name of the feature in the refusal of a basic licence."""


@dataclass
class Group:
    """Group of nodes. Its members are stored in ``Node.groups``."""

    id: str
    name: str
    description: str = ""
    fallback_id: str | None = None


def list_groups(controller: Controller) -> list[Group]:
    """Return all groups in the order in which they were created; on a basic licence none.

    Guess (controller-facts A21): Jenkins asks for groups whatever the licence, and could not be set up if that failed.
    """
    return list(controller.groups.values()) if controller.license.includes("groups") else []


def find_group(controller: Controller, group_id: str) -> Group:
    """Return the group with an id, or raise NotFound."""
    group = controller.groups.get(group_id)
    if group is None:
        raise NotFound
    return group


def require_group(controller: Controller, group_id: str) -> Group:
    """Return the group that a request refers to, or raise NoSuchGroup."""
    group = controller.groups.get(group_id)
    if group is None:
        raise NoSuchGroup(group_id)
    return group


def create_group(controller: Controller, name: str, description: str = "", fallback_id: str | None = None) -> Group:
    """Create a group without nodes. Guess: names need not be unique, for no source says that they must."""
    controller.license.require("groups", NODE_GROUPS)
    if fallback_id:
        require_group(controller, fallback_id)
    group = Group(controller.new_id("group"), name, description, fallback_id or None)
    controller.groups[group.id] = group
    controller.record("group created", group.id, name=name)
    return group


def update_group(controller: Controller, group_id: str, changes: dict[str, str | None]) -> None:
    """Change the fields of a group that ``changes`` has: ``name``, ``description`` or ``fallback_id``."""
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
    """Delete a group, also one in use: its nodes leave it, and groups that fall back to it have no fallback any more.

    Guess, as controller-facts G proposes. Instances that wait for the group continue to wait.
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


def add_nodes_to_groups(controller: Controller, group_ids: Sequence[str], node_ids: Sequence[str]) -> None:
    """Add every node to every group; if one of them does not exist, nothing changes.

    From 1.39 on only the first node is added (controller-facts A10).
    """
    node_ids = _require_members(controller, group_ids, node_ids)
    for node_id in node_ids:
        groups = controller.nodes[node_id].groups
        groups.extend(id for id in dict.fromkeys(group_ids) if id not in groups)
    controller.placement_due = True
    controller.record("nodes joined groups", ",".join(group_ids), nodes=list(node_ids))


def remove_nodes_from_groups(controller: Controller, group_ids: Sequence[str], node_ids: Sequence[str]) -> None:
    """Remove every node from every group; if one of them does not exist, nothing changes. VMs of the nodes run on.

    From 1.39 on only the first node is removed (controller-facts A10).
    """
    node_ids = _require_members(controller, group_ids, node_ids)
    for node_id in node_ids:
        node = controller.nodes[node_id]
        node.groups = [id for id in node.groups if id not in group_ids]
    controller.placement_due = True
    controller.record("nodes left groups", ",".join(group_ids), nodes=list(node_ids))


def _require_members(controller: Controller, group_ids: Sequence[str], node_ids: Sequence[str]) -> Sequence[str]:
    """Return the nodes that are to join or leave; raise NeedsLicense, NoSuchGroup or NoSuchNode."""
    controller.license.require("groups", NODE_GROUPS)
    if controller.release.has("one-node-a-call"):
        node_ids = node_ids[:1]
    for group_id in group_ids:
        require_group(controller, group_id)
    for node_id in node_ids:
        if node_id not in controller.nodes:
            raise NoSuchNode(node_id)
    return node_ids


def iterate_fallback_chain(controller: Controller, group_id: str) -> Iterator[Group]:
    """Yield a group, its fallback, the fallback of that, and so on, each once; nothing if the group does not exist."""
    seen: set[str] = set()
    next_id: str | None = group_id
    while next_id is not None and next_id not in seen and next_id in controller.groups:
        seen.add(next_id)
        group = controller.groups[next_id]
        yield group
        next_id = group.fallback_id
