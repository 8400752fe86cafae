"""Instances: from the request to start one until nobody knows it any more."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mockanka.core import pull, template, usb
from mockanka.core.chance import draw
from mockanka.core.errors import NodeDiskFull, NoSuchNode, NoSuchTemplate, NotFound
from mockanka.core.events import Event
from mockanka.core.group import require as require_group
from mockanka.core.lifecycle import State, check
from mockanka.core.template import Ref
from mockanka.core.timing import MICROSECOND
from mockanka.core.vm import Vm, clone

if TYPE_CHECKING:
    from mockanka.core.controller import Controller
    from mockanka.core.node import Node


@dataclass(frozen=True)
class StartRequest:
    """What POST vm asks for (controller-facts A1), once for each instance; ``vram`` is MB.

    A startup script is kept and nothing comes of it: without monitoring, which is newer than release 1.8, nobody hears
    of its end (controller-facts C4).
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
    name_template: str | None = None
    metadata: dict[str, str | int | bool] = field(default_factory=dict)


@dataclass
class Instance:
    """One instance. Times are nanoseconds; ``since`` is when it came to its state, ``until`` when its phase ends."""

    id: str
    number: int
    request: StartRequest
    ref: Ref
    created: int
    inflight_id: str
    since: int
    state: State = State.SCHEDULING
    step: int = 0
    """How many phases it has been through; an event of an earlier phase is dead."""
    ready: bool = False
    """Whether the controller has queued it, so that a node may take it."""
    node_id: str | None = None
    occupies: bool = False
    """Whether it holds a slot on its node."""
    booting: bool = False
    until: int | None = None
    progress_made: float = 0.0
    """Of its pull, once that is over or broken off; 0 if there was none."""
    message: str = ""
    reported: int = 0
    """When its node last reported on it, if that node was deleted since."""
    waits_for: str = field(default="", compare=False)
    """Why no node took it when it was last looked at."""
    vm: Vm | None = None
    usb: usb.UsbDevice | None = None
    save_id: str | None = None
    """The save image request that pushes it."""
    revision: int = field(default=0, compare=False)

    @property
    def running_vm(self) -> Vm | None:
        """The VM, while it counts as running on its node."""
        return self.vm if self.occupies and not self.booting else None

    @property
    def shown_vm(self) -> Vm | None:
        """The VM as far as a node has reported one: not before the instance was Started (controller-facts A2.6)."""
        return None if self.booting else self.vm

    @property
    def pulling(self) -> bool:
        """Whether its pull still goes on."""
        return self.state is State.PULLING and not self.booting

    def progress(self, controller: Controller) -> float:
        """0 to 1: the pull while it lasts, its last value ever after (controller-facts A2.5)."""
        if not self.pulling or self.node_id is None:
            return self.progress_made
        node = controller.nodes[self.node_id]
        running = node.pulls.get(self.ref)
        return running.progress(node.seen(controller.now)) if running else 1.0

    def updated(self, controller: Controller) -> int:
        """Time of the last update: its node's heartbeat, or its last change if that came later.

        A new instance shows about a microsecond before its creation (controller-facts A0.2).
        """
        if self.node_id in controller.nodes and self._reported:
            return max(self.since, controller.nodes[self.node_id].heartbeat(controller))
        return max(self.since, self.reported) if self.step else self.created - MICROSECOND

    @property
    def _reported(self) -> bool:
        return self.occupies or self.state is State.STOPPED


@dataclass(frozen=True, slots=True)
class _InstanceEvent(Event):
    """An event of one phase of an instance."""

    instance_id: str
    step: int

    def alive(self, controller: Controller) -> bool:
        instance = controller.instances.get(self.instance_id)
        return instance is not None and instance.step == self.step

    def happen(self, controller: Controller) -> None:
        self.befall(controller, controller.instances[self.instance_id])

    def befall(self, controller: Controller, instance: Instance) -> None:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class _NodeWork(_InstanceEvent):
    """What the instance's node does, and reports; a lost node reports nothing."""

    def alive(self, controller: Controller) -> bool:
        return _InstanceEvent.alive(self, controller) and self._node_id(controller) in controller.nodes

    def asleep(self, controller: Controller) -> bool:
        return controller.nodes[self._node_id(controller)].lost_at is not None

    def _node_id(self, controller: Controller) -> str:
        return controller.instances[self.instance_id].node_id or ""


