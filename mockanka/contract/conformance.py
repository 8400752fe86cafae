"""Conformance of exchanges to the contract of one release: violations by the client and by the server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from typing import Any, Literal, NamedTuple

from jsonschema import ValidationError

from mockanka.contract.document import OPENAPI_METHODS, at_release, load_document, resolve_reference
from mockanka.contract.exchange import JSON_TYPE, Exchange, lone_surrogates, parse_strict_json, repeated_keys
from mockanka.contract.schema_validation import SchemaValidator
from mockanka.core.release import Release

FAIL_ENVELOPE = "#/components/schemas/FailEnvelope"
REGISTRY_PATH_PREFIX = "/api/v1/registry/"
"""The beginning of the paths of operations whose requests the controller passes on to the registry."""
UNDESCRIBED_PATHS = ("/api/v1/stats", "/api/v1/macaddr", "/api/v1/apikey")
"""Paths that exist, but that the document only mentions in its introduction."""
DENIED_STATUSES = (401, 403)
"""HTTP statuses of authentication and permissions, which any operation may return (controller-facts A0.3)."""
ENVELOPE_KEYS = ["status", "message", "body"]
"""The keys of an envelope in their order on the wire (controller-facts A0.1)."""
REGISTRY_ENVELOPE_KEYS = ["status", "body", "message"]
"""Their order in the registry's own responses, which the controller relays (controller-facts A0.1)."""


class Omission(NamedTuple):
    """Keys that responses of releases before ``until`` may leave out or have as null, although the document has them.

    ``query`` is the key of ``x-when-query`` that selects the response, ``where`` the path of the object.
    """

    operation: str
    query: str
    where: str
    keys: frozenset[str]
    until: Release


OMISSIONS = (
    # A node by id was not whole (controller-facts A6); that these keys were blank as well is a guess.
    Omission("listNodes", "id", "$.body[*]", frozenset({"templates", "usb_devices", "groups"}), Release(1, 32, 0)),
    # The vendor's examples from 1.8 to 1.42 lack them (controller-facts A11, B16).
    Omission("listTemplates", "id", "$.body", frozenset({"size", "arch"}), Release(1, 43, 0)),
    Omission("listTemplates", "id", "$.body.versions[*]", frozenset({"arch"}), Release(1, 43, 0)),
)
"""Keys that captured responses leave out. The document has them all the same, because the simulator returns them."""


class Level(StrEnum):
    """The severity of a violation: a client may break, it should not happen, or it is worth knowing."""

    MUST = "must"
    SHOULD = "should"
    NOTE = "note"


@dataclass(frozen=True)
class Violation:
    """One difference between an exchange and the contract.

    ``where`` is a JSON path in the body of the request or response, ``operation`` an operationId; both may be empty.
    ``count`` is the number of items of lists in which it was found.
    """

    side: Literal["client", "server"]
    check: str
    level: Level
    where: str
    text: str
    operation: str = ""
    count: int = 1

    @property
    def fails(self) -> bool:
        """True if it is more than a note."""
        return self.level is not Level.NOTE

    def __str__(self) -> str:
        times = f" ({self.count} times)" if self.count > 1 else ""
        return f"{self.check}: {self.where + ': ' if self.where else ''}{self.text}{times}"


@cache
def _full_document() -> dict[str, Any]:
    return load_document()


@cache
def contract_of(release: Release) -> Contract:
    """Return the contract of a release; it is made once."""
    return Contract(release)


