"""The contract document of all releases, and the plain contract of one of them."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import yaml

from mockanka import resources
from mockanka.core.release import Release

MARKS = ("x-since", "x-until", "x-required-since", "x-required-until", "x-enum-since", "x-enum-until")
"""What tells releases apart; the document's introduction says what each means."""

EVIDENCE = ("x-evidence", "x-enum-evidence", "x-rule-evidence")
"""What tells how things are known; it is the document's alone, and docs/fidelity.md is made of it."""

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_ALTERNATIVES = ("oneOf", "anyOf")
_DATA = ("value", "example", "default", "const")
"""What stands under these keys is anything, and carries no marks."""


def load() -> dict[str, Any]:
    """The document of all releases, with its marks."""
    text = resources.find("openapi/controller.yaml").read_text("utf-8")
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    loaded: dict[str, Any] = yaml.load(text, loader)
    return loaded


def dump(document: dict[str, Any]) -> str:
    """A document as YAML, its keys in the order they have."""
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text


def at_release(document: dict[str, Any], release: Release) -> dict[str, Any]:
    """The contract of one release: without what belongs to others, without marks and evidence."""
    plain: dict[str, Any] = _Projection(document, release).of(document)
    plain["info"]["version"] = str(release)
    plain["paths"] = {path: item for path, item in plain["paths"].items() if not item.keys().isdisjoint(METHODS)}
    used = _used(plain)
    plain["components"] = {
        section: kept
        for section, entries in plain["components"].items()
        if (kept := {name: entry for name, entry in entries.items() if f"#/components/{section}/{name}" in used})
    }
    return plain


def look_up(document: dict[str, Any], reference: str) -> Any:
    """What a local reference stands for."""
    found: Any = document
    for key in reference.removeprefix("#/").split("/"):
        found = found[key.replace("~1", "/").replace("~0", "~")]
    return found


class _Projection:
    def __init__(self, document: dict[str, Any], release: Release) -> None:
        self.document, self.release = document, release

    def of(self, value: Any) -> Any:
        """A value with what belongs to the release all through."""
        if isinstance(value, list):
            return [self.of(each) for each in value if self.has(each)]
        if not isinstance(value, dict):
            return value
        kept = {
            key: deepcopy(each) if key in _DATA else self.of(each)
            for key, each in value.items()
            if key not in MARKS and key not in EVIDENCE and self.has(each)
        }
        if "properties" in kept:
            self._require(value, kept)
        if "enum" in kept:
            since, until = value.get("x-enum-since", {}), value.get("x-enum-until", {})
            kept["enum"] = [each for each in kept["enum"] if self._within(since.get(each), until.get(each))]
        if "x-when-query" in kept:
            self._select(kept)
        if not kept.get("links", True):
            del kept["links"]
        return _collapsed(kept)

    def has(self, value: Any) -> bool:
        """Whether it belongs to the release, and what it refers to does."""
        while isinstance(value, dict):
            if not self._within(value.get("x-since"), value.get("x-until")):
                return False
            if "$ref" not in value:
                break
            value = look_up(self.document, value["$ref"])
        return True

    def _within(self, since: str | None, until: str | None) -> bool:
        return (since is None or self.release >= Release.parse(since)) and (
            until is None or self.release < Release.parse(until)
        )

    def _require(self, marked: dict[str, Any], kept: dict[str, Any]) -> None:
        properties: dict[str, Any] = marked["properties"]
        required = [name for name in marked.get("required", []) if name in kept["properties"] or name not in properties]
        for name in kept["properties"]:
            since, until = (properties[name].get(mark) for mark in ("x-required-since", "x-required-until"))
            if (since or until) and self._within(since, until):
                required.append(name)
        if required:
            kept["required"] = required
        else:
            kept.pop("required", None)

    def _select(self, kept: dict[str, Any]) -> None:
        """Of the shapes that a query selects those that are left; none if there is no choice."""
        there = set(_references(kept["schema"]))
        choice = {query: shape for query, shape in kept["x-when-query"].items() if shape in there}
        kept["x-when-query"] = choice
        if len(choice) < 2:
            del kept["x-when-query"]


def _collapsed(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema whose only alternative has become part of itself."""
    for kind in _ALTERNATIVES:
        if len(schema.get(kind, ())) == 1:
            (only,) = schema.pop(kind)
            schema = {**only, **schema}
    return schema


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _references(each)


def _used(document: dict[str, Any]) -> set[str]:
    """The references that lead from the operations to anything."""
    used: set[str] = set()
    waiting = list(_references(document["paths"]))
    while waiting:
        reference = waiting.pop()
        if reference not in used:
            used.add(reference)
            waiting += _references(look_up(document, reference))
    return used


class _Dumper(yaml.SafeDumper):
    """As one writes YAML by hand: lists are indented, and texts of several lines keep them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if text.count("\n") > 1 else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
