"""Exceptions that mockanka does not expect, planted at every layer: each is answered, logged once, and does no harm."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

import mockanka
from mockanka.api.envelope import INTERNAL_ERROR
from mockanka.api.instance_cache import InstanceCache
from mockanka.core.clock import ManualClock
from mockanka.core.faults import FaultRules
from mockanka.server import asgi, event_stream
from mockanka.server.asgi import Gateway
from mockanka.server.event_stream import EventStreams
from mockanka.simulator.client_monitor import ClientMonitor
from mockanka.simulator.journal import Journal
from mockanka.simulator.simulator import Simulator
from mockanka.testing.anka import Anka

VM, CONTROL = "/api/v1/vm", "/_mock/clock"


class Planted(Exception):
    """A defect of mockanka."""


@pytest.fixture
def anka() -> Iterator[Anka]:
    with mockanka.serve("default", clock="manual") as anka:
        yield anka


def plant(monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> None:
    def fail(*arguments: object, **options: object) -> Any:
        raise Planted(name)

    monkeypatch.setattr(owner, name, fail)


def planted_errors(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Return the log records of planted exceptions, of whatever logger."""
    return [record for record in caplog.records if record.exc_info and isinstance(record.exc_info[1], Planted)]


CONTROLLER_LAYERS = [
    (Gateway, "_simulate", "GET", VM),
    (Gateway, "_is_plain_poll", "GET", VM),
    (Gateway, "_find_fault", "POST", VM),
    (Gateway, "_act", "GET", VM),
    (asgi, "read_body", "POST", VM),
    (asgi, "call_wsgi", "GET", "/api/v1/status"),
    (Journal, "add", "GET", VM),
    (Journal, "add_response", "GET", VM),
    (InstanceCache, "find_response", "GET", VM),
    (ClientMonitor, "record_poll", "GET", VM),
    (ClientMonitor, "record_request", "GET", "/api/v1/status"),
    (Simulator, "count_poll", "GET", VM),
    (ManualClock, "tick", "GET", VM),
]


@pytest.mark.parametrize(("owner", "name", "method", "path"), CONTROLLER_LAYERS)
def test_a_defect_while_the_controller_answers_is_a_failure_in_its_envelope(
    anka: Anka,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    owner: object,
    name: str,
    method: str,
    path: str,
) -> None:
    with httpx.Client(base_url=anka.url) as client:
        with monkeypatch.context() as planting:
            plant(planting, owner, name)
            response = client.request(method, path)
        assert {"status": "FAIL", "message": INTERNAL_ERROR} == response.json()
        assert (500, "application/json") == (response.status_code, response.headers["content-type"])
        assert "date" in response.headers
        assert [logging.ERROR] == [record.levelno for record in planted_errors(caplog)]
        assert 200 == client.get(path).status_code


