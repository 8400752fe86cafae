"""Run a command against a controller of its own, which starts before it and stops after it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

from mockanka.server.http_server import Server, freeze_imports
from mockanka.serving import run_event_loop
from mockanka.simulator.simulator import Simulator

LOOPBACK = "127.0.0.1"
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def run_with_simulator(
    simulator: Simulator, listening: Sequence[socket.socket], command: Sequence[str], ready: Callable[[str, str], None]
) -> int:
    """Serve, run the command with the URLs in its environment, and return its exit status.

    The status is 128 plus the number of the signal if one ended the command. ``ready`` is called with the URLs of the
    controller and of the control API before the command starts. Raises OSError if the command cannot be started.
    """
    freeze_imports()
    return run_event_loop(_serve_and_run(Server(simulator, *listening), command, ready))


async def _serve_and_run(server: Server, command: Sequence[str], ready: Callable[[str, str], None]) -> int:
    early: list[int] = []
    loop = asyncio.get_running_loop()
    for number in FORWARDED:  # a signal that comes before the command has started is not lost
        loop.add_signal_handler(number, early.append, number)
    await server.start()
    ready(server.url, server.control_url)
    urls = {"ANKA_CONTROLLER_URL": server.url, "MOCKANKA_URL": server.control_url}
    exceptions = proxy_exceptions(os.environ, (LOOPBACK, "localhost", urlsplit(server.url).hostname or LOOPBACK))
    try:
        return await _supervise(command, {**os.environ, **exceptions, **urls}, early)
    finally:
        await server.stop()


def proxy_exceptions(environment: Mapping[str, str], hosts: Sequence[str]) -> dict[str, str]:
    """Return NO_PROXY and no_proxy for a command that is to reach some hosts directly; existing values are kept.

    Empty if the environment has no proxy: on macOS, Python takes these variables alone for a setting of its proxies,
    and ignores those of the system.
    """
    if not any(value and name.lower().endswith("_proxy") for name, value in environment.items()):
        return {}
    values = {}
    for name, other in (("NO_PROXY", "no_proxy"), ("no_proxy", "NO_PROXY")):
        old = environment.get(name) or environment.get(other, "")
        listed = re.split(r"[,\s]+", old)
        missing = [host for host in dict.fromkeys(hosts) if host not in listed]
        values[name] = old if "*" in listed else ",".join([old, *missing] if old else missing)
    return values


async def _supervise(command: Sequence[str], environment: dict[str, str], early: Sequence[int]) -> int:
    """Run the command, forward signals to it, also the ``early`` ones, and return its status."""
    loop = asyncio.get_running_loop()
    process = await asyncio.create_subprocess_exec(*command, env=environment)
    # A terminal sends Ctrl-C to the command as well, which must not get it twice.
    from_terminal = {signal.SIGINT, signal.SIGQUIT} if _is_at_terminal() else set()
    for number in FORWARDED:
        loop.add_signal_handler(number, _forward, process, number, number in from_terminal)
    for early_number in early:
        process.send_signal(early_number)
    try:
        status = await process.wait()
    finally:
        for number in FORWARDED:  # no signal may end this process before its own work is done
            loop.add_signal_handler(number, _ignore)
    return status if status >= 0 else 128 - status


def ignore_signals() -> None:
    """Ignore the signals that are forwarded to a command, from its end to that of this process.

    Whoever signals twice would otherwise lose the report, or the status.
    """
    for number in FORWARDED:
        signal.signal(number, signal.SIG_IGN)


def _ignore() -> None:
    """Do nothing: the command, which signals are for, has ended."""


def _forward(process: asyncio.subprocess.Process, number: int, is_delivered: bool) -> None:
    if not is_delivered and process.returncode is None:
        process.send_signal(number)


def _is_at_terminal() -> bool:
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False
