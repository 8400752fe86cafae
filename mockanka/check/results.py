"""The results of a run: checks by operation, each with its level, its outcome and its findings."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mockanka import __version__
from mockanka.check.catalog import CHECKS, RESPONSE_CHECKS
from mockanka.contract.conformance import Contract, Level, Violation, without_value
from mockanka.shown_text import cut, escape

JSON_FORMAT = 1
"""The version of the JSON that docs/contract.md describes. New keys do not change it."""
MAX_FINDINGS = 20
"""Findings of one check of one operation that are kept; more are only counted."""
NO_OPERATION = "no operation"
"""Stands for the operationId of requests that are not an operation of the document."""
OUTCOMES = ("passed", "failed", "noted", "skipped")
LEVELS = list(Level)
"""The levels, the worst first."""
RESPONSE_CHECK_IDS = {check.id for check in RESPONSE_CHECKS}


@dataclass(frozen=True)
class Finding:
    """One difference, with its place in the response and the request that showed it first."""

    level: Level
    where: str
    text: str
    request: str
    count: int = 1
    consequences: tuple[str, ...] = ()
    """Failures of other checks that follow from this one, each as a sentence."""

    def __str__(self) -> str:
        times = f" ({self.count} times)" if self.count > 1 else ""
        return f"{self.where + ': ' if self.where else ''}{self.text}{times} [{self.request}]"


@dataclass
class CheckResult:
    """The result of one check of one operation."""

    check: str
    operation: str
    findings: list[Finding] = field(default_factory=list)
    times_made: int = 0
    skip_reason: str = ""
    is_consequence: bool = False
    """True if the check was skipped because of a finding of another one, which names it."""

    @property
    def level(self) -> Level:
        """The level of the worst finding, or that of the check if nothing was found."""
        return min((finding.level for finding in self.findings), key=LEVELS.index, default=CHECKS[self.check].level)

    @property
    def outcome(self) -> str:
        """``failed``, ``noted``, ``passed`` or ``skipped``."""
        if self.findings:
            return "noted" if self.level is Level.NOTE else "failed"
        return "passed" if self.times_made else "skipped"


@dataclass(frozen=True)
class Cause:
    """Equal findings of one check, with the operations that have them. ``finding`` has their count in total."""

    check: str
    operations: tuple[str, ...]
    finding: Finding


@dataclass
class RequestTotals:
    """The number of requests to an operation, and the seconds that they took."""

    requests: int = 0
    seconds: float = 0.0


@dataclass
class Leftover:
    """An object that the run created and could not remove, with the command that removes it."""

    kind: str
    id: str
    command: str

    def __post_init__(self) -> None:
        self.id, self.command = shown(self.id), shown(self.command)


@dataclass(frozen=True)
class BrokenStep:
    """A part of the run that a defect of mockanka broke off."""

    name: str
    reason: str


class RunAborted(Exception):
    """The run cannot continue; the text says why."""


class Results:
    """All results of a run. ``url`` is that of the controller, or the path of a recording.

    Texts from outside are kept as they are shown: short, and without control characters.
    """

    def __init__(self, contract: Contract, url: str, mode: str) -> None:
        self.contract, self.url, self.mode = contract, url, mode
        self.check_results: dict[tuple[str, str], CheckResult] = {}
        """By operation and check."""
        self.request_totals: dict[str, RequestTotals] = {}
        """By operation."""
        self.leftovers: list[Leftover] = []
        self.remarks: list[str] = []
        self.broken_steps: list[BrokenStep] = []
        self._broken_off = ""

    @property
    def broken_off(self) -> str:
        """Why the run did not finish; empty if it did."""
        if self._broken_off or not self.broken_steps:
            return self._broken_off
        first = self.broken_steps[0]
        others = f" ({len(self.broken_steps) - 1} more broke off)" if len(self.broken_steps) > 1 else ""
        return f"a defect of mockanka broke off {first.name}: {first.reason}{others}"

    @broken_off.setter
    def broken_off(self, reason: str) -> None:
        self._broken_off = shown(reason)

    @contextmanager
    def guarded(self, name: str) -> Iterator[None]:
        """Record an exception of the ``with`` statement as a broken step; those that end the run are passed on."""
        try:
            yield
        except RunAborted:
            raise
        except Exception as error:
            self.broken_steps.append(BrokenStep(shown(name), shown(_describe_defect(error))))

    def result_of(self, check: str, operation: str) -> CheckResult:
        """Return the result of a check of an operation, which is made if there is none. KeyError for an unknown id."""
        check_id, operation = CHECKS[check].id, operation or NO_OPERATION
        return self.check_results.setdefault((operation, check_id), CheckResult(check_id, operation))

    def add_pass(self, check: str, operation: str) -> None:
        """Count a check that was made; it passes unless something is found."""
        self.result_of(check, operation).times_made += 1

    def add_skip(self, check: str, operation: str, reason: str) -> None:
        """Record that a check could not be made; the first reason is kept."""
        result = self.result_of(check, operation)
        result.skip_reason = result.skip_reason or shown(reason)

    def add_finding(
        self, check: str, operation: str, text: str, request: str, where: str = "", level: Level | None = None
    ) -> None:
        """Add a finding, or count it if there is an equal one; ``level`` is that of the check unless it is given."""
        result = self.result_of(check, operation)
        result.times_made += 1
        level = level or CHECKS[check].level
        finding = Finding(level, shown(where), shown(text), shown(request))
        for index, known in enumerate(result.findings):
            if _kind_of(check, known) == _kind_of(check, finding) or index == MAX_FINDINGS:
                result.findings[index] = replace(known, count=known.count + 1)
                break
        else:
            result.findings.append(finding)
        result.findings.sort(key=lambda finding: LEVELS.index(finding.level))

    def add_consequence(self, check: str, operation: str, text: str, cause: tuple[str, str]) -> None:
        """Add a failure that follows from a finding of another check; ``cause`` is the check and its operation.

        The check counts as skipped, unless it was made another time.
        """
        result = self.result_of(*cause)
        self.add_skip(check, operation, f"this follows from {cause[0]} of {cause[1]}")
        self.result_of(check, operation).is_consequence = True
        consequence = shown(f"{operation} {check}: {text}")
        first = result.findings[0]
        if consequence not in first.consequences and len(first.consequences) < MAX_FINDINGS:
            result.findings[0] = replace(first, consequences=(*first.consequences, consequence))

    def add_violation(self, violation: Violation, request: str) -> None:
        """Add a violation of the contract as a finding."""
        self.add_finding(
            violation.check, violation.operation, violation.text, request, violation.where, violation.level
        )

    def add_remark(self, text: str) -> None:
        """Add a remark, once."""
        text = shown(text)
        if text not in self.remarks:
            self.remarks.append(text)

    @property
    def causes(self) -> list[Cause]:
        """The findings, the worst first. Equal findings of a check at several operations are one cause."""
        causes: dict[tuple[str, ...], Cause] = {}
        for operation in self.operations:
            for result in self.results_of(operation):
                for finding in result.findings:
                    key = (result.check, *_kind_of(result.check, finding))
                    known = causes.get(key)
                    causes[key] = (
                        Cause(result.check, (operation,), finding)
                        if known is None
                        else _merge(known, operation, finding)
                    )
        return sorted(causes.values(), key=lambda cause: LEVELS.index(cause.finding.level))

    def with_outcome(self, outcome: str) -> Iterator[CheckResult]:
        """Return the results with that outcome."""
        return (result for result in self.check_results.values() if result.outcome == outcome)

    @property
    def exit_status(self) -> int:
        """0 if nothing failed, 1 if a check failed or an object was not removed, 2 if the run did not finish."""
        if self.broken_off:
            return 2
        return 1 if self.leftovers or any(self.with_outcome("failed")) else 0

    @property
    def operations(self) -> list[str]:
        """The operations with requests or results, in the order of the document."""
        order = [operation["operationId"] for operation in self.contract.operations.values()]
        present = {*self.request_totals, *(operation for operation, _ in self.check_results)}
        return [*(operation for operation in order if operation in present), *sorted(present - set(order))]

    def results_of(self, operation: str) -> list[CheckResult]:
        """Return the results of an operation, in the order of the catalogue."""
        order = list(CHECKS)
        results = [result for result in self.check_results.values() if result.operation == operation]
        return sorted(results, key=lambda result: order.index(result.check))

    def as_json(self) -> dict[str, Any]:
        """Return the results as described in docs/contract.md."""
        return {
            "format": JSON_FORMAT,
            "mockanka": __version__,
            "url": self.url,
            "release": str(self.contract.release),
            "mode": self.mode,
            "status": self.exit_status,
            "broken_off": self.broken_off,
            "counts": {outcome: len(list(self.with_outcome(outcome))) for outcome in OUTCOMES},
            "operations": [self._operation_as_json(operation) for operation in self.operations],
            "causes": [
                {"check": cause.check, "operations": list(cause.operations), **_finding_as_json(cause.finding)}
                for cause in self.causes
            ],
            "broken_steps": [{"step": step.name, "reason": step.reason} for step in self.broken_steps],
            "left": [
                {"kind": leftover.kind, "id": leftover.id, "command": leftover.command} for leftover in self.leftovers
            ],
            "remarks": self.remarks,
        }

    def _operation_as_json(self, operation: str) -> dict[str, Any]:
        totals = self.request_totals.get(operation, RequestTotals())
        return {
            "operation": operation,
            "link": self.contract.link(operation),
            "requests": totals.requests,
            "seconds": round(totals.seconds, 6),
            "checks": [_result_as_json(result) for result in self.results_of(operation)],
        }


def shown(text: str) -> str:
    """Return a text from outside as the results keep it."""
    return cut(escape(cut(text)))


def _describe_defect(error: Exception) -> str:
    """Return an exception in a line, with the place in mockanka that it comes from."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "mockanka" in Path(frame.filename).parts] or frames[-1:]
    place = f" at {'/'.join(Path(own[-1].filename).parts[-2:])}:{own[-1].lineno}" if own else ""
    return f"{type(error).__name__}: {cut(str(error), 200)}{place}"


