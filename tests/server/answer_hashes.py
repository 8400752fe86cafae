"""Hashes of all answers to a fixed script: random requests with fixed seeds, to several scenarios and releases.

``python -m tests.server.answer_hashes`` prints them as JSON, for comparison with those of another Python. It needs no
package of the tests.
"""

from __future__ import annotations

import asyncio
import json
from hashlib import sha256
from itertools import chain, islice
from random import Random

from mockanka.core.release import Release
from mockanka.scenario import Options, Scenario
from mockanka.server.asgi import Gateway
from mockanka.simulator.simulator import Simulator
from tests.server.random_requests import RELEASES, RandomRequests, Request, answer_to

SCENARIOS = ("default", "busy", "reference", "cold-cache", "out-of-step")
REQUESTS = 100
AT_THE_END = tuple(Request("GET", f"/_mock/{path}") for path in ("scenario", "events", "report", "instances"))


async def hash_answers(scenario: str, release: str, seed: int) -> str:
    """Return a hash of random requests to a scenario, and of the answers."""
    options = Options(clock="step", seed=seed, release=Release.parse(release))
    gateway = Gateway(Simulator(Scenario.named(scenario), options))
    requests = RandomRequests(Random(seed), gateway.simulator.controller)
    found = sha256()
    for request in chain(islice(requests, REQUESTS), AT_THE_END):
        found.update(f"{request}\n".encode())
        found.update(await answer_to(gateway, request))
    return found.hexdigest()


def answer_hashes() -> dict[str, str]:
    """Return the hash of each part of the script, by what the part is about."""
    return {
        f"{scenario} {release} {seed}": asyncio.run(hash_answers(scenario, release, seed))
        for seed, (scenario, release) in enumerate(zip(SCENARIOS, RELEASES, strict=True))
    }


if __name__ == "__main__":
    print(json.dumps(answer_hashes()))
