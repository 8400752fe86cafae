"""The page on checking says what is so: its table of checks, its JSON, its options, its picture."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import yaml

from mockanka.check.catalog import CHECKS
from mockanka.check.results import Leftover
from mockanka.cli.check import check_command
from mockanka.cli.proxy import proxy_command
from mockanka.cli.snapshot import snapshot_command
from tests.check.simulated import SimulatedController, check_simulated
from tests.pages import PAGES, blocks
from tests.picture import COMMAND, PICTURE, drawn, words

PAGE = PAGES["docs/contract.md"]


def test_the_table_has_every_check() -> None:
    """Its id, its level and its claim, in the catalogue's order."""
    rows = re.findall(r"^\| `([a-z-]+)` \| (must|should|note) \| (.*) \|$", PAGE, re.MULTILINE)

    assert [(each.id, each.level.value, each.claim) for each in CHECKS.values()] == rows


def keys_of(value: Any) -> set[str]:
    """Every key there is, all through."""
    if isinstance(value, dict):
        return set(value) | {key for each in value.values() for key in keys_of(each)}
    return {key for each in value for key in keys_of(each)} if isinstance(value, list) else set()


def test_the_json_is_described_key_by_key() -> None:
    """What a run with findings writes has no key that the page does not name, and its rows are the outer keys."""
    results = check_simulated(SimulatedController(alter=lambda exchange: replace(exchange, status=201)))
    results.leftovers.append(Leftover("group", "x", "curl"))
    told = results.as_json()
    section = PAGE.partition("## The JSON")[2].partition("\n## ")[0]
    named = set(re.findall(r"`([a-z_]+)`", section))

    assert set() == keys_of(told) - named
    assert list(told) == re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE)


def test_the_options_it_names_are_there() -> None:
    """Each of them is one of the commands'."""
    params = [*check_command.params, *proxy_command.params, *snapshot_command.params]
    known = {name for param in params for name in (*param.opts, *param.secondary_opts)}

    assert set() == set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE)) - known


def test_its_workflow_is_yaml() -> None:
    """With a step that checks."""
    (text,) = blocks("docs/contract.md", "yml")

    assert "mockanka check" in str(yaml.safe_load(text)["jobs"])


def test_the_picture_is_that_of_a_run_made_now() -> None:
    """What is to be read in it is what a fresh run prints, but for times."""
    shown = words(PICTURE.read_text("utf-8"))

    assert words(drawn()) == shown
    assert f"$ {COMMAND}" in shown
    assert "https://cdn" not in PICTURE.read_text("utf-8")
