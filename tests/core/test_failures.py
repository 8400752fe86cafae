"""Failures of starts and their retries."""

import pytest

from mockanka.core import failures, nodes
from mockanka.core.lifecycle import NodeState
from mockanka.scenario import Scenario
from mockanka.scenario.dump import dump
from tests.controllers import reload
from tests.core.builders import (
    COLD,
    PAIR,
    WARM,
    build_controller,
    count_log_entries,
    node_named,
    node_names,
    pass_time,
    start_instance,
    start_instances,
    states,
)
from tests.core.fault_effects.helpers import (
    COLD_PAIR,
    MONITORED,
    ONE_RETRY,
    add_fault,
    history_after,
    start_monitored,
)


def test_a_failed_pull_is_retried_on_another_node() -> None:
    """With a retry the instance goes back to Scheduling, frees its slot and pulls on the other node."""
    controller = build_controller(ONE_RETRY + COLD_PAIR)
    add_fault(controller, "pull", "{fail: no, at: 40%}", times=1)
    instance = start_instance(controller)
    pass_time(controller, 6.9)
    first = node_names(controller, instance)
    pass_time(controller, 0.1)

    assert (["alpha"], ["beta"]) == (first, node_names(controller, instance))
    again = [(7.0, "Scheduling"), (7.0, "Pulling")]
    expected = [(0.0, "Scheduling"), (1.0, "Pulling"), *again, (22.0, "Scheduling"), (42.0, "Started")]
    assert expected == history_after(controller, instance)
    assert ({}, [instance.id]) == (node_named(controller).occupants, list(node_named(controller, "beta").occupants))


def test_without_another_node_the_same_node_retries() -> None:
    """A node that failed is chosen last, not never."""
    controller = build_controller(ONE_RETRY + COLD)
    add_fault(controller, "pull", "{fail: no, at: 40%}", times=1)
    instance = start_instance(controller)
    again = [(7.0, "Scheduling"), (7.0, "Pulling")]
    expected = [(0.0, "Scheduling"), (1.0, "Pulling"), *again, (22.0, "Scheduling"), (42.0, "Started")]

    assert expected == history_after(controller, instance)


def test_a_start_is_tried_three_times_by_default() -> None:
    """A rule fails one attempt and is asked again at the next, so it fires three times, on each node that is free."""
    controller = build_controller(COLD_PAIR)
    rule = add_fault(controller, "pull", "{fail: broken, at: 40%}")
    instance = start_instance(controller)

    assert (19.0, "Error") == history_after(controller, instance)[-1]
    assert (3, "broken") == (rule.applied, instance.message)
    alpha, beta = node_named(controller).id, node_named(controller, "beta").id
    assert (alpha, beta) == instance.failed_on


@pytest.mark.parametrize(
    ("times", "skip", "end"), [(1, 0, "Started"), (2, 0, "Started"), (3, 0, "Error"), (1, 1, "Started")]
)
def test_times_and_skip_count_attempts(times: int, skip: int, end: str) -> None:
    """With fewer failures than attempts the instance is Started in the end."""
    controller = build_controller(PAIR)
    add_fault(controller, "start", "{fail: no}", times=times).skip = skip
    instance = start_instance(controller)
    pass_time(controller, 100)

    assert end == instance.state


@pytest.mark.parametrize(
    "do", ["{fail: no, final: true}", "{fail: '0815: maximum number of running instances exceeded'}"]
)
@pytest.mark.parametrize("event", ["pull", "start"])
def test_a_final_failure_is_not_retried(event: str, do: str) -> None:
    """That is one of a rule with ``final``, or one after whose message agents do not return the start (C1)."""
    controller = build_controller(COLD_PAIR)
    rule = add_fault(controller, event, do)
    instance = start_instance(controller)
    pass_time(controller, 100)

    assert ("Error", 1, ()) == (instance.state, rule.applied, instance.failed_on)


