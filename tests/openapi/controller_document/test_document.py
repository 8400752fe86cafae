"""The controller's document, openapi/controller.yaml, is valid and complete, as a whole and at each release.

What the document says of two releases in the same words is tested at the first of them: the test of the other would
compare the same values.
"""

from pathlib import Path
from typing import Any

import pytest
import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator

from mockanka.contract.document import OPENAPI_METHODS
from mockanka.core.operations import OPERATIONS as OPERATION_TABLE
from mockanka.core.release import DEFAULT_RELEASE, SINCE
from tests.contracts import FAIL, RELEASES, contract, distinct, full_document, has
from tests.openapi.controller_document.operations import (
    OPERATIONS,
    PROBES,
    operation_params,
    operations_with_several_shapes,
)

DOCUMENT = Path(__file__).parents[3] / "openapi" / "controller.yaml"


class _UniqueKeyLoader(yaml.SafeLoader):
    """A loader that refuses a mapping with two equal keys, of which SafeLoader keeps the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"keys given twice: {twice}", node.start_mark)
        return super().construct_mapping(node, deep)


def test_the_whole_document_is_valid_openapi() -> None:
    """The document is valid OpenAPI 3.1 with all its extensions, and has no key twice."""
    loaded = yaml.load(DOCUMENT.read_text(encoding="utf-8"), _UniqueKeyLoader)

    assert loaded == full_document()
    assert loaded["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(loaded).validate()


def test_the_whole_document_has_the_version_of_the_default_release() -> None:
    """The version of the document is the default release."""
    assert str(DEFAULT_RELEASE) == full_document()["info"]["version"]


def test_the_operations_are_exactly_the_agreed_ones() -> None:
    """The document has the listed operations, under their ids and since their releases, and no other."""
    found = {
        (path, method): (item[method]["operationId"], item[method].get("x-since"))
        for path, item in full_document()["paths"].items()
        for method in OPENAPI_METHODS
        if method in item
    }

    assert OPERATIONS == found


@pytest.mark.parametrize("release", RELEASES)
def test_a_contract_is_valid_openapi(release: str) -> None:
    """The contract of a release is valid OpenAPI 3.1, and its version is the release."""
    document = contract(release).document
    OpenAPIV31SpecValidator(document).validate()

    assert release == document["info"]["version"]


@pytest.mark.parametrize("release", RELEASES)
def test_a_contract_has_the_operations_of_its_release(release: str) -> None:
    """The contract of a release has the operations that were added up to it, and no other."""
    expected = {name for name, since in OPERATIONS.values() if has(release, since)}

    assert expected == set(contract(release).operations)


@pytest.mark.parametrize(("release", "name"), operation_params(with_envelope=True))
def test_failure_is_documented_once(release: str, name: str) -> None:
    """Before 1.20.0 a response with 200 is success or failure; from then on 200 is success and 400 is failure."""
    spec = contract(release)
    options = spec.alternatives(spec.answer_media(name))
    responses = spec.operation(name)["responses"]

    if has(release, until="1.20.0"):
        assert {"200"} == set(responses)
        assert len(options) >= 2
        assert FAIL == options[-1]
    else:
        assert {"200", "400"} == set(responses)
        assert FAIL not in options
        assert {"$ref": FAIL} == spec.at(spec.answer_media(name, "400") + "/schema")


@pytest.mark.parametrize("release", RELEASES)
def test_only_probes_have_no_envelope(release: str) -> None:
    """The two probes answer with text and never fail; every other response is an envelope."""
    spec = contract(release)
    without_envelope = {name for name in spec.operations if not spec.has_envelope(name)}

    assert PROBES & set(spec.operations) == without_envelope
    assert {("200",)} >= {tuple(spec.operation(name)["responses"]) for name in without_envelope}
    assert all(spec.answer_media(name).endswith("text~1plain") for name in without_envelope)


EXAMPLES = distinct(
    ((contract(release).content(schema), repr(value)), pytest.param(release, schema, value, id=f"{release}-{name}"))
    for release in RELEASES
    for name, schema, value in contract(release).examples()
)


@pytest.mark.parametrize(("release", "schema", "value"), EXAMPLES)
def test_an_example_fits_its_schema(release: str, schema: str, value: Any) -> None:
    """Every example of a request, a response, a parameter or a header is valid."""
    assert [] == contract(release).errors(schema, value)


@pytest.mark.parametrize(("release", "name"), operation_params())
def test_an_operation_has_its_examples(release: str, name: str) -> None:
    """Every operation has examples of its parameters, its request, every shape of success, and failure.

    An empty list is no example of its shape.
    """
    spec = contract(release)
    for parameter in spec.parameters(name):
        assert spec.examples_at(parameter), f"no example for the parameter {spec.at(parameter)['name']}"
    if media := spec.request_media(name):
        assert spec.examples_at(media), "no example of the request"
    responses = list(spec.examples_at(spec.answer_media(name)).values())
    if name in PROBES:
        assert responses
        return
    successes = [response for response in responses if spec.errors(FAIL, response)]
    shapes = spec.shapes(name)
    for shape in shapes:
        not_empty = [example for example in successes if example.get("body") != []]
        assert any(not spec.errors(shape, example) for example in not_empty), f"no example of {shape}"
    assert len(successes) >= len(shapes)
    failures = spec.examples_at(spec.failing(name)).values()
    assert any(not spec.errors(FAIL, response) for response in failures), "no example of a failure"


AMBIGUOUS = {"listNodes": "a list of one node", "listTemplates": "an empty list"}
"""Responses that fit two shapes, so that only the query tells which is meant."""


@pytest.mark.parametrize(("release", "name"), operation_params(with_envelope=True))
def test_a_response_has_one_shape(release: str, name: str) -> None:
    """Each example of a response fits one alternative, except for lists of one node and of no templates."""
    spec = contract(release)
    media = spec.answer_media(name)
    has_several = len(spec.alternatives(media)) > 1

    assert (name in AMBIGUOUS) == ("anyOf" in spec.at(media + "/schema"))
    assert (has_several and name not in AMBIGUOUS) == ("oneOf" in spec.at(media + "/schema"))
    for example, value in spec.examples_at(media).items():
        matching = [option for option in spec.alternatives(media) if not spec.errors(option, value)]
        if name == "listNodes" and len(value.get("body", [])) == 1:
            assert spec.shapes(name) == matching
        elif name == "listTemplates" and value.get("body") == []:
            assert [shape for shape in spec.shapes(name) if "List" in shape] == matching
        else:
            assert len(matching) == 1, f"{example} fits {matching}"


@pytest.mark.parametrize("release", RELEASES)
def test_the_operations_with_several_shapes_say_which_query_selects(release: str) -> None:
    """Exactly the operations whose responses have several shapes have x-when-query."""
    spec = contract(release)

    assert [name for name in spec.operations if len(spec.shapes(name)) > 1] == operations_with_several_shapes(release)
    assert {"listVms", "listNodes", "listTemplates", "listDistributions", "listSaveImages"} == set(
        operations_with_several_shapes(release)
    )


@pytest.mark.parametrize(
    ("release", "name"), [(release, name) for release in RELEASES for name in operations_with_several_shapes(release)]
)
def test_a_selected_shape_is_among_the_alternatives(release: str, name: str) -> None:
    """x-when-query selects every alternative of success, by query parameters of the operation."""
    spec = contract(release)
    shapes = dict(spec.at(spec.answer_media(name))["x-when-query"])
    for target in shapes.values():
        assert isinstance(spec.at(target), dict)
    assert sorted(shapes.values()) == sorted(spec.shapes(name))
    assert shapes.pop("otherwise")
    declared = {
        spec.at(parameter)["name"] for parameter in spec.parameters(name) if spec.at(parameter)["in"] == "query"
    }
    assert {query.partition("=")[0] for query in shapes} == declared


LINKS = distinct(
    (
        (
            source,
            name,
            repr(link),
            contract(release).content(contract(release).operations.get(link["operationId"], "#")),
        ),
        pytest.param(release, source, link, id=f"{release}-{source}-{name}"),
    )
    for release in RELEASES
    for source, name, link in contract(release).links()
)


@pytest.mark.parametrize("release", RELEASES)
def test_the_operations_that_create_something_have_links(release: str) -> None:
    """The operations that create something link to those that use it."""
    assert {"startVms", "distributeTemplate", "saveImage", "createGroup"} == {
        source for source, _, _ in contract(release).links()
    }


@pytest.mark.parametrize(("release", "source", "link"), LINKS)
def test_a_link_leads_to_an_operation(release: str, source: str, link: dict[str, Any]) -> None:
    """Every link names an operation of the release, with parameters and a body that it takes."""
    spec = contract(release)
    assert link["operationId"] in spec.operations
    target = link["operationId"]
    assert set(link.get("parameters", {})) <= {spec.at(parameter)["name"] for parameter in spec.parameters(target)}
    media = spec.request_media(target)
    assert ("requestBody" in link) == (media is not None)
    if media:
        assert spec.errors(media + "/schema", link["requestBody"]) == []


def params_with_body() -> list[Any]:
    """Return test parameters for every operation with a body."""
    return [param for param in operation_params() if contract(param.values[0]).request_media(param.values[1])]


@pytest.mark.parametrize(("release", "name"), params_with_body())
def test_a_request_may_have_unknown_fields(release: str, name: str) -> None:
    """Every request body but one is required, and may have an unknown field."""
    spec = contract(release)
    media = spec.request_media(name)
    assert media is not None
    assert (name != "removeTemplateFromNodes") == spec.operation(name)["requestBody"]["required"]
    for value in spec.examples_at(media).values():
        assert spec.errors(media + "/schema", {**value, "disk": {}, "surprise": None}) == []


def test_the_document_has_the_operations_of_the_table() -> None:
    """The table of operations has the same ids, paths, methods and releases."""
    table = {
        (operation.path, operation.method.lower()): (
            operation.id,
            str(SINCE[operation.feature]) if operation.feature else None,
        )
        for operation in OPERATION_TABLE
    }

    assert OPERATIONS == table
