"""Moving a controller's time on by hand: by a length, to the next event, until nothing or something is so."""

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
    """What is waited for will not be; the text says why."""


def advance_by(controller: Controller, length: int) -> None:
    """Let ``length`` nanoseconds pass. ValueError if it is negative or leads beyond the year 9000."""
    if length < 0:
        raise ValueError("time does not go back")
    if controller.clock.now() + length > END_OF_TIME:
        raise ValueError("that is beyond the year 9000, where time ends")
    controller.clock.advance(length)
    controller.advance()


def advance_to_next(controller: Controller) -> bool:
    """Go to the moment of the next event and live through it; False if there is none. Never if time ends before."""
    controller.advance()
    due = controller.next_due()
    if due is None:
        return False
    if due > END_OF_TIME:
        raise Never("what comes next is beyond the year 9000, where time ends")
    advance_by(controller, max(0, due - controller.clock.now()))
    return True


def settle(controller: Controller) -> None:
    """Go on until nothing is on its way any more to Started, Error, Terminated or done without new capacity.

    Never, and nothing has changed, if a fault keeps something from ever getting there.
    """
    controller.advance()
    if controller.idle and not any(fault_effects.describe_stalls(controller)):
        return
    with _or_back(controller):
        while not controller.idle and advance_to_next(controller):
            pass
        if held := [text for _, text in fault_effects.describe_stalls(controller)]:
            raise Never("it would never be idle: " + "; ".join(held))


def wait_for(controller: Controller, instance_id: str, state: InstanceState) -> None:
    """Go on until the instance is in that state. NotFound if there is none.

    Never if it cannot get there, and nothing has changed.
    """
    controller.advance()
    if instance_id not in controller.instances:
        raise NotFound
    if controller.instances[instance_id].state is state:
        return
    with _or_back(controller):
        _go_until(controller, instance_id, state)


@contextmanager
def _or_back(controller: Controller) -> Iterator[None]:
    """Do something, or nothing: what turns out never to come leaves everything as it was."""
    before = controller.checkpoint()
    try:
        yield
    except Exception:
        controller.restore_checkpoint(before)
        raise


def _go_until(controller: Controller, instance_id: str, state: InstanceState) -> None:
    while True:
        instance = controller.instances.get(instance_id)
        if instance is None:
            raise Never(f"instance {instance_id} is gone without having been {state}")
        if instance.state is state:
            return
        if state not in _reachable(instance):
            raise Never(f"an instance that is {instance.state} is never {state}{_because(instance)}")
        if not advance_to_next(controller):
            raise Never(f"instance {instance_id} stays {instance.state}: {why_not_reached(controller, instance)}")


def why_not_reached(controller: Controller, instance: Instance) -> str:
    """Why an instance does not move on by itself, for a person."""
    if instance.stall is not None:
        return f"it is held in {instance.state} by {instance.stall.rule_id}"
    if instance.state is InstanceState.SCHEDULING and not instance.holds_slot:
        return placement.why_waiting(controller, instance)
    node = controller.nodes.get(instance.node_id or "")
    if node is not None and node.lost_at is not None:
        return f"node {node.name} does not report"
    for id, text in fault_effects.describe_stalls(controller):
        if id == instance.id:
            return text
    return "nothing is on its way" + _because(instance)


def _because(instance: Instance) -> str:
    return f" ({instance.message})" if instance.message else ""


def _reachable(instance: Instance) -> set[InstanceState]:
    """The states it may still come to; from Error back to life only by a restart that is under way."""
    found: set[InstanceState] = set()
    edge = [instance.state]
    barred = (
        {InstanceState.STARTED}
        if instance.state is InstanceState.ERROR and instance.restarting_until is None
        else set()
    )
    while edge:
        for state in LEGAL_TRANSITIONS[edge.pop()] - found - barred:
            found.add(state)
            edge.append(state)
    return found
