"""The VMs behind instances: what a node makes of a template when it clones one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING

from mockanka.core.randomness import draw, host_uuid
from mockanka.core.templates import get_version
from mockanka.units import MICROSECOND, SECOND

if TYPE_CHECKING:
    from mockanka.core.controller import Controller
    from mockanka.core.instance_record import Instance
    from mockanka.core.nodes import Node
    from mockanka.core.templates import PortRule

VNC_PORT = 5901
GUEST_VNC = 5900
HOST_PORT = 10000
FIRST_HOST, HOSTS = 2, 253
NAME_PREFIX = "mgmtManaged-"
NAME_TEMPLATE = "$template_name-$ts"


@dataclass(frozen=True)
class PortForward:
    """A port of the guest and the port of the node that leads to it."""

    name: str
    guest_port: int
    host_port: int
    protocol: str = "tcp"


@dataclass(frozen=True)
class Vm:
    """The VM behind an instance, as its node reports it (controller-facts A2.3); ``ram`` is MB."""

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
    """When it was cloned, and when it last booted."""

    def lost(self, status: str, kept: bool) -> Vm:
        """The same after something went wrong with it: with all that was known of it, or nothing that leads to it."""
        if kept:
            return replace(self, status=status)
        return replace(self, status=status, name="", ip="", vnc_port=0, ports=())


def clone_vm(controller: Controller, instance: Instance, node: Node) -> Vm:
    """The VM a node makes for the instance, with the next free address and ports of that node."""
    source = controller.templates[instance.ref.template_id]
    version = get_version(controller, instance.ref)
    request = instance.request
    others = [vm for id in node.occupants if (vm := controller.instances[id].vm) is not None]
    rules = source.port_rules_for(version) if request.ports is None else request.ports
    ports = _forwarded(rules, {port.host_port for vm in others for port in vm.ports})
    addresses = {vm.ip for vm in others}
    return Vm(
        uuid=host_uuid(controller.seed, instance.id, "vm"),
        name=_vm_name(controller, instance, source.name),
        host_ip=node.ip,
        ip=next(address for address in map(_address, count()) if address not in addresses),
        vnc_port=_vnc_port(controller, source.arch, ports, {vm.vnc_port for vm in others}),
        cpus=source.cpus if version.suspended else request.vcpu or source.cpus,
        ram=source.ram if version.suspended else request.vram or source.ram,
        ports=ports,
        vnc_password=request.vnc_password or "",
        created=controller.now,
        started=controller.now,
    )


def _forwarded(rules: Sequence[PortRule], taken: set[int]) -> tuple[PortForward, ...]:
    """The ports of the node that lead to those of the rules: the one that a rule asks for, or the next that is free.

    Guess: so it is also for a rule whose port another VM of the node has.
    """
    found: dict[int, int] = {}
    asked_first = sorted(range(len(rules)), key=lambda index: rules[index].host_port is None)
    for index in asked_first:
        found[index] = _next_free(rules[index].host_port or HOST_PORT, taken)
        taken.add(found[index])
    return tuple(PortForward(rule.name, rule.guest_port, found[i], rule.protocol) for i, rule in enumerate(rules))


def _vnc_port(controller: Controller, arch: str, ports: Iterable[PortForward], taken: set[int]) -> int:
    # Apple silicon has none without a rule for it (controller-facts A2.3). Guess: since when that shows.
    if arch == "arm64" and controller.release.has("vm-dates"):
        return next((port.host_port for port in ports if port.guest_port == GUEST_VNC), 0)
    return _next_free(VNC_PORT, taken)


def _address(number: int) -> str:
    """The addresses that macOS gives to guests, in order; past the first network the next ones follow."""
    network, host = divmod(number, HOSTS)
    return f"192.168.{64 + network}.{FIRST_HOST + host}"


def _next_free(first: int, taken: set[int]) -> int:
    while first in taken:
        first += 1
    return first


def _vm_name(controller: Controller, instance: Instance, template_name: str) -> str:
    # $ts has nanoseconds, of which a Mac's clock knows the microseconds (controller-facts A1); the draw keeps
    # the names of VMs apart that are cloned at the same moment.
    jitter = int(draw(controller.seed, instance.id, "clone") * SECOND)
    stamp = (controller.now + jitter) // MICROSECOND * MICROSECOND
    values = _values(controller, instance, template_name) | {"ts": str(stamp)}
    pattern = re.compile(rf"\$({'|'.join(sorted(values, key=len, reverse=True))})")
    name = instance.request.name_template or NAME_TEMPLATE
    return NAME_PREFIX + pattern.sub(lambda variable: values[variable[1]], name)


def _values(controller: Controller, instance: Instance, template_name: str) -> dict[str, str]:
    """What the variables of a name template stand for; text that is none stays as it is (controller-facts B42)."""
    values = {"template_name": template_name, "template_id": instance.ref.template_id}
    if controller.release.has("name-template-nodes"):
        node = controller.nodes[instance.node_id or ""]
        tag = get_version(controller, instance.ref).tag
        values |= {"node_id": node.id, "node_name": node.name, "tag": tag}
    if controller.release.has("name-template-instance"):
        values["instance_id"] = instance.id
    return values
