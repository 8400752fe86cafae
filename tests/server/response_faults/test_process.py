"""Response faults of ``mockanka serve`` with a control port."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator

import pytest
import requests

from tests.processes import Serving, serving
from tests.server.http_client import (
    STATUS,
    TIMEOUT,
    VM,
    connect,
    count_instances,
    read_response,
    refuses_connections,
    send_request,
    template_id,
    wait_until,
)


@pytest.fixture(scope="module")
def process() -> Iterator[Serving]:
    with serving("--clock", "manual", "--control-port", "0") as served:
        yield served


@pytest.fixture
def server(process: Serving) -> Serving:
    assert 200 == send_request(control_of(process), "POST", "/_mock/reset").status
    wait_until(lambda: not refuses_connections(process.url))
    return process


def control_of(process: Serving) -> str:
    return str(json.loads(process.line)["control_url"])


def add_rule(process: Serving, **rule: object) -> str:
    response = send_request(control_of(process), "POST", "/_mock/faults", rule)
    assert 201 == response.status, response
    return str(response.json["id"])


def client_outcome(url: str) -> object:
    """Return the response to a request, or the name of the exception that the client raises."""
    try:
        return send_request(url, target=STATUS)
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__


@pytest.mark.parametrize(
    ("do", "expected"),
    [
        ({"status": 503, "body": "busy"}, (503, "text/plain; charset=utf-8", b"busy")),
        ({"fail": "no"}, (400, "application/json", b'{"status":"FAIL","message":"no"}\n')),
        ({"body": "<p>"}, (200, "application/json", b"<p>")),
        ({"content_type": "text/html", "delay": "1h"}, "text/html"),
        ({"delay": "1h"}, "whole"),
        ({"dribble": "1h"}, "whole"),
        ({"stale": True}, "whole"),
        ({"connection": "close"}, "RemoteDisconnected"),
        ({"connection": "reset"}, "ConnectionResetError"),
        ({"cut": "50%"}, "IncompleteRead"),
        ({"refuse": "1h"}, "RemoteDisconnected"),
    ],
)
def test_a_server_process_has_the_same_faults(server: Serving, do: dict[str, object], expected: object) -> None:
    """A rule that is added over HTTP applies to clients of ``mockanka serve``."""
    whole = send_request(server.url, target=STATUS)
    add_rule(server, do=do)
    outcome = client_outcome(server.url)
    if expected == "whole":
        expected = whole
    elif expected == "text/html":
        expected = whole._replace(type="text/html")

    assert outcome in (expected, "ConnectionResetError") if "refuse" in do else expected == outcome
    assert 1 == send_request(control_of(server), target="/_mock/faults").json["faults"][0]["fired"]


def test_the_control_port_answers_while_connections_are_refused(server: Serving) -> None:
    """The first port refuses; the control port answers both APIs, and can remove the rule."""
    id = add_rule(server, match={"path": STATUS}, do={"refuse": "1h"})
    client_outcome(server.url)
    was_refused = refuses_connections(server.url)
    health = send_request(control_of(server), target="/_mock/health")
    listed = count_instances(control_of(server))
    removed = send_request(control_of(server), "DELETE", f"/_mock/faults/{id}")
    wait_until(lambda: not refuses_connections(server.url))

    assert (True, 200, 1, 200) == (was_refused, health.status, listed, removed.status)
    assert 1 == count_instances(server.url)


@pytest.mark.parametrize("target", ["/_mock/faults", "/_mock/reset"])
def test_removing_all_rules_ends_a_refusal(server: Serving, target: str) -> None:
    """Connections are accepted again when all rules are deleted, and after a reset."""
    add_rule(server, do={"refuse": "1h"})
    client_outcome(server.url)
    was_refused = refuses_connections(server.url)
    send_request(control_of(server), "POST" if target.endswith("reset") else "DELETE", target)
    wait_until(lambda: not refuses_connections(server.url))

    assert was_refused
    assert 1 == count_instances(server.url)


def test_a_connection_to_the_control_port_outlives_a_refusal(server: Serving) -> None:
    """Only connections to the port that refuses are aborted."""
    with connect(control_of(server)) as connection:
        connection.request("GET", "/_mock/health")
        read_response(connection)
        add_rule(server, do={"refuse": "1h"})
        client_outcome(server.url)
        connection.request("GET", "/_mock/health")

        assert 200 == read_response(connection).status


def test_a_retry_succeeds_after_a_rule_for_one_request(server: Serving) -> None:
    """A client that tries again, as most do, succeeds the second time."""
    add_rule(server, match={"method": "POST"}, do={"status": 503}, times=1)
    body = {"vmid": template_id(server.url)}
    first, second = (requests.post(server.url + VM, json=body, timeout=TIMEOUT) for _ in range(2))

    assert (503, 200) == (first.status_code, second.status_code)
    assert 2 == count_instances(server.url)
