"""Steps that several commands share: listening, preparing a simulator, writing files, ending with a message."""

from __future__ import annotations

import errno
import json
import logging
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from mockanka import __version__
from mockanka.output_files import missing_folder, write_output
from mockanka.shown_text import escape

if TYPE_CHECKING:
    from socket import socket

    from mockanka.simulator.simulator import Simulator


def bind_or_exit(host: str, port: int) -> socket:
    """Return a listening socket, or end with status 2 and the reason."""
    from mockanka.serving import listen

    try:
        return listen(host, port)
    except OSError as error:
        hint = "; --port 0 takes a free one" if error.errno == errno.EADDRINUSE else ""
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        exit_with_error(f"cannot listen on {host} port {port}: {reason}{hint}")


class ReadyFile:
    """File whose appearance tells other processes that a server answers. As a context manager it is removed at the end.

    Without a path nothing is written.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path

    def write(self, line: Mapping[str, object]) -> str:
        """Write the ready line as JSON, and return its text. Ends with status 2 if that fails."""
        text = json.dumps(line)
        if self.path is not None:
            try:
                write_output(self.path, text + "\n")
            except OSError as error:
                exit_with_error(f"--ready-file: {self.path} cannot be written: {error.strerror}")
        return text

    def remove(self) -> None:
        """Remove the file, also that of an earlier server: a process that waits for the file must not find that one.

        A device such as /dev/null, or a pipe, stays.
        """
        if self.path is not None and (self.path.is_file() or not self.path.exists()):
            with suppress(OSError):  # it cannot be there: its folder is gone, or was never one
                self.path.unlink(missing_ok=True)

    def __enter__(self) -> ReadyFile:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.remove()


class EscapingFormatter(logging.Formatter):
    """Writes log records, and tracebacks, with the control characters in their lines escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record."""
        return "\n".join(map(escape, super().format(record).split("\n")))


def escape_logs() -> None:
    """Escape control characters in records that no handler of the process writes: they go to standard error."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(EscapingFormatter())


def print_message(message: str) -> None:
    """Print a message on standard error; control characters in its lines are escaped."""
    click.echo("\n".join(map(escape, message.split("\n"))), err=True)


def exit_with_error(message: str) -> NoReturn:
    """Print a message on standard error and end with status 2."""
    print_message(message)
    sys.exit(2)


def prepare_simulator(scenario: str, host: str, ready_file: Path | None, options: dict[str, Any]) -> Simulator:
    """Return the simulator to serve, or end with status 2 and the reason."""
    from mockanka.scenario import Options, Scenario, ScenarioError
    from mockanka.simulator.simulator import Simulator

    if ready_file is not None and (folder := missing_folder(ready_file)):
        exit_with_error(f"--ready-file: there is no folder {folder}")
    if not host:
        exit_with_error("--host: an address is needed; 0.0.0.0 listens on all")
    ReadyFile(ready_file).remove()
    try:
        return Simulator(Scenario.find(scenario), Options(**options))
    except ScenarioError as error:
        exit_with_error(str(error))


def print_greeting(simulator: Simulator, scenario: str) -> None:
    """Print the release, the scenario and the notes of a simulator on standard error."""
    print_message(f"mockanka {__version__}: release {simulator.controller.release}, scenario {scenario}")
    for note in simulator.controller.notes:
        print_message(f"mockanka: {note}")
