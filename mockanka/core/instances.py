"""Instances, from the request to start one until the controller forgets it: operations, phases and their ends."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from mockanka.core import network, pulls, scripts, templates, usb
from mockanka.core.errors import NoSuchNode, NoSuchTemplate, NotFound
from mockanka.core.events import Event, NodeEvent
from mockanka.core.failures import fail_instance, fail_script, fail_start, list_occupants
from mockanka.core.faults import NO_HIT, FaultHit, apply_rules
from mockanka.core.groups import require_group
from mockanka.core.instance_record import Instance, PlannedEnd, Stall, StartRequest, TimelineEntry
from mockanka.core.lifecycle import LIVE_STATES, InstanceState
from mockanka.core.randomness import draw
from mockanka.core.templates import VersionRef
from mockanka.core.transitions import forget_instance, free_slot, take_slot, transition, vanish_instance
from mockanka.core.vms import clone_vm
from mockanka.units import MAX_DURATION

if TYPE_CHECKING:
    from mockanka.core.controller import Controller
    from mockanka.core.nodes import Node


@dataclass(frozen=True, slots=True)
class _PhaseEvent(Event):
    """The end of a phase of an instance, current while the instance is in that phase."""

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
        """Do what ``apply`` does, to the instance."""
        raise NotImplementedError


class _ReportedPhaseEvent(NodeEvent, _PhaseEvent):
    """The end of a phase, reported by the instance's node."""

    def reporting_node(self, controller: Controller) -> Node | None:
        instance = self.instance_in_phase(controller)
        return controller.nodes.get(instance.node_id or "") if instance else None


class Queued(_PhaseEvent):
    """The instance has reached the queue from which nodes take their work."""

    kind: ClassVar = "instance_queued"

    def apply_to(self, controller: Controller, instance: Instance) -> None:
        instance.ready = True
        instance.until = None
        controller.enqueue(instance)


class ImageReady(_ReportedPhaseEvent):
    """The node has pulled the template of the instance."""

    kind: ClassVar = "instance_pulled"

    def apply_to(self, controller: Controller, instance: Instance) -> None:
        instance.progress_made = 1.0
        if controller.release.has("scheduling-after-pull"):
            transition(controller, instance, InstanceState.SCHEDULING, "pulled")
        boot_vm(controller, instance, controller.nodes[instance.node_id or ""])


class Booted(_ReportedPhaseEvent):
    """The VM runs, and its startup script has ended if it is monitored (controller-facts C4)."""

    kind: ClassVar = "instance_booted"

    def apply_to(self, controller: Controller, instance: Instance) -> None:
        if instance.script is not None and instance.script.return_code != 0:
            fail_script(controller, instance, instance.script.return_code)
            return
        transition(controller, instance, InstanceState.STARTED, "VM is up")
        begin_started(controller, instance)


class PlannedEndReached(_PhaseEvent):
    """The phase ends in the way that a fault has decided."""

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
        end = instance.planned_end or PlannedEnd("fail")
        if end.kind == "stop":
            stop_instance(controller, instance.id)
        elif instance.state in (InstanceState.SCHEDULING, InstanceState.PULLING):
            fail_start(controller, instance, end.message, end.final)
        else:
            fail_instance(controller, instance, end.message)


class Stopped(_ReportedPhaseEvent):
    """The VM has stopped, which frees its slot."""

    kind: ClassVar = "instance_stopped"

    def apply_to(self, controller: Controller, instance: Instance) -> None:
        if instance.vm is not None:
            instance.vm = replace(instance.vm, status="stopped")
        transition(controller, instance, InstanceState.STOPPED, "VM has stopped")
        free_slot(controller, instance)


