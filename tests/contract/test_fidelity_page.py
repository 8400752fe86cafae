"""docs/fidelity.md has a line for each item of the contract, and is up to date."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mockanka.contract.evidence import EVIDENCE_GRADES, guess_sentences
from mockanka.contract.fidelity_page import render_fidelity_page
from mockanka.contract.items import ENVELOPE_SECTION, RULES_SECTION, ContractItem, contract_items
from tests.contract.test_evidence import NODES, OPERATIONS, SCHEMAS
from tests.contracts import full_document
from tests.pages import PAGES

TEXT = render_fidelity_page()
SECTIONS = dict(re.findall(r"^## (.+?)\n\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE))
ITEMS = contract_items(full_document())


def rows(section: str) -> list[list[str]]:
    """Return the rows of a section's table, without its head."""
    lines = [line for line in SECTIONS[section].splitlines() if line.startswith("| ")]
    return [line.strip("| ").split(" | ") for line in lines[2:]]


# The page.


def test_the_page_is_up_to_date() -> None:
    """docs/fidelity.md is what ``mockanka fidelity`` prints."""
    assert TEXT == PAGES["docs/fidelity.md"]


def test_the_page_has_a_table_for_every_operation() -> None:
    """They follow numbers, guesses, rules and what applies to every response."""
    names = [operation["operationId"] for operation in OPERATIONS]

    assert ["In numbers", "All guesses", RULES_SECTION, ENVELOPE_SECTION] == list(SECTIONS)[:4]
    assert sorted(names) == sorted(list(SECTIONS)[4:])


@pytest.mark.parametrize("operation", OPERATIONS, ids=[operation["operationId"] for operation in OPERATIONS])
def test_an_operations_table_has_its_parameters_and_status_codes(operation: dict[str, Any]) -> None:
    """Each parameter and each status code of an operation has a row, and so has the operation itself."""
    labels = [row[0].partition(", as ")[0] for row in rows(operation["operationId"])]
    names = [
        full_document()["components"]["parameters"][parameter["$ref"].rpartition("/")[2]]["name"]
        for parameter in operation.get("parameters", ())
    ]

    assert 1 == sum(re.fullmatch(r"`[A-Z]+ /.*`", label) is not None for label in labels)
    assert [f"query `{name}`" for name in names] == [label for label in labels if label.startswith("query ")]
    assert [f"status `{status}`" for status in operation["responses"]] == [
        label for label in labels if label.startswith("status ")
    ]


def test_every_property_is_listed() -> None:
    """Each property of a schema that is not an envelope has a row, as often as schemas have the property."""
    listed = [item.name.rpartition(".")[2] for item in ITEMS if item.kind.startswith(("response", "request"))]
    documented = [
        name
        for schema, value in SCHEMAS.items()
        for name in value.get("properties", {})
        if not (schema.endswith("Envelope") and name != "body")
    ]
    missing = {name: documented.count(name) for name in documented if listed.count(name) < documented.count(name)}

    assert {} == missing


def test_the_numbers_are_those_of_the_tables() -> None:
    """Every row that is not described elsewhere counts, and every rule, by its strongest grade."""
    lines = [line.strip("| ").split(" | ") for line in SECTIONS["In numbers"].splitlines() if line]
    numbers = {title: int(last) for title, *_, last in lines[2:]}
    tables = [row for section in list(SECTIONS)[3:] for row in rows(section) if ", as " not in row[0]]
    rules = re.findall(r" \(([a-z, ]+);[^()]*\)$", SECTIONS[RULES_SECTION].replace("\n  ", " "), re.MULTILINE)
    grades = [row[2].split(", ") for row in tables] + [rule.split(", ") for rule in rules]

    assert len(full_document()["info"]["x-rule-evidence"]) == len(rules)
    assert len(grades) == numbers.pop("all")
    assert sum("guess" in row[1:] for row in grades) == numbers.pop("of these, a guess in part")
    assert {grade: sum(row[0] == grade for row in grades) for grade in EVIDENCE_GRADES} == numbers


def test_every_guess_is_listed() -> None:
    """Each sentence of the document that calls something a guess is in the list."""
    listed = " ".join(SECTIONS["All guesses"].split())
    texts = [node.get("description", "") for path, node in NODES.items() if path != ("info",)]
    sentences = {
        " ".join(sentence.split()) for text in texts if isinstance(text, str) for sentence in guess_sentences(text)
    }

    assert len(sentences) > 50
    assert set() == {sentence for sentence in sentences if sentence not in listed}


def test_no_line_is_too_long() -> None:
    """All lines but those of tables are wrapped like the other pages."""
    assert [] == [line for line in TEXT.splitlines() if len(line) > 120 and not line.startswith("|")]


# The items of a small document.

