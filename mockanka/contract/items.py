"""The items of the contract with their evidence: rules, operations, parameters, fields, values and status codes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from mockanka.contract.document import OPENAPI_METHODS, resolve_reference
from mockanka.contract.evidence import Evidence, titled_paragraphs
from mockanka.core.release import Release

RULES_SECTION, ENVELOPE_SECTION = "Rules", "Every response"
"""Sections of items that belong to no single operation."""


class ReleaseRange(NamedTuple):
    """The releases that have an item, and those in which a field is always present."""

    since: Release | None = None
    until: Release | None = None
    required_since: str | None = None
    required_until: str | None = None

    def narrowed(self, marked: dict[str, Any]) -> ReleaseRange:
        """Return the range of a part: this range and the part's own marks."""
        since, until = (Release.parse(marked[mark]) if mark in marked else None for mark in ("x-since", "x-until"))
        return ReleaseRange(
            max((release for release in (self.since, since) if release), default=None),
            min((release for release in (self.until, until) if release), default=None),
            marked.get("x-required-since"),
            marked.get("x-required-until"),
        )

    def __str__(self) -> str:
        bounds = {
            "from": self.since,
            "before": self.until,
            "always from": self.required_since,
            "always before": self.required_until,
        }
        return ", ".join(f"{word} {release}" for word, release in bounds.items() if release) or "all"


class ContractItem(NamedTuple):
    """One item: a rule, an operation, a parameter, a field, a value, a header or a status code.

    ``section`` is an operationId or one of the sections above. ``text`` is the item's description in the document.
    ``described_in`` names the section in which the same component was listed before; empty if it was not.
    """

    section: str
    kind: str
    name: str
    releases: ReleaseRange
    evidence: Evidence
    text: str = ""
    described_in: str = ""


def contract_items(document: dict[str, Any]) -> list[ContractItem]:
    """Return all items of the document, in its order. LookupError for a property without evidence."""
    return list(_ItemCollector(document).collect())


def property_evidence(document: dict[str, Any], schema: dict[str, Any], value: dict[str, Any]) -> Evidence:
    """Return the evidence of a property: its own, else that of the schema it refers to, else of the schema it is in.

    A guess about the schema that it refers to is a guess about the property as well.
    """
    targets = _ResolvedSchema(document, value).targets
    referenced = [target["x-evidence"] for target in targets if "x-evidence" in target]
    inherited = [Evidence.parse(words) for words in (*referenced, schema.get("x-evidence")) if words]
    if "x-evidence" in value:
        evidence = Evidence.parse(value["x-evidence"])
    elif inherited:
        evidence = inherited[0].inherited
    else:
        raise LookupError(f"no evidence for {value}")
    return evidence.with_guess(any("guess" in words for words in referenced))


class _ResolvedSchema:
    """A schema behind references, lists and the alternative of null, with the references on the way."""

    def __init__(self, document: dict[str, Any], value: dict[str, Any]) -> None:
        self.references: list[str] = []
        self.targets: list[dict[str, Any]] = []
        self.suffix = ""
        """``[]`` for each list on the way."""
        while True:
            if "$ref" in value:
                self.references.append(value["$ref"])
                value = resolve_reference(document, value["$ref"])
                self.targets.append(value)
            elif "oneOf" in value:
                value = next(option for option in value["oneOf"] if option.get("type") != "null")
            elif isinstance(value.get("items"), dict):
                self.suffix += "[]"
                value = value["items"]
            else:
                break
        self.schema = value