class Terminated(_ReportedPhaseEvent):
    """The node confirms that the VM is deleted, or that it will not start it, which does not show."""

    kind: ClassVar = "instance_terminated"

    def apply_to(self, controller: Controller, instance: Instance) -> None:
        if instance.vm is None:
            # The instance is Terminating until it is forgotten (controller-facts C1). Guess: when its slot is free.
            instance.last_report = instance.updated(controller)
            instance.until = None
            controller.mark_changed(instance)
            controller.record("start given up", instance.id, node=instance.node_id)
            free_slot(controller, instance)
            return
        transition(controller, instance, InstanceState.TERMINATED, "node confirmed")
        free_slot(controller, instance)
        _schedule_forgetting(controller, instance)


class Forgotten(_PhaseEvent):
    """The controller forgets an instance that is Terminated, or whose termination nobody confirmed."""

    kind: ClassVar = "instance_forgotten"

    def makes_progress(self, controller: Controller) -> bool:
        return False

    def apply_to(self, controller: Controller, instance: Instance) -> None:
        forget_instance(controller, instance, "instance timeout")


@dataclass(frozen=True, slots=True)
class VmFullyReported(Event):
    """The node reports the fields of the VM that it left out because of a fault."""

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


@dataclass(frozen=True, slots=True)
class InstanceVanished(Event):
    """The controller loses an instance, for good, or if ``lasts`` is not 0, for so many nanoseconds."""

    kind: ClassVar = "instance_vanished"

    instance_id: str
    lasts: int

    def is_current(self, controller: Controller) -> bool:
        return self.instance_id in controller.instances

    def makes_progress(self, controller: Controller) -> bool:
        return False

    def apply(self, controller: Controller) -> None:
        instance = controller.instances[self.instance_id]
        if not self.lasts:
            vanish_instance(controller, instance, "vanished")
            return
        _hide(controller, instance, self.lasts)


@dataclass(frozen=True, slots=True)
class InstanceVanishedAgain(Event):
    """The controller does not show an instance for ``lasts`` nanoseconds, and again after ``every`` nanoseconds.

    It goes on until the rule is removed.
    """

    kind: ClassVar = "instance_vanished_again"
    changes_states: ClassVar = False

    instance_id: str
    rule_id: str
    lasts: int
    every: int

    def is_current(self, controller: Controller) -> bool:
        return self.instance_id in controller.instances and controller.faults.get(self.rule_id) is not None

    def makes_progress(self, controller: Controller) -> bool:
        return False

    def apply(self, controller: Controller) -> None:
        _hide(controller, controller.instances[self.instance_id], self.lasts)
        controller.schedule(controller.now + self.every, self)


def _hide(controller: Controller, instance: Instance, length: int) -> None:
    """Do not show an instance for a time in nanoseconds."""
    instance.hidden = True
    controller.mark_changed(instance)
    controller.record("hidden", instance.id)
    controller.schedule(controller.now + length, InstanceReappeared(instance.id))


@dataclass(frozen=True, slots=True)
class InstanceReappeared(Event):
    """The controller shows an instance again that was hidden."""

    kind: ClassVar = "instance_reappeared"
    changes_states: ClassVar = False

    instance_id: str

    def is_current(self, controller: Controller) -> bool:
        instance = controller.instances.get(self.instance_id)
        return instance is not None and instance.hidden

    def makes_progress(self, controller: Controller) -> bool:
        return False

    def apply(self, controller: Controller) -> None:
        instance = controller.instances[self.instance_id]
        instance.hidden = False
        controller.mark_changed(instance)
        controller.record("seen again", instance.id)


@dataclass(frozen=True, slots=True)
class EndedByOthers(Event):
    """Another client sends DELETE for an instance, whose id, name or external_id is the target.

    Of several the oldest is ended whose termination nobody has requested; if there is none, nothing happens.
    """

    kind: ClassVar = "instance_ended_by_others"

    target_id: str

    def is_current(self, controller: Controller) -> bool:
        return True  # the instance may not have been started yet

    def makes_progress(self, controller: Controller) -> bool:
        return bool(controller.waiting)  # it may free a slot

    def apply(self, controller: Controller) -> None:
        for instance in controller.instances.values():
            names = (instance.id, instance.request.name, instance.request.external_id)
            if self.target_id in names and instance.state in LIVE_STATES and not instance.hidden:
                controller.record("ended by others", instance.id)
                terminate_instance(controller, instance.id)
                return


