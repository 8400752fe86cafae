"""Restarts of the VM of an instance: a forced stop, then a start."""

from dataclasses import replace

import pytest

from mockanka.core import instances, nodes, restarts, save_images
from mockanka.core.controller import Controller
from mockanka.core.durations import Fixed
from mockanka.core.errors import NeedsLicense, NoFreeUsbDevice, NotFound, NotRunning
from mockanka.core.instance_record import Instance
from mockanka.core.lifecycle import LostInstances
from mockanka.core.release import Release
from mockanka.core.restarts import RESTART_MESSAGE
from mockanka.core.save_images import SaveRequest
from mockanka.core.time_control import Never, settle, wait_for_state
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

BEFORE_1_47, FROM_1_47 = "1.46.0", "1.47.0"
"""The last release that shows an instance as Error while its VM restarts, and the first that does not."""
DEVICES = WARM.replace("capacity: 2", "capacity: 2, usb: [{name: phone, location: '111'}]")


def start_running_instance(release: str = FROM_1_47, text: str = WARM, **wanted: object) -> tuple[Controller, Instance]:
    """Return a controller, and a Started instance of it."""
    controller = build_controller(text, release=Release.parse(release))
    return controller, started_instance(controller, **wanted)


def vm_status(instance: Instance) -> str:
    assert instance.shown_vm is not None
    return instance.shown_vm.status


def test_a_restarted_vm_stops_and_boots() -> None:
    """It stops within 5 s and boots within 20 s; the instance stays Started and keeps its slot."""
    controller, instance = start_running_instance()
    restarts.restart_vm(controller, instance.id)
    seen = []
    for seconds in (0, 4.9, 0.1, 19.9, 0.1):
        pass_time(controller, seconds)
        seen.append((instance.state.value, vm_status(instance), instance.message))

    before, between = ("Started", "running", ""), ("Started", "stopped", RESTART_MESSAGE)
    assert [before, before, between, between, ("Started", "running", RESTART_MESSAGE)] == seen
    assert [instance.id] == list(node_named(controller).occupants)
    assert [1, 1, 1] == [count_log_entries(controller, what) for what in ("restart", "VM stopped", "VM restarted")]


def test_the_message_of_a_restart_is_that_of_the_real_controller() -> None:
    """It has the state of the VM in quotes."""
    assert 'Unexpected VM state: "stopped"' == RESTART_MESSAGE


def test_before_1_47_the_instance_is_error_during_a_restart() -> None:
    """It is Error until its VM is up, then Started again."""
    controller, instance = start_running_instance(BEFORE_1_47)
    restarts.restart_vm(controller, instance.id)
    pass_time(controller, 100)

    assert [(205.0, "Error"), (225.0, "Started")] == state_history(controller, instance)[-2:]
    assert RESTART_MESSAGE == instance.message


def test_a_restarted_vm_is_the_same() -> None:
    """UUID, address, ports and creation stay; only the moment of its last boot changes."""
    controller, instance = start_running_instance()
    before = instance.vm
    restarts.restart_vm(controller, instance.id)
    pass_time(controller, 100)
    after = instance.vm

    assert before is not None
    assert after is not None
    assert (before.uuid, before.ip, before.ports, before.created) == (after.uuid, after.ip, after.ports, after.created)
    assert 224 * SECOND == after.started - before.started


def test_a_restart_during_a_restart_changes_nothing() -> None:
    """It is accepted, and the first goes on."""
    controller, instance = start_running_instance()
    restarts.restart_vm(controller, instance.id)
    pass_time(controller, 3)
    before = repr(state_of(controller))
    restarts.restart_vm(controller, instance.id)

    assert before == repr(state_of(controller))


def test_a_vm_can_be_restarted_repeatedly() -> None:
    """Each restart is complete."""
    controller, instance = start_running_instance()
    for _ in range(3):
        restarts.restart_vm(controller, instance.id)
        pass_time(controller, 100)

    assert (["Started"], 3) == (states(instance), count_log_entries(controller, "VM restarted"))


def test_only_a_started_instance_is_restarted() -> None:
    """An unknown instance is NotFound, and the refusal of another has its state."""
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
    """The save is refused, and nothing changes."""
    controller, instance = start_running_instance()
    restarts.restart_vm(controller, instance.id)
    before = repr(state_of(controller))
    with pytest.raises(NotRunning):
        save_images.create_save_image(controller, SaveRequest(instance.id, new_template_name="new"))

    assert before == repr(state_of(controller))


def test_a_restart_may_change_the_password_and_the_usb_device() -> None:
    """The instance has the device, and the VM has the password."""
    controller, instance = start_running_instance(text=DEVICES)
    restarts.restart_vm(controller, instance.id, "phone", "secret")

    assert instance.vm is not None
    assert ("secret", "phone") == (instance.vm.vnc_password, instance.request.usb_device)
    assert instance.usb == node_named(controller).usb[0]


def test_a_restart_with_a_claimed_device_is_refused() -> None:
    """Nothing changes. The instance that has the device itself may name it."""
    controller, holder = start_running_instance(text=DEVICES, usb_device="phone")
    other = started_instance(controller)
    before = repr(state_of(controller))
    with pytest.raises(NoFreeUsbDevice):
        restarts.restart_vm(controller, other.id, "phone")
    assert before == repr(state_of(controller))
    restarts.restart_vm(controller, holder.id, "phone")

    assert holder.restarting_until is not None


@pytest.mark.parametrize("release", [BEFORE_1_47, FROM_1_47])
@pytest.mark.parametrize("seconds", [3, 10])
def test_a_termination_ends_a_restart(release: str, seconds: float) -> None:
    """The instance is Terminated in either stage, and does not restart."""
    controller, instance = start_running_instance(release)
    restarts.restart_vm(controller, instance.id)
    pass_time(controller, seconds)
    instances.terminate_instance(controller, instance.id)
    pass_time(controller, 30)

    assert (["Terminated"], None) == (states(instance), instance.restarting_until)
    assert 0 == count_log_entries(controller, "VM restarted")


