"""Instances: from the request to start one until nobody knows it any more."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from mockanka.core import network, pulls, scripts, templates, usb
from mockanka.core.errors import NodeDiskFull, NoSuchNode, NoSuchTemplate, NotFound, RegistryDown
from mockanka.core.events import Event, NodeEvent
from mockanka.core.failures import fail_instance, fail_script, fail_start, occupants_of
from mockanka.core.faults import NO_HIT, FaultHit, apply_rules
from mockanka.core.groups import require_group
from mockanka.core.instance_record import Instance, PlannedEnd, Stall, StartRequest, TimelineEntry
from mockanka.core.lifecycle import InstanceState
from mockanka.core.randomness import draw
from mockanka.core.templates import VersionRef
from mockanka.core.transitions import forget, free_slot, take_slot, transition
from mockanka.core.vms import clone_vm

if TYPE_CHECKING:
    from mockanka.core.controller import Controller
    from mockanka.core.nodes import Node


@dataclass(frozen=True, slots=True)
class _InstanceEvent(Event):
    """An event of a phase of an instance: current while the instance is in that phase."""

    instance_id: str
    phase: int

    def instance_in_phase(self, controller: Controller) -> Instance | None:
        """Return the instance if it is still in the phase, else None."""
        instance = controller.instances.get(self.instance_id)
        return instance if instance is not None and instance.phase == self.phase else None

    def is_current(self, controller: Controller) -> bool:
        return self.instance_in_phase(controller) is not None

    def apply(self, controller: Controller) -> None:
        self.apply_to(controller, controller.instances[self.instance_id])

    def apply_to(self, controller: Controller, instance: Instance) -> None:
        raise NotImplementedError


class _NodeWork(NodeEvent, _InstanceEvent):
    """The end of a phase that the instance's node reports."""

    def reporting_node(self, controller: Controller) -> Node | None:
        instance = self.instance_in_phase(controller)
        return controller.nodes.get(instance.node_id or "") if instance else None


class Queued(_InstanceEvent):
    """The request reached the queue that nodes take their work from."""

    kind: ClassVar = "instance_queued"

    def apply_to(self, controller: Controller, instance: Instance) -> None:
        instance.ready = True
        instance.until = None
        controller.enqueue(instance)


class ImageReady(_NodeWork):
    """The node has pulled what the instance needs."""

    kind: ClassVar = "instance_pulled"

    def apply_to(self, controller: Controller, instance: Instance) -> None:
        instance.progress_made = 1.0
        if controller.release.has("scheduling-after-pull"):
            transition(controller, instance, InstanceState.SCHEDULING, "pulled")
        boot_vm(controller, instance, controller.nodes[instance.node_id or ""])


class Booted(_NodeWork):
    """The VM is up, and its startup script has ended if it is monitored (controller-facts C4)."""

    kind: ClassVar = "instance_booted"

    def apply_to(self, controller: Controller, instance: Instance) -> None:
        if instance.script is not None and instance.script.return_code != 0:
            fail_script(controller, instance, instance.script.return_code)
            return
        transition(controller, instance, InstanceState.STARTED, "VM is up")
        begin_started(controller, instance)


class PlannedEndReached(_InstanceEvent):
    """The phase ends as a fault has decided."""

    kind: ClassVar = "instance_planned_end"

    def is_current(self, controller: Controller) -> bool:
        instance = self.instance_in_phase(controller)
        return instance is not None and (instance.node_id is None or instance.node_id in controller.nodes)

    def is_deferred(self, controller: Controller) -> bool:
        node = controller.nodes.get(controller.instances[self.instance_id].node_id or "")
        return node is not None and node.lost_at is not None

    def makes_progress(self, controller: Controller) -> bool:
        return controller.instances[self.instance_id].state is not InstanceState.STARTED

    def apply_to(self, controller: Controller, instance: Instance) -> None:
        kind, message, _ = instance.planned_end or PlannedEnd("fail")
        if kind == "stop":
            stop_instance(controller, instance.id)
        elif instance.state in (InstanceState.SCHEDULING, InstanceState.PULLING):
            fail_start(controller, instance, message)
        else:
            fail_instance(controller, instance, message)


