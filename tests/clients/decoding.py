"""How strictly clients decode: as Go's encoding/json with their structs, and as Java's org.json with its getters."""

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


# Go: unknown keys are passed over, keys compare without case, null leaves the zero value, any other type is an error.


def string(value: Any) -> str:
    if value is not None and not isinstance(value, str):
        raise _wrong(value, "string")
    return value or ""


def boolean(value: Any) -> bool:
    if value is not None and not isinstance(value, bool):
        raise _wrong(value, "bool")
    return bool(value)


def integer(value: Any) -> int:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise _wrong(value, "int")
    return value or 0


def unsigned(value: Any) -> int:
    if not 0 <= integer(value) < UNSIGNED_MOST:
        raise _wrong(value, "unsigned int")
    return value or 0


def real(value: Any) -> float:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise _wrong(value, "float")
    return float(value or 0)


def time(value: Any) -> datetime | None:
    """time.Time: RFC 3339, or null; an empty string is an error."""
    if value is None:
        return None
    if not isinstance(value, str) or not _RFC_3339.fullmatch(value):
        raise _wrong(value, "time")
    try:
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value))
    except ValueError:
        raise _wrong(value, "time") from None


def many(of: Decoder) -> Decoder:
    """A slice; null and absent are nil."""

    def decode(value: Any) -> list[Any] | None:
        if value is not None and not isinstance(value, list):
            raise _wrong(value, "array")
        return None if value is None else [of(each) for each in value]

    return decode


def mapping(of: Decoder) -> Decoder:
    def decode(value: Any) -> dict[str, Any] | None:
        if value is not None and not isinstance(value, Mapping):
            raise _wrong(value, "object")
        return None if value is None else {key: of(each) for key, each in value.items()}

    return decode


def pointer(to: Decoder) -> Decoder:
    """A pointer; null and absent are nil."""
    return lambda value: None if value is None else to(value)


def struct(**fields: Decoder) -> Decoder:
    """A struct; what is absent has its zero value."""

    def decode(value: Any) -> SimpleNamespace:
        if value is not None and not isinstance(value, Mapping):
            raise _wrong(value, "object")
        there = {key.lower(): each for key, each in (value or {}).items()}
        return SimpleNamespace(**{key: of(there.get(key.lower())) for key, of in fields.items()})

    return decode


def envelope(body: Decoder) -> Decoder:
    """The controller's answer, as a Go client declares it."""
    return struct(status=string, message=string, body=body)


class JavaObject:
    """org.json's JSONObject: getters throw on what is absent, null or of another type; ``has`` is true for null."""

    def __init__(self, value: Any, what: str = "answer") -> None:
        if not isinstance(value, Mapping):
            raise _wrong(value, f"JSONObject ({what})")
        self._value = value

    def has(self, key: str) -> bool:
        return key in self._value

    def text(self, key: str) -> str:
        return self._get(key, str)

    def whole(self, key: str) -> int:
        return self._get(key, int)

    def inner(self, key: str) -> JavaObject:
        return JavaObject(self._value.get(key), key)

    def array(self, key: str) -> list[Any]:
        return self._get(key, list)

    def opt(self, key: str, otherwise: Any = None) -> Any:
        """What is there; null counts as absent."""
        value = self._value.get(key)
        return otherwise if value is None else value

    def _get(self, key: str, kind: type) -> Any:
        value = self._value.get(key)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise Undecodable(f"JSONObject[{key!r}] is {value!r}, no {kind.__name__}")
        return value
