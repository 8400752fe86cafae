"""Suites of tests that use the pytest plugin, each run by a pytest of its own in an empty folder.

Most runs are in this process. A run in a process of its own is needed to see what is loaded, or left at the end.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

PATIENCE = 60.0
"""Seconds that an inner run may take."""
HEAD = """
import pytest
import requests

def ask(anka, method, path="vm", **more):
    return requests.request(method, f"{anka.url}/api/v1/{path}", timeout=10, **more)

def start(anka, **body):
    return ask(anka, "POST", json={"vmid": next(iter(anka.templates)), **body}).json()["body"][0]

def state(anka, id):
    return ask(anka, "GET", params={"id": id}).json()["body"]["instance_state"]
"""
LEAKING = """
    def test_leaks(anka):
        start(anka, external_id="job-7")
"""
HEAVY = ("flask", "marshmallow", "uvicorn", "yaml", "mockanka.testing.anka")


@dataclass(frozen=True)
class Run:
    """The exit status and the output of an inner run of pytest."""

    status: int
    output: str

    def counted(self, **expected: int) -> bool:
        """Return whether these are the numbers of tests that passed, failed and so on, and there are no others."""
        summary = next(line for line in reversed(self.output.splitlines()) if re.search(r" in \d+\.\d+s", line))
        counts = {outcome.rstrip("s"): int(number) for number, outcome in re.findall(r"(\d+) ([a-z]+)", summary)}
        return {outcome.rstrip("s"): number for outcome, number in expected.items()} == counts


@dataclass(frozen=True)
class Suite:
    """A folder with tests, and runs of pytest in it with this plugin alone."""

    pytester: pytest.Pytester

    @property
    def folder(self) -> Path:
        """The folder of the suite."""
        return self.pytester.path

    def write(self, name: str, text: str, head: str = HEAD) -> Suite:
        """Write a file of the suite; a Python file begins with ``head``."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(head + dedent(text) if name.endswith(".py") else dedent(text))
        return self

    def run(self, *arguments: str, cwd: Path | None = None) -> Run:
        """Run pytest in this process, with this plugin and no other installed one."""
        with pytest.MonkeyPatch.context() as patch:
            for name in os.environ:
                if name.startswith(("PYTEST_", "MOCKANKA_")):
                    patch.delenv(name)
            patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
            patch.setenv("COLUMNS", "200")
            patch.chdir(cwd or self.folder)
            done = self.pytester.runpytest_inprocess("-rA", "-p", "no:cacheprovider", "-p", "mockanka", *arguments)
        return Run(done.ret, f"{done.stdout}{done.stderr}")

    def run_process(self, *arguments: str, plugins: tuple[str, ...] = ("mockanka",)) -> Run:
        """Run pytest in a process of its own; without ``plugins`` it loads those that are installed."""
        env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "MOCKANKA_"))}
        env |= {"COLUMNS": "200", "PYTHONDONTWRITEBYTECODE": "1"}
        if plugins:
            env["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        loaded = [word for plugin in ("no:cacheprovider", *plugins) for word in ("-p", plugin)]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-rA", *loaded, *arguments],
            cwd=self.folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return Run(done.returncode, done.stdout + done.stderr)
