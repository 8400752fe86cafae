"""The README says what is so: its commands are run, and print what it prints."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mockanka.scenario import Scenario
from tests.processes import serving

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
SESSIONS = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
SCENARIOS = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)


def exchanges(session: str) -> list[tuple[str, str]]:
    """The commands of a session, each with what it is said to print."""
    parts = re.split(r"^\$ (.*)\n", session, flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


def test_the_sessions_print_what_they_are_said_to_print(tmp_path: Path) -> None:
    """Every command of the README, in order and as it stands but for the port, prints the same bytes."""
    mockanka = tmp_path / "mockanka"
    mockanka.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mockanka "$@"\n')
    mockanka.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    assert "mockanka serve cold-cache --clock manual" in README
    ran = 0
    with serving("cold-cache", "--clock", "manual") as server:
        for command, expected in (exchange for session in SESSIONS for exchange in exchanges(session)):
            here = command.replace("127.0.0.1:8090", f"127.0.0.1:{server.port}")
            done = subprocess.run(["bash", "-c", here], env=environment, capture_output=True, text=True, check=True)
            ran += 1

            assert expected == done.stdout, command
    assert ran >= 10


@pytest.mark.parametrize("text", SCENARIOS)
def test_the_scenarios_load(text: str) -> None:
    """Each scenario in the README is one."""
    assert Scenario.from_yaml(text).controller().nodes


def test_every_shipped_scenario_is_listed() -> None:
    """The README's list of scenarios is the list of those that ship."""
    shipped = {path.stem for path in (Path(__file__).parent.parent / "scenarios").glob("*.yaml")}

    assert shipped == set(re.findall(r"^([a-z-]+) {2,}[A-Z]", README, re.MULTILINE))
