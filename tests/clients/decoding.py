"""Decoders as strict as those of the clients: Go's encoding/json with structs, and Java's org.json with getters."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from tests.clients.engine import Undecodable

Decoder = Callable[[Any], Any]
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
UNSIGNED_MOST = 2**64


def _wrong(value: Any, wanted: str) -> Undecodable:
    return Undecodable(f"{value!r} is no {wanted}")


# Go: unknown keys are ignored, keys are compared without case, null leaves the zero value, another type is an error.


def string(value: Any) -> str:
    """Decode a string."""
    if value is not None and not isinstance(value, str):
        raise _wrong(value, "string")
    return value or ""


def boolean(value: Any) -> bool:
    """Decode a bool."""
    if value is not None and not isinstance(value, bool):
        raise _wrong(value, "bool")
    return bool(value)


def integer(value: Any) -> int:
    """Decode an int."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise _wrong(value, "int")
    return value or 0


def unsigned(value: Any) -> int:
    """Decode an unsigned int of 64 bits."""
    if not 0 <= integer(value) < UNSIGNED_MOST:
        raise _wrong(value, "unsigned int")
    return value or 0


def real(value: Any) -> float:
    """Decode a float."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise _wrong(value, "float")
    return float(value or 0)


def time(value: Any) -> datetime | None:
    """Decode a time.Time: RFC 3339, or null; an empty string is an error."""
    if value is None:
        return None
    if not isinstance(value, str) or not _RFC_3339.fullmatch(value):
        raise _wrong(value, "time")
    try:
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value))
    except ValueError:
        raise _wrong(value, "time") from None


def many(element: Decoder) -> Decoder:
    """Return the decoder of a slice; null and absent are nil."""

    def decode(value: Any) -> list[Any] | None:
        if value is not None and not isinstance(value, list):
            raise _wrong(value, "array")
        return None if value is None else [element(item) for item in value]

    return decode


def mapping(element: Decoder) -> Decoder:
    """Return the decoder of a map with string keys; null and absent are nil."""

    def decode(value: Any) -> dict[str, Any] | None:
        if value is not None and not isinstance(value, Mapping):
            raise _wrong(value, "object")
        return None if value is None else {key: element(item) for key, item in value.items()}

    return decode


def pointer(element: Decoder) -> Decoder:
    """Return the decoder of a pointer; null and absent are nil."""
    return lambda value: None if value is None else element(value)


def struct(**fields: Decoder) -> Decoder:
    """Return the decoder of a struct; an absent field has its zero value."""

    def decode(value: Any) -> SimpleNamespace:
        if value is not None and not isinstance(value, Mapping):
            raise _wrong(value, "object")
        values = {key.lower(): field for key, field in (value or {}).items()}
        return SimpleNamespace(**{key: decoder(values.get(key.lower())) for key, decoder in fields.items()})

    return decode


def envelope(body: Decoder) -> Decoder:
    """Return the decoder of the controller's answer, as a Go client declares it."""
    return struct(status=string, message=string, body=body)


class JavaObject:
    """A JSONObject of org.json: getters throw if a value is absent, null or of another type; ``has`` accepts null."""

    def __init__(self, value: Any, name: str = "answer") -> None:
        if not isinstance(value, Mapping):
            raise _wrong(value, f"JSONObject ({name})")
        self._value = value

    def has(self, key: str) -> bool:
        """Return whether the key exists, if only with null."""
        return key in self._value

    def text(self, key: str) -> str:
        """Return a string, or throw."""
        return self._get(key, str)

    def whole(self, key: str) -> int:
        """Return an int, or throw."""
        return self._get(key, int)

    def inner(self, key: str) -> JavaObject:
        """Return a JSONObject, or throw."""
        return JavaObject(self._value.get(key), key)

    def array(self, key: str) -> list[Any]:
        """Return a JSONArray, or throw."""
        return self._get(key, list)

    def opt(self, key: str, default: Any = None) -> Any:
        """Return a value, or the default if it is absent or null."""
        value = self._value.get(key)
        return default if value is None else value

    def _get(self, key: str, kind: type) -> Any:
        value = self._value.get(key)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise Undecodable(f"JSONObject[{key!r}] is {value!r}, no {kind.__name__}")
        return value
