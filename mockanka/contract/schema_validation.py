"""Validation of values by schemas of the document, as strictly as a Go client parses them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from datetime import datetime
from functools import cached_property
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.validators import extend
from referencing import Registry
from referencing.jsonschema import DRAFT202012

MAX_ERRORS = 10_000
"""Errors of a value that are looked at; an error takes a thousand bytes, and a list can have millions of them."""
DOCUMENT_URI = "urn:mockanka:contract"
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_FORMATS = FormatChecker(formats=())


def is_go_integer(_: object, value: object) -> bool:
    """Return whether the value is an integer of 64 bits. Neither ``true`` nor ``39.0`` is one."""
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


@_FORMATS.checks("date-time")
def is_rfc3339(value: object) -> bool:
    """Return whether a string is an RFC 3339 time as Go parses it, with up to nine decimal places."""
    if not isinstance(value, str):
        return True
    match = _TIME.fullmatch(value)
    if match is None:
        return False
    date, time, zone = match.groups()
    try:
        datetime.fromisoformat(f"{date}T{time}{zone}")
    except ValueError:
        return False
    return True


def _pattern(_: object, pattern: str, value: object, __: object) -> Iterator[ValidationError]:
    """Match ``$`` only at the end, as in ECMA-262; in Python it also matches before a final line break."""
    if isinstance(value, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


_extend: Any = extend
GoValidator = _extend(
    Draft202012Validator,
    {"pattern": _pattern},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", is_go_integer),
)


class SchemaValidator:
    """Validates values by the schemas of one plain document, named by references such as ``#/components/...``."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self._validators: dict[tuple[str, bool], Any] = {}
        self._last: tuple[str, Any, bool] = "", None, False
        """The last pointer and value, and whether the value is valid."""

    def errors(self, pointer: str, value: Any) -> list[ValidationError]:
        """Return the errors in the value, the first ``MAX_ERRORS``; undocumented keys are no errors."""
        if self._is_clean(pointer, value):
            return []
        errors = islice(self._validator(pointer, lenient=True).iter_errors(value), MAX_ERRORS)
        return [leaf for error in errors for leaf in _relevant_errors(error)]

    def undocumented_keys(self, pointer: str, value: Any) -> list[tuple[str, str]]:
        """Return the undocumented keys, each as the path of its object and the key."""
        if self._is_clean(pointer, value):
            return []
        keys = []
        for error in islice(self._validator(pointer, lenient=False).iter_errors(value), MAX_ERRORS):
            for leaf in _all_errors(error):
                if leaf.validator == "additionalProperties" and leaf.validator_value is False:
                    instance: Any = leaf.instance
                    known = leaf.schema.get("properties", {}) if isinstance(leaf.schema, dict) else {}
                    keys += [(leaf.json_path, str(key)) for key in instance if key not in known]
        return keys

    def is_valid(self, pointer: str, value: Any) -> bool:
        """Return whether the value has no errors and no undocumented keys."""
        return bool(self._validator(pointer, lenient=False).is_valid(value))

    def _is_clean(self, pointer: str, value: Any) -> bool:
        """Return ``is_valid``, remembered for the last value: most values are valid, and lists are long."""
        last_pointer, last_value, is_clean = self._last
        if last_pointer != pointer or last_value is not value:
            is_clean = self.is_valid(pointer, value)
            self._last = pointer, value, is_clean
        return is_clean

    def _validator(self, pointer: str, lenient: bool) -> Any:
        if (pointer, lenient) not in self._validators:
            registry = self._lenient if lenient else self._strict
            self._validators[pointer, lenient] = GoValidator(
                {"$ref": f"{DOCUMENT_URI}{pointer}"}, registry=registry, format_checker=_FORMATS
            )
        return self._validators[pointer, lenient]

    @cached_property
    def _strict(self) -> Registry[Any]:
        return _registry(self.document)

    @cached_property
    def _lenient(self) -> Registry[Any]:
        document = deepcopy(self.document)
        _allow_unknown_keys(document["components"])
        return _registry(document)


def _registry(document: dict[str, Any]) -> Registry[Any]:
    registry: Registry[Any] = Registry().with_resource(DOCUMENT_URI, DRAFT202012.create_resource(document))
    return registry


def _allow_unknown_keys(value: Any) -> None:
    """Remove ``additionalProperties: false`` at any depth."""
    if isinstance(value, dict):
        if value.get("additionalProperties") is False:
            del value["additionalProperties"]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            _allow_unknown_keys(item)


def _relevant_errors(error: ValidationError) -> Iterator[ValidationError]:
    """Yield the errors within the alternative that fits the value's type, or the error itself if none does."""
    relevant = [inner for inner in error.context or () if inner.relative_path or inner.validator != "type"]
    if not relevant:
        yield error
    for inner in relevant:
        yield from _relevant_errors(inner)


def _all_errors(error: ValidationError) -> Iterator[ValidationError]:
    if not error.context:
        yield error
    for inner in error.context or ():
        yield from _all_errors(inner)
