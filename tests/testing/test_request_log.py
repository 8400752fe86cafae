"""The journal for tests: filters, expectations and comparisons."""

from __future__ import annotations

from datetime import timedelta

import pytest
import requests

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
    """Each with what was asked, when, and what was answered."""
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


def test_requests_that_got_no_answer_say_so_at_once(anka: Anka) -> None:
    """When the client finds its connection closed, the journal has no status, what became of it, and the rule."""
    rule = anka.faults.add(do={"connection": "close"})
    seen = set()
    for _ in range(20):
        with pytest.raises(requests.ConnectionError):
            send(anka, "GET")
        last = anka.requests[-1]
        seen.add((last.status, last.outcome, last.fault))

    assert {(None, "closed", rule)} == seen


def test_a_start_that_is_sent_again_at_once_is_reported(anka: Anka) -> None:
    """However soon after the closed connection the client tries again."""
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


def test_requests_are_chosen_by_what_they_have(anka: Anka) -> None:
    """``where`` takes what must be there, among whatever else; a path may have stars; choices can be chosen from."""
    start(anka, tag="vanilla", name="a")
    start(anka, name="b")
    send(anka, "GET", "node")
    found = anka.requests

    assert [1, 2] == [each.number for each in found.where(method="POST")]
    assert [1] == [each.number for each in found.where(method="POST").where(body={"tag": "vanilla"})]
    assert [3] == [each.number for each in found.where(path="/api/*/node", status=200)]
    assert [] == found.where(method="DELETE")
    assert "no requests" == str(found.where(method="DELETE"))
    with pytest.raises(TypeError, match="a request has no 'verb', it has number, at, method"):
        found.where(verb="GET")


def test_requests_about_an_instance_are_those_that_started_or_named_it(anka: Anka) -> None:
    """And no others."""
    id, _ = start(anka), start(anka)
    send(anka, "GET")
    send(anka, "GET", params={"id": id})
    send(anka, "DELETE", json={"id": id})

    assert [1, 4, 5] == [each.number for each in anka.requests.about(id)]


def test_the_story_of_an_instance_has_the_requests_that_touched_it(anka: Anka) -> None:
    """Its start, and each that named it, in a query or in a body, and no others; also when it is gone."""
    id, _ = start(anka), start(anka)
    send(anka, "GET")
    send(anka, "GET", params={"id": id})
    send(anka, "PUT", params={"id": id}, json={"name": "mine"})
    send(anka, "DELETE", json={"id": id})
    anka.clock.advance("10m")
    story = requests.get(f"{anka.url}/_mock/instances/{id}", timeout=TIMEOUT).json()

    expected = [(1, "POST"), (4, "GET"), (5, "PUT"), (6, "DELETE")]
    assert expected == [(each["number"], each["method"]) for each in story["requests"]]
    assert expected == [(each.number, each.method) for each in anka.requests.about(id)]


def test_expect_returns_those_that_fit(anka: Anka) -> None:
    """Any number, or as many as are expected."""
    send(anka, "GET")
    send(anka, "GET")

    assert [1, 2] == [each.number for each in anka.requests.expect(method="GET")]
    assert [1, 2] == [each.number for each in anka.requests.expect(times=2, method="GET")]
    assert [] == anka.requests.expect(times=0, method="POST")


def test_expect_names_the_nearest_first(anka: Anka) -> None:
    """An AssertionError with what is different in those that come nearest, three at most."""
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
    """Each key of the body counts, also where there is no body; by expect and by ``in``."""
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


@pytest.mark.parametrize("there", [None, "text", [1]])
def test_what_is_no_object_lacks_all_keys(anka: Anka, there: object) -> None:
    """A body that is nothing, text or a list is as far away as it has keys to have."""
    send(anka, "POST", json=there)
    wanted = {"body": {"a": {"b": 1, "c": 2}, "d": 3}}

    assert [3, 1] == [distance(each, anka.requests[0]) for each in (wanted, {"body": {}})]
    assert 0 == distance({"method": "POST", "path": "/api/*"}, anka.requests[0])


def test_expect_counts(anka: Anka) -> None:
    """Too many and too few both fail, and how many there are is told."""
    with pytest.raises(AssertionError, match=r"^no request fits method='GET'; the nearest are\nthere were no requests"):
        anka.requests.expect(method="GET")
    send(anka, "GET")
    with pytest.raises(AssertionError, match=r"^1 request fits method='GET', where 2 are expected; the nearest are\n"):
        anka.requests.expect(times=2, method="GET")
    with pytest.raises(AssertionError, match=r"^1 request fits method='GET', where 0 are expected"):
        anka.requests.expect(times=0, method="GET")


def test_a_mapping_is_in_the_requests_if_one_fits(anka: Anka) -> None:
    """What is named must be there; what is no key of a request is a TypeError."""
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


def test_requests_equal_a_list_of_mappings_that_fit_in_order(anka: Anka) -> None:
    """As many, each fitting; from either side."""
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
    """What an assertion on ``in`` shows when it fails."""
    send(anka, "GET", "node")
    send(anka, "GET", "vm")
    lines = explain("in", {"method": "GET", "path": "/api/v1/vm", "status": 404}, anka.requests)

    assert lines is not None
    assert "no request fits {'method': 'GET', 'path': '/api/v1/vm', 'status': 404}" == lines[0]
    assert lines[1].startswith("  #2 ")
    assert "      status: 200, wanted 404" == lines[2]
    assert ["  and 1 more"] == lines[3:]


def test_explain_names_the_first_request_that_is_not_as_expected(anka: Anka) -> None:
    """From either side; and how many there are where the number is another."""
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


def test_explain_lays_side_by_side_what_fits(anka: Anka) -> None:
    """One too many at the front, or one too few, hides nothing of the rest; the nearest stand opposite each other."""
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
    """However many there are, and quickly."""
    for _ in range(5):
        send(anka, "GET")
    few, many = (explain("==", Requests(list(anka.requests) * times), []) for times in (1, 400))

    assert few is not None
    assert many is not None
    assert ("  and 2 more differences", "  and more differences") == (few[-1], many[-1])
    assert [6, 6] == [len(few), len(many)]


def test_explain_leaves_other_comparisons_alone(anka: Anka) -> None:
    """What is no comparison with requests is none of its business."""
    assert explain("!=", anka.requests, []) is None
    assert explain("in", 1, anka.requests) is None
    assert explain("==", [], []) is None


def test_clearing_the_requests_clears_the_journal(anka: Anka) -> None:
    """A choice that is cleared leaves the journal alone; numbers go on."""
    send(anka, "GET")
    found = anka.requests
    found.where(method="GET").clear()
    left_alone = len(anka.requests)
    found.clear()
    send(anka, "GET")

    assert 1 == left_alone
    assert [] == found
    assert [2] == [each.number for each in anka.requests]


def test_the_commands_of_a_test_stand_not_in_the_journal(anka: Anka) -> None:
    """Only what comes over HTTP is a request, and the control API is none."""
    anka.settle()
    requests.get(f"{anka.url}/_mock/clock", timeout=TIMEOUT)

    assert [] == anka.requests
