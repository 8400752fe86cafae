"""A command run against a controller of its own: started before it, stopped after it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence

import uvloop

from mockanka.server.asgi import Gateway
from mockanka.server.http_server import Server, freeze
from mockanka.simulator.simulator import Simulator

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def run_with_simulator(
    house: Simulator, listening: Sequence[socket.socket], command: Sequence[str], said: Callable[[str, str], None]
) -> int:
    """Serve, run the command with the URLs in its environment, and return its exit status; 128 and more for a signal.

    ``said`` hears both URLs before the command starts. OSError if it cannot be started.
    """
    freeze()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(house, listening, command, said))


async def _run(
    house: Simulator, listening: Sequence[socket.socket], command: Sequence[str], said: Callable[[str, str], None]
) -> int:
    server = Server(Gateway(house), *listening)
    await server.start()
    said(server.url, server.control_url)
    urls = {"ANKA_CONTROLLER_URL": server.url, "MOCKANKA_URL": server.control_url}
    try:
        return await _supervise(command, {**os.environ, **urls})
    finally:
        await server.stop()


async def _supervise(command: Sequence[str], environment: dict[str, str]) -> int:
    early: list[int] = []
    loop = asyncio.get_running_loop()
    for number in FORWARDED:  # one that comes before there is anybody to forward it to is not lost
        loop.add_signal_handler(number, early.append, number)
    process = await asyncio.create_subprocess_exec(*command, env=environment)
    # A terminal sends Ctrl-C to the command as well; it need not hear it twice.
    own = {signal.SIGINT, signal.SIGQUIT} if _at_a_terminal() else set()
    for number in FORWARDED:
        loop.add_signal_handler(number, _forward, process, number, number in own)
    for missed in early:
        process.send_signal(missed)
    try:
        status = await process.wait()
    finally:
        for number in FORWARDED:
            loop.remove_signal_handler(number)
    return status if status >= 0 else 128 - status


def _forward(process: asyncio.subprocess.Process, number: int, heard: bool) -> None:
    if not heard and process.returncode is None:
        process.send_signal(number)


def _at_a_terminal() -> bool:
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False
