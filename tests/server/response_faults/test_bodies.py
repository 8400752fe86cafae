"""Body, content_type and dribble: other bodies and content types, and bodies that come in pieces."""

from __future__ import annotations

import time
from contextlib import closing

import pytest

import mockanka
from mockanka.testing.anka import Anka
from tests.server.http_client import (
    STATUS,
    VM,
    Response,
    clock_seconds,
    connect,
    count_instances,
    open_socket,
    request_bytes,
    send_request,
)
from tests.server.response_faults.helpers import any_template


def test_a_response_may_have_a_body_that_is_not_json(anka: Anka) -> None:
    """Status and content type stay as they are, and the controller has carried out the request."""
    anka.faults.add(do={"body": "<html>hello</html>"}, times=1)
    response = send_request(anka.url, "POST", VM, {"vmid": any_template(anka)})

    assert (200, "application/json", b"<html>hello</html>") == response
    assert 2 == count_instances(anka.url)


def test_a_body_may_come_with_a_content_type(anka: Anka) -> None:
    """Both are those of the rule."""
    anka.faults.add(do={"body": "<p>", "content_type": "text/html"})

    assert (200, "text/html", b"<p>") == send_request(anka.url)


def test_an_empty_body_is_a_body(anka: Anka) -> None:
    """The response is a 200 without a body."""
    anka.faults.add(do={"body": ""})

    assert (200, "application/json", b"") == send_request(anka.url)


def test_a_body_comes_with_the_status_of_a_failure() -> None:
    """The response to a request that the controller refuses keeps its HTTP status."""
    with mockanka.serve("default", clock="manual", release="1.50.1") as anka:
        anka.faults.add(do={"body": "oops"})
        response = send_request(anka.url, target=f"{VM}?id=nobody")

    assert (400, "application/json", b"oops") == response


def test_a_content_type_alone_changes_nothing_else(anka: Anka) -> None:
    """The body is the controller's own."""
    whole = send_request(anka.url)
    anka.faults.add(do={"content_type": "text/plain"})

    assert (200, "text/plain", whole.body) == send_request(anka.url)


@pytest.mark.parametrize("do", [{"content_type": "text/plain"}, {"body": "x", "content_type": "text/plain"}])
def test_a_content_type_replaces_that_of_the_controller(anka: Anka, do: dict[str, str]) -> None:
    """The response has the header once."""
    anka.faults.add(do=do)
    with connect(anka.url) as connection:
        connection.request("GET", VM)
        with connection.getresponse() as response:
            content_types = response.headers.get_all("Content-Type")

    assert ["text/plain"] == content_types


def test_a_dribbling_response_takes_its_time(real_time_anka: Anka) -> None:
    """With a real clock the pieces come one after another over the length, and are the whole body in the end."""
    whole = send_request(real_time_anka.url, target="/api/v1/node").body
    real_time_anka.faults.add(do={"dribble": "2s"})
    pieces: list[bytes] = []
    with closing(open_socket(real_time_anka.url)) as connection:
        connection.sendall(request_bytes(target="/api/v1/node"))
        began = time.monotonic()
        while len(b"".join(pieces).partition(b"\r\n\r\n")[2]) < len(whole):
            pieces.append(connection.recv(65536))
            assert pieces[-1]
        waited = time.monotonic() - began

    assert 5 < len(pieces) <= 21
    assert len(whole) == len(b"".join(pieces).partition(b"\r\n\r\n")[2])
    assert 0.19 < waited < 1.5


@pytest.mark.parametrize(("clock", "passed"), [("manual", 60.0), ("step", 65.0)])
def test_a_dribbling_response_moves_a_clock_that_is_not_real(clock: str, passed: float) -> None:
    """Such a clock moves by the whole length, and the response is the same."""
    with mockanka.serve("default", clock=clock) as anka:
        whole = send_request(anka.url, target=STATUS)
        anka.faults.add(do={"dribble": "1m"})
        responses: list[Response] = []
        seconds = clock_seconds(anka, lambda: responses.append(send_request(anka.url, target=STATUS)))

        assert ([whole], passed) == (responses, seconds)


def test_a_response_with_fewer_bytes_than_pieces_dribbles_whole(anka: Anka) -> None:
    """A body of a few bytes arrives complete."""
    anka.faults.add(match={"path": STATUS}, do={"status": 200, "body": "abc"})
    anka.faults.add(match={"path": VM}, do={"dribble": "1m"})

    assert b"abc" == send_request(anka.url, target=STATUS).body
    assert (
        b'{"status":"OK","message":""}\n'
        == send_request(anka.url, "DELETE", VM, {"id": next(iter(anka.instances))}).body
    )


@pytest.mark.parametrize(("do", "status"), [({"body": {"a": 1}}, 200), ({"status": 501, "body": {"a": 1}}, 501)])
def test_a_rule_brings_the_response_of_a_path_that_no_operation_has(
    anka: Anka, do: dict[str, object], status: int
) -> None:
    """A body alone has the status 200, not that of the 404 that the path has without the rule."""
    anka.faults.add(match={"path": "/api/v2/*"}, do=do, times=1)
    first, second = (send_request(anka.url, target="/api/v2/vm") for _ in range(2))

    assert (status, {"a": 1}, 404) == (first.status, first.json, second.status)
