"""Instances, from the request to start one until the controller forgets it."""

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
from mockanka.core.lifecycle import InstanceState, LostInstances
from mockanka.units import MICROSECOND, SECOND
from tests.controllers import reload, state_of
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
    """Return an instance in Scheduling."""
    return start_instance(controller)


def waiting(controller: Controller) -> Instance:
    """Return an instance that waits for a node."""
    nodes.configure_node(controller, node_named(controller).id, {"capacity": 0})
    instance = start_instance(controller)
    pass_time(controller, 10)
    return instance


def pulling(controller: Controller) -> Instance:
    """Return an instance in Pulling."""
    instance = start_instance(controller)
    pass_time(controller, 5)
    return instance


def booting_after_a_pull(controller: Controller) -> Instance:
    """Return an instance that boots after its pull."""
    instance = start_instance(controller)
    pass_time(controller, 20)
    return instance


def stopping(controller: Controller) -> Instance:
    """Return an instance in Stopping."""
    instance = started_instance(controller)
    instances.stop_instance(controller, instance.id)
    return instance


def stopped(controller: Controller) -> Instance:
    """Return an instance in Stopped."""
    instance = stopping(controller)
    pass_time(controller, 10)
    return instance


def pushing(controller: Controller) -> Instance:
    """Return an instance in Pushing."""
    instance = started_instance(controller)
    save_instance(controller, instance)
    return instance


def failed(controller: Controller) -> Instance:
    """Return an instance in Error, whose node was lost and is back."""
    controller.lost_instances = LostInstances.ERROR
    instance = started_instance(controller)
    lose_node(controller)
    pass_time(controller, 200)
    restore_node(controller)
    return instance


# Starts.


def test_a_new_instance_is_scheduling_without_node_and_vm() -> None:
    """It has no message and holds no slot either (A2.6)."""
    instance = start_instance(build_controller(COLD))
    expected = (InstanceState.SCHEDULING, None, None, False, "")

    assert expected == (
        instance.state,
        instance.node_id,
        instance.shown_vm,
        instance.holds_slot,
        instance.message,
    )


def test_a_start_creates_count_instances() -> None:
    """Each has an id and a number of its own, in the order of the answer."""
    controller = build_controller(FULL)
    batch = start_instances(controller, count=5)

    assert list(range(1, 6)) == [instance.number for instance in batch]
    assert 5 == len({instance.id for instance in batch}) == len({instance.inflight_id for instance in batch})


def test_a_start_without_tag_uses_the_latest_version_at_that_time() -> None:
    """A version that is pushed later does not change it."""
    controller = build_controller(FULL)
    instance = start_instance(controller)
    template_named(controller).add(templates.Version(2, "newer", ()))

    assert version_ref(controller, serial=1) == instance.ref


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"template_id": "nobody"}, Refusal),
        ({"tag": "nope"}, NoSuchTag),
        ({"version": 9}, Refusal),
        ({"node_id": "nobody"}, NoSuchNode),
        ({"group_id": "nobody"}, NoSuchGroup),
        ({"usb_device": "toaster"}, NoSuchUsbDevice),
    ],
)
def test_a_refused_start_creates_nothing(fields: dict[str, object], kind: type[Refusal]) -> None:
    """It creates no instance and uses up no id."""
    controller = build_controller(WARM)
    before = repr(state_of(controller))
    request = StartRequest(**{"template_id": template_named(controller).id, **fields})  # type: ignore[arg-type]
    with pytest.raises(kind):
        instances.start_instances(controller, request, 3)

    assert before == repr(state_of(controller))


def test_a_start_is_not_refused_for_lack_of_capacity() -> None:
    """An instance that finds no node waits (A1)."""
    controller = build_controller(FULL)
    expected = ["Scheduling"] * 50

    assert expected == states(*start_instances(controller, count=50))


