"""What a controller tells of itself, read with GETs alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from mockanka.remote.client import ControllerClient, ControllerError

Json = dict[str, Any]
API = "/api/v1/"


@dataclass
class Facts:
    """What was told, as it was told. A list that was refused is empty, and ``refused`` has what was said instead."""

    status: Json
    nodes: list[Json] = field(default_factory=list)
    templates: list[Json] = field(default_factory=list)
    groups: list[Json] = field(default_factory=list)
    instances: list[Json] = field(default_factory=list)
    """Each with the name and the external id that its list item has."""
    distributions: list[Json] = field(default_factory=list)
    save_images: list[Json] = field(default_factory=list)
    usb: Json = field(default_factory=dict)
    registry_disk: Json = field(default_factory=dict)
    vlans: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def read(remote: ControllerClient) -> Facts:
    """Ask a controller for all it tells. ControllerError if it cannot tell what a scenario needs."""
    status = _needed(remote, "status")
    if not isinstance(status, dict):
        raise ControllerError("the controller's status has no body: it is no controller")
    facts = Facts(status, _objects("node", _needed(remote, "node")))
    for template in _objects("registry/vm", _needed(remote, "registry/vm")):
        one = _wanted(remote, facts, "registry/vm", f"id={quote(str(template.get('id', '')), safe='')}")
        # The list has the size at every release, the single form does not.
        facts.templates.append({**(one if isinstance(one, dict) else {}), **template})
    facts.groups = _objects("group", _wanted(remote, facts, "group") or [])
    facts.instances = [_flat(item) for item in _objects("vm", _needed(remote, "vm"))]
    facts.distributions = _objects("registry/vm/distribute", _wanted(remote, facts, "registry/vm/distribute") or [])
    facts.save_images = _objects("image", _wanted(remote, facts, "image") or [])
    facts.usb = _object(_wanted(remote, facts, "usb"))
    facts.registry_disk = _object(_wanted(remote, facts, "registry/disk"))
    vlans = _wanted(remote, facts, "vlan")
    facts.vlans = [str(each) for each in vlans] if isinstance(vlans, list) else []
    return facts


def _needed(remote: ControllerClient, what: str) -> Any:
    exchange = remote.require_usable(remote.request("GET", API + what))
    if not exchange.succeeded:
        said = exchange.message or f"HTTP {exchange.status}"
        why = "; a snapshot needs the registry: try again when it is up" if what == "registry/vm" else ""
        raise ControllerError(f"GET {API}{what} is refused: {said}{why}")
    return exchange.body


def _wanted(remote: ControllerClient, facts: Facts, what: str, query: str = "") -> Any:
    """A payload that one can do without: a licence may not include it, or a release not know it."""
    exchange = remote.request("GET", API + what, query)
    if exchange.succeeded:
        return exchange.body
    if exchange.status not in (403, 404) and not (exchange.envelope and exchange.message):
        remote.require_usable(exchange)
    facts.refused[f"{what}?{query}" if query else what] = exchange.message or f"HTTP {exchange.status}"
    return None


def _objects(what: str, body: Any) -> list[Json]:
    if not isinstance(body, list):
        raise ControllerError(
            f"GET {API}{what} has no list for a body: a controller answers one, as mockanka check would say"
        )
    return [item for item in body if isinstance(item, dict)]


def _object(body: Any) -> Json:
    return body if isinstance(body, dict) else {}


def _flat(item: Json) -> Json:
    """An item of the list as one object: some releases have its names outside alone."""
    outside = {key: item[key] for key in ("instance_id", "name", "external_id") if item.get(key) is not None}
    return {**_object(item.get("vm")), **outside}