class Queued(_InstanceEvent):
    """The request reached the queue that nodes take their work from."""

    def befall(self, controller: Controller, instance: Instance) -> None:
        instance.ready = True
        instance.until = None
        controller.wait(instance)


class ImageReady(_NodeWork):
    """The node has pulled what the instance needs."""

    def befall(self, controller: Controller, instance: Instance) -> None:
        instance.progress_made = 1.0
        _boot(controller, instance, controller.nodes[instance.node_id or ""])


class Booted(_NodeWork):
    """The VM is up."""

    def befall(self, controller: Controller, instance: Instance) -> None:
        move(controller, instance, State.STARTED, "VM is up")


class Stopped(_NodeWork):
    """The VM has stopped and gives its slot back."""

    def befall(self, controller: Controller, instance: Instance) -> None:
        if instance.vm is not None:
            instance.vm = replace(instance.vm, status="stopped")
        move(controller, instance, State.STOPPED, "VM has stopped")
        _release(controller, instance)


class Terminated(_NodeWork):
    """The node confirms that the VM is no more."""

    def befall(self, controller: Controller, instance: Instance) -> None:
        move(controller, instance, State.TERMINATED, "node confirmed")
        _release(controller, instance)
        _forget_later(controller, instance)


class Forgotten(_InstanceEvent):
    """The controller drops an instance that is Terminated, or that nobody confirmed to be."""

    def settles(self, controller: Controller) -> bool:
        return False

    def befall(self, controller: Controller, instance: Instance) -> None:
        remove(controller, instance, "instance timeout")


# What ends a phase that has an end, by state; Scheduling and Pulling have two phases each.
_PHASE_ENDS: dict[State, type[_InstanceEvent]] = {
    State.STOPPING: Stopped,
    State.TERMINATING: Terminated,
    State.TERMINATED: Forgotten,
}


def phase_end(instance: Instance) -> _InstanceEvent:
    """The event that ends the phase the instance is in."""
    if instance.booting:
        kind: type[_InstanceEvent] = Booted
    elif instance.state is State.SCHEDULING:
        kind = Queued
    elif instance.state is State.PULLING:
        kind = ImageReady
    else:
        kind = _PHASE_ENDS[instance.state]
    return kind(instance.id, instance.step)


def find(controller: Controller, instance_id: str) -> Instance:
    """The instance with that id, or NotFound."""
    instance = controller.instances.get(instance_id)
    if instance is None:
        raise NotFound
    return instance


def start(controller: Controller, request: StartRequest, count: int = 1) -> list[str]:
    """Create ``count`` instances in Scheduling and return their ids: all of them, or a refusal and none.

    Capacity is not asked for; who finds no node waits (controller-facts A1, C7).
    """
    ref = template.resolve(controller, request.template_id, request.tag, request.version)
    if request.node_id and request.node_id not in controller.nodes:
        raise NoSuchNode(request.node_id)
    if request.group_id:
        require_group(controller, request.group_id)
    if request.usb_device:
        usb.require(controller, request.usb_device)
    return [_create(controller, request, ref).id for _ in range(count)]


def _create(controller: Controller, request: StartRequest, ref: Ref) -> Instance:
    instance_id = controller.mint("instance")
    instance = Instance(
        id=instance_id,
        number=controller.minted["instance"],
        request=request,
        ref=ref,
        created=controller.now,
        inflight_id=controller.mint("request"),
        since=controller.now,
    )
    controller.instances[instance_id] = instance
    _enter(controller, instance, controller.timings.schedule.sample(_chance(controller, instance, "schedule")))
    controller.touch(instance)
    controller.happened("instance", instance_id, state=State.SCHEDULING.value, cause="requested")
    return instance


