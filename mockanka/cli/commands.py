"""The command line. Starting it must be quick, so what a command needs is imported when it runs."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mockanka import __version__, resources, units
from mockanka.cli import check, proxy, snapshot
from mockanka.cli.common import bind, port_option, refuse, write_whole
from mockanka.core.release import DEFAULT_RELEASE, Release

if TYPE_CHECKING:
    from mockanka.simulator.simulator import Simulator


def _read_duration(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    try:
        return None if value is None else units.parse_duration(value)
    except ValueError as wrong:
        raise click.BadParameter(str(wrong), ctx, param) from None


def _read_speed(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is no speed: give a number like 60", ctx, param)
    return value


def _read_findings(ctx: click.Context, param: click.Parameter, value: str | None) -> list[str] | None:
    from mockanka.simulator.client_report import read_kinds

    try:
        return None if value is None else read_kinds(value)
    except ValueError as wrong:
        raise click.BadParameter(str(wrong), ctx, param) from None


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mockanka")
def main() -> None:
    """A stateful mock of the Anka Build Cloud controller.

    Every option can be set by an environment variable: MOCKANKA_PORT for --port, and so on.
    """


SERVING = [
    click.option(
        "--host", default="127.0.0.1", envvar="MOCKANKA_HOST", show_default=True, help="Address to listen on."
    ),
    click.option(
        "--seed",
        type=click.IntRange(-(2**63), 2**63 - 1),
        envvar="MOCKANKA_SEED",
        help="Seed of all ids and draws.  [default: the scenario's, else 0]",
    ),
    click.option(
        "--release",
        metavar="RELEASE",
        callback=check.read_release,
        envvar="MOCKANKA_RELEASE",
        help=f"Controller release to simulate.  [default: the scenario's, else {DEFAULT_RELEASE}]",
    ),
    click.option(
        "--clock",
        type=click.Choice(["real", "manual", "step"]),
        envvar="MOCKANKA_CLOCK",
        help="real runs by itself, manual moves when told, step with each request.  "
        "[default: the scenario's, else real]",
    ),
    click.option(
        "--speed",
        type=click.FloatRange(0, 1e9, min_open=True),
        callback=_read_speed,
        envvar="MOCKANKA_SPEED",
        help="How fast a real clock runs; 60 lets a minute pass each second.  [default: the scenario's, else 1]",
    ),
    click.option(
        "--step",
        metavar="DURATION",
        callback=_read_duration,
        envvar="MOCKANKA_STEP",
        help="How far a step clock moves.  [default: the scenario's, else 5s]",
    ),
    click.option(
        "--ready-file",
        type=click.Path(dir_okay=False, path_type=Path),
        envvar="MOCKANKA_READY_FILE",
        help="File to write the ready line to as well.",
    ),
]
"""The options that serve and run have in common, in the order in which help shows them."""


def _serving(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(SERVING):
        function = option(function)
    return function


@main.command()
@click.argument("scenario", default="default", envvar="MOCKANKA_SCENARIO")
@port_option(8090)
@click.option(
    "--control-port",
    type=click.IntRange(0, 65535),
    envvar="MOCKANKA_CONTROL_PORT",
    help="A second port, which answers also while a fault has the first refuse connections.",
)
@_serving
def serve(
    scenario: str, host: str, port: int, control_port: int | None, ready_file: Path | None, **options: Any
) -> None:
    """Serve a controller until SIGINT or SIGTERM.

    SCENARIO is a file, or the name of a scenario that ships. Once requests are answered, one line of JSON with the
    URL and the process id is printed on standard output.
    """
    from mockanka.server import http_server

    if control_port and control_port == port:
        refuse("--control-port: must be another than --port")
    house = _prepare(scenario, host, ready_file, options)
    ports = [port] if control_port is None else [port, control_port]
    listening = [bind(host, each) for each in ports]

    def ready(url: str, control_url: str) -> None:
        line: dict[str, object] = {"url": url, "pid": os.getpid()}
        if control_port is not None:
            line["control_url"] = control_url
        if ready_file is not None:
            write_whole(ready_file, json.dumps(line) + "\n")
        click.echo(json.dumps(line))
        _greet(house, scenario)

    try:
        http_server.run(house, listening, ready)
    finally:
        if ready_file is not None:
            ready_file.unlink(missing_ok=True)


BEHIND = "the command to run stands behind --: mockanka run default -- go test ./..."


class _WithCommand(click.Command):
    """A command whose arguments end at ``--``: what stands behind is another command, and none of our business."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own, behind = args, []
        if "--" in args:
            place = args.index("--")
            own, behind = args[:place], args[place + 1 :]
        ctx.obj = behind
        try:
            return super().parse_args(ctx, own)
        except click.UsageError as wrong:
            if "--" in args or isinstance(wrong, click.BadParameter):
                raise
            raise click.UsageError(f"{wrong.message}; {BEHIND}", ctx) from None

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "-- COMMAND [ARG ...]"]


