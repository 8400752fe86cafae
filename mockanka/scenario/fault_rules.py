"""Fault rules as they are written in a scenario, over HTTP or in Python; rules that nothing could meet are refused."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from marshmallow import ValidationError

from mockanka.core.controller import Controller
from mockanka.core.durations import Duration, WallTime
from mockanka.core.errors import UnknownToRelease
from mockanka.core.faults import (
    EVENT_MATCH_KEYS,
    LIFECYCLE_FAULTS,
    NODE_OVERRIDES,
    OMITTABLE_FIELDS,
    REGISTRY_OVERRIDES,
    REQUEST_MATCH_KEYS,
    RESPONSE_FAULTS,
    SAME_INSTANCE,
    Amount,
    ControllerRestart,
    FaultAction,
    FaultMatch,
    FaultRule,
)
from mockanka.core.groups import Group
from mockanka.core.lifecycle import LostInstances, NodeState
from mockanka.core.nodes import Node, require_known_state
from mockanka.core.operations import OPERATION_METHODS, methods_by_path
from mockanka.core.release import Release
from mockanka.core.templates import Template
from mockanka.scenario.base import ONLY_DUMPS, Section, key, nested, section
from mockanka.scenario.fields import (
    AsciiText,
    Bandwidth,
    BodyText,
    Boolean,
    Choice,
    CountRange,
    FixedDuration,
    HeaderPatterns,
    Integer,
    ItemSelector,
    JsonValue,
    Member,
    NonEmptyText,
    Number,
    Percentage,
    Portion,
    PositiveDuration,
    ReleaseText,
    ResponseDelay,
    Switch,
    SwitchOrDuration,
    Text,
    TextMapping,
    TextOrTrue,
    Words,
)
from mockanka.scenario.references import InvalidScenario
from mockanka.scenario.source import Path, nearest
from mockanka.units import SECOND

_OPERATIONS = methods_by_path()
_WRITTEN_KEYS = {"duration": "for", "new_values": "set"}
"""Keys of ``do`` as they are written, by the names of fields that differ from them."""
MISSING: dict[str, Any] = {"required": "is missing", "null": "has no value"}

_REQUEST_KEYS = frozenset({"instance", "name", "external_id"})
_NEVER_KNOWN: dict[str, frozenset[str]] = {
    "begin": frozenset(EVENT_MATCH_KEYS) - {"event", "node", "group"},
    "schedule": frozenset({"node"}),
    "distribute": _REQUEST_KEYS,
}
"""The keys that nothing can be matched by at an event: an instance that is only being scheduled has no node."""


@section
class FaultMatchSection(Section[FaultMatch]):
    """The requests or events that a fault rule matches."""

    method: str | None = key(Choice(*OPERATION_METHODS))
    path: str | None = key(NonEmptyText())
    query: Mapping[str, str | None] | None = key(TextMapping(nullable=True))
    header: Mapping[str, str] | None = key(HeaderPatterns())
    user_agent: str | None = key(NonEmptyText())
    nth: tuple[int, int] | None = key(CountRange())
    body: Mapping[str, object] | None = key(JsonValue(only_objects=True))
    event: str | None = key(Choice(*LIFECYCLE_FAULTS))
    instance: str | None = key(NonEmptyText())
    name: str | None = key(NonEmptyText())
    external_id: str | None = key(NonEmptyText())
    template: str | None = key(NonEmptyText())
    tag: str | None = key(NonEmptyText())
    node: str | None = key(NonEmptyText())
    group: str | None = key(NonEmptyText())

    def check(self) -> None:
        """Raise ValidationError if nothing can be matched by these keys together."""
        given = self.given()
        if self.event is None:
            _refuse_first(given, EVENT_MATCH_KEYS, "is matched by lifecycle faults: add event")
            if self.method == "GET":
                _refuse_first(given, ["body"], "is never sent with a GET")
            return
        _refuse_first(
            given,
            REQUEST_MATCH_KEYS,
            "is matched by response faults, and event by lifecycle faults: a rule has one of them",
        )
        never = sorted(_NEVER_KNOWN.get(self.event, frozenset()))
        _refuse_first(given, never, f"is not known at event {self.event}, so nothing would ever match")


@section
class RestartSection(Section[ControllerRestart], definition="Restart"):
    """A restart of the controller."""

    duration: int = key(PositiveDuration(data_key="for", required=True))
    release: Release | None = key(ReleaseText())


@section
class FaultActionSection(Section[FaultAction], definition="FaultDo"):
    """The action of a fault rule."""

    delay: Duration | WallTime | None = key(ResponseDelay())
    status: int | None = key(Integer(200, 599))
    body: str | None = key(BodyText())
    content_type: str | None = key(AsciiText())
    refuse: int | None = key(PositiveDuration())
    unreachable: int | None = key(PositiveDuration())
    connection: str | None = key(
        Choice("close", "reset", hints={"timeout": "an attempt to connect times out with unreachable: 5s"})
    )
    cut: Amount | None = key(Portion())
    dribble: int | None = key(PositiveDuration())
    stale: bool | int | None = key(SwitchOrDuration())
    acts: bool | None = key(Boolean())
    fail: str | None = key(Text())
    final: bool | None = key(Switch())
    at: float | None = key(Percentage())
    after: int | None = key(FixedDuration())
    after_polls: int | None = key(Integer(1, 10**6))
    duration: int | None = key(PositiveDuration(data_key="for"))
    stall: bool | None = key(Switch())
    bandwidth: int | None = key(Bandwidth())
    every: int | None = key(PositiveDuration())
    end: str | None = key(TextOrTrue())
    without: Sequence[str] | None = key(Words())
    new_values: Mapping[str, object] | None = key(JsonValue(only_objects=True, data_key="set"), always=True)
    merge_patch: Mapping[str, object] | None = key(JsonValue(only_objects=True), always=True)
    item: int | Mapping[str, object] | None = key(ItemSelector())
    exit: int | None = key(Integer(-(2**31), 2**31 - 1))
    timeout: bool | None = key(Switch())
    stdout: str | None = key(Text())
    stderr: str | None = key(Text())
    stop: bool | None = key(Switch())
    vanish: bool | None = key(Switch())
    ignore: bool | None = key(Switch())
    node: str | None = key(Choice(*NODE_OVERRIDES))
    lost_instances: LostInstances | None = key(Member(LostInstances))
    registry: str | None = key(Choice(*REGISTRY_OVERRIDES))
    license: str | None = key(Choice("expired"))
    restart: RestartSection | None = key(nested(RestartSection))


@section
class FaultSection(Section[FaultRule]):
    """A fault rule."""

    id: str | None = key(AsciiText(without="/?#%"))
    match: FaultMatchSection = key(nested(FaultMatchSection, error_messages=MISSING), default=FaultMatchSection())
    do: FaultActionSection = key(nested(FaultActionSection, required=True, error_messages=MISSING), source="action")
    skip: int | None = key(Integer(0, 10**9))
    times: int | None = key(Integer(1, 10**9))
    probability: float | None = key(Number(high=1, above_zero=True))
    seed: int | None = key(Integer(-(2**63), 2**63 - 1))
    seen: int | None = key(Integer(0), source="matched", always=True, origins=ONLY_DUMPS)
    fired: int | None = key(Integer(0), source="applied", always=True, origins=ONLY_DUMPS)

    def check(self) -> None:
        """Raise ValidationError if the match and the action do not go together."""
        event = self.match.event
        keys = [_WRITTEN_KEYS.get(name, name) for name in self.do.given()]
        kinds = RESPONSE_FAULTS if event is None else LIFECYCLE_FAULTS[event]
        problem = _problem_of_action(keys, kinds, event)
        if problem:
            raise ValidationError({"do": [problem]})
        if "unreachable" in keys and sys.platform != "linux":
            raise ValidationError(
                {"do": ["unreachable needs Linux, whose full listen queues drop connections: use refuse"]}
            )
        if event is None:
            _require_operation_of(self.match, _OPERATIONS, _brings_response(self.do))
        if event == "start" and self.do.without:
            _require_omittable_fields(self.do.without)
        if event == "begin" and self.skip:
            raise ValidationError({"skip": ["a rule begins once: it would never be applied"]})
        if "at" in keys and self.do.connection == "close":
            raise ValidationError({"do": ["at goes with connection: reset; one that is closed has no answer at all"]})
        if "lost_instances" in keys and self.do.node != "offline":
            raise ValidationError({"do": ["lost_instances goes with node: offline; no other state loses a node"]})
        if "stale" in keys:
            _require_a_get(self.match)
        if self.match.nth is not None and (self.skip or 0) >= self.match.nth[1]:
            raise ValidationError({"skip": ["nth counts the skipped requests as well, so it would never be applied"]})
        if {"after", "after_polls"} <= {*keys}:
            raise ValidationError({"do": ["after counts time and after_polls counts polls: give one of them"]})
        if self.do.every is not None and not 0 < (self.do.duration or 0) < self.do.every:
            raise ValidationError({"do": ["every needs a for that is shorter: the instance is shown in between"]})
        if self.do.every is not None and self.do.every < SECOND:
            raise ValidationError({"do": ["every is 1s or more: in a long time it would be too many events"]})
        if event == "begin" and self.do.end == SAME_INSTANCE:
            raise ValidationError({"do": ["at event begin there is no instance: end needs the name of one"]})
        if event == "begin" and "node" not in keys and len(self.match.given()) > 1:
            raise ValidationError({"match": ["the action does not concern a node: leave out node and group"]})


def read_rule(controller: Controller, path: Path, section: FaultSection) -> FaultRule:
    """Return the rule that was written for a controller.

    Raises InvalidScenario if the rule names what does not exist, asks for what the release does not know, or has an id
    that is taken.
    """
    _refuse_counts(path, section)
    _require_names(controller, (*path, "match"), section.match)
    _require_known_operation(controller, (*path, "match"), section)
    if section.do.node == "drain":
        try:
            require_known_state(controller, NodeState.DRAIN)
        except UnknownToRelease as refusal:
            raise InvalidScenario((*path, "do", "node"), str(refusal)) from None
    if section.do.node is not None and section.match.event == "begin":
        _require_a_node(controller, (*path, "match"), section.match)
    return restore_rule(controller, path, section)


def restore_rule(controller: Controller, path: Path, section: FaultSection) -> FaultRule:
    """Return the rule that a dump describes, with its counts. Raises InvalidScenario if its id is taken."""
    id = section.id or controller.faults.next_id()
    if controller.faults.get(id) is not None:
        raise InvalidScenario((*path, "id"), f"there is another fault {id!r}")
    return FaultRule(**{**section.values(), "id": id})


def written(rule: FaultRule) -> dict[str, Any]:
    """Return a rule as plain data, with its counts."""
    return FaultSection.describe(rule).dump()


def _problem_of_action(keys: Sequence[str], kinds: Mapping[str, frozenset[str]], event: str | None) -> str | None:
    """The problem with the keys of a ``do``, or None."""
    named = [kind for kind in kinds if kind in keys]
    if not named:
        other = next((name for name in keys if name not in kinds), None)
        place = "of response faults" if event is None else f"at event {event}"
        hint = f"{other} is not an action {place}; " if other else ""
        return f"{hint}it must have one of {', '.join(kinds)}"
    for kind in named:
        if set(keys) - {kind} <= kinds[kind]:
            return None
    kind = named[0]
    odd = sorted(set(keys) - {kind} - kinds[kind])[0]
    companions = ", ".join(sorted(kinds[kind])) or "nothing else"
    where = "" if event is None else f" at event {event}"
    return f"{odd} does not go with {kind}{where}; with {kind} goes {companions}"


def _refuse_first(given: Mapping[str, Any], keys: Iterable[str], text: str) -> None:
    for name in keys:
        if name in given:
            raise ValidationError({name: [text]})


def _require_a_get(match: FaultMatchSection) -> None:
    paths = _matching_paths(match.path or "*", _OPERATIONS)
    if (match.method or "GET") != "GET" or not any("GET" in _OPERATIONS[path] for path in paths):
        raise ValidationError({"match": ["only the answer to a GET can be repeated"]})


def _matching_paths(pattern: str, known: Iterable[str]) -> list[str]:
    return [path for path in known if fnmatchcase(path, pattern)]


def _require_operation(match: FaultMatchSection, known: Mapping[str, Sequence[str]], may_be_unknown: bool) -> None:
    """Raise ValidationError unless a request to a known operation can meet the match, or its path may be unknown."""
    pattern, method = match.path or "*", match.method
    paths = _matching_paths(pattern, known)
    if not paths and may_be_unknown:
        _require_possible_path(pattern)
        return
    if not paths:
        raise ValidationError({"path": [f"no operation has the path {pattern!r}: {nearest(pattern, list(known))}"]})
    if method and not any(method in known[path] for path in paths):
        accepted = sorted({other for path in paths for other in known[path]})
        raise ValidationError({"method": [f"{pattern} takes no {method}, only {', '.join(accepted)}"]})


def _require_possible_path(pattern: str) -> None:
    """Raise ValidationError if no request that rules are tried at can have a path of this pattern."""
    if pattern == "/_mock" or pattern.startswith("/_mock/"):
        raise ValidationError({"path": ["requests to the control API are never matched"]})
    if pattern[0] not in "/*?[":
        raise ValidationError({"path": [f"a path begins with a slash: write it like {'/' + pattern!r}"]})
    path, question_mark, parameters = pattern.partition("?")
    if question_mark and "=" in parameters:
        raise ValidationError({"path": [f"parameters are matched by query: leave {path!r} as path"]})


def _require_omittable_fields(names: Sequence[str]) -> None:
    """Raise ValidationError unless all names are keys that an instance can lack."""
    try:
        for name in names:
            Choice(*OMITTABLE_FIELDS).read(name)
    except ValueError as error:
        raise ValidationError({"do": {"without": [str(error)]}}) from None


def _brings_response(action: FaultActionSection) -> bool:
    """Return whether an action is a whole response, which needs no operation of the controller."""
    return action.status is not None or action.body is not None


def _require_operation_of(match: FaultMatchSection, known: Mapping[str, Sequence[str]], may_be_unknown: bool) -> None:
    """Raise ValidationError, below ``match``, unless a request to one of the known operations can meet the match."""
    try:
        _require_operation(match, known, may_be_unknown)
    except ValidationError as error:
        raise ValidationError({"match": error.messages_dict}) from None


def _require_known_operation(controller: Controller, path: Path, section: FaultSection) -> None:
    """Refuse the match of a response fault that no request to the simulated release can meet."""
    if section.match.event is None:
        try:
            _require_operation(section.match, methods_by_path(controller.release), _brings_response(section.do))
        except ValidationError as error:
            ((name, (text,)),) = error.messages_dict.items()
            raise InvalidScenario((*path, name), f"{text} (release {controller.release})") from None


def _refuse_counts(path: Path, section: FaultSection) -> None:
    for name, count in (("seen", section.seen), ("fired", section.fired)):
        if count is not None:
            raise InvalidScenario(
                (*path, name), "is counted by the controller, and stands only in a dump; leave it out here"
            )


def _require_a_node(controller: Controller, path: Path, section: FaultMatchSection) -> None:
    """Refuse a rule that begins now and finds no node: there is no second time."""
    match = section.make()
    if any(match.matches_event(controller, "begin", None, node, None) for node in controller.nodes.values()):
        return
    if not controller.nodes:
        raise InvalidScenario(path, "there are no nodes, so it would never be applied")
    subject = "no node is" if section.node is None else f"node {section.node!r} is not"
    raise InvalidScenario(path, f"{subject} in group {section.group!r}, so it would never be applied")


def _require_names(controller: Controller, path: Path, section: FaultMatchSection) -> None:
    """Refuse a match that names a template, tag, node or group that does not exist: nothing would ever meet it."""
    templates = controller.templates.values()
    named = [template for template in templates if section.template in (None, template.id, template.name)]
    known: dict[str, Mapping[str, str]] = {
        "template": _ids_by_name(controller.templates),
        "node": _ids_by_name(controller.nodes),
        "group": _ids_by_name(controller.groups),
        "tag": {version.tag: "" for template in named for version in template.versions},
    }
    for kind, ids in known.items():
        name = getattr(section, kind)
        if name is not None and name not in ids:
            readable = [known_name for known_name, id in ids.items() if known_name != id]
            raise InvalidScenario((*path, kind), f"there is no {kind} {name!r}: {nearest(name, readable)}")


def _ids_by_name(entities: Mapping[str, Template | Node | Group]) -> dict[str, str]:
    """Names, and ids as well, with the ids they stand for."""
    return {name: id for id, entity in entities.items() for name in (entity.name, id)}
