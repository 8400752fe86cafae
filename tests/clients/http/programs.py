"""Programs that send requests with HTTP libraries as these are published, and how they are run.

``.ci/clients`` installs them. They read a request a line, and write a status or an error a line.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.installed import INSTALLED, require_installed

JAVA = (
    "java",
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-Dorg.apache.commons.logging.Log=org.apache.commons.logging.impl.NoOpLog",
    "-cp",
    f"{INSTALLED}/java{os.pathsep}{INSTALLED}/java/*",
)

COMMANDS: dict[str, tuple[str, ...]] = {
    "net/http": (f"{INSTALLED}/go/httpclient",),
    "HttpClient 4": (*JAVA, "ApacheProgram"),
    "OkHttp": (*JAVA, "OkHttpProgram"),
    "axios": ("node", f"{INSTALLED}/node/axios-program.js"),
    "undici": ("node", f"{INSTALLED}/node/undici-program.js"),
    "requests": (sys.executable, str(Path(__file__).with_name("requests_program.py"))),
}
"""The command of each program, by the name of its library."""

FILES: dict[str, str] = {
    "HttpClient 4": "java/ApacheProgram.class",
    "OkHttp": "java/OkHttpProgram.class",
    "axios": "node/node_modules/axios",
    "undici": "node/node_modules/undici",
}
"""The file of each program that is installed, in INSTALLED."""


def require_program(name: str) -> None:
    """Skip the test if a program cannot run; fail if CI is set."""
    require_installed(name, COMMANDS[name][:1], [FILES[name]] if name in FILES else [])


class Sent(NamedTuple):
    """A request for a program to send; the timeout is in seconds."""

    method: str
    url: str
    body: str = ""
    timeout: float = 10.0


class HttpProgram:
    """A running program. It keeps its connections from one request to the next."""

    def __init__(self, name: str) -> None:
        self._process = subprocess.Popen(
            COMMANDS[name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def send(self, request: Sent) -> str:
        """Send a request, and return its status as text, or ``error: `` and the library's word for it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = "\t".join((request.method, request.url, str(request.timeout), request.body))
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().rstrip("\n")

    def close(self) -> None:
        """Let the program end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        assert self._process.wait(timeout=30) == 0
