"""``mockanka check``: a real controller, or a recording, compared with the contract."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from mockanka.cli.options import FILE, connection_options, duration_option, read_release, take_connection


@click.command("check")
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
@connection_options
@duration_option("--timeout", "10s", "How long one request may take.")
@duration_option("--limit", "30m", "How long the whole may take; removal has a minute more.")
@duration_option("--start-timeout", "10m", "With --write: how long a start may take.")
@duration_option("--interval", "1s", "How long to wait between two looks.")
@click.option(
    "--generated/--no-generated",
    default=True,
    envvar="MOCKANKA_GENERATED",
    show_default=True,
    help="Send queries that schemathesis makes, if it is there.",
)
@click.option("--junit", type=FILE, envvar="MOCKANKA_JUNIT", help="File to write a JUnit report to.")
@click.option("--json", type=FILE, envvar="MOCKANKA_JSON", help="File to write the results to, as JSON.")
def check_command(
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
    write_only = {"--template": template, "--tag": options["tag"], "--node": options["node"]}
    if read_only and (named := [name for name, value in write_only.items() if value is not None]):
        raise click.UsageError(f"{', '.join(named)}: only with --write, which makes things")
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
    connection = take_connection(options)
    from mockanka.check import command
    from mockanka.check.session import Pace
    from mockanka.recording.har import NoRecording
    from mockanka.remote.client import ControllerError

    pace = Pace(interval=interval, start_timeout=start_timeout)
    try:
        if har is not None:
            status = command.run_recording_check(har, options["release"], options["junit"], options["json"])
        else:
            wanted = command.CheckOptions(str(url), connection, template=template, limit=limit, pace=pace, **options)
            status = command.run_check(wanted)
    except (ControllerError, NoRecording) as error:
        click.echo(f"cannot check: {error}", err=True)
        status = 2
    except KeyboardInterrupt:
        click.echo("cannot check: interrupted", err=True)
        status = 2
    except OSError as error:
        click.echo(f"cannot write {error.filename}: {error.strerror}", err=True)
        status = 2
    sys.exit(status)
