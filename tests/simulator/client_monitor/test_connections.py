"""Findings about connections that a client opens for one request each, and leaves open."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
import requests

from mockanka.simulator.client_report import MAX_FINDING_REQUESTS
from mockanka.simulator.connection_monitor import MAX_UNSHARED_CONNECTIONS
from tests.simulator.client_monitor.client import TIMEOUT, VM, Client, wait_until

TOO_MANY = MAX_UNSHARED_CONNECTIONS + 1
STATUS = "/api/v1/status"

Open = Callable[..., http.client.HTTPConnection]


@pytest.fixture
def open_connection(client: Client) -> Iterator[Open]:
    """Opens connections that stay open until the end of the test, each with a request that is answered."""
    with ExitStack() as stack:

        def open_with_request(user_agent: str = "leaky/1", target: str = STATUS) -> http.client.HTTPConnection:
            connection = http.client.HTTPConnection(urlsplit(client.anka.url).netloc, timeout=TIMEOUT)
            stack.callback(connection.close)
            ask(connection, user_agent, target)
            return connection

        yield open_with_request


def ask(connection: http.client.HTTPConnection, user_agent: str = "leaky/1", target: str = STATUS) -> None:
    """Send a request on a connection, and read the response."""
    connection.request("GET", target, headers={"User-Agent": user_agent} if user_agent else {})
    assert connection.getresponse().read()


def leaked(client: Client) -> list[int]:
    """Return how many connections each finding has."""
    return [finding.count for finding in client.anka.report().of_kinds(["leaked-connections"])]


def test_connections_of_one_request_each_that_are_left_open_are_leaked(client: Client, open_connection: Open) -> None:
    """The finding has the client, the number of connections and the first requests."""
    for _ in range(TOO_MANY):
        open_connection()

    assert [("leaked-connections", [*range(1, MAX_FINDING_REQUESTS + 1)])] == client.findings()
    assert [TOO_MANY] == leaked(client)
    assert client.messages("leaked-connections") == [
        "127.0.0.1, User-Agent 'leaky/1', had more than 20 connections open for one request each"
    ]


def test_as_many_connections_as_are_allowed_are_no_finding(client: Client, open_connection: Open) -> None:
    """A further connection of another client, or to the control API, does not make them too many."""
    for _ in range(MAX_UNSHARED_CONNECTIONS):
        open_connection()
    open_connection(user_agent="other/1")
    open_connection(user_agent="")
    open_connection(target="/_mock/health")

    assert [] == client.findings()


def test_polls_leak_connections_too(client: Client, open_connection: Open) -> None:
    """The requests that the gateway answers itself count."""
    (id,) = client.start()
    for _ in range(TOO_MANY):
        open_connection(target=f"{VM}?id={id}")

    assert [TOO_MANY] == leaked(client)


def test_a_client_with_a_pool_is_no_finding(client: Client) -> None:
    """Any number of requests may come on one connection."""
    with requests.Session() as session:
        for _ in range(2 * TOO_MANY):
            session.get(client.anka.url + STATUS, timeout=TIMEOUT)

    assert [] == client.findings()


def test_a_second_request_takes_a_connection_out_of_the_finding(client: Client, open_connection: Open) -> None:
    """A request to the controller does, and one to the control API."""
    connections = [open_connection() for _ in range(TOO_MANY + 1)]
    assert [TOO_MANY + 1] == leaked(client)

    ask(connections[3])
    assert [TOO_MANY] == leaked(client)

    ask(connections[-1], target="/_mock/health")
    assert [] == leaked(client)

    ask(connections[3])
    open_connection()
    assert [TOO_MANY] == leaked(client)


def test_connections_that_are_closed_are_no_finding(client: Client, open_connection: Open) -> None:
    """A client that closes each connection after its request leaks none."""
    for _ in range(2 * TOO_MANY):
        open_connection().close()
        wait_until(lambda: not client.anka.report().of_kinds(["leaked-connections"]))

    assert [] == client.findings()


def test_connections_that_a_client_leaks_until_it_ends_are_found(client: Client, open_connection: Open) -> None:
    """Its end closes them; the finding stays, and grows by the next client of that name."""
    for connection in [open_connection() for _ in range(TOO_MANY)]:
        connection.close()
    assert [TOO_MANY] == leaked(client)

    for _ in range(TOO_MANY):
        open_connection()
    assert [2 * TOO_MANY] == leaked(client)
    assert [[*range(1, MAX_FINDING_REQUESTS + 1)]] == [requests for _, requests in client.findings()]


def test_requests_at_the_same_time_need_a_connection_each(client: Client) -> None:
    """Connections that wait for their responses at once are not leaked if they are closed then, as by a small pool."""
    address = (str(urlsplit(client.anka.url).hostname), urlsplit(client.anka.url).port or 0)
    client.anka.faults.add(match={"path": STATUS}, do={"delay": {"wall": "300ms"}})
    with ExitStack() as stack:
        connections = [
            stack.enter_context(socket.create_connection(address, TIMEOUT)) for _ in range(MAX_UNSHARED_CONNECTIONS + 5)
        ]
        for connection in connections:
            connection.sendall(f"GET {STATUS} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        for connection in connections:
            assert connection.recv(4096)
        wait_until(lambda: [len(connections)] == leaked(client))  # as long as all of them are open

    wait_until(lambda: not leaked(client))


def test_each_client_has_a_finding_of_its_own(client: Client, open_connection: Open) -> None:
    """A User-Agent is shown without control characters, and not longer than needed; one that is missing is not."""
    for user_agent in ("", "a\tb", "x" * 1000):
        for _ in range(TOO_MANY):
            open_connection(user_agent)
    nameless, tab, long = client.messages("leaked-connections")

    assert nameless.startswith("127.0.0.1 had ")
    assert r"'a\tb'" in tab
    assert len(long) < 300


def test_a_reset_forgets_leaked_connections(client: Client, open_connection: Open) -> None:
    """Those from before do not count, also if they are used again or closed; new ones do."""
    connections = [open_connection() for _ in range(TOO_MANY)]
    client.anka.reset()
    assert [] == client.findings()

    for connection in connections[:-1]:
        ask(connection)
    connections[-1].close()
    assert [] == client.findings()

    for _ in range(TOO_MANY):
        open_connection()
    assert [TOO_MANY] == leaked(client)
