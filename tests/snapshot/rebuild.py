"""A controller, its snapshot, and the controller that is rebuilt from the snapshot."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx

from mockanka.api.app import create_app
from mockanka.core.controller import Controller
from mockanka.remote.client import ControllerClient
from mockanka.scenario import Options, Scenario
from mockanka.snapshot.scenario_file import take_snapshot
from tests.api.client import ApiClient

URL = "http://controller.example:8090"
LISTS = "status node registry/vm group vm image registry/vm/distribute usb registry/disk vlan".split()
ID_KEYS = {
    "node": "node_id",
    "registry/vm": "id",
    "vm": "instance_id",
    "image": "id",
}

ODD_NAMES = """
templates:
  - {name: "a", versions: [{tag: "b:c", size: 1GB}, {tag: "15.0", size: 1GB}, {tag: "", size: 1GB}]}
  - {name: "a:b", versions: [{tag: c, size: 1GB}, {tag: "null", size: 1GB, description: "one\\ntwo\\t# three"}]}
  - {name: "twins", versions: [{tag: "yes", size: 1GB}]}
  - {name: "twins", versions: [{tag: "no", size: 1GB}]}
nodes:
  - {name: "n: 1", cached: [{version: "a:b:c"}, {version: "a:15.0"}, {version: "a:b:null"}, {version: a}], by_hand: 3}
  - {name: "n: 1", id: i-092bc39e9268d3b54, usb: [{name: "0x10", location: "010"}]}
groups: [{name: "~", nodes: [i-092bc39e9268d3b54]}, {name: "\\U0001F34F {n}", fallback: "~"}]
instances:
  - {template: a, tag: "15.0", name: "# no", external_id: " x: y ", metadata: {"yes": "no", n: 5, t: true, d: "5"}}
"""
"""A scenario whose names and tags are special to YAML or to the scenario format."""


def client_of(controller: Controller) -> ControllerClient:
    """Return a client that sends its requests to the controller."""
    return ControllerClient(URL, transport=httpx.WSGITransport(create_app(controller)))


def snapshot_of(controller: Controller, **options: Any) -> str:
    """Return the snapshot of a controller."""
    return take_snapshot(client_of(controller), **options)


def rebuild(controller: Controller, **options: Any) -> Controller:
    """Return the controller that the snapshot of a controller describes."""
    return load_snapshot(snapshot_of(controller, **options))


def load_snapshot(text: str) -> Controller:
    """Return the controller that a snapshot describes, with a manual clock."""
    return Scenario.from_yaml(text).controller(Options(clock="manual"))


def differences(original: Controller, rebuilt: Controller) -> dict[str, tuple[bytes | None, bytes | None]]:
    """Return the responses that differ, by their requests."""
    expected, actual = responses(original), responses(rebuilt)
    return {
        key: (expected.get(key), actual.get(key)) for key in expected | actual if expected.get(key) != actual.get(key)
    }


def responses(controller: Controller) -> dict[str, bytes]:
    """Return the responses to the GET requests of a snapshot, and to those by id."""
    api = ApiClient(controller)
    found = {path: api.send("GET", path).data for path in LISTS}
    for path, key in ID_KEYS.items():
        for item in api.envelope("GET", path).get("body") or []:
            query = f"id={quote(item[key])}"
            found[f"{path}?{query}"] = api.send("GET", path, query=query).data
    for item in api.get("registry/vm/distribute"):
        query = f"id={item['request']['request_id']}"
        found[f"registry/vm/distribute?{query}"] = api.send("GET", "registry/vm/distribute", query=query).data
    return found
