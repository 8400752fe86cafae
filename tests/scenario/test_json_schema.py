"""The JSON Schema of scenarios agrees with what is loaded."""

from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from marshmallow import fields as base

from mockanka import resources
from mockanka.scenario import Scenario, dump, shipped
from mockanka.scenario.json_schema import json_schema
from mockanka.scenario.sections import ScenarioSection
from tests import controllers

SCHEMA = json_schema()
VALIDATOR = Draft202012Validator(SCHEMA)


def faults_of(data: object) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(data)]


def test_the_schema_is_one() -> None:
    """It is a valid JSON Schema of 2020-12."""
    Draft202012Validator.check_schema(SCHEMA)

    assert "https://json-schema.org/draft/2020-12/schema" == SCHEMA["$schema"]


@pytest.mark.parametrize("name", shipped())
def test_shipped_scenarios_are_valid(name: str) -> None:
    """Every scenario that ships satisfies the schema as an editor reads it."""
    data = yaml.safe_load(resources.find_resource(f"scenarios/{name}.yaml").read_text("utf-8"))

    assert [] == faults_of(data)


@pytest.mark.parametrize("seconds", [0, 37, 600])
@pytest.mark.parametrize("name", shipped())
def test_dumps_are_valid(name: str, seconds: int) -> None:
    """Every dump satisfies the schema, at rest and in flight."""
    controller = controllers.shipped(name)
    controllers.pass_time(controller, seconds)

    assert [] == faults_of(dump(controller))


@pytest.mark.parametrize(
    "data",
    [
        {"nods": []},
        {"clock": {"sped": 1}},
        {"nodes": [{"name": "a", "capacty": 1}]},
        {"templates": [{"name": "a", "versions": [{"tga": "x"}]}]},
        {"nodes": [{"name": "a", "usb": [{"nam": "x"}]}]},
        {"nodes": [{"capacity": 1}]},
        {"nodes": {"name": "a"}},
        {"nodes": [{"name": "a", "capacity": -1}]},
        {"nodes": [{"name": "a", "state": "Ofline"}]},
        {"clock": {"speed": 0}},
        {"timings": {"boot": 20}},
        {"timings": {"boot": {"unifrm": ["1s", "2s"]}}},
        {"timings": {"boot": {"uniform": ["1s", "2s"], "normal": ["1s", "2s"]}}},
        {"timings": {"boot": {"uniform": ["1s"]}}},
        {"instances": [{"template": "a", "metadata": {"k": [1]}}]},
        {"counters": {"instance": -1}},
        {"faults": [{"match": {}}]},
        {"faults": [{"match": {"event": "pull"}, "do": {"fail": "x", "at": "140%"}}]},
        {"faults": [{"match": {"event": "pull"}, "do": {"fail": "x", "at": "4.0.0%"}}]},
        {"faults": [{"match": {"event": "pull"}, "do": {"fail": "x", "at": "100.1%"}}]},
        {"faults": [{"do": {"delay": "1 parsec"}}]},
        {"faults": [{"do": {"delay": "10"}}]},
        {"faults": [{"do": {"delay": {"uniform": ["1s", "2 parsecs"]}}}]},
        {"faults": [{"do": {"refuse": "-1s"}}]},
        {"faults": [{"do": {"cut": "140%"}}]},
        {"faults": [{"do": {"cut": "much"}}]},
        {"clock": {"step": "soon"}},
        [],
        "text",
    ],
)
def test_what_would_not_load_is_marked(data: object) -> None:
    """An editor marks unknown keys, wrong types and missing names."""
    assert [] != faults_of(data)


@pytest.mark.parametrize(
    "rule",
    [
        *({"do": {"delay": duration}} for duration in ("0", "20s", " 1m30s ", "1.5h", "250µs", "1h0m0.5s", "7ns")),
        {"do": {"delay": {"normal": ["2s", " 250ms "]}}},
        *({"do": {"cut": size}} for size in ("0%", "100%", "12.5%", 0, 120, "120", "2kB", "1.5 MiB")),
        *(
            {"match": {"event": "pull"}, "do": {"fail": "x", "at": share}}
            for share in ("0%", "40%", "99.9%", "100%", "100.0%", ".5%", " 7 % ")
        ),
    ],
)
def test_what_loads_is_not_marked(rule: dict[str, Any]) -> None:
    """Durations, percents and parts that a scenario takes satisfy the schema as well."""
    data = {"faults": [rule]}
    Scenario.from_data(data).controller()

    assert [] == faults_of(data)


def _resolve(part: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in part:
        part = SCHEMA["$defs"][part["$ref"].removeprefix("#/$defs/")]
    for choice in part.get("anyOf", ()):
        if choice.get("type") == "object":
            return dict(choice)
    return part


def _compare(field: base.Field[Any], part: dict[str, Any], path: str) -> list[str]:
    """The paths at which the schema that loads and the JSON Schema have different keys."""
    part = _resolve(part)
    if isinstance(field, base.List):
        return _compare(field.inner, part.get("items", {}), f"{path}[]")
    if isinstance(field, base.Nested):
        return _compare_all(field.schema, part, path)
    return []


def _compare_all(schema: Any, part: dict[str, Any], path: str) -> list[str]:
    fields = {field.data_key or name: field for name, field in schema.fields.items()}
    found = [f"{path}.{key}" for key in set(fields) ^ set(part.get("properties", {}))]
    if part.get("additionalProperties") is not False:
        found.append(f"{path} is open")
    for key, field in fields.items():
        found += _compare(field, part.get("properties", {}).get(key, {}), f"{path}.{key}")
    return found


def test_the_schema_has_every_key_and_no_other() -> None:
    """Each key that loads stands in the JSON Schema at its place, and nothing else does."""
    assert [] == _compare_all(ScenarioSection.layout().schema, SCHEMA, "")
