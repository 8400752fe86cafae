"""The simulator: options given at the start beat every scenario and outlive every reset."""

from mockanka.core.release import Release
from mockanka.scenario import Options, Scenario, dump
from mockanka.simulator.simulator import Simulator
from mockanka.units import SECOND

OPINIONATED = Scenario.from_yaml(
    "controller: {release: 1.20.0}\nseed: 99\nclock: {mode: real, speed: 5, step: 1m, start: 2020-01-01T00:00:00Z}"
)
OPTIONS = Options(seed=7, release=Release(1, 43, 0), clock="manual", speed=2.0, step=9 * SECOND)


def given(simulator: Simulator) -> Options:
    controller = simulator.controller
    clock = controller.clock
    return Options(controller.seed, controller.release, clock.mode, clock.speed, clock.step)


def test_options_outlive_a_reset() -> None:
    """A reset begins with the same options."""
    simulator = Simulator(OPINIONATED, OPTIONS)
    simulator.reset()

    assert OPTIONS == given(simulator)


def test_options_outlive_another_scenario() -> None:
    """Another scenario, whatever it says, begins with the options given at the start."""
    simulator = Simulator(Scenario.named("default"), OPTIONS)
    simulator.reset(OPINIONATED)

    assert OPTIONS == given(simulator)


def test_a_seed_given_to_a_reset_counts_once() -> None:
    """A seed that comes with a reset beats the option for this time; the next reset is back at the option."""
    simulator = Simulator(OPINIONATED, OPTIONS)
    simulator.reset(seed=3)
    once = simulator.controller.seed
    simulator.reset()

    assert (3, 7) == (once, simulator.controller.seed)


def test_a_scenario_rules_where_there_are_no_options() -> None:
    """Without options each scenario has its own say."""
    simulator = Simulator(Scenario.named("default"))
    simulator.reset(OPINIONATED)

    assert Options(99, Release(1, 20, 0), "real", 5.0, 60 * SECOND) == given(simulator)


def test_a_reset_leaves_nothing_behind() -> None:
    """After a reset everything is as it was at the start, log and all."""
    simulator = Simulator(Scenario.named("busy"), Options(clock="manual"))
    before = dump(simulator.controller)
    simulator.controller.clock.advance(100 * SECOND)
    simulator.controller.advance()
    simulator.reset()

    assert before == dump(simulator.controller)
    assert 0 == simulator.controller.log.count


def test_the_last_scenario_is_the_one_a_reset_goes_back_to() -> None:
    """A reset without a scenario begins with the one that was loaded last."""
    simulator = Simulator(Scenario.named("default"), Options(clock="manual"))
    simulator.reset(Scenario.named("fleet"))
    simulator.reset()

    assert 100 == len(simulator.controller.nodes)


def test_who_holds_the_controller_holds_the_new_one() -> None:
    """The application answers from the new world, and never from answers of the old one."""
    simulator = Simulator(Scenario.named("default"), Options(clock="manual"))
    client = simulator.app.test_client()
    before = client.get("/api/v1/vm").data
    simulator.reset(Scenario.named("empty"))
    empty = client.get("/api/v1/vm").get_json()["body"]
    simulator.reset(Scenario.named("default"))

    assert [] == empty
    assert before == client.get("/api/v1/vm").data
