"""The contract document of all releases, and its projection to one release."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import yaml

from mockanka import resources
from mockanka.core.release import Release

RELEASE_MARKS = ("x-since", "x-until", "x-required-since", "x-required-until", "x-enum-since", "x-enum-until")
"""Extensions that say to which releases a part belongs; the document's introduction describes each."""

EVIDENCE_MARKS = ("x-evidence", "x-enum-evidence", "x-rule-evidence")
"""Extensions with the evidence of a part; only docs/fidelity.md is made of them."""

OPENAPI_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_CHOICE_KEYWORDS = ("oneOf", "anyOf")
_LITERAL_KEYWORDS = ("value", "example", "default", "const")
"""Keywords whose value is data and carries no marks."""


def load_document() -> dict[str, Any]:
    """Load the document of all releases, with its marks."""
    text = resources.find_resource("openapi/controller.yaml").read_text("utf-8")
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    document: dict[str, Any] = yaml.load(text, loader)
    return document


def document_to_yaml(document: dict[str, Any]) -> str:
    """Return the document as YAML, with its keys in their order."""
    text: str = yaml.dump(document, Dumper=_DocumentDumper, sort_keys=False, allow_unicode=True, width=120)
    return text


def at_release(document: dict[str, Any], release: Release) -> dict[str, Any]:
    """Return the contract of one release: without the parts of other releases, without marks and evidence."""
    plain: dict[str, Any] = _Projection(document, release).project(document)
    plain["info"]["version"] = str(release)
    plain["paths"] = {
        path: item for path, item in plain["paths"].items() if not item.keys().isdisjoint(OPENAPI_METHODS)
    }
    used = _reachable_references(plain)
    plain["components"] = {
        section: kept
        for section, components in plain["components"].items()
        if (kept := {name: value for name, value in components.items() if f"#/components/{section}/{name}" in used})
    }
    return plain


def resolve_reference(document: dict[str, Any], reference: str) -> Any:
    """Return the part of the document that a local reference names."""
    target: Any = document
    for key in reference.removeprefix("#/").split("/"):
        target = target[key.replace("~1", "/").replace("~0", "~")]
    return target


class _Projection:
    def __init__(self, document: dict[str, Any], release: Release) -> None:
        self.document, self.release = document, release

    def project(self, value: Any) -> Any:
        """Return a copy of the value with only those parts that belong to the release, at any depth."""
        if isinstance(value, list):
            return [self.project(item) for item in value if self.includes(item)]
        if not isinstance(value, dict):
            return value
        kept = {
            key: deepcopy(part) if key in _LITERAL_KEYWORDS else self.project(part)
            for key, part in value.items()
            if key not in RELEASE_MARKS and key not in EVIDENCE_MARKS and self.includes(part)
        }
        if "properties" in kept:
            self._set_required(value, kept)
        if "enum" in kept:
            since, until = value.get("x-enum-since", {}), value.get("x-enum-until", {})
            kept["enum"] = [item for item in kept["enum"] if self._in_range(since.get(item), until.get(item))]
        if "x-when-query" in kept:
            self._select_query_shapes(kept)
        if not kept.get("links", True):
            del kept["links"]
        return _inline_single_choice(kept)

    def includes(self, value: Any) -> bool:
        """Return whether the value belongs to the release, and so does all that it refers to."""
        while isinstance(value, dict):
            if not self._in_range(value.get("x-since"), value.get("x-until")):
                return False
            if "$ref" not in value:
                break
            value = resolve_reference(self.document, value["$ref"])
        return True

    def _in_range(self, since: str | None, until: str | None) -> bool:
        return (since is None or self.release >= Release.parse(since)) and (
            until is None or self.release < Release.parse(until)
        )

    def _set_required(self, marked: dict[str, Any], kept: dict[str, Any]) -> None:
        properties: dict[str, Any] = marked["properties"]
        required = [name for name in marked.get("required", []) if name in kept["properties"] or name not in properties]
        for name in kept["properties"]:
            since, until = (properties[name].get(mark) for mark in ("x-required-since", "x-required-until"))
            if (since or until) and self._in_range(since, until):
                required.append(name)
        if required:
            kept["required"] = required
        else:
            kept.pop("required", None)

    def _select_query_shapes(self, kept: dict[str, Any]) -> None:
        """Keep the shapes that the release has; remove ``x-when-query`` if no choice is left."""
        references = set(_references(kept["schema"]))
        choice = {query: shape for query, shape in kept["x-when-query"].items() if shape in references}
        kept["x-when-query"] = choice
        if len(choice) < 2:
            del kept["x-when-query"]


def _inline_single_choice(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with a choice of one replaced by that alternative."""
    for keyword in _CHOICE_KEYWORDS:
        if len(schema.get(keyword, ())) == 1:
            (only,) = schema.pop(keyword)
            schema = {**only, **schema}
    return schema


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _references(item)


def _reachable_references(document: dict[str, Any]) -> set[str]:
    """Return the references that can be reached from the operations."""
    reachable: set[str] = set()
    pending = list(_references(document["paths"]))
    while pending:
        reference = pending.pop()
        if reference not in reachable:
            reachable.add(reference)
            pending += _references(resolve_reference(document, reference))
    return reachable


class _DocumentDumper(yaml.SafeDumper):
    """Indents lists, repeats shared values, and writes strings of several lines as blocks."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: object) -> bool:
        return True


def _represent_string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if text.count("\n") > 1 else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_DocumentDumper.add_representer(str, _represent_string)
