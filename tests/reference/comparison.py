"""Comparing responses with those of the controller reference, key by key and type by type."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from itertools import zip_longest
from typing import Any, TypeAlias

Rule: TypeAlias = Callable[[Any, Any], bool]
"""A check in place of equality, for a value that is left out: takes the value of the example and the actual one."""

LeftOut: TypeAlias = Mapping[str, Rule]
"""Rules by path; a star matches anything."""


class Missing:
    """The type of MISSING."""

    def __repr__(self) -> str:
        return "nothing"


MISSING = Missing()
"""Stands for a key or an item that does not exist."""


def json_type(value: object) -> str:
    """Return the JSON type of a value; whole numbers and others have the same type."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case dict():
            return "object"
    return "nothing"


def find_id(item: object) -> str | None:
    """Return the id that tells an item of a list from the others, or None."""
    if not isinstance(item, dict):
        return None
    for holder in (item, item.get("request")):
        for key in ("instance_id", "node_id", "id", "request_id"):
            if isinstance(holder, dict) and isinstance(holder.get(key), str):
                return str(holder[key])
    return None


@dataclass
class Comparison:
    """Collects where a response differs from the expected one, and which rules were used."""

    left_out: LeftOut = field(default_factory=dict)
    may_have_more: bool = False
    """Return whether the list in the body may have items besides the expected ones."""
    found: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    def compare(self, expected: object, actual: object, path: str = "") -> None:
        """Compare two values at a path."""
        names = [name for name in self.left_out if fnmatchcase(path, name)]
        if names:
            self.used.update(names)
            if not all(self.left_out[name](expected, actual) for name in names):
                self.found.append(f"{path}: {actual!r} is not even like {expected!r}")
        elif json_type(expected) != json_type(actual):
            self.found.append(f"{path}: {actual!r} where {expected!r} should be")
        elif isinstance(expected, dict) and isinstance(actual, dict):
            for key in expected | actual:
                self.compare(expected.get(key, MISSING), actual.get(key, MISSING), f"{path}/{key}".lstrip("/"))
        elif isinstance(expected, list) and isinstance(actual, list):
            self._compare_items(expected, actual, path)
        elif expected != actual:
            self.found.append(f"{path}: {actual!r} instead of {expected!r}")

    def _compare_items(self, expected: list[object], actual: list[object], path: str) -> None:
        expected_by_id = {find_id(item): item for item in expected}
        if not expected or None in expected_by_id:  # items without ids are told apart by their places
            for place, (expected_item, actual_item) in enumerate(zip_longest(expected, actual, fillvalue=MISSING)):
                self.compare(expected_item, actual_item, f"{path}/{place}")
            return
        actual_by_id = {find_id(item): item for item in actual}
        if None in actual_by_id or len(actual_by_id) < len(actual):
            self.found.append(f"{path}: an item without an id, or one id twice")
        for id, item in expected_by_id.items():
            self.compare(item, actual_by_id.get(id, MISSING), f"{path}/{id}")
        additional_ids = actual_by_id.keys() - expected_by_id.keys()
        for id in additional_ids if path != "body" or not self.may_have_more else ():
            self.compare(MISSING, actual_by_id[id], f"{path}/{id}")


def differences(
    expected: object, actual: object, left_out: LeftOut | None = None, may_have_more: bool = False
) -> list[str]:
    """Return where a value differs from the expected one."""
    comparison = Comparison(left_out or {}, may_have_more)
    comparison.compare(expected, actual)
    return comparison.found


def parse_instant(text: object) -> tuple[float, int] | None:
    """Return the whole seconds and nanoseconds of an RFC 3339 time, or None if it is none."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", str(text))
    if match is None:
        return None
    return datetime.fromisoformat(match[1] + match[3]).timestamp(), int((match[2] or "0").ljust(9, "0"))


def is_same_instant(expected: object, actual: object) -> bool:
    """Return whether the values are the same moment, in any zone."""
    return parse_instant(actual) is not None and parse_instant(actual) == parse_instant(expected)


def is_not_before(expected: object, actual: object) -> bool:
    """Return whether the value is a moment in UTC, the expected one or later."""
    earlier, later = parse_instant(expected), parse_instant(actual)
    return earlier is not None and later is not None and later >= earlier and str(actual).endswith("Z")


def is_new_id(expected: object, actual: object) -> bool:
    """Return whether the value is an id of the controller: like UUID version 4, with a variant nibble of 4 to 7."""
    pattern = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[4-7][0-9a-f]{3}-[0-9a-f]{12}"
    return isinstance(actual, str) and re.fullmatch(pattern, actual) is not None


def are_new_ids(expected: object, actual: object) -> bool:
    """Return whether the value has as many new ids, all different."""
    if not isinstance(expected, list) or not isinstance(actual, list):
        return False
    return len(expected) == len(actual) == len({*map(str, actual)}) and all(is_new_id(None, id) for id in actual)


def is_share(expected: object, actual: object) -> bool:
    """Return whether the value is a number from 0 to 1."""
    return json_type(actual) == "number" and isinstance(actual, int | float) and 0 <= actual <= 1


def is_not_served(expected: object, actual: object) -> bool:
    """Return whether a key of the example is missing."""
    return expected is not MISSING and actual is MISSING


def additional(value: object) -> Rule:
    """Return a rule for a key that the example lacks, with its value."""
    return lambda expected, actual: expected is MISSING and json_type(actual) == json_type(value) and actual == value
