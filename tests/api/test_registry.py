"""The disk of the registry."""

from __future__ import annotations

import pytest

from mockanka.core.registry import RegistryState
from tests.api.client import NEW, OLD, OTHER_TEMPLATE, default_api


@pytest.mark.parametrize("release", [OLD, NEW])
def test_the_disk_has_free_and_total_bytes(release: str) -> None:
    """At every release the response has the free and the total bytes, and a deleted template frees its size."""
    api = default_api(release)
    before = api.get("registry/disk")
    size = next(template["size"] for template in api.get("registry/vm") if template["id"] == OTHER_TEMPLATE)
    api.perform("DELETE", "registry/vm", query=f"id={OTHER_TEMPLATE}")
    after = api.get("registry/disk")

    assert ["free", "total"] == list(before)
    assert (1_000_000_000_000, size) == (before["total"], after["free"] - before["free"])


def test_a_registry_that_is_down_fails() -> None:
    """The request fails while the registry is down."""
    api = default_api(NEW)
    api.controller.registry.state = RegistryState.DOWN

    assert "FAIL" == api.envelope("GET", "registry/disk")["status"]
