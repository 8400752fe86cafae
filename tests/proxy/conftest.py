"""The controller and the proxy of these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import mockanka
from mockanka.testing.anka import Anka
from tests.proxy import harness
from tests.proxy.harness import RunningProxy, run_proxy_thread


@pytest.fixture(scope="module", params=["reading", "mirrored"])
def forwarding(request: pytest.FixtureRequest) -> Iterator[str]:
    """The way of the proxies of a module: they read bytes while they forward them, or forward them first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(harness, "IS_MIRRORED", request.param == "mirrored")
        yield request.param


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
