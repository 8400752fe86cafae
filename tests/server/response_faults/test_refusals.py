"""Refuse: connections are refused for a time."""

from __future__ import annotations

import asyncio
import errno
import json
import socket
import sys
from collections.abc import Callable
from contextlib import closing
from urllib.parse import urlsplit

import pytest
import requests

import mockanka
from mockanka.scenario import Options, Scenario
from mockanka.server.http_server import Server
from mockanka.simulator.simulator import Simulator
from mockanka.testing.anka import Anka
from tests.processes import serving
from tests.server.http_client import (
    STATUS,
    TIMEOUT,
    VM,
    count_instances,
    open_socket,
    receive_all,
    refuses_connections,
    request_bytes,
    seconds_taken,
    wait_until,
)
from tests.server.response_faults.helpers import any_template, lose_response


def test_connections_are_refused_for_a_time(anka: Anka) -> None:
    """The request that matches gets no response; connections are refused until the time is over."""
    anka.faults.add(do={"refuse": "200ms"}, times=1)
    lose_response(anka.url)
    was_refused = refuses_connections(anka.url)
    waited = wait_until(lambda: not refuses_connections(anka.url))

    assert was_refused
    assert 0.1 < waited < 2
    assert 1 == count_instances(anka.url)


def test_the_time_of_a_refusal_is_scaled_by_the_speed_of_a_real_clock(real_time_anka: Anka) -> None:
    """Two seconds of a clock that runs ten times as fast are 0.2 seconds of the wall's."""
    real_time_anka.faults.add(do={"refuse": "2s"}, times=1)
    lose_response(real_time_anka.url)
    was_refused = refuses_connections(real_time_anka.url)
    waited = wait_until(lambda: not refuses_connections(real_time_anka.url))

    assert was_refused
    assert 0.1 < waited < 1.5


