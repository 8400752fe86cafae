"""The queue of what is due, and the log of what happened."""

from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mockanka.core.controller import Controller
from mockanka.core.events import MAX_LOG_ENTRIES, Event, EventLog, EventQueue
from tests.core.builders import WARM, build_controller


@dataclass(frozen=True)
class Ring(Event):
    """An event that notes its name in the log."""

    name: str
    living: bool = True
    awaited: bool = True
    sleeping: bool = False

    def is_deferred(self, controller: Controller) -> bool:
        return self.sleeping

    def is_current(self, controller: Controller) -> bool:
        return self.living

    def makes_progress(self, controller: Controller) -> bool:
        return self.awaited

    def apply(self, controller: Controller) -> None:
        controller.record("rang", self.name)


class Plain(Event):
    """An event that says no more than it must."""

    def is_current(self, controller: Controller) -> bool:
        return True

    def apply(self, controller: Controller) -> None:
        """Nothing."""


@given(st.lists(st.integers(0, 5)))
def test_the_queue_gives_by_time_and_then_by_age(times: list[int]) -> None:
    """Earlier events come first, and of one moment those that were put in first."""
    queue = EventQueue()
    for number, at in enumerate(times):
        queue.put(at, Ring(str(number)))
    popped: list[tuple[int, Any]] = [queue.pop() for _ in times]

    assert sorted((at, number) for number, at in enumerate(times)) == [(at, int(each.name)) for at, each in popped]


def test_the_queue_knows_when_the_next_is_due() -> None:
    """The next due time is that of the earliest event."""
    queue = EventQueue()
    queue.put(9, Ring("late"))
    queue.put(3, Ring("early"))

    assert 3 == queue.next_due()


def test_nothing_is_due_in_an_empty_queue() -> None:
    """An empty queue has no next time and no length."""
    queue = EventQueue()

    assert queue.next_due() is None
    assert 0 == len(queue)


def test_dead_events_in_front_are_dropped() -> None:
    """Dropping the dead ends at the first that lives; those behind it stay."""
    controller = build_controller(WARM)
    queue = EventQueue()
    for at, living in enumerate([False, False, True, False]):
        queue.put(at, Ring("", living))

    assert 2 == queue.next_active(controller) == queue.next_due()
    assert 2 == len(queue)


def test_sleeping_events_are_looked_past_and_stay() -> None:
    """The next event that will happen is behind those that sleep, and looking for it loses none of them."""
    controller = build_controller(WARM)
    queue = EventQueue()
    for at, sleeping in enumerate([True, True, False]):
        queue.put(at, Ring(str(at), sleeping=sleeping))

    assert 2 == queue.next_active(controller)
    assert [0, 1, 2] == [at for at, _ in queue.current_events(controller)]


def test_a_queue_where_all_sleep_has_nothing_next() -> None:
    """Nothing is going to happen, and nothing is settling, while every event sleeps."""
    controller = build_controller(WARM)
    queue = EventQueue()
    queue.put(1, Ring("", sleeping=True))

    assert queue.next_active(controller) is None
    assert not queue.has_progress(controller)


def test_live_events_are_listed_in_order_and_stay() -> None:
    """The list of live events leaves out the dead and takes nothing out of the queue."""
    controller = build_controller(WARM)
    queue = EventQueue()
    queue.put(2, Ring("second"))
    queue.put(1, Ring("dead", living=False))
    queue.put(1, Ring("first"))

    assert [(1, Ring("first")), (2, Ring("second"))] == queue.current_events(controller)
    assert 3 == len(queue)


def test_a_dead_event_settles_nothing() -> None:
    """Only a living event that settles something keeps the queue from being settled."""
    controller = build_controller(WARM)
    queue = EventQueue()
    queue.put(1, Ring("dead", living=False))
    queue.put(1, Ring("not awaited", awaited=False))
    before = queue.has_progress(controller)
    queue.put(5, Ring("awaited"))
    expected = (False, True)

    assert expected == (before, queue.has_progress(controller))


def test_an_event_is_awaited_unless_it_says_otherwise() -> None:
    """By default something gets somewhere by an event."""
    assert Plain().makes_progress(build_controller(WARM))


def test_a_dead_event_does_nothing() -> None:
    """The controller passes over an event that no longer matters."""
    controller = build_controller(WARM)
    controller.schedule(controller.now, Ring("dead", living=False))
    controller.schedule(controller.now, Ring("alive"))
    controller.advance()
    expected = ["alive"]

    assert expected == [line.subject for line in controller.log.since(0) if line.what == "rang"]


def test_the_log_numbers_its_lines_from_one() -> None:
    """Lines are counted, and each keeps its moment, its subject and its detail."""
    log = EventLog()
    log.add(10, "made", "a", size=3)
    log.add(11, "lost", "b")
    lines = list(log.since(0))
    expected = [(1, 10, "made", "a", {"size": 3}), (2, 11, "lost", "b", {})]

    assert expected == [(line.number, line.at, line.what, line.subject, line.detail) for line in lines]


@given(st.integers(0, 30), st.integers(0, 40))
def test_the_log_gives_what_came_after_a_number(count: int, number: int) -> None:
    """Asked for what came since a number, the log gives those with larger ones."""
    log = EventLog()
    for n in range(count):
        log.add(n, "what", "whom")

    assert list(range(number + 1, count + 1)) == [line.number for line in log.since(number)]


def test_the_log_forgets_its_oldest_lines_and_counts_on() -> None:
    """Past its size the log drops the oldest; numbers go on."""
    log = EventLog()
    for n in range(MAX_LOG_ENTRIES + 5):
        log.add(n, "what", "whom")
    numbers = [line.number for line in log.since(0)]
    expected = MAX_LOG_ENTRIES + 5

    assert list(range(6, MAX_LOG_ENTRIES + 6)) == numbers
    assert expected == log.count
    assert [MAX_LOG_ENTRIES + 5] == [line.number for line in log.since(MAX_LOG_ENTRIES + 4)]