def test_an_instance_is_found_by_its_id() -> None:
    """find_instance returns it, or raises NotFound."""
    controller = build_controller(FULL)
    instance = start_instance(controller)

    assert instance is instances.find_instance(controller, instance.id)
    with pytest.raises(NotFound, match=r"^Not found$"):
        instances.find_instance(controller, "nobody")


# From Scheduling to Started.


def test_a_cached_template_leads_from_scheduling_to_started() -> None:
    """Without a pull the instance is never Pulling, and its progress stays 0 (A2.5)."""
    controller = build_controller(WARM)
    instance = start_instance(controller)
    pass_time(controller, 100)
    expected = [(0.0, "Scheduling"), (21.0, "Started")]

    assert expected == state_history(controller, instance)
    assert 0.0 == instance.progress(controller)


def test_progress_follows_the_pull_and_ends_at_one() -> None:
    """Progress is 0 before the pull, grows evenly with time, and stays 1 after it (A2.5)."""
    controller = build_controller(COLD)
    instance = start_instance(controller)
    seen = []
    for seconds in (0, 1, 7.5, 7.5, 10, 1000):
        pass_time(controller, seconds)
        seen.append(instance.progress(controller))
    instances.terminate_instance(controller, instance.id)
    pass_time(controller, 10)
    expected = [0, 0, 0.5, 1, 1, 1]

    assert expected == seen
    assert 1 == instance.progress(controller)


def test_a_vm_is_shown_once_the_instance_is_started() -> None:
    """While the VM boots no node has reported it (A2.6)."""
    controller = build_controller(WARM)
    instance = start_instance(controller)
    shown = []
    for seconds in (0, 5, 30):
        pass_time(controller, seconds)
        shown.append(instance.shown_vm is not None)
    expected = [False, False, True]

    assert expected == shown


def test_a_vm_runs_while_the_instance_is_started() -> None:
    """A booting VM does not count as running, nor does a stopped one."""
    controller = build_controller(WARM)
    instance = start_instance(controller)
    running = []
    for seconds in (0, 10, 20):
        pass_time(controller, seconds)
        running.append(instance.running_vm is not None)
    instances.stop_instance(controller, instance.id)
    pass_time(controller, 10)
    expected = [False, False, True]

    assert expected == running
    assert instance.running_vm is None


def test_an_instance_is_pulling_until_its_pull_ends() -> None:
    """It is pulling from the placement to the end of the pull, not during the boot."""
    controller = build_controller(COLD)
    instance = start_instance(controller)
    seen = []
    for seconds in (0, 5, 15, 30):
        pass_time(controller, seconds)
        seen.append(instance.pulling)
    expected = [False, True, False, False]

    assert expected == seen


# The time of the last update.


def test_ts_of_a_new_instance_is_a_microsecond_before_its_creation() -> None:
    """As captured, ts is a little earlier than cr_time at creation (A0.2)."""
    controller = build_controller(FULL)
    instance = start_instance(controller)
    pass_time(controller, 100)

    assert instance.created - MICROSECOND == instance.updated(controller)


def test_ts_follows_the_heartbeats_of_the_node() -> None:
    """On a node, ts changes every 5 s, to the time of the heartbeat."""
    controller = build_controller(WARM)
    instance = started_instance(controller)
    seen = set()
    for _ in range(60):
        pass_time(controller, 1)
        seen.add(instance.updated(controller))
        assert controller.now - 5 * SECOND < instance.updated(controller) <= controller.now

    assert {5 * SECOND} == {later - earlier for earlier, later in zip(sorted(seen), sorted(seen)[1:], strict=False)}


def test_ts_is_never_before_the_last_change() -> None:
    """A change between two heartbeats updates ts at once."""
    controller = build_controller(WARM)
    instance = started_instance(controller)
    for _ in range(7):
        pass_time(controller, 0.9)
        if instance.state is InstanceState.STARTED:
            instances.stop_instance(controller, instance.id)
        assert instance.updated(controller) >= instance.since

    assert "Stopped" == instance.state


