"""Effects of fault rules beyond the phase that they matched, and of the removal of a rule."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mockanka.core import distributions, instances, pulls, registry, save_images
from mockanka.core.downtimes import ControllerStopped
from mockanka.core.faults import SAME_INSTANCE, FaultHit, FaultRule
from mockanka.core.instances import EndedByOthers, InstanceVanished, InstanceVanishedAgain
from mockanka.core.license import LicenseExpired
from mockanka.core.nodes import NodeOverrideBegan
from mockanka.core.registry import RegistryOverrideBegan

if TYPE_CHECKING:
    from mockanka.core.controller import Controller
    from mockanka.core.instance_record import Instance
    from mockanka.core.nodes import Node
    from mockanka.core.pulls import PullStall
    from mockanka.core.templates import VersionRef


def schedule_effects(
    controller: Controller, hit: FaultHit, length: int, instance: Instance | None, node: Node | None
) -> None:
    """Schedule what a fault does to nodes, registry and licence, and when the instance vanishes.

    ``length`` is that of the phase which the fault hit, in nanoseconds; the effects begin after a fraction of it.
    """
    action = hit.action
    at, lasts = controller.now + action.after + int(length * action.fraction), action.duration or 0
    if action.node is not None and node is not None:
        node_event = NodeOverrideBegan(node.id, action.node, lasts, action.lost_instances)
        controller.schedule_or_await(at, node_event, instance, action.after_polls)
    if action.registry is not None:
        controller.schedule(at, RegistryOverrideBegan(action.registry, lasts))
    if action.vanish and instance is not None:
        vanished = InstanceVanished(instance.id, lasts)
        again = InstanceVanishedAgain(instance.id, hit.rule_id, lasts, action.every or 0)
        event = vanished if action.every is None else again
        controller.schedule_or_await(at, event, instance, action.after_polls)
    if action.end is not None:
        target = instance.id if instance is not None and action.end == SAME_INSTANCE else action.end
        controller.schedule_or_await(at, EndedByOthers(target), instance, action.after_polls)
    if action.restart is not None:
        release = "" if action.restart.release is None else str(action.restart.release)
        controller.schedule(at, ControllerStopped(release, action.restart.duration))
    if action.license is not None:
        controller.schedule(at, LicenseExpired(lasts))


def apply_begin_rule(controller: Controller, rule: FaultRule) -> None:
    """Carry out a rule for the event ``begin``, which fires when it is added; other rules are left alone.

    A fault of nodes applies to each node that the rule matches, and does not fire if there is none.
    """
    if rule.match.event != "begin":
        return
    targets: list[Node | None] = [None]
    if rule.action.node is not None:
        targets = [
            node
            for node in controller.nodes.values()
            if rule.match.matches_event(controller, "begin", None, node, None)
        ]
    if not targets or not rule.fires(controller.seed):
        return
    controller.record("fault", rule.id, at_event="begin")
    for target in targets:
        schedule_effects(controller, FaultHit(rule.id, rule.action), 0, None, target)


def remove_rule(controller: Controller, rule_id: str) -> None:
    """Remove a rule. What it stalls continues from where it is, and nothing vanishes again and again by it.

    What else it has done or scheduled stays.
    """
    controller.faults.remove(rule_id)
    for instance in list(controller.instances.values()):
        if instance.stall is not None and instance.stall.rule_id == rule_id:
            instances.release_stalled_instance(controller, instance)
    for node in controller.nodes.values():
        for ref in pulls.release_stalled_pulls(controller, node, rule_id):
            registry.reschedule_pull_waiters(controller, node, ref)
    for save in controller.save_images.values():
        if save.stall is not None and save.stall.rule_id == rule_id:
            save_images.release_stalled_save(controller, save)
    controller.record("fault removed", rule_id)


def describe_stalls(controller: Controller) -> Iterator[tuple[str, str]]:
    """Yield for each instance and delivery that a fault stalls for good the id of its entity, and a description."""
    for instance in controller.instances.values():
        description = _describe_instance_stall(controller, instance)
        if description is not None:
            yield instance.id, description
    for distribution in controller.distributions.values():
        for node_id, delivery in distribution.deliveries.items():
            stall = _find_pull_stall(controller, node_id, distribution.ref)
            if delivery.stage is distributions.DeliveryStage.PULLING and stall is not None:
                yield distribution.id, f"distribution {distribution.id} to node {node_id} is held by {stall.rule_id}"


def _describe_instance_stall(controller: Controller, instance: Instance) -> str | None:
    if instance.stall is not None:
        return f"instance {instance.id} is held in {instance.state} by {instance.stall.rule_id}"
    stall = _find_pull_stall(controller, instance.node_id or "", instance.ref) if instance.pulling else None
    if stall is not None:
        return f"the pull of instance {instance.id} is held at {stall.progress:.0%} by {stall.rule_id}"
    save = controller.save_images.get(instance.save_id or "")
    if save is not None and save.stall is not None:
        return f"save image request {save.id} of instance {instance.id} is held by {save.stall.rule_id}"
    return None


def _find_pull_stall(controller: Controller, node_id: str, ref: VersionRef) -> PullStall | None:
    node = controller.nodes.get(node_id)
    pull = node.pulls.get(ref) if node else None
    return pull.stall if pull else None
