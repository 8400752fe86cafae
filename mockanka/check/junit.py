"""A run as a JUnit report: a suite for each operation, a case for each check."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from mockanka.check.catalog import CHECKS
from mockanka.check.results import Asked, Results, Row


def write(results: Results, path: Path) -> None:
    """Write the report."""
    report: Any = JUnitXml("mockanka check")
    for operation in results.operations:
        suite: Any = TestSuite(operation)
        suite.add_property("link", results.contract.link(operation))
        asked = results.asked.get(operation, Asked())
        rows = results.rows_of(operation)
        for row in rows:
            # Requests serve several checks, so that the operation's time is shared among them.
            suite.add_testcase(_case(row, asked.seconds / len(rows)))
        report.add_testsuite(suite)
    if results.broken_off or results.left:
        report.add_testsuite(_end(results))
    report.update_statistics()
    report.write(str(path), pretty=True)


def _case(row: Row, seconds: float) -> Any:
    case: Any = TestCase(f"{row.check} ({row.level}): {CHECKS[row.check].what}", row.operation, seconds)
    text = "\n".join(map(str, row.findings))
    if row.outcome == "failed":
        failure: Any = Failure(_plain(str(row.findings[0])), row.level.value)
        failure.text = _plain(text)
        case.result = [failure]
    elif row.outcome == "skipped":
        case.result = [Skipped(_plain(row.skipped))]
    elif text:
        case.system_out = _plain(text)
    return case


def _end(results: Results) -> Any:
    suite: Any = TestSuite("the run")
    case: Any = TestCase("the run gets to its end, and leaves nothing behind", "the run", 0)
    lines = [results.broken_off, *(f"{each.kind} {each.id}: {each.command}" for each in results.left)]
    error: Any = Error(_plain(lines[0] or "something is left behind"), "broken off" if lines[0] else "left behind")
    error.text = _plain("\n".join(line for line in lines if line))
    case.result = [error]
    suite.add_testcase(case)
    return suite


def _plain(text: str) -> str:
    """Without what XML cannot hold, which a controller may well send."""
    return "".join(each if each.isprintable() or each == "\n" else "\N{REPLACEMENT CHARACTER}" for each in text)
