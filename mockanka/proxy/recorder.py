"""What the proxy knows of the traffic: each exchange is judged in a thread of its own, counted, and recorded."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from mockanka.bounded import BoundedDict
from mockanka.contract.conformance import Level, Violation, contract_of
from mockanka.core.release import Release
from mockanka.recording.exchanges import Recorded, verdict
from mockanka.recording.har import Writer

log = logging.getLogger("mockanka")

MOST = 1_000
"""Different findings that are kept apart."""
NAMED = 20
"""Exchanges that one finding names; it counts on."""
FULL_ITEMS, FULL_BYTES = 500, 4 * 1024 * 1024
"""So much may wait to be judged, some seconds' work, before clients are read from no further."""
REMEMBERED = 500
"""Exchanges that are not judged again when they come again: whoever polls sees the same for a while."""
PATIENCE = 5.0
"""Seconds that judging has left once the proxy is told to stop; recorded is all the same what it did not get to."""

Found = list[Violation] | None
"""What is wrong with an exchange; None if it was not judged."""


@dataclass
class Finding:
    """One thing that is wrong, and in which exchanges, by their places in the recording."""

    violation: Violation
    first: str
    entries: list[int] = field(default_factory=list)
    count: int = 0

    def as_json(self) -> dict[str, Any]:
        each = self.violation
        said = {key: getattr(each, key) for key in ("side", "check", "level", "operation", "where", "text")}
        return {**said, "count": self.count, "first": self.first, "entries": self.entries}


class Book:
    """Takes exchanges in, from one event loop, and has a thread judge and write them one after another."""

    def __init__(
        self,
        target: str,
        release: Release | Callable[[], Release],
        said: Callable[[str], None],
        writer: Writer | None = None,
    ) -> None:
        self._target, self._given, self._said, self._writer = target, release, said, writer
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mockanka-judge")
        self._release = release if isinstance(release, Release) else None
        self._judged: BoundedDict[bytes, list[Violation]] = BoundedDict(REMEMBERED)
        self._findings: dict[tuple[str, ...], Finding] = {}
        self._exchanges = self._unjudged = self._more = 0
        self._sides = {"client": 0, "server": 0}
        self._hurry = False
        self._waiting, self._bytes = 0, 0
        self._room: list[Callable[[], None]] = []
        self._unread: Counter[str] = Counter()
        """Connections that from some point on were passed on without being read, by the reason."""
        self.failed = ""
        """Why the recording is not whole; empty if it is."""

    # ---- in the event loop -----------------------------------------------------------------------------------------

    def submit(self, make: Callable[[], Recorded], size: int, then: Callable[[Found], None] | None = None) -> None:
        """Have an exchange of so many bytes made up and judged; ``then`` hears what is wrong with it."""
        loop = asyncio.get_running_loop()
        self._waiting, self._bytes = self._waiting + 1, self._bytes + size

        def done(found: Found) -> None:
            self._waiting, self._bytes = self._waiting - 1, self._bytes - size
            if then is not None:
                then(found)
            if not self.full:
                free, self._room = self._room, []
                for each in free:
                    each()

        def work() -> None:
            found = self._take(make())
            if not loop.is_closed():
                loop.call_soon_threadsafe(done, found)

        self._thread.submit(work)

    @property
    def full(self) -> bool:
        return self._waiting > FULL_ITEMS or self._bytes > FULL_BYTES

    def when_room(self, do: Callable[[], None]) -> None:
        """Have something done once there is room again."""
        self._room.append(do)

    def unreadable(self, why: str) -> None:
        """A connection is passed on unread from here; each reason is told once."""
        self._unread[why] += 1
        if self._unread[why] == 1 and len(self._unread) <= NAMED:
            self._said(f"passed on without being read any more: {why}")

    async def report(self) -> dict[str, Any]:
        """What was found in all exchanges that were over when it was asked for."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._report)

    async def close(self) -> dict[str, Any]:
        """Judge what waits, if there is time, end the recording, and report."""
        last = asyncio.ensure_future(self.report())
        if not (await asyncio.wait([last], timeout=PATIENCE))[0]:
            self._hurry = True
        await last
        report = await asyncio.get_running_loop().run_in_executor(self._thread, self._end)
        self._thread.shutdown()
        return report

    # ---- in the thread ---------------------------------------------------------------------------------------------

    def _take(self, recorded: Recorded) -> Found:
        found: Found = None
        try:
            if not self._hurry:
                found = self._verdict(recorded)
        except Exception:
            log.exception("a fault in mockanka itself; please report it")
        if found is None:
            self._unjudged += 1
        for each in found or ():
            self._count(each, recorded)
        self._exchanges += 1
        if self._writer is not None and not self.failed:
            try:
                self._writer.add(recorded, found)
            except OSError as wrong:
                self._fail(wrong)
        return found

    def _verdict(self, recorded: Recorded) -> list[Violation]:
        each = recorded.exchange
        said = (
            each.method,
            each.path,
            each.query,
            each.request_content,
            each.status,
            each.content_type,
            recorded.broken,
            recorded.detail,
        )
        key = blake2b(repr(said).encode() + each.response_content).digest()
        found = self._judged.pop(key, None)
        if found is None:
            found = verdict(recorded, contract_of(self._known()))
        self._judged[key] = found
        return found

    def _known(self) -> Release:
        if self._release is None:
            self._release = self._given if isinstance(self._given, Release) else self._given()
        return self._release

    def _count(self, violation: Violation, recorded: Recorded) -> None:
        if violation.level is not Level.NOTE:
            self._sides[violation.side] += 1
        key = tuple(getattr(violation, name) for name in ("side", "check", "operation", "where", "text"))
        finding = self._findings.get(key)
        if finding is None:
            if len(self._findings) >= MOST:
                self._more += 1
                return
            asked = f"{recorded.exchange.method} {recorded.exchange.path}"
            query = f"?{recorded.exchange.query}" if recorded.exchange.query else ""
            finding = self._findings[key] = Finding(violation, asked + query)
            self._said(f"{violation.side} ({violation.level}) in {finding.first}: {violation}")
        finding.count += 1
        if len(finding.entries) < NAMED:
            finding.entries.append(self._exchanges)

    def _report(self) -> dict[str, Any]:
        return {
            "target": self._target,
            "release": None if self._release is None else str(self._release),
            "exchanges": self._exchanges,
            "unjudged": self._unjudged,
            "unread": self._unread.total(),
            **self._sides,
            "findings": [each.as_json() for each in self._findings.values()],
            "more": self._more,
        }

    def _end(self) -> dict[str, Any]:
        if self._writer is not None and not self.failed:
            try:
                self._writer.close(self._release)
            except OSError as wrong:
                self._fail(wrong)
        return self._report()

    def _fail(self, wrong: OSError) -> None:
        path = self._writer.path if self._writer is not None else ""
        self.failed = f"the recording {path} cannot be written: {wrong.strerror}"
        self._said(self.failed)
