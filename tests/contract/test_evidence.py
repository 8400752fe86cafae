"""The evidence in the contract: every part has it, it is well-formed, and it agrees with the text on guesses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mockanka.contract.document import EVIDENCE_MARKS, OPENAPI_METHODS
from mockanka.contract.evidence import Evidence, guess_sentences, titled_paragraphs
from mockanka.contract.items import property_evidence
from mockanka.core.release import FEATURES
from tests.contract.test_release_table import ALWAYS_FROM, ALWAYS_UNTIL, CAME, WENT
from tests.contracts import full_document
from tests.facts import fact_anchors

ABOUT_THE_DOCUMENT = {"Releases", "Evidence", "Not described"}
"""Paragraphs of the introduction that are not about the controller's behaviour."""

Path = tuple[str, ...]


def nodes(value: Any, path: Path = ()) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield every object of the document with its path, except examples and links, which need no evidence."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from nodes(item, (*path, str(index)))
    if isinstance(value, dict):
        yield path, value
        for key, member in value.items():
            if key not in ("examples", "example", "links", *EVIDENCE_MARKS) and path[-1:] != ("info",):
                yield from nodes(member, (*path, key))


NODES = dict(nodes(full_document()))
SCHEMAS: dict[str, Any] = full_document()["components"]["schemas"]


def properties(schema: dict[str, Any], path: Path) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield the properties of a schema and its inner schemas: dotted name, the schema that has it, and its value."""
    for name, value in schema.get("properties", {}).items():
        yield ".".join((*path, name)), schema, value
        yield from properties(value, (*path, name))
    for inner in (schema.get("items"), schema.get("additionalProperties"), *schema.get("oneOf", ())):
        if isinstance(inner, dict):
            yield from properties(inner, path)


PROPERTIES = [found for name, schema in SCHEMAS.items() for found in properties(schema, (name,))]
OPERATIONS = [
    item[method] for item in full_document()["paths"].values() for method in OPENAPI_METHODS if method in item
]


def all_evidence() -> Iterator[list[str]]:
    """Yield every list of grades and sections in the document."""
    for node in NODES.values():
        if "x-evidence" in node:
            yield node["x-evidence"]
        yield from node.get("x-enum-evidence", {}).values()
    yield from full_document()["info"]["x-rule-evidence"].values()


def text_of(node: dict[str, Any]) -> str:
    return " ".join(text for text in (node.get("summary"), node.get("description")) if isinstance(text, str))


# Every part has evidence.


@pytest.mark.parametrize("operation", OPERATIONS, ids=[operation["operationId"] for operation in OPERATIONS])
def test_every_operation_has_evidence(operation: dict[str, Any]) -> None:
    """An operation has evidence of its own."""
    assert Evidence.parse(operation["x-evidence"]).facts


@pytest.mark.parametrize("kind", ["parameters", "headers"])
def test_every_parameter_and_header_has_evidence(kind: str) -> None:
    """A parameter or a header has evidence of its own, and no operation has a parameter that is not a component."""
    components: dict[str, Any] = full_document()["components"][kind]
    parameters = [parameter for operation in OPERATIONS for parameter in operation.get("parameters", ())]

    assert set() == {name for name, value in components.items() if not Evidence.parse(value["x-evidence"]).facts}
    assert all(set(parameter) == {"$ref"} for parameter in parameters)


@pytest.mark.parametrize(
    ("schema", "value"), [found[1:] for found in PROPERTIES], ids=[name for name, _, _ in PROPERTIES]
)
def test_every_property_has_evidence(schema: dict[str, Any], value: dict[str, Any]) -> None:
    """A property has evidence of its own, or of the schema that it refers to, or of the one that it is in."""
    assert property_evidence(full_document(), schema, value).facts


def test_every_rule_has_evidence() -> None:
    """Each paragraph of the introduction has evidence, except those about the document itself."""
    assert (
        titled_paragraphs(full_document()).keys() - ABOUT_THE_DOCUMENT
        == full_document()["info"]["x-rule-evidence"].keys()
    )


# Evidence is well-formed.


def test_all_evidence_is_well_formed() -> None:
    """It has known grades, strongest first, and at least one section of controller-facts, each once."""
    evidence = [Evidence.parse(words) for words in all_evidence()]

    sections = {fact for item in evidence for fact in item.facts}

    assert len(evidence) > 200
    assert set() == {section.lower() for section in sections} - fact_anchors()
    assert [] == [item for item in evidence if len(set(item.facts)) < max(1, len(item.facts))]


def test_evidence_of_values_names_values_of_the_enum() -> None:
    """Every key of ``x-enum-evidence`` is a value of the enum beside it."""
    unknown = {
        path: set(node["x-enum-evidence"]) - set(node.get("enum", ()))
        for path, node in NODES.items()
        if "x-enum-evidence" in node
    }

    assert unknown
    assert set() == set().union(*unknown.values())


MALFORMED_EVIDENCE = [
    [],
    ["A1"],
    ["seen", "A1"],
    ["captured", "A"],
    ["captured", "H1"],
    ["captured", "a1"],
    ["captured", "E1"],
    ["A1", "captured"],
    ["captured", "A1", "guess"],
    ["guess", "captured", "A1"],
    ["captured", "captured", "A1"],
]


@pytest.mark.parametrize("words", MALFORMED_EVIDENCE, ids=" ".join)
def test_malformed_evidence_is_rejected(words: list[str]) -> None:
    """Unknown grades, malformed sections, and grades out of order are a ValueError."""
    with pytest.raises(ValueError, match=r"no evidence|the strongest"):
        Evidence.parse(words)


# Text and evidence agree on guesses.


def inherits_a_guess(path: Path) -> bool:
    """Return whether the path is a property of a schema whose strongest grade is a guess."""
    schema = NODES[path[:-2]] if path[-2:-1] == ("properties",) else {}
    return Evidence.parse(schema.get("x-evidence", ["derived"])).grade == "guess"


def test_text_and_evidence_agree_on_guesses() -> None:
    """A part whose text mentions a guess has that grade, alone or after others, and no other part has it."""
    texts = {path for path, node in NODES.items() if guess_sentences(text_of(node)) and path != ("info",)}
    graded = {path for path, node in NODES.items() if "guess" in node.get("x-evidence", ())}
    inheriting = {path for path in texts - graded if inherits_a_guess(path)}

    assert set() == texts - graded - inheriting
    assert set() == graded - texts


def test_rules_and_evidence_agree_on_guesses() -> None:
    """A paragraph of the introduction that mentions a guess has that grade, and no other has it."""
    texts = titled_paragraphs(full_document())
    graded = {title for title, words in full_document()["info"]["x-rule-evidence"].items() if "guess" in words}

    assert graded == {title for title, text in texts.items() if guess_sentences(text)} - ABOUT_THE_DOCUMENT


def guessed_places() -> Iterator[tuple[str, str]]:
    """Yield each feature whose release is a guess, with the places of its marks in the document."""
    for name, feature in FEATURES.items():
        for table in (CAME, WENT, ALWAYS_FROM, ALWAYS_UNTIL):
            if feature.guess:
                yield from ((name, place) for place in table.get(name, "").split())


@pytest.mark.parametrize(("feature", "place"), list(guessed_places()))
def test_a_guessed_release_is_a_guess_where_it_is_marked(feature: str, place: str) -> None:
    """A part that came or went with a guessed release has the grade guess."""
    first, second, *_ = place.split(".")
    components = full_document()["components"]
    marked = components[first][second] if first in components else SCHEMAS[first]["properties"][second]

    assert "guess" in marked["x-evidence"], feature
