"""The results of a run: checks by operation, each with its level, its outcome and its findings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from mockanka import __version__
from mockanka.check.catalog import CHECKS
from mockanka.contract.conformance import Contract, Level, Violation, without_value

JSON_FORMAT = 1
"""The version of the JSON that docs/contract.md describes. New keys do not change it."""
MAX_FINDINGS = 20
"""Findings of one check of one operation that are kept; more are only counted."""
NO_OPERATION = "no operation"
"""Stands for the operationId of requests that are not an operation of the document."""
OUTCOMES = ("passed", "failed", "noted", "skipped")


@dataclass(frozen=True)
class Finding:
    """One difference, with its place in the response and the request that showed it first."""

    level: Level
    where: str
    text: str
    request: str
    count: int = 1

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

    @property
    def level(self) -> Level:
        """The level of the check; a finding may have a lower one."""
        return CHECKS[self.check].level

    @property
    def outcome(self) -> str:
        """``failed``, ``noted``, ``passed`` or ``skipped``."""
        if any(finding.level is not Level.NOTE for finding in self.findings):
            return "failed"
        if self.findings:
            return "noted"
        return "passed" if self.times_made else "skipped"


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


class Results:
    """All results of a run. ``url`` is that of the controller, or the path of a recording."""

    def __init__(self, contract: Contract, url: str, mode: str) -> None:
        self.contract, self.url, self.mode = contract, url, mode
        self.check_results: dict[tuple[str, str], CheckResult] = {}
        """By operation and check."""
        self.request_totals: dict[str, RequestTotals] = {}
        """By operation."""
        self.leftovers: list[Leftover] = []
        self.remarks: list[str] = []
        self.broken_off = ""
        """Why the run did not finish; empty if it did."""

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
        result.skip_reason = result.skip_reason or reason

    def add_finding(
        self, check: str, operation: str, text: str, request: str, where: str = "", level: Level | None = None
    ) -> None:
        """Add a finding, or count it if there is an equal one; ``level`` is that of the check unless it is given."""
        result = self.result_of(check, operation)
        result.times_made += 1
        level = level or result.level
        for index, finding in enumerate(result.findings):
            known = (finding.where, finding.level, without_value(finding.text))
            if known == (where, level, without_value(text)) or index == MAX_FINDINGS:
                result.findings[index] = replace(finding, count=finding.count + 1)
                return
        result.findings.append(Finding(level, where, text, request))

    def add_violation(self, violation: Violation, request: str) -> None:
        """Add a violation of the contract as a finding."""
        self.add_finding(
            violation.check, violation.operation, violation.text, request, violation.where, violation.level
        )

    def add_remark(self, text: str) -> None:
        """Add a remark, once."""
        if text not in self.remarks:
            self.remarks.append(text)

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


def _result_as_json(result: CheckResult) -> dict[str, Any]:
    return {
        "id": result.check,
        "level": result.level.value,
        "what": CHECKS[result.check].claim,
        "outcome": result.outcome,
        "skipped": result.skip_reason if result.outcome == "skipped" else "",
        "findings": [
            {
                "level": finding.level.value,
                "where": finding.where,
                "text": finding.text,
                "request": finding.request,
                "count": finding.count,
            }
            for finding in result.findings
        ],
    }