class _ItemCollector:
    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.section = ""
        self.listed: dict[str, str] = {}
        """The section in which each component was listed first, by its reference."""

    def collect(self) -> Iterator[ContractItem]:
        texts = titled_paragraphs(self.document)
        for title, words in self.document["info"]["x-rule-evidence"].items():
            yield ContractItem(RULES_SECTION, "rule", title, ReleaseRange(), Evidence.parse(words), texts[title])
        self.section = ENVELOPE_SECTION
        yield from self._envelopes(self.document["components"])
        for path, path_item in self.document["paths"].items():
            for method in (key for key in path_item if key in OPENAPI_METHODS):
                yield from self._operation(f"{method.upper()} {path}", path_item[method])

    def _envelopes(self, components: dict[str, Any]) -> Iterator[ContractItem]:
        yield self._item("status", "400", ReleaseRange(), components["responses"]["Failure"])
        self.listed["#/components/responses/Failure"] = self.section
        for name, header in components["headers"].items():
            yield self._item("header", re.sub("(?<=[a-z])(?=[A-Z])", "-", name), ReleaseRange(), header)
        yield from self._properties(components["schemas"]["OkEnvelope"], "success", "", ReleaseRange())
        yield from self._properties(components["schemas"]["FailEnvelope"], "failure", "", ReleaseRange())

    def _operation(self, name: str, operation: dict[str, Any]) -> Iterator[ContractItem]:
        self.section = operation["operationId"]
        item = self._item("operation", name, ReleaseRange(), operation)
        yield item
        for parameter in operation.get("parameters", ()):
            yield self._component("query", self._resolve(parameter)["name"], item.releases, parameter)
        for media in operation.get("requestBody", {}).get("content", {}).values():
            schema = self._resolve(media["schema"])
            if self.listed.setdefault(media["schema"]["$ref"], self.section) == self.section:
                yield from self._properties(schema, "request", "", item.releases)
            else:
                yield self._component("request", "", item.releases, media["schema"])
        for status, response in operation["responses"].items():
            yield from self._response(status, response, item)

    def _response(self, status: str, response: dict[str, Any], operation: ContractItem) -> Iterator[ContractItem]:
        resolved = self._resolve(response)
        releases = operation.releases.narrowed(resolved)
        if "x-evidence" in resolved:
            yield self._component("status", status, operation.releases, response)
        else:
            yield operation._replace(
                kind="status", name=status, releases=releases, text="", evidence=operation.evidence.inherited
            )
        for media in resolved["content"].values():
            choice = media.get("x-when-query", {})
            queries = {shape: query for query, shape in choice.items() if query != "otherwise"}
            schema = media["schema"]
            for option in schema.get("oneOf") or schema.get("anyOf") or [schema]:
                query = queries.get(option.get("$ref"))
                envelope = self._resolve(option)
                body = {name: value for name, value in envelope.get("properties", {}).items() if name == "body"}
                kind = f"response to `?{query if '=' in query else query + '='}`" if query else "response"
                yield from self._properties({**envelope, "properties": body}, kind, "", releases.narrowed(option))

    def _properties(
        self, schema: dict[str, Any], kind: str, prefix: str, releases: ReleaseRange
    ) -> Iterator[ContractItem]:
        for name, value in schema.get("properties", {}).items():
            evidence = property_evidence(self.document, schema, value)
            text = value.get("description", "")
            item = ContractItem(self.section, kind, prefix + name, releases.narrowed(value), evidence, text)
            yield from self._with_parts(item, value)

    def _with_parts(self, item: ContractItem, value: dict[str, Any]) -> Iterator[ContractItem]:
        """Yield the item, its values that differ, and its parts; or only the item, if its parts were listed before."""
        resolved = _ResolvedSchema(self.document, value)
        sections = [self.listed.get(reference) for reference in resolved.references]
        if sections and sections[-1] and resolved.schema.get("type") == "object":
            yield item._replace(described_in=sections[-1])
            return
        new = [target for target, section in zip(resolved.targets, sections, strict=True) if not section]
        self.listed |= dict.fromkeys(resolved.references, self.section)
        texts = [item.text, *(target.get("description") for target in new)]
        yield item._replace(text=" ".join(filter(None, texts)))
        yield from self._values(resolved.schema, item)
        yield from self._properties(resolved.schema, item.kind, f"{item.name}{resolved.suffix}.", item.releases)
        additional = resolved.schema.get("additionalProperties")
        if isinstance(additional, dict):
            yield from self._properties(self._resolve(additional), item.kind, f"{item.name}.*.", item.releases)

    def _values(self, schema: dict[str, Any], item: ContractItem) -> Iterator[ContractItem]:
        """Yield the values of an enum, unless all have the evidence and the releases of the property."""
        evidence, since, until = (schema.get(f"x-enum-{mark}", {}) for mark in ("evidence", "since", "until"))
        for value in schema.get("enum", ()) if evidence or since or until else ():
            marks = {
                f"x-{mark}": marked[value] for mark, marked in (("since", since), ("until", until)) if value in marked
            }
            yield item._replace(
                name=f'{item.name} = "{value}"',
                releases=ReleaseRange(item.releases.since, item.releases.until).narrowed(marks),
                evidence=Evidence.parse(evidence[value]) if value in evidence else item.evidence.inherited,
                kind="value",
                text="",
            )

    def _component(self, kind: str, name: str, releases: ReleaseRange, value: dict[str, Any]) -> ContractItem:
        """Return the item of a value that may be a component, which may have been listed before."""
        item = self._item(kind, name, releases, self._resolve(value))
        section = self.listed.setdefault(value["$ref"], self.section) if "$ref" in value else self.section
        return item if section == self.section else item._replace(text="", described_in=section)

    def _item(self, kind: str, name: str, releases: ReleaseRange, value: dict[str, Any]) -> ContractItem:
        evidence = Evidence.parse(value["x-evidence"])
        return ContractItem(self.section, kind, name, releases.narrowed(value), evidence, value.get("description", ""))

    def _resolve(self, value: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in value:
            value = resolve_reference(self.document, value["$ref"])
        return value
