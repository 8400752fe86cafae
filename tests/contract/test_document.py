"""The projection of the document to one release."""

from copy import deepcopy
from itertools import pairwise
from typing import Any

import pytest
import yaml

from mockanka.contract.document import (
    EVIDENCE_MARKS,
    RELEASE_MARKS,
    at_release,
    document_to_yaml,
    load_document,
    resolve_reference,
)
from mockanka.core.release import KNOWN_RELEASES, SINCE, Release
from tests.contracts import Contract, contract, full_document

OLD, NEW = Release(1, 8, 0), Release(1, 30, 0)


def document(schema: Any = None, operation: Any = None, **components: Any) -> dict[str, Any]:
    """Return a small document: one operation that responds with one schema, and another one."""
    media = {"schema": {"$ref": "#/components/schemas/S"}}
    plain = {"operationId": "one", "responses": {"200": {"description": "", "content": {"text/plain": media}}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "T", "version": "0"},
        "paths": {"/one": {"get": plain}, "/other": {"post": {**plain, **(operation or {"x-since": "9.0.0"})}}},
        "components": {"schemas": {"S": schema or {"type": "object"}}, **components},
    }


def schema_at(schema: Any, release: Release) -> Any:
    """Return the schema at a release."""
    return at_release(document(schema), release)["components"]["schemas"]["S"]


def test_a_property_has_first_and_last_releases() -> None:
    """``x-since`` is the first release that has it, ``x-until`` the first without it; both marks are removed."""
    schema = {"properties": {"a": {"type": "string", "x-since": "1.9.0", "x-until": "1.24.0"}, "b": {}}}
    releases = [Release.parse(text) for text in ("1.8.0", "1.9.0", "1.23.9", "1.24.0")]
    with_a, without_a = {"properties": {"a": {"type": "string"}, "b": {}}}, {"properties": {"b": {}}}

    assert [without_a, with_a, with_a, without_a] == [schema_at(schema, release) for release in releases]


def test_evidence_is_removed() -> None:
    """The contract of a release has no evidence, at any depth."""
    schema = {
        "x-evidence": ["captured", "A1"],
        "properties": {"a": {"enum": ["b"], "x-evidence": ["guess"], "x-enum-evidence": {"b": ["guess"]}}},
    }
    marked = document(schema, operation={"x-evidence": ["reference", "A1"]})
    marked["info"]["x-rule-evidence"] = {"Rule": ["guess"]}
    plain = at_release(marked, OLD)

    assert {"properties": {"a": {"enum": ["b"]}}} == plain["components"]["schemas"]["S"]
    assert "x-evidence" not in plain["paths"]["/other"]["post"]
    assert {"title", "version"} == set(plain["info"])


def test_an_absent_property_is_not_required() -> None:
    """The required list keeps its order, and names that are not properties."""
    schema = {"required": ["b", "a", "c"], "properties": {"a": {"x-since": "1.24.0"}, "b": {}}}

    assert [["b", "c"], ["b", "a", "c"]] == [schema_at(schema, release)["required"] for release in (OLD, NEW)]


def test_an_empty_required_list_is_removed() -> None:
    """The list is removed with its last property."""
    assert {"properties": {}} == schema_at({"required": ["a"], "properties": {"a": {"x-since": "1.24.0"}}}, OLD)


def test_a_property_is_required_from_a_release_on_and_until_one() -> None:
    """``x-required-since`` and ``x-required-until`` mark the releases in which a property is always present."""
    schema = {
        "required": ["c"],
        "properties": {"a": {"x-required-since": "1.24.0"}, "b": {"x-required-until": "1.24.0"}, "c": {}},
    }

    assert [["c", "b"], ["c", "a"]] == [schema_at(schema, release)["required"] for release in (OLD, NEW)]


def test_a_required_list_may_begin_with_a_release() -> None:
    """A schema without a required list gets one from that release on."""
    schema = {"properties": {"a": {"x-required-since": "1.24.0"}}}

    assert ["required" in schema_at(schema, release) for release in (OLD, NEW)] == [False, True]


