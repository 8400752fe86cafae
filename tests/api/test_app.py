"""Unknown paths and methods, internal errors, and time: what is the same for all operations."""

import logging
from typing import Any

import pytest

from mockanka.core import usb
from mockanka.units import SECOND
from tests.api.client import INSTANCE, RELEASES, TEMPLATE, ApiClient, default_api

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
    """An unknown path, whatever its bytes, is answered as Go's router does, in plain text."""
    response = default_api(release).app.test_client().get(path)

    assert (
        response.status_code,
        response.headers["Content-Type"],
        response.headers["X-Content-Type-Options"],
        response.data,
    ) == (404, "text/plain; charset=utf-8", "nosniff", b"404 page not found\n")


@pytest.mark.parametrize("path", ["/api/v1//vm", "/api/v1/./vm", "/api/v1/node/../vm", "//api/v1/vm"])
def test_a_path_with_doubled_slashes_or_dots_is_redirected(path: str) -> None:
    """Such a path is redirected to its canonical form, with its query."""
    response = default_api().app.test_client().get("/", query_string="id=1", environ_overrides={"PATH_INFO": path})

    assert (response.status_code, response.headers["Location"]) == (301, "/api/v1/vm?id=1")


@pytest.mark.parametrize(
    ("method", "path"), [(method, path) for path, known in PATHS.items() for method in METHODS if method not in known]
)
def test_an_unknown_method_is_an_empty_405(method: str, path: str) -> None:
    """A method that a path does not have, such as HEAD or OPTIONS, is answered with an empty 405, without Allow."""
    response = default_api().send(method, path)

    assert (405, b"", None, None) == (
        response.status_code,
        response.data,
        response.headers.get("Allow"),
        response.headers.get("Content-Type"),
    )


@pytest.mark.parametrize("release", RELEASES)
def test_an_internal_error_is_a_failure_without_a_traceback(
    release: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception in mockanka is answered with 500 and a FAIL envelope; the traceback goes to the log only."""

    def fail(*_: Any) -> None:
        raise ZeroDivisionError("a planted fault")

    api = default_api(release)
    monkeypatch.setattr(usb, "count_usb_devices", fail)
    with caplog.at_level(logging.ERROR, "mockanka"):
        response = api.send("GET", "usb")

    assert (
        response.status_code,
        response.data,
    ) == (500, b'{"status":"FAIL","message":"internal error in mockanka; its log has the details"}\n')
    assert "a planted fault" in caplog.text


def test_what_is_due_happens_before_a_request_is_answered() -> None:
    """All events that are due by now happen before a request is answered."""
    api = default_api()
    instance_id = api.start(vmid=TEMPLATE)
    api.controller.clock.advance(60 * SECOND)

    assert api.get("vm", f"id={instance_id}")["instance_state"] == "Started"


def test_two_applications_of_one_controller_show_the_same() -> None:
    """An application has no state of its own that another would not see."""
    first = default_api()
    second = ApiClient(first.controller)
    first.perform("PUT", "vm", {"name": "renamed"}, f"id={INSTANCE}")

    assert ("renamed", first.send("GET", "vm").data) == (second.get("vm")[0]["name"], second.send("GET", "vm").data)
