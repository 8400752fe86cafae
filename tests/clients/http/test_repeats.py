"""Requests that HTTP libraries send again by themselves: the journal shows how many have arrived.

The public clients use these libraries: Go's ``net/http`` those in Go, Apache HttpClient 4 the Jenkins and TeamCity
plugins, axios the GitHub actions, requests mgmtcl. Nothing here is a double; the libraries are as published.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest

import mockanka
from mockanka import Anka
from tests.clients.http.programs import COMMANDS, HttpProgram, Sent, require_program
from tests.installed import missing_parts

Program = Callable[[str], HttpProgram]
VM = "/api/v1/vm"
METHODS = ("GET", "POST", "DELETE")
TIMEOUT = 0.5
"""Seconds that a program waits for a response that is late."""

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def controller() -> Iterator[Anka]:
    """Return a controller of its own port, to which no connection is open yet, and whose clock is the wall's."""
    with mockanka.serve("default", clock="real") as anka:
        yield anka


def request_to(anka: Anka, method: str, timeout: float = 10.0) -> Sent:
    """Return a list, a start or a termination."""
    bodies = {"POST": {"vmid": anka.templates["14.5-arm64"].id}, "DELETE": {"id": next(iter(anka.instances))}}
    return Sent(method, f"{anka.url}{VM}", json.dumps(bodies[method]) if method in bodies else "", timeout)


def open_connection(program: HttpProgram, anka: Anka) -> None:
    """Let a program open a connection and keep it."""
    assert "200" == program.send(Sent("GET", f"{anka.url}/api/v1/status"))


REPEATED: dict[tuple[str, str, str], int] = {
    ("net/http", "kept", "GET"): 2,
    **{("HttpClient 4", connection, "GET"): 4 for connection in ("kept", "new")},
    **{("OkHttp", "kept", method): 2 for method in METHODS},
}
"""How often a request arrives whose connection is closed before the response; others arrive once."""
CLOSED = {
    "net/http": "EOF",
    "HttpClient 4": "NoHttpResponseException",
    "OkHttp": "IOException",
    "axios": "ECONNRESET",
    "undici": "UND_ERR_SOCKET",
    "requests": "ConnectionError",
}
"""The error of a request whose every attempt has met a closed connection."""


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("connection", ["kept", "new"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_connection_is_closed_before_the_response(
    program: Program, controller: Anka, name: str, connection: str, method: str
) -> None:
    """A repeated request arrives more than once, although the program has sent one and sees one error."""
    if connection == "kept":
        open_connection(program(name), controller)
    controller.faults.add(match={"path": VM}, do={"connection": "close"})
    result = program(name).send(request_to(controller, method))

    assert result.endswith(CLOSED[name])
    assert REPEATED.get((name, connection, method), 1) == len(controller.requests.where(method=method, path=VM))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["net/http", "HttpClient 4", "OkHttp"])
def test_a_repeated_request_hides_the_loss(program: Program, controller: Anka, name: str, method: str) -> None:
    """If only the first attempt meets a closed connection, a program that repeats it sees nothing but its response."""
    open_connection(program(name), controller)
    controller.faults.add(match={"path": VM}, do={"connection": "close"}, times=1)
    result = program(name).send(request_to(controller, method))

    assert ((name, "kept", method) in REPEATED) == (result == "200")


def test_okhttp_starts_two_instances(program: Program, controller: Anka) -> None:
    """It repeats a POST on a kept connection, and the program learns of the second instance only."""
    open_connection(program("OkHttp"), controller)
    before = len(controller.instances)
    controller.faults.add(match={"method": "POST"}, do={"connection": "close"}, times=1)

    assert "200" == program("OkHttp").send(request_to(controller, "POST"))
    assert 2 == len(controller.instances) - before


LOSSES: dict[str, dict[str, Any]] = {"cut": {"cut": "50%"}, "late": {"delay": "1h"}, "503": {"status": 503}}
RESULTS: dict[str, tuple[str, str]] = {
    "net/http": ("unexpected EOF", "(Client.Timeout exceeded while awaiting headers)"),
    "HttpClient 4": ("ConnectionClosedException", "SocketTimeoutException"),
    "OkHttp": ("ProtocolException", "SocketTimeoutException"),
    "axios": ("ERR_BAD_RESPONSE", "ECONNABORTED"),
    "undici": ("UND_ERR_SOCKET", "UND_ERR_HEADERS_TIMEOUT"),
    "requests": ("ChunkedEncodingError", "ReadTimeout"),
}
"""The errors of a response that is cut, and of one that comes too late."""


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("name", "loss"), [*product(COMMANDS, LOSSES)])
def test_other_losses_are_not_repeated(program: Program, controller: Anka, name: str, loss: str, method: str) -> None:
    """A cut response, one that is late and one with status 503 end the request, on a kept connection too."""
    open_connection(program(name), controller)
    controller.faults.add(match={"path": VM}, do=LOSSES[loss])
    result = program(name).send(request_to(controller, method, TIMEOUT if loss == "late" else 10.0))

    assert result.endswith(dict(zip(LOSSES, (*RESULTS[name], "503"), strict=True))[loss])
    assert 1 == len(controller.requests.where(method=method, path=VM))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("loss", ["cut", "late"])
def test_a_request_object_of_go_can_send_its_body_once(
    program: Program, controller: Anka, loss: str, method: str
) -> None:
    """A second attempt with the same object fails before it is sent, unless it has no body."""
    controller.faults.add(match={"path": VM}, do=LOSSES[loss], times=1)
    request = request_to(controller, method, TIMEOUT if loss == "late" else 10.0)
    assert program("net/http").send(request).startswith("error")
    second = program("net/http").send(request._replace(method="AGAIN", timeout=10.0))

    expected = f"http: ContentLength={len(request.body)} with Body length 0" if request.body else "200"
    assert second.endswith(expected)
    assert (1 if request.body else 2) == len(controller.requests.where(method=method, path=VM))


def test_a_request_object_of_go_keeps_its_body_while_connections_are_refused(program: Program) -> None:
    """Nothing is read from the body before there is a connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    go = program("net/http")
    assert go.send(Sent("POST", f"http://127.0.0.1:{port}{VM}", "{}")).endswith("connection refused")
    with mockanka.serve("default", port=port) as anka:
        go.send(Sent("AGAIN", "", ""))
        (start,) = anka.requests.where(method="POST")

    assert {} == start.body


@pytest.mark.parametrize("ci", [True, False])
def test_a_missing_program_is_skipped_but_not_in_ci(monkeypatch: pytest.MonkeyPatch, ci: bool) -> None:
    """The reason names all that is missing."""
    monkeypatch.setitem(COMMANDS, "net/http", ("/nowhere/httpclient",))
    monkeypatch.setenv("CI", "true") if ci else monkeypatch.delenv("CI", raising=False)

    assert ["/nowhere/httpclient"] == missing_parts(COMMANDS["net/http"], [])
    with pytest.raises((pytest.fail.Exception, pytest.skip.Exception), match="/nowhere/httpclient") as caught:
        require_program("net/http")
    assert ci == (caught.type is pytest.fail.Exception)
