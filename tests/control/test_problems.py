"""The index, unknown paths, methods and parameters, and that control requests take no time."""

from __future__ import annotations

import json

import pytest

from mockanka import __version__
from tests.control.client import BEGIN, ControlClient, check_problem


def test_the_index_leads_to_everything(control: ControlClient) -> None:
    """The index has the versions, and every link leads to a path."""
    body = control.send("GET", "").get_json()

    assert (__version__, "1.50.1") == (body["mockanka"], body["release"])
    assert {"health", "clock", "advance", "reset", "scenario", "events"} <= set(body["links"])
    # A path that is known refuses the method, another one is not found.
    assert not [link for link in body["links"].values() if control.flask_client.options(link).status_code != 405]


def test_health_is_ok(control: ControlClient) -> None:
    """GET health answers 200 in plain JSON."""
    response = control.send("GET", "health")

    assert (200, "application/json", {"status": "ok"}) == (
        response.status_code,
        response.content_type,
        response.get_json(),
    )


@pytest.mark.parametrize("path", ["", "health", "clock", "instances/x/fail", "faults/x", "events"])
def test_options_is_a_problem_with_the_methods_sorted(control: ControlClient, path: str) -> None:
    """OPTIONS is refused as any method that a path does not have, and Allow has the others in a stable order."""
    response = control.send("OPTIONS", path)
    allowed = response.headers["Allow"].split(", ")

    assert 405 == check_problem(response)[0]
    assert sorted(allowed) == allowed
    assert "OPTIONS" not in allowed


def test_options_of_the_index_is_a_problem_with_and_without_a_slash(control: ControlClient) -> None:
    """Both forms of its path say the methods that it takes."""
    for path in ("/_mock", "/_mock/"):
        response = control.flask_client.options(path)

        assert (405, f"{path} takes GET, not OPTIONS") == check_problem(response)
        assert "GET, HEAD" == response.headers["Allow"]


@pytest.mark.parametrize(
    ("path", "right"), [("/_mock//health", "/_mock/health"), ("/_mock//", "/_mock/"), ("/_mock//clock", "/_mock/clock")]
)
def test_a_path_with_doubled_slashes_is_a_problem(control: ControlClient, path: str, right: str) -> None:
    """It is not redirected, which would not be JSON; the detail names the path that is right."""
    response = control.flask_client.get(path)

    assert (404, f"there is no {path}: did you mean '{right}'? GET /_mock/ lists what there is") == check_problem(
        response
    )


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "scenario", r'{"\udfff": 1}', 400),
        ("POST", "faults", r'{"do": {"set": {"a\ud800": "\udc00"}}}', 201),
        ("POST", "clock/advance", r'{"until": {"instance": "\ud800", "state": "Started"}}', 404),
        ("POST", "instances/x/fail", r'{"message\ud800": "x"}', 400),
    ],
)
def test_halves_of_surrogate_pairs_are_not_sent(
    control: ControlClient, method: str, path: str, body: str, status: int
) -> None:
    """An answer that repeats a part of the request is JSON that every client can decode."""
    response = control.send(method, path, body)

    assert status == response.status_code
    assert json.dumps(json.loads(response.data), ensure_ascii=False).encode()


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