def test_ts_does_not_change_while_the_node_is_lost() -> None:
    """It changes again when the node is back."""
    controller = build_controller(WARM)
    instance = started_instance(controller)
    lose_node(controller)
    before = instance.updated(controller)
    pass_time(controller, 60)
    meanwhile = instance.updated(controller)
    restore_node(controller)
    pass_time(controller, 5)

    assert before == meanwhile
    assert instance.updated(controller) > before + 55 * SECOND


def test_ts_of_an_instance_in_error_is_the_time_of_the_error() -> None:
    """No node reports on it any more."""
    controller = build_controller(WARM)
    instance = failed(controller)
    pass_time(controller, 1000)

    assert instance.since == instance.updated(controller)


# Updates.


def test_an_update_changes_what_it_names_and_merges_metadata() -> None:
    """Fields that are not named stay; metadata is merged key by key (G)."""
    controller = build_controller(FULL)
    instance = start_instance(controller, name="old", external_id="x", metadata={"a": 1, "b": 2})
    instances.update_instance(controller, instance.id, {"name": "new", "metadata": {"b": True, "c": "d"}})
    expected = ("new", "x")

    assert expected == (instance.request.name, instance.request.external_id)
    assert {"a": 1, "b": True, "c": "d"} == instance.request.metadata


def test_an_update_changes_the_revision_but_not_the_state() -> None:
    """It is shown at once."""
    controller = build_controller(WARM)
    instance = started_instance(controller)
    revision = instance.revision
    instances.update_instance(controller, instance.id, {"name": "new"})
    expected = ("Started", True)

    assert expected == (instance.state, instance.revision > revision)


def test_an_update_of_an_unknown_instance_is_not_found() -> None:
    """The update is refused."""
    with pytest.raises(NotFound):
        instances.update_instance(build_controller(WARM), "nobody", {"name": "new"})


# Stops.


def test_a_stop_leads_to_stopped_and_frees_the_slot() -> None:
    """The VM shuts down: Stopping for 5 s, then Stopped, and the slot is free."""
    controller = build_controller(WARM)
    instance = started_instance(controller)
    instances.stop_instance(controller, instance.id)
    occupied = dict(node_named(controller).occupants)
    pass_time(controller, 100)
    expected = ["Stopping", "Stopped"]

    assert expected == [state for _, state in state_history(controller, instance)][-2:]
    assert ([instance.id], {}) == (list(occupied), node_named(controller).occupants)
    assert instance.shown_vm is not None
    assert "stopped" == instance.shown_vm.status


@pytest.mark.parametrize("bring", [scheduling, pulling, stopping, stopped, pushing, failed])
def test_only_a_started_instance_can_be_stopped(bring: Callable[[Controller], Instance]) -> None:
    """A stop in any other state is an illegal transition, and changes nothing."""
    controller = build_controller(COLD)
    instance = bring(controller)
    before = instance.state
    with pytest.raises(IllegalTransition):
        instances.stop_instance(controller, instance.id)

    assert before is instance.state


# Terminations.


FORGOTTEN = [(0.0, "Terminating"), (60.0, "gone")]
CONFIRMED = [(0.0, "Terminating"), (5.0, "Terminated"), (65.0, "gone")]


@pytest.mark.parametrize(
    ("bring", "expected"),
    [
        (scheduling, FORGOTTEN),
        (waiting, FORGOTTEN),
        (pulling, FORGOTTEN),
        (booting_after_a_pull, FORGOTTEN),
        (started_instance, CONFIRMED),
        (stopping, CONFIRMED),
        (stopped, CONFIRMED),
        (pushing, CONFIRMED),
        (failed, FORGOTTEN),
    ],
)
def test_every_state_can_be_terminated(
    bring: Callable[[Controller], Instance], expected: list[tuple[float, str]]
) -> None:
    """An instance with a VM is Terminated after 5 s and gone after 60 s more; any other is gone after 60 s (C1)."""
    controller = build_controller(COLD)
    instance = bring(controller)
    before = len(state_history(controller, instance))
    asked = (controller.now - instance.created) / SECOND
    instances.terminate_instance(controller, instance.id)
    pass_time(controller, 1000)

    assert expected == [(at - asked, state) for at, state in state_history(controller, instance)[before:]]
    assert instance.id not in controller.instances
    assert {} == node_named(controller).occupants


