"""Nodes: their resources, their load, their states, and what happens when one is lost or deleted."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from mockanka.core import (
    distributions,
    failures,
    instances,
    lost_nodes,
    pulls,
    registry,
    removals,
    restarts,
    save_images,
)
from mockanka.core.errors import NoSuchNode, NotFound, UnknownToRelease
from mockanka.core.events import Event, NodeEvent
from mockanka.core.lifecycle import InstanceState, LostInstances, NodeState
from mockanka.core.overrides import Overrides, override_end, set_override
from mockanka.core.pulls import Pull
from mockanka.core.randomness import draw
from mockanka.core.release import SINCE
from mockanka.core.templates import VersionRef
from mockanka.core.usb import UsbDevice
from mockanka.units import GB, MB_PER_GB

if TYPE_CHECKING:
    from mockanka.core.controller import Controller

# In capacity mode ``resource`` (controller-facts C7).
RESERVED_RAM_GB = 2
"""The RAM that a node keeps for itself."""
VCPUS_PER_CORE = 2
"""vCPUs for each physical core."""


@dataclass(frozen=True)
class AnkaVersion:
    """The Anka software that a node reports (controller-facts A6)."""

    product: str = "Anka Build Enterpriseplus"
    version: str = "2.1.2"
    build: str = "112"
    license: str = "com.veertu.anka.entplus"
    expires: str = ""


class NodeLoad(NamedTuple):
    """The VMs that run on a node, their cores in all, and their RAM in MB."""

    vm_count: int
    vcpu_count: int
    vram: int


@dataclass
class Node:
    """A Mac that runs VMs. ``ram`` and ``ram_override`` are GB, disk sizes bytes, times nanoseconds."""

    id: str
    name: str
    ip: str
    cpus: int = 8
    ram: int = 16
    capacity: int = 2
    workers: int = 2
    """How many tasks it works on at once: starts until the VM is up, pulls and distributions (controller-facts C8)."""
    capacity_mode: str = "number"
    vcpu_override: int = 0
    ram_override: int = 0
    disk_size: int = 500 * GB
    disk_other: int = 60 * GB
    disk_anka: int = 0
    """Bytes of Anka's files besides those that are cached or being pulled.

    Negative if a snapshot saw less on the disk than the sizes of its templates add up to.
    """
    anka: AnkaVersion = field(default_factory=AnkaVersion)
    usb: tuple[UsbDevice, ...] = ()
    groups: list[str] = field(default_factory=list)
    condition: NodeState = NodeState.ACTIVE
    """Its state, but for Offline, which follows from ``timeout_at``."""
    central_logging: bool = True
    lost_at: int | None = None
    """When the controller lost contact with it."""
    timeout_at: int | None = None
    """When a lost node becomes Offline."""
    lost_instances: LostInstances | None = None
    """While it is lost, the policy for its instances that a fault has chosen."""
    cached: dict[VersionRef, int] = field(default_factory=dict)
    """The versions on its disk, and when each was used last."""
    pulls: dict[VersionRef, Pull] = field(default_factory=dict)
    occupants: dict[str, None] = field(default_factory=dict)
    """The ids of the instances that hold a slot, in the order in which they took it."""
    force_overrides: bool = False
    """True if capacity mode ``resource`` counts the vcpu and vram that a start requests."""
    agent_version: str = ""
    """The version of its agent that a snapshot saw; blank is the controller's."""
    arch: str = ""
    """``arm64`` or ``amd64``, the only templates that it takes; blank takes any."""
    vlans: tuple[str, ...] = ()
    removals: dict[str, int] = field(default_factory=dict)
    """The templates that it is going to remove from its disk, by id, and when each is removed."""
    manual_vms: int = 0
    """VMs that were started on the node itself; while there are any it starts no instances (controller-facts C7)."""
    heartbeat_anchor: int | None = None
    """A time at which it sent a heartbeat, which fixes the times of all; None lets the seed fix them."""
    cpu_load: float | None = None
    """The host's own share of ``cpu_util``; None is a little noise.

    Negative if a snapshot saw less load than the running VMs are assumed to cause.
    """
    overrides: Overrides = field(default_factory=dict)
    """Conditions that faults and operations force.

    They are ``offline``, ``full``, ``registry-unreachable``, and the keys of ``STATE_OVERRIDES``.
    """

    def is_offline(self, now: int) -> bool:
        """Return whether the node has been lost for so long that the controller shows it as Offline."""
        return self.timeout_at is not None and now >= self.timeout_at

    def state(self, now: int) -> NodeState:
        """Return the state that the controller shows."""
        return NodeState.OFFLINE if self.is_offline(now) else self.condition

    @property
    def takes_work(self) -> bool:
        """True if the node asks for work. A lost one does not, even while it is still shown as Active."""
        return self.lost_at is None and self.condition is NodeState.ACTIVE

    @property
    def reaches_registry(self) -> bool:
        """True unless a fault cuts the node off from the registry, which the controller still reaches."""
        return REGISTRY_UNREACHABLE not in self.overrides

    def last_contact(self, now: int) -> int:
        """Return the latest time up to which the controller knows about the node: now, or when the node was lost."""
        return now if self.lost_at is None else min(now, self.lost_at)

    def heartbeat(self, controller: Controller) -> int:
        """Return when the node sent its last heartbeat. Each node has times of its own."""
        period = controller.timings.heartbeat
        offset = self.heartbeat_anchor
        if offset is None:
            offset = int(draw(controller.seed, self.id, "heartbeat") * period)
        latest = self.last_contact(controller.now)
        return latest - (latest - offset) % period

    @property
    def vcpu_limit(self) -> int:
        """The vCPUs that its VMs may have in capacity mode ``resource``."""
        return self.vcpu_override or VCPUS_PER_CORE * self.cpus

    @property
    def vram_limit(self) -> int:
        """The MB of RAM that its VMs may have in capacity mode ``resource``.

        Guess: ``ram_override`` is in GB like ``ram``; its unit is not published.
        """
        return (self.ram_override or max(0, self.ram - RESERVED_RAM_GB)) * MB_PER_GB


