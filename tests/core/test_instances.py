"""Instances, from the request to start one until nobody knows it any more."""

from collections.abc import Callable

import pytest

from mockanka.core import failures, instances, nodes, templates, transitions
from mockanka.core.controller import Controller
from mockanka.core.errors import (
    IllegalTransition,
    NoSuchGroup,
    NoSuchNode,
    NoSuchTag,
    NoSuchUsbDevice,
    NotFound,
    Refusal,
)
from mockanka.core.instance_record import Instance, StartRequest
from mockanka.core.lifecycle import InstanceState
from mockanka.units import MICROSECOND, SECOND
from tests.controllers import state_of
from tests.core.builders import (
    COLD,
    WARM,
    build_controller,
    lose_node,
    node_named,
    pass_time,
    restore_node,
    save_instance,
    start_instance,
    start_instances,
    started_instance,
    state_history,
    states,
    template_named,
    version_ref,
)

FULL = WARM.replace("capacity: 2", "capacity: 0")


def scheduling(controller: Controller) -> Instance:
    return start_instance(controller)


def waiting(controller: Controller) -> Instance:
    nodes.configure_node(controller, node_named(controller).id, {"capacity": 0})
    made = start_instance(controller)
    pass_time(controller, 10)
    return made


def pulling(controller: Controller) -> Instance:
    made = start_instance(controller)
    pass_time(controller, 5)
    return made


def booting_after_a_pull(controller: Controller) -> Instance:
    made = start_instance(controller)
    pass_time(controller, 20)
    return made


def stopping(controller: Controller) -> Instance:
    made = started_instance(controller)
    instances.stop_instance(controller, made.id)
    return made


def stopped(controller: Controller) -> Instance:
    made = stopping(controller)
    pass_time(controller, 10)
    return made


def pushing(controller: Controller) -> Instance:
    made = started_instance(controller)
    save_instance(controller, made)
    return made


def failed(controller: Controller) -> Instance:
    made = started_instance(controller)
    lose_node(controller)
    pass_time(controller, 200)
    restore_node(controller)
    return made


# What a start makes.


def test_a_new_instance_is_scheduling_with_nothing_else() -> None:
    """At first there is neither node nor VM, and no progress (A2.6)."""
    mine = start_instance(build_controller(COLD))
    expected = (InstanceState.SCHEDULING, None, None, False, "")

    assert expected == (
        mine.state,
        mine.node_id,
        mine.shown_vm,
        mine.holds_slot,
        mine.message,
    )


def test_a_start_of_many_makes_so_many() -> None:
    """Each has an id and a number of its own, in the order of the answer."""
    controller = build_controller(FULL)
    several = start_instances(controller, count=5)

    assert list(range(1, 6)) == [each.number for each in several]
    assert 5 == len({each.id for each in several}) == len({each.inflight_id for each in several})


def test_a_start_without_tag_means_the_latest_at_that_time() -> None:
    """What is pushed later does not change what an instance is made of."""
    controller = build_controller(FULL)
    mine = start_instance(controller)
    template_named(controller).add(templates.Version(2, "newer", ()))

    assert version_ref(controller, serial=1) == mine.ref


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        ({"template_id": "nobody"}, Refusal),
        ({"tag": "nope"}, NoSuchTag),
        ({"version": 9}, Refusal),
        ({"node_id": "nobody"}, NoSuchNode),
        ({"group_id": "nobody"}, NoSuchGroup),
        ({"usb_device": "toaster"}, NoSuchUsbDevice),
    ],
)
def test_a_start_of_many_is_all_or_nothing(request_: dict[str, object], kind: type[Refusal]) -> None:
    """A refused start makes no instance and uses up no id."""
    controller = build_controller(WARM)
    before = repr(state_of(controller))
    request = StartRequest(**{"template_id": template_named(controller).id, **request_})  # type: ignore[arg-type]
    with pytest.raises(kind):
        instances.start_instances(controller, request, 3)

    assert before == repr(state_of(controller))


