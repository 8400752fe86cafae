"""Effects that wait for polls: they strike once a client has looked at an instance a number of times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mockanka.core.events import Event

if TYPE_CHECKING:
    from mockanka.core.controller import Controller


@dataclass
class AwaitedPolls:
    """An event that happens once an instance has been looked at so many times more."""

    instance_id: str
    polls: int
    event: Event


def count_poll(controller: Controller, instance_id: str | None) -> None:
    """Count a look at an instance or, without an id, at the list and so at each instance in it that is not hidden.

    Events whose last poll this was are due now.
    """
    for awaited in list(controller.awaited_polls):
        instance = controller.instances.get(awaited.instance_id)
        if instance is None or not awaited.event.is_current(controller):
            controller.awaited_polls.remove(awaited)
            continue
        if instance.hidden or instance_id not in (None, instance.id):
            continue
        awaited.polls -= 1
        if not awaited.polls:
            controller.awaited_polls.remove(awaited)
            if awaited.event.kind == "instance_planned_end":
                instance.until = controller.now
            controller.schedule(controller.now, awaited.event)