@dataclass(frozen=True, slots=True)
class NodeTimedOut(Event):
    """The controller has missed the heartbeats of a lost node for too long: it is Offline (controller-facts C5, C6)."""

    kind: ClassVar = "node_timed_out"

    node_id: str
    until: int

    def is_current(self, controller: Controller) -> bool:
        node = controller.nodes.get(self.node_id)
        return node is not None and node.timeout_at == self.until

    def makes_progress(self, controller: Controller) -> bool:
        return lost_nodes.has_occupants_to_give_up(controller, controller.nodes[self.node_id])

    def apply(self, controller: Controller) -> None:
        node = controller.nodes[self.node_id]
        controller.record("node offline", node.id)
        lost_nodes.give_up_occupants(controller, node)


@dataclass(frozen=True, slots=True)
class NodeUpdated(NodeEvent):
    """The agent of a node has fetched its package and runs again, so that the node takes work."""

    kind: ClassVar = "node_updated"

    node_id: str
    until: int

    def reporting_node(self, controller: Controller) -> Node | None:
        return controller.nodes.get(self.node_id)

    def is_current(self, controller: Controller) -> bool:
        node = self.reporting_node(controller)
        return node is not None and node.overrides.get(UPDATING) == self.until

    def makes_progress(self, controller: Controller) -> bool:
        return bool(controller.waiting)

    def apply(self, controller: Controller) -> None:
        end_node_override(controller, self.node_id, UPDATING)


@dataclass(frozen=True, slots=True)
class NodeOverrideBegan(Event):
    """A fault overrides a node with ``what``, as in ``override_node``, for ``lasts`` ns, or for good if that is 0."""

    kind: ClassVar = "node_override_began"

    node_id: str
    what: str
    lasts: int
    lost_instances: LostInstances | None = None

    def is_current(self, controller: Controller) -> bool:
        return self.node_id in controller.nodes

    def makes_progress(self, controller: Controller) -> bool:
        return self.what == "online" and _has_waiting_work(controller, self.node_id)

    def apply(self, controller: Controller) -> None:
        until = override_end(controller.now, self.lasts)
        override_node(controller, self.node_id, self.what, until, lost_instances=self.lost_instances)
        if until is not None:
            controller.schedule(until, NodeOverrideEnded(self.node_id, self.what, until))


