"""The gateway, called as ASGI in this process: clocks, polls, dates, long bodies and clients that leave."""

from __future__ import annotations

import json
from collections.abc import Iterable
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mockanka.api.request_fields import MAX_BODY
from mockanka.core.release import Release
from mockanka.scenario import Options, Scenario, dump
from mockanka.server import asgi
from mockanka.server.asgi import MAX_READ
from mockanka.server.wsgi_bridge import call_wsgi
from mockanka.units import SECOND
from tests.conftest import examples
from tests.controllers import CORNERS
from tests.server.asgi_client import (
    Headers,
    Response,
    clock_of,
    gateway_of,
    request,
    run_coroutine,
    scope_of,
    send_messages,
    send_request,
)

BEGIN = "2024-01-01T00:00:00Z"


API_REQUESTS = [
    ("GET", "/api/v1/vm"),
    ("GET", "/api/v1/vm?id=nobody"),
    ("GET", "/api/v1/node"),
    ("POST", "/api/v1/vm"),
    ("DELETE", "/api/v1/vm"),
    ("GET", "/api/v1/status"),
    ("GET", "/nowhere"),
    ("PATCH", "/api/v1/vm"),
]


@pytest.mark.parametrize(("method", "target"), API_REQUESTS)
def test_each_api_request_moves_a_stepping_clock(method: str, target: str) -> None:
    """A stepping clock moves by its step with each request to the API, whatever the response is."""
    gateway = gateway_of(step=7 * SECOND)
    request(gateway, method, target)

    assert "2024-01-01T00:00:07Z" == clock_of(gateway)


@pytest.mark.parametrize(("method", "target"), API_REQUESTS)
def test_no_request_moves_a_manual_clock(method: str, target: str) -> None:
    """A manual clock moves only by the control API."""
    gateway = gateway_of(clock="manual", step=7 * SECOND)
    request(gateway, method, target)

    assert BEGIN == clock_of(gateway)


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/_mock"),
        ("GET", "/_mock/"),
        ("GET", "/_mock/health"),
        ("GET", "/_mock/clock"),
        ("PUT", "/_mock/clock"),
        ("GET", "/_mock/scenario"),
        ("GET", "/_mock/events"),
        ("GET", "/_mock/nowhere"),
        ("DELETE", "/_mock/health"),
    ],
)
def test_the_control_api_does_not_move_a_stepping_clock(method: str, target: str) -> None:
    """A request to the control API leaves a stepping clock where it is."""
    gateway = gateway_of()
    request(gateway, method, target)

    assert BEGIN == clock_of(gateway)


def test_an_instance_starts_by_polls() -> None:
    """With a stepping clock an instance is Started after a few polls."""
    gateway = gateway_of()
    template = next(iter(gateway.simulator.controller.templates))
    (id,) = request(gateway, "POST", "/api/v1/vm", {"vmid": template}).json["body"]
    states = [request(gateway, "GET", f"/api/v1/vm?id={id}").json["body"]["instance_state"] for _ in range(6)]

    assert ["Scheduling"] * 4 + ["Started"] * 2 == states


def test_the_date_is_that_of_the_clock() -> None:
    """Each response of the API and of the control API has the date of the virtual clock."""
    gateway = gateway_of(step=3600 * SECOND)
    dates = [
        request(gateway, "GET", target).header("date")
        for target in ("/_mock/health", "/api/v1/vm", "/api/v1/node", "/nowhere", "/_mock/clock")
    ]

    assert [0, 1, 2, 3, 3] == [parsedate_to_datetime(date).hour for date in dates]
    assert "Mon, 01 Jan 2024 00:00:00 GMT" == dates[0]


def test_a_clock_beyond_the_year_9999_still_has_a_date() -> None:
    """Requests are answered after the clock has stepped past the last date that there is."""
    gateway = gateway_of(step=1000 * 365 * 24 * 3600 * SECOND)
    statuses = [request(gateway, "GET", "/api/v1/vm").status for _ in range(10)]

    assert [200] * 10 == statuses


def sort_headers(headers: Headers) -> list[tuple[bytes, bytes]]:
    return sorted(headers)