def test_a_start_does_not_ask_for_capacity() -> None:
    """Who finds no node waits; starting is never refused for it (A1)."""
    controller = build_controller(FULL)
    expected = ["Scheduling"] * 50

    assert expected == states(*start_instances(controller, count=50))


def test_find_knows_instances_by_id() -> None:
    """Find gives the instance of that id, or says Not found."""
    controller = build_controller(FULL)
    mine = start_instance(controller)

    assert mine is instances.find_instance(controller, mine.id)
    with pytest.raises(NotFound, match=r"^Not found$"):
        instances.find_instance(controller, "nobody")


# The way to Started, and what shows on it.


def test_a_cached_template_leads_from_scheduling_to_started() -> None:
    """Without a pull an instance is never Pulling, and its progress stays 0 (A2.5)."""
    controller = build_controller(WARM)
    mine = start_instance(controller)
    pass_time(controller, 100)
    expected = [(0.0, "Scheduling"), (21.0, "Started")]

    assert expected == state_history(controller, mine)
    assert 0.0 == mine.progress(controller)


def test_progress_follows_the_pull_and_ends_at_one() -> None:
    """Progress is 0 before the pull, grows evenly with time, and stays 1 ever after (A2.5)."""
    controller = build_controller(COLD)
    mine = start_instance(controller)
    seen = []
    for seconds in (0, 1, 7.5, 7.5, 10, 1000):
        pass_time(controller, seconds)
        seen.append(mine.progress(controller))
    instances.terminate_instance(controller, mine.id)
    pass_time(controller, 10)
    expected = [0, 0, 0.5, 1, 1, 1]

    assert expected == seen
    assert 1 == mine.progress(controller)


def test_a_vm_shows_once_it_is_started() -> None:
    """While the VM boots no node has reported it (A2.6)."""
    controller = build_controller(WARM)
    mine = start_instance(controller)
    shown = []
    for seconds in (0, 5, 30):
        pass_time(controller, seconds)
        shown.append(mine.shown_vm is not None)
    expected = [False, False, True]

    assert expected == shown


def test_a_vm_runs_once_it_is_started() -> None:
    """A booting VM is none that runs; a stopped one is none any more."""
    controller = build_controller(WARM)
    mine = start_instance(controller)
    running = []
    for seconds in (0, 10, 20):
        pass_time(controller, seconds)
        running.append(mine.running_vm is not None)
    instances.stop_instance(controller, mine.id)
    pass_time(controller, 10)
    expected = [False, False, True]

    assert expected == running
    assert mine.running_vm is None


def test_an_instance_is_pulling_only_while_it_pulls() -> None:
    """It counts as pulling from the placement to the end of the pull, not while it boots."""
    controller = build_controller(COLD)
    mine = start_instance(controller)
    seen = []
    for seconds in (0, 5, 15, 30):
        pass_time(controller, seconds)
        seen.append(mine.pulling)
    expected = [False, True, False, False]

    assert expected == seen


# ts.


def test_ts_of_a_new_instance_is_a_microsecond_before_its_creation() -> None:
    """As captured, at creation ts is a little older than cr_time (A0.2)."""
    controller = build_controller(FULL)
    mine = start_instance(controller)
    pass_time(controller, 100)

    assert mine.created - MICROSECOND == mine.updated(controller)


def test_ts_follows_the_heartbeats_of_the_node() -> None:
    """Once on a node, ts moves every 5 s, to the time of the heartbeat and no other."""
    controller = build_controller(WARM)
    mine = started_instance(controller)
    seen = set()
    for _ in range(60):
        pass_time(controller, 1)
        seen.add(mine.updated(controller))
        assert controller.now - 5 * SECOND < mine.updated(controller) <= controller.now

    assert {5 * SECOND} == {later - earlier for earlier, later in zip(sorted(seen), sorted(seen)[1:], strict=False)}


