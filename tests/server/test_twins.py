"""Twins: the server that a dump is loaded into answers every later request with the bytes of the first one.

With ``MOCKANKA_TWINS=20`` twenty seeds are tried of each scenario, instead of one; ``.ci/full`` does that.
"""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import islice
from random import Random

import pytest

from mockanka.core.faults import FaultRules
from mockanka.core.operations import OPERATIONS
from mockanka.scenario import Options, Scenario, ScenarioError, shipped
from mockanka.simulator.simulator import Simulator
from tests.openapi.control_document.fault_keys import COMPATIBLE_KEYS
from tests.server import twins
from tests.server.random_requests import RELEASES, RandomRequests, RandomRules
from tests.server.twins import Start

SEEDS = int(os.environ.get("MOCKANKA_TWINS") or 1)
STEPS = 100
OF_ALL_RELEASES = "default"
"""The scenario that is tried at each release with every seed; the others take turns."""

STARTS = [
    *twins.starts([name for name in shipped() if name != OF_ALL_RELEASES], range(SEEDS)),
    *(Start(OF_ALL_RELEASES, release, "manual", seed) for release in RELEASES for seed in range(SEEDS)),
]


@pytest.mark.parametrize("start", STARTS, ids=str)
def test_what_is_loaded_from_a_dump_answers_as_what_was_dumped(start: Start) -> None:
    """Random requests to both, with dumps at random moments: status, headers and bodies are the same bytes."""
    run = twins.run_twins(start, STEPS)

    assert run.difference is None, twins.explain(start, run)
    assert run.compared > STEPS / 2
    assert {request.method for request in run.steps} >= {"GET", "POST", "DELETE", "DUMP"}


def test_random_requests_are_of_all_operations() -> None:
    """In some thousand requests there is every operation, those with an id included."""
    controller = Scenario.named("default").controller(Options(clock="manual"))
    requests = islice(RandomRequests(Random(0), controller), 3000)
    sent = {(request.method, request.path) for request in requests}

    assert set() == {(operation.method, operation.path) for operation in OPERATIONS} - sent


def test_random_rules_are_of_all_kinds_of_faults() -> None:
    """In some thousand rules there is each action at each event with each of its companions, and most are accepted."""
    simulator = Simulator(Scenario.named("default"), Options(clock="manual"))
    rules = RandomRules(Random(0), simulator.controller)
    found: set[tuple[str | None, str]] = set()
    accepted = 0
    for _ in range(3000):
        rule = rules.rule()
        with suppress(ScenarioError):
            simulator.add_faults([rule])
            accepted += 1
            found.update((rule["match"].get("event"), key) for key in rule["do"])
        simulator.controller.faults = FaultRules()

    assert accepted > 1500
    keys = {(event, key) for event, kinds in COMPATIBLE_KEYS.items() for kind in kinds for key in (kind, *kinds[kind])}
    assert set() == keys - found


def test_a_difference_is_told_with_the_steps_that_lead_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dump with another seed gives other ids, which a start after the dump shows."""
    dump = Simulator.dump
    monkeypatch.setattr(Simulator, "dump", lambda simulator: {**dump(simulator), "seed": 99})
    start = Start("default", "1.50.1", "manual", 3)
    run = twins.run_twins(start, STEPS)

    assert run.difference is not None
    text = twins.explain(start, run)
    assert repr(start) in text
    assert "the same with 2 steps:\n  Request(method='DUMP'" in text