@pytest.mark.parametrize("release", [BEFORE_1_47, FROM_1_47])
def test_a_lost_node_reports_the_restart_when_it_is_back(release: str) -> None:
    """A stage that was due meanwhile ends then, and the next begins."""
    controller, instance = start_running_instance(release)
    restarts.restart_vm(controller, instance.id)
    lose_node(controller)
    pass_time(controller, 60)
    silent = vm_status(instance)
    restore_node(controller)
    pass_time(controller, 0)
    back = vm_status(instance)
    pass_time(controller, 20)

    assert ("running", "stopped", "running") == (silent, back, vm_status(instance))
    assert ["Started"] == states(instance)


@pytest.mark.parametrize("release", [BEFORE_1_47, FROM_1_47])
def test_a_restart_ends_when_its_node_times_out(release: str) -> None:
    """The instance stays Error and has no slot, if lost instances are to be in Error."""
    controller, instance = start_running_instance(release)
    controller.lost_instances = LostInstances.ERROR
    restarts.restart_vm(controller, instance.id)
    pass_time(controller, 10)
    lose_node(controller)
    pass_time(controller, 300)
    restore_node(controller)
    pass_time(controller, 300)

    assert (["Error"], None, {}) == (states(instance), instance.restarting_until, node_named(controller).occupants)


@pytest.mark.parametrize("release", [BEFORE_1_47, FROM_1_47])
def test_a_restart_is_finished_when_its_node_is_back(release: str) -> None:
    """The instance keeps its slot while its node is Offline, and is Started again later."""
    controller, instance = start_running_instance(release)
    restarts.restart_vm(controller, instance.id)
    pass_time(controller, 10)
    lose_node(controller)
    pass_time(controller, 300)
    assert [instance.id] == list(node_named(controller).occupants)
    restore_node(controller)
    pass_time(controller, 300)

    assert (["Started"], None) == (states(instance), instance.restarting_until)


@pytest.mark.parametrize("release", [BEFORE_1_47, FROM_1_47])
def test_a_restart_ends_when_its_node_is_deleted(release: str) -> None:
    """The instance stays Error."""
    controller, instance = start_running_instance(release)
    restarts.restart_vm(controller, instance.id)
    pass_time(controller, 10)
    nodes.delete_node(controller, node_named(controller).id)
    pass_time(controller, 300)

    assert (["Error"], None) == (states(instance), instance.restarting_until)


@pytest.mark.parametrize("release", [BEFORE_1_47, FROM_1_47])
@pytest.mark.parametrize("seconds", [0, 3, 5, 10, 25])
def test_a_restart_survives_a_dump(release: str, seconds: float) -> None:
    """In each of its stages it goes on in the loaded controller."""
    controller, instance = start_running_instance(release)
    restarts.restart_vm(controller, instance.id)
    pass_time(controller, seconds)
    loaded = reload(controller)

    assert state_of(controller) == state_of(loaded)
    for copy in (controller, loaded):
        pass_time(copy, 100)
    assert state_of(controller) == state_of(loaded)
    assert ["Started"] == states(loaded.instances[instance.id])


def test_error_leads_to_started_only_while_a_restart_is_under_way() -> None:
    """Waiting for Started fails at once if the instance is Error for another reason."""
    controller, instance = start_running_instance(BEFORE_1_47)
    restarts.restart_vm(controller, instance.id)
    wait_for_state(controller, instance.id, instances.InstanceState.ERROR)
    wait_for_state(controller, instance.id, instances.InstanceState.STARTED)
    instances.fail_instance(controller, instance, "broken")
    with pytest.raises(Never, match=r"^an instance that is Error is never Started \(broken\)$"):
        wait_for_state(controller, instance.id, instances.InstanceState.STARTED)


@pytest.mark.parametrize("release", [BEFORE_1_47, FROM_1_47])
def test_settle_waits_for_a_restart(release: str) -> None:
    """The VM is up afterwards."""
    controller, instance = start_running_instance(release)
    restarts.restart_vm(controller, instance.id)
    settle(controller)

    assert (["Started"], "running") == (states(instance), vm_status(instance))


def test_a_restart_with_a_usb_device_needs_an_enterprise_licence() -> None:
    """It is refused on a basic one."""
    controller, instance = start_running_instance(text=DEVICES)
    controller.license.tier = "basic"
    with pytest.raises(NeedsLicense, match="usb_device"):
        restarts.restart_vm(controller, instance.id, "phone")

    assert instance.restarting_until is None


def test_a_restart_that_takes_no_time_changes_the_start_date() -> None:
    """It is another second."""
    controller, instance = start_running_instance()
    assert instance.vm is not None
    before = instance.vm.started
    restarts.restart_vm(controller, instance.id)
    controller.timings = replace(controller.timings, boot=Fixed(0), stop=Fixed(0))
    pass_time(controller, 60)

    assert instance.vm.started // SECOND > before // SECOND


def test_restarts_within_a_second_have_start_dates_of_different_seconds() -> None:
    """A client sees whole seconds only, so each start is dated a second after the one before at least."""
    controller, instance = start_running_instance()
    controller.timings = replace(controller.timings, boot=Fixed(0), stop=Fixed(0))
    seconds = []
    for _ in range(3):
        restarts.restart_vm(controller, instance.id)
        pass_time(controller, 0.1)
        assert instance.vm is not None
        seconds.append(instance.vm.started // SECOND)

    assert seconds == sorted(set(seconds))