@dataclass(frozen=True, slots=True)
class NodeOverrideEnded(Event):
    """An override of a node ends, unless it was extended or removed since; other overrides stay."""

    kind: ClassVar = "node_override_ended"

    node_id: str
    what: str
    until: int

    def is_current(self, controller: Controller) -> bool:
        node = controller.nodes.get(self.node_id)
        return node is not None and node.overrides.get(self.what) == self.until

    def makes_progress(self, controller: Controller) -> bool:
        return _has_waiting_work(controller, self.node_id)

    def apply(self, controller: Controller) -> None:
        end_node_override(controller, self.node_id, self.what)


def _has_waiting_work(controller: Controller, node_id: str) -> bool:
    """Return whether instances wait for a node, or are on this one, and may go on when it is available again.

    Those that run on a lost node do not: their state stays as it is.
    """
    node = controller.nodes[node_id]
    if controller.waiting or node.lost_at is None:
        return bool(controller.waiting or node.occupants)
    occupants = [controller.instances[id] for id in node.occupants]
    at_rest = (InstanceState.STARTED, InstanceState.ERROR)
    return any(instance.state not in at_rest or instance.restarting_until is not None for instance in occupants)


def find_node(controller: Controller, node_id: str) -> Node:
    """Return the node with that id. Raises NotFound."""
    node = controller.nodes.get(node_id)
    if node is None:
        raise NotFound
    return node


def find_node_by_id_or_name(controller: Controller, node: str) -> Node:
    """Return the node with that id, or the only one with that name. Raises NoSuchNode."""
    if node in controller.nodes:
        return controller.nodes[node]
    matches = [candidate for candidate in controller.nodes.values() if candidate.name == node]
    if len(matches) != 1:
        raise NoSuchNode(node)
    return matches[0]


def running_load(controller: Controller, node: Node) -> NodeLoad:
    """Return the load of the VMs that run; instances that pull or boot hold a slot, but do not count yet."""
    vms = [vm for id in node.occupants if (vm := controller.instances[id].running_vm) is not None]
    return NodeLoad(len(vms) + node.manual_vms, sum(vm.cpus for vm in vms), sum(vm.ram for vm in vms))


def cpu_util(controller: Controller, node: Node) -> float:
    """Return the load of the host, 0 to 1: its own, by default noise that changes with the heartbeat, and the VMs'."""
    host_load = node.cpu_load
    if host_load is None:
        host_load = 0.02 + 0.06 * draw(controller.seed, node.id, f"cpu {node.heartbeat(controller)}")
    return max(0.0, min(1.0, host_load + _vm_cpu_load(controller, node)))


def _vm_cpu_load(controller: Controller, node: Node) -> float:
    return 0.5 * running_load(controller, node).vcpu_count / max(1, node.cpus)


def match_observed_usage(controller: Controller, node: Node, cpu_util: float | None, disk_used: int | None) -> None:
    """Adjust the node so that it shows the CPU load (0 to 1) and the bytes of used disk that a snapshot saw."""
    if cpu_util is not None:
        node.cpu_load = cpu_util - _vm_cpu_load(controller, node)
    if disk_used is not None:
        node.disk_anka += disk_used - pulls.compute_disk_usage(controller, node, node.last_contact(controller.now))


def ram_util(controller: Controller, node: Node) -> float:
    """Return the RAM of the running VMs as a fraction of the node's, 0 to 1 (controller-facts A6)."""
    return min(1.0, running_load(controller, node).vram / (node.ram * MB_PER_GB)) if node.ram else 0.0


