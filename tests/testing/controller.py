"""A controller for the tests of the Python interface, and requests to it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

import requests

from mockanka.testing.anka import Anka

TEMPLATE = "14.5-arm64"
START = datetime(2024, 1, 1, tzinfo=UTC)
TIMEOUT = 10.0
"""Seconds that anything may take that should happen at once."""
SMALL: dict[str, Any] = {
    "templates": [{"name": "macos", "versions": [{"tag": "base", "size": "10GB"}]}],
    "nodes": [{"name": "only", "capacity": 2, "cached": ["macos:base"]}],
}
SMALL_YAML = """
templates: [{name: macos, versions: [{tag: base, size: 10GB}]}]
nodes: [{name: only, capacity: 2, cached: ["macos:base"]}]
"""
UNAVAILABLE: dict[str, Any] = {"match": {"method": "GET", "path": "/api/v1/vm"}, "do": {"status": 503}}


def send(anka: Anka, method: str, path: str = "vm", **more: Any) -> requests.Response:
    """Send a request to the API, and return the response."""
    return requests.request(method, f"{anka.url}/api/v1/{path}", timeout=TIMEOUT, **more)


def start(anka: Anka, **body: Any) -> str:
    """Start an instance as a client does, and return its id."""
    template = next(iter(anka.templates))
    return str(send(anka, "POST", json={"vmid": template, **body}).json()["body"][0])


def visible_state(anka: Anka) -> tuple[object, ...]:
    """Return all that a test can see, to compare it with what it sees later."""
    return anka.dump(), list(anka.requests), list(anka.events), list(anka.faults), anka.clock.now, str(anka.report())


def server_threads() -> list[threading.Thread]:
    """Return the threads of all servers that run."""
    return [thread for thread in threading.enumerate() if thread.name == "mockanka"]
