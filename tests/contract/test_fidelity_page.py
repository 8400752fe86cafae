"""The page on how things are known has a line for each of them, and is the one in the project's documents."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mockanka.contract.evidence import GRADES, guesses
from mockanka.contract.fidelity_page import page
from mockanka.contract.items import ENVELOPE, RULES, Entry, entries
from tests.contract.test_evidence import NODES, OPERATIONS, SCHEMAS
from tests.contracts import whole
from tests.pages import PAGES

TEXT = page()
SECTIONS = dict(re.findall(r"^## (.+?)\n\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE))
LEDGER = entries(whole())


def rows(section: str) -> list[list[str]]:
    """What stands in a section's table, without its head."""
    lines = [line for line in SECTIONS[section].splitlines() if line.startswith("| ")]
    return [line.strip("| ").split(" | ") for line in lines[2:]]


# The page.


def test_the_page_is_the_one_in_the_documents() -> None:
    """docs/fidelity.md is what ``mockanka fidelity`` prints."""
    assert TEXT == PAGES["docs/fidelity.md"]


def test_the_page_has_a_table_for_every_operation() -> None:
    """After numbers, guesses, rules and what holds for every answer each operation has its own."""
    names = [each["operationId"] for each in OPERATIONS]

    assert ["In numbers", "All guesses", RULES, ENVELOPE] == list(SECTIONS)[:4]
    assert sorted(names) == sorted(list(SECTIONS)[4:])


@pytest.mark.parametrize("operation", OPERATIONS, ids=[each["operationId"] for each in OPERATIONS])
def test_an_operations_table_has_its_parameters_and_status_codes(operation: dict[str, Any]) -> None:
    """Each parameter and each status code of an operation has a row there, and so has the operation itself."""
    told = [row[0].partition(", as ")[0] for row in rows(operation["operationId"])]
    names = [
        whole()["components"]["parameters"][each["$ref"].rpartition("/")[2]]["name"]
        for each in operation.get("parameters", ())
    ]

    assert 1 == sum(re.fullmatch(r"`[A-Z]+ /.*`", name) is not None for name in told)
    assert [f"query `{name}`" for name in names] == [name for name in told if name.startswith("query ")]
    assert [f"status `{status}`" for status in operation["responses"]] == [
        name for name in told if name.startswith("status ")
    ]


def test_every_property_is_told() -> None:
    """Each property of a schema that is no envelope has a row of its name, as often as schemas have it."""
    told = [re.split(r"[.]", entry.name)[-1] for entry in LEDGER if entry.kind.startswith(("answer", "request"))]
    documented = [
        name
        for schema, value in SCHEMAS.items()
        for name in value.get("properties", {})
        if not (schema.endswith("Envelope") and name != "body")
    ]
    missing = {name: documented.count(name) for name in documented if told.count(name) < documented.count(name)}

    assert {} == missing


def test_the_numbers_are_those_of_the_tables() -> None:
    """What is counted is every row that is not told elsewhere, and every rule, by its grade."""
    lines = [line.strip("| ").split(" | ") for line in SECTIONS["In numbers"].splitlines() if line]
    numbers = {title: int(last) for title, *_, last in lines[2:]}
    tables = [row for place in list(SECTIONS)[3:] for row in rows(place) if ", as " not in row[0]]
    rules = re.findall(r" \(([a-z, ]+);[^()]*\)$", SECTIONS[RULES].replace("\n  ", " "), re.MULTILINE)
    grades = [row[2].split(", ") for row in tables] + [told.split(", ") for told in rules]

    assert len(whole()["info"]["x-rule-evidence"]) == len(rules)
    assert len(grades) == numbers.pop("all")
    assert sum("guess" in each[1:] for each in grades) == numbers.pop("of these, a guess in part")
    assert {grade: sum(each[0] == grade for each in grades) for grade in GRADES} == numbers


def test_every_guess_is_listed() -> None:
    """Each sentence of the document that calls something a guess stands in the list, but for unused components."""
    listed = " ".join(SECTIONS["All guesses"].split())
    texts = [node.get("description", "") for path, node in NODES.items() if path != ("info",)]
    sentences = {" ".join(each.split()) for text in texts if isinstance(text, str) for each in guesses(text)}

    assert len(sentences) > 50
    assert set() == {each for each in sentences if each not in listed}


def test_no_line_is_too_long() -> None:
    """What is no table is wrapped as the project's other pages are."""
    assert [] == [line for line in TEXT.splitlines() if len(line) > 120 and not line.startswith("|")]


# The ledger, on a small document.

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


def told(entry: Entry) -> str:
    """An entry on one line."""
    known = ", ".join((*entry.evidence.grades, *entry.evidence.facts))
    return f"{entry.place}: {entry.kind} {entry.name}; {entry.bounds}; {known}; {entry.text}; {entry.again}".rstrip(
        "; "
    )


def test_a_ledger_has_an_entry_for_each_thing() -> None:
    """Rules, envelopes, operations with what belongs to them; what was told before is not told again.

    A property has its own evidence, else that of the schema around it, but not what is a guess in part there; what it
    refers to is part of its text, and of its guesses.
    """
    assert [
        "Rules: rule Rule; all; captured, guess, A1; It is so (guess). It is.",
        "Every answer: status 400; from 1.20.0; guess, G",
        "Every answer: header Cache-Control; all; captured, A0.2",
        "Every answer: failure status; all; captured, A0.1",
        "one: operation GET /one; from 1.9.0; reference, guess, A2; Does it (guess).",
        "one: query id; from 1.9.0; client relies, D1",
        "one: status 200; from 1.9.0; reference, A2",
        "one: answer to `?id=` body; from 1.9.0; captured, guess, A4; A thing (guess).",
        "one: answer to `?id=` body.size; from 1.9.0, before 1.30.0, always from 1.20.0; captured, A4",
        "one: answer to `?id=` body.colour; from 1.9.0; documented, A5",
        'one: value body.colour = "red"; from 1.9.0; documented, A5',
        'one: value body.colour = "blue"; from 1.12.0; documented, A5',
        'one: value body.colour = ""; from 1.9.0; reference, B1',
        "one: answer to `?id=` body.parts; from 1.9.0; derived, guess, A6; What a part is, is a guess.",
        "one: answer to `?id=` body.parts[].name; from 1.9.0; guess; A guess.",
        "one: answer body; from 1.9.0; reference, guess, A4; ; one",
        "one: status 400; from 1.20.0; guess, G; ; Every answer",
        "two: operation POST /two; all; derived, A3",
        "two: request ; all; captured, guess, A4; ; one",
        "two: status 400; from 1.20.0; guess, G; ; Every answer",
    ] == [told(entry) for entry in entries(SMALL)]


def test_a_property_without_evidence_is_named() -> None:
    """What nobody says the evidence of is an error that shows it."""
    schemas = {**SMALL["components"]["schemas"], "FailEnvelope": {"properties": {"status": {"type": "string"}}}}

    with pytest.raises(LookupError, match=r"no evidence for \{'type': 'string'\}"):
        entries({**SMALL, "components": {**SMALL["components"], "schemas": schemas}})