@pytest.mark.parametrize("bring", [pulling, booting_after_a_pull])
def test_the_slot_of_a_start_that_is_given_up_is_free_when_the_node_confirms(
    bring: Callable[[Controller], Instance],
) -> None:
    """That is 5 s after the DELETE; the instance is still Terminating then, and survives dump and load."""
    controller = build_controller(COLD)
    instance = bring(controller)
    instances.terminate_instance(controller, instance.id)
    pass_time(controller, 4.9)
    before = list(node_named(controller).occupants)
    pass_time(controller, 0.1)

    assert ([instance.id], {}) == (before, node_named(controller).occupants)
    assert ("Terminating", None) == (instance.state, instance.until)
    assert state_of(controller) == state_of(reload(controller))


def test_a_second_request_to_terminate_changes_nothing() -> None:
    """It neither fails nor starts the wait again, in Terminating and in Terminated."""
    controller = build_controller(WARM)
    instance = started_instance(controller)
    asked = (controller.now - instance.created) / SECOND
    for _ in range(10):
        instances.terminate_instance(controller, instance.id)
        pass_time(controller, 4)
    pass_time(controller, 100)
    expected = [(5.0, "Terminated"), (65.0, "gone")]

    assert expected == [(at - asked, state) for at, state in state_history(controller, instance)[-2:]]


def test_a_forgotten_instance_is_not_found() -> None:
    """Its id names nothing any more."""
    controller = build_controller(WARM)
    instance = start_instance(controller)
    instances.terminate_instance(controller, instance.id)
    pass_time(controller, 61)

    with pytest.raises(NotFound):
        instances.terminate_instance(controller, instance.id)


@pytest.mark.parametrize(
    "bring", [scheduling, waiting, pulling, booting_after_a_pull, started_instance, stopping, pushing]
)
def test_a_terminating_instance_does_not_come_back(bring: Callable[[Controller], Instance]) -> None:
    """Free capacity, and a node that is lost and back, change nothing: only Terminated and gone follow."""
    controller = build_controller(COLD)
    instance = bring(controller)
    instances.terminate_instance(controller, instance.id)
    lose_node(controller)
    nodes.configure_node(controller, node_named(controller).id, {"capacity": 5})
    pass_time(controller, 30)
    restore_node(controller)
    pass_time(controller, 500)
    after = [state for _, state in state_history(controller, instance)]

    assert set(after[after.index("Terminating") + 1 :]) <= {"Terminated", "gone"}


def test_a_terminating_instance_holds_its_slot_until_it_is_confirmed() -> None:
    """The slot is free when the node confirms, not before."""
    controller = build_controller(WARM)
    instance = started_instance(controller)
    instances.terminate_instance(controller, instance.id)
    pass_time(controller, 4)
    before = list(node_named(controller).occupants)
    pass_time(controller, 1)

    assert ([instance.id], {}) == (before, node_named(controller).occupants)


def test_a_lost_node_confirms_when_it_is_back() -> None:
    """The confirmation that was due meanwhile is reported then."""
    controller = build_controller(WARM)
    instance = started_instance(controller)
    lose_node(controller)
    instances.terminate_instance(controller, instance.id)
    pass_time(controller, 20)
    before = states(instance)
    restore_node(controller)
    pass_time(controller, 0)
    expected = (["Terminating"], ["Terminated"])

    assert expected == (before, states(instance))


