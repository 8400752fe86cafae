"""Faults that public clients of the controller had: the situations that tripped their old logic can be made.

Each test names the commit or issue by which the client was mended.
"""

from __future__ import annotations

import pytest
import requests

from mockanka.testing.anka import Anka
from tests.reports.api_client import (
    TEMPLATE,
    VM,
    finding_kinds,
    list_instances,
    list_names,
    listed,
    send,
    show,
    start,
    terminate,
)

pytestmark = pytest.mark.anka(clock="manual")
GROUP = "/api/v1/group"


@pytest.mark.parametrize(
    "has_name",
    [
        pytest.param(False, marks=pytest.mark.anka(release="1.48.0")),
        pytest.param(True, marks=pytest.mark.anka(release="1.49.0")),
    ],
)
def test_an_errored_instance_has_no_name_of_its_vm_before_1_49(anka: Anka, has_name: bool) -> None:
    """Clients read the name of each in the list (jenkins a16c024, CLOUD-1622; teamcity 942c1ca, CLOUD-1623)."""
    id = start(anka)
    anka.wait(id, "Started")
    anka.fail(id, "no VM")

    assert has_name is ("name" in listed(anka, id)["vminfo"])


@pytest.mark.anka(release="1.50.1")
def test_an_instance_that_was_started_without_an_external_id_has_none(anka: Anka) -> None:
    """A client compared the external_id of all instances with its own (teamcity 969764b, CLOUD-1642)."""
    without, with_one = start(anka), start(anka, external_id="job")

    assert "external_id" not in listed(anka, without)
    assert "job" == listed(anka, with_one)["external_id"]


def test_a_client_that_gives_up_at_the_first_miss_leaves_an_instance(anka: Anka) -> None:
    """A new instance is missing from the list for a while, and nobody terminates it (jenkins 4c6957d, #76)."""
    anka.faults.add(match={"event": "schedule"}, do={"vanish": True, "for": "12s"}, times=1)
    id = start(anka)
    missed = id not in [item["instance_id"] for item in list_instances(anka)]
    anka.clock.advance("1m")

    assert missed
    assert "Started" == anka.instances[id].state
    assert {"leaks"} == finding_kinds(anka)


def test_a_group_that_is_made_again_has_another_id(anka: Anka) -> None:
    """A client kept the id of a group that had been deleted (jenkins 84a5924, e38cc54)."""
    group = send(anka, "GET", GROUP).json()["body"][0]
    send(anka, "DELETE", GROUP, params={"id": group["id"]})
    send(anka, "POST", GROUP, json={"name": group["name"]})
    response = send(anka, "POST", VM, json={"vmid": TEMPLATE, "group_id": group["id"]})

    assert group["name"] in list_names(anka, GROUP, "name")
    assert group["id"] not in list_names(anka, GROUP, "id")
    assert (400, "FAIL") == (response.status_code, response.json()["status"])


def test_a_start_that_is_forbidden_is_refused_each_time(anka: Anka) -> None:
    """A client repeated what no repetition could mend (jenkins 628bb3b, CLOUD-1509)."""
    anka.faults.add(match={"method": "POST", "path": VM}, do={"fail": "Not authorized", "status": 403})
    for _ in range(10):
        response = send(anka, "POST", VM, json={"vmid": TEMPLATE})

    assert {"status": "FAIL", "message": "Not authorized"} == response.json()
    anka.requests.expect(method="POST", status=403, times=10)


def test_a_controller_without_save_image_requests_answers_in_plain_text(anka: Anka) -> None:
    """A client decoded the 404 of an old controller as JSON (jenkins f34634b)."""
    do = {"status": 404, "body": "404 page not found\n", "content_type": "text/plain"}
    anka.faults.add(match={"path": "/api/v1/image"}, do=do)
    response = send(anka, "GET", "/api/v1/image")

    assert (404, "text/plain", "404 page not found\n") == (
        response.status_code,
        response.headers["Content-Type"].partition(";")[0],
        response.text,
    )


@pytest.mark.parametrize(
    "status",
    [
        pytest.param(200, marks=pytest.mark.anka(scenario="missing-tag", release="1.8.0")),
        pytest.param(400, marks=pytest.mark.anka(scenario="missing-tag")),
    ],
)
def test_a_tag_that_does_not_exist_is_a_failure_of_either_status(anka: Anka, status: int) -> None:
    """Clients fell back to the latest tag at one of the two only (jenkins 5c123a4, teamcity b95e7be)."""
    response = send(anka, "POST", VM, json={"vmid": TEMPLATE, "tag": "nightly"})

    assert (status, {"status": "FAIL", "message": "No such tag nightly"}) == (response.status_code, response.json())


def test_the_first_of_two_instances_with_one_external_id_may_be_errored(anka: Anka) -> None:
    """A client took the first that has its external_id (gitlab executor 781229e, #40)."""
    failed = start(anka, external_id="job")
    anka.wait(failed, "Started")
    anka.fail(failed, "no VM")
    started = start(anka, external_id="job")
    anka.wait(started, "Started")
    of_the_job = [item for item in list_instances(anka) if item["external_id"] == "job"]

    assert [(failed, "Error"), (started, "Started")] == [
        (item["instance_id"], item["vm"]["instance_state"]) for item in of_the_job
    ]


