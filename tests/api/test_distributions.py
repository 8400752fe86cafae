"""Distributions of templates to nodes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.client import (
    GROUP,
    NEW,
    NODE,
    OTHER_NODE,
    OTHER_TEMPLATE,
    RELEASES,
    TEMPLATE,
    UNKNOWN_ID,
    ApiClient,
    default_api,
)
from tests.controllers import pass_time, shipped

DONE = b'{"status":"OK","message":""}\n'


def test_a_distribution_is_followed_by_its_request_id() -> None:
    """POST answers with the id of the distribution; GET shows the request and the progress of each node."""
    api = ApiClient(shipped("default"))
    created = api.perform("POST", "registry/vm/distribute", {"template_id": OTHER_TEMPLATE})
    distribution = api.get("registry/vm/distribute", f"id={created['request_id']}")

    assert list(created) == ["request_id"]
    assert list(distribution) == ["request", "distribute_status"]
    assert {
        "request_id": created["request_id"],
        "template_id": OTHER_TEMPLATE,
        "time_requested": "2024-01-01T00:00:00Z",
    } == distribution["request"]
    assert list(distribution["request"]) == ["request_id", "template_id", "time_requested"]
    assert sorted([NODE, OTHER_NODE]) == list(distribution["distribute_status"])
    assert [distribution] == api.get("registry/vm/distribute")


def test_the_progress_of_a_distribution_rises_to_one() -> None:
    """Each node's progress goes from 0 to 1; its status is true only when it has everything."""
    api = ApiClient(shipped("default"))
    created = api.perform("POST", "registry/vm/distribute", {"template_id": OTHER_TEMPLATE, "node_ids": [NODE]})
    statuses = []
    for seconds in (0, 1, 32, 31, 2):
        pass_time(api.controller, seconds)
        statuses.append(api.get("registry/vm/distribute", f"id={created['request_id']}")["distribute_status"])

    expected = [(False, 0), (False, 0), (False, 0.5), (False, 0.984375), (True, 1)]
    assert [{NODE: {"status": done, "progress": progress}} for done, progress in expected] == statuses


@pytest.mark.parametrize(
    ("target", "nodes"),
    [
        ({}, [NODE, OTHER_NODE]),
        ({"node_ids": []}, [NODE, OTHER_NODE]),
        ({"node_ids": [OTHER_NODE], "tag": "", "group_id": ""}, [OTHER_NODE]),
        ({"group_id": GROUP}, [NODE]),
        ({"tag": "vanilla", "node_ids": None}, [NODE, OTHER_NODE]),
    ],
)
def test_a_distribution_goes_to_the_requested_nodes(target: dict[str, Any], nodes: list[str]) -> None:
    """Without nodes or a group a distribution goes to all nodes; blank and null mean not given."""
    api = ApiClient(shipped("default"))
    api.perform("POST", "registry/vm/distribute", {"template_id": OTHER_TEMPLATE, **target})

    assert sorted(nodes) == list(api.get("registry/vm/distribute")[0]["distribute_status"])


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"template_id": UNKNOWN_ID}, "VM not in the registry"),
        ({"tag": "nope"}, "No such tag nope"),
        ({"version": 9}, "No such version 9"),
        ({"node_ids": [NODE, UNKNOWN_ID]}, f"No such node {UNKNOWN_ID}"),
        ({"group_id": UNKNOWN_ID}, f"No such group {UNKNOWN_ID}"),
    ],
)
def test_a_distribution_of_or_to_the_unknown_is_refused(release: str, changed: dict[str, Any], message: str) -> None:
    """A distribution of an unknown template or version, or to an unknown node or group, is refused."""
    api = default_api(release)
    before = api.dump()

    assert {"status": "FAIL", "message": message} == api.envelope(
        "POST", "registry/vm/distribute", {"template_id": TEMPLATE, **changed}
    )
    assert before == api.dump()


@pytest.mark.parametrize("release", RELEASES)
def test_an_unknown_distribution_is_not_found(release: str) -> None:
    """A distribution that does not exist is not found."""
    api = default_api(release)
    before = api.dump()

    assert api.envelope("GET", "registry/vm/distribute", query=f"id={UNKNOWN_ID}") == {
        "status": "FAIL",
        "message": "Not found",
    }
    assert before == api.dump()


@pytest.mark.parametrize("release", ["1.43.0", NEW])
def test_a_cancelled_distribution_stands_still(release: str) -> None:
    """Cancelling answers without a body; each node that was not done keeps its progress and has an error."""
    api = default_api(release)
    id = api.perform("POST", "registry/vm/distribute", {"template_id": OTHER_TEMPLATE})["request_id"]
    pass_time(api.controller, 30)
    before = api.get("registry/vm/distribute", f"id={id}")["distribute_status"]
    response = api.send("DELETE", "registry/vm/distribute", query=f"id={id}")
    pass_time(api.controller, 1000)
    after = api.get("registry/vm/distribute", f"id={id}")["distribute_status"]
    error = {"error": "request canceled"}

    assert (200, DONE) == (response.status_code, response.data)
    assert {id: {**status, **error} for id, status in before.items()} == after
    assert all(0 < status["progress"] < 1 and status["status"] is False for status in after.values())


@pytest.mark.parametrize(
    ("query", "message"), [("", "invalid request: query parameter id is required"), (f"id={UNKNOWN_ID}", "Not found")]
)
def test_an_unknown_distribution_is_not_cancelled(query: str, message: str) -> None:
    """Cancelling a missing or unknown id is refused, and nothing changes."""
    api = default_api(NEW)
    before = api.dump()
    envelope = api.envelope("DELETE", "registry/vm/distribute", query=query)

    assert "FAIL" == envelope["status"]
    assert envelope["message"].startswith(message)
    assert before == api.dump()
