"""Ctrl-C before a command has begun."""

import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, sys

class Interrupter:
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Interrupter())
sys.argv = ["mockanka", "check", "http://127.0.0.1:1"]
from mockanka.__main__ import run_command_line
run_command_line()
"""


@pytest.mark.parametrize("module", ["mockanka.cli.main", "click", "mockanka.check.command", "httpx", "rich.live"])
def test_ctrl_c_while_modules_are_imported_ends_with_2(module: str) -> None:
    """There is no traceback, whichever import the signal breaks off."""
    program = PROGRAM.format(module=module)
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)

    assert (2, "", "interrupted\n") == (process.returncode, process.stdout, process.stderr)
