"""Which requests a rule matches, and how often it fires."""

from __future__ import annotations

import pytest

import mockanka
from mockanka.testing.anka import Anka
from tests.server.http_client import (
    STATUS,
    VM,
    connect,
    read_response,
    send_request,
)
from tests.server.response_faults.helpers import rule_counts, seeded, statuses


def test_a_rule_skips_and_then_fires_so_often(anka: Anka) -> None:
    """With skip 2 and times 3 it fires at the third, fourth and fifth request; matches and hits are counted."""
    id = anka.faults.add(do={"status": 503}, skip=2, times=3)

    assert [200, 200, 503, 503, 503, 200, 200] == statuses(anka, 7)
    assert (7, 3) == rule_counts(anka, id)


def test_only_requests_that_match_are_skipped(anka: Anka) -> None:
    """Other requests do not count as skipped."""
    id = anka.faults.add(match={"path": STATUS}, do={"status": 503}, skip=1)

    assert [200, 200] == statuses(anka, 2)
    assert [200, 503] == statuses(anka, 2, STATUS)
    assert (2, 1) == rule_counts(anka, id)


def test_a_rule_fires_with_its_probability_by_the_seed() -> None:
    """Of 60 requests it fires at some, at the same ones with the same seed."""

    def fired(seed: int, own: int | None = None) -> list[int]:
        with mockanka.serve("default", clock="manual", seed=seed) as anka:
            id = anka.faults.add(do={"status": 503}, probability=0.5, **seeded(own))
            answered = statuses(anka, 60)
            assert (60, answered.count(503)) == rule_counts(anka, id)
            return answered

    assert fired(1) == fired(1)
    assert fired(1) != fired(2)
    assert fired(1, own=9) == fired(2, own=9)
    assert 15 < fired(1).count(503) < 45


def test_rules_without_an_id_are_numbered(anka: Anka) -> None:
    """The ids are in the order of the rules, and are those that the journal names."""
    ids = [anka.faults.add(match={"path": path}, do={"status": 503}) for path in (VM, STATUS)]
    statuses(anka, 1, STATUS)

    assert ["fault-1", "fault-2"] == ids
    assert "fault-2" == anka.requests[0].fault


def test_an_id_that_is_in_use_is_refused(anka: Anka) -> None:
    """The response is a 400, and the first rule stays as it is."""
    anka.faults.add(id="taken", do={"status": 503})
    response = send_request(anka.url, "POST", "/_mock/faults", {"id": "taken", "do": {"status": 500}})

    assert (400, "application/problem+json") == response[:2]
    assert [503] == statuses(anka, 1)


def test_the_first_rule_that_fires_decides(anka: Anka) -> None:
    """The second rule does not count the request; once the first is used up the second fires."""
    first = anka.faults.add(do={"status": 501}, times=1)
    second = anka.faults.add(do={"status": 502}, skip=1)

    assert [501, 200, 502] == statuses(anka, 3)
    assert ((3, 1), (2, 1)) == (rule_counts(anka, first), rule_counts(anka, second))


@pytest.mark.parametrize(
    ("match", "matched"),
    [
        ({}, "GET vm, GET vm?id=a, POST vm, DELETE vm, GET node, GET status, GET registry/vm"),
        ({"method": "GET"}, "GET vm, GET vm?id=a, GET node, GET status, GET registry/vm"),
        ({"method": "POST"}, "POST vm"),
        ({"path": "/api/v1/vm"}, "GET vm, GET vm?id=a, POST vm, DELETE vm"),
        ({"path": "/api/v1/*vm"}, "GET vm, GET vm?id=a, POST vm, DELETE vm, GET registry/vm"),
        ({"path": "/api/*/[ns]*"}, "GET node, GET status"),
        ({"method": "DELETE", "path": "*"}, "DELETE vm"),
        ({"query": {"id": "a"}}, "GET vm?id=a"),
        ({"query": {"id": "b"}}, ""),
        ({"body": {"vmid": "x"}}, "POST vm"),
        ({"body": {"metadata": {"a": 1}}}, "POST vm"),
        ({"body": {"metadata": {"a": 2}}}, ""),
        ({"body": {"metadata": {"b": True}}}, "POST vm"),
        ({"body": {"metadata": {"b": 1}}}, ""),
        ({"body": {"id": "i"}, "method": "DELETE"}, "DELETE vm"),
    ],
)
def test_a_rule_fires_at_what_it_matches(anka: Anka, match: dict[str, object], matched: str) -> None:
    """Method, path with wildcards, parameters of the query and fields of the body must all match."""
    anka.faults.add(match=match, do={"status": 503})
    bodies = {
        "POST vm": {"vmid": "x", "count": 1, "metadata": {"a": 1, "b": True}},
        "DELETE vm": {"id": "i"},
    }
    lines = ("GET vm", "GET vm?id=a", "POST vm", "DELETE vm", "GET node", "GET status", "GET registry/vm")
    faulty = [
        line
        for line in lines
        if send_request(anka.url, line.split()[0], f"/api/v1/{line.split()[1]}", bodies.get(line)).status == 503
    ]

    assert [line for line in matched.split(", ") if line] == faulty


@pytest.mark.parametrize("body", [b"", b"no json", b"[1]", b'"x"', b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_not_an_object_matches_no_rule_for_bodies(anka: Anka, body: bytes) -> None:
    """A rule that matches fields of the body ignores bodies without fields."""
    id = anka.faults.add(match={"body": {"a": 1}}, do={"status": 503})
    with connect(anka.url) as connection:
        connection.request("POST", VM, body)
        response = read_response(connection)

    assert "FAIL" == response.json["status"]
    assert (0, 0) == rule_counts(anka, id)


def test_no_rule_matches_the_control_api(anka: Anka) -> None:
    """A rule for all requests does not match those under /_mock."""
    id = anka.faults.add(do={"status": 503})

    assert 200 == send_request(anka.url, target="/_mock/health").status
    assert (0, 0) == rule_counts(anka, id)


def test_a_rule_matches_unknown_paths_too(anka: Anka) -> None:
    """A rule for all requests also matches paths that the controller does not have."""
    anka.faults.add(do={"status": 503})

    assert [503] == statuses(anka, 1, "/nowhere")
