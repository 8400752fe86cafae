"""The land of a scenario: its templates, nodes and groups."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from email.utils import formatdate
from itertools import count
from typing import Any

from mockanka.core import nodes, pulls, randomness, registry
from mockanka.core.controller import Controller
from mockanka.core.errors import UnknownToRelease
from mockanka.core.groups import Group
from mockanka.core.lifecycle import NodeState
from mockanka.core.nodes import STATE_OVERRIDES, AnkaVersion, Node, NodeTimedOut, require_known_state
from mockanka.core.overrides import Overrides
from mockanka.core.templates import File, PortRule, Template, Version, VersionRef
from mockanka.core.transfers import Transfer
from mockanka.core.usb import UsbDevice
from mockanka.scenario.references import InvalidScenario, References, refuse_dump_keys
from mockanka.scenario.source import Path
from mockanka.units import HOUR, SECOND

Data = Mapping[str, Any]
IN_A_SNAPSHOT = frozenset({"lost"})
IN_A_DUMP = frozenset({"offline", "pulls", "turns", "removals", "disk_anka", "cpu_load"}) | IN_A_SNAPSHOT
YEAR = 365 * 24 * HOUR
_NUMBER = re.compile(r"\{n(?::0?([1-9]))?\}")


def _pull(ref: VersionRef, item: Data) -> pulls.Pull:
    transfer = Transfer(item["started"], item["ends"], item.get("rests_at", 1.0), item.get("rest", 0))
    stall = pulls.PullStall(item["held_by"], item.get("held_at", 1.0)) if item.get("held_by") else None
    failure = pulls.PullFailure(item["fails_at"], item.get("message", "")) if "fails_at" in item else None
    return pulls.Pull(ref, tuple(File(**file) for file in item["files"]), transfer, stall, failure)


class Inventory:
    """Puts templates, nodes and groups into a controller; those of a snapshot as they were seen."""

    def __init__(self, controller: Controller, is_dump: bool, is_seen: bool = False) -> None:
        self.controller = controller
        self.names = References(controller)
        self.is_dump, self.is_seen = is_dump, is_seen
        self.addresses: set[str] = set()
        """Those given in the scenario; who has none gets one that is not among them."""
        self.free_addresses = (f"10.0.{n // 250}.{n % 250 + 1}" for n in count(1))

    def _ip(self, path: Path, item: Data, n: int) -> str | None:
        if "ip" not in item:
            return None
        return _numbered((*path, "ip"), item["ip"], n) if "count" in item else str(item["ip"])

    def lay_out(self, data: Data) -> None:
        for index, item in enumerate(data.get("templates", [])):
            self._template(("templates", index), item)
        nodes = list(enumerate(data.get("nodes", [])))
        for index, item in nodes:
            for n in range(1, item.get("count", 1) + 1):
                self.addresses.add(self._ip(("nodes", index), item, n) or "")
        for index, item in nodes:
            self._nodes(("nodes", index), item)
        self._groups(list(enumerate(data.get("groups", []))))
        for index, item in enumerate(data.get("nodes", [])):
            self._memberships(("nodes", index), item)

    def observe(self, data: Data) -> None:
        """Once all is there, make it show what was seen of it."""
        ids = iter(list(self.controller.nodes))
        for item in data.get("nodes", []):
            for _ in range(item.get("count", 1)):
                one = self.controller.nodes[next(ids)]
                nodes.match_observed_usage(self.controller, one, item.get("cpu_util"), item.get("disk_used"))
        if "registry_free" in data.get("controller", {}):
            registry.match_observed_free_space(self.controller, data["controller"]["registry_free"])

    def _template(self, path: Path, item: Data) -> None:
        seed, same = self.controller.seed, sum(t.name == item["name"] for t in self.controller.templates.values())
        id = item.get("id") or randomness.make_host_uuid(seed, "template", item["name"], *([same] if same else []))
        if id in self.controller.templates:
            raise InvalidScenario((*path, "id"), f"there is another template {id}")
        made = Template(id, item["name"], port_forwarding=_rules(item.get("port_forwarding", [])))
        _set(made, item, "cpus", "ram", "arch", "deleted")
        for index, version in enumerate(item.get("versions", [])):
            made.history.append(self._version((*path, "versions", index), made, version))
        self.controller.templates[id] = made

    def _version(self, path: Path, of: Template, item: Data) -> Version:
        serial, seed = len(of.history), self.controller.seed
        if "images" in item and "size" in item:
            raise InvalidScenario((*path, "size"), "give either the size of the layer, or all images, not both")
        if "images" in item:
            images = tuple(File(**file) for file in item["images"])
        else:
            layer = File(randomness.make_image_file_name(seed, of.id, serial, "image"), item.get("size", 0))
            below = of.versions[-1].images if of.versions else ()
            images = (layer, *below)
        states = tuple(File(**file) for file in item.get("state_files", []))
        if "state_size" in item:
            states = (*states, File(randomness.make_image_file_name(seed, of.id, serial, "state"), item["state_size"]))
        number = item.get("number", of.next_version_number())
        if not item.get("deleted") and of.versions and number <= of.versions[-1].number:
            raise InvalidScenario((*path, "number"), f"{number} does not come after {of.versions[-1].number}")
        ports = _rules(item.get("port_forwarding", []))
        return Version(
            number=number,
            tag=item["tag"],
            images=images,
            description=item.get("description", ""),
            state_files=states,
            port_forwarding=ports if ports or item.get("own_ports") else None,
            deleted=item.get("deleted", False),
            pushed=item.get("pushed", self.controller.now),
            pulled=item.get("pulled", 0),
        )

    def _nodes(self, path: Path, item: Data) -> None:
        many = item.get("count", 1)
        for n in range(1, many + 1):
            name = _numbered((*path, "name"), item["name"], n) if "count" in item else item["name"]
            ip = self._ip(path, item, n)
            if many > 1 and ("id" in item or name == item["name"]):
                what = "id" if "id" in item else "name"
                raise InvalidScenario((*path, what), f"{many} nodes cannot share one {what}; write the number as {{n}}")
            self._node(path, item, name, ip)

    def _node(self, path: Path, item: Data, name: str, ip: str | None) -> None:
        nodes = self.controller.nodes
        same = sum(node.name == name for node in nodes.values())
        id = item.get("id") or randomness.make_host_uuid(self.controller.seed, "node", name, *([same] if same else []))
        if id in nodes:
            raise InvalidScenario((*path, "id"), f"there is another node {id}")
        devices = [
            UsbDevice(device["name"], device.get("location") or self._location(id, index))
            for index, device in enumerate(item.get("usb", []))
        ]
        if ip is None:
            ip = next(address for address in self.free_addresses if address not in self.addresses)
        node = Node(id, name, ip, usb=tuple(devices))
        _set(
            node,
            item,
            "cpus",
            "ram",
            "capacity",
            "capacity_mode",
            "vcpu_override",
            "ram_override",
            "force_overrides",
            "central_logging",
            "arch",
            "removals",
            "disk_anka",
            "cpu_load",
        )
        _set(node, item, heartbeat_anchor="reported", disk_size="disk", disk_other="disk_other", manual_vms="by_hand")
        node.vlans = tuple(item.get("vlans", ()))
        node.anka = replace(self._anka(), **item.get("anka", {}))
        if len({device.location for device in devices}) < len(devices):
            raise InvalidScenario((*path, "usb"), "two devices have the same location")
        if not self.is_dump:
            refuse_dump_keys(path, item, IN_A_DUMP - IN_A_SNAPSHOT if self.is_seen else IN_A_DUMP)
        self._state(path, item, node)
        now = self.controller.now
        for index, cached in enumerate(item.get("cached", [])):
            node.cached[self.names.cached((*path, "cached", index), cached)] = cached.get("used", now)
        for index, running in enumerate(item.get("pulls", [])):
            ref = self.names.ref((*path, "pulls", index), running)
            node.pulls[ref] = _pull(ref, running)
        node.overrides = turns(item) if self.is_dump else _turns_of(node)
        over = pulls.compute_disk_usage(self.controller, node, now) + node.disk_other - node.disk_size
        if over > 0 and not (self.is_dump or self.is_seen):
            raise InvalidScenario((*path, "disk"), f"too small by {over} bytes for what is cached and disk_other")
        nodes[id] = node

    def _state(self, path: Path, item: Data, node: Node) -> None:
        controller, now = self.controller, self.controller.now
        timeout = controller.timings.node_timeout
        state = NodeState(item.get("state", NodeState.ACTIVE))
        if self.is_dump and "lost" in item:
            node.lost_at, node.timeout_at = item["lost"], item.get("offline", now)
        elif state is NodeState.OFFLINE:
            node.lost_at, node.timeout_at = min(now, item.get("reported", now - timeout)), now
        elif "lost" in item:
            node.lost_at = min(now, item["lost"])
            node.timeout_at = max(now + controller.timings.heartbeat, node.lost_at + timeout)
            controller.schedule(node.timeout_at, NodeTimedOut(node.id, node.timeout_at))
        node.condition = NodeState.ACTIVE if state is NodeState.OFFLINE else state
        if not self.is_dump:
            self._require_known(path, node)

    def _require_known(self, path: Path, node: Node) -> None:
        try:
            require_known_state(self.controller, node.condition)
        except UnknownToRelease as wrong:
            raise InvalidScenario((*path, "state"), str(wrong)) from None

    def _anka(self) -> AnkaVersion:
        """What nodes run that do not say: a licence that is good for another year from the clock's start."""
        _, day, month, year, *_ = formatdate((self.controller.now + YEAR) // SECOND, usegmt=True).split()
        # Guess: which Anka goes with which release; the reference has 2.1.2.
        modern = {"version": "3.6.1", "build": "194"} if self.controller.release.has("arch") else {}
        return AnkaVersion(**modern, expires=f"{day}-{month}-{year}".lower())

    def _location(self, node_id: str, index: int) -> str:
        return str(int(randomness.draw(self.controller.seed, node_id, f"usb {index}") * 900_000_000) + 100_000_000)

    def _groups(self, items: list[tuple[int, Data]]) -> None:
        groups = self.controller.groups
        for index, item in items:
            same = sum(group.name == item["name"] for group in groups.values()) + 1
            id = item.get("id") or randomness.make_controller_uuid(self.controller.seed, f"group {item['name']}", same)
            if id in groups:
                raise InvalidScenario(("groups", index, "id"), f"there is another group {id}")
            groups[id] = Group(id, item["name"], item.get("description", ""))
        for (index, item), group in zip(items, list(groups.values()), strict=True):
            path: Path = ("groups", index)
            if "fallback" in item:
                group.fallback_id = self.names.group((*path, "fallback"), item["fallback"])
            for place, name in enumerate(item.get("nodes", [])):
                node = self.controller.nodes[self.names.node((*path, "nodes", place), name)]
                if group.id not in node.groups:
                    node.groups.append(group.id)

    def _memberships(self, path: Path, item: Data) -> None:
        if "groups" in item:
            ids = [self.names.group((*path, "groups", place), name) for place, name in enumerate(item["groups"])]
            name = item["name"]
            for node in self.controller.nodes.values():
                if node.id == item.get("id") or ("id" not in item and node.name == name):
                    node.groups = [*dict.fromkeys([*node.groups, *ids])]


def turns(item: Data) -> Overrides:
    """What something was made, as a dump has it."""
    return {each["what"]: each.get("until") for each in item.get("turns", [])}


def _turns_of(node: Node) -> Overrides:
    """What a node is from the beginning it is for good: a fault that ends leaves it so."""
    made = {what: None for what, condition in STATE_OVERRIDES.items() if condition is node.condition}
    return {
        **made,
        **({"offline": None} if node.lost_at is not None else {}),
        **({"full": None} if node.manual_vms else {}),
    }


def _numbered(path: Path, text: str, n: int) -> str:
    """A name with its number put in."""
    filled = _NUMBER.sub(lambda place: f"{n:0{place[1] or 1}}", text)
    if "{" in filled or "}" in filled:
        raise InvalidScenario(path, "the place for the number is written {n} or {n:02}")
    return filled


def _rules(given: list[dict[str, Any]]) -> tuple[PortRule, ...]:
    return tuple(PortRule(**rule) for rule in given)


def _set(thing: object, item: Data, *same: str, **other: str) -> None:
    """Set attributes from the keys of the same name, or of another; what is not given stays as it is."""
    for attribute, key in {**{name: name for name in same}, **other}.items():
        if key in item:
            setattr(thing, attribute, item[key])
