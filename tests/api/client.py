"""A client of the API of a controller in this process, and sample requests for every operation with a body."""

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
UNKNOWN_ID = "00000000-0000-4000-4000-000000000000"


@dataclass
class ApiClient:
    """A client of the application of a controller."""

    controller: Controller
    app: ControllerApp = field(init=False)

    def __post_init__(self) -> None:
        self.app = create_app(self.controller)
        self.controller.advance()

    def send(self, method: str, path: str, body: bytes | None = None, query: str = "", **options: Any) -> TestResponse:
        """Send a request and return the response; ``path`` is the part after /api/v1/."""
        return self.app.test_client().open(
            f"/api/v1/{path}", method=method, data=body, query_string=query, **{"content_type": None, **options}
        )

    def envelope(self, method: str, path: str, body: object = None, query: str = "") -> dict[str, Any]:
        """Send a request with a JSON body, if one is given, and return the envelope of the response."""
        raw = None if body is None else json.dumps(body).encode()
        envelope: dict[str, Any] = json.loads(self.send(method, path, raw, query).data)
        return envelope

    def perform(self, method: str, path: str, body: object = None, query: str = "") -> Any:
        """Send a request that must succeed, and return its payload, or None if it has none."""
        envelope = self.envelope(method, path, body, query)
        assert envelope["status"] == "OK", envelope
        return envelope.get("body")

    def get(self, path: str, query: str = "") -> Any:
        """Send a GET that must succeed, and return its payload."""
        envelope = self.envelope("GET", path, query=query)
        assert envelope["status"] == "OK", envelope
        return envelope["body"]

    def start(self, **fields: Any) -> str:
        """Start an instance and return its id."""
        (instance_id,) = self.perform("POST", "vm", fields)
        return str(instance_id)

    def dump(self) -> dict[str, Any]:
        """Return the whole state of the controller as comparable data."""
        return dump(self.controller)

    @property
    def failure_status(self) -> int:
        """The HTTP status of failures at the controller's release."""
        return 400 if self.controller.release >= Release(1, 20, 0) else 200


def default_api(release: str = OLD) -> ApiClient:
    """Return a client of the default scenario, with a distribution under way."""
    api = ApiClient(default_controller(release))
    api.perform("POST", "registry/vm/distribute", {"template_id": TEMPLATE})
    return api


def default_controller(release: str = OLD) -> Controller:
    """Return a controller of the default scenario with a manual clock."""
    return _DEFAULT.controller(Options(clock="manual", release=Release.parse(release)))


def api_of(scenario: str, release: str = OLD) -> ApiClient:
    """Return a client of a scenario given in YAML."""
    return ApiClient(controller_of(scenario, release=Release.parse(release)))


def get_node(api: ApiClient, node_id: str) -> dict[str, Any]:
    """Return a node of the API."""
    (node,) = api.get("node", f"id={node_id}")
    return dict(node)


def _ids_by_name(entities: Any) -> dict[str, str]:
    return {entity.name: entity.id for entity in entities.values()}


_DEFAULT = Scenario.named("default")
_SAMPLE = _DEFAULT.controller(Options(clock="manual"))
TEMPLATE, OTHER_TEMPLATE = (_ids_by_name(_SAMPLE.templates)[name] for name in ("14.5-arm64", "13.6-arm64"))
NODE, OTHER_NODE = (_ids_by_name(_SAMPLE.nodes)[name] for name in ("mini-01", "mini-02"))
GROUP, OTHER_GROUP = (_ids_by_name(_SAMPLE.groups)[name] for name in ("spare", "ios"))
INSTANCE = next(iter(_SAMPLE.instances))


@dataclass(frozen=True)
class SampleRequest:
    """A request that succeeds in the default scenario, with the kind of value that each field of its body takes."""

    method: str
    path: str
    body: dict[str, Any]
    kinds: dict[str, str]
    required: tuple[str, ...] = ()
    query: str = ""

    def with_fields(self, **fields: Any) -> SampleRequest:
        """Return the request with other values of some fields."""
        return replace(self, body={**self.body, **fields})

    def without(self, name: str) -> SampleRequest:
        """Return the request without a field."""
        return replace(self, body={key: value for key, value in self.body.items() if key != name})

    @property
    def raw(self) -> bytes:
        """The body as it is sent."""
        return json.dumps(self.body).encode()

    def send(self, api: ApiClient, raw: bytes | None = None) -> TestResponse:
        """Send the request, with another body if one is given."""
        return api.send(self.method, self.path, self.raw if raw is None else raw, self.query)


_METADATA = {"name": "text", "external_id": "text", "metadata": "metadata"}
_VERSION = {"tag": "text", "version": "whole"}
_GROUP = {"name": "text", "description": "text", "fallback_group_id": "text"}
_MEMBERS = {"group_ids": "texts", "node_ids": "texts"}

SAMPLE_REQUESTS: dict[str, SampleRequest] = {
    "start": SampleRequest(
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
    "update": SampleRequest("PUT", "vm", {"name": "other"}, _METADATA, query=f"id={INSTANCE}"),
    "terminate": SampleRequest("DELETE", "vm", {"id": INSTANCE}, {"id": "text"}, ("id",)),
    "delete node": SampleRequest("DELETE", "node", {"node_id": NODE}, {"node_id": "text"}, ("node_id",)),
    "configure": SampleRequest(
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
    "join groups": SampleRequest(
        "POST", "node/group", {"group_ids": [OTHER_GROUP], "node_ids": [NODE]}, _MEMBERS, ("group_ids", "node_ids")
    ),
    "leave groups": SampleRequest(
        "DELETE", "node/group", {"group_ids": [GROUP], "node_ids": [NODE]}, _MEMBERS, ("group_ids", "node_ids")
    ),
    "distribute": SampleRequest(
        "POST",
        "registry/vm/distribute",
        {"template_id": TEMPLATE},
        {"template_id": "text", **_VERSION, "node_ids": "texts", "group_id": "text"},
        ("template_id",),
    ),
    "save": SampleRequest(
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
    "create group": SampleRequest("POST", "group", {"name": "new"}, _GROUP, ("name",)),
    "update group": SampleRequest("PUT", "group", {"name": "other"}, _GROUP, query=f"id={GROUP}"),
}
"""A request of every operation that has a body at the oldest release."""
