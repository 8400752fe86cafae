"""Request bodies and queries: read as the real controller reads them, and checked against a schema.

Bodies are JSON whatever the Content-Type says (controller-facts A0.2). Like any Go decoder the controller takes keys
in any case and null for not given; unknown keys are let pass. What it says to a broken body is unknown, so the
messages are our own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from flask import current_app, request
from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load

from mockanka.core.release import SINCE, Release
from mockanka.json_text import parse_json

MAX_BODY = 16 * 1024 * 1024
"""Bytes. Guess: large enough for a startup script of 10 MB in base64."""

MAX_INT = 2**63 - 1
REMARKS = "mockanka"
"""Where an application keeps its Remarks among its extensions."""

MIN_INT = -(2**63)

_DISK_SIZE = re.compile("[0-9]{1,9}[TGMK]", re.ASCII)
_SURROGATES = re.compile("[\ud800-\udfff]")


def since(feature: str) -> dict[str, Any]:
    """What a field newer than the oldest release is marked with."""
    return {"since": SINCE[feature]}


class BadRequest(Exception):
    """A request that breaks the contract; the text says where, and what would be right."""


class Remarks:
    """What there is to remark on the request at hand, beyond its answer: keys that the release does not know."""

    def __init__(self, release: Callable[[], Release]) -> None:
        self.release = release
        self.unknown: list[str] = []
        self.deprecated: list[str] = []
        self.broken: str | None = None
        self.read: set[str] = set()

    def begin(self) -> None:
        """Another request."""
        self.unknown, self.deprecated, self.broken, self.read = [], [], None, set()


def remarks() -> Remarks:
    """Those of the application that answers."""
    kept: Remarks = current_app.extensions[REMARKS]
    return kept


def body(optional: bool = False) -> dict[str, Any]:
    """The request's body as a dictionary; an empty one only where it is optional. Raises BadRequest."""
    if (request.content_length or 0) > MAX_BODY:
        raise BadRequest(f"the body has {request.content_length} bytes, at most {MAX_BODY} are read")
    raw = request.stream.read(MAX_BODY + 1)
    if len(raw) > MAX_BODY:
        raise BadRequest(f"the body has more than {MAX_BODY} bytes, at most {MAX_BODY} are read")
    if optional and not raw.strip():
        return {}
    if not raw.strip():
        raise BadRequest("the body is empty, it must be a JSON object")
    try:
        # Bytes that are no UTF-8 and halves of surrogate pairs become U+FFFD, as in Go.
        data = parse_json(raw.decode("utf-8", "replace"), parse_int=_whole)
        clean = _clean(data)
    except RecursionError:
        raise BadRequest("the body is nested too deep") from None
    except ValueError as wrong:
        raise BadRequest(f"the body is not valid JSON: {wrong}") from None
    if not isinstance(clean, dict):
        raise BadRequest(f"the body must be a JSON object, not {_kind(clean)}")
    return clean


def load(schema: Schema, data: Mapping[str, Any]) -> dict[str, Any]:
    """What the schema makes of the data, of which newer keys than the release's are let pass like unknown ones.

    Raises BadRequest that names each wrong field.
    """
    kept = remarks()
    data = {key: value for key, value in data.items() if not _passes(schema, key, kept)}
    try:
        loaded: dict[str, Any] = schema.load(data)
    except ValidationError as wrong:
        raise BadRequest("; ".join(_flat(wrong.messages))) from None
    return loaded


def _passes(schema: Schema, key: str, kept: Remarks) -> bool:
    """Whether a key means nothing to the release; remarks on it then."""
    field = next((field for name, field in schema.fields.items() if name.casefold() == key.casefold()), None)
    if field is None:
        kept.unknown.append(f"{key}: no such field")
        return False
    release, since, until = kept.release(), field.metadata.get("since"), field.metadata.get("until")
    if since is not None and release < since:
        kept.unknown.append(f"{key}: release {release} does not know it, it came with {since}")
        return True
    if until is not None and release >= until:
        kept.deprecated.append(f"{key}: release {release} does not know it any more, it went with {until}")
        return True
    return False


def query(name: str) -> str:
    """A query parameter; of several the first counts, as in Go; blank if it is not there."""
    remarks().read.add(name)
    return request.args.get(name, "")


def required_query(name: str) -> str:
    """A query parameter that must be there."""
    value = query(name)
    if not value:
        raise BadRequest(f"query parameter {name} is required")
    return value


def query_number(name: str) -> int | None:
    """A query parameter that is a whole number, 0 or more; None if it is not there."""
    text = query(name)
    if not text:
        return None
    digits = text.lstrip("0") or "0"
    if not (text.isascii() and text.isdigit()) or len(digits) > len(str(MAX_INT)) or int(digits) > MAX_INT:
        raise BadRequest(f"query parameter {name} must be a whole number from 0 to {MAX_INT}, not {text[:40]!r}")
    return int(digits)


