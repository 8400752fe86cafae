"""A snapshot is a scenario, and the controller that it makes answers as the one that was read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import httpx
import pytest

from mockanka.api.app import create_app
from mockanka.core import nodes
from mockanka.core.controller import Controller
from mockanka.core.lifecycle import InstanceState
from mockanka.core.release import Release
from mockanka.remote.client import ControllerClient, ControllerError
from mockanka.scenario import Scenario, shipped
from mockanka.snapshot import snapshot
from mockanka.snapshot.fetch import read
from mockanka.snapshot.redaction import redacted
from tests import controllers
from tests.api.client import Wire
from tests.conftest import FULL, crossing
from tests.controllers import CORNERS, controller_of, pass_time
from tests.snapshot.twins import URL, answers, made_of, remote_of, snapshot_of, twin_of

RELEASES = ["1.8.0", "1.24.0", "1.43.0", "1.50.1"]
SEED = 7
"""Another than a scenario has that names none: it is not told, and must not matter."""


def differences(one: Controller, other: Controller) -> dict[str, tuple[Any, Any]]:
    """What two controllers answer differently, request by request."""
    here, there = answers(one), answers(other)
    return {key: (here.get(key), there.get(key)) for key in here | there if here.get(key) != there.get(key)}


NEWEST_FIRST = [(release,) for release in reversed(RELEASES)]
SHIPPED = crossing(NEWEST_FIRST, sorted(shipped(), key="reference".__ne__))
"""Every scenario at the newest release, and at every release that with the most in it; in full every one at each."""


@pytest.mark.parametrize(("release", "name"), SHIPPED)
def test_the_twin_of_every_shipped_scenario_answers_alike(name: str, release: str) -> None:
    """A controller made of the snapshot of a scenario that ships gives the same bytes to every GET."""
    controller = controllers.shipped(name, release=Release.parse(release), seed=SEED)

    assert {} == differences(controller, twin_of(controller))


@pytest.mark.parametrize(("release", "name"), SHIPPED)
def test_so_it_does_when_all_has_come_to_its_end(name: str, release: str) -> None:
    """The same holds an hour later, when nothing is on its way any more."""
    controller = controllers.shipped(name, release=Release.parse(release), seed=SEED)
    pass_time(controller, 3600)

    assert {} == differences(controller, twin_of(controller))


BUSY_LIFE: list[Callable[[Wire, dict[str, str]], object]] = [
    lambda wire, ids: wire.do("POST", "vm", {"vmid": ids["layered"], "count": 2, "name": "two", "metadata": {"a": 1}}),
    lambda wire, ids: wire.start(vmid=ids["bulky"], group_id=ids["second"]),
    lambda wire, ids: wire.do("POST", "registry/vm/distribute", {"template_id": ids["bulky"]}),
    lambda wire, ids: wire.start(vmid=ids["suspended"], version=0),
    lambda wire, ids: wire.do("POST", "node/config", {"node_id": ids["pair"], "max_vm_count": 1}),
    lambda wire, ids: wire.do("DELETE", "registry/revert", query=f"id={ids['layered']}&tag=latest"),
    lambda wire, ids: _save(wire),
    lambda wire, ids: _terminate(wire, InstanceState.PULLING),
    lambda wire, ids: _terminate(wire, InstanceState.STARTED),
    lambda wire, ids: wire.do("DELETE", "registry/vm", query=f"id={ids['bulky']}"),
    lambda wire, ids: wire.do("DELETE", "group", query=f"id={ids['first']}"),
    lambda wire, ids: wire.do("DELETE", "node", {"node_id": ids["cramped"]}),
]
"""Things that are done to the world of corners, one after the other."""


def _of(wire: Wire, state: InstanceState) -> list[str]:
    return [each.id for each in wire.controller.instances.values() if each.state is state]


def _save(wire: Wire) -> None:
    for id in _of(wire, InstanceState.STARTED)[:1]:
        wire.do("POST", "image", {"id": id, "new_template_name": "saved", "tag": "t"})


def _terminate(wire: Wire, state: InstanceState) -> None:
    for id in _of(wire, state)[:1]:
        wire.do("DELETE", "vm", {"id": id})


def moments(release: str) -> Iterator[Controller]:
    """The world of corners in flight, at one moment after the other; no script runs before an image is saved."""
    controller = controller_of(CORNERS, release=Release.parse(release), seed=SEED)
    wire = Wire(controller)
    ids = {
        each.name: each.id
        for each in (*controller.templates.values(), *controller.nodes.values(), *controller.groups.values())
    }
    for act in BUSY_LIFE:
        act(wire, ids)
        for seconds in (1.5, 23):
            pass_time(controller, seconds)
            yield controller


@pytest.mark.parametrize("release", RELEASES)
def test_the_twin_of_what_is_in_flight_answers_alike(release: str) -> None:
    """So it does at any moment of a life with pulls, pushes, deletions, and more VMs than a node should have; and what
    is read of the twin is the text that it was made of."""
    # What a moment has in flight, and what a release tells of it, are two things: all moments are looked at by one
    # release, by the others some.
    step = 1 if FULL or release == RELEASES[-1] else 5
    for controller in islice(moments(release), 0, None, step):
        text = snapshot_of(controller)
        twin = made_of(text)

        assert {} == differences(controller, twin)
        assert text == snapshot_of(twin)


# What the wire cannot tell, one by one: here the twin differs.


def test_a_device_that_an_instance_will_get_counts_as_free() -> None:
    """Not told: that an instance in Scheduling has a node already, and holds a USB device there."""
    controller = controller_of(CORNERS + "\ninstances: [{template: layered, tag: base, usb_device: phone}]")
    pass_time(controller, 5)
    (one,) = controller.instances.values()
    found = differences(controller, twin_of(controller))

    assert (InstanceState.SCHEDULING, "single") == (one.state, controller.nodes[one.node_id or ""].name)
    assert ["usb"] == list(found)
    assert [1, 0] == [json.loads(each)["body"]["phone"]["busy"] for each in found["usb"]]


def test_a_vm_that_nobody_lists_has_no_cores() -> None:
    """Not told: what VMs are that no listed instance accounts for. They count here, as started by hand, and no more."""
    fault = "{match: {event: start}, do: {vanish: true, after: 15s, for: 10m}}"
    controller = controller_of(CORNERS + f"\ninstances: [{{template: layered}}]\nfaults: [{fault}]", seed=SEED)
    pass_time(controller, 600)
    found = differences(controller, twin_of(controller))
    (here, there) = ([node for node in json.loads(each)["body"] if node["vm_count"]] for each in found["node"])

    assert {"node"} == {request.partition("?")[0] for request in found}
    assert {"vcpu_count", "vram", "ram_util"} == {key for key, value in here[0].items() if value != there[0][key]}


def test_a_script_of_a_save_image_request_runs_again() -> None:
    """Not told: how far a request has come. It begins anew, and its script, which had ended, has no result yet."""
    controller = controllers.shipped("default")
    wire = Wire(controller)
    (id,) = controller.instances
    wire.do("POST", "image", {"id": id, "new_template_name": "saved", "script": "ZWNobw=="})
    pass_time(controller, 3)
    (save,) = controller.save_images
    found = differences(controller, twin_of(controller))

    assert ["image", f"image?id={save}"] == list(found)
    bodies = [json.loads(each)["body"] for each in found[f"image?id={save}"]]
    assert [True, False] == [bool(body.pop("script_result")) for body in bodies]
    assert bodies[0] == bodies[1]


def test_a_node_that_was_missed_for_a_few_seconds_goes_on() -> None:
    """Not told: that a node is lost, before it has been silent for three heartbeats. Here it reports on time."""
    controller = controller_of("nodes: [{name: a}, {name: b}]")
    lost, other = controller.nodes
    nodes.lose_node(controller, lost)
    pass_time(controller, 12)
    found = differences(controller, twin_of(controller))
    shown = [{each["node_id"]: each for each in json.loads(text)["body"]} for text in found["node"]]
    for side in shown:
        side[lost] = {key: value for key, value in side[lost].items() if key not in ("last_updated", "timestamp")}

    assert ["node", f"node?id={lost}"] == list(found)
    assert shown[0][other] == shown[1][other]
    assert shown[0][lost].keys() == shown[1][lost].keys()


def test_a_node_that_is_silent_for_longer_is_lost_in_the_twin_too() -> None:
    """Three heartbeats without a report, and the node will be Offline in the twin as in the original."""
    controller = controller_of("nodes: [{name: a}, {name: b}]")
    nodes.lose_node(controller, next(iter(controller.nodes)))
    pass_time(controller, 30)
    twin = twin_of(controller)

    assert {} == differences(controller, twin)
    pass_time(twin, 120)
    assert ["Offline", "Active"] == [each.state(twin.now).value for each in twin.nodes.values()]


def test_a_registry_that_is_down_makes_no_snapshot() -> None:
    """Not told: anything of templates while the registry is down, and a scenario cannot do without them."""
    faults = "\nfaults: [{match: {event: begin}, do: {registry: down}}]"
    controller = controller_of(CORNERS + faults)

    with pytest.raises(ControllerError, match="the registry cannot be reached; a snapshot needs the registry"):
        snapshot_of(controller)


def test_the_twin_lives_on() -> None:
    """What was pulled and booted in the original goes on in the twin, from where it was, to its end."""
    controller = controller_of(CORNERS + "\ninstances: [{template: bulky, count: 2}]", seed=SEED)
    pass_time(controller, 30)
    pulling = [each.progress(controller) for each in controller.instances.values()]
    twin = twin_of(controller)
    pass_time(twin, 5)
    later = [each.progress(twin) for each in twin.instances.values()]
    pass_time(twin, 900)

    assert all(0 < before < after for before, after in zip(pulling, later, strict=True))
    assert [InstanceState.STARTED] * 2 == [each.state for each in twin.instances.values()]


# Comments.


def test_what_is_not_told_is_a_comment() -> None:
    """Where the wire is silent the scenario says so, where it belongs."""
    text = snapshot_of(controllers.shipped("reference"))

    for remark in (
        "# Not told of templates: cpus, ram and port_forwarding",
        "cpus: 2  # as its VM has",
        "# what else is on its disk was not told: here it is what runs",
        "# which version is not told: here it is the latest",
        "# How far it has come is not told: here it begins anew.",
        "# Not told of instances: priority,",
    ):
        assert remark in text


def test_a_scenario_at_rest_reads_as_one_by_hand() -> None:
    """Names stand for ids where they can: a reader finds nodes, tags and groups by what they are called."""
    scenario = Scenario.from_yaml(snapshot_of(controllers.shipped("default"))).section
    (instance,) = scenario.instances

    assert ("14.5-arm64", "xcode-15", "mini-01") == (instance.template, instance.tag, instance.node)
    assert ["14.5-arm64:xcode-15"] == [cached.version for cached in scenario.nodes[0].cached]
    assert [("spare",), ("ios",)] == [node.groups for node in scenario.nodes]


ODD = """
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


