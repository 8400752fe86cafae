"""Monitored startup scripts: how they end, and what is left of the instance."""

from collections.abc import Callable

import pytest

from mockanka.core import instances, nodes
from mockanka.core.controller import Controller
from mockanka.core.lifecycle import LostInstances
from mockanka.core.release import Release
from mockanka.core.scripts import ScriptResult
from mockanka.units import SECOND
from tests.controllers import reload, state_of
from tests.core.builders import (
    WARM,
    build_controller,
    node_named,
    pass_time,
    save_instance,
    start_instance,
    started_instance,
    states,
)
from tests.core.fault_effects.helpers import (
    FAIL_SCRIPT,
    MONITORED,
    add_fault,
    history_after,
    remove_fault,
    start_monitored,
)


def test_a_monitored_script_that_succeeds_delays_started() -> None:
    """Boot and script take 20 s and 4 s; the result of the script is kept."""
    controller = build_controller(MONITORED.replace("return_code: 3", "return_code: 0"))
    instance = start_monitored(controller)

    assert [(0.0, "Scheduling"), (25.0, "Started")] == history_after(controller, instance)
    assert ScriptResult(0, stderr="boom") == instance.script


@pytest.mark.parametrize(
    ("handler", "status", "slots"), [(0, "stopped", 0), (1, "running", 1), (2, "deleted", 0)], ids=str
)
def test_an_instance_whose_monitored_script_fails_is_in_error(handler: int, status: str, slots: int) -> None:
    """Error comes with the exit code; the VM is stopped, kept running in its slot, or deleted."""
    controller = build_controller(MONITORED)
    instance = start_monitored(controller, script_fail_handler=handler)

    assert [(0.0, "Scheduling"), (25.0, "Error")] == history_after(controller, instance)
    assert "startup script exit code 3" == instance.message
    assert slots == len(node_named(controller).occupants)
    assert slots == nodes.running_load(controller, node_named(controller)).vm_count
    assert status == (instance.vm.status if instance.vm else "deleted")
    instances.terminate_instance(controller, instance.id)
    pass_time(controller, 100)
    assert ({}, {}) == (controller.instances, node_named(controller).occupants)


@pytest.mark.parametrize(("release", "known"), [("1.24.0", False), ("1.48.0", False), ("1.49.0", True)])
@pytest.mark.parametrize("lose", [nodes.delete_node, nodes.lose_node])
def test_a_vm_that_was_kept_is_lost_with_its_node(
    lose: Callable[[Controller, str], object], release: str, known: bool
) -> None:
    """Its slot is free, and before 1.49 its details are gone, as those of any VM in Error; a dump has that too."""
    controller = build_controller(MONITORED, release=Release.parse(release))
    controller.lost_instances = LostInstances.ERROR
    instance = start_monitored(controller, script_fail_handler=1)
    pass_time(controller, 100)
    assert "Error" == instance.state
    lose(controller, node_named(controller).id)
    pass_time(controller, 1000)
    vm = instance.vm

    assert vm is not None
    assert (False, known, known) == (instance.holds_slot, bool(vm.name), vm.status == "running")
    assert state_of(controller) == state_of(reload(controller))


def test_a_monitored_script_has_a_timeout() -> None:
    """At its timeout it ends with -1."""
    controller = build_controller(MONITORED)
    instance = start_monitored(controller, script_timeout=2 * SECOND)

    assert [(0.0, "Scheduling"), (23.0, "Error")] == history_after(controller, instance)
    assert (ScriptResult(-1, True, "", "boom"), "startup script exit code -1") == (instance.script, instance.message)


def test_the_end_of_an_unmonitored_script_is_not_reported() -> None:
    """The instance is Started after the boot; no result is kept."""
    controller = build_controller(MONITORED)
    instance = start_instance(controller, startup_script=FAIL_SCRIPT)

    assert ([(0.0, "Scheduling"), (21.0, "Started")], None) == (history_after(controller, instance), instance.script)


@pytest.mark.parametrize("code", [0, 7])
def test_a_rule_sets_the_result_of_a_script(code: int) -> None:
    """Exit code, stdout and stderr are those of the rule; the duration is the script's own."""
    controller = build_controller(MONITORED)
    add_fault(controller, "script", f"{{exit: {code}, stdout: out, stderr: err}}")
    instance = start_monitored(controller)

    assert [(0.0, "Scheduling"), (25.0, "Error" if code else "Started")] == history_after(controller, instance)
    assert ScriptResult(code, stdout="out", stderr="err") == instance.script


def test_a_rule_lets_a_script_time_out() -> None:
    """It takes all of its timeout, 90 s by default, and ends with -1."""
    controller = build_controller(MONITORED)
    add_fault(controller, "script", "{timeout: true, stdout: half}")
    instance = start_monitored(controller)

    assert [(0.0, "Scheduling"), (111.0, "Error")] == history_after(controller, instance)
    assert ScriptResult(-1, True, "half") == instance.script


def test_a_rule_matches_the_script_of_a_save_image_request() -> None:
    """The result is that of the request."""
    controller = build_controller(MONITORED)
    add_fault(controller, "script", "{exit: 9, stderr: err}")
    save = save_instance(controller, started_instance(controller), script=FAIL_SCRIPT)
    pass_time(controller, 1)

    assert ScriptResult(9, stderr="err") == save.script_result


def test_a_stall_of_the_boot_includes_the_script() -> None:
    """Boot and script are one phase, which is stalled and released."""
    controller = build_controller(MONITORED.replace("return_code: 3", "return_code: 0"))
    rule = add_fault(controller, "start", "{stall: true}")
    instance = start_monitored(controller)
    pass_time(controller, 1000)
    remove_fault(controller, rule)
    pass_time(controller, 23.9)
    before = states(instance)
    pass_time(controller, 0.1)

    assert (["Scheduling"], ["Started"]) == (before, states(instance))


def test_a_scenario_cannot_monitor_scripts_before_their_release() -> None:
    """At 1.8.0 the end of a script is not reported, even if the scenario has it monitored."""
    controller = build_controller(
        "controller: {release: 1.8.0}\n"
        + WARM
        + f"instances: [{{template: mac, startup_script: {FAIL_SCRIPT}, script_monitoring: true}}]\n"
        + "scripts: [{match: fail, return_code: 3}]\n"
    )
    (instance,) = controller.instances.values()
    pass_time(controller, 100)

    assert "Started" == instance.state
