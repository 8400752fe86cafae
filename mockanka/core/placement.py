"""Placement: which node takes which waiting instance. No other module decides that.

Waiting instances are looked at in order of priority (lower first), then of age; an instance that cannot be placed does
not hold up the others. Of the nodes that may take an instance, those with its template cached come first, then those
with more free slots, then by name. The real controller scores requests when nodes ask for work (controller-facts C8);
this order is a guess that keeps the three known criteria: cache, USB and priority.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from mockanka.core import groups, instances, pulls, templates, usb
from mockanka.core.templates import VersionRef, get_version

if TYPE_CHECKING:
    from mockanka.core.controller import Controller
    from mockanka.core.instance_record import Instance
    from mockanka.core.nodes import Node


class Requirements(NamedTuple):
    """All that placement needs to know of an instance; instances with equal requirements are placed alike.

    ``vcpus`` and ``vram`` (MB) are those of the template, ``requested_vcpus`` and ``requested_vram`` those that the
    request asks for. ``failed_on`` are the nodes that have failed to start the instance.
    """

    ref: VersionRef
    node_id: str | None
    group_id: str | None
    usb_device: str | None
    vcpus: int
    vram: int
    requested_vcpus: int
    requested_vram: int
    failed_on: tuple[str, ...]
    arch: str
    vlan: str


def place_waiting_instances(controller: Controller) -> None:
    """Assign every waiting instance that a node takes to its node, and record why the others wait."""
    # Free capacity only shrinks in a round: requirements that no node meets now are not met later in it.
    unplaceable: dict[Requirements, str] = {}
    for _, _, instance_id in list(controller.waiting):
        instance = controller.instances[instance_id]
        requirements = determine_requirements(controller, instance)
        node = None if requirements in unplaceable else choose_node(controller, requirements)
        if node is not None:
            instances.assign_to_node(controller, instance, node)
            continue
        if requirements not in unplaceable:
            unplaceable[requirements] = _explain_no_node(controller, requirements)
        reason = unplaceable[requirements]
        if instance.waits_for != reason:
            instance.waits_for = reason
            controller.record("waiting", instance.id, reason=reason)


def determine_requirements(controller: Controller, instance: Instance) -> Requirements:
    """Return what an instance requires of a node."""
    request = instance.request
    template = controller.templates[instance.ref.template_id]
    suspended = get_version(controller, instance.ref).suspended  # then the VM keeps its size
    return Requirements(
        ref=instance.ref,
        node_id=request.node_id,
        group_id=request.group_id,
        usb_device=request.usb_device,
        vcpus=template.cpus,
        vram=template.ram,
        requested_vcpus=template.cpus if suspended else request.vcpu or template.cpus,
        requested_vram=template.ram if suspended else request.vram or template.ram,
        failed_on=instance.failed_on,
        arch=template.arch,
        vlan=instance.vlan,
    )


def choose_node(controller: Controller, requirements: Requirements) -> Node | None:
    """Return the node that takes an instance, or None. If a group has none, its fallback is asked."""
    for nodes in _iterate_candidates(controller, requirements):
        takers = [node for node in nodes if explain_refusal(controller, node, requirements) is None]
        if takers:
            return min(takers, key=lambda node: _rank(controller, node, requirements))
    return None


def explain_waiting(controller: Controller, instance: Instance) -> str:
    """Return why no node takes an instance now, as a text for people."""
    return _explain_no_node(controller, determine_requirements(controller, instance))


def _explain_no_node(controller: Controller, requirements: Requirements) -> str:
    node_id, group_id = requirements.node_id, requirements.group_id
    if node_id and node_id not in controller.nodes:
        return f"node {node_id} does not exist any more"
    if not node_id and group_id and group_id not in controller.groups:
        return f"group {group_id} does not exist any more"
    candidates = {node.id: node for nodes in _iterate_candidates(controller, requirements) for node in nodes}
    if not candidates:
        return "there is no node it may run on"
    reasons = Counter(
        explain_refusal(controller, node, requirements) or "about to take it" for node in candidates.values()
    )
    return "; ".join(f"{reason} ({count} node{'s' * (count > 1)})" for reason, count in sorted(reasons.items()))


def explain_refusal(controller: Controller, node: Node, requirements: Requirements) -> str | None:
    """Return why a node does not take an instance, as a text for people; None if it takes it.

    An instance whose template is gone from the registry is taken, and fails (controller-facts C12).
    """
    if not node.takes_work:
        return "not reporting" if node.lost_at is not None else f"is {node.condition}"
    if node.manual_vms:
        return "runs VMs that were started by hand"
    if node.arch and node.arch != requirements.arch:
        return f"is {node.arch}, the template {requirements.arch}"
    if requirements.vlan and requirements.vlan not in node.vlans:
        return f"has no VLAN {requirements.vlan}"
    if requirements.usb_device and usb.find_free_device(controller, node, requirements.usb_device) is None:
        return f"no free USB device {requirements.usb_device}"
    if count_free_slots(controller, node, requirements) < 1:
        return "no free slot"
    if (reason := explain_busy(controller, node)) is not None:
        return reason
    if pulls.is_cached(controller, node, requirements.ref) or not templates.is_in_registry(
        controller, requirements.ref
    ):
        return None
    return pulls.explain_no_pull(controller, node, requirements.ref)


def explain_busy(controller: Controller, node: Node) -> str | None:
    """Return why a node takes no new task of any kind now, as a text for people; None if it takes one.

    It takes none while it pulls, and works on at most ``workers`` at once (controller-facts C8). Guess: terminations,
    stops, restarts, save image requests and removals of templates are no such tasks, and nothing holds them up.
    """
    if node.pulls:
        return "pulls a template"
    if sum(controller.instances[id].booting for id in node.occupants) >= node.workers:
        return "no free worker"
    return None


def count_free_slots(controller: Controller, node: Node, requirements: Requirements) -> int:
    """Return how many more instances with these requirements fit on a node; negative if its capacity was lowered.

    An instance has its slot from its placement on, also while it pulls and boots.
    """
    if node.capacity_mode != "resource":
        return node.capacity - len(node.occupants)
    occupants = (controller.instances[id] for id in node.occupants)
    used = [_count_resources(controller, node, determine_requirements(controller, instance)) for instance in occupants]
    free_vcpus = node.vcpu_limit - sum(vcpus for vcpus, _ in used)
    free_vram = node.vram_limit - sum(vram for _, vram in used)
    vcpus, vram = _count_resources(controller, node, requirements)
    return min(free_vcpus // max(1, vcpus), free_vram // max(1, vram))


def _count_resources(controller: Controller, node: Node, requirements: Requirements) -> tuple[int, int]:
    """Return the vCPUs and the MB that a node counts for an instance (controller-facts C7).

    They are those of the template, or those of the start if the node is configured so.
    """
    if node.force_overrides and controller.release.has("forced-overrides"):
        return requirements.requested_vcpus, requirements.requested_vram
    return requirements.vcpus, requirements.vram


def _iterate_candidates(controller: Controller, requirements: Requirements) -> Iterable[list[Node]]:
    """Yield the nodes that an instance may run on, in lists of which the first that has a taker decides.

    Guess: a start for a node and a group is for the node.
    """
    if requirements.node_id:
        node = controller.nodes.get(requirements.node_id)
        yield [node] if node else []
    elif requirements.group_id:
        for group in groups.iterate_fallback_chain(controller, requirements.group_id):
            yield [node for node in controller.nodes.values() if group.id in node.groups]
    else:
        yield list(controller.nodes.values())


def _rank(controller: Controller, node: Node, requirements: Requirements) -> tuple[bool, bool, int, str, str]:
    """Return a sort key: the node with the lowest takes the instance."""
    must_pull = not pulls.is_cached(controller, node, requirements.ref)
    free_slots = count_free_slots(controller, node, requirements)
    return node.id in requirements.failed_on, must_pull, -free_slots, node.name, node.id