def test_ts_is_never_before_the_last_change() -> None:
    """A change between two heartbeats moves ts at once."""
    controller = build_controller(WARM)
    mine = started_instance(controller)
    for _ in range(7):
        pass_time(controller, 0.9)
        if mine.state is InstanceState.STARTED:
            instances.stop_instance(controller, mine.id)
        assert mine.updated(controller) >= mine.since

    assert "Stopped" == mine.state


def test_ts_stands_still_while_the_node_is_lost() -> None:
    """No report, no new ts; when the node is back ts goes on."""
    controller = build_controller(WARM)
    mine = started_instance(controller)
    lose_node(controller)
    before = mine.updated(controller)
    pass_time(controller, 60)
    meanwhile = mine.updated(controller)
    restore_node(controller)
    pass_time(controller, 5)

    assert before == meanwhile
    assert mine.updated(controller) > before + 55 * SECOND


def test_ts_of_an_instance_in_error_is_when_it_got_there() -> None:
    """Nobody reports on it any more."""
    controller = build_controller(WARM)
    mine = failed(controller)
    pass_time(controller, 1000)

    assert mine.since == mine.updated(controller)


# Updating.


def test_an_update_changes_what_it_names_and_merges_metadata() -> None:
    """What is not among the changes stays; metadata is merged key by key (G)."""
    controller = build_controller(FULL)
    mine = start_instance(controller, name="old", external_id="x", metadata={"a": 1, "b": 2})
    instances.update_instance(controller, mine.id, {"name": "new", "metadata": {"b": True, "c": "d"}})
    expected = ("new", "x")

    assert expected == (mine.request.name, mine.request.external_id)
    assert {"a": 1, "b": True, "c": "d"} == mine.request.metadata


def test_an_update_moves_nothing_but_the_revision() -> None:
    """An update is seen at once and changes no state."""
    controller = build_controller(WARM)
    mine = started_instance(controller)
    revision = mine.revision
    instances.update_instance(controller, mine.id, {"name": "new"})
    expected = ("Started", True)

    assert expected == (mine.state, mine.revision > revision)


def test_an_update_of_an_unknown_instance_is_not_found() -> None:
    """There must be something to update."""
    with pytest.raises(NotFound):
        instances.update_instance(build_controller(WARM), "nobody", {"name": "new"})


# Stopping.


def test_a_stop_leads_to_stopped_and_frees_the_slot() -> None:
    """The VM shuts down: Stopping for 5 s, then Stopped, and the node has its slot back."""
    controller = build_controller(WARM)
    mine = started_instance(controller)
    instances.stop_instance(controller, mine.id)
    occupied = dict(node_named(controller).occupants)
    pass_time(controller, 100)
    expected = ["Stopping", "Stopped"]

    assert expected == [state for _, state in state_history(controller, mine)][-2:]
    assert ([mine.id], {}) == (list(occupied), node_named(controller).occupants)
    assert mine.shown_vm is not None
    assert "stopped" == mine.shown_vm.status


@pytest.mark.parametrize("bring", [scheduling, pulling, stopping, stopped, pushing, failed])
def test_only_a_started_instance_can_be_stopped(bring: Callable[[Controller], Instance]) -> None:
    """A stop in any other state is an illegal move, and nothing moves."""
    controller = build_controller(COLD)
    mine = bring(controller)
    before = mine.state
    with pytest.raises(IllegalTransition):
        instances.stop_instance(controller, mine.id)

    assert before is mine.state


# Terminating.


NEVER = [(0.0, "Terminating"), (60.0, "gone")]
CONFIRMED = [(0.0, "Terminating"), (5.0, "Terminated"), (65.0, "gone")]


