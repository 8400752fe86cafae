"""/api/v1/vm: start, list, update and terminate instances (controller-facts A1 to A4)."""

from __future__ import annotations

import re
from typing import NamedTuple

from flask import Blueprint, Response

from mockanka.api.envelope import DONE, OK_END, OK_START, encode, number, ok, respond
from mockanka.api.field_table import OMIT, Key, Table, when_set
from mockanka.api.instance_requests import RestartBody, StartBody, UpdateBody
from mockanka.api.request_fields import ById, body, load, query, required_query
from mockanka.core import instances, network, restarts
from mockanka.core.controller import Controller
from mockanka.core.instance_record import Instance, StartRequest
from mockanka.core.lifecycle import InstanceState
from mockanka.core.scripts import ScriptResult
from mockanka.core.templates import get_version
from mockanka.core.vms import PortForward, Vm
from mockanka.units import MICROSECOND, SECOND, format_moment, format_ram

FOREVER = 2**63
ZERO_TIME = "0001-01-01T00:00:00Z"
SAMPLED_BEFORE = 3 * SECOND
"""In captures the agent's look is 2.4 to 4.9 s older than the controller's (controller-facts C6)."""
_PLAIN_ID = re.compile(rb"id=[0-9A-Za-z._~-]+")


START, UPDATE, BY_ID, RESTART = StartBody(), UpdateBody(), ById(), RestartBody()

PORTS: Table[PortForward] = Table(
    Key("Name", lambda c, port: port.name, went_with="port-rule-name"),
    Key("rule_name", lambda c, port: port.name, came_with="port-rule-name", went_with="port-rule-plain-name"),
    Key("name", lambda c, port: port.name, came_with="port-rule-plain-name"),
    Key("guest_port", lambda c, port: port.guest_port),
    Key("host_port", lambda c, port: port.host_port),
    Key("protocol", lambda c, port: port.protocol),
)


def _ports(controller: Controller, of: tuple[Instance, Vm]) -> object:
    ports = () if "port_forwarding" in of[0].unreported else of[1].ports
    return when_set([PORTS.render(controller, port) for port in ports])


