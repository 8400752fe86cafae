"""The document agrees with the code: routes, keys, enumerations and kinds of events."""

from __future__ import annotations

import ast
import re

import pytest

from mockanka.control import INDEX_LINKS
from mockanka.control.clock import Advance, ClockChange, ClockSettings, UntilInstance
from mockanka.control.expectations import Expectation
from mockanka.control.instances import InstanceActionOptions
from mockanka.control.nodes import NodeOverrideOptions
from mockanka.control.state import Reset
from mockanka.core.faults import LIFECYCLE_FAULTS, NODE_OVERRIDES, REGISTRY_OVERRIDES, RESPONSE_FAULTS
from mockanka.core.lifecycle import InstanceState, NodeState
from mockanka.core.operations import OPERATION_METHODS
from mockanka.scenario.base import StrictSchema
from mockanka.scenario.fault_rules import FaultActionSection, FaultMatchSection, FaultSection
from mockanka.simulator.client_report import FINDING_KINDS
from mockanka.simulator.simulator import INSTANCE_ACTIONS
from tests.openapi.control_document.document import OPERATIONS, OPERATIONS_BY_ID, ROOT, component, document, resolve
from tests.openapi.control_document.example_simulator import ExampleSimulator


def test_the_operations_are_the_routes(example: ExampleSimulator) -> None:
    """The document describes every route and nothing else; /_mock is /_mock/ without its slash."""
    routes = {
        (method, re.sub("<[^>]+>", "{}", rule.rule))
        for rule in example.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    described = {(operation.method, re.sub(r"\{\w+\}", "{}", operation.path)) for operation in OPERATIONS}

    assert routes - {("GET", "/_mock")} == described


def test_the_paths_are_those_of_the_links() -> None:
    """The document describes every link, and the paths that they lead to, with the same names in braces."""
    described = component("Links")["properties"]

    assert {key: link["enum"][0] for key, link in described.items()} == INDEX_LINKS
    assert set(INDEX_LINKS) == set(component("Links")["required"])
    assert set(INDEX_LINKS.values()) | {"/_mock/", "/_mock/faults/{id}"} == set(document()["paths"])
    assert all(link["description"] for link in described.values())


@pytest.mark.parametrize(
    ("schema_class", "names"),
    [
        (ClockChange, ["ClockChange"]),
        (ClockSettings, ["ClockSettings"]),
        (Advance, ["Advance"]),
        (UntilInstance, ["UntilInstance"]),
        (Expectation, ["Expectation"]),
        (Reset, ["Reset"]),
        (InstanceActionOptions, ["InstanceActionOptions"]),
        (NodeOverrideOptions, ["NodeOverrideOptions"]),
        (FaultSection.layout().schema_class, ["FaultRule"]),
        (FaultMatchSection.layout().schema_class, ["FaultMatch"]),
        (FaultActionSection.layout().schema_class, ["FaultAction"]),
    ],
)
def test_the_keys_are_those_of_the_code(schema_class: type[StrictSchema], names: list[str]) -> None:
    """The document describes every key that the code reads and no other, and refuses other keys."""
    schemas = [component(name) for name in names]
    read = {field.data_key or name: field for name, field in schema_class().fields.items()}
    described = {key: value for schema in schemas for key, value in schema["properties"].items()}
    required = {key for key, field in read.items() if field.required}

    assert set(read) == set(described)
    assert [False] * len(names) == [schema["additionalProperties"] for schema in schemas]
    assert all("description" in value or "description" in resolve(value) for value in described.values())
    assert required == set(schemas[0].get("required", []))


def test_the_enumerations_are_those_of_the_code() -> None:
    """Every enumeration of the document has exactly the words that the code knows."""
    do, match = component("FaultAction")["properties"], component("FaultMatch")["properties"]
    parameters = {parameter["name"]: parameter for parameter in OPERATIONS_BY_ID["actOnInstance"].parameters}
    states = [state.value for state in InstanceState]

    assert states == component("TimelineState")["enum"]
    assert [state for state in states if state != InstanceState.GONE.value] == component("InstanceState")["enum"]
    assert {state.value for state in NodeState} == set(component("NodeStatus")["properties"]["state"]["enum"])
    assert list(NODE_OVERRIDES) == component("NodeOverride")["enum"]
    assert list(REGISTRY_OVERRIDES) == do["registry"]["enum"]
    assert list(LIFECYCLE_FAULTS) == match["event"]["enum"]
    assert list(OPERATION_METHODS) == component("FaultMatch")["properties"]["method"]["enum"]
    assert list(INSTANCE_ACTIONS) == parameters["fate"]["schema"]["enum"]
    assert list(FINDING_KINDS) == component("Finding")["properties"]["kind"]["enum"]


def test_the_compatible_keys_of_a_rule_are_those_of_the_core() -> None:
    """The document allows the actions and keys that the core allows, for response faults and each lifecycle event."""
    described = {
        event: {action: frozenset(keys) for action, keys in actions.items()}
        for event, actions in component("FaultRule")["x-compatible-keys"].items()
    }

    assert described == {"request": RESPONSE_FAULTS, **LIFECYCLE_FAULTS}


def recorded_kinds() -> set[str]:
    """Return every kind of event that the code records."""
    found = set()
    for path in (ROOT / "mockanka").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "record":
                assert isinstance(node.args[0], ast.Constant), f"{path}:{node.lineno}: the kind is no literal"
                found.add(str(node.args[0].value))
    return found


def test_the_kinds_of_events_are_those_of_the_code() -> None:
    """The document describes every kind of event that the code records, and no other."""
    assert recorded_kinds() == set(component("Event")["properties"]["event"]["enum"])
