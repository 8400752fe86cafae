"""The monitor that finds what a client does wrong, while it happens."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from mockanka.bounded import BoundedDict
from mockanka.core.lifecycle import LIVE_STATES, InstanceState
from mockanka.core.operations import methods_by_path
from mockanka.scenario.source import nearest
from mockanka.simulator.client_report import ClientFinding, Report
from mockanka.simulator.connection_monitor import ConnectionMonitor
from mockanka.simulator.journal import VM_PATH, parse_body_or_none
from mockanka.units import SECOND

if TYPE_CHECKING:
    from mockanka.api.request_fields import RequestRemarks
    from mockanka.core.controller import Controller
    from mockanka.core.instance_record import Instance
    from mockanka.simulator.journal import Journal, JournalEntry

OK_START, FAIL_START = b'{"status":"OK"', b'{"status":"FAIL"'
MAX_CLIENT_FINDINGS = 1_000
"""Different findings that are kept; more are only counted."""
MAX_POLL_TARGETS = 1_000
"""Instances whose polls are counted."""

_ID_KEYS = ("id", "instance_id", "vmid", "node_id", "template_id", "target_vm_id", "group_id", "fallback_group_id")
_ID_LISTS = ("node_ids", "group_ids")


@dataclass(frozen=True)
class PollRate:
    """How fast an instance, or the list, may be polled: ``burst`` polls ahead of one every ``every`` nanoseconds."""

    every: int = SECOND
    burst: int = 20


@dataclass(slots=True)
class _PollTarget:
    """An instance, or the list, that is polled: when last, and how many polls it is ahead of its rate."""

    last: int
    ahead: float


@dataclass(frozen=True)
class _Start:
    """A start that was carried out; ``digest`` is that of its whole body."""

    number: int
    external_id: str | None
    digest: bytes


class ClientMonitor:
    """Looks at each request after the controller has answered it."""

    def __init__(self, controller: Controller, rate: PollRate | None = None) -> None:
        self.controller = controller
        self.connections = ConnectionMonitor()
        self.begin(rate or PollRate())

    def begin(self, rate: PollRate) -> None:
        """Forget everything; the ids that the controller has now are known to the client."""
        self.rate = rate
        self.connections.begin()
        self._findings: dict[tuple[str, str], ClientFinding] = {}
        self._more = 0
        self._targets: BoundedDict[bytes, _PollTarget] = BoundedDict(MAX_POLL_TARGETS)
        self._starts: dict[str, _Start] = {}
        """By the ids of the instances that they started."""
        self._lost_starts: list[_Start] = []
        """Those whose responses the client did not get."""
        self._known_ids = set(self._existing_ids())
        self._known_ended: set[str] = set()
        """Instances of which the client was told that they are terminated."""
        self._terminated: set[str] = set()
        """Instances whose termination the client asked for, successfully."""
        self._unverified: dict[str, int] = {}
        """Of these, the ones that lived on and were not looked at again, each with the number of the DELETE."""

    def record_poll(self, entry: JournalEntry, answered: bool = True) -> None:
        """Look at a GET of instances: of the list, or of an instance by its id.

        ``answered`` says whether the client gets the controller's own answer.
        """
        polled, now = _poll_target(entry), entry.at
        target = self._targets.get(polled)
        if target is None:
            self._targets[polled] = _PollTarget(now, 1.0)
        else:
            target.ahead = self._still_ahead(target, now) + 1.0
            target.last = now
            if target.ahead > self.rate.burst:
                self._find_hammering(entry)
        if answered and self._unverified:
            self._verify_terminations(entry.query.get("id"))
        if answered and entry.raw_query and (id := entry.query.get("id")):
            instance = self.controller.instances.get(id)
            if instance is None or instance.state is InstanceState.TERMINATED:
                self._find_poll_of_terminated(entry, id)

    def record_request(
        self, entry: JournalEntry, remarks: RequestRemarks, body: bytes, status: int, content: bytes
    ) -> None:
        """Look at a request that the controller has carried out.

        ``status`` and ``content`` are the controller's own answer, whatever the client got of it.
        """
        if status in (404, 405):
            self._find("contract", self._unknown_operation(entry), entry, field=entry.path)
            return
        fields = _fields_of(body)
        for text in remarks.unknown:
            self._find("unknown-fields", f"{entry.method} {entry.path}: {text}", entry, field=_field_of(text))
        for text in remarks.deprecated:
            self._find("deprecated-fields", f"{entry.method} {entry.path}: {text}", entry, field=_field_of(text))
        if remarks.invalid is not None:
            self._find("contract", f"{entry.method} {entry.path}: {remarks.invalid}", entry, field=entry.path)
        if entry.path == VM_PATH and entry.method == "POST":
            self._record_start(entry, fields, body)
        self._record_ids(entry, fields, content)

    def record_lost_response(self, entry: JournalEntry) -> None:
        """Note that the client did not get the response as the controller made it."""
        if entry.instances and entry.number not in (start.number for start in self._lost_starts):
            self._lost_starts.append(self._starts[entry.instances[0]])

    def report(self, journal: Journal) -> Report:
        """Return the findings so far, and those there would be if the client ended now."""
        unused = [rule.id for rule in self.controller.faults if not rule.applied]
        findings = [replace(finding, requests=[*finding.requests]) for finding in self._findings.values()]
        unfinished = [
            *self._find_leaks(),
            *self._find_unverified_terminations(),
            *self.connections.findings(),
        ]
        return Report([*findings, *unfinished], unused, journal.count, journal.dropped, self._more)

    def started_by(self, instance_id: str) -> int | None:
        """Return the number of the request that started an instance, or None."""
        start = self._starts.get(instance_id)
        return start.number if start else None

    def _find(self, kind: str, message: str, entry: JournalEntry, instance: str | None = None, field: str = "") -> None:
        self._add(ClientFinding(kind, message, instance=instance, field=field), entry)

    def _add(self, finding: ClientFinding, entry: JournalEntry) -> None:
        """Count a request for a finding, known or new; beyond the limit new ones are only counted."""
        key = (finding.kind, finding.message)
        if key not in self._findings and len(self._findings) >= MAX_CLIENT_FINDINGS:
            self._more += 1
            return
        self._findings.setdefault(key, finding).count_request(entry.number)

    def _still_ahead(self, target: _PollTarget, now: int) -> float:
        """Return how many polls a target is ahead of its rate.

        Where the clock does not run by itself, any move of it counts as enough time.
        """
        if self.controller.clock.mode == "real":
            return max(0.0, target.ahead - (now - target.last) / self.rate.every)
        return 0.0 if now > target.last else target.ahead

    def _find_hammering(self, entry: JournalEntry) -> None:
        id = entry.query.get("id")
        subject = f"instance {id} was" if id else "the list of instances was"
        self._find("hammering", f"{subject} polled more often than its rate allows", entry, id)

    def _find_poll_of_terminated(self, entry: JournalEntry, id: str) -> None:
        if id not in self._known_ids or self._has_vanished(id):
            return
        if id in self._known_ended:
            self._find("terminated-polls", f"instance {id} was polled again after it was terminated", entry, id)
        self._known_ended.add(id)

    def _has_vanished(self, id: str) -> bool:
        """Return whether an instance is gone without having been terminated: the client never learned of its end."""
        instance = self.controller.forgotten.get(id)
        return instance is not None and not any(stay.state is InstanceState.TERMINATED for stay in instance.timeline)

    def _record_start(self, entry: JournalEntry, fields: Mapping[str, Any], body: bytes) -> None:
        external_id = fields.get("external_id") or None
        digest = blake2b(body, digest_size=16).digest()
        start = _Start(entry.number, external_id if isinstance(external_id, str) else None, digest)
        self._find_retried_start(start, entry)
        if start.external_id and entry.instances:
            self._find_double_start(start, entry)
        for id in entry.instances:
            self._starts[id] = start
            self._known_ids.add(id)

    def _find_retried_start(self, start: _Start, entry: JournalEntry) -> None:
        for lost in self._lost_starts:
            same = start.external_id == lost.external_id if start.external_id else start.digest == lost.digest
            if same:
                text = f"#{lost.number} had started something, though its answer was lost; it was sent again"
                self._add(ClientFinding("retried-starts", text, [lost.number], count=1), entry)

    def _find_double_start(self, start: _Start, entry: JournalEntry) -> None:
        for instance in self.controller.instances.values():
            if instance.request.external_id != start.external_id or instance.id in entry.instances:
                continue
            if self._is_left(instance) and instance.state is not InstanceState.ERROR:
                text = (
                    f"external_id {start.external_id!r} was started again"
                    f" while instance {instance.id} was {instance.state}"
                )
                first = self._starts.get(instance.id)
                numbers = [first.number] if first else []
                self._add(ClientFinding("double-starts", text, numbers, instance.id, len(numbers)), entry)
                return

    def _find_leaks(self) -> Iterator[ClientFinding]:
        for id, start in self._starts.items():
            instance = self.controller.instances.get(id)
            if instance is not None and self._is_left(instance):
                text = f"{_instance_in_words(id, start.external_id)} is still {instance.state}"
                yield ClientFinding("leaks", text, [start.number], id, 1)

    def _find_unverified_terminations(self) -> Iterator[ClientFinding]:
        for id, number in self._unverified.items():
            instance = self.controller.instances.get(id)
            if instance is not None and instance.state in LIVE_STATES:
                name = _instance_in_words(id, instance.request.external_id)
                text = f"{name} is still {instance.state} after its termination, and was not looked at again"
                yield ClientFinding("unverified-terminations", text, [number], id, 1)

    def _verify_terminations(self, id: str | None) -> None:
        """Note that the client has seen an instance, or with the list every instance."""
        if id:
            self._unverified.pop(id, None)
        else:
            self._unverified.clear()

    def _is_left(self, instance: Instance) -> bool:
        """Return whether an instance lives and the client has not terminated it."""
        return instance.state in LIVE_STATES and instance.id not in self._terminated

    def _is_alive(self, id: str) -> bool:
        """Return whether an instance lives, though its termination may have been asked for."""
        instance = self.controller.instances.get(id)
        return instance is not None and instance.state in LIVE_STATES

    def _record_ids(self, entry: JournalEntry, fields: Mapping[str, Any], content: bytes) -> None:
        """Learn the ids of a request that succeeded; find those of one that failed if there never was such an id."""
        ids = _request_ids(entry.query, fields)
        if content.startswith(OK_START):
            self._known_ids.update(ids)
            if entry.method == "POST":
                self._known_ids |= _created_ids(json.loads(content).get("body"))
            elif entry.method == "DELETE" and entry.path == VM_PATH:
                self._terminated.update(ids)  # whatever a fault makes of it, the client has done its part
                self._unverified |= {id: entry.number for id in ids if self._is_alive(id)}
                ended = {start.number for id in ids if (start := self._starts.get(id))}
                self._lost_starts = [start for start in self._lost_starts if start.number not in ended]
            return
        if not content.startswith(FAIL_START):
            return
        existing = set(self._existing_ids())
        for id in ids:
            if id not in self._known_ids and id not in existing:
                self._find("unknown-ids", f"{entry.method} {entry.path}: there never was a {id!r}", entry, field=id)

    def _unknown_operation(self, entry: JournalEntry) -> str:
        known = methods_by_path(self.controller.release)
        if entry.path in known:
            return f"{entry.method} {entry.path}: it takes {', '.join(known[entry.path])}"
        return f"{entry.method} {entry.path}: no operation has that path: {nearest(entry.path, list(known))}"

    def _existing_ids(self) -> Iterator[str]:
        c = self.controller
        for entities in (c.instances, c.nodes, c.templates, c.groups, c.distributions, c.save_images):
            yield from entities


def ids_of_start(content: bytes) -> tuple[str, ...]:
    """Return the ids of the instances that an answer to POST vm names."""
    try:
        body = json.loads(content).get("body")
    except (ValueError, AttributeError):
        return ()
    return tuple(id for id in body if isinstance(id, str)) if isinstance(body, list) else ()


def _instance_in_words(id: str, external_id: str | None) -> str:
    return f"instance {id}, external_id {external_id!r}" if external_id else f"instance {id}"


def _field_of(remark: str) -> str:
    """Return the field or parameter that a remark on a request is about."""
    return remark.partition(": ")[0]


def _poll_target(entry: JournalEntry) -> bytes:
    """Return what a poll is about: an instance, whatever else the query says, or the list."""
    query = entry.raw_query
    if query.startswith(b"id=") and query.find(b"&") < 0:
        return query
    return b"id=" + entry.query.get("id", "").encode()


def _fields_of(body: bytes) -> Mapping[str, Any]:
    """Return the JSON object of a body, empty if there is none."""
    fields = parse_body_or_none(body) if body else None
    return fields if isinstance(fields, Mapping) else {}


def _request_ids(query: Mapping[str, str], fields: Mapping[str, Any]) -> list[str]:
    """Return the ids that a request names."""
    ids: list[Any] = [query.get("id"), *(fields.get(key) for key in _ID_KEYS)]
    for key in _ID_LISTS:
        ids += fields[key] if isinstance(fields.get(key), list) else []
    return [*dict.fromkeys(id for id in ids if isinstance(id, str) and id)]


def _created_ids(body: object) -> set[str]:
    """Return the ids that the answer to a POST gives."""
    if not isinstance(body, Mapping):
        return set()
    return {value for key in ("id", "request_id") if isinstance(value := body.get(key), str)}
