"""A controller asked over its wire, and the requests that tests send again and again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

from werkzeug.test import TestResponse

from mockanka.api.app import ControllerApp, create_app
from mockanka.core.controller import Controller
from mockanka.core.release import Release
from mockanka.scenario import Options, Scenario, dump
from tests.controllers import controller_of

OLD, NEW = "1.8.0", "1.50.1"
RELEASES = (OLD, NEW)
NOWHERE = "00000000-0000-4000-4000-000000000000"
"""An id that names nothing."""


@dataclass
class Wire:
    """A controller and the application over it."""

    controller: Controller
    app: ControllerApp = field(init=False)

    def __post_init__(self) -> None:
        self.app = create_app(self.controller)
        self.controller.advance()

    def send(self, method: str, path: str, body: bytes | None = None, query: str = "", **options: Any) -> TestResponse:
        """A request; ``path`` is what stands behind /api/v1/."""
        return self.app.test_client().open(
            f"/api/v1/{path}", method=method, data=body, query_string=query, **{"content_type": None, **options}
        )

    def ask(self, method: str, path: str, body: object = None, query: str = "") -> dict[str, Any]:
        """The envelope that answers a request with that body, which is written as JSON unless it is None."""
        raw = None if body is None else json.dumps(body).encode()
        envelope: dict[str, Any] = json.loads(self.send(method, path, raw, query).data)
        return envelope

    def get(self, path: str, query: str = "") -> Any:
        """The payload of a GET that succeeds."""
        envelope = self.ask("GET", path, query=query)
        assert envelope["status"] == "OK", envelope
        return envelope["body"]

    def do(self, method: str, path: str, body: object = None, query: str = "") -> Any:
        """The payload of an operation that succeeds; None if it has none."""
        envelope = self.ask(method, path, body, query)
        assert envelope["status"] == "OK", envelope
        return envelope.get("body")

    def start(self, **fields: Any) -> str:
        """The id of a new instance."""
        (instance_id,) = self.do("POST", "vm", fields)
        return str(instance_id)

    def state(self) -> dict[str, Any]:
        """All there is, as comparable data."""
        return dump(self.controller)

    @property
    def fail_status(self) -> int:
        return 400 if self.controller.release >= Release(1, 20, 0) else 200


def office(release: str = OLD) -> Wire:
    """The default scenario, with a distribution under way."""
    wire = Wire(office_controller(release))
    wire.do("POST", "registry/vm/distribute", {"template_id": TEMPLATE})
    return wire


def office_controller(release: str = OLD) -> Controller:
    """The default scenario by a manual clock."""
    return _DEFAULT.controller(Options(clock="manual", release=Release.parse(release)))


def world(text: str, release: str = OLD) -> Wire:
    """A scenario given in YAML."""
    return Wire(controller_of(text, release=Release.parse(release)))


def _named(things: Any) -> dict[str, str]:
    return {thing.name: thing.id for thing in things.values()}


_DEFAULT = Scenario.named("default")
_SAMPLE = _DEFAULT.controller(Options(clock="manual"))
TEMPLATE, OTHER_TEMPLATE = (_named(_SAMPLE.templates)[name] for name in ("14.5-arm64", "13.6-arm64"))
NODE, OTHER_NODE = (_named(_SAMPLE.nodes)[name] for name in ("mini-01", "mini-02"))
GROUP, OTHER_GROUP = (_named(_SAMPLE.groups)[name] for name in ("spare", "ios"))
INSTANCE = next(iter(_SAMPLE.instances))


@dataclass(frozen=True)
class Call:
    """A request of the default scenario that succeeds, and which kind of value each field of its body takes."""

    method: str
    path: str
    body: dict[str, Any]
    kinds: dict[str, str]
    required: tuple[str, ...] = ()
    query: str = ""

    def but(self, **fields: Any) -> Call:
        """The same with other values."""
        return replace(self, body={**self.body, **fields})

    def without(self, name: str) -> Call:
        return replace(self, body={key: value for key, value in self.body.items() if key != name})

    @property
    def raw(self) -> bytes:
        return json.dumps(self.body).encode()

    def send(self, wire: Wire, raw: bytes | None = None) -> TestResponse:
        return wire.send(self.method, self.path, self.raw if raw is None else raw, self.query)


_METADATA = {"name": "text", "external_id": "text", "metadata": "metadata"}
_VERSION = {"tag": "text", "version": "whole"}
_GROUP = {"name": "text", "description": "text", "fallback_group_id": "text"}
_MEMBERS = {"group_ids": "texts", "node_ids": "texts"}

CALLS: dict[str, Call] = {
    "start": Call(
        "POST",
        "vm",
        {"vmid": TEMPLATE},
        {
            "vmid": "text",
            **_VERSION,
            **_METADATA,
            "count": "count",
            "node_id": "text",
            "startup_script": "text",
            "startup_script_condition": "bit",
            "name_template": "text",
            "group_id": "text",
            "priority": "count",
            "usb_device": "text",
            "vcpu": "whole",
            "vram": "whole",
        },
        ("vmid",),
    ),
    "update": Call("PUT", "vm", {"name": "other"}, _METADATA, query=f"id={INSTANCE}"),
    "terminate": Call("DELETE", "vm", {"id": INSTANCE}, {"id": "text"}, ("id",)),
    "delete node": Call("DELETE", "node", {"node_id": NODE}, {"node_id": "text"}, ("node_id",)),
    "configure": Call(
        "POST",
        "node/config",
        {"node_id": NODE, "max_vm_count": 7},
        {
            "node_id": "text",
            "max_vm_count": "whole",
            "name": "text",
            "host": "text",
            "capacity_mode": "mode",
            "vcpu_override": "whole",
            "ram_override": "whole",
            "disable_central_logging": "flag",
        },
        ("node_id",),
    ),
    "join groups": Call(
        "POST", "node/group", {"group_ids": [OTHER_GROUP], "node_ids": [NODE]}, _MEMBERS, ("group_ids", "node_ids")
    ),
    "leave groups": Call(
        "DELETE", "node/group", {"group_ids": [GROUP], "node_ids": [NODE]}, _MEMBERS, ("group_ids", "node_ids")
    ),
    "distribute": Call(
        "POST",
        "registry/vm/distribute",
        {"template_id": TEMPLATE},
        {"template_id": "text", **_VERSION, "node_ids": "texts", "group_id": "text"},
        ("template_id",),
    ),
    "save": Call(
        "POST",
        "image",
        {"id": INSTANCE, "new_template_name": "saved"},
        {
            "id": "text",
            "target_vm_id": "text",
            "new_template_name": "text",
            "tag": "text",
            "description": "text",
            "suspend": "flag",
            "script": "text",
            "revert_before_push": "flag",
            "revert_tag": "text",
            "do_suspend_sanity_test": "flag",
        },
        ("id",),
    ),
    "create group": Call("POST", "group", {"name": "new"}, _GROUP, ("name",)),
    "update group": Call("PUT", "group", {"name": "other"}, _GROUP, query=f"id={GROUP}"),
}
"""Every operation that takes a body."""
