"""Request bodies and queries: read as the real controller reads them, and checked against a schema.

Bodies are JSON whatever the Content-Type says (controller-facts A0.2). Like any Go decoder the controller takes keys
in any case and null for a value that is not given, and ignores unknown keys. It says what Go says of a body that is
no JSON, and of a value that its type in Go cannot hold. Guess: the names of these types. How it refuses other values is
unknown, so those messages are our own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from flask import current_app, request
from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load

from mockanka.api.json_errors import explain_json_error
from mockanka.core.release import SINCE, Release
from mockanka.json_text import parse_json, replace_surrogates

MAX_BODY = 16 * 1024 * 1024
"""Bytes. Guess: large enough for a startup script of 10 MB in base64."""

MAX_INT = 2**63 - 1
MIN_INT = -(2**63)

REMARKS_EXTENSION = "mockanka"
"""The name under which an application keeps its RequestRemarks among its extensions."""

_DISK_SIZE = re.compile("[0-9]{1,9}[TGMK]", re.ASCII)
_UNMARSHAL = "json: cannot unmarshal"


def added_with(feature: str) -> dict[str, Any]:
    """Return the metadata of a field that the releases before a feature do not know."""
    return {"since": SINCE[feature]}


class InvalidRequest(Exception):
    """A request that breaks the contract; the text says where, and what would be right."""


class UndecodableRequest(InvalidRequest):
    """A request body that Go does not decode; the text is that of Go's decoder."""


class RequestRemarks:
    """The remarks on the current request, which the client report reads.

    ``unknown`` and ``deprecated`` are keys that the release does not know, each with the reason. ``invalid`` is the
    message of an InvalidRequest. ``parameters_read`` are the query parameters that the operation has looked at.
    """

    def __init__(self, release: Callable[[], Release]) -> None:
        self.release = release
        self.begin()

    def begin(self) -> None:
        """Start with another request."""
        self.unknown: list[str] = []
        self.deprecated: list[str] = []
        self.invalid: str | None = None
        self.parameters_read: set[str] = set()


def current_remarks() -> RequestRemarks:
    """Return the remarks of the application that answers the current request."""
    remarks: RequestRemarks = current_app.extensions[REMARKS_EXTENSION]
    return remarks


def read_fields(schema: Schema, optional: bool = False) -> dict[str, Any]:
    """Return the fields of the current request's body; an empty one is allowed only where it is optional.

    Raises InvalidRequest.
    """
    return load_body(schema, read_json_object(schema, optional))


def read_json_object(schema: Schema, optional: bool = False) -> dict[str, Any]:
    """Return the current request's body as it is; an empty one only where it is optional.

    Raises InvalidRequest, which names the schema if the body is no object.
    """
    if (request.content_length or 0) > MAX_BODY:
        raise InvalidRequest(f"the body has {request.content_length} bytes, at most {MAX_BODY} are read")
    raw = request.stream.read(MAX_BODY + 1)
    if len(raw) > MAX_BODY:
        raise InvalidRequest(f"the body has more than {MAX_BODY} bytes, at most {MAX_BODY} are read")
    if optional and not raw.strip():
        return {}
    try:
        # Bytes that are no UTF-8 and halves of surrogate pairs become U+FFFD, as in Go.
        data = replace_surrogates(
            parse_json(raw.decode("utf-8", "replace"), parse_int=_parse_int, parse_float=_Literal)
        )
    except RecursionError:
        raise _describe_broken_body(raw, "the body is nested too deep") from None
    except ValueError as error:
        raise _describe_broken_body(raw, f"the body is not valid JSON: {error}") from None
    if data is None:  # guess: Go would take it for an object without keys
        raise InvalidRequest("the body must be a JSON object, not null")
    if not isinstance(data, dict):
        raise UndecodableRequest(f"{_UNMARSHAL} {_kind(data)} into Go value of type {_struct_type(schema)}")
    return data