# By state; Scheduling and Pulling have two phases each, which phase_end_event tells apart.
_PHASE_ENDS: dict[InstanceState, type[_PhaseEvent]] = {
    InstanceState.STOPPING: Stopped,
    InstanceState.TERMINATING: Terminated,
    InstanceState.TERMINATED: Forgotten,
}


def phase_end_event(instance: Instance) -> _PhaseEvent:
    """Return the event that ends the instance's phase. Raises KeyError in a state without an end."""
    kind: type[_PhaseEvent]
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
    """Return the instance with that id. Raises NotFound if there is none, or it is hidden."""
    instance = controller.instances.get(instance_id)
    if instance is None or instance.hidden:
        raise NotFound
    return instance


def start_instances(controller: Controller, request: StartRequest, count: int = 1) -> list[str]:
    """Create ``count`` instances in Scheduling and return their ids. Raises a Refusal, and then creates none.

    An instance that finds no node with capacity waits for one (controller-facts A1, C7).
    """
    ref = templates.resolve_version(controller, request.template_id, request.tag, request.version)
    request = _apply_license(controller, request)
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
    return [_create_instance(controller, replace(request, mac_address=address), ref).id for address in addresses]


def _apply_license(controller: Controller, request: StartRequest) -> StartRequest:
    """Return the request without a priority that the licence does not include.

    Raises NeedsLicense for a group or a USB device: without these the instance would run on other nodes than requested.
    """
    if request.group_id:
        controller.license.require("groups", "group_id")
    if request.usb_device:
        controller.license.require("usb", "usb_device")
    return request if controller.license.includes("priority") else replace(request, priority=StartRequest.priority)


def _create_instance(controller: Controller, request: StartRequest, ref: VersionRef) -> Instance:
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
    _begin_scheduling(controller, instance)
    return instance


def _begin_scheduling(controller: Controller, instance: Instance) -> None:
    length = controller.timings.schedule.sample(_draw_for(controller, instance, "schedule"))
    hit = apply_rules(controller, "schedule", instance, ref=instance.ref)
    controller.schedule_effects(hit, length, instance)
    _begin_phase(controller, instance, length, hit)


def update_instance(controller: Controller, instance_id: str, changes: dict[str, object]) -> None:
    """Set ``name``, ``external_id`` or ``metadata`` to what ``changes`` has for them. Raises NotFound.

    Metadata is merged key by key: a guess, as controller-facts G proposes.
    """
    instance = find_instance(controller, instance_id)
    if isinstance(metadata := changes.get("metadata"), dict):
        changes = {**changes, "metadata": {**instance.request.metadata, **metadata}}
    instance.request = replace(instance.request, **changes)  # type: ignore[arg-type]
    controller.mark_changed(instance)
    controller.record("instance updated", instance_id, **changes)


def terminate_instance(controller: Controller, instance_id: str) -> None:
    """Begin to terminate an instance, in any state. Raises NotFound.

    A second request changes nothing (a guess, controller-facts A4). An instance whose VM has not started is Terminating
    until it is forgotten, and never Terminated (controller-facts C1).
    """
    instance = find_instance(controller, instance_id)
    if instance.state in (InstanceState.TERMINATING, InstanceState.TERMINATED):
        return
    hit = apply_rules(controller, "terminate", instance, controller.nodes.get(instance.node_id or ""), instance.ref)
    if hit.action.ignore:
        return
    # A Stopped instance holds no slot, and its node may have been deleted.
    node_confirms = instance.node_id in controller.nodes and (
        instance.holds_slot or instance.state is InstanceState.STOPPED
    )
    transition(controller, instance, InstanceState.TERMINATING, "requested")
    _schedule_forgetting(controller, instance)
    if node_confirms:
        _schedule_confirmation(controller, instance, hit)


