"""Ways to call the command line: within this process, as a process of its own, and ``serve`` without serving."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mockanka.cli.main import main
from mockanka.scenario import Options
from mockanka.server import http_server
from mockanka.simulator.simulator import Simulator


def call(*args: str, **env: str) -> Result:
    """Call the command line in this process, with no MOCKANKA_ variables but those of ``env``."""
    cleared = {name: None for name in os.environ if name.startswith("MOCKANKA_")}
    return CliRunner().invoke(main, list(args), env={**cleared, **env})


def run_process(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a process, with no MOCKANKA_ variables but those of ``env``."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MOCKANKA_")}
    command = [sys.executable, "-m", "mockanka", *args]
    return subprocess.run(command, capture_output=True, text=True, env={**inherited, **env}, timeout=30)


class Served(Exception):
    """Raised in place of serving: a simulator and the address of its socket."""

    def __init__(self, simulator: Simulator, listening: socket.socket) -> None:
        self.simulator = simulator
        self.address = listening.getsockname()
        listening.close()

    @property
    def options(self) -> Options:
        """The options of the simulator."""
        return self.simulator.options


def call_serve(monkeypatch: pytest.MonkeyPatch, *args: str, **env: str) -> Served:
    """Call ``serve`` up to the point where requests would be answered."""

    def serve_simulator(simulator: Simulator, listening: list[socket.socket], ready: Any) -> None:
        (only,) = listening
        raise Served(simulator, only)

    monkeypatch.setattr(http_server, "serve_simulator", serve_simulator)
    result = call("serve", *args, **env)
    assert isinstance(result.exception, Served), result.output
    return result.exception