def test_odd_names_and_tags_are_kept() -> None:
    """What YAML or the scenario format would read as something else is read as it was."""
    controller = controller_of(ODD)

    assert {} == differences(controller, twin_of(controller))


def test_a_disk_that_is_fuller_than_it_can_be_is_kept() -> None:
    """What is cached takes more than the node's disk has, and is taken as it was seen."""
    controller = controller_of(CORNERS)
    for each in controller.nodes.values():
        each.disk_size = 1_000_000_000

    assert {} == differences(controller, twin_of(controller))


# What a real controller may say.


def saying(controller: Controller, path: str, change: Callable[[Any], Any]) -> ControllerClient:
    """A controller that says something else in answer to one GET."""
    wire = Wire(controller)

    def answer(request: httpx.Request) -> httpx.Response:
        query = request.url.query.decode()
        said = wire.send("GET", request.url.path.removeprefix("/api/v1/"), query=query)
        headers = {"Content-Type": "application/json"}
        if request.url.path != f"/api/v1/{path}" or query:
            return httpx.Response(said.status_code, content=said.data, headers=headers)
        changed = change(json.loads(said.data))
        return changed if isinstance(changed, httpx.Response) else httpx.Response(200, json=changed)

    return ControllerClient(URL, transport=httpx.MockTransport(answer))


