"""Fault rules of the options, beside a scenario, a dump or another release."""

from __future__ import annotations

import pytest

from mockanka.core.release import Release
from mockanka.scenario import Options, Scenario, ScenarioError, dump
from mockanka.scenario.options import read_fault_options

OFFLINE = "{match: {event: begin, node: mini-01}, do: {node: drain, after: 1m}}"
FAILING = "{match: {event: start}, do: {fail: no VM}, probability: 0.5}"


def options_of(*texts: str, release: Release | None = None) -> Options:
    """Return options with rules."""
    return Options(
        clock="manual",
        faults=[option for text in texts for option in read_fault_options(text, "fault")],
        release=release,
    )


def test_a_rule_that_begins_is_applied() -> None:
    """A node is overridden as a rule of the scenario would override it."""
    controller = Scenario.named("default").controller(options_of(OFFLINE))
    controller.clock.advance(2 * 60 * 10**9)
    controller.advance()

    assert ["Drain Mode", "Active"] == [node.state(controller.now).value for node in controller.nodes.values()]


def test_a_dump_that_has_the_rules_keeps_their_counts() -> None:
    """The dump of a controller with options can be loaded with the same options: no rule is added again."""
    options = options_of(OFFLINE, FAILING)
    controller = Scenario.named("default").controller(options)
    next(iter(controller.faults)).matched = 7
    dumped = dump(controller)
    loaded = Scenario.from_data(dumped).controller(options)

    assert [("option-1", 7), ("option-2", 0)] == [(rule.id, rule.matched) for rule in loaded.faults]
    assert dumped == dump(loaded)


def test_a_dump_without_the_rules_gets_them() -> None:
    """Rules of the options are in force whatever is loaded, and begin then."""
    dumped = dump(Scenario.named("default").controller(Options(clock="manual")))
    loaded = Scenario.from_data(dumped).controller(options_of(OFFLINE))
    loaded.clock.advance(2 * 60 * 10**9)
    loaded.advance()

    assert ["option-1"] == [rule.id for rule in loaded.faults]
    assert "Drain Mode" in [node.state(loaded.now).value for node in loaded.nodes.values()]


def test_the_next_rule_is_numbered_as_without_options() -> None:
    """Rules of the scenario keep their ids, by which is drawn whether they fire."""
    controller = Scenario.from_yaml(f"faults: [{FAILING}]").controller(options_of("{do: {status: 503}}"))

    assert ["option-1", "fault-1"] == [rule.id for rule in controller.faults]
    assert "fault-2" == controller.faults.next_id()


def test_a_rule_that_the_release_does_not_know_is_refused() -> None:
    """The error names the option, not the scenario."""
    with pytest.raises(ScenarioError, match=r"^fault: do\.node: "):
        Scenario.named("default").controller(options_of(OFFLINE, release=Release.parse("1.8.0")))
