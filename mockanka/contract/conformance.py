"""Exchanges judged against the contract of one release: what the client did wrong, and what the server did."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from typing import Any, Literal

from jsonschema import ValidationError

from mockanka.contract.document import METHODS, at_release, load, look_up
from mockanka.contract.exchange import JSON, Exchange, read_json
from mockanka.contract.schema_validation import Validation
from mockanka.core.release import Release

FAIL = "#/components/schemas/FailEnvelope"
UNDESCRIBED = ("/api/v1/stats", "/api/v1/macaddr", "/api/v1/apikey")
"""Paths that exist, and of which the document says no more (its introduction)."""
DENIED = (401, 403)
"""Answers of authentication, which come before any operation (controller-facts A0.3)."""
KEYS = ["status", "message", "body"]
"""In the order of the wire (controller-facts A0.1)."""


class Level(StrEnum):
    """How bad it is: a client may break, should not happen, or worth knowing."""

    MUST = "must"
    SHOULD = "should"
    NOTE = "note"


@dataclass(frozen=True)
class Violation:
    """One thing that is wrong with an exchange, though it may be so in many items of a list."""

    side: Literal["client", "server"]
    check: str
    level: Level
    where: str
    text: str
    operation: str = ""
    count: int = 1

    @property
    def fails(self) -> bool:
        """Whether it is more than a note."""
        return self.level is not Level.NOTE

    def __str__(self) -> str:
        times = f" ({self.count} times)" if self.count > 1 else ""
        return f"{self.check}: {self.where + ': ' if self.where else ''}{self.text}{times}"


@cache
def _whole() -> dict[str, Any]:
    return load()


@cache
def contract_of(release: Release) -> Contract:
    """The contract of a release, made once."""
    return Contract(release)


class Contract:
    """The document at one release, and what it says to an exchange."""

    def __init__(self, release: Release) -> None:
        self.release = release
        self.document = at_release(_whole(), release.known)
        self.validation = Validation(self.document)
        self.operations: dict[tuple[str, str], dict[str, Any]] = {
            (method.upper(), path): item[method]
            for path, item in self.document["paths"].items()
            for method in METHODS
            if method in item
        }

    def operation(self, method: str, path: str) -> dict[str, Any] | None:
        """The operation as the document describes it; None if there is none."""
        return self.operations.get((method.upper(), path))

    def link(self, operation_id: str) -> str:
        """Where an operation stands in the document, as a pointer behind the file's name; empty if nowhere."""
        for (method, path), each in self.operations.items():
            if each["operationId"] == operation_id:
                return f"openapi/controller.yaml#/paths/{path.replace('/', '~1')}/{method.lower()}"
        return ""

    # ---- the client ------------------------------------------------------------------------------------------------

    def requests(self, exchange: Exchange) -> list[Violation]:
        """What the client did wrong."""
        operation = self.operation(*exchange.key)
        if operation is not None:
            return _gathered(self._wrong_with_request(exchange, operation), operation)
        if exchange.path in UNDESCRIBED:
            return []
        if exchange.path in self.document["paths"]:
            return [_client("method", Level.MUST, "", f"{exchange.path} knows no {exchange.method}")]
        later = exchange.path in _whole()["paths"]
        what = f"is none at release {self.release}" if later else "is none"
        return [_client("operation", Level.MUST, "", f"{exchange.method} {exchange.path} {what}")]

    def _wrong_with_request(self, exchange: Exchange, operation: dict[str, Any]) -> Iterator[Violation]:
        if wrong := self.wrong_with_query(exchange, operation):
            yield _client("query", Level.MUST, "", wrong)
        if wrong := self.wrong_with_body(exchange, operation):
            yield _client("body", Level.MUST, "", wrong)
        known = {look_up(self.document, each["$ref"])["name"] for each in operation.get("parameters", [])}
        for name in exchange.parameters:
            if name not in known:
                yield _client("query-unknown", Level.NOTE, "", f"nothing reads the query parameter {name}")
        schema = request_schema(operation)
        if schema is not None and exchange.sent.strip():
            for where, key in self._unread(_json_or_none(exchange.sent), {"$ref": schema}, "$"):
                yield _client("body-unknown", Level.NOTE, where, f"nothing reads {key}")

    def wrong_with_query(self, exchange: Exchange, operation: dict[str, Any]) -> str | None:
        """Why the query is none that the document allows."""
        for reference in operation.get("parameters", []):
            parameter = look_up(self.document, reference["$ref"])
            name, text = parameter["name"], exchange.parameters.get(parameter["name"])
            if text is None:
                if parameter["required"]:
                    return f"query parameter {name} is missing"
                continue
            whole = parameter["schema"]["type"] == "integer" and re.fullmatch("-?[0-9]{1,30}", text, re.ASCII)
            value = int(text) if whole else text
            if not self.validation.is_valid(f"{reference['$ref']}/schema", value):
                return f"query parameter {name} may not be {text[:40]!r}"
        return None

    def wrong_with_body(self, exchange: Exchange, operation: dict[str, Any]) -> str | None:
        """Why the body, read as the controller reads it, is none that the document allows."""
        pointer = request_schema(operation)
        if pointer is None or not (exchange.sent.strip() or operation["requestBody"]["required"]):
            return None
        data = _json_or_none(exchange.sent)
        if data is None:
            return "the body is not JSON"
        if not isinstance(data, dict):
            return "the body is no object"
        for error in self.validation.errors(pointer, self.as_read(data, {"$ref": pointer})):
            return f"the body is wrong at {error.json_path}: {error.message[:200]}"
        return None

    def as_read(self, data: Any, schema: dict[str, Any]) -> Any:
        """What is sent as the controller reads it, all through.

        Keys come in any case; null is not given, nor is a blank text that is optional.
        """
        schema = self._settled(schema)
        if isinstance(data, list) and "items" in schema:
            return [self.as_read(each, schema["items"]) for each in data]
        if not isinstance(data, dict) or "properties" not in schema:
            return data
        properties = {name: self._settled(each) for name, each in schema["properties"].items()}
        known = {name.casefold(): name for name in properties}
        given = {known.get(key.casefold(), key): value for key, value in data.items() if value is not None}
        given |= {key: value for key, value in data.items() if key in properties and value is not None}
        texts = {name for name, each in properties.items() if "string" in each.get("type", "")}
        blank = texts - set(schema.get("required", []))
        return {
            key: self.as_read(value, properties.get(key, {}))
            for key, value in given.items()
            if value != "" or key not in blank
        }

    def _unread(self, data: Any, schema: dict[str, Any], where: str) -> Iterator[tuple[str, str]]:
        """The keys of a body that nothing reads."""
        schema = self._settled(schema)
        if isinstance(data, list) and "items" in schema:
            for each in data:
                yield from self._unread(each, schema["items"], f"{where}[*]")
        if not isinstance(data, dict) or "properties" not in schema:
            return
        known = {name.casefold(): each for name, each in schema["properties"].items()}
        for key, value in data.items():
            if key.casefold() in known:
                yield from self._unread(value, known[key.casefold()], f"{where}.{key}")
            else:
                yield where, key

    def _settled(self, schema: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in schema:
            schema = look_up(self.document, schema["$ref"])
        return schema

    # ---- the server ------------------------------------------------------------------------------------------------

    def answers(self, exchange: Exchange) -> list[Violation]:
        """What the server did wrong."""
        operation = self.operation(*exchange.key)
        if operation is None:
            return list(self._wrong_with_stray(exchange))
        if not self.has_envelope(operation):
            return _gathered(_wrong_with_probe(exchange), operation)
        return _gathered(self._wrong_with_answer(exchange, operation), operation)

    def has_envelope(self, operation: dict[str, Any]) -> bool:
        """Not so a probe, whose HTTP status says it all."""
        return JSON in self._content(operation)

    def asked(self, exchange: Exchange) -> str:
        """The key of ``x-when-query`` that applies to a request."""
        operation = self.operation(*exchange.key)
        for key in self.shapes(operation) if operation else ():
            name, _, value = key.partition("=")
            if name in exchange.parameters and (not value or value == exchange.parameters[name]):
                return key
        return "otherwise"

    def shapes(self, operation: dict[str, Any]) -> dict[str, str]:
        """The shapes of a success that a query selects, in the order in which they are looked for."""
        found: dict[str, str] = self._content(operation).get(JSON, {}).get("x-when-query", {})
        return found

    def success(self, exchange: Exchange) -> str:
        """The envelope, as a pointer, of a success in answer to this very request."""
        operation = self.operations[exchange.key]
        if shapes := self.shapes(operation):
            return shapes[self.asked(exchange)]
        schema = self._content(operation)[JSON]["schema"]
        options = [each["$ref"] for each in schema.get("oneOf", [schema])]
        return str(next(each for each in options if each != FAIL))

    def _content(self, operation: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self._settled(operation["responses"]["200"])["content"]
        return found

    def _wrong_with_stray(self, exchange: Exchange) -> Iterator[Violation]:
        """A path that exists knows its methods; one of the API that does not is unknown; others are not judged."""
        if exchange.status in DENIED or exchange.path in UNDESCRIBED:
            return
        there = exchange.path in self.document["paths"]
        if not there and not exchange.path.startswith("/api/v1/"):
            return
        expected = 405 if there else 404
        if exchange.status != expected:
            text = f"answers {exchange.status} to what is no operation, not {expected}"
            # That it is 405, and that a path is not there before its release, are guesses.
            guessed = (there or exchange.path in _whole()["paths"]) and exchange.status >= 400
            yield _server("stray", Level.NOTE if guessed else Level.SHOULD, "", text)

    def _wrong_with_answer(self, exchange: Exchange, operation: dict[str, Any]) -> Iterator[Violation]:
        if exchange.kind != JSON:
            said = exchange.kind or "nothing"
            yield _server("content-type", Level.SHOULD, "", f"the content type says {said}, not {JSON}")
        if exchange.envelope is None:
            yield _server(
                "json", Level.MUST, "", f"is no JSON object ({exchange.unreadable}): {exchange.content[:60]!r}"
            )
            return
        yield from self._wrong_with_status(exchange)
        pointer = self.success(exchange) if exchange.succeeded else FAIL
        yield from self._wrong_with_envelope(exchange, pointer)
        yield from self._wrong_with_schema(exchange, pointer)
        yield from self._wrong_with_verdict(exchange, operation)
        there = [key for key in exchange.envelope if key in KEYS]
        if there != [key for key in KEYS if key in there]:
            yield _server("key-order", Level.NOTE, "$", f"the keys come as {', '.join(there)}")
        if not exchange.content.endswith(b"\n"):
            yield _server("newline", Level.NOTE, "", "the JSON text does not end with a line break")

    def _wrong_with_status(self, exchange: Exchange) -> Iterator[Violation]:
        failure = 400 if self.release.has("failure-status-400") else 200
        if not exchange.succeeded and exchange.status in DENIED:
            return
        said = (exchange.envelope or {}).get("status")
        if exchange.status != (200 if said == "OK" else failure):
            expected = 200 if said == "OK" else failure
            yield _server("status-code", Level.MUST, "", f"says {said} with HTTP {exchange.status}, not {expected}")

    def _wrong_with_envelope(self, exchange: Exchange, pointer: str) -> Iterator[Violation]:
        envelope = exchange.envelope or {}
        if envelope.get("status") not in ("OK", "FAIL"):
            yield _server("envelope", Level.MUST, "$.status", f"is {_shown(envelope.get('status'))}, not OK or FAIL")
            return
        if "body" in envelope and "body" not in self._settled({"$ref": pointer})["properties"]:
            yield _server("envelope", Level.MUST, "$.body", f"is {_shown(envelope['body'])} where there is none")
        for error in self.validation.errors(pointer, envelope):
            if not error.json_path.startswith("$.body"):
                yield _told("envelope", error)

    def _wrong_with_schema(self, exchange: Exchange, pointer: str) -> Iterator[Violation]:
        envelope = exchange.envelope or {}
        errors = [each for each in self.validation.errors(pointer, envelope) if each.json_path.startswith("$.body")]
        shaped = self.asked(exchange) if self.shapes(self.operations[exchange.key]) else ""
        for error in errors:
            if shaped and error.json_path == "$.body" and error.validator in ("type", "minItems", "maxItems"):
                yield replace(_told("shape", error), text=f"{_text(error)}: the shape for {shaped}")
            else:
                yield _told("time" if error.validator == "format" else "schema", error)
        for where, key in self.validation.undocumented(pointer, envelope):
            if where != "$" or key not in KEYS:
                yield _server("undocumented", Level.NOTE, where, f"nothing documents the key {key}")

    def _wrong_with_verdict(self, exchange: Exchange, operation: dict[str, Any]) -> Iterator[Violation]:
        """Whether the server takes what is right, and nothing else."""
        wrong = self.wrong_with_query(exchange, operation) or self.wrong_with_body(exchange, operation)
        if wrong and exchange.succeeded:
            yield _server("forbidden-taken", Level.SHOULD, "", f"takes what the document forbids: {wrong}")
        # A body where none is documented may be read all the same: a revert takes one, which the document leaves out.
        documented = not exchange.sent or request_schema(operation) is not None
        if not wrong and documented and not exchange.succeeded and exchange.message.startswith("invalid request"):
            text = f"calls invalid what the document allows: {exchange.message}"
            yield _server("allowed-refused", Level.SHOULD, "", text)


def request_schema(operation: dict[str, Any]) -> str | None:
    """Where the schema of an operation's body stands; None if it takes none."""
    if "requestBody" not in operation:
        return None
    pointer: str = operation["requestBody"]["content"][JSON]["schema"]["$ref"]
    return pointer


def _wrong_with_probe(exchange: Exchange) -> Iterator[Violation]:
    if exchange.status != 200 and exchange.status not in DENIED:
        yield _server("status-code", Level.SHOULD, "", f"answers HTTP {exchange.status}, not 200")


def _json_or_none(content: bytes) -> Any:
    try:
        # Go takes broken UTF-8 for what it replaces it by.
        return read_json(content.decode("utf-8", "replace").encode())
    except ValueError:
        return None


def _client(check: str, level: Level, where: str, text: str) -> Violation:
    return Violation("client", check, level, where, text)


def _server(check: str, level: Level, where: str, text: str) -> Violation:
    return Violation("server", check, level, where, text)


def _told(check: str, error: ValidationError) -> Violation:
    return _server(check, Level.MUST, error.json_path, _text(error))


def _text(error: ValidationError) -> str:
    value: Any = error.instance
    expected: Any = error.validator_value
    if error.validator == "required":
        missing = [key for key in expected if key not in value]
        # One error for each key that is missing, and only its message tells which.
        return next((f"{key} is missing" for key in missing if error.message.startswith(repr(key))), error.message)
    if error.validator == "type":
        kinds = expected if isinstance(expected, str) else " or ".join(expected)
        return f"is {_shown(value)}, not of type {kinds}"
    if error.validator == "format":
        return f"is {_shown(value)}, no RFC 3339 time"
    if error.validator in ("const", "enum"):
        options = expected if error.validator == "enum" else [expected]
        return f"is {_shown(value)}, not {' or '.join(json.dumps(each) for each in options)}"
    return error.message[:200]


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:60]}..."


def kind_of(text: str) -> str:
    """What a text says but for the value that it shows."""
    return re.sub(r'^is ("(?:[^"\\]|\\.)*"(?:\.\.\.)?|[^ ,]+)', "is ...", text)


def _gathered(found: Iterable[Violation], operation: dict[str, Any]) -> list[Violation]:
    """The same in many items of a list, or of a map whose keys are ids, is one."""
    together: dict[tuple[str, str, str], Violation] = {}
    for each in found:
        where = re.sub(r"\[\d+\]", "[*]", each.where)
        where = re.sub(r"(\.distribute_status)\.?(\[[^\]]*\]|[^.]+)", r"\1.*", where)
        key = (each.check, where, kind_of(each.text))
        if key in together:
            together[key] = replace(together[key], count=together[key].count + 1)
        else:
            together[key] = replace(each, where=where, operation=operation["operationId"])
    return list(together.values())
