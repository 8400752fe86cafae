"""The state of a controller, fetched by GET requests only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mockanka.remote.client import ControllerClient, ControllerError, id_query
from mockanka.snapshot.reader import JsonObject

API_PREFIX = "/api/v1/"


@dataclass
class FetchedState:
    """The bodies of the responses. Lists contain objects only, and are empty if the request was refused."""

    status: JsonObject
    nodes: list[JsonObject] = field(default_factory=list)
    templates: list[JsonObject] = field(default_factory=list)
    groups: list[JsonObject] = field(default_factory=list)
    instances: list[JsonObject] = field(default_factory=list)
    """Each with the ``name`` and ``external_id`` of its list item."""
    distributions: list[JsonObject] = field(default_factory=list)
    save_images: list[JsonObject] = field(default_factory=list)
    usb: JsonObject = field(default_factory=dict)
    registry_disk: JsonObject = field(default_factory=dict)
    vlans: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    """The messages of refused requests by path and query, without the prefix of the API."""


def fetch_state(client: ControllerClient) -> FetchedState:
    """Fetch the state of a controller. ControllerError if a request fails without which there is no scenario."""
    status = _fetch_required(client, "status")
    if not isinstance(status, dict):
        raise ControllerError("the controller's status has no body: it is not a controller")
    state = FetchedState(status, _require_objects("node", _fetch_required(client, "node")))
    for template in _require_objects("registry/vm", _fetch_required(client, "registry/vm")):
        query = id_query(str(template.get("id", "")))
        details = _object_or_empty(_fetch_optional(client, state, "registry/vm", query))
        # The list has the size at every release, the single form does not.
        state.templates.append({**details, **template})
    state.groups = _require_objects("group", _fetch_optional(client, state, "group") or [])
    state.instances = [_flatten_item(item) for item in _require_objects("vm", _fetch_required(client, "vm"))]
    path = "registry/vm/distribute"
    state.distributions = _require_objects(path, _fetch_optional(client, state, path) or [])
    state.save_images = _require_objects("image", _fetch_optional(client, state, "image") or [])
    state.usb = _object_or_empty(_fetch_optional(client, state, "usb"))
    state.registry_disk = _object_or_empty(_fetch_optional(client, state, "registry/disk"))
    vlans = _fetch_optional(client, state, "vlan")
    state.vlans = [str(vlan) for vlan in vlans] if isinstance(vlans, list) else []
    return state


def _fetch_required(client: ControllerClient, path: str) -> Any:
    exchange = client.require_usable(client.request("GET", API_PREFIX + path))
    if not exchange.succeeded:
        message = exchange.message or f"HTTP {exchange.status}"
        hint = "; a snapshot needs the registry: try again when it is up" if path == "registry/vm" else ""
        raise ControllerError(f"GET {API_PREFIX}{path} is refused: {message}{hint}")
    return exchange.body


def _fetch_optional(client: ControllerClient, state: FetchedState, path: str, query: str = "") -> Any:
    """Return the body, or None if the request is refused, as a licence or the release may cause."""
    exchange = client.request("GET", API_PREFIX + path, query)
    if exchange.succeeded:
        return exchange.body
    if exchange.status not in (403, 404) and not (exchange.envelope and exchange.message):
        client.require_usable(exchange)
    state.refused[f"{path}?{query}" if query else path] = exchange.message or f"HTTP {exchange.status}"
    return None


def _require_objects(path: str, body: Any) -> list[JsonObject]:
    if not isinstance(body, list):
        hint = "mockanka check shows what else differs from a controller"
        raise ControllerError(f"the body of GET {API_PREFIX}{path} is not a list; {hint}")
    return [item for item in body if isinstance(item, dict)]


def _object_or_empty(body: Any) -> JsonObject:
    return body if isinstance(body, dict) else {}


def _flatten_item(item: JsonObject) -> JsonObject:
    """Return an item of the list of instances as one object: in some releases only the item has the names."""
    names = {key: item[key] for key in ("instance_id", "name", "external_id") if item.get(key) is not None}
    return {**_object_or_empty(item.get("vm")), **names}
