"""Forcing nodes into a state."""

from __future__ import annotations

from tests.control.client import ControlClient


def test_a_lost_node_can_still_be_shown_offline_at_once(control: ControlClient) -> None:
    """``at_once`` also applies to a node that was lost before and is not shown as Offline yet."""
    control.send("POST", "nodes/mini-01/offline")
    response = control.send("POST", "nodes/mini-01/offline", {"at_once": True})

    assert "Offline" == response.get_json()["state"]
