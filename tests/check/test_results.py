"""The results of a run: findings, outcomes, the exit status and the order of operations."""

from __future__ import annotations

import pytest

from mockanka.check.results import MAX_FINDINGS, Leftover, Results
from mockanka.contract.conformance import Level, contract_of
from mockanka.core.release import DEFAULT_RELEASE


@pytest.fixture
def results() -> Results:
    return Results(contract_of(DEFAULT_RELEASE), "http://anka:8090", "read-only")


def test_equal_findings_are_counted(results: Results) -> None:
    """Findings that differ only in the value they show are equal; another place or another text is another finding."""
    for value, key in (("1", "a"), ("2", "a"), ("2", "b")):
        results.add_finding("schema", "listVms", f'is "{value}", not of type number', "GET /", f"$.body.{key}")
    results.add_finding("schema", "listVms", "c is missing", "GET /", "$.body.a")

    assert [("$.body.a", 2), ("$.body.b", 1), ("$.body.a", 1)] == [
        (finding.where, finding.count) for finding in results.result_of("schema", "listVms").findings
    ]


def test_the_number_of_findings_is_limited(results: Results) -> None:
    """The last finding counts those beyond the limit."""
    for number in range(100):
        results.add_finding("moves", "listVms", f"instance {number}", "GET /")
    findings = results.result_of("moves", "listVms").findings

    assert MAX_FINDINGS + 1 == len(findings)
    assert 100 == sum(finding.count for finding in findings)


def test_the_exit_status_is_that_of_the_worst_result(results: Results) -> None:
    """A note does not fail the run; a failure and a leftover do; a run that did not finish ends with 2."""
    results.add_pass("schema", "listVms")
    results.add_finding("schema", "listVms", "x", "GET /", level=Level.NOTE)
    assert (0, "noted") == (results.exit_status, results.result_of("schema", "listVms").outcome)

    results.leftovers.append(Leftover("group", "g", "curl"))
    assert 1 == results.exit_status

    results.leftovers.clear()
    results.add_finding("message", "listVms", "x", "GET /")
    assert (1, "failed") == (results.exit_status, results.result_of("message", "listVms").outcome)

    results.broken_off = "interrupted"
    assert 2 == results.exit_status


def test_a_check_that_was_not_made_is_skipped(results: Results) -> None:
    """It is no longer skipped once it was made."""
    results.add_skip("started", "startVms", "no node")
    assert "skipped" == results.result_of("started", "startVms").outcome

    results.add_pass("started", "startVms")
    assert "passed" == results.result_of("started", "startVms").outcome


def test_operations_have_the_order_of_the_document(results: Results) -> None:
    """Requests that are not an operation come last."""
    for operation in ("no operation", "listGroups", "listVms", "getStatus"):
        results.add_pass("answered", operation)

    assert ["getStatus", "listVms", "listGroups", "no operation"] == results.operations
