"""Connection and cut: connections that are closed, reset, or closed in the middle of a body."""

from __future__ import annotations

import http.client
from contextlib import closing

import pytest
import requests

from mockanka.testing.anka import Anka
from tests.server.http_client import (
    TIMEOUT,
    VM,
    connect,
    count_instances,
    open_socket,
    receive_all,
    request_bytes,
    send_request,
    start_instance,
)


def test_a_closed_connection_brings_no_response(anka: Anka) -> None:
    """The connection ends without a reset and without a byte; the next request is answered."""
    anka.faults.add(do={"connection": "close"}, times=1)
    with closing(open_socket(anka.url)) as connection:
        connection.sendall(request_bytes())
        received = receive_all(connection)

    assert (b"", False) == received
    assert 1 == count_instances(anka.url)


def test_a_closed_connection_is_a_disconnect_to_http_clients(anka: Anka) -> None:
    """http.client raises RemoteDisconnected, requests ConnectionError."""
    anka.faults.add(do={"connection": "close"})

    with pytest.raises(http.client.RemoteDisconnected):
        send_request(anka.url)
    with pytest.raises(requests.ConnectionError):
        requests.get(anka.url + VM, timeout=TIMEOUT)


@pytest.mark.parametrize(
    ("at", "share"), [({}, 0.5), ({"at": "0%"}, 0.0), ({"at": "25%"}, 0.25), ({"at": "100%"}, 1.0)]
)
def test_a_reset_connection_breaks_in_the_middle_of_the_body(anka: Anka, at: dict[str, str], share: float) -> None:
    """The headers come and a share of the body, half unless the rule has another, then the connection is reset."""
    whole = send_request(anka.url).body
    anka.faults.add(do={"connection": "reset", **at})
    with closing(open_socket(anka.url)) as connection:
        connection.sendall(request_bytes())
        received, reset = receive_all(connection)
    head, _, body = received.partition(b"\r\n\r\n")

    assert reset
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert f"content-length: {len(whole)}".encode() in head
    assert whole[: int(len(whole) * share)] == body


def test_a_reset_connection_is_an_error_to_http_clients(anka: Anka) -> None:
    """Reading the body raises ConnectionResetError."""
    anka.faults.add(do={"connection": "reset"})
    with connect(anka.url) as connection:
        connection.request("GET", VM)
        with connection.getresponse() as response, pytest.raises(ConnectionResetError):
            response.read()


@pytest.mark.parametrize(
    ("cut", "expected"),
    [(0, 0), (1, 1), (100, 100), ("100B", 100), ("0%", 0), ("10%", 0.1), ("50%", 0.5), ("99.5%", 0.995)],
)
def test_a_response_is_cut_at_a_number_of_bytes(anka: Anka, cut: object, expected: float) -> None:
    """The headers announce the whole body, and exactly the part before the cut comes."""
    whole = send_request(anka.url).body
    length = int(len(whole) * expected) if isinstance(expected, float) else expected
    anka.faults.add(do={"cut": cut})
    with pytest.raises(http.client.IncompleteRead) as incomplete:
        send_request(anka.url)

    assert whole[:length] == incomplete.value.partial
    assert len(whole) - length == incomplete.value.expected


@pytest.mark.parametrize("cut", ["50%", 300_000])
def test_a_large_response_is_cut_exactly(anka: Anka, cut: object) -> None:
    """All bytes before the cut arrive, also when they are more than a socket takes at once."""
    for _ in range(4):
        start_instance(anka.url, count=400)
    whole = send_request(anka.url).body
    anka.faults.add(do={"cut": cut})
    with pytest.raises(http.client.IncompleteRead) as incomplete:
        send_request(anka.url)
    length = cut if isinstance(cut, int) else len(whole) // 2

    assert len(whole) > 400_000
    assert length == len(incomplete.value.partial)
    assert whole[:length] == incomplete.value.partial


@pytest.mark.parametrize("cut", ["100%", 10**9])
def test_a_cut_behind_the_end_cuts_nothing(anka: Anka, cut: object) -> None:
    """The response comes whole."""
    whole = send_request(anka.url)
    anka.faults.add(do={"cut": cut})

    assert whole == send_request(anka.url)
    assert "" == anka.requests[-1].outcome
