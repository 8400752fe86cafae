"""Loads the inventory of a scenario: its templates, nodes and groups."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from email.utils import formatdate
from ipaddress import IPv4Network
from typing import Any, ClassVar

from mockanka.core import nodes, pulls, randomness, registry
from mockanka.core.controller import Controller
from mockanka.core.errors import UnknownToRelease
from mockanka.core.groups import Group
from mockanka.core.lifecycle import NodeState
from mockanka.core.nodes import REGISTRY_UNREACHABLE, STATE_OVERRIDES, AnkaVersion, Node, require_known_state
from mockanka.core.overrides import Overrides
from mockanka.core.templates import File, Template, Version, VersionRef, guess_creation
from mockanka.core.usb import UsbDevice
from mockanka.scenario.base import Origin, Section
from mockanka.scenario.references import InvalidScenario, References, refusals_at
from mockanka.scenario.sections import (
    CachedSection,
    GroupSection,
    NodeSection,
    ScenarioSection,
    TemplateSection,
    UsbDeviceSection,
    VersionSection,
)
from mockanka.scenario.source import Path
from mockanka.units import HOUR, SECOND

MAX_VERSION_NUMBER = 10**6
YEAR = 365 * 24 * HOUR
NODE_NETWORKS = tuple(
    map(IPv4Network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/15", "240.0.0.0/4"))
)
"""Where the addresses of nodes are from that have none: a client that dials one reaches nobody's machine.

