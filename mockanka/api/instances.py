"""/api/v1/vm: start, list, update and terminate instances (controller-facts A1 to A4)."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from flask import Blueprint, Response
from marshmallow import post_load

from mockanka.api.bodies import Body, ById, Flag, Metadata, Text, Whole, body, load, query, required_query, since
from mockanka.api.envelope import DONE, OK_END, OK_START, encode, number, ok, respond
from mockanka.api.table import OMIT, Key, Table, when_set
from mockanka.core import instance
from mockanka.core.controller import Controller
from mockanka.core.instance_record import SCRIPT_TIMEOUT, Instance, StartRequest
from mockanka.core.lifecycle import State
from mockanka.core.release import SINCE
from mockanka.core.script import ScriptResult
from mockanka.core.template import version_of
from mockanka.core.vm import PortForward, Vm
from mockanka.units import SECOND, format_moment, format_ram

MAX_COUNT = 10_000
"""Guess: nothing published limits ``count``; far more than any cloud has, and still quick to create."""

MAX_VCPU, MAX_VRAM = 1024, 16 * 1024 * 1024
"""Guess: cores and MB that no Mac has, so that what is computed of them stays within what clients can decode."""

MAX_SCRIPT_TIMEOUT = 365 * 24 * 3600
"""Guess: seconds that no script takes."""

FOREVER = 2**63
_PLAIN_ID = re.compile(rb"id=[0-9A-Za-z._~-]+")


class StartBody(Body):
    """What POST vm takes (controller-facts A1)."""

    vmid = Text(required=True)
    tag = Text()
    version = Whole()
    name = Text()
    external_id = Text()
    count = Whole(1, MAX_COUNT, load_default=1)
    node_id = Text()
    startup_script = Text()
    startup_script_condition = Whole(0, 1)
    script_monitoring = Flag(metadata=since("script-monitoring"))
    script_timeout = Whole(0, MAX_SCRIPT_TIMEOUT, metadata=since("script-monitoring"))
    script_fail_handler = Whole(0, 2, metadata=since("script-monitoring"))
    name_template = Text()
    group_id = Text()
    priority = Whole(1, 10_000)
    usb_device = Text()
    vcpu = Whole(0, MAX_VCPU)
    vram = Whole(0, MAX_VRAM)
    metadata = Metadata()

    @post_load
    def _blank_is_not_given(self, data: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        # Clients send "" for what they do not ask for (controller-facts A0.2).
        given = {key: value for key, value in data.items() if value != ""}
        if "script_timeout" in given:
            given["script_timeout"] = given["script_timeout"] * SECOND or SCRIPT_TIMEOUT  # guess: 0 is not given
        return given


class UpdateBody(Body):
    """What PUT vm takes (controller-facts A3); a blank name is no name."""

    name = Text()
    external_id = Text()
    metadata = Metadata()


START, UPDATE, BY_ID = StartBody(), UpdateBody(), ById()

PORTS: Table[PortForward] = Table(
    # The rule's name stands under Name at this release (controller-facts B4).
    Key("Name", lambda c, port: port.name),
    Key("guest_port", lambda c, port: port.guest_port),
    Key("host_port", lambda c, port: port.host_port),
    Key("protocol", lambda c, port: port.protocol),
)


def _ports(controller: Controller, of: tuple[Instance, Vm]) -> object:
    ports = () if "port_forwarding" in of[0].lacks else of[1].ports
    return when_set([PORTS.render(controller, port) for port in ports])


VM_INFO: Table[tuple[Instance, Vm]] = Table(
    Key("uuid", lambda c, of: of[1].uuid),
    Key("name", lambda c, of: of[1].name),
    Key("status", lambda c, of: of[1].status),
    Key("cpu_cores", lambda c, of: of[1].cpus),
    Key("ram", lambda c, of: format_ram(of[1].ram)),
    Key("node_id", lambda c, of: of[0].node_id),
    Key("host_ip", lambda c, of: "" if "host_ip" in of[0].lacks else of[1].host_ip),
    Key("ip", lambda c, of: "" if "ip" in of[0].lacks else of[1].ip),
    Key("vnc_port", lambda c, of: of[1].vnc_port),
    Key("vnc_connection_string", lambda c, of: f"vnc://:{of[1].vnc_password}@{of[1].host_ip}:{of[1].vnc_port}"),
    Key("port_forwarding", _ports),
)


def _tag(controller: Controller, one: Instance) -> object:
    # Before 1.24.1 the tag is there only if the request named one (controller-facts A1).
    if one.request.tag or controller.release.has("tag-filled-in"):
        return when_set(version_of(controller, one.ref).tag)
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

INSTANCE: Table[Instance] = Table(
    # Order: controller-facts A2.2. At 1.8.0 instance_id, name and external_id stand on the list item alone.
    Key("instance_state", lambda c, one: one.state.value),
    Key("message", lambda c, one: when_set(one.message)),
    # Blank at this release, the registry's address later (controller-facts A2.2, B40).
    Key("anka_registry", lambda c, one: ""),
    Key("vmid", lambda c, one: one.ref.template_id),
    Key("tag", _tag),
    # omitempty, so version 0 vanishes as it would in Go (controller-facts B21).
    Key("version", lambda c, one: when_set(one.request.version)),
    Key("vminfo", lambda c, one: VM_INFO.render(c, (one, one.shown_vm)) if one.shown_vm else OMIT),
    # Not while Scheduling, though a node may have it by then (controller-facts A2.2).
    Key("node_id", lambda c, one: OMIT if one.state is State.SCHEDULING else when_set(one.node_id)),
    # Until there is a VM: the examples of this release lack it on Started instances, which later captures have (A2.2).
    Key("inflight_reqid", lambda c, one: OMIT if one.shown_vm else one.inflight_id),
    Key("ts", lambda c, one: format_moment(one.updated(c))),
    Key("cr_time", lambda c, one: format_moment(one.created)),
    Key("progress", lambda c, one: number(one.progress(c))),
    Key("group_id", lambda c, one: when_set(one.request.group_id)),
    Key("metadata", lambda c, one: when_set(dict(sorted(one.request.metadata.items())))),
    Key("usb_device", lambda c, one: when_set(one.request.usb_device)),
    Key("startup_script", _script, since=SINCE["script-monitoring"]),
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
        made = Piece(of.revision, _good_until(controller, of), OK_START + bare + OK_END, _wrapper(of) + bare + b"}")
        self._pieces[of.id] = made
        return made


def _wrapper(of: Instance) -> bytes:
    """The start of a list item. Its keys are sorted, as those of a Go map; unset ones are left out at this release."""
    request = of.request
    head = {"external_id": request.external_id, "instance_id": of.id, "name": request.name}
    return encode({key: value for key, value in head.items() if value})[:-1] + b',"vm":'


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
        return respond(ok(instance.start(controller, wanted, count)))

    @routes.get("/api/v1/vm")
    def show() -> Response:
        instance_id = query("id")
        if not instance_id:
            return respond(answers.all())
        return respond(answers.one(instance.find(controller, instance_id)))

    @routes.put("/api/v1/vm")
    def update() -> Response:
        instance_id = required_query("id")
        changes = load(UPDATE, body())
        named = {key: value or None for key, value in changes.items() if key != "metadata"}
        instance.update(controller, instance_id, {**changes, **named})
        return respond(DONE)

    @routes.delete("/api/v1/vm")
    def terminate() -> Response:
        instance.terminate(controller, load(BY_ID, body())["id"])
        return respond(DONE)

    return routes
