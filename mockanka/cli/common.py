"""What several commands have in common."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
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
    from mockanka.server import http_server

    try:
        return http_server.bind(host, port)
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


def refuse(why: str) -> NoReturn:
    """End with status 2 and the reason."""
    click.echo(why, err=True)
    sys.exit(2)
