"""The controller that is rebuilt from a snapshot responds as the original, except for what the API does not return."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice

import pytest

from mockanka.core import nodes
from mockanka.core.controller import Controller
from mockanka.core.lifecycle import InstanceState
from mockanka.core.release import Release
from mockanka.scenario import shipped
from tests import controllers
from tests.api.client import ApiClient
from tests.conftest import FULL, crossing
from tests.controllers import CORNERS, controller_of, pass_time
from tests.snapshot.rebuild import ODD_NAMES, differences, load_snapshot, rebuild, snapshot_of

RELEASES = ["1.8.0", "1.24.0", "1.43.0", "1.50.1"]
SEED = 7
"""Not the default: a snapshot does not contain the seed, and must not depend on it."""
SHIPPED = crossing([(release,) for release in reversed(RELEASES)], sorted(shipped(), key="reference".__ne__))
"""Each scenario at the newest release, and the largest at each release; in full each scenario at each release."""


@pytest.mark.parametrize(("release", "name"), SHIPPED)
def test_a_shipped_scenario_is_rebuilt(name: str, release: str) -> None:
    """The controller of each scenario that ships and the rebuilt one respond to every GET with the same bytes."""
    controller = controllers.shipped(name, release=Release.parse(release), seed=SEED)

    assert {} == differences(controller, rebuild(controller))


@pytest.mark.parametrize(("release", "name"), SHIPPED)
def test_a_shipped_scenario_is_rebuilt_when_everything_has_ended(name: str, release: str) -> None:
    """A snapshot after an hour, when nothing is in progress any more, rebuilds the controller too."""
    controller = controllers.shipped(name, release=Release.parse(release), seed=SEED)
    pass_time(controller, 3600)

    assert {} == differences(controller, rebuild(controller))


ACTIONS: list[Callable[[ApiClient, dict[str, str]], object]] = [
    lambda api, ids: api.perform(
        "POST", "vm", {"vmid": ids["layered"], "count": 2, "name": "two", "metadata": {"a": 1}}
    ),
    lambda api, ids: api.start(vmid=ids["bulky"], group_id=ids["second"]),
    lambda api, ids: api.perform("POST", "registry/vm/distribute", {"template_id": ids["bulky"]}),
    lambda api, ids: api.start(vmid=ids["suspended"], version=0),
    lambda api, ids: api.perform("POST", "node/config", {"node_id": ids["pair"], "max_vm_count": 1}),
    lambda api, ids: api.perform("DELETE", "registry/revert", query=f"id={ids['layered']}&tag=latest"),
    lambda api, ids: _save_image(api),
    lambda api, ids: _terminate(api, InstanceState.PULLING),
    lambda api, ids: _terminate(api, InstanceState.STARTED),
    lambda api, ids: api.perform("DELETE", "registry/vm", query=f"id={ids['bulky']}"),
    lambda api, ids: api.perform("DELETE", "group", query=f"id={ids['first']}"),
    lambda api, ids: api.perform("DELETE", "node", {"node_id": ids["cramped"]}),
]
"""Requests to the controller of CORNERS, in order."""


def _instances_in(api: ApiClient, state: InstanceState) -> list[str]:
    return [instance.id for instance in api.controller.instances.values() if instance.state is state]


def _save_image(api: ApiClient) -> None:
    for id in _instances_in(api, InstanceState.STARTED)[:1]:
        api.perform("POST", "image", {"id": id, "new_template_name": "saved", "tag": "t"})


def _terminate(api: ApiClient, state: InstanceState) -> None:
    for id in _instances_in(api, state)[:1]:
        api.perform("DELETE", "vm", {"id": id})


def busy_controllers(release: str) -> Iterator[Controller]:
    """Yield the controller of CORNERS at several moments of much activity; no save image request has a script."""
    controller = controller_of(CORNERS, release=Release.parse(release), seed=SEED)
    api = ApiClient(controller)
    named = (*controller.templates.values(), *controller.nodes.values(), *controller.groups.values())
    ids = {entity.name: entity.id for entity in named}
    for act in ACTIONS:
        act(api, ids)
        for seconds in (1.5, 23):
            pass_time(controller, seconds)
            yield controller


@pytest.mark.parametrize("release", RELEASES)
def test_a_busy_controller_is_rebuilt(release: str) -> None:
    """The rebuilt controller responds the same, and its snapshot is the same text.

    There are pulls, pushes and deletions in progress, and nodes with more VMs than slots.
    """
    # The activity and the form that a release gives it are independent: one release has all moments, the others some.
    step = 1 if FULL or release == RELEASES[-1] else 5
    for controller in islice(busy_controllers(release), 0, None, step):
        text = snapshot_of(controller)
        rebuilt = load_snapshot(text)

        assert {} == differences(controller, rebuilt)
        assert text == snapshot_of(rebuilt)


def test_odd_names_and_tags_are_kept() -> None:
    """Names that YAML or the scenario format would read as something else are unchanged."""
    controller = controller_of(ODD_NAMES)

    assert {} == differences(controller, rebuild(controller))


def test_an_overfull_disk_is_kept() -> None:
    """A node may have more in its cache than its disk can hold."""
    controller = controller_of(CORNERS)
    for node in controller.nodes.values():
        node.disk_size = 1_000_000_000

    assert {} == differences(controller, rebuild(controller))


def test_a_rebuilt_controller_goes_on() -> None:
    """Pulls continue from where they were, and instances start."""
    controller = controller_of(CORNERS + "\ninstances: [{template: bulky, count: 2}]", seed=SEED)
    pass_time(controller, 30)
    pulling = [instance.progress(controller) for instance in controller.instances.values()]
    rebuilt = rebuild(controller)
    pass_time(rebuilt, 5)
    later = [instance.progress(rebuilt) for instance in rebuilt.instances.values()]
    pass_time(rebuilt, 900)

    assert all(0 < before < after for before, after in zip(pulling, later, strict=True))
    assert [InstanceState.STARTED] * 2 == [instance.state for instance in rebuilt.instances.values()]


def test_a_node_that_is_silent_for_three_heartbeats_is_lost() -> None:
    """The rebuilt node becomes Offline as the original does."""
    controller = controller_of("nodes: [{name: a}, {name: b}]")
    nodes.lose_node(controller, next(iter(controller.nodes)))
    pass_time(controller, 30)
    rebuilt = rebuild(controller)

    assert {} == differences(controller, rebuilt)
    pass_time(rebuilt, 120)
    assert ["Offline", "Active"] == [node.state(rebuilt.now).value for node in rebuilt.nodes.values()]


# ---- what the API does not return ----------------------------------------------------------------------------------


def test_the_usb_device_of_an_instance_in_scheduling_counts_as_free() -> None:
    """The API does not return the node that an instance in Scheduling already has, nor its USB device there."""
    controller = controller_of(CORNERS + "\ninstances: [{template: layered, tag: base, usb_device: phone}]")
    pass_time(controller, 5)
    (instance,) = controller.instances.values()
    found = differences(controller, rebuild(controller))

    node_name = controller.nodes[instance.node_id or ""].name
    assert (InstanceState.SCHEDULING, "single") == (instance.state, node_name)
    assert ["usb"] == list(found)
    assert [1, 0] == [json.loads(response or b"")["body"]["phone"]["busy"] for response in found["usb"]]


def test_a_vm_without_an_instance_has_no_cores() -> None:
    """VMs that no listed instance accounts for are rebuilt as VMs started by hand, which use a slot only."""
    fault = "{match: {event: start}, do: {vanish: true, after: 15s, for: 10m}}"
    controller = controller_of(CORNERS + f"\ninstances: [{{template: layered}}]\nfaults: [{fault}]", seed=SEED)
    pass_time(controller, 600)
    found = differences(controller, rebuild(controller))
    (original, rebuilt) = (
        [node for node in json.loads(response or b"")["body"] if node["vm_count"]] for response in found["node"]
    )

    assert {"node"} == {request.partition("?")[0] for request in found}
    assert {"vcpu_count", "vram", "ram_util"} == {key for key, value in original[0].items() if value != rebuilt[0][key]}


def test_a_save_image_request_starts_again() -> None:
    """The API does not return its progress; its script, which had ended, has no result until it ends again."""
    controller = controllers.shipped("default")
    api = ApiClient(controller)
    (id,) = controller.instances
    api.perform("POST", "image", {"id": id, "new_template_name": "saved", "script": "ZWNobw=="})
    pass_time(controller, 3)
    (save,) = controller.save_images
    found = differences(controller, rebuild(controller))

    assert ["image", f"image?id={save}"] == list(found)
    bodies = [json.loads(response or b"")["body"] for response in found[f"image?id={save}"]]
    assert [True, False] == [bool(body.pop("script_result")) for body in bodies]
    assert bodies[0] == bodies[1]


def test_a_node_that_is_silent_for_a_few_seconds_is_not_lost() -> None:
    """The API does not return that a node is lost before three heartbeats; the rebuilt one reports on time."""
    controller = controller_of("nodes: [{name: a}, {name: b}]")
    lost, other = controller.nodes
    nodes.lose_node(controller, lost)
    pass_time(controller, 12)
    found = differences(controller, rebuild(controller))
    original, rebuilt = (
        {node["node_id"]: node for node in json.loads(response or b"")["body"]} for response in found["node"]
    )
    for listed in (original, rebuilt):
        listed[lost] = {key: value for key, value in listed[lost].items() if key not in ("last_updated", "timestamp")}

    assert ["node", f"node?id={lost}"] == list(found)
    assert original[other] == rebuilt[other]
    assert original[lost].keys() == rebuilt[lost].keys()
