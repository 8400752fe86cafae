"""The queue of what is due, and the log of what happened.

An event is a frozen dataclass that knows whether it still matters and what it does. Nothing is ever cancelled:
an event that finds its entity gone or moved on is dead, and dead events do nothing. What a lost node would report is
asleep: it does not happen when it is due, and the node's return schedules it again.
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

LOG_SIZE = 10_000


class Event(ABC):
    """Something that will happen to one entity, unless the entity moves on before.

    ``kind`` names the class in dumps. It stays when the class is renamed.
    """

    kind: ClassVar[str]

    @abstractmethod
    def is_current(self, controller: Controller) -> bool:
        """Whether the event still matters. Looks only; changes nothing."""

    def is_deferred(self, controller: Controller) -> bool:
        """Whether it would not happen if it were due now, though it matters: its node is lost."""
        return False

    @abstractmethod
    def apply(self, controller: Controller) -> None:
        """Do it. Called only while alive and awake, with ``controller.now`` at the time the event was due."""

    def makes_progress(self, controller: Controller) -> bool:
        """Whether something on its way gets somewhere by it; being forgotten, for one, is not waited for."""
        return True


class NodeEvent(Event):
    """An event that a node reports: current only while the node exists, and deferred while it is lost."""

    @abstractmethod
    def reporting_node(self, controller: Controller) -> Node | None:
        """Return the node that reports it, or None if that does not exist any more."""

    def is_current(self, controller: Controller) -> bool:
        return self.reporting_node(controller) is not None

    def is_deferred(self, controller: Controller) -> bool:
        node = self.reporting_node(controller)
        return node is not None and node.lost_at is not None


class EventQueue:
    """Due events in order of time, and at the same time in the order they were put in."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Event]] = []
        self._count = 0

    def put(self, at: int, event: Event) -> None:
        self._count += 1
        heappush(self._heap, (at, self._count, event))

    def next_due(self) -> int | None:
        return self._heap[0][0] if self._heap else None

    def pop(self) -> tuple[int, Event]:
        at, _, event = heappop(self._heap)
        return at, event

    def next_active(self, controller: Controller) -> int | None:
        """When the first event is due that will happen, as things stand."""
        while self._heap and not self._heap[0][2].is_current(controller):
            heappop(self._heap)
        if self._heap and not self._heap[0][2].is_deferred(controller):
            return self._heap[0][0]
        return min((at for at, _, event in self._heap if _will_happen(controller, event)), default=None)

    def has_progress(self, controller: Controller) -> bool:
        """Whether any event is left that brings something to where it is going."""
        return any(_will_happen(controller, event) and event.makes_progress(controller) for _, _, event in self._heap)

    def live(self, controller: Controller) -> list[tuple[int, Event]]:
        """The events that still matter, in the order in which they are due."""
        return [(at, event) for at, _, event in sorted(self._heap) if event.is_current(controller)]

    def __len__(self) -> int:
        return len(self._heap)


def _will_happen(controller: Controller, event: Event) -> bool:
    return event.is_current(controller) and not event.is_deferred(controller)


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line of the log: ``what`` happened to ``subject`` at ``at``; ``detail`` depends on what it was."""

    number: int
    at: int
    what: str
    subject: str
    detail: dict[str, object] = field(default_factory=dict)


class EventLog:
    """What happened, newest last; keeps the last 10,000 and counts on."""

    def __init__(self) -> None:
        self._lines: deque[LogEntry] = deque(maxlen=LOG_SIZE)
        self.count = 0

    def add(self, at: int, what: str, subject: str, **detail: object) -> None:
        self.count += 1
        self._lines.append(LogEntry(self.count, at, what, subject, detail))

    def forget_after(self, number: int) -> None:
        """Take back what came after ``number``, as if it had not happened."""
        while self._lines and self._lines[-1].number > number:
            self._lines.pop()
        self.count = number

    def since(self, number: int) -> Iterator[LogEntry]:
        """Those after ``number``, as far as they are still kept."""
        missed = max(0, self.count - len(self._lines))
        for index in range(max(0, number - missed), len(self._lines)):
            yield self._lines[index]