def terminate_lost_instance(controller: Controller, instance: Instance, cause: str) -> None:
    """Terminate an instance because its node is Offline. It is forgotten unless the node is back in time to confirm."""
    transition(controller, instance, InstanceState.TERMINATING, cause)
    _schedule_forgetting(controller, instance)
    _schedule_confirmation(controller, instance)


def stop_instance(controller: Controller, instance_id: str) -> None:
    """Let the VM of a Started instance shut down by itself: it is Stopping, then Stopped.

    Raises NotFound, and IllegalTransition in another state.
    """
    instance = controller.instances.get(instance_id)  # a hidden one stops too
    if instance is None:
        raise NotFound
    transition(controller, instance, InstanceState.STOPPING, "VM shuts down")
    _begin_phase(controller, instance, controller.timings.stop.sample(_draw_for(controller, instance, "stop")))


def begin_started(controller: Controller, instance: Instance) -> None:
    """Apply the fault rules for an instance that is Started from now on, and schedule its late reports."""
    node = controller.nodes.get(instance.node_id or "")
    hit = apply_rules(controller, "started", instance, node, instance.ref)
    controller.schedule_effects(hit, 0, instance, node)
    if hit.action.stop or hit.action.fail is not None:
        instance.planned_end = PlannedEnd("stop") if hit.action.stop else PlannedEnd("fail", hit.action.fail or "")
        if hit.action.after_polls:
            event = phase_end_event(instance)
            controller.schedule_or_await(controller.now, event, instance, hit.action.after_polls)
        else:
            _begin_phase(controller, instance, hit.action.after)
    if instance.unreported and instance.unreported_for is not None:
        controller.schedule(controller.now + instance.unreported_for, VmFullyReported(instance.id))


def resume_instances(controller: Controller, node: Node) -> None:
    """Schedule for now the ends of phases that passed while the node was lost."""
    # Not the occupants only: a Stopped instance holds no slot.
    on_node = [instance for instance in controller.instances.values() if instance.node_id == node.id]
    for instance in sorted(on_node, key=lambda instance: instance.number):
        controller.mark_changed(instance)  # its time of the last update follows the heartbeats again
        if instance.until is not None and instance.until <= controller.now:
            controller.schedule(controller.now, phase_end_event(instance))


def resume_phase(controller: Controller, instance: Instance) -> None:
    """Begin the phase of an instance that was put into its state directly, as a scenario does."""
    if instance.state is InstanceState.SCHEDULING:
        _begin_scheduling(controller, instance)
    elif instance.pulling and instance.node_id:
        _schedule_pull_end(controller, instance, controller.nodes[instance.node_id].pulls[instance.ref])
    elif instance.state is InstanceState.STARTED:
        begin_started(controller, instance)
    elif instance.state is InstanceState.STOPPING:
        _begin_phase(controller, instance, controller.timings.stop.sample(_draw_for(controller, instance, "stop")))
    elif instance.state in (InstanceState.TERMINATING, InstanceState.TERMINATED):
        _schedule_forgetting(controller, instance)
        if instance.holds_slot:
            _schedule_confirmation(controller, instance)


def assign_to_node(controller: Controller, instance: Instance, node: Node) -> None:
    """Assign a waiting instance to a node that can take it, which pulls its template if it has to, and boots it."""
    controller.dequeue(instance)
    instance.progress_made = 0.0  # a scenario may have another for an instance that waits
    take_slot(controller, instance, node)
    if instance.request.usb_device:
        instance.usb = usb.find_free_device(controller, node, instance.request.usb_device)
    controller.record("placed", instance.id, node=node.id)
    if not pulls.is_cached(controller, node, instance.ref) and not templates.is_in_registry(controller, instance.ref):
        # Guess (controller-facts C12): the template went away before any node had pulled it.
        fail_instance(controller, instance, str(NoSuchTemplate()))
        return
    pull = pulls.begin_pull(controller, node, instance.ref, instance)
    if pull is None:
        boot_vm(controller, instance, node)
    else:
        transition(controller, instance, InstanceState.PULLING, f"pulls to {node.name}")
        _schedule_pull_end(controller, instance, pull)


