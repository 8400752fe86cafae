"""Nodes whose state is blank, as that of one that has just joined."""

from __future__ import annotations

from tests.api.client import NEW, api_of, get_node
from tests.controllers import pass_time, reload

JOINED = """
templates: [{name: mac, versions: [{tag: base, size: 1GB}]}]
nodes: [{name: alpha, id: N, state: "", cached: [mac]}]
"""


def test_a_node_of_a_scenario_can_have_a_blank_state() -> None:
    """GET node shows the blank state, also in the controller that a dump makes, and the node takes no work."""
    api = api_of(JOINED, NEW)
    (template,) = api.controller.templates
    instance_id = api.start(vmid=template)
    pass_time(api.controller, 600)

    assert "" == get_node(api, "N")["state"]
    assert "" == reload(api.controller).nodes["N"].state(api.controller.now)
    assert "Scheduling" == api.get("vm", f"id={instance_id}")["instance_state"]
