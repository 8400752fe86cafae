"""The controller: its time, its ids, its line of waiting instances, and that all of it can be repeated."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockanka.core import distributions, groups, instances, nodes, time_control
from mockanka.core.controller import Controller
from mockanka.core.events import Event, EventQueue
from mockanka.units import SECOND
from tests.controllers import CORNERS, controller_of, shipped, state_of
from tests.core.builders import (
    COLD,
    PAIR,
    WARM,
    build_controller,
    count_log_entries,
    lose_node,
    node_named,
    pass_time,
    restore_node,
    save_instance,
    start_instance,
    start_instances,
    started_instance,
    template_named,
)
from tests.core.test_randomness import assert_is_controllers

FULL = WARM.replace("capacity: 2", "capacity: 0")
YEAR = 365 * 24 * 3600


def a_busy_day(controller: Controller) -> None:
    """A bit of everything."""
    several = [
        start_instance(controller, name, **wanted)
        for name in ("layered", "suspended", "bulky")
        for wanted in ({}, {"priority": 1})
    ]
    pass_time(controller, 100)
    instances.terminate_instance(controller, several[0].id)
    distributions.create_distribution(controller, template_named(controller, "layered").id)
    lose_node(controller, "pair")
    pass_time(controller, 60)
    restore_node(controller, "pair")
    pass_time(controller, 200)
    groups.create_group(controller, "new")
    for each in several:
        if each.state == "Started":
            save_instance(controller, each, "", new_template_name="saved", script="ZmFpbA==")
            break
    start_instances(controller, "layered", count=5)
    pass_time(controller, 33.3)
    nodes.delete_node(controller, node_named(controller, "single").id)


# Repetition.


def test_the_same_seed_and_requests_give_the_same_byte_for_byte() -> None:
    """Two controllers that went through the same are equal in everything, log and all."""
    first, second = controller_of(CORNERS), controller_of(CORNERS)
    for controller in (first, second):
        a_busy_day(controller)

    assert repr(state_of(first)) == repr(state_of(second))
    assert list(first.log.since(0)) == list(second.log.since(0))


def test_another_seed_gives_other_ids() -> None:
    """No id of one seed is an id of another."""
    first, second = (controller_of(CORNERS, seed=seed) for seed in (1, 2))
    for controller in (first, second):
        start_instances(controller, "layered", count=5)
    parts = ("templates", "nodes", "groups", "instances")

    assert [set()] * 4 == [{*getattr(first, part)} & {*getattr(second, part)} for part in parts]


@given(st.lists(st.integers(0, 20 * SECOND), max_size=12))
def test_how_often_time_is_looked_at_makes_no_difference(lengths: list[int]) -> None:
    """Many small advances lead where one large one leads."""
    often, once = controller_of(CORNERS), controller_of(CORNERS)
    for controller in (often, once):
        start_instances(controller, "layered", count=3)
        start_instances(controller, "bulky", count=2)
    for length in lengths:
        time_control.advance_by(often, length)
    time_control.advance_by(once, sum(lengths))

    assert repr(state_of(once)) == repr(state_of(often))


@pytest.mark.parametrize("name", ["default", "busy", "fleet"])
def test_a_year_passes_with_few_events(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Heartbeats and progress are no events: a year of a world at rest takes hardly any, and ends."""
    controller = shipped(name)
    pass_time(controller, 24 * 3600)
    handled: list[tuple[int, Event]] = []
    pop = EventQueue.pop

    def counted(queue: EventQueue) -> tuple[int, Event]:
        handled.append(pop(queue))
        return handled[-1]

    monkeypatch.setattr(EventQueue, "pop", counted)
    begun = controller.now
    pass_time(controller, YEAR)

    assert begun + YEAR * SECOND == controller.now
    assert len(handled) < 100


def test_a_year_of_work_at_once_is_what_it_would_have_been() -> None:
    """What was due on the first day happened on the first day, though nobody looked for a year."""
    looked, asleep = controller_of(CORNERS), controller_of(CORNERS)
    for controller in (looked, asleep):
        a_busy_day(controller)
    pass_time(looked, 3600)
    pass_time(looked, YEAR - 3600)
    pass_time(asleep, YEAR)

    assert list(looked.log.since(0)) == list(asleep.log.since(0))


# Ids.


def test_minted_ids_look_like_the_real_ones_and_never_repeat() -> None:
    """Ids have the controller's odd variant; each kind counts by itself (A0.2)."""
    controller = build_controller(WARM)
    ids = [controller.new_id(kind) for kind in ("instance", "group") for _ in range(50)]
    for id in ids:
        assert_is_controllers(id)
    expected = 100

    assert expected == len(set(ids))
    assert {"instance": 50, "group": 50} == controller.id_counters


def test_every_id_the_controller_makes_has_its_variant() -> None:
    """Instances, requests, groups, distributions and save image requests have ids of one shape."""
    controller = build_controller(WARM)
    mine = started_instance(controller)
    ids = [mine.id, mine.inflight_id, groups.create_group(controller, "g").id]
    ids += [
        distributions.create_distribution(controller, template_named(controller).id).id,
        save_instance(controller, mine).id,
    ]

    for id in ids:
        assert_is_controllers(id)


# Time.


def test_events_happen_at_their_own_time() -> None:
    """However far time jumps, each thing happens when it was due."""
    controller = build_controller(COLD)
    mine = start_instance(controller)
    pass_time(controller, YEAR)

    assert mine.created + 36 * SECOND == mine.since


