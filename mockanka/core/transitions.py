"""Changes of an instance's state, and of the slot that it holds on a node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mockanka.core.instance_record import Instance, TimelineEntry
from mockanka.core.lifecycle import InstanceState, check_transition

if TYPE_CHECKING:
    from mockanka.core.controller import Controller
    from mockanka.core.nodes import Node


def transition(controller: Controller, instance: Instance, state: InstanceState, cause: str) -> None:
    """Change the state of an instance, and reset what belongs to the old one. Raises IllegalTransition.

    ``cause`` is logged, and shown in the timeline.
    """
    check_transition(instance.state, state)
    if instance.pulling:
        instance.progress_made = instance.progress(controller)
    if instance.booting:
        controller.placement_due = True  # its node has a free worker again
    if instance.state is InstanceState.PUSHING and state is not InstanceState.STARTED and instance.save_id:
        controller.save_images[instance.save_id].interrupt(controller, f"instance is {state}")
    if instance.booting and state is not InstanceState.STARTED:
        instance.vm = None
    if instance.state is InstanceState.SCHEDULING:
        controller.dequeue(instance)
    instance.state = state
    instance.since = controller.now
    instance.phase += 1
    instance.booting = instance.ready = False
    instance.until = instance.planned_end = instance.stall = instance.restarting_until = None
    if state is not InstanceState.PUSHING:
        instance.save_id = None
    controller.mark_changed(instance)
    controller.record("instance", instance.id, state=state.value, cause=cause)
    instance.timeline.append(TimelineEntry(state, controller.now, cause))


def take_slot(controller: Controller, instance: Instance, node: Node) -> None:
    """Let the instance take a slot on the node."""
    instance.node_id = node.id
    instance.holds_slot = True
    node.occupants[instance.id] = None
    controller.mark_changed(instance)


def free_slot(controller: Controller, instance: Instance) -> None:
    """Free the slot and the USB device of the instance, if it holds any; its node stays known."""
    instance.holds_slot = False
    instance.usb = None
    node = controller.nodes.get(instance.node_id or "")
    if node is not None:
        node.occupants.pop(instance.id, None)
    controller.placement_due = True


def forget_instance(controller: Controller, instance: Instance, cause: str) -> None:
    """Remove the instance from the controller, keeping its timeline. Raises IllegalTransition."""
    transition(controller, instance, InstanceState.GONE, cause)
    free_slot(controller, instance)
    del controller.instances[instance.id]
    controller.forgotten[instance.id] = instance


def vanish_instance(controller: Controller, instance: Instance, cause: str) -> None:
    """Remove the instance from the controller in whatever state it is, which only a fault does."""
    controller.dequeue(instance)
    if instance.save_id:
        controller.save_images[instance.save_id].interrupt(controller, cause)
    instance.state, instance.since = InstanceState.GONE, controller.now
    instance.phase += 1
    controller.record("instance", instance.id, state=InstanceState.GONE.value, cause=cause)
    instance.timeline.append(TimelineEntry(InstanceState.GONE, controller.now, cause))
    free_slot(controller, instance)
    del controller.instances[instance.id]
    controller.mark_changed(instance)
    controller.forgotten[instance.id] = instance
