"""VMs of instances: what a node makes of a template when it clones one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING

from mockanka.core.randomness import draw, make_host_uuid
from mockanka.core.templates import get_version
from mockanka.units import MICROSECOND, SECOND

if TYPE_CHECKING:
    from mockanka.core.controller import Controller
    from mockanka.core.instance_record import Instance
    from mockanka.core.nodes import Node
    from mockanka.core.templates import PortRule

FIRST_VNC_PORT = 5901
"""First port of a node that leads to the VNC server of a VM."""
GUEST_VNC_PORT = 5900
ARM64_VNC_PORT = 5900
"""VNC port that VMs of Apple silicon show, one like the other, also without a rule for it (controller-facts A2.3)."""
FIRST_USER_PORT, LAST_PORT = 1024, 65535
FIRST_FORWARDED_PORT = 10000
"""First port of a node for port forwarding rules that do not ask for one."""

# macOS gives its guests addresses of 192.168.64.0/24, from .2 to .254.
FIRST_GUEST_NETWORK = 64
FIRST_GUEST_HOST, GUEST_HOSTS = 2, 253

SAMPLED_BEFORE = 3 * SECOND
"""In captures the agent's sample is 2.4 to 4.9 s older than the controller's time (controller-facts C6)."""

VM_NAME_PREFIX = "mgmtManaged-"
DEFAULT_NAME_TEMPLATE = "$template_name-$ts"


@dataclass(frozen=True)
class PortForward:
    """A port of the guest and the port of the node that leads to it."""

    name: str
    guest_port: int
    host_port: int
    protocol: str = "tcp"


@dataclass(frozen=True)
class Vm:
    """The VM of an instance, as its node reports it (controller-facts A2.3).

    ``ram`` is MB. ``created`` is the moment at which the VM was cloned, which no response shows, ``started`` that of
    its last boot.
    """

    uuid: str
    name: str
    host_ip: str
    ip: str
    vnc_port: int
    cpus: int
    ram: int
    ports: tuple[PortForward, ...] = ()
    status: str = "running"
    vnc_password: str = ""
    created: int = 0
    started: int = 0

    @property
    def details_lost(self) -> bool:
        """True if it has failed, and its node has reported it without its details; every other VM has a name."""
        return not self.name

    def after_failure(self, status: str, keep_details: bool) -> Vm:
        """Return a copy with another status and, unless the details are kept, without name, address and ports."""
        if keep_details:
            return replace(self, status=status)
        return replace(self, status=status, name="", ip="", vnc_port=0, ports=())


@dataclass
class TakenPlaces:
    """Addresses and ports that the VMs of a node have.

    A caller who clones many VMs on a node keeps it from one to the next, while none of them is removed.
    """

    addresses: set[str] = field(default_factory=set)
    host_ports: set[int] = field(default_factory=set)
    vnc_ports: set[int] = field(default_factory=set)
    next_address: int = 0
    next_host_ports: dict[int, int] = field(default_factory=dict)
    next_vnc_port: int = FIRST_VNC_PORT

    @classmethod
    def find(cls, controller: Controller, node: Node) -> TakenPlaces:
        """Return the places of the VMs that a node has now."""
        taken = cls()
        for id in node.occupants:
            if (vm := controller.instances[id].vm) is not None:
                taken.add(vm)
        return taken

    def add(self, vm: Vm) -> None:
        """Add the places of another VM."""
        self.addresses.add(vm.ip)
        self.host_ports.update(port.host_port for port in vm.ports)
        self.vnc_ports.add(vm.vnc_port)

    def find_free_address(self) -> str:
        """Return the first address that no VM has."""
        while (address := _guest_address(self.next_address)) in self.addresses:
            self.next_address += 1
        return address

    def take_host_port(self, first: int) -> int:
        """Return the first port from a number on to which no forwarding rule leads, and add it."""
        port = _next_free_port(self.next_host_ports.get(first, first), self.host_ports)
        if port in self.host_ports:
            return first
        self.next_host_ports[first] = port
        self.host_ports.add(port)
        return port

    def find_free_vnc_port(self) -> int:
        """Return the first VNC port that no VM has."""
        port = _next_free_port(self.next_vnc_port, self.vnc_ports)
        if port in self.vnc_ports:
            return FIRST_VNC_PORT
        self.next_vnc_port = port
        return port


def clone_vm(controller: Controller, instance: Instance, node: Node, taken: TakenPlaces | None = None) -> Vm:
    """Return the VM that a node clones for an instance, with the next free address and ports of that node.

    ``taken`` are the places of its other VMs; without it they are looked for.
    """
    taken = taken or TakenPlaces.find(controller, node)
    template = controller.templates[instance.ref.template_id]
    version = get_version(controller, instance.ref)
    request = instance.request
    rules = template.port_rules_for(version) if request.ports is None else request.ports
    ports = _forward_ports(rules, taken)
    return Vm(
        uuid=make_host_uuid(controller.seed, instance.id, "vm"),
        name=_make_vm_name(controller, instance, template.name),
        host_ip=node.ip,
        ip=taken.find_free_address(),
        vnc_port=_choose_vnc_port(controller, template.arch, ports, taken),
        cpus=template.cpus if version.suspended else request.vcpu or template.cpus,
        ram=template.ram if version.suspended else request.vram or template.ram,
        ports=ports,
        vnc_password=request.vnc_password or "",
        created=controller.now,
        started=controller.now,
    )


def _forward_ports(rules: Sequence[PortRule], taken: TakenPlaces) -> tuple[PortForward, ...]:
    """Return the forwarded ports of a VM, in the order of the rules. ``taken`` has the ports of other VMs of the node.

    A rule gets the port that it asks for, or the next free one. Guess: that holds too if another VM has the port.
    """
    host_ports: dict[int, int] = {}
    asking_first = sorted(range(len(rules)), key=lambda index: rules[index].host_port is None)
    for index in asking_first:
        host_ports[index] = taken.take_host_port(rules[index].host_port or FIRST_FORWARDED_PORT)
    return tuple(PortForward(rule.name, rule.guest_port, host_ports[i], rule.protocol) for i, rule in enumerate(rules))


def _choose_vnc_port(controller: Controller, arch: str, ports: Iterable[PortForward], taken: TakenPlaces) -> int:
    # On Apple silicon only a port forwarding rule gives a VM one (controller-facts A2.3), 0 was captured at 1.27 to
    # 1.29. Guess: from 1.24 to 1.40.
    if arch == "arm64" and controller.release.has("vnc-port-5900"):
        return ARM64_VNC_PORT
    if arch == "arm64" and controller.release.has("vm-dates"):
        return next((port.host_port for port in ports if port.guest_port == GUEST_VNC_PORT), 0)
    return taken.find_free_vnc_port()


def _guest_address(number: int) -> str:
    """Return the guest address with a number; after those of the first network come those of the next."""
    network, host = divmod(number, GUEST_HOSTS)
    return f"192.168.{FIRST_GUEST_NETWORK + network}.{FIRST_GUEST_HOST + host}"


def _next_free_port(first: int, used: set[int]) -> int:
    # Guess: after the last port the search begins anew above the reserved ones, and if none is free two VMs share one.
    candidates = chain(range(first, LAST_PORT + 1), range(FIRST_USER_PORT, first))
    return next((port for port in candidates if port not in used), first)


def _make_vm_name(controller: Controller, instance: Instance, template_name: str) -> str:
    # $ts is in nanoseconds, but the clock of a Mac has microseconds (controller-facts A1). A random part of a second
    # makes the names of VMs differ that are cloned at the same moment.
    jitter = int(draw(controller.seed, instance.id, "clone") * SECOND)
    timestamp = (controller.now + jitter) // MICROSECOND * MICROSECOND
    values = _name_variables(controller, instance, template_name) | {"ts": str(timestamp)}
    variables = re.compile(rf"\$({'|'.join(sorted(values, key=len, reverse=True))})")
    name_template = instance.request.name_template or DEFAULT_NAME_TEMPLATE
    return VM_NAME_PREFIX + variables.sub(lambda match: values[match[1]], name_template)


def _name_variables(controller: Controller, instance: Instance, template_name: str) -> dict[str, str]:
    """Return the values of the variables in a name template that the release has (controller-facts B42)."""
    values = {"template_name": template_name, "template_id": instance.ref.template_id}
    if controller.release.has("name-template-nodes"):
        node = controller.nodes[instance.node_id or ""]
        tag = get_version(controller, instance.ref).tag
        values |= {"node_id": node.id, "node_name": node.name, "tag": tag}
    if controller.release.has("name-template-instance"):
        values["instance_id"] = instance.id
    return values
