"""Restarting the VM of an instance: a forced stop, then a start."""

from dataclasses import replace

import pytest

from mockanka.core import instances, nodes, restarts, save_images
from mockanka.core.controller import Controller
from mockanka.core.durations import Fixed
from mockanka.core.errors import NeedsLicense, NoFreeUsbDevice, NotFound, NotRunning
from mockanka.core.instance_record import Instance
from mockanka.core.release import Release
from mockanka.core.restarts import STOPPED
from mockanka.core.save_images import SaveRequest
from mockanka.core.time_control import Never, settle, wait_for
from mockanka.units import SECOND
from tests.controllers import reload, state_of
from tests.core.builders import (
    WARM,
    build_controller,
    count_log_entries,
    lose_node,
    node_named,
    pass_time,
    restore_node,
    start_instance,
    started_instance,
    state_history,
    states,
)

LOUD, QUIET = "1.46.0", "1.47.0"
"""The last release that shows an instance as Error while its VM restarts, and the first that does not."""
DEVICES = WARM.replace("capacity: 2", "capacity: 2, usb: [{name: phone, location: '111'}]")


def running(release: str = QUIET, text: str = WARM, **wanted: object) -> tuple[Controller, Instance]:
    controller = build_controller(text, release=Release.parse(release))
    return controller, started_instance(controller, **wanted)


def vm_status(one: Instance) -> str:
    assert one.shown_vm is not None
    return one.shown_vm.status


def test_a_vm_stops_and_is_up_again() -> None:
    """5 s until it has stopped and 20 s until it is up; the instance stays Started, and its slot its own."""
    controller, mine = running()
    restarts.restart_vm(controller, mine.id)
    seen = []
    for seconds in (0, 4.9, 0.1, 19.9, 0.1):
        pass_time(controller, seconds)
        seen.append((mine.state.value, vm_status(mine), mine.message))

    before, between = ("Started", "running", ""), ("Started", "stopped", STOPPED)
    assert [before, before, between, between, ("Started", "running", STOPPED)] == seen
    assert [mine.id] == list(node_named(controller).occupants)
    assert [1, 1, 1] == [count_log_entries(controller, what) for what in ("restart", "VM stopped", "VM restarted")]


def test_the_message_that_stays_is_the_one_that_was_seen() -> None:
    """It quotes the state of the VM."""
    assert 'Unexpected VM state: "stopped"' == STOPPED


def test_before_1_47_the_instance_is_error_meanwhile() -> None:
    """Error while the VM is not up, then Started again."""
    controller, mine = running(LOUD)
    restarts.restart_vm(controller, mine.id)
    pass_time(controller, 100)

    assert [(205.0, "Error"), (225.0, "Started")] == state_history(controller, mine)[-2:]
    assert STOPPED == mine.message


def test_a_restarted_vm_is_the_same_and_has_another_start() -> None:
    """Name, address and ports stay; only the time of its last boot is another."""
    controller, mine = running()
    before = mine.vm
    restarts.restart_vm(controller, mine.id)
    pass_time(controller, 100)
    after = mine.vm

    assert before is not None
    assert after is not None
    assert (before.uuid, before.ip, before.ports, before.created) == (after.uuid, after.ip, after.ports, after.created)
    assert 224 * SECOND == after.started - before.started


def test_a_restart_during_a_restart_changes_nothing() -> None:
    """It is accepted, and the first goes on as it was."""
    controller, mine = running()
    restarts.restart_vm(controller, mine.id)
    pass_time(controller, 3)
    before = repr(state_of(controller))
    restarts.restart_vm(controller, mine.id)

    assert before == repr(state_of(controller))


def test_another_restart_restarts_again() -> None:
    """A VM may be restarted as often as one likes."""
    controller, mine = running()
    for _ in range(3):
        restarts.restart_vm(controller, mine.id)
        pass_time(controller, 100)

    assert (["Started"], 3) == (states(mine), count_log_entries(controller, "VM restarted"))


def test_only_a_started_instance_is_restarted() -> None:
    """An unknown one is not found, one that is not Started is refused with its state."""
    controller = build_controller(WARM)
    waiting = start_instance(controller)
    with pytest.raises(NotFound):
        restarts.restart_vm(controller, "nobody")
    with pytest.raises(NotRunning, match=r"state is Scheduling$"):
        restarts.restart_vm(controller, waiting.id)
    pass_time(controller, 100)
    instances.fail_instance(controller, waiting, "broken")
    with pytest.raises(NotRunning, match=r"state is Error$"):
        restarts.restart_vm(controller, waiting.id)


def test_a_vm_that_is_being_restarted_is_not_saved() -> None:
    """A save image request finds no running VM, and changes nothing."""
    controller, mine = running()
    restarts.restart_vm(controller, mine.id)
    before = repr(state_of(controller))
    with pytest.raises(NotRunning):
        save_images.create_save_image(controller, SaveRequest(mine.id, new_template_name="new"))

    assert before == repr(state_of(controller))


def test_a_restart_may_give_another_password_and_a_device() -> None:
    """The device belongs to the instance then, and the password to the VM."""
    controller, mine = running(text=DEVICES)
    restarts.restart_vm(controller, mine.id, "phone", "secret")

    assert mine.vm is not None
    assert ("secret", "phone") == (mine.vm.vnc_password, mine.request.usb_device)
    assert mine.usb == node_named(controller).usb[0]


