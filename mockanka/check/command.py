"""``mockanka check``: a run from the command line, its reports, and its exit status."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from rich.console import Console

from mockanka.check import generated, junit
from mockanka.check.console import Shown, rendered
from mockanka.check.from_recording import check_recording
from mockanka.check.results import Results
from mockanka.check.runner import Plan, check
from mockanka.check.session import Pace
from mockanka.check.write_checks import find_target
from mockanka.contract.conformance import contract_of
from mockanka.core.release import DEFAULT_RELEASE, Release
from mockanka.remote.client import Access, Unusable, connect

ENDS = (signal.SIGTERM, signal.SIGHUP)
"""Signals that end a run as an interrupt does, so that what it made is removed."""
GENERATED = 20
"""Requests that schemathesis makes for each operation."""


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for."""

    url: str
    access: Access
    release: Release | None = None
    template: str | None = None
    """Given if, and only if, things may be made."""
    tag: str | None = None
    node: str | None = None
    timeout: float = 10.0
    limit: float = 0.0
    pace: Pace = field(default_factory=Pace)
    generated: bool = True
    junit: Path | None = None
    json: Path | None = None

    @property
    def mode(self) -> str:
        return "read-only" if self.template is None else "write"


def run(wanted: Wanted) -> int:
    """Check, show, report; the exit status. Unusable if it cannot be run."""
    try:
        return _run(wanted)
    except Unusable as wrong:
        results = Results(contract_of(wanted.release or DEFAULT_RELEASE), wanted.url.rpartition("@")[2], wanted.mode)
        results.broken_off = str(wrong)
        _report(results, wanted.junit, wanted.json)  # else those of the last run would be taken for this one's
        raise


def _run(wanted: Wanted) -> int:
    console = Console(stderr=True)
    with connect(wanted.url, wanted.access, timeout=wanted.timeout, limit=wanted.limit) as remote:
        target = None
        if wanted.template is not None:
            remote.status()
            target = find_target(remote, wanted.template, wanted.tag, wanted.node)
        count = GENERATED if wanted.generated and generated.is_there() else 0
        plan = Plan(wanted.release, target, wanted.pace, count)
        with _interrupted_by(ENDS), Shown(console) as shown:
            results = check(remote, plan, told=shown.tell)
    if wanted.generated and not count:
        results.remarks.append(generated.HINT)
    return _told(results, console, wanted.junit, wanted.json)


def run_recording(har: Path, release: Release | None, report: Path | None, data: Path | None) -> int:
    """The same for a recording. InvalidHar if it is none."""
    return _told(check_recording(har, release), Console(stderr=True), report, data)


def _told(results: Results, console: Console, report: Path | None, data: Path | None) -> int:
    console.print(rendered(results), soft_wrap=True)
    _report(results, report, data)
    return results.status


def _report(results: Results, report: Path | None, data: Path | None) -> None:
    if data is not None:
        text = json.dumps(results.as_json(), indent=2, ensure_ascii=False) + "\n"
        data.write_text(text, "utf-8", errors="replace")
    if report is not None:
        junit.write(results, report)


@contextmanager
def _interrupted_by(numbers: tuple[signal.Signals, ...]) -> Iterator[None]:
    """Take these signals for an interrupt."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