@pytest.mark.parametrize("kind", ["oneOf", "anyOf"])
def test_a_single_alternative_is_the_schema_itself(kind: str) -> None:
    """A choice of one is replaced by the alternative; keywords beside the choice take precedence."""
    schema = {
        "description": "outer",
        kind: [{"type": "string", "description": "inner"}, {"type": "null", "x-since": "1.24.0"}],
    }

    assert {"type": "string", "description": "outer"} == schema_at(schema, OLD)
    assert {
        "description": "outer",
        kind: [{"type": "string", "description": "inner"}, {"type": "null"}],
    } == schema_at(schema, NEW)


def test_values_have_first_and_last_releases() -> None:
    """``x-enum-since`` and ``x-enum-until`` mark values of an enum; the other values belong to every release."""
    schema = {"enum": ["a", "b", ""], "x-enum-since": {"b": "1.24.0"}, "x-enum-until": {"": "1.24.0"}}

    assert [{"enum": ["a", ""]}, {"enum": ["a", "b"]}] == [schema_at(schema, release) for release in (OLD, NEW)]


def test_an_operation_and_its_path_come_with_a_release() -> None:
    """An operation of a later release is left out, and so is a path without operations."""
    marked = document(operation={"x-since": "1.24.0"})
    marked["paths"]["/one"]["put"] = {"x-until": "1.24.0"}

    assert [{"/one": {"get", "put"}}, {"/one": {"get"}, "/other": {"post"}}] == [
        {path: set(item) for path, item in at_release(marked, release)["paths"].items()} for release in (OLD, NEW)
    ]


def test_references_to_absent_components_are_removed() -> None:
    """References to a parameter or a response of other releases are removed with it."""
    parameter = {"name": "p", "in": "query", "x-since": "1.24.0"}
    marked = document(parameters={"P": parameter}, responses={"R": {"description": "", "x-since": "1.24.0"}})
    marked["paths"]["/one"]["get"]["parameters"] = [{"$ref": "#/components/parameters/P"}]
    marked["paths"]["/one"]["get"]["responses"]["400"] = {"$ref": "#/components/responses/R"}
    old, new = (at_release(marked, release) for release in (OLD, NEW))

    assert [[], 1] == [old["paths"]["/one"]["get"]["parameters"], len(new["paths"]["/one"]["get"]["parameters"])]
    assert [{"200"}, {"200", "400"}] == [set(contract["paths"]["/one"]["get"]["responses"]) for contract in (old, new)]
    assert [{"schemas"}, {"schemas", "parameters", "responses"}] == [
        set(contract["components"]) for contract in (old, new)
    ]


def test_unused_components_are_removed() -> None:
    """Components that an operation uses, directly or through others, remain, and only they."""
    marked = document({"properties": {"a": {"$ref": "#/components/schemas/A"}, "b": {"x-until": "1.9.0"}}})
    marked["components"]["schemas"] |= {
        "A": {"items": {"$ref": "#/components/schemas/A"}, "x-": {"$ref": "#/components/schemas/B"}},
        "B": {},
        "C": {"$ref": "#/components/schemas/A"},
    }

    assert ["S", "A", "B"] == list(at_release(marked, OLD)["components"]["schemas"])


def test_the_query_selects_among_the_remaining_shapes() -> None:
    """``x-when-query`` loses absent shapes, and is removed when no choice is left."""
    marked = document()
    marked["components"]["schemas"] |= {"T": {}, "U": {}}
    media = marked["paths"]["/one"]["get"]["responses"]["200"]["content"]["text/plain"]
    shapes = {name: f"#/components/schemas/{name}" for name in "STU"}
    media["schema"] = {
        "oneOf": [
            {"$ref": shapes["S"]},
            {"$ref": shapes["T"], "x-since": "1.9.0"},
            {"$ref": shapes["U"], "x-since": "1.24.0"},
        ]
    }
    media["x-when-query"] = {"id": shapes["T"], "v=1": shapes["U"], "otherwise": shapes["S"]}

    assert [None, {"id": shapes["T"], "otherwise": shapes["S"]}, media["x-when-query"]] == [
        at_release(marked, release)["paths"]["/one"]["get"]["responses"]["200"]["content"]["text/plain"].get(
            "x-when-query"
        )
        for release in (OLD, Release(1, 9, 0), NEW)
    ]


def test_links_have_a_first_release() -> None:
    """A map of links without links is removed."""
    marked = document()
    marked["paths"]["/one"]["get"]["responses"]["200"]["links"] = {"l": {"operationId": "two", "x-since": "1.24.0"}}

    assert [False, True] == [
        "links" in at_release(marked, release)["paths"]["/one"]["get"]["responses"]["200"] for release in (OLD, NEW)
    ]


