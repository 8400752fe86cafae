"""The examples do what their README says: its commands are run, and their tests can fail."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from mockanka import resources

EXAMPLES = Path(__file__).parents[2] / "examples"
README = (EXAMPLES / "README.md").read_text("utf-8")
COMMANDS = dict(re.findall(r"^    cd (\w+) && (.*)$", README, re.MULTILINE))
TOOLS = {"go": ["go"], "java": ["javac", "java"], "node": ["node"], "shell": ["sh", "curl"]}

PULL = "start goes through a pull"
RETRY = "start is sent again after a 503"
DEATH = "start ends in an error when its pull fails"
AWAY = "start fails while the controller is away"
CLAIMS = [PULL, RETRY, DEATH, AWAY]
"""The tests that each suite has, by the names that the README gives them."""

CARELESS = {
    "go": ("anka.go", '"DELETE"', '"GET"'),
    "java": ("Anka.java", '"DELETE"', '"GET"'),
    "node": ("anka.js", '"DELETE", "", { id }', '"GET", ""'),
    "shell": ("anka.sh", "DELETE", "GET"),
}
"""The change by which each client terminates nothing: a file, a text in it, and its replacement."""

PATIENCE = 240.0
"""Seconds that a suite may take: at its first use Go compiles its library."""

pytestmark = pytest.mark.timeout(300)


class Outcome(NamedTuple):
    """The outcome of a suite: its status, its output, and which of its tests passed."""

    status: int
    output: str
    passed: dict[str, bool]


class Suite(NamedTuple):
    """A copy of an example, which may be changed."""

    folder: Path

    def run(self, scenario: str | Path = "cold-cache") -> Outcome:
        """Run the README's command, with another scenario if one is passed."""
        command = COMMANDS[self.folder.name]
        assert "run cold-cache --clock manual -- " in command
        command = command.replace("run cold-cache", f"run '{scenario}'")
        status, output = run_shell(command, self.folder)
        return Outcome(status, output, verdicts(output))


@pytest.fixture(params=list(TOOLS))
def suite(request: pytest.FixtureRequest, tmp_path: Path) -> Suite:
    """Return a copy of each example; skip it if a program that it needs is not installed."""
    name: str = request.param
    missing = [tool for tool in TOOLS[name] if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"examples/{name} cannot run, not on PATH: {', '.join(missing)}")
    return Suite(Path(shutil.copytree(EXAMPLES / name, tmp_path / name, ignore=shutil.ignore_patterns("build"))))


def run_shell(command: str, folder: Path) -> tuple[int, str]:
    """Run a command of the README, and return its status and output; its processes are gone afterwards."""
    mockanka = folder.parent / "bin" / "mockanka"
    mockanka.parent.mkdir(exist_ok=True)
    mockanka.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mockanka "$@"\n')
    mockanka.chmod(0o755)
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("MOCKANKA_", "ANKA_", "NODE_"))}
    environment = {
        **inherited,
        "PATH": f"{mockanka.parent}:{os.environ['PATH']}",
        "MOCKANKA_STRICT_ON": "leaks",
        "GOFLAGS": "-mod=mod",
        "GOPROXY": "off",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
        "JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",  # to begin soon counts, not to be fast
    }
    with subprocess.Popen(
        ["sh", "-c", command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=PATIENCE)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, output


def verdicts(output: str) -> dict[str, bool]:
    """Return which tests of a suite passed, as Go, TAP or Node prints it."""
    claims = {normalize(claim): claim for claim in CLAIMS}
    found = re.findall(r"^(--- PASS: Test|ok \d+ - |✔ |--- FAIL: Test|not ok \d+ - |✖ )([\w ]+)", output, re.MULTILINE)
    return {
        claims[normalize(name)]: verdict.startswith(("--- PASS", "ok", "✔"))
        for verdict, name in found
        if normalize(name) in claims
    }


def normalize(name: str) -> str:
    """Return a name without the characters that languages write differently."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def all_but(failed: Sequence[str]) -> dict[str, bool]:
    """Return the verdicts with some failures."""
    return {claim: claim not in failed for claim in CLAIMS}


def test_the_readme_has_every_example_and_every_test() -> None:
    """There is a command for each folder, and a row of the table for each test."""
    folders = {path.name for path in EXAMPLES.iterdir() if path.is_dir()}
    table = re.findall(r"^\| (start [\w ]+) \|", README, re.MULTILINE)

    assert set(COMMANDS) == set(TOOLS) == folders
    assert table == CLAIMS


def test_every_test_of_an_example_passes(suite: Suite) -> None:
    """The README's command ends with status 0, and has run all tests."""
    ran = suite.run()

    assert ran.status == 0, ran.output
    assert ran.passed == all_but([]), ran.output
    assert "mockanka report:" in ran.output


def test_an_example_fails_where_nothing_is_pulled(suite: Suite) -> None:
    """If the template is cached, the tests about a pull fail, and no others."""
    ran = suite.run("default")

    assert ran.status == 1, ran.output
    assert ran.passed == all_but([PULL, DEATH]), ran.output


def test_an_example_fails_where_nothing_can_be_started(suite: Suite, tmp_path: Path) -> None:
    """If the controller always answers 503, no test passes."""
    broken = tmp_path / "broken.yaml"
    shipped = resources.find_resource("scenarios/cold-cache.yaml").read_text("utf-8")
    broken.write_text(shipped + "faults: [{match: {method: POST, path: /api/v1/vm}, do: {status: 503}}]\n", "utf-8")
    ran = suite.run(broken)

    assert ran.status == 1, ran.output
    assert ran.passed == all_but(CLAIMS), ran.output


def test_an_example_fails_when_its_client_leaves_instances_behind(suite: Suite) -> None:
    """If a client terminates nothing, the report fails every test."""
    name, old, new = CARELESS[suite.folder.name]
    client = suite.folder / name
    assert client.read_text("utf-8").count(old) == 1
    client.write_text(client.read_text("utf-8").replace(old, new), "utf-8")
    ran = suite.run()

    assert ran.status == 1, ran.output
    assert ran.passed == all_but(CLAIMS), ran.output
    assert "is still Scheduling" in ran.output
