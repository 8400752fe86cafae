"""Events, the queue of those that are due, and the log of what happened.

An event is a frozen dataclass that knows whether it is still current and what it does. Events are never cancelled: one
whose entity is gone or has moved on is not current any more, and is dropped when it is due. What a node reports is
deferred while the node is lost: that event is dropped too, and the node's return schedules it again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from mockanka.core.controller import Controller
    from mockanka.core.nodes import Node

MAX_LOG_ENTRIES = 10_000


class Event(ABC):
    """Something that will happen to an entity, unless the entity moves on before.

    ``kind`` is the name of the event in dumps; it stays when the class is renamed.
    """

    kind: ClassVar[str]
    changes_states: ClassVar[bool] = True
    """False if no state follows from the event. Such events may come for ever, so nobody waits for them."""

    @abstractmethod
    def is_current(self, controller: Controller) -> bool:
        """Return whether the event will still have an effect. Changes nothing."""

    def is_deferred(self, controller: Controller) -> bool:
        """Return whether a current event would not happen if it were due now, because its node is lost."""
        return False

    @abstractmethod
    def apply(self, controller: Controller) -> None:
        """Change the state. Called for current events only, with ``controller.now`` at the time the event was due."""

    def makes_progress(self, controller: Controller) -> bool:
        """Return whether ``settle`` waits for the event, because it brings something nearer to its final state."""
        return True


class FaultEvent(Event):
    """An event that a fault rule has scheduled: always current, and nobody waits for it."""

    def is_current(self, controller: Controller) -> bool:
        return True

    def makes_progress(self, controller: Controller) -> bool:
        return False


class NodeEvent(Event):
    """An event that a node reports: current only while the node exists, and deferred while it is lost."""

    @abstractmethod
    def reporting_node(self, controller: Controller) -> Node | None:
        """Return the node that reports the event, or None if the node or the reason for the report is gone."""

    def is_current(self, controller: Controller) -> bool:
        return self.reporting_node(controller) is not None

    def is_deferred(self, controller: Controller) -> bool:
        node = self.reporting_node(controller)
        return node is not None and node.lost_at is not None


class EventQueue:
    """Events in the order in which they are due; those of the same time in the order in which they were added."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Event]] = []
        self._count = 0

    def put(self, at: int, event: Event) -> None:
        """Add an event that is due at a time in nanoseconds."""
        self._count += 1
        heappush(self._heap, (at, self._count, event))

    def next_due(self) -> int | None:
        """Return when the first event is due, current or not; None if there is none."""
        return self._heap[0][0] if self._heap else None

    def pop(self) -> tuple[int, Event]:
        """Remove and return the first event, after the time at which it is due."""
        at, _, event = heappop(self._heap)
        return at, event

    def next_active(self, controller: Controller) -> int | None:
        """Return when the first event is due that is current and not deferred; None if there is none."""
        while self._heap and not self._heap[0][2].is_current(controller):
            heappop(self._heap)
        if self._heap and not self._heap[0][2].is_deferred(controller):
            return self._heap[0][0]
        return min((at for at, _, event in self._heap if _is_active(controller, event)), default=None)

    def has_progress(self, controller: Controller) -> bool:
        """Return whether an event that is current and not deferred makes progress."""
        return any(_is_active(controller, event) and event.makes_progress(controller) for _, _, event in self._heap)

    def has_change(self, controller: Controller) -> bool:
        """Return whether an event is current and not deferred from which a state may follow."""
        return any(event.changes_states and _is_active(controller, event) for _, _, event in self._heap)

    def current_events(self, controller: Controller) -> list[tuple[int, Event]]:
        """Return the current events in the order in which they are due, each after its time."""
        return [(at, event) for at, _, event in sorted(self._heap) if event.is_current(controller)]

    def __len__(self) -> int:
        return len(self._heap)


def _is_active(controller: Controller, event: Event) -> bool:
    return event.is_current(controller) and not event.is_deferred(controller)


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An entry of the log: ``what`` happened to ``subject`` at ``at``; the keys of ``detail`` depend on ``what``."""

    number: int
    at: int
    what: str
    subject: str
    detail: dict[str, object] = field(default_factory=dict)


class EventLog:
    """Entries for what happened, newest last. The last 10,000 are kept; all are numbered from 1."""

    def __init__(self) -> None:
        self._entries: deque[LogEntry] = deque(maxlen=MAX_LOG_ENTRIES)
        self.count = 0

    def add(self, at: int, what: str, subject: str, **detail: object) -> None:
        """Add an entry for something that happened at a time in nanoseconds."""
        self.count += 1
        self._entries.append(LogEntry(self.count, at, what, subject, detail))

    def forget_after(self, number: int) -> None:
        """Remove the entries after ``number``, whose numbers are used again."""
        while self._entries and self._entries[-1].number > number:
            self._entries.pop()
        self.count = number

    def since(self, number: int) -> Iterator[LogEntry]:
        """Yield the entries after ``number`` that are still kept."""
        dropped = self.count - len(self._entries)
        for index in range(max(0, number - dropped), len(self._entries)):
            yield self._entries[index]
