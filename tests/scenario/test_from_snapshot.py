"""Observed values in a scenario: written by hand, and in a snapshot."""

from __future__ import annotations

import pytest

from mockanka.core.lifecycle import InstanceState
from mockanka.scenario import ScenarioError
from mockanka.units import format_moment
from tests.api.client import ApiClient
from tests.controllers import controller_of, pass_time, reload, state_of

NODE = "nodes: [{name: a, cpu_util: 0.25, disk_used: 7GB, reported: '2023-12-31T23:59:58.5Z'}]"
INVENTORY = """
templates: [{name: t, versions: [{tag: v, size: 10GB}]}]
nodes: [{name: a, capacity: 1}]
"""


def test_a_node_shows_what_was_seen_of_it() -> None:
    """Load, disk and the last report are those that are written, and a heartbeat later it reports again."""
    api = ApiClient(controller_of(NODE))
    (seen,) = api.get("node")
    pass_time(api.controller, 5)
    (later,) = api.get("node")

    assert (0.25, 7 * 10**9, "2023-12-31T23:59:58.5Z") == tuple(
        seen[key] for key in ("cpu_util", "anka_disk_usage", "last_updated")
    )
    assert "2024-01-01T00:00:03.5Z" == later["last_updated"]


def test_what_was_seen_survives_a_dump() -> None:
    """So does the part of it that nothing accounts for."""
    controller = controller_of(NODE + "\ncontroller: {registry_disk: 100GB, registry_free: 30GB}\n")

    assert state_of(controller) == state_of(reload(controller))
    assert {"free": 30 * 10**9, "total": 100 * 10**9} == ApiClient(reload(controller)).get("registry/disk")


def test_a_load_that_is_less_than_the_vms_make_is_shown() -> None:
    """VMs that idle make less than running cores make here."""
    text = INVENTORY.replace("capacity: 1", "cpu_util: 0.01") + "instances: [{template: t, node: a}]"

    assert 0.01 == ApiClient(controller_of(text)).get("node")[0]["cpu_util"]


@pytest.mark.parametrize(
    "text",
    [
        "instances: [{template: t, node: a, count: 2}]",
        "instances: [{template: t, node: a, since: '2023-12-31T00:00:00Z'}]",
        "instances: [{template: t, node: gone}]",
        "instances: [{template: t, node: a, state: Pushing}]",
        "instances: [{template: t, node: a, usb_device: phone}]",
    ],
)
def test_only_a_snapshot_is_taken_as_it_is(text: str) -> None:
    """A state that the simulator cannot reach is refused in a scenario by hand, and accepted in a snapshot."""
    with pytest.raises(ScenarioError):
        controller_of(INVENTORY + text)

    assert controller_of(f"snapshot: true\n{INVENTORY}{text}".replace("count: 2", "count: 3")).instances


def test_a_snapshot_is_no_dump() -> None:
    """A dump has pending, and nothing is begun of it that is not there."""
    with pytest.raises(ScenarioError, match="is not for a dump"):
        controller_of("snapshot: true\npending: []")


def test_a_pull_goes_on_from_where_it_was_seen() -> None:
    """The share that was made is made, and the rest takes as long as its bytes."""
    text = f"snapshot: true\n{INVENTORY}instances: [{{template: t, node: a, state: Pulling, progress: 0.25}}]"
    controller = controller_of(text)
    (instance,) = controller.instances.values()
    begun = ApiClient(controller).get("vm")[0]["vm"]["progress"]
    pass_time(controller, 30)
    half = instance.progress(controller)
    pass_time(controller, 60)

    assert 0.25 == begun
    assert 0.62 < half < 0.63  # of 80 s, by 1 Gbit/s
    assert (InstanceState.STARTED, "2024-01-01T00:01:30Z") == (instance.state, format_moment(controller.now))
