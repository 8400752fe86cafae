"""Starting, updating, terminating and restarting instances."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api.client import INSTANCE, NEW, RELEASES, TEMPLATE, UNKNOWN_ID, default_api
from tests.controllers import pass_time

DONE = b'{"status":"OK","message":""}\n'


@pytest.mark.parametrize("count", [1, 2, 10_000])
def test_a_start_answers_with_as_many_ids_as_requested(count: int) -> None:
    """The ids are all different, and their instances are listed at once."""
    api = default_api()
    instance_ids = api.perform("POST", "vm", {"vmid": TEMPLATE, "count": count})

    assert count == len(set(instance_ids))
    assert instance_ids == [item["instance_id"] for item in api.get("vm")][1:]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"vmid": UNKNOWN_ID}, "VM not in the registry"),
        ({"tag": "nope"}, "No such tag nope"),
        ({"tag": "nope", "version": 0}, "No such tag nope"),
        ({"version": 2}, "No such version 2"),
        ({"node_id": UNKNOWN_ID}, f"No such node {UNKNOWN_ID}"),
        ({"node_id": "mini-01"}, "No such node mini-01"),
        ({"group_id": UNKNOWN_ID}, f"No such group {UNKNOWN_ID}"),
        ({"usb_device": "android"}, "No such USB device android"),
    ],
)
def test_a_start_of_several_is_all_or_nothing(release: str, changed: dict[str, Any], message: str) -> None:
    """A start that names something unknown is refused with the controller's own message, and starts none."""
    api = default_api(release)
    before = api.dump()
    response = api.send("POST", "vm", json.dumps({"vmid": TEMPLATE, "count": 5, **changed}).encode())

    assert (api.failure_status, {"status": "FAIL", "message": message}) == (
        response.status_code,
        json.loads(response.data),
    )
    assert before == api.dump()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, ("nightly", "https://ci.example/job/1", {"k": 1})),
        ({"name": "new"}, ("new", "https://ci.example/job/1", {"k": 1})),
        ({"name": ""}, (None, "https://ci.example/job/1", {"k": 1})),
        ({"name": None}, ("nightly", "https://ci.example/job/1", {"k": 1})),
        ({"external_id": "e"}, ("nightly", "e", {"k": 1})),
        ({"metadata": {"b": True}}, ("nightly", "https://ci.example/job/1", {"b": True, "k": 1})),
        ({"metadata": {"k": "2"}}, ("nightly", "https://ci.example/job/1", {"k": "2"})),
        ({"metadata": {}}, ("nightly", "https://ci.example/job/1", {"k": 1})),
        ({"unknown": 1}, ("nightly", "https://ci.example/job/1", {"k": 1})),
    ],
)
def test_an_update_changes_what_it_names(change: dict[str, Any], expected: tuple[Any, ...]) -> None:
    """Fields that are not sent stay, metadata is merged key by key, a blank name removes the name."""
    api = default_api()
    api.perform("PUT", "vm", {"metadata": {"k": 1}}, f"id={INSTANCE}")
    api.perform("PUT", "vm", change, f"id={INSTANCE}")
    (item,) = api.get("vm")

    assert expected == (item.get("name"), item.get("external_id"), item["vm"].get("metadata"))


def test_an_instance_can_be_terminated_again() -> None:
    """DELETE succeeds in every state, any number of times, and answers without a body."""
    api = default_api()
    envelopes = []
    for seconds in (0, 0, 30):
        pass_time(api.controller, seconds)
        envelopes.append(api.envelope("DELETE", "vm", {"id": INSTANCE}))

    assert envelopes == [{"status": "OK", "message": ""}] * 3


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    ("method", "query", "body"),
    [("GET", f"id={UNKNOWN_ID}", None), ("PUT", f"id={UNKNOWN_ID}", {"name": "x"}), ("DELETE", "", {"id": UNKNOWN_ID})],
)
def test_an_unknown_instance_is_not_found(release: str, method: str, query: str, body: object) -> None:
    """Requests for an instance that does not exist fail with Not found and change nothing."""
    api = default_api(release)
    before = api.dump()
    response = api.send(method, "vm", None if body is None else json.dumps(body).encode(), query)

    assert (api.failure_status, b'{"status":"FAIL","message":"Not found"}\n') == (response.status_code, response.data)
    assert before == api.dump()


def test_a_restart_stops_the_vm_and_starts_it_again() -> None:
    """It answers without a body; the VM is stopped, and later running, with another start date and a message."""
    api = default_api(NEW)
    before = api.get("vm", f"id={INSTANCE}")["vminfo"]
    response = api.send("POST", "rpc/vm/restart", json.dumps({"instance_id": INSTANCE, "vnc_password": "x"}).encode())
    pass_time(api.controller, 10)
    between = api.get("vm", f"id={INSTANCE}")
    pass_time(api.controller, 100)
    after = api.get("vm", f"id={INSTANCE}")

    assert (200, DONE) == (response.status_code, response.data)
    assert ("Started", "stopped") == (between["instance_state"], between["vminfo"]["status"])
    assert ("Started", "running") == (after["instance_state"], after["vminfo"]["status"])
    assert 'Unexpected VM state: "stopped"' == between["message"] == after["message"]
    assert (before["creation_date"], "x") == (after["vminfo"]["creation_date"], after["vminfo"]["vnc_password"])
    assert before["start_date"] < after["vminfo"]["start_date"]


IMPOSSIBLE_RESTARTS = [
    ({"instance_id": UNKNOWN_ID}, "Not found"),
    ({}, "invalid request: instance_id: is required"),
    ({"instance_id": INSTANCE, "usb_device": "toaster"}, "No free USB device toaster"),
    (
        {"instance_id": INSTANCE, "usb_device": 1},
        "json: cannot unmarshal number into Go struct field RestartBody.usb_device of",
    ),
]


@pytest.mark.parametrize(("fields", "message"), IMPOSSIBLE_RESTARTS)
def test_an_impossible_restart_is_refused(fields: dict[str, Any], message: str) -> None:
    """An unknown instance, or a wrong or taken USB device, is refused with the reason, and nothing changes."""
    api = default_api(NEW)
    before = api.dump()
    envelope = api.envelope("POST", "rpc/vm/restart", fields)

    assert "FAIL" == envelope["status"]
    assert envelope["message"].startswith(message)
    assert before == api.dump()


def test_blank_fields_of_a_restart_are_ignored() -> None:
    """A restart with blank fields does the same as one without them."""
    with_blanks, plain = default_api(NEW), default_api(NEW)
    with_blanks.perform("POST", "rpc/vm/restart", {"instance_id": INSTANCE, "usb_device": "", "vnc_password": ""})
    plain.perform("POST", "rpc/vm/restart", {"instance_id": INSTANCE})

    assert plain.dump() == with_blanks.dump()
