"""What stands around the operations: unknown paths, unknown methods, faults, and time."""

import logging
from typing import Any

import pytest

from mockanka.core import usb
from mockanka.units import SECOND
from tests.api.client import INSTANCE, RELEASES, TEMPLATE, Wire, office

PATHS = {
    "vm": {"GET", "POST", "PUT", "DELETE"},
    "node": {"GET", "DELETE"},
    "node/config": {"POST"},
    "node/group": {"POST", "DELETE"},
    "registry/vm": {"GET", "DELETE"},
    "registry/revert": {"DELETE"},
    "registry/vm/distribute": {"GET", "POST"},
    "image": {"GET", "POST"},
    "group": {"GET", "POST", "PUT", "DELETE"},
    "usb": {"GET"},
    "status": {"GET"},
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api",
        "/api/v1",
        "/api/v1/",
        "/api/v1/vm/",
        "/api/v1/VM",
        "/api/v1/vms",
        "/api/v1/vm/1",
        "/api/v2/vm",
        "/_mock/",
        "/api/v1/vm%00",
        "/api/v1/vm%0a",
        "/api/v1/vm%2f",
        "/api/v1/vm%ff%fe",
        "/api/v1/%e2%80%a8",
        "/%c0%af",
        "/api/v1/vm;id=1",
        "/api/v1/<b>",
        "/" + "x" * 10_000,
    ],
)
def test_an_unknown_path_is_the_plain_404_of_go(release: str, path: str) -> None:
    """A path that is not there, whatever bytes it has, is answered as Go's router does, in plain text."""
    answer = office(release).app.test_client().get(path)

    assert (
        answer.status_code,
        answer.headers["Content-Type"],
        answer.headers["X-Content-Type-Options"],
        answer.data,
    ) == (404, "text/plain; charset=utf-8", "nosniff", b"404 page not found\n")


@pytest.mark.parametrize("path", ["/api/v1//vm", "/api/v1/./vm", "/api/v1/node/../vm", "//api/v1/vm"])
def test_a_path_with_doubled_slashes_or_dots_is_sent_on(path: str) -> None:
    """Such a path is sent on to the one it means, with its query."""
    answer = office().app.test_client().get("/", query_string="id=1", environ_overrides={"PATH_INFO": path})

    assert (answer.status_code, answer.headers["Location"]) == (301, "/api/v1/vm?id=1")


@pytest.mark.parametrize(
    ("method", "path"), [(method, path) for path, there in PATHS.items() for method in METHODS if method not in there]
)
def test_an_unknown_method_is_an_empty_405(method: str, path: str) -> None:
    """A method that a path does not know, HEAD and OPTIONS among them, is 405 with nothing but Allow."""
    answer = office().send(method, path)

    assert (405, b"", ", ".join(sorted(PATHS[path])), None) == (
        answer.status_code,
        answer.data,
        answer.headers["Allow"],
        answer.headers.get("Content-Type"),
    )


@pytest.mark.parametrize("release", RELEASES)
def test_a_fault_of_our_own_is_a_failure_without_a_stack_trace(
    release: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault in mockanka is 500 with a FAIL envelope; the trace goes to the log and not to the client."""

    def break_down(*_: Any) -> None:
        raise ZeroDivisionError("a planted fault")

    wire = office(release)
    monkeypatch.setattr(usb, "count_usb_devices", break_down)
    with caplog.at_level(logging.ERROR, "mockanka"):
        answer = wire.send("GET", "usb")

    assert (
        answer.status_code,
        answer.data,
    ) == (500, b'{"status":"FAIL","message":"internal error in mockanka; its log has the details"}\n')
    assert "a planted fault" in caplog.text


def test_what_is_due_happens_before_a_request_is_answered() -> None:
    """A request is answered as of now: all that was due by then has happened."""
    wire = office()
    instance_id = wire.start(vmid=TEMPLATE)
    wire.controller.clock.advance(60 * SECOND)

    assert wire.get("vm", f"id={instance_id}")["instance_state"] == "Started"


def test_two_applications_over_one_controller_show_the_same() -> None:
    """All state is the controller's: an application keeps none that another would not see."""
    first = office()
    second = Wire(first.controller)
    first.do("PUT", "vm", {"name": "renamed"}, f"id={INSTANCE}")

    assert ("renamed", first.send("GET", "vm").data) == (second.get("vm")[0]["name"], second.send("GET", "vm").data)
