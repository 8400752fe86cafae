"""A controller, what is read of it, and the one that is made of that."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx

from mockanka.api.app import create_app
from mockanka.core.controller import Controller
from mockanka.remote.client import ControllerClient
from mockanka.scenario import Options, Scenario
from mockanka.snapshot import snapshot
from tests.api.client import Wire

URL = "http://controller.example:8090"
LISTS = "status node registry/vm group vm image registry/vm/distribute usb registry/disk vlan".split()
BY_ID = {
    "node": "node_id",
    "registry/vm": "id",
    "vm": "instance_id",
    "image": "id",
}


def remote_of(controller: Controller) -> ControllerClient:
    """A controller as one that is asked from afar."""
    return ControllerClient(URL, transport=httpx.WSGITransport(create_app(controller)))


def snapshot_of(controller: Controller, **options: Any) -> str:
    """What a snapshot of it is."""
    return snapshot(remote_of(controller), **options)


def twin_of(controller: Controller, **options: Any) -> Controller:
    """The controller that its snapshot makes."""
    return made_of(snapshot_of(controller, **options))


def made_of(text: str) -> Controller:
    """The controller that a snapshot makes, by a clock that stands still."""
    return Scenario.from_yaml(text).controller(Options(clock="manual"))


def answers(controller: Controller) -> dict[str, bytes]:
    """Whatever it answers to the GETs that a snapshot sends, and to those by id, byte for byte."""
    wire = Wire(controller)
    said = {path: wire.send("GET", path).data for path in LISTS}
    for path, key in BY_ID.items():
        for each in wire.ask("GET", path).get("body") or []:
            query = f"id={quote(each[key])}"
            said[f"{path}?{query}"] = wire.send("GET", path, query=query).data
    for each in wire.get("registry/vm/distribute"):
        query = f"id={each['request']['request_id']}"
        said[f"registry/vm/distribute?{query}"] = wire.send("GET", "registry/vm/distribute", query=query).data
    return said
