"""Fixtures for pytest. Nothing but pytest is imported until a fixture is asked for."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mockanka.testing.anka import Anka

MARKER = (
    "anka(scenario=, clock=, speed=, step=, release=, seed=, strict=): how the anka fixture's controller begins. "
    "The clock is step unless the scenario says otherwise; strict names findings of the report that fail the test."
)
KEYS = ("scenario", "clock", "speed", "step", "release", "seed", "strict")
ANKA = pytest.StashKey["Anka"]()
"""Where a test keeps the controller that it has asked for, however it did."""
PASSED = pytest.StashKey[bool]()
REQUESTS_SHOWN = 20
EVENTS_SHOWN = 50


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("anka_scenario", "the scenario of the anka fixture: a file, or the name of one that ships")
    parser.addini("anka_release", "the controller release that the anka fixture simulates")
    parser.addini("anka_strict", "findings of mockanka's report that fail a test, such as leaks, or all", default="")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)


@pytest.fixture(scope="session")
def anka_server() -> Iterator[Anka]:
    """The controller of this session, or of this xdist worker: one server, which each test begins anew."""
    from mockanka.testing.anka import serve

    with serve("empty", clock="step") as anka:
        yield anka


@pytest.fixture
def anka_scenario(pytestconfig: pytest.Config) -> Any:
    """The scenario that tests begin with; override it for a module or a suite. A marker's scenario beats it."""
    return pytestconfig.getini("anka_scenario") or "default"


@pytest.fixture
def anka(request: pytest.FixtureRequest, anka_server: Anka, anka_scenario: Any) -> Iterator[Anka]:
    """A fresh controller: ``anka.url`` is for the client under test, the rest for the test."""
    asked = _marker(request.node)
    strict = _strict(request, asked.pop("strict", None))
    _begin(request, anka_server, {"scenario": anka_scenario, **asked})
    request.node.stash[ANKA] = anka_server
    with anka_server._reporting() as reports:
        yield anka_server
    # Judged when everything that was built on it is gone, for that may clean up; a test that failed already, or was
    # skipped, has more to say for itself.
    if strict and request.node.stash.get(PASSED, False):
        found = reports().of_kinds(strict)
        if found:
            pytest.fail("the client did wrong:\n" + "\n".join(f"  {each}" for each in found), pytrace=False)


def _begin(request: pytest.FixtureRequest, server: Anka, asked: dict[str, Any]) -> None:
    from mockanka.testing.anka import options_of, scenario_of

    scenario = asked.pop("scenario")
    asked.setdefault("release", request.config.getini("anka_release") or None)
    # Files are looked for in the working directory, the root of the suite, and beside the test.
    server._folders = (Path(), request.config.rootpath, request.path.parent)
    try:
        found = scenario_of(scenario, server._folders)
        server._begin(found, options_of(**asked, default_clock="step"))
        return
    except Exception as wrong:  # whatever it is, the test's author has written it
        why = str(wrong)
    pytest.fail(f"the anka fixture cannot begin: {why}", pytrace=False)


def _marker(item: pytest.Item) -> dict[str, Any]:
    """What the anka markers say; the nearest to the test counts."""
    asked: dict[str, Any] = {}
    for mark in reversed(list(item.iter_markers("anka"))):
        if mark.args or set(mark.kwargs) - set(KEYS):
            odd = ", ".join([*map(repr, mark.args), *sorted(set(mark.kwargs) - set(KEYS))])
            pytest.fail(f"pytest.mark.anka takes {', '.join(KEYS)}, by name; not {odd}", pytrace=False)
        asked |= mark.kwargs
    return asked


def _strict(request: pytest.FixtureRequest, asked: Any) -> list[str]:
    """The findings that fail the test: as the marker says, in one text, as a list, or all or none by True or False."""
    from mockanka.simulator.client_report import parse_finding_kinds

    given = request.config.getini("anka_strict") if asked is None else asked
    if isinstance(given, bool):
        given = "all" if given else ""
    try:
        return parse_finding_kinds(given if isinstance(given, str) else " ".join(given))
    except (TypeError, ValueError) as wrong:
        why = str(wrong)
    pytest.fail(f"strict, or anka_strict: {why}", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails shows what its client asked for last, and what happened."""
    report = yield
    if report.when == "call":
        item.stash[PASSED] = report.passed
    anka = item.stash.get(ANKA, None)
    if anka is None and "anka" not in getattr(item, "fixturenames", ()):  # else it is as an earlier test left it
        anka = getattr(item, "funcargs", {}).get("anka_server")
    if report.failed and anka is not None:
        requests, events = anka.requests, anka.events
        shown = [str(each) for each in requests[-REQUESTS_SHOWN:]] or ["none"]
        report.sections.append((f"mockanka: the last of {len(requests)} requests", "\n".join(shown)))
        shown = [str(each) for each in events[-EVENTS_SHOWN:]] or ["none"]
        report.sections.append((f"mockanka: the last of {len(events)} events", "\n".join(shown)))
    return report


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """What to say when an assertion on ``anka.requests`` fails."""
    if not any(type(each).__name__ == "Requests" for each in (left, right)):
        return None
    from mockanka.testing.request_log import explain

    return explain(op, left, right)
