"""Distributions: templates sent to nodes ahead of time (controller-facts A15, A16, C11)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from mockanka.core import pulls, templates
from mockanka.core.errors import NodeDiskFull, NoSuchNode, NoSuchTemplate, NotFound, RegistryDown
from mockanka.core.events import NodeEvent
from mockanka.core.faults import apply_rules
from mockanka.core.groups import require_group
from mockanka.core.instance_record import PlannedEnd
from mockanka.core.lifecycle import NodeState
from mockanka.core.randomness import draw
from mockanka.core.templates import VersionRef

if TYPE_CHECKING:
    from mockanka.core.controller import Controller
    from mockanka.core.nodes import Node
    from mockanka.core.pulls import Pull


class DeliveryStage(StrEnum):
    """How far a delivery has come; the wire shows only whether it is done, and its progress."""

    SENT = "sent"
    PULLING = "pulling"
    DONE = "done"
    FAILED = "failed"


@dataclass
class Delivery:
    """What one node makes of a distribution. ``until`` is when its stage ends."""

    stage: DeliveryStage
    until: int | None
    progress_made: float = 0.0
    error: str = ""
    planned_end: PlannedEnd | None = None
    """How its pull will fail."""


@dataclass
class Distribution:
    """A request to put a version on some nodes, and what became of it on each."""

    id: str
    requested: int
    ref: VersionRef
    deliveries: dict[str, Delivery] = field(default_factory=dict)

    def progress(self, controller: Controller, node_id: str) -> float:
        """0 to 1: the node's pull while it lasts, its last value ever after."""
        delivery = self.deliveries[node_id]
        node = controller.nodes.get(node_id)
        running = node.pulls.get(self.ref) if node and delivery.stage is DeliveryStage.PULLING else None
        return running.progress(node.last_contact(controller.now)) if running and node else delivery.progress_made


@dataclass(frozen=True, slots=True)
class _DeliveryEvent(NodeEvent):
    distribution_id: str
    node_id: str
    stage: DeliveryStage

    def reporting_node(self, controller: Controller) -> Node | None:
        distribution = controller.distributions.get(self.distribution_id)
        delivery = distribution.deliveries.get(self.node_id) if distribution else None
        return controller.nodes.get(self.node_id) if delivery and delivery.stage is self.stage else None

    def apply(self, controller: Controller) -> None:
        distribution = controller.distributions[self.distribution_id]
        self.apply_to(controller, distribution, distribution.deliveries[self.node_id])

    def apply_to(self, controller: Controller, distribution: Distribution, delivery: Delivery) -> None:
        raise NotImplementedError


class DeliveryTaken(_DeliveryEvent):
    """The node takes its task and begins to pull, unless it has everything."""

    kind: ClassVar = "delivery_taken"

    def apply_to(self, controller: Controller, distribution: Distribution, delivery: Delivery) -> None:
        node = controller.nodes[self.node_id]
        if not pulls.is_cached(controller, node, distribution.ref) and not templates.in_registry(
            controller, distribution.ref
        ):
            _fail(controller, distribution, self.node_id, str(NoSuchTemplate()))
            return
        blow = apply_rules(controller, "distribute", None, node, distribution.ref)
        under_way = distribution.ref in node.pulls or pulls.is_cached(controller, node, distribution.ref)
        if under_way and blow.do.fail is not None:  # the fault finds no pull of its own to break
            _fail(controller, distribution, self.node_id, blow.do.fail)
            return
        try:
            running = pulls.begin_pull(controller, node, distribution.ref, None, blow if blow.rule_id else None)
        except (NodeDiskFull, RegistryDown) as refused:
            _fail(controller, distribution, self.node_id, str(refused))
            return
        delivery.stage = DeliveryStage.PULLING
        _follow_pull(controller, distribution, self.node_id, running)


def _follow_pull(controller: Controller, distribution: Distribution, node_id: str, running: Pull | None) -> None:
    """The delivery waits for a pull of its node, and shares its fate."""
    delivery = distribution.deliveries[node_id]
    delivery.planned_end, delivery.until = None, controller.now
    if running is not None:
        delivery.until = running.expected_end
        if (failure := running.failure) is not None:
            delivery.planned_end = PlannedEnd("fail", failure.message, running.progress(failure.at))
    if delivery.until is not None:
        controller.schedule(
            delivery.until, DeliveryEnded(distribution.id, node_id, DeliveryStage.PULLING, delivery.until)
        )


def reschedule_pulling_deliveries(controller: Controller, node: Node, ref: VersionRef) -> None:
    """A pull of the node goes another way than it was going to; so do the deliveries that wait for it."""
    for distribution in controller.distributions.values():
        delivery = distribution.deliveries.get(node.id)
        if delivery is not None and delivery.stage is DeliveryStage.PULLING and distribution.ref == ref:
            _follow_pull(controller, distribution, node.id, node.pulls[ref])


@dataclass(frozen=True, slots=True)
class DeliveryEnded(_DeliveryEvent):
    """The node has it all, or its pull has failed."""

    kind: ClassVar = "delivery_ended"

    until: int

    def is_current(self, controller: Controller) -> bool:
        if not _DeliveryEvent.is_current(self, controller):
            return False
        # The pull may have been broken off, or held and let go, since this was put in the queue.
        return controller.distributions[self.distribution_id].deliveries[self.node_id].until == self.until

    def apply_to(self, controller: Controller, distribution: Distribution, delivery: Delivery) -> None:
        if delivery.planned_end is not None:
            delivery.progress_made = delivery.planned_end.progress
            _fail(controller, distribution, self.node_id, delivery.planned_end.message)
            return
        delivery.stage = DeliveryStage.DONE
        delivery.until = None
        delivery.progress_made = 1.0
        controller.record("distribution", distribution.id, node=self.node_id, stage=DeliveryStage.DONE.value)


