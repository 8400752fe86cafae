"""Everything in the contract says how it is known, and its text and its evidence agree on what is a guess."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mockanka.contract.document import EVIDENCE, METHODS
from mockanka.contract.evidence import Evidence, guesses, paragraphs
from mockanka.contract.items import evidence_of
from mockanka.core.release import FEATURES
from tests.contract.test_release_table import ALWAYS_FROM, ALWAYS_UNTIL, CAME, WENT
from tests.contracts import whole

SECTIONS = {
    *(f"A{number}" for number in range(31)),
    *(f"A0.{number}" for number in range(1, 5)),
    *(f"A2.{number}" for number in range(1, 7)),
    *(f"B{number}" for number in range(1, 43)),
    *(f"C{number}" for number in range(1, 17)),
    *(f"D{number}" for number in range(10)),
    *(f"F{number}" for number in range(1, 7)),
    *("0.1", "0.2", "0.3", "E", "G"),
}
"""The sections that controller-facts has."""

ABOUT_THE_DOCUMENT = {"Releases", "Evidence", "Not described"}
"""Paragraphs of the introduction that say nothing about the controller's answers."""

Path = tuple[str, ...]


def nodes(value: Any, path: Path = ()) -> Iterator[tuple[Path, dict[str, Any]]]:
    """All of the document but examples and links, which claim nothing."""
    if isinstance(value, list):
        for index, each in enumerate(value):
            yield from nodes(each, (*path, str(index)))
    if isinstance(value, dict):
        yield path, value
        for key, each in value.items():
            if key not in ("examples", "example", "links", *EVIDENCE) and path[-1:] != ("info",):
                yield from nodes(each, (*path, key))


NODES = dict(nodes(whole()))
SCHEMAS: dict[str, Any] = whole()["components"]["schemas"]


def properties(schema: dict[str, Any], path: Path) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """The properties of a schema, and of those that stand in it; each by its name, with the schema that it is in."""
    for name, value in schema.get("properties", {}).items():
        yield ".".join((*path, name)), schema, value
        yield from properties(value, (*path, name))
    inner = (schema.get("items"), schema.get("additionalProperties"), *schema.get("oneOf", ()))
    for each in inner:
        if isinstance(each, dict):
            yield from properties(each, path)


PROPERTIES = [each for name, schema in SCHEMAS.items() for each in properties(schema, (name,))]
OPERATIONS = [item[method] for item in whole()["paths"].values() for method in METHODS if method in item]


def words_of_all() -> Iterator[list[str]]:
    for node in NODES.values():
        if "x-evidence" in node:
            yield node["x-evidence"]
        yield from node.get("x-enum-evidence", {}).values()
    yield from whole()["info"]["x-rule-evidence"].values()


def text_of(node: dict[str, Any]) -> str:
    return " ".join(text for text in (node.get("summary"), node.get("description")) if isinstance(text, str))


# Everything has evidence.


@pytest.mark.parametrize("operation", OPERATIONS, ids=[each["operationId"] for each in OPERATIONS])
def test_every_operation_has_evidence(operation: dict[str, Any]) -> None:
    """An operation says itself how it is known."""
    assert Evidence.parse(operation["x-evidence"]).facts


@pytest.mark.parametrize("kind", ["parameters", "headers"])
def test_every_parameter_and_header_has_evidence(kind: str) -> None:
    """A parameter or a header says itself how it is known, and none stands in an operation, without a name."""
    components: dict[str, Any] = whole()["components"][kind]
    named = [each for operation in OPERATIONS for each in operation.get("parameters", ())]

    assert set() == {name for name, each in components.items() if not Evidence.parse(each["x-evidence"]).facts}
    assert all(set(each) == {"$ref"} for each in named)


@pytest.mark.parametrize(
    ("schema", "value"), [each[1:] for each in PROPERTIES], ids=[name for name, _, _ in PROPERTIES]
)
def test_every_property_has_evidence(schema: dict[str, Any], value: dict[str, Any]) -> None:
    """A property says how it is known, or the schema that it refers to, or the one that it is in."""
    assert evidence_of(whole(), schema, value).facts


def test_every_rule_has_evidence() -> None:
    """Each paragraph of the introduction has evidence, but those about the document itself."""
    assert paragraphs(whole()).keys() - ABOUT_THE_DOCUMENT == whole()["info"]["x-rule-evidence"].keys()


# It is what it can be.


def test_every_evidence_is_one() -> None:
    """It has known grades, the best first, and sections that controller-facts has; what is known names one."""
    found = [Evidence.parse(words) for words in words_of_all()]

    assert len(found) > 200
    assert set() == {fact for each in found for fact in each.facts} - SECTIONS
    assert [] == [each for each in found if len(set(each.facts)) < max(1, len(each.facts))]


def test_evidence_of_values_is_of_values_there_are() -> None:
    """``x-enum-evidence`` names values of the enum that it stands beside."""
    stray = {
        path: set(node["x-enum-evidence"]) - set(node.get("enum", ()))
        for path, node in NODES.items()
        if "x-enum-evidence" in node
    }

    assert stray
    assert set() == set().union(*stray.values())


NO_EVIDENCE = [
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


@pytest.mark.parametrize("words", NO_EVIDENCE, ids=" ".join)
def test_what_is_no_evidence_is_refused(words: list[str]) -> None:
    """Words that are no grade, sections that are none, and grades out of order are no evidence."""
    with pytest.raises(ValueError, match=r"no evidence|the best"):
        Evidence.parse(words)


# A guess in the text is a guess in the evidence, and the other way round.


def inherits_a_guess(path: Path) -> bool:
    """Whether it is a property of a schema that is a guess as a whole."""
    schema = NODES[path[:-2]] if path[-2:-1] == ("properties",) else {}
    return Evidence.parse(schema.get("x-evidence", ["derived"])).grade == "guess"


def test_text_and_evidence_agree_on_guesses() -> None:
    """What its text calls a guess is graded as one, in part or as a whole, and nothing else is."""
    texts = {path for path, node in NODES.items() if guesses(text_of(node)) and path != ("info",)}
    graded = {path for path, node in NODES.items() if "guess" in node.get("x-evidence", ())}
    inheriting = {path for path in texts - graded if inherits_a_guess(path)}

    assert set() == texts - graded - inheriting
    assert set() == graded - texts


def test_rules_and_evidence_agree_on_guesses() -> None:
    """So it is with the paragraphs of the introduction."""
    texts = paragraphs(whole())
    graded = {title for title, words in whole()["info"]["x-rule-evidence"].items() if "guess" in words}

    assert graded == {title for title, text in texts.items() if guesses(text)} - ABOUT_THE_DOCUMENT


def guessed_places() -> Iterator[tuple[str, str]]:
    for feature, each in FEATURES.items():
        for table in (CAME, WENT, ALWAYS_FROM, ALWAYS_UNTIL):
            if each.guess:
                yield from ((feature, place) for place in table.get(feature, "").split())


@pytest.mark.parametrize(("feature", "place"), list(guessed_places()))
def test_a_guessed_release_is_a_guess_where_it_is_marked(feature: str, place: str) -> None:
    """What came or went with a release that nobody has seen is in part a guess."""
    first, second, *_ = place.split(".")
    components = whole()["components"]
    marked = components[first][second] if first in components else SCHEMAS[first]["properties"][second]

    assert "guess" in marked["x-evidence"], feature
