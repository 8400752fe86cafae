"""Nodes: what they offer, what runs on them, and what becomes of it when they are lost."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from mockanka.core import distributions, failures, instances, pulls, removals, restarts, save_images
from mockanka.core.errors import NotFound, UnknownToRelease
from mockanka.core.events import Event, NodeEvent
from mockanka.core.lifecycle import NodeState
from mockanka.core.overrides import Overrides, set_override
from mockanka.core.pulls import Pull
from mockanka.core.randomness import draw
from mockanka.core.release import SINCE
from mockanka.core.templates import VersionRef
from mockanka.core.usb import UsbDevice
from mockanka.units import GB, MB_PER_GB

if TYPE_CHECKING:
    from mockanka.core.controller import Controller

# In resource mode the RAM a node keeps for itself, and vCPUs for each physical core (controller-facts C7).
RAM_KEPT = 2
VCPUS_PER_CORE = 2


@dataclass(frozen=True)
class AnkaVersion:
    """The Anka software on a node, as it reports itself (controller-facts A6)."""

    product: str = "Anka Build Enterpriseplus"
    version: str = "2.1.2"
    build: str = "112"
    license: str = "com.veertu.anka.entplus"
    expires: str = ""


class NodeLoad(NamedTuple):
    """What runs on a node: VMs, their cores, their RAM in MB."""

    vm_count: int
    vcpu_count: int
    vram: int


@dataclass
class Node:
    """A Mac that runs VMs. ``ram`` and ``ram_override`` are GB, disk sizes bytes, ``cached`` says last used when."""

    id: str
    name: str
    ip: str
    cpus: int = 8
    ram: int = 16
    capacity: int = 2
    capacity_mode: str = "number"
    vcpu_override: int = 0
    ram_override: int = 0
    disk_size: int = 500 * GB
    disk_other: int = 60 * GB
    disk_anka: int = 0
    """What Anka's files take beside those that are cached or on their way: less than nothing if less was told."""
    anka: AnkaVersion = field(default_factory=AnkaVersion)
    usb: tuple[UsbDevice, ...] = ()
    groups: list[str] = field(default_factory=list)
    condition: NodeState = NodeState.ACTIVE
    central_logging: bool = True
    lost_at: int | None = None
    timeout_at: int | None = None
    cached: dict[VersionRef, int] = field(default_factory=dict)
    pulls: dict[VersionRef, Pull] = field(default_factory=dict)
    occupants: dict[str, None] = field(default_factory=dict)
    """Ids of the instances that hold a slot here."""
    force_overrides: bool = False
    """Whether it counts the vcpu and vram that a start asks for, where it counts resources."""
    arch: str = ""
    """``arm64`` or ``amd64``: it takes templates of that kind only; any, if nobody said."""
    vlans: tuple[str, ...] = ()
    removals: dict[str, int] = field(default_factory=dict)
    """The templates that it will take off its disk, and when."""
    manual_vms: int = 0
    """VMs started on the node itself; while there are any it starts no instances (controller-facts C7)."""
    heartbeat_anchor: int | None = None
    """A time at which it reported, from which its heartbeats are counted; None leaves them to the seed."""
    cpu_load: float | None = None
    """Load of the host itself, less than nothing if its VMs idle; a little noise, if nobody said."""
    overrides: Overrides = field(default_factory=dict)
    """What it was made, by a fault or by hand: offline, full, one of TURNS."""

    def is_offline(self, now: int) -> bool:
        """Whether the controller has given the node up."""
        return self.timeout_at is not None and now >= self.timeout_at

    def state(self, now: int) -> NodeState:
        return NodeState.OFFLINE if self.is_offline(now) else self.condition

    @property
    def takes_work(self) -> bool:
        """Whether it asks for work; a node that is lost does not, also while it is still shown as Active."""
        return self.lost_at is None and self.condition is NodeState.ACTIVE

    def last_contact(self, now: int) -> int:
        """Return the latest time of which the controller can know anything: now, or when the node was lost."""
        return now if self.lost_at is None else min(now, self.lost_at)

    def heartbeat(self, controller: Controller) -> int:
        """When the node last reported. Each node has a beat of its own, fixed by the seed unless it was told."""
        period = controller.timings.heartbeat
        offset = self.heartbeat_anchor
        if offset is None:
            offset = int(draw(controller.seed, self.id, "heartbeat") * period)
        latest = self.last_contact(controller.now)
        return latest - (latest - offset) % period

    @property
    def vcpu_limit(self) -> int:
        return self.vcpu_override or VCPUS_PER_CORE * self.cpus

    @property
    def vram_limit(self) -> int:
        """MB. Guess: ``ram_override`` is in GB like ``ram``; its unit is not published."""
        return (self.ram_override or max(0, self.ram - RAM_KEPT)) * MB_PER_GB


