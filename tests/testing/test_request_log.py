"""The journal for tests: filters, expectations and comparisons."""

from __future__ import annotations

from datetime import timedelta

import pytest
import requests

import mockanka
from mockanka.testing.anka import Anka
from mockanka.testing.request_log import Requests, distance, explain
from tests.testing.controller import (
    START,
    TEMPLATE,
    TIMEOUT,
    send,
    start,
)


def test_requests_are_kept_newest_last(anka: Anka) -> None:
    """Each has its method, path, query, body, time and response."""
    anka.clock.advance("5s")
    id = start(anka, tag="vanilla")
    send(anka, "GET", params={"id": id})
    first, second = anka.requests

    assert ("POST", "/api/v1/vm", {}, 200) == (first.method, first.path, first.query, first.status)
    assert {"vmid": anka.templates[TEMPLATE].id, "tag": "vanilla"} == first.body
    assert [id] == first.answer["body"]
    assert ("GET", {"id": id}, None) == (second.method, second.query, second.body)
    assert START + timedelta(seconds=5) == first.at
    assert (1, 2) == (first.number, second.number)
    assert 0 < first.seconds < TIMEOUT
    assert str(first).startswith("#1 2024-01-01T00:00:05Z POST /api/v1/vm {")


def test_requests_without_a_response_are_in_the_journal_at_once(anka: Anka) -> None:
    """When the client's connection is closed, the journal has the request without status, and the rule that fired."""
    rule = anka.faults.add(do={"connection": "close"})
    seen = set()
    for _ in range(20):
        with pytest.raises(requests.ConnectionError):
            send(anka, "GET")
        last = anka.requests[-1]
        seen.add((last.status, last.outcome, last.fault))

    assert {(None, "closed", rule)} == seen


def test_a_start_that_is_sent_again_at_once_is_reported(anka: Anka) -> None:
    """The finding does not depend on how soon the client retries after the closed connection."""
    body = {"vmid": anka.templates[TEMPLATE].id, "external_id": "job-1"}
    found = []
    for _ in range(10):
        anka.reset()
        anka.faults.add(match={"method": "POST"}, do={"connection": "close", "acts": True}, times=1)
        with pytest.raises(requests.ConnectionError):
            send(anka, "POST", json=body)
        send(anka, "POST", json=body)
        found.append(len(anka.report().of_kinds(["retried-starts"])))

    assert [1] * 10 == found


def test_requests_are_filtered_by_their_values(anka: Anka) -> None:
    """``where`` compares the named values; a path may have stars, a body more keys, and filters can be chained."""
    start(anka, tag="vanilla", name="a")
    start(anka, name="b")
    send(anka, "GET", "node")
    found = anka.requests

    assert [1, 2] == [request.number for request in found.where(method="POST")]
    assert [1] == [request.number for request in found.where(method="POST").where(body={"tag": "vanilla"})]
    assert [3] == [request.number for request in found.where(path="/api/*/node", status=200)]
    assert [] == found.where(method="DELETE")
    assert "no requests" == str(found.where(method="DELETE"))
    with pytest.raises(TypeError, match="a request has no 'verb', it has number, at, method"):
        found.where(verb="GET")


def test_requests_about_an_instance_are_those_that_started_or_named_it(anka: Anka) -> None:
    """``about`` returns these and no others."""
    id, _ = start(anka), start(anka)
    send(anka, "GET")
    send(anka, "GET", params={"id": id})
    send(anka, "DELETE", json={"id": id})

    assert [1, 4, 5] == [request.number for request in anka.requests.about(id)]


def test_the_timeline_of_an_instance_has_its_requests(anka: Anka) -> None:
    """It has the start, and each request with its id in a query or a body; also when the instance is forgotten."""
    id, _ = start(anka), start(anka)
    send(anka, "GET")
    send(anka, "GET", params={"id": id})
    send(anka, "PUT", params={"id": id}, json={"name": "mine"})
    send(anka, "DELETE", json={"id": id})
    anka.clock.advance("10m")
    story = requests.get(f"{anka.url}/_mock/instances/{id}", timeout=TIMEOUT).json()

    expected = [(1, "POST"), (4, "GET"), (5, "PUT"), (6, "DELETE")]
    assert expected == [(request["number"], request["method"]) for request in story["requests"]]
    assert expected == [(request.number, request.method) for request in anka.requests.about(id)]


def test_expect_returns_the_matching_requests(anka: Anka) -> None:
    """It takes any number, or exactly as many as are expected."""
    send(anka, "GET")
    send(anka, "GET")

    assert [1, 2] == [request.number for request in anka.requests.expect(method="GET")]
    assert [1, 2] == [request.number for request in anka.requests.expect(times=2, method="GET")]
    assert [] == anka.requests.expect(times=0, method="POST")