@pytest.mark.parametrize(
    ("bring", "expected"),
    [
        (scheduling, NEVER),
        (waiting, NEVER),
        (pulling, CONFIRMED),
        (booting_after_a_pull, CONFIRMED),
        (started_instance, CONFIRMED),
        (stopping, CONFIRMED),
        (stopped, CONFIRMED),
        (pushing, CONFIRMED),
        (failed, NEVER),
    ],
)
def test_terminating_ends_as_it_must_in_every_state(
    bring: Callable[[Controller], Instance], expected: list[tuple[float, str]]
) -> None:
    """One that a node has is Terminated after 5 s and gone 60 s later; any other is just gone after 60 s (C1)."""
    controller = build_controller(COLD)
    mine = bring(controller)
    before = len(state_history(controller, mine))
    asked = (controller.now - mine.created) / SECOND
    instances.terminate_instance(controller, mine.id)
    pass_time(controller, 1000)

    assert expected == [(at - asked, state) for at, state in state_history(controller, mine)[before:]]
    assert mine.id not in controller.instances
    assert {} == node_named(controller).occupants


def test_terminating_again_is_fine_and_changes_nothing() -> None:
    """A second request neither fails nor begins the wait anew, Terminating or Terminated."""
    controller = build_controller(WARM)
    mine = started_instance(controller)
    asked = (controller.now - mine.created) / SECOND
    for _ in range(10):
        instances.terminate_instance(controller, mine.id)
        pass_time(controller, 4)
    pass_time(controller, 100)
    expected = [(5.0, "Terminated"), (65.0, "gone")]

    assert expected == [(at - asked, state) for at, state in state_history(controller, mine)[-2:]]


def test_one_that_is_gone_is_not_found() -> None:
    """After it is forgotten its id names nothing."""
    controller = build_controller(WARM)
    mine = start_instance(controller)
    instances.terminate_instance(controller, mine.id)
    pass_time(controller, 61)

    with pytest.raises(NotFound):
        instances.terminate_instance(controller, mine.id)


@pytest.mark.parametrize(
    "bring", [scheduling, waiting, pulling, booting_after_a_pull, started_instance, stopping, pushing]
)
def test_nothing_is_revived_after_terminate(bring: Callable[[Controller], Instance]) -> None:
    """Whatever was on its way, with room for it and a node that was lost and is back: Terminating leads only on."""
    controller = build_controller(COLD)
    mine = bring(controller)
    instances.terminate_instance(controller, mine.id)
    lose_node(controller)
    nodes.configure_node(controller, node_named(controller).id, {"capacity": 5})
    pass_time(controller, 30)
    restore_node(controller)
    pass_time(controller, 500)
    after = [state for _, state in state_history(controller, mine)]

    assert set(after[after.index("Terminating") + 1 :]) <= {"Terminated", "gone"}


def test_a_terminating_instance_holds_its_slot_until_it_is_confirmed() -> None:
    """The slot is free when the node says so, not before."""
    controller = build_controller(WARM)
    mine = started_instance(controller)
    instances.terminate_instance(controller, mine.id)
    pass_time(controller, 4)
    before = list(node_named(controller).occupants)
    pass_time(controller, 1)

    assert ([mine.id], {}) == (before, node_named(controller).occupants)


def test_terminating_on_a_lost_node_is_confirmed_when_it_is_back() -> None:
    """The confirmation that came due meanwhile is reported on return."""
    controller = build_controller(WARM)
    mine = started_instance(controller)
    lose_node(controller)
    instances.terminate_instance(controller, mine.id)
    pass_time(controller, 20)
    before = states(mine)
    restore_node(controller)
    pass_time(controller, 0)
    expected = (["Terminating"], ["Terminated"])

    assert expected == (before, states(mine))


def test_terminating_a_stopped_one_on_a_lost_node_is_confirmed_when_it_is_back() -> None:
    """A stopped VM has no slot, and is still reported gone by its node when that is back."""
    controller = build_controller(WARM)
    mine = stopped(controller)
    lose_node(controller)
    instances.terminate_instance(controller, mine.id)
    pass_time(controller, 20)
    restore_node(controller)
    pass_time(controller, 0)

    assert ["Terminated"] == states(mine)


