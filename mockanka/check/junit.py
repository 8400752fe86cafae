"""The results of a run as a JUnit report: a suite for each operation, a case for each check."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.dom.minidom import parseString

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from mockanka.check.catalog import CHECKS
from mockanka.check.results import CheckResult, Finding, RequestTotals, Results
from mockanka.output_files import write_output


def write_junit(results: Results, path: Path) -> None:
    """Write the report to a file."""
    report: Any = JUnitXml("mockanka check")
    for operation in results.operations:
        suite: Any = TestSuite(operation)
        suite.add_property("link", results.contract.link(operation))
        totals = results.request_totals.get(operation, RequestTotals())
        check_results = results.results_of(operation)
        for check_result in check_results:
            # A request serves several checks, so the checks share the time of the operation.
            suite.add_testcase(_test_case(check_result, totals.seconds / len(check_results)))
        report.add_testsuite(suite)
    if results.broken_off or results.leftovers:
        report.add_testsuite(_run_suite(results))
    report.update_statistics()
    _fit_schema(report)
    write_output(path, parseString(report.tostring()).toprettyxml(encoding="utf-8").decode())


def _fit_schema(report: Any) -> None:
    """Make the report valid by the schema of Jenkins' xUnit plugin, junit-10.xsd.

    There ``testsuites`` has no attribute ``skipped``, and a time has no exponent, which short ones have in Python.
    """
    root = report._elem
    root.attrib.pop("skipped", None)
    for element in root.iter():
        if "time" in element.attrib:
            element.set("time", f"{float(element.get('time')):.6f}")


def _test_case(check_result: CheckResult, seconds: float) -> Any:
    name = f"{check_result.check} ({check_result.level}): {CHECKS[check_result.check].claim}"
    case: Any = TestCase(name, check_result.operation, seconds)
    text = "\n".join(_finding_text(finding) for finding in check_result.findings)
    if check_result.outcome == "failed":
        failure: Any = Failure(xml_text(str(check_result.findings[0])), check_result.level.value)
        failure.text = xml_text(text)
        case.result = [failure]
    elif check_result.outcome == "skipped":
        case.result = [Skipped(xml_text(check_result.skip_reason))]
    elif text:
        case.system_out = xml_text(text)
    return case


def _finding_text(finding: Finding) -> str:
    return "\n".join([str(finding), *(f"  from which follows: {text}" for text in finding.consequences)])


def _run_suite(results: Results) -> Any:
    """Return a suite with an error, for a run that did not finish or did not remove an object."""
    suite: Any = TestSuite("the run")
    case: Any = TestCase("the run finishes and removes all objects that it created", "the run", 0)
    leftovers = [f"{leftover.kind} {leftover.id}: {leftover.command}" for leftover in results.leftovers]
    steps = [f"{step.name}: {step.reason}" for step in results.broken_steps]
    lines = [results.broken_off, *steps, *leftovers]
    error: Any = Error(xml_text(lines[0] or "an object was not removed"), "broken off" if lines[0] else "left behind")
    error.text = xml_text("\n".join(line for line in lines if line))
    case.result = [error]
    suite.add_testcase(case)
    return suite


def xml_text(text: str) -> str:
    """Replace the characters that XML cannot contain; a controller may send any."""
    return "".join(char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}" for char in text)
