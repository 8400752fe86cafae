"""Fault rules as they are written: in a scenario, over HTTP, from Python. What cannot be met is refused here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from marshmallow import ValidationError, fields, validates_schema

from mockanka.core.faults import (
    EVENT_MATCH_KEYS,
    LIFECYCLE_FAULTS,
    NODE_OVERRIDES,
    OMITTABLE_FIELDS,
    REGISTRY_OVERRIDES,
    REQUEST_MATCH_KEYS,
    RESPONSE_FAULTS,
)
from mockanka.core.operations import OPERATION_METHODS, methods_by_path
from mockanka.scenario.base import Strict
from mockanka.scenario.fields import (
    Bandwidth,
    Choice,
    Choices,
    Content,
    Duration,
    Filled,
    Flag,
    Json,
    Length,
    Percent,
    PositiveLength,
    Real,
    Share,
    Text,
    Texts,
    Token,
    Whole,
    Yes,
)
from mockanka.scenario.source import nearest

Data = Mapping[str, Any]

MISSING: dict[str, Any] = {"required": "is missing", "null": "has no value"}
ALL_OPERATIONS = methods_by_path()

_OF_REQUESTS = frozenset({"instance", "name", "external_id"})
_NEVER_KNOWN: dict[str, frozenset[str]] = {
    "begin": frozenset(EVENT_MATCH_KEYS) - {"event", "node", "group"},
    "schedule": frozenset({"node"}),
    "distribute": _OF_REQUESTS,
}
"""What nothing can be matched by at an event: an instance that is only being scheduled has no node."""


class FaultMatch(Strict):
    method = Choice(*OPERATION_METHODS)
    path = Filled()
    query = Texts()
    body = Json(only_objects=True)
    event = Choice(*LIFECYCLE_FAULTS)
    instance = Filled()
    name = Filled()
    external_id = Filled()
    template = Filled()
    tag = Filled()
    node = Filled()
    group = Filled()

    @validates_schema(skip_on_field_errors=True)
    def _can_be_met(self, data: Data, **kwargs: Any) -> None:
        event = data.get("event")
        if event is None:
            _refuse_first(data, EVENT_MATCH_KEYS, "is matched at an event of life: give event too")
            if data.get("method") == "GET":
                _refuse_first(data, ["body"], "is nothing that a GET has")
            require_operation(data, ALL_OPERATIONS)
            return
        _refuse_first(data, REQUEST_MATCH_KEYS, "is matched at the door, and event in life: one rule has one of them")
        never = sorted(_NEVER_KNOWN.get(event, frozenset()))
        _refuse_first(data, never, f"is not known at event {event}, so nothing would ever match")


class FaultDo(Strict):
    delay = Duration()
    status = Whole(200, 599)
    body = Content()
    content_type = Token()
    refuse = PositiveLength()
    connection = Choice("close", "reset")
    cut = Share()
    dribble = PositiveLength()
    stale = Yes()
    acts = Flag()
    fail = Text()
    at = Percent()
    after = Length()
    duration = PositiveLength(data_key="for")
    stall = Yes()
    bandwidth = Bandwidth()
    without = Choices(*OMITTABLE_FIELDS)
    exit = Whole(-(2**31), 2**31 - 1)
    timeout = Yes()
    stdout = Text()
    stderr = Text()
    stop = Yes()
    vanish = Yes()
    ignore = Yes()
    node = Choice(*NODE_OVERRIDES)
    registry = Choice(*REGISTRY_OVERRIDES)
    license = Choice("expired")


class Fault(Strict):
    """A fault rule."""

    id = Token(without="/?#%")
    match = fields.Nested(FaultMatch, load_default=dict, error_messages=MISSING)
    do = fields.Nested(FaultDo, required=True, error_messages=MISSING)
    skip = Whole(0, 10**9)
    times = Whole(1, 10**9)
    probability = Real(high=1, above_zero=True)
    seed = Whole(-(2**63), 2**63 - 1)
    # in a dump
    seen = Whole(0)
    fired = Whole(0)

    @validates_schema(skip_on_field_errors=True)
    def _go_together(self, data: Data, **kwargs: Any) -> None:
        event = data["match"].get("event")
        keys = {"for" if key == "duration" else key for key in data["do"]}
        kinds = RESPONSE_FAULTS if event is None else LIFECYCLE_FAULTS[event]
        where = "at the door" if event is None else f"at event {event}"
        wrong = _wrong(keys, kinds, where)
        if wrong:
            raise ValidationError({"do": [wrong]})
        if event == "begin" and data.get("skip"):
            raise ValidationError({"skip": ["a rule begins once: it would never strike"]})
        if "at" in keys and data["do"].get("connection") == "close":
            raise ValidationError({"do": ["at goes with connection: reset; one that is closed has no answer at all"]})
        if "stale" in keys:
            _require_a_get(data["match"])
        if event == "begin" and "node" not in keys and len(data["match"]) > 1:
            raise ValidationError({"match": ["what is done does not happen to a node: leave out node and group"]})


def _wrong(keys: set[str], kinds: Mapping[str, frozenset[str]], where: str) -> str | None:
    """What is wrong with the keys of a ``do``, if anything."""
    named = [kind for kind in kinds if kind in keys]
    if not named:
        other = next((key for key in keys if key not in kinds), None)
        hint = f"{other} is nothing to do {where}; " if other else ""
        return f"{hint}it must have one of {', '.join(kinds)}"
    for kind in named:
        if keys - {kind} <= kinds[kind]:
            return None
    kind = named[0]
    odd = sorted(keys - {kind} - kinds[kind])[0]
    goes = ", ".join(sorted(kinds[kind])) or "nothing else"
    return f"{odd} does not go with {kind} {where}; with {kind} goes {goes}"


def _refuse_first(data: Data, keys: tuple[str, ...] | list[str], text: str) -> None:
    for key in keys:
        if key in data:
            raise ValidationError({key: [text]})


def _require_a_get(match: Data) -> None:
    path = match.get("path", "*")
    meant = _operations(path, ALL_OPERATIONS)
    if match.get("method", "GET") != "GET" or not any("GET" in ALL_OPERATIONS[each] for each in meant):
        raise ValidationError({"match": ["only the answer to a GET can be repeated"]})


def _operations(path: str, known: Iterable[str]) -> list[str]:
    return [each for each in known if fnmatchcase(each, path)]


def require_operation(data: Data, known: Mapping[str, Sequence[str]]) -> None:
    """Raise ValidationError unless a request to one of the known operations can meet the match."""
    path, method = data.get("path", "*"), data.get("method")
    meant = _operations(path, known)
    if not meant:
        raise ValidationError({"path": [f"no operation has the path {path!r}: {nearest(path, list(known))}"]})
    if method and not any(method in known[each] for each in meant):
        taken = sorted({other for each in meant for other in known[each]})
        raise ValidationError({"method": [f"{path} takes no {method}, only {', '.join(taken)}"]})
