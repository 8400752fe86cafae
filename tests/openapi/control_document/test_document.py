"""The document is valid and complete."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV30SpecValidator

import mockanka
from tests.openapi.control_document.document import (
    DOCUMENT,
    EXAMPLES,
    OPERATIONS,
    OPERATIONS_BY_ID,
    Operation,
    document,
    examples_of,
    schema_errors,
)


def test_the_document_is_valid_openapi() -> None:
    """The document is valid OpenAPI 3.0."""
    OpenAPIV30SpecValidator(document()).validate()

    assert document()["openapi"].startswith("3.0.")


def test_the_document_has_the_version_of_the_package() -> None:
    """The version of the document is that of the package."""
    assert mockanka.__version__ == document()["info"]["version"]


@pytest.mark.parametrize("operation", OPERATIONS, ids=OPERATIONS_BY_ID)
def test_an_operation_is_described(operation: Operation) -> None:
    """Every operation has known tags, a summary and a description, and so has every parameter."""
    tags = {tag["name"] for tag in document()["tags"]}
    in_path = [parameter["name"] for parameter in operation.parameters if parameter["in"] == "path"]

    assert set(operation.spec["tags"]) <= tags
    assert operation.spec["summary"]
    assert operation.spec["description"].endswith(".")
    assert all(parameter["description"] and parameter["schema"] for parameter in operation.parameters)
    assert re.findall(r"\{(\w+)\}", operation.path) == in_path


def find_odd_schemas(value: Any, path: str = "") -> Iterator[str]:
    """Yield what is below a path that generators of clients do not understand, or each in its own way."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from find_odd_schemas(item, f"{path}/{index}")
    if not isinstance(value, dict):
        return
    for name, schema in value.get("properties", {}).items():
        if isinstance(schema, bool):
            yield f"{path}/{name}: a boolean schema"
    if isinstance(value.get("type"), list):
        yield f"{path}: several types"
    if any(option.get("type") == "array" for key in ("anyOf", "oneOf") for option in value.get(key, ())):
        yield f"{path}: a value or a list"
    if "default" in value:
        yield f"{path}: a default, which makes the key required in TypeScript"
    for key, part in value.items():
        if key not in ("examples", "example", "enum"):
            yield from find_odd_schemas(part, f"{path}/{key}")


def test_generators_of_clients_understand_every_schema() -> None:
    """No schema is a boolean, has several types or a default, or takes a value as well as a list."""
    assert [] == list(find_odd_schemas(document()))


def test_every_component_is_used() -> None:
    """Every component is referred to."""
    text = DOCUMENT.read_text("utf-8")
    components = document()["components"]
    references = [f"#/components/{kind}/{name}" for kind, named in components.items() for name in named]

    assert [] == [reference for reference in references if f"$ref: '{reference}'" not in text]


@pytest.mark.parametrize(
    ("schema", "value"), [example[1:] for example in EXAMPLES], ids=[example[0] for example in EXAMPLES]
)
def test_an_example_fits_its_schema(schema: Any, value: Any) -> None:
    """Every example of a request, a response, a parameter or a schema is valid."""
    assert [] == schema_errors(schema, value)


@pytest.mark.parametrize("operation", OPERATIONS, ids=OPERATIONS_BY_ID)
def test_an_operation_has_examples(operation: Operation) -> None:
    """Every body and every response has an example, except for a whole state, which is long."""
    media_types = list(operation.bodies.values())
    media_types += [media for response in operation.responses.values() for media in response["content"].values()]
    without = [media for media in media_types if not examples_of(media)]

    assert [] == without or operation.id == "showScenario"