class Stopped(_NodeWork):
    """The VM has stopped and gives its slot back."""

    kind: ClassVar = "instance_stopped"

    def apply_to(self, controller: Controller, instance: Instance) -> None:
        if instance.vm is not None:
            instance.vm = replace(instance.vm, status="stopped")
        transition(controller, instance, InstanceState.STOPPED, "VM has stopped")
        free_slot(controller, instance)


class Terminated(_NodeWork):
    """The node confirms that the VM is no more."""

    kind: ClassVar = "instance_terminated"

    def apply_to(self, controller: Controller, instance: Instance) -> None:
        transition(controller, instance, InstanceState.TERMINATED, "node confirmed")
        free_slot(controller, instance)
        _forget_later(controller, instance)


class Forgotten(_InstanceEvent):
    """The controller drops an instance that is Terminated, or that nobody confirmed to be."""

    kind: ClassVar = "instance_forgotten"

    def makes_progress(self, controller: Controller) -> bool:
        return False

    def apply_to(self, controller: Controller, instance: Instance) -> None:
        forget(controller, instance, "instance timeout")


@dataclass(frozen=True, slots=True)
class VmFullyReported(Event):
    """The node reports what it did not report of the VM, by a fault."""

    kind: ClassVar = "vm_fully_reported"

    instance_id: str

    def is_current(self, controller: Controller) -> bool:
        instance = controller.instances.get(self.instance_id)
        return instance is not None and bool(instance.unreported)

    def makes_progress(self, controller: Controller) -> bool:
        return False

    def apply(self, controller: Controller) -> None:
        instance = controller.instances[self.instance_id]
        instance.unreported, instance.unreported_for = (), None
        controller.mark_changed(instance)
        controller.record("VM reported in full", instance.id)


# What ends a phase that has an end, by state; Scheduling and Pulling have two phases each.
_PHASE_ENDS: dict[InstanceState, type[_InstanceEvent]] = {
    InstanceState.STOPPING: Stopped,
    InstanceState.TERMINATING: Terminated,
    InstanceState.TERMINATED: Forgotten,
}


def phase_end_event(instance: Instance) -> _InstanceEvent:
    """The event that ends the phase the instance is in."""
    kind: type[_InstanceEvent]
    if instance.planned_end is not None:
        kind = PlannedEndReached
    elif instance.booting:
        kind = Booted
    elif instance.state is InstanceState.SCHEDULING:
        kind = Queued
    elif instance.state is InstanceState.PULLING:
        kind = ImageReady
    else:
        kind = _PHASE_ENDS[instance.state]
    return kind(instance.id, instance.phase)


def find_instance(controller: Controller, instance_id: str) -> Instance:
    """The instance with that id, or NotFound."""
    instance = controller.instances.get(instance_id)
    if instance is None or instance.hidden:
        raise NotFound
    return instance


def start_instances(controller: Controller, request: StartRequest, count: int = 1) -> list[str]:
    """Create ``count`` instances in Scheduling and return their ids: all of them, or a refusal and none.

    Capacity is not asked for; who finds no node waits (controller-facts A1, C7).
    """
    ref = templates.resolve_version(controller, request.template_id, request.tag, request.version)
    request = _licensed(controller, request)
    if request.node_id and request.node_id not in controller.nodes:
        raise NoSuchNode(request.node_id)
    if request.group_id:
        require_group(controller, request.group_id)
    if request.usb_device:
        usb.require_usb_device(controller, request.usb_device)
    request = network.resolve_vlan(controller, request, ref)
    if request.startup_script:
        scripts.require_valid_script(request.startup_script)
    addresses = network.assign_mac_addresses(controller, request, ref, count)
    return [_create(controller, replace(request, mac_address=address), ref).id for address in addresses]


def _licensed(controller: Controller, request: StartRequest) -> StartRequest:
    """What of a request the licence lets count; NeedsLicense where it would run somewhere else than was asked for."""
    if request.group_id:
        controller.license.require("groups", "group_id")
    if request.usb_device:
        controller.license.require("usb", "usb_device")
    return request if controller.license.includes("priority") else replace(request, priority=StartRequest.priority)


def _create(controller: Controller, request: StartRequest, ref: VersionRef) -> Instance:
    instance_id = controller.new_id("instance")
    instance = Instance(
        id=instance_id,
        number=controller.id_counters["instance"],
        request=request,
        ref=ref,
        created=controller.now,
        inflight_id=controller.new_id("request"),
        since=controller.now,
    )
    controller.instances[instance_id] = instance
    controller.mark_changed(instance)
    controller.record("instance", instance_id, state=InstanceState.SCHEDULING.value, cause="requested")
    instance.timeline.append(TimelineEntry(InstanceState.SCHEDULING, controller.now, "requested"))
    _queue(controller, instance)
    return instance


