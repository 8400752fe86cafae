"""The command that writes a real controller as a scenario."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import click

from mockanka.cli import check
from mockanka.cli.common import refuse, write_whole
from mockanka.core.release import Release

STDOUT = Path("-")


@click.command()
@click.argument("url")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    default=STDOUT,
    show_default=True,
    help="File to write; - is standard output.",
)
@click.option("--redact", is_flag=True, help="Replace names, addresses and ids; what was equal stays equal.")
@click.option(
    "--release",
    metavar="RELEASE",
    callback=check.read_release,
    help="Release that the controller is of.  [default: what its status tells]",
)
@check.access
@check.duration("--timeout", "10s", "How long one request may take.")
@check.duration("--limit", "5m", "How long the whole may take.")
def snapshot(
    url: str, output: Path, redact: bool, release: Release | None, timeout: float, limit: float, **options: Any
) -> None:
    """Read a real controller and write it as a scenario.

    Nothing but GETs is sent. What the controller does not tell stands in the scenario as a comment. The file is written
    whole, or not at all: ends with 2 then.
    """
    allowed = check.access_of(options)
    folder = output.absolute().parent
    if not folder.is_dir():
        _refuse(f"there is no folder {folder}")
    from mockanka.remote.client import ControllerClient, ControllerError
    from mockanka.snapshot import snapshot as read

    try:
        with ControllerClient(url, allowed, timeout=timeout, limit=limit) as remote:
            text = read(remote, release, redact)
    except ControllerError as wrong:
        _refuse(str(wrong))
    except KeyboardInterrupt:
        _refuse("interrupted")
    if output == STDOUT:
        click.echo(text, nl=False)
        return
    try:
        write_whole(output, text)
    except OSError as wrong:
        _refuse(f"{output} cannot be written: {wrong.strerror}")
    click.echo(f"{output} is written: mockanka serve {output} makes a controller of it", err=True)


def _refuse(why: str) -> NoReturn:
    refuse(f"no snapshot: {why}")