class Contract:
    """The document at one release, and the checks of exchanges against it."""

    def __init__(self, release: Release) -> None:
        self.release = release
        self.document = at_release(_full_document(), release.known)
        self.validator = SchemaValidator(self.document)
        self.operations: dict[tuple[str, str], dict[str, Any]] = {
            (method.upper(), path): item[method]
            for path, item in self.document["paths"].items()
            for method in OPENAPI_METHODS
            if method in item
        }

    def operation(self, method: str, path: str) -> dict[str, Any] | None:
        """Return the operation as the document describes it, or None."""
        return self.operations.get((method.upper(), path))

    def link(self, operation_id: str) -> str:
        """Return the file and JSON pointer of an operation, or an empty string if there is none."""
        for (method, path), operation in self.operations.items():
            if operation["operationId"] == operation_id:
                return f"openapi/controller.yaml#/paths/{path.replace('/', '~1')}/{method.lower()}"
        return ""

    # ---- the client ------------------------------------------------------------------------------------------------

    def check_request(self, exchange: Exchange) -> list[Violation]:
        """Return the violations by the client."""
        operation = self.operation(*exchange.operation_key)
        if operation is not None:
            return _merge_repeated(self._request_violations(exchange, operation), operation)
        if exchange.path in UNDESCRIBED_PATHS:
            return []
        if exchange.path in self.document["paths"]:
            return [_client_violation("method", Level.MUST, "", f"{exchange.path} has no method {exchange.method}")]
        later = exchange.path in _full_document()["paths"]
        text = f"{exchange.method} {exchange.path} is not an operation" + f" at release {self.release}" * later
        return [_client_violation("operation", Level.MUST, "", text)]

    def _request_violations(self, exchange: Exchange, operation: dict[str, Any]) -> Iterator[Violation]:
        if error := self.query_error(exchange, operation):
            yield _client_violation("query", Level.MUST, "", error)
        if error := self.body_error(exchange, operation):
            yield _client_violation("body", Level.MUST, "", error)
        known = {
            resolve_reference(self.document, parameter["$ref"])["name"] for parameter in operation.get("parameters", [])
        }
        for name in exchange.parameters:
            if name not in known:
                yield _client_violation("query-unknown", Level.NOTE, "", f"the query parameter {name} is ignored")
        schema = request_body_schema(operation)
        if schema is not None and exchange.request_content.strip():
            for where, key in self._ignored_keys(_parse_as_go(exchange.request_content), {"$ref": schema}, "$"):
                yield _client_violation("body-unknown", Level.NOTE, where, f"the key {key} is ignored")

    def query_error(self, exchange: Exchange, operation: dict[str, Any]) -> str | None:
        """Return why the document forbids the query, or None if it allows it."""
        for reference in operation.get("parameters", []):
            parameter = resolve_reference(self.document, reference["$ref"])
            name, text = parameter["name"], exchange.parameters.get(parameter["name"])
            if text is None:
                if parameter["required"]:
                    return f"query parameter {name} is missing"
                continue
            is_integer = parameter["schema"]["type"] == "integer" and re.fullmatch("-?[0-9]{1,30}", text, re.ASCII)
            value = int(text) if is_integer else text
            if not self.validator.is_valid(f"{reference['$ref']}/schema", value):
                return f"query parameter {name} may not be {text[:40]!r}"
        return None

    def body_error(self, exchange: Exchange, operation: dict[str, Any]) -> str | None:
        """Return why the document forbids the body, read as the controller reads it, or None if it allows it."""
        pointer = request_body_schema(operation)
        if pointer is None or not (exchange.request_content.strip() or operation["requestBody"]["required"]):
            return None
        data = _parse_as_go(exchange.request_content)
        if data is None:
            return "the body is not JSON"
        if not isinstance(data, dict):
            return "the body is not an object"
        for error in self.validator.errors(pointer, self.normalize_request(data, {"$ref": pointer})):
            return f"the body is wrong at {error.json_path}: {error.message[:200]}"
        return None

    def normalize_request(self, data: Any, schema: dict[str, Any]) -> Any:
        """Return the data of a request as the controller reads it, at any depth.

        Keys match in any case. Null counts as absent, and so does an empty string that is optional.
        """
        schema = self._resolve(schema)
        if isinstance(data, list) and "items" in schema:
            return [self.normalize_request(item, schema["items"]) for item in data]
        if not isinstance(data, dict) or "properties" not in schema:
            return data
        properties = {name: self._resolve(value) for name, value in schema["properties"].items()}
        names = {name.casefold(): name for name in properties}
        values = {names.get(key.casefold(), key): value for key, value in data.items() if value is not None}
        values |= {key: value for key, value in data.items() if key in properties and value is not None}
        strings = {name for name, value in properties.items() if "string" in value.get("type", "")}
        may_be_empty = strings - set(schema.get("required", []))
        return {
            key: self.normalize_request(value, properties.get(key, {}))
            for key, value in values.items()
            if value != "" or key not in may_be_empty
        }

    def _ignored_keys(self, data: Any, schema: dict[str, Any], where: str) -> Iterator[tuple[str, str]]:
        """Yield the keys of a body that no schema has, each with the path of its object."""
        schema = self._resolve(schema)
        if isinstance(data, list) and "items" in schema:
            for item in data:
                yield from self._ignored_keys(item, schema["items"], f"{where}[*]")
        if not isinstance(data, dict) or "properties" not in schema:
            return
        known = {name.casefold(): value for name, value in schema["properties"].items()}
        for key, value in data.items():
            if key.casefold() in known:
                yield from self._ignored_keys(value, known[key.casefold()], f"{where}.{key}")
            else:
                yield where, key

    def _resolve(self, schema: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in schema:
            schema = resolve_reference(self.document, schema["$ref"])
        return schema

    # ---- the server ------------------------------------------------------------------------------------------------

    def check_response(self, exchange: Exchange) -> list[Violation]:
        """Return the violations by the server."""
        operation = self.operation(*exchange.operation_key)
        if operation is None:
            return list(self._unknown_operation_violations(exchange))
        if not self.has_envelope(operation):
            return _merge_repeated(_probe_violations(exchange), operation)
        return _merge_repeated(self._response_violations(exchange, operation), operation)

    def has_envelope(self, operation: dict[str, Any]) -> bool:
        """Return whether the operation responds with an envelope; a probe only has its HTTP status."""
        return JSON_TYPE in self._content(operation)

    def selected_query(self, exchange: Exchange) -> str:
        """Return the key of ``x-when-query`` that applies to the request, ``otherwise`` if no other does."""
        operation = self.operation(*exchange.operation_key)
        for key in self.query_shapes(operation) if operation else ():
            name, _, value = key.partition("=")
            if name in exchange.parameters and (not value or value == exchange.parameters[name]):
                return key
        return "otherwise"

    def query_shapes(self, operation: dict[str, Any]) -> dict[str, str]:
        """Return the envelopes of a success by the query that selects them, in the order of precedence."""
        shapes: dict[str, str] = self._content(operation).get(JSON_TYPE, {}).get("x-when-query", {})
        return shapes

    def success_envelope(self, exchange: Exchange) -> str:
        """Return the reference of the envelope that a success has in response to this request."""
        operation = self.operations[exchange.operation_key]
        if shapes := self.query_shapes(operation):
            return shapes[self.selected_query(exchange)]
        schema = self._content(operation)[JSON_TYPE]["schema"]
        references = [option["$ref"] for option in schema.get("oneOf", [schema])]
        return str(next(reference for reference in references if reference != FAIL_ENVELOPE))

    def _content(self, operation: dict[str, Any]) -> dict[str, Any]:
        content: dict[str, Any] = self._resolve(operation["responses"]["200"])["content"]
        return content

    def _unknown_operation_violations(self, exchange: Exchange) -> Iterator[Violation]:
        """Check the response to a request that is not an operation: 405 for a known path, else 404.

        Paths outside the API are not checked.
        """
        if exchange.status in DENIED_STATUSES or exchange.path in UNDESCRIBED_PATHS:
            return
        path_exists = exchange.path in self.document["paths"]
        if not path_exists and not exchange.path.startswith("/api/v1/"):
            return
        expected = 405 if path_exists else 404
        if exchange.status != expected:
            text = f"responds to an unknown operation with HTTP {exchange.status}, not {expected}"
            # That the status is 405, and that a path does not exist before its release, are guesses.
            guessed = (path_exists or exchange.path in _full_document()["paths"]) and exchange.status >= 400
            yield _server_violation("stray", Level.NOTE if guessed else Level.SHOULD, "", text)

    def _response_violations(self, exchange: Exchange, operation: dict[str, Any]) -> Iterator[Violation]:
        if exchange.envelope is None and (text := self._foreign_response(exchange)):
            yield _server_violation("status-code", Level.MUST, "", text)
            return
        yield from _header_violations(exchange)
        if exchange.content_type != JSON_TYPE:
            text = f"the content type is {exchange.content_type or 'missing'}, not {JSON_TYPE}"
            yield _server_violation("content-type", Level.SHOULD, "", text)
        if exchange.envelope is None:
            text = f"is not a JSON object ({exchange.json_error}): {exchange.response_content[:60]!r}"
            yield _server_violation("json", Level.MUST, "", text)
            return
        yield from _text_violations(exchange.response_content)
        yield from self._status_violations(exchange)
        pointer = self.success_envelope(exchange) if exchange.succeeded else FAIL_ENVELOPE
        yield from self._envelope_violations(exchange, pointer)
        yield from self._schema_violations(exchange, pointer)
        yield from self._acceptance_violations(exchange, operation)
        keys = [key for key in exchange.envelope if key in ENVELOPE_KEYS]
        is_relayed = exchange.path.startswith(REGISTRY_PATH_PREFIX) and keys == REGISTRY_ENVELOPE_KEYS
        if keys != [key for key in ENVELOPE_KEYS if key in keys] and not is_relayed:
            yield _server_violation("key-order", Level.NOTE, "$", f"the keys come as {', '.join(keys)}")
        if not exchange.response_content.endswith(b"\n"):
            yield _server_violation("newline", Level.NOTE, "", "the JSON text does not end with a line break")

    def _foreign_response(self, exchange: Exchange) -> str:
        """Return a description of a response without an envelope whose HTTP status says that it is not a controller's.

        It is empty if the status is one with which a controller responds.
        """
        status, media_type = exchange.status, exchange.content_type or "no content type"
        if 300 <= status < 400:
            return f"responds with HTTP {status}, a redirect to {exchange.headers.get('location', 'nowhere')[:200]}"
        if status in (200, 400, *DENIED_STATUSES):
            return ""
        if not exchange.response_content:
            return f"responds with HTTP {status} and no content"
        content = exchange.response_content[:60]
        if status == 404:
            return f"responds with HTTP 404 and {media_type}: the operation does not exist there: {content!r}"
        return f"responds with HTTP {status} and {media_type}, which is not from a controller: {content!r}"

    def _status_violations(self, exchange: Exchange) -> Iterator[Violation]:
        if not exchange.succeeded and exchange.status in DENIED_STATUSES:
            return
        status = (exchange.envelope or {}).get("status")
        failure = 400 if self.release.has("failure-status-400") else 200
        expected = 200 if status == "OK" else failure
        if exchange.status != expected:
            text = f"says {status} with HTTP {exchange.status}, not {expected}"
            yield _server_violation("status-code", Level.MUST, "", text)

    def _envelope_violations(self, exchange: Exchange, pointer: str) -> Iterator[Violation]:
        envelope = exchange.envelope or {}
        if envelope.get("status") not in ("OK", "FAIL"):
            text = f"is {_describe_value(envelope.get('status'))}, not OK or FAIL"
            yield _server_violation("envelope", Level.MUST, "$.status", text)
            return
        if "body" in envelope and "body" not in self._resolve({"$ref": pointer})["properties"]:
            text = f"is {_describe_value(envelope['body'])}, but there should be no body"
            yield _server_violation("envelope", Level.MUST, "$.body", text)
        for error in self.validator.errors(pointer, envelope):
            if not error.json_path.startswith("$.body"):
                yield _schema_violation("envelope", error)

    def _schema_violations(self, exchange: Exchange, pointer: str) -> Iterator[Violation]:
        envelope = exchange.envelope or {}
        errors = [error for error in self.validator.errors(pointer, envelope) if error.json_path.startswith("$.body")]
        has_shapes = bool(self.query_shapes(self.operations[exchange.operation_key]))
        query = self.selected_query(exchange) if has_shapes else ""
        for error in errors:
            if self._is_known_omission(exchange, error):
                continue
            if query and error.json_path == "$.body" and error.validator in ("type", "minItems", "maxItems"):
                text = f"{_describe_error(error)}: the shape for {query}"
                yield replace(_schema_violation("shape", error), text=text)
            else:
                yield _schema_violation("time" if error.validator == "format" else "schema", error)
        for where, key in self.validator.undocumented_keys(pointer, envelope):
            if where != "$" or key not in ENVELOPE_KEYS:
                yield _server_violation("undocumented", Level.NOTE, where, f"the key {key} is not documented")

    def _is_known_omission(self, exchange: Exchange, error: ValidationError) -> bool:
        """Return whether an error is only that a key of OMISSIONS is missing or null."""
        operation = self.operations[exchange.operation_key]["operationId"]
        where = re.sub(r"\[\d+\]", "[*]", error.json_path)
        if error.validator == "required":
            key, parent = str(error.message).split("'")[1], where
        else:
            parent, _, key = where.rpartition(".")
            if error.validator not in ("type", "oneOf") or error.instance is not None:
                return False
        return any(
            self.release < omission.until
            and (omission.operation, omission.where) == (operation, parent)
            and key in omission.keys
            and omission.query == self.selected_query(exchange)
            for omission in OMISSIONS
        )

    def _acceptance_violations(self, exchange: Exchange, operation: dict[str, Any]) -> Iterator[Violation]:
        """Check that the server accepts what the document allows, and nothing else."""
        error = self.query_error(exchange, operation) or self.body_error(exchange, operation)
        if error and exchange.succeeded:
            text = f"accepts a request that the contract forbids: {error}"
            yield _server_violation("forbidden-taken", Level.SHOULD, "", text)
        # A body that is not documented may be read all the same: a revert reads one, which the document omits.
        is_documented = not exchange.request_content or request_body_schema(operation) is not None
        if not error and is_documented and not exchange.succeeded and exchange.message.startswith("invalid request"):
            text = f"rejects as invalid a request that the contract allows: {exchange.message}"
            yield _server_violation("allowed-refused", Level.SHOULD, "", text)


def _header_violations(exchange: Exchange) -> Iterator[Violation]:
    """Check headers that say how a response is encoded, and whether it may be cached; and the connection."""
    if exchange.is_reconnected:
        text = "the server closed the connection after the response before, which did not say so"
        yield _server_violation("connection", Level.SHOULD, "", text)
    if exchange.charset not in ("", "utf-8", "utf8"):
        yield _server_violation("content-type", Level.SHOULD, "", f"the charset is {exchange.charset[:40]}, not utf-8")
    encoding = exchange.headers.get("content-encoding", "").lower()
    if encoding not in ("", "identity") and not _accepts(exchange.accept_encoding, encoding):
        text = f"the content is encoded as {encoding[:40]}, but the request accepts {exchange.accept_encoding}"
        yield _server_violation("encoding", Level.SHOULD, "", text)
    control = exchange.headers.get("cache-control", "").lower()
    may_be_kept = control and not re.search(r"\bno-store\b|\bno-cache\b|\bmax-age\s*=\s*\"?0\b", control)
    if may_be_kept:
        text = f"Cache-Control is {control[:60]}, so that a cache may answer with what is no longer true; not no-store"
        yield _server_violation("caching", Level.SHOULD, "", text)
    elif control and exchange.status == 200 and "no-store" not in control:
        yield _server_violation("caching", Level.NOTE, "", f"Cache-Control is {control[:60]}, not no-store")
    age = exchange.headers.get("age", "").strip()
    if re.fullmatch("[0-9]{1,9}", age, re.ASCII) and int(age):
        yield _server_violation("caching", Level.SHOULD, "", f"the response was in a cache for {age} s")


def _accepts(accept_encoding: str | None, encoding: str) -> bool:
    """Return whether a request accepts a coding of the content; true if its header is unknown."""
    if accept_encoding is None:
        return True
    accepted = [item.partition(";") for item in accept_encoding.lower().split(",")]
    names = {name.strip() for name, _, weight in accepted if not re.fullmatch(r"\s*q\s*=\s*0(\.0*)?\s*", weight)}
    return not names.isdisjoint({encoding, "*"})


def _text_violations(content: bytes) -> Iterator[Violation]:
    """Check what a parsed JSON text no longer shows."""
    if repeated := repeated_keys(content):
        text = f"an object has a key more than once: {', '.join(repeated[:3])[:100]}"
        yield _server_violation("json-text", Level.MUST, "", text)
    if halves := lone_surrogates(content):
        text = f"a string has half of a surrogate pair, which is no character: {', '.join(halves[:3])}"
        yield _server_violation("json-text", Level.SHOULD, "", text)


def request_body_schema(operation: dict[str, Any]) -> str | None:
    """Return the reference of the schema of the operation's request body, or None if it has none."""
    if "requestBody" not in operation:
        return None
    pointer: str = operation["requestBody"]["content"][JSON_TYPE]["schema"]["$ref"]
    return pointer


def _probe_violations(exchange: Exchange) -> Iterator[Violation]:
    if exchange.status != 200 and exchange.status not in DENIED_STATUSES:
        yield _server_violation("status-code", Level.SHOULD, "", f"responds with HTTP {exchange.status}, not 200")


def _parse_as_go(content: bytes) -> Any:
    """Return the JSON value, or None if it is malformed."""
    try:
        # Go replaces malformed UTF-8 and continues.
        return parse_strict_json(content.decode("utf-8", "replace").encode())
    except ValueError:
        return None


def _client_violation(check: str, level: Level, where: str, text: str) -> Violation:
    return Violation("client", check, level, where, text)


def _server_violation(check: str, level: Level, where: str, text: str) -> Violation:
    return Violation("server", check, level, where, text)


def _schema_violation(check: str, error: ValidationError) -> Violation:
    return _server_violation(check, Level.MUST, error.json_path, _describe_error(error))


def _describe_error(error: ValidationError) -> str:
    value: Any = error.instance
    expected: Any = error.validator_value
    if error.validator == "required":
        missing = [key for key in expected if key not in value]
        # There is one error for each missing key, and only its message names the key.
        return next((f"{key} is missing" for key in missing if error.message.startswith(repr(key))), error.message)
    if error.validator == "type":
        types = expected if isinstance(expected, str) else " or ".join(expected)
        return f"is {_describe_value(value)}, not of type {types}"
    if error.validator == "format":
        return f"is {_describe_value(value)}, not an RFC 3339 time"
    if error.validator in ("const", "enum"):
        options = expected if error.validator == "enum" else [expected]
        return f"is {_describe_value(value)}, not {' or '.join(json.dumps(option) for option in options)}"
    return error.message[:200]


def _describe_value(value: object) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:60]}..."


def without_value(text: str) -> str:
    """Return the text of a violation with the value that it shows replaced, so that equal kinds compare equal."""
    return re.sub(r'^is ("(?:[^"\\]|\\.)*"(?:\.\.\.)?|[^ ,]+)', "is ...", text)


def _merge_repeated(violations: Iterable[Violation], operation: dict[str, Any]) -> list[Violation]:
    """Merge equal violations in several items of a list, or of a map whose keys are ids, and count them."""
    merged: dict[tuple[str, str, str], Violation] = {}
    for violation in violations:
        where = re.sub(r"\[\d+\]", "[*]", violation.where)
        where = re.sub(r"(\.distribute_status)\.?(\[[^\]]*\]|[^.]+)", r"\1.*", where)
        key = (violation.check, where, without_value(violation.text))
        if key in merged:
            merged[key] = replace(merged[key], count=merged[key].count + 1)
        else:
            merged[key] = replace(violation, where=where, operation=operation["operationId"])
    return list(merged.values())
