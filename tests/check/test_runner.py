"""A run while the controller changes: its release, and an instance that will never be Started."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from mockanka.contract.exchange import Exchange
from mockanka.core.release import Release
from tests.check.simulated import Alteration, SimulatedController, check_simulated, failures, remaining_objects

STATUS, VM = "/api/v1/status", "/api/v1/vm"


def with_versions(version_of: Callable[[int], str]) -> Alteration:
    """Return an alteration that gives each status the version that belongs to its number."""
    count: list[int] = []

    def alter(exchange: Exchange) -> Exchange:
        if exchange.path != STATUS:
            return exchange
        count.append(1)
        content = exchange.response_content.replace(b"1.50.1-5e3c3f5b", version_of(len(count)).encode())
        return replace(exchange, response_content=content)

    return alter


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize("last_old", [1, 2])
def test_a_run_begins_anew_when_the_release_changes(write: bool, last_old: int) -> None:
    """The results are those of the new release, a remark names the change, and no object remains."""
    alter = with_versions(lambda number: "1.49.0-7d53dd9f" if number <= last_old + write else "1.50.1-5e3c3f5b")
    simulated = SimulatedController(alter=alter)
    results = check_simulated(simulated, write=write)

    assert [] == failures(results)
    assert (0, Release(1, 50, 1)) == (results.exit_status, results.contract.release)
    assert ["the release changed during the run, which began anew: 1.49.0 became 1.50.1"] == results.remarks
    assert [] == remaining_objects(simulated.controller)


def test_a_release_that_never_stays_the_same_ends_the_run() -> None:
    """Behind the address there are perhaps two controllers."""
    alter = with_versions(lambda number: ["1.49.0-7d53dd9f", "1.50.1-5e3c3f5b"][number % 2])
    results = check_simulated(SimulatedController(alter=alter))

    assert 2 == results.exit_status
    assert results.broken_off.startswith("the release of the controller changed during the run: 1.")


def test_a_change_of_a_release_that_was_given_ends_the_run() -> None:
    """The contract is that of the given release, so the run does not begin anew."""
    alter = with_versions(lambda number: "1.49.0-7d53dd9f" if number <= 1 else "1.50.1-5e3c3f5b")
    results = check_simulated(SimulatedController(alter=alter), release=Release(1, 49, 0))

    assert "the release of the controller changed during the run: 1.49.0 became 1.50.1" == results.broken_off


def as_state(state: str) -> Alteration:
    """Return an alteration by which Started instances have another state."""
    return lambda exchange: replace(
        exchange,
        response_content=exchange.response_content.replace(
            b'"instance_state":"Started"', f'"instance_state":"{state}"'.encode()
        ),
    )


@pytest.mark.parametrize("state", ["Stopping", "Stopped", "Error", "Pushing", "Terminating", "Unheard"])
def test_the_waiting_for_started_ends_at_once_with_any_other_state(state: str) -> None:
    """A start that goes to Stopped will never be Started."""
    simulated = SimulatedController(alter=as_state(state))
    began = simulated.now()
    results = check_simulated(simulated, write=True)
    usual = SimulatedController()
    usual_began = usual.now()
    check_simulated(usual, write=True)

    (finding,) = results.result_of("started", "startVms").findings
    assert finding.text.startswith(f"it is {state}: ")
    assert simulated.now() - began <= usual.now() - usual_began
