"""The commands that look at a real controller."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from mockanka import units
from mockanka.core.release import Release

if TYPE_CHECKING:
    from mockanka.remote.client import ClientOptions

    _Type = click.ParamType[tuple[str, str]]  # older releases of click have no such brackets
else:
    _Type = click.ParamType

FILE = click.Path(dir_okay=False, path_type=Path)
SECRET = ("token", "cert", "key", "ca", "insecure", "header")
"""The options of ``access``, which ``access_of`` makes one thing of."""


def read_release(ctx: click.Context, param: click.Parameter, value: str | None) -> Release | None:
    try:
        return None if value is None else Release.parse(value)
    except ValueError as wrong:
        raise click.BadParameter(str(wrong), ctx, param) from None


def read_seconds(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """A duration such as ``10s``, or plain seconds."""
    if value is None:
        return None
    try:
        seconds = float(value) if value.replace(".", "", 1).isdigit() else units.parse_duration(value) / units.SECOND
    except ValueError as wrong:
        raise click.BadParameter(str(wrong), ctx, param) from None
    if not 0 < seconds < math.inf:
        raise click.BadParameter(f"{value} is no time: give one like 10s", ctx, param)
    return seconds


def duration(name: str, default: str, text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """An option that is a duration, in seconds."""
    variable = "MOCKANKA_" + name.removeprefix("--").replace("-", "_").upper()
    return click.option(
        name, metavar="DURATION", callback=read_seconds, default=default, envvar=variable, show_default=True, help=text
    )


class _Header(_Type):
    """A header; several stand on lines of their own in the environment."""

    name = "'NAME: VALUE'"
    envvar_list_splitter = "\n"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        from mockanka.remote.client import parse_header

        try:
            return parse_header(value)
        except ValueError as wrong:
            self.fail(str(wrong), param, ctx)


def access(function: Callable[..., Any]) -> Callable[..., Any]:
    """How to get in: the options that all who ask a controller have in common."""
    options = [
        click.option("--token", envvar="MOCKANKA_TOKEN", help="Root token; better set than typed."),
        click.option(
            "--cert", type=FILE, envvar="MOCKANKA_CERT", help="Client certificate in PEM, with its key or not."
        ),
        click.option("--key", type=FILE, envvar="MOCKANKA_KEY", help="Key of the client certificate."),
        click.option(
            "--header", type=_Header(), multiple=True, envvar="MOCKANKA_HEADER", help="Header to send; repeatable."
        ),
        click.option("--ca", type=FILE, envvar="MOCKANKA_CA", help="Certificate in PEM to trust."),
        click.option("--insecure", is_flag=True, envvar="MOCKANKA_INSECURE", help="Trust any certificate."),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def access_of(options: dict[str, Any]) -> ClientOptions:
    """What the options of ``access`` say, taken out of them."""
    from mockanka.remote.client import ClientOptions

    said = {name: options.pop(name) for name in SECRET}
    return ClientOptions(headers=said.pop("header"), **said)


@click.command()
@click.argument("url", required=False)
@click.option(
    "--har",
    type=FILE,
    envvar="MOCKANKA_HAR",
    help="A recording of mockanka proxy, or of a browser, to check instead.",
)
@click.option(
    "--read-only/--write",
    default=True,
    envvar="MOCKANKA_READ_ONLY",
    show_default=True,
    help="Send GETs alone, or make things as well.",
)
@click.option("--template", envvar="MOCKANKA_TEMPLATE", help="With --write: id or name of the template to start.")
@click.option("--tag", envvar="MOCKANKA_TAG", help="With --write: tag of the template.  [default: the latest]")
@click.option(
    "--node",
    envvar="MOCKANKA_NODE",
    help="With --write: id or name of the node to start on, and to add to a group.  [default: any]",
)
@click.option(
    "--release",
    metavar="RELEASE",
    callback=read_release,
    envvar="MOCKANKA_RELEASE",
    help="Release to hold it against.  [default: what its status tells]",
)
@access
@duration("--timeout", "10s", "How long one request may take.")
@duration("--limit", "30m", "How long the whole may take; removal has a minute more.")
@duration("--start-timeout", "10m", "With --write: how long a start may take.")
@duration("--interval", "1s", "How long to wait between two looks.")
@click.option(
    "--generated/--no-generated",
    default=True,
    envvar="MOCKANKA_GENERATED",
    show_default=True,
    help="Send queries that schemathesis makes, if it is there.",
)
@click.option("--junit", type=FILE, envvar="MOCKANKA_JUNIT", help="File to write a JUnit report to.")
@click.option("--json", type=FILE, envvar="MOCKANKA_JSON", help="File to write the results to, as JSON.")
def check(
    url: str | None,
    har: Path | None,
    read_only: bool,
    template: str | None,
    limit: float,
    start_timeout: float,
    interval: float,
    **options: Any,
) -> None:
    """Check a real controller, or a recording, against the contract.

    By default nothing but GETs is sent. With --write an instance and a group are made, updated and removed, and what
    must be refused is asked for; all that is made has mockanka-check- in its name. Ends with 1 if something fails, and
    with 2 if it could not be run.
    """
    made = {"--template": template, "--tag": options["tag"], "--node": options["node"]}
    if read_only and (given := [name for name, value in made.items() if value is not None]):
        raise click.UsageError(f"{', '.join(given)}: only with --write, which makes things")
    if not read_only and template is None:
        raise click.UsageError("--write needs --template, the template to start")
    for name in ("junit", "json"):
        if options[name] is not None and not options[name].absolute().parent.is_dir():
            raise click.UsageError(f"--{name}: there is no folder {options[name].absolute().parent}")
    if url is not None and click.get_current_context().get_parameter_source("har") is ParameterSource.ENVIRONMENT:
        har = None  # it is set for the proxy, and would forbid every URL
    if (url is None) == (har is None):
        raise click.UsageError("give either the URL of a controller or --har with a recording")
    if har is not None and not read_only:
        raise click.UsageError("--har: nothing is made where there is no controller; leave --write out")
    allowed = access_of(options)
    from mockanka.check import command
    from mockanka.check.session import Pace
    from mockanka.recording.har import NoRecording
    from mockanka.remote.client import ControllerError

    pace = Pace(interval=interval, start_timeout=start_timeout)
    try:
        if har is not None:
            status = command.run_recording_check(har, options["release"], options["junit"], options["json"])
        else:
            wanted = command.CheckOptions(str(url), allowed, template=template, limit=limit, pace=pace, **options)
            status = command.run_check(wanted)
    except (ControllerError, NoRecording) as wrong:
        click.echo(f"cannot check: {wrong}", err=True)
        status = 2
    except KeyboardInterrupt:
        click.echo("cannot check: interrupted", err=True)
        status = 2
    except OSError as wrong:
        click.echo(f"cannot write {wrong.filename}: {wrong.strerror}", err=True)
        status = 2
    sys.exit(status)