def test_terminating_on_a_node_that_stays_lost_ends_without_confirmation() -> None:
    """With nobody to confirm it the instance is forgotten after 60 s."""
    controller = build_controller(WARM)
    mine = started_instance(controller)
    lose_node(controller)
    instances.terminate_instance(controller, mine.id)
    pass_time(controller, 300)
    expected = ["Terminating", "gone"]

    assert expected == [state for _, state in state_history(controller, mine)][-2:]


# Failing and the rest.


def test_a_failed_instance_stays_until_it_is_terminated() -> None:
    """Error has no end of its own, keeps its message, and gives the slot back."""
    controller = build_controller(WARM)
    mine = started_instance(controller)
    failures.fail_instance(controller, mine, "because")
    pass_time(controller, 100_000)
    expected = ("Error", "because", {})

    assert expected == (mine.state, mine.message, node_named(controller).occupants)


def test_a_failed_instance_keeps_the_vm_it_had() -> None:
    """An error after Started shows the VM; one before has none to show (A2.6)."""
    controller = build_controller(WARM)
    up, booting = started_instance(controller), start_instance(controller)
    pass_time(controller, 5)
    for each in (up, booting):
        failures.fail_instance(controller, each, "because")
    expected = (True, False)

    assert expected == (up.shown_vm is not None, booting.shown_vm is not None)


def test_progress_of_a_pull_broken_off_stays_where_it_was() -> None:
    """A pulling instance that is terminated keeps the progress it had made."""
    controller = build_controller(COLD)
    mine = start_instance(controller)
    pass_time(controller, 8.5)
    instances.terminate_instance(controller, mine.id)
    pass_time(controller, 30)

    assert 0.5 == mine.progress(controller)


def test_an_illegal_move_moves_nothing() -> None:
    """A move that the life cycle does not know is an internal error, and the instance stays as it was."""
    controller = build_controller(WARM)
    mine = start_instance(controller)
    before = repr(state_of(controller))
    with pytest.raises(IllegalTransition):
        transitions.transition(controller, mine, InstanceState.TERMINATED, "no cause")

    assert before == repr(state_of(controller))


def test_abandoning_a_node_spares_those_that_are_terminating() -> None:
    """What lives on the node goes to Error; what is on its way out goes on its way."""
    controller = build_controller(WARM)
    staying, leaving = start_instances(controller, count=2)
    pass_time(controller, 30)
    instances.terminate_instance(controller, leaving.id)
    alpha = node_named(controller)
    possible = failures.has_occupants_to_fail(controller, alpha)
    failures.fail_occupants(controller, alpha, "given up")
    expected = ["Error", "Terminating"]

    assert expected == states(staying, leaving)
    assert possible
    assert not failures.has_occupants_to_fail(controller, alpha)


def test_a_removed_instance_leaves_nothing_behind() -> None:
    """Removing drops the instance and its slot at once."""
    controller = build_controller(WARM)
    mine = started_instance(controller)
    save_instance(controller, mine)
    transitions.forget_instance(controller, mine, "saved")
    expected = ({}, {})

    assert expected == (controller.instances, node_named(controller).occupants)


def test_the_event_that_ends_a_phase_is_the_one_that_is_due() -> None:
    """What is told to end a phase is what stands in the queue for it."""
    controller = build_controller(COLD)
    mine = start_instance(controller)
    found = []
    for seconds in (0, 5, 15):
        pass_time(controller, seconds)
        found.append(
            instances.phase_end_event(mine) in [event for _, event in controller.queue.current_events(controller)]
        )
    expected = [True, True, True]

    assert expected == found


def test_starting_from_an_instance_at_rest_in_a_scenario_goes_on() -> None:
    """Instances written into a scenario as under way get where they are going."""
    controller = build_controller(
        COLD
        + """
instances:
  - {template: mac, state: Scheduling, id: a}
  - {template: mac, state: Pulling, node: alpha, id: b}
  - {template: mac, state: Terminating, id: c}
"""
    )
    pass_time(controller, 200)
    expected = {"a": "Started", "b": "Started"}

    assert expected == {id: each.state.value for id, each in controller.instances.items()}