def test_nothing_moves_without_advance() -> None:
    """The clock alone makes nothing happen."""
    controller = build_controller(WARM)
    mine = start_instance(controller)
    before = controller.now
    controller.clock.advance(YEAR * SECOND)

    assert ("Scheduling", before) == (mine.state, controller.now)


def test_all_of_a_moment_happens_before_the_waiting_look_for_a_node() -> None:
    """Two queued at one moment compete, and the more urgent gets the slot, though it was queued later."""
    controller = build_controller(PAIR)
    several = [start_instance(controller, on="alpha", priority=priority) for priority in (3, 2, 1)]
    pass_time(controller, 30)
    expected = ["Scheduling", "Scheduling", "Started"]

    assert expected == [each.state.value for each in several]


def test_next_due_is_the_next_thing_that_changes_anything() -> None:
    """Nothing is due at rest; with an instance on its way it is the end of its phase."""
    controller = build_controller(WARM)
    before = controller.next_due()
    start_instance(controller)

    assert before is None
    assert controller.now + SECOND == controller.next_due()


def test_next_due_is_now_while_placement_is_due() -> None:
    """A change that may let somebody be placed counts as something that happens now."""
    controller = build_controller(FULL)
    start_instance(controller)
    pass_time(controller, 5)
    rest = controller.next_due()
    nodes.configure_node(controller, node_named(controller).id, {"capacity": 1})

    assert (None, controller.now) == (rest, controller.next_due())


def test_idle_is_when_nothing_is_on_its_way() -> None:
    """A booting instance is on its way; a waiting, a running and a terminated one are not."""
    controller = build_controller(WARM)
    seen = [controller.idle]
    mine = start_instance(controller)
    seen.append(controller.idle)
    pass_time(controller, 30)
    seen.append(controller.idle)
    instances.terminate_instance(controller, mine.id)
    seen.append(controller.idle)
    pass_time(controller, 10)
    seen.append(controller.idle)
    expected = [True, False, True, False, True]

    assert expected == seen


def test_a_pull_keeps_the_controller_from_being_idle() -> None:
    """A distribution that is on its way is waited for."""
    controller = build_controller(COLD)
    distributions.create_distribution(controller, template_named(controller).id)
    pass_time(controller, 5)
    during = controller.idle
    pass_time(controller, 15)
    expected = (False, True)

    assert expected == (during, controller.idle)


# The line.


def test_the_line_is_in_order_of_priority_and_age() -> None:
    """Who waits stands in line by priority, and among equals by age."""
    controller = build_controller(FULL)
    several = [start_instance(controller, priority=priority) for priority in (5, 1, 5, 1)]
    pass_time(controller, 5)

    assert [several[index].id for index in (1, 3, 0, 2)] == [id for _, _, id in controller.waiting]


def test_who_waits_no_more_leaves_the_line() -> None:
    """Terminating takes an instance out of the line; taking out one that does not stand there does nothing."""
    controller = build_controller(FULL)
    several = start_instances(controller, count=3)
    pass_time(controller, 5)
    instances.terminate_instance(controller, several[1].id)
    controller.dequeue(several[1])

    assert [several[0].id, several[2].id] == [id for _, _, id in controller.waiting]


def test_waiting_makes_placement_due() -> None:
    """Whoever joins the line is looked at next."""
    controller = build_controller(FULL)
    mine = start_instance(controller)
    before = controller.placement_due
    controller.enqueue(mine)
    expected = (False, True)

    assert expected == (before, controller.placement_due)
    assert [mine.id] == [id for _, _, id in controller.waiting]


# Revisions and the log.


def test_every_touch_is_a_new_revision() -> None:
    """What is said of an instance is new with each touch."""
    controller = build_controller(FULL)
    first, second = start_instances(controller, count=2)
    controller.mark_changed(first)

    assert controller.revision == first.revision > second.revision


def test_what_happened_is_logged_with_its_time() -> None:
    """The log has the moment that something was due, not that of the look at it."""
    controller = build_controller(COLD)
    start_instance(controller)
    begun = controller.now
    pass_time(controller, 1000)
    pulled = next(line for line in controller.log.since(0) if line.what == "pulled")

    assert begun + 16 * SECOND == pulled.at
    assert 4 == count_log_entries(controller, "instance")


# Becoming another.


def test_a_controller_becomes_another_on_the_spot() -> None:
    """Who holds the old one holds the new one; nothing of the old is left."""
    controller, other = build_controller(COLD), build_controller(PAIR, seed=9)
    start_instance(controller)
    expected = repr(state_of(other))
    controller.replace_with(other)

    assert expected == repr(state_of(controller))


def test_the_revision_goes_on_when_a_controller_becomes_another() -> None:
    """No answer kept from before fits what is there afterwards."""
    controller, other = build_controller(FULL), build_controller(FULL)
    start_instances(controller, count=5)
    fresh = start_instance(other)
    before = controller.revision
    controller.replace_with(other)

    assert controller.revision >= fresh.revision > before


def test_settings_of_the_scenario_are_the_controllers() -> None:
    """Seed, licence and timings are what they were said to be."""
    controller = build_controller(WARM + "controller: {license: basic}\n", seed=7)
    expected = (7, "basic")

    assert expected == (controller.seed, controller.license.tier)
    assert replace(controller.timings) == controller.timings
