"""Distributions: templates that nodes pull ahead of time (controller-facts A15, A16, C11)."""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from mockanka.core import placement, pulls, templates
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
    """The stages of a delivery. The API shows only whether it is done, its progress and its error."""

    SENT = "sent"
    PULLING = "pulling"
    DONE = "done"
    FAILED = "failed"


@dataclass
class Delivery:
    """The part of a distribution that goes to one node.

    ``until`` is when its stage ends; None in the stage ``sent`` if the node is busy with other tasks.
    """

    stage: DeliveryStage
    until: int | None
    progress_made: float = 0.0
    error: str = ""
    planned_end: PlannedEnd | None = None
    """How its pull is going to fail."""


@dataclass
class Distribution:
    """A request to put a version on nodes, with a delivery for each by the node's id."""

    id: str
    requested: int
    ref: VersionRef
    deliveries: dict[str, Delivery] = field(default_factory=dict)

    def progress(self, controller: Controller, node_id: str) -> float:
        """Return the progress on a node, 0 to 1: that of its pull, and the last value after it."""
        delivery = self.deliveries[node_id]
        node = controller.nodes.get(node_id)
        pull = node.pulls.get(self.ref) if node and delivery.stage is DeliveryStage.PULLING else None
        return pull.progress(node.last_contact(controller.now)) if pull and node else delivery.progress_made


@dataclass(frozen=True, slots=True)
class _DeliveryEvent(NodeEvent):
    """The end of a stage of a delivery, reported by its node."""

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
        """Do what ``apply`` does, to the delivery."""
        raise NotImplementedError


class DeliveryTaken(_DeliveryEvent):
    """The node asks for work, and takes its task unless it is busy with others."""

    kind: ClassVar = "delivery_taken"

    def apply_to(self, controller: Controller, distribution: Distribution, delivery: Delivery) -> None:
        if placement.explain_busy(controller, controller.nodes[self.node_id]) is None:
            _take_delivery(controller, distribution, self.node_id)
        else:
            delivery.until = None
            await_node(controller, distribution, self.node_id)


def await_node(controller: Controller, distribution: Distribution, node_id: str) -> None:
    """Let a delivery wait until its node is not busy any more."""
    insort(controller.waiting_deliveries, _waiting_entry(distribution, node_id))


def take_waiting_deliveries(controller: Controller) -> None:
    """Let nodes that are not busy any more take the deliveries that wait for them, oldest first.

    Guess: that a distribution waits while its node is busy, and that the node takes it before it takes a start.
    """
    for entry in list(controller.waiting_deliveries):
        _, distribution_id, node_id = entry
        node = controller.nodes[node_id]
        if node.lost_at is None and placement.explain_busy(controller, node) is None:
            controller.waiting_deliveries.remove(entry)
            _take_delivery(controller, controller.distributions[distribution_id], node_id)


def _waiting_entry(distribution: Distribution, node_id: str) -> tuple[int, str, str]:
    return distribution.requested, distribution.id, node_id


def _take_delivery(controller: Controller, distribution: Distribution, node_id: str) -> None:
    """Let a node begin a delivery: it pulls the version, unless it has it already."""
    node, delivery = controller.nodes[node_id], distribution.deliveries[node_id]
    is_cached = pulls.is_cached(controller, node, distribution.ref)
    if not is_cached and not templates.is_in_registry(controller, distribution.ref):
        _fail_delivery(controller, distribution, node_id, str(NoSuchTemplate()))
        return
    hit = apply_rules(controller, "distribute", None, node, distribution.ref)
    if is_cached and hit.action.fail is not None:
        _fail_delivery(controller, distribution, node_id, hit.action.fail)
        return
    try:
        pull = pulls.begin_pull(controller, node, distribution.ref, None, hit if hit.rule_id else None)
    except (NodeDiskFull, RegistryDown) as refusal:
        # Guess: unlike an instance, a distribution does not wait for room on the disk or for the registry.
        _fail_delivery(controller, distribution, node_id, str(refusal))
        return
    delivery.stage = DeliveryStage.PULLING
    _schedule_pull_end(controller, distribution, node_id, pull)


def _schedule_pull_end(controller: Controller, distribution: Distribution, node_id: str, pull: Pull | None) -> None:
    """End the delivery when the node's pull ends, and in the same way; now, if there is nothing to pull."""
    delivery = distribution.deliveries[node_id]
    delivery.planned_end, delivery.until = None, controller.now
    if pull is not None:
        delivery.until = pull.expected_end
        if (failure := pull.failure) is not None:
            delivery.planned_end = PlannedEnd("fail", failure.message, pull.progress(failure.at))
    if delivery.until is not None:
        controller.schedule(
            delivery.until, DeliveryEnded(distribution.id, node_id, DeliveryStage.PULLING, delivery.until)
        )


def reschedule_pulling_deliveries(controller: Controller, node: Node, ref: VersionRef) -> None:
    """Reschedule the deliveries that wait for a pull of the node whose end has changed."""
    for distribution in controller.distributions.values():
        delivery = distribution.deliveries.get(node.id)
        if delivery is not None and delivery.stage is DeliveryStage.PULLING and distribution.ref == ref:
            _schedule_pull_end(controller, distribution, node.id, node.pulls[ref])


