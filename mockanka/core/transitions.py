"""What changes about an instance when it changes state: the ground on which all of its life stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mockanka.core.instance_record import Instance, Stay
from mockanka.core.lifecycle import State, check

if TYPE_CHECKING:
    from mockanka.core.controller import Controller
    from mockanka.core.nodes import Node


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
    instance.until = instance.fate = instance.held = instance.restarting_until = None
    if state is not State.PUSHING:
        instance.save_id = None
    controller.touch(instance)
    controller.happened("instance", instance.id, state=state.value, cause=cause)
    instance.timeline.append(Stay(state, controller.now, cause))


def occupy(controller: Controller, instance: Instance, node: Node) -> None:
    """Take a slot on the node."""
    instance.node_id = node.id
    instance.occupies = True
    node.occupants[instance.id] = None
    controller.touch(instance)


def release(controller: Controller, instance: Instance) -> None:
    instance.occupies = False
    instance.usb = None
    node = controller.nodes.get(instance.node_id or "")
    if node is not None:
        node.occupants.pop(instance.id, None)
    controller.placement_due = True


def remove(controller: Controller, instance: Instance, cause: str) -> None:
    """Nobody knows the instance any more."""
    move(controller, instance, State.GONE, cause)
    release(controller, instance)
    del controller.instances[instance.id]
    controller.bury(instance)


def vanish(controller: Controller, instance: Instance, cause: str) -> None:
    """It is gone from one moment to the next, in whatever state it was: a fault, and no move of the life cycle."""
    controller.wait_no_more(instance)
    if instance.save_id:
        controller.save_images[instance.save_id].interrupted(controller, cause)
    instance.state, instance.since = State.GONE, controller.now
    instance.step += 1
    controller.happened("instance", instance.id, state=State.GONE.value, cause=cause)
    instance.timeline.append(Stay(State.GONE, controller.now, cause))
    release(controller, instance)
    del controller.instances[instance.id]
    controller.touch(instance)
    controller.bury(instance)
