"""Programs that send requests with HTTP libraries as these are published, and how they are run.

``.ci/clients`` installs them. They read a request a line, and write a status or an error a line.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[3]
INSTALLED = Path(os.environ.get("MOCKANKA_CLIENTS") or ROOT / "build" / "clients").absolute()
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


def missing_parts(name: str) -> list[str]:
    """Return the commands and files that a program lacks."""
    parts = [INSTALLED / FILES[name]] if name in FILES else []
    command = COMMANDS[name][0]
    return [*([] if shutil.which(command) else [command]), *(str(part) for part in parts if not part.exists())]


def require(name: str) -> None:
    """Skip the test if a program cannot run; where CI is set, fail."""
    if missing := missing_parts(name):
        reason = f"{name} cannot run without {' and '.join(missing)}: install it by .ci/clients"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)


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