def _queue(controller: Controller, instance: Instance) -> None:
    length = controller.timings.schedule.sample(_chance(controller, instance, "schedule"))
    blow = apply_rules(controller, "schedule", instance, ref=instance.ref)
    controller.schedule_effects(blow, length, instance)
    _enter(controller, instance, length, blow)


def update_instance(controller: Controller, instance_id: str, changes: dict[str, object]) -> None:
    """Change ``name``, ``external_id`` or ``metadata``; what is not among ``changes`` stays.

    Metadata is merged key by key: a guess, as controller-facts G proposes.
    """
    instance = find_instance(controller, instance_id)
    if isinstance(given := changes.get("metadata"), dict):
        changes = {**changes, "metadata": {**instance.request.metadata, **given}}
    instance.request = replace(instance.request, **changes)  # type: ignore[arg-type]
    controller.mark_changed(instance)
    controller.record("instance updated", instance_id, **changes)


def terminate_instance(controller: Controller, instance_id: str) -> None:
    """Accept a request to terminate, in any state; again is fine (a guess, controller-facts A4).

    One that no node has is never Terminated: it is Terminating until it is forgotten (controller-facts C1).
    """
    instance = find_instance(controller, instance_id)
    if instance.state in (InstanceState.TERMINATING, InstanceState.TERMINATED):
        return
    blow = apply_rules(controller, "terminate", instance, controller.nodes.get(instance.node_id or ""), instance.ref)
    if blow.do.ignore:
        return
    confirms = instance.holds_slot or instance.state is InstanceState.STOPPED
    transition(controller, instance, InstanceState.TERMINATING, "requested")
    _forget_later(controller, instance)
    if confirms:
        _confirm_later(controller, instance, blow)


def stop_instance(controller: Controller, instance_id: str) -> None:
    """The VM shuts down underneath: Stopping, then Stopped. Only a Started one can."""
    instance = controller.instances.get(instance_id)  # whoever sees it or not
    if instance is None:
        raise NotFound
    transition(controller, instance, InstanceState.STOPPING, "VM shuts down")
    _enter(controller, instance, controller.timings.stop.sample(_chance(controller, instance, "stop")))


def begin_started(controller: Controller, instance: Instance) -> None:
    """What a fault may have in store for an instance that is Started from now on."""
    node = controller.nodes.get(instance.node_id or "")
    blow = apply_rules(controller, "started", instance, node, instance.ref)
    controller.schedule_effects(blow, 0, instance, node)
    if blow.do.stop or blow.do.fail is not None:
        instance.planned_end = PlannedEnd("stop") if blow.do.stop else PlannedEnd("fail", blow.do.fail or "")
        _enter(controller, instance, blow.do.after)
    if instance.unreported and instance.unreported_for is not None:
        controller.schedule(controller.now + instance.unreported_for, VmFullyReported(instance.id))


def resume_instances(controller: Controller, node: Node) -> None:
    """The node is back: what its instances came to while it was lost happens now. A Stopped one holds no slot."""
    here = [each for each in controller.instances.values() if each.node_id == node.id]
    for instance in sorted(here, key=lambda each: each.number):
        controller.mark_changed(instance)  # its heartbeat goes on
        if instance.until is not None and instance.until <= controller.now:
            controller.schedule(controller.now, phase_end_event(instance))


def resume_phase(controller: Controller, instance: Instance) -> None:
    """Let an instance that was put into a state from outside go on from there."""
    if instance.state is InstanceState.SCHEDULING:
        _queue(controller, instance)
    elif instance.pulling and instance.node_id:
        _follow_pull(controller, instance, controller.nodes[instance.node_id].pulls[instance.ref])
    elif instance.state is InstanceState.STARTED:
        begin_started(controller, instance)
    elif instance.state is InstanceState.STOPPING:
        _enter(controller, instance, controller.timings.stop.sample(_chance(controller, instance, "stop")))
    elif instance.state in (InstanceState.TERMINATING, InstanceState.TERMINATED):
        _forget_later(controller, instance)
        if instance.holds_slot:
            _confirm_later(controller, instance)


