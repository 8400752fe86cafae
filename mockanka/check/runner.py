"""A whole run, from the first request to the last removal."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from mockanka.check import generated, read_checks
from mockanka.check.cleanup import Leftovers
from mockanka.check.results import Results
from mockanka.check.session import BrokenOff, Pace, Run
from mockanka.check.write_checks import Target, Writing
from mockanka.contract.conformance import contract_of
from mockanka.core.release import Release
from mockanka.remote.client import STATUS, Remote

Told = Callable[[str, int, int], None]
"""Who is told of each step: its name, which it is, and of how many."""


@dataclass(frozen=True)
class Plan:
    """What is to be checked, and how. Without a target nothing but GETs is sent."""

    release: Release | None = None
    target: Target | None = None
    pace: Pace = field(default_factory=Pace)
    generated: int = 0
    """Requests that schemathesis makes for each operation."""


def nobody(name: str, step: int, of: int) -> None:
    """Nobody is told."""


def check(
    remote: Remote, plan: Plan | None = None, sleep: Callable[[float], None] = time.sleep, told: Told = nobody
) -> Results:
    """Check a controller. Unusable if it is none; whatever was made is removed, however the run ends."""
    plan = plan or Plan()
    status = remote.status()
    release = plan.release or remote.release(status)
    contract = contract_of(release)
    results = Results(contract, str(remote.url), "write" if plan.target else "read-only")
    if release != release.known:
        results.remarks.append(f"release {release} is not known; it is held against {release.known}")
    run = Run(remote, contract, results, sleep, plan.pace)
    run.last = f"GET {STATUS}"
    if plan.release is not None:
        read_checks.check_release(run, str(status.get("version")))
    leftovers = Leftovers(remote, results, sleep)
    try:
        _go_through(run, plan, leftovers, told)
    except BrokenOff as why:
        results.broken_off = str(why)
    except KeyboardInterrupt:
        results.broken_off = "interrupted"
    finally:
        told("removal", 1, 1)
        leftovers.remove()
    return results


def _go_through(run: Run, plan: Plan, leftovers: Leftovers, told: Told) -> None:
    steps = read_checks.steps(run)
    if plan.target is not None:
        steps += Writing(run, plan.target, leftovers, plan.generated).steps()
    if plan.generated:
        steps += generated.steps(run, plan.generated)
    for number, (name, step) in enumerate(steps):
        told(name, number, len(steps))
        step()
