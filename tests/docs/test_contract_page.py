"""The page about checking: its table of checks, its JSON, its options and its picture are correct."""

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
from tests.picture import COMMAND, PICTURE, draw, words

PAGE = PAGES["docs/contract.md"]


def test_the_table_has_every_check() -> None:
    """It has the id, the level and the claim of each check, in the catalogue's order."""
    rows = re.findall(r"^\| `([a-z-]+)` \| (must|should|note) \| (.*) \|$", PAGE, re.MULTILINE)

    assert [(check.id, check.level.value, check.claim) for check in CHECKS.values()] == rows


def keys_of(value: Any) -> set[str]:
    """Return the keys of all objects inside of a value."""
    if isinstance(value, dict):
        return set(value) | {key for item in value.values() for key in keys_of(item)}
    return {key for item in value for key in keys_of(item)} if isinstance(value, list) else set()


def test_the_json_is_described_key_by_key() -> None:
    """Each key of a run with findings is named in the page, and the rows of its table are the outer keys."""
    results = check_simulated(SimulatedController(alter=lambda exchange: replace(exchange, status=201)))
    results.leftovers.append(Leftover("group", "x", "curl"))
    written = results.as_json()
    section = PAGE.partition("## The JSON")[2].partition("\n## ")[0]
    named = set(re.findall(r"`([a-z_]+)`", section))

    assert set() == keys_of(written) - named
    assert list(written) == re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE)


def test_the_options_in_the_page_exist() -> None:
    """Each is an option of one of the commands."""
    params = [*check_command.params, *proxy_command.params, *snapshot_command.params]
    known = {name for param in params for name in (*param.opts, *param.secondary_opts)}

    assert set() == set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE)) - known


def test_its_workflow_is_yaml() -> None:
    """The workflow has a step that checks."""
    (text,) = blocks("docs/contract.md", "yml")

    assert "mockanka check" in str(yaml.safe_load(text)["jobs"])


def test_the_picture_is_that_of_a_run_made_now() -> None:
    """Its texts are those of a new run, but for times."""
    shown = words(PICTURE.read_text("utf-8"))

    assert words(draw()) == shown
    assert f"$ {COMMAND}" in shown
    assert "https://cdn" not in PICTURE.read_text("utf-8")
