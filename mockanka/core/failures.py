"""What goes wrong with instances: Error and what is left of the VM, another try, nodes that are given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mockanka.core.instance_record import Instance, TimelineEntry
from mockanka.core.lifecycle import InstanceState
from mockanka.core.transitions import free_slot, transition

if TYPE_CHECKING:
    from mockanka.core.controller import Controller
    from mockanka.core.nodes import Node


def fail_instance(controller: Controller, instance: Instance, message: str, status: str | None = "failed") -> None:
    """Error, with a message; the VM is lost and its slot free.

    What is left of vminfo has that status, or as it was if that is None. Before 1.49 it shows the VM as deleted and
    nothing that leads to it (controller-facts C3; a guess for releases before 1.24).
    """
    transition(controller, instance, InstanceState.ERROR, message)
    instance.message = message
    _lose_vm(controller, instance, status, "deleted")
    free_slot(controller, instance)


def _lose_vm(controller: Controller, instance: Instance, status: str | None, before_1_49: str) -> None:
    vm, kept = instance.vm, controller.release.has("vm-kept-on-error")
    if vm is not None:
        instance.vm = vm.after_failure(status or vm.status if kept else before_1_49, kept)


STOP_VM, KEEP_VM = 0, 1
"""What becomes of the VM when its monitored script has failed; anything else deletes it (controller-facts C3)."""


def fail_script(controller: Controller, instance: Instance, code: int) -> None:
    """Error, with what the request's fail handler leaves of the VM."""
    # The text of a timeout is unknown; -1 in the same pattern is a guess (controller-facts C4).
    handler = instance.request.script_fail_handler
    instance.booting = False  # the VM was up and stays known
    transition(controller, instance, InstanceState.ERROR, f"startup script exit code {code}")
    instance.message = f"startup script exit code {code}"
    if handler == KEEP_VM:
        return
    status = "stopped" if handler == STOP_VM else "deleted"
    _lose_vm(controller, instance, status, status)
    free_slot(controller, instance)


def fail_start(controller: Controller, instance: Instance, message: str) -> None:
    """Error at once, unless the scenario lets another node try first (controller-facts C1: retries are not seen)."""
    if len(instance.failed_on) >= controller.retries or not instance.holds_slot:
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
        instance.planned_end = instance.until = instance.vm = None
        cause = f"start failed, and is tried again: {message}"
        instance.timeline.append(TimelineEntry(InstanceState.SCHEDULING, controller.now, cause))
    controller.record("start retried", instance.id, node=node_id, message=message)
    free_slot(controller, instance)
    instance.node_id = None
    instance.ready = True
    instance.progress_made = 0.0  # the pull of the node that failed says nothing of the next one's
    controller.mark_changed(instance)
    controller.enqueue(instance)


def fail_occupants(controller: Controller, node: Node, message: str) -> None:
    """The node is given up: whatever lives on it goes to Error. Those that are terminating go on doing so.

    What is in Error already has a message of its own, and gives back the slot that it still holds.
    """
    for instance in occupants_of(controller, node):
        if instance.state is InstanceState.ERROR:
            instance.restarting_until = None
            free_slot(controller, instance)
            controller.mark_changed(instance)
        elif instance.state is not InstanceState.TERMINATING:
            fail_instance(controller, instance, message, status=None)


def has_occupants_to_fail(controller: Controller, node: Node) -> bool:
    """Whether anything on the node would go to Error with it."""
    return any(
        instance.state not in (InstanceState.TERMINATING, InstanceState.ERROR)
        for instance in occupants_of(controller, node)
    )


def detach_instances(controller: Controller, node: Node) -> None:
    """The node is about to be deleted: nobody is left to report on its instances, or to confirm that they ended."""
    for instance in controller.instances.values():
        if instance.node_id == node.id:
            instance.last_report = instance.updated(controller)
            if instance.state is not InstanceState.TERMINATED:
                instance.until = instance.stall = None  # nobody is left to end the phase it is in
            instance.holds_slot = False
            instance.usb = None
            controller.mark_changed(instance)


def occupants_of(controller: Controller, node: Node) -> list[Instance]:
    """The instances that hold a slot on the node, oldest first."""
    return sorted((controller.instances[id] for id in node.occupants), key=lambda each: each.number)
