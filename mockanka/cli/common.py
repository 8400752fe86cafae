"""What several commands have in common."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

if TYPE_CHECKING:
    from socket import socket


def port_option(default: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Which port to listen on."""
    return click.option(
        "--port",
        type=click.IntRange(0, 65535),
        default=default,
        envvar="MOCKANKA_PORT",
        show_default=True,
        help="Port to listen on; 0 takes a free one.",
    )


def bind(host: str, port: int) -> socket:
    """A listening socket, or an end with status 2 and the reason."""
    from mockanka.serving import listen

    try:
        return listen(host, port)
    except OSError as wrong:
        hint = "; --port 0 takes a free one" if wrong.errno == errno.EADDRINUSE else ""
        reason = os.strerror(wrong.errno) if wrong.errno and wrong.errno > 0 else wrong.strerror
        refuse(f"cannot listen on {host} port {port}: {reason}{hint}")


def write_whole(path: Path, text: str) -> None:
    """Write a file so that nobody ever sees half of it."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, "utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


class ReadyFile:
    """The file whose appearance tells other processes that a server answers. As a context manager it ends removed.

    Without a path nothing is written.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path

    def write(self, line: Mapping[str, object]) -> str:
        """Write the ready line as JSON, and return its text."""
        text = json.dumps(line)
        if self.path is not None:
            write_whole(self.path, text + "\n")
        return text

    def remove(self) -> None:
        """Remove the file, also one that an earlier server left: who waits for the file must not find that one."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def __enter__(self) -> ReadyFile:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.remove()


def refuse(why: str) -> NoReturn:
    """End with status 2 and the reason."""
    click.echo(why, err=True)
    sys.exit(2)