@dataclass(frozen=True, slots=True)
class NodeTimedOut(Event):
    """The controller has not heard of a lost node for too long: it is Offline (controller-facts C5, C6)."""

    kind: ClassVar = "node_timed_out"

    node_id: str
    until: int

    def is_current(self, controller: Controller) -> bool:
        node = controller.nodes.get(self.node_id)
        return node is not None and node.timeout_at == self.until

    def makes_progress(self, controller: Controller) -> bool:
        return failures.has_occupants_to_fail(controller, controller.nodes[self.node_id])

    def apply(self, controller: Controller) -> None:
        node = controller.nodes[self.node_id]
        controller.record("node offline", node.id)
        # Guess: what the controller does with the instances of a lost node, and the text, are not published.
        failures.fail_occupants(controller, node, f"node {node.name} is offline")


@dataclass(frozen=True, slots=True)
class NodeUpdated(NodeEvent):
    """The agent has fetched its package and runs again: the node takes work."""

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


def find_node(controller: Controller, node_id: str) -> Node:
    """The node with that id, or NotFound."""
    node = controller.nodes.get(node_id)
    if node is None:
        raise NotFound
    return node


def running_load(controller: Controller, node: Node) -> NodeLoad:
    """Counts the VMs that run; those still being pulled or booted hold a slot but do not run yet."""
    vms = [vm for id in node.occupants if (vm := controller.instances[id].running_vm) is not None]
    return NodeLoad(len(vms) + node.manual_vms, sum(vm.cpus for vm in vms), sum(vm.ram for vm in vms))


def cpu_util(controller: Controller, node: Node) -> float:
    """Load of the host, 0 to 1: its own, which is noise that moves with the heartbeat, and a share for each core."""
    own = node.cpu_load
    if own is None:
        own = 0.02 + 0.06 * draw(controller.seed, node.id, f"cpu {node.heartbeat(controller)}")
    return max(0.0, min(1.0, own + _load_of_vms(controller, node)))


def _load_of_vms(controller: Controller, node: Node) -> float:
    return 0.5 * running_load(controller, node).vcpu_count / max(1, node.cpus)


def match_observed_usage(controller: Controller, node: Node, cpu_util: float | None, disk_used: int | None) -> None:
    """Make the node show what was seen of it: what its VMs and files do not account for is its own."""
    if cpu_util is not None:
        node.cpu_load = cpu_util - _load_of_vms(controller, node)
    if disk_used is not None:
        node.disk_anka += disk_used - pulls.compute_disk_usage(controller, node, node.last_contact(controller.now))


def ram_util(controller: Controller, node: Node) -> float:
    """RAM given to running VMs as a share of the node's (controller-facts A6)."""
    return min(1.0, running_load(controller, node).vram / (node.ram * MB_PER_GB)) if node.ram else 0.0


