"""``mockanka proxy``: forwards traffic to a controller, checks it and records it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from mockanka.cli.common import ReadyFile, bind_or_exit, exit_with_error, print_message
from mockanka.cli.options import FILE, connection_options, port_option, read_release, take_connection
from mockanka.core.release import Release
from mockanka.output_files import missing_folder
from mockanka.shown_text import escape


@click.command("proxy")
@click.argument("target_url", envvar="MOCKANKA_TARGET_URL")
@port_option(8091)
@click.option("--host", default="127.0.0.1", envvar="MOCKANKA_HOST", show_default=True, help="Address to listen on.")
@click.option("--har", type=FILE, envvar="MOCKANKA_HAR", help="File to record all traffic in, as HAR 1.2.")
@click.option(
    "--keep-secrets",
    is_flag=True,
    envvar="MOCKANKA_KEEP_SECRETS",
    help="Record cookies, tokens and the like; without it they are redacted.",
)
@click.option(
    "--release",
    metavar="RELEASE",
    callback=read_release,
    envvar="MOCKANKA_RELEASE",
    help="Release to check against.  [default: taken from the target's status]",
)
@click.option(
    "--annotate",
    is_flag=True,
    envvar="MOCKANKA_ANNOTATE",
    help="Name violations in a response header, x-mockanka-violations. Responses are held back until checked.",
)
@click.option("--ready-file", type=FILE, envvar="MOCKANKA_READY_FILE", help="File to write the ready line to as well.")
@connection_options
def proxy_command(
    target_url: str,
    host: str,
    port: int,
    har: Path | None,
    keep_secrets: bool,
    release: Release | None,
    annotate: bool,
    ready_file: Path | None,
    **options: Any,
) -> None:
    """Forward traffic to a controller unchanged, and check it, until SIGINT or SIGTERM.

    Violations by the client and by the controller are reported on standard error, by GET /_mock/report, and in the
    recording, which mockanka check --har can check again later. Once clients can connect, one line of JSON with the
    URL and the process id is printed on standard output.
    """
    from mockanka.proxy.proxy import Proxy, run_proxy
    from mockanka.proxy.recorder_process import RecorderProcess, RecorderSettings
    from mockanka.proxy.target import ReleaseLookup, parse_target
    from mockanka.recording.har import HarWriter
    from mockanka.remote.client import ControllerError
    from mockanka.serving import url_of

    for name, file in (("--har", har), ("--ready-file", ready_file)):
        if file is not None and (folder := missing_folder(file)):
            exit_with_error(f"{name}: there is no folder {folder}")
    ReadyFile(ready_file).remove()
    try:
        connection = take_connection(options)
        target = parse_target(target_url, connection)
        lookup = ReleaseLookup(target, connection, _log)
        known_release = release or lookup.get_if_reachable()
    except ControllerError as error:
        exit_with_error(str(error))
    listening = bind_or_exit(host, port)
    try:
        if har is not None:
            HarWriter(har, target.base_url).close(None)  # an error is told now; the recorder's process writes it anew
    except OSError as error:
        listening.close()
        exit_with_error(f"--har: {har} cannot be written: {error.strerror}")
    settings = RecorderSettings(target.base_url, connection, known_release, har, keep_secrets)
    recorder = RecorderProcess(settings, _log)
    url = url_of(listening)

    with ReadyFile(ready_file) as announcement:

        def ready() -> None:
            click.echo(announcement.write({"url": url, "pid": os.getpid()}))
            _log(f"passes on to {target.base_url}" + (f", release {known_release}" if known_release else ""))

        proxy = Proxy(target, recorder, annotate, _log, recorder.mirror)
        report = run_proxy(proxy, recorder, listening, ready)
    _log("{exchanges} exchanges; violations of the client: {client}, of the controller: {server}".format(**report))
    sys.exit(2 if recorder.error else 0)


def _log(text: str) -> None:
    # A line each: what is in a finding must not look like another one.
    print_message(f"mockanka: {escape(text)}")