@main.command(cls=_WithCommand)
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
    callback=_read_findings,
    envvar="MOCKANKA_STRICT_ON",
    help="Be strict on these alone, such as leaks,hammering.",
)
@_serving
@click.pass_context
def run(
    ctx: click.Context,
    /,
    scenario: str,
    host: str,
    port: int,
    strict: bool,
    strict_on: list[str] | None,
    ready_file: Path | None,
    **options: Any,
) -> None:
    """Run a command against a controller of its own, and end with its status.

    The command finds the controller at ANKA_CONTROLLER_URL, and the control API at MOCKANKA_URL, which answers also
    while a fault has the first refuse connections. What the client did wrong, before every reset and after, is
    printed on standard error at the end.
    """
    from mockanka.server.run_command import run_command
    from mockanka.simulator.client_report import KINDS, Report

    command = _command_of(ctx)
    house = _prepare(scenario, host, ready_file, options)
    listening = [bind(host, port), bind(host, 0)]

    def said(url: str, control_url: str) -> None:
        if ready_file is not None:
            line = {"url": url, "pid": os.getpid(), "control_url": control_url}
            write_whole(ready_file, json.dumps(line) + "\n")
        _greet(house, scenario)

    reports: list[Report] = []
    house.before_reset.append(lambda: reports.append(house.report()))
    try:
        status = run_command(house, listening, command, said)
    except OSError as wrong:
        click.echo(f"cannot run {command[0]}: {wrong.strerror}", err=True)
        sys.exit(126)
    finally:
        if ready_file is not None:
            ready_file.unlink(missing_ok=True)
    report = Report.together([*reports, house.report()])
    click.echo(str(report), err=True)
    kinds = strict_on if strict_on is not None else list(KINDS) if strict else []
    found = report.of(kinds)
    if status == 0 and found:
        named = ", ".join(dict.fromkeys(finding.kind for finding in found))
        click.echo(f"mockanka: the command succeeded; ends with 1 for {named}", err=True)
        status = 1
    sys.exit(status)


def _command_of(ctx: click.Context) -> list[str]:
    """The command to run, or an end as a shell would make it."""
    command: list[str] = ctx.obj
    if not command:
        raise click.UsageError(BEHIND, ctx)
    if shutil.which(command[0]) is None:
        there = Path(command[0]).exists()
        why = "it is not executable" if there else "there is no such command"
        click.echo(f"cannot run {command[0]}: {why}", err=True)
        sys.exit(126 if there else 127)
    return command


def _prepare(scenario: str, host: str, ready_file: Path | None, options: dict[str, Any]) -> Simulator:
    """The house to serve, or an end with status 2 and the reason."""
    from mockanka.scenario import Options, Scenario, ScenarioError
    from mockanka.simulator.simulator import Simulator

    if ready_file is not None and not ready_file.absolute().parent.is_dir():
        refuse(f"--ready-file: there is no folder {ready_file.absolute().parent}")
    if not host:
        refuse("--host: an address is needed; 0.0.0.0 listens on all")
    if ready_file is not None:
        ready_file.unlink(missing_ok=True)  # whoever waits for it must not find an earlier server's
    try:
        return Simulator(Scenario.find(scenario), Options(**options))
    except ScenarioError as wrong:
        refuse(str(wrong))


def _greet(house: Simulator, scenario: str) -> None:
    click.echo(f"mockanka {__version__}: release {house.controller.release}, scenario {scenario}", err=True)
    for note in house.controller.notes:
        click.echo(f"mockanka: {note}", err=True)


@main.group()
def scenario() -> None:
    """Look at the scenarios that ship, and check your own."""


@scenario.command("list")
def list_scenarios() -> None:
    """List the scenarios that ship."""
    from mockanka.scenario import shipped

    for name in shipped():
        first = resources.find(f"scenarios/{name}.yaml").read_text("utf-8").partition("\n")[0]
        click.echo(f"{name:<13} {first.removeprefix('# ')}")


@scenario.command()
@click.argument("name")
def show(name: str) -> None:
    """Print a scenario that ships."""
    from mockanka.scenario import ScenarioError, shipped
    from mockanka.scenario.source import nearest

    if name not in shipped():
        refuse(str(ScenarioError([f"no scenario {name!r} ships: {nearest(name, shipped())}"])))
    click.echo(resources.find(f"scenarios/{name}.yaml").read_text("utf-8"), nl=False)


@scenario.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
def validate(files: tuple[str, ...]) -> None:
    """Check scenarios. Ends with status 2 if any is broken.

    Every wrong key and value is named; where there is none, the first thing that does not fit together.
    """
    from mockanka.scenario import Scenario, ScenarioError

    broken = False
    for name in files:
        try:
            notes = Scenario.find(name).controller().notes
            click.echo(f"{name}: ok")
            for note in notes:
                click.echo(f"{name}: {note}", err=True)
        except ScenarioError as wrong:
            broken = True
            click.echo(str(wrong), err=True)
    sys.exit(2 if broken else 0)


@scenario.command()
def schema() -> None:
    """Print the JSON Schema of scenarios, for editors."""
    from mockanka.scenario.json_schema import json_schema

    click.echo(json.dumps(json_schema(), indent=2))


@main.command()
@click.option(
    "--release",
    metavar="RELEASE",
    callback=check.read_release,
    default=str(DEFAULT_RELEASE),
    envvar="MOCKANKA_RELEASE",
    show_default=True,
    help="Controller release to describe.",
)
@click.option("--control", is_flag=True, help="Print the document of the control API under /_mock instead.")
def openapi(release: Release, control: bool) -> None:
    """Print the contract of a release, an OpenAPI 3.1 document."""
    if control:
        click.echo(resources.find("openapi/control.yaml").read_text("utf-8"), nl=False)
        return
    from mockanka.contract import document

    if release != release.known:
        click.echo(f"release {release} is not known: what follows is {release.known}, the nearest lower one", err=True)
    click.echo(document.document_to_yaml(document.at_release(document.load_document(), release.known)), nl=False)


@main.command()
def releases() -> None:
    """Print what came with which release, as a page of Markdown."""
    from mockanka.contract.releases_page import render_releases_page

    click.echo(render_releases_page(), nl=False)


@main.command()
def fidelity() -> None:
    """Print how each thing in the contract is known, as a page of Markdown."""
    from mockanka.contract.fidelity_page import render_fidelity_page

    click.echo(render_fidelity_page(), nl=False)


main.add_command(check.check)
main.add_command(proxy.proxy)
main.add_command(snapshot.snapshot)


if __name__ == "__main__":
    main()
