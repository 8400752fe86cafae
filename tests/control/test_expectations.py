"""Expectations over HTTP: requests that must have been sent, and states that are waited for."""

from __future__ import annotations

import json

from mockanka.simulator.journal import Journal
from tests.control.client import ControlClient

VM = "/api/v1/vm"


def add_request(control: ControlClient, method: str, **body: object) -> None:
    """Add a request to the journal."""
    raw = json.dumps(body).encode()
    control.simulator.journal.add(method, VM, b"", raw, len(raw), [(b"x-job", b"7")])


def test_requests_that_match_are_returned(control: ControlClient) -> None:
    """An expectation that is met is answered with the requests; keys that it does not name may have any value."""
    add_request(control, "POST", tag="a", external_id="job-1")
    add_request(control, "DELETE", id="x")
    expectations = [
        {"method": "post", "body": {"tag": "a"}, "times": 1},
        {"external_id": "job-1", "path": "/api/*"},
        {"body~": "job-\\d", "header": {"X-Job": "7"}},
    ]
    answers = [control.send("POST", "requests/expect", expectation) for expectation in expectations]

    assert [200, 200, 200] == [answer.status_code for answer in answers]
    assert [[1], [1], [1]] == [[entry["number"] for entry in answer.get_json()["requests"]] for answer in answers]


def test_an_expectation_that_is_not_met_names_the_nearest_requests(control: ControlClient) -> None:
    """The problem has the nearest requests, with how each differs."""
    add_request(control, "POST", tag="a")
    add_request(control, "DELETE", id="x")
    answer = control.send("POST", "requests/expect", {"method": "POST", "body": {"tag": "b"}})
    problem = answer.get_json(force=True)

    assert 409 == answer.status_code
    assert "no request fits method='POST', body={'tag': 'b'}; the nearest are" == problem["detail"]
    assert [(1, ["body.tag: 'a', wanted 'b'"])] == [
        (nearest["request"]["number"], nearest["differences"]) for nearest in problem["nearest"]
    ]


def test_differences_have_the_names_of_the_control_api(control: ControlClient) -> None:
    """A regular expression that is not found in the body is named as it was sent; an invalid one is refused."""
    add_request(control, "POST", tag="a")
    problem = control.send("POST", "requests/expect", {"body~": "b\\d"}).get_json(force=True)
    status, detail = control.refused("POST", "requests/expect", {"body~": "("})

    assert "no request fits body~='b\\\\d'; the nearest are" == problem["detail"]
    assert ["body~: '{\"tag\": \"a\"}', wanted 'b\\\\d'"] == problem["nearest"][0]["differences"]
    assert 400 == status
    assert detail.startswith("body~ must be a regular expression")


def test_a_wrong_number_of_requests_is_not_met(control: ControlClient) -> None:
    """With ``times`` exactly so many requests must match, of those after ``since``."""
    add_request(control, "POST")
    add_request(control, "POST")

    assert 409 == control.send("POST", "requests/expect", {"method": "POST", "times": 1}).status_code
    assert 200 == control.send("POST", "requests/expect", {"method": "POST", "times": 1, "since": 1}).status_code


def test_an_instance_is_waited_for(control: ControlClient) -> None:
    """The clock advances until the instance is in the state, which the answer shows."""
    id = control.start()
    answer = control.send("POST", "wait", {"instance": id, "state": "Started"})

    assert (200, id, "Started") == (answer.status_code, answer.get_json()["id"], answer.get_json()["state"])


def test_settling_ends_what_is_in_progress_or_says_why_not(control: ControlClient) -> None:
    """Every start ends; if a fault stalls one, the problem names the fault, and the clock does not move."""
    control.start()
    settled = control.send("POST", "settle").get_json()["instances"]
    control.send("POST", "faults", {"id": "held", "match": {"event": "schedule"}, "do": {"stall": True}})
    control.start()
    before = control.now
    status, detail = control.refused("POST", "settle")

    assert {"Started"} == {instance["state"] for instance in settled}
    assert 409 == status
    assert "held" in detail
    assert before == control.now


def test_a_number_is_not_told_once_requests_were_dropped(control: ControlClient) -> None:
    """A number of requests is refused, as is that there was none, if some were dropped after ``since``."""
    control.simulator.journal = Journal(limit=0)
    for _ in range(4):
        add_request(control, "POST", tag="a")
    expectations = [
        ({"times": 1}, "3 requests were dropped from the journal"),
        ({"times": 1, "since": 2}, "1 request was dropped from the journal"),
        ({"method": "PUT", "times": 0}, "3 requests were dropped"),
        ({"method": "PUT"}, "3 requests were dropped"),
    ]
    refusals = [control.refused("POST", "requests/expect", body) for body, _ in expectations]
    fine = [control.send("POST", "requests/expect", body) for body in ({}, {"times": 1, "since": 3})]

    assert [409] * 4 == [status for status, _ in refusals]
    for (_, detail), (_, text) in zip(refusals, expectations, strict=True):
        assert detail.startswith(text), detail
    assert [200, 200] == [answer.status_code for answer in fine]
