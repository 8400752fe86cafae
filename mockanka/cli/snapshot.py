"""``mockanka snapshot``: writes a real controller as a scenario."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import click

from mockanka.cli.common import exit_with_error
from mockanka.cli.options import connection_options, duration_option, read_release, take_connection
from mockanka.core.release import Release
from mockanka.output_files import missing_folder, write_output

STDOUT = Path("-")


@click.command("snapshot")
@click.argument("url")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    default=STDOUT,
    show_default=True,
    help="File to write; - is standard output.",
)
@click.option("--redact", is_flag=True, help="Replace names, addresses and ids; equal values stay equal.")
@click.option(
    "--release",
    metavar="RELEASE",
    callback=read_release,
    help="Release of the controller.  [default: taken from its status]",
)
@connection_options
@duration_option("--timeout", "10s", "How long one request may take.")
@duration_option("--limit", "5m", "How long the whole snapshot may take.")
def snapshot_command(
    url: str, output: Path, redact: bool, release: Release | None, timeout: float, limit: float, **options: Any
) -> None:
    """Read a real controller and write it as a scenario.

    Only GETs are sent. What the controller does not report is noted in the scenario as a comment. The file is written
    completely, or not at all: then the command ends with status 2.
    """
    connection = take_connection(options)
    if folder := missing_folder(output):
        _exit(f"there is no folder {folder}")
    from mockanka.remote.client import ControllerClient, ControllerError
    from mockanka.snapshot.scenario_file import take_snapshot

    try:
        client = ControllerClient(url, connection, timeout=timeout, limit=limit)
        with client, client.interrupts.handled():
            text = take_snapshot(client, release, redact)
    except ControllerError as error:
        _exit(str(error))
    except KeyboardInterrupt:
        _exit("interrupted")
    if output == STDOUT:
        click.echo(text, nl=False)
        return
    try:
        write_output(output, text)
    except OSError as error:
        _exit(f"{output} cannot be written: {error.strerror}")
    click.echo(f"{output} is written: serve it with mockanka serve {output}", err=True)


def _exit(reason: str) -> NoReturn:
    exit_with_error(f"no snapshot: {reason}")
