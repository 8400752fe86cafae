"""The controller: its time, its ids, its waiting instances, and its determinism."""

import copy
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockanka.core import distributions, groups, instances, nodes, time_control
from mockanka.core.controller import Controller
from mockanka.core.events import Event, EventQueue
from mockanka.units import SECOND
from tests.controllers import CORNERS, controller_of, shipped, state_of, state_with_rules
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
from tests.core.test_randomness import assert_controller_uuid

FULL = WARM.replace("capacity: 2", "capacity: 0")
YEAR = 365 * 24 * 3600


def do_many_things(controller: Controller) -> None:
    """Carry out operations of all kinds."""
    batch = [
        start_instance(controller, name, **request_fields)
        for name in ("layered", "suspended", "bulky")
        for request_fields in ({}, {"priority": 1})
    ]
    pass_time(controller, 100)
    instances.terminate_instance(controller, batch[0].id)
    distributions.create_distribution(controller, template_named(controller, "layered").id)
    lose_node(controller, "pair")
    pass_time(controller, 60)
    restore_node(controller, "pair")
    pass_time(controller, 200)
    groups.create_group(controller, "new")
    for instance in batch:
        if instance.state == "Started":
            save_instance(controller, instance, "", new_template_name="saved", script="ZmFpbA==")
            break
    start_instances(controller, "layered", count=5)
    pass_time(controller, 33.3)
    nodes.delete_node(controller, node_named(controller, "single").id)


# Determinism.


def test_the_same_seed_and_operations_give_the_same_state() -> None:
    """Two controllers that went through the same operations are equal, log included."""
    first, second = controller_of(CORNERS), controller_of(CORNERS)
    for controller in (first, second):
        do_many_things(controller)

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
def test_many_small_advances_equal_one_large_advance(lengths: list[int]) -> None:
    """The state is the same in both cases."""
    often, once = controller_of(CORNERS), controller_of(CORNERS)
    for controller in (often, once):
        start_instances(controller, "layered", count=3)
        start_instances(controller, "bulky", count=2)
    for length in lengths:
        time_control.advance_by(often, length)
    time_control.advance_by(once, sum(lengths))

    assert repr(state_of(once)) == repr(state_of(often))