def test_a_lost_node_confirms_a_stopped_instance_when_it_is_back() -> None:
    """A Stopped instance holds no slot, and its node confirms it all the same."""
    controller = build_controller(WARM)
    instance = stopped(controller)
    lose_node(controller)
    instances.terminate_instance(controller, instance.id)
    pass_time(controller, 20)
    restore_node(controller)
    pass_time(controller, 0)

    assert ["Terminated"] == states(instance)


def test_without_confirmation_by_a_lost_node_the_instance_is_forgotten() -> None:
    """It is gone from Terminating after 60 s."""
    controller = build_controller(WARM)
    instance = started_instance(controller)
    lose_node(controller)
    instances.terminate_instance(controller, instance.id)
    pass_time(controller, 300)
    expected = ["Terminating", "gone"]

    assert expected == [state for _, state in state_history(controller, instance)][-2:]


# Failures and transitions.


def test_a_failed_instance_stays_until_it_is_terminated() -> None:
    """Error does not end by itself; the instance keeps its message, and its slot is free."""
    controller = build_controller(WARM)
    instance = started_instance(controller)
    failures.fail_instance(controller, instance, "because")
    pass_time(controller, 100_000)
    expected = ("Error", "because", {})

    assert expected == (instance.state, instance.message, node_named(controller).occupants)


def test_a_failed_instance_keeps_a_vm_that_was_shown() -> None:
    """An error after Started shows the VM; one before has none to show (A2.6)."""
    controller = build_controller(WARM)
    up, booting = started_instance(controller), start_instance(controller)
    pass_time(controller, 5)
    for instance in (up, booting):
        failures.fail_instance(controller, instance, "because")
    expected = (True, False)

    assert expected == (up.shown_vm is not None, booting.shown_vm is not None)


def test_an_instance_terminated_during_its_pull_keeps_its_progress() -> None:
    """The progress is still shown afterwards."""
    controller = build_controller(COLD)
    instance = start_instance(controller)
    pass_time(controller, 8.5)
    instances.terminate_instance(controller, instance.id)
    pass_time(controller, 30)

    assert 0.5 == instance.progress(controller)


def test_an_illegal_transition_changes_nothing() -> None:
    """It is an internal error, and the instance stays as it was."""
    controller = build_controller(WARM)
    instance = start_instance(controller)
    before = repr(state_of(controller))
    with pytest.raises(IllegalTransition):
        transitions.transition(controller, instance, InstanceState.TERMINATED, "no cause")

    assert before == repr(state_of(controller))


def test_terminating_instances_do_not_fail_with_their_node() -> None:
    """The others on the node go to Error."""
    controller = build_controller(WARM)
    staying, leaving = start_instances(controller, count=2)
    pass_time(controller, 30)
    instances.terminate_instance(controller, leaving.id)
    alpha = node_named(controller)
    failures.fail_occupants(controller, alpha, "given up")
    expected = ["Error", "Terminating"]

    assert expected == states(staying, leaving)


def test_a_forgotten_instance_leaves_nothing_behind() -> None:
    """The instance and its slot are gone at once."""
    controller = build_controller(WARM)
    instance = started_instance(controller)
    save_instance(controller, instance)
    transitions.forget_instance(controller, instance, "saved")
    expected = ({}, {})

    assert expected == (controller.instances, node_named(controller).occupants)


def test_the_event_that_ends_a_phase_is_in_the_queue() -> None:
    """phase_end_event returns an event that is scheduled."""
    controller = build_controller(COLD)
    instance = start_instance(controller)
    found = []
    for seconds in (0, 5, 15):
        pass_time(controller, seconds)
        found.append(
            instances.phase_end_event(instance) in [event for _, event in controller.queue.current_events(controller)]
        )
    expected = [True, True, True]

    assert expected == found


def test_instances_of_a_scenario_continue_from_their_state() -> None:
    """Instances in Scheduling or Pulling are Started in the end, one in Terminating is gone."""
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

    assert expected == {id: instance.state.value for id, instance in controller.instances.items()}
