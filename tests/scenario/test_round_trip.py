"""A dump is the scenario of what it was made of: of any scenario, at rest and in progress, as YAML and as JSON."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings

from mockanka.core.controller import Controller
from mockanka.core.operations import methods_by_path
from mockanka.scenario import Options, Scenario, dump, to_yaml
from tests.api.client import ApiClient
from tests.conftest import examples
from tests.controllers import pass_time, state_of
from tests.scenario.random_scenarios import scenario_data


def comparable(controller: Controller) -> dict[str, object]:
    """Return the state without the notes, which say what was left out when a scenario was loaded."""
    return {key: value for key, value in state_of(controller).items() if key != "notes"}


def read_all(controller: Controller) -> dict[str, bytes]:
    """Return the answer to every GET without parameters."""
    api = ApiClient(controller)
    paths = [path for path, methods in methods_by_path(controller.release).items() if "GET" in methods]
    return {path: api.send("GET", path.removeprefix("/api/v1/")).data for path in paths}


@settings(max_examples=examples(50, 1000))
@given(scenario_data())
def test_a_dump_loads_as_what_was_dumped(data: dict[str, Any]) -> None:
    """State, dump and answers are the same when it is loaded, and still after ten minutes."""
    original = Scenario.from_data(data).controller(Options())
    dumped = dump(original)
    text, plain = to_yaml(dumped), json.dumps(dumped)
    for loaded in (Scenario.from_yaml(text), Scenario.from_json(plain), Scenario.from_data(dumped)):
        controller = loaded.controller(Options())

        assert dumped == dump(controller)
        assert comparable(original) == comparable(controller)

    assert read_all(original) == read_all(controller)
    for seconds in (0.001, 7, 600):
        pass_time(original, seconds)
        pass_time(controller, seconds)

        assert dump(original) == dump(controller)
        assert read_all(original) == read_all(controller)
