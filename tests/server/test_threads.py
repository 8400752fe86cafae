"""Many clients at once: whatever they send, the state stays sound and the journal complete.

With ``MOCKANKA_TWINS=20`` there are twenty runs instead of one; ``.ci/full`` does that.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from random import Random
from urllib.parse import urlsplit

import pytest

import mockanka
from mockanka.scenario import Scenario, dump
from tests.controllers import require_sound_state
from tests.server.random_requests import RandomRequests

THREADS = 48
REQUESTS = 12
"""Requests of each thread."""
SEEDS = int(os.environ.get("MOCKANKA_TWINS") or 1)
TIMEOUT = 60.0
UNSAFE = frozenset({"refuse", "unreachable"})
"""Faults by which requests do not arrive."""


@pytest.mark.parametrize("seed", range(SEEDS))
def test_random_requests_of_many_threads_leave_a_sound_state(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    """No response is an internal error, each request is in the journal once, and the state is a sound one."""
    together = threading.Barrier(THREADS)
    with mockanka.serve("fleet", clock="step", step="1s", seed=seed) as anka:
        address = urlsplit(anka.url).netloc
        controller = anka._simulator.controller

        def send_requests(number: int) -> dict[str, tuple[int, bytes] | None]:
            """Return the answers to random requests by their User-Agent, None for those that were broken off."""
            requests = RandomRequests(Random(f"{seed} {number}"), controller, UNSAFE)
            answers: dict[str, tuple[int, bytes] | None] = {}
            with closing(http.client.HTTPConnection(address, timeout=TIMEOUT)) as connection:
                together.wait(TIMEOUT)
                for turn in range(REQUESTS):
                    method, target, body = requests.request()
                    agent = f"{'control' if target.startswith('/_mock') else 'api'}-{number}-{turn}"
                    answers[agent] = None
                    try:
                        connection.request(method, target, body.encode() or None, {"User-Agent": agent})
                        with connection.getresponse() as response:
                            answers[agent] = response.status, response.read()
                    except (http.client.HTTPException, ConnectionError):
                        connection.close()
            return answers

        with ThreadPoolExecutor(THREADS) as pool:
            answers = {
                agent: answer for part in pool.map(send_requests, range(THREADS)) for agent, answer in part.items()
            }
        with closing(http.client.HTTPConnection(address, timeout=TIMEOUT)) as connection:
            connection.request("GET", "/_mock/requests")
            journal = json.loads(connection.getresponse().read())["requests"]
        state = anka.dump()

    assert THREADS * REQUESTS == len(answers)
    assert Counter(agent for agent in answers if agent.startswith("api")) == Counter(
        entry["user_agent"] for entry in journal
    )
    assert [entry["number"] for entry in journal] == list(range(1, len(journal) + 1))
    for agent, answer in answers.items():
        if agent.startswith("control"):
            assert answer is not None
            assert answer[0] < 500
    plain = [entry for entry in journal if entry["fault"] is None and entry["outcome"] is None]
    assert len(plain) > len(journal) / 4
    for entry in plain:
        answer = answers[entry["user_agent"]]
        assert answer is not None
        assert answer[0] == entry["status"] < 500
    assert [] == [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    loaded = Scenario.from_data(state).controller()
    assert dump(loaded) == state
    require_sound_state(loaded)