SMALL: dict[str, Any] = {
    "info": {
        "description": "What it is.\n\n**Rule.** It is so\n(guess). It is.\n\n**Other.** And so.\n",
        "x-rule-evidence": {"Rule": ["captured", "guess", "A1"]},
    },
    "paths": {
        "/one": {
            "get": {
                "operationId": "one",
                "x-since": "1.9.0",
                "x-evidence": ["reference", "guess", "A2"],
                "description": "Does it (guess).",
                "parameters": [{"$ref": "#/components/parameters/Id"}],
                "responses": {
                    "200": {
                        "content": {
                            "application/json": {
                                "schema": {
                                    "oneOf": [
                                        {"$ref": "#/components/schemas/ThingEnvelope"},
                                        {"$ref": "#/components/schemas/ThingsEnvelope"},
                                        {"$ref": "#/components/schemas/FailEnvelope"},
                                    ]
                                },
                                "x-when-query": {
                                    "id": "#/components/schemas/ThingEnvelope",
                                    "otherwise": "#/components/schemas/ThingsEnvelope",
                                },
                            }
                        }
                    },
                    "400": {"$ref": "#/components/responses/Failure"},
                },
            }
        },
        "/two": {
            "post": {
                "operationId": "two",
                "x-evidence": ["derived", "A3"],
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}},
                "responses": {"400": {"$ref": "#/components/responses/Failure"}},
            }
        },
    },
    "components": {
        "headers": {"CacheControl": {"x-evidence": ["captured", "A0.2"]}},
        "parameters": {"Id": {"name": "id", "x-evidence": ["client relies", "D1"]}},
        "responses": {"Failure": {"x-since": "1.20.0", "x-evidence": ["guess", "G"], "content": {}}},
        "schemas": {
            "OkEnvelope": {"properties": {}},
            "FailEnvelope": {"properties": {"status": {"x-evidence": ["captured", "A0.1"]}}},
            "ThingEnvelope": {"properties": {"status": {}, "body": {"$ref": "#/components/schemas/Thing"}}},
            "ThingsEnvelope": {
                "properties": {
                    "body": {
                        "x-evidence": ["reference", "A4"],
                        "type": "array",
                        "items": {"$ref": "#/components/schemas/Thing"},
                    }
                }
            },
            "Thing": {
                "type": "object",
                "x-evidence": ["captured", "guess", "A4"],
                "description": "A thing (guess).",
                "properties": {
                    "size": {"type": "integer", "x-until": "1.30.0", "x-required-since": "1.20.0"},
                    "colour": {
                        "$ref": "#/components/schemas/Colour",
                        "x-evidence": ["documented", "A5"],
                    },
                    "parts": {
                        "type": "array",
                        "x-evidence": ["derived", "A6"],
                        "items": {"$ref": "#/components/schemas/Part"},
                    },
                },
            },
            "Colour": {
                "type": "string",
                "enum": ["red", "blue", ""],
                "x-enum-since": {"blue": "1.12.0"},
                "x-enum-evidence": {"": ["reference", "B1"]},
            },
            "Part": {
                "type": "object",
                "x-evidence": ["guess"],
                "description": "What a part is, is a guess.",
                "properties": {"name": {"type": "string", "description": "A guess."}},
            },
        },
    },
}


def line(item: ContractItem) -> str:
    """Return an item on one line."""
    evidence = ", ".join((*item.evidence.grades, *item.evidence.facts))
    parts = (f"{item.section}: {item.kind} {item.name}", str(item.releases), evidence, item.text, item.described_in)
    return "; ".join(parts).rstrip("; ")


def test_items_come_in_the_order_of_the_document() -> None:
    """The items are rules, envelopes, and operations with their parts; parts that were listed before are named only.

    A property has its own evidence, else that of the schema around it, without its guess in part. The text and the
    guesses of the schema that it refers to are added to its own.
    """
    assert [
        "Rules: rule Rule; all; captured, guess, A1; It is so (guess). It is.",
        "Every response: status 400; from 1.20.0; guess, G",
        "Every response: header Cache-Control; all; captured, A0.2",
        "Every response: failure status; all; captured, A0.1",
        "one: operation GET /one; from 1.9.0; reference, guess, A2; Does it (guess).",
        "one: query id; from 1.9.0; client relies, D1",
        "one: status 200; from 1.9.0; reference, A2",
        "one: response to `?id=` body; from 1.9.0; captured, guess, A4; A thing (guess).",
        "one: response to `?id=` body.size; from 1.9.0, before 1.30.0, always from 1.20.0; captured, A4",
        "one: response to `?id=` body.colour; from 1.9.0; documented, A5",
        'one: value body.colour = "red"; from 1.9.0; documented, A5',
        'one: value body.colour = "blue"; from 1.12.0; documented, A5',
        'one: value body.colour = ""; from 1.9.0; reference, B1',
        "one: response to `?id=` body.parts; from 1.9.0; derived, guess, A6; What a part is, is a guess.",
        "one: response to `?id=` body.parts[].name; from 1.9.0; guess; A guess.",
        "one: response body; from 1.9.0; reference, guess, A4; ; one",
        "one: status 400; from 1.20.0; guess, G; ; Every response",
        "two: operation POST /two; all; derived, A3",
        "two: request ; all; captured, guess, A4; ; one",
        "two: status 400; from 1.20.0; guess, G; ; Every response",
    ] == [line(item) for item in contract_items(SMALL)]


def test_a_property_without_evidence_is_named() -> None:
    """The error shows the property."""
    schemas = {**SMALL["components"]["schemas"], "FailEnvelope": {"properties": {"status": {"type": "string"}}}}

    with pytest.raises(LookupError, match=r"no evidence for \{'type': 'string'\}"):
        contract_items({**SMALL, "components": {**SMALL["components"], "schemas": schemas}})
