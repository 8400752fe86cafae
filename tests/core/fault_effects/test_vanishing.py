"""Instances that vanish, for good or for a duration."""

import pytest

from mockanka.core import failures, instances, time_control
from mockanka.core.controller import Controller
from mockanka.core.errors import NotFound
from mockanka.core.instance_record import Instance
from mockanka.core.lifecycle import InstanceState
from mockanka.units import SECOND
from tests.controllers import reload
from tests.core.builders import (
    COLD,
    WARM,
    build_controller,
    node_named,
    pass_time,
    save_instance,
    start_instance,
    start_instances,
    started_instance,
    state_history,
)
from tests.core.fault_effects.helpers import add_fault, history_after, remove_fault

VANISH_AT = {
    "schedule": (WARM, 1.0),
    "pull": (COLD, 1.0),
    "start": (WARM, 1.0),
    "started": (WARM, 21.0),
}


@pytest.mark.parametrize("event", VANISH_AT)
@pytest.mark.parametrize("after", [0, 7])
def test_an_instance_vanishes(event: str, after: int) -> None:
    """The controller does not know it from then on, and its slot is free."""
    text, begins = VANISH_AT[event]
    controller = build_controller(text)
    add_fault(controller, event, f"{{vanish: true, after: {after}s}}")
    instance = start_instance(controller)
    if event == "schedule":
        begins = 0.0
    pass_time(controller, max(0.0, begins + after - 0.001))
    assert after == 0 or instance.id in controller.instances
    pass_time(controller, 0.001)

    assert instance.id not in controller.instances
    assert (InstanceState.GONE, {}) == (instance.state, node_named(controller).occupants)
    assert instance.id in controller.forgotten
    with pytest.raises(NotFound):
        instances.find_instance(controller, instance.id)
    pass_time(controller, 1000)
    assert instance.id not in controller.instances


@pytest.mark.parametrize("event", VANISH_AT)
def test_an_instance_is_hidden_for_a_duration(event: str) -> None:
    """A hidden instance keeps its slot, goes through the same states as any, and is shown again."""
    text, _ = VANISH_AT[event]
    plain = build_controller(text)
    expected = history_after(plain, start_instance(plain))
    controller = build_controller(text)
    add_fault(controller, event, "{vanish: true, after: 1s, for: 30s}")
    instance = start_instance(controller)
    hidden = 0
    for _ in range(100):
        pass_time(controller, 1)
        hidden += instance.hidden
        if instance.hidden:
            with pytest.raises(NotFound):
                instances.find_instance(controller, instance.id)
            with pytest.raises(NotFound):
                instances.terminate_instance(controller, instance.id)

    assert (30, False) == (hidden, instance.hidden)
    assert expected == state_history(controller, instance)
    assert instance is instances.find_instance(controller, instance.id)


def let_vanish(controller: Controller, instance: Instance, duration: int = 0) -> None:
    """Let an instance vanish now, for nanoseconds or for good."""
    controller.schedule(controller.now, instances.InstanceVanished(instance.id, duration))
    pass_time(controller, 0)


def bring_to(controller: Controller, state: InstanceState) -> Instance:
    """Return an instance that is in the middle of a state."""
    if state is InstanceState.SCHEDULING:
        return start_instance(controller)
    if state is InstanceState.PULLING:
        instance = start_instance(controller, "other")
        pass_time(controller, 5)
        return instance
    instance = started_instance(controller)
    if state is InstanceState.STOPPING or state is InstanceState.STOPPED:
        instances.stop_instance(controller, instance.id)
        pass_time(controller, 10 if state is InstanceState.STOPPED else 1)
    elif state is InstanceState.PUSHING:
        save_instance(controller, instance)
        pass_time(controller, 7)
    elif state is InstanceState.ERROR:
        failures.fail_instance(controller, instance, "x")
    elif state in (InstanceState.TERMINATING, InstanceState.TERMINATED):
        instances.terminate_instance(controller, instance.id)
        pass_time(controller, 10 if state is InstanceState.TERMINATED else 1)
    return instance


STATES = [state for state in InstanceState if state is not InstanceState.GONE]


TWO_TEMPLATES = WARM.replace("nodes:", "  - {name: other, versions: [{tag: only, size: 9GB}]}\nnodes:")


