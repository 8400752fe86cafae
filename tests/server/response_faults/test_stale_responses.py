"""Stale: responses that repeat the last one."""

from __future__ import annotations

import http.client
from typing import Any

import pytest

import mockanka
from mockanka.testing.anka import Anka
from tests.server.http_client import (
    VM,
    count_instances,
    send_request,
    start_instance,
)


def test_a_stale_response_repeats_the_last_one(anka: Anka) -> None:
    """The list is the one of the request before, without the instance that was started since."""
    last = send_request(anka.url)
    start_instance(anka.url)
    anka.faults.add(match={"method": "GET", "path": VM}, do={"stale": True}, times=1)

    assert last == send_request(anka.url)
    assert 2 == count_instances(anka.url)


def test_a_response_of_an_age_is_repeated(anka: Anka) -> None:
    """The list is the newest one that is ten seconds old, also as time goes on; before that it is the present one."""
    anka.faults.add(match={"method": "GET", "path": VM}, do={"stale": "10s"})
    counts = []
    for _ in range(8):
        counts.append(count_instances(anka.url))
        start_instance(anka.url)
        anka.clock.advance("4s")

    assert [1, 2, 3, 1, 2, 3, 4, 5] == counts


def test_the_first_response_is_never_stale(anka: Anka) -> None:
    """The first request for a path gets the present state; the second gets the same again."""
    anka.faults.add(match={"method": "GET", "path": VM}, do={"stale": True})
    first = send_request(anka.url)
    anka.faults.add(id="other", match={"method": "POST"}, do={"content_type": "application/json"})
    start_instance(anka.url)

    assert 1 == len(first.json["body"])
    assert first == send_request(anka.url)
    assert 2 == len(anka.instances)


def test_the_last_response_is_that_of_the_same_path_and_query(anka: Anka) -> None:
    """The list and another id have last responses of their own."""
    id = next(iter(anka.instances))
    last = send_request(anka.url, target=f"{VM}?id={id}")
    started = start_instance(anka.url).json["body"][0]
    anka.faults.add(match={"method": "GET", "path": VM}, do={"stale": True})

    assert 2 == count_instances(anka.url)
    assert last == send_request(anka.url, target=f"{VM}?id={id}")
    assert "Scheduling" == send_request(anka.url, target=f"{VM}?id={started}").json["body"]["instance_state"]


def test_a_reset_forgets_the_last_responses(anka: Anka) -> None:
    """A response from before a reset is never repeated after it."""
    start_instance(anka.url)
    send_request(anka.url)
    anka.reset()
    anka.faults.add(do={"stale": True})

    assert 1 == count_instances(anka.url)


def test_a_response_that_was_not_sent_is_not_repeated(anka: Anka) -> None:
    """A response that a broken connection lost is not the last one."""
    send_request(anka.url)
    start_instance(anka.url)
    anka.faults.add(match={"path": VM}, do={"connection": "close"}, times=1)
    with pytest.raises(http.client.RemoteDisconnected):
        send_request(anka.url)
    anka.faults.add(match={"path": VM}, do={"stale": True})

    assert 1 == count_instances(anka.url)


def test_a_rule_fires_only_when_there_is_a_last_response(anka: Anka) -> None:
    """The first GET does not use up the rule; the second gets the response of the first, and the journal says so."""
    anka.faults.add(match={"path": VM}, do={"stale": True}, times=1)
    first = send_request(anka.url)
    start_instance(anka.url)
    second, third = send_request(anka.url), send_request(anka.url)

    assert first.body == second.body != third.body
    assert ["", "stale", ""] == [request.outcome for request in anka.requests.where(method="GET", path=VM)]


@pytest.mark.parametrize("rule", [{"match": {"method": "POST"}, "do": {"stale": True}}, {"do": {"status": 99}}])
def test_a_rule_that_cannot_be_applied_is_refused(anka: Anka, rule: dict[str, Any]) -> None:
    """Only the response to a GET can be stale, and a status must be one of HTTP's."""
    with pytest.raises(mockanka.ScenarioError):
        anka.faults.add(**rule)

    assert 0 == len(anka.faults)