def test_a_final_failure_of_a_pull_ends_its_instance() -> None:
    """Also after a dump and a load in its middle; an instance that waits for the node is not affected."""
    controller = build_controller(COLD)
    add_fault(controller, "pull", "{fail: no, at: 40%, final: true}", times=1)
    ids = [instance.id for instance in start_instances(controller, count=2)]
    pass_time(controller, 3)
    loaded = reload(controller)
    for copy in (controller, loaded):
        pass_time(copy, 10)

        assert ["Error", "Pulling"] == [copy.instances[id].state for id in ids]


def test_a_dump_keeps_its_number_of_retries() -> None:
    """A dump without the key was made when the default was 0."""
    controller = build_controller(PAIR)
    data = dump(controller)
    without = {**data, "controller": {key: value for key, value in data["controller"].items() if key != "retries"}}

    assert (2, 2) == (controller.retries, reload(controller).retries)
    assert 0 == Scenario.from_data(without).controller().retries
    controller.retries = 0
    assert 0 == reload(controller).retries


def test_a_failure_without_a_message_has_one_that_agents_logged() -> None:
    """By what the instance is about (A0.4)."""
    controller = build_controller(COLD)
    instance = start_instance(controller)
    messages = [failures.explain_failure(instance)]
    pass_time(controller, 2)
    messages.append(failures.explain_failure(instance))
    pass_time(controller, 15)
    messages.append(failures.explain_failure(instance))
    assert instance.vm is not None
    expected = [
        "failed",
        "[Errno 2] No such file or directory: '/storage/img_lib/'",
        f"{instance.vm.uuid}: failed to start: No child processes",
    ]

    assert expected == messages


def test_a_retry_drops_what_belonged_to_the_failed_start() -> None:
    """A stall ends with the attempt, and so do fields that a fault leaves out of the VM's report."""
    controller = build_controller(PAIR)
    add_fault(controller, "start", "{without: ip, for: 30s}", times=1)
    add_fault(controller, "start", "{stall: true}", times=1)
    first, second = start_instances(controller, count=2)
    pass_time(controller, 5)
    assert (first.unreported, second.stall is None) == (("ip",), False)
    for instance in (first, second):
        failures.fail_start(controller, instance, "no")
    pass_time(controller, 30)

    assert ["Started", "Started"] == states(first, second)
    assert ((), None, None) == (first.unreported, first.unreported_for, second.stall)


@pytest.mark.parametrize("retries", [0, 1, 2, 3])
def test_after_the_last_retry_the_instance_is_in_error(retries: int) -> None:
    """So many starts may fail; the next failure puts the instance into Error."""
    controller = build_controller(f"controller: {{retries: {retries}}}\n" + COLD_PAIR)
    add_fault(controller, "pull", "{fail: broken, at: 40%}")
    instance = start_instance(controller)
    seconds = 1 + 6 * (retries + 1)

    assert (seconds, "Error") == history_after(controller, instance)[-1]
    assert (retries, "broken") == (count_log_entries(controller, "start retried"), instance.message)
    assert [{}, {}] == [node.occupants for node in controller.nodes.values()]


def test_a_failed_boot_is_retried_in_scheduling() -> None:
    """Only the time it takes is_overridden that a boot failed and was retried."""
    controller = build_controller(ONE_RETRY + PAIR)
    add_fault(controller, "start", "{fail: no, at: 50%}", times=1)
    instance = start_instance(controller)
    pass_time(controller, 12)

    assert (["Scheduling"], ["beta"]) == (states(instance), node_names(controller, instance))
    assert ({}, [instance.id]) == (node_named(controller).occupants, list(node_named(controller, "beta").occupants))
    assert [(0.0, "Scheduling"), (31.0, "Started")] == history_after(controller, instance)


