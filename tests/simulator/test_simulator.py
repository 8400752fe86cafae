"""The house: options given at the start beat every scenario and outlive every reset."""

from mockanka.core.release import Release
from mockanka.scenario import Options, Scenario, dump
from mockanka.simulator.simulator import Simulator
from mockanka.units import SECOND

OPINIONATED = Scenario.from_yaml(
    "controller: {release: 1.20.0}\nseed: 99\nclock: {mode: real, speed: 5, step: 1m, start: 2020-01-01T00:00:00Z}"
)
OPTIONS = Options(seed=7, release=Release(1, 43, 0), clock="manual", speed=2.0, step=9 * SECOND)


def given(house: Simulator) -> Options:
    controller = house.controller
    clock = controller.clock
    return Options(controller.seed, controller.release, clock.mode, clock.speed, clock.step)


def test_options_outlive_a_reset() -> None:
    """A reset begins with the same options."""
    house = Simulator(OPINIONATED, OPTIONS)
    house.reset()

    assert OPTIONS == given(house)


def test_options_outlive_another_scenario() -> None:
    """Another scenario, whatever it says, begins with the options given at the start."""
    house = Simulator(Scenario.named("default"), OPTIONS)
    house.reset(OPINIONATED)

    assert OPTIONS == given(house)


def test_a_seed_given_to_a_reset_counts_once() -> None:
    """A seed that comes with a reset beats the option for this time; the next reset is back at the option."""
    house = Simulator(OPINIONATED, OPTIONS)
    house.reset(seed=3)
    once = house.controller.seed
    house.reset()

    assert (3, 7) == (once, house.controller.seed)


def test_a_scenario_rules_where_there_are_no_options() -> None:
    """Without options each scenario has its own say."""
    house = Simulator(Scenario.named("default"))
    house.reset(OPINIONATED)

    assert Options(99, Release(1, 20, 0), "real", 5.0, 60 * SECOND) == given(house)


def test_a_reset_leaves_nothing_behind() -> None:
    """After a reset everything is as it was at the start, log and all."""
    house = Simulator(Scenario.named("busy"), Options(clock="manual"))
    before = dump(house.controller)
    house.controller.clock.advance(100 * SECOND)
    house.controller.advance()
    house.reset()

    assert before == dump(house.controller)
    assert 0 == house.controller.log.count


def test_the_last_scenario_is_the_one_a_reset_goes_back_to() -> None:
    """A reset without a scenario begins with the one that was loaded last."""
    house = Simulator(Scenario.named("default"), Options(clock="manual"))
    house.reset(Scenario.named("fleet"))
    house.reset()

    assert 100 == len(house.controller.nodes)


def test_who_holds_the_controller_holds_the_new_one() -> None:
    """The application answers from the new world, and never from answers of the old one."""
    house = Simulator(Scenario.named("default"), Options(clock="manual"))
    client = house.app.test_client()
    before = client.get("/api/v1/vm").data
    house.reset(Scenario.named("empty"))
    empty = client.get("/api/v1/vm").get_json()["body"]
    house.reset(Scenario.named("default"))

    assert [] == empty
    assert before == client.get("/api/v1/vm").data
