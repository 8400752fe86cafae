"""The README says what is so: its commands are run, and print what it prints."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.pages import PAGES, ROOT, blocks, environment, run_sessions

README = PAGES["README.md"]


def test_the_sessions_print_what_they_are_said_to_print(tmp_path: Path) -> None:
    """Every command of the README, in order and as it stands but for the port, prints the same bytes."""
    ran = 0
    for command, expected, printed in run_sessions("README.md", tmp_path, "cold-cache", "--clock", "manual"):
        ran += 1

        assert expected == printed, command
    assert ran >= 10


def test_every_shipped_scenario_is_listed() -> None:
    """The README's list of scenarios is the list of those that ship."""
    shipped = {path.stem for path in (ROOT / "scenarios").glob("*.yaml")}

    assert shipped == set(re.findall(r"^([a-z-]+) {2,}[A-Z]", README, re.MULTILINE))


def ran(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """A command of the README's second part, run where its file lies."""
    return subprocess.run(
        ["mockanka", "run", "cold-cache", "--clock", "manual", "--", *command],
        cwd=folder,
        env={**environment(folder), "CGO_ENABLED": "0"},  # as in the tests of the examples, so that Go compiles once
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_go_test_passes(tmp_path: Path) -> None:
    """The README's test in Go is run as it says, and passes."""
    if shutil.which("go") is None:
        pytest.skip("go is not installed")
    (text,) = blocks("README.md", "go")
    (tmp_path / "anka_test.go").write_text(text)
    (tmp_path / "go.mod").write_text("module example\n\ngo 1.20\n")
    done = ran(tmp_path, "go", "test", "-count=1", "-v", "./...")

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "--- PASS: TestTheNodeDiesInTheMiddleOfThePull" in done.stdout


def test_the_shell_script_passes(tmp_path: Path) -> None:
    """The README's script is run as it says, and ends well; with a node that does not die it ends badly."""
    (text,) = blocks("README.md", "sh")
    (tmp_path / "test.sh").write_text(text)
    (tmp_path / "broken.sh").write_text(text.replace('"node": "offline"', '"node": "online"'))
    well, badly = ran(tmp_path, "sh", "test.sh"), ran(tmp_path, "sh", "broken.sh")

    assert 0 == well.returncode, well.stdout + well.stderr
    assert 0 != badly.returncode
