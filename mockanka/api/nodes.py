"""/api/v1/node, node/config and node/group: nodes, their settings, their groups (controller-facts A6 to A8, A10)."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response
from marshmallow import post_load

from mockanka.api.envelope import empty_success, shortest_float32, success
from mockanka.api.field_table import OMIT, FieldTable, Key
from mockanka.api.groups import GROUP_FIELDS
from mockanka.api.request_fields import (
    BooleanField,
    ChoiceField,
    IntegerField,
    RequestBody,
    TextField,
    TextListField,
    added_with,
    query_parameter,
    read_fields,
)
from mockanka.api.routing import OperationRoutes
from mockanka.core import groups, nodes, pulls, templates
from mockanka.core.controller import Controller
from mockanka.core.nodes import AnkaVersion, Node
from mockanka.units import SECOND, format_moment


class ConfigBody(RequestBody):
    """The body of POST node/config (controller-facts A7); blank texts change nothing."""

    node_id = TextField(required=True)
    max_vm_count = IntegerField(attribute="capacity")
    name = TextField()
    host = TextField(attribute="ip")
    capacity_mode = ChoiceField("number", "resource", "")
    vcpu_override = IntegerField()
    ram_override = IntegerField()
    disable_central_logging = BooleanField()
    drain_mode = BooleanField(metadata=added_with("drain-mode"))

    @post_load
    def _make_settings(self, data: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        settings = {key: value for key, value in data.items() if value != ""}
        if "disable_central_logging" in settings:
            settings["central_logging"] = not settings.pop("disable_central_logging")
        return settings


class NodeIdBody(RequestBody):
    """The body of DELETE node."""

    node_id = TextField(required=True)


class MembershipBody(RequestBody):
    """The body of POST and DELETE node/group; empty lists are valid and change nothing (a guess: B19)."""

    group_ids = TextListField(required=True)
    node_ids = TextListField(required=True)


CONFIG_BODY, NODE_ID_BODY, MEMBERSHIP_BODY = ConfigBody(), NodeIdBody(), MembershipBody()

ANKA_VERSION_FIELDS: FieldTable[AnkaVersion] = FieldTable(
    Key("product", lambda c, anka: anka.product),
    Key("version", lambda c, anka: anka.version),
    Key("build", lambda c, anka: anka.build),
    Key("license", lambda c, anka: anka.license),
    Key("expires", lambda c, anka: anka.expires, added_with="license-expiry"),
)


def _groups(controller: Controller, node: Node) -> object:
    return [GROUP_FIELDS.render(controller, controller.groups[id]) for id in node.groups] or OMIT


def _usb_devices(controller: Controller, node: Node) -> object:
    # null when there are none, later left out (controller-facts B32). Guess: the keys of an entry.
    none = OMIT if controller.release.has("no-usb-no-key") else None
    return [device._asdict() for device in node.usb] or none


def _templates(controller: Controller, node: Node) -> list[dict[str, str]]:
    return [
        {
            "uuid": ref.template_id,
            "name": controller.templates[ref.template_id].name,
            "tag": templates.get_version(controller, ref).tag,
        }
        for ref in node.cached
    ]


def _free_disk(controller: Controller, node: Node) -> int:
    usage = pulls.compute_disk_usage(controller, node, node.last_contact(controller.now))
    return max(0, node.disk_size - node.disk_other - usage)


NODE_FIELDS: FieldTable[Node] = FieldTable(
    Key("node_id", lambda c, node: node.id),
    Key("node_name", lambda c, node: node.name),
    Key("cpu_count", lambda c, node: node.cpus),
    Key("ram", lambda c, node: node.ram),
    Key("vm_count", lambda c, node: nodes.running_load(c, node).vm_count),
    Key("vcpu_count", lambda c, node: nodes.running_load(c, node).vcpu_count),
    Key("vram", lambda c, node: nodes.running_load(c, node).vram),
    Key("cpu_util", lambda c, node: shortest_float32(nodes.cpu_util(c, node))),
    Key("ram_util", lambda c, node: shortest_float32(nodes.ram_util(c, node))),
    Key("ip_address", lambda c, node: node.ip),
    Key("state", lambda c, node: node.state(c.now).value),
    Key("capacity", lambda c, node: node.capacity),
    Key("groups", _groups),
    Key("anka_version", lambda c, node: ANKA_VERSION_FIELDS.render(c, node.anka)),
    Key("usb_devices", _usb_devices),
    Key("capacity_mode", lambda c, node: node.capacity_mode),
    Key("vcpu_override", lambda c, node: node.vcpu_override),
    Key("ram_override", lambda c, node: node.ram_override),
    Key("disk_size", lambda c, node: node.disk_size),
    Key("free_disk_space", _free_disk),
    Key("anka_disk_usage", lambda c, node: pulls.compute_disk_usage(c, node, node.last_contact(c.now))),
    Key("host_arch", nodes.host_arch, added_with="arch"),
    Key("templates", _templates, added_with="node-templates"),
    Key("last_updated", lambda c, node: format_moment(node.heartbeat(c)), added_with="node-report"),
    Key("timestamp", lambda c, node: node.heartbeat(c) // SECOND, added_with="node-report"),
    Key("agent_version", lambda c, node: node.agent_version or c.release.version, added_with="node-report"),
)


def _render_node_by_id(controller: Controller, node: Node) -> dict[str, object]:
    rendered = NODE_FIELDS.render(controller, node)
    if not controller.release.has("node-by-id-whole"):
        # Before 1.32 a node requested by id has these blanked: a bug of the real controller (controller-facts B10).
        blank_version = dict.fromkeys(ANKA_VERSION_FIELDS.render(controller, node.anka), "")
        rendered |= {"anka_version": blank_version, "capacity_mode": ""}
    return rendered


def node_routes(controller: Controller) -> Blueprint:
    """Return the routes of nodes."""
    routes = OperationRoutes("nodes", __name__)

    @routes.operation("listNodes")
    def list_nodes() -> Response:
        node_id = query_parameter("id")
        if node_id:
            return success([_render_node_by_id(controller, nodes.find_node(controller, node_id))])
        return success([NODE_FIELDS.render(controller, node) for node in controller.nodes.values()])

    @routes.operation("deleteNode")
    def delete_node() -> Response:
        nodes.delete_node(controller, read_fields(NODE_ID_BODY)["node_id"])
        return empty_success()

    @routes.operation("configureNode")
    def configure_node() -> Response:
        changes = read_fields(CONFIG_BODY)
        nodes.configure_node(controller, changes.pop("node_id"), changes)
        return empty_success()

    @routes.operation("updateNodes")
    def update_nodes() -> Response:
        nodes.update_agents(controller)
        return empty_success()

    @routes.operation("addNodesToGroups")
    def add_nodes_to_groups() -> Response:
        groups.add_nodes_to_groups(controller, **read_fields(MEMBERSHIP_BODY))
        return empty_success()

    @routes.operation("removeNodesFromGroups")
    def remove_nodes_from_groups() -> Response:
        groups.remove_nodes_from_groups(controller, **read_fields(MEMBERSHIP_BODY))
        return empty_success()

    return routes