class Body(Schema):
    """Base of the request schemas: keys in any case, null means not given, unknown keys pass."""

    class Meta:
        unknown = EXCLUDE

    @pre_load
    def _as_go_reads(self, data: Mapping[str, Any], **kwargs: Any) -> dict[str, Any]:
        names = {name.casefold(): name for name in self.fields}
        given = {names.get(key.casefold(), key): value for key, value in data.items() if value is not None}
        return given | {key: value for key, value in data.items() if key in self.fields and value is not None}


class _Strict(fields.Field[Any]):
    """Base: one JSON type and no other."""

    kind = ""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.error_messages["required"] = "is required"

    def fits(self, value: Any) -> bool:
        raise NotImplementedError

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if not self.fits(value):
            raise ValidationError(f"must be {self.kind}, not {_kind(value)}")
        return value


class Text(_Strict):
    """A string; one that is required may not be empty."""

    kind = "a string"

    def fits(self, value: Any) -> bool:
        if isinstance(value, str) and self.required and not value:
            raise ValidationError("is required, and empty")
        return isinstance(value, str)


class Whole(_Strict):
    """A whole number within limits; true is none, nor is 1.0."""

    def __init__(self, low: int = 0, high: int = MAX_INT, **options: Any) -> None:
        super().__init__(**options)
        self.low, self.high = low, high
        self.kind = f"a whole number from {low} to {high}" if high < MAX_INT else f"a whole number, {low} or more"

    def fits(self, value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high


class Flag(_Strict):
    """true or false."""

    kind = "true or false"

    def fits(self, value: Any) -> bool:
        return isinstance(value, bool)


class Choice(_Strict):
    """One of a few strings."""

    def __init__(self, *choices: str, **options: Any) -> None:
        super().__init__(**options)
        self.choices = choices
        self.kind = f"one of {', '.join(choice for choice in choices if choice)}"

    def fits(self, value: Any) -> bool:
        return isinstance(value, str) and value in self.choices


class Texts(_Strict):
    """A list of strings."""

    kind = "a list of strings"

    def fits(self, value: Any) -> bool:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)


class PortText(_Strict):
    """A port written as text, as the controller wants it where rules are overridden (controller-facts A1)."""

    kind = 'a port as a string, such as "22"'

    def fits(self, value: Any) -> bool:
        if value == "" and not self.required:
            return True
        is_number = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 6
        return is_number and 1 <= int(value) <= 65535


class DiskSize(_Strict):
    """A size such as 256G (controller-facts A1); a blank one is none."""

    kind = "a size like 256G, with T, G, M or K"

    def fits(self, value: Any) -> bool:
        return isinstance(value, str) and (not value or _DISK_SIZE.fullmatch(value) is not None)


class One(_Strict):
    """An object with a schema of its own."""

    kind = "an object"

    def __init__(self, schema: type[Schema], **options: Any) -> None:
        super().__init__(**options)
        self.schema = schema()

    def fits(self, value: Any) -> bool:
        return isinstance(value, dict)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        return self.schema.load(super()._deserialize(value, attr, data, **kwargs))


class Many(One):
    """A list of such objects."""

    kind = "an array of objects"

    def fits(self, value: Any) -> bool:
        return isinstance(value, list) and all(isinstance(item, dict) for item in value)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        items = _Strict._deserialize(self, value, attr, data, **kwargs)
        return self.schema.load(items, many=True)


class Metadata(_Strict):
    """An object whose values are strings, whole numbers or booleans (controller-facts A1)."""

    kind = "an object with strings, whole numbers or booleans as values"

    def fits(self, value: Any) -> bool:
        if not isinstance(value, dict):
            return False
        for key, each in value.items():
            if not isinstance(each, str | int) or (isinstance(each, int) and not MIN_INT <= each <= MAX_INT):
                raise ValidationError(f"{key}: must be a string, a whole number or a boolean, not {_kind(each)}")
        return True


class ById(Body):
    """A body that names one thing."""

    id = Text(required=True)


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case str():
            return f"the string {value[:40]!r}"
        case int() | float():
            return f"the number {str(value)[:40]}"
        case list():
            return "an array"
    return "an object"


def _clean(value: Any) -> Any:
    """Text without halves of surrogate pairs, all through."""
    match value:
        case str():
            return _SURROGATES.sub("\ufffd", value)
        case list():
            return [_clean(item) for item in value]
        case dict():
            return {_clean(key): _clean(item) for key, item in value.items()}
    return value


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= 4000 else float("inf")


def _flat(messages: object, path: str = "") -> list[str]:
    if isinstance(messages, dict):
        return [
            text
            for key, below in messages.items()
            for text in _flat(below, path if key == "_schema" else f"{path}.{key}" if path else str(key))
        ]
    if isinstance(messages, list):
        return [text for below in messages for text in _flat(below, path)]
    return [f"{path}: {messages}" if path else str(messages)]