def assign_to_node(controller: Controller, instance: Instance, node: Node) -> None:
    """Give a waiting instance to a node: it pulls if it must, then boots."""
    controller.dequeue(instance)
    take_slot(controller, instance, node)
    if instance.request.usb_device:
        instance.usb = usb.find_free_device(controller, node, instance.request.usb_device)
    controller.record("placed", instance.id, node=node.id)
    if not pulls.is_cached(controller, node, instance.ref) and not templates.in_registry(controller, instance.ref):
        # Guess (controller-facts C12): the template went away before any node had pulled it.
        fail_instance(controller, instance, str(NoSuchTemplate()))
        return
    try:
        running = pulls.begin_pull(controller, node, instance.ref, instance)
    except (NodeDiskFull, RegistryDown) as refused:
        fail_start(controller, instance, str(refused))
        return
    if running is None:
        boot_vm(controller, instance, node)
    else:
        transition(controller, instance, InstanceState.PULLING, f"pulls to {node.name}")
        _follow_pull(controller, instance, running)


def _follow_pull(controller: Controller, instance: Instance, running: pulls.Pull) -> None:
    """The instance waits for a pull of its node, and shares its fate."""
    if (failure := running.failure) is not None:
        instance.planned_end = PlannedEnd("fail", failure.message, running.progress(failure.at))
    instance.until = running.expected_end
    if instance.until is not None:
        controller.schedule(instance.until, phase_end_event(instance))


def reschedule_pulling_instances(controller: Controller, node: Node, ref: VersionRef) -> None:
    """A pull of the node goes another way than it was going to; so do those who wait for it."""
    for instance in occupants_of(controller, node):
        if instance.pulling and instance.ref == ref:
            instance.phase += 1
            instance.planned_end = None
            _follow_pull(controller, instance, node.pulls[ref])
            controller.mark_changed(instance)


def boot_vm(controller: Controller, instance: Instance, node: Node) -> None:
    """Have the node clone the VM and start it."""
    instance.booting = True
    instance.phase += 1
    instance.vm = clone_vm(controller, instance, node)
    length = controller.timings.boot.sample(_chance(controller, instance, "boot"))
    request = instance.request
    if request.script_monitoring and request.startup_script:
        instance.script, takes = scripts.run_script(
            controller, instance, request.startup_script, request.script_timeout
        )
        length += takes
    blow = apply_rules(controller, "start", instance, node, instance.ref)
    controller.schedule_effects(blow, length, instance, node)
    if blow.do.without:
        instance.unreported = blow.do.without
        instance.unreported_for = blow.do.lasts
    if blow.do.fail is not None:
        length = int(length * blow.do.share)
    _enter(controller, instance, length, blow)
    controller.mark_changed(instance)
    controller.record("VM cloned", instance.id, node=node.id)


def release_stalled_instance(controller: Controller, instance: Instance) -> None:
    """The fault that held it is removed: its phase goes on."""
    if instance.stall is not None:
        rest, instance.stall = instance.stall.rest, None
        controller.record("let go", instance.id)
        _enter(controller, instance, rest)


def _enter(controller: Controller, instance: Instance, length: int, blow: FaultHit = NO_HIT) -> None:
    """Begin a phase of that length; a fault may hold it there, lengthen it, or end it another way."""
    if blow.do.fail is not None:
        instance.planned_end = PlannedEnd("fail", blow.do.fail)
    if blow.do.stall and blow.do.lasts is None:
        instance.stall = Stall(blow.rule_id, length)
        instance.until = None
        return
    instance.until = controller.now + length + (blow.do.lasts or 0 if blow.do.stall else 0)
    controller.schedule(instance.until, phase_end_event(instance))


def _confirm_later(controller: Controller, instance: Instance, blow: FaultHit = NO_HIT) -> None:
    length = controller.timings.terminate.sample(_chance(controller, instance, "terminate"))
    _enter(controller, instance, length, blow)


def _forget_later(controller: Controller, instance: Instance) -> None:
    length = controller.timings.forget.sample(_chance(controller, instance, "forget"))
    if instance.state is InstanceState.TERMINATED:
        instance.until = controller.now + length
    controller.schedule(controller.now + length, Forgotten(instance.id, instance.phase))


def _chance(controller: Controller, instance: Instance, purpose: str) -> float:
    return draw(controller.seed, instance.id, purpose)