def body(change: Callable[[Any], object]) -> Callable[[Any], Any]:
    """An envelope whose body is changed in place."""

    def changed(envelope: Any) -> Any:
        change(envelope["body"])
        return envelope

    return changed


def test_no_request_but_a_get_is_sent() -> None:
    """A snapshot asks, and does nothing else."""
    methods: set[str] = set()

    class Recording(httpx.WSGITransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            methods.add(request.method)
            return super().handle_request(request)

    snapshot(ControllerClient(URL, transport=Recording(create_app(controllers.shipped("reference")))))

    assert {"GET"} == methods


@pytest.mark.parametrize(
    ("path", "change", "remark"),
    [
        (
            "node",
            body(lambda it: it[0].update(ram="16")),
            "ram: '16' is no whole number from 1 to 1048576; it is left out",
        ),
        ("node", body(lambda it: it[0].update(state="Asleep")), "told as 'Asleep', which a scenario does not know"),
        ("node", body(lambda it: it[0].update(last_updated="")), "last_updated: '' is no moment"),
        ("node", body(lambda it: it[0].update(free_disk_space=10**15)), "more than its disk is told to be"),
        ("vm", body(lambda it: it[0]["vm"].update(instance_state="Deploying")), "told as 'Deploying'"),
        ("vm", body(lambda it: it[0]["vm"].update(vmid="unheard-of")), "no longer in the registry"),
        ("vm", body(lambda it: it[0]["vm"]["vminfo"].update(ram="lots")), "'lots' is no amount like 4G"),
        ("vm", body(lambda it: it[0]["vm"].update(metadata={"a": [1]})), "metadata: a is neither text"),
        ("status", body(lambda it: it.update(license="gold")), "license was told as 'gold'"),
        ("status", body(lambda it: it.update(registry_status="FAIL")), "its status was FAIL"),
        ("group", lambda it: {"status": "FAIL", "message": "not\nyours"}, "GET /api/v1/group was refused: not yours"),
        ("image", lambda it: httpx.Response(404, text="404 page not found"), "/image was refused: HTTP 404"),
        ("registry/vm", body(lambda it: it[0].update(size=1)), "told as 1, which no sizes of its files make"),
        ("registry/vm", body(lambda it: it[0].update(name=None)), "Its name was not told"),
    ],
)
def test_what_a_scenario_cannot_hold_is_left_out_and_said(path: str, change: Callable[[Any], Any], remark: str) -> None:
    """An answer that is not quite what it should be costs its key, not the snapshot."""
    text = snapshot(saying(controllers.shipped("default"), path, change))

    assert remark in " ".join(line.strip().lstrip("# ") for line in text.splitlines())
    made_of(text)


@pytest.mark.parametrize(
    ("path", "change", "complaint"),
    [
        (
            "status",
            lambda it: httpx.Response(401, json={"status": "FAIL", "message": "Authentication Required"}),
            "--token",
        ),
        ("status", lambda it: httpx.Response(302, headers={"Location": "https://x/"}), "redirect to https://x/"),
        ("status", lambda it: httpx.Response(200, text="<html>"), "not a controller"),
        ("status", lambda it: {"status": "OK", "message": ""}, "no body"),
        ("status", body(lambda it: it.update(version="new")), "give --release"),
        ("node", lambda it: {"status": "OK", "message": "", "body": None}, "no list"),
        ("node", lambda it: {"status": "FAIL", "message": "etcd is gone"}, "etcd is gone"),
        ("node", body(lambda it: it.append(it[0])), "makes no scenario"),
        ("vm", lambda it: httpx.Response(500, text="oops"), "HTTP 500"),
    ],
)
def test_what_makes_no_snapshot_is_said(path: str, change: Callable[[Any], Any], complaint: str) -> None:
    """Where there is no controller, or nothing that a scenario could do without, the reason is named."""
    with pytest.raises(ControllerError) as refused:
        snapshot(saying(controllers.shipped("default"), path, change))

    assert complaint in str(refused.value)


def test_the_release_may_be_given() -> None:
    """Who knows better than the status says the release."""
    remote = saying(controllers.shipped("default"), "status", body(lambda it: it.update(version="new")))

    assert "release: 1.43.0  # given, not asked" in snapshot(remote, Release(1, 43, 0))


# Redaction.

PRIVATE = """
controller: {registry: "http://registry.corp.example:8089"}
templates:
  - {name: secret-os, versions: [{tag: secret-tag, size: 2GB, description: secret-words}]}
nodes:
  - {name: secret-mac, ip: 10.77.1.2, cached: ["secret-os:secret-tag"], usb: [secret-phone], vlans: ["4077"]}
groups: [{name: secret-group, description: secret-words, nodes: [secret-mac]}]
instances:
  - template: secret-os
    node: secret-mac
    name: secret-job
    external_id: https://ci.corp.example/job/1
    group: secret-group
    usb_device: secret-phone
    vlan_tag: "4077"
    mac_address: "AA:BB:CC:DD:EE:01"
    metadata: {owner: secret-me, number: 5}
    vm: {vnc_password: secret-word, ip: 192.168.77.5, ports: [{name: secret-port, guest_port: 22, host_port: 10000}]}
  - {template: secret-os, state: Error, message: "no secret-mac any more", count: 2}
distributions: [{template: secret-os}]
save_images:
  - instance: gone
    stage: error
    new_template_name: secret-new
    script: c2VjcmV0
    error: {message: secret-words, code: 0}
"""


@pytest.mark.parametrize("release", RELEASES)
def test_nothing_private_is_left_in_what_is_redacted(release: str) -> None:
    """Names, addresses, ids and free text are gone: none of the originals stands anywhere in the scenario."""
    controller = controller_of(PRIVATE, release=Release.parse(release))
    text = snapshot_of(controller, redact=True)
    ids = [
        *controller.templates,
        *controller.nodes,
        *controller.groups,
        *controller.instances,
        *controller.distributions,
    ]
    files = [file.name for each in controller.templates.values() for version in each.history for file in version.files]
    words = ["secret", "corp", "10.77", "192.168.77", "4077", "AA:BB", "c2VjcmV0", "controller.example"]

    assert [] == [each for each in (*ids, *files, *words) if each in text]


@pytest.mark.parametrize(("release", "text"), crossing(NEWEST_FIRST, [PRIVATE, CORNERS, ODD]))
def test_what_is_redacted_makes_a_controller_of_the_same_shape(release: str, text: str) -> None:
    """The twin of a redacted snapshot tells what the original tells, once that is redacted."""
    controller = controller_of(text, release=Release.parse(release))
    pass_time(controller, 20)
    original = redacted(read(remote_of(controller)))
    twin = read(remote_of(twin_of(controller, redact=True)))

    for facts in (original, twin):
        for one in facts.instances:
            one.get("vminfo", {}).pop("vnc_connection_string", None)  # it is rebuilt of its parts
        for version in (version for template in facts.templates for version in template["versions"]):
            del version["config_file"], version["nvram"]
    assert original == twin


def test_well_known_messages_and_ports_survive_redaction() -> None:
    """What clients go by, and says nothing of anybody, stays: ssh, and a script's exit code."""
    text = snapshot_of(
        controller_of(
            CORNERS + "\ninstances: [{template: layered, state: Error, message: startup script exit code 127}]\n"
        ),
        redact=True,
    )
    ssh = snapshot_of(controllers.shipped("default"), redact=True)

    assert "message: startup script exit code 127" in text
    assert "name: ssh" in ssh
