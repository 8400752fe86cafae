"""The suite of the tests of this folder."""

from __future__ import annotations

import pytest

from tests.testing.pytest_plugin.suite import Suite


@pytest.fixture
def suite(pytester: pytest.Pytester) -> Suite:
    """Return an empty suite with a root of its own."""
    return Suite(pytester).write("pytest.ini", "[pytest]\n")
