"""The document and the control API accept the same fault rules."""

from __future__ import annotations

from typing import Any

import pytest

from tests.openapi.control_document.document import component, rule_errors, schema_errors
from tests.openapi.control_document.example_simulator import ExampleSimulator
from tests.openapi.control_document.fault_keys import ACTION_VALUES, COMPATIBLE_KEYS, MATCH_VALUES


def find_disagreement(example: ExampleSimulator, rule: dict[str, Any]) -> str | None:
    """Return how the document and the control API disagree about a rule, or None."""
    forbidden = rule_errors(rule)
    response = example.send("POST", "/_mock/faults", rule)
    example.send("DELETE", "/_mock/faults")
    if response.status_code == 201:
        found = schema_errors(component("FaultRule"), response.json)
        return f"{rule}: accepted, though {forbidden}" if forbidden else f"{rule}: {found}" if found else None
    return None if forbidden else f"{rule}: {response.text}"


def match_of(event: str | None) -> dict[str, object]:
    """Return the match of a lifecycle fault, or an empty one of a response fault."""
    return {} if event is None else {"event": event}


@pytest.mark.parametrize("event", COMPATIBLE_KEYS)
def test_the_accepted_actions_are_those_of_the_document(example: ExampleSimulator, event: str | None) -> None:
    """All single keys, all pairs with an action, and all keys that go with an action are accepted or refused alike."""
    assert set(ACTION_VALUES) == set(component("FaultAction")["properties"])
    key_sets = [{key} for key in ACTION_VALUES]
    for action, keys in COMPATIBLE_KEYS[event].items():
        key_sets += [{action, other} for other in ACTION_VALUES] + [{action} | keys]
    rules = [
        {"match": match_of(event), "do": {key: value for key, value in ACTION_VALUES.items() if key in keys}}
        for keys in key_sets
    ]

    assert [] == [found for rule in rules if (found := find_disagreement(example, rule))]


@pytest.mark.parametrize("event", COMPATIBLE_KEYS)
def test_the_accepted_matches_are_those_of_the_document(example: ExampleSimulator, event: str | None) -> None:
    """For each action every key of a match is accepted or refused alike."""
    assert {*MATCH_VALUES, "event"} == {*component("FaultMatch")["properties"]}
    rules = [
        {"match": {**match_of(event), key: value}, "do": {action: ACTION_VALUES[action]}}
        for action in COMPATIBLE_KEYS[event]
        for key, value in MATCH_VALUES.items()
    ]

    assert [] == [found for rule in rules if (found := find_disagreement(example, rule))]
