"""The page on releases says what the table says, and is the one in the project's documents."""

import re

import pytest

from mockanka.contract.releases_page import NOT_SIMULATED, page
from mockanka.core.release import FEATURES, KNOWN_RELEASES, Release
from tests.pages import PAGES

TEXT = page()
UNWRAPPED = TEXT.replace("\n  ", " ")


def test_the_page_is_the_one_in_the_documents() -> None:
    """docs/releases.md is what ``mockanka releases`` prints."""
    assert TEXT == PAGES["docs/releases.md"]


@pytest.mark.parametrize("name", FEATURES)
def test_a_feature_stands_below_its_release(name: str) -> None:
    """Every feature is told once, below the release it came with, with its evidence; a guess is called one."""
    feature = FEATURES[name]
    (section,) = re.findall(rf"^## {re.escape(str(feature.since))}\n\n(.*?)(?=^##|\Z)", UNWRAPPED, re.DOTALL | re.M)
    (line,) = [line for line in section.splitlines() if line.startswith(f"- {feature.description} (")]

    assert 1 == UNWRAPPED.count(f"- {feature.description} (")
    assert feature.evidence in line
    assert feature.guess == ("guess" in line)


def test_the_newest_release_comes_first() -> None:
    """The sections are in order, and each release that something came with has one."""
    releases = [Release.parse(text) for text in re.findall(r"^## ([\d.]+)$", TEXT, re.M)]

    assert sorted({feature.since for feature in FEATURES.values()}, reverse=True) == releases


def test_every_known_release_is_named() -> None:
    """The releases that are taken by their own number are listed."""
    listed = " ".join(TEXT.split())

    assert f"{', '.join(map(str, KNOWN_RELEASES))}." in listed


def test_what_is_not_simulated_is_said() -> None:
    """The differences that are left out have a section of their own."""
    section = UNWRAPPED.partition("## Not simulated\n\n")[2].partition("\n\n## ")[0]

    assert [f"- {each}" for each in NOT_SIMULATED] == section.splitlines()


def test_no_line_is_too_long() -> None:
    """The page is wrapped as the project's other pages are."""
    assert [] == [line for line in TEXT.splitlines() if len(line) > 120]
