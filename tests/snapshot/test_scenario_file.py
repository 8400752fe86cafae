"""The text of a snapshot: its comments, what replaces unusable values, and when there is no snapshot."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from mockanka.api.app import create_app
from mockanka.core import nodes
from mockanka.core.controller import Controller
from mockanka.core.release import Release
from mockanka.remote.client import ControllerClient, ControllerError
from mockanka.scenario import Scenario
from mockanka.snapshot.scenario_file import take_snapshot
from tests import controllers
from tests.api.client import ApiClient
from tests.controllers import CORNERS, controller_of, pass_time
from tests.snapshot.rebuild import URL, load_snapshot, snapshot_of


def test_what_the_api_does_not_return_is_a_comment() -> None:
    """Comments stand at the sections and keys whose values are not returned."""
    text = snapshot_of(controllers.shipped("reference"))

    for comment in (
        "# Not returned by the API: cpus, ram and port_forwarding of templates",
        "cpus: 2  # from a VM of the template",
        "# only what instances run: the API does not say what else is on the disk",
        "# the API does not say which version: here it is the latest",
        "# The API does not return its progress: here it starts again.",
        "# Not returned by the API: priority,",
    ):
        assert comment in text


def test_names_stand_for_ids() -> None:
    """Templates, tags, nodes and groups are referred to by name where the name is unique."""
    section = Scenario.from_yaml(snapshot_of(controllers.shipped("default"))).section
    (instance,) = section.instances

    assert ("14.5-arm64", "xcode-15", "mini-01") == (instance.template, instance.tag, instance.node)
    assert ["14.5-arm64:xcode-15"] == [cached.version for cached in section.nodes[0].cached]
    assert [("spare",), ("ios",)] == [node.groups for node in section.nodes]


def test_only_get_requests_are_sent() -> None:
    """A snapshot does not change the controller."""
    methods: set[str] = set()

    class MethodRecorder(httpx.WSGITransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            methods.add(request.method)
            return super().handle_request(request)

    transport = MethodRecorder(create_app(controllers.shipped("reference")))
    take_snapshot(ControllerClient(URL, transport=transport))

    assert {"GET"} == methods


def client_with(controller: Controller, path: str, change: Callable[[Any], Any]) -> ControllerClient:
    """Return a client of the controller that gets a changed response to one GET request.

    ``change`` takes the envelope and returns an envelope or a response.
    """
    api = ApiClient(controller)

    def respond(request: httpx.Request) -> httpx.Response:
        query = request.url.query.decode()
        original = api.send("GET", request.url.path.removeprefix("/api/v1/"), query=query)
        if request.url.path != f"/api/v1/{path}" or query:
            headers = {"Content-Type": "application/json"}
            return httpx.Response(original.status_code, content=original.data, headers=headers)
        changed = change(json.loads(original.data))
        return changed if isinstance(changed, httpx.Response) else httpx.Response(200, json=changed)

    return ControllerClient(URL, transport=httpx.MockTransport(respond))


def body(change: Callable[[Any], object]) -> Callable[[Any], Any]:
    """Return a change of an envelope that changes the body in place."""

    def changed(envelope: Any) -> Any:
        change(envelope["body"])
        return envelope

    return changed


@pytest.mark.parametrize(
    ("path", "change", "comment"),
    [
        (
            "node",
            body(lambda nodes: nodes[0].update(ram="16")),
            "ram: '16' is not an integer from 1 to 1048576; it is left out",
        ),
        (
            "node",
            body(lambda nodes: nodes[0].update(state="Asleep")),
            "Its state is 'Asleep', which a scenario does not know",
        ),
        ("node", body(lambda nodes: nodes[0].update(last_updated="")), "last_updated: '' is no moment"),
        ("node", body(lambda nodes: nodes[0].update(free_disk_space=10**15)), "are more than the disk"),
        ("vm", body(lambda items: items[0]["vm"].update(instance_state="Deploying")), "Its state is 'Deploying'"),
        ("vm", body(lambda items: items[0]["vm"].update(vmid="unheard-of")), "no longer in the registry"),
        ("vm", body(lambda items: items[0]["vm"]["vminfo"].update(ram="lots")), "'lots' is not an amount like 4G"),
        ("vm", body(lambda items: items[0]["vm"].update(metadata={"a": [1]})), "metadata: a is neither a string"),
        ("status", body(lambda status: status.update(license="gold")), "Its license is 'gold'"),
        ("status", body(lambda status: status.update(registry_status="FAIL")), "its status was FAIL"),
        (
            "group",
            lambda envelope: {"status": "FAIL", "message": "not\nyours"},
            "GET /api/v1/group was refused: not yours",
        ),
        ("image", lambda envelope: httpx.Response(404, text="404 page not found"), "/image was refused: HTTP 404"),
        (
            "registry/vm",
            body(lambda templates: templates[0].update(size=1)),
            "Its size is 1, which no sizes of its files add up to",
        ),
        ("registry/vm", body(lambda templates: templates[0].update(name=None)), "It has no name"),
    ],
)
def test_an_unusable_value_is_left_out_with_a_comment(path: str, change: Callable[[Any], Any], comment: str) -> None:
    """A response that is malformed in places costs these keys, not the snapshot."""
    text = take_snapshot(client_with(controllers.shipped("default"), path, change))

    assert comment in " ".join(line.strip().lstrip("# ") for line in text.splitlines())
    load_snapshot(text)


@pytest.mark.parametrize(
    ("path", "change", "reason"),
    [
        (
            "status",
            lambda envelope: httpx.Response(401, json={"status": "FAIL", "message": "Authentication Required"}),
            "--token",
        ),
        ("status", lambda envelope: httpx.Response(302, headers={"Location": "https://x/"}), "redirect to https://x/"),
        ("status", lambda envelope: httpx.Response(200, text="<html>"), "not a controller"),
        ("status", lambda envelope: {"status": "OK", "message": ""}, "no body"),
        ("status", body(lambda status: status.update(version="new")), "give --release"),
        ("node", lambda envelope: {"status": "OK", "message": "", "body": None}, "not a list"),
        ("node", lambda envelope: {"status": "FAIL", "message": "etcd is gone"}, "etcd is gone"),
        ("node", body(lambda nodes: nodes.append(nodes[0])), "not a valid scenario"),
        ("vm", lambda envelope: httpx.Response(500, text="oops"), "HTTP 500"),
    ],
)
def test_the_reason_is_given_if_there_is_no_snapshot(path: str, change: Callable[[Any], Any], reason: str) -> None:
    """There is no snapshot of what is not a controller, or without a response that a scenario needs."""
    with pytest.raises(ControllerError) as refused:
        take_snapshot(client_with(controllers.shipped("default"), path, change))

    assert reason in str(refused.value)


def test_a_registry_that_is_down_prevents_a_snapshot() -> None:
    """The API does not return templates while the registry is down, and a scenario needs them."""
    faults = "\nfaults: [{match: {event: begin}, do: {registry: down}}]"
    controller = controller_of(CORNERS + faults)

    with pytest.raises(ControllerError, match="the registry cannot be reached; a snapshot needs the registry"):
        snapshot_of(controller)


def test_files_without_a_known_size_are_empty() -> None:
    """A version whose size is not returned costs the sizes of its files, not the snapshot."""

    def remove_sizes(templates: list[dict[str, Any]]) -> None:
        for template in templates:
            template.update(size=None, versions=[{"tag": "t", "number": 0, "images": ["a.ank"]}])

    text = take_snapshot(client_with(controllers.shipped("default"), "registry/vm", body(remove_sizes)))

    assert "{name: a.ank, size: '0'}" in text
    load_snapshot(text)


def test_a_release_replaces_that_of_the_status() -> None:
    """The version in the status is not read if a release is given."""
    client = client_with(controllers.shipped("default"), "status", body(lambda status: status.update(version="new")))

    assert "release: 1.43.0  # given, not read" in take_snapshot(client, Release(1, 43, 0))


def test_a_node_is_lost_after_more_than_three_heartbeats() -> None:
    """After exactly three it is not: the last of them may still be on its way."""
    begin = "2024-01-01T00:00:00Z"
    controller = controller_of(f"nodes: [{{name: a, reported: '{begin}'}}, {{name: b, reported: '{begin}'}}]")
    nodes.lose_node(controller, next(iter(controller.nodes)))
    lost = []
    for seconds in (15, 5):
        pass_time(controller, seconds)
        lost.append([node.lost is not None for node in Scenario.from_yaml(snapshot_of(controller)).section.nodes])

    assert [[False, False], [True, False]] == lost