@pytest.mark.parametrize(
    "query", ["", "?id={id}", "?id=nobody", "?id=", "?id={id}&x=1", "?ID={id}", "?x", "?id={id}&id=x"]
)
def test_polls_are_answered_as_the_application_does(query: str) -> None:
    """A response that the gateway makes of kept bytes has the status, headers and body of the application's."""
    fast, slow = (gateway_of("busy", step=3 * SECOND) for _ in range(2))
    id = next(iter(fast.simulator.controller.instances))
    target = "/api/v1/vm" + query.format(id=id)
    for _ in range(12):
        quick = request(fast, "GET", target)
        slow.simulator.controller.clock.tick()
        response = call_wsgi(slow.simulator.app, scope_of("GET", target), b"", 0)
        expected = [*response.headers, (b"date", quick.header("date").encode())]

        assert (response.status, response.content) == (quick.status, quick.body)
        assert sort_headers(expected) == sort_headers(quick.headers)


def test_polls_see_every_change() -> None:
    """The kept bytes are never older than the last request."""
    gateway = gateway_of(clock="manual")
    template = next(iter(gateway.simulator.controller.templates))
    counts = [len(request(gateway, "GET", "/api/v1/vm").json["body"])]
    (id,) = request(gateway, "POST", "/api/v1/vm", {"vmid": template}).json["body"]
    counts.append(len(request(gateway, "GET", "/api/v1/vm").json["body"]))
    request(gateway, "PUT", f"/api/v1/vm?id={id}", {"name": "renamed"})
    named = request(gateway, "GET", "/api/v1/vm").json["body"][-1]["name"]
    request(gateway, "POST", "/_mock/reset")
    counts.append(len(request(gateway, "GET", "/api/v1/vm").json["body"]))

    assert ([1, 2, 1], "renamed") == (counts, named)


WORLD = Scenario.from_yaml(CORNERS)


SAMPLE = WORLD.controller(Options(clock="step"))


TEMPLATES, NODES, GROUPS = (list(part) for part in (SAMPLE.templates, SAMPLE.nodes, SAMPLE.groups))


STARTED_IDS = [gateway_of(WORLD).simulator.controller.new_id("instance")]


REQUESTS = st.one_of(
    st.just(("GET", "/api/v1/vm", None)),
    st.sampled_from(
        [("GET", f"/api/v1/{path}", None) for path in ("node", "registry/vm", "group", "status", "usb", "image")]
    ),
    st.builds(
        lambda template, count, group: ("POST", "/api/v1/vm", {"vmid": template, "count": count, **group}),
        st.sampled_from(TEMPLATES),
        st.integers(1, 3),
        st.sampled_from([{}, *({"group_id": id} for id in GROUPS)]),
    ),
    st.builds(
        lambda template: ("POST", "/api/v1/registry/vm/distribute", {"template_id": template}),
        st.sampled_from(TEMPLATES),
    ),
    st.sampled_from([("GET", f"/api/v1/vm?id={id}", None) for id in STARTED_IDS]),
    st.sampled_from([("DELETE", "/api/v1/vm", {"id": id}) for id in STARTED_IDS]),
    st.sampled_from([("DELETE", "/api/v1/node", {"node_id": id}) for id in NODES]),
    st.sampled_from([("POST", "/api/v1/image", {"id": id, "new_template_name": "saved"}) for id in STARTED_IDS]),
    st.just(("POST", "/_mock/clock/advance", {"until": "next"})),
    st.just(("POST", "/_mock/clock/advance", {"by": "37s"})),
    st.just(("GET", "/_mock/scenario", None)),
    st.just(("GET", "/_mock/events", None)),
    st.just(("POST", "/_mock/reset", {})),
)


@settings(max_examples=examples(30, 120))
@given(st.lists(REQUESTS, max_size=12), st.integers(0, 3))
def test_the_same_requests_get_the_same_bytes(requests: list[tuple[str, str, Any]], seed: int) -> None:
    """Two gateways with the same scenario and seed response the same requests with the same bytes."""

    async def converse() -> list[list[dict[str, Any]]]:
        gateways = [gateway_of(WORLD, seed=seed) for _ in range(2)]
        return [
            [message for r in requests for message in (await send_request(gateway, *r)).messages]
            for gateway in gateways
        ]

    first, second = run_coroutine(converse)

    assert first == second


class Part(bytes):
    """A part of a body; the class counts the bytes of all parts that exist."""

    held = 0
    most = 0

    def __new__(cls, size: int) -> Part:
        self = super().__new__(cls, size)
        cls.held += size
        cls.most = max(cls.most, cls.held)
        return self

    def __del__(self) -> None:
        Part.held -= len(self)


