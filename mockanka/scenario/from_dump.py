"""Loads dumps: everything is restored as it was, and nothing is begun that is not pending."""

from __future__ import annotations

from collections.abc import Callable

from mockanka.core import transitions
from mockanka.core.controller import Controller
from mockanka.core.distributions import DeliveryStage, Distribution, await_node
from mockanka.core.instance_record import Instance, StartRequest
from mockanka.core.lifecycle import InstanceState
from mockanka.core.nodes import AnkaVersion, Node
from mockanka.core.overrides import Overrides
from mockanka.core.polls import AwaitedPolls
from mockanka.core.save_images import SaveImage, SaveRequest
from mockanka.core.templates import VersionRef
from mockanka.scenario.base import Origin
from mockanka.scenario.inventory import Inventory, set_condition
from mockanka.scenario.pending import read_event, renamed
from mockanka.scenario.references import InvalidScenario
from mockanka.scenario.sections import InstanceSection, NodeSection, SaveImageSection, ScenarioSection, overrides_of
from mockanka.scenario.source import Path
from mockanka.scenario.workloads import Workloads


class DumpedInventory(Inventory):
    """Restores templates, nodes and groups."""

    origin = Origin.DUMP

    def set_state(self, path: Path, section: NodeSection, node: Node) -> None:
        """Restore the condition of a node, and when it was lost."""
        set_condition(self.controller, section, node)
        if section.lost is not None:
            node.lost_at = section.lost
            is_down = self.controller.down_until is not None  # then nodes are lost that are not missed yet
            node.timeout_at = self.controller.now if section.offline is None and not is_down else section.offline

    def overrides(self, section: NodeSection, node: Node) -> Overrides:
        """Return the overrides that the dump has."""
        return overrides_of(section.turns or ())

    def default_anka(self) -> AnkaVersion:
        """Return the Anka version that dumps leave out: the defaults of the record."""
        return AnkaVersion()

    def check_disk(self, path: Path, node: Node) -> None:
        """Take the disk as it is."""


class DumpedWorkloads(Workloads):
    """Restores instances, distributions and save image requests."""

    origin = Origin.DUMP

    def resolve(self, look_up: Callable[[Path, str], str], path: Path, name: str) -> str:
        """Return the name: a dump has ids, also of what has been deleted meanwhile."""
        return name

    def check_instance(self, path: Path, section: InstanceSection) -> None:
        """Take the instance as it is."""

    def assign_mac_address(
        self, path: Path, section: InstanceSection, request: StartRequest, ref: VersionRef
    ) -> str | None:
        """Return the address that the instance has."""
        return request.mac_address

    def place_instance(self, path: Path, section: InstanceSection, instance: Instance, node: Node | None) -> None:
        """Restore the VM, the slot with the USB device, and the place in the queue."""
        if section.vm:
            instance.vm = section.vm.make()
        if node and section.occupies:
            transitions.take_slot(self.controller, instance, node)
            location = section.usb_location
            instance.usb = next((device for device in node.usb if device.location == location), None)
        if instance.state is InstanceState.SCHEDULING and instance.ready and not instance.holds_slot:
            self.controller.enqueue(instance)

    def start_delivery(self, distribution: Distribution, node_id: str) -> None:
        """Let a delivery wait whose node is busy; what any other waits for is pending."""
        delivery = distribution.deliveries[node_id]
        waits = delivery.stage is DeliveryStage.SENT and delivery.until is None
        if waits and node_id in self.controller.nodes:  # a snapshot may have seen a delivery to a node that is gone
            await_node(self.controller, distribution, node_id)

    def start_save(self, path: Path, section: SaveImageSection, request: SaveRequest) -> bool:
        """Begin nothing: the request has been accepted before."""
        return False

    def check_save(self, path: Path, save: SaveImage) -> None:
        """Take the request as it is."""


def schedule_pending(controller: Controller, scenario: ScenarioSection) -> None:
    """Schedule the events of a dump. Raises InvalidScenario for those that are unknown."""
    for index, section in enumerate(scenario.pending or ()):
        try:
            event = read_event(renamed(section) if scenario.format is None else section)
        except ValueError as error:
            raise InvalidScenario(("pending", index, "event"), str(error)) from None
        if section.polls is not None and section.polled is not None:
            controller.awaited_polls.append(AwaitedPolls(section.polled, section.polls, event))
        else:
            controller.schedule(section.at, event)
