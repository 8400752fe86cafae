"""Status and fail: responses with another HTTP status, and failures in the envelope."""

from __future__ import annotations

import pytest

import mockanka
from mockanka.testing.anka import Anka
from tests.server.http_client import STATUS, VM, connect, read_response, send_request
from tests.server.response_faults.helpers import any_template


@pytest.mark.parametrize(
    ("do", "expected"),
    [
        ({"status": 503}, (503, "text/plain; charset=utf-8", b"")),
        ({"status": 502, "body": "Bad Gateway"}, (502, "text/plain; charset=utf-8", b"Bad Gateway")),
        ({"status": 500, "body": {"error": "x", "n": [1, 2]}}, (500, "application/json", b'{"error":"x","n":[1,2]}')),
        ({"status": 429, "body": '{"slow": "down"}'}, (429, "application/json", b'{"slow": "down"}')),
        (
            {"status": 502, "body": "<html>nginx</html>", "content_type": "text/html"},
            (502, "text/html", b"<html>nginx</html>"),
        ),
        ({"status": 200, "body": "fine"}, (200, "text/plain; charset=utf-8", b"fine")),
        ({"status": 599, "body": "é"}, (599, "text/plain; charset=utf-8", "é".encode())),
    ],
)
def test_a_status_comes_with_the_body_of_its_rule(anka: Anka, do: dict[str, object], expected: object) -> None:
    """The client gets the status, the body as text or JSON, and the content type that fits or that the rule has."""
    anka.faults.add(do=do)

    assert expected == send_request(anka.url)


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body_leaves_the_connection_usable(anka: Anka, status: int) -> None:
    """A status that has no body in HTTP has none, and the next response comes on the same connection."""
    anka.faults.add(do={"status": status}, times=1)
    with connect(anka.url) as connection:
        connection.request("GET", VM)
        first = read_response(connection)
        connection.request("GET", STATUS)
        second = read_response(connection)

    assert (status, b"") == (first.status, first.body)
    assert "OK" == second.json["status"]


@pytest.mark.parametrize(
    ("release", "fields", "status"),
    [("1.8.0", {}, 200), ("1.50.1", {}, 400), ("1.8.0", {"status": 500}, 500), ("1.50.1", {"status": 200}, 200)],
)
def test_a_failure_comes_in_the_envelope(release: str, fields: dict[str, object], status: int) -> None:
    """A FAIL has the message, and the HTTP status of the release unless the rule has another."""
    with mockanka.serve("default", clock="manual", release=release) as anka:
        anka.faults.add(do={"fail": "no <luck>", **fields})
        response = send_request(anka.url, "POST", VM, {"vmid": any_template(anka)})

        assert (status, "application/json") == response[:2]
        assert b'{"status":"FAIL","message":"no \\u003cluck\\u003e"}\n' == response.body
        assert 1 == len(anka.instances)
