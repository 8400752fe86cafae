"""Controllers that tests speak HTTP to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import mockanka
from mockanka.testing.anka import Anka


@pytest.fixture
def anka() -> Iterator[Anka]:
    """A controller with a manual clock and one instance."""
    with mockanka.serve("default", clock="manual", seed=1) as served:
        yield served


@pytest.fixture
def real_time_anka() -> Iterator[Anka]:
    """A controller whose clock runs ten times as fast as the wall's."""
    with mockanka.serve("default", clock="real", speed=10, seed=1) as served:
        yield served
