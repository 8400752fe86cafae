"""Random scenarios: a dump says everything, and what it makes is answered in the same bytes."""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mockanka.core.operations import OPERATIONS
from mockanka.scenario import Scenario, to_yaml
from mockanka.simulator.simulator import Simulator
from mockanka.units import SECOND
from tests.conftest import examples
from tests.scenario.random_scenarios import scenarios

PATHS = sorted({operation.path for operation in OPERATIONS if operation.method == "GET"})
WAYS: list[Callable[[dict[str, Any]], Scenario]] = [
    lambda data: Scenario.from_yaml(to_yaml(data)),
    lambda data: Scenario.from_json(json.dumps(data)),
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


@settings(max_examples=examples(60, full=2000), suppress_health_check=[HealthCheck.too_slow])
@given(scenarios(), st.sampled_from([0, 1, 30, 600]), st.sampled_from([1, 30, 7200]))
def test_a_dump_says_everything(data: dict[str, Any], before: int, after: int) -> None:
    """A dump that is loaded, as YAML or as JSON, is dumped the same, and is answered as before, now and later."""
    original = Simulator(Scenario.from_data(data))
    pass_seconds(original, before)
    dumped, answered = original.dump(), responses(original)
    copies = [Simulator(way(dumped)) for way in WAYS]

    assert [dumped] * len(copies) == [copy.dump() for copy in copies]
    assert [answered] * len(copies) == [responses(copy) for copy in copies]
    for simulator in (original, *copies):
        pass_seconds(simulator, after)
    assert [original.dump()] * len(copies) == [copy.dump() for copy in copies]
    assert [responses(original)] * len(copies) == [responses(copy) for copy in copies]
