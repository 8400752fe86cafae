"""Resets are total whatever was in force: after random faults and requests the server answers as a new one.

With ``MOCKANKA_TWINS=20`` twenty times as many seeds are tried; ``.ci/full`` does that.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from itertools import chain, islice
from random import Random
from typing import Any

import pytest

from mockanka.scenario import Scenario, shipped
from mockanka.server.asgi import Gateway
from mockanka.simulator.simulator import Simulator
from tests.server.random_requests import RandomRequests, RandomRules, Request, answer_to, body_of, json_request
from tests.server.twins import Difference, Start, shrink, starts

SEEDS = 8 * int(os.environ.get("MOCKANKA_TWINS") or 1)
RULES, REQUESTS, REQUESTS_AFTER = 12, 50, 40
SCENARIOS = shipped()
STARTS = [starts(SCENARIOS, [seed])[seed % len(SCENARIOS)] for seed in range(SEEDS)]
AT_THE_END = tuple(Request("GET", f"/_mock/{path}") for path in ("scenario", "events", "report", "faults", "requests"))
STALE_FIRST = (
    json_request("POST", "/_mock/faults", {"match": {"method": "GET"}, "do": {"stale": True}, "times": 3}),
    *(Request("GET", f"/api/v1/{path}") for path in ("vm", "node", "status", "registry/vm")),
    Request("DELETE", "/_mock/faults"),
)
"""Requests that would be answered with what was said before the reset, if that was still known."""


def gateway_of_start(start: Start) -> Gateway:
    """Return a new gateway."""
    return Gateway(Simulator(Scenario.named(start.scenario), start.options()))


def without_wall_times(request: Request, answer: bytes) -> object:
    """Return an answer without the wall times of the journal, and without its length, which depends on them."""
    if request != Request("GET", "/_mock/requests"):
        return answer
    journal: dict[str, Any] = json.loads(body_of(answer))
    for entry in journal["requests"]:
        assert {"wall", "seconds"} <= entry.keys()
        del entry["wall"], entry["seconds"]
    return journal


async def random_past(start: Start) -> list[Request]:
    """Return requests that were sent to a new gateway: fault rules of all kinds, and random requests."""
    gateway = gateway_of_start(start)
    random, controller = Random(f"{start}"), gateway.simulator.controller
    rules = RandomRules(random, controller)
    requests = RandomRequests(random, controller)
    sent: list[Request] = []
    for number in range(RULES + REQUESTS):
        is_rule = number % ((RULES + REQUESTS) // RULES) == 0
        sent.append(json_request("POST", "/_mock/faults", rules.rule()) if is_rule else requests.request())
        await answer_to(gateway, sent[-1])
    return sent


async def send_and_reset(gateway: Gateway, start: Start, past: Sequence[Request]) -> Difference | None:
    """Send requests, reset the gateway, and return the first answer after that which differs from a new gateway's."""
    for request in past:
        await answer_to(gateway, request)
    reset = await answer_to(gateway, Request("POST", "/_mock/reset"))
    assert reset.startswith(b"200")
    new = gateway_of_start(start)
    requests = RandomRequests(Random(start.seed), new.simulator.controller)
    for number, request in enumerate(chain(AT_THE_END, STALE_FIRST, islice(requests, REQUESTS_AFTER), AT_THE_END)):
        expected, answer = await answer_to(new, request), await answer_to(gateway, request)
        if without_wall_times(request, expected) != without_wall_times(request, answer):
            return Difference(number, request, expected, answer)
    return None


def difference_after(start: Start, past: Sequence[Request]) -> Difference | None:
    """Return the first difference after a reset of a gateway that has had these requests, or None."""
    return asyncio.run(send_and_reset(gateway_of_start(start), start, past))


@pytest.mark.parametrize("start", STARTS, ids=str)
def test_a_server_that_was_reset_answers_as_a_new_one(start: Start) -> None:
    """Random faults of all kinds and random requests leave nothing; neither do those between two resets."""

    async def run() -> tuple[list[Request], Difference | None]:
        past = await random_past(start)
        gateway = gateway_of_start(start)
        found = [await send_and_reset(gateway, start, past) for _ in range(2)]
        return past, found[0] or found[1]

    past, difference = asyncio.run(run())
    if difference is not None:
        fewer = shrink(past, lambda requests: difference_after(start, requests) is not None)
        lines = "\n".join(f"  {request!r}," for request in fewer)
        pytest.fail(f"{start!r}, after a reset: {difference}\nthe same after {len(fewer)} requests:\n{lines}")
