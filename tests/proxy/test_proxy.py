"""The proxy as a whole: many clients, and its end."""

from __future__ import annotations

import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from mockanka.testing.anka import Anka
from tests.proxy.harness import GET, RunningProxy, receive_exactly, run_proxy_thread
from tests.server.http_client import (
    STATUS,
    VM,
    Response,
    connect,
    open_socket,
    read_response,
    receive_all,
    request_bytes,
    send_request,
    wait_until,
)

pytestmark = pytest.mark.usefixtures("forwarding")


def test_many_clients_are_served_at_once(proxy: RunningProxy) -> None:
    """Each of forty clients gets its own responses on its own connection, and every exchange is checked."""

    def poll(number: int) -> list[Response]:
        responses = []
        with connect(proxy.url) as connection:
            for _ in range(5):
                connection.request("GET", f"{VM}?id={number}" if number % 2 else STATUS)
                responses.append(read_response(connection))
        return responses

    with ThreadPoolExecutor(40) as clients:
        statuses = [[response.status for response in responses] for responses in clients.map(poll, range(40))]

    assert [[400 if number % 2 else 200] * 5 for number in range(40)] == statuses
    assert (200, []) == (proxy.report()["exchanges"], proxy.report()["findings"])


def test_stopping_ends_every_connection(anka: Anka) -> None:
    """Idle connections and those in the middle of a request end; incomplete exchanges are not violations."""
    with (
        run_proxy_thread(anka.url) as proxy,
        closing(open_socket(proxy.url)) as idle,
        closing(open_socket(proxy.url)) as unfinished,
    ):
        idle.sendall(GET)
        receive_exactly(idle, 20)
        unfinished.sendall(request_bytes("POST", VM, b"{}")[:-1])
        wait_until(lambda: len(proxy.proxy.relays) == 2 and proxy.report()["exchanges"] == 1)
        report = proxy.stop()

        assert b"" == receive_all(unfinished)[0]
        assert json.dumps(report).count("no-answer") == 0
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            send_request(proxy.url)
