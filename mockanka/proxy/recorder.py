"""The recorder: a thread in which exchanges are checked, counted in findings, and written to the recording."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

from mockanka.bounded import BoundedDict
from mockanka.contract.conformance import Level, Violation, contract_of
from mockanka.core.release import Release
from mockanka.recording.exchanges import RecordedExchange, find_violations
from mockanka.recording.har import HarWriter
from mockanka.redaction import REDACTED_VALUE, find_secrets, redact_query

MAX_DISTINCT_FINDINGS = 1_000
"""Different findings that are reported; further ones are only counted."""
MAX_ENTRIES_PER_FINDING = 20
"""Exchanges that a finding names."""
MAX_LOGGED_REASONS = 20
"""Different reasons for unread connections that are logged."""
MAX_QUEUED_EXCHANGES = 500
MAX_QUEUED_BYTES = 4 * 1024 * 1024
"""If more waits to be checked, some seconds' work, the proxy reads no more from its clients until there is room."""
CHECK_CACHE_SIZE = 500
"""Checked exchanges whose violations are kept: a client that polls repeats the same exchange for a while."""
CHECKING_TIMEOUT = 5.0
"""Seconds for the checks that are left when the proxy stops; after that exchanges are only recorded."""


@dataclass
class TrafficFinding:
    """A violation, and the exchanges that have it, by their places in the recording."""

    violation: Violation
    first_request: str
    entries: list[int] = field(default_factory=list)
    """The first MAX_ENTRIES_PER_FINDING places."""
    count: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return the finding as the report has it."""
        keys = ("side", "check", "level", "operation", "where", "text")
        violation = {key: getattr(self.violation, key) for key in keys}
        return {**violation, "count": self.count, "first": self.first_request, "entries": self.entries}


class Recorder:
    """Takes exchanges from one event loop; a thread checks and writes them one after another."""

    def __init__(
        self,
        target_url: str,
        release: Release | Callable[[], Release],
        log: Callable[[str], None],
        writer: HarWriter | None = None,
        keep_secrets: bool = False,
    ) -> None:
        """``release`` may be a function, which is called in the thread when the first exchange is checked."""
        self._keep_secrets = keep_secrets
        self._target_url, self._release_source, self._log, self._writer = target_url, release, log, writer
        self._release = release if isinstance(release, Release) else None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mockanka-recorder")
        self._cached_violations: BoundedDict[bytes, list[Violation]] = BoundedDict(CHECK_CACHE_SIZE)
        self._findings: dict[tuple[str, ...], TrafficFinding] = {}
        self._exchanges = self._unchecked = self._unreported_findings = 0
        self._failures = {"client": 0, "server": 0}
        self._checks_stopped = False
        self._queued_exchanges, self._queued_bytes = 0, 0
        self._room_callbacks: list[Callable[[], None]] = []
        self._unread_connections: Counter[str] = Counter()
        """Connections that are forwarded without being read, by the reason."""
        self.error = ""
        """Why the recording is incomplete; empty if it is complete."""

    # ---- in the event loop -----------------------------------------------------------------------------------------

    def submit(
        self,
        make_exchange: Callable[[], RecordedExchange],
        size: int,
        on_checked: Callable[[list[Violation] | None], None] | None = None,
    ) -> None:
        """Queue an exchange of ``size`` bytes.

        ``make_exchange`` is called in the thread. ``on_checked`` is called in the event loop with the violations, or
        with None if the exchange was not checked.
        """
        loop = asyncio.get_running_loop()
        self._queued_exchanges, self._queued_bytes = self._queued_exchanges + 1, self._queued_bytes + size

        def finish(violations: list[Violation] | None) -> None:
            self._queued_exchanges, self._queued_bytes = self._queued_exchanges - 1, self._queued_bytes - size
            if on_checked is not None:
                on_checked(violations)
            if not self.is_full:
                callbacks, self._room_callbacks = self._room_callbacks, []
                for callback in callbacks:
                    callback()

        def process() -> None:
            violations = self._process(make_exchange())
            if not loop.is_closed():
                loop.call_soon_threadsafe(finish, violations)

        self._thread.submit(process)

    @property
    def is_full(self) -> bool:
        """True if so many exchanges wait that no more should be read."""
        return self._queued_exchanges > MAX_QUEUED_EXCHANGES or self._queued_bytes > MAX_QUEUED_BYTES

    def when_room(self, callback: Callable[[], None]) -> None:
        """Call the callback once when the recorder is not full any more."""
        self._room_callbacks.append(callback)

    def add_unread_connection(self, reason: str) -> None:
        """Count a connection that is forwarded without being read from here on. Each reason is logged once."""
        self._unread_connections[reason] += 1
        if self._unread_connections[reason] == 1 and len(self._unread_connections) <= MAX_LOGGED_REASONS:
            self._log(f"forwarded without being read from here on: {reason}")

    async def report(self) -> dict[str, Any]:
        """Return the report on all exchanges that have been submitted so far."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._report)

    async def close(self) -> dict[str, Any]:
        """Check what is queued, as time permits, complete the recording, and return the report."""
        last_report = asyncio.ensure_future(self.report())
        if not (await asyncio.wait([last_report], timeout=CHECKING_TIMEOUT))[0]:
            self._checks_stopped = True
        await last_report
        report = await asyncio.get_running_loop().run_in_executor(self._thread, self._complete)
        self._thread.shutdown()
        return report

    # ---- in the thread ---------------------------------------------------------------------------------------------

    def _process(self, recorded: RecordedExchange) -> list[Violation] | None:
        violations: list[Violation] | None = None
        try:
            if not self._checks_stopped:
                violations = self._check(recorded)
        except Exception:
            logging.getLogger("mockanka").exception("a fault in mockanka itself; please report it")
        if violations is None:
            self._unchecked += 1
        shown = violations
        if violations and not self._keep_secrets:
            shown = [without_secrets(violation, recorded) for violation in violations]
        for violation in shown or ():
            self._count(violation, recorded)
        self._exchanges += 1
        if self._writer is not None and not self.error:
            try:
                self._writer.add(recorded, shown)
            except OSError as error:
                self._fail(error)
        return violations

    def _check(self, recorded: RecordedExchange) -> list[Violation]:
        exchange = recorded.exchange
        parts = (
            *(exchange.method, exchange.path, exchange.query, exchange.request_content),
            *(exchange.status, exchange.content_type, recorded.incomplete, recorded.incomplete_detail),
        )
        key = blake2b(repr(parts).encode() + exchange.response_content).digest()
        violations = self._cached_violations.pop(key, None)
        if violations is None:
            violations = find_violations(recorded, contract_of(self._known_release()))
        self._cached_violations[key] = violations
        return violations

    def _known_release(self) -> Release:
        if self._release is None:
            source = self._release_source
            self._release = source if isinstance(source, Release) else source()
        return self._release

    def _count(self, violation: Violation, recorded: RecordedExchange) -> None:
        if violation.level is not Level.NOTE:
            self._failures[violation.side] += 1
        key = tuple(getattr(violation, name) for name in ("side", "check", "operation", "where", "text"))
        finding = self._findings.get(key)
        if finding is None:
            if len(self._findings) >= MAX_DISTINCT_FINDINGS:
                self._unreported_findings += 1
                return
            exchange = recorded.exchange
            query = exchange.query if self._keep_secrets else redact_query(exchange.query)
            request = f"{exchange.method} {exchange.path}{'?' + query if query else ''}"
            finding = self._findings[key] = TrafficFinding(violation, request)
            self._log(f"{violation.side} ({violation.level}) in {request}: {violation}")
        finding.count += 1
        if len(finding.entries) < MAX_ENTRIES_PER_FINDING:
            finding.entries.append(self._exchanges)

    def _report(self) -> dict[str, Any]:
        return {
            "target": self._target_url,
            "release": None if self._release is None else str(self._release),
            "exchanges": self._exchanges,
            "unjudged": self._unchecked,
            "unread": self._unread_connections.total(),
            **self._failures,
            "findings": [finding.as_json() for finding in self._findings.values()],
            "more": self._unreported_findings,
        }

    def _complete(self) -> dict[str, Any]:
        if self._writer is not None and not self.error:
            try:
                self._writer.close(self._release)
            except OSError as error:
                self._fail(error)
        return self._report()

    def _fail(self, error: OSError) -> None:
        path = self._writer.path if self._writer is not None else ""
        self.error = f"the recording {path} cannot be written: {error.strerror}"
        self._log(self.error)


def without_secrets(violation: Violation, recorded: RecordedExchange) -> Violation:
    """Return a violation whose text does not repeat secrets of the exchange."""
    exchange, text = recorded.exchange, violation.text
    bodies = (content.decode("utf-8", "replace") for content in (exchange.request_content, exchange.response_content))
    for secret in find_secrets(exchange.query, *bodies):
        text = text.replace(secret, REDACTED_VALUE)
    return violation if text == violation.text else replace(violation, text=text)
