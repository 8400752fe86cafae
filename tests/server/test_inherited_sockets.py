"""Sockets of the server in other processes: a fork has copies of all files of the process that serves."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, closing

import pytest

import mockanka
from mockanka.testing.anka import Anka
from tests.server.http_client import (
    call_in_fork,
    copies_of_sockets,
    count_instances,
    forked_process,
    open_socket,
    receive_all,
    refuses_connections,
    request_bytes,
    subprocess_with_open_files,
    wait_until,
)
from tests.server.response_faults.helpers import lose_response

HOLDERS = [forked_process, subprocess_with_open_files, copies_of_sockets]
"""Whatever may hold the sockets of the server besides itself."""
Holder = Callable[[], AbstractContextManager[None]]
FAULTS: list[tuple[dict[str, object], bool]] = [
    ({"connection": "close"}, False),
    ({"connection": "reset"}, True),
    ({"cut": 10}, False),
    ({"refuse": "1h"}, False),
    ({"unreachable": "1h"}, False),
]
"""Faults that end a connection, each with whether it is by a reset."""


@pytest.mark.parametrize("holder", HOLDERS)
def test_connections_are_refused_while_others_hold_the_socket(anka: Anka, holder: Holder) -> None:
    """They are refused, and accepted again later, though the socket was copied while the server listened.

    Seen in cockpit-project/bots#5963: a mock server whose socket had leaked into a fork could not be stopped.
    """
    anka.faults.add(do={"refuse": "200ms"}, times=1)
    with holder():
        lose_response(anka.url)
        was_refused = refuses_connections(anka.url)
        wait_until(lambda: not refuses_connections(anka.url))

        assert was_refused
        assert 1 == count_instances(anka.url)


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("kind", ["refuse", "unreachable"])
def test_a_refusal_ends_though_others_hold_its_socket(anka: Anka, kind: str, holder: Holder) -> None:
    """Connections are accepted again, at once and for good, though the sockets were copied during the refusal."""
    anka.faults.add(id="refusal", do={kind: "1h"})
    lose_response(anka.url)
    with holder():
        anka.faults.remove("refusal")
        wait_until(lambda: not refuses_connections(anka.url))

        assert 1 == count_instances(anka.url)


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("kind", ["refuse", "unreachable"])
def test_a_server_that_stops_during_a_refusal_leaves_the_address(kind: str, holder: Holder) -> None:
    """Another server can have it, though the sockets were copied during the refusal."""
    with mockanka.serve("default", clock="manual") as anka:
        anka.faults.add(do={kind: "1h"})
        lose_response(anka.url)
        with holder():
            anka.stop()
            with mockanka.serve("empty", clock="manual", port=int(anka.url.rpartition(":")[2])) as next_anka:
                assert (anka.url, 0) == (next_anka.url, count_instances(next_anka.url))


def test_connections_can_be_refused_again_while_more_forks_live(anka: Anka) -> None:
    """Each refusal has its own listening socket, of which a fork may have a copy."""
    with forked_process():
        for _ in range(3):
            anka.faults.add(id="refusal", do={"refuse": "1h"})
            with forked_process():
                lose_response(anka.url)
                assert refuses_connections(anka.url)
                anka.faults.remove("refusal")
                wait_until(lambda: not refuses_connections(anka.url))

        assert 1 == count_instances(anka.url)


@pytest.mark.parametrize("holder", HOLDERS)
def test_a_server_that_has_stopped_refuses_connections_while_others_hold_the_socket(holder: Holder) -> None:
    """Nothing listens at the address any more, and another server can have it."""
    with mockanka.serve("default", clock="manual") as anka, holder():
        port = int(anka.url.rpartition(":")[2])
        anka.stop()

        assert refuses_connections(anka.url)
        with mockanka.serve("empty", clock="manual", port=port) as next_anka:
            assert (anka.url, 0) == (next_anka.url, count_instances(next_anka.url))


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize(("fault", "is_reset"), FAULTS)
def test_a_connection_that_others_hold_ends_at_once(
    anka: Anka, fault: dict[str, object], is_reset: bool, holder: Holder
) -> None:
    """The client of a kept connection sees it end as the fault says, though its socket was copied."""
    with closing(open_socket(anka.url)) as connection:
        connection.sendall(request_bytes(target="/nowhere"))
        assert connection.recv(65536)
        with holder():
            anka.faults.add(do=fault)
            connection.sendall(request_bytes())

            assert is_reset == receive_all(connection)[1]


@pytest.mark.parametrize("holder", HOLDERS)
def test_a_server_that_stops_ends_connections_that_others_hold(holder: Holder) -> None:
    """The client of a kept connection sees its end."""
    with mockanka.serve("default", clock="manual") as anka, closing(open_socket(anka.url)) as connection:
        connection.sendall(request_bytes(target="/nowhere"))
        assert connection.recv(65536)
        with holder():
            anka.stop()

            assert b"" == receive_all(connection)[0]


@pytest.mark.parametrize(
    "use",
    [
        Anka.settle,
        Anka.dump,
        lambda anka: list(anka.instances),
        lambda anka: anka.requests.clear(),
        lambda anka: anka.clock.now,
        lambda anka: anka.faults.add(do={"refuse": "1s"}),
    ],
)
def test_a_fork_that_uses_the_python_api_is_told_so(anka: Anka, use: Callable[[Anka], object]) -> None:
    """It gets an error that says what works there; the server goes on."""
    error = call_in_fork(lambda: use(anka))

    assert isinstance(error, RuntimeError)
    assert anka.url in str(error)
    assert "is a fork: here use it by HTTP" in str(error)
    assert 1 == count_instances(anka.url) == len(anka.instances)


def test_a_fork_reaches_the_controller_by_http(anka: Anka) -> None:
    """Its requests are answered as those of any client."""
    assert 1 == call_in_fork(lambda: count_instances(anka.url))


def test_a_fork_that_stops_the_server_leaves_it_to_the_parent(anka: Anka) -> None:
    """The end of a ``with`` block in a fork does not end the server."""
    assert call_in_fork(anka.stop) is None
    assert 1 == count_instances(anka.url)


def test_a_fork_can_have_a_controller_of_its_own(anka: Anka) -> None:
    """A controller that a fork serves can be used there."""

    def serve_in_fork() -> int:
        with mockanka.serve("empty", clock="manual") as own:
            return len(own.instances) + count_instances(own.url)

    assert 0 == call_in_fork(serve_in_fork)
    assert 1 == count_instances(anka.url)


def test_a_fork_reads_a_server_that_had_stopped_before(anka: Anka) -> None:
    """The state that it left can be read, as in the process that served it."""
    anka.stop()

    assert 1 == call_in_fork(lambda: len(anka.instances))
