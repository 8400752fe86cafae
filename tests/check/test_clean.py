"""The unaltered simulator passes all checks: every scenario, at several releases, also behind a proxy."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import pytest

import mockanka
from mockanka.check.catalog import CHECKS, REQUEST_CHECKS
from mockanka.check.results import Results
from mockanka.check.runner import CheckPlan, check_controller
from mockanka.check.session import Pace
from mockanka.check.write_checks import find_write_target
from mockanka.contract.exchange import Exchange
from mockanka.remote.client import ControllerClient
from mockanka.scenario import shipped
from tests.check.proxied import plain_proxy
from tests.check.simulated import SimulatedController, check_simulated, failures, remaining_objects, scenario
from tests.conftest import FULL, crossing
from tests.contracts import has

RELEASES = ("1.8.0", "1.24.0", "1.43.0", "1.50.1")
SPOILED = {
    "late-in-list": "an instance that was just started is not found for some seconds",
    "lost-answer": "the response to the first start breaks off in the middle",
    "not-json": "the response to a start is a web page",
    "null-in-list": "the list of instances is one that a release had, with a null in it",
    "slow-answer": "the response to a start takes 40 s, which is more than one request may take",
}
"""Scenarios with faults that the checks find, and the faults."""


def summary(results: Results) -> tuple[int, list[str], list[str], list[str]]:
    """Return exit status, failures, notes and remarks."""
    notes = [
        f"{check_result.operation} {check_result.check}: {check_result.findings[0]}"
        for check_result in results.with_outcome("noted")
    ]
    return results.exit_status, failures(results), notes, results.remarks


def without_state_file(exchange: Exchange) -> Exchange:
    """Return an exchange whose template versions lack `state_file`, as examples of the vendor do."""
    content = re.sub(rb',"state_file":"[^"]*"', b"", exchange.response_content)
    return replace(exchange, response_content=content)


CLEAN: tuple[int, list[str], list[str], list[str]] = (0, [], [], [])


def cases(*excluded: str) -> list[tuple[str, str, bool]]:
    """Return scenario, release, and whether headers are dropped: every scenario at the newest release, and the fullest
    at every release, with and without headers; in full every scenario at every release.
    """
    names = sorted((name for name in shipped() if name not in excluded), key="default".__ne__)
    rows = [(name, release) for release, name in crossing([(release,) for release in reversed(RELEASES)], names)]
    return [*((*row, False) for row in rows), *((*row, True) for row in rows if FULL or row[0] == "default")]


@pytest.mark.parametrize("release", RELEASES)
def test_a_version_without_its_state_file_is_clean(release: str) -> None:
    """The controller may leave `state_file` out."""
    simulated = SimulatedController(release=release, alter=without_state_file)

    assert CLEAN == summary(check_simulated(simulated))
    contents = [exchange.response_content for exchange in simulated.exchanges]
    assert any(b'"state_file":' in content for content in contents)
    assert not any(
        b'"state_file":' in without_state_file(exchange).response_content for exchange in simulated.exchanges
    )


@pytest.mark.parametrize(("name", "release", "bare_headers"), cases())
def test_a_scenario_is_clean_read_only(name: str, release: str, bare_headers: bool) -> None:
    """There are no failures or notes, and only GETs are sent, with all headers and with the essential ones."""
    simulated = SimulatedController(name, release, bare_headers=bare_headers)

    assert CLEAN == summary(check_simulated(simulated))
    assert {"GET"} == {exchange.method for exchange in simulated.exchanges}


@pytest.mark.parametrize(("name", "release", "bare_headers"), cases("empty", "late-in-list", "out-of-step"))
def test_a_scenario_is_clean_in_write_mode(name: str, release: str, bare_headers: bool) -> None:
    """There are no failures or notes, and all created objects are removed."""
    simulated = SimulatedController(name, release, bare_headers=bare_headers)

    assert CLEAN == summary(check_simulated(simulated, write=True))
    assert [] == remaining_objects(simulated.controller)


@pytest.mark.parametrize("release", RELEASES)
def test_a_named_node_is_used(release: str) -> None:
    """The instance runs on the node, and the node joins and leaves the new group."""
    simulated = SimulatedController("default", release)
    results = check_simulated(simulated, write=True, node="mini-01")

    assert CLEAN == summary(results)
    assert {("placed", "startVms"), ("member", "addNodesToGroups"), ("member", "removeNodesFromGroups")} <= {
        (check_result.check, check_result.operation) for check_result in results.with_outcome("passed")
    }


@pytest.mark.parametrize("release", RELEASES if FULL else (RELEASES[0], RELEASES[-1]))
def test_generated_requests_are_clean(release: str) -> None:
    """Generated requests are queries of GETs, and updates of our own objects, which keep their names."""
    simulated, plain = SimulatedController("default", release), SimulatedController("default", release)
    results = check_simulated(simulated, write=True, generated=15)
    check_simulated(plain, write=True)
    additional = Counter(exchange.operation_key for exchange in simulated.exchanges) - Counter(
        exchange.operation_key for exchange in plain.exchanges
    )

    assert CLEAN == summary(results)
    assert {"GET", "PUT"} == {method for method, _ in additional}
    assert {"/api/v1/vm", "/api/v1/group"} == {path for method, path in additional if method == "PUT"}
    assert [] == remaining_objects(simulated.controller)


@pytest.mark.parametrize("release", RELEASES)
def test_every_check_of_the_catalogue_is_made(release: str) -> None:
    """A run in write mode on a named node makes every check, except those for which it has no occasion."""
    simulated = SimulatedController("busy", release)
    made = {check_result.check for check_result in check_simulated(simulated, write=True).with_outcome("passed")}
    simulated = SimulatedController("default", release)
    results = check_simulated(simulated, write=True, node="mini-01")
    made |= {check_result.check for check_result in results.with_outcome("passed")}
    # No instance ends in Error, and no other release is given.
    without_occasion = {"error-told", "release", *(() if has(release, "1.44.0") else ("restarted",))}
    # Before 1.22.0 a template by its id has no size.
    without_occasion |= {"template-size"} if has(release, until="1.22.0") else set()

    assert without_occasion == set(CHECKS) - made - {check.id for check in REQUEST_CHECKS}


def check_over_http(name: str, write: bool, proxied: bool = False) -> Results:
    """Return the results of a run against a server on loopback, whose clock is moved by sleeps."""
    with mockanka.serve(name, clock="manual") as anka:

        def run(url: str) -> Results:
            with ControllerClient(url) as client:
                template = next(iter(scenario(name).controller().templates), None) if write else None
                target = find_write_target(client, template, None, None) if template else None
                plan = CheckPlan(target=target, pace=Pace(interval=10.0))
                return check_controller(client, plan, lambda seconds: anka.clock.advance(f"{seconds:g}s"))

        if not proxied:
            return run(anka.url)
        with plain_proxy(anka.url) as url:
            return run(url)


@pytest.mark.parametrize("name", [name for name in shipped() if name not in SPOILED])
def test_a_scenario_is_clean_over_http(name: str) -> None:
    """The response faults of the scenario are in effect."""
    assert CLEAN == summary(check_over_http(name, write=True))


@pytest.mark.parametrize("write", [False, True])
def test_a_controller_behind_a_proxy_is_clean(write: bool) -> None:
    """A proxy that drops all but the essential headers changes nothing."""
    assert CLEAN == summary(check_over_http("default", write, proxied=True))


@pytest.mark.parametrize("name", ["not-json", "null-in-list", "late-in-list"])
def test_a_scenario_with_spoiled_responses_fails(name: str) -> None:
    """The check of the fault fails, and all created objects are removed."""
    expected = {"not-json": "json", "null-in-list": "schema", "late-in-list": "at-once"}
    results = check_over_http(name, write=True)

    assert 1 == results.exit_status
    assert expected[name] in {check_result.check for check_result in results.with_outcome("failed")}
    assert [] == [leftover.kind for leftover in results.leftovers]
