"""What faults do beyond the thing they struck: nodes that go and return, a registry that is down, a licence that
expires, instances that vanish; and what becomes of all that when a rule is removed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from mockanka.core import distributions, instances, nodes, pulls, registry, save_images, transitions
from mockanka.core.errors import NoSuchNode
from mockanka.core.events import Event
from mockanka.core.faults import FaultHit, FaultRule
from mockanka.core.license import LicenseExpired
from mockanka.core.overrides import override_end
from mockanka.core.registry import RegistryOverrideBegan

if TYPE_CHECKING:
    from mockanka.core.controller import Controller
    from mockanka.core.instance_record import Instance
    from mockanka.core.nodes import Node


@dataclass(frozen=True, slots=True)
class NodeOverrideBegan(Event):
    """A node goes another way: offline, full, into a state; ``lasts`` is how long, 0 for good."""

    kind: ClassVar = "node_override_began"

    node_id: str
    what: str
    lasts: int

    def is_current(self, controller: Controller) -> bool:
        return self.node_id in controller.nodes

    def makes_progress(self, controller: Controller) -> bool:
        return _matters(controller, self.node_id) if self.what == "online" else False

    def apply(self, controller: Controller) -> None:
        until = override_end(controller.now, self.lasts)
        nodes.override_node(controller, self.node_id, self.what, until)
        if until is not None:
            controller.schedule(until, NodeOverrideEnded(self.node_id, self.what, until))


@dataclass(frozen=True, slots=True)
class NodeOverrideEnded(Event):
    """What a fault made of a node is over, if nobody wants it for longer; what others have made of it stays."""

    kind: ClassVar = "node_override_ended"

    node_id: str
    what: str
    until: int

    def is_current(self, controller: Controller) -> bool:
        return (
            self.node_id in controller.nodes and controller.nodes[self.node_id].overrides.get(self.what) == self.until
        )

    def makes_progress(self, controller: Controller) -> bool:
        return _matters(controller, self.node_id)

    def apply(self, controller: Controller) -> None:
        nodes.end_node_override(controller, self.node_id, self.what)


def _matters(controller: Controller, node_id: str) -> bool:
    """Whether anything waits for that node's return, or may."""
    return bool(controller.waiting or controller.nodes[node_id].occupants)


@dataclass(frozen=True, slots=True)
class InstanceVanished(Event):
    """Nobody finds the instance any more: for good, or for a while."""

    kind: ClassVar = "instance_vanished"

    instance_id: str
    lasts: int

    def is_current(self, controller: Controller) -> bool:
        return self.instance_id in controller.instances

    def makes_progress(self, controller: Controller) -> bool:
        return False

    def apply(self, controller: Controller) -> None:
        one = controller.instances[self.instance_id]
        if not self.lasts:
            transitions.vanish(controller, one, "vanished")
            return
        one.hidden = True
        controller.mark_changed(one)
        controller.record("hidden", one.id)
        controller.schedule(controller.now + self.lasts, InstanceReappeared(one.id))


@dataclass(frozen=True, slots=True)
class InstanceReappeared(Event):
    """An instance that was out of sight is seen again."""

    kind: ClassVar = "instance_reappeared"

    instance_id: str

    def is_current(self, controller: Controller) -> bool:
        one = controller.instances.get(self.instance_id)
        return one is not None and one.hidden

    def makes_progress(self, controller: Controller) -> bool:
        return False

    def apply(self, controller: Controller) -> None:
        one = controller.instances[self.instance_id]
        one.hidden = False
        controller.mark_changed(one)
        controller.record("seen again", one.id)


def schedule_effects(
    controller: Controller, blow: FaultHit, length: int, one: Instance | None, on: Node | None
) -> None:
    """Put into the queue what a rule does beyond the phase it struck, which lasts ``length``."""
    do = blow.do
    at, lasts = controller.now + do.after + int(length * do.share), do.lasts or 0
    if do.node is not None and on is not None:
        controller.schedule(at, NodeOverrideBegan(on.id, do.node, lasts))
    if do.registry is not None:
        controller.schedule(at, RegistryOverrideBegan(do.registry, lasts))
    if do.vanish and one is not None:
        controller.schedule(at, InstanceVanished(one.id, lasts))
    if do.license is not None:
        controller.schedule(at, LicenseExpired(lasts))


def apply_begin_rule(controller: Controller, rule: FaultRule) -> None:
    """A rule comes into force: one whose event is ``begin`` strikes now, each node it means or the whole."""
    if rule.match.event != "begin":
        return
    met: list[Node | None] = [None]
    if rule.do.node is not None:
        met = [
            each for each in controller.nodes.values() if rule.match.meets_event(controller, "begin", None, each, None)
        ]
    if not met or not rule.strikes(controller.seed):
        return
    controller.record("fault", rule.id, at_event="begin")
    for each in met:
        schedule_effects(controller, FaultHit(rule.id, rule.do), 0, None, each)


def remove_rule(controller: Controller, rule_id: str) -> None:
    """Take a rule out of force. What it holds goes on from where it is; what it has done stays done."""
    controller.faults.remove(rule_id)
    for one in list(controller.instances.values()):
        if one.stall is not None and one.stall.rule_id == rule_id:
            instances.release_stalled_instance(controller, one)
    for each in controller.nodes.values():
        for ref in pulls.release_stalled_pulls(controller, each, rule_id):
            registry.reschedule_waiting_for_pull(controller, each, ref)
    for save in controller.save_images.values():
        if save.stall is not None and save.stall.rule_id == rule_id:
            save_images.release_stalled_save(controller, save)
    controller.record("fault removed", rule_id)


def describe_stalls(controller: Controller) -> Iterator[tuple[str, str]]:
    """What a fault keeps from ever getting on: an instance, or what else it is, by its id, and how it is kept."""
    for one in controller.instances.values():
        if one.stall is not None:
            yield one.id, f"instance {one.id} is held in {one.state} by {one.stall.rule_id}"
        elif one.pulling and (running := controller.nodes[one.node_id or ""].pulls.get(one.ref)) and running.stall:
            stall = running.stall
            yield one.id, f"the pull of instance {one.id} is held at {stall.progress:.0%} by {stall.rule_id}"
        elif (save := controller.save_images.get(one.save_id or "")) is not None and save.stall is not None:
            yield one.id, f"save image request {save.id} of instance {one.id} is held by {save.stall.rule_id}"
    for made in controller.distributions.values():
        for node_id, delivery in made.deliveries.items():
            there = controller.nodes.get(node_id)
            running = there.pulls.get(made.ref) if there else None
            if delivery.stage is distributions.DeliveryStage.PULLING and running and running.stall:
                yield made.id, f"distribution {made.id} to node {node_id} is held by {running.stall.rule_id}"


def node_by_id_or_name(controller: Controller, node_id: str) -> Node:
    """The node with that id, or that only name, for who steers."""
    if node_id in controller.nodes:
        return controller.nodes[node_id]
    named = [each for each in controller.nodes.values() if each.name == node_id]
    if len(named) != 1:
        raise NoSuchNode(node_id)
    return named[0]
