"""How many nodes and instances a scenario may have: the limits, and the options that raise them."""

from __future__ import annotations

import re

import httpx
import pytest

import mockanka
from mockanka.cli.options import SIZE_LIMIT_OPTIONS
from mockanka.scenario import Options, Scenario, ScenarioError
from mockanka.scenario.build import DEFAULT_MAX_INSTANCES, DEFAULT_MAX_NODES
from mockanka.simulator.simulator import Simulator
from tests.cli.invoke import call, call_serve

TEMPLATE = "templates: [{name: t, versions: [{tag: v, size: 1}]}]\n"
LARGE = {
    "nodes": TEMPLATE + "nodes:\n- {name: first}\n- {name: 'a{n}', count: 10000}\n",
    "instances": TEMPLATE + "instances:\n- {template: t}\n" + "- {template: t, count: 10000}\n" * 10,
}
SIZES = {"nodes": 10_001, "instances": 100_001}
LIMITS = {"nodes": DEFAULT_MAX_NODES, "instances": DEFAULT_MAX_INSTANCES}
SMALL = TEMPLATE + "nodes:\n- {name: 'a{n}', count: 3}\ninstances:\n- {template: t, count: 3}\n- {template: t}\n"


def message(key: str, line: int, size: int, limit: int, source: str = "w.yaml") -> str:
    return (
        f"{source}:{line}: {key}: there are {size} {key}, and the limit is {limit}; raise it by --max-{key}, "
        f"MOCKANKA_MAX_{key.upper()} or mockanka.serve(max_{key}=...)"
    )


@pytest.mark.parametrize("key", LARGE)
def test_a_scenario_that_is_too_large_is_refused_with_its_size_and_the_limit(key: str) -> None:
    with pytest.raises(ScenarioError) as raised:
        Scenario.from_yaml(LARGE[key], "w.yaml").controller()
    assert [message(key, 2, SIZES[key], LIMITS[key])] == raised.value.problems


def test_nodes_over_the_default_load_by_the_option() -> None:
    controller = Scenario.from_yaml(LARGE["nodes"]).controller(Options(max_nodes=10_001))
    assert 10_001 == len({node.ip for node in controller.nodes.values()})


@pytest.mark.parametrize(
    ("key", "line", "size"), [("nodes", 2, 3), ("instances", 4, 4)], ids=["three nodes", "four instances"]
)
def test_a_scenario_of_exactly_the_limit_loads_and_a_larger_one_does_not(key: str, line: int, size: int) -> None:
    scenario = Scenario.from_yaml(SMALL, "w.yaml")
    assert size == len(getattr(scenario.controller(Options(**{f"max_{key}": size})), key))
    with pytest.raises(ScenarioError) as raised:
        scenario.controller(Options(**{f"max_{key}": size - 1}))
    assert [message(key, line, size, size - 1)] == raised.value.problems


@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["run"], ["scenario", "validate"]], ids=lambda it: it[0])
@pytest.mark.parametrize("source", ["option", "environment"])
def test_commands_refuse_a_scenario_over_their_option(
    tmp_path_factory: pytest.TempPathFactory, command: list[str], source: str
) -> None:
    file = tmp_path_factory.mktemp("scenario") / "w.yaml"
    file.write_text(SMALL)
    arguments = [*command, str(file), *(["--max-nodes", "2"] if source == "option" else [])]
    arguments += ["--", "true"] if command == ["run"] else []
    result = call(*arguments, **({"MOCKANKA_MAX_NODES": "2"} if source == "environment" else {}))
    assert (2, message("nodes", 2, 3, 2, str(file)) + "\n") == (result.exit_code, result.stderr)


def test_the_options_reach_the_simulator(monkeypatch: pytest.MonkeyPatch) -> None:
    simulator = call_serve(monkeypatch, "--port", "0", "--max-nodes", "7", MOCKANKA_MAX_INSTANCES="9")
    assert (7, 9) == (simulator.options.max_nodes, simulator.options.max_instances)


@pytest.mark.parametrize("value", ["-1", "x", "1.5"])
def test_a_limit_that_is_no_number_is_a_usage_error(value: str) -> None:
    result = call("scenario", "validate", "default", "--max-instances", value)
    assert 2 == result.exit_code
    assert "Invalid value for '--max-instances'" in result.stderr


def test_help_tells_the_limits_that_apply() -> None:
    text = " ".join(call("serve", "--help").stdout.split())
    told = [int(number) for number in re.findall(r"a larger one is refused\. \[default: (\d+)\]", text)]
    assert [DEFAULT_MAX_NODES, DEFAULT_MAX_INSTANCES] == told
    assert len(SIZE_LIMIT_OPTIONS) == len(told)


def test_resets_and_loads_keep_to_the_limits_of_the_server() -> None:
    scenario = Scenario.from_yaml(SMALL, "w.yaml")
    simulator = Simulator(scenario, Options(clock="manual", max_nodes=3, max_instances=4))
    simulator.reset()
    simulator.reset(seed=5)
    with pytest.raises(ScenarioError, match="there are 5 instances, and the limit is 4"):
        simulator.reset(Scenario.from_yaml(SMALL + "- {template: t}\n"))
    assert (3, 4) == (len(simulator.controller.nodes), len(simulator.controller.instances))


def test_a_large_state_over_http_is_refused_by_the_limit_of_serve() -> None:
    with mockanka.serve("default", clock="manual", max_nodes=12, max_instances=3) as anka:
        before = anka.dump()
        response = httpx.put(f"{anka.url}/_mock/scenario", content=SMALL)
        assert 400 == response.status_code
        assert message("instances", 4, 4, 3, "request") in response.text
        assert before == anka.dump()
        httpx.post(f"{anka.url}/_mock/reset").raise_for_status()
        with pytest.raises(ScenarioError, match="there are 13 nodes, and the limit is 12"):
            anka.load({"nodes": [{"name": "a{n}", "count": 13}]})


@pytest.mark.parametrize("limit", [-1, "10", 1.5, True])
@pytest.mark.parametrize("name", ["max_nodes", "max_instances"])
def test_a_limit_from_python_is_a_whole_number(name: str, limit: object) -> None:
    with pytest.raises(ValueError, match=f"{name}={limit!r} is no limit: give a whole number"):
        mockanka.serve("default", **{name: limit})
