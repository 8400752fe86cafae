"""The controller and the proxy of these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import mockanka
from mockanka.testing.anka import Anka
from tests.proxy.harness import RunningProxy, run_proxy_thread


@pytest.fixture
def anka() -> Iterator[Anka]:
    """The default scenario with a manual clock; it has one instance."""
    with mockanka.serve("default", clock="manual", seed=1) as anka:
        yield anka


@pytest.fixture
def proxy(anka: Anka) -> Iterator[RunningProxy]:
    """A proxy in front of the controller."""
    with run_proxy_thread(anka.url) as proxy:
        yield proxy