def configure_node(controller: Controller, node_id: str, changes: dict[str, object]) -> None:
    """Change a node's settings: ``changes`` has new values of fields of Node, or ``drain_mode``. Raises NotFound.

    Changes take effect at once: the real agent picks them up with its next task (controller-facts A7), a delay that is
    not known. VMs above a lowered capacity keep running. ``drain_mode`` puts the node into Drain Mode, or ends that
    state and no other.
    """
    node = find_node(controller, node_id)
    for key, value in changes.items():
        if key != "drain_mode":
            setattr(node, key, value)
        elif value:
            set_node_state(controller, node_id, NodeState.DRAIN)
        else:
            end_node_override(controller, node_id, "drain")
    if "ip" in changes:
        for instance in controller.instances.values():
            if instance.node_id == node_id and instance.vm is not None:
                instance.vm = replace(instance.vm, host_ip=node.ip)
                controller.mark_changed(instance)
    controller.placement_due = True
    controller.record("node configured", node_id, **changes)


def delete_node(controller: Controller, node_id: str) -> None:
    """Remove a node. Its instances go to Error at once, which is a guess. Raises NotFound."""
    node = find_node(controller, node_id)
    failures.fail_occupants(controller, node, f"node {node.name} was deleted")
    distributions.fail_deliveries_to(controller, node)
    failures.detach_instances(controller, node)
    del controller.nodes[node_id]
    controller.placement_due = True
    controller.record("node deleted", node_id, name=node.name)


def host_arch(controller: Controller, node: Node) -> str:
    """Return the architecture that the node reports; guess: without one of its own that of the first template."""
    return node.arch or next((template.arch for template in controller.templates.values()), "arm64")


def lose_node(controller: Controller, node_id: str, at_once: bool = False) -> None:
    """Let the controller lose contact with a node: what it does is not reported until it is back. Raises NotFound.

    The node is Offline when it has sent no heartbeat for ``timings.node_timeout``, or now if ``at_once``, which is for
    tests that do not want to wait.
    """
    node = find_node(controller, node_id)
    if node.lost_at is None:
        last = node.heartbeat(controller)
        node.lost_at = controller.now
        for instance in controller.instances.values():
            if instance.node_id == node_id:
                controller.mark_changed(instance)  # its time of the last update stops at the last heartbeat
        controller.record("node lost", node_id)
        _schedule_timeout(controller, node, max(controller.now, last + controller.timings.node_timeout))
    if at_once and not node.is_offline(controller.now):
        _schedule_timeout(controller, node, controller.now)


def _schedule_timeout(controller: Controller, node: Node, at: int) -> None:
    node.timeout_at = at
    controller.schedule(at, NodeTimedOut(node.id, at))


def restore_node(controller: Controller, node_id: str) -> None:
    """Bring a lost node back: it reports what has ended meanwhile. Raises NotFound."""
    node = find_node(controller, node_id)
    node.overrides.pop("offline", None)
    node.lost_instances = None
    if node.lost_at is None:
        return
    if controller.down_until is not None:
        node.timeout_at = None  # it is back when the controller is
        return
    node.lost_at = node.timeout_at = None
    pulls.resume_pulls(controller, node)
    instances.resume_instances(controller, node)
    restarts.resume_restarts(controller, node)
    save_images.resume_saves(controller, node)
    distributions.resume_deliveries(controller, node)
    removals.resume_removals(controller, node)
    until = node.overrides.get(UPDATING)
    if until is not None and until <= controller.now:
        controller.schedule(controller.now, NodeUpdated(node.id, until))
    controller.placement_due = True
    controller.record("node back", node_id)


def set_node_state(controller: Controller, node_id: str, condition: NodeState) -> None:
    """Put a node into any state but Offline for good. Only an Active one takes work; VMs keep running.

    Raises NotFound or UnknownToRelease, and ValueError for Offline.
    """
    node = find_node(controller, node_id)
    if condition is NodeState.OFFLINE:
        raise ValueError("a node is Offline by being lost: use lose_node()")
    require_known_state(controller, condition)
    for what, overriding_state in STATE_OVERRIDES.items():
        if condition is NodeState.ACTIVE:
            node.overrides.pop(what, None)
        elif condition is overriding_state:
            set_override(node.overrides, what, None)
    _change_state(controller, node, condition)


