"""What a run found: checks by operation, each with its level, its outcome and what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from mockanka import __version__
from mockanka.check.catalog import CHECKS
from mockanka.contract.conformance import Contract, Level, Violation, kind_of

FORMAT = 1
"""Of the JSON; docs/contract.md describes it. New keys may come without another number."""
KEPT = 20
"""Findings of one check of one operation that are told; more are only counted."""
ELSEWHERE = "no operation"
"""What is asked that the document does not have."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, where in the answer, and the request that showed it."""

    level: Level
    where: str
    text: str
    request: str
    count: int = 1

    def __str__(self) -> str:
        times = f" ({self.count} times)" if self.count > 1 else ""
        return f"{self.where + ': ' if self.where else ''}{self.text}{times} [{self.request}]"


@dataclass
class Row:
    """One check of one operation."""

    check: str
    operation: str
    findings: list[Finding] = field(default_factory=list)
    times: int = 0
    skipped: str = ""

    @property
    def level(self) -> Level:
        """Of the check; what was found may be milder."""
        return CHECKS[self.check].level

    @property
    def outcome(self) -> str:
        """``failed``, ``noted``, ``passed`` or ``skipped``."""
        if any(each.level is not Level.NOTE for each in self.findings):
            return "failed"
        if self.findings:
            return "noted"
        return "passed" if self.times else "skipped"


@dataclass
class Asked:
    """How often an operation was asked, and how long that took."""

    requests: int = 0
    seconds: float = 0.0


@dataclass
class Left:
    """What was made and could not be removed, with the command that would."""

    kind: str
    id: str
    command: str


class Results:
    """All that a run found out."""

    def __init__(self, contract: Contract, url: str, mode: str) -> None:
        self.contract, self.url, self.mode = contract, url, mode
        self.rows: dict[tuple[str, str], Row] = {}
        self.asked: dict[str, Asked] = {}
        self.left: list[Left] = []
        self.remarks: list[str] = []
        self.broken_off = ""
        """Why the run did not get to its end; empty if it did."""

    def row(self, check: str, operation: str) -> Row:
        known = CHECKS[check].id
        return self.rows.setdefault((operation or ELSEWHERE, known), Row(known, operation or ELSEWHERE))

    def passed(self, check: str, operation: str) -> None:
        """The check was made; unless something is found it has passed."""
        self.row(check, operation).times += 1

    def skipped(self, check: str, operation: str, why: str) -> None:
        """The check could not be made."""
        row = self.row(check, operation)
        row.skipped = row.skipped or why

    def found(
        self, check: str, operation: str, text: str, request: str, where: str = "", level: Level | None = None
    ) -> None:
        """The check found something; ``level`` is given where it is milder than the check's."""
        row = self.row(check, operation)
        row.times += 1
        level = level or row.level
        for index, each in enumerate(row.findings):
            same = (each.where, each.level, kind_of(each.text)) == (where, level, kind_of(text))
            if same or index == KEPT:
                row.findings[index] = replace(each, count=each.count + 1)
                return
        row.findings.append(Finding(level, where, text, request))

    def violation(self, violation: Violation, request: str) -> None:
        """What the judge found wrong with one answer."""
        wrong = violation
        self.found(wrong.check, wrong.operation, wrong.text, request, wrong.where, wrong.level)

    def remark(self, text: str) -> None:
        """Say something to people, once."""
        if text not in self.remarks:
            self.remarks.append(text)

    def of(self, outcome: str) -> Iterator[Row]:
        """The checks with that outcome."""
        return (row for row in self.rows.values() if row.outcome == outcome)

    @property
    def status(self) -> int:
        """The exit status: 0 all is well, 1 something failed or is left behind, 2 the run did not get to its end."""
        if self.broken_off:
            return 2
        return 1 if self.left or any(self.of("failed")) else 0

    @property
    def operations(self) -> list[str]:
        """Those that something was asked or found of, in the document's order."""
        order = [each["operationId"] for each in self.contract.operations.values()]
        there = {*self.asked, *(operation for operation, _ in self.rows)}
        return [*(each for each in order if each in there), *sorted(there - set(order))]

    def rows_of(self, operation: str) -> list[Row]:
        """The checks of an operation, in the catalogue's order."""
        order = list(CHECKS)
        return sorted(
            (row for row in self.rows.values() if row.operation == operation), key=lambda r: order.index(r.check)
        )

    def as_json(self) -> dict[str, Any]:
        """The run as plain data, for other programs."""
        outcomes = ("passed", "failed", "noted", "skipped")
        return {
            "format": FORMAT,
            "mockanka": __version__,
            "url": self.url,
            "release": str(self.contract.release),
            "mode": self.mode,
            "status": self.status,
            "broken_off": self.broken_off,
            "counts": {outcome: len(list(self.of(outcome))) for outcome in outcomes},
            "operations": [self._operation(each) for each in self.operations],
            "left": [{"kind": each.kind, "id": each.id, "command": each.command} for each in self.left],
            "remarks": self.remarks,
        }

    def _operation(self, operation: str) -> dict[str, Any]:
        asked = self.asked.get(operation, Asked())
        return {
            "operation": operation,
            "link": self.contract.link(operation),
            "requests": asked.requests,
            "seconds": round(asked.seconds, 6),
            "checks": [_check(row) for row in self.rows_of(operation)],
        }


def _check(row: Row) -> dict[str, Any]:
    return {
        "id": row.check,
        "level": row.level.value,
        "what": CHECKS[row.check].what,
        "outcome": row.outcome,
        "skipped": row.skipped if row.outcome == "skipped" else "",
        "findings": [
            {
                "level": each.level.value,
                "where": each.where,
                "text": each.text,
                "request": each.request,
                "count": each.count,
            }
            for each in row.findings
        ],
    }
