"""Fixtures of the tests of the control API."""

import pytest

from tests.control.client import ControlClient


@pytest.fixture
def control() -> ControlClient:
    """A client of the control API of the default scenario, with a manual clock."""
    return ControlClient()
