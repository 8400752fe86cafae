"""The pages for contributors name files that exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATH = re.compile(r"`([\w./<>*-]+(?:\.py|\.yaml|\.md|/[\w-]+))`")
FOLDERS = (ROOT, ROOT / "mockanka")


def named_files(page: str) -> Iterator[str]:
    """Yield the files and folders of the project that a page names in backticks."""
    for row in (ROOT / page).read_text("utf-8").splitlines():
        base = ""
        for name in PATH.findall(row):
            if name.startswith("/") or "<" in name:
                continue
            if "/" in name:
                base = name.rpartition("/")[0]
            yield name if "/" in name else f"{base}/{name}"


def tree_files(page: str) -> Iterator[str]:
    """Yield the files that the tree of a page names, each with its folder."""
    folder = ""
    for line in (ROOT / page).read_text("utf-8").split("    mockanka/\n")[1].split("\n\n")[0].splitlines():
        if match := re.match(r"      (\w+)/", line):
            folder = f"{match[1]}/"
        for name in re.findall(r"(?<![\w/])\w+\.py\b", line):
            yield f"mockanka/{folder if line.startswith('       ') else ''}{name}"


@pytest.mark.parametrize("name", sorted({*named_files("CONTRIBUTING.md"), *named_files("ARCHITECTURE.md")}))
def test_a_file_that_is_named_exists(name: str) -> None:
    """A change is sent to a file or folder that exists, below the root or below ``mockanka/``."""
    assert any((folder / name.lstrip("/")).exists() for folder in FOLDERS)


@pytest.mark.parametrize("name", sorted(tree_files("ARCHITECTURE.md")))
def test_a_file_in_the_tree_exists(name: str) -> None:
    """The tree of the architecture names modules that exist."""
    assert (ROOT / name).is_file()


def test_the_pages_name_files() -> None:
    """Both pages are read: otherwise the tests above would check nothing."""
    assert len({*named_files("CONTRIBUTING.md")}) > 40
    assert len({*tree_files("ARCHITECTURE.md")}) > 30
