"""/_mock/nodes: all nodes, and states that nodes are forced into."""

from __future__ import annotations

from typing import Any

from flask import Flask

from mockanka import units
from mockanka.control.problems import Problem, allow_parameters, read_object_body
from mockanka.core import nodes
from mockanka.core.errors import NoSuchNode, UnknownToRelease
from mockanka.core.faults import NODE_OVERRIDES
from mockanka.core.nodes import Node
from mockanka.scenario.base import StrictSchema
from mockanka.scenario.fields import Boolean
from mockanka.scenario.source import nearest
from mockanka.simulator.simulator import Simulator


class NodeOverrideOptions(StrictSchema):
    """The optional body of POST nodes/ID/STATE."""

    at_once = Boolean()


NODE_OVERRIDE_OPTIONS = NodeOverrideOptions()


def add_node_routes(app: Flask, simulator: Simulator) -> None:
    """Add the routes that list nodes and force one into a state."""
    controller = simulator.controller

    @app.get("/_mock/nodes")
    def list_nodes() -> dict[str, Any]:
        allow_parameters()
        controller.advance()
        return {"nodes": [_describe_node(node, controller.now) for node in controller.nodes.values()]}

    @app.post("/_mock/nodes/<node_id>/<state>")
    def override_node(node_id: str, state: str) -> dict[str, Any]:
        options = NODE_OVERRIDE_OPTIONS.load(read_object_body(optional=True))
        if state not in NODE_OVERRIDES:
            raise Problem(404, f"a node cannot be made {state!r}: {nearest(state, list(NODE_OVERRIDES))}")
        try:
            node = nodes.find_node_by_id_or_name(controller, node_id)
            simulator.override_node(node.id, state, options.get("at_once", False))
        except NoSuchNode:
            names = [node.name for node in controller.nodes.values()]
            raise Problem(
                404, f"there is no node {node_id!r}, or several of that name: {nearest(node_id, names)}"
            ) from None
        except UnknownToRelease as error:
            raise Problem(409, str(error)) from None
        return _describe_node(node, controller.now)


def _describe_node(node: Node, now: int) -> dict[str, Any]:
    offline_at = units.format_moment(node.timeout_at) if node.timeout_at is not None else None
    return {
        "id": node.id,
        "name": node.name,
        "state": node.state(now).value,
        "reports": node.lost_at is None,
        "offline_at": offline_at,
        "takes_work": node.takes_work and not node.manual_vms,
    }
