"""Sockets of the server in other processes: a fork has copies of all files of the process that serves."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, closing

import pytest

import mockanka
from mockanka.testing.anka import Anka
from tests.server.http_client import (
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

OTHER_PROCESSES = [forked_process, subprocess_with_open_files]


@pytest.mark.parametrize("other_process", OTHER_PROCESSES)
def test_connections_are_refused_while_another_process_lives(
    anka: Anka, other_process: Callable[[], AbstractContextManager[None]]
) -> None:
    """They are refused, and accepted again later, though the other process began while the server listened.

    Seen in cockpit-project/bots#5963: a mock server whose socket had leaked into a fork could not be stopped.
    """
    anka.faults.add(do={"refuse": "200ms"}, times=1)
    with other_process():
        lose_response(anka.url)
        was_refused = refuses_connections(anka.url)
        wait_until(lambda: not refuses_connections(anka.url))

        assert was_refused
        assert 1 == count_instances(anka.url)


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


@pytest.mark.parametrize("other_process", OTHER_PROCESSES)
def test_a_server_that_has_stopped_refuses_connections_while_another_process_lives(
    other_process: Callable[[], AbstractContextManager[None]],
) -> None:
    """Nothing listens at the address any more, and another server can have it."""
    with mockanka.serve("default", clock="manual") as anka, other_process():
        port = int(anka.url.rpartition(":")[2])
        anka.stop()

        assert refuses_connections(anka.url)
        with mockanka.serve("empty", clock="manual", port=port) as next_anka:
            assert (anka.url, 0) == (next_anka.url, count_instances(next_anka.url))


@pytest.mark.parametrize(
    ("fault", "is_reset"), [({"connection": "close"}, False), ({"connection": "reset"}, True), ({"cut": 10}, False)]
)
def test_a_connection_from_before_a_fork_ends_at_once(anka: Anka, fault: dict[str, object], is_reset: bool) -> None:
    """The client of a kept connection sees it end as the fault says, though the fork had a copy of it."""
    with closing(open_socket(anka.url)) as connection:
        connection.sendall(request_bytes(target="/nowhere"))
        assert connection.recv(65536)
        with forked_process():
            anka.faults.add(do=fault)
            connection.sendall(request_bytes())

            assert is_reset == receive_all(connection)[1]
