"""The contract of each release for tests: pointers, references, examples, and validation."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Iterator
from functools import cache, cached_property
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from mockanka.contract.document import OPENAPI_METHODS, at_release, load_document
from mockanka.core.release import Release

RELEASES = ("1.8.0", "1.24.0", "1.32.0", "1.43.0", "1.50.1")
"""The releases that all tests of the contract run for."""

FAIL = "#/components/schemas/FailEnvelope"
JSON = "application/json"


@cache
def full_document() -> dict[str, Any]:
    """Return the document of all releases."""
    return load_document()


@cache
def contract(release: str) -> Contract:
    """Return the contract of a release."""
    return Contract(at_release(full_document(), Release.parse(release)))


def has(release: str, since: str | None = None, until: str | None = None) -> bool:
    """Return whether a release is at least ``since`` and lower than ``until``."""
    parsed = Release.parse(release)
    return (since is None or parsed >= Release.parse(since)) and (until is None or parsed < Release.parse(until))


def distinct(rows: Iterable[tuple[Hashable, Any]]) -> list[Any]:
    """Return the first value of each key, so that what several releases describe alike is tested once."""
    first_values: dict[Hashable, Any] = {}
    for key, value in rows:
        first_values.setdefault(key, value)
    return list(first_values.values())


def pointer(*keys: str | int) -> str:
    """Return a JSON pointer as a fragment."""
    return "#" + "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys)


class Contract:
    """A document, of one release or of all. Its parts are named by pointers."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self._base = "urn:mockanka:contract"
        self._validators: dict[str, Draft202012Validator] = {}

    @cached_property
    def _registry(self) -> Registry[Any]:
        registry: Registry[Any] = Registry().with_resource(self._base, DRAFT202012.create_resource(self.document))
        return registry

    def at(self, where: str) -> Any:
        """Return the part at a pointer."""
        return self._registry.resolver(self._base).lookup(where).contents

    def resolve(self, where: str) -> str:
        """Return the pointer at the end of a chain of references."""
        seen = set()
        while isinstance(found := self.at(where), dict) and "$ref" in found:
            assert where not in seen, f"{where} refers to itself"
            seen.add(where)
            where = found["$ref"]
        return where

    def content(self, where: str) -> str:
        """Return the part at a pointer, with all parts that it refers to, as text that can be compared."""
        texts: dict[str, str] = {}
        left = [where]
        while left:
            if (name := left.pop()) not in texts:
                found = self.at(name)
                texts[name] = json.dumps(found, sort_keys=True)
                left += references(found)
        del texts[where]
        return json.dumps([self.at(where), texts], sort_keys=True)

    def errors(self, schema: str, value: Any) -> list[str]:
        """Return the errors of a value by a schema."""
        if schema not in self._validators:
            self._validators[schema] = Draft202012Validator(
                {"$ref": self._base + schema},
                registry=self._registry,
                format_checker=Draft202012Validator.FORMAT_CHECKER,
            )
        return [f"{error.json_path}: {error.message}" for error in self._validators[schema].iter_errors(value)]

    @cached_property
    def operations(self) -> dict[str, str]:
        """The pointer of every operation by its name."""
        return {
            item[method]["operationId"]: pointer("paths", path, method)
            for path, item in self.document["paths"].items()
            for method in OPENAPI_METHODS
            if method in item
        }

    def operation(self, name: str) -> dict[str, Any]:
        """Return an operation."""
        found: dict[str, Any] = self.at(self.operations[name])
        return found

    def request_media(self, name: str) -> str | None:
        """Return the pointer of the media type of a request body, or None."""
        if "requestBody" not in self.operation(name):
            return None
        return self.resolve(self.operations[name] + "/requestBody") + pointer("content", JSON)[1:]

    def answer_media(self, name: str, status: str = "200") -> str:
        """Return the pointer of the media type of a response."""
        where = self.resolve(f"{self.operations[name]}/responses/{status}")
        (kind,) = self.at(where)["content"]
        return where + pointer("content", kind)[1:]

    def has_envelope(self, name: str) -> bool:
        """Return whether the response is JSON; probes answer with text."""
        return JSON in self.at(self.resolve(f"{self.operations[name]}/responses/200"))["content"]

    def parameters(self, name: str) -> list[str]:
        """Return the pointers of an operation's parameters."""
        count = len(self.operation(name).get("parameters", []))
        return [self.resolve(f"{self.operations[name]}/parameters/{i}") for i in range(count)]

    def alternatives(self, media: str) -> list[str]:
        """Return the pointers of the schemas that a response may have."""
        schema = self.at(media + "/schema")
        options = schema.get("oneOf", schema.get("anyOf"))
        return [option["$ref"] for option in options] if options else [schema.get("$ref", media + "/schema")]

    def shapes(self, name: str) -> list[str]:
        """Return the pointers of the schemas of a successful response."""
        return [option for option in self.alternatives(self.answer_media(name)) if option != FAIL]

    def failing(self, name: str) -> str:
        """Return the pointer of the media type of a FAIL response."""
        statuses = self.operation(name)["responses"]
        return self.answer_media(name, "400" if "400" in statuses else "200")

    def selected(self, name: str, query: str) -> str:
        """Return the envelope that x-when-query names for a query parameter, or for ``otherwise``."""
        return str(self.at(self.answer_media(name))["x-when-query"][query])

    def examples_at(self, holder: str) -> dict[str, Any]:
        """Return the examples of a media type, a parameter or a header, by name."""
        found = {"example": self.at(holder)["example"]} if "example" in self.at(holder) else {}
        for name in self.at(holder).get("examples", {}):
            found[name] = self.at(self.resolve(holder + pointer("examples", name)[1:]))["value"]
        return found

    def examples(self) -> Iterator[tuple[str, str, Any]]:
        """Yield a readable id, the pointer of the schema and the value of every example in the document."""
        for name, where in self.operations.items():
            holders = [(f"{name}-parameter-{self.at(p)['name']}", p) for p in self.parameters(name)]
            if media := self.request_media(name):
                holders.append((f"{name}-request", media))
            for status in self.operation(name)["responses"]:
                holders.append((f"{name}-{status}", self.answer_media(name, status)))
                response = self.resolve(f"{where}/responses/{status}")
                for header in self.at(response).get("headers", {}):
                    place = self.resolve(response + pointer("headers", header)[1:])
                    holders.append((f"{name}-{status}-{header}", place))
            for label, holder in holders:
                for example, value in self.examples_at(holder).items():
                    yield f"{label}-{example}", holder + "/schema", value

    def links(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Yield the operation that has a link, the link's name, and the link."""
        for name, where in self.operations.items():
            for status in self.operation(name)["responses"]:
                for link, value in self.at(self.resolve(f"{where}/responses/{status}")).get("links", {}).items():
                    yield name, link, value


def references(value: Any) -> Iterator[str]:
    """Every pointer that stands in a value: those of ``$ref``, and those that a query selects."""
    if isinstance(value, str) and value.startswith("#/"):
        yield value
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from references(inner)