def configure_node(controller: Controller, node_id: str, changes: dict[str, object]) -> None:
    """Change a node's settings; ``changes`` names fields of Node.

    They hold at once: the real agent picks them up with its next task (controller-facts A7), a delay nobody measured.
    VMs above a lowered capacity run on. ``drain_mode`` puts it into Drain Mode, or ends that and no other state.
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
        for one in controller.instances.values():
            if one.node_id == node_id and one.vm is not None:
                one.vm = replace(one.vm, host_ip=node.ip)
                controller.mark_changed(one)
    controller.placement_due = True
    controller.record("node configured", node_id, **changes)


def delete_node(controller: Controller, node_id: str) -> None:
    """Forget a node. Its instances go to Error at once (a guess, as for a lost one)."""
    node = find_node(controller, node_id)
    failures.fail_occupants(controller, node, f"node {node.name} was deleted")
    distributions.fail_deliveries_to(controller, node)
    failures.detach_instances(controller, node)
    del controller.nodes[node_id]
    controller.placement_due = True
    controller.record("node deleted", node_id, name=node.name)


def host_arch(controller: Controller, node: Node) -> str:
    """What the node says it is; where nobody said, what its templates are for (a guess for want of a fact)."""
    return node.arch or next((each.arch for each in controller.templates.values()), "arm64")


def lose_node(controller: Controller, node_id: str, at_once: bool = False) -> None:
    """The node goes silent, from now on. What it was doing goes unreported until it is back.

    The controller gives it up, and shows it as Offline, when it has not heard of it for ``timings.node_timeout``;
    ``at_once`` is for tests that will not wait.
    """
    node = find_node(controller, node_id)
    if node.lost_at is None:
        last = node.heartbeat(controller)
        node.lost_at = controller.now
        for each in controller.instances.values():
            if each.node_id == node_id:
                controller.mark_changed(each)  # its heartbeat stands still
        controller.record("node lost", node_id)
        _give_up_at(controller, node, max(controller.now, last + controller.timings.node_timeout))
    if at_once and not node.is_offline(controller.now):
        _give_up_at(controller, node, controller.now)


def _give_up_at(controller: Controller, node: Node, at: int) -> None:
    node.timeout_at = at
    controller.schedule(at, NodeTimedOut(node.id, at))


def restore_node(controller: Controller, node_id: str) -> None:
    """The node is back and reports what came to its end meanwhile."""
    node = find_node(controller, node_id)
    node.overrides.pop("offline", None)
    if node.lost_at is None:
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
    """Make the node Active, Updating, Unhealthy or unlicensed for good; only an Active one takes work. VMs run on."""
    node = find_node(controller, node_id)
    if condition is NodeState.OFFLINE:
        raise ValueError("a node is Offline by being lost: use lose()")
    require_known_state(controller, condition)
    for what, meant in STATE_OVERRIDES.items():
        if condition is NodeState.ACTIVE:
            node.overrides.pop(what, None)
        elif condition is meant:
            set_override(node.overrides, what, None)
    _become(controller, node, condition)


def _become(controller: Controller, node: Node, condition: NodeState) -> None:
    node.condition = condition
    controller.placement_due = True
    controller.record("node state", node.id, state=condition.value)


def update_agents(controller: Controller) -> None:
    """Have every agent fetch its package again: Active nodes are Updating meanwhile, and VMs run on.

    Guess: that no other node shows it, and for how long (controller-facts A9).
    """
    for node in controller.nodes.values():
        if node.takes_work:
            length = controller.timings.update.sample(draw(controller.seed, node.id, f"update {controller.now}"))
            until = controller.now + length
            override_node(controller, node.id, UPDATING, until)
            controller.schedule(until, NodeUpdated(node.id, until))


def require_known_state(controller: Controller, condition: NodeState) -> None:
    """Raise UnknownToRelease if the simulated release has no such state."""
    if condition is NodeState.DRAIN and not controller.release.has("drain-mode"):
        raise UnknownToRelease(condition.value, controller.release, SINCE["drain-mode"])


UPDATING = "updating"
STATE_OVERRIDES: dict[str, NodeState] = {
    "drain": NodeState.DRAIN,
    "unhealthy": NodeState.UNHEALTHY,
    UPDATING: NodeState.UPDATING,
    "unlicensed": NodeState.UNLICENSED,
}


def override_node(
    controller: Controller, node_id: str, what: str, until: int | None = None, at_once: bool = False
) -> None:
    """Make a node ``offline``, ``online``, ``full``, or put it in one of the states of TURNS; for good, or until then.

    Offline is lost: shown when the controller has missed it long enough, or ``at_once``. Full is taken by VMs started
    by hand. Online ends all of these, whoever wants them.
    """
    node = find_node(controller, node_id)
    if what == "online":
        restore_node(controller, node_id)
        node.overrides.clear()
        node.manual_vms = 0
        if node.condition is not NodeState.ACTIVE:
            _become(controller, node, NodeState.ACTIVE)
        controller.placement_due = True
        return
    if what in STATE_OVERRIDES:
        require_known_state(controller, STATE_OVERRIDES[what])
    set_override(node.overrides, what, until)
    if what == "offline":
        lose_node(controller, node_id, at_once)
    elif what == "full":
        node.manual_vms = max(1, node.manual_vms, node.capacity - len(node.occupants))
        controller.record("node full", node_id, vms=node.manual_vms)
    else:
        _become(controller, node, STATE_OVERRIDES[what])


def end_node_override(controller: Controller, node_id: str, what: str) -> None:
    """Undo one turn, and no other: whatever else the node is wanted to be it is."""
    node = find_node(controller, node_id)
    node.overrides.pop(what, None)
    if what == "offline":
        restore_node(controller, node_id)
    elif what == "full":
        node.manual_vms = 0
        controller.placement_due = True
        controller.record("node free", node_id)
    else:
        refresh_state(controller, node)


def refresh_state(controller: Controller, node: Node) -> None:
    """Put the node in the state that it was made last of those that last; without a licence it is unlicensed."""
    plain = NodeState.UNLICENSED if controller.license.expired else NodeState.ACTIVE
    condition = next((STATE_OVERRIDES[what] for what in reversed(node.overrides) if what in STATE_OVERRIDES), plain)
    if condition is not node.condition:
        _become(controller, node, condition)