def _schedule_pull_end(controller: Controller, instance: Instance, pull: pulls.Pull) -> None:
    """End the instance's phase when the pull ends, and in the same way."""
    if (failure := pull.failure) is not None:
        instance.planned_end = PlannedEnd("fail", failure.message, pull.progress(failure.at), failure.final)
    instance.until = pull.expected_end
    if instance.until is not None:
        controller.schedule(instance.until, phase_end_event(instance))


def reschedule_pulling_instances(controller: Controller, node: Node, ref: VersionRef) -> None:
    """Reschedule the instances that wait for a pull of the node whose end has changed."""
    for instance in list_occupants(controller, node):
        if instance.pulling and instance.ref == ref:
            instance.phase += 1
            instance.planned_end = None
            _schedule_pull_end(controller, instance, node.pulls[ref])
            controller.mark_changed(instance)


def boot_vm(controller: Controller, instance: Instance, node: Node) -> None:
    """Let the node clone the VM and start it, with its script if that is monitored."""
    instance.booting = True
    instance.phase += 1
    instance.vm = clone_vm(controller, instance, node)
    length = controller.timings.boot.sample(_draw_for(controller, instance, "boot"))
    request = instance.request
    if request.script_monitoring and request.startup_script:
        instance.script, takes = scripts.run_script(
            controller, instance, request.startup_script, request.script_timeout
        )
        length = min(length + takes, MAX_DURATION)
    hit = apply_rules(controller, "start", instance, node, instance.ref)
    controller.schedule_effects(hit, length, instance, node)
    if hit.action.without:
        instance.unreported = hit.action.without
        instance.unreported_for = hit.action.duration
    if hit.action.fail is not None:
        length = int(length * hit.action.fraction)
    _begin_phase(controller, instance, length, hit)
    controller.mark_changed(instance)
    controller.record("VM cloned", instance.id, node=node.id)


def release_stalled_instance(controller: Controller, instance: Instance) -> None:
    """Continue the phase of an instance that a fault stalls."""
    if instance.stall is not None:
        remaining, instance.stall = instance.stall.rest, None
        controller.record("let go", instance.id)
        _begin_phase(controller, instance, remaining)


def _begin_phase(controller: Controller, instance: Instance, length: int, hit: FaultHit = NO_HIT) -> None:
    """Schedule the end of a phase of that length; a fault may stall it, lengthen it, or end it in another way."""
    if hit.action.fail is not None:
        instance.planned_end = PlannedEnd("fail", hit.action.fail, final=hit.action.final)
    if hit.action.stall and hit.action.duration is None:
        instance.stall = Stall(hit.rule_id, length)
        instance.until = None
        return
    instance.until = controller.now + length + (hit.action.duration or 0 if hit.action.stall else 0)
    controller.schedule(instance.until, phase_end_event(instance))


def _schedule_confirmation(controller: Controller, instance: Instance, hit: FaultHit = NO_HIT) -> None:
    length = controller.timings.terminate.sample(_draw_for(controller, instance, "terminate"))
    _begin_phase(controller, instance, length, hit)


def _schedule_forgetting(controller: Controller, instance: Instance) -> None:
    length = controller.timings.forget.sample(_draw_for(controller, instance, "forget"))
    if instance.state is InstanceState.TERMINATED:
        instance.until = controller.now + length
    controller.schedule(controller.now + length, Forgotten(instance.id, instance.phase))


def _draw_for(controller: Controller, instance: Instance, purpose: str) -> float:
    return draw(controller.seed, instance.id, purpose)
