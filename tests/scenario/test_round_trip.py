"""Random scenarios: a dump says everything, and what it makes is answered in the same bytes."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mockanka.core.operations import OPERATIONS
from mockanka.core.release import Release
from mockanka.scenario import Options, Scenario, to_yaml
from mockanka.simulator.simulator import Simulator
from mockanka.units import SECOND
from tests.conftest import examples
from tests.controllers import state_with_rules
from tests.scenario.random_scenarios import RELEASES, scenario_data

PATHS = sorted({operation.path for operation in OPERATIONS if operation.method == "GET"})
WAYS: list[Callable[[dict[str, Any]], Scenario]] = [
    lambda data: Scenario.from_yaml(to_yaml(data)),
    lambda data: Scenario.from_json(json.dumps(data)),
    Scenario.from_data,
]
"""The ways of a dump into another simulator."""


def responses(simulator: Simulator) -> list[tuple[str, int, bytes]]:
    """The answers to every GET, also to those of each template, which have more in them."""
    client = simulator.app.test_client()
    paths = PATHS + [f"/api/v1/registry/vm?id={id}" for id in simulator.controller.templates]
    found = []
    for path in paths:
        response = client.get(path)
        found.append((path, response.status_code, response.data))
    return found


def pass_seconds(simulator: Simulator, seconds: int) -> None:
    simulator.controller.clock.advance(seconds * SECOND)
    simulator.controller.advance()


def described(simulator: Simulator) -> tuple[str, dict[str, object]]:
    """The dump as text, in which the order of keys and the types of numbers count as well, and the state."""
    # The notes say what was left out when a scenario was loaded.
    return json.dumps(simulator.dump()), state_with_rules(simulator.controller) | {"notes": ()}


def check(original: Simulator, seconds: int) -> None:
    """Its dump makes, as YAML and as JSON, what is dumped the same, and answered as it is, now and later."""
    dumped = original.dump()
    copies = [Simulator(way(dumped)) for way in WAYS]
    for length in (0, seconds):
        for simulator in (original, *copies):
            pass_seconds(simulator, length)

        assert [described(original)] * len(copies) == [described(copy) for copy in copies]
        assert [responses(original)] * len(copies) == [responses(copy) for copy in copies]


@settings(max_examples=examples(30, full=1000), suppress_health_check=[HealthCheck.too_slow])
@given(scenario_data(), st.sampled_from([0, 1, 30, 600]), st.sampled_from([1, 30, 7200]))
def test_a_dump_says_everything(data: dict[str, Any], before: int, after: int) -> None:
    """A random scenario, at some time, is what its dump makes."""
    simulator = Simulator(Scenario.from_data(data))
    pass_seconds(simulator, before)

    check(simulator, after)


@settings(max_examples=examples(10, full=500), suppress_health_check=[HealthCheck.too_slow])
@given(scenario_data(), st.sampled_from([0, 30]), st.sampled_from(RELEASES), st.sampled_from([1, 600]))
def test_a_dump_at_another_release_says_everything(
    data: dict[str, Any], before: int, release: Release, after: int
) -> None:
    """A dump that was fitted to another release is so by its own dump too: nothing is left to be fitted."""
    simulator = Simulator(Scenario.from_data(data))
    pass_seconds(simulator, before)

    check(Simulator(Scenario.from_data(simulator.dump()), Options(release=release)), after)


YEARS = "8760000h"
"""The longest duration that can be written."""


@pytest.mark.parametrize(
    "text",
    [
        "clock: {start: 1970-01-01T00:00:00Z}\nnodes: [{name: n, state: Offline}]",
        f"timings: {{boot: {YEARS}}}\nscripts: [{{takes: {YEARS}}}]\nnodes: [{{name: n, cached: [a]}}]\n"
        "faults: [{match: {event: start}, do: {stall: true}}]\ntemplates: [{name: a, versions: [{tag: t}]}]\n"
        f"instances: [{{template: a, startup_script: ZWNobw==, script_monitoring: true, script_timeout: {YEARS}}}]",
    ],
)
def test_a_dump_says_what_lies_at_the_ends_of_time(text: str) -> None:
    """A moment before 1970, and a duration of two thousand years, are cut to what can be written."""
    simulator = Simulator(Scenario.from_yaml(text), Options(clock="manual"))
    pass_seconds(simulator, 10)

    check(simulator, 1000)
