"""The life of a scenario: instances, distributions and save image requests, at rest or in flight."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

from mockanka.core import distributions, instances, network, pulls, save_images, scripts, transitions, usb
from mockanka.core.controller import Controller
from mockanka.core.distributions import Delivery, DeliveryStage, Distribution, send_to_node
from mockanka.core.errors import Refusal
from mockanka.core.instance_record import Instance, PlannedEnd, Stall, StartRequest, TimelineEntry
from mockanka.core.lifecycle import ON_NODE_STATES, InstanceState
from mockanka.core.nodes import Node
from mockanka.core.save_images import SaveError, SaveImage, SaveRequest, SaveStage
from mockanka.core.scripts import ScriptResult
from mockanka.core.templates import PortRule
from mockanka.core.vms import clone_vm
from mockanka.scenario import from_snapshot
from mockanka.scenario.references import InvalidScenario, References, refuse_dump_keys
from mockanka.scenario.source import Path, nearest

Data = Mapping[str, Any]
SAID_OTHERWISE = ("template_id", "node_id", "group_id", "ports")
REQUEST_KEYS = [each.name for each in fields(StartRequest) if each.name not in SAID_OTHERWISE]
SAVE_KEYS = [each.name for each in fields(SaveRequest) if each.name not in ("instance_id", "template_id")]
IN_A_SNAPSHOT = frozenset("serial inflight_id since occupies script".split())
IN_A_DUMP = IN_A_SNAPSHOT | frozenset(
    (
        "number reported until step ready booting usb_location restarting save_image own_ports "
        "fate held lacks lacks_for hidden failed_on"
    ).split()
)


class Workloads:
    """Puts instances and requests into a controller whose land is laid out.

    In a dump everything stands there, and nothing is begun that is not written; otherwise what is only named is
    brought into the state it is said to be in, which that of a snapshot is without being asked whether it can be.
    """

    def __init__(self, controller: Controller, is_dump: bool, is_seen: bool = False) -> None:
        self.controller = controller
        self.names = References(controller)
        self.is_dump, self.is_seen = is_dump, is_seen

    def begin(self, data: Data) -> None:
        for index, item in enumerate(data.get("instances", [])):
            self._instances(("instances", index), item)
        for index, item in enumerate(data.get("distributions", [])):
            self._distribution(("distributions", index), item)
        for index, item in enumerate(data.get("save_images", [])):
            self._save_image(("save_images", index), item)

    def _instances(self, path: Path, item: Data) -> None:
        if not self.is_dump:
            refuse_dump_keys(path, item, IN_A_DUMP - IN_A_SNAPSHOT if self.is_seen else IN_A_DUMP)
            if item.get("created", 0) > self.controller.now:
                raise InvalidScenario((*path, "created"), "is later than the clock's start")
        if "id" in item and item.get("count", 1) > 1:
            raise InvalidScenario((*path, "id"), "instances cannot share one id; leave out the id or the count")
        for _ in range(item.get("count", 1)):
            self._instance(path, item)

    def _instance(self, path: Path, item: Data) -> None:
        controller = self.controller
        # In a dump the node may have been deleted meanwhile.
        node_id = self._named_node(path, item, "node")
        node = controller.nodes.get(node_id or "")
        one = self._bare_instance(path, item, node_id)
        if one.id in controller.instances:
            raise InvalidScenario((*path, "id"), f"there is another instance {one.id}")
        controller.instances[one.id] = one
        one.timeline.append(TimelineEntry(one.state, one.since, "scenario"))
        if self.is_dump:
            self._restore_instance(item, one, node)
        elif self.is_seen:
            from_snapshot.place(controller, item, one, node)
        else:
            self._place_instance(path, item, one, node)
        controller.mark_changed(one)

    def _bare_instance(self, path: Path, item: Data, node_id: str | None) -> Instance:
        controller = self.controller
        ref = self.names.ref(path, item)
        request = StartRequest(
            template_id=ref.template_id,
            node_id=self._named_node(path, item, "pinned_node"),
            group_id=self._wanted_group(path, item),
            ports=_ports(item),
            **{key: item[key] for key in REQUEST_KEYS if key in item},
        )
        if request.startup_script:
            try:
                scripts.require_valid_script(request.startup_script)
            except Refusal as wrong:
                raise InvalidScenario((*path, "startup_script"), str(wrong)) from None
        if controller.mac_addresses and not self.is_dump:
            try:
                (address,) = network.assign_mac_addresses(controller, request, ref, 1)
            except Refusal as wrong:
                raise InvalidScenario((*path, "mac_address") if "mac_address" in item else path, str(wrong)) from None
            request = replace(request, mac_address=address)
        id = item.get("id") or controller.new_id("instance")
        if "number" not in item and "id" in item:
            controller.id_counters["instance"] = controller.id_counters.get("instance", 0) + 1
        created = item.get("created", controller.now)
        return Instance(
            id=id,
            number=item.get("number", controller.id_counters.get("instance", 0)),
            request=request,
            ref=ref,
            created=created,
            inflight_id=item.get("inflight_id") or controller.new_id("request"),
            since=item.get("since", created),
            last_report=item.get("reported", 0),
            state=InstanceState(item.get("state", InstanceState.STARTED if node_id else InstanceState.SCHEDULING)),
            node_id=node_id,
            message=item.get("message", ""),
            progress_made=item.get("progress", 0.0),
        )

    def _named_node(self, path: Path, item: Data, key: str) -> str | None:
        if key not in item or self.is_dump:
            return item.get(key)
        return self._known(self.names.node, (*path, key), item[key])

    def _wanted_group(self, path: Path, item: Data) -> str | None:
        if "group" not in item or self.is_dump:
            return item.get("group")
        return self._known(self.names.group, (*path, "group"), item["group"])

    def _known(self, look_up: Callable[[Path, str], str], path: Path, name: str) -> str:
        """The id of what is named; in a snapshot it may be gone, and has its id for a name."""
        try:
            return look_up(path, name)
        except InvalidScenario:
            if self.is_seen:
                return name
            raise

    def _restore_instance(self, item: Data, one: Instance, node: Node | None) -> None:
        """In a dump everything stands there."""
        one.until, one.phase, one.save_id = item.get("until"), item.get("step", 0), item.get("save_image")
        one.ready, one.booting = item.get("ready", False), item.get("booting", False)
        if "vm" in item:
            one.vm = from_snapshot.vm(item["vm"])
        one.script = ScriptResult(**item["script"]) if "script" in item else None
        one.restarting_until = item.get("restarting")
        one.planned_end = PlannedEnd(**item["fate"]) if "fate" in item else None
        one.stall = Stall(**item["held"]) if "held" in item else None
        one.unreported, one.unreported_for = tuple(item.get("lacks", ())), item.get("lacks_for")
        one.hidden, one.failed_on = item.get("hidden", False), tuple(item.get("failed_on", ()))
        if node and item.get("occupies"):
            transitions.take_slot(self.controller, one, node)
            location = item.get("usb_location")
            one.usb = next((device for device in node.usb if device.location == location), None)
        if one.state is InstanceState.SCHEDULING and one.ready and not one.holds_slot:
            self.controller.enqueue(one)

    def _place_instance(self, path: Path, item: Data, one: Instance, node: Node | None) -> None:
        """Bring an instance that was only named into the state it is said to be in."""
        controller = self.controller
        if one.state is InstanceState.PUSHING:
            raise InvalidScenario(
                (*path, "state"), "write it as Started, and a save image request for it under save_images"
            )
        if one.state is InstanceState.SCHEDULING and node:
            raise InvalidScenario(
                (*path, "node"), "an instance in Scheduling has no node yet; pinned_node binds it to one"
            )
        if one.state in ON_NODE_STATES and node is None:
            raise InvalidScenario((*path, "state"), f"an instance in {one.state} needs a node")
        one.phase = 0 if one.state is InstanceState.SCHEDULING else 1
        if node and one.state not in (InstanceState.ERROR, InstanceState.TERMINATED):
            self._put_on_node(path, item, one, node)
        instances.resume_phase(controller, one)

    def _put_on_node(self, path: Path, item: Data, one: Instance, node: Node) -> None:
        if node.is_offline(self.controller.now):
            raise InvalidScenario((*path, "node"), f"node {node.name} is Offline, so what was on it is in Error")
        if one.state is not InstanceState.STOPPED:
            if node.capacity_mode == "number" and len(node.occupants) >= node.capacity:
                raise InvalidScenario((*path, "node"), f"node {node.name} has only {node.capacity} slots")
            transitions.take_slot(self.controller, one, node)
            if wanted := one.request.usb_device:
                one.usb = usb.find_free_device(self.controller, node, wanted)
                if one.usb is None:
                    raise InvalidScenario((*path, "usb_device"), f"node {node.name} has no free USB device {wanted!r}")
        if one.state is InstanceState.PULLING:
            if pulls.begin_pull(self.controller, node, one.ref, one) is None:
                raise InvalidScenario(
                    (*path, "state"), f"node {node.name} has that version cached, so nothing is pulled"
                )
            return
        node.cached.setdefault(one.ref, self.controller.now)
        given = item.get("vm", {})
        since = {"created": one.since, "started": one.since}
        one.vm = replace(clone_vm(self.controller, one, node), **{**since, **from_snapshot.vm_changes(given)})
        if one.state is InstanceState.STOPPED:
            one.vm = replace(one.vm, status=given.get("status", "stopped"))

    def _distribution(self, path: Path, item: Data) -> None:
        controller = self.controller
        ref = self.names.ref(path, item)
        id = item.get("id") or controller.new_id("distribution")
        made = Distribution(id, item.get("requested", controller.now), ref)
        for index, given in enumerate(item.get("deliveries", [])):
            place = (*path, "deliveries", index, "node")
            node_id = given["node"] if self.is_dump else self._known(self.names.node, place, given["node"])
            stage = DeliveryStage(given["stage"])
            made.deliveries[node_id] = Delivery(
                stage, given.get("until"), given.get("progress", 0.0), given.get("error", "")
            )
            if "fate" in given:
                made.deliveries[node_id].planned_end = PlannedEnd(**given["fate"])
        controller.distributions[id] = made
        if "deliveries" not in item:
            group = self._wanted_group(path, item)
            named = [self.names.node((*path, "nodes", i), name) for i, name in enumerate(item.get("nodes", []))]
            for node in controller.nodes.values():
                if node.id in named or (group in node.groups if group else not named):
                    made.deliveries[node.id] = Delivery(DeliveryStage.SENT, None)
        if not self.is_dump:
            for node_id, delivery in made.deliveries.items():
                if self.is_seen and from_snapshot.is_pulling(controller, made, node_id):
                    distributions.reschedule_pulling_deliveries(controller, controller.nodes[node_id], ref)
                elif delivery.stage in (DeliveryStage.SENT, DeliveryStage.PULLING) and node_id in controller.nodes:
                    send_to_node(controller, made, node_id)

    def _save_image(self, path: Path, item: Data) -> None:
        controller = self.controller
        request = SaveRequest(
            instance_id=item["instance"],
            template_id=item.get("template", "") if self.is_dump else self._save_target(path, item),
            **{key: item[key] for key in SAVE_KEYS if key in item},
        )
        if "stage" not in item and not self.is_dump and self._begin_save(path, item, request):
            return
        made = SaveImage(
            id=item.get("id") or controller.new_id("save"),
            requested=item.get("requested", controller.now),
            request=request,
            vm_uuid=item.get("vm_uuid", ""),
            node_id=item.get("node", ""),
            stage=SaveStage(item.get("stage", SaveStage.WAITING)),
            until=item.get("until"),
            error=SaveError(**{"type": None, "code": None, **item["error"]}) if "error" in item else None,
            script_result=ScriptResult(**item["script_result"]) if "script_result" in item else None,
            fails=item.get("fails"),
            stall=Stall(**item["held"]) if "held" in item else None,
        )
        if not (self.is_dump or self.is_seen or made.is_finished):
            raise InvalidScenario(
                (*path, "stage"), "only done and error can be written here; leave it out to begin anew"
            )
        controller.save_images[made.id] = made

    def _save_target(self, path: Path, item: Data) -> str:
        if "template" not in item:
            return ""
        return self._known(self.names.template, (*path, "template"), item["template"])

    def _begin_save(self, path: Path, item: Data, request: SaveRequest) -> bool:
        """Whether the request has begun. That of a snapshot may have nothing to begin with, and waits for ever."""
        one = self.controller.instances.get(request.instance_id)
        since = one.since if one else 0
        try:
            self._create_save(path, item, request)
        except InvalidScenario:
            if self.is_seen:
                return False
            raise
        if one and self.is_seen:
            one.since = since
        return True

    def _create_save(self, path: Path, item: Data, request: SaveRequest) -> None:
        if request.instance_id not in self.controller.instances:
            known = list(self.controller.instances)
            text = f"there is no instance {request.instance_id!r}: {nearest(request.instance_id, known)}"
            raise InvalidScenario((*path, "instance"), text)
        try:
            save_images.create_save_image(self.controller, request, item.get("id"), item.get("requested"))
        except Refusal as wrong:
            raise InvalidScenario(path, str(wrong)) from None


def _ports(item: Data) -> tuple[PortRule, ...] | None:
    """Rules in place of the template's, which may be none at all."""
    return tuple(PortRule(**rule) for rule in item.get("ports", ())) if "ports" in item or "own_ports" in item else None
