"""Values of the wrong type are refused in the words of Go's encoding/json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.api.client import GROUP, ApiClient, default_api

ENTRIES = json.loads((Path(__file__).parent / "mistyped_bodies" / "messages.json").read_text("utf-8"))
API: ApiClient = default_api("1.50.1")


@pytest.mark.parametrize(
    ("method", "path", "body", "message"), [tuple(entry.values()) for entry in ENTRIES], ids=lambda value: str(value)
)
def test_a_mistyped_body_is_refused_as_go_refuses_it(method: str, path: str, body: str, message: str) -> None:
    """The message is what a program in Go has printed for the body."""
    query = {"id": GROUP} if method == "PUT" else {}
    response = API.app.test_client().open(path, method=method, data=body, query_string=query)

    assert (400, {"status": "FAIL", "message": message}) == (response.status_code, response.get_json())


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"vmid": 1, "count": 0}, "json: cannot unmarshal number into Go struct field StartBody.vmid of type string"),
        (
            {"count": 0},
            "invalid request: vmid: is required; count: must be a whole number from 1 to 10000, not the number 0",
        ),
    ],
)
def test_what_go_can_hold_is_checked_after_it(body: dict[str, object], message: str) -> None:
    """A value out of our own limits is refused only if the body can be decoded."""
    assert message == API.app.test_client().post("/api/v1/vm", json=body).get_json()["message"]


@pytest.mark.parametrize(("release", "status"), [("1.38.0", "OK"), ("1.39.0", "FAIL")])
def test_a_field_that_the_release_does_not_know_may_have_any_type(release: str, status: str) -> None:
    """Go ignores keys that the struct does not have."""
    api = default_api(release)
    template_id = next(iter(api.controller.templates))
    response = api.app.test_client().post("/api/v1/vm", json={"vmid": template_id, "disk": 1})

    assert status == response.get_json()["status"]
