"""Fault rules: what they match, what they do, and how often.

A rule whose match has an ``event`` makes lifecycle faults: it is tried when a phase of an instance, a transfer or the
like begins, and decides how that ends. Every other rule makes response faults: it is tried at each request. Rules are
tried in the order in which they were added, and the first that fires decides. This module only matches and counts;
``fault_effects`` and the modules of the entities carry out what a lifecycle fault does, the server a response fault.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import translate
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from mockanka.core.durations import Duration, WallTime
from mockanka.core.lifecycle import LostInstances
from mockanka.core.randomness import draw
from mockanka.core.release import Release

if TYPE_CHECKING:
    from mockanka.core.controller import Controller
    from mockanka.core.instance_record import Instance
    from mockanka.core.nodes import Node
    from mockanka.core.templates import VersionRef

REQUEST_MATCH_KEYS = ("method", "path", "query", "header", "user_agent", "body", "nth")
EVENT_MATCH_KEYS = ("event", "instance", "name", "external_id", "template", "tag", "node", "group")

RESPONSE_FAULTS: dict[str, frozenset[str]] = {
    "refuse": frozenset(),
    "unreachable": frozenset(),
    "connection": frozenset({"at", "acts", "delay"}),
    "cut": frozenset({"acts", "delay"}),
    "fail": frozenset({"status", "acts", "delay"}),
    "status": frozenset({"body", "content_type", "acts", "delay"}),
    "body": frozenset({"content_type", "acts", "delay"}),
    "content_type": frozenset({"delay"}),
    "dribble": frozenset({"delay"}),
    "stale": frozenset({"delay"}),
    "without": frozenset({"set", "merge_patch", "item", "delay"}),
    "set": frozenset({"without", "merge_patch", "item", "delay"}),
    "merge_patch": frozenset({"without", "set", "item", "delay"}),
    "delay": frozenset(),
}
"""The kinds of response faults, each with the other keys that may go with it."""

_AFTER = frozenset({"after"})
_AFTER_AND_FOR = frozenset({"after", "for"})
_AFTER_OR_POLLS = _AFTER | {"after_polls"}
_VANISHING = _AFTER_OR_POLLS | {"for", "every"}
_AT_AND_FOR = frozenset({"at", "for"})
_LOST = frozenset({"lost_instances"})

LIFECYCLE_FAULTS: dict[str, dict[str, frozenset[str]]] = {
    "schedule": {"fail": frozenset(), "stall": frozenset({"for"}), "vanish": _VANISHING, "end": _AFTER_OR_POLLS},
    "pull": {
        "fail": frozenset({"at", "final"}),
        "stall": frozenset({"at", "for"}),
        "bandwidth": frozenset(),
        "node": _AT_AND_FOR | _LOST,
        "registry": _AT_AND_FOR,
        "vanish": _VANISHING,
    },
    "start": {
        "fail": frozenset({"at", "final"}),
        "stall": frozenset({"for"}),
        "without": frozenset({"for"}),
        "node": _AT_AND_FOR | _LOST,
        "vanish": _VANISHING,
    },
    "script": {"exit": frozenset({"stdout", "stderr"}), "timeout": frozenset({"stdout", "stderr"})},
    "started": {
        "fail": _AFTER_OR_POLLS,
        "stop": _AFTER_OR_POLLS,
        "node": _AFTER_AND_FOR | _LOST | {"after_polls"},
        "vanish": _VANISHING,
        "end": _AFTER_OR_POLLS,
    },
    "terminate": {"ignore": frozenset(), "stall": frozenset({"for"})},
    "save_image": {"fail": frozenset({"at"}), "stall": frozenset({"for"})},
    "distribute": {"fail": frozenset({"at"}), "stall": frozenset({"at", "for"}), "bandwidth": frozenset()},
    "begin": {
        "node": _AFTER_AND_FOR | _LOST,
        "registry": _AFTER_AND_FOR,
        "license": _AFTER_AND_FOR,
        "end": _AFTER,
        "restart": _AFTER,
    },
}
"""The kinds of lifecycle faults by event, each with the other keys that may go with it."""

OMITTABLE_FIELDS = tuple(
    """
    anka_registry arch cr_time external_id group_id inflight_reqid instance_id instance_state mac_address message
    metadata name node_id progress startup_script tag ts usb_device version vlan vm vmid vminfo
    access_date cpu_cores creation_date host_ip ip port_forwarding ram start_date status stop_date timestamp uuid
    vnc_connection_string vnc_password vnc_port
    """.split()
)
"""The keys of an instance in responses, in all releases: of the item of a list, its vm, and its vminfo."""
BLANKED_FIELDS = ("ip", "host_ip", "port_forwarding")
"""Of these, the ones that are reported blank, as of a VM that has no address yet; the others are left out."""
NODE_OVERRIDES = tuple("online offline drain unhealthy updating unlicensed full registry-unreachable blank".split())
SAME_INSTANCE = "true"
"""How ``end`` names the instance that the rule matches."""
REGISTRY_OVERRIDES = ("down", "full")
"""In the order of precedence: a registry that is down does not show that it is full."""


class Amount(NamedTuple):
    """A part of something: a share from 0 to 1, or a number of bytes."""

    share: float
    bytes: int | None = None

    def of(self, whole: int) -> int:
        """Return the bytes that this part of ``whole`` bytes has, at most all of them."""
        return min(whole, self.bytes) if self.bytes is not None else int(whole * self.share)


class MatchableRequest(NamedTuple):
    """A request as rules match it; ``headers`` have names in lower case. What is called is read only if it matters."""

    method: str
    path: str
    query: Callable[[], Mapping[str, str]]
    headers: Callable[[], Mapping[str, str]]
    body: Callable[[], object]


@dataclass(frozen=True)
class FaultMatch:
    """The requests or events that a rule matches. A field that is None or empty matches anything.

    ``path``, ``user_agent`` and the values of ``header`` are glob patterns, in which ``*`` also matches slashes; names
    of headers are in lower case. A request matches ``query`` and ``body`` if it has what these have, whatever else it
    has; a parameter that is None must be absent. ``nth`` is a range of requests, counted from 1 among those that the
    other fields match. ``template``, ``node`` and ``group`` are names or ids.
    """

    method: str | None = None
    path: str | None = None
    query: Mapping[str, str | None] = field(default_factory=dict)
    header: Mapping[str, str] = field(default_factory=dict)
    user_agent: str | None = None
    nth: tuple[int, int] | None = None
    body: Mapping[str, object] = field(default_factory=dict)
    event: str | None = None
    instance: str | None = None
    name: str | None = None
    external_id: str | None = None
    template: str | None = None
    tag: str | None = None
    node: str | None = None
    group: str | None = None

    def matches_request(self, request: MatchableRequest) -> bool:
        """Return whether the rule matches a request, of which what does not matter is not read."""
        if self.method is not None and self.method != request.method:
            return False
        if self.path is not None and self.path != request.path and not _matches_glob(self.path, request.path):
            return False
        if self.query and not _has_parameters(self.query, request.query()):
            return False
        if (self.header or self.user_agent is not None) and not self._matches_headers(request.headers()):
            return False
        return not self.body or _is_contained(self.body, request.body())

    def _matches_headers(self, headers: Mapping[str, str]) -> bool:
        patterns = [*self.header.items()]
        if self.user_agent is not None:
            patterns.append(("user-agent", self.user_agent))
        return all(name in headers and _matches_glob(pattern, headers[name]) for name, pattern in patterns)

    def matches_event(
        self, controller: Controller, event: str, instance: Instance | None, node: Node | None, ref: VersionRef | None
    ) -> bool:
        """Return whether the rule matches an event of an instance, on a node, of a template's version.

        What an event does not have, and is None here, matches no rule that names it.
        """
        if self.event != event:
            return False
        request = instance.request if instance else None
        template = controller.templates.get(ref.template_id) if ref else None
        groups = {*(node.groups if node else ()), *([request.group_id] if request else [])}
        group_names = {id: group.name for id, group in controller.groups.items() if id in groups}
        return (
            _accepts(self.instance, instance and instance.id)
            and _accepts(self.name, request and request.name)
            and _accepts(self.external_id, request and request.external_id)
            and _accepts(self.template, template and template.id, template and template.name)
            and _accepts(self.tag, template and ref and template.history[ref.serial].tag)
            and _accepts(self.node, node and node.id, node and node.name)
            and _accepts(self.group, *group_names, *group_names.values())
        )


class ControllerRestart(NamedTuple):
    """A restart of the controller: how many nanoseconds it is down, and its release then; None is the same."""

    duration: int
    release: Release | None = None


@dataclass(frozen=True)
class FaultAction:
    """The fault that a rule makes: a field for each key of ``do``, where ``for`` is ``duration``.

    ``set`` is ``new_values``, with paths of keys, and ``merge_patch`` a patch of RFC 7396; they and ``without`` change
    the items of a response that ``item`` selects, by its place in the list or by keys with values. Durations are
    nanoseconds, ``at`` is a share from 0 to 1, ``bandwidth`` is bits per second. ``after_polls`` counts
    looks at the instance. ``end`` is the id, name or external_id of an instance, or SAME_INSTANCE for the one that the
    rule matches. ``acts`` says whether the controller carries out the request all the same; None leaves that to the
    kind of fault. ``final`` says that a start that fails is not tried again.
    """

    delay: Duration | WallTime | None = None
    status: int | None = None
    body: str | None = None
    content_type: str | None = None
    refuse: int | None = None
    unreachable: int | None = None
    connection: str | None = None
    cut: Amount | None = None
    dribble: int | None = None
    stale: bool | int = False
    acts: bool | None = None
    fail: str | None = None
    final: bool = False
    at: float | None = None
    after: int = 0
    after_polls: int = 0
    duration: int | None = None
    stall: bool = False
    bandwidth: int | None = None
    every: int | None = None
    end: str | None = None
    without: tuple[str, ...] = ()
    new_values: Mapping[str, object] | None = None
    merge_patch: Mapping[str, object] | None = None
    item: int | Mapping[str, object] | None = None
    exit: int | None = None
    timeout: bool = False
    stdout: str = ""
    stderr: str = ""
    stop: bool = False
    vanish: bool = False
    ignore: bool = False
    node: str | None = None
    lost_instances: LostInstances | None = None
    registry: str | None = None
    license: str | None = None
    restart: ControllerRestart | None = None

    @property
    def stale_age(self) -> int:
        """How old a repeated response is at least, in nanoseconds; 0 for the last one."""
        return 0 if self.stale is True else int(self.stale)

    @property
    def fraction(self) -> float:
        """The fraction of the phase that passes before the fault, 0 to 1: ``at``, or 0 without it."""
        return self.at or 0.0


@dataclass
class FaultRule:
    """A fault rule and its counters: ``matched`` counts what it matched, ``applied`` how often it fired."""

    id: str
    match: FaultMatch
    action: FaultAction
    skip: int = 0
    times: int | None = None
    probability: float = 1.0
    seed: int | None = None
    matched: int = 0
    applied: int = 0

    def fires(self, seed: int) -> bool:
        """Count a match, and return whether the rule fires at it.

        ``seed`` is the controller's; it decides at a ``probability`` below 1, unless the rule has a seed of its own.
        """
        self.matched += 1
        if self.match.nth is not None and not self.match.nth[0] <= self.matched <= self.match.nth[1]:
            return False
        if self.matched <= self.skip or (self.times is not None and self.applied >= self.times):
            return False
        if self.probability < 1.0:
            rule_seed = seed if self.seed is None else self.seed
            if draw(rule_seed, self.id, f"fault {self.matched}") >= self.probability:
                return False
        self.applied += 1
        return True


class FaultRules:
    """The active rules, in the order in which they were added."""

    def __init__(self) -> None:
        self._rules: dict[str, FaultRule] = {}
        self.added = 0
        """How many rules were ever added; new ids continue from it."""
        self.has_lifecycle_rules = False
        self.has_response_rules = False
        self.longest_stale_age = 0
        """The greatest age of a response that a rule repeats, in nanoseconds."""

    def __iter__(self) -> Iterator[FaultRule]:
        return iter(self._rules.values())

    def __len__(self) -> int:
        return len(self._rules)

    def get(self, rule_id: str) -> FaultRule | None:
        """Return the rule with that id, or None."""
        return self._rules.get(rule_id)

    def next_id(self) -> str:
        """Return the id for the next rule that has none of its own."""
        number = self.added + 1
        while f"fault-{number}" in self._rules:
            number += 1
        return f"fault-{number}"

    def add(self, rule: FaultRule) -> None:
        """Add a rule with a new id, to be tried after all others."""
        self.added += 1
        self._rules[rule.id] = rule
        self.has_lifecycle_rules |= bool(rule.match.event)
        self.has_response_rules |= not rule.match.event
        self.longest_stale_age = max(self.longest_stale_age, rule.action.stale_age)

    def withdraw(self, rule_id: str) -> None:
        """Undo the addition of a rule: it does not count for the ids of later rules."""
        self.remove(rule_id)
        self.added -= 1

    def remove(self, rule_id: str) -> None:
        """Remove a rule. Raises KeyError if there is none with that id."""
        del self._rules[rule_id]
        self._update_flags()

    def _update_flags(self) -> None:
        self.has_lifecycle_rules = any(rule.match.event for rule in self)
        self.has_response_rules = any(not rule.match.event for rule in self)
        self.longest_stale_age = max((rule.action.stale_age for rule in self), default=0)

    def match_request(
        self, seed: int, request: MatchableRequest, can_be_stale: Callable[[int], bool] = lambda age: True
    ) -> FaultRule | None:
        """Return the rule that fires at a request, or None.

        A rule that repeats an earlier response is skipped unless ``can_be_stale``, which is asked with its age.
        """
        for rule in self:
            if rule.match.event or (rule.action.stale and not can_be_stale(rule.action.stale_age)):
                continue
            if rule.match.matches_request(request) and rule.fires(seed):
                return rule
        return None


class FaultHit(NamedTuple):
    """A lifecycle fault: the id of the rule that fired, and what it does."""

    rule_id: str
    action: FaultAction


NO_HIT = FaultHit("", FaultAction())
"""The result of ``apply_rules`` if no rule fires."""


def apply_rules(
    controller: Controller,
    event: str,
    instance: Instance | None = None,
    node: Node | None = None,
    ref: VersionRef | None = None,
) -> FaultHit:
    """Return what the first rule that fires does to something that begins now, or ``NO_HIT``; log it."""
    if not controller.faults.has_lifecycle_rules:
        return NO_HIT
    for rule in controller.faults:
        if rule.match.matches_event(controller, event, instance, node, ref) and rule.fires(controller.seed):
            controller.record("fault", rule.id, at_event=event, **_log_details(instance, node))
            return FaultHit(rule.id, rule.action)
    return NO_HIT


def _log_details(instance: Instance | None, node: Node | None) -> dict[str, str]:
    return {**({"instance": instance.id} if instance else {}), **({"node": node.id} if node else {})}


def _accepts(expected: str | None, *values: object) -> bool:
    return expected is None or expected in values


@cache
def _compile_glob(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))


def _matches_glob(pattern: str, text: str) -> bool:
    return _compile_glob(pattern).match(text) is not None


def _has_parameters(expected: Mapping[str, str | None], actual: Mapping[str, str]) -> bool:
    return all(name not in actual if value is None else actual.get(name) == value for name, value in expected.items())


def _is_contained(expected: object, actual: object) -> bool:
    """Return whether a JSON value has all that is expected of it; objects may have more keys, lists not more items."""
    if isinstance(expected, Mapping):
        return isinstance(actual, Mapping) and all(
            key in actual and _is_contained(value, actual[key]) for key, value in expected.items()
        )
    if isinstance(expected, list) and isinstance(actual, list):
        return len(expected) == len(actual) and all(map(_is_contained, expected, actual))
    # True equals 1 in Python, but not in JSON.
    return expected == actual and isinstance(expected, bool) == isinstance(actual, bool)