def test_a_start_whose_response_breaks_off_may_be_repeated(anka: Anka) -> None:
    """A client met an unexpected end and started a second instance (gitlab executor 1619d27, 21970a8)."""
    anka.faults.add(match={"method": "POST", "path": VM}, do={"cut": 10}, times=1)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        start(anka, external_id="job")
    start(anka, external_id="job")

    assert 2 == len([item for item in list_instances(anka) if item.get("external_id") == "job"])
    assert "retried-starts" in finding_kinds(anka)


def test_a_start_with_a_slash_too_many_becomes_a_get(anka: Anka) -> None:
    """A URL that ends with a slash is redirected, and the redirected request is a GET (gitlab executor 6a8cc09)."""
    response = send(anka, "POST", f"/{VM}", json={"vmid": TEMPLATE})
    (instance,) = response.json()["body"]

    assert "GET" == response.request.method
    assert "instance_id" in instance  # an item of the list, where the id of a new instance was expected
    assert 1 == len(anka.instances)


@pytest.mark.anka(release="1.21.2")
def test_no_instance_has_an_architecture_before_1_22(anka: Anka) -> None:
    """A client counted instances by architecture (anka-prometheus-exporter 229764c)."""
    start(anka)

    assert [False, False] == ["arch" in item["vm"] for item in list_instances(anka)]


def test_a_node_may_be_in_drain_mode(anka: Anka) -> None:
    """A client counted nodes by the states that it knew (anka-prometheus-exporter 51d67f0)."""
    anka.node("mini-01", "drain")

    assert ["Drain Mode", "Active"] == list_names(anka, "/api/v1/node", "state")


@pytest.mark.anka(scenario="cold-cache")
def test_the_time_in_a_state_is_not_the_time_since_the_request(anka: Anka) -> None:
    """A client measured states from cr_time (anka-prometheus-exporter a346829, 2822cb9)."""
    id = start(anka)
    anka.clock.advance("2m")
    body = show(anka, id)["body"]

    assert ("Pulling", "2024-01-01T00:00:00Z") == (body["instance_state"], body["cr_time"])
    assert body["ts"] > "2024-01-01T00:01:00Z"


@pytest.mark.anka(scenario="busy")
def test_an_instance_without_a_slot_is_scheduling_for_hours(anka: Anka) -> None:
    """A client polled without an end (drone-runner-aws b98a8fb8)."""
    id = start(anka)
    anka.clock.advance("2h")

    assert "Scheduling" == show(anka, id)["body"]["instance_state"]


@pytest.mark.anka(scenario="cold-cache")
def test_an_instance_is_pulling_after_scheduling(anka: Anka) -> None:
    """A client ended instances in a state that it did not expect (teamcity bc297af)."""
    id = start(anka)
    before = show(anka, id)["body"]["instance_state"]
    anka.clock.advance("30s")

    assert ("Scheduling", "Pulling") == (before, show(anka, id)["body"]["instance_state"])


def test_an_instance_that_is_gone_is_not_found(anka: Anka) -> None:
    """Clients took this for an error (teamcity 4fee1d2, dc2a33b; jenkins a1cca5b; cirrus f8ccf3f)."""
    id = start(anka)
    anka.settle()
    terminate(anka, id)
    anka.settle()
    anka.clock.advance("2m")

    assert {"status": "FAIL", "message": "Not found"} == show(anka, id)
    assert id not in [item["instance_id"] for item in list_instances(anka)]


def test_a_controller_may_be_away_for_one_request(anka: Anka) -> None:
    """A client failed its job at the first broken connection (gitlab-runner 9c594070f, 345b8fc4a, #35)."""
    anka.faults.add(match={"path": VM}, do={"connection": "close"}, times=1)
    with pytest.raises(requests.ConnectionError):
        list_instances(anka)

    assert 1 == len(list_instances(anka))


@pytest.mark.anka(
    scenario={
        "templates": [{"name": "base", "versions": [{"tag": "v", "size": "1GB"}]}],
        "nodes": [{"name": "mini", "capacity": 1}],
    }
)
def test_instances_of_one_priority_are_placed_in_the_order_of_their_requests(anka: Anka) -> None:
    """A client had its newest task run first (cirrus ff014e9)."""
    first, second = (start(anka, anka.templates["base"].id) for _ in range(2))
    anka.settle()

    assert ("Started", "Scheduling") == (anka.instances[first].state, anka.instances[second].state)


def test_an_instance_may_be_terminated_by_somebody_else(anka: Anka) -> None:
    """Clients waited for Started for ever (gitlab-runner cc92e44cd, anka-actions db2f93b)."""
    id = start(anka)
    anka.wait(id, "Started")
    terminate(anka, id)
    during = show(anka, id)["body"]["instance_state"]
    anka.settle()

    assert ("Terminating", "Terminated") == (during, show(anka, id)["body"]["instance_state"])
