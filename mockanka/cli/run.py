"""``mockanka run``: runs a command with a controller of its own."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mockanka.cli.common import ReadyFile, bind_or_exit, prepare_simulator, print_greeting, print_message
from mockanka.cli.options import FILE, port_option, read_allowances, read_finding_kinds, serving_options
from mockanka.cli.run_files import FindingRules, RunFiles

if TYPE_CHECKING:
    from mockanka.simulator.client_report import Allowance

NO_REQUESTS = (
    "mockanka: the controller saw no request at all: does the client use the URL in ANKA_CONTROLLER_URL, "
    "and reach it without a proxy?"
)
MISSING_COMMAND = "the command to run goes after --: mockanka run default -- go test ./..."


class _CommandAfterDashes(click.Command):
    """A click command whose own arguments end at ``--``; the rest, the command to run, is in ``ctx.obj``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own, command = args, []
        if "--" in args:
            index = args.index("--")
            own, command = args[:index], args[index + 1 :]
        ctx.obj = command
        try:
            return super().parse_args(ctx, own)
        except click.UsageError as error:
            if "--" in args or isinstance(error, click.BadParameter):
                raise
            raise click.UsageError(f"{error.message}; {MISSING_COMMAND}", ctx) from None

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "-- COMMAND [ARG ...]"]


@click.command("run", cls=_CommandAfterDashes)
@click.argument("scenario", default="default", envvar="MOCKANKA_SCENARIO")
@port_option(0)
@click.option(
    "--strict",
    is_flag=True,
    envvar="MOCKANKA_STRICT",
    help="End with 1 when the command succeeded and the report has findings.",
)
@click.option(
    "--strict-on",
    metavar="FINDINGS",
    callback=read_finding_kinds,
    envvar="MOCKANKA_STRICT_ON",
    help="Be strict about these findings only, such as leaks,hammering.",
)
@click.option(
    "--allow",
    metavar="FINDING[:FIELD]",
    multiple=True,
    callback=read_allowances,
    envvar="MOCKANKA_ALLOW",
    help="Findings that do not count, such as leaks or unknown-fields:vnc; repeatable.",
)
@click.option("--journal", type=FILE, envvar="MOCKANKA_JOURNAL", help="File to write all requests to, as JSON lines.")
@click.option("--report", type=FILE, envvar="MOCKANKA_REPORT", help="File to write the report to, as JSON.")
@click.option("--junit", type=FILE, envvar="MOCKANKA_JUNIT", help="File to write the findings to, as a JUnit report.")
@serving_options
@click.pass_context
def run_command(
    ctx: click.Context,
    /,
    scenario: str,
    host: str,
    port: int,
    strict: bool,
    strict_on: list[str] | None,
    allow: list[Allowance],
    journal: Path | None,
    report: Path | None,
    junit: Path | None,
    ready_file: Path | None,
    **options: Any,
) -> None:
    """Run a command with a controller of its own, and end with the command's status.

    The command finds the controller at ANKA_CONTROLLER_URL, and the control API at MOCKANKA_URL, which also answers
    while a fault makes the first refuse connections. At the end a report of what the client did wrong, before and
    after every reset, is printed on standard error. The files are written however the command ends.
    """
    from mockanka.server.run_command import ignore_signals, run_with_simulator
    from mockanka.simulator.client_report import FINDING_KINDS, Report

    command = _command_of(ctx)
    files = RunFiles(journal, report, junit)
    files.prepare()
    simulator = prepare_simulator(scenario, host, ready_file, options)
    listening = [bind_or_exit(host, port), bind_or_exit(host, 0)]

    reports: list[Report] = []
    simulator.before_reset.append(lambda: reports.append(simulator.report()))
    files.follow(simulator)
    with ReadyFile(ready_file) as announcement:

        def ready(url: str, control_url: str) -> None:
            announcement.write({"url": url, "pid": os.getpid(), "control_url": control_url})
            print_greeting(simulator, scenario)

        try:
            status = run_with_simulator(simulator, listening, command, ready)
        except OSError as error:
            click.echo(f"cannot run {command[0]}: {error.strerror}", err=True)
            sys.exit(126)
    ignore_signals()
    merged = Report.merge([*reports, simulator.report()])
    rules = FindingRules(list(FINDING_KINDS) if strict_on is None else strict_on, allow)
    problem = files.write(simulator, merged, rules, command, status)
    counted = rules.counted(merged) if strict or strict_on is not None else []
    print_message(str(merged))
    if not merged.requests:
        click.echo(NO_REQUESTS, err=True)
    if status == 0 and counted:
        found_kinds = ", ".join(dict.fromkeys(finding.kind for finding in counted))
        click.echo(f"mockanka: the command succeeded; ends with 1 for {found_kinds}", err=True)
    if problem:
        print_message(problem)
    sys.exit(status or (2 if problem else int(bool(counted))))


def _command_of(ctx: click.Context) -> list[str]:
    """Return the command to run, or end with the status that a shell would give."""
    command: list[str] = ctx.obj
    if not command:
        raise click.UsageError(MISSING_COMMAND, ctx)
    if shutil.which(command[0]) is None:
        exists = Path(command[0]).exists()
        reason = "it is not executable" if exists else "there is no such command"
        click.echo(f"cannot run {command[0]}: {reason}", err=True)
        sys.exit(126 if exists else 127)
    return command
