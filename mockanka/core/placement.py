"""Which node takes which waiting instance: the one place where that is decided.

Waiting instances are looked at in order of priority, lower first, then age; one that cannot be placed holds up
nobody. Among the nodes that may take it, those that have the template cached come first, then those with more
free slots, then by name. The real controller scores requests when nodes ask for work (controller-facts C8); the
order here is a guess that keeps its three known parts: cache, USB and priority.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from mockanka.core import groups, instances, pulls, usb
from mockanka.core.templates import VersionRef, get_version

if TYPE_CHECKING:
    from mockanka.core.controller import Controller
    from mockanka.core.instance_record import Instance
    from mockanka.core.nodes import Node


class Need(NamedTuple):
    """All that placement asks of a node; instances with equal needs find equal answers."""

    ref: VersionRef
    node_id: str | None
    group_id: str | None
    usb_device: str | None
    vcpus: int
    vram: int
    asked_vcpus: int
    asked_vram: int
    failed_on: tuple[str, ...]
    arch: str
    vlan: str


def place_waiting(controller: Controller) -> None:
    """Give every waiting instance a node, as far as there is one."""
    hopeless: dict[Need, str] = {}  # capacity only shrinks on the way: who has no node now gets none in this round
    for _, _, instance_id in list(controller.waiting):
        waiting = controller.instances[instance_id]
        need = need_of(controller, waiting)
        node = None if need in hopeless else choose(controller, need)
        if node is not None:
            instances.assign_to_node(controller, waiting, node)
            continue
        if need not in hopeless:
            hopeless[need] = why_nobody(controller, need)
        reason = hopeless[need]
        if waiting.waits_for != reason:
            waiting.waits_for = reason
            controller.record("waiting", waiting.id, reason=reason)


def need_of(controller: Controller, waiting: Instance) -> Need:
    request = waiting.request
    template = controller.templates[waiting.ref.template_id]
    fixed = get_version(controller, waiting.ref).suspended  # a suspended VM keeps the size it was suspended with
    return Need(
        ref=waiting.ref,
        node_id=request.node_id,
        group_id=request.group_id,
        usb_device=request.usb_device,
        vcpus=template.cpus,
        vram=template.ram,
        asked_vcpus=template.cpus if fixed else request.vcpu or template.cpus,
        asked_vram=template.ram if fixed else request.vram or template.ram,
        failed_on=waiting.failed_on,
        arch=template.arch,
        vlan=waiting.vlan,
    )


def choose(controller: Controller, need: Need) -> Node | None:
    """The node that takes it, or None. A full group hands on to its fallback."""
    for nodes in _circles(controller, need):
        takers = [node for node in nodes if refusal(controller, node, need) is None]
        if takers:
            return min(takers, key=lambda node: _rank(controller, node, need))
    return None


def why_waiting(controller: Controller, waiting: Instance) -> str:
    """Why no node takes it now, in words for a person."""
    return why_nobody(controller, need_of(controller, waiting))


def why_nobody(controller: Controller, need: Need) -> str:
    """Why no node takes an instance of that need."""
    if need.node_id and need.node_id not in controller.nodes:
        return f"node {need.node_id} does not exist any more"
    if not need.node_id and need.group_id and need.group_id not in controller.groups:
        return f"group {need.group_id} does not exist any more"
    nodes = {node.id: node for circle in _circles(controller, need) for node in circle}
    if not nodes:
        return "there is no node it may run on"
    refusals = Counter(refusal(controller, node, need) or "about to take it" for node in nodes.values())
    return "; ".join(f"{reason} ({count} node{'s' * (count > 1)})" for reason, count in sorted(refusals.items()))


def refusal(controller: Controller, node: Node, need: Need) -> str | None:
    """Why the node does not take it; None when it does."""
    if not node.takes_work:
        return "not reporting" if node.lost_at is not None else f"is {node.condition}"
    if node.manual_vms:
        return "runs VMs that were started by hand"
    if node.arch and node.arch != need.arch:
        return f"is {node.arch}, the template {need.arch}"
    if need.vlan and need.vlan not in node.vlans:
        return f"has no VLAN {need.vlan}"
    if need.usb_device and usb.free_device(controller, node, need.usb_device) is None:
        return f"no free USB device {need.usb_device}"
    if free_slots(controller, node, need) < 1:
        return "no free slot"
    return None


def free_slots(controller: Controller, node: Node, need: Need) -> int:
    """How many more like this one the node can hold. Pulling and booting instances hold their slots."""
    if node.capacity_mode != "resource":
        return node.capacity - len(node.occupants)
    held = [counted(controller, node, need_of(controller, controller.instances[id])) for id in node.occupants]
    vcpus = node.vcpu_limit - sum(each[0] for each in held)
    vram = node.vram_limit - sum(each[1] for each in held)
    own_vcpus, own_vram = counted(controller, node, need)
    return min(vcpus // max(1, own_vcpus), vram // max(1, own_vram))


def counted(controller: Controller, node: Node, need: Need) -> tuple[int, int]:
    """The vCPUs and MB that a node counts for an instance: the template's, unless it is told to count what was asked
    for (controller-facts C7)."""
    if node.force_overrides and controller.release.has("forced-overrides"):
        return need.asked_vcpus, need.asked_vram
    return need.vcpus, need.vram


def _circles(controller: Controller, need: Need) -> Iterable[list[Node]]:
    """Nodes to ask, circle after circle. A pinned node comes before a group (guess: nobody says what both mean)."""
    if need.node_id:
        pinned = controller.nodes.get(need.node_id)
        yield [pinned] if pinned else []
    elif need.group_id:
        for link in groups.fallback_chain(controller, need.group_id):
            yield [node for node in controller.nodes.values() if link.id in node.groups]
    else:
        yield list(controller.nodes.values())


def _rank(controller: Controller, node: Node, need: Need) -> tuple[bool, bool, int, str, str]:
    cold = not pulls.is_cached(controller, node, need.ref)
    return node.id in need.failed_on, cold, -free_slots(controller, node, need), node.name, node.id
