"""Control of the time: advance it by a length, to the next event, or until a condition is met."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mockanka.core import fault_effects, placement
from mockanka.core.controller import Controller
from mockanka.core.durations import END_OF_TIME
from mockanka.core.errors import NotFound
from mockanka.core.instance_record import Instance
from mockanka.core.lifecycle import LEGAL_TRANSITIONS, InstanceState


class Never(Exception):
    """The condition that is waited for cannot be met; the text says why."""


def advance_by(controller: Controller, length: int) -> None:
    """Advance by ``length`` nanoseconds. Raises ValueError if it is negative or leads beyond END_OF_TIME."""
    if length < 0:
        raise ValueError("time does not go back")
    if controller.clock.now() + length > END_OF_TIME:
        raise ValueError("that is beyond the year 9000, where time ends")
    controller.clock.advance(length)
    controller.advance()


def advance_to_next(controller: Controller) -> bool:
    """Advance to the next event and run it; return False if there is none. Raises Never if it is beyond END_OF_TIME."""
    controller.advance()
    due = controller.next_due()
    if due is None:
        return False
    if due > END_OF_TIME:
        raise Never("what comes next is beyond the year 9000, where time ends")
    advance_by(controller, max(0, due - controller.clock.now()))
    return True


def settle(controller: Controller) -> None:
    """Advance until no instance, distribution or save can get to its final state without more capacity.

    Raises Never, and changes nothing, if a fault stalls one of them for good.
    """
    controller.advance()
    if controller.idle and not any(fault_effects.describe_stalls(controller)):
        return
    with _rollback_on_error(controller):
        while not controller.idle and advance_to_next(controller):
            pass
        if stalls := [text for _, text in fault_effects.describe_stalls(controller)]:
            raise Never("it would never be idle: " + "; ".join(stalls))


def wait_for_state(controller: Controller, instance_id: str, state: InstanceState) -> None:
    """Advance until an instance is in a state.

    Raises NotFound if there is no such instance, and Never if it cannot get there; then nothing has changed.
    """
    controller.advance()
    if instance_id not in controller.instances:
        raise NotFound
    if controller.instances[instance_id].state is state:
        return
    with _rollback_on_error(controller):
        _advance_until(controller, instance_id, state)


@contextmanager
def _rollback_on_error(controller: Controller) -> Iterator[None]:
    """Restore the controller and its clock as they were if the block raises an exception."""
    checkpoint = controller.checkpoint()
    try:
        yield
    except Exception:
        controller.restore_checkpoint(checkpoint)
        raise


def _advance_until(controller: Controller, instance_id: str, state: InstanceState) -> None:
    while True:
        instance = controller.instances.get(instance_id)
        if instance is None:
            raise Never(f"instance {instance_id} is gone without having been {state}")
        if instance.state is state:
            return
        if state not in _find_reachable_states(instance):
            raise Never(f"an instance that is {instance.state} is never {state}{_format_message(instance)}")
        if not controller.has_changes or not advance_to_next(controller):
            raise Never(f"instance {instance_id} stays {instance.state}: {explain_standstill(controller, instance)}")


def explain_standstill(controller: Controller, instance: Instance) -> str:
    """Return why an instance does not leave its state by itself, as a text for people."""
    if instance.stall is not None:
        return f"it is held in {instance.state} by {instance.stall.rule_id}"
    if instance.state is InstanceState.SCHEDULING and not instance.holds_slot:
        return placement.explain_waiting(controller, instance)
    node = controller.nodes.get(instance.node_id or "")
    if node is not None and node.lost_at is not None:
        return f"node {node.name} does not report"
    for id, text in fault_effects.describe_stalls(controller):
        if id == instance.id:
            return text
    return "nothing is on its way" + _format_message(instance)


def _format_message(instance: Instance) -> str:
    return f" ({instance.message})" if instance.message else ""


def _find_reachable_states(instance: Instance) -> set[InstanceState]:
    """Return the states that an instance may still get to; from Error, only a restart under way leads to Started."""
    excluded: set[InstanceState] = set()
    if instance.state is InstanceState.ERROR and instance.restarting_until is None:
        excluded = {InstanceState.STARTED}
    reachable: set[InstanceState] = set()
    to_visit = [instance.state]
    while to_visit:
        next_states = LEGAL_TRANSITIONS[to_visit.pop()] - reachable - excluded
        reachable |= next_states
        to_visit.extend(next_states)
    return reachable
