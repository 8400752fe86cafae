"""/api/v1/node, node/config and node/group: nodes, their settings, their groups (controller-facts A6 to A8, A10)."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response
from marshmallow import post_load

from mockanka.api.envelope import DONE, float32, ok, respond
from mockanka.api.field_table import OMIT, Key, Table
from mockanka.api.groups import GROUP
from mockanka.api.request_fields import Body, Choice, Flag, Text, Texts, Whole, body, load, query, since
from mockanka.api.status import version
from mockanka.core import groups, nodes, pulls, templates
from mockanka.core.controller import Controller
from mockanka.core.nodes import AnkaVersion, Node
from mockanka.units import SECOND, format_moment


class ConfigBody(Body):
    """What POST node/config takes (controller-facts A7); blank texts change nothing."""

    node_id = Text(required=True)
    max_vm_count = Whole(attribute="capacity")
    name = Text()
    host = Text(attribute="ip")
    capacity_mode = Choice("number", "resource", "")
    vcpu_override = Whole()
    ram_override = Whole()
    disable_central_logging = Flag()
    drain_mode = Flag(metadata=since("drain-mode"))

    @post_load
    def _as_settings(self, data: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        settings = {key: value for key, value in data.items() if value != ""}
        if "disable_central_logging" in settings:
            settings["central_logging"] = not settings.pop("disable_central_logging")
        return settings


class NodeBody(Body):
    """What DELETE node takes."""

    node_id = Text(required=True)


class MembershipBody(Body):
    """What POST and DELETE node/group take; empty lists are fine and change nothing (a guess: B19)."""

    group_ids = Texts(required=True)
    node_ids = Texts(required=True)


CONFIG, NODE_ID, MEMBERSHIP = ConfigBody(), NodeBody(), MembershipBody()

ANKA: Table[AnkaVersion] = Table(
    Key("product", lambda c, anka: anka.product),
    Key("version", lambda c, anka: anka.version),
    Key("build", lambda c, anka: anka.build),
    Key("license", lambda c, anka: anka.license),
    Key("expires", lambda c, anka: anka.expires, came_with="license-expiry"),
)


def _groups(controller: Controller, of: Node) -> object:
    groups = [GROUP.render(controller, controller.groups[id]) for id in of.groups]
    return groups or OMIT


def _usb_devices(controller: Controller, of: Node) -> object:
    # null when there are none, later left out (controller-facts B32). Guess: what an entry of the list looks like.
    none = OMIT if controller.release.has("no-usb-no-key") else None
    return [device._asdict() for device in of.usb] or none


def _templates(controller: Controller, of: Node) -> list[dict[str, str]]:
    return [
        {
            "uuid": ref.template_id,
            "name": controller.templates[ref.template_id].name,
            "tag": templates.get_version(controller, ref).tag,
        }
        for ref in of.cached
    ]


def _free_disk(controller: Controller, of: Node) -> int:
    usage = pulls.compute_disk_usage(controller, of, of.last_contact(controller.now))
    return max(0, of.disk_size - of.disk_other - usage)


NODE_TABLE: Table[Node] = Table(
    Key("node_id", lambda c, of: of.id),
    Key("node_name", lambda c, of: of.name),
    Key("cpu_count", lambda c, of: of.cpus),
    Key("ram", lambda c, of: of.ram),
    Key("vm_count", lambda c, of: nodes.running_load(c, of).vm_count),
    Key("vcpu_count", lambda c, of: nodes.running_load(c, of).vcpu_count),
    Key("vram", lambda c, of: nodes.running_load(c, of).vram),
    Key("cpu_util", lambda c, of: float32(nodes.cpu_util(c, of))),
    Key("ram_util", lambda c, of: float32(nodes.ram_util(c, of))),
    Key("ip_address", lambda c, of: of.ip),
    Key("state", lambda c, of: of.state(c.now).value),
    Key("capacity", lambda c, of: of.capacity),
    Key("groups", _groups),
    Key("anka_version", lambda c, of: ANKA.render(c, of.anka)),
    Key("usb_devices", _usb_devices),
    Key("capacity_mode", lambda c, of: of.capacity_mode),
    Key("vcpu_override", lambda c, of: of.vcpu_override),
    Key("ram_override", lambda c, of: of.ram_override),
    Key("disk_size", lambda c, of: of.disk_size),
    Key("free_disk_space", _free_disk),
    Key("anka_disk_usage", lambda c, of: pulls.compute_disk_usage(c, of, of.last_contact(c.now))),
    Key("host_arch", nodes.host_arch, came_with="arch"),
    Key("templates", _templates, came_with="node-templates"),
    Key("last_updated", lambda c, of: format_moment(of.heartbeat(c)), came_with="node-report"),
    Key("timestamp", lambda c, of: of.heartbeat(c) // SECOND, came_with="node-report"),
    Key("agent_version", lambda c, of: version(c), came_with="node-report"),
)


def _by_id(controller: Controller, of: Node) -> dict[str, object]:
    rendered = NODE_TABLE.render(controller, of)
    if not controller.release.has("node-by-id-whole"):
        # Before 1.32 a node asked for by id came with these blanked: a bug of the real one (controller-facts B10).
        rendered |= {"anka_version": dict.fromkeys(ANKA.render(controller, of.anka), ""), "capacity_mode": ""}
    return rendered


def blueprint(controller: Controller) -> Blueprint:
    routes = Blueprint("nodes", __name__)

    @routes.get("/api/v1/node")
    def show() -> Response:
        node_id = query("id")
        if node_id:
            return respond(ok([_by_id(controller, nodes.find_node(controller, node_id))]))
        return respond(ok([NODE_TABLE.render(controller, each) for each in controller.nodes.values()]))

    @routes.delete("/api/v1/node")
    def delete() -> Response:
        nodes.delete_node(controller, load(NODE_ID, body())["node_id"])
        return respond(DONE)

    @routes.post("/api/v1/node/config")
    def configure() -> Response:
        changes = load(CONFIG, body())
        nodes.configure_node(controller, changes.pop("node_id"), changes)
        return respond(DONE)

    @routes.put("/api/v1/node/update")
    def update() -> Response:
        nodes.update_agents(controller)
        return respond(DONE)

    @routes.post("/api/v1/node/group")
    def add() -> Response:
        groups.add_nodes_to_groups(controller, **load(MEMBERSHIP, body()))
        return respond(DONE)

    @routes.delete("/api/v1/node/group")
    def remove() -> Response:
        groups.remove_nodes_from_groups(controller, **load(MEMBERSHIP, body()))
        return respond(DONE)

    return routes