@pytest.mark.parametrize("state", STATES)
def test_an_instance_may_vanish_in_every_state(state: InstanceState) -> None:
    """Nothing that was scheduled for it happens, and nothing of it is left."""
    controller = build_controller(TWO_TEMPLATES)
    instance = bring_to(controller, state)
    assert state is instance.state
    let_vanish(controller, instance)

    assert ({}, [], {}) == (controller.instances, controller.waiting, node_named(controller).occupants)
    pass_time(controller, 1000)
    assert ({}, True) == (controller.instances, controller.idle)
    assert all(save.status == "error" for save in controller.save_images.values())


@pytest.mark.parametrize("state", STATES)
def test_an_instance_may_be_hidden_in_every_state(state: InstanceState) -> None:
    """Hidden for a while, it goes through the same states at the same times."""
    plain = build_controller(TWO_TEMPLATES)
    expected = history_after(plain, bring_to(plain, state))
    controller = build_controller(TWO_TEMPLATES)
    instance = bring_to(controller, state)
    let_vanish(controller, instance, 8 * SECOND)
    pass_time(controller, 400)

    assert expected == state_history(controller, instance)
    assert [] == [instance for instance in controller.instances.values() if instance.hidden]


def test_the_next_push_begins_when_a_pushing_instance_vanishes() -> None:
    """A request that waited for the push of an instance that vanished begins."""
    controller = build_controller(WARM)
    first, second = start_instances(controller, count=2)
    pass_time(controller, 100)
    save_instance(controller, first, tag="a")
    waiting = save_instance(controller, second, tag="b")
    pass_time(controller, 7)
    let_vanish(controller, first)
    pass_time(controller, 100)

    assert "done" == waiting.status


def test_a_hidden_instance_still_stops() -> None:
    """One rule hides it, another lets its VM shut down: it is Stopped when it is shown again."""
    controller = build_controller(WARM)
    add_fault(controller, "start", "{vanish: true, after: 30s, for: 1m}")
    add_fault(controller, "started", "{stop: true, after: 20s}")
    instance = start_instance(controller)
    expected = [(0.0, "Scheduling"), (21.0, "Started"), (41.0, "Stopping"), (46.0, "Stopped")]

    assert expected == history_after(controller, instance)


def hidden_seconds(controller: Controller, instance: Instance, seconds: int) -> list[int]:
    """Let seconds pass one by one, and return those after which the instance is hidden."""
    hidden = []
    for second in range(1, seconds + 1):
        pass_time(controller, 1)
        if instance.hidden:
            hidden.append(second)
    return hidden


def test_an_instance_vanishes_again_and_again() -> None:
    """It is hidden for 2 s every 5 s, as often in the controller that a dump makes, until the rule is removed."""
    controller = build_controller(WARM)
    rule = add_fault(controller, "schedule", "{vanish: true, after: 1s, every: 5s, for: 2s}")
    instance = start_instance(controller)
    assert [1, 2, 6, 7, 11] == hidden_seconds(controller, instance, 11)
    restored = reload(controller)
    expected = [1, 5, 6, 10]
    assert expected == hidden_seconds(restored, restored.instances[instance.id], 10)
    assert expected == hidden_seconds(controller, instance, 10)
    remove_fault(controller, rule)

    assert [1] == hidden_seconds(controller, instance, 20)


def test_nobody_waits_for_what_is_repeated() -> None:
    """``wait`` says why an instance stays in its state, though another one vanishes for ever; ``settle`` ends."""
    controller = build_controller(WARM)
    add_fault(controller, "started", "{vanish: true, every: 5s, for: 2s}")
    add_fault(controller, "schedule", "{stall: true}", name="held")
    started_instance(controller)
    held = start_instance(controller, name="held")

    with pytest.raises(time_control.Never, match="held in Scheduling"):
        time_control.wait_for_state(controller, held.id, InstanceState.STARTED)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("state", [InstanceState.STARTED, InstanceState.PUSHING])
def test_waiting_ends_though_several_instances_vanish_again_and_again(state: InstanceState) -> None:
    """Something is always about to be seen again, which brings nobody nearer to a state."""
    controller = build_controller("templates: [{name: os, versions: [{tag: t}]}]\nnodes: []")
    add_fault(controller, "schedule", "{vanish: true, every: 5s, for: 4s}")
    for _ in range(3):
        (instance,) = start_instances(controller, "os")
        pass_time(controller, 2)

    with pytest.raises(time_control.Never, match="stays Scheduling"):
        time_control.wait_for_state(controller, instance.id, state)
