"""Ways to run ``mockanka run``, and programs for it to run."""

from __future__ import annotations

import gc
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from tempfile import TemporaryFile
from unittest.mock import patch

import pytest

from mockanka.cli.main import main
from mockanka.server.run_command import FORWARDED

PYTHON = sys.executable
TIMEOUT = 20.0

HTTP = """
import json, os, sys, urllib.request as web
url, control = os.environ["ANKA_CONTROLLER_URL"], os.environ["MOCKANKA_URL"]
def ask(path, body=None, method=None, base=url):
    data = None if body is None else json.dumps(body).encode()
    with web.urlopen(web.Request(base + path, data, method=method), timeout=5) as answer:
        return json.load(answer)
def start(**more):
    return ask("/api/v1/vm", {"vmid": ask("/api/v1/registry/vm")["body"][0]["id"], **more})["body"]
"""
"""The beginning of the Python programs that these tests run."""

LEAK = HTTP + "start(external_id='job-1')"
CLEAN = HTTP + "id, = start()\nask('/api/v1/vm', {'id': id}, 'DELETE')"
HAMMER = CLEAN + "\nfor _ in range(25): ask('/api/v1/vm')"


def clean_environment(env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the tests without MOCKANKA_ variables, but with those of ``env``."""
    return {**{name: value for name, value in os.environ.items() if not name.startswith("MOCKANKA_")}, **env}


def run(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run ``mockanka run`` in this process, with these arguments, until it ends."""
    with ExitStack() as stack:
        files = [stack.enter_context(TemporaryFile("w+")) for _ in range(2)]
        for number, (stream, file) in enumerate(zip((redirect_stdout, redirect_stderr), files, strict=True), start=1):
            own = os.dup(number)
            stack.callback(os.close, own)
            stack.callback(os.dup2, own, number)
            os.dup2(file.fileno(), number)
            stack.enter_context(stream(stack.enter_context(open(number, "w", 1, closefd=False))))
        stack.enter_context(patch.dict(os.environ, clean_environment(env), clear=True))
        stack.callback(gc.unfreeze)
        for number in FORWARDED:
            stack.callback(signal.signal, number, signal.getsignal(number))
        with pytest.raises(SystemExit) as ended:
            main.main(["run", *args], "mockanka")
        for file in files:
            file.seek(0)
        return subprocess.CompletedProcess(args, int(str(ended.value.code)), *(file.read() for file in files))


def run_process(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run ``mockanka run`` in a process of its own, with these arguments, until it ends."""
    command = [PYTHON, "-m", "mockanka", "run", *args]
    return subprocess.run(command, capture_output=True, text=True, env=clean_environment(env), timeout=TIMEOUT)


def run_python(
    code: str, *args: str, run: Callable[..., subprocess.CompletedProcess[str]] = run, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run a Python program with a controller whose clock is manual."""
    return run("--clock", "manual", *args, "--", PYTHON, "-c", code, **env)


@contextmanager
def running(code: str, *args: str) -> Iterator[subprocess.Popen[str]]:
    """Start ``mockanka run`` with a Python program, and wait for the first line that it prints."""
    command = [PYTHON, "-m", "mockanka", "run", *args, "--", PYTHON, "-u", "-c", code]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment({})
    )
    try:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], TIMEOUT)[0]
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=TIMEOUT)
