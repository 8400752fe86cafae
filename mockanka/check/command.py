"""The run behind ``mockanka check``: its output, its reports, and its exit status."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from mockanka.check import generated
from mockanka.check.console import ProgressDisplay, render_results
from mockanka.check.from_recording import check_recording
from mockanka.check.junit import write_junit
from mockanka.check.results import Results
from mockanka.check.runner import CheckPlan, check_controller
from mockanka.check.session import Pace
from mockanka.check.write_checks import find_write_target
from mockanka.contract.conformance import contract_of
from mockanka.core.release import DEFAULT_RELEASE, Release
from mockanka.output_files import write_output
from mockanka.remote.client import ClientOptions, ControllerClient, ControllerError

GENERATED_PER_OPERATION = 20
"""Requests that schemathesis generates for each operation."""


@dataclass(frozen=True)
class CheckOptions:
    """The options of the command."""

    url: str
    client: ClientOptions
    release: Release | None = None
    template: str | None = None
    """Given if, and only if, objects may be created."""
    tag: str | None = None
    node: str | None = None
    timeout: float = 10.0
    limit: float = 0.0
    pace: Pace = field(default_factory=Pace)
    generated: bool = True
    junit: Path | None = None
    json: Path | None = None

    @property
    def mode(self) -> str:
        """The mode as the reports name it."""
        return "read-only" if self.template is None else "write"


def run_check(options: CheckOptions) -> int:
    """Check a controller, print and write the results, and return the exit status.

    ControllerError if there is no usable controller; the reports say so as well.
    """
    try:
        return _run_check(options)
    except ControllerError as error:
        contract = contract_of(options.release or DEFAULT_RELEASE)
        results = Results(contract, options.url.rpartition("@")[2], options.mode)
        results.broken_off = str(error)
        # Otherwise the reports of an earlier run would be taken for those of this one.
        _write_reports(results, options.junit, options.json)
        raise


def _run_check(options: CheckOptions) -> int:
    console = Console(stderr=True)
    client = ControllerClient(options.url, options.client, timeout=options.timeout, limit=options.limit)
    with client, client.interrupts.handled():
        target = None
        if options.template is not None:
            client.status()
            target = find_write_target(client, options.template, options.tag, options.node)
        count = GENERATED_PER_OPERATION if options.generated and generated.is_installed() else 0
        plan = CheckPlan(options.release, target, options.pace, count)
        with ProgressDisplay(console) as display:
            results = check_controller(client, plan, progress=display.begin_step)
    if options.generated and not count:
        results.add_remark(generated.INSTALL_HINT)
    return _finish(results, console, options.junit, options.json)


def run_recording_check(har: Path, release: Release | None, junit: Path | None, data: Path | None) -> int:
    """Check a recording, print and write the results, and return the exit status. InvalidHar if it is not one."""
    return _finish(check_recording(har, release), Console(stderr=True), junit, data)


def _finish(results: Results, console: Console, junit: Path | None, data: Path | None) -> int:
    console.print(render_results(results), soft_wrap=True)
    _write_reports(results, junit, data)
    return results.exit_status


def _write_reports(results: Results, junit: Path | None, data: Path | None) -> None:
    try:
        if data is not None:
            text = json.dumps(results.as_json(), indent=2, ensure_ascii=False) + "\n"
            write_output(data, text.encode("utf-8", "replace").decode())
    finally:  # otherwise a report of an earlier run would be taken for that of this one
        if junit is not None:
            write_junit(results, junit)