def _result_as_json(result: CheckResult) -> dict[str, Any]:
    return {
        "id": result.check,
        "level": result.level.value,
        "what": CHECKS[result.check].claim,
        "outcome": result.outcome,
        "skipped": result.skip_reason if result.outcome == "skipped" else "",
        "findings": [_finding_as_json(finding) for finding in result.findings],
    }


def _finding_as_json(finding: Finding) -> dict[str, Any]:
    return {
        "level": finding.level.value,
        "where": finding.where,
        "text": finding.text,
        "request": finding.request,
        "count": finding.count,
        "consequences": list(finding.consequences),
    }


def _kind_of(check: str, finding: Finding) -> tuple[str, ...]:
    """Return what equal findings have in common: everything but the values, and the objects that are named."""
    text = without_value(finding.text)
    if check == "json":
        text = text.rpartition("): ")[0]  # without the beginning of the response
    if check == "json" or check not in RESPONSE_CHECK_IDS:
        # Ids, times, counts, and most names of nodes have a digit; words of a text have none.
        text = re.sub(r"[^\s,:;()'\"]*\d[^\s,:;()'\"]*", "#", text)
    return finding.level.value, finding.where, text


def _merge(cause: Cause, operation: str, finding: Finding) -> Cause:
    known = cause.finding
    consequences = tuple(dict.fromkeys([*known.consequences, *finding.consequences]))
    operations = tuple(dict.fromkeys([*cause.operations, operation]))
    return replace(
        cause,
        operations=operations,
        finding=replace(known, count=known.count + finding.count, consequences=consequences),
    )
