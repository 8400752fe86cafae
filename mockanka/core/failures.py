"""Failures of instances: what is left of the VM in Error, retries, and what a deleted node takes with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mockanka.core.instance_record import Instance, TimelineEntry
from mockanka.core.lifecycle import InstanceState
from mockanka.core.transitions import free_slot, transition

if TYPE_CHECKING:
    from mockanka.core.controller import Controller
    from mockanka.core.nodes import Node


def fail_instance(controller: Controller, instance: Instance, message: str, status: str | None = "failed") -> None:
    """Put an instance into Error with a message; its VM is lost and its slot is freed.

    ``status`` is the VM's from now on; None leaves it as it was. Before 1.49 the VM shows as deleted, without its
    name, address and ports (controller-facts C3; a guess for releases before 1.24).
    """
    transition(controller, instance, InstanceState.ERROR, message)
    instance.message = message
    _mark_vm_lost(controller, instance, status, "deleted")
    free_slot(controller, instance)


def _mark_vm_lost(controller: Controller, instance: Instance, status: str | None, before_1_49: str) -> None:
    vm, kept = instance.vm, controller.release.has("vm-kept-on-error")
    if vm is not None:
        instance.vm = vm.after_failure(status or vm.status if kept else before_1_49, kept)


STOP_FAILED_VM, KEEP_FAILED_VM = 0, 1
"""Values of ``script_fail_handler``: what to do with the VM. Any other value deletes it (controller-facts C3)."""


def fail_script(controller: Controller, instance: Instance, code: int) -> None:
    """Put an instance into Error whose monitored script has failed; the request says what happens to the VM."""
    # The text of a timeout is unknown; -1 in the same pattern is a guess (controller-facts C4).
    handler = instance.request.script_fail_handler
    instance.booting = False  # the VM was up, so the transition must not drop it
    controller.placement_due = True  # its node has a free worker again
    transition(controller, instance, InstanceState.ERROR, f"startup script exit code {code}")
    instance.message = f"startup script exit code {code}"
    if handler == KEEP_FAILED_VM:
        return
    status = "stopped" if handler == STOP_FAILED_VM else "deleted"
    _mark_vm_lost(controller, instance, status, status)
    free_slot(controller, instance)


NOT_TRIED_AGAIN = "maximum number of running instances exceeded"
"""The end of a message after which the agent does not give a start back to the queue (controller-facts C1)."""


def explain_failure(instance: Instance) -> str:
    """Return the message of a failure for which no message was chosen.

    Pulls and starts fail with texts that agents have logged (controller-facts A0.4); of other failures none is known.
    """
    if instance.pulling:
        return "[Errno 2] No such file or directory: '/storage/img_lib/'"
    if instance.booting and instance.vm is not None:
        return f"{instance.vm.uuid}: failed to start: No child processes"
    return "failed"


def fail_start(controller: Controller, instance: Instance, message: str, final: bool = False) -> None:
    """Put an instance back into Scheduling that failed to start, to be tried again, on another node if there is one.

    It is in Error if no retry is left, or the failure is final or its message is one after which the agent gives
    nothing back. Retries do not show (controller-facts C1); the scenario says how many there are.
    """
    is_final = final or message.endswith(NOT_TRIED_AGAIN) or len(instance.failed_on) >= controller.retries
    if is_final or not instance.holds_slot:
        fail_instance(controller, instance, message)
        return
    node_id = instance.node_id or ""
    instance.failed_on = (*instance.failed_on, node_id)
    if instance.state is InstanceState.PULLING:
        # Guess, before 1.50: nobody has seen a retry, which is said to look like a longer Scheduling.
        transition(controller, instance, InstanceState.SCHEDULING, f"start failed, and is tried again: {message}")
    else:
        instance.phase += 1
        instance.since = controller.now
        instance.booting = False
        instance.planned_end = instance.until = instance.stall = instance.vm = None
        cause = f"start failed, and is tried again: {message}"
        instance.timeline.append(TimelineEntry(InstanceState.SCHEDULING, controller.now, cause))
    controller.record("start retried", instance.id, node=node_id, message=message)
    free_slot(controller, instance)
    instance.node_id = instance.script = instance.unreported_for = None
    instance.unreported = ()
    instance.ready = True
    instance.progress_made = 0.0  # the next node pulls from the beginning
    controller.mark_changed(instance)
    controller.enqueue(instance)


def fail_occupants(controller: Controller, node: Node, message: str) -> None:
    """Put the instances on a node into Error that is deleted. Those in Terminating continue.

    Those that are in Error already keep their message, and free the slot that they still hold.
    """
    for instance in list_occupants(controller, node):
        if instance.state is InstanceState.ERROR:
            release_failed_vm(controller, instance)
        elif instance.state is not InstanceState.TERMINATING:
            fail_instance(controller, instance, message, status=None)


def release_failed_vm(controller: Controller, instance: Instance) -> None:
    """Free the slot of an instance in Error whose VM its node had kept, or restarted: the VM is lost.

    Guess: before 1.49 it shows like that of any instance in Error whose VM is lost.
    """
    instance.restarting_until = None
    _mark_vm_lost(controller, instance, None, "deleted")
    free_slot(controller, instance)
    controller.mark_changed(instance)


def detach_instances(controller: Controller, node: Node) -> None:
    """Detach all instances from a node that is about to be deleted: it reports nothing about them any more."""
    for instance in controller.instances.values():
        if instance.node_id == node.id:
            instance.last_report = instance.updated(controller)
            if instance.state is not InstanceState.TERMINATED:
                instance.until = instance.stall = None  # only the node would have ended the phase
            instance.holds_slot = False
            instance.usb = None
            controller.mark_changed(instance)


def list_occupants(controller: Controller, node: Node) -> list[Instance]:
    """Return the instances that hold a slot on the node, oldest first."""
    return sorted((controller.instances[id] for id in node.occupants), key=lambda instance: instance.number)
