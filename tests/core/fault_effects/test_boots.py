"""Faults of the event ``start``, which begins when a node boots the VM."""

import pytest

from mockanka.core import time_control
from tests.core.builders import COLD, WARM, build_controller, node_named, pass_time, start_instance, states
from tests.core.fault_effects.helpers import add_fault, history_after, remove_fault


@pytest.mark.parametrize(("at", "seconds"), [("0%", 1.0), ("50%", 11.0), ("100%", 21.0)])
def test_a_boot_fails_at_a_share_of_its_length(at: str, seconds: float) -> None:
    """Error comes at that share of the boot, with the message; no VM was ever shown, and the slot is free."""
    controller = build_controller(WARM)
    add_fault(controller, "start", f"{{fail: no hypervisor, at: {at}, final: true}}")
    instance = start_instance(controller)

    assert [(0.0, "Scheduling"), (seconds, "Error")] == history_after(controller, instance)
    assert ("no hypervisor", None, {}) == (instance.message, instance.shown_vm, node_named(controller).occupants)


def test_a_stall_with_a_duration_lengthens_the_boot() -> None:
    """The stall is added to the boot."""
    controller = build_controller(WARM)
    add_fault(controller, "start", "{stall: true, for: 1m}")

    assert [(0.0, "Scheduling"), (81.0, "Started")] == history_after(controller, start_instance(controller))


def test_a_stalled_boot_continues_when_its_rule_is_removed() -> None:
    """A stalled boot keeps its slot; released, it takes the time of a boot."""
    controller = build_controller(COLD)
    rule = add_fault(controller, "start", "{stall: true}")
    instance = start_instance(controller)
    pass_time(controller, 1000)

    assert (["Scheduling"], [instance.id], 1.0) == (
        states(instance),
        list(node_named(controller).occupants),
        instance.progress(controller),
    )
    remove_fault(controller, rule)
    pass_time(controller, 19.9)
    assert "Scheduling" == instance.state
    pass_time(controller, 0.1)
    assert "Started" == instance.state


def test_the_removal_of_another_rule_releases_nothing() -> None:
    """Only the removal of the rule that stalls the instance releases it."""
    controller = build_controller(WARM)
    add_fault(controller, "start", "{stall: true}")
    other = add_fault(controller, "start", "{stall: true}")
    instance = start_instance(controller)
    pass_time(controller, 100)
    remove_fault(controller, other)
    pass_time(controller, 100)

    assert "Scheduling" == instance.state


def test_a_node_may_leave_out_fields_of_a_vm_for_good() -> None:
    """The instance is Started as usual; the fields that are left out are noted and stay so."""
    controller = build_controller(WARM)
    add_fault(controller, "start", "{without: [ip, port_forwarding]}")
    instance = start_instance(controller)

    assert [(0.0, "Scheduling"), (21.0, "Started")] == history_after(controller, instance, 10_000)
    assert ("ip", "port_forwarding") == instance.unreported


def test_a_node_may_leave_out_fields_of_a_vm_for_a_duration() -> None:
    """They are reported exactly that long after the instance is Started."""
    controller = build_controller(WARM)
    add_fault(controller, "start", "{without: ip, for: 10s}")
    instance = start_instance(controller)
    pass_time(controller, 30.9)
    before, revision = instance.unreported, instance.revision
    pass_time(controller, 0.1)

    assert (("ip",), ()) == (before, instance.unreported)
    assert revision < instance.revision


def test_leaving_out_fields_is_no_stall() -> None:
    """The removal of the rule changes nothing, and settle does not wait for the fields."""
    controller = build_controller(WARM)
    rule = add_fault(controller, "start", "{without: ip}")
    instance = start_instance(controller)
    time_control.settle(controller)
    remove_fault(controller, rule)

    assert ("Started", ("ip",)) == (instance.state, instance.unreported)