@pytest.mark.parametrize("name", ["default", "busy", "fleet"])
def test_a_year_at_rest_has_few_events(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Heartbeats and progress are no events, so a year without work takes hardly any."""
    controller = shipped(name)
    pass_time(controller, 24 * 3600)
    handled: list[tuple[int, Event]] = []
    pop = EventQueue.pop

    def count_and_pop(queue: EventQueue) -> tuple[int, Event]:
        handled.append(pop(queue))
        return handled[-1]

    monkeypatch.setattr(EventQueue, "pop", count_and_pop)
    began = controller.now
    pass_time(controller, YEAR)

    assert began + YEAR * SECOND == controller.now
    assert len(handled) < 100


def test_events_happen_at_their_own_time_in_one_long_advance() -> None:
    """Events of the first hour are logged at the same times if the clock advances a year at once."""
    hourly, yearly = controller_of(CORNERS), controller_of(CORNERS)
    for controller in (hourly, yearly):
        do_many_things(controller)
    pass_time(hourly, 3600)
    pass_time(hourly, YEAR - 3600)
    pass_time(yearly, YEAR)

    assert list(hourly.log.since(0)) == list(yearly.log.since(0))


# Ids.


def test_new_ids_have_the_controllers_format_and_never_repeat() -> None:
    """Ids have the variant of the controller; each kind has a counter of its own (A0.2)."""
    controller = build_controller(WARM)
    ids = [controller.new_id(kind) for kind in ("instance", "group") for _ in range(50)]
    for id in ids:
        assert_controller_uuid(id)
    expected = 100

    assert expected == len(set(ids))
    assert {"instance": 50, "group": 50} == controller.id_counters


def test_all_entities_have_ids_in_the_controllers_format() -> None:
    """Instances, requests, groups, distributions and save image requests have ids of one format."""
    controller = build_controller(WARM)
    instance = started_instance(controller)
    ids = [instance.id, instance.inflight_id, groups.create_group(controller, "g").id]
    ids += [
        distributions.create_distribution(controller, template_named(controller).id).id,
        save_instance(controller, instance).id,
    ]

    for id in ids:
        assert_controller_uuid(id)


# Time.


def test_events_happen_at_their_own_time() -> None:
    """However far the clock advances, each event happens when it was due."""
    controller = build_controller(COLD)
    instance = start_instance(controller)
    pass_time(controller, YEAR)

    assert instance.created + 36 * SECOND == instance.since


def test_nothing_happens_without_advance() -> None:
    """The clock alone changes neither state nor time of the controller."""
    controller = build_controller(WARM)
    instance = start_instance(controller)
    before = controller.now
    controller.clock.advance(YEAR * SECOND)

    assert ("Scheduling", before) == (instance.state, controller.now)


def test_placement_comes_after_all_events_of_a_moment() -> None:
    """Of three instances queued at one moment the most urgent gets the slot, though it was queued last."""
    controller = build_controller(PAIR)
    batch = [start_instance(controller, on="alpha", priority=priority) for priority in (3, 2, 1)]
    pass_time(controller, 30)
    expected = ["Scheduling", "Scheduling", "Started"]

    assert expected == [instance.state.value for instance in batch]


def test_next_due_is_the_time_of_the_next_change() -> None:
    """It is None at rest, and the end of the phase of an instance that starts."""
    controller = build_controller(WARM)
    before = controller.next_due()
    start_instance(controller)

    assert before is None
    assert controller.now + SECOND == controller.next_due()


def test_next_due_is_now_while_placement_is_due() -> None:
    """A change that may let a waiting instance be placed counts as due now."""
    controller = build_controller(FULL)
    start_instance(controller)
    pass_time(controller, 5)
    rest = controller.next_due()
    nodes.configure_node(controller, node_named(controller).id, {"capacity": 1})

    assert (None, controller.now) == (rest, controller.next_due())


def test_idle_means_that_nothing_makes_progress() -> None:
    """A booting or terminating instance makes progress; a Started and a Terminated one do not."""
    controller = build_controller(WARM)
    seen = [controller.idle]
    instance = start_instance(controller)
    seen.append(controller.idle)
    pass_time(controller, 30)
    seen.append(controller.idle)
    instances.terminate_instance(controller, instance.id)
    seen.append(controller.idle)
    pass_time(controller, 10)
    seen.append(controller.idle)
    expected = [True, False, True, False, True]

    assert expected == seen


def test_the_controller_is_not_idle_during_a_pull() -> None:
    """A distribution makes progress."""
    controller = build_controller(COLD)
    distributions.create_distribution(controller, template_named(controller).id)
    pass_time(controller, 5)
    during = controller.idle
    pass_time(controller, 15)
    expected = (False, True)

    assert expected == (during, controller.idle)


# Waiting instances.


def test_waiting_instances_are_ordered_by_priority_and_age() -> None:
    """Among equal priorities the older instance comes first."""
    controller = build_controller(FULL)
    batch = [start_instance(controller, priority=priority) for priority in (5, 1, 5, 1)]
    pass_time(controller, 5)

    assert [batch[index].id for index in (1, 3, 0, 2)] == [id for _, _, id in controller.waiting]


def test_a_terminated_instance_does_not_wait_any_more() -> None:
    """Removing an instance that does not wait does nothing."""
    controller = build_controller(FULL)
    batch = start_instances(controller, count=3)
    pass_time(controller, 5)
    instances.terminate_instance(controller, batch[1].id)
    controller.dequeue(batch[1])

    assert [batch[0].id, batch[2].id] == [id for _, _, id in controller.waiting]


def test_an_instance_that_begins_to_wait_makes_placement_due() -> None:
    """It is the next that is tried."""
    controller = build_controller(FULL)
    instance = start_instance(controller)
    before = controller.placement_due
    controller.enqueue(instance)
    expected = (False, True)

    assert expected == (before, controller.placement_due)
    assert [instance.id] == [id for _, _, id in controller.waiting]


# Revisions and the log.


def test_every_change_is_a_new_revision() -> None:
    """A changed instance has a higher revision than any other."""
    controller = build_controller(FULL)
    first, second = start_instances(controller, count=2)
    controller.mark_changed(first)

    assert controller.revision == first.revision > second.revision


def test_log_entries_have_the_time_of_their_event() -> None:
    """It is the time at which the event was due, not that of the advance."""
    controller = build_controller(COLD)
    start_instance(controller)
    began = controller.now
    pass_time(controller, 1000)
    pulled = next(line for line in controller.log.since(0) if line.what == "pulled")

    assert began + 16 * SECOND == pulled.at
    assert 4 == count_log_entries(controller, "instance")


# Taking over another controller.


def test_a_controller_takes_over_the_state_of_another() -> None:
    """Nothing of its old state is left."""
    controller, other = build_controller(COLD), build_controller(PAIR, seed=9)
    start_instance(controller)
    expected = repr(state_of(other))
    controller.replace_with(other)

    assert expected == repr(state_of(controller))


def test_revisions_continue_when_a_controller_takes_over_another() -> None:
    """No answer that was kept before has the revision of a new state."""
    controller, other = build_controller(FULL), build_controller(FULL)
    start_instances(controller, count=5)
    fresh = start_instance(other)
    before = controller.revision
    controller.replace_with(other)

    assert controller.revision >= fresh.revision > before


def test_the_controller_has_the_settings_of_its_scenario() -> None:
    """Seed, licence and timings are those of the scenario."""
    controller = build_controller(WARM + "controller: {license: basic}\n", seed=7)
    expected = (7, "basic")

    assert expected == (controller.seed, controller.license.tier)
    assert replace(controller.timings) == controller.timings


def test_settling_at_the_end_of_time_changes_nothing() -> None:
    """Never names the year 9000, after which nothing happens."""
    controller = build_controller(COLD + "clock: {start: '8999-12-31T23:59:59Z'}\n")
    start_instance(controller)
    before = copy.deepcopy(state_with_rules(controller))
    with pytest.raises(time_control.Never, match="beyond the year 9000"):
        time_control.settle(controller)

    assert before == state_with_rules(controller)
