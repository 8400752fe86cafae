"""A restart of the controller as clients see it: by each clock, on one port and on two."""

from __future__ import annotations

import json
from contextlib import closing

import requests

import mockanka
from mockanka.testing.anka import Anka
from tests.server.http_client import (
    STATUS,
    VM,
    open_socket,
    receive_all,
    refuses_connections,
    request_bytes,
    wait_until,
)
from tests.server.response_faults.helpers import lose_response

UPGRADE = {"restart": {"for": "10s", "release": "1.51.2"}, "after": "2m"}


def version(anka: Anka) -> str:
    return str(requests.get(anka.url + STATUS, timeout=5).json()["body"]["version"])


def test_requests_are_broken_off_until_a_manual_clock_has_moved_on(anka: Anka) -> None:
    """Each request loses its connection; afterwards another release shows the instances of the former one."""
    before = [item["instance_id"] for item in requests.get(anka.url + VM, timeout=5).json()["body"]]
    anka.faults.add(match={"event": "begin"}, do=UPGRADE)
    assert version(anka).startswith("1.50.1")
    anka.clock.advance("2m")
    lose_response(anka.url)
    lose_response(anka.url)
    anka.clock.advance("9s")
    lose_response(anka.url)
    anka.clock.advance("1s")

    assert version(anka).startswith("1.51.2")
    assert before == [item["instance_id"] for item in requests.get(anka.url + VM, timeout=5).json()["body"]]
    assert ["refused"] * 3 == [request.outcome for request in anka.requests if request.outcome]
    assert [None] * 3 == [request.status for request in anka.requests if request.outcome]


def test_a_request_while_the_controller_is_down_starts_nothing(anka: Anka) -> None:
    """A start that is broken off is no instance and no finding."""
    template = next(iter(anka.templates))
    anka.faults.add(match={"event": "begin"}, do={"restart": {"for": "10s"}})
    count = len(anka.instances)
    with closing(open_socket(anka.url)) as connection:
        connection.sendall(request_bytes("POST", VM, json.dumps({"vmid": template}).encode()))
        assert b"" == receive_all(connection)[0]

    assert count == len(anka.instances)
    anka.clock.advance("10s")
    assert 200 == requests.post(anka.url + VM, json={"vmid": template}, timeout=5).status_code


def test_a_stepping_clock_moves_with_the_requests_that_are_broken_off() -> None:
    """A client that tries again gets an answer after as many steps as the controller is down."""
    with mockanka.serve("default", clock="step", step="5s") as anka:
        anka.faults.add(match={"event": "begin"}, do={"restart": {"for": "12s"}})
        lose_response(anka.url)
        lose_response(anka.url)

        assert version(anka).startswith("1.50.1")


def test_connections_are_refused_by_a_real_clock(real_time_anka: Anka) -> None:
    """The first request is broken off; then connections are refused until the controller is up again."""
    real_time_anka.faults.add(match={"event": "begin"}, do={"restart": {"for": "3s"}})
    lose_response(real_time_anka.url)
    was_refused = refuses_connections(real_time_anka.url)
    wait_until(lambda: not refuses_connections(real_time_anka.url))

    assert was_refused
    assert version(real_time_anka).startswith("1.50.1")


def test_a_clock_that_is_moved_on_ends_the_refusal(real_time_anka: Anka) -> None:
    """Connections are accepted as soon as the controller is up, however the time came."""
    real_time_anka.faults.add(match={"event": "begin"}, do={"restart": {"for": "10m"}})
    lose_response(real_time_anka.url)
    real_time_anka.clock.advance("10m")
    wait_until(lambda: not refuses_connections(real_time_anka.url))

    assert version(real_time_anka).startswith("1.50.1")


def test_a_reset_ends_the_downtime(anka: Anka) -> None:
    """The scenario begins anew with a controller that is up, and with its own release."""
    anka.faults.add(match={"event": "begin"}, do={"restart": {"for": "10s", "release": "1.51.2"}})
    lose_response(anka.url)
    anka.reset()

    assert version(anka).startswith("1.50.1")


def test_a_dump_of_a_controller_that_is_down_is_down(anka: Anka) -> None:
    """Loaded, it answers nothing until its time is over, and then as the other release."""
    anka.faults.add(match={"event": "begin"}, do={"restart": {"for": "10s", "release": "1.51.2"}})
    anka.load(anka.dump())
    lose_response(anka.url)
    anka.clock.advance("10s")

    assert version(anka).startswith("1.51.2")
