"""Fault rules: what they match, what they do, and how often. One kind of rule for two places.

A rule whose match has an ``event`` strikes in life: it is asked when the thing begins, and decides what becomes of
it. Every other rule strikes at the door, at requests. Rules are asked in the order in which they were added, and the
first that fires decides. Nothing here does anything: it matches, counts and says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import translate
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from mockanka.core.durations import Duration
from mockanka.core.randomness import draw

if TYPE_CHECKING:
    from mockanka.core.controller import Controller
    from mockanka.core.instance_record import Instance
    from mockanka.core.nodes import Node
    from mockanka.core.templates import VersionRef

REQUEST_MATCH_KEYS = ("method", "path", "query", "body")
EVENT_MATCH_KEYS = ("event", "instance", "name", "external_id", "template", "tag", "node", "group")

RESPONSE_FAULTS: dict[str, frozenset[str]] = {
    "refuse": frozenset(),
    "connection": frozenset({"at", "acts", "delay"}),
    "cut": frozenset({"acts", "delay"}),
    "fail": frozenset({"status", "acts", "delay"}),
    "status": frozenset({"body", "content_type", "acts", "delay"}),
    "body": frozenset({"content_type", "acts", "delay"}),
    "content_type": frozenset({"delay"}),
    "dribble": frozenset({"delay"}),
    "stale": frozenset({"delay"}),
    "delay": frozenset(),
}
"""What a rule at the door may do, and which keys may go with it."""

_VANISH = frozenset({"after", "for"})
_TURN = frozenset({"at", "for"})

LIFECYCLE_FAULTS: dict[str, dict[str, frozenset[str]]] = {
    "schedule": {"fail": frozenset(), "stall": frozenset({"for"}), "vanish": _VANISH},
    "pull": {
        "fail": frozenset({"at"}),
        "stall": frozenset({"at", "for"}),
        "bandwidth": frozenset(),
        "node": _TURN,
        "registry": _TURN,
        "vanish": _VANISH,
    },
    "start": {
        "fail": frozenset({"at"}),
        "stall": frozenset({"for"}),
        "without": frozenset({"for"}),
        "node": _TURN,
        "vanish": _VANISH,
    },
    "script": {"exit": frozenset({"stdout", "stderr"}), "timeout": frozenset({"stdout", "stderr"})},
    "started": {"fail": frozenset({"after"}), "stop": frozenset({"after"}), "node": _VANISH, "vanish": _VANISH},
    "terminate": {"ignore": frozenset(), "stall": frozenset({"for"})},
    "save_image": {"fail": frozenset({"at"}), "stall": frozenset({"for"})},
    "distribute": {"fail": frozenset({"at"}), "stall": frozenset({"at", "for"}), "bandwidth": frozenset()},
    "begin": {"node": _VANISH, "registry": _VANISH, "license": _VANISH},
}
"""By the event that a rule in life strikes at: what it may do then, and which keys may go with it."""

OMITTABLE_FIELDS = ("ip", "host_ip", "port_forwarding")
NODE_OVERRIDES = ("online", "offline", "drain", "unhealthy", "updating", "unlicensed", "full")
REGISTRY_OVERRIDES = ("down", "full")
"""In the order in which they show: of a registry that is down nobody sees that it is full."""


class Amount(NamedTuple):
    """So much of something: a share of it, 0 to 1, or a number of bytes."""

    share: float
    bytes: int | None = None

    def of(self, whole: int) -> int:
        return min(whole, self.bytes) if self.bytes is not None else int(whole * self.share)


@dataclass(frozen=True)
class FaultMatch:
    """What a rule strikes at. What is None, or empty, matches anything.

    ``path`` may have ``*`` for anything; ``query`` and ``body`` name what must be there, among whatever else.
    ``template``, ``node`` and ``group`` are names or ids.
    """

    method: str | None = None
    path: str | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, object] = field(default_factory=dict)
    event: str | None = None
    instance: str | None = None
    name: str | None = None
    external_id: str | None = None
    template: str | None = None
    tag: str | None = None
    node: str | None = None
    group: str | None = None

    def meets_request(
        self, method: str, path: str, query: Callable[[], Mapping[str, str]], body: Callable[[], object]
    ) -> bool:
        """Whether a request is meant; its query and body are only read when they matter."""
        if self.method is not None and self.method != method:
            return False
        if self.path is not None and self.path != path and not _pattern(self.path).match(path):
            return False
        return (not self.query or _within(self.query, query())) and (not self.body or _within(self.body, body()))

    def meets_event(
        self, controller: Controller, event: str, one: Instance | None, node: Node | None, ref: VersionRef | None
    ) -> bool:
        """Whether something that happens to an instance, a node, a version is meant."""
        if self.event != event:
            return False
        request = one.request if one else None
        template = controller.templates.get(ref.template_id) if ref else None
        groups = {*(node.groups if node else ()), *([request.group_id] if request else [])}
        known = {id: group.name for id, group in controller.groups.items() if id in groups}
        return (
            _is(self.instance, one and one.id)
            and _is(self.name, request and request.name)
            and _is(self.external_id, request and request.external_id)
            and _is(self.template, template and template.id, template and template.name)
            and _is(self.tag, template and ref and template.history[ref.serial].tag)
            and _is(self.node, node and node.id, node and node.name)
            and _is(self.group, *known, *known.values())
        )


@dataclass(frozen=True)
class FaultAction:
    """What a rule does. Lengths are nanoseconds, ``at`` is a share from 0 to 1, ``bandwidth`` bits per second.

    ``acts`` says whether the controller carries out the request all the same; None leaves it to the kind of fault.
    """

    delay: Duration | None = None
    status: int | None = None
    body: str | None = None
    content_type: str | None = None
    refuse: int | None = None
    connection: str | None = None
    cut: Amount | None = None
    dribble: int | None = None
    stale: bool = False
    acts: bool | None = None
    fail: str | None = None
    at: float | None = None
    after: int = 0
    lasts: int | None = None
    stall: bool = False
    bandwidth: int | None = None
    without: tuple[str, ...] = ()
    exit: int | None = None
    timeout: bool = False
    stdout: str = ""
    stderr: str = ""
    stop: bool = False
    vanish: bool = False
    ignore: bool = False
    node: str | None = None
    registry: str | None = None
    license: str | None = None

    @property
    def share(self) -> float:
        """How far things get before it strikes, 0 to 1; without ``at`` they get nowhere."""
        return self.at or 0.0


@dataclass
class FaultRule:
    """One rule, and how it fared: ``matched`` counts what it matched, ``applied`` how often it struck."""

    id: str
    match: FaultMatch
    do: FaultAction
    skip: int = 0
    times: int | None = None
    probability: float = 1.0
    seed: int | None = None
    matched: int = 0
    applied: int = 0

    def strikes(self, seed: int) -> bool:
        """Whether it strikes at what it has just matched; counts."""
        self.matched += 1
        if self.matched <= self.skip or (self.times is not None and self.applied >= self.times):
            return False
        if self.probability < 1.0:
            own = seed if self.seed is None else self.seed
            if draw(own, self.id, f"fault {self.matched}") >= self.probability:
                return False
        self.applied += 1
        return True


class FaultRules:
    """The rules in force, in the order in which they were added."""

    def __init__(self) -> None:
        self._rules: dict[str, FaultRule] = {}
        self.added = 0
        """How many there ever were: ids are made of it."""
        self.in_life = False
        self.at_the_door = False

    def __iter__(self) -> Iterator[FaultRule]:
        return iter(self._rules.values())

    def __len__(self) -> int:
        return len(self._rules)

    def get(self, rule_id: str) -> FaultRule | None:
        return self._rules.get(rule_id)

    def next_id(self) -> str:
        """The id of the next rule that brings none of its own."""
        number = self.added + 1
        while f"fault-{number}" in self._rules:
            number += 1
        return f"fault-{number}"

    def add(self, rule: FaultRule) -> None:
        self.added += 1
        self._rules[rule.id] = rule
        self._look()

    def withdraw(self, rule_id: str) -> None:
        """Take back a rule that was just added, as if it had never been."""
        self.remove(rule_id)
        self.added -= 1

    def remove(self, rule_id: str) -> None:
        del self._rules[rule_id]
        self._look()

    def _look(self) -> None:
        self.in_life = any(rule.match.event for rule in self)
        self.at_the_door = any(not rule.match.event for rule in self)

    def at_request(
        self,
        seed: int,
        method: str,
        path: str,
        query: Callable[[], Mapping[str, str]],
        body: Callable[[], object],
        can_be_stale: bool = True,
    ) -> FaultRule | None:
        """The rule that strikes at a request, if one does; one that repeats an answer needs one to repeat."""
        for rule in self:
            if rule.match.event or (rule.do.stale and not can_be_stale):
                continue
            if rule.match.meets_request(method, path, query, body) and rule.strikes(seed):
                return rule
        return None


class FaultHit(NamedTuple):
    """A rule in life has struck: which one, and what it does."""

    rule_id: str
    do: FaultAction


NO_HIT = FaultHit("", FaultAction())


def apply_rules(
    controller: Controller,
    event: str,
    one: Instance | None = None,
    node: Node | None = None,
    ref: VersionRef | None = None,
) -> FaultHit:
    """What a rule does to something that begins; most often nothing."""
    if not controller.faults.in_life:
        return NO_HIT
    for rule in controller.faults:
        if rule.match.meets_event(controller, event, one, node, ref) and rule.strikes(controller.seed):
            controller.record("fault", rule.id, at_event=event, **_named(one, node))
            return FaultHit(rule.id, rule.do)
    return NO_HIT


def _named(one: Instance | None, node: Node | None) -> dict[str, str]:
    return {**({"instance": one.id} if one else {}), **({"node": node.id} if node else {})}


def _is(wanted: str | None, *there: object) -> bool:
    return wanted is None or wanted in there


@cache
def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(translate(path))


def _within(wanted: object, there: object) -> bool:
    """Whether all that is wanted is there; objects may have more keys than that."""
    if isinstance(wanted, Mapping):
        return isinstance(there, Mapping) and all(
            key in there and _within(value, there[key]) for key, value in wanted.items()
        )
    if isinstance(wanted, list) and isinstance(there, list):
        return len(wanted) == len(there) and all(map(_within, wanted, there))
    return wanted == there and isinstance(wanted, bool) == isinstance(there, bool)
