"""The examples do what their README says: its commands are run, and their tests pass for a reason."""

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
DEATH = "start ends in an error when its node dies"
AWAY = "start fails while the controller is away"
CLAIMS = [PULL, RETRY, DEATH, AWAY]
"""The tests that each suite has, by the names that the README gives them."""

CARELESS = {
    "go": ("anka.go", '"DELETE"', '"GET"'),
    "java": ("Anka.java", '"DELETE"', '"GET"'),
    "node": ("anka.js", '"DELETE", "", { id }', '"GET", ""'),
    "shell": ("anka.sh", "DELETE", "GET"),
}
"""How each client comes to terminate nothing: in which file, what is replaced, and by what."""

PATIENCE = 240.0
"""Seconds that a suite may take: Go compiles its library first where nobody has used it yet."""

pytestmark = pytest.mark.timeout(300)


class Outcome(NamedTuple):
    """How a suite ended: its status, what it printed, and which of its tests passed."""

    status: int
    output: str
    passed: dict[str, bool]


class Suite(NamedTuple):
    """A copy of one example, which may be spoiled."""

    folder: Path

    def run(self, scenario: str | Path = "cold-cache") -> Outcome:
        """The README's command, with another scenario if one is given."""
        command = COMMANDS[self.folder.name]
        assert "run cold-cache --clock manual -- " in command
        command = command.replace("run cold-cache", f"run '{scenario}'")
        status, output = run_shell(command, self.folder)
        return Outcome(status, output, verdicts(output))


@pytest.fixture(params=list(TOOLS))
def suite(request: pytest.FixtureRequest, tmp_path: Path) -> Suite:
    """Each example in turn, or a skip that names what it needs and is not here."""
    name: str = request.param
    missing = [tool for tool in TOOLS[name] if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"examples/{name} cannot run, not on PATH: {', '.join(missing)}")
    return Suite(Path(shutil.copytree(EXAMPLES / name, tmp_path / name, ignore=shutil.ignore_patterns("build"))))


def run_shell(command: str, folder: Path) -> tuple[int, str]:
    """The status and the output of a command of the README; whatever it started is gone afterwards."""
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
    """Which of the claims a suite found to hold, and which not: as Go says it, as TAP, or as Node does."""
    claims = {plain(claim): claim for claim in CLAIMS}
    found = re.findall(r"^(--- PASS: Test|ok \d+ - |✔ |--- FAIL: Test|not ok \d+ - |✖ )([\w ]+)", output, re.MULTILINE)
    return {
        claims[plain(name)]: verdict.startswith(("--- PASS", "ok", "✔"))
        for verdict, name in found
        if plain(name) in claims
    }


def plain(name: str) -> str:
    """A name without what each language writes differently."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def but(failed: Sequence[str]) -> dict[str, bool]:
    """The verdicts where some fail and the others hold."""
    return {claim: claim not in failed for claim in CLAIMS}


def test_the_readme_tells_how_to_run_every_example_and_what_it_shows() -> None:
    """There is one command for each folder, and one line of the table for each test."""
    folders = {path.name for path in EXAMPLES.iterdir() if path.is_dir()}
    table = re.findall(r"^\| (start [\w ]+) \|", README, re.MULTILINE)

    assert set(COMMANDS) == set(TOOLS) == folders
    assert table == CLAIMS


def test_every_test_of_an_example_passes(suite: Suite) -> None:
    """The README's command ends with 0, and has run all the tests."""
    ran = suite.run()

    assert ran.status == 0, ran.output
    assert ran.passed == but([]), ran.output
    assert "mockanka report:" in ran.output


def test_an_example_fails_where_nothing_is_pulled(suite: Suite) -> None:
    """Where the template is on the nodes' disks, the tests fail that are about a pull, and no others."""
    ran = suite.run("default")

    assert ran.status == 1, ran.output
    assert ran.passed == but([PULL, DEATH]), ran.output


def test_an_example_fails_where_nothing_can_be_started(suite: Suite, tmp_path: Path) -> None:
    """Where the controller says 503 without end, no test passes."""
    broken = tmp_path / "broken.yaml"
    shipped = resources.find("scenarios/cold-cache.yaml").read_text("utf-8")
    broken.write_text(shipped + "faults: [{match: {method: POST, path: /api/v1/vm}, do: {status: 503}}]\n", "utf-8")
    ran = suite.run(broken)

    assert ran.status == 1, ran.output
    assert ran.passed == but(CLAIMS), ran.output


def test_an_example_fails_when_its_client_leaves_instances_behind(suite: Suite) -> None:
    """A client that terminates nothing is found out by the report, in every test."""
    name, old, new = CARELESS[suite.folder.name]
    client = suite.folder / name
    assert client.read_text("utf-8").count(old) == 1
    client.write_text(client.read_text("utf-8").replace(old, new), "utf-8")
    ran = suite.run()

    assert ran.status == 1, ran.output
    assert ran.passed == but(CLAIMS), ran.output
    assert "is still Scheduling" in ran.output