def test_data_is_not_projected() -> None:
    """The value of an example or a default is not a schema, even if it looks like one."""
    data = {"a": {"x-since": "9.0.0"}, "oneOf": [1], "properties": {}, "required": ["b"]}

    assert {"default": data} == schema_at({"default": data}, OLD)


def test_the_projection_copies_the_document() -> None:
    """Changes of the contract of a release do not change the document."""
    before = deepcopy(full_document())
    projection = at_release(full_document(), NEW)
    projection["info"]["title"] = "changed"
    for path_item in projection["paths"].values():
        path_item.clear()

    assert before == full_document() == load_document()


# The document itself, at every release.


def _releases(value: Any) -> set[str]:
    """Return the releases in all marks of a value."""
    if isinstance(value, list):
        return set().union(*map(_releases, value)) if value else set()
    if not isinstance(value, dict):
        return set()
    found = {value[mark] for mark in RELEASE_MARKS if isinstance(value.get(mark), str)}
    found |= {
        release for mark in RELEASE_MARKS if isinstance(value.get(mark), dict) for release in value[mark].values()
    }
    return found.union(*map(_releases, value.values()))


MARKED = _releases(full_document())
DIFFERENT = [str(release) for release in KNOWN_RELEASES if release == KNOWN_RELEASES[0] or str(release) in MARKED]
"""The releases whose contract differs from the one before."""


@pytest.mark.parametrize("release", DIFFERENT)
def test_a_contract_is_complete_and_without_marks(release: str) -> None:
    """At every release all references resolve, no mark or evidence is left, and required properties exist."""
    projected = contract(release)

    def walk(value: Any) -> None:
        if isinstance(value, list):
            for item in value:
                walk(item)
        if isinstance(value, dict):
            assert set() == value.keys() & {*RELEASE_MARKS, *EVIDENCE_MARKS}
            if isinstance(value.get("$ref"), str):
                assert resolve_reference(projected.document, value["$ref"]) is not None
            if isinstance(value.get("properties"), dict) and value.get("additionalProperties") is False:
                assert set() == set(value.get("required", [])) - set(value["properties"])
            for kind in ("oneOf", "anyOf", "enum"):
                assert value.get(kind) != []
            for member in value.values():
                walk(member)

    walk(projected.document)

    assert release == projected.document["info"]["version"]


@pytest.mark.parametrize("release", DIFFERENT)
def test_every_example_fits_at_every_release(release: str) -> None:
    """Each example of a release is valid at that release."""
    projected = contract(release)
    examples = projected.examples()

    assert [] == [(name, error) for name, schema, value in examples for error in projected.errors(schema, value)]


def test_every_example_belongs_to_some_release() -> None:
    """The marks of no example contradict those of its schema."""

    def named(document: Contract) -> set[tuple[str, str]]:
        return {(schema, name.rpartition("-")[2]) for name, schema, _ in document.examples()}

    shown = set().union(*(named(contract(str(release))) for release in KNOWN_RELEASES))

    assert named(Contract(full_document())) == shown


def test_contracts_differ_where_something_came_or_went() -> None:
    """The contracts of two successive releases differ, apart from the number, exactly if a mark names the later one."""

    def plain(release: Release) -> dict[str, Any]:
        document = contract(str(release)).document
        return {**document, "info": {**document["info"], "version": ""}}

    marked = {Release.parse(text) for text in MARKED}
    for before, after in pairwise(KNOWN_RELEASES):
        assert (after in marked) == (plain(before) != plain(after)), after


def test_every_mark_is_the_release_of_a_feature() -> None:
    """Every release in a mark, also of an example or a link, has a feature in the table."""
    assert set() == MARKED - set(map(str, SINCE.values()))


@pytest.mark.parametrize("release", ["1.8.0", "1.50.1"])
def test_the_yaml_has_the_contract(release: str) -> None:
    """The YAML of a contract loads as the contract, with its keys in their order and without anchors."""
    projected = contract(release).document
    text = document_to_yaml(projected)

    assert projected == yaml.safe_load(text)
    assert list(projected["components"]["schemas"]) == list(yaml.safe_load(text)["components"]["schemas"])
    assert "&id" not in text
