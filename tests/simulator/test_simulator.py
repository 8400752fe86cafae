"""The simulator: its options take precedence over every scenario, and outlive every reset."""

import pytest

from mockanka.core.release import Release
from mockanka.scenario import Options, Scenario, ScenarioError, dump
from mockanka.simulator.simulator import Simulator
from mockanka.units import SECOND

OPINIONATED = Scenario.from_yaml(
    "controller: {release: 1.20.0}\nseed: 99\nclock: {mode: real, speed: 5, step: 1m, start: 2020-01-01T00:00:00Z}"
)
OPTIONS = Options(seed=7, release=Release(1, 43, 0), clock="manual", speed=2.0, step=9 * SECOND)


def options_in_force(simulator: Simulator) -> Options:
    """Return the options that the controller and its clock have now."""
    controller = simulator.controller
    clock = controller.clock
    return Options(controller.seed, controller.release, clock.mode, clock.speed, clock.step)


def test_options_outlive_a_reset() -> None:
    """A reset begins with the same options."""
    simulator = Simulator(OPINIONATED, OPTIONS)
    simulator.reset()

    assert OPTIONS == options_in_force(simulator)


def test_options_outlive_another_scenario() -> None:
    """Another scenario, whatever it has, begins with the options of the simulator."""
    simulator = Simulator(Scenario.named("default"), OPTIONS)
    simulator.reset(OPINIONATED)

    assert OPTIONS == options_in_force(simulator)


def test_the_seed_of_a_reset_applies_once() -> None:
    """The seed of a reset takes precedence over the option; the next reset has the option again."""
    simulator = Simulator(OPINIONATED, OPTIONS)
    simulator.reset(seed=3)
    seed = simulator.controller.seed
    simulator.reset()

    assert (3, 7) == (seed, simulator.controller.seed)


def test_a_scenario_decides_without_options() -> None:
    """Without options the release, seed and clock are those of the scenario."""
    simulator = Simulator(Scenario.named("default"))
    simulator.reset(OPINIONATED)

    assert Options(99, Release(1, 20, 0), "real", 5.0, 60 * SECOND) == options_in_force(simulator)


def test_a_reset_leaves_nothing_behind() -> None:
    """After a reset the state is that of the start, and the log is empty."""
    simulator = Simulator(Scenario.named("busy"), Options(clock="manual"))
    before = dump(simulator.controller)
    simulator.controller.clock.advance(100 * SECOND)
    simulator.controller.advance()
    simulator.reset()

    assert before == dump(simulator.controller)
    assert 0 == simulator.controller.log.count


def test_a_reset_goes_back_to_the_last_scenario() -> None:
    """A reset without a scenario begins with the one that was loaded last."""
    simulator = Simulator(Scenario.named("default"), Options(clock="manual"))
    simulator.reset(Scenario.named("fleet"))
    simulator.reset()

    assert 100 == len(simulator.controller.nodes)


def test_the_application_answers_from_the_new_state() -> None:
    """After a reset no response is one of the state before."""
    simulator = Simulator(Scenario.named("default"), Options(clock="manual"))
    client = simulator.app.test_client()
    before = client.get("/api/v1/vm").data
    simulator.reset(Scenario.named("empty"))
    empty = client.get("/api/v1/vm").get_json()["body"]
    simulator.reset(Scenario.named("default"))

    assert [] == empty
    assert before == client.get("/api/v1/vm").data


def test_fault_rules_that_are_refused_do_not_count() -> None:
    """If one of a list is invalid none is added, and the next rule has the id that the first would have had."""
    simulator = Simulator(Scenario.named("default"), Options(clock="manual"))
    with pytest.raises(ScenarioError):
        simulator.add_faults([{"do": {"status": 500}}, {"do": {"nothing": 1}}])
    left = list(simulator.controller.faults)
    (rule,) = simulator.add_faults([{"do": {"status": 500}}])

    assert ([], "fault-1") == (left, rule.id)