def delivery_stage_end(distribution: Distribution, node_id: str) -> NodeEvent:
    """The event that ends the stage a delivery is in."""
    delivery = distribution.deliveries[node_id]
    if delivery.stage is DeliveryStage.SENT:
        return DeliveryTaken(distribution.id, node_id, delivery.stage)
    return DeliveryEnded(distribution.id, node_id, delivery.stage, delivery.until or 0)


def create_distribution(
    controller: Controller,
    template_id: str,
    tag: str | None = None,
    number: int | None = None,
    node_ids: Sequence[str] = (),
    group_id: str | None = None,
) -> Distribution:
    """Send a version to the named nodes and those of the group; to all nodes, if neither is given.

    Every node it goes to is in the answer from the start (controller-facts A16). All nodes means those that are
    not Offline, before 1.33 not Unhealthy and before 1.37 not in Drain Mode either; nodes asked for by name get their
    task in any case, and take it when they are back. The real controller gives up some time (since 1.6), nobody says
    when; here it never does.
    """
    ref = templates.resolve_version(controller, template_id, tag, number)
    for node_id in node_ids:
        if node_id not in controller.nodes:
            raise NoSuchNode(node_id)
    if group_id:
        controller.license.require("groups", "group_id")
        require_group(controller, group_id)
    distribution = Distribution(controller.new_id("distribution"), controller.now, ref)
    controller.distributions[distribution.id] = distribution
    for node in controller.nodes.values():
        if node.id in node_ids or _meant(controller, node, bool(node_ids), group_id):
            distribution.deliveries[node.id] = Delivery(DeliveryStage.SENT, None)
            send_to_node(controller, distribution, node.id)
    controller.record("distribution", distribution.id, template=template_id, nodes=list(distribution.deliveries))
    return distribution


def send_to_node(controller: Controller, distribution: Distribution, node_id: str) -> None:
    """Give a node its task, which it takes when it next asks for work."""
    delivery = distribution.deliveries[node_id]
    wait = controller.timings.schedule.sample(draw(controller.seed, distribution.id, node_id))
    delivery.stage, delivery.until = DeliveryStage.SENT, controller.now + wait
    controller.schedule(delivery.until, delivery_stage_end(distribution, node_id))


def _meant(controller: Controller, node: Node, named: bool, group_id: str | None) -> bool:
    """Whether a node that is not named is among the nodes a distribution goes to."""
    state = node.state(controller.now)
    if state is NodeState.OFFLINE:
        return False
    if state is NodeState.UNHEALTHY and not controller.release.has("distribute-to-unhealthy"):
        return False
    if state is NodeState.DRAIN and not controller.release.has("distribute-to-draining"):
        return False
    return group_id in node.groups if group_id else not named


CANCELED_MESSAGE = "request canceled"
"""What a node says of a distribution that was cancelled (controller-facts A0.4, A17)."""


def cancel_distribution(controller: Controller, distribution_id: str) -> None:
    """What is not done yet stays as far as it is. A pull that somebody else waits for goes on."""
    distribution = find_distribution(controller, distribution_id)
    for node_id, delivery in distribution.deliveries.items():
        if delivery.stage in (DeliveryStage.SENT, DeliveryStage.PULLING):
            delivery.progress_made = distribution.progress(controller, node_id)
            was_pulling = delivery.stage is DeliveryStage.PULLING
            _fail(controller, distribution, node_id, CANCELED_MESSAGE)
            if was_pulling and not _awaited(controller, node_id, distribution.ref):
                pulls.cancel_pull(controller, controller.nodes[node_id], distribution.ref)


def _awaited(controller: Controller, node_id: str, ref: VersionRef) -> bool:
    """Whether an instance or another distribution waits for that pull of the node."""
    instances = (controller.instances[id] for id in controller.nodes[node_id].occupants)
    return any(one.pulling and one.ref == ref for one in instances) or any(
        other.ref == ref and node_id in other.deliveries and other.deliveries[node_id].stage is DeliveryStage.PULLING
        for other in controller.distributions.values()
    )


def find_distribution(controller: Controller, distribution_id: str) -> Distribution:
    """The distribution with that id, or NotFound (a guess: the text is unknown)."""
    distribution = controller.distributions.get(distribution_id)
    if distribution is None:
        raise NotFound
    return distribution


def resume_deliveries(controller: Controller, node: Node) -> None:
    """The node is back: deliveries that came due while it was lost go on now."""
    for distribution in controller.distributions.values():
        delivery = distribution.deliveries.get(node.id)
        if delivery is not None and delivery.until is not None and delivery.until <= controller.now:
            controller.schedule(controller.now, delivery_stage_end(distribution, node.id))


def fail_deliveries_to(controller: Controller, node: Node) -> None:
    """The node is deleted: what it had not finished it never will."""
    for distribution in controller.distributions.values():
        delivery = distribution.deliveries.get(node.id)
        if delivery is not None and delivery.stage in (DeliveryStage.SENT, DeliveryStage.PULLING):
            delivery.progress_made = distribution.progress(controller, node.id)
            _fail(controller, distribution, node.id, f"node {node.name} was deleted")


def _fail(controller: Controller, distribution: Distribution, node_id: str, error: str) -> None:
    delivery = distribution.deliveries[node_id]
    delivery.stage = DeliveryStage.FAILED
    delivery.until = None
    delivery.error = error
    controller.record("distribution", distribution.id, node=node_id, stage=DeliveryStage.FAILED.value, error=error)
