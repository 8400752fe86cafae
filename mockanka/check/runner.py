"""A run of all checks of a controller, from the first request to the last removal."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

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

MAX_RELEASE_CHANGES = 2
"""Changes of the controller's release after which a run does not begin anew."""
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

    A run in which the release of the controller changes begins anew. ControllerError if there is no usable controller.
    """
    plan = plan or CheckPlan()
    changes: list[str] = []
    deadline, limit = client.deadline, client.limit
    while True:
        client.deadline, client.limit = deadline, limit  # the removal has a limit of its own
        results, change = _run_once(client, plan, sleep, progress)
        for earlier in changes:
            results.add_remark(f"the release changed during the run, which began anew: {earlier}")
        if not change or results.broken_off:
            return results
        if plan.release is not None or len(changes) == MAX_RELEASE_CHANGES:
            results.broken_off = f"the release of the controller changed during the run: {change}"
            return results
        changes.append(change)


def _run_once(
    client: ControllerClient, plan: CheckPlan, sleep: Callable[[float], None], progress: ProgressCallback
) -> tuple[Results, str]:
    """Return the results of one run, and the change of the release that ended it, or an empty string."""
    status = client.status()
    release = plan.release or client.release(status)
    contract = contract_of(release)
    results = Results(contract, str(client.url), "write" if plan.target else "read-only")
    if release != release.known:
        results.add_remark(f"release {release} is not known; it is checked against {release.known}")
    session = Session(client, contract, results, sleep, plan.pace)
    session.current_release = _release_of(status)
    session.last_request = f"GET {STATUS_PATH}"
    if plan.release is not None:
        check_release(session, str(status.get("version")))
    cleanup = Cleanup(client, results, sleep)
    change = ""
    try:
        change = _run_steps(session, plan, cleanup, progress)
    except RunAborted as error:
        results.broken_off = str(error)
    except KeyboardInterrupt:
        client.interrupts.clear()
        results.broken_off = "interrupted"
    finally:
        progress("removal", 1, 1)
        with results.guarded("the removal"):
            cleanup.remove_all()
    return results, change


def _run_steps(session: Session, plan: CheckPlan, cleanup: Cleanup, progress: ProgressCallback) -> str:
    """Run the steps until the release changes; return the change, or an empty string."""
    steps = read_steps(session)
    if plan.target is not None:
        steps += WriteChecks(session, plan.target, cleanup, plan.generated).steps()
    if plan.generated:
        steps += generated_steps(session, plan.generated)
    steps.append(("the status once more", lambda: _request_status(session)))
    for number, (name, step) in enumerate(steps):
        progress(name, number, len(steps))
        before = session.current_release
        with session.results.guarded(name):
            step()
        if before is not None and session.current_release != before:
            return f"{before} became {session.current_release}"
    session.client.interrupts.raise_pending()
    return ""


def _request_status(session: Session) -> None:
    session.get(STATUS_PATH)


def _release_of(status: dict[str, Any]) -> Release | None:
    """Return the release in the body of a status, or None."""
    try:
        return Release.from_version(str(status.get("version")))
    except ValueError:
        return None
