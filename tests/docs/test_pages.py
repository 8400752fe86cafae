"""The pages are correct: every session, scenario and program in them is run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from mockanka.control import INDEX_LINKS
from mockanka.core.faults import LIFECYCLE_FAULTS, RESPONSE_FAULTS
from mockanka.scenario import Scenario
from mockanka.simulator.client_report import FINDING_KINDS
from mockanka.testing.pytest_plugin import MARKER_KEYS
from tests.pages import PAGES, ROOT, all_blocks, blocks, environment, run_sessions

DEFAULT_SCENARIO = (ROOT / "scenarios" / "default.yaml").read_text("utf-8")
SCENARIOS = list(all_blocks("yaml"))


@pytest.mark.parametrize(("page", "number", "text"), SCENARIOS, ids=[f"{page}-{n}" for page, n, _ in SCENARIOS])
def test_the_scenarios_load(page: str, number: int, text: str) -> None:
    """Each scenario in a page can be loaded; one without templates is added to the default scenario."""
    scenario = text if "templates:" in text else DEFAULT_SCENARIO + text

    assert Scenario.from_yaml(scenario, page).controller().nodes


def test_the_programs_run(tmp_path: Path) -> None:
    """Every block of Python in the pages runs: tests with pytest, programs as they stand."""
    programs = list(all_blocks("python"))
    for page, number, text in programs:
        name = f"test_{Path(page).stem.replace('-', '_')}_{number}.py"
        if "def test_" not in text:
            body = "\n".join(f"    {line}" for line in text.splitlines())
            text = f"def test_program() -> None:\n{body}\n"
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, timeout=240)

    assert 0 == done.returncode, done.stdout + done.stderr
    tests = sum(max(1, text.count("def test_")) for _, _, text in programs)
    assert f"{tests} passed" in done.stdout


def test_the_session_of_the_control_api_is_correct(tmp_path: Path) -> None:
    """Every command prints the output that the page shows."""
    count = 0
    for command, expected, printed in run_sessions("docs/control-api.md", tmp_path, "cold-cache", "--clock", "manual"):
        count += 1

        assert expected.rstrip("\n") == printed.rstrip("\n"), command
    assert count >= 10


def shown_faults() -> list[dict[str, Any]]:
    """Return the fault rules in the page about faults."""
    texts = [text for text in blocks("docs/faults.md", "yaml") if "faults:" in text]
    return [rule for text in texts for rule in yaml.safe_load(text)["faults"]]


def test_every_fault_is_shown() -> None:
    """The page about faults has YAML for each kind of response fault, and for each lifecycle fault of each event."""
    response_faults = {key for rule in shown_faults() if "event" not in rule["match"] for key in rule["do"]}
    lifecycle_faults = {
        (rule["match"]["event"], key) for rule in shown_faults() if "event" in rule["match"] for key in rule["do"]
    }

    assert set() == set(RESPONSE_FAULTS) - response_faults
    assert set() == {(event, kind) for event, kinds in LIFECYCLE_FAULTS.items() for kind in kinds} - lifecycle_faults


def test_every_event_and_kind_stands_in_a_table() -> None:
    """The tables of the page name each kind of fault."""
    rows = [line.split("|")[1] for line in PAGES["docs/faults.md"].splitlines() if line.startswith("| `")]

    assert set() == {
        kind for kind in [*RESPONSE_FAULTS, *LIFECYCLE_FAULTS] if not any(f"`{kind}" in row for row in rows)
    }


def test_every_finding_is_described() -> None:
    """The page about fixtures names each kind of finding."""
    assert set() == {kind for kind in FINDING_KINDS if f"| `{kind}` |" not in PAGES["docs/fixtures.md"]}


def test_every_link_of_the_control_api_is_described() -> None:
    """The page about the control API has each path of its links."""
    page = PAGES["docs/control-api.md"]

    assert set() == {path for path in INDEX_LINKS.values() if path.partition("/{")[0] not in page}


def test_every_key_of_the_marker_is_described() -> None:
    """The page about fixtures names each key."""
    assert set() == {
        key
        for key in MARKER_KEYS
        if f"{key}=" not in PAGES["docs/fixtures.md"] and f"`{key}`" not in PAGES["docs/fixtures.md"]
    }


@pytest.mark.parametrize("page", sorted(PAGES))
def test_links_lead_to_files(page: str) -> None:
    """Each relative link of a page is the path of a file of the project."""
    folder = (ROOT / page).parent
    targets = [target for target in re.findall(r"\]\(([^)#]+)\)", PAGES[page]) if "://" not in target]

    assert [] == [target for target in targets if not (folder / target).exists()]