def test_a_device_that_is_taken_refuses_the_restart() -> None:
    """Somebody else has it; nothing changes. Who has it itself may name it again."""
    controller, holder = running(text=DEVICES, usb_device="phone")
    other = started_instance(controller)
    before = repr(state_of(controller))
    with pytest.raises(NoFreeUsbDevice):
        restarts.restart_vm(controller, other.id, "phone")
    assert before == repr(state_of(controller))
    restarts.restart_vm(controller, holder.id, "phone")

    assert holder.restarting_until is not None


@pytest.mark.parametrize("release", [LOUD, QUIET])
@pytest.mark.parametrize("seconds", [3, 10])
def test_a_termination_ends_a_restart(release: str, seconds: float) -> None:
    """In either stage the instance is Terminated, and no restart is left."""
    controller, mine = running(release)
    restarts.restart_vm(controller, mine.id)
    pass_time(controller, seconds)
    instances.terminate_instance(controller, mine.id)
    pass_time(controller, 30)

    assert (["Terminated"], None) == (states(mine), mine.restarting_until)
    assert 0 == count_log_entries(controller, "VM restarted")


@pytest.mark.parametrize("release", [LOUD, QUIET])
def test_a_lost_node_tells_of_the_restart_when_it_is_back(release: str) -> None:
    """Each stage that came to its end meanwhile is over then, and the next begins."""
    controller, mine = running(release)
    restarts.restart_vm(controller, mine.id)
    lose_node(controller)
    pass_time(controller, 60)
    silent = vm_status(mine)
    restore_node(controller)
    pass_time(controller, 0)
    back = vm_status(mine)
    pass_time(controller, 20)

    assert ("running", "stopped", "running") == (silent, back, vm_status(mine))
    assert ["Started"] == states(mine)


@pytest.mark.parametrize("release", [LOUD, QUIET])
def test_a_node_that_is_given_up_takes_the_restart_with_it(release: str) -> None:
    """The instance is in Error for good and gives its slot back."""
    controller, mine = running(release)
    restarts.restart_vm(controller, mine.id)
    pass_time(controller, 10)
    lose_node(controller)
    pass_time(controller, 300)
    restore_node(controller)
    pass_time(controller, 300)

    assert (["Error"], None, {}) == (states(mine), mine.restarting_until, node_named(controller).occupants)


@pytest.mark.parametrize("release", [LOUD, QUIET])
def test_a_deleted_node_takes_the_restart_with_it(release: str) -> None:
    """Nobody is left to bring the VM up."""
    controller, mine = running(release)
    restarts.restart_vm(controller, mine.id)
    pass_time(controller, 10)
    nodes.delete_node(controller, node_named(controller).id)
    pass_time(controller, 300)

    assert (["Error"], None) == (states(mine), mine.restarting_until)


@pytest.mark.parametrize("release", [LOUD, QUIET])
@pytest.mark.parametrize("seconds", [0, 3, 5, 10, 25])
def test_a_restart_survives_a_dump(release: str, seconds: float) -> None:
    """In each of its stages it goes on in the loaded controller as in the first."""
    controller, mine = running(release)
    restarts.restart_vm(controller, mine.id)
    pass_time(controller, seconds)
    loaded = reload(controller)

    assert state_of(controller) == state_of(loaded)
    for each in (controller, loaded):
        pass_time(each, 100)
    assert state_of(controller) == state_of(loaded)
    assert ["Started"] == states(loaded.instances[mine.id])


def test_error_leads_to_started_only_while_a_restart_is_under_way() -> None:
    """Who waits for Started waits for the restart; of another Error it never comes."""
    controller, mine = running(LOUD)
    restarts.restart_vm(controller, mine.id)
    wait_for(controller, mine.id, instances.InstanceState.ERROR)
    wait_for(controller, mine.id, instances.InstanceState.STARTED)
    instances.fail_instance(controller, mine, "broken")
    with pytest.raises(Never, match=r"^an instance that is Error is never Started \(broken\)$"):
        wait_for(controller, mine.id, instances.InstanceState.STARTED)


@pytest.mark.parametrize("release", [LOUD, QUIET])
def test_settling_waits_for_a_restart(release: str) -> None:
    """A VM that is on its way up is on its way."""
    controller, mine = running(release)
    restarts.restart_vm(controller, mine.id)
    settle(controller)

    assert (["Started"], "running") == (states(mine), vm_status(mine))


def test_a_basic_licence_has_no_device_for_a_restart() -> None:
    """As it has none for a start."""
    controller, mine = running(text=DEVICES)
    controller.license.tier = "basic"
    with pytest.raises(NeedsLicense, match="usb_device"):
        restarts.restart_vm(controller, mine.id, "phone")

    assert mine.restarting_until is None


def test_a_restart_that_takes_no_time_shows_all_the_same() -> None:
    """By a start_date that is another second's."""
    controller, mine = running()
    assert mine.vm is not None
    before = mine.vm.started
    restarts.restart_vm(controller, mine.id)
    controller.timings = replace(controller.timings, boot=Fixed(0), stop=Fixed(0))
    pass_time(controller, 60)

    assert mine.vm.started // SECOND > before // SECOND