@pytest.mark.parametrize("release", ["1.8.0", "1.50.1"])
def test_a_body_over_the_limit_is_refused_without_being_kept(release: str) -> None:
    """Of a body that is too long not much more than the limit is kept, and the FAIL names the limit."""
    gateway = gateway_of(release=Release.parse(release))
    before = dump(gateway.simulator.controller)["nodes"]
    size, count = 1 << 20, 40
    Part.held = Part.most = 0
    parts = ({"type": "http.request", "body": Part(size), "more_body": n < count - 1} for n in range(count))
    response = Response(run_coroutine(lambda: send_messages(gateway, scope_of("POST", "/api/v1/vm"), parts)))

    assert ("FAIL", 200 if release == "1.8.0" else 400) == (response.json["status"], response.status)
    assert str(MAX_BODY) in response.json["message"]
    assert Part.most <= MAX_BODY + 3 * size
    assert before == dump(gateway.simulator.controller)["nodes"]


def test_a_body_without_end_is_read_no_further_than_needed() -> None:
    """A client that never stops sending gets its response after MAX_READ bytes."""
    gateway = gateway_of()
    piece = bytes(MAX_READ // 16)
    served = 0

    def parts() -> Iterable[dict[str, Any]]:
        nonlocal served
        while True:
            served += 1
            yield {"type": "http.request", "body": piece, "more_body": True}

    response = Response(run_coroutine(lambda: send_messages(gateway, scope_of("POST", "/api/v1/vm"), parts())))

    assert "FAIL" == response.json["status"]
    assert served <= 18


def test_a_body_over_the_limit_of_the_control_api_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The response is a problem that names the limit."""
    most = 2 << 20
    monkeypatch.setattr("mockanka.server.asgi.MAX_CONTROL_BODY", most)
    monkeypatch.setattr("mockanka.control.problems.MAX_CONTROL_BODY", most)
    gateway = gateway_of()
    size, count = 1 << 20, 5
    parts = ({"type": "http.request", "body": b"#" * size, "more_body": n < count - 1} for n in range(count))
    response = Response(run_coroutine(lambda: send_messages(gateway, scope_of("PUT", "/_mock/scenario"), parts)))

    assert "application/problem+json" == response.header("content-type")
    assert (413, f"the body has {size * count} bytes, at most {most} are read") == (
        response.status,
        response.json["detail"],
    )


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("POST", "/api/v1/vm", b'{"vmid": "'),
        ("DELETE", "/api/v1/vm", b'{"id": "'),
        ("POST", "/_mock/reset", b"{}"),
        ("PUT", "/_mock/scenario", b"nodes: []\n"),
        ("POST", "/_mock/clock/advance", b'{"by": "30s"}'),
    ],
)
def test_a_client_that_leaves_in_mid_body_changes_nothing(method: str, target: str, body: bytes) -> None:
    """A request that is not complete gets no response, and moves neither the clock nor the state."""
    gateway = gateway_of()
    before = dump(gateway.simulator.controller)
    parts = [{"type": "http.request", "body": body, "more_body": True}, {"type": "http.disconnect"}]
    sent = run_coroutine(lambda: send_messages(gateway, scope_of(method, target), parts))

    assert [] == sent
    assert (before, BEGIN) == (dump(gateway.simulator.controller), clock_of(gateway))


def test_a_body_in_pieces_is_one_body() -> None:
    """A body that comes byte by byte is read as a whole."""
    gateway = gateway_of()
    raw = json.dumps({"vmid": next(iter(gateway.simulator.controller.templates))}).encode()
    parts = [{"type": "http.request", "body": raw[n : n + 1], "more_body": n < len(raw) - 1} for n in range(len(raw))]
    response = Response(run_coroutine(lambda: send_messages(gateway, scope_of("POST", "/api/v1/vm"), parts)))

    assert "OK" == response.json["status"]


def test_scopes_other_than_http_are_ignored() -> None:
    """A scope of another type gets no message."""
    assert [] == run_coroutine(lambda: send_messages(gateway_of(), {"type": "lifespan"}, []))


def test_the_longest_body_is_read_in_full() -> None:
    """The gateway keeps as many bytes as the application takes at most."""
    assert asgi.MAX_BODY == MAX_BODY < MAX_READ