def test_a_boot_that_failed_after_a_pull_is_retried() -> None:
    """The other node pulls from the beginning; the first is passed over though it has the template cached by now."""
    controller = build_controller(ONE_RETRY + COLD_PAIR)
    add_fault(controller, "start", "{fail: no, at: 50%}", times=1)
    instance = start_instance(controller)
    first = [(0.0, "Scheduling"), (1.0, "Pulling"), (16.0, "Scheduling")]
    expected = [*first, (26.0, "Pulling"), (41.0, "Scheduling"), (61.0, "Started")]

    assert expected == history_after(controller, instance)
    assert ["beta"] == node_names(controller, instance)


def test_a_retry_waits_for_a_slot() -> None:
    """With the other node full, the instance returns to the first when a slot is free."""
    controller = build_controller(ONE_RETRY + PAIR)
    add_fault(controller, "start", "{fail: no}", node="alpha", times=1)
    first = start_instance(controller, on="beta")
    instance = start_instance(controller)
    pass_time(controller, 100)

    assert (["Started", "Started"], ["beta", "alpha"]) == (
        states(first, instance),
        node_names(controller, first, instance),
    )


def test_an_instance_bound_to_a_node_is_retried_there() -> None:
    """No other node may start it."""
    controller = build_controller(ONE_RETRY + PAIR)
    add_fault(controller, "start", "{fail: no, at: 50%}", times=1)
    instance = start_instance(controller, on="alpha")

    assert [(0.0, "Scheduling"), (31.0, "Started")] == history_after(controller, instance)
    assert ["alpha"] == node_names(controller, instance)


def test_a_retry_frees_its_usb_device() -> None:
    """A USB device that was claimed for a failed start is free for the retry."""
    controller = build_controller(ONE_RETRY + WARM.replace("capacity: 2", "capacity: 2, usb: [phone]"))
    add_fault(controller, "start", "{fail: no}", times=1)
    instance = start_instance(controller, usb_device="phone")
    pass_time(controller, 100)

    assert "Started" == instance.state
    assert instance.usb is not None


def test_a_failure_of_scheduling_is_not_retried() -> None:
    """No node has failed, so another node would do no better."""
    controller = build_controller(ONE_RETRY + PAIR)
    add_fault(controller, "schedule", "{fail: no}")
    instance = start_instance(controller)

    assert [(0.0, "Scheduling"), (1.0, "Error")] == history_after(controller, instance)


def test_a_failed_script_is_not_retried() -> None:
    """The VM was up: retries are for starts that failed."""
    controller = build_controller(MONITORED.replace("release: 1.32.0", "release: 1.32.0, retries: 3"))

    assert [(0.0, "Scheduling"), (25.0, "Error")] == history_after(controller, start_monitored(controller))


def test_a_retry_is_shown_in_the_timeline() -> None:
    """With the message of the failure."""
    controller = build_controller(PAIR + ONE_RETRY)
    add_fault(controller, "start", "{fail: boom}", times=1)
    instance = start_instance(controller)
    pass_time(controller, 60)

    assert ["requested", "start failed, and is tried again: boom", "VM is up"] == [
        stay.cause for stay in instance.timeline
    ]


def test_the_time_of_the_last_update_does_not_fall_with_a_retry() -> None:
    """A booting instance is_overridden its node's heartbeat; a failure of the boot is a later update."""
    controller = build_controller("controller: {retries: 1}\n" + PAIR)
    instance = start_instance(controller)
    pass_time(controller, 18)
    before = instance.updated(controller)
    failures.fail_start(controller, instance, "no hypervisor")

    assert instance.failed_on
    assert before <= instance.updated(controller)


def test_a_retry_that_waits_for_a_node_has_no_progress() -> None:
    """The progress of the failed pull is reset: the next pull begins anew."""
    controller = build_controller(ONE_RETRY + COLD)
    add_fault(controller, "pull", "{fail: no, at: 40%}", times=1)
    instance = start_instance(controller)
    pass_time(controller, 2)
    nodes.set_node_state(controller, node_named(controller).id, NodeState.UNHEALTHY)
    pass_time(controller, 10)

    assert ("Scheduling", 0) == (instance.state, instance.progress(controller))
