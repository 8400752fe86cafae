"""Events, their queue, and the log of what happened."""

from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mockanka.core.controller import Controller
from mockanka.core.events import MAX_LOG_ENTRIES, Event, EventLog, EventQueue
from tests.core.builders import WARM, build_controller


@dataclass(frozen=True)
class NamedEvent(Event):
    """An event that logs its name."""

    name: str
    current: bool = True
    progressing: bool = True
    deferred: bool = False

    def is_deferred(self, controller: Controller) -> bool:
        return self.deferred

    def is_current(self, controller: Controller) -> bool:
        return self.current

    def makes_progress(self, controller: Controller) -> bool:
        return self.progressing

    def apply(self, controller: Controller) -> None:
        controller.record("named event", self.name)


class MinimalEvent(Event):
    """An event with the abstract methods only."""

    def is_current(self, controller: Controller) -> bool:
        return True

    def apply(self, controller: Controller) -> None:
        """Do nothing."""


@given(st.lists(st.integers(0, 5)))
def test_the_queue_is_ordered_by_time_and_then_by_age(times: list[int]) -> None:
    """Events of the same time come in the order in which they were added."""
    queue = EventQueue()
    for number, at in enumerate(times):
        queue.put(at, NamedEvent(str(number)))
    popped: list[tuple[int, Any]] = [queue.pop() for _ in times]

    assert sorted((at, number) for number, at in enumerate(times)) == [(at, int(event.name)) for at, event in popped]


def test_next_due_is_the_time_of_the_earliest_event() -> None:
    """Not that of the event which was added first."""
    queue = EventQueue()
    queue.put(9, NamedEvent("late"))
    queue.put(3, NamedEvent("early"))

    assert 3 == queue.next_due()


def test_nothing_is_due_in_an_empty_queue() -> None:
    """An empty queue has no next time and no length."""
    queue = EventQueue()

    assert queue.next_due() is None
    assert 0 == len(queue)


def test_events_at_the_front_that_are_not_current_are_dropped() -> None:
    """The first current event and all behind it stay."""
    controller = build_controller(WARM)
    queue = EventQueue()
    for at, current in enumerate([False, False, True, False]):
        queue.put(at, NamedEvent("", current))

    assert 2 == queue.next_active(controller) == queue.next_due()
    assert 2 == len(queue)


def test_deferred_events_are_skipped_and_stay() -> None:
    """The next active event is behind deferred ones, which stay in the queue."""
    controller = build_controller(WARM)
    queue = EventQueue()
    for at, deferred in enumerate([True, True, False]):
        queue.put(at, NamedEvent(str(at), deferred=deferred))

    assert 2 == queue.next_active(controller)
    assert [0, 1, 2] == [at for at, _ in queue.current_events(controller)]


def test_a_queue_of_deferred_events_has_no_active_event() -> None:
    """Nothing is due, and nothing makes progress."""
    controller = build_controller(WARM)
    queue = EventQueue()
    queue.put(1, NamedEvent("", deferred=True))

    assert queue.next_active(controller) is None
    assert not queue.has_progress(controller)


def test_current_events_are_listed_in_order_and_stay() -> None:
    """The list leaves out events that are not current, and removes nothing from the queue."""
    controller = build_controller(WARM)
    queue = EventQueue()
    queue.put(2, NamedEvent("second"))
    queue.put(1, NamedEvent("not current", current=False))
    queue.put(1, NamedEvent("first"))

    assert [(1, NamedEvent("first")), (2, NamedEvent("second"))] == queue.current_events(controller)
    assert 3 == len(queue)


def test_an_event_that_is_not_current_makes_no_progress() -> None:
    """Only a current event that makes progress counts."""
    controller = build_controller(WARM)
    queue = EventQueue()
    queue.put(1, NamedEvent("not current", current=False))
    queue.put(1, NamedEvent("not progressing", progressing=False))
    before = queue.has_progress(controller)
    queue.put(5, NamedEvent("progressing"))
    expected = (False, True)

    assert expected == (before, queue.has_progress(controller))


def test_an_event_makes_progress_by_default() -> None:
    """An event class may say otherwise."""
    assert MinimalEvent().makes_progress(build_controller(WARM))


def test_an_event_that_is_not_current_is_not_applied() -> None:
    """The controller drops it when it is due."""
    controller = build_controller(WARM)
    controller.schedule(controller.now, NamedEvent("not current", current=False))
    controller.schedule(controller.now, NamedEvent("current"))
    controller.advance()
    expected = ["current"]

    assert expected == [entry.subject for entry in controller.log.since(0) if entry.what == "named event"]


def test_log_entries_are_numbered_from_one() -> None:
    """Each keeps its time, its subject and its details."""
    log = EventLog()
    log.add(10, "made", "a", size=3)
    log.add(11, "lost", "b")
    entries = list(log.since(0))
    expected = [(1, 10, "made", "a", {"size": 3}), (2, 11, "lost", "b", {})]

    assert expected == [(entry.number, entry.at, entry.what, entry.subject, entry.detail) for entry in entries]


@given(st.integers(0, 30), st.integers(0, 40))
def test_the_log_yields_the_entries_after_a_number(count: int, number: int) -> None:
    """Those with larger numbers, in order."""
    log = EventLog()
    for n in range(count):
        log.add(n, "what", "whom")

    assert list(range(number + 1, count + 1)) == [entry.number for entry in log.since(number)]


def test_the_log_drops_its_oldest_entries_and_counts_on() -> None:
    """Past its size the oldest entries go; numbers continue."""
    log = EventLog()
    for n in range(MAX_LOG_ENTRIES + 5):
        log.add(n, "what", "whom")
    numbers = [entry.number for entry in log.since(0)]
    expected = MAX_LOG_ENTRIES + 5

    assert list(range(6, MAX_LOG_ENTRIES + 6)) == numbers
    assert expected == log.count
    assert [MAX_LOG_ENTRIES + 5] == [entry.number for entry in log.since(MAX_LOG_ENTRIES + 4)]
