"""GET vlan."""

from __future__ import annotations

from tests.api.client import NEW, api_of, default_api


def test_the_vlans_are_listed() -> None:
    """The VLANs of all nodes are listed once each; without any the list is an empty array."""
    api = api_of("nodes: [{name: a, vlans: ['7', '12']}, {name: b, vlans: ['12']}]", NEW)

    assert ["12", "7"] == api.get("vlan")
    assert [] == default_api(NEW).get("vlan")
