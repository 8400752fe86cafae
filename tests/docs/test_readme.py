"""The README is correct: its commands are run, and print the output that it shows."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.pages import PAGES, ROOT, blocks, environment, run_sessions

README = PAGES["README.md"]


def test_the_sessions_are_correct(tmp_path: Path) -> None:
    """Every command of the README, in order and unchanged but for the port, prints the output that it shows."""
    count = 0
    for command, expected, printed in run_sessions("README.md", tmp_path, "cold-cache", "--clock", "manual"):
        count += 1

        assert expected == printed, command
    assert count >= 10


def test_every_shipped_scenario_is_listed() -> None:
    """The README's list of scenarios has exactly those that ship."""
    shipped = {path.stem for path in (ROOT / "scenarios").glob("*.yaml")}

    assert shipped == set(re.findall(r"^([a-z-]+) {2,}[A-Z]", README, re.MULTILINE))


def run_command(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command with a controller, in the folder of its files."""
    return subprocess.run(
        ["mockanka", "run", "cold-cache", "--clock", "manual", "--", *command],
        cwd=folder,
        env={**environment(folder), "CGO_ENABLED": "0"},  # as in the tests of the examples, so that Go compiles once
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_go_test_passes(tmp_path: Path) -> None:
    """The README's test in Go passes."""
    if shutil.which("go") is None:
        pytest.skip("go is not installed")
    (text,) = blocks("README.md", "go")
    (tmp_path / "anka_test.go").write_text(text)
    (tmp_path / "go.mod").write_text("module example\n\ngo 1.20\n")
    done = run_command(tmp_path, "go", "test", "-count=1", "-v", "./...")

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "--- PASS: TestThePullFailsInTheMiddle" in done.stdout


def test_the_shell_script_passes(tmp_path: Path) -> None:
    """The README's script passes, and fails if the failed start is tried again."""
    (text,) = blocks("README.md", "sh")
    (tmp_path / "test.sh").write_text(text)
    (tmp_path / "broken.sh").write_text(text.replace(', "final": true', ""))
    passed, failed = run_command(tmp_path, "sh", "test.sh"), run_command(tmp_path, "sh", "broken.sh")

    assert 0 == passed.returncode, passed.stdout + passed.stderr
    assert 0 != failed.returncode
