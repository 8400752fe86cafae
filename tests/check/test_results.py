"""What a run found, put together: outcomes, counts, the exit status."""

from __future__ import annotations

import pytest

from mockanka.check.results import KEPT, Left, Results
from mockanka.contract.conformance import Level, contract_of
from mockanka.core.release import DEFAULT_RELEASE


@pytest.fixture
def results() -> Results:
    return Results(contract_of(DEFAULT_RELEASE), "http://anka:8090", "read-only")


def test_the_same_in_many_answers_is_one_finding(results: Results) -> None:
    """The values may differ, the place and what is wrong may not."""
    for value, key in (("1", "a"), ("2", "a"), ("2", "b")):
        results.found("schema", "listVms", f'is "{value}", not of type number', "GET /", f"$.body.{key}")
    results.found("schema", "listVms", "c is missing", "GET /", "$.body.a")

    assert [("$.body.a", 2), ("$.body.b", 1), ("$.body.a", 1)] == [
        (each.where, each.count) for each in results.row("schema", "listVms").findings
    ]


def test_no_more_are_told_than_anybody_reads(results: Results) -> None:
    """The last of them counts the rest."""
    for number in range(100):
        results.found("moves", "listVms", f"instance {number}", "GET /")
    findings = results.row("moves", "listVms").findings

    assert KEPT + 1 == len(findings)
    assert 100 == sum(each.count for each in findings)


def test_the_exit_status_is_the_worst_that_was_found(results: Results) -> None:
    """A note fails nothing; a failure and what is left behind do; a run without an end says so before all else."""
    results.passed("schema", "listVms")
    results.found("schema", "listVms", "x", "GET /", level=Level.NOTE)
    assert (0, "noted") == (results.status, results.row("schema", "listVms").outcome)

    results.left.append(Left("group", "g", "curl"))
    assert 1 == results.status

    results.left.clear()
    results.found("message", "listVms", "x", "GET /")
    assert (1, "failed") == (results.status, results.row("message", "listVms").outcome)

    results.broken_off = "interrupted"
    assert 2 == results.status


def test_what_was_not_made_is_skipped(results: Results) -> None:
    """Until it is made after all."""
    results.skipped("started", "startVms", "no node")
    assert "skipped" == results.row("started", "startVms").outcome

    results.passed("started", "startVms")
    assert "passed" == results.row("started", "startVms").outcome


def test_operations_come_as_in_the_document(results: Results) -> None:
    """And what is none comes last."""
    for operation in ("no operation", "listGroups", "listVms", "getStatus"):
        results.passed("answered", operation)

    assert ["getStatus", "listVms", "listGroups", "no operation"] == results.operations
