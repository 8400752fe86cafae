"""Fixtures for pytest. Nothing but pytest is imported until a fixture is used."""

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
MARKER_KEYS = ("scenario", "clock", "speed", "step", "release", "seed", "strict")
CONTROLLER_KEY = pytest.StashKey["Anka"]()
"""Where a test, or a module, keeps the controller that it uses, whichever fixture gave it."""
PASSED_KEY = pytest.StashKey[bool]()
"""The outcome of a test, or of all tests until now that use the controller of a module: True if they passed."""
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
    """The controller of this session, or of this xdist worker. Each test begins anew on the same server."""
    from mockanka.testing.anka import serve

    with serve("empty", clock="step") as anka:
        yield anka


@pytest.fixture(scope="session")
def anka_scenario(pytestconfig: pytest.Config) -> Any:
    """The scenario that tests begin with. Override it for a module or a suite; a marker takes precedence."""
    return pytestconfig.getini("anka_scenario") or "default"


@pytest.fixture
def anka(request: pytest.FixtureRequest, anka_server: Anka, anka_scenario: Any) -> Iterator[Anka]:
    """A fresh controller: give ``anka.url`` to the client under test, and use the rest in the test."""
    yield from _provide(request, anka_server, {"scenario": anka_scenario, **_read_markers(request.node)})


@pytest.fixture(scope="module")
def anka_module(request: pytest.FixtureRequest) -> Iterator[Anka]:
    """A controller that the tests of a module share, on a server of its own. Markers of the module configure it."""
    from mockanka.testing.anka import serve

    settings = _read_markers(request.node)
    if "scenario" not in settings:
        settings["scenario"] = request.getfixturevalue("anka_scenario")
    with serve("empty", clock="step") as server:
        yield from _provide(request, server, settings)


def _provide(request: pytest.FixtureRequest, server: Anka, settings: dict[str, Any]) -> Iterator[Anka]:
    """Begin with the settings of markers, yield the controller, and check its report if that is asked for."""
    strict = _strict_kinds(request, settings.pop("strict", None))
    _begin(request, server, settings)
    request.node.stash[CONTROLLER_KEY] = server
    with server.collect_reports() as reports:
        yield server
    # Checked after the fixtures that use this one, since they may clean up. A test that failed already, or was
    # skipped, keeps its own outcome.
    if strict and request.node.stash.get(PASSED_KEY, False):
        findings = reports().of_kinds(strict)
        if findings:
            text = "\n".join(f"  {finding}" for finding in findings)
            pytest.fail(f"the client did wrong:\n{text}", pytrace=False)


def _begin(request: pytest.FixtureRequest, server: Anka, settings: dict[str, Any]) -> None:
    scenario = settings.pop("scenario")
    settings.setdefault("release", request.config.getini("anka_release") or None)
    # Files are looked for in the working directory, the root of the suite, and beside the test.
    folders = (Path(), request.config.rootpath, request.path.parent)
    try:
        server.begin(scenario, folders, **settings, default_clock="step")
        return
    except Exception as error:  # whatever is wrong, the author of the test wrote it
        reason = str(error)
    pytest.fail(f"the anka fixture cannot begin: {reason}", pytrace=False)


def _read_markers(item: pytest.Item) -> dict[str, Any]:
    """Return the settings of the anka markers; a marker nearer to the test takes precedence."""
    settings: dict[str, Any] = {}
    for mark in reversed(list(item.iter_markers("anka"))):
        if mark.args or set(mark.kwargs) - set(MARKER_KEYS):
            unknown = ", ".join([*map(repr, mark.args), *sorted(set(mark.kwargs) - set(MARKER_KEYS))])
            pytest.fail(f"pytest.mark.anka takes {', '.join(MARKER_KEYS)}, by name; not {unknown}", pytrace=False)
        settings |= mark.kwargs
    return settings


def _strict_kinds(request: pytest.FixtureRequest, strict: Any) -> list[str]:
    """Return the kinds of findings that fail the test: from a text, a list, or True or False for all or none."""
    from mockanka.simulator.client_report import parse_finding_kinds

    kinds = request.config.getini("anka_strict") if strict is None else strict
    if isinstance(kinds, bool):
        kinds = "all" if kinds else ""
    try:
        return parse_finding_kinds(kinds if isinstance(kinds, str) else " ".join(kinds))
    except (TypeError, ValueError) as error:
        reason = str(error)
    pytest.fail(f"strict, or anka_strict: {reason}", pytrace=False)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Refuse a marker that would have no effect: a controller of the module cannot begin again for one test."""
    names = getattr(item, "fixturenames", ())
    if "anka_module" not in names or "anka" in names:
        return
    if any(isinstance(node, pytest.Class | pytest.Function) for node, _ in item.iter_markers_with_node("anka")):
        pytest.fail(
            "anka_module begins once for the module: set pytestmark = pytest.mark.anka(...) in the module, "
            "or use the fixture anka",
            pytrace=False,
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the last requests and events to the report of a test that failed."""
    report = yield
    module = item.getparent(pytest.Module) if "anka_module" in getattr(item, "fixturenames", ()) else None
    if report.when == "call":
        item.stash[PASSED_KEY] = report.passed
        if module is not None:
            module.stash[PASSED_KEY] = module.stash.get(PASSED_KEY, True) and report.passed
    anka = item.stash.get(CONTROLLER_KEY, None)
    if anka is None and module is not None:
        anka = module.stash.get(CONTROLLER_KEY, None)
    if anka is None and "anka" not in getattr(item, "fixturenames", ()):  # its state would be that of an earlier test
        anka = getattr(item, "funcargs", {}).get("anka_server")
    if report.failed and anka is not None:
        requests, events = anka.requests, anka.events
        shown = [str(request) for request in requests[-REQUESTS_SHOWN:]] or ["none"]
        count = len(requests) + requests.dropped
        report.sections.append((f"mockanka: the last of {count} requests", "\n".join(shown)))
        shown = [str(event) for event in events[-EVENTS_SHOWN:]] or ["none"]
        report.sections.append((f"mockanka: the last of {len(events)} events", "\n".join(shown)))
    return report


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Explain an assertion on ``anka.requests`` that failed."""
    if not any(type(operand).__name__ == "Requests" for operand in (left, right)):
        return None
    from mockanka.testing.request_log import explain

    return explain(op, left, right)
