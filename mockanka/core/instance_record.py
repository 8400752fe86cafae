"""What is known of an instance: what was asked for, where it stands, and where it has been."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from mockanka.core import usb
from mockanka.core.lifecycle import InstanceState
from mockanka.core.scripts import ScriptResult
from mockanka.core.templates import PortRule, VersionRef
from mockanka.core.vms import Vm
from mockanka.units import MICROSECOND, SECOND

if TYPE_CHECKING:
    from mockanka.core.controller import Controller

SCRIPT_TIMEOUT = 90 * SECOND
"""How long a monitored startup script may take when the request does not say (controller-facts A1)."""


@dataclass(frozen=True)
class StartRequest:
    """What POST vm asks for (controller-facts A1), once for each instance; ``vram`` is MB, a timeout nanoseconds.

    A startup script that is not monitored is kept, and nobody hears of its end (controller-facts C4). ``ports`` are
    rules in place of the template's; ``mac_address`` is the one it has, if addresses are managed.
    """

    template_id: str
    tag: str | None = None
    version: int | None = None
    name: str | None = None
    external_id: str | None = None
    node_id: str | None = None
    group_id: str | None = None
    priority: int = 1000
    usb_device: str | None = None
    vcpu: int | None = None
    vram: int | None = None
    startup_script: str | None = None
    startup_script_condition: int = 0
    script_monitoring: bool = False
    script_timeout: int = SCRIPT_TIMEOUT
    script_fail_handler: int = 0
    name_template: str | None = None
    mac_address: str | None = None
    vlan_tag: str | None = None
    ports: tuple[PortRule, ...] | None = None
    vnc_password: str | None = None
    metadata: dict[str, str | int | bool] = field(default_factory=dict)


class TimelineEntry(NamedTuple):
    """A state an instance came to: since when, and by what."""

    state: InstanceState
    since: int
    cause: str


class PlannedEnd(NamedTuple):
    """How a phase ends that a fault has struck: ``fail``, with a message, or ``stop``; how far a pull will be then."""

    kind: str
    message: str = ""
    progress: float = 0.0


class Stall(NamedTuple):
    """A fault holds something for good: its rule's id, and how much of the phase would be left without it."""

    rule_id: str
    rest: int


@dataclass
class Instance:
    """One instance. Times are nanoseconds; ``since`` is when it came to its state, ``until`` when its phase ends."""

    id: str
    number: int
    request: StartRequest
    ref: VersionRef
    created: int
    inflight_id: str
    since: int
    state: InstanceState = InstanceState.SCHEDULING
    phase: int = 0
    """The number of its phase; an event of an earlier phase is not current any more."""
    ready: bool = False
    """Whether the controller has queued it, so that a node may take it."""
    node_id: str | None = None
    holds_slot: bool = False
    """Whether it holds a slot on its node."""
    booting: bool = False
    until: int | None = None
    progress_made: float = 0.0
    """Of its pull, once that is over or broken off; 0 if there was none."""
    message: str = ""
    last_report: int = 0
    """When its node last reported on it, if that node was deleted since; else 0."""
    waits_for: str = field(default="", compare=False)
    """Why no node took it when it was last looked at."""
    vm: Vm | None = None
    usb: usb.UsbDevice | None = None
    restarting_until: int | None = None
    """When the stage of a restart ends that goes on; first its VM stops, then it is up again."""
    save_id: str | None = None
    """The save image request that pushes it."""
    script: ScriptResult | None = None
    """What its monitored startup script left, or will leave once it is up."""
    planned_end: PlannedEnd | None = None
    stall: Stall | None = None
    unreported: tuple[str, ...] = ()
    """What its node does not report of the VM, by a fault."""
    unreported_for: int | None = None
    """How long after it is Started; for good if that is None."""
    hidden: bool = False
    """Whether nobody sees it for a while, by a fault."""
    failed_on: tuple[str, ...] = ()
    """The nodes, by id, on which it failed to start before."""
    timeline: list[TimelineEntry] = field(default_factory=list, compare=False)
    revision: int = field(default=0, compare=False)

    @property
    def running_vm(self) -> Vm | None:
        """The VM, while it counts as running on its node."""
        return self.vm if self.holds_slot and not self.booting else None

    @property
    def shown_vm(self) -> Vm | None:
        """The VM as far as a node has reported one: not before the instance was Started (controller-facts A2.6)."""
        return None if self.booting else self.vm

    @property
    def pulling(self) -> bool:
        """Whether its pull still goes on."""
        return self.state is InstanceState.PULLING and not self.booting

    @property
    def shown_node_id(self) -> str | None:
        """The node as far as the controller tells: not while Scheduling, though one may have it by then, unless it has
        pulled already (controller-facts A2.2, A2.6)."""
        has_pulled = self.booting and self.progress_made >= 1.0
        return None if self.state is InstanceState.SCHEDULING and not has_pulled else self.node_id

    @property
    def vlan(self) -> str:
        """The VLAN of its VM; blank when it has none."""
        return self.request.vlan_tag or ""

    def progress(self, controller: Controller) -> float:
        """0 to 1: the pull while it lasts, its last value ever after (controller-facts A2.5)."""
        if not self.pulling or self.node_id is None:
            return self.progress_made
        node = controller.nodes[self.node_id]
        running = node.pulls.get(self.ref)
        if running is None:
            return self.planned_end.progress if self.planned_end else 1.0
        return running.progress(node.last_contact(controller.now))

    def updated(self, controller: Controller) -> int:
        """Time of the last update: its node's heartbeat, or its last change if that came later.

        A new instance shows about a microsecond before its creation (controller-facts A0.2).
        """
        if self.node_id in controller.nodes and self._reported:
            return max(self.since, controller.nodes[self.node_id].heartbeat(controller))
        return max(self.since, self.last_report) if self.phase else self.created - MICROSECOND

    @property
    def _reported(self) -> bool:
        return self.holds_slot or self.state is InstanceState.STOPPED