def update(controller: Controller, instance_id: str, changes: dict[str, object]) -> None:
    """Change ``name``, ``external_id`` or ``metadata``; what is not among ``changes`` stays.

    Metadata is merged key by key: a guess, as controller-facts G proposes.
    """
    instance = find(controller, instance_id)
    if isinstance(given := changes.get("metadata"), dict):
        changes = {**changes, "metadata": {**instance.request.metadata, **given}}
    instance.request = replace(instance.request, **changes)  # type: ignore[arg-type]
    controller.touch(instance)
    controller.happened("instance updated", instance_id, **changes)


def terminate(controller: Controller, instance_id: str) -> None:
    """Accept a request to terminate, in any state; again is fine (a guess, controller-facts A4).

    One that no node has is never Terminated: it is Terminating until it is forgotten (controller-facts C1).
    """
    instance = find(controller, instance_id)
    if instance.state in (State.TERMINATING, State.TERMINATED):
        return
    confirms = instance.occupies or instance.state is State.STOPPED
    move(controller, instance, State.TERMINATING, "requested")
    _forget_later(controller, instance)
    if confirms:
        _confirm_later(controller, instance)


def stop(controller: Controller, instance_id: str) -> None:
    """The VM shuts down underneath: Stopping, then Stopped. Only a Started one can."""
    instance = find(controller, instance_id)
    move(controller, instance, State.STOPPING, "VM shuts down")
    _enter(controller, instance, controller.timings.stop.sample(_chance(controller, instance, "stop")))


def fail(controller: Controller, instance: Instance, message: str) -> None:
    """Error, with a message; the VM is lost and its slot free.

    What is left of vminfo shows the VM as deleted and nothing that leads to it (controller-facts C3; a guess for
    releases before 1.24).
    """
    move(controller, instance, State.ERROR, message)
    instance.message = message
    if instance.vm is not None:
        instance.vm = replace(instance.vm, status="deleted", ip="", vnc_port=0, ports=())
    _release(controller, instance)


def abandon(controller: Controller, node: Node, message: str) -> None:
    """The node is given up: whatever lives on it goes to Error. Those that are terminating go on doing so."""
    for instance in _on(controller, node):
        if instance.state is not State.TERMINATING:
            fail(controller, instance, message)


def can_be_abandoned(controller: Controller, node: Node) -> bool:
    """Whether anything on the node would go to Error with it."""
    return any(instance.state is not State.TERMINATING for instance in _on(controller, node))


def orphan(controller: Controller, node: Node) -> None:
    """The node is about to be deleted: nobody is left to report on its instances, or to confirm that they ended."""
    for instance in controller.instances.values():
        if instance.node_id == node.id:
            instance.reported = instance.updated(controller)
            instance.occupies = False
            instance.usb = None
            controller.touch(instance)


def _on(controller: Controller, node: Node) -> list[Instance]:
    """The instances that hold a slot on the node, oldest first."""
    return sorted((controller.instances[id] for id in node.occupants), key=lambda each: each.number)


def resume(controller: Controller, node: Node) -> None:
    """The node is back: what its instances came to while it was lost happens now. A Stopped one holds no slot."""
    here = [each for each in controller.instances.values() if each.node_id == node.id]
    for instance in sorted(here, key=lambda each: each.number):
        controller.touch(instance)  # its heartbeat goes on
        if instance.until is not None and instance.until <= controller.now:
            controller.schedule(controller.now, phase_end(instance))


def resume_phase(controller: Controller, instance: Instance) -> None:
    """Let an instance that was put into a state from outside go on from there."""
    if instance.state is State.SCHEDULING:
        _enter(controller, instance, controller.timings.schedule.sample(_chance(controller, instance, "schedule")))
    elif instance.pulling and instance.node_id:
        instance.until = controller.nodes[instance.node_id].pulls[instance.ref].ends
        controller.schedule(instance.until, phase_end(instance))
    elif instance.state is State.STOPPING:
        _enter(controller, instance, controller.timings.stop.sample(_chance(controller, instance, "stop")))
    elif instance.state in (State.TERMINATING, State.TERMINATED):
        _forget_later(controller, instance)
        if instance.occupies:
            _confirm_later(controller, instance)


