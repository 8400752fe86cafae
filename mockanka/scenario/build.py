"""A validated scenario turned into a controller that is already living."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mockanka.core import chance, instance, pull, save_image, template, usb
from mockanka.core.clock import MODES, Clock, system_time
from mockanka.core.controller import Controller
from mockanka.core.distribution import Delivery, Distribution
from mockanka.core.distribution import Stage as DeliveryStage
from mockanka.core.distribution import stage_end as delivery_end
from mockanka.core.errors import Refusal
from mockanka.core.group import Group
from mockanka.core.lifecycle import NodeState, State
from mockanka.core.node import AnkaVersion, Node
from mockanka.core.release import DEFAULT
from mockanka.core.save_image import SaveError, SaveImage, SaveRequest
from mockanka.core.save_image import Stage as SaveStage
from mockanka.core.script import ScriptResult, ScriptRule
from mockanka.core.template import File, PortRule, Ref, Template, Version
from mockanka.core.timing import SECOND, Timings
from mockanka.core.usb import UsbDevice
from mockanka.scenario import events
from mockanka.scenario.options import Options
from mockanka.scenario.reading import Path, Problem, nearest
from mockanka.units import parse_moment

Data = Mapping[str, Any]
START = parse_moment("2024-01-01T00:00:00Z")
STEP = 5 * SECOND
REQUEST_KEYS = (
    "tag",
    "version",
    "name",
    "external_id",
    "priority",
    "usb_device",
    "vcpu",
    "vram",
    "startup_script",
    "startup_script_condition",
    "name_template",
    "metadata",
)
SAVE_KEYS = (
    "tag",
    "description",
    "new_template_name",
    "suspend",
    "script",
    "revert_before_push",
    "revert_tag",
    "do_suspend_sanity_test",
)
ON_NODE = (State.PULLING, State.STARTED, State.STOPPING, State.STOPPED)


class Broken(Exception):
    """Something in the scenario does not fit together."""

    def __init__(self, path: Path, text: str) -> None:
        super().__init__(text)
        self.problem = Problem(path, text)


def build(data: Data, options: Options) -> Controller:
    """The controller a scenario describes; what the options give beats it. Raises Broken."""
    return _Builder(data, options).build()


class _Builder:
    def __init__(self, data: Data, options: Options) -> None:
        self.data = data
        self.is_dump = "pending" in data
        head = data.get("controller", {})
        self.controller = Controller(
            clock=_clock(data.get("clock", {}), options),
            seed=options.seed if options.seed is not None else data.get("seed", 0),
            release=options.release or head.get("release", DEFAULT),
            timings=Timings(**data.get("timings", {})),
            scripts=tuple(ScriptRule(**rule) for rule in data.get("scripts", [])),
            **{key: head[key] for key in ("license", "registry", "saved_size") if key in head},
        )

    def build(self) -> Controller:
        for index, item in enumerate(self.data.get("templates", [])):
            self._template(("templates", index), item)
        for index, item in enumerate(self.data.get("nodes", [])):
            self._nodes(("nodes", index), item)
        self._groups()
        for index, item in enumerate(self.data.get("nodes", [])):
            self._memberships(("nodes", index), item)
        self.controller.minted.update(self.data.get("counters", {}))
        for index, item in enumerate(self.data.get("instances", [])):
            self._instances(("instances", index), item)
        for index, item in enumerate(self.data.get("distributions", [])):
            self._distribution(("distributions", index), item)
        for index, item in enumerate(self.data.get("save_images", [])):
            self._save_image(("save_images", index), item)
        if self.is_dump:
            self.controller.placement_due = self.data.get("placement_due", False)
            self._pending()
        return self.controller

    # What the registry has.

    def _template(self, path: Path, item: Data) -> None:
        seed, same = self.controller.seed, sum(t.name == item["name"] for t in self.controller.templates.values())
        id = item.get("id") or chance.mac_id(seed, "template", item["name"], *([same] if same else []))
        if id in self.controller.templates:
            raise Broken((*path, "id"), f"there is another template {id}")
        made = Template(id, item["name"], port_forwarding=_rules(item.get("port_forwarding", [])))
        _set(made, item, "cpus", "ram", "arch", "deleted")
        for index, version in enumerate(item.get("versions", [])):
            made.history.append(self._version((*path, "versions", index), made, version))
        self.controller.templates[id] = made

    def _version(self, path: Path, of: Template, item: Data) -> Version:
        serial, seed = len(of.history), self.controller.seed
        if "images" in item and "size" in item:
            raise Broken((*path, "size"), "give either the size of the layer, or all images, not both")
        if "images" in item:
            images = tuple(File(**file) for file in item["images"])
        else:
            layer = File(chance.file_name(seed, of.id, serial, "image"), item.get("size", 0))
            below = of.versions[-1].images if of.versions else ()
            images = (layer, *below)
        states = tuple(File(**file) for file in item.get("state_files", []))
        if "state_size" in item:
            states = (*states, File(chance.file_name(seed, of.id, serial, "state"), item["state_size"]))
        number = item.get("number", of.next_number())
        if not item.get("deleted") and of.versions and number <= of.versions[-1].number:
            raise Broken((*path, "number"), f"{number} does not come after {of.versions[-1].number}")
        ports = _rules(item["port_forwarding"]) if "port_forwarding" in item or item.get("own_ports") else None
        return Version(
            number=number,
            tag=item["tag"],
            images=images,
            description=item.get("description", ""),
            state_files=states,
            port_forwarding=ports,
            deleted=item.get("deleted", False),
        )

    def _template_id(self, path: Path, name: str) -> str:
        templates = self.controller.templates
        found = [each.id for each in templates.values() if each.name == name and not each.deleted]
        return self._one(path, name, "template", templates, found, [each.name for each in templates.values()])

    def _ref(self, path: Path, item: Data) -> Ref:
        """The version an item names: by serial in a dump, else by tag, by number, or the latest."""
        id = self._template_id((*path, "template"), item["template"])
        of = self.controller.templates[id]
        if "serial" in item:
            if item["serial"] >= len(of.history):
                raise Broken((*path, "serial"), f"template {of.name} has no version of serial {item['serial']}")
            return Ref(id, item["serial"])
        for key, known in (("tag", [v.tag for v in of.versions]), ("version", [str(v.number) for v in of.versions])):
            if key in item and str(item[key]) not in known:
                raise Broken((*path, key), f"template {of.name} has no {key} {item[key]}: {nearest(item[key], known)}")
        if not of.versions:
            raise Broken((*path, "template"), f"template {of.name} has no versions")
        return template.resolve(self.controller, id, item.get("tag"), item.get("version"))

    def _cached_ref(self, path: Path, item: Data) -> Ref:
        if "template" in item:
            return self._ref(path, item)
        written = item.get("version", "")
        # Names and tags may both contain colons: the template whose whole name stands in front decides.
        for each in sorted(self.controller.templates.values(), key=lambda t: len(t.name), reverse=True):
            for name in (each.name, each.id):
                if written == name:
                    return self._ref(path, {"template": each.id})
                if written.startswith(f"{name}:"):
                    return self._ref(path, {"template": each.id, "tag": written[len(name) + 1 :]})
        names = [f"{t.name}:{v.tag}" for t in self.controller.templates.values() for v in t.versions]
        raise Broken(path, f"there is no {written!r}: {nearest(written, names)}")

    # Nodes and groups.

    def _nodes(self, path: Path, item: Data) -> None:
        count = item.get("count", 1)
        for n in range(1, count + 1):
            try:
                name = item["name"].format(n=n) if "count" in item else item["name"]
                ip = item["ip"].format(n=n) if "count" in item and "ip" in item else item.get("ip")
            except (IndexError, KeyError, ValueError):
                raise Broken((*path, "name"), "the place for the number is written {n} or {n:02}") from None
            if count > 1 and ("id" in item or name == item["name"]):
                what = "id" if "id" in item else "name"
                raise Broken((*path, what), f"{count} nodes cannot share one {what}; write the number as {{n}}")
            self._node(path, item, name, ip)

    def _node(self, path: Path, item: Data, name: str, ip: str | None) -> None:
        nodes, number = self.controller.nodes, len(self.controller.nodes) + 1
        same = sum(node.name == name for node in nodes.values())
        id = item.get("id") or chance.mac_id(self.controller.seed, "node", name, *([same] if same else []))
        if id in nodes:
            raise Broken((*path, "id"), f"there is another node {id}")
        devices = [
            UsbDevice(device["name"], device.get("location") or self._location(id, index))
            for index, device in enumerate(item.get("usb", []))
        ]
        node = Node(id, name, f"10.0.{number // 250}.{number % 250 + 1}" if ip is None else ip, usb=tuple(devices))
        _set(node, item, "cpus", "ram", "capacity", "capacity_mode", "vcpu_override", "ram_override", "central_logging")
        _set(node, item, disk_size="disk", disk_other="disk_other")
        node.anka = AnkaVersion(**item.get("anka", {}))
        state = NodeState(item.get("state", NodeState.ACTIVE))
        now = self.controller.now
        if "lost" in item:
            node.lost_at, node.timeout_at = item["lost"], item.get("offline", now)
        elif state is NodeState.OFFLINE:
            node.lost_at, node.timeout_at = now - self.controller.timings.node_timeout, now
        node.condition = NodeState.ACTIVE if state is NodeState.OFFLINE else state
        for index, cached in enumerate(item.get("cached", [])):
            node.cached[self._cached_ref((*path, "cached", index), cached)] = cached.get("used", now)
        for index, running in enumerate(item.get("pulls", [])):
            ref = self._ref((*path, "pulls", index), running)
            files = tuple(File(**file) for file in running["files"])
            node.pulls[ref] = pull.Pull(ref, running["started"], running["ends"], files)
        over = pull.disk_used(self.controller, node, now) + node.disk_other - node.disk_size
        if over > 0 and not self.is_dump:
            raise Broken((*path, "disk"), f"too small by {over} bytes for what is cached and disk_other")
        nodes[id] = node

    def _location(self, node_id: str, index: int) -> str:
        return str(int(chance.draw(self.controller.seed, node_id, f"usb {index}") * 900_000_000) + 100_000_000)

    def _node_id(self, path: Path, name: str) -> str:
        nodes = self.controller.nodes
        found = [node.id for node in nodes.values() if node.name == name]
        return self._one(path, name, "node", nodes, found, [node.name for node in nodes.values()])

    def _groups(self) -> None:
        groups = self.controller.groups
        items = list(enumerate(self.data.get("groups", [])))
        for index, item in items:
            same = sum(group.name == item["name"] for group in groups.values()) + 1
            id = item.get("id") or chance.controller_id(self.controller.seed, f"group {item['name']}", same)
            if id in groups:
                raise Broken(("groups", index, "id"), f"there is another group {id}")
            groups[id] = Group(id, item["name"], item.get("description", ""))
        for (index, item), group in zip(items, list(groups.values()), strict=True):
            path: Path = ("groups", index)
            if "fallback" in item:
                group.fallback_id = self._group_id((*path, "fallback"), item["fallback"])
            for place, name in enumerate(item.get("nodes", [])):
                node = self.controller.nodes[self._node_id((*path, "nodes", place), name)]
                if group.id not in node.groups:
                    node.groups.append(group.id)

    def _memberships(self, path: Path, item: Data) -> None:
        if "groups" in item:
            ids = [self._group_id((*path, "groups", place), name) for place, name in enumerate(item["groups"])]
            name = item["name"]
            for node in self.controller.nodes.values():
                if node.id == item.get("id") or ("id" not in item and node.name == name):
                    node.groups = [*dict.fromkeys([*node.groups, *ids])]

    def _group_id(self, path: Path, name: str) -> str:
        groups = self.controller.groups
        found = [group.id for group in groups.values() if group.name == name]
        return self._one(path, name, "group", groups, found, [group.name for group in groups.values()])

    def _one(
        self, path: Path, name: str, what: str, by_id: Mapping[str, object], found: list[str], names: list[str]
    ) -> str:
        if name in by_id:
            return name
        if not found:
            raise Broken(path, f"there is no {what} {name!r}: {nearest(name, names)}")
        if len(found) > 1:
            raise Broken(path, f"there is more than one {what} {name!r}: name it by its id, {' or '.join(found)}")
        return found[0]

    # Instances.

    def _instances(self, path: Path, item: Data) -> None:
        if "id" in item and item.get("count", 1) > 1:
            raise Broken((*path, "id"), "instances cannot share one id; leave out the id or the count")
        for _ in range(item.get("count", 1)):
            self._instance(path, item)

    def _instance(self, path: Path, item: Data) -> None:
        controller = self.controller
        node = controller.nodes[self._node_id((*path, "node"), item["node"])] if "node" in item else None
        one = self._bare_instance(path, item, node.id if node else None)
        if one.id in controller.instances:
            raise Broken((*path, "id"), f"there is another instance {one.id}")
        controller.instances[one.id] = one
        if self.is_dump:
            self._restore_instance(item, one, node)
        else:
            self._place_instance(path, item, one, node)
        controller.touch(one)

    def _bare_instance(self, path: Path, item: Data, node_id: str | None) -> instance.Instance:
        controller = self.controller
        ref = self._ref(path, item)
        request = instance.StartRequest(
            template_id=ref.template_id,
            node_id=self._pinned(path, item),
            group_id=self._wanted_group(path, item),
            **{key: item[key] for key in REQUEST_KEYS if key in item},
        )
        id = item.get("id") or controller.mint("instance")
        if "number" not in item and "id" in item:
            controller.minted["instance"] = controller.minted.get("instance", 0) + 1
        created = item.get("created", controller.now)
        return instance.Instance(
            id=id,
            number=item.get("number", controller.minted.get("instance", 0)),
            request=request,
            ref=ref,
            created=created,
            inflight_id=item.get("inflight_id") or controller.mint("request"),
            since=item.get("since", created),
            state=State(item.get("state", State.STARTED if node_id else State.SCHEDULING)),
            node_id=node_id,
            message=item.get("message", ""),
            progress_made=item.get("progress", 0.0),
        )

    def _pinned(self, path: Path, item: Data) -> str | None:
        if "pinned_node" not in item or self.is_dump:
            return item.get("pinned_node")
        return self._node_id((*path, "pinned_node"), item["pinned_node"])

    def _wanted_group(self, path: Path, item: Data) -> str | None:
        if "group" not in item or self.is_dump:
            return item.get("group")
        return self._group_id((*path, "group"), item["group"])

    def _restore_instance(self, item: Data, one: instance.Instance, node: Node | None) -> None:
        """In a dump everything stands there; a node that was deleted meanwhile may be missing."""
        one.until, one.step, one.save_id = item.get("until"), item.get("step", 0), item.get("save_image")
        one.ready, one.booting = item.get("ready", False), item.get("booting", False)
        if "vm" in item:
            one.vm = _vm(item["vm"])
        if node and item.get("occupies"):
            instance.occupy(self.controller, one, node)
            location = item.get("usb_location")
            one.usb = next((device for device in node.usb if device.location == location), None)
        if one.state is State.SCHEDULING and one.ready and not one.occupies:
            self.controller.wait(one)

    def _place_instance(self, path: Path, item: Data, one: instance.Instance, node: Node | None) -> None:
        """Bring an instance that was only named into the state it is said to be in."""
        controller = self.controller
        if one.state is State.PUSHING:
            raise Broken((*path, "state"), "write it as Started, and a save image request for it under save_images")
        if one.state is State.SCHEDULING and node:
            raise Broken((*path, "node"), "an instance in Scheduling has no node yet; pinned_node binds it to one")
        if one.state in ON_NODE and node is None:
            raise Broken((*path, "state"), f"an instance in {one.state} needs a node")
        one.step = 0 if one.state is State.SCHEDULING else 1
        if node and one.state not in (State.ERROR, State.TERMINATED):
            self._put_on_node(path, item, one, node)
        if one.state is State.SCHEDULING:
            controller.schedule(controller.now, instance.phase_end(one))
        else:
            instance.resume_phase(controller, one)

    def _put_on_node(self, path: Path, item: Data, one: instance.Instance, node: Node) -> None:
        if one.state is not State.STOPPED:
            if node.capacity_mode == "number" and len(node.occupants) >= node.capacity:
                raise Broken((*path, "node"), f"node {node.name} has only {node.capacity} slots")
            instance.occupy(self.controller, one, node)
            if wanted := one.request.usb_device:
                one.usb = usb.free_device(self.controller, node, wanted)
                if one.usb is None:
                    raise Broken((*path, "usb_device"), f"node {node.name} has no free USB device {wanted!r}")
        if one.state is State.PULLING:
            if pull.begin(self.controller, node, one.ref) is None:
                raise Broken((*path, "state"), f"node {node.name} has that version cached, so nothing is pulled")
            return
        node.cached.setdefault(one.ref, self.controller.now)
        given = item.get("vm", {})
        one.vm = replace(instance.clone(self.controller, one, node), **_vm_changes(given))
        if one.state is State.STOPPED:
            one.vm = replace(one.vm, status=given.get("status", "stopped"))

    # Requests that run for a while.

    def _distribution(self, path: Path, item: Data) -> None:
        controller = self.controller
        ref = self._ref(path, item)
        id = item.get("id") or controller.mint("distribution")
        made = Distribution(id, item.get("requested", controller.now), ref)
        for index, given in enumerate(item.get("deliveries", [])):
            place = (*path, "deliveries", index, "node")
            node_id = given["node"] if self.is_dump else self._node_id(place, given["node"])
            stage = DeliveryStage(given["stage"])
            made.deliveries[node_id] = Delivery(
                stage, given.get("until"), given.get("progress", 0.0), given.get("error", "")
            )
        controller.distributions[id] = made
        if "deliveries" not in item:
            group = self._wanted_group(path, item)
            named = [self._node_id((*path, "nodes", i), name) for i, name in enumerate(item.get("nodes", []))]
            for node in controller.nodes.values():
                if node.id in named or (group in node.groups if group else not named):
                    made.deliveries[node.id] = Delivery(DeliveryStage.SENT, controller.now)
        if not self.is_dump:
            for node_id, delivery in made.deliveries.items():
                if delivery.stage in (DeliveryStage.SENT, DeliveryStage.PULLING):
                    delivery.stage, delivery.until = DeliveryStage.SENT, controller.now
                    controller.schedule(controller.now, delivery_end(made, node_id))

    def _save_image(self, path: Path, item: Data) -> None:
        controller = self.controller
        request = SaveRequest(
            instance_id=item["instance"],
            template_id=item.get("template", "") if self.is_dump else self._save_target(path, item),
            **{key: item[key] for key in SAVE_KEYS if key in item},
        )
        if "stage" not in item and not self.is_dump:
            self._begin_save(path, item, request)
            return
        made = SaveImage(
            id=item.get("id") or controller.mint("save"),
            requested=item.get("requested", controller.now),
            request=request,
            vm_uuid=item.get("vm_uuid", ""),
            node_id=item.get("node", ""),
            stage=SaveStage(item.get("stage", SaveStage.WAITING)),
            until=item.get("until"),
            error=SaveError(**{"type": None, "code": None, **item["error"]}) if "error" in item else None,
            script_result=ScriptResult(**item["script_result"]) if "script_result" in item else None,
        )
        if not (self.is_dump or made.over):
            raise Broken((*path, "stage"), "only done and error can be written here; leave it out to begin anew")
        controller.save_images[made.id] = made

    def _save_target(self, path: Path, item: Data) -> str:
        return self._template_id((*path, "template"), item["template"]) if "template" in item else ""

    def _begin_save(self, path: Path, item: Data, request: SaveRequest) -> None:
        if request.instance_id not in self.controller.instances:
            known = list(self.controller.instances)
            text = f"there is no instance {request.instance_id!r}: {nearest(request.instance_id, known)}"
            raise Broken((*path, "instance"), text)
        try:
            save_image.create(self.controller, request, item.get("id"), item.get("requested"))
        except Refusal as wrong:
            raise Broken(path, str(wrong)) from None

    def _pending(self) -> None:
        for index, item in enumerate(self.data["pending"]):
            try:
                event = events.read(item)
            except ValueError as wrong:
                raise Broken(("pending", index, "event"), str(wrong)) from None
            self.controller.schedule(item["at"], event)


def _clock(given: Data, options: Options) -> Clock:
    mode = options.clock or given.get("mode", "real")
    start = given.get("start", system_time() if mode == "real" else START)
    speed = options.speed if options.speed is not None else given.get("speed", 1.0)
    step = options.step if options.step is not None else given.get("step", STEP)
    return MODES[mode](start, speed, step)


def _rules(given: list[dict[str, Any]]) -> tuple[PortRule, ...]:
    return tuple(PortRule(**rule) for rule in given)


def _vm_changes(given: Data) -> dict[str, Any]:
    changes = {key: value for key, value in given.items() if key != "ports"}
    if "ports" in given:
        changes["ports"] = tuple(instance.PortForward(**{"name": "", **port}) for port in given["ports"])
    return changes


def _vm(given: Data) -> instance.Vm:
    blank = instance.Vm(uuid="", name="", host_ip="", ip="", vnc_port=0, cpus=1, ram=1024)
    return replace(blank, **_vm_changes(given))


def _set(thing: object, item: Data, *same: str, **other: str) -> None:
    """Set attributes from the keys of the same name, or of another; what is not given stays as it is."""
    for attribute, key in {**{name: name for name in same}, **other}.items():
        if key in item:
            setattr(thing, attribute, item[key])