They are those for documentation (RFC 5737) and, if there are more nodes, for benchmarks (RFC 2544) and reserved ones.
"""
_NUMBER = re.compile(r"\{n(?::0?([1-9]))?\}")


def refuse_foreign_keys(path: Path, section: Section[Any], origin: Origin) -> None:
    """Raise InvalidScenario for a key that stands only in scenarios of other origins."""
    for name, declared in section.layout().keys.items():
        if origin not in declared.origins and getattr(section, name) is not None:
            raise InvalidScenario((*path, name), "belongs to a dump, which has pending as well; leave it out here")


class Inventory(ABC):
    """Puts templates, nodes and groups into a controller."""

    origin: ClassVar[Origin]

    def __init__(self, controller: Controller) -> None:
        self.controller = controller
        self.references = References(controller)
        self._addresses: set[str] = set()
        """Those that the scenario gives; a node that has none gets one that is not among them."""
        self._names: Counter[tuple[str, str]] = Counter()
        """How many templates, nodes and groups have a name, by kind and name: the ids of namesakes differ."""
        self._free_addresses = (str(host) for network in NODE_NETWORKS for host in network.hosts())

    @abstractmethod
    def set_state(self, path: Path, section: NodeSection, node: Node) -> None:
        """Set what the node's state is, and when it was lost."""

    @abstractmethod
    def overrides(self, section: NodeSection, node: Node) -> Overrides:
        """Return the states that are forced on a node from the beginning."""

    @abstractmethod
    def check_disk(self, path: Path, node: Node) -> None:
        """Raise InvalidScenario if more is on a node's disk than fits there."""

    def load(self, scenario: ScenarioSection) -> None:
        """Put everything into the controller."""
        for index, template in enumerate(scenario.templates):
            with refusals_at(("templates", index)):
                self._template(("templates", index), template)
        for index, node in enumerate(scenario.nodes):
            self._addresses.update(_ip(("nodes", index), node, n) or "" for n in _numbers(node))
        described = [self._nodes(("nodes", index), node) for index, node in enumerate(scenario.nodes)]
        self._groups(scenario.groups)
        for index, (node, numbered) in enumerate(zip(scenario.nodes, described, strict=True)):
            self._memberships(("nodes", index), node, numbered)

    def match_observed(self, scenario: ScenarioSection) -> None:
        """Once everything is loaded, make nodes and the registry show the usage that was observed."""
        ids = iter(list(self.controller.nodes))
        for section in scenario.nodes:
            for _ in range(section.count or 1):
                node = self.controller.nodes[next(ids)]
                nodes.match_observed_usage(self.controller, node, section.cpu_util, section.disk_used)
        if scenario.controller.registry_free is not None:
            registry.match_observed_free_space(self.controller, scenario.controller.registry_free)

    def _template(self, path: Path, section: TemplateSection) -> None:
        known = self.controller.templates
        id = self._host_id("template", section.name, section.id)
        if id in known:
            raise InvalidScenario((*path, "id"), f"there is another template {id}")
        template = Template(**{**section.values(), "id": id})
        for index, version in enumerate(section.versions):
            template.history.append(self._version((*path, "versions", index), template, version))
        known[id] = template

    def _host_id(self, kind: str, name: str, id: str | None) -> str:
        """Return the id of a template or a node: the one that is given, or one that follows from its name."""
        namesakes = self._names[kind, name]
        self._names[kind, name] += 1
        return id or randomness.make_host_uuid(self.controller.seed, kind, name, *([namesakes] if namesakes else []))

    def _version(self, path: Path, template: Template, section: VersionSection) -> Version:
        if section.images is not None and section.size is not None:
            raise InvalidScenario((*path, "size"), "give either the size of the layer, or all images, not both")
        number = template.next_version_number() if section.number is None else section.number
        if number > MAX_VERSION_NUMBER and self.origin is Origin.AUTHORED:  # a dump may have the next one
            raise InvalidScenario((*path, "number"), f"{number} is more than {MAX_VERSION_NUMBER}")
        if not section.deleted and template.versions and number <= template.versions[-1].number:
            raise InvalidScenario((*path, "number"), f"{number} does not come after {template.versions[-1].number}")
        pushed = self.controller.now if section.pushed is None else section.pushed
        values = {
            "pushed": pushed,
            "created": guess_creation(pushed),
            **section.values(),
            "number": number,
            "images": self._images(template, section),
            "state_files": self._state_files(template, section),
        }
        if not section.port_forwarding:
            values["port_forwarding"] = () if section.own_ports else None
        return Version(**values)

    def _images(self, template: Template, section: VersionSection) -> tuple[File, ...]:
        if section.images is not None:
            return tuple(file.make() for file in section.images)
        below = template.versions[-1].images if template.versions else ()
        return (File(self._file_name(template, "image"), section.size or 0), *below)

    def _state_files(self, template: Template, section: VersionSection) -> tuple[File, ...]:
        files = tuple(file.make() for file in section.state_files or ())
        if section.state_size is None:
            return files
        return (*files, File(self._file_name(template, "state"), section.state_size))

    def _file_name(self, template: Template, kind: str) -> str:
        return randomness.make_image_file_name(self.controller.seed, template.id, len(template.history), kind)

    def _nodes(self, path: Path, section: NodeSection) -> list[Node]:
        """Put the nodes of a section into the controller, and return them."""
        with refusals_at(path):
            return self._numbered_nodes(path, section)

    def _numbered_nodes(self, path: Path, section: NodeSection) -> list[Node]:
        numbered = []
        for n in _numbers(section):
            name = section.name if section.count is None else _numbered((*path, "name"), section.name, n)
            ip = _ip(path, section, n)
            if (section.count or 1) > 1 and (section.id is not None or name == section.name):
                key = "name" if section.id is None else "id"
                raise InvalidScenario(
                    (*path, key), f"{section.count} nodes cannot share one {key}; write the number as {{n}}"
                )
            numbered.append(self._node(path, section, name, ip))
        return numbered

    def _node(self, path: Path, section: NodeSection, name: str, ip: str | None) -> Node:
        known = self.controller.nodes
        id = self._host_id("node", name, section.id)
        if id in known:
            raise InvalidScenario((*path, "id"), f"there is another node {id}")
        devices = tuple(self._device(id, index, device) for index, device in enumerate(section.usb))
        if ip is None:
            ip = next(address for address in self._free_addresses if address not in self._addresses)
        anka = self.default_anka()
        if section.anka:
            anka = replace(anka, **section.anka.values())
        node = Node(**{**section.values(), "id": id, "name": name, "ip": ip, "usb": devices, "anka": anka})
        if len({device.location for device in devices}) < len(devices):
            raise InvalidScenario((*path, "usb"), "two devices have the same location")
        refuse_foreign_keys(path, section, self.origin)
        self.set_state(path, section, node)
        for index, cached in enumerate(section.cached):
            ref = self._cached((*path, "cached", index), cached)
            node.cached[ref] = self.controller.now if cached.used is None else cached.used
        for index, pull in enumerate(section.pulls or ()):
            ref = self.references.version((*path, "pulls", index), pull.template, serial=pull.serial)
            node.pulls[ref] = pull.make_pull(ref)
        node.overrides = self.overrides(section, node)
        self.check_disk(path, node)
        known[id] = node
        return node

    def _device(self, node_id: str, index: int, section: UsbDeviceSection) -> UsbDevice:
        if section.location:
            return UsbDevice(section.name, section.location)
        drawn = randomness.draw(self.controller.seed, node_id, f"usb {index}")
        return UsbDevice(section.name, str(int(drawn * 900_000_000) + 100_000_000))

    def _cached(self, path: Path, section: CachedSection) -> VersionRef:
        if section.template is None:
            return self.references.cached_version(path, section.version or "")
        return self.references.version(path, section.template, number=section.version, serial=section.serial)

    def default_anka(self) -> AnkaVersion:
        """Return the Anka version of a node that names none: its licence is valid for a year from the clock's start."""
        _, day, month, year, *_ = formatdate((self.controller.now + YEAR) // SECOND, usegmt=True).split()
        # Guess: which Anka goes with which release; the reference has 2.1.2.
        modern = {"version": "3.6.1", "build": "194"} if self.controller.release.has("arch") else {}
        return AnkaVersion(**modern, expires=f"{day}-{month}-{year}".lower())

    def _groups(self, sections: Sequence[GroupSection]) -> None:
        groups = self.controller.groups
        for index, section in enumerate(sections):
            self._names["group", section.name] += 1
            id = section.id or randomness.make_controller_uuid(
                self.controller.seed, f"group {section.name}", self._names["group", section.name]
            )
            if id in groups:
                raise InvalidScenario(("groups", index, "id"), f"there is another group {id}")
            groups[id] = Group(**{**section.values(), "id": id})
        for index, (section, group) in enumerate(zip(sections, groups.values(), strict=True)):
            path: Path = ("groups", index)
            if section.fallback is not None:
                group.fallback_id = self.references.group((*path, "fallback"), section.fallback)
            for place, name in enumerate(section.nodes):
                node = self.controller.nodes[self.references.node((*path, "nodes", place), name)]
                if group.id not in node.groups:
                    node.groups.append(group.id)

    def _memberships(self, path: Path, section: NodeSection, numbered: Sequence[Node]) -> None:
        if section.groups is None:
            return
        ids = [self.references.group((*path, "groups", place), name) for place, name in enumerate(section.groups)]
        for node in numbered:
            node.groups = [*dict.fromkeys([*node.groups, *ids])]


class AuthoredInventory(Inventory):
    """Loads what somebody wrote: refuses what cannot be, or what the release does not know."""

    origin = Origin.AUTHORED

    def set_state(self, path: Path, section: NodeSection, node: Node) -> None:
        """Set the state that is written; an Offline node has been lost for as long as that takes, if not longer."""
        set_condition(self.controller, section, node)
        try:
            require_known_state(self.controller, node.condition)
        except UnknownToRelease as refusal:
            raise InvalidScenario((*path, "state"), str(refusal)) from None

    def overrides(self, section: NodeSection, node: Node) -> Overrides:
        """Return what the node is from the beginning. It is so for good: the end of a fault leaves it so."""
        forced: Overrides = {what: None for what, state in STATE_OVERRIDES.items() if state is node.condition}
        if node.lost_at is not None:
            forced["offline"] = None
        if node.manual_vms:
            forced["full"] = None
        if section.state == REGISTRY_UNREACHABLE:
            forced[REGISTRY_UNREACHABLE] = None
        return forced

    def check_disk(self, path: Path, node: Node) -> None:
        """Refuse a disk that is too small for what is on it."""
        used = pulls.compute_disk_usage(self.controller, node, self.controller.now)
        over = used + node.disk_other - node.disk_size
        if over > 0:
            raise InvalidScenario((*path, "disk"), f"too small by {over} bytes for what is cached and disk_other")


def set_condition(controller: Controller, section: NodeSection, node: Node) -> None:
    """Set a node's state as its section has it."""
    if section.state is NodeState.OFFLINE:
        now = controller.now
        reported = now - controller.timings.node_timeout if section.reported is None else section.reported
        node.lost_at, node.timeout_at = max(0, min(now, reported)), now
    elif isinstance(section.state, NodeState):
        node.condition = section.state


def _numbers(section: NodeSection) -> range:
    return range(1, (section.count or 1) + 1)


def _ip(path: Path, section: NodeSection, n: int) -> str | None:
    if section.ip is None or section.count is None:
        return section.ip
    return _numbered((*path, "ip"), section.ip, n)


def _numbered(path: Path, text: str, n: int) -> str:
    """A name with its number put in."""
    filled = _NUMBER.sub(lambda place: f"{n:0{place[1] or 1}}", text)
    if "{" in filled or "}" in filled:
        raise InvalidScenario(path, "the place for the number is written {n} or {n:02}")
    return filled