def _change_state(controller: Controller, node: Node, condition: NodeState) -> None:
    node.condition = condition
    controller.placement_due = True
    controller.record("node state", node.id, state=condition.value)


def update_agents(controller: Controller) -> None:
    """Have every agent fetch its package again: Active nodes are Updating meanwhile, and VMs keep running.

    Guess: that other nodes do not show it, and how long it takes (controller-facts A9).
    """
    for node in controller.nodes.values():
        if node.takes_work:
            length = controller.timings.update.sample(draw(controller.seed, node.id, f"update {controller.now}"))
            until = controller.now + length
            override_node(controller, node.id, UPDATING, until)
            controller.schedule(until, NodeUpdated(node.id, until))


def require_known_state(controller: Controller, condition: NodeState) -> None:
    """Raise UnknownToRelease unless the simulated release has that state."""
    if condition is NodeState.DRAIN and not controller.release.has("drain-mode"):
        raise UnknownToRelease(condition.value, controller.release, SINCE["drain-mode"])


UPDATING = "updating"
REGISTRY_UNREACHABLE = "registry-unreachable"
STATE_OVERRIDES: dict[str, NodeState] = {
    "drain": NodeState.DRAIN,
    "unhealthy": NodeState.UNHEALTHY,
    UPDATING: NodeState.UPDATING,
    "unlicensed": NodeState.UNLICENSED,
    "blank": NodeState.BLANK,
}
"""The overrides that put a node into a state."""


def override_node(
    controller: Controller,
    node_id: str,
    what: str,
    until: int | None = None,
    at_once: bool = False,
    lost_instances: LostInstances | None = None,
) -> None:
    """Override a node until a time, or for good, with one of ``NODE_OVERRIDES``.

    ``offline`` loses the node, as ``lose_node`` does, with the policy ``lost_instances`` unless it is Offline already;
    ``full`` fills its free slots with VMs started by hand; ``registry-unreachable`` fails its pulls and pushes, and
    lets it begin no others; ``online`` ends all overrides, whatever set them. The others put it into a state. Raises
    NotFound or UnknownToRelease.
    """
    node = find_node(controller, node_id)
    if what == "online":
        restore_node(controller, node_id)
        node.overrides.clear()
        node.manual_vms = 0
        if node.condition is not NodeState.ACTIVE:
            _change_state(controller, node, NodeState.ACTIVE)
        controller.placement_due = True
        return
    if what in STATE_OVERRIDES:
        require_known_state(controller, STATE_OVERRIDES[what])
    set_override(node.overrides, what, until)
    if what == "offline":
        if not node.is_offline(controller.now):
            node.lost_instances = lost_instances or node.lost_instances
        lose_node(controller, node_id, at_once)
    elif what == "full":
        node.manual_vms = max(1, node.manual_vms, node.capacity - len(node.occupants))
        controller.record("node full", node_id, vms=node.manual_vms)
    elif what == REGISTRY_UNREACHABLE:
        controller.record("node cut off from the registry", node_id)
        registry.fail_transfers(controller, node)
    else:
        _change_state(controller, node, STATE_OVERRIDES[what])


def end_node_override(controller: Controller, node_id: str, what: str) -> None:
    """End one override of a node; the others stay. Raises NotFound."""
    node = find_node(controller, node_id)
    node.overrides.pop(what, None)
    if what == "offline":
        restore_node(controller, node_id)
    elif what == "full":
        node.manual_vms = 0
        controller.placement_due = True
        controller.record("node free", node_id)
    elif what == REGISTRY_UNREACHABLE:
        controller.placement_due = True
        controller.record("node reaches the registry", node_id)
    else:
        refresh_state(controller, node)


def refresh_state(controller: Controller, node: Node) -> None:
    """Set the node's state by its latest override; without one it is Active, or unlicensed by an expired licence."""
    default = NodeState.UNLICENSED if controller.license.expired else NodeState.ACTIVE
    condition = next((STATE_OVERRIDES[what] for what in reversed(node.overrides) if what in STATE_OVERRIDES), default)
    if condition is not node.condition:
        _change_state(controller, node, condition)
