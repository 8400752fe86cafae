"""One object as the wire told it: values by their kind, and a remark on each that is not what it should be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from mockanka import units

Json = dict[str, Any]
Read = TypeVar("Read")
LARGEST = 10**18


class Told:
    """Reads values out of an object; ``remarks`` has a line for each that cannot be taken over."""

    def __init__(self, raw: Json) -> None:
        self.raw = raw
        self.remarks: list[str] = []

    def text(self, key: str) -> str | None:
        """Text that is not blank."""
        return self._read(key, _text) or None

    def any_text(self, key: str) -> str | None:
        """Text, which may be blank."""
        return self._read(key, _text)

    def whole(self, key: str, low: int = 0, high: int = LARGEST) -> int | None:
        return self._read(key, lambda value: _whole(value, low, high))

    def share(self, key: str) -> float | None:
        return self._read(key, _share)

    def flag(self, key: str) -> bool | None:
        return self._read(key, _flag)

    def moment(self, key: str) -> int | None:
        """Nanoseconds since 1970; None also for the zero time of Go."""
        return self._read(key, _moment)

    def seconds(self, key: str) -> int | None:
        """The same of a number of seconds; None of 0."""
        told = self.whole(key, high=units.MAX_MOMENT // units.SECOND)
        return told * units.SECOND if told else None

    def below(self, key: str) -> list[Json]:
        """The objects of a list, which may be null or not there."""
        items = self.raw.get(key)
        return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []

    def inside(self, key: str) -> Json:
        value = self.raw.get(key)
        return value if isinstance(value, dict) else {}

    def words(self, key: str) -> list[str]:
        items = self.raw.get(key)
        return [_text(item) for item in items if isinstance(item, str)] if isinstance(items, list) else []

    def _read(self, key: str, read: Callable[[Any], Read]) -> Read | None:
        value = self.raw.get(key)
        if value is None:
            return None
        try:
            return read(value)
        except ValueError as wrong:
            self.remarks.append(f"{key}: {wrong}; it is left out")
            return None


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{_shown(value)} is no text")
    return value.encode("utf-8", "replace").decode("utf-8")


def _whole(value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{_shown(value)} is no whole number from {low} to {high}")
    return value


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"{_shown(value)} is no number from 0 to 1")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{_shown(value)} is neither true nor false")
    return value


def _moment(value: Any) -> int | None:
    moment = units.parse_moment(_text(value))
    return moment if moment >= 0 else None
