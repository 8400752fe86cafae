"""``mockanka serve``: serves a controller until a signal."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from mockanka.cli.common import ReadyFile, bind_or_exit, exit_with_error, prepare_simulator, print_greeting
from mockanka.cli.options import port_option, serving_options


@click.command("serve")
@click.argument("scenario", default="default", envvar="MOCKANKA_SCENARIO")
@port_option(8090)
@click.option(
    "--control-port",
    type=click.IntRange(0, 65535),
    envvar="MOCKANKA_CONTROL_PORT",
    help="A second port, which also answers while a fault makes the first refuse connections.",
)
@serving_options
def serve_command(
    scenario: str, host: str, port: int, control_port: int | None, ready_file: Path | None, **options: Any
) -> None:
    """Serve a controller until SIGINT, SIGTERM or SIGHUP.

    SCENARIO is a file, or the name of a scenario that ships. Once requests are answered, one line of JSON with the
    URL and the process id is printed on standard output.
    """
    from mockanka.server import http_server

    if control_port and control_port == port:
        exit_with_error("--control-port: must differ from --port")
    simulator = prepare_simulator(scenario, host, ready_file, options)
    ports = [port] if control_port is None else [port, control_port]
    listening = [bind_or_exit(host, number) for number in ports]

    with ReadyFile(ready_file) as announcement:

        def ready(url: str, control_url: str) -> None:
            line: dict[str, object] = {"url": url, "pid": os.getpid()}
            if control_port is not None:
                line["control_url"] = control_url
            click.echo(announcement.write(line))
            print_greeting(simulator, scenario)

        http_server.serve_simulator(simulator, listening, ready)