def assign(controller: Controller, instance: Instance, node: Node) -> None:
    """Give a waiting instance to a node: it pulls if it must, then boots."""
    controller.wait_no_more(instance)
    occupy(controller, instance, node)
    if instance.request.usb_device:
        instance.usb = usb.free_device(controller, node, instance.request.usb_device)
    controller.happened("placed", instance.id, node=node.id)
    if not pull.has(controller, node, instance.ref) and not template.in_registry(controller, instance.ref):
        # Guess (controller-facts C12): the template went away before any node had pulled it.
        fail(controller, instance, str(NoSuchTemplate()))
        return
    try:
        running = pull.begin(controller, node, instance.ref)
    except NodeDiskFull as full:
        fail(controller, instance, str(full))
        return
    if running is None:
        _boot(controller, instance, node)
    else:
        move(controller, instance, State.PULLING, f"pulls to {node.name}")
        instance.until = running.ends
        controller.schedule(running.ends, phase_end(instance))


def occupy(controller: Controller, instance: Instance, node: Node) -> None:
    """Take a slot on the node."""
    instance.node_id = node.id
    instance.occupies = True
    node.occupants[instance.id] = None
    controller.touch(instance)


def _release(controller: Controller, instance: Instance) -> None:
    instance.occupies = False
    instance.usb = None
    node = controller.nodes.get(instance.node_id or "")
    if node is not None:
        node.occupants.pop(instance.id, None)
    controller.placement_due = True


def _boot(controller: Controller, instance: Instance, node: Node) -> None:
    instance.booting = True
    instance.step += 1
    instance.vm = clone(controller, instance, node)
    _enter(controller, instance, controller.timings.boot.sample(_chance(controller, instance, "boot")))
    controller.touch(instance)
    controller.happened("VM cloned", instance.id, node=node.id)


def move(controller: Controller, instance: Instance, state: State, cause: str) -> None:
    """Bring the instance to another state. Raises IllegalMove if the life cycle does not know the move."""
    check(instance.state, state)
    if instance.pulling:
        instance.progress_made = instance.progress(controller)
    if instance.state is State.PUSHING and state is not State.STARTED and instance.save_id:
        controller.save_images[instance.save_id].interrupted(controller, f"instance is {state}")
    if instance.booting and state is not State.STARTED:
        instance.vm = None
    if instance.state is State.SCHEDULING:
        controller.wait_no_more(instance)
    instance.state = state
    instance.since = controller.now
    instance.step += 1
    instance.booting = instance.ready = False
    instance.until = None
    if state is not State.PUSHING:
        instance.save_id = None
    controller.touch(instance)
    controller.happened("instance", instance.id, state=state.value, cause=cause)


def remove(controller: Controller, instance: Instance, cause: str) -> None:
    """Nobody knows the instance any more."""
    move(controller, instance, State.GONE, cause)
    _release(controller, instance)
    del controller.instances[instance.id]


def _enter(controller: Controller, instance: Instance, length: int) -> None:
    instance.until = controller.now + length
    controller.schedule(instance.until, phase_end(instance))


def _confirm_later(controller: Controller, instance: Instance) -> None:
    _enter(controller, instance, controller.timings.terminate.sample(_chance(controller, instance, "terminate")))


def _forget_later(controller: Controller, instance: Instance) -> None:
    length = controller.timings.forget.sample(_chance(controller, instance, "forget"))
    if instance.state is State.TERMINATED:
        instance.until = controller.now + length
    controller.schedule(controller.now + length, Forgotten(instance.id, instance.step))


def _chance(controller: Controller, instance: Instance, purpose: str) -> float:
    return draw(controller.seed, instance.id, purpose)
