"""docs/releases.md has every feature of the table, and is up to date."""

import re

import pytest

from mockanka.contract.releases_page import NOT_SIMULATED, render_releases_page
from mockanka.core.release import FEATURES, KNOWN_RELEASES, Release
from tests.facts import fact_anchors
from tests.pages import PAGES

TEXT = render_releases_page()
UNWRAPPED = TEXT.replace("\n  ", " ")
REFERENCE = r"\[([A-H\d.]+)\]"


def test_the_page_is_up_to_date() -> None:
    """docs/releases.md is what ``mockanka releases`` prints."""
    assert TEXT == PAGES["docs/releases.md"]


@pytest.mark.parametrize("name", FEATURES)
def test_a_feature_is_listed_under_its_release(name: str) -> None:
    """Every feature is listed once, with links to its evidence; a guessed release is called a guess."""
    feature = FEATURES[name]
    (section,) = re.findall(rf"^## {re.escape(str(feature.since))}\n\n(.*?)(?=^##|\Z)", UNWRAPPED, re.DOTALL | re.M)
    (line,) = [line for line in section.splitlines() if line.startswith(f"- {feature.description} (")]

    assert 1 == UNWRAPPED.count(f"- {feature.description} (")
    assert feature.evidence.split(", ") == re.findall(REFERENCE, line)
    assert feature.guess == ("guess" in line)


def test_references_are_links_to_anchors() -> None:
    """Every section that the page names is defined once, as a link to an anchor of controller-facts."""
    body, _, definitions = TEXT.rpartition("\n\n")
    links = dict(re.findall(rf"^{REFERENCE}: controller-facts\.md#(\S+)$", definitions, re.M))

    assert len(definitions.splitlines()) == len(links)
    assert set(re.findall(REFERENCE + r"(?!\()", body)) == set(links)
    assert set() == set(links.values()) - fact_anchors()


def test_the_newest_release_comes_first() -> None:
    """Every release with a feature has a section, in descending order."""
    releases = [Release.parse(text) for text in re.findall(r"^## ([\d.]+)$", TEXT, re.M)]

    assert sorted({feature.since for feature in FEATURES.values()}, reverse=True) == releases


def test_every_known_release_is_named() -> None:
    """The releases that are simulated as they are, without a replacement, are listed."""
    listed = " ".join(TEXT.split())

    assert f"{', '.join(map(str, KNOWN_RELEASES))}." in listed


def test_differences_that_are_not_simulated_are_listed() -> None:
    """They have a section of their own."""
    section = UNWRAPPED.partition("## Not simulated\n\n")[2].partition("\n\n## ")[0]

    assert [f"- {text}" for text in NOT_SIMULATED] == section.splitlines()


def test_no_line_is_too_long() -> None:
    """The page is wrapped like the other pages."""
    assert [] == [line for line in TEXT.splitlines() if len(line) > 120]
