"""The projection: what of the document belongs to one release."""

from copy import deepcopy
from itertools import pairwise
from typing import Any

import pytest
import yaml

from mockanka.contract.document import EVIDENCE, MARKS, at_release, dump, load, look_up
from mockanka.core.release import KNOWN_RELEASES, SINCE, Release
from tests.contracts import Contract, contract, whole

OLD, NEW = Release(1, 8, 0), Release(1, 30, 0)


def document(schema: Any = None, operation: Any = None, **components: Any) -> dict[str, Any]:
    """A small document: one operation that answers with one schema."""
    media = {"schema": {"$ref": "#/components/schemas/S"}}
    plain = {"operationId": "one", "responses": {"200": {"description": "", "content": {"text/plain": media}}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "T", "version": "0"},
        "paths": {"/one": {"get": plain}, "/other": {"post": {**plain, **(operation or {"x-since": "9.0.0"})}}},
        "components": {"schemas": {"S": schema or {"type": "object"}}, **components},
    }


def projected(schema: Any, release: Release) -> Any:
    """What becomes of a schema."""
    return at_release(document(schema), release)["components"]["schemas"]["S"]


def test_a_property_is_there_from_since_until() -> None:
    """``x-since`` is the first release that has it, ``x-until`` the first that has it no more; neither is left."""
    schema = {"properties": {"a": {"type": "string", "x-since": "1.9.0", "x-until": "1.24.0"}, "b": {}}}
    releases = [Release.parse(text) for text in ("1.8.0", "1.9.0", "1.23.9", "1.24.0")]
    there = {"properties": {"a": {"type": "string"}, "b": {}}}

    assert [{"properties": {"b": {}}}, there, there, {"properties": {"b": {}}}] == [
        projected(schema, release) for release in releases
    ]


def test_evidence_is_the_documents_alone() -> None:
    """How a thing is known is left out of the contract of a release, wherever it stands."""
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


def test_what_is_not_there_is_not_required() -> None:
    """The required list names what is left, in its order; what it names beside the properties stays."""
    schema = {"required": ["b", "a", "c"], "properties": {"a": {"x-since": "1.24.0"}, "b": {}}}

    assert [["b", "c"], ["b", "a", "c"]] == [projected(schema, release)["required"] for release in (OLD, NEW)]


def test_a_list_of_nothing_required_is_no_list() -> None:
    """When nothing that was required is left the list goes too."""
    assert {"properties": {}} == projected({"required": ["a"], "properties": {"a": {"x-since": "1.24.0"}}}, OLD)


def test_a_property_is_required_from_a_release_on_and_until_one() -> None:
    """``x-required-since`` and ``x-required-until`` bound when a property is always there."""
    schema = {
        "required": ["c"],
        "properties": {"a": {"x-required-since": "1.24.0"}, "b": {"x-required-until": "1.24.0"}, "c": {}},
    }

    assert [["c", "b"], ["c", "a"]] == [projected(schema, release)["required"] for release in (OLD, NEW)]


def test_a_required_list_may_begin_with_a_release() -> None:
    """What has nothing that is always required gets a list when the release comes."""
    schema = {"properties": {"a": {"x-required-since": "1.24.0"}}}

    assert ["required" in projected(schema, release) for release in (OLD, NEW)] == [False, True]


@pytest.mark.parametrize("kind", ["oneOf", "anyOf"])
def test_a_single_alternative_is_the_schema_itself(kind: str) -> None:
    """Where one alternative is left there is no choice; what stands beside the choice stays and wins."""
    schema = {
        "description": "mine",
        kind: [{"type": "string", "description": "its"}, {"type": "null", "x-since": "1.24.0"}],
    }

    assert {"type": "string", "description": "mine"} == projected(schema, OLD)
    assert {
        "description": "mine",
        kind: [{"type": "string", "description": "its"}, {"type": "null"}],
    } == projected(schema, NEW)


def test_values_come_and_go() -> None:
    """``x-enum-since`` and ``x-enum-until`` say which values of an enum a release has; the others are always there."""
    schema = {"enum": ["a", "b", ""], "x-enum-since": {"b": "1.24.0"}, "x-enum-until": {"": "1.24.0"}}

    assert [{"enum": ["a", ""]}, {"enum": ["a", "b"]}] == [projected(schema, release) for release in (OLD, NEW)]


def test_an_operation_and_its_path_come_with_a_release() -> None:
    """An operation that is not there yet is left out, and so is a path that has none."""
    marked = document(operation={"x-since": "1.24.0"})
    marked["paths"]["/one"]["put"] = {"x-until": "1.24.0"}

    assert [{"/one": {"get", "put"}}, {"/one": {"get"}, "/other": {"post"}}] == [
        {path: set(item) for path, item in at_release(marked, release)["paths"].items()} for release in (OLD, NEW)
    ]


def test_what_refers_to_something_goes_with_it() -> None:
    """A parameter, an answer, an example that belongs to other releases takes the references to it along."""
    parameter = {"name": "p", "in": "query", "x-since": "1.24.0"}
    marked = document(parameters={"P": parameter}, responses={"R": {"description": "", "x-since": "1.24.0"}})
    marked["paths"]["/one"]["get"]["parameters"] = [{"$ref": "#/components/parameters/P"}]
    marked["paths"]["/one"]["get"]["responses"]["400"] = {"$ref": "#/components/responses/R"}
    old, new = (at_release(marked, release) for release in (OLD, NEW))

    assert [[], 1] == [old["paths"]["/one"]["get"]["parameters"], len(new["paths"]["/one"]["get"]["parameters"])]
    assert [{"200"}, {"200", "400"}] == [set(each["paths"]["/one"]["get"]["responses"]) for each in (old, new)]
    assert [{"schemas"}, {"schemas", "parameters", "responses"}] == [set(each["components"]) for each in (old, new)]