def test_existing_connections_break_when_connections_are_refused(anka: Anka) -> None:
    """A client that is connected, idle or in the middle of a request, loses its connection."""
    anka.faults.add(match={"path": STATUS}, do={"refuse": "1h"})
    with (
        closing(open_socket(anka.url)) as idle,
        closing(open_socket(anka.url)) as half,
        closing(open_socket(anka.url)) as matching,
    ):
        idle.sendall(request_bytes(target="/nowhere"))
        assert idle.recv(65536)
        half.sendall(b"POST /api/v1/vm HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        matching.sendall(request_bytes(target=STATUS))

        assert [b""] * 3 == [receive_all(connection)[0] for connection in (matching, idle, half)]
        assert refuses_connections(anka.url)


def test_a_waiting_client_loses_its_connection_when_connections_are_refused(real_time_anka: Anka) -> None:
    """A response that is delayed is never sent."""
    real_time_anka.faults.add(match={"method": "GET", "path": VM}, do={"delay": "1h"})
    real_time_anka.faults.add(match={"path": STATUS}, do={"refuse": "1h"})
    with closing(open_socket(real_time_anka.url)) as waiting:
        waiting.sendall(request_bytes())
        wait_until(lambda: len(real_time_anka.requests) == 1)
        with closing(open_socket(real_time_anka.url)) as matching:
            matching.sendall(request_bytes(target=STATUS))
            assert b"" == receive_all(matching)[0]

        assert b"" == receive_all(waiting)[0]
        wait_until(lambda: real_time_anka.requests[0].outcome != "")
        assert "client left" == real_time_anka.requests[0].outcome


@pytest.mark.parametrize("how", ["remove", "clear", "reset", "load"])
def test_connections_are_accepted_again_without_the_rule(anka: Anka, how: str) -> None:
    """Removing the rule, a reset and a load end the refusal."""
    rule = anka.faults.add(do={"refuse": "1h"})
    lose_response(anka.url)
    was_refused = refuses_connections(anka.url)
    ends: dict[str, Callable[[], object]] = {
        "remove": lambda: anka.faults.remove(rule),
        "clear": anka.faults.clear,
        "reset": anka.reset,
        "load": lambda: anka.load("default"),
    }
    ends[how]()
    wait_until(lambda: not refuses_connections(anka.url))

    assert was_refused
    assert 1 == count_instances(anka.url)


def test_the_removal_of_another_rule_does_not_end_the_refusal(anka: Anka) -> None:
    """Only the rule that refuses counts."""
    anka.faults.add(do={"refuse": "1h"})
    other = anka.faults.add(do={"status": 503})
    lose_response(anka.url)
    anka.faults.remove(other)

    assert refuses_connections(anka.url)


def test_connections_can_be_refused_again_and_again(anka: Anka) -> None:
    """Refused, accepted, refused again: the address stays the same."""
    for _ in range(5):
        anka.faults.add(id="refusal", do={"refuse": "1h"})
        lose_response(anka.url)
        assert refuses_connections(anka.url)
        anka.faults.remove("refusal")
        wait_until(lambda: not refuses_connections(anka.url))

    assert 1 == count_instances(anka.url)


def bind_error(url: str, reuse: bool) -> int:
    """Return the error of another socket that is to listen on the address, 0 if it can."""
    with closing(socket.socket()) as other:
        if reuse:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            other.bind((urlsplit(url).hostname, urlsplit(url).port))
            other.listen()
        except OSError as error:
            return error.errno or -1
        return 0


@pytest.mark.parametrize("reuse", [False, True])
def test_the_port_stays_taken_while_connections_are_refused(anka: Anka, reuse: bool) -> None:
    """No other socket can listen on the address meanwhile, not even with SO_REUSEADDR, which all servers set."""
    anka.faults.add(do={"refuse": "1h"})
    lose_response(anka.url)

    assert errno.EADDRINUSE == bind_error(anka.url, reuse)


def test_a_server_that_refuses_stops_at_once_and_frees_its_port(anka: Anka) -> None:
    """The end of the server does not wait for the end of the refusal."""
    anka.faults.add(do={"refuse": "1h"})
    lose_response(anka.url)
    seconds = seconds_taken(anka.stop)

    assert seconds < 1
    assert 0 == bind_error(anka.url, reuse=True)


def test_a_request_that_is_refused_is_not_carried_out_and_is_in_the_journal(anka: Anka) -> None:
    """The POST vm that matches starts nothing; its entry names the rule and has no status."""
    anka.faults.add(id="refusal", do={"refuse": "1h"})
    with closing(open_socket(anka.url)) as connection:
        connection.sendall(request_bytes("POST", VM, json.dumps({"vmid": any_template(anka)}).encode()))
        receive_all(connection)
    (entry,) = anka.requests

    assert 1 == len(anka.instances)
    assert ("refusal", "refused", None, ()) == (entry.fault, entry.outcome, entry.status, entry.instances)


def test_a_request_by_the_control_port_can_be_refused_too() -> None:
    """A request that matches gets no response by whatever port it came; only the first port refuses connections."""
    with serving("--clock", "manual", "--control-port", "0") as served:
        control = json.loads(served.line)["control_url"]
        requests.post(f"{control}/_mock/faults", json={"do": {"refuse": "1h"}}, timeout=TIMEOUT)
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{control}{STATUS}", timeout=TIMEOUT)

        assert requests.get(f"{control}/_mock/health", timeout=TIMEOUT).ok
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{served.url}{STATUS}", timeout=TIMEOUT)


def test_a_second_refusal_replaces_the_end_of_the_first() -> None:
    """While connections are refused until a later time, the end of an earlier refusal has no effect."""

    async def refuse_twice() -> bool:
        simulator = Simulator(Scenario.named("default"), Options(clock="manual"))
        server = Server(simulator, socket.create_server(("127.0.0.1", 0)))
        await server.start()
        server.refuse_connections(0.05, "first", False)
        server.refuse_connections(60, "second", False)
        await asyncio.sleep(0.2)
        refused = refuses_connections(server.url)
        await server.stop()
        return refused

    assert asyncio.run(refuse_twice())


def connects(url: str) -> bool:
    """Return whether a connection comes about within 300 ms; one that is refused raises ConnectionRefusedError."""
    address = urlsplit(url)
    try:
        socket.create_connection((address.hostname or "", address.port or 0), timeout=0.3).close()
    except TimeoutError:
        return False
    return True


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux drops what a full listen queue does not take")
def test_a_controller_is_unreachable_for_a_time() -> None:
    """Attempts to connect get no answer until the time is over; then requests are answered as before."""
    with mockanka.serve("default", clock="real") as anka:
        anka.faults.add(do={"unreachable": "1s"}, times=1)
        lose_response(anka.url)
        found = [connects(anka.url), connects(anka.url)]
        wait_until(lambda: connects(anka.url))

        assert [False, False] == found
        assert 200 == requests.get(anka.url + STATUS, timeout=5).status_code


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux drops what a full listen queue does not take")
def test_removing_the_rule_makes_a_controller_reachable() -> None:
    """The end of the time is not waited for."""
    with mockanka.serve("default", clock="real") as anka:
        anka.faults.add(id="r", do={"unreachable": "1h"}, times=1)
        lose_response(anka.url)

        assert not connects(anka.url)
        anka.faults.remove("r")
        wait_until(lambda: connects(anka.url))


def test_elsewhere_than_on_linux_the_rule_is_refused(anka: Anka, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal names the fault that works there."""
    monkeypatch.setattr(sys, "platform", "darwin")

    with pytest.raises(mockanka.ScenarioError, match=r"unreachable needs Linux.*use refuse"):
        anka.faults.add(do={"unreachable": "1s"})
