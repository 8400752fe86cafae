"""Instances that another client ends."""

import pytest

from mockanka.core import time_control
from tests.controllers import reload
from tests.core.builders import PAIR, WARM, build_controller, pass_time, start_instance, started_instance, states
from tests.core.fault_effects.helpers import add_fault, history_after, start_promptly

TERMINATED = [(51.0, "Terminating"), (56.0, "Terminated"), (116.0, "gone")]


def test_a_matched_instance_is_ended_after_a_while() -> None:
    """It goes through the states of a termination, 30 s after it is Started."""
    controller = build_controller(WARM)
    add_fault(controller, "started", "{end: true, after: 30s}")
    instance = start_promptly(controller)

    assert TERMINATED[:2] == history_after(controller, instance)[2:4]


@pytest.mark.parametrize("key", ["id", "name", "external_id"])
def test_an_instance_is_ended_by_id_name_or_external_id(key: str) -> None:
    """The rule begins at once, and ends that instance and no other."""
    controller = build_controller(WARM)
    instance, other = started_instance(controller, name="n", external_id="e"), started_instance(controller)
    target = {"id": instance.id, "name": "n", "external_id": "e"}[key]
    add_fault(controller, "begin", f"{{end: {target}, after: 2m}}")
    pass_time(controller, 119)
    assert ["Started", "Started"] == states(instance, other)
    pass_time(controller, 1)

    assert ["Terminating", "Started"] == states(instance, other)


def test_of_several_the_oldest_is_ended_that_lives() -> None:
    """Two rules end two instances of one name."""
    controller = build_controller(WARM)
    oldest, second = started_instance(controller, name="twin"), started_instance(controller, name="twin")
    add_fault(controller, "begin", "{end: twin}")
    pass_time(controller, 1)
    assert ["Terminating", "Started"] == states(oldest, second)
    add_fault(controller, "begin", "{end: twin}")
    pass_time(controller, 1)

    assert "Terminating" == second.state


def test_nothing_happens_if_there_is_no_such_instance() -> None:
    """An instance that is started later is not ended."""
    controller = build_controller(WARM)
    add_fault(controller, "begin", "{end: nobody, after: 5s}")
    pass_time(controller, 10)
    instance = started_instance(controller, name="nobody")

    assert "Started" == instance.state


def test_a_slot_that_is_going_to_be_free_is_waited_for() -> None:
    """``wait`` and ``settle`` advance to the end of the instance that has the slot."""
    controller = build_controller(PAIR)
    started_instance(controller, name="first")
    started_instance(controller)
    waiting = start_instance(controller)
    add_fault(controller, "begin", "{end: first, after: 10m}")
    pass_time(controller, 5)
    restored = reload(controller)
    time_control.settle(controller)
    time_control.settle(restored)

    assert "Started" == waiting.state == restored.instances[waiting.id].state