def test_what_nothing_refers_to_is_left_out() -> None:
    """Components that are in use through a chain stay, and only they."""
    marked = document({"properties": {"a": {"$ref": "#/components/schemas/A"}, "b": {"x-until": "1.9.0"}}})
    marked["components"]["schemas"] |= {
        "A": {"items": {"$ref": "#/components/schemas/A"}, "x-": {"$ref": "#/components/schemas/B"}},
        "B": {},
        "C": {"$ref": "#/components/schemas/A"},
    }

    assert ["S", "A", "B"] == list(at_release(marked, OLD)["components"]["schemas"])


def test_the_query_selects_among_what_is_left() -> None:
    """x-when-query loses the shapes that are not there, and goes when there is no choice."""
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


def test_a_link_to_what_is_not_there_is_left_out() -> None:
    """Links come with a release too; where none is left there is no empty map of them."""
    marked = document()
    marked["paths"]["/one"]["get"]["responses"]["200"]["links"] = {"l": {"operationId": "two", "x-since": "1.24.0"}}

    assert [False, True] == [
        "links" in at_release(marked, release)["paths"]["/one"]["get"]["responses"]["200"] for release in (OLD, NEW)
    ]


def test_data_is_left_alone() -> None:
    """What an example or a default says is no schema, even if it looks like one."""
    data = {"a": {"x-since": "9.0.0"}, "oneOf": [1], "properties": {}, "required": ["b"]}

    assert {"default": data} == projected({"default": data}, OLD)


def test_the_projection_changes_nothing() -> None:
    """The document that is projected stays as it is, whatever is done to what comes out."""
    before = deepcopy(whole())
    made = at_release(whole(), NEW)
    made["info"]["title"] = "spoilt"
    for path in made["paths"].values():
        path.clear()

    assert before == whole() == load()


# The document itself, at every release.


def _releases(value: Any) -> set[str]:
    if isinstance(value, list):
        return set().union(*map(_releases, value)) if value else set()
    if not isinstance(value, dict):
        return set()
    found = {value[mark] for mark in MARKS if isinstance(value.get(mark), str)}
    found |= {each for mark in MARKS if isinstance(value.get(mark), dict) for each in value[mark].values()}
    return found.union(*map(_releases, value.values()))


MARKED = _releases(whole())
DIFFERENT = [str(release) for release in KNOWN_RELEASES if release == KNOWN_RELEASES[0] or str(release) in MARKED]
"""The releases whose contract differs from the one before."""


@pytest.mark.parametrize("release", DIFFERENT)
def test_a_contract_is_whole_and_plain(release: str) -> None:
    """At every release all references lead somewhere, no mark or evidence is left, and what is required is there."""
    of = contract(release)

    def walk(value: Any) -> None:
        if isinstance(value, list):
            for each in value:
                walk(each)
        if isinstance(value, dict):
            assert set() == value.keys() & {*MARKS, *EVIDENCE}
            if isinstance(value.get("$ref"), str):
                assert look_up(of.document, value["$ref"]) is not None
            if isinstance(value.get("properties"), dict) and value.get("additionalProperties") is False:
                assert set() == set(value.get("required", [])) - set(value["properties"])
            for kind in ("oneOf", "anyOf", "enum"):
                assert value.get(kind) != []
            for each in value.values():
                walk(each)

    walk(of.document)

    assert release == of.document["info"]["version"]


@pytest.mark.parametrize("release", DIFFERENT)
def test_every_example_fits_at_every_release(release: str) -> None:
    """Each example that a release has is right at that release."""
    of = contract(release)

    assert [] == [(name, wrong) for name, schema, value in of.examples() for wrong in of.errors(schema, value)]


def test_every_example_belongs_to_some_release() -> None:
    """No example's marks contradict those of what it is an example of."""

    def named(of: Contract) -> set[tuple[str, str]]:
        return {(schema, name.rpartition("-")[2]) for name, schema, _ in of.examples()}

    shown = set().union(*(named(contract(str(release))) for release in KNOWN_RELEASES))

    assert named(Contract(whole())) == shown


def test_contracts_differ_where_something_came_or_went() -> None:
    """Two known releases have the same contract but for the number exactly when no mark lies between them."""

    def plain(release: Release) -> dict[str, Any]:
        document = contract(str(release)).document
        return {**document, "info": {**document["info"], "version": ""}}

    marked = {Release.parse(text) for text in MARKED}
    for before, after in pairwise(KNOWN_RELEASES):
        assert (after in marked) == (plain(before) != plain(after)), after


def test_every_mark_is_the_release_of_a_feature() -> None:
    """No mark anywhere, of an example or of a link either, names a release that nothing came with."""
    assert set() == MARKED - set(map(str, SINCE.values()))


@pytest.mark.parametrize("release", ["1.8.0", "1.50.1"])
def test_what_is_printed_is_the_contract(release: str) -> None:
    """YAML of a contract reads back as the contract, with its keys in order and without anchors."""
    of = contract(release).document
    text = dump(of)

    assert of == yaml.safe_load(text)
    assert list(of["components"]["schemas"]) == list(yaml.safe_load(text)["components"]["schemas"])
    assert "&id" not in text
