"""The controller of the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import mockanka
from mockanka.testing.anka import Anka


@pytest.fixture
def anka() -> Iterator[Anka]:
    """Serve the default scenario with a manual clock."""
    with mockanka.serve(clock="manual", seed=1) as anka:
        yield anka
