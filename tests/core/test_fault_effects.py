"""What becomes of life under fault rules: every kind at every event, to the second."""

import base64
import copy
from typing import Any

import pytest
import yaml

from mockanka.core import distributions, failures, fault_effects, instances, nodes, pulls, time_control
from mockanka.core.controller import Controller
from mockanka.core.distributions import Delivery
from mockanka.core.errors import NotFound, RegistryDown
from mockanka.core.faults import FaultRule
from mockanka.core.instance_record import Instance, StartRequest
from mockanka.core.lifecycle import InstanceState, NodeState
from mockanka.core.registry import RegistryState
from mockanka.core.save_images import SaveImage
from mockanka.core.scripts import ScriptResult
from mockanka.scenario import fault_rules
from mockanka.scenario.fault_sections import Fault
from mockanka.units import SECOND
from tests.controllers import add_rule, reload, state_of
from tests.core.builders import (
    COLD,
    PAIR,
    WARM,
    build_controller,
    count_log_entries,
    lose_node,
    node_named,
    node_names,
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

COLD_PAIR = PAIR.replace(", cached: [mac]", "")
NEW = "controller: {release: 1.32.0}\n"
RETRY = "controller: {retries: 1}\n"
DOWN = str(RegistryDown())
FAIL = base64.b64encode(b"fail").decode()


def strike(controller: Controller, event: str, do: str, **match: str) -> FaultRule:
    """Put a rule in force that does that at the event; ``do`` is YAML."""
    made = fault_rules.make(
        controller, (), Fault().load({"match": {"event": event, **match}, "do": yaml.load(do, yaml.BaseLoader)})
    )
    add_rule(controller, made)
    return made


def limited(controller: Controller, times: int, event: str, do: str, **match: str) -> FaultRule:
    made = strike(controller, event, do, **match)
    made.times = times
    return made


def lift(controller: Controller, rule: FaultRule) -> None:
    fault_effects.remove_rule(controller, rule.id)


def whole(controller: Controller) -> dict[str, object]:
    """The state, with the rules and what they counted."""
    return {
        **state_of(controller),
        "faults": list(controller.faults),
        "added": controller.faults.added,
    }


def condition(controller: Controller, name: str = "alpha") -> str:
    return node_named(controller, name).state(controller.now).value


def ended(controller: Controller, mine: Instance, seconds: float = 400) -> list[tuple[float, str]]:
    pass_time(controller, seconds)
    return state_history(controller, mine)


def sent(controller: Controller) -> tuple[distributions.Distribution, Delivery]:
    """A distribution to alpha, and what the node makes of it."""
    alpha = node_named(controller).id
    made = distributions.create_distribution(controller, template_named(controller).id, node_ids=[alpha])
    return made, made.deliveries[alpha]


def pushing(controller: Controller, seconds: float = 7) -> tuple[Instance, SaveImage]:
    """A save image request, a few seconds on; 5 s to stop, then a push of some 6 s."""
    mine = started_instance(controller)
    made = save_instance(controller, mine)
    pass_time(controller, seconds)
    return mine, made


# Scheduling.


def test_scheduling_fails() -> None:
    """An instance that fails while it is scheduled is Error when it would have been queued, with the message."""
    controller = build_controller(WARM)
    strike(controller, "schedule", "{fail: no luck}")
    mine = start_instance(controller)

    assert [(0.0, "Scheduling"), (1.0, "Error")] == ended(controller, mine)
    assert ("no luck", None, None) == (mine.message, mine.vm, mine.node_id)


def test_scheduling_stalls_for_a_while() -> None:
    """A stall of 30 s comes on top of the scheduling."""
    controller = build_controller(WARM)
    strike(controller, "schedule", "{stall: true, for: 30s}")
    mine = start_instance(controller)

    assert [(0.0, "Scheduling"), (51.0, "Started")] == ended(controller, mine)


def test_scheduling_stalls_for_good_until_the_rule_is_removed() -> None:
    """Nothing moves for a year; the rule removed, what is left of the scheduling passes and all goes on."""
    controller = build_controller(WARM)
    rule = strike(controller, "schedule", "{stall: true}")
    mine = start_instance(controller)
    pass_time(controller, 365 * 24 * 3600)
    before = states(mine)
    lift(controller, rule)
    pass_time(controller, 20.9)

    assert (["Scheduling"], ["Scheduling"]) == (before, states(mine))
    pass_time(controller, 0.1)
    assert ["Started"] == states(mine)


def test_a_stalled_instance_does_not_hold_up_the_next() -> None:
    """A rule of one time strikes the first only; the second overtakes it."""
    controller = build_controller(WARM)
    limited(controller, 1, "schedule", "{stall: true}")
    first, second = start_instances(controller, count=2)
    pass_time(controller, 100)

    assert ["Scheduling", "Started"] == states(first, second)


def test_why_a_held_one_never_starts_is_told() -> None:
    """Who waits for an instance that a rule holds in Scheduling is told of the rule, not of free nodes."""
    controller = build_controller(WARM)
    rule = strike(controller, "schedule", "{stall: true}")
    mine = start_instance(controller)
    with pytest.raises(time_control.Never, match=f"held in Scheduling by {rule.id}"):
        time_control.wait_for(controller, mine.id, InstanceState.STARTED)


# Pulling.


@pytest.mark.parametrize(("at", "seconds", "progress"), [("0%", 1.0, 0.0), ("40%", 7.0, 0.4), ("100%", 16.0, 1.0)])
def test_a_pull_fails_at_a_share_of_its_way(at: str, seconds: float, progress: float) -> None:
    """Error comes at that share of the pull, with the message, and the progress it had come to stays."""
    controller = build_controller(COLD)
    strike(controller, "pull", f"{{fail: broken pipe, at: {at}}}")
    mine = start_instance(controller)

    assert [(0.0, "Scheduling"), (1.0, "Pulling"), (seconds, "Error")] == ended(controller, mine)
    assert ("broken pipe", progress) == (mine.message, mine.progress(controller))
    alpha = node_named(controller)
    assert ({}, {}, {}) == (alpha.pulls, alpha.cached, alpha.occupants)


def test_after_a_failed_pull_the_next_begins_anew() -> None:
    """A pull that failed leaves nothing cached, so who comes next pulls it all."""
    controller = build_controller(COLD)
    limited(controller, 1, "pull", "{fail: no, at: 90%}")
    ended(controller, start_instance(controller))
    second = start_instance(controller)

    assert [(0.0, "Scheduling"), (1.0, "Pulling"), (16.0, "Scheduling"), (36.0, "Started")] == ended(controller, second)


@pytest.mark.parametrize(("seconds", "progress"), [(7, 0.4), (10, 0.4), (36.9, 0.4), (40, 0.6), (46, 1.0), (100, 1.0)])
def test_a_pull_stalls_for_a_while_at_a_share_of_its_way(seconds: float, progress: float) -> None:
    """A pull that rests 30 s at 40% stands there, then goes on at its own speed."""
    controller = build_controller(COLD)
    strike(controller, "pull", "{stall: true, at: 40%, for: 30s}")
    mine = start_instance(controller)
    pass_time(controller, seconds)

    assert progress == pytest.approx(mine.progress(controller), abs=1e-9)
    assert [(0.0, "Scheduling"), (1.0, "Pulling"), (46.0, "Scheduling"), (66.0, "Started")] == ended(controller, mine)


def test_a_pull_is_held_at_a_share_of_its_way() -> None:
    """It comes to 40% at its own speed and stays there."""
    controller = build_controller(COLD)
    strike(controller, "pull", "{stall: true, at: 40%}")
    mine = start_instance(controller)
    seen = []
    for seconds in (4, 3, 3, 1000):
        pass_time(controller, seconds)
        seen.append(mine.progress(controller))

    assert [0.2, 0.4, 0.4, 0.4] == seen
    assert ["Pulling"] == states(mine)


@pytest.mark.parametrize(("held", "rest"), [(2, 13), (6, 9), (100, 9)])
def test_a_pull_that_is_let_go_goes_on_from_where_it_is(held: float, rest: float) -> None:
    """Its progress neither jumps nor falls, and what was left to pull is pulled; before the share nothing is lost."""
    controller = build_controller(COLD)
    rule = strike(controller, "pull", "{stall: true, at: 40%}")
    mine = start_instance(controller)
    pass_time(controller, 1 + held)
    before = mine.progress(controller)
    lift(controller, rule)

    assert before == mine.progress(controller)
    pass_time(controller, rest - 0.01)
    assert 0.99 < mine.progress(controller) < 1.0
    pass_time(controller, 0.01 + 20)
    assert ["Started"] == states(mine)


def test_a_slow_pull_takes_longer() -> None:
    """15 GB at 1 Gbit/s are 120 s, and progress is even over them."""
    controller = build_controller(COLD)
    strike(controller, "pull", "{bandwidth: 1Gbit/s}")
    mine = start_instance(controller)
    pass_time(controller, 61)

    assert 0.5 == mine.progress(controller)
    assert [(0.0, "Scheduling"), (1.0, "Pulling"), (121.0, "Scheduling"), (141.0, "Started")] == ended(controller, mine)


@pytest.mark.parametrize("do", ["{fail: no, at: 80%}", "{stall: true, at: 80%}", "{stall: true, for: 1m}"])
def test_those_who_share_a_pull_share_its_fate(do: str) -> None:
    """An instance that joins a pull, and a distribution of the same version, end as the first one does."""
    controller = build_controller(COLD.replace("capacity: 2", "capacity: 3"))
    rule = strike(controller, "pull", do)
    first = start_instance(controller)
    pass_time(controller, 3)
    second = start_instance(controller)
    made, delivery = sent(controller)
    pass_time(controller, 3)

    assert 1 == rule.applied
    for seconds in (1, 5, 5, 30, 40, 400):
        pass_time(controller, seconds)
        assert first.progress(controller) == second.progress(controller)
        assert first.progress(controller) == made.progress(controller, node_named(controller).id)
        assert (first.state, first.message) == (second.state, second.message)
        assert ("no" if "fail" in do and first.state is InstanceState.ERROR else "") == delivery.error
    assert ("Error" if "fail" in do else "Started" if "for" in do else "Pulling") == first.state


def test_a_pull_of_shared_layers_fails_with_the_one_that_fetches_them() -> None:
    """What waits for layers that never come fails when they do, with the same message."""
    controller = build_controller(COLD)
    strike(controller, "pull", "{fail: no base, at: 50%}", tag="base")
    first = start_instance(controller, tag="base")
    pass_time(controller, 2)
    second = start_instance(controller, tag="tools")

    assert [(0.0, "Scheduling"), (1.0, "Pulling"), (6.0, "Error")] == ended(controller, first)
    assert [(0.0, "Scheduling"), (1.0, "Pulling"), (4.0, "Error")] == state_history(controller, second)
    assert ("no base", "no base") == (first.message, second.message)


def test_a_pull_of_shared_layers_is_held_and_let_go_with_the_one_that_fetches_them() -> None:
    """What waits for layers that are held is held, and is never through before they are there."""
    controller = build_controller(COLD)
    rule = strike(controller, "pull", "{stall: true, at: 50%}", tag="base")
    first = start_instance(controller, tag="base")
    pass_time(controller, 2)
    second = start_instance(controller, tag="tools")
    pass_time(controller, 100)
    before = [each.progress(controller) for each in (first, second)]
    lift(controller, rule)
    lower, upper = node_named(controller).pulls.values()

    assert ([0.5, 0.5], before) == (before, [each.progress(controller) for each in (first, second)])
    assert controller.now + 5 * SECOND == lower.ends
    assert lower.ends <= upper.ends
    pass_time(controller, 30)
    assert ["Started", "Started"] == states(first, second)


def test_a_pull_with_its_own_fault_leaves_the_shared_one_alone() -> None:
    """The pull of the upper layer fails by itself; the lower one goes on."""
    controller = build_controller(COLD)
    strike(controller, "pull", "{fail: no tools, at: 50%}", tag="tools")
    first = start_instance(controller, tag="base")
    pass_time(controller, 2)
    second = start_instance(controller, tag="tools")

    assert [(0.0, "Scheduling"), (1.0, "Pulling"), (11.0, "Scheduling"), (31.0, "Started")] == ended(controller, first)
    assert ("Error", "no tools") == (second.state, second.message)


@pytest.mark.parametrize(("stall", "seconds"), [("{stall: true, at: 40%}", 100), ("{stall: true, for: 1m}", 30)])
def test_a_resting_pull_that_is_broken_off_keeps_its_progress(stall: str, seconds: float) -> None:
    """The registry goes down while a pull rests: it fails with the progress that was seen, and does not jump."""
    controller = build_controller(COLD)
    strike(controller, "pull", stall)
    mine = start_instance(controller)
    made, delivery = sent(controller)
    pass_time(controller, seconds)
    before = mine.progress(controller)
    strike(controller, "begin", "{registry: down}")
    pass_time(controller, 0)

    assert ("Error", DOWN, before) == (mine.state, mine.message, mine.progress(controller))
    assert (DOWN, before) == (delivery.error, made.progress(controller, node_named(controller).id))


def test_progress_never_falls_when_several_rules_meet_in_one_pull() -> None:
    """A pull that rests by itself and is held by another one: let go early, it goes on from where it is."""
    controller = build_controller(COLD)
    rule = strike(controller, "pull", "{stall: true, at: 40%}", tag="base")
    strike(controller, "pull", "{stall: true, at: 90%, for: 30s}", tag="tools")
    start_instances(controller, tag="base")
    second = start_instance(controller, tag="tools")
    pass_time(controller, 6)
    before = second.progress(controller)
    lift(controller, rule)

    assert before <= second.progress(controller)


def test_a_pull_that_fails_itself_is_not_saved_by_one_that_is_held() -> None:
    """It fails at its own time, though layers it waits for are held for good."""
    controller = build_controller(COLD)
    strike(controller, "pull", "{stall: true}", tag="base")
    strike(controller, "pull", "{fail: 'no', at: 50%}", tag="tools")
    start_instances(controller, tag="base")
    second = start_instance(controller, tag="tools")

    assert [(0.0, "Scheduling"), (1.0, "Pulling"), (6.0, "Error")] == ended(controller, second)


# Retries.


def test_a_failed_pull_is_tried_again_on_another_node() -> None:
    """With a retry the instance goes back to Scheduling, gives its slot back and pulls on the other node."""
    controller = build_controller(RETRY + COLD_PAIR)
    limited(controller, 1, "pull", "{fail: no, at: 40%}")
    mine = start_instance(controller)
    pass_time(controller, 6.9)
    first = node_names(controller, mine)
    pass_time(controller, 0.1)

    assert (["alpha"], ["beta"]) == (first, node_names(controller, mine))
    again = [(7.0, "Scheduling"), (7.0, "Pulling")]
    expected = [(0.0, "Scheduling"), (1.0, "Pulling"), *again, (22.0, "Scheduling"), (42.0, "Started")]
    assert expected == ended(controller, mine)
    assert ({}, [mine.id]) == (node_named(controller).occupants, list(node_named(controller, "beta").occupants))


def test_without_another_node_the_same_one_tries_again() -> None:
    """One that failed is taken last, not never."""
    controller = build_controller(RETRY + COLD)
    limited(controller, 1, "pull", "{fail: no, at: 40%}")
    mine = start_instance(controller)
    again = [(7.0, "Scheduling"), (7.0, "Pulling")]
    expected = [(0.0, "Scheduling"), (1.0, "Pulling"), *again, (22.0, "Scheduling"), (42.0, "Started")]

    assert expected == ended(controller, mine)


@pytest.mark.parametrize("retries", [0, 1, 2, 3])
def test_when_all_retries_are_used_it_is_error(retries: int) -> None:
    """So many nodes may fail; the next failure is the instance's."""
    controller = build_controller(f"controller: {{retries: {retries}}}\n" + COLD_PAIR)
    strike(controller, "pull", "{fail: broken, at: 40%}")
    mine = start_instance(controller)
    seconds = 1 + 6 * (retries + 1)

    assert (seconds, "Error") == ended(controller, mine)[-1]
    assert (retries, "broken") == (count_log_entries(controller, "start retried"), mine.message)
    assert [{}, {}] == [each.occupants for each in controller.nodes.values()]


def test_a_failed_boot_is_tried_again_and_stays_scheduling() -> None:
    """Nothing is seen of a boot that failed and was tried again but the time it took."""
    controller = build_controller(RETRY + PAIR)
    limited(controller, 1, "start", "{fail: no, at: 50%}")
    mine = start_instance(controller)
    pass_time(controller, 12)

    assert (["Scheduling"], ["beta"]) == (states(mine), node_names(controller, mine))
    assert ({}, [mine.id]) == (node_named(controller).occupants, list(node_named(controller, "beta").occupants))
    assert [(0.0, "Scheduling"), (31.0, "Started")] == ended(controller, mine)


def test_a_boot_that_failed_after_a_pull_is_tried_again() -> None:
    """The other node pulls anew; the first has the template now, and is passed over all the same."""
    controller = build_controller(RETRY + COLD_PAIR)
    limited(controller, 1, "start", "{fail: no, at: 50%}")
    mine = start_instance(controller)
    first = [(0.0, "Scheduling"), (1.0, "Pulling"), (16.0, "Scheduling")]
    expected = [*first, (26.0, "Pulling"), (41.0, "Scheduling"), (61.0, "Started")]

    assert expected == ended(controller, mine)
    assert ["beta"] == node_names(controller, mine)


def test_a_retry_waits_for_a_slot() -> None:
    """With the other node full it goes back to where it was, once the slot is free."""
    controller = build_controller(RETRY + PAIR)
    limited(controller, 1, "start", "{fail: no}", node="alpha")
    first = start_instance(controller, on="beta")
    mine = start_instance(controller)
    pass_time(controller, 100)

    assert (["Started", "Started"], ["beta", "alpha"]) == (states(first, mine), node_names(controller, first, mine))


def test_a_pinned_instance_is_tried_again_on_its_node() -> None:
    """Who is bound to a node has no other."""
    controller = build_controller(RETRY + PAIR)
    limited(controller, 1, "start", "{fail: no, at: 50%}")
    mine = start_instance(controller, on="alpha")

    assert [(0.0, "Scheduling"), (31.0, "Started")] == ended(controller, mine)
    assert ["alpha"] == node_names(controller, mine)


def test_a_retry_gives_its_device_back() -> None:
    """A USB device that was claimed for a start that failed is free for the retry."""
    controller = build_controller(RETRY + WARM.replace("capacity: 2", "capacity: 2, usb: [phone]"))
    limited(controller, 1, "start", "{fail: no}")
    mine = start_instance(controller, usb_device="phone")
    pass_time(controller, 100)

    assert "Started" == mine.state
    assert mine.usb is not None


def test_scheduling_that_fails_is_not_tried_again() -> None:
    """No node has failed, so no other node can do better."""
    controller = build_controller(RETRY + PAIR)
    strike(controller, "schedule", "{fail: no}")
    mine = start_instance(controller)

    assert [(0.0, "Scheduling"), (1.0, "Error")] == ended(controller, mine)


def test_the_registry_being_down_uses_the_retries_up() -> None:
    """Each node that finds the registry down has failed; then it is Error, all in one moment."""
    controller = build_controller(RETRY + COLD_PAIR)
    strike(controller, "begin", "{registry: down}")
    pass_time(controller, 1)
    made = StartRequest(template_named(controller).id)
    with pytest.raises(RegistryDown):
        instances.start_instances(controller, made)
    controller.registry.state = RegistryState.UP
    mine = start_instance(controller)
    controller.registry.state = RegistryState.DOWN

    assert [(0.0, "Scheduling"), (1.0, "Error")] == ended(controller, mine)
    assert (DOWN, 1) == (mine.message, count_log_entries(controller, "start retried"))


# Booting.


@pytest.mark.parametrize(("at", "seconds"), [("0%", 1.0), ("50%", 11.0), ("100%", 21.0)])
def test_a_boot_fails_at_a_share_of_its_way(at: str, seconds: float) -> None:
    """Error at that share of the boot, with the message; no VM was ever seen, and the slot is free."""
    controller = build_controller(WARM)
    strike(controller, "start", f"{{fail: no hypervisor, at: {at}}}")
    mine = start_instance(controller)

    assert [(0.0, "Scheduling"), (seconds, "Error")] == ended(controller, mine)
    assert ("no hypervisor", None, {}) == (mine.message, mine.shown_vm, node_named(controller).occupants)


def test_a_boot_stalls_for_a_while() -> None:
    """A stall comes on top of the boot."""
    controller = build_controller(WARM)
    strike(controller, "start", "{stall: true, for: 1m}")

    assert [(0.0, "Scheduling"), (81.0, "Started")] == ended(controller, start_instance(controller))


def test_a_held_boot_goes_on_when_the_rule_is_removed() -> None:
    """Held, it keeps its slot; let go, it takes a boot's time."""
    controller = build_controller(COLD)
    rule = strike(controller, "start", "{stall: true}")
    mine = start_instance(controller)
    pass_time(controller, 1000)

    assert (["Scheduling"], [mine.id], 1.0) == (
        states(mine),
        list(node_named(controller).occupants),
        mine.progress(controller),
    )
    lift(controller, rule)
    pass_time(controller, 19.9)
    assert "Scheduling" == mine.state
    pass_time(controller, 0.1)
    assert "Started" == mine.state


def test_another_rules_removal_lets_nothing_go() -> None:
    """Only the rule that holds it lets it go."""
    controller = build_controller(WARM)
    strike(controller, "start", "{stall: true}")
    other = strike(controller, "start", "{stall: true}")
    mine = start_instance(controller)
    pass_time(controller, 100)
    lift(controller, other)
    pass_time(controller, 100)

    assert "Scheduling" == mine.state


def test_a_node_may_lack_to_report_parts_of_a_vm_for_good() -> None:
    """Started comes as ever; what is not reported is noted, and stays so."""
    controller = build_controller(WARM)
    strike(controller, "start", "{without: [ip, port_forwarding]}")
    mine = start_instance(controller)

    assert [(0.0, "Scheduling"), (21.0, "Started")] == ended(controller, mine, 10_000)
    assert ("ip", "port_forwarding") == mine.unreported


def test_a_node_may_lack_to_report_parts_of_a_vm_for_a_while() -> None:
    """They are reported so long after it was Started, to the second."""
    controller = build_controller(WARM)
    strike(controller, "start", "{without: ip, for: 10s}")
    mine = start_instance(controller)
    pass_time(controller, 30.9)
    before, revision = mine.unreported, mine.revision
    pass_time(controller, 0.1)

    assert (("ip",), ()) == (before, mine.unreported)
    assert revision < mine.revision


def test_a_rule_that_let_parts_go_unreported_is_no_hold() -> None:
    """What it has done stays done when it is removed, and nothing waits for it."""
    controller = build_controller(WARM)
    rule = strike(controller, "start", "{without: ip}")
    mine = start_instance(controller)
    time_control.settle(controller)
    lift(controller, rule)

    assert ("Started", ("ip",)) == (mine.state, mine.unreported)


# Started.


def test_a_started_one_fails_after_a_while() -> None:
    """Error 30 s after Started, with the message; the VM shows as failed, and the slot is free."""
    controller = build_controller(WARM)
    strike(controller, "started", "{fail: panic, after: 30s}")
    mine = start_instance(controller)

    assert [(0.0, "Scheduling"), (21.0, "Started"), (51.0, "Error")] == ended(controller, mine)
    assert mine.vm is not None
    assert ("panic", "failed", {}) == (mine.message, mine.vm.status, node_named(controller).occupants)


def test_a_started_one_stops_after_a_while() -> None:
    """Its VM shuts down 30 s after Started: Stopping, then Stopped."""
    controller = build_controller(WARM)
    strike(controller, "started", "{stop: true, after: 30s}")
    mine = start_instance(controller)
    expected = [(0.0, "Scheduling"), (21.0, "Started"), (51.0, "Stopping"), (56.0, "Stopped")]

    assert expected == ended(controller, mine)


def test_without_after_it_happens_at_once() -> None:
    """Fails in the moment in which it was Started."""
    controller = build_controller(WARM)
    strike(controller, "started", "{fail: panic}")

    assert [(0.0, "Scheduling"), (21.0, "Started"), (21.0, "Error")] == ended(controller, start_instance(controller))


def test_a_started_one_is_waited_for_no_longer() -> None:
    """It is Started, so settling does not wait for its failure an hour later."""
    controller = build_controller(WARM)
    strike(controller, "started", "{fail: panic, after: 1h}")
    mine = start_instance(controller)
    begin = controller.now
    time_control.settle(controller)

    assert ("Started", 21 * SECOND) == (mine.state, controller.now - begin)


def test_an_instance_that_a_scenario_starts_with_is_struck_too() -> None:
    """It counts as Started from the beginning."""
    controller = build_controller(
        WARM + "instances: [{template: mac, node: alpha}]\n"
        "faults: [{match: {event: started}, do: {fail: panic, after: 10s}}]\n"
    )
    (mine,) = controller.instances.values()
    pass_time(controller, 9.9)
    before = states(mine)
    pass_time(controller, 0.1)

    assert (["Started"], ["Error"]) == (before, states(mine))


def test_terminating_forestalls_a_failure() -> None:
    """Who is terminated before it would have failed is not in Error."""
    controller = build_controller(WARM)
    strike(controller, "started", "{fail: panic, after: 30s}")
    mine = started_at_once(controller)
    instances.terminate_instance(controller, mine.id)
    pass_time(controller, 40)

    assert ("Terminated", "") == (mine.state, mine.message)


def started_at_once(controller: Controller) -> Instance:
    mine = start_instance(controller)
    pass_time(controller, 21)
    assert "Started" == mine.state
    return mine


@pytest.mark.parametrize("do", ["{fail: panic, after: 30s}", "{stop: true, after: 30s}"])
def test_a_failure_on_a_lost_node_comes_with_its_return(do: str) -> None:
    """What a lost node would report is reported when it is back."""
    controller = build_controller(WARM)
    strike(controller, "started", do)
    mine = started_at_once(controller)
    lose_node(controller)
    pass_time(controller, 60)
    before = states(mine)
    restore_node(controller)
    pass_time(controller, 0)

    assert (["Started"], ["Error" if "fail" in do else "Stopping"]) == (before, states(mine))


# Terminating.


@pytest.mark.parametrize("times", [1, 3])
def test_a_request_to_terminate_is_ignored_so_often(times: int) -> None:
    """The first requests do nothing, the next one is obeyed."""
    controller = build_controller(WARM)
    limited(controller, times, "terminate", "{ignore: true}")
    mine = started_instance(controller)
    before = state_of(controller)
    for _ in range(times):
        instances.terminate_instance(controller, mine.id)

    assert before == state_of(controller)
    instances.terminate_instance(controller, mine.id)
    assert "Terminating" == mine.state


def test_a_confirmation_comes_late() -> None:
    """The node confirms 30 s later than it would."""
    controller = build_controller(WARM)
    strike(controller, "terminate", "{stall: true, for: 30s}")
    mine = started_instance(controller)
    instances.terminate_instance(controller, mine.id)
    pass_time(controller, 34.9)
    before = (states(mine), len(node_named(controller).occupants))
    pass_time(controller, 0.1)

    assert ((["Terminating"], 1), ["Terminated"]) == (before, states(mine))


@pytest.mark.parametrize("do", ["{stall: true}", "{stall: true, for: 2m}"])
def test_a_confirmation_that_does_not_come_in_time_is_done_without(do: str) -> None:
    """Nobody confirms: the instance is forgotten from Terminating, 60 s after the request, and its slot is free."""
    controller = build_controller(WARM)
    strike(controller, "terminate", do)
    mine = started_instance(controller)
    asked = controller.now
    instances.terminate_instance(controller, mine.id)
    pass_time(controller, 59.9)
    before = states(mine)
    pass_time(controller, 0.1)

    assert (["Terminating"], False, {}) == (before, mine.id in controller.instances, node_named(controller).occupants)
    assert (InstanceState.GONE, asked + 60 * SECOND) == (mine.state, mine.timeline[-1].since)


def test_a_held_confirmation_comes_when_the_rule_is_removed() -> None:
    """A rule that kept the node from confirming is removed: it confirms, as it would have."""
    controller = build_controller(WARM)
    rule = strike(controller, "terminate", "{stall: true}")
    mine = started_instance(controller)
    instances.terminate_instance(controller, mine.id)
    pass_time(controller, 20)
    lift(controller, rule)
    pass_time(controller, 5)

    assert "Terminated" == mine.state


HELD = {
    "schedule": WARM,
    "pull": COLD,
    "start": WARM,
}


@pytest.mark.parametrize("event", HELD)
def test_who_is_held_can_be_terminated(event: str) -> None:
    """DELETE is taken in every state; nothing of the hold is left, also not when the rule goes."""
    controller = build_controller(HELD[event])
    rule = strike(controller, event, "{stall: true}")
    mine = start_instance(controller)
    pass_time(controller, 30)
    instances.terminate_instance(controller, mine.id)
    lift(controller, rule)
    pass_time(controller, 10)

    assert ("Terminating" if event == "schedule" else "Terminated") == mine.state
    pass_time(controller, 100)
    assert ({}, {}) == (controller.instances, node_named(controller).occupants)


def test_a_held_push_can_be_terminated() -> None:
    """The request ends in error with the instance."""
    controller = build_controller(WARM)
    rule = strike(controller, "save_image", "{stall: true}")
    mine, made = pushing(controller)
    instances.terminate_instance(controller, mine.id)
    lift(controller, rule)
    pass_time(controller, 10)

    assert ("Terminated", "error", None) == (mine.state, made.status, made.stall)


# Held, and the node is lost or deleted.


@pytest.mark.parametrize(("event", "seconds"), [("pull", 35), ("start", 20)])
@pytest.mark.parametrize("when", ["away", "back"])
def test_a_held_one_on_a_node_that_was_lost_goes_on_when_let_go(event: str, seconds: float, when: str) -> None:
    """The rule removed while the node is away, or when it is back: it goes on, and is Started."""
    controller = build_controller(HELD[event])
    rule = strike(controller, event, "{stall: true}")
    mine = start_instance(controller)
    pass_time(controller, 30)
    lose_node(controller)
    pass_time(controller, 10)
    before = mine.progress(controller)
    if when == "away":
        lift(controller, rule)
    pass_time(controller, 40)
    assert before == mine.progress(controller)
    restore_node(controller)
    pass_time(controller, 0)
    assert before <= mine.progress(controller)
    if when == "back":
        lift(controller, rule)
        pass_time(controller, seconds - 0.1)
        assert "Started" != mine.state
        pass_time(controller, 0.1)
    else:
        pass_time(controller, 20)  # 40 s are gone already, in which the node went on unheard

    assert "Started" == mine.state


@pytest.mark.parametrize("event", ["pull", "start"])
@pytest.mark.parametrize("end", ["lost", "deleted"])
def test_a_held_one_is_error_with_its_node(event: str, end: str) -> None:
    """A node that is given up takes what is held with it; the rule's removal brings nothing back."""
    controller = build_controller(HELD[event])
    rule = strike(controller, event, "{stall: true, at: 40%}" if event == "pull" else "{stall: true}")
    mine = start_instance(controller)
    pass_time(controller, 30)
    before = mine.progress(controller)
    if end == "lost":
        lose_node(controller)
        pass_time(controller, 120)
    else:
        nodes.delete_node(controller, node_named(controller).id)
    lift(controller, rule)
    pass_time(controller, 100)

    assert ("Error", before, None) == (mine.state, mine.progress(controller), mine.stall)
    assert [] == list(fault_effects.describe_stalls(controller))


def test_a_held_delivery_fails_when_its_node_is_deleted() -> None:
    """A node that is no more will never deliver, whether a rule held it or not; its progress stays."""
    controller = build_controller(COLD)
    strike(controller, "distribute", "{stall: true, at: 40%}")
    made, delivery = sent(controller)
    pass_time(controller, 100)
    alpha = node_named(controller).id
    nodes.delete_node(controller, alpha)

    assert ("failed", "node alpha was deleted") == (delivery.stage, delivery.error)
    assert 0.4 == made.progress(controller, alpha)


def test_a_held_push_on_a_node_that_is_deleted_is_error() -> None:
    """Request and instance end with the node."""
    controller = build_controller(WARM)
    strike(controller, "save_image", "{stall: true}")
    mine, made = pushing(controller)
    nodes.delete_node(controller, node_named(controller).id)

    assert ("Error", "error", []) == (mine.state, made.status, list(fault_effects.describe_stalls(controller)))


def test_what_a_lost_node_had_pulled_already_is_pulled() -> None:
    """The registry goes down when a lost node's pull is through: that changes nothing any more."""
    controller = build_controller(COLD)
    mine = start_instance(controller)
    pass_time(controller, 3)
    lose_node(controller)
    pass_time(controller, 40)
    strike(controller, "begin", "{registry: down}")
    pass_time(controller, 1)
    restore_node(controller)
    pass_time(controller, 30)

    assert ("Started", "") == (mine.state, mine.message)


def test_an_orphan_waits_for_nothing() -> None:
    """Nobody is left to confirm that an instance of a deleted node ended, so it has no end of a phase before it."""
    controller = build_controller(WARM)
    mine = started_instance(controller)
    instances.terminate_instance(controller, mine.id)
    nodes.delete_node(controller, node_named(controller).id)

    assert ("Terminating", None) == (mine.state, mine.until)


# Vanishing.

VANISH_AT = {
    "schedule": (WARM, 1.0),
    "pull": (COLD, 1.0),
    "start": (WARM, 1.0),
    "started": (WARM, 21.0),
}


@pytest.mark.parametrize("event", VANISH_AT)
@pytest.mark.parametrize("after", [0, 7])
def test_an_instance_vanishes(event: str, after: int) -> None:
    """From one moment to the next nobody knows it, and its slot is free."""
    text, begins = VANISH_AT[event]
    controller = build_controller(text)
    strike(controller, event, f"{{vanish: true, after: {after}s}}")
    mine = start_instance(controller)
    if event == "schedule":
        begins = 0.0
    pass_time(controller, max(0.0, begins + after - 0.001))
    assert after == 0 or mine.id in controller.instances
    pass_time(controller, 0.001)

    assert mine.id not in controller.instances
    assert (InstanceState.GONE, {}) == (mine.state, node_named(controller).occupants)
    assert mine.id in controller.forgotten
    with pytest.raises(NotFound):
        instances.find_instance(controller, mine.id)
    pass_time(controller, 1000)
    assert mine.id not in controller.instances


@pytest.mark.parametrize("event", VANISH_AT)
def test_an_instance_is_out_of_sight_for_a_while(event: str) -> None:
    """Hidden it lives on, holds its slot, and is seen again; its life is what it would have been."""
    text, _ = VANISH_AT[event]
    plain = build_controller(text)
    expected = ended(plain, start_instance(plain))
    controller = build_controller(text)
    strike(controller, event, "{vanish: true, after: 1s, for: 30s}")
    mine = start_instance(controller)
    hidden = 0
    for _ in range(100):
        pass_time(controller, 1)
        hidden += mine.hidden
        if mine.hidden:
            with pytest.raises(NotFound):
                instances.find_instance(controller, mine.id)
            with pytest.raises(NotFound):
                instances.terminate_instance(controller, mine.id)

    assert (30, False) == (hidden, mine.hidden)
    assert expected == state_history(controller, mine)
    assert mine is instances.find_instance(controller, mine.id)


def vanish(controller: Controller, mine: Instance, lasts: int = 0) -> None:
    controller.schedule(controller.now, instances.InstanceVanished(mine.id, lasts))
    pass_time(controller, 0)


def brought_to(controller: Controller, state: InstanceState) -> Instance:
    """An instance in that state, halfway through it."""
    if state is InstanceState.SCHEDULING:
        return start_instance(controller)
    if state is InstanceState.PULLING:
        mine = start_instance(controller, "other")
        pass_time(controller, 5)
        return mine
    mine = started_instance(controller)
    if state is InstanceState.STOPPING or state is InstanceState.STOPPED:
        instances.stop_instance(controller, mine.id)
        pass_time(controller, 10 if state is InstanceState.STOPPED else 1)
    elif state is InstanceState.PUSHING:
        save_instance(controller, mine)
        pass_time(controller, 7)
    elif state is InstanceState.ERROR:
        failures.fail_instance(controller, mine, "x")
    elif state in (InstanceState.TERMINATING, InstanceState.TERMINATED):
        instances.terminate_instance(controller, mine.id)
        pass_time(controller, 10 if state is InstanceState.TERMINATED else 1)
    return mine


EVERY = [state for state in InstanceState if state is not InstanceState.GONE]
TWO = WARM.replace("nodes:", "  - {name: other, versions: [{tag: only, size: 9GB}]}\nnodes:")


@pytest.mark.parametrize("state", EVERY)
def test_it_may_vanish_in_every_state(state: InstanceState) -> None:
    """Whatever it was about to be does not happen any more, and nothing is left of it."""
    controller = build_controller(TWO)
    mine = brought_to(controller, state)
    assert state is mine.state
    vanish(controller, mine)

    assert ({}, [], {}) == (controller.instances, controller.waiting, node_named(controller).occupants)
    pass_time(controller, 1000)
    assert ({}, True) == (controller.instances, controller.idle)
    assert all(each.status == "error" for each in controller.save_images.values())


@pytest.mark.parametrize("state", EVERY)
def test_it_may_be_out_of_sight_in_every_state(state: InstanceState) -> None:
    """Hidden for a while, it goes through the same states at the same times."""
    plain = build_controller(TWO)
    expected = ended(plain, brought_to(plain, state))
    controller = build_controller(TWO)
    mine = brought_to(controller, state)
    vanish(controller, mine, 8 * SECOND)
    pass_time(controller, 400)

    assert expected == state_history(controller, mine)
    assert [] == [each for each in controller.instances.values() if each.hidden]


def test_the_next_push_begins_when_one_vanishes() -> None:
    """A request that waited for the push of an instance that vanished has its turn."""
    controller = build_controller(WARM)
    first, second = start_instances(controller, count=2)
    pass_time(controller, 100)
    save_instance(controller, first, tag="a")
    waiting = save_instance(controller, second, tag="b")
    pass_time(controller, 7)
    vanish(controller, first)
    pass_time(controller, 100)

    assert "done" == waiting.status


def test_an_instance_out_of_sight_still_stops() -> None:
    """One rule hides it, another lets its VM shut down: it is Stopped when it is seen again."""
    controller = build_controller(WARM)
    strike(controller, "start", "{vanish: true, after: 30s, for: 1m}")
    strike(controller, "started", "{stop: true, after: 20s}")
    mine = start_instance(controller)
    expected = [(0.0, "Scheduling"), (21.0, "Started"), (41.0, "Stopping"), (46.0, "Stopped")]

    assert expected == ended(controller, mine)


# Save image.


def test_a_push_fails_at_a_share_of_its_way() -> None:
    """The request is in error with the message, and the instance runs on."""
    controller = build_controller(WARM)
    _, expected = pushing(build_controller(WARM))
    assert expected.until is not None
    strike(controller, "save_image", "{fail: no route, at: 50%}")
    mine, made = pushing(controller)
    assert made.until is not None
    pushed_at = made.requested + 5 * SECOND

    assert (expected.until - pushed_at) // 2 == made.until - pushed_at
    pass_time(controller, 60)
    assert made.error is not None
    assert ("Started", "error", "no route") == (mine.state, made.status, made.error.message)
    assert 2 == len(template_named(controller).versions)


def test_a_push_stalls_for_a_while() -> None:
    """A stall comes on top of the push."""
    _, expected = pushing(build_controller(WARM))
    controller = build_controller(WARM)
    strike(controller, "save_image", "{stall: true, for: 30s}")
    _, made = pushing(controller)

    assert (expected.until or 0) + 30 * SECOND == made.until
    pass_time(controller, 100)
    assert "done" == made.status


def test_a_held_push_goes_on_when_the_rule_is_removed() -> None:
    """Held it stays pending, and the next request to its target waits; let go, both are done."""
    controller = build_controller(WARM)
    rule = limited(controller, 1, "save_image", "{stall: true}")
    first, second = start_instances(controller, count=2)
    pass_time(controller, 100)
    saves = [save_instance(controller, first, tag="a"), save_instance(controller, second, tag="b")]
    pass_time(controller, 1000)
    before = [each.status for each in saves]
    lift(controller, rule)
    pass_time(controller, 100)

    assert (["pending", "pending"], ["done", "done"]) == (before, [each.status for each in saves])


@pytest.mark.parametrize(("what", "message"), [("down", DOWN), ("full", "no space left on the registry")])
def test_a_push_begins_at_a_registry_in_trouble(what: str, message: str) -> None:
    """With the registry down or full when the push would begin, the request is in error, and the instance runs on."""
    controller = build_controller(WARM)
    mine, made = pushing(controller, 2)
    strike(controller, "begin", f"{{registry: {what}}}")
    pass_time(controller, 10)

    assert made.error is not None
    assert ("Started", message) == (mine.state, made.error.message)


@pytest.mark.parametrize(("what", "status"), [("down", "error"), ("full", "done")])
def test_a_registry_in_trouble_while_a_push_goes_on(what: str, status: str) -> None:
    """Down, it breaks the push off at once; full is found at the beginning of a push only."""
    controller = build_controller(WARM)
    mine, made = pushing(controller)
    strike(controller, "begin", f"{{registry: {what}}}")
    pass_time(controller, 0)

    assert ("error" if what == "down" else "pending") == made.status
    pass_time(controller, 30)
    assert status == made.status
    assert ("Started" if status == "error" else "gone") == mine.state


# Distributions.


def test_a_delivery_fails_at_a_share_of_its_way() -> None:
    """At 40% of the pull, with the message."""
    controller = build_controller(COLD)
    strike(controller, "distribute", "{fail: no, at: 40%}")
    made, delivery = sent(controller)
    pass_time(controller, 6.9)
    before = delivery.stage.value
    pass_time(controller, 0.1)

    assert ("pulling", "failed", "no") == (before, delivery.stage, delivery.error)
    assert 0.4 == made.progress(controller, node_named(controller).id)


def test_a_delivery_that_has_nothing_to_pull_fails_all_the_same() -> None:
    """The node has it all, and fails."""
    controller = build_controller(WARM)
    strike(controller, "distribute", "{fail: no, at: 40%}")
    _, delivery = sent(controller)
    pass_time(controller, 1)

    assert ("failed", "no") == (delivery.stage, delivery.error)


@pytest.mark.parametrize(("do", "seconds"), [("{stall: true, at: 40%, for: 30s}", 46), ("{bandwidth: 1Gbit/s}", 121)])
def test_a_delivery_takes_longer(do: str, seconds: float) -> None:
    """It rests, or is slow, and is done to the second."""
    controller = build_controller(COLD)
    strike(controller, "distribute", do)
    _, delivery = sent(controller)
    pass_time(controller, seconds - 0.1)
    before = delivery.stage.value
    pass_time(controller, 0.1)

    assert ("pulling", "done") == (before, delivery.stage)


def test_a_held_delivery_goes_on_when_the_rule_is_removed() -> None:
    """From 40% on, in the 9 s that are left; who waits for the same version does so with it."""
    controller = build_controller(COLD)
    rule = strike(controller, "distribute", "{stall: true, at: 40%}")
    made, delivery = sent(controller)
    pass_time(controller, 50)
    mine = start_instance(controller)
    pass_time(controller, 50)
    lift(controller, rule)

    assert [0.4, 0.4] == [mine.progress(controller), made.progress(controller, node_named(controller).id)]
    pass_time(controller, 8.9)
    assert "pulling" == delivery.stage
    pass_time(controller, 0.1)
    assert "done" == delivery.stage
    pass_time(controller, 20)
    assert "Started" == mine.state


def test_a_rule_for_pulls_strikes_at_a_delivery_too() -> None:
    """A distribution pulls; a rule for pulls means it as well."""
    controller = build_controller(COLD)
    strike(controller, "pull", "{fail: no}")
    _, delivery = sent(controller)
    pass_time(controller, 2)

    assert "no" == delivery.error


# Nodes.


@pytest.mark.parametrize(
    ("what", "state"),
    [
        ("offline", "Offline"),
        ("drain", "Drain Mode"),
        ("unhealthy", "Unhealthy"),
        ("updating", "Updating"),
        ("unlicensed", "Inactive (Invalid License)"),
        ("full", "Active"),
    ],
)
def test_a_node_turns_and_is_back(what: str, state: str) -> None:
    """It takes no work, shows its state, and takes work again when the time is over, to the second."""
    controller = build_controller(NEW + WARM)
    strike(controller, "begin", f"{{node: {what}, after: 10s, for: 5m}}")
    pass_time(controller, 10)
    mine = start_instance(controller)
    pass_time(controller, 299.9)

    assert (state, "Scheduling", None) == (condition(controller), mine.state, mine.node_id)
    assert mine.waits_for
    pass_time(controller, 0.1)
    assert ("Active", ["alpha"]) == (condition(controller), node_names(controller, mine))
    pass_time(controller, 20)
    assert "Started" == mine.state


@pytest.mark.parametrize("what", ["drain", "unhealthy", "updating", "unlicensed", "full"])
def test_what_runs_on_a_node_that_turns_runs_on(what: str) -> None:
    """Only new work is refused; a start that is under way goes on, too."""
    controller = build_controller(NEW + WARM)
    mine = started_instance(controller)
    booting = start_instance(controller)
    pass_time(controller, 5)
    strike(controller, "begin", f"{{node: {what}}}")
    pass_time(controller, 100)

    assert ["Started", "Started"] == states(mine, booting)


def test_a_full_node_is_full_of_vms_started_by_hand() -> None:
    """They take the slots that were free, and are gone when it is online again."""
    controller = build_controller(WARM)
    started_instance(controller)
    strike(controller, "begin", "{node: full, for: 1m}")
    pass_time(controller, 0)
    full = nodes.running_load(controller, node_named(controller)).vm_count
    pass_time(controller, 60)

    assert (2, 1) == (full, nodes.running_load(controller, node_named(controller)).vm_count)


def test_a_node_that_is_offline_too_long_takes_its_instances_with_it() -> None:
    """They are Error when the controller gives the node up; a short absence costs nothing."""
    for lasts, expected in (("30s", "Started"), ("10m", "Error")):
        controller = build_controller(WARM)
        mine = started_instance(controller)
        strike(controller, "begin", f"{{node: offline, for: {lasts}}}")
        pass_time(controller, 700)

        assert (expected, "Active") == (mine.state, condition(controller))


def test_a_rule_that_begins_means_the_nodes_it_names() -> None:
    """By name, by group, or all of them."""
    text = PAIR + "groups: [{name: mine, nodes: [beta]}]\n"
    for match, expected in (({"node": "alpha"}, [True, False]), ({"group": "mine"}, [False, True]), ({}, [True] * 2)):
        controller = build_controller(text)
        strike(controller, "begin", "{node: updating}", **match)
        pass_time(controller, 0)

        assert expected == [each.condition is NodeState.UPDATING for each in controller.nodes.values()]


@pytest.mark.parametrize(("event", "begins", "length"), [("pull", 1, 15), ("start", 1, 20)])
def test_a_node_turns_at_a_share_of_what_it_does(event: str, begins: float, length: float) -> None:
    """Offline at 40% of a pull or a boot: nothing more is heard of it until it is back."""
    controller = build_controller(HELD[event])
    limited(controller, 1, event, "{node: offline, at: 40%, for: 60s}")
    mine = start_instance(controller)
    pass_time(controller, begins + 0.4 * length - 0.001)
    before = node_named(controller).lost_at
    pass_time(controller, 0.001)
    lost = node_named(controller).lost_at
    pass_time(controller, 59)

    assert (None, controller.now - 59 * SECOND) == (before, lost)
    assert "Started" != mine.state
    assert (0.4 if event == "pull" else 0.0) == mine.progress(controller)
    pass_time(controller, 21)
    assert "Started" == mine.state


def test_a_node_turns_after_an_instance_started_on_it() -> None:
    """A rule that drains the node of whoever is Started."""
    controller = build_controller(NEW + PAIR)
    strike(controller, "started", "{node: drain, after: 10s, for: 1m}")
    mine = start_instance(controller)
    pass_time(controller, 31)

    assert (["alpha"], "Drain Mode", "Active") == (
        node_names(controller, mine),
        condition(controller),
        condition(controller, "beta"),
    )
    pass_time(controller, 60)
    assert ("Active", "Started") == (condition(controller), mine.state)


def test_a_node_that_is_deleted_does_not_come_back() -> None:
    """Its return is nobody's any more."""
    controller = build_controller(PAIR)
    strike(controller, "begin", "{node: offline, for: 1m}", node="alpha")
    pass_time(controller, 10)
    nodes.delete_node(controller, node_named(controller).id)
    pass_time(controller, 100)

    assert ["beta"] == [each.name for each in controller.nodes.values()]


# The registry and the licence.


def test_the_registry_goes_down_in_the_middle_of_a_pull() -> None:
    """The pull fails then, with the progress it had; when it is up again all is as before."""
    controller = build_controller(COLD)
    limited(controller, 1, "pull", "{registry: down, at: 40%, for: 1m}")
    mine = start_instance(controller)

    assert [(0.0, "Scheduling"), (1.0, "Pulling"), (7.0, "Error")] == ended(controller, mine, 66.9)
    assert (DOWN, 0.4, "down") == (mine.message, mine.progress(controller), controller.registry.state)
    pass_time(controller, 0.1)
    assert [(0.0, "Scheduling"), (1.0, "Pulling"), (16.0, "Scheduling"), (36.0, "Started")] == ended(
        controller, start_instance(controller)
    )


def test_a_full_registry_does_not_disturb_a_pull() -> None:
    """Nothing is pushed, so nothing fails."""
    controller = build_controller(COLD)
    strike(controller, "pull", "{registry: full, at: 40%}")

    assert [(0.0, "Scheduling"), (1.0, "Pulling"), (16.0, "Scheduling"), (36.0, "Started")] == ended(
        controller, start_instance(controller)
    )


def test_the_registry_goes_down_in_the_moment_a_pull_ends() -> None:
    """At 100% the pull is either through or broken off, and its instance with it; nothing is left over."""
    controller = build_controller(COLD)
    strike(controller, "pull", "{registry: down, at: 100%}")
    mine = start_instance(controller)
    pass_time(controller, 100)

    assert mine.state in (InstanceState.STARTED, InstanceState.ERROR)
    assert ({}, mine.state is InstanceState.STARTED) == (
        node_named(controller).pulls,
        version_ref(controller) in node_named(controller).cached,
    )


def test_what_is_cached_needs_no_registry() -> None:
    """A scheduled start of a cached template goes on while the registry is down."""
    controller = build_controller(WARM)
    mine = start_instance(controller)
    strike(controller, "begin", "{registry: down}")

    assert [(0.0, "Scheduling"), (21.0, "Started")] == ended(controller, mine)


def test_a_delivery_finds_the_registry_down() -> None:
    """It fails when the node takes its task."""
    controller = build_controller(COLD)
    _, delivery = sent(controller)
    strike(controller, "begin", "{registry: down}")
    pass_time(controller, 2)

    assert ("failed", DOWN) == (delivery.stage, delivery.error)


def test_the_licence_expires_and_is_renewed() -> None:
    """Nodes that were Active are unlicensed and start nothing; those in another state stay in it."""
    controller = build_controller(PAIR)
    nodes.set_node_state(controller, node_named(controller, "beta").id, NodeState.UPDATING)
    running = started_instance(controller)
    strike(controller, "begin", "{license: expired, after: 10s, for: 1h}")
    pass_time(controller, 10)
    mine = start_instance(controller)
    pass_time(controller, 3599)

    assert ["Inactive (Invalid License)", "Updating"] == [condition(controller), condition(controller, "beta")]
    assert ["Started", "Scheduling"] == states(running, mine)
    pass_time(controller, 1)
    assert ["Active", "Updating"] == [condition(controller), condition(controller, "beta")]


def test_settling_waits_for_a_licence_that_is_renewed() -> None:
    """Somebody waits for it, so it brings something on its way."""
    controller = build_controller(WARM)
    strike(controller, "begin", "{license: expired, for: 1h}")
    pass_time(controller, 1)
    mine = start_instance(controller)
    time_control.settle(controller)

    assert "Started" == mine.state


# Settling.

NEVER = {
    "schedule": WARM,
    "pull": COLD,
    "start": WARM,
    "save_image": WARM,
    "distribute": COLD,
}


@pytest.mark.parametrize("event", NEVER)
def test_settling_that_would_never_end_says_so_and_changes_nothing(event: str) -> None:
    """Never names what is held and by which rule; time, life, rules and counts are as they were."""
    controller = build_controller(NEVER[event])
    rule = strike(controller, event, "{stall: true}")
    if event == "save_image":
        _, made = pushing(controller, 1)
        named = made.id
    elif event == "distribute":
        named = sent(controller)[0].id
    else:
        named = start_instance(controller).id
    before = copy.deepcopy(whole(controller))
    with pytest.raises(time_control.Never) as never:
        time_control.settle(controller)

    assert "it would never be idle" in str(never.value)
    assert named in str(never.value)
    assert rule.id in str(never.value)
    assert before == whole(controller)
    fault_effects.remove_rule(controller, rule.id)
    time_control.settle(controller)
    assert controller.idle


def test_settling_past_a_hold_that_ends_by_itself_is_fine() -> None:
    """A held boot on a node that is given up is Error, so nothing is held in the end."""
    controller = build_controller(WARM)
    strike(controller, "start", "{stall: true}")
    mine = start_instance(controller)
    pass_time(controller, 10)
    lose_node(controller)
    time_control.settle(controller)

    assert "Error" == mine.state


def test_settling_names_everything_that_is_held() -> None:
    """Two rules, two holds, one message."""
    controller = build_controller(PAIR)
    limited(controller, 1, "schedule", "{stall: true}")
    strike(controller, "start", "{stall: true}")
    mine, other = start_instances(controller, count=2)
    with pytest.raises(time_control.Never) as never:
        time_control.settle(controller)

    assert [True] * 4 == [word in str(never.value) for word in (mine.id, other.id, "fault-1", "fault-2")]


def test_held_says_at_which_share() -> None:
    """A pull's hold names the share at which it stands, a distribution's the node."""
    controller = build_controller(COLD)
    strike(controller, "distribute", "{stall: true, at: 40%}")
    made, _ = sent(controller)
    pass_time(controller, 5)
    mine = start_instance(controller)
    pass_time(controller, 5)

    assert [
        f"the pull of instance {mine.id} is held at 40% by fault-1",
        f"distribution {made.id} to node {node_named(controller).id} is held by fault-1",
    ] == [text for _, text in fault_effects.describe_stalls(controller)]


def test_removing_a_rule_that_holds_nothing_changes_nothing_else() -> None:
    """Only the rule is gone."""
    controller = build_controller(WARM)
    rule = strike(controller, "pull", "{stall: true}")
    start_instance(controller)
    pass_time(controller, 5)
    before = state_of(controller)
    lift(controller, rule)

    assert (before, 0) == (state_of(controller), len(controller.faults))


# Monitored startup scripts.

MONITORED = NEW + WARM + "scripts: [{match: fail, return_code: 3, stderr: boom, takes: 4s}]\n"


def monitored(controller: Controller, **wanted: Any) -> Instance:
    return start_instance(controller, startup_script=FAIL, script_monitoring=True, **wanted)


def test_a_monitored_script_that_succeeds_delays_started() -> None:
    """The boot and the script, 20 s and 4 s; what it left is kept."""
    controller = build_controller(MONITORED.replace("return_code: 3", "return_code: 0"))
    mine = monitored(controller)

    assert [(0.0, "Scheduling"), (25.0, "Started")] == ended(controller, mine)
    assert ScriptResult(0, stderr="boom") == mine.script


@pytest.mark.parametrize(
    ("handler", "status", "slots"), [(0, "stopped", 0), (1, "running", 1), (2, "deleted", 0)], ids=str
)
def test_a_monitored_script_that_fails_is_error(handler: int, status: str, slots: int) -> None:
    """Error with the exit code; the VM is stopped, kept running in its slot, or deleted."""
    controller = build_controller(MONITORED)
    mine = monitored(controller, script_fail_handler=handler)

    assert [(0.0, "Scheduling"), (25.0, "Error")] == ended(controller, mine)
    assert "startup script exit code 3" == mine.message
    assert slots == len(node_named(controller).occupants)
    assert slots == nodes.running_load(controller, node_named(controller)).vm_count
    assert status == (mine.vm.status if mine.vm else "deleted")
    instances.terminate_instance(controller, mine.id)
    pass_time(controller, 100)
    assert ({}, {}) == (controller.instances, node_named(controller).occupants)


def test_a_monitored_script_has_its_time() -> None:
    """Past its timeout it is ended with -1."""
    controller = build_controller(MONITORED)
    mine = monitored(controller, script_timeout=2 * SECOND)

    assert [(0.0, "Scheduling"), (23.0, "Error")] == ended(controller, mine)
    assert (ScriptResult(-1, True, "", "boom"), "startup script exit code -1") == (mine.script, mine.message)


def test_a_script_that_is_not_monitored_is_not_heard_of() -> None:
    """Started after the boot; nothing is kept."""
    controller = build_controller(MONITORED)
    mine = start_instance(controller, startup_script=FAIL)

    assert ([(0.0, "Scheduling"), (21.0, "Started")], None) == (ended(controller, mine), mine.script)


@pytest.mark.parametrize("code", [0, 7])
def test_a_rule_decides_how_a_script_ends(code: int) -> None:
    """Its exit code, stdout and stderr are the rule's, its time its own."""
    controller = build_controller(MONITORED)
    strike(controller, "script", f"{{exit: {code}, stdout: out, stderr: err}}")
    mine = monitored(controller)

    assert [(0.0, "Scheduling"), (25.0, "Error" if code else "Started")] == ended(controller, mine)
    assert ScriptResult(code, stdout="out", stderr="err") == mine.script


def test_a_rule_lets_a_script_time_out() -> None:
    """It takes all the time it has, 90 s unless the request says, and ends with -1."""
    controller = build_controller(MONITORED)
    strike(controller, "script", "{timeout: true, stdout: half}")
    mine = monitored(controller)

    assert [(0.0, "Scheduling"), (111.0, "Error")] == ended(controller, mine)
    assert ScriptResult(-1, True, "half") == mine.script


def test_a_rule_strikes_at_the_script_of_a_save_image_request() -> None:
    """It is a script as any; what it left is the request's."""
    controller = build_controller(MONITORED)
    strike(controller, "script", "{exit: 9, stderr: err}")
    made = save_instance(controller, started_instance(controller), script=FAIL)
    pass_time(controller, 1)

    assert ScriptResult(9, stderr="err") == made.script_result


def test_a_stall_holds_the_script_with_the_boot() -> None:
    """Both are one phase, which is held, and let go."""
    controller = build_controller(MONITORED.replace("return_code: 3", "return_code: 0"))
    rule = strike(controller, "start", "{stall: true}")
    mine = monitored(controller)
    pass_time(controller, 1000)
    lift(controller, rule)
    pass_time(controller, 23.9)
    before = states(mine)
    pass_time(controller, 0.1)

    assert (["Scheduling"], ["Started"]) == (before, states(mine))


def test_a_failed_script_is_not_tried_again() -> None:
    """The VM was up: a retry is for starts that failed."""
    controller = build_controller(MONITORED.replace("release: 1.32.0", "release: 1.32.0, retries: 3"))

    assert [(0.0, "Scheduling"), (25.0, "Error")] == ended(controller, monitored(controller))


def test_a_scenario_cannot_monitor_scripts_before_the_release_that_does() -> None:
    """At 1.8.0 nobody hears of a script's end, also of one that a scenario has monitored."""
    controller = build_controller(
        "controller: {release: 1.8.0}\n"
        + WARM
        + f"instances: [{{template: mac, startup_script: {FAIL}, script_monitoring: true}}]\n"
        + "scripts: [{match: fail, return_code: 3}]\n"
    )
    (mine,) = controller.instances.values()
    pass_time(controller, 100)

    assert "Started" == mine.state


# Rules in general.


def test_rules_strike_only_whom_they_mean() -> None:
    """By name, template, node and so on; the others live as ever."""
    controller = build_controller(PAIR)
    strike(controller, "start", "{fail: no}", name="mine")
    mine, other = start_instance(controller, name="mine"), start_instance(controller, name="other")
    pass_time(controller, 100)

    assert ["Error", "Started"] == states(mine, other)


def test_one_event_is_struck_by_one_rule() -> None:
    """The first that fires decides; the next has its turn at the next instance."""
    controller = build_controller(WARM)
    first = limited(controller, 1, "start", "{fail: first}")
    second = strike(controller, "start", "{fail: second}")
    mine, other = start_instances(controller, count=2)
    pass_time(controller, 100)

    assert ["first", "second"] == [mine.message, other.message]
    assert ((2, 1), (1, 1)) == ((first.matched, first.applied), (second.matched, second.applied))


def test_a_rule_is_asked_once_for_each_pull() -> None:
    """Who joins a pull, and who has it cached, asks nothing."""
    controller = build_controller(COLD.replace("capacity: 2", "capacity: 5"))
    rule = strike(controller, "pull", "{bandwidth: 8Gbit/s}")
    start_instances(controller, count=3)
    pass_time(controller, 100)
    start_instances(controller, count=2)
    pass_time(controller, 100)

    assert (1, 1) == (rule.matched, rule.applied)


def test_what_a_rule_has_done_stays_done() -> None:
    """A rule that was removed neither heals a node nor takes back what it has in store."""
    controller = build_controller(WARM)
    rule = strike(controller, "started", "{fail: panic, after: 30s}")
    mine = started_at_once(controller)
    lift(controller, rule)

    assert (51.0, "Error") == ended(controller, mine)[-1]


def test_every_blow_is_told() -> None:
    """The log says which rule struck at what, and what was let go."""
    controller = build_controller(WARM)
    rule = strike(controller, "start", "{stall: true}")
    start_instance(controller)
    pass_time(controller, 5)
    lift(controller, rule)

    assert (1, 1, 1) == tuple(count_log_entries(controller, what) for what in ("fault", "let go", "fault removed"))


def test_a_disk_that_is_full_uses_the_retries_too() -> None:
    """No room on one node, room on the other: the second one starts it."""
    controller = build_controller(RETRY + COLD_PAIR.replace("alpha, capacity: 1", "alpha, capacity: 1, disk: 70GB"))
    mine = start_instance(controller)
    pass_time(controller, 100)

    assert (["Started"], ["beta"], 1) == (
        states(mine),
        node_names(controller, mine),
        count_log_entries(controller, "start retried"),
    )


def test_disk_grows_with_a_held_pull_and_no_further() -> None:
    """At 40% of 15 GB, 6 GB are on the disk, however long it is held."""
    controller = build_controller(COLD)
    strike(controller, "pull", "{stall: true, at: 40%}")
    start_instances(controller)
    pass_time(controller, 100)

    assert 6_000_000_000 == pulls.disk_used(controller, node_named(controller), controller.now)


# Turns that end, and what they leave alone.


def test_the_end_of_one_turn_leaves_another_alone() -> None:
    """A node that is offline for ten minutes is not back when a minute of Updating is over."""
    controller = build_controller(WARM + NEW)
    strike(controller, "begin", "{node: offline, for: 10m}")
    strike(controller, "begin", "{node: updating, after: 1m, for: 1m}")
    pass_time(controller, 130)
    lost = node_named(controller).lost_at
    pass_time(controller, 480)

    assert lost is not None
    assert (None, NodeState.ACTIVE) == (node_named(controller).lost_at, node_named(controller).condition)


def test_a_renewed_licence_leaves_nodes_alone_that_it_had_not_struck() -> None:
    """Who was unlicensed by hand stays so."""
    controller = build_controller(PAIR)
    nodes.override_node(controller, node_named(controller, "beta").id, "unlicensed")
    strike(controller, "begin", "{license: expired, for: 1m}")
    pass_time(controller, 61)

    assert [NodeState.ACTIVE, NodeState.UNLICENSED] == [each.condition for each in controller.nodes.values()]


SHOWN = {
    "offline": "Offline",
    "drain": "Drain Mode",
    "unhealthy": "Unhealthy",
    "updating": "Updating",
    "unlicensed": "Inactive (Invalid License)",
}


def shows(controller: Controller, what: str) -> bool:
    """Whether the first node is what a rule made of it."""
    return bool(node_named(controller).manual_vms) if what == "full" else condition(controller) == SHOWN[what]


@pytest.mark.parametrize("what", [*SHOWN, "full"])
@pytest.mark.parametrize(
    ("first", "second", "ends"),
    [
        ("for: 10m", "after: 5m, for: 1h", 65),
        ("for: 1h", "after: 5m, for: 10m", 60),
        ("for: 10m", "after: 10m, for: 1m", 11),
    ],
)
def test_what_two_rules_make_of_a_node_lasts_until_both_are_over(what: str, first: str, second: str, ends: int) -> None:
    """It is back at the later of the two ends, and not before, whichever rule began first."""
    controller = build_controller(NEW + WARM)
    for each in (first, second):
        strike(controller, "begin", f"{{node: {what}, {each}}}")
    pass_time(controller, ends * 60 - 1)
    before = shows(controller, what)
    pass_time(controller, 1)

    assert (True, False) == (before, shows(controller, what))
    assert (True, 0) == (node_named(controller).takes_work, node_named(controller).manual_vms)


@pytest.mark.parametrize("what", [*SHOWN, "full"])
@pytest.mark.parametrize(
    "order", [("for: 10m", "after: 5m"), ("for: 1h", "after: 5m"), ("after: 1s", "after: 5m, for: 10m")]
)
def test_what_a_rule_makes_of_a_node_for_good_no_other_rule_ends(what: str, order: tuple[str, str]) -> None:
    """One of the two has no end: a day later it is still so, by a dump as well, until the node is online by hand."""
    controller = build_controller(NEW + WARM)
    for each in order:
        strike(controller, "begin", f"{{node: {what}, {each}}}")
    pass_time(controller, 360)
    copied = reload(controller)
    for each in (controller, copied):
        pass_time(each, 24 * 3600)

        assert shows(each, what)
        nodes.override_node(each, node_named(each).id, "online")
        assert not shows(each, what)
        assert {} == node_named(each).overrides


def test_a_state_that_comes_to_its_end_shows_the_one_below_it() -> None:
    """Unlicensed for a while in an hour of Updating: Updating again, then Active."""
    controller = build_controller(WARM)
    strike(controller, "begin", "{node: updating, for: 1h}")
    strike(controller, "begin", "{node: unlicensed, after: 10m, for: 10m}")
    seen = []
    for seconds in (660, 600, 2340):
        pass_time(controller, seconds)
        seen.append(condition(controller))

    assert ["Inactive (Invalid License)", "Updating", "Active"] == seen


@pytest.mark.parametrize("given", ["state: Updating", "state: Offline", "by_hand: 1"])
def test_what_a_node_is_from_the_beginning_no_rule_ends(given: str) -> None:
    """The scenario says so, and a rule that makes the same of it for a minute is over in a minute."""
    what = {"state: Updating": "updating", "state: Offline": "offline", "by_hand: 1": "full"}[given]
    controller = build_controller(WARM.replace("capacity: 2", f"capacity: 2, {given}"))
    strike(controller, "begin", f"{{node: {what}, for: 1m}}")
    pass_time(controller, 120)

    assert shows(controller, what)


def test_an_end_that_was_overtaken_by_hand_ends_nothing_later() -> None:
    """Online by hand, then Updating anew: the first rule's end is nobody's any more."""
    controller = build_controller(WARM)
    strike(controller, "begin", "{node: updating, for: 10m}")
    pass_time(controller, 60)
    nodes.override_node(controller, node_named(controller).id, "online")
    strike(controller, "begin", "{node: updating, for: 1h}")
    pass_time(controller, 1200)

    assert "Updating" == condition(controller)


def test_an_end_that_was_put_off_is_not_waited_for() -> None:
    """A node that is offline for good by one rule does not come back by another, so settling does not wait for it."""
    controller = build_controller(WARM)
    strike(controller, "begin", "{node: offline, for: 1h}")
    strike(controller, "begin", "{node: offline}")
    start_instance(controller)
    pass_time(controller, 200)
    before = controller.now
    time_control.settle(controller)

    assert before == controller.now


@pytest.mark.parametrize(
    ("first", "second", "seen"),
    [
        ("{registry: down, for: 10m}", "{registry: down, after: 5m}", ["down", "down", "down"]),
        ("{registry: down, for: 10m}", "{registry: full, after: 5m, for: 1h}", ["down", "full", "up"]),
        ("{registry: full, for: 2h}", "{registry: down, after: 5m, for: 5m}", ["down", "full", "full"]),
        ("{registry: down, for: 1h}", "{registry: down, after: 5m, for: 1m}", ["down", "down", "up"]),
    ],
)
def test_what_rules_make_of_the_registry_lasts_as_long_as_one_wants_it(
    first: str, second: str, seen: list[str]
) -> None:
    """After 6, 12 and 70 minutes, with a dump in between: nothing is lifted by the end of something else."""
    controller = build_controller(COLD)
    for each in (first, second):
        strike(controller, "begin", each)
    states = []
    for minutes in (6, 6, 58):
        pass_time(controller, minutes * 60)
        states.append(controller.registry.state)
        controller = reload(controller)

    assert seen == states


@pytest.mark.parametrize(
    ("first", "second", "seen"),
    [
        ("for: 10m", "after: 5m, for: 1h", [False, False, True]),
        ("for: 10m", "after: 5m", [False, False, False]),
        ("for: 1h", "after: 5m, for: 1m", [False, False, True]),
    ],
)
def test_a_licence_that_expired_twice_is_renewed_once(first: str, second: str, seen: list[bool]) -> None:
    """After 6, 12 and 70 minutes, with a dump in between: nodes are Active when no rule wants it expired."""
    controller = build_controller(PAIR)
    for each in (first, second):
        strike(controller, "begin", f"{{license: expired, {each}}}")
    active = []
    for minutes in (6, 6, 58):
        pass_time(controller, minutes * 60)
        active.append(condition(controller) == "Active")
        assert condition(controller) == condition(controller, "beta")
        controller = reload(controller)

    assert seen == active


def test_a_node_that_was_updated_while_the_licence_was_expired_is_unlicensed() -> None:
    """It becomes Active when the licence is renewed, and not before."""
    controller = build_controller(WARM)
    strike(controller, "begin", "{node: updating, for: 5m}")
    strike(controller, "begin", "{license: expired, after: 1m, for: 10m}")
    seen = []
    for seconds in (120, 240, 360):
        pass_time(controller, seconds)
        seen.append(condition(controller))

    assert ["Updating", "Inactive (Invalid License)", "Active"] == seen


def test_a_full_node_is_full_in_every_slot() -> None:
    """A node of three slots, one of them taken: two VMs are started by hand."""
    controller = build_controller(WARM.replace("capacity: 2", "capacity: 3"))
    started_instance(controller)
    strike(controller, "begin", "{node: full}")
    pass_time(controller, 0)

    assert (3, 2) == (
        nodes.running_load(controller, node_named(controller)).vm_count,
        node_named(controller).manual_vms,
    )


def test_a_node_that_is_full_for_a_while_takes_work_again() -> None:
    """What was started by hand is gone then, and nothing else has changed."""
    controller = build_controller(WARM)
    strike(controller, "begin", "{node: full, for: 1m}")
    waiting = start_instance(controller)
    pass_time(controller, 30)
    before = waiting.state
    pass_time(controller, 60)

    assert (InstanceState.SCHEDULING, InstanceState.STARTED) == (before, waiting.state)


def test_a_pull_of_nothing_may_rest() -> None:
    """A version without bytes that a fault rests is Pulling for that long, and then goes on."""
    controller = build_controller("templates: [{name: mac, versions: [{tag: v, size: 0}]}]\nnodes: [{name: alpha}]\n")
    strike(controller, "pull", "{stall: true, at: 10%, for: 20m}")
    mine = start_instance(controller)
    pass_time(controller, 5)
    resting = (mine.state, mine.progress(controller))
    pass_time(controller, 1300)

    assert (InstanceState.PULLING, 0.1) == resting
    assert InstanceState.STARTED == mine.state


def test_a_retry_stands_in_the_timeline() -> None:
    """With what failed."""
    controller = build_controller(PAIR + RETRY)
    limited(controller, 1, "start", "{fail: boom}")
    mine = start_instance(controller)
    pass_time(controller, 60)

    assert ["requested", "start failed, and is tried again: boom", "VM is up"] == [stay.cause for stay in mine.timeline]


def test_settling_at_the_end_of_time_changes_nothing() -> None:
    """What would come after the year 9000 never comes, and that is said."""
    controller = build_controller(COLD + "clock: {start: '8999-12-31T23:59:59Z'}\n")
    start_instance(controller)
    before = copy.deepcopy(whole(controller))
    with pytest.raises(time_control.Never, match="beyond the year 9000"):
        time_control.settle(controller)

    assert before == whole(controller)


def test_why_a_held_push_waits_is_told() -> None:
    """By its instance, whose wait for an end names the fault."""
    controller = build_controller(WARM)
    mine = started_instance(controller)
    strike(controller, "save_image", "{stall: true}")
    save_instance(controller, mine, tag="x")
    pass_time(controller, 60)
    with pytest.raises(time_control.Never, match=r"is held by fault-1"):
        time_control.wait_for(controller, mine.id, InstanceState.TERMINATED)


def test_the_time_of_the_last_update_does_not_fall_with_a_retry() -> None:
    """An instance that boots shows its node's heartbeat; that the boot fails is later news than that."""
    controller = build_controller("controller: {retries: 1}\n" + PAIR)
    mine = start_instance(controller)
    pass_time(controller, 18)
    before = mine.updated(controller)
    failures.fail_start(controller, mine, "no hypervisor")

    assert mine.failed_on
    assert before <= mine.updated(controller)