def _describe_broken_body(raw: bytes, otherwise: str) -> InvalidRequest:
    error = explain_json_error(raw)
    return InvalidRequest(otherwise) if error is None else UndecodableRequest(error)


def load_body(schema: Schema, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the schema loads from the data. Keys that the release does not know are ignored like unknown ones.

    Raises InvalidRequest that names each wrong field.
    """
    remarks = current_remarks()
    known = {key: value for key, value in data.items() if _is_in_release(schema, key, remarks)}
    if (mismatch := _find_mismatch(schema, known)) is not None:  # Go decodes before anything else is checked
        raise UndecodableRequest(mismatch)
    try:
        loaded: dict[str, Any] = schema.load(known)
    except ValidationError as error:
        raise InvalidRequest("; ".join(_flatten_messages(error.messages))) from None
    return loaded


def _find_field(schema: Schema, key: str) -> fields.Field[Any] | None:
    return next((field for name, field in schema.fields.items() if name.casefold() == key.casefold()), None)


def _find_mismatch(schema: Schema, data: Mapping[str, Any], path: str = "") -> str | None:
    """Return Go's error for the first value, in the order of the body, that its field cannot hold, or None.

    ``path`` are the keys around the data, each with a point behind it.
    """
    for key, value in data.items():
        field = _find_field(schema, key)
        if isinstance(field, _JsonField) and value is not None:
            mismatch = field.find_mismatch(value, Place(type(schema).__name__, f"{path}{field.name}"))
            if mismatch is not None:
                return mismatch
    return None


def _is_in_release(schema: Schema, key: str, remarks: RequestRemarks) -> bool:
    """Return False if the release lacks the field of a key; add a remark on a key that no field has."""
    field = _find_field(schema, key)
    if field is None:
        remarks.unknown.append(f"{key}: no such field")
        return True
    release, since, until = remarks.release(), field.metadata.get("since"), field.metadata.get("until")
    if since is not None and release < since:
        remarks.unknown.append(f"{key}: release {release} does not know it, it came with {since}")
        return False
    if until is not None and release >= until:
        remarks.deprecated.append(f"{key}: release {release} does not know it any more, it went with {until}")
        return False
    return True


def query_parameter(name: str) -> str:
    """Return a query parameter, the first if there are several, as in Go; blank if there is none."""
    current_remarks().parameters_read.add(name)
    return request.args.get(name, "")


def required_parameter(name: str) -> str:
    """Return a query parameter that must not be blank. Raises InvalidRequest."""
    value = query_parameter(name)
    if not value:
        raise InvalidRequest(f"query parameter {name} is required")
    return value


def integer_parameter(name: str) -> int | None:
    """Return a query parameter that is a whole number, 0 or more, or None if it is blank. Raises InvalidRequest."""
    text = query_parameter(name)
    if not text:
        return None
    digits = text.lstrip("0") or "0"
    if not (text.isascii() and text.isdigit()) or len(digits) > len(str(MAX_INT)) or int(digits) > MAX_INT:
        raise InvalidRequest(f"query parameter {name} must be a whole number from 0 to {MAX_INT}, not {text[:40]!r}")
    return int(digits)


class RequestBody(Schema):
    """Base of the request schemas: keys in any case, null for a value that is not given, unknown keys ignored."""

    class Meta:
        unknown = EXCLUDE

    @pre_load
    def _read_as_go(self, data: Mapping[str, Any], **kwargs: Any) -> dict[str, Any]:
        values = {key: value for key, value in data.items() if value is not None}
        names = {name.casefold(): name for name in self.fields}
        in_any_case = {names.get(key.casefold(), key): value for key, value in values.items()}
        return in_any_case | {key: value for key, value in values.items() if key in self.fields}


class Place(NamedTuple):
    """Place of a value in a body as Go names it: a struct, and the keys that lead to the value."""

    struct: str
    path: str

    def describe_mismatch(self, found: str, go_type: str) -> str:
        """Return Go's error for a value at this place whose type does not fit."""
        return f"{_UNMARSHAL} {found} into Go struct field {self.struct}.{self.path} of type {go_type}"


class _Literal(float):
    """A number that is kept as it is written, since Go repeats it in errors."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __new__(cls, text: str) -> _Literal:
        return super().__new__(cls, text)


class _NegativeZero(int):
    """The number that is written -0, which no unsigned type of Go holds."""


class _JsonField(fields.Field[Any]):
    """Base of the fields, each of which takes one JSON type; ``expected`` describes the values that fit.

    ``kind`` is that JSON type, and ``go_type`` the type in Go, as Go's errors name them.
    """

    expected = ""
    kind = "string"
    go_type = "string"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.error_messages["required"] = "is required"

    def fits(self, value: Any) -> bool:
        """Return whether the field takes a value. Raises ValidationError if a message can say more than that."""
        raise NotImplementedError

    def find_mismatch(self, value: Any, place: Place) -> str | None:
        """Return Go's error for a value that the field's type in Go cannot hold, or None; null is none."""
        found = _kind(value)
        return None if found == self.kind else place.describe_mismatch(found, self.go_type)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if not self.fits(value):
            raise ValidationError(f"must be {self.expected}, not {_describe_value(value)}")
        return value


class TextField(_JsonField):
    """A string; one that is required may not be empty."""

    expected = "a string"

    def fits(self, value: Any) -> bool:
        if isinstance(value, str) and self.required and not value:
            raise ValidationError("is required, and empty")
        return isinstance(value, str)


class IntegerField(_JsonField):
    """A whole number from ``low`` to ``high``; neither true nor 1.0 is one."""

    kind = "number"
    go_type = "int"
    go_range = range(MIN_INT, MAX_INT + 1)

    def __init__(self, low: int = 0, high: int = MAX_INT, **options: Any) -> None:
        super().__init__(**options)
        self.low, self.high = low, high
        self.expected = f"a whole number from {low} to {high}" if high < MAX_INT else f"a whole number, {low} or more"

    def fits(self, value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high

    def find_mismatch(self, value: Any, place: Place) -> str | None:
        if isinstance(value, _Literal):
            return place.describe_mismatch(f"number {value.text}", self.go_type)
        if _kind(value) == self.kind and value not in self.go_range:
            return place.describe_mismatch(f"number {value}", self.go_type)
        return super().find_mismatch(value, place)


class UnsignedField(IntegerField):
    """A whole number that is unsigned in Go, whose decoder refuses a negative one (controller-facts A0.4)."""

    go_type = "uint"
    go_range = range(2**64)

    def find_mismatch(self, value: Any, place: Place) -> str | None:
        if isinstance(value, _NegativeZero):
            return place.describe_mismatch("number -0", self.go_type)
        return super().find_mismatch(value, place)


class BooleanField(_JsonField):
    """true or false."""

    expected = "true or false"
    kind = "bool"
    go_type = "bool"

    def fits(self, value: Any) -> bool:
        return isinstance(value, bool)


class ChoiceField(_JsonField):
    """One of a few strings."""

    def __init__(self, *choices: str, **options: Any) -> None:
        super().__init__(**options)
        self.choices = choices
        self.expected = f"one of {', '.join(choice for choice in choices if choice)}"

    def fits(self, value: Any) -> bool:
        return isinstance(value, str) and value in self.choices


class TextListField(_JsonField):
    """A list of strings."""

    expected = "a list of strings"
    kind = "array"
    go_type = "[]string"

    def fits(self, value: Any) -> bool:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)

    def find_mismatch(self, value: Any, place: Place) -> str | None:
        if not isinstance(value, list):
            return super().find_mismatch(value, place)
        found = next((_kind(item) for item in value if item is not None and not isinstance(item, str)), None)
        return None if found is None else place.describe_mismatch(found, "string")


class PortField(_JsonField):
    """A port as a string, as the controller takes it in overridden port rules (controller-facts A1)."""

    expected = 'a port as a string, such as "22"'

    def fits(self, value: Any) -> bool:
        if value == "" and not self.required:
            return True
        is_number = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 6
        return is_number and 1 <= int(value) <= 65535


class DiskSizeField(_JsonField):
    """A size such as 256G (controller-facts A1), or a blank string for none."""

    expected = "a size like 256G, with T, G, M or K"

    def fits(self, value: Any) -> bool:
        return isinstance(value, str) and (not value or _DISK_SIZE.fullmatch(value) is not None)


class ObjectField(_JsonField):
    """An object that a schema of its own loads."""

    expected = "an object"
    kind = "object"

    def __init__(self, schema: type[Schema], **options: Any) -> None:
        super().__init__(**options)
        self.schema = schema()
        self.go_type = _struct_type(self.schema)

    def fits(self, value: Any) -> bool:
        return isinstance(value, dict)

    def find_mismatch(self, value: Any, place: Place) -> str | None:
        if isinstance(value, dict):
            return _find_mismatch(self.schema, value, f"{place.path}.")
        return super().find_mismatch(value, place)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        return self.schema.load(super()._deserialize(value, attr, data, **kwargs))


class ObjectListField(ObjectField):
    """A list of objects that a schema of their own loads."""

    expected = "an array of objects"

    def fits(self, value: Any) -> bool:
        return isinstance(value, list) and all(isinstance(item, dict) for item in value)

    def find_mismatch(self, value: Any, place: Place) -> str | None:
        if not isinstance(value, list):
            return place.describe_mismatch(_kind(value), f"[]{self.go_type}")
        mismatches = (super(ObjectListField, self).find_mismatch(item, place) for item in value if item is not None)
        return next((mismatch for mismatch in mismatches if mismatch is not None), None)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        items = _JsonField._deserialize(self, value, attr, data, **kwargs)
        return self.schema.load(items, many=True)


class MetadataField(_JsonField):
    """An object whose values are strings, whole numbers or booleans (controller-facts A1)."""

    expected = "an object with strings, whole numbers or booleans as values"
    kind = "object"
    go_type = "map[string]interface {}"

    def fits(self, value: Any) -> bool:
        if not isinstance(value, dict):
            return False
        for key, item in value.items():
            if not isinstance(item, str | int) or (isinstance(item, int) and not MIN_INT <= item <= MAX_INT):
                described = _describe_value(item)
                raise ValidationError(f"{key}: must be a string, a whole number or a boolean, not {described}")
        return True


class IdBody(RequestBody):
    """A body that has an id."""

    id = TextField(required=True)


def _struct_type(schema: Schema) -> str:
    """Return the type of a body in Go. Guess: its name and its package."""
    return f"main.{type(schema).__name__}"


def _kind(value: object) -> str:
    """Return the JSON type of a value other than null, as Go's errors name it."""
    match value:
        case bool():
            return "bool"
        case str():
            return "string"
        case int() | float():
            return "number"
        case list():
            return "array"
    return "object"


def _describe_value(value: object) -> str:
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


def _parse_int(digits: str) -> int | float:
    if digits == "-0":
        return _NegativeZero()
    # Python refuses to convert more than 4300 digits; no field takes such a number.
    return int(digits) if len(digits) <= 4000 else _Literal(digits)


def _flatten_messages(messages: object, path: str = "") -> list[str]:
    """Return the messages of nested fields in one list, each behind the path of its field."""
    if isinstance(messages, dict):
        return [
            text
            for key, below in messages.items()
            for text in _flatten_messages(below, path if key == "_schema" else f"{path}.{key}" if path else str(key))
        ]
    if isinstance(messages, list):
        return [text for below in messages for text in _flatten_messages(below, path)]
    text = str(messages)
    return [f"{path}: {text}" if path else text]
