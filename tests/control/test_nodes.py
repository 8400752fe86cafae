"""Forcing nodes into a state."""

from __future__ import annotations

from tests.control.client import ControlClient


def test_a_lost_node_can_still_be_shown_offline_at_once(control: ControlClient) -> None:
    """``at_once`` also applies to a node that was lost before and is not shown as Offline yet."""
    control.send("POST", "nodes/mini-01/offline")
    response = control.send("POST", "nodes/mini-01/offline", {"at_once": True})

    assert "Offline" == response.get_json()["state"]


def test_nodes_are_listed(control: ControlClient) -> None:
    """The list shows each node as its change of state does."""
    node = next(iter(control.controller.nodes.values()))
    changed = control.send("POST", f"nodes/{node.id}/offline", {"at_once": True}).get_json()
    listed = control.send("GET", "nodes").get_json()["nodes"]

    assert changed in listed
    assert [node.name for node in control.controller.nodes.values()] == [node["name"] for node in listed]