def _sampled(controller: Controller, of: tuple[Instance, Vm]) -> str:
    # The agent looks a few seconds before the controller hears of it, and its clock knows microseconds (A2.3).
    sampled = max(of[1].created, of[0].updated(controller) - SAMPLED_BEFORE)
    return format_moment(sampled // MICROSECOND * MICROSECOND)


def _whole_second(at: int) -> str:
    return format_moment(at // SECOND * SECOND)


VM_INFO: Table[tuple[Instance, Vm]] = Table(
    Key("uuid", lambda c, of: of[1].uuid),
    Key("name", lambda c, of: when_set(of[1].name)),
    Key("status", lambda c, of: of[1].status),
    Key("version", lambda c, of: "", came_with="vm-dates"),
    Key("creation_date", lambda c, of: _whole_second(of[1].created), came_with="vm-dates"),
    Key("access_date", lambda c, of: _whole_second(of[1].started), came_with="vm-timestamp"),
    Key("start_date", lambda c, of: _whole_second(of[1].started), came_with="restart"),
    # Of a running VM Go's zero time; guess: nothing else of one that has stopped.
    Key("stop_date", lambda c, of: ZERO_TIME, came_with="vm-dates"),
    Key("cpu_cores", lambda c, of: of[1].cpus),
    Key("ram", lambda c, of: format_ram(of[1].ram)),
    Key("node_id", lambda c, of: of[0].node_id),
    Key("host_ip", lambda c, of: "" if "host_ip" in of[0].unreported else of[1].host_ip),
    Key("ip", lambda c, of: "" if "ip" in of[0].unreported else of[1].ip),
    Key("vnc_port", lambda c, of: of[1].vnc_port),
    Key(
        "vnc_connection_string",
        lambda c, of: f"vnc://:{of[1].vnc_password}@{of[1].host_ip}:{of[1].vnc_port}",
        went_with="vm-timestamp",
    ),
    Key("vnc_password", lambda c, of: when_set(of[1].vnc_password), came_with="vm-dates"),
    Key("port_forwarding", _ports),
    Key("timestamp", _sampled, came_with="vm-timestamp"),
)


def _tag(controller: Controller, one: Instance) -> object:
    # Before 1.24.1 the tag is there only if the request named one (controller-facts A1).
    if one.request.tag or controller.release.has("tag-filled-in"):
        return when_set(get_version(controller, one.ref).tag)
    return OMIT


def _script(controller: Controller, one: Instance) -> object:
    # Once it has ended (controller-facts A2.2).
    return OMIT if one.script is None or one.booting or one.shown_vm is None else SCRIPT.render(controller, one.script)


SCRIPT: Table[ScriptResult] = Table(
    Key("return_code", lambda c, of: of.return_code),
    Key("did_timeout", lambda c, of: of.did_timeout),
    Key("stdout", lambda c, of: of.stdout),
    Key("stderr", lambda c, of: of.stderr),
)


def _node_id(controller: Controller, one: Instance) -> object:
    # Of an instance that failed before it had a VM from 1.22 on (controller-facts C16).
    hidden = one.state is InstanceState.ERROR and one.vm is None and not controller.release.has("failed-node-shown")
    return OMIT if hidden else when_set(one.shown_node_id)


def _request_id(controller: Controller, one: Instance) -> object:
    # Examples of 1.8 lack it once there is a VM, captures of about 1.27 have it (controller-facts A2.2).
    return OMIT if one.shown_vm and not controller.release.has("request-id-stays") else one.inflight_id


def _registry(controller: Controller, one: Instance) -> str:
    return controller.registry.url if controller.release.has("registry-address") else ""


INSTANCE: Table[Instance] = Table(
    # Order: controller-facts A2.2. At first instance_id, name and external_id stand on the list item alone.
    Key("instance_id", lambda c, one: one.id, came_with="instance-tells-its-names"),
    Key("instance_state", lambda c, one: one.state.value),
    Key("message", lambda c, one: when_set(one.message)),
    Key("anka_registry", _registry),
    Key("vmid", lambda c, one: one.ref.template_id),
    Key("tag", _tag),
    # omitempty, so version 0 vanishes as it would in Go (controller-facts B21).
    Key("version", lambda c, one: when_set(one.request.version)),
    Key("vminfo", lambda c, one: VM_INFO.render(c, (one, one.shown_vm)) if one.shown_vm else OMIT),
    Key("node_id", _node_id),
    Key("inflight_reqid", _request_id),
    Key("ts", lambda c, one: format_moment(one.updated(c))),
    Key("cr_time", lambda c, one: format_moment(one.created)),
    Key("progress", lambda c, one: number(one.progress(c))),
    Key("group_id", lambda c, one: when_set(one.request.group_id)),
    # Guess: that name is here (controller-facts A2.1).
    Key("name", lambda c, one: when_set(one.request.name), came_with="instance-tells-its-names"),
    Key("external_id", lambda c, one: when_set(one.request.external_id), came_with="instance-tells-its-names"),
    Key("metadata", lambda c, one: when_set(dict(sorted(one.request.metadata.items())))),
    Key("mac_address", lambda c, one: when_set(one.request.mac_address), came_with="mac-addresses"),
    Key("usb_device", lambda c, one: when_set(one.request.usb_device)),
    Key("arch", lambda c, one: c.templates[one.ref.template_id].arch, came_with="arch"),
    Key("vlan", lambda c, one: one.vlan, came_with="vlans"),
    Key("startup_script", _script, came_with="script-monitoring"),
)


class Piece(NamedTuple):
    """What is kept of an instance: the answer to ``?id=`` and its item in the list, good for a revision and a time."""

    revision: int
    until: int
    single: bytes
    item: bytes


class Answers:
    """Answers to polls: rendered once, kept as bytes, and used again until something in them changes.

    That is when the instance's revision moves, when its node's next heartbeat moves ``ts``, and at once while
    it is pulling.
    """

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._pieces: dict[str, Piece] = {}
        self._list: tuple[int, int, bytes] = (-1, 0, b"")

    def at_hand(self, query_string: bytes) -> bytes | None:
        """The answer to a GET with that query, if it takes no more than looking it up."""
        if not query_string:
            return self.all()
        if _PLAIN_ID.fullmatch(query_string):
            of = self._controller.instances.get(query_string[3:].decode("ascii"))
            return None if of is None or of.hidden else self.one(of)
        return None

    def one(self, of: Instance) -> bytes:
        """The whole answer to ``?id=``: the bare instance (controller-facts A2.1)."""
        return self._piece(of).single

    def all(self) -> bytes:
        """The whole answer to a list: wrappers in order of creation."""
        controller = self._controller
        revision, until, whole = self._list
        if revision == controller.revision and controller.now < until:
            return whole
        instances = controller.instances
        if len(self._pieces) > 2 * len(instances) + 100:
            self._pieces = {id: piece for id, piece in self._pieces.items() if id in instances}
        until = FOREVER
        parts: list[bytes] = []
        for of in instances.values():
            if of.hidden:
                continue
            piece = self._piece(of)
            until = min(until, piece.until)
            parts.append(piece.item)
        if parts:
            # The brackets hang on the first and the last part, so that nothing is copied twice.
            parts[0] = OK_START + b"[" + parts[0]
            parts[-1] += b"]" + OK_END
            whole = b",".join(parts)
        else:
            whole = ok([])
        self._list = (controller.revision, until, whole)
        return whole

    def _piece(self, of: Instance) -> Piece:
        controller = self._controller
        kept = self._pieces.get(of.id)
        if kept is not None and kept.revision == of.revision and controller.now < kept.until:
            return kept
        bare = encode(INSTANCE.render(controller, of))
        wrapped = _wrapper(of, controller.release.has("instance-tells-its-names")) + bare + b"}"
        made = Piece(of.revision, _good_until(controller, of), OK_START + bare + OK_END, wrapped)
        self._pieces[of.id] = made
        return made


def _wrapper(of: Instance, with_nulls: bool) -> bytes:
    """The start of a list item. Its keys are sorted, as those of a Go map; unset ones are null, or left out."""
    request = of.request
    head = {"external_id": request.external_id, "instance_id": of.id, "name": request.name}
    shown = {key: value or None for key, value in head.items() if value or with_nulls}
    return encode(shown)[:-1] + b',"vm":'


def _good_until(controller: Controller, of: Instance) -> int:
    if of.pulling:
        return controller.now + 1
    node = controller.nodes.get(of.node_id or "")
    if node is None or node.lost_at is not None:
        return FOREVER
    return node.heartbeat(controller) + controller.timings.heartbeat


def blueprint(controller: Controller, answers: Answers) -> Blueprint:
    routes = Blueprint("instances", __name__)

    @routes.post("/api/v1/vm")
    def start() -> Response:
        asked = load(START, body())
        count = asked.pop("count")
        wanted = StartRequest(template_id=asked.pop("vmid"), **asked)
        return respond(ok(instances.start_instances(controller, wanted, count)))

    @routes.get("/api/v1/vm")
    def show() -> Response:
        instance_id = query("id")
        if not instance_id:
            return respond(answers.all())
        return respond(answers.one(instances.find_instance(controller, instance_id)))

    @routes.put("/api/v1/vm")
    def update() -> Response:
        instance_id = required_query("id")
        changes = load(UPDATE, body())
        named = {key: value or None for key, value in changes.items() if key != "metadata"}
        instances.update_instance(controller, instance_id, {**changes, **named})
        return respond(DONE)

    @routes.delete("/api/v1/vm")
    def terminate() -> Response:
        instances.terminate_instance(controller, load(BY_ID, body())["id"])
        return respond(DONE)

    @routes.post("/api/v1/rpc/vm/restart")
    def restart_one() -> Response:
        asked = load(RESTART, body())
        given = {key: asked[key] for key in ("usb_device", "vnc_password") if asked.get(key)}
        restarts.restart_vm(controller, asked["instance_id"], **given)
        return respond(DONE)

    @routes.get("/api/v1/vlan")
    def vlans() -> Response:
        return respond(ok(network.list_vlans(controller)))

    return routes
