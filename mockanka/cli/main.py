"""The command ``mockanka``: the group of all commands."""

from __future__ import annotations

import click

from mockanka import __version__
from mockanka.cli.check import check_command
from mockanka.cli.documents import fidelity_command, openapi_command, releases_command
from mockanka.cli.proxy import proxy_command
from mockanka.cli.run import run_command
from mockanka.cli.scenario import scenario_group
from mockanka.cli.serve import serve_command
from mockanka.cli.snapshot import snapshot_command

COMMANDS = (
    serve_command,
    run_command,
    scenario_group,
    openapi_command,
    releases_command,
    fidelity_command,
    check_command,
    proxy_command,
    snapshot_command,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mockanka")
def main() -> None:
    """A stateful mock of the Anka Build Cloud controller.

    Every option can be set by an environment variable: MOCKANKA_PORT for --port, and so on.
    """


for command in COMMANDS:
    main.add_command(command)
