"""Delay: responses that are sent late."""

from __future__ import annotations

import threading
import time
from contextlib import closing

import pytest

import mockanka
from mockanka.testing.anka import Anka
from tests.server.http_client import (
    STATUS,
    TIMEOUT,
    VM,
    clock_seconds,
    count_instances,
    open_socket,
    request_bytes,
    seconds_taken,
    send_request,
    start_instance,
    template_id,
)
from tests.server.response_faults.helpers import seeded

DELAYS: dict[str, tuple[object, float, float]] = {
    "fixed": ("1s", 1.0, 1.0),
    "uniform": ({"uniform": ["500ms", "1500ms"]}, 0.5, 1.5),
    "normal": ({"normal": ["1s", "100ms"]}, 0.3, 1.7),
    "lognormal": ({"lognormal": ["1s", 0.1]}, 0.3, 2.0),
}


@pytest.mark.parametrize("kind", DELAYS)
def test_a_delay_is_waited_for_by_a_real_clock(kind: str) -> None:
    """With a real clock a response is as late as was drawn; each clock draws the same, a fast one scales it."""
    delay, low, high = DELAYS[kind]
    with mockanka.serve("default", clock="manual", seed=4) as manual:
        manual.faults.add(do={"delay": delay})
        drawn = clock_seconds(manual, lambda: send_request(manual.url))
    with mockanka.serve("default", clock="real", speed=10, seed=4) as real:
        real.faults.add(do={"delay": delay})
        waited = seconds_taken(lambda: send_request(real.url))

    assert low <= drawn <= high
    assert drawn / 10 <= waited < drawn


@pytest.mark.parametrize("kind", DELAYS)
def test_a_delay_moves_a_manual_clock(anka: Anka, kind: str) -> None:
    """With a manual clock nobody waits: the clock moves by what was drawn, anew for each request."""
    distribution, low, high = DELAYS[kind]
    anka.faults.add(do={"delay": distribution})
    drawn = [clock_seconds(anka, lambda: send_request(anka.url)) for _ in range(4)]

    assert all(low <= delay <= high for delay in drawn)
    assert (1 if kind == "fixed" else 4) == len(set(drawn))


def test_a_delay_comes_on_top_of_a_step() -> None:
    """A stepping clock moves by its step and by the delay."""
    with mockanka.serve("default", clock="step", step="2s") as anka:
        anka.faults.add(do={"delay": "30s"})
        passed = clock_seconds(anka, lambda: send_request(anka.url))

    assert 32.0 == passed


@pytest.mark.parametrize(("clock", "seconds"), [("manual", 3600.0), ("step", 3605.0)])
def test_a_long_delay_takes_no_wall_time_unless_the_clock_is_real(clock: str, seconds: float) -> None:
    """A delay of an hour takes no time where the clock can be moved."""
    with mockanka.serve("default", clock=clock) as anka:
        anka.faults.add(do={"delay": "1h"})
        waited = seconds_taken(lambda: send_request(anka.url))

        assert seconds == (anka.clock.now - anka.requests[0].at).total_seconds() + (5.0 if clock == "step" else 0.0)
        assert waited < 1


def drawn_delays(seed: int, own: int | None = None, id: str = "slow") -> list[float]:
    """Return the delays of four requests, with a seed of the controller and one of the rule."""
    with mockanka.serve("default", clock="manual", seed=seed) as anka:
        anka.faults.add(id=id, do={"delay": {"uniform": ["0s", "1h"]}}, **seeded(own))
        return [clock_seconds(anka, lambda: send_request(anka.url)) for _ in range(4)]


def test_delays_are_drawn_by_the_seed() -> None:
    """A seed always gives the same delays, another seed or rule gives others; a rule's own seed takes precedence."""
    assert drawn_delays(7) == drawn_delays(7)
    assert drawn_delays(7) != drawn_delays(8)
    assert drawn_delays(7) != drawn_delays(7, id="other")
    assert drawn_delays(7, own=3) == drawn_delays(8, own=3)
    assert drawn_delays(7, own=3) == drawn_delays(3)


def test_a_delayed_request_is_carried_out_at_once(anka: Anka) -> None:
    """The controller acts when the request comes; only the response is late."""
    id = start_instance(anka.url).json["body"][0]
    anka.wait(id, "Scheduling")
    anka.faults.add(match={"method": "GET", "path": VM}, do={"delay": "1m"}, times=1)
    late = send_request(anka.url, target=f"{VM}?id={id}").json["body"]["instance_state"]
    now = send_request(anka.url, target=f"{VM}?id={id}").json["body"]["instance_state"]

    assert ("Scheduling", "Started") == (late, now)


def test_a_delayed_response_does_not_delay_others(real_time_anka: Anka) -> None:
    """While a client waits, others are answered, and see the instance that its request has started."""
    body = {"vmid": template_id(real_time_anka.url)}
    real_time_anka.faults.add(match={"method": "POST"}, do={"delay": "2500ms"})
    waiting = threading.Thread(target=lambda: send_request(real_time_anka.url, "POST", VM, body))
    waiting.start()
    try:
        deadline = time.monotonic() + TIMEOUT
        while (count := count_instances(real_time_anka.url)) == 1 and time.monotonic() < deadline:
            pass
        waits = waiting.is_alive()
    finally:
        waiting.join()

    assert (2, True) == (count, waits)


def test_responses_on_one_connection_keep_their_order(real_time_anka: Anka) -> None:
    """Of two requests sent together the second waits for the first, which is delayed."""
    real_time_anka.faults.add(match={"path": STATUS}, do={"delay": "500ms"})
    with closing(open_socket(real_time_anka.url)) as connection:
        connection.sendall(request_bytes(target=STATUS) + request_bytes(target="/nowhere"))
        received = b""
        while b"404 page not found\n" not in received:
            part = connection.recv(65536)
            assert part
            received += part

    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert 2 == received.count(b"HTTP/1.1 ")
