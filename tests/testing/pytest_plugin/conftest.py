"""The suite of the tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.testing.pytest_plugin.suite import Suite


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    """Return an empty suite with a root of its own."""
    return Suite(tmp_path).write("pytest.ini", "[pytest]\n")
