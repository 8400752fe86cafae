"""The index, unknown paths, methods and parameters, and that control requests take no time."""

from __future__ import annotations

import pytest

from mockanka import __version__
from tests.control.client import BEGIN, ControlClient, check_problem


def test_the_index_leads_to_everything(control: ControlClient) -> None:
    """The index has the versions, and every link leads to a path."""
    body = control.send("GET", "").get_json()

    assert (__version__, "1.50.1") == (body["mockanka"], body["release"])
    assert {"health", "clock", "advance", "reset", "scenario", "events"} <= set(body["links"])
    assert not [link for link in body["links"].values() if control.flask_client.options(link).status_code != 200]


def test_health_is_ok(control: ControlClient) -> None:
    """GET health answers 200 in plain JSON."""
    response = control.send("GET", "health")

    assert (200, "application/json", {"status": "ok"}) == (
        response.status_code,
        response.content_type,
        response.get_json(),
    )


@pytest.mark.parametrize("path", ["nope", "health/", "clock/advance/now", "scenario/default", "Clock"])
def test_an_unknown_path_is_a_problem(control: ControlClient, path: str) -> None:
    """An unknown path is answered with a problem."""
    assert 404 == control.refused("GET", path)[0]


@pytest.mark.parametrize("path", ["faults", "clock", "scenario", "instances/nobody", "report", "requests", "events"])
def test_an_unknown_parameter_is_refused(control: ControlClient, path: str) -> None:
    """A misspelt query parameter is refused, instead of being ignored."""
    status, detail = control.refused("GET", f"{path}?x=1")

    assert (400, "there is no parameter 'x'") == (status, detail.partition(";")[0])


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "clock", "PUT"),
        ("GET", "clock/advance", "POST"),
        ("GET", "reset", "POST"),
        ("POST", "scenario", "PUT"),
        ("POST", "health", "GET"),
        ("PATCH", "events", "GET"),
    ],
)
def test_an_unknown_method_is_a_problem(control: ControlClient, method: str, path: str, allowed: str) -> None:
    """An unknown method is answered with a problem, and Allow names the known ones."""
    response = control.send(method, path)

    assert 405 == check_problem(response)[0]
    assert allowed in response.headers["Allow"].split(", ")


@pytest.mark.parametrize("clock", ["manual", "step"])
def test_control_requests_do_not_move_the_clock(clock: str) -> None:
    """Requests to the control API do not move the clock, not even one that steps."""
    control = ControlClient(clock=clock)
    for path in ("", "health", "clock", "scenario", "events", "nope"):
        control.send("GET", path)

    assert BEGIN == control.now
