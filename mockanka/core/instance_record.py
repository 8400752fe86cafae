"""The record of an instance: what was requested, its state, and its timeline."""

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
    """The request for one instance, as POST vm has it (controller-facts A1); ``vram`` is MB, the timeout nanoseconds.

    A startup script that is not monitored is kept, but its end is not reported (controller-facts C4). ``ports`` replace
    the template's rules; ``mac_address`` is the address that the instance has, if the controller assigns addresses.
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
    """A state in the history of an instance, its beginning, and its cause."""

    state: InstanceState
    since: int
    cause: str


class PlannedEnd(NamedTuple):
    """The end that a fault has decided for a phase: ``fail`` with a message, or ``stop``; a pull's progress then.

    After a ``final`` failure a start is not tried again.
    """

    kind: str
    message: str = ""
    progress: float = 0.0
    final: bool = False


class Stall(NamedTuple):
    """A fault that stalls a phase until its rule is removed: the rule's id, and the nanoseconds left of the phase."""

    rule_id: str
    rest: int


@dataclass
class Instance:
    """An instance. Times are nanoseconds; ``since`` is when its state began, ``until`` when its phase ends."""

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
    """True if the controller has queued it, so that a node may take it."""
    node_id: str | None = None
    holds_slot: bool = False
    """True if it holds a slot on its node."""
    booting: bool = False
    until: int | None = None
    progress_made: float = 0.0
    """The progress of its pull, 0 to 1, once that has ended; 0 if there was none."""
    message: str = ""
    last_report: int = 0
    """When its node last reported on it, if that node was deleted or gave up its start; otherwise 0."""
    waits_for: str = field(default="", compare=False)
    """Why no node took it when it was last tried."""
    vm: Vm | None = None
    usb: usb.UsbDevice | None = None
    restarting_until: int | None = None
    """When the present stage of a restart ends: the VM stops, then it starts again."""
    save_id: str | None = None
    """The id of the save image request that pushes it."""
    script: ScriptResult | None = None
    """The result of its monitored startup script, known from the boot on and reported once the script has ended."""
    planned_end: PlannedEnd | None = None
    stall: Stall | None = None
    unreported: tuple[str, ...] = ()
    """The fields of the VM that its node leaves out because of a fault."""
    unreported_for: int | None = None
    """How many nanoseconds after it is Started they are reported; None is never."""
    hidden: bool = False
    """True if the controller does not show it for a while because of a fault."""
    failed_on: tuple[str, ...] = ()
    """The ids of the nodes on which it failed to start before."""
    timeline: list[TimelineEntry] = field(default_factory=list, compare=False)
    revision: int = field(default=0, compare=False)

    @property
    def running_vm(self) -> Vm | None:
        """The VM, while it counts as running on its node."""
        return self.vm if self.holds_slot and not self.booting else None

    @property
    def shown_vm(self) -> Vm | None:
        """The VM, once a node has reported it, which is when the instance is Started (controller-facts A2.6)."""
        return None if self.booting else self.vm

    @property
    def pulling(self) -> bool:
        """True if it waits for a pull."""
        return self.state is InstanceState.PULLING and not self.booting

    @property
    def shown_node_id(self) -> str | None:
        """The node, once the controller shows it: in Scheduling only after a pull (controller-facts A2.2, A2.6)."""
        has_pulled = self.booting and self.progress_made >= 1.0
        return None if self.state is InstanceState.SCHEDULING and not has_pulled else self.node_id

    @property
    def vlan(self) -> str:
        """The VLAN of its VM; blank without one."""
        return self.request.vlan_tag or ""

    def progress(self, controller: Controller) -> float:
        """Return the progress of the pull, 0 to 1; its last value after the pull has ended (controller-facts A2.5)."""
        if not self.pulling or self.node_id is None:
            return self.progress_made
        node = controller.nodes[self.node_id]
        pull = node.pulls.get(self.ref)
        if pull is None:
            return self.planned_end.progress if self.planned_end else 1.0
        return pull.progress(node.last_contact(controller.now))

    def updated(self, controller: Controller) -> int:
        """Return the time of the last update: its node's heartbeat, or its last change if that came later.

        A new instance shows about a microsecond before its creation (controller-facts A0.2).
        """
        if self.node_id in controller.nodes and self._has_reporting_node:
            return max(self.since, controller.nodes[self.node_id].heartbeat(controller))
        return max(self.since, self.last_report) if self.phase else self.created - MICROSECOND

    def unchanged_until(self, controller: Controller) -> int | None:
        """Return until when `updated` and `progress` stay as they are if nothing happens; None if they always do."""
        if self.pulling:
            return controller.now + 1
        node = controller.nodes.get(self.node_id or "") if self._has_reporting_node else None
        if node is None or node.lost_at is not None:
            return None
        return node.heartbeat(controller) + controller.timings.heartbeat

    @property
    def _has_reporting_node(self) -> bool:
        return self.holds_slot or self.state is InstanceState.STOPPED
