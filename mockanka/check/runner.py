"""A run of all checks of a controller, from the first request to the last removal."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from mockanka.check.cleanup import Cleanup
from mockanka.check.generated import generated_steps
from mockanka.check.read_checks import check_release, read_steps
from mockanka.check.results import Results, RunAborted
from mockanka.check.session import Pace, Session
from mockanka.check.write_checks import WriteChecks, WriteTarget
from mockanka.contract.conformance import contract_of
from mockanka.contract.paths import STATUS_PATH
from mockanka.core.release import Release
from mockanka.remote.client import ControllerClient

ProgressCallback = Callable[[str, int, int], None]
"""Called when a step begins, with its name, its number from 0 on, and the number of steps."""


@dataclass(frozen=True)
class CheckPlan:
    """Settings of checks. Without a target only GETs are sent; without a release that of the status is used."""

    release: Release | None = None
    target: WriteTarget | None = None
    pace: Pace = field(default_factory=Pace)
    generated: int = 0
    """Requests that schemathesis generates for each operation."""


def ignore_progress(name: str, number: int, total: int) -> None:
    """Do nothing."""


def check_controller(
    client: ControllerClient,
    plan: CheckPlan | None = None,
    sleep: Callable[[float], None] = time.sleep,
    progress: ProgressCallback = ignore_progress,
) -> Results:
    """Check a controller, and remove all that the run created, however it ends.

    ControllerError if there is no usable controller.
    """
    plan = plan or CheckPlan()
    status = client.status()
    release = plan.release or client.release(status)
    contract = contract_of(release)
    results = Results(contract, str(client.url), "write" if plan.target else "read-only")
    if release != release.known:
        results.add_remark(f"release {release} is not known; it is checked against {release.known}")
    session = Session(client, contract, results, sleep, plan.pace)
    session.last_request = f"GET {STATUS_PATH}"
    if plan.release is not None:
        check_release(session, str(status.get("version")))
    cleanup = Cleanup(client, results, sleep)
    try:
        _run_steps(session, plan, cleanup, progress)
    except RunAborted as error:
        results.broken_off = str(error)
    except KeyboardInterrupt:
        client.interrupts.clear()
        results.broken_off = "interrupted"
    finally:
        progress("removal", 1, 1)
        with results.guarded("the removal"):
            cleanup.remove_all()
    return results


def _run_steps(session: Session, plan: CheckPlan, cleanup: Cleanup, progress: ProgressCallback) -> None:
    steps = read_steps(session)
    if plan.target is not None:
        steps += WriteChecks(session, plan.target, cleanup, plan.generated).steps()
    if plan.generated:
        steps += generated_steps(session, plan.generated)
    for number, (name, step) in enumerate(steps):
        progress(name, number, len(steps))
        with session.results.guarded(name):
            step()
    session.client.interrupts.raise_pending()