def test_expect_names_the_nearest_first(anka: Anka) -> None:
    """The AssertionError has the differences of the nearest requests, three at most."""
    for path in ("node", "vm", "registry/vm", "status"):
        send(anka, "GET", path)
    start(anka, tag="vanilla")
    with pytest.raises(AssertionError) as caught:
        anka.requests.expect(method="POST", path="/api/v1/vm", body={"tag": "xcode-15"})
    lines = str(caught.value).splitlines()

    assert ("no request fits method='POST', path='/api/v1/vm', body={'tag': 'xcode-15'}; the nearest are") == lines[0]
    assert lines[1].startswith("  #5 ")
    assert "      body.tag: 'vanilla', wanted 'xcode-15'" == lines[2]
    assert ["  and 4 more"] == lines[3:]


def test_a_request_without_a_body_is_not_nearer_than_one_whose_body_is_wrong(anka: Anka) -> None:
    """Each key of the body counts, also where there is no body, by ``expect`` and by ``in``."""
    start(anka, tag="vanilla", external_id="a")
    send(anka, "GET")
    wanted = {"method": "POST", "path": "/api/v1/vm", "body": {"vmid": "q", "tag": "v2", "external_id": "z"}}
    with pytest.raises(AssertionError) as caught:
        anka.requests.expect(**wanted)
    explained = explain("in", wanted, anka.requests)

    assert explained is not None
    for lines in (str(caught.value).splitlines(), explained):
        assert lines[1].startswith("  #1 ")
        assert ["body.vmid", "body.tag", "body.external_id"] == [line.split(":")[0].strip() for line in lines[2:5]]


@pytest.mark.parametrize("body", [None, "text", [1]])
def test_a_body_that_is_no_object_lacks_all_keys(anka: Anka, body: object) -> None:
    """The distance of a body that is nothing, text or a list is the number of expected keys."""
    send(anka, "POST", json=body)
    wanted = {"body": {"a": {"b": 1, "c": 2}, "d": 3}}

    assert [3, 1] == [distance(expected, anka.requests[0]) for expected in (wanted, {"body": {}})]
    assert 0 == distance({"method": "POST", "path": "/api/*"}, anka.requests[0])


def test_expect_counts(anka: Anka) -> None:
    """Too many and too few both fail, and the message has the number."""
    with pytest.raises(AssertionError, match=r"^no request fits method='GET'; the nearest are\nthere were no requests"):
        anka.requests.expect(method="GET")
    send(anka, "GET")
    with pytest.raises(AssertionError, match=r"^1 request fits method='GET', where 2 are expected; the nearest are\n"):
        anka.requests.expect(times=2, method="GET")
    with pytest.raises(AssertionError, match=r"^1 request fits method='GET', where 0 are expected"):
        anka.requests.expect(times=0, method="GET")


def test_a_mapping_is_in_the_requests_if_it_matches_a_request(anka: Anka) -> None:
    """The named values are compared; a key that a request does not have is a TypeError."""
    start(anka, tag="vanilla")
    found = anka.requests

    assert {"method": "POST", "body": {"tag": "vanilla"}} in found
    assert {"method": "POST", "body": {"tag": "xcode-15"}} not in found
    assert {"method": "POST", "body": {"tag": None}} not in found
    assert {"body": {"name": None}} not in found
    assert {"path": "/api/*"} in found
    assert found[0] in found
    assert "POST" not in found
    with pytest.raises(TypeError, match="a request has no 'Method'"):
        assert {"Method": "POST"} in found


def test_requests_equal_a_list_of_matching_mappings(anka: Anka) -> None:
    """The list has the same length and order; it may stand on either side."""
    id = start(anka)
    send(anka, "GET", params={"id": id})
    found = anka.requests

    assert found == [{"method": "POST"}, {"method": "GET", "query": {"id": id}}]
    assert [{"method": "POST"}, {"method": "GET"}] == found
    assert found != [{"method": "GET"}, {"method": "POST"}]
    assert found != [{"method": "POST"}]
    assert found == anka.requests
    assert found == list(found)
    assert anka.requests.where(method="PUT") == []
    with pytest.raises(TypeError, match="unhashable"):
        hash(found)


def test_explain_names_the_nearest_of_what_is_not_in_the_requests(anka: Anka) -> None:
    """A failed assertion on ``in`` shows this text."""
    send(anka, "GET", "node")
    send(anka, "GET", "vm")
    lines = explain("in", {"method": "GET", "path": "/api/v1/vm", "status": 404}, anka.requests)

    assert lines is not None
    assert "no request fits {'method': 'GET', 'path': '/api/v1/vm', 'status': 404}" == lines[0]
    assert lines[1].startswith("  #2 ")
    assert "      status: 200, wanted 404" == lines[2]
    assert ["  and 1 more"] == lines[3:]


