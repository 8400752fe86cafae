"""Loads snapshots: everything is placed where it was observed, and what was in progress goes on."""

from __future__ import annotations

from collections.abc import Callable

from mockanka.core import distributions, instances, pulls, transitions, usb
from mockanka.core.distributions import DeliveryStage, Distribution
from mockanka.core.instance_record import Instance
from mockanka.core.lifecycle import SLOT_STATES, InstanceState, NodeState
from mockanka.core.nodes import Node, NodeTimedOut
from mockanka.core.save_images import SaveImage, SaveRequest
from mockanka.scenario.base import Origin
from mockanka.scenario.inventory import AuthoredInventory
from mockanka.scenario.references import InvalidScenario
from mockanka.scenario.sections import InstanceSection, NodeSection, SaveImageSection
from mockanka.scenario.source import Path
from mockanka.scenario.workloads import AuthoredWorkloads


class ObservedInventory(AuthoredInventory):
    """Loads templates, nodes and groups as they were observed."""

    origin = Origin.SNAPSHOT

    def set_state(self, path: Path, section: NodeSection, node: Node) -> None:
        """Set the state that was observed. A node that is lost and not yet Offline will be."""
        super().set_state(path, section, node)
        if section.lost is None or section.state is NodeState.OFFLINE:
            return
        controller = self.controller
        node.lost_at = min(controller.now, section.lost)
        node.timeout_at = max(
            controller.now + controller.timings.heartbeat, node.lost_at + controller.timings.node_timeout
        )
        controller.schedule(node.timeout_at, NodeTimedOut(node.id, node.timeout_at))

    def check_disk(self, path: Path, node: Node) -> None:
        """Take the disk as it is."""


class ObservedWorkloads(AuthoredWorkloads):
    """Loads instances, distributions and save image requests as they were observed."""

    origin = Origin.SNAPSHOT

    def resolve(self, look_up: Callable[[Path, str], str], path: Path, name: str) -> str:
        """Return the id that the name stands for; what has been deleted meanwhile has its id for a name."""
        try:
            return look_up(path, name)
        except InvalidScenario:
            return name

    def place_instance(self, path: Path, section: InstanceSection, instance: Instance, node: Node | None) -> None:
        """Put an instance where it was observed, without asking for slots, devices or room on the disk."""
        controller = self.controller
        is_new = instance.state is InstanceState.SCHEDULING and node is None and section.since is None
        # A new instance that nothing has happened to shows no time of its own.
        instance.phase = 0 if is_new else 1
        if section.vm:
            instance.vm = section.vm.make()
        if node is not None and (instance.state in SLOT_STATES or section.occupies):
            transitions.take_slot(controller, instance, node)
            if instance.request.usb_device:
                instance.usb = usb.find_free_device(controller, node, instance.request.usb_device)
        starting = instance.holds_slot and instance.state in (InstanceState.SCHEDULING, InstanceState.PULLING)
        pulled = 1.0 if instance.state is InstanceState.SCHEDULING else instance.progress_made
        if starting and node and (pulled >= 1 or pulls.continue_pull(controller, node, instance.ref, pulled) is None):
            instances.boot_vm(controller, instance, node)
        else:
            instances.resume_phase(controller, instance)

    def start_delivery(self, distribution: Distribution, node_id: str) -> None:
        """Continue the pull that was observed, or send the version to the node."""
        node = self.controller.nodes.get(node_id)
        delivery = distribution.deliveries[node_id]
        if (
            node is not None
            and delivery.stage is DeliveryStage.PULLING
            and pulls.continue_pull(self.controller, node, distribution.ref, delivery.progress_made) is not None
        ):
            distributions.reschedule_pulling_deliveries(self.controller, node, distribution.ref)
        else:
            super().start_delivery(distribution, node_id)

    def start_save(self, path: Path, section: SaveImageSection, request: SaveRequest) -> bool:
        """Begin the request if that is possible. One that has nothing to begin with waits for ever."""
        instance = self.controller.instances.get(request.instance_id)
        since = instance.since if instance else 0
        try:
            super().start_save(path, section, request)
        except InvalidScenario:
            return False
        if instance:
            instance.since = since
        return True

    def check_save(self, path: Path, save: SaveImage) -> None:
        """Take the request as it is."""
