"""What the client did wrong: found while it happens, told when it is asked for. Each finding names its requests."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from mockanka.core.lifecycle import LIVE_STATES, InstanceState
from mockanka.core.operations import methods_by_path
from mockanka.scenario.source import nearest
from mockanka.simulator.journal import read_json
from mockanka.units import SECOND

if TYPE_CHECKING:
    from mockanka.api.request_fields import Remarks
    from mockanka.core.controller import Controller
    from mockanka.simulator.journal import Journal, JournalEntry

KINDS: dict[str, str] = {
    "leaks": "instances that were started and left behind",
    "double-starts": "one external_id started twice while the first lived",
    "retried-starts": "starts sent again after an answer that was lost, though it had started something",
    "hammering": "polls that come faster than the report's rate",
    "terminated-polls": "polls of an instance after they were told that it is terminated",
    "unknown-ids": "calls on ids that never were",
    "unknown-fields": "fields and parameters that the release does not know",
    "deprecated-fields": "fields that went away before the release",
    "contract": "requests that break the contract of the release",
}
"""What there is to find."""

REQUESTS_NAMED = 20
"""Requests that one finding names; it counts on."""
INSTANCES = "/api/v1/vm"
OK_START, FAIL_START = b'{"status":"OK"', b'{"status":"FAIL"'
MOST = 1_000
"""Different findings, and different things polled, that are kept apart."""


def read_kinds(text: str) -> list[str]:
    """The kinds of findings that a list names, separated by commas or blanks; ``all`` is all. ValueError otherwise."""
    named = [word.replace("_", "-") for word in text.replace(",", " ").split()]
    if "all" in named:
        return list(KINDS)
    for word in named:
        if word not in KINDS:
            raise ValueError(f"{word!r} is no kind of finding: there are {', '.join(KINDS)}, and all")
    return named


@dataclass
class Finding:
    """One thing that was wrong: of which kind, in which requests, by their numbers, and how often in all."""

    kind: str
    message: str
    requests: list[int] = field(default_factory=list)
    instance: str | None = None
    count: int = 0

    def seen_in(self, number: int) -> None:
        self.count += 1
        if len(self.requests) < REQUESTS_NAMED:
            self.requests.append(number)

    def __str__(self) -> str:
        numbers = ", ".join(f"#{number}" for number in self.requests[:5])
        more = f" and {self.count - 5} more" if self.count > 5 else ""
        return f"{self.kind}: {self.message} ({numbers}{more})" if numbers else f"{self.kind}: {self.message}"


@dataclass(frozen=True, repr=False)
class Report:
    """What the client did wrong, and which fault rules never struck."""

    findings: list[Finding]
    unused_faults: list[str]
    requests: int
    dropped: int
    more: int = 0
    """Findings that were too many to be kept."""

    @classmethod
    def together(cls, reports: Sequence[Report]) -> Report:
        """Several reports as one: what was found between resets, each marked with which reset it came after."""
        findings = [
            replace(finding, message=f"{finding.message}{f', after reset {number}' if number else ''}")
            for number, report in enumerate(reports)
            for finding in report.findings
        ]
        unused = [rule for report in reports for rule in report.unused_faults]
        return cls(
            findings,
            list(dict.fromkeys(unused)),
            sum(report.requests for report in reports),
            sum(report.dropped for report in reports),
            sum(report.more for report in reports),
        )

    def of(self, kinds: Collection[str]) -> list[Finding]:
        """The findings of some kinds."""
        return [finding for finding in self.findings if finding.kind in kinds]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def __repr__(self) -> str:
        counted = Counter(finding.kind for finding in self.findings)
        return f"<report: {', '.join(f'{count} {kind}' for kind, count in counted.items()) or 'no findings'}>"

    def __str__(self) -> str:
        lines = [str(finding) for finding in self.findings] or ["no findings"]
        lines += [f"and {self.more} more"] if self.more else []
        lines += [f"fault {rule} never struck" for rule in self.unused_faults]
        asked = f"{self.requests} request{'s' * (self.requests != 1)}"
        return "\n".join([f"mockanka report: {asked}", *(f"  {line}" for line in lines)])


@dataclass(frozen=True)
class Rate:
    """How fast one thing may be polled: ``burst`` polls ahead of one every ``every`` nanoseconds."""

    every: int = SECOND
    burst: int = 20


@dataclass(slots=True)
class _Target:
    """One thing that is polled: when last, and how many polls it is ahead of its rate."""

    last: int
    ahead: float


@dataclass(frozen=True)
class _Start:
    """A start that was answered, or that was carried out and its answer lost."""

    number: int
    external_id: str | None
    digest: bytes
    """Of its whole body."""


class ClientMonitor:
    """Looks at each request once it is answered."""

    def __init__(self, controller: Controller, rate: Rate | None = None) -> None:
        self.controller = controller
        self.begin(rate or Rate())

    def begin(self, rate: Rate) -> None:
        """Begin anew: what there is now is known."""
        self.rate = rate
        self._findings: dict[tuple[str, str], Finding] = {}
        self._targets: dict[bytes, _Target] = {}
        self._started: dict[str, _Start] = {}
        self._lost: list[_Start] = []
        self._told: set[str] = set()
        self._let_go: set[str] = set()
        self._more = 0
        self._known = set(self._living_ids())

    def polled(self, entry: JournalEntry, heard: bool = True) -> None:
        """A GET of instances: the list, or one by its id; whether the client hears the controller's own answer."""
        polled, now = _polled(entry), entry.at
        target = self._targets.get(polled)
        if target is None:
            if len(self._targets) >= MOST:
                del self._targets[next(iter(self._targets))]
            self._targets[polled] = _Target(now, 1.0)
        else:
            target.ahead = self._still_ahead(target, now) + 1.0
            target.last = now
            if target.ahead > self.rate.burst:
                self._hammered(entry)
        if heard and entry.raw_query and (id := entry.query.get("id")):
            one = self.controller.instances.get(id)
            if one is None or one.state is InstanceState.TERMINATED:
                self._told_of_end(entry, id)

    def _still_ahead(self, target: _Target, now: int) -> float:
        """How many polls a target is ahead of its rate; where a clock does not run by itself, any move of it counts."""
        if self.controller.clock.mode == "real":
            return max(0.0, target.ahead - (now - target.last) / self.rate.every)
        return 0.0 if now > target.last else target.ahead

    def asked(self, entry: JournalEntry, remarks: Remarks, body: bytes, status: int, content: bytes) -> None:
        """A request that the controller has carried out, and its own answer, whatever the client got of it."""
        if status in (404, 405):
            self._find("contract", self._no_operation(entry), entry)
            return
        sent = _parsed(body)
        for text in remarks.unknown:
            self._find("unknown-fields", f"{entry.method} {entry.path}: {text}", entry)
        for text in remarks.deprecated:
            self._find("deprecated-fields", f"{entry.method} {entry.path}: {text}", entry)
        if remarks.broken is not None:
            self._find("contract", f"{entry.method} {entry.path}: {remarks.broken}", entry)
        if entry.path == INSTANCES and entry.method == "POST":
            self._start(entry, sent, body)
        self._look_at_ids(entry, sent, content)

    def report(self, journal: Journal) -> Report:
        """What was found so far, and what is left behind now."""
        unused = [rule.id for rule in self.controller.faults if not rule.applied]
        found = [replace(finding, requests=[*finding.requests]) for finding in self._findings.values()]
        return Report([*found, *self._leaks()], unused, journal.count, journal.dropped, self._more)

    def started_by(self, instance_id: str) -> int | None:
        """The number of the request that started an instance."""
        start = self._started.get(instance_id)
        return start.number if start else None

    def _find(self, kind: str, message: str, entry: JournalEntry, instance: str | None = None) -> None:
        self._note(Finding(kind, message, instance=instance), entry)

    def _note(self, fresh: Finding, entry: JournalEntry) -> None:
        """Count a finding, new or known; of too many kinds of wrong only the number is kept."""
        known = self._findings.get((fresh.kind, fresh.message))
        if known is None and len(self._findings) >= MOST:
            self._more += 1
            return
        self._findings.setdefault((fresh.kind, fresh.message), fresh).seen_in(entry.number)

    def _hammered(self, entry: JournalEntry) -> None:
        id = entry.query.get("id")
        what = f"instance {id} was" if id else "the list of instances was"
        self._find("hammering", f"{what} polled more often than its rate allows", entry, id)

    def _told_of_end(self, entry: JournalEntry, id: str) -> None:
        if id not in self._known or self._vanished(id):
            return
        if id in self._told:
            self._find("terminated-polls", f"instance {id} was polled again after it was terminated", entry, id)
        self._told.add(id)

    def _vanished(self, id: str) -> bool:
        """Whether it is gone without ever having been terminated: nobody has told the client an end of it."""
        gone = self.controller.forgotten.get(id)
        return gone is not None and not any(stay.state is InstanceState.TERMINATED for stay in gone.timeline)

    def _start(self, entry: JournalEntry, sent: Mapping[str, Any], body: bytes) -> None:
        external_id = sent.get("external_id") or None
        digest = blake2b(body, digest_size=16).digest()
        start = _Start(entry.number, external_id if isinstance(external_id, str) else None, digest)
        self._compare_with_lost(start, entry)
        if start.external_id and entry.instances:
            self._compare_with_living(start, entry)
        for id in entry.instances:
            self._started[id] = start
            self._known.add(id)

    def lost(self, entry: JournalEntry) -> None:
        """The client did not get the answer as it was made: if that was to a start, who knows of the instance now?"""
        if entry.instances and entry.number not in (start.number for start in self._lost):
            self._lost.append(self._started[entry.instances[0]])

    def _compare_with_lost(self, start: _Start, entry: JournalEntry) -> None:
        for lost in self._lost:
            same = start.external_id == lost.external_id if start.external_id else start.digest == lost.digest
            if same:
                text = f"#{lost.number} had started something, though its answer was lost; it was sent again"
                self._note(Finding("retried-starts", text, [lost.number], count=1), entry)

    def _compare_with_living(self, start: _Start, entry: JournalEntry) -> None:
        for one in self.controller.instances.values():
            same = one.request.external_id == start.external_id and one.id not in entry.instances
            lives = one.state in LIVE_STATES and one.state is not InstanceState.ERROR
            if same and lives and one.id not in self._let_go:
                text = f"external_id {start.external_id!r} was started again while instance {one.id} was {one.state}"
                first = self._started.get(one.id)
                fresh = Finding("double-starts", text, [first.number] if first else [], one.id, 1 if first else 0)
                self._note(fresh, entry)
                return

    def _look_at_ids(self, entry: JournalEntry, sent: Mapping[str, Any], content: bytes) -> None:
        named = _ids_in(entry.query, sent)
        if content.startswith(OK_START):
            self._known.update(named)
            if entry.method == "POST":
                self._known |= _ids_made(json.loads(content).get("body"))
            elif entry.method == "DELETE" and entry.path == INSTANCES:
                self._let_go.update(named)  # whatever a fault makes of it, the client has done its part
                done = {start.number for id in named if (start := self._started.get(id))}
                self._lost = [start for start in self._lost if start.number not in done]
            return
        if not content.startswith(FAIL_START):
            return
        living = set(self._living_ids())
        for id in named:
            if id not in self._known and id not in living:
                self._find("unknown-ids", f"{entry.method} {entry.path}: there never was a {id!r}", entry)

    def _no_operation(self, entry: JournalEntry) -> str:
        known = methods_by_path(self.controller.release)
        if entry.path in known:
            return f"{entry.method} {entry.path}: it takes {', '.join(known[entry.path])}"
        return f"{entry.method} {entry.path}: no operation has that path: {nearest(entry.path, list(known))}"

    def _living_ids(self) -> Iterator[str]:
        c = self.controller
        for things in (c.instances, c.nodes, c.templates, c.groups, c.distributions, c.save_images):
            yield from things

    def _leaks(self) -> Iterator[Finding]:
        for id, start in self._started.items():
            one = self.controller.instances.get(id)
            if one is not None and one.state in LIVE_STATES and id not in self._let_go:
                who = f", external_id {start.external_id!r}" if start.external_id else ""
                yield Finding("leaks", f"instance {id}{who} is still {one.state}", [start.number], id, 1)


