"""A snapshot serves again the responses that it has read, also if the lists of a controller contradict each other."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import httpx
import pytest

from mockanka.api.app import create_app
from mockanka.core.controller import Controller
from mockanka.core.release import Release
from mockanka.remote.client import ControllerClient
from mockanka.snapshot.scenario_file import take_snapshot
from tests.api.client import ApiClient
from tests.conftest import FULL
from tests.controllers import CORNERS, controller_of, pass_time
from tests.snapshot.rebuild import URL, load_snapshot

RELEASES = ["1.8.0", "1.24.0", "1.43.0", "1.48.0", "1.50.1"]
INSTANCES = "\ninstances: [{template: layered, count: 2}, {template: bulky, count: 2}, {template: suspended}]"
AGENT_VERSIONS = ["1.43.0-00000000", "1.44.1-12345678", "unknown"]
Lists = dict[str, list[Any]]


def lists_of(controller: Controller) -> Lists:
    """Return the lists of instances, nodes and templates."""
    return {path: ApiClient(controller).get(path) for path in ("vm", "node", "registry/vm")}


def observe(controller: Controller, lists: Lists) -> str:
    """Return the snapshot of a controller that returns these lists instead of its own."""
    app = httpx.WSGITransport(create_app(controller))

    def respond(request: httpx.Request) -> httpx.Response:
        items = None if request.url.query else lists.get(request.url.path.removeprefix("/api/v1/"))
        if items is None:
            return app.handle_request(request)
        return httpx.Response(200, json={"status": "OK", "message": "", "body": items})

    return take_snapshot(ControllerClient(URL, transport=httpx.MockTransport(respond)))


def change_at_random(lists: Lists, random: Random) -> None:
    """Let instances fail and keep what is known of their VMs; remove nodes and templates, and update agents."""
    for item in lists["vm"]:
        if "vminfo" in item["vm"] and random.random() < 0.5:
            item["vm"].update(instance_state="Error", message="the VM does not respond")
    running = {item["vm"].get("node_id") for item in lists["vm"] if item["vm"]["instance_state"] != "Error"}
    lists["node"] = [node for node in lists["node"] if node["node_id"] in running or random.random() < 0.5]
    lists["registry/vm"] = [template for template in lists["registry/vm"] if random.random() < 0.5]
    for node in lists["node"]:
        if "agent_version" in node:
            node["agent_version"] = random.choice([node["agent_version"], *AGENT_VERSIONS])
    for item in lists["vm"]:
        if "arch" in item["vm"] and not any(item["vm"]["vmid"] == template["id"] for template in lists["registry/vm"]):
            item["vm"]["arch"] = "arm64" if item["vm"]["vmid"] > "8" else "amd64"


@pytest.mark.parametrize("seed", range(30 if FULL else 2))
@pytest.mark.parametrize("release", RELEASES)
def test_observed_values_are_served(release: str, seed: int) -> None:
    """Instances keep their VM and arch, and nodes their agent, whatever else the controller no longer lists."""
    random = Random(f"{release} {seed}")
    controller = controller_of(CORNERS + INSTANCES, release=Release.parse(release), seed=seed)
    pass_time(controller, random.choice([900, 3600]))
    lists = lists_of(controller)
    change_at_random(lists, random)
    seen = json.loads(json.dumps(lists))
    rebuilt = lists_of(load_snapshot(observe(controller, lists)))

    assert any("vminfo" in item["vm"] for item in seen["vm"])
    for key in ("instance_state", "message", "node_id", "vminfo", "arch"):
        assert [item["vm"].get(key) for item in seen["vm"]] == [item["vm"].get(key) for item in rebuilt["vm"]], key
    assert [node.get("agent_version") for node in seen["node"]] == [
        node.get("agent_version") for node in rebuilt["node"]
    ]


def test_an_invented_value_is_a_comment() -> None:
    """Values that a scenario needs, and that the controller did not return, are named where they stand."""
    controller = controller_of(CORNERS, release=Release(1, 50, 1))
    lists = lists_of(controller)
    for template in lists["registry/vm"]:
        template["arch"] = "riscv"
    for node in lists["node"]:
        node.update(host_arch="riscv", cpu_count=None, capacity=None)
    text = observe(controller, lists)

    for comment in (
        "arch: amd64  # the controller did not return it: this is a guess",
        "Its host_arch is 'riscv': here it is that of the first template.",
        "cpus: 8  # the controller did not return it: this is a guess",
        "capacity: 2  # the controller did not return it: this is a guess",
    ):
        assert comment in text
