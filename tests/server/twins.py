"""Twins: a controller, and the one that its dump describes, which get the same requests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any, NamedTuple

from mockanka.core.release import Release
from mockanka.scenario import Options, Scenario
from mockanka.server.asgi import Gateway
from mockanka.simulator.simulator import Simulator
from mockanka.units import SECOND
from tests.server.random_requests import (
    RELEASES,
    UNREPEATABLE_FAULTS,
    RandomRequests,
    Request,
    answer_to,
    body_of,
)

DUMPS = {kind: Request("DUMP", kind) for kind in ("application/json", "application/yaml")}
"""Steps that load the second controller from a dump of the first, by the content type of the dump."""
STEPS_BETWEEN_DUMPS = 15
ONLY_KNOWN_TO_THE_FIRST = ("timeline", "requests", "started_by")
"""Keys of an instance in the control API that tell of the past, which no dump has."""


class Start(NamedTuple):
    """The beginning of a run: the scenario, the release, the mode of the clock and the seed of all that is random."""

    scenario: str
    release: str
    clock: str
    seed: int

    def __str__(self) -> str:
        return " ".join(map(str, self))

    def options(self) -> Options:
        """Return the options of the first controller."""
        return Options(clock=self.clock, seed=self.seed, release=Release.parse(self.release), step=5 * SECOND)


class Difference(NamedTuple):
    """Two answers to one step that differ."""

    step: int
    request: Request
    first: bytes
    second: bytes

    def __str__(self) -> str:
        answers = self.first, self.second
        parts = [body_of(answer) for answer in answers]
        first, second = answers if parts[0] == parts[1] else parts
        at = next((at for at, pair in enumerate(zip(first, second, strict=False)) if pair[0] != pair[1]), -1)
        at = at if at >= 0 else min(len(first), len(second))
        texts = [text[max(0, at - 200) : at + 200].decode(errors="replace") for text in (first, second)]
        return f"step {self.step}: {self.request}\nfirst:  ...{texts[0]}\nsecond: ...{texts[1]}"


class Twins:
    """A controller and, from its first dump on, another one that is loaded with it."""

    def __init__(self, start: Start) -> None:
        self.first = Gateway(Simulator(Scenario.find(start.scenario), start.options()))
        # Nothing of the second is as in the first, so that whatever a dump lacks is seen.
        self.second = Gateway(Simulator(Scenario.named("fleet"), Options(default_clock="step")))
        self.loaded = False
        self.steps = 0

    async def step(self, request: Request) -> Difference | None:
        """Send a request to both, or load the second again, and return the difference of the answers."""
        self.steps += 1
        if request.method == "DUMP":
            return await self._load(request)
        first = await answer_to(self.first, request)
        if not self.loaded:
            return None
        second = await answer_to(self.second, request)
        if _known_to_both(request, first) == _known_to_both(request, second):
            return None
        return Difference(self.steps, request, first, second)

    async def _load(self, request: Request) -> Difference | None:
        look = Request("GET", "/_mock/scenario")
        first = await answer_to(self.first, look, request.target)
        loaded = await answer_to(self.second, Request("PUT", "/_mock/scenario", body_of(first).decode()))
        if not loaded.startswith(b"200"):
            return Difference(self.steps, request, b"", loaded)
        self.loaded = True
        second = await answer_to(self.second, look, request.target)
        return None if first == second else Difference(self.steps, request, first, second)


def _known_to_both(request: Request, answer: bytes) -> object:
    """Return the answer without the past of an instance, which the control API shows with what was done to it."""
    head, _, body = answer.partition(b"\n\n|")
    if not (request.path.startswith("/_mock/instances/") and head.startswith(b"200")):
        return answer
    lines = [line for line in head.splitlines() if not line.startswith(b"content-length")]
    return lines, {key: value for key, value in json.loads(body).items() if key not in ONLY_KNOWN_TO_THE_FIRST}


def steps_of(start: Start, twins: Twins, count: int) -> Iterable[Request]:
    """Yield so many random requests, with dumps at random moments."""
    random = Random(f"{start}")
    requests = RandomRequests(random, twins.first.simulator.controller, UNREPEATABLE_FAULTS)
    next_dump = random.randint(5, STEPS_BETWEEN_DUMPS)
    for number in range(count):
        if number == next_dump:
            next_dump += random.randint(1, 2 * STEPS_BETWEEN_DUMPS)
            yield random.choice(list(DUMPS.values()))
        yield requests.request()


def replay(start: Start, steps: Sequence[Request]) -> Difference | None:
    """Return the first difference that the steps lead to, or None."""

    async def run() -> Difference | None:
        twins = Twins(start)
        for request in steps:
            if (difference := await twins.step(request)) is not None:
                return difference
        return None

    return asyncio.run(run())


def shrink(steps: Sequence[Request], fails: Callable[[Sequence[Request]], bool], attempts: int = 60) -> list[Request]:
    """Return fewer of the steps that still fail: parts are left out, ever smaller ones."""
    left = list(steps)
    size = max(1, len(left) // 2)
    while attempts > 0:
        begin = 0
        found = False
        while begin < len(left) and attempts > 0:
            fewer = left[:begin] + left[begin + size :]
            attempts -= 1
            if fails(fewer):
                left, found = fewer, True
            else:
                begin += size
        if size == 1 and not found:
            break
        size = max(1, size // 2)
    return left


class Run(NamedTuple):
    """A run that was made: its steps, how many of them were requests to both controllers, and the first difference."""

    steps: list[Request]
    compared: int
    difference: Difference | None


def run_twins(start: Start, count: int) -> Run:
    """Send random requests until there is a difference, or so many have been sent."""

    async def run() -> Run:
        twins = Twins(start)
        steps: list[Request] = []
        compared = 0
        for request in steps_of(start, twins, count):
            steps.append(request)
            compared += twins.loaded
            if (difference := await twins.step(request)) is not None:
                return Run(steps, compared, difference)
        return Run(steps, compared, None)

    return asyncio.run(run())


def explain(start: Start, run: Run) -> str:
    """Return how to see the difference of a run again, with as few steps as are left when others are left out."""
    steps = shrink(run.steps, lambda steps: replay(start, steps) is not None)
    lines: list[Any] = [f"twins of {start!r} differ at {run.difference}", "", f"the same with {len(steps)} steps:"]
    lines += [f"  {request!r}," for request in steps]
    return "\n".join([*lines, f"{replay(start, steps)}"])


def starts(scenarios: Sequence[str], seeds: Iterable[int]) -> list[Start]:
    """Return beginnings at each release and of each scenario; releases and clocks take turns."""
    clocks = ("step", "manual")
    return [
        Start(scenario, RELEASES[(number + seed) % len(RELEASES)], clocks[(number + seed) % 2], seed)
        for seed in seeds
        for number, scenario in enumerate(scenarios)
    ]
