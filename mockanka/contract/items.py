"""The ledger: one line for each thing that the contract says, in the order of the document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from mockanka.contract.document import METHODS, look_up
from mockanka.contract.evidence import Evidence, paragraphs
from mockanka.core.release import Release

RULES, ENVELOPE = "Rules", "Every answer"
"""What stands in the ledger beside the operations."""


class Bounds(NamedTuple):
    """From which release on something is there, and before which; from and before which it is there always."""

    since: Release | None = None
    until: Release | None = None
    always_since: str | None = None
    always_until: str | None = None

    def within(self, marked: dict[str, Any]) -> Bounds:
        """Those of a part of what has these."""
        since, until = (Release.parse(marked[mark]) if mark in marked else None for mark in ("x-since", "x-until"))
        return Bounds(
            max((each for each in (self.since, since) if each), default=None),
            min((each for each in (self.until, until) if each), default=None),
            marked.get("x-required-since"),
            marked.get("x-required-until"),
        )

    def __str__(self) -> str:
        told = {
            "from": self.since,
            "before": self.until,
            "always from": self.always_since,
            "always before": self.always_until,
        }
        return ", ".join(f"{word} {release}" for word, release in told.items() if release) or "all"


class Entry(NamedTuple):
    """One line. ``text`` is what the document says about it; ``again`` is the place where it was told before."""

    place: str
    kind: str
    name: str
    bounds: Bounds
    evidence: Evidence
    text: str = ""
    again: str = ""


def entries(document: dict[str, Any]) -> list[Entry]:
    """The whole ledger."""
    return list(_Ledger(document).all())


def evidence_of(document: dict[str, Any], schema: dict[str, Any], value: dict[str, Any]) -> Evidence:
    """That of a property: its own, else of the schema that it refers to, else of the schema that it is in.

    What is said of a schema that it refers to is said of it as well, and so is what is a guess there.
    """
    referred = [each["x-evidence"] for each in _Inside(document, value).targets if "x-evidence" in each]
    inherited = [Evidence.parse(words) for words in (*referred, schema.get("x-evidence")) if words]
    if "x-evidence" in value:
        own = Evidence.parse(value["x-evidence"])
    elif inherited:
        own = inherited[0].handed_down
    else:
        raise LookupError(f"no evidence for {value}")
    return own.guessing(any("guess" in words for words in referred))


class _Inside:
    """What is inside of lists, of references and of what may be null: its schema, and the way there."""

    def __init__(self, document: dict[str, Any], value: dict[str, Any]) -> None:
        self.references: list[str] = []
        self.targets: list[dict[str, Any]] = []
        self.suffix = ""
        while True:
            if "$ref" in value:
                self.references.append(value["$ref"])
                value = look_up(document, value["$ref"])
                self.targets.append(value)
            elif "oneOf" in value:
                value = next(each for each in value["oneOf"] if each.get("type") != "null")
            elif isinstance(value.get("items"), dict):
                self.suffix += "[]"
                value = value["items"]
            else:
                break
        self.schema = value


class _Ledger:
    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.place = ""
        self.told: dict[str, str] = {}
        """Where each component was told, by its reference."""

    def all(self) -> Iterator[Entry]:
        texts = paragraphs(self.document)
        for title, words in self.document["info"]["x-rule-evidence"].items():
            yield Entry(RULES, "rule", title, Bounds(), Evidence.parse(words), texts[title])
        self.place = ENVELOPE
        yield from self._every_answer(self.document["components"])
        for path, item in self.document["paths"].items():
            for method in (each for each in item if each in METHODS):
                yield from self._operation(f"{method.upper()} {path}", item[method])

    def _every_answer(self, components: dict[str, Any]) -> Iterator[Entry]:
        yield self._entry("status", "400", Bounds(), components["responses"]["Failure"])
        self.told["#/components/responses/Failure"] = self.place
        for name, header in components["headers"].items():
            yield self._entry("header", re.sub("(?<=[a-z])(?=[A-Z])", "-", name), Bounds(), header)
        yield from self._properties(components["schemas"]["OkEnvelope"], "success", "", Bounds())
        yield from self._properties(components["schemas"]["FailEnvelope"], "failure", "", Bounds())

    def _operation(self, name: str, operation: dict[str, Any]) -> Iterator[Entry]:
        self.place = operation["operationId"]
        entry = self._entry("operation", name, Bounds(), operation)
        yield entry
        for parameter in operation.get("parameters", ()):
            yield self._component("query", self._settled(parameter)["name"], entry.bounds, parameter)
        for media in operation.get("requestBody", {}).get("content", {}).values():
            schema = self._settled(media["schema"])
            if self.told.setdefault(media["schema"]["$ref"], self.place) == self.place:
                yield from self._properties(schema, "request", "", entry.bounds)
            else:
                yield self._component("request", "", entry.bounds, media["schema"])
        for status, response in operation["responses"].items():
            yield from self._answer(status, response, entry)

    def _answer(self, status: str, response: dict[str, Any], operation: Entry) -> Iterator[Entry]:
        settled = self._settled(response)
        bounds = operation.bounds.within(settled)
        if "x-evidence" in settled:
            yield self._component("status", status, operation.bounds, response)
        else:
            yield operation._replace(
                kind="status", name=status, bounds=bounds, text="", evidence=operation.evidence.handed_down
            )
        for media in settled["content"].values():
            choice = media.get("x-when-query", {})
            queries = {shape: query for query, shape in choice.items() if query != "otherwise"}
            schema = media["schema"]
            for option in schema.get("oneOf") or schema.get("anyOf") or [schema]:
                query = queries.get(option.get("$ref"))
                envelope = self._settled(option)
                body = {name: value for name, value in envelope.get("properties", {}).items() if name == "body"}
                kind = f"answer to `?{query if '=' in query else query + '='}`" if query else "answer"
                yield from self._properties({**envelope, "properties": body}, kind, "", bounds.within(option))

    def _properties(self, schema: dict[str, Any], kind: str, prefix: str, bounds: Bounds) -> Iterator[Entry]:
        for name, value in schema.get("properties", {}).items():
            evidence = evidence_of(self.document, schema, value)
            entry = Entry(self.place, kind, prefix + name, bounds.within(value), evidence, value.get("description", ""))
            yield from self._with_parts(entry, value)

    def _with_parts(self, entry: Entry, value: dict[str, Any]) -> Iterator[Entry]:
        """An entry, those values of it that differ, and what it is made of; or where that was told."""
        inside = _Inside(self.document, value)
        told = [self.told.get(reference) for reference in inside.references]
        if told and told[-1] and inside.schema.get("type") == "object":
            yield entry._replace(again=told[-1])
            return
        fresh = [each for each, before in zip(inside.targets, told, strict=True) if not before]
        self.told |= dict.fromkeys(inside.references, self.place)
        yield entry._replace(text=" ".join(filter(None, [entry.text, *(each.get("description") for each in fresh)])))
        yield from self._values(inside.schema, entry)
        yield from self._properties(inside.schema, entry.kind, f"{entry.name}{inside.suffix}.", entry.bounds)
        more = inside.schema.get("additionalProperties")
        if isinstance(more, dict):
            yield from self._properties(self._settled(more), entry.kind, f"{entry.name}.*.", entry.bounds)

    def _values(self, schema: dict[str, Any], entry: Entry) -> Iterator[Entry]:
        """The values of an enum, if they are not all known in the same way, from the same release on."""
        known, since, until = (schema.get(f"x-enum-{what}", {}) for what in ("evidence", "since", "until"))
        for value in schema.get("enum", ()) if known or since or until else ():
            marks = {
                f"x-{what}": marked[value] for what, marked in (("since", since), ("until", until)) if value in marked
            }
            yield entry._replace(
                name=f'{entry.name} = "{value}"',
                bounds=Bounds(entry.bounds.since, entry.bounds.until).within(marks),
                evidence=Evidence.parse(known[value]) if value in known else entry.evidence.handed_down,
                kind="value",
                text="",
            )

    def _component(self, kind: str, name: str, bounds: Bounds, of: dict[str, Any]) -> Entry:
        """The entry of what may be a component, and then told before."""
        entry = self._entry(kind, name, bounds, self._settled(of))
        before = self.told.setdefault(of["$ref"], self.place) if "$ref" in of else self.place
        return entry if before == self.place else entry._replace(text="", again=before)

    def _entry(self, kind: str, name: str, bounds: Bounds, of: dict[str, Any]) -> Entry:
        evidence = Evidence.parse(of["x-evidence"])
        return Entry(self.place, kind, name, bounds.within(of), evidence, of.get("description", ""))

    def _settled(self, value: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in value:
            value = look_up(self.document, value["$ref"])
        return value
