"""The document of the control API, openapi/control.yaml, as the tests read it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from openapi_schema_validator import OAS30Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

ROOT = Path(__file__).parents[3]
DOCUMENT = ROOT / "openapi" / "control.yaml"
BASE = "urn:mockanka:control"
JSON, PROBLEM, STREAM = "application/json", "application/problem+json", "text/event-stream"
METHODS = ("get", "put", "post", "delete", "patch", "trace")


@cache
def document() -> dict[str, Any]:
    """Return the document."""
    loaded: dict[str, Any] = yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))
    return loaded


@cache
def _registry() -> Registry[Any]:
    registry: Registry[Any] = Registry().with_resource(BASE, Resource(document(), DRAFT4))
    return registry


def resolve(value: Any) -> Any:
    """Return a value of the document, or what it refers to if it is a reference."""
    return _registry().resolver(BASE).lookup(value["$ref"]).contents if "$ref" in value else value


def component(name: str) -> Any:
    """Return a schema by its name."""
    return document()["components"]["schemas"][name]


def schema_errors(schema: Any, value: Any) -> list[str]:
    """Return what is wrong with a value by a schema of the document."""
    found = _validator(json.dumps(schema)).iter_errors(value)
    return [f"{error.json_path}: {error.message[:300]}" for error in found]


@cache
def _validator(schema: str) -> Any:
    absolute = _with_absolute_references(json.loads(schema))
    return OAS30Validator(absolute, registry=_registry(), format_checker=OAS30Validator.FORMAT_CHECKER)


def _with_absolute_references(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {
            key: BASE + value if key == "$ref" else _with_absolute_references(value) for key, value in schema.items()
        }
    return [_with_absolute_references(item) for item in schema] if isinstance(schema, list) else schema


def rule_errors(rule: Any) -> list[str]:
    """Return what is wrong with a fault rule that is to be added, by its schema and by the tables beside the schema.

    A schema with these tables would be one that generators of clients do not understand.
    """
    schema = component("FaultRule")
    if found := schema_errors(schema, rule):
        return found
    match, action = rule.get("match", {}), rule["do"]
    event = match.get("event", "request")
    found = [f"match: {event} takes no {key}" for key in {*match} - {"event", *schema["x-match-keys"][event]}]
    compatible = schema["x-compatible-keys"][event]
    if not any({kind} <= {*action} <= {kind, *keys} for kind, keys in compatible.items()):
        found.append(f"do: {event} has no fault with the keys {', '.join(sorted(action))}")
    found += [text for applies, text in _find_word_errors(event, match, action) if applies]
    return found + [f"{key}: cannot be set" for key in ("seen", "fired") if key in rule]


def _find_word_errors(event: str, match: Any, action: Any) -> Iterator[tuple[bool, str]]:
    """Yield whether a rule breaks what the descriptions say of keys that go together, each with a text."""
    yield action.get("connection") == "close" and "at" in action, "do: at goes with a reset"
    yield event == "begin" and len(match) > 1 and "node" not in action, "match: begin takes a node for its state only"
    yield {"after", "after_polls"} <= {*action}, "do: after and after_polls exclude each other"
    yield "every" in action and "for" not in action, "do: every needs for"
    yield "lost_instances" in action and action.get("node") != "offline", "do: lost_instances needs node: offline"
    yield event == "begin" and action.get("end") in (True, "true"), "do: end at begin needs a name"


class Operation(NamedTuple):
    """An operation of the document."""

    method: str
    path: str
    spec: dict[str, Any]

    @property
    def id(self) -> str:
        """Its operationId."""
        return str(self.spec["operationId"])

    @property
    def parameters(self) -> list[dict[str, Any]]:
        """Its parameters, without references."""
        return [resolve(parameter) for parameter in self.spec.get("parameters", [])]

    @property
    def responses(self) -> dict[int, dict[str, Any]]:
        """Its responses by status, without references."""
        return {int(status): resolve(response) for status, response in self.spec["responses"].items()}

    @property
    def success(self) -> int:
        """The status of its success."""
        return min(self.responses)

    @property
    def bodies(self) -> dict[str, Any]:
        """The media types of its request bodies, by content type."""
        found: dict[str, Any] = self.spec.get("requestBody", {}).get("content", {})
        return found

    def matches(self, path: str) -> bool:
        """Return whether the operation has the path."""
        return re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", self.path), path) is not None


OPERATIONS = [
    Operation(method.upper(), path, item[method])
    for path, item in document()["paths"].items()
    for method in METHODS
    if method in item
]
OPERATIONS_BY_ID = {operation.id: operation for operation in OPERATIONS}


def find_operation(method: str, path: str) -> Operation | None:
    """Return the operation of a request, or None."""
    return next((operation for operation in OPERATIONS if operation.method == method and operation.matches(path)), None)


def examples_of(part: dict[str, Any]) -> dict[str, Any]:
    """Return the examples of a parameter or a media type, by name."""
    return {name: example["value"] for name, example in part.get("examples", {}).items()}


def _all_examples() -> Iterator[tuple[str, Any, Any]]:
    """Yield a label, the schema and the value of every example."""
    for operation in OPERATIONS:
        parts = [(f"{operation.id}-{parameter['name']}", parameter) for parameter in operation.parameters]
        parts += [(f"{operation.id}-{content_type}", media) for content_type, media in operation.bodies.items()]
        for status, response in operation.responses.items():
            for content_type, media in response["content"].items():
                parts.append((f"{operation.id}-{status}-{content_type}", media))
        for label, part in parts:
            for name, value in examples_of(part).items():
                yield f"{label}-{name}", part["schema"], value
    for name, schema in document()["components"]["schemas"].items():
        if "example" in schema:
            yield name, {"$ref": f"#/components/schemas/{name}"}, schema["example"]


EXAMPLES = list(_all_examples())
