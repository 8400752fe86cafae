"""The controller is restarted by a fault, perhaps with another release."""

import pytest

from mockanka.core import time_control
from mockanka.core.controller import Controller
from mockanka.core.release import Release
from tests.controllers import reload, state_of
from tests.core.builders import COLD, WARM, build_controller, node_named, pass_time, start_instance, started_instance
from tests.core.fault_effects.helpers import add_fault, history_after, shown_state

RESTART = "{restart: {for: 10s}, after: 5s}"


def history_with_restart(text: str, do: str) -> list[tuple[float, str]]:
    controller = build_controller(text)
    add_fault(controller, "begin", do)
    return history_after(controller, start_instance(controller))


def test_what_nodes_do_meanwhile_is_reported_when_the_controller_is_back() -> None:
    """A pull that ends in a long downtime shows its end afterwards; one that ends later takes no longer."""
    assert (20.0, "Scheduling") in history_with_restart(COLD, "{restart: {for: 15s}, after: 5s}")
    plain = build_controller(COLD)
    assert history_after(plain, start_instance(plain)) == history_with_restart(COLD, "{restart: {for: 2s}, after: 5s}")


def test_an_instance_lives_on() -> None:
    """It is Started before, while and after the controller is down, and its node is not missed."""
    controller = build_controller(WARM)
    instance = started_instance(controller)
    add_fault(controller, "begin", "{restart: {for: 10m}}")
    pass_time(controller, 300)
    assert (controller.down_until, "Started") == (controller.now + 300 * 10**9, instance.state)
    pass_time(controller, 300)

    assert (None, "Started", "Active") == (controller.down_until, instance.state, shown_state(controller))
    assert None is node_named(controller).lost_at


def test_nothing_is_placed_while_the_controller_is_down() -> None:
    """An instance that was requested before finds its node afterwards, and waiting for it is no standstill."""
    controller = build_controller(WARM)
    instance = start_instance(controller)
    add_fault(controller, "begin", "{restart: {for: 1m}}")
    pass_time(controller, 59)
    assert (None, "Scheduling") == (instance.node_id, instance.state)
    time_control.settle(controller)

    assert "Started" == instance.state


def test_the_release_is_another_one_afterwards() -> None:
    """Agents fetch their package after an upgrade; what an older release does not know is named in the notes."""
    controller = build_controller("controller: {release: 1.43.0}\n" + WARM)
    instance = started_instance(controller)
    add_fault(controller, "begin", "{restart: {for: 10s, release: 1.51.2}}")
    pass_time(controller, 9)
    assert Release(1, 43, 0) == controller.release
    pass_time(controller, 1)

    assert (Release(1, 51, 2), "Started", "Updating") == (controller.release, instance.state, shown_state(controller))
    pass_time(controller, 3600)
    assert "Active" == shown_state(controller)
    add_fault(controller, "begin", "{node: drain}")
    add_fault(controller, "begin", "{restart: {for: 10s, release: 1.8.0}}")
    pass_time(controller, 10)

    assert ["node alpha: Drain Mode came with 1.32.0; it is Active"] == list(controller.notes)


@pytest.mark.parametrize("dumped", [False, True])
@pytest.mark.parametrize(
    ("first", "second", "ends"),
    [
        ("{for: 60s}", "{for: 50s, release: 1.51.2}", 60),
        ("{for: 60s}", "{for: 5s, release: 1.51.2}", 60),
        ("{for: 60s, release: 1.44.0}", "{for: 50s, release: 1.51.2}", 60),
        ("{for: 60s, release: 1.51.2}", "{for: 50s}", 60),
        ("{for: 60s, release: 1.51.2}", "{for: 80s}", 90),
        ("{for: 60s, release: 1.44.0}", "{for: 80s, release: 1.51.2}", 90),
    ],
)
def test_of_restarts_that_overlap_the_release_that_was_named_last_runs(
    first: str, second: str, ends: int, dumped: bool
) -> None:
    """The controller is up when both times have passed, also if they end together, and a dump has both."""
    controller = build_controller("controller: {release: 1.43.0}\n" + WARM)
    add_fault(controller, "begin", f"{{restart: {first}}}")
    add_fault(controller, "begin", f"{{restart: {second}, after: 10s}}")
    pass_time(controller, 20)
    controller = reload(controller) if dumped else controller
    pass_time(controller, ends - 21)
    assert (Release(1, 43, 0), True) == (controller.release, controller.down_until is not None)
    pass_time(controller, 1)

    assert (Release(1, 51, 2), None) == (controller.release, controller.down_until)


def lose_while_down(controller: Controller) -> None:
    add_fault(controller, "begin", "{node: offline, after: 7s}")


def return_while_down(controller: Controller) -> None:
    add_fault(controller, "begin", "{node: offline, for: 7s}")


@pytest.mark.parametrize(("fault", "state"), [(lose_while_down, "Offline"), (return_while_down, "Active")])
def test_a_node_may_be_lost_or_return_meanwhile(fault: object, state: str) -> None:
    """A node that is lost while the controller is down is missed two minutes after; one that returns is back."""
    controller = build_controller(WARM)
    assert callable(fault)
    fault(controller)
    add_fault(controller, "begin", RESTART)
    pass_time(controller, 15)
    assert "Active" == shown_state(controller)
    pass_time(controller, 130)

    assert state == shown_state(controller)


@pytest.mark.parametrize("seconds", [3, 7, 14, 16])
def test_a_dump_at_any_moment_goes_on_alike(seconds: int) -> None:
    """The controller that a dump makes is down as long, and has the same release and instances afterwards."""
    controller = build_controller(COLD)
    add_fault(controller, "begin", "{restart: {for: 10s, release: 1.51.2}, after: 5s}")
    start_instance(controller)
    pass_time(controller, seconds)
    copy = reload(controller)
    assert state_of(controller) == state_of(copy)
    pass_time(controller, 200)
    pass_time(copy, 200)

    assert state_of(controller) == {**state_of(copy), "notes": controller.notes}
    assert None is copy.down_until
