"""Loads the workloads of a scenario: instances, distributions and save image requests, at rest or in progress."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

from mockanka.core import instances, lost_nodes, network, pulls, save_images, scripts, transitions, usb
from mockanka.core.controller import Controller
from mockanka.core.distributions import Delivery, DeliveryStage, Distribution, send_to_node
from mockanka.core.errors import Refusal
from mockanka.core.instance_record import Instance, StartRequest, TimelineEntry
from mockanka.core.lifecycle import ON_NODE_STATES, InstanceState
from mockanka.core.nodes import Node
from mockanka.core.save_images import SaveImage, SaveRequest
from mockanka.core.templates import VersionRef
from mockanka.core.vms import TakenPlaces, clone_vm
from mockanka.scenario.base import Origin
from mockanka.scenario.inventory import refuse_foreign_keys
from mockanka.scenario.references import InvalidScenario, References, refusals_at
from mockanka.scenario.sections import DistributionSection, InstanceSection, SaveImageSection, ScenarioSection
from mockanka.scenario.source import Path, nearest


class Workloads(ABC):
    """Puts instances and requests into a controller whose inventory is loaded."""

    origin: ClassVar[Origin]

    def __init__(self, controller: Controller) -> None:
        self.controller = controller
        self.references = References(controller)
        self._address_pool: network.AddressPool | None = None
        """The MAC addresses, once one is assigned: looking for those in use for each instance takes long."""

    @abstractmethod
    def resolve(self, look_up: Callable[[Path, str], str], path: Path, name: str) -> str:
        """Return the id of a node, a group or a template that may have been deleted meanwhile."""

    @abstractmethod
    def place_instance(self, path: Path, section: InstanceSection, instance: Instance, node: Node | None) -> None:
        """Bring an instance into the state that its section has."""

    @abstractmethod
    def start_delivery(self, distribution: Distribution, node_id: str) -> None:
        """Begin or continue what a distribution does on a node, if it is not done."""

    @abstractmethod
    def start_save(self, path: Path, section: SaveImageSection, request: SaveRequest) -> bool:
        """Begin a save image request that has no stage. Returns False if it is put into the controller as it is."""

    @abstractmethod
    def check_save(self, path: Path, save: SaveImage) -> None:
        """Raise InvalidScenario if a save image request cannot be in the stage that is written."""

    def check_instance(self, path: Path, section: InstanceSection) -> None:
        """Raise InvalidScenario if an instance cannot be as it is written."""
        refuse_foreign_keys(path, section, self.origin)
        if section.created is not None and section.created > self.controller.now:
            raise InvalidScenario((*path, "created"), "is later than the clock's start")

    def assign_mac_address(
        self, path: Path, section: InstanceSection, request: StartRequest, ref: VersionRef
    ) -> str | None:
        """Return the MAC address of an instance, from the controller if that manages addresses."""
        if not self.controller.mac_addresses:
            return request.mac_address
        if self._address_pool is None:
            self._address_pool = network.AddressPool(self.controller)
        try:
            (address,) = network.assign_mac_addresses(self.controller, request, ref, 1, self._address_pool)
        except Refusal as refusal:
            place = path if section.mac_address is None else (*path, "mac_address")
            raise InvalidScenario(place, str(refusal)) from None
        return address

    def load(self, scenario: ScenarioSection) -> None:
        """Put everything into the controller."""
        for index, instance in enumerate(scenario.instances):
            with refusals_at(("instances", index)):
                self._instances(("instances", index), instance)
        for index, distribution in enumerate(scenario.distributions):
            with refusals_at(("distributions", index)):
                self._distribution(("distributions", index), distribution)
        for index, save in enumerate(scenario.save_images):
            with refusals_at(("save_images", index)):
                self._save_image(("save_images", index), save)

    def _instances(self, path: Path, section: InstanceSection) -> None:
        self.check_instance(path, section)
        if section.id is not None and (section.count or 1) > 1:
            raise InvalidScenario((*path, "id"), "instances cannot share one id; leave out the id or the count")
        for _ in range(section.count or 1):
            self._instance(path, section)

    def _instance(self, path: Path, section: InstanceSection) -> None:
        controller = self.controller
        node_id = self._node_id((*path, "node"), section.node)
        instance = self._unplaced_instance(path, section, node_id)
        if instance.id in controller.instances:
            raise InvalidScenario((*path, "id"), f"there is another instance {instance.id}")
        controller.instances[instance.id] = instance
        instance.timeline.append(TimelineEntry(instance.state, instance.since, "scenario"))
        self.place_instance(path, section, instance, controller.nodes.get(node_id or ""))
        controller.mark_changed(instance)

    def _unplaced_instance(self, path: Path, section: InstanceSection, node_id: str | None) -> Instance:
        controller = self.controller
        ref = self.references.version(
            path, section.template, tag=section.tag, number=section.version, serial=section.serial
        )
        request = self._request(path, section, ref)
        id = section.id or controller.new_id("instance")
        if section.number is None and section.id is not None:
            controller.id_counters["instance"] = controller.id_counters.get("instance", 0) + 1
        created = controller.now if section.created is None else section.created
        values = {
            "number": controller.id_counters.get("instance", 0),
            "created": created,
            "since": created,
            "state": InstanceState.STARTED if node_id else InstanceState.SCHEDULING,
            **section.values(),
            "id": id,
            "inflight_id": section.inflight_id or controller.new_id("request"),
        }
        return Instance(**values, request=request, ref=ref, node_id=node_id)

    def _request(self, path: Path, section: InstanceSection, ref: VersionRef) -> StartRequest:
        ports = None if section.ports is None else tuple(rule.make() for rule in section.ports)
        request = StartRequest(
            template_id=ref.template_id,
            node_id=self._node_id((*path, "pinned_node"), section.pinned_node),
            group_id=self._group_id(path, section.group),
            ports=() if ports is None and section.own_ports is not None else ports,
            **section.values("request"),
        )
        if request.startup_script:
            try:
                scripts.require_valid_script(request.startup_script)
            except Refusal as refusal:
                raise InvalidScenario((*path, "startup_script"), str(refusal)) from None
        return replace(request, mac_address=self.assign_mac_address(path, section, request, ref))

    def _node_id(self, path: Path, name: str | None) -> str | None:
        return None if name is None else self.resolve(self.references.node, path, name)

    def _group_id(self, path: Path, name: str | None) -> str | None:
        return None if name is None else self.resolve(self.references.group, (*path, "group"), name)

    def _distribution(self, path: Path, section: DistributionSection) -> None:
        controller = self.controller
        ref = self.references.version(
            path, section.template, tag=section.tag, number=section.version, serial=section.serial
        )
        id = section.id or controller.new_id("distribution")
        distribution = Distribution(**{"requested": controller.now, **section.values(), "id": id, "ref": ref})
        for index, delivery in enumerate(section.deliveries or ()):
            node_id = self.resolve(self.references.node, (*path, "deliveries", index, "node"), delivery.node)
            distribution.deliveries[node_id] = Delivery(**{"until": None, **delivery.values()})
        controller.distributions[id] = distribution
        if section.deliveries is None:
            for node_id in self._targets(path, section):
                distribution.deliveries[node_id] = Delivery(DeliveryStage.SENT, None)
        for node_id in distribution.deliveries:
            self.start_delivery(distribution, node_id)

    def _targets(self, path: Path, section: DistributionSection) -> list[str]:
        """The nodes that are named, those of the group, or all."""
        group_id = self._group_id(path, section.group)
        named = [self.references.node((*path, "nodes", place), name) for place, name in enumerate(section.nodes)]
        return [
            node.id
            for node in self.controller.nodes.values()
            if node.id in named or (group_id in node.groups if group_id else not named)
        ]

    def _save_image(self, path: Path, section: SaveImageSection) -> None:
        controller = self.controller
        target = ""
        if section.template is not None:
            target = self.resolve(self.references.template, (*path, "template"), section.template)
        request = SaveRequest(template_id=target, **section.values("request"))
        if section.stage is None and self.start_save(path, section, request):
            return
        values = {"requested": controller.now, "vm_uuid": "", "node_id": "", **section.values()}
        id = section.id or controller.new_id("save")
        save = SaveImage(**{**values, "id": id}, request=request)
        self.check_save(path, save)
        save_images.add_save_image(controller, save)


class AuthoredWorkloads(Workloads):
    """Loads what somebody wrote: what is only named is brought into the state it is said to be in, if it can be."""

    origin = Origin.AUTHORED

    def __init__(self, controller: Controller) -> None:
        super().__init__(controller)
        self._taken: dict[str, TakenPlaces] = {}
        """Addresses and ports that the VMs of a node have, by its id: looking for them for each VM takes long."""

    def resolve(self, look_up: Callable[[Path, str], str], path: Path, name: str) -> str:
        """Return the id that the name stands for. Raises InvalidScenario if there is none."""
        return look_up(path, name)

    def place_instance(self, path: Path, section: InstanceSection, instance: Instance, node: Node | None) -> None:
        """Bring the instance into its state, and begin what it does there."""
        state = instance.state
        if state is InstanceState.PUSHING:
            raise InvalidScenario(
                (*path, "state"), "write it as Started, and a save image request for it under save_images"
            )
        if state is InstanceState.SCHEDULING and node:
            raise InvalidScenario(
                (*path, "node"), "an instance in Scheduling has no node yet; pinned_node binds it to one"
            )
        if state in ON_NODE_STATES and node is None:
            raise InvalidScenario((*path, "state"), f"an instance in {state} needs a node")
        instance.phase = 0 if state is InstanceState.SCHEDULING else 1
        if node and state not in (InstanceState.ERROR, InstanceState.TERMINATED):
            self._put_on_node(path, section, instance, node)
        instances.resume_phase(self.controller, instance)

    def _put_on_node(self, path: Path, section: InstanceSection, instance: Instance, node: Node) -> None:
        if node.is_offline(self.controller.now) and not lost_nodes.can_stay(self.controller, node, instance):
            raise InvalidScenario((*path, "node"), f"node {node.name} is Offline, so nothing on it is {instance.state}")
        if instance.state is not InstanceState.STOPPED:
            self._take_slot(path, instance, node)
        if instance.state is InstanceState.PULLING:
            self._begin_pull(path, instance, node)
            return
        node.cached.setdefault(instance.ref, self.controller.now)
        values: dict[str, Any] = {"created": instance.since, "started": instance.since}
        if instance.state is InstanceState.STOPPED:
            values["status"] = "stopped"
        if section.vm:
            values |= section.vm.values()
        if section.vm or not instance.holds_slot:  # its places are not those that the node would choose, or not taken
            self._taken.pop(node.id, None)
            instance.vm = replace(clone_vm(self.controller, instance, node), **values)
            return
        if node.id not in self._taken:
            self._taken[node.id] = TakenPlaces.find(self.controller, node)
        instance.vm = replace(clone_vm(self.controller, instance, node, self._taken[node.id]), **values)
        self._taken[node.id].add(instance.vm)

    def _begin_pull(self, path: Path, instance: Instance, node: Node) -> None:
        if node.pulls:
            raise InvalidScenario((*path, "node"), f"node {node.name} pulls for another instance, and takes no more")
        try:
            pull = pulls.begin_pull(self.controller, node, instance.ref, instance)
        except Refusal as refusal:
            raise InvalidScenario((*path, "node"), str(refusal)) from None
        if pull is None:
            raise InvalidScenario((*path, "state"), f"node {node.name} has that version cached, so nothing is pulled")

    def _take_slot(self, path: Path, instance: Instance, node: Node) -> None:
        if node.capacity_mode == "number" and len(node.occupants) >= node.capacity:
            raise InvalidScenario((*path, "node"), f"node {node.name} has only {node.capacity} slots")
        transitions.take_slot(self.controller, instance, node)
        if wanted := instance.request.usb_device:
            instance.usb = usb.find_free_device(self.controller, node, wanted)
            if instance.usb is None:
                raise InvalidScenario((*path, "usb_device"), f"node {node.name} has no free USB device {wanted!r}")

    def start_delivery(self, distribution: Distribution, node_id: str) -> None:
        """Send the version to the node, unless the delivery is over."""
        stage = distribution.deliveries[node_id].stage
        if stage in (DeliveryStage.SENT, DeliveryStage.PULLING) and node_id in self.controller.nodes:
            send_to_node(self.controller, distribution, node_id)

    def start_save(self, path: Path, section: SaveImageSection, request: SaveRequest) -> bool:
        """Ask the controller for the request, as a client would."""
        known = self.controller.instances
        if request.instance_id not in known:
            text = f"there is no instance {request.instance_id!r}: {nearest(request.instance_id, list(known))}"
            raise InvalidScenario((*path, "instance"), text)
        try:
            save_images.create_save_image(self.controller, request, section.id, section.requested)
        except Refusal as refusal:
            raise InvalidScenario(path, str(refusal)) from None
        return True

    def check_save(self, path: Path, save: SaveImage) -> None:
        """Refuse stages between the first and the last: what they need is not written."""
        if not save.is_finished:
            raise InvalidScenario(
                (*path, "stage"), "only done and error can be written here; leave it out to begin anew"
            )