_ID_KEYS = ("id", "instance_id", "vmid", "node_id", "template_id", "target_vm_id", "group_id", "fallback_group_id")
_ID_LISTS = ("node_ids", "group_ids")


def _polled(entry: JournalEntry) -> bytes:
    """What a poll is about: an instance, whatever else the query says, or the list."""
    query = entry.raw_query
    if query.startswith(b"id=") and query.find(b"&") < 0:
        return query
    return b"id=" + entry.query.get("id", "").encode()


def _parsed(body: bytes) -> Mapping[str, Any]:
    try:
        sent = read_json(body) if body else {}
    except ValueError:
        return {}
    return sent if isinstance(sent, Mapping) else {}


def _ids_in(query: Mapping[str, str], sent: Mapping[str, Any]) -> list[str]:
    """The ids that a request names."""
    found: list[Any] = [query.get("id"), *(sent.get(key) for key in _ID_KEYS)]
    for key in _ID_LISTS:
        found += sent[key] if isinstance(sent.get(key), list) else []
    return [*dict.fromkeys(id for id in found if isinstance(id, str) and id)]


def _ids_made(body: object) -> set[str]:
    """The ids that an answer to a POST gives."""
    if not isinstance(body, Mapping):
        return set()
    return {value for key in ("id", "request_id") if isinstance(value := body.get(key), str)}


def ids_of_start(content: bytes) -> tuple[str, ...]:
    """The instances that an answer to POST vm names."""
    try:
        body = json.loads(content).get("body")
    except (ValueError, AttributeError):
        return ()
    return tuple(id for id in body if isinstance(id, str)) if isinstance(body, list) else ()
