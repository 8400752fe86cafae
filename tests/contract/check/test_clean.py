"""The simulator unchanged keeps to the contract: every scenario, at several releases, also behind a proxy."""

from __future__ import annotations

from collections import Counter

import pytest

import mockanka
from mockanka.contract.check.catalog import CHECKS, REQUESTS
from mockanka.contract.check.checking import Plan, check
from mockanka.contract.check.results import Results
from mockanka.contract.check.run import Pace
from mockanka.contract.check.writing import find_target
from mockanka.contract.transport import connect
from mockanka.scenario import shipped
from tests.conftest import FULL, crossing
from tests.contract.check.proxied import plain_proxy
from tests.contract.check.simulated import Simulated, checked, complaints, left_behind, scenario
from tests.contracts import has

RELEASES = ("1.8.0", "1.24.0", "1.43.0", "1.50.1")
SPOILED = {
    "late-in-list": "an instance that was just started is found by nobody for some seconds",
    "lost-answer": "the first start's answer breaks off in the middle",
    "not-json": "a start is answered by a web page",
    "null-in-list": "the list of instances is one that a release had, with a null in it",
    "slow-answer": "a start is answered after 40 s, which is more than one request may take",
}
"""Whose faults spoil answers on purpose, and how."""


def outcome(results: Results) -> tuple[int, list[str], list[str], list[str]]:
    noted = [f"{row.operation} {row.check}: {row.findings[0]}" for row in results.of("noted")]
    return results.status, complaints(results), noted, results.remarks


CLEAN: tuple[int, list[str], list[str], list[str]] = (0, [], [], [])


def worlds(*without: str) -> list[tuple[str, str, bool]]:
    """Scenario, release, whether headers are dropped: every scenario at the newest release, and the fullest of them at
    every release, with and without headers; in full every scenario at every release.
    """
    names = sorted((name for name in shipped() if name not in without), key="default".__ne__)
    rows = [(name, release) for release, name in crossing([(release,) for release in reversed(RELEASES)], names)]
    return [*((*row, False) for row in rows), *((*row, True) for row in rows if FULL or row[0] == "default")]


@pytest.mark.parametrize(("name", "release", "bare"), worlds())
def test_a_scenario_is_clean_read_only(name: str, release: str, bare: bool) -> None:
    """Nothing is wrong or noted, and nothing but GETs is sent, with all headers and with the two that count."""
    simulated = Simulated(name, release, bare=bare)

    assert CLEAN == outcome(checked(simulated))
    assert {"GET"} == {each.method for each in simulated.seen}


@pytest.mark.parametrize(("name", "release", "bare"), worlds("empty", "late-in-list"))
def test_a_scenario_is_clean_in_write_mode(name: str, release: str, bare: bool) -> None:
    """Nothing is wrong, and nothing that was made is left."""
    simulated = Simulated(name, release, bare=bare)

    assert CLEAN == outcome(checked(simulated, write=True))
    assert [] == left_behind(simulated.house.controller)


@pytest.mark.parametrize("release", RELEASES)
def test_a_node_that_is_named_takes_part(release: str) -> None:
    """The instance runs there, and the node joins the group that was made, and leaves it."""
    simulated = Simulated("default", release)
    results = checked(simulated, write=True, node="mini-01")

    assert CLEAN == outcome(results)
    assert {("placed", "startVms"), ("member", "addNodesToGroups"), ("member", "removeNodesFromGroups")} <= {
        (row.check, row.operation) for row in results.of("passed")
    }


@pytest.mark.parametrize("release", RELEASES if FULL else (RELEASES[0], RELEASES[-1]))
def test_generated_requests_change_nothing(release: str) -> None:
    """Queries of every GET, updates of our own instance and group are answered as they should; the names stay ours."""
    simulated, plain = Simulated("default", release), Simulated("default", release)
    results = checked(simulated, write=True, generated=15)
    checked(plain, write=True)
    more = Counter(each.key for each in simulated.seen) - Counter(each.key for each in plain.seen)

    assert CLEAN == outcome(results)
    assert {"GET", "PUT"} == {method for method, _ in more}
    assert {"/api/v1/vm", "/api/v1/group"} == {path for method, path in more if method == "PUT"}
    assert [] == left_behind(simulated.house.controller)


@pytest.mark.parametrize("release", RELEASES)
def test_everything_the_catalogue_has_is_checked_somewhere(release: str) -> None:
    """A write run on a named node makes every check there is, but for those that need what is not there."""
    simulated = Simulated("busy", release)
    waiting = {row.check for row in checked(simulated, write=True).of("passed")}
    simulated = Simulated("default", release)
    made = {row.check for row in checked(simulated, write=True, node="mini-01").of("passed")}
    # Nothing ends in Error there, and no release was given that could be another.
    elsewhere = {"error-told", "release", *(() if has(release, "1.44.0") else ("restarted",))}

    assert elsewhere == set(CHECKS) - made - waiting - {each.id for each in REQUESTS}


def over_http(name: str, write: bool, proxied: bool = False) -> Results:
    """A run against a server on loopback, whose clock is moved on by what sleeps."""
    with mockanka.serve(name, clock="manual") as anka:

        def run(url: str) -> Results:
            with connect(url) as remote:
                template = next(iter(scenario(name).controller().templates), None) if write else None
                target = find_target(remote, template, None, None) if template else None
                return check(
                    remote, Plan(target=target, pace=Pace(interval=10.0)), lambda s: anka.clock.advance(f"{s:g}s")
                )

        if not proxied:
            return run(anka.url)
        with plain_proxy(anka.url) as url:
            return run(url)


@pytest.mark.parametrize("name", [name for name in shipped() if name not in SPOILED])
def test_a_scenario_is_clean_over_http(name: str) -> None:
    """Also with the faults that a scenario has at the door."""
    assert CLEAN == outcome(over_http(name, write=True))


@pytest.mark.parametrize("write", [False, True])
def test_a_controller_behind_a_proxy_is_clean(write: bool) -> None:
    """A proxy that drops all headers but two changes nothing."""
    assert CLEAN == outcome(over_http("default", write, proxied=True))


@pytest.mark.parametrize("name", ["not-json", "null-in-list", "late-in-list"])
def test_a_scenario_that_spoils_answers_is_found_out(name: str) -> None:
    """What a scenario does on purpose is what a check is for, and all that was made is gone."""
    expected = {"not-json": "json", "null-in-list": "schema", "late-in-list": "at-once"}
    results = over_http(name, write=True)

    assert 1 == results.status
    assert expected[name] in {row.check for row in results.of("failed")}
    assert [] == [each.kind for each in results.left]
