"""The results of a run: findings, outcomes, the exit status and the order of operations."""

from __future__ import annotations

import json

import pytest

from mockanka.check.results import MAX_FINDINGS, Leftover, Results, RunAborted
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
        results.add_finding("moves", "listVms", f"instance {'x' * number}", "GET /")
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


def test_a_finding_about_many_objects_is_one_finding(results: Results) -> None:
    """Ids, names and times differ from object to object; what is said of them is the same."""
    for number in range(30):
        results.add_finding("node-counters", "listNodes", f"mini-{number:02} counts {number} VMs", "GET /")

    assert [("mini-00 counts 0 VMs", 30)] == [
        (finding.text, finding.count) for finding in results.result_of("node-counters", "listNodes").findings
    ]


def test_equal_findings_of_operations_have_one_cause(results: Results) -> None:
    """The cause names the operations in the order of the document, and has all their findings; the worst is first."""
    results.add_finding("newline", "getStatus", "the JSON text does not end with a line break", "GET /")
    for operation in ("listVms", "getStatus", "listVms"):
        results.add_finding("status-code", operation, "says FAIL with HTTP 400, not 200", f"GET {operation}")
    causes = [(cause.check, cause.operations, cause.finding.count, cause.finding.request) for cause in results.causes]

    assert [
        ("status-code", ("getStatus", "listVms"), 3, "GET getStatus"),
        ("newline", ("getStatus",), 1, "GET /"),
    ] == causes
    assert ["status-code", "newline"] == [cause["check"] for cause in results.as_json()["causes"]]


def test_a_consequence_stands_at_its_finding(results: Results) -> None:
    """It fails nothing; its check is skipped, and the reason names the check that failed."""
    results.add_finding("json", "listVms", "is not a JSON object (it is empty): b''", "GET /")
    for _ in range(2):
        results.add_consequence("empty-id", "listVms", "fails: 200", ("json", "listVms"))

    assert ["json"] == [result.check for result in results.with_outcome("failed")]
    assert "this follows from json of listVms" == results.result_of("empty-id", "listVms").skip_reason
    assert [("listVms empty-id: fails: 200",)] == [cause.finding.consequences for cause in results.causes]


def test_the_level_of_a_check_is_that_of_its_worst_finding(results: Results) -> None:
    """Its findings come in the order of their levels; without a finding it is that of the catalogue."""
    assert Level.SHOULD is results.result_of("stray", "no operation").level
    results.add_finding("stray", "no operation", "x", "GET /", level=Level.NOTE)
    assert Level.NOTE is results.result_of("stray", "no operation").level
    results.add_finding("stray", "no operation", "y", "GET /")

    assert Level.SHOULD is results.result_of("stray", "no operation").level
    assert ["y", "x"] == [finding.text for finding in results.result_of("stray", "no operation").findings]


def test_texts_from_outside_are_escaped_and_short(results: Results) -> None:
    """No output of the results can contain what a terminal would obey."""
    text = "\x1b[2J\x9b\n\ud800" + "x" * 10_000
    results.add_finding("schema", "listVms", text, text, text)
    results.add_skip("made", "startVms", text)
    results.add_remark(text)
    with results.guarded(text):
        raise ValueError(text)
    leftover = Leftover("instance", text, text)
    results.leftovers.append(leftover)
    texts = json.dumps(results.as_json(), ensure_ascii=False)

    assert texts.isprintable()
    assert "\\\\x1b[2J\\\\x9b\\\\n\\\\ud800xxx" in texts
    assert len(texts) < 20_000


def test_an_exception_is_a_broken_step_and_the_run_goes_on(results: Results) -> None:
    """The reason has the exception and its place; the exit status says that the fault is not the controller's."""
    with results.guarded("a step"):
        results.result_of("no such check", "listVms")
    (step,) = results.broken_steps

    assert ("a step", True) == (step.name, step.reason.startswith("KeyError: 'no such check' at check/results.py:"))
    assert 2 == results.exit_status
    assert results.broken_off.startswith("a defect of mockanka broke off a step: KeyError")
    with pytest.raises(RunAborted), results.guarded("a step"):
        raise RunAborted("over")
