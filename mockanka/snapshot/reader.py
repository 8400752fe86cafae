"""Typed values out of a JSON object that a controller returned, with a remark for each value that is unusable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from mockanka import units

JsonObject = dict[str, Any]
Converted = TypeVar("Converted")
MAX_INTEGER = 10**18


class JsonReader:
    """Reads values of a JSON object by their keys.

    A value that is absent or null is None. One of a wrong type or range is None too, and is named in ``remarks``.
    """

    def __init__(self, data: JsonObject) -> None:
        self.data = data
        self.remarks: list[str] = []

    def text(self, key: str) -> str | None:
        """Return a string, or None if it is empty."""
        return self._read(key, _string) or None

    def text_or_empty(self, key: str) -> str | None:
        """Return a string, which may be empty."""
        return self._read(key, _string)

    def integer(self, key: str, low: int = 0, high: int = MAX_INTEGER) -> int | None:
        """Return an integer from ``low`` to ``high``."""
        return self._read(key, lambda value: _integer(value, low, high))

    def fraction(self, key: str) -> float | None:
        """Return a number from 0 to 1."""
        return self._read(key, _fraction)

    def boolean(self, key: str) -> bool | None:
        """Return true or false."""
        return self._read(key, _boolean)

    def moment(self, key: str) -> int | None:
        """Return the nanoseconds since 1970 of an RFC 3339 time, or None for the zero time of Go."""
        return self._read(key, _moment)

    def unix_time(self, key: str) -> int | None:
        """Return the nanoseconds since 1970 of a number of seconds, or None if it is 0."""
        seconds = self.integer(key, high=units.MAX_MOMENT // units.SECOND)
        return seconds * units.SECOND if seconds else None

    def strings(self, key: str) -> list[str]:
        """Return the strings in a list; empty if there is no list."""
        items = self.data.get(key)
        return [_string(item) for item in items if isinstance(item, str)] if isinstance(items, list) else []

    def objects(self, key: str) -> list[JsonObject]:
        """Return the objects in a list; empty if there is no list."""
        items = self.data.get(key)
        return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []

    def children(self, key: str) -> list[JsonReader]:
        """Return a reader of each object in a list; empty if there is no list."""
        return [JsonReader(item) for item in self.objects(key)]

    def child(self, key: str) -> JsonReader:
        """Return a reader of an object, of an empty one if there is none."""
        value = self.data.get(key)
        return JsonReader(value if isinstance(value, dict) else {})

    def _read(self, key: str, convert: Callable[[Any], Converted]) -> Converted | None:
        value = self.data.get(key)
        if value is None:
            return None
        try:
            return convert(value)
        except ValueError as error:
            self.remarks.append(f"{key}: {error}; it is left out")
            return None


def _abbreviate(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{_abbreviate(value)} is not a string")
    return value.encode("utf-8", "replace").decode("utf-8")


def _integer(value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{_abbreviate(value)} is not an integer from {low} to {high}")
    return value


def _fraction(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"{_abbreviate(value)} is not a number from 0 to 1")
    return value


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{_abbreviate(value)} is neither true nor false")
    return value


def _moment(value: Any) -> int | None:
    moment = units.parse_moment(_string(value))
    return moment if moment >= 0 else None
