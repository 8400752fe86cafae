"""Server processes, for tests that speak real HTTP."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 20.0
"""Seconds a process may take to start, or to end when it is killed."""


@dataclass
class Serving:
    """A server process that answers at ``url``; ``line`` is its ready line."""

    url: str
    process: subprocess.Popen[bytes]
    line: str

    @property
    def port(self) -> int:
        """The port of the URL."""
        return int(self.url.rpartition(":")[2])

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Send a signal, and return the exit status and the seconds until the process ended."""
        began = time.monotonic()
        self.process.send_signal(number)
        status = self.process.wait(PATIENCE)
        return status, time.monotonic() - began


def log_of(proxy: Serving) -> str:
    """Return what an ended proxy wrote to standard error."""
    assert proxy.process.stderr is not None
    return proxy.process.stderr.read().decode()


@contextmanager
def serving(
    *arguments: str,
    command: Sequence[str] = (sys.executable, "-m", "mockanka"),
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    verb: str = "serve",
) -> Iterator[Serving]:
    """Run ``mockanka serve``, or another command that serves, on a free port unless another is asked for."""
    has_port = "--port" in arguments or "MOCKANKA_PORT" in (env or {})
    port = [] if has_port else ["--port", "0"]
    process = subprocess.Popen(
        [*command, verb, *arguments, *port],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **(env or {})},
        cwd=cwd,
    )
    try:
        line = _ready_line(process)
        yield Serving(json.loads(line)["url"], process, line)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=PATIENCE)


def _ready_line(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], PATIENCE)
    line = process.stdout.readline().decode() if readable else ""
    if not line:
        process.kill()
        raise AssertionError(f"no ready line: {process.communicate(timeout=PATIENCE)[1].decode()}")
    return line
