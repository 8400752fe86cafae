"""The page about clients names the scenarios that make them fail, and these do."""

from __future__ import annotations

import re

import pytest

from tests.clients.clients import RELEASES
from tests.clients.test_trips import TRIPS
from tests.pages import PAGES, ROOT

PAGE = PAGES["docs/clients.md"]
NAMES = {
    "Jenkins": "jenkins",
    "TeamCity": "teamcity",
    "executor": "gitlab-executor",
    "fork": "gitlab-runner",
    "anka-actions": "actions-2022",
    "drone-runner-aws": "drone",
    "anka-mcp": "mcp",
    "Cirrus' SDK": "cirrus",
    "mgmtcl": "mgmtcl",
}
"""The names of doubles by those of the page."""
BOTH_PLUGINS = "null-in-list"
"""The scenario whose test is about the list of both plugins, and not about a start."""


def rows_of(heading: str) -> dict[str, list[str]]:
    """Return the scenarios of each row of the table under a heading."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    return {first: re.findall(r"`([a-z-]+)`", last) for first, *_, last in cells[2:]}


ROWS = rows_of("What makes each client fail")


@pytest.mark.parametrize("client", NAMES)
def test_the_scenarios_of_a_client_make_it_fail(client: str) -> None:
    """Each scenario in the client's row is one in which its double is tested."""
    expected = {scenario for scenario in ROWS[client] if scenario != BOTH_PLUGINS}

    assert expected
    assert set() == {scenario for scenario in expected if all(name != NAMES[client] for name, _ in TRIPS[scenario])}


def test_every_scenario_of_the_page_ships() -> None:
    """Those of both tables are files."""
    speeds = re.findall(r"^\| (`.*?) \|", PAGE.partition("## Choose the clock")[2], re.MULTILINE)
    named = {name for scenarios in ROWS.values() for name in scenarios} | set(
        re.findall(r"`([a-z-]+)`", " ".join(speeds))
    )

    assert len(named) > 8
    assert set() == {name for name in named if not (ROOT / "scenarios" / f"{name}.yaml").exists()}


def test_the_page_names_the_releases_of_the_doubles() -> None:
    """They are those on which the tests of the doubles run."""
    sentence = re.search(r"The doubles run against releases ([^<]*?)\.\n", PAGE)

    assert sentence is not None
    assert list(RELEASES) == re.findall(r"\d+\.\d+\.\d+", sentence[1])