@dataclass(frozen=True, slots=True)
class DeliveryEnded(_DeliveryEvent):
    """The node has the whole version, or its pull has failed."""

    kind: ClassVar = "delivery_ended"

    until: int

    def is_current(self, controller: Controller) -> bool:
        if not _DeliveryEvent.is_current(self, controller):
            return False
        # The end of the pull may have changed since this event was scheduled.
        return controller.distributions[self.distribution_id].deliveries[self.node_id].until == self.until

    def apply_to(self, controller: Controller, distribution: Distribution, delivery: Delivery) -> None:
        if delivery.planned_end is not None:
            delivery.progress_made = delivery.planned_end.progress
            _fail_delivery(controller, distribution, self.node_id, delivery.planned_end.message)
            return
        delivery.stage = DeliveryStage.DONE
        delivery.until = None
        delivery.progress_made = 1.0
        controller.record("distribution", distribution.id, node=self.node_id, stage=DeliveryStage.DONE.value)


def delivery_stage_end_event(distribution: Distribution, node_id: str) -> NodeEvent:
    """Return the event that ends the stage of a delivery."""
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
    """Send a version to the nodes with those ids and those of a group, or to all nodes if neither is named.

    Raises NoSuchTemplate, NoSuchTag, NoSuchVersion, NoSuchNode, NoSuchGroup, NeedsLicense or RegistryDown. The
    distribution has a delivery for each of the nodes from the start (controller-facts A16). Nodes in a group, and all
    nodes, means those that are not Offline, before 1.33 not Unhealthy, and before 1.37 not in Drain Mode. Nodes named
    by id get their task in any state, and take it when they are back. The real controller gives up after a time that
    is unknown (since 1.6); here it never does.
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
        if node.id in node_ids or _is_default_target(controller, node, bool(node_ids), group_id):
            distribution.deliveries[node.id] = Delivery(DeliveryStage.SENT, None)
            send_to_node(controller, distribution, node.id)
    controller.record("distribution", distribution.id, template=template_id, nodes=list(distribution.deliveries))
    return distribution


def send_to_node(controller: Controller, distribution: Distribution, node_id: str) -> None:
    """Give a node its task, which it takes when it asks for work the next time and is not busy."""
    delivery = distribution.deliveries[node_id]
    wait = controller.timings.schedule.sample(draw(controller.seed, distribution.id, node_id))
    delivery.stage, delivery.until = DeliveryStage.SENT, controller.now + wait
    controller.schedule(delivery.until, delivery_stage_end_event(distribution, node_id))


def _is_default_target(controller: Controller, node: Node, others_named: bool, group_id: str | None) -> bool:
    """Return whether a distribution goes to a node that is not named by id."""
    state = node.state(controller.now)
    if state is NodeState.OFFLINE:
        return False
    if state is NodeState.UNHEALTHY and not controller.release.has("distribute-to-unhealthy"):
        return False
    if state is NodeState.DRAIN and not controller.release.has("distribute-to-draining"):
        return False
    return group_id in node.groups if group_id else not others_named


CANCELED_MESSAGE = "request canceled"
"""The error of a delivery whose distribution was cancelled (controller-facts A0.4, A17)."""


def cancel_distribution(controller: Controller, distribution_id: str) -> None:
    """Cancel the deliveries that are not done; they keep their progress. Raises NotFound.

    Their pulls are cancelled as well, unless an instance or another distribution waits for them.
    """
    distribution = find_distribution(controller, distribution_id)
    for node_id, delivery in distribution.deliveries.items():
        if delivery.stage in (DeliveryStage.SENT, DeliveryStage.PULLING):
            delivery.progress_made = distribution.progress(controller, node_id)
            was_pulling = delivery.stage is DeliveryStage.PULLING
            _fail_delivery(controller, distribution, node_id, CANCELED_MESSAGE)
            if was_pulling and not _is_pull_awaited(controller, node_id, distribution.ref):
                pulls.cancel_pull(controller, controller.nodes[node_id], distribution.ref)


def _is_pull_awaited(controller: Controller, node_id: str, ref: VersionRef) -> bool:
    """Return whether an instance or a distribution waits for a pull of the node, as they may in dumps and snapshots."""
    instances = (controller.instances[id] for id in controller.nodes[node_id].occupants)
    return any(instance.pulling and instance.ref == ref for instance in instances) or any(
        other.ref == ref and node_id in other.deliveries and other.deliveries[node_id].stage is DeliveryStage.PULLING
        for other in controller.distributions.values()
    )


def find_distribution(controller: Controller, distribution_id: str) -> Distribution:
    """Return the distribution with that id. Raises NotFound, whose text is a guess."""
    distribution = controller.distributions.get(distribution_id)
    if distribution is None:
        raise NotFound
    return distribution


def resume_deliveries(controller: Controller, node: Node) -> None:
    """Schedule for now the ends of stages that passed while the node was lost."""
    for distribution in controller.distributions.values():
        delivery = distribution.deliveries.get(node.id)
        if delivery is not None and delivery.until is not None and delivery.until <= controller.now:
            controller.schedule(controller.now, delivery_stage_end_event(distribution, node.id))


def fail_deliveries_to(controller: Controller, node: Node) -> None:
    """Fail the unfinished deliveries to a node that is deleted."""
    for distribution in controller.distributions.values():
        delivery = distribution.deliveries.get(node.id)
        if delivery is not None and delivery.stage in (DeliveryStage.SENT, DeliveryStage.PULLING):
            delivery.progress_made = distribution.progress(controller, node.id)
            _fail_delivery(controller, distribution, node.id, f"node {node.name} was deleted")


def _fail_delivery(controller: Controller, distribution: Distribution, node_id: str, error: str) -> None:
    delivery = distribution.deliveries[node_id]
    if (entry := _waiting_entry(distribution, node_id)) in controller.waiting_deliveries:
        controller.waiting_deliveries.remove(entry)
    delivery.stage = DeliveryStage.FAILED
    delivery.until = None
    delivery.error = error
    controller.record("distribution", distribution.id, node=node_id, stage=DeliveryStage.FAILED.value, error=error)