def test_the_journal_has_the_response_to_a_request_that_met_a_defect(
    anka: Anka, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as planting:
        plant(planting, InstanceCache, "find_response")
        httpx.get(anka.url + VM)
    (entry,) = httpx.get(f"{anka.url}/_mock/requests").json()["requests"]
    assert (500, {"status": "FAIL", "message": INTERNAL_ERROR}) == (entry["status"], entry["answer"])


@pytest.mark.parametrize(("owner", "name"), [(Gateway, "_control"), (asgi, "read_body"), (asgi, "start_wsgi")])
def test_a_defect_above_the_control_application_is_a_problem(
    anka: Anka, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, owner: object, name: str
) -> None:
    with httpx.Client(base_url=anka.url) as client:
        with monkeypatch.context() as planting:
            plant(planting, owner, name)
            response = client.get(CONTROL)
        assert (500, "Internal Server Error", INTERNAL_ERROR) == (
            response.status_code,
            response.json()["title"],
            response.json()["detail"],
        )
        assert "application/problem+json" == response.headers["content-type"]
        assert [logging.ERROR] == [record.levelno for record in planted_errors(caplog)]
        assert 200 == client.get(CONTROL).status_code


def test_a_defect_within_the_control_application_is_a_problem(
    anka: Anka, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as planting:
        plant(planting, Simulator, "dump")
        response = httpx.get(f"{anka.url}/_mock/scenario")
    assert (500, INTERNAL_ERROR) == (response.status_code, response.json()["detail"])
    assert [logging.ERROR] == [record.levelno for record in planted_errors(caplog)]
    assert 200 == httpx.get(f"{anka.url}/_mock/scenario").status_code


EVENTS = {"accept": "text/event-stream"}


@pytest.mark.parametrize(("owner", "name"), [(EventStreams, "serve"), (event_stream, "_wants_requests")])
def test_a_defect_before_an_event_stream_begins_is_a_problem(
    anka: Anka, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, owner: object, name: str
) -> None:
    with monkeypatch.context() as planting:
        plant(planting, owner, name)
        response = httpx.get(f"{anka.url}/_mock/events", headers=EVENTS)
    assert (500, INTERNAL_ERROR) == (response.status_code, response.json()["detail"])
    assert [logging.ERROR] == [record.levelno for record in planted_errors(caplog)]
    assert 200 == httpx.get(f"{anka.url}/_mock/events").status_code


def test_a_defect_within_an_event_stream_ends_it_and_no_other(
    anka: Anka, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The client knows by the end of the connection that the stream is not whole."""
    with httpx.Client(base_url=anka.url, timeout=5) as client:
        with monkeypatch.context() as planting:
            plant(planting, event_stream, "event_to_json")
            with client.stream("GET", "/_mock/events", headers=EVENTS) as stream:
                lines = stream.iter_lines()
                assert ": listening" == next(lines)
                httpx.post(f"{anka.url}/_mock/faults", json={"match": {"path": "/x"}, "do": {"status": 500}})
                template = httpx.get(f"{anka.url}/api/v1/registry/vm").json()["body"][0]["id"]
                httpx.post(anka.url + VM, json={"vmid": template})
                with pytest.raises(httpx.RemoteProtocolError):
                    list(lines)
        assert [logging.ERROR] == [record.levelno for record in planted_errors(caplog)]
        with client.stream("GET", "/_mock/events", headers=EVENTS) as stream:
            assert ": listening" == next(stream.iter_lines())


def test_a_defect_within_a_long_list_breaks_off_the_response(
    anka: Anka, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The connection is closed before the last chunk, so that the client does not take the part for the whole."""
    real = asyncio.sleep
    calls = 0

    async def fail_later(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise Planted
        await real(*arguments)

    def parts(app: object, scope: object, body: bytes, length: int) -> tuple[asgi.Response, Iterator[bytes]]:
        return asgi.Response(200, [(b"content-type", b"text/plain")], b""), iter([b"a"] * 5)

    with monkeypatch.context() as planting:
        planting.setattr(asgi, "start_wsgi", parts)
        planting.setattr("mockanka.server.http_messages.asyncio.sleep", fail_later)
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(anka.url + CONTROL)
    assert [logging.ERROR] == [record.levelno for record in planted_errors(caplog)]
    assert 200 == httpx.get(anka.url + CONTROL).status_code


@pytest.mark.parametrize("path", [VM, CONTROL])
def test_a_defect_after_the_response_leaves_the_response(
    anka: Anka, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    with httpx.Client(base_url=anka.url) as client:
        with monkeypatch.context() as planting:
            plant(planting, EventStreams, "notify")
            assert [200] * 3 == [client.get(path).status_code for _ in range(3)]
        assert 2 <= len(planted_errors(caplog)) <= 3  # the last may still be on its way
        assert 200 == client.get(path).status_code


def test_a_defect_in_fault_rules_is_answered(
    anka: Anka, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    anka.load({"faults": [{"match": {"path": "/api/v1/node"}, "do": {"status": 503}}]})
    with monkeypatch.context() as planting:
        plant(planting, FaultRules, "match_request")
        assert 500 == httpx.get(anka.url + VM).status_code
    assert [logging.ERROR] == [record.levelno for record in planted_errors(caplog)]
    assert 200 == httpx.get(anka.url + VM).status_code