def test_explain_names_the_first_request_that_is_not_as_expected(anka: Anka) -> None:
    """The list may stand on either side; the numbers are named if they differ."""
    send(anka, "GET", "node")
    send(anka, "GET", "vm")
    found = anka.requests
    wanted = [{"path": "/api/v1/node"}, {"path": "/api/v1/usb"}]
    lines = explain("==", found, wanted)

    assert lines is not None
    assert lines == explain("==", wanted, found)
    assert ["the requests are not as expected", "request 1 is not as expected:"] == lines[:2]
    assert "      path: '/api/v1/vm', wanted '/api/v1/usb'" == lines[3]
    assert [
        "the requests are not as expected",
        "2 requests, where 1 are expected",
        f"  more than expected: {found[1]}",
    ] == explain("==", found, wanted[:1])
    assert [
        "the requests are not as expected",
        "2 requests, where 3 are expected",
        "  missing: {'status': 200}",
    ] == explain("==", found, [{}, {}, {"status": 200}])


def test_explain_aligns_matching_requests(anka: Anka) -> None:
    """An additional or a missing request hides no other difference; the nearest are compared with each other."""
    for path in ("status", "node", "vm", "usb"):
        send(anka, "GET", path)
    found = anka.requests
    node, vm, usb = ({"path": f"/api/v1/{path}"} for path in ("node", "vm", "usb"))
    head = "the requests are not as expected"

    assert [head, "4 requests, where 3 are expected", f"  more than expected: {found[0]}"] == explain(
        "==", found, [node, vm, usb]
    )
    assert [
        head,
        "3 requests, where 2 are expected",
        f"  more than expected: {found[0]}",
        "request 2 is not as expected:",
        f"  {found[2]}",
        "      status: 200, wanted 500",
    ] == explain("==", found[:3], [node, {**vm, "status": 500}])
    assert [
        head,
        "2 requests, where 1 are expected",
        f"  more than expected: {found[0]}",
        "request 1 is not as expected:",
        f"  {found[1]}",
        "      status: 200, wanted 500",
    ] == explain("==", found[:2], [{**node, "status": 500}])
    assert [head, "2 requests, where 3 are expected", f"  missing: {node!r}"] == explain(
        "==", found[2:], [node, vm, usb]
    )
    assert [head, "  missing: {'method': 'PUT'}", f"  more than expected: {found[3]}"] == explain(
        "==", found, [{"method": "PUT"}, {"path": "/api/v1/status"}, node, vm]
    )


def test_explain_names_three_differences_and_counts_the_rest(anka: Anka) -> None:
    """The text stays short, and is made quickly, for many requests."""
    for _ in range(5):
        send(anka, "GET")
    few, many = (explain("==", Requests(list(anka.requests) * times), []) for times in (1, 400))

    assert few is not None
    assert many is not None
    assert ("  and 2 more differences", "  and more differences") == (few[-1], many[-1])
    assert [6, 6] == [len(few), len(many)]


def test_explain_leaves_other_comparisons_alone(anka: Anka) -> None:
    """A comparison without requests is not explained."""
    assert explain("!=", anka.requests, []) is None
    assert explain("in", 1, anka.requests) is None
    assert explain("==", [], []) is None


def test_clearing_the_requests_clears_the_journal(anka: Anka) -> None:
    """Clearing filtered requests leaves the journal as it is; numbers continue."""
    send(anka, "GET")
    found = anka.requests
    found.where(method="GET").clear()
    left_alone = len(anka.requests)
    found.clear()
    send(anka, "GET")

    assert 1 == left_alone
    assert [] == found
    assert [2] == [request.number for request in anka.requests]


def test_commands_of_a_test_are_not_in_the_journal(anka: Anka) -> None:
    """Only requests to the API over HTTP are, and those to the control API are not."""
    anka.settle()
    requests.get(f"{anka.url}/_mock/clock", timeout=TIMEOUT)

    assert [] == anka.requests


def test_what_dropped_requests_leave_open_fails() -> None:
    """Numbers, absence and equality fail and name the dropped requests; what was found, or the last ones, do not."""
    with mockanka.serve("default", clock="manual", journal_limit=0) as anka:
        for _ in range(4):
            send(anka, "GET")
        kept = anka.requests
        failures: list[str] = []
        for check in (
            lambda: kept.expect(times=1),
            lambda: kept.where(method="GET").expect(times=1),
            lambda: kept[0:].expect(times=1),
            lambda: kept.about("x").expect(times=0),
            lambda: kept.expect(method="PUT"),
            lambda: {"method": "PUT"} in kept,
        ):
            with pytest.raises(AssertionError) as raised:
                check()
            failures.append(str(raised.value))
        last = kept[-1:].expect(times=1)
        anka.requests.clear()
        send(anka, "GET")
        anka.requests.expect(method="GET", times=1)

    assert all(text.startswith("3 requests were dropped from the journal") for text in failures), failures
    assert (1, 3, "<1 request, 3 dropped>") == (len(kept), kept.dropped, repr(kept))
    assert ("GET", True) == (last[0].method, {"method": "GET"} in kept)
    assert kept != [{"method": "GET"}]
    assert "3 requests were dropped" in "\n".join(explain("==", kept, [{"method": "GET"}]) or [])
