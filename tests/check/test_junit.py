"""The JUnit report is valid by the schema of Jenkins' xUnit plugin (junit-10.xsd), whose rules stand here."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from mockanka.check.junit import write_junit
from mockanka.check.results import Leftover, RequestTotals, Results
from mockanka.contract.conformance import contract_of
from mockanka.core.release import DEFAULT_RELEASE
from tests.check.simulated import SimulatedController, check_simulated

TIME = re.compile(r"[0-9]*(\.[0-9]*)?")
RESULT = ({"type", "message"}, set[str](), set[str]())
RULES: dict[str, tuple[set[str], set[str], set[str]]] = {
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, set(), {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors", "group", "time", "skipped", "timestamp", "hostname", "id", "package"},
        {"name", "tests", "failures", "errors"},
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
    ),
    "testcase": (
        {"name", "time", "classname", "group"},
        {"name"},
        {"skipped", "error", "failure", "system-out", "system-err"},
    ),
    "properties": (set(), set(), {"property"}),
    "property": ({"name", "value"}, {"name", "value"}, set()),
    "failure": RESULT,
    "error": RESULT,
    "skipped": RESULT,
    "system-out": (set(), set(), set()),
    "system-err": (set(), set(), set()),
}
"""The attributes that each element may have, those that it must have, and its children."""


def assert_valid(path: Path) -> ElementTree.Element:
    """Assert that a report follows the schema, and return its root."""
    root = ElementTree.parse(path).getroot()
    assert "testsuites" == root.tag
    for element in root.iter():
        allowed, required, children = RULES[element.tag]
        assert required <= set(element.attrib) <= allowed, ElementTree.tostring(element)[:200]
        assert {child.tag for child in element} <= children, ElementTree.tostring(element)[:200]
        assert TIME.fullmatch(element.get("time", "0")), element.get("time")
    return root


def results_of_every_kind() -> Results:
    """Return results with each outcome, a leftover, a broken step, a consequence, and characters that XML lacks."""
    results = Results(contract_of(DEFAULT_RELEASE), "http://anka:8090", "write")
    results.add_pass("schema", "listVms")
    results.add_finding("json", "listVms", "is not a JSON object: \x00\x1b[2J\ud800\ufffe]]>", "GET /")
    results.add_consequence("empty-id", "listVms", "fails: 200", ("json", "listVms"))
    results.add_finding("newline", "listNodes", "x\ny", "GET /")
    results.add_skip("made", "startVms", "no <node> & no \x07")
    results.leftovers.append(Leftover("instance", "\x9b", "curl '\x00'"))
    results.request_totals["listVms"] = RequestTotals(2, 0.00003)
    with results.guarded("a step"):
        raise ValueError("\x1b")
    return results


def test_a_report_of_every_outcome_is_valid(tmp_path: Path) -> None:
    """It has the outcome of each check, and an error with the broken step and the leftover."""
    write_junit(results_of_every_kind(), tmp_path / "x.xml")
    root = assert_valid(tmp_path / "x.xml")
    (error,) = root.iter("error")
    (failure,) = root.iter("failure")

    assert "a step: ValueError: \\x1b" in str(error.text)
    assert "instance \\x9b" in str(error.text)
    assert "from which follows: listVms empty-id: fails: 200" in str(failure.text)
    assert {"0.000010", "0.000000"} == {case.get("time") for case in root.iter("testcase")}
    assert ["this follows from json of listVms", "no <node> & no \\x07"] == [
        skipped.get("message") for skipped in root.iter("skipped")
    ]


@pytest.mark.parametrize("release", ["1.50.1", "1.8.0"])
def test_the_report_of_a_run_is_valid(tmp_path: Path, release: str) -> None:
    """It has every check of every operation."""
    results = check_simulated(SimulatedController(release=release), write=True)
    write_junit(results, tmp_path / "x.xml")

    assert len(results.check_results) == len(list(assert_valid(tmp_path / "x.xml").iter("testcase")))
