"""Values held against a schema of the document, as strictly as a Go client reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from datetime import datetime
from functools import cached_property
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.validators import extend
from referencing import Registry
from referencing.jsonschema import DRAFT202012

BASE = "urn:mockanka:contract"
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_FORMATS = FormatChecker(formats=())


def is_go_integer(_: object, value: object) -> bool:
    """Whether JSON writes it as an integer that 64 bits hold: true is none, nor is 39.0."""
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


@_FORMATS.checks("date-time")
def is_time(value: object) -> bool:
    """RFC 3339 as Go parses it, with up to nine digits of a fraction."""
    if not isinstance(value, str):
        return True
    match = _TIME.fullmatch(value)
    if match is None:
        return False
    day, clock, zone = match.groups()
    try:
        datetime.fromisoformat(f"{day}T{clock}{zone}")
    except ValueError:
        return False
    return True


def _pattern(_: object, pattern: str, value: object, __: object) -> Iterator[ValidationError]:
    """As everywhere but in Python ``$`` is the end, and not also before a line break at the end."""
    if isinstance(value, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


_extend: Any = extend
Strict = _extend(
    Draft202012Validator,
    {"pattern": _pattern},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", is_go_integer),
)


class Validation:
    """The schemas of one plain document, each by its pointer."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self._made: dict[tuple[str, bool], Any] = {}
        self._last: tuple[str, Any, bool] = "", None, False

    def errors(self, pointer: str, value: Any) -> list[ValidationError]:
        """What is wrong with a value, keys aside that nobody documented."""
        if self._is_clean(pointer, value):
            return []
        return [leaf for error in self._validator(pointer, True).iter_errors(value) for leaf in _leaves(error)]

    def undocumented(self, pointer: str, value: Any) -> list[tuple[str, str]]:
        """The keys that nobody documented: where, and the key."""
        if self._is_clean(pointer, value):
            return []
        found = []
        for error in self._validator(pointer, False).iter_errors(value):
            for leaf in _all_leaves(error):
                if leaf.validator == "additionalProperties" and leaf.validator_value is False:
                    instance: Any = leaf.instance
                    known = leaf.schema.get("properties", {}) if isinstance(leaf.schema, dict) else {}
                    found += [(leaf.json_path, str(key)) for key in instance if key not in known]
        return found

    def is_valid(self, pointer: str, value: Any) -> bool:
        return bool(self._validator(pointer, False).is_valid(value))

    def _is_clean(self, pointer: str, value: Any) -> bool:
        """The same, looked at once for all that is asked of a value: most are, and lists are long."""
        known, seen, clean = self._last
        if known != pointer or seen is not value:
            clean = self.is_valid(pointer, value)
            self._last = pointer, value, clean
        return clean

    def _validator(self, pointer: str, lenient: bool) -> Any:
        if (pointer, lenient) not in self._made:
            registry = self._lenient if lenient else self._strict
            self._made[pointer, lenient] = Strict(
                {"$ref": f"{BASE}{pointer}"}, registry=registry, format_checker=_FORMATS
            )
        return self._made[pointer, lenient]

    @cached_property
    def _strict(self) -> Registry[Any]:
        return _registry(self.document)

    @cached_property
    def _lenient(self) -> Registry[Any]:
        document = deepcopy(self.document)
        _open(document["components"])
        return _registry(document)


def _registry(document: dict[str, Any]) -> Registry[Any]:
    filled: Registry[Any] = Registry().with_resource(BASE, DRAFT202012.create_resource(document))
    return filled


def _open(value: Any) -> None:
    """Take away that there are no further keys, all through."""
    if isinstance(value, dict):
        if value.get("additionalProperties") is False:
            del value["additionalProperties"]
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            _open(each)


def _leaves(error: ValidationError) -> Iterator[ValidationError]:
    """What is wrong within the one alternative that is meant; the error itself if none is."""
    meant = [each for each in error.context or () if each.relative_path or each.validator != "type"]
    if not meant:
        yield error
    for each in meant:
        yield from _leaves(each)


def _all_leaves(error: ValidationError) -> Iterator[ValidationError]:
    if not error.context:
        yield error
    for each in error.context or ():
        yield from _all_leaves(each)
