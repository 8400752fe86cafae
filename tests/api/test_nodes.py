"""Nodes: what is said of them, their settings, and their end."""

from typing import Any

import pytest

from mockanka.core import nodes
from mockanka.core.lifecycle import NodeState
from tests.api.client import INSTANCE, NEW, NODE, NOWHERE, OLD, OTHER_NODE, RELEASES, TEMPLATE, Wire, office, world
from tests.controllers import pass_time

KEYS = """
node_id node_name cpu_count ram vm_count vcpu_count vram cpu_util ram_util ip_address state capacity groups
anka_version usb_devices capacity_mode vcpu_override ram_override disk_size free_disk_space anka_disk_usage
""".split()
ANKA = ["product", "version", "build", "license"]


def test_a_node_has_its_keys_in_the_order_of_the_wire() -> None:
    """A node's keys, and those of its Anka version, come in exactly this order."""
    node = office().get("node")[0]

    assert (list(node), list(node["anka_version"])) == (KEYS, ANKA)


def test_a_node_without_groups_has_no_such_key_and_without_devices_null() -> None:
    """Groups are left out when there are none; USB devices are null then."""
    (node,) = world("nodes: [{name: lone}]").get("node")

    assert ([key for key in KEYS if key != "groups"], None) == (list(node), node["usb_devices"])


def test_a_node_shows_its_groups_whole_and_its_devices() -> None:
    """Groups stand in a node as they stand in the list of groups; devices with name and location."""
    wire = office()
    node = wire.get("node")[1]

    assert [group for group in wire.get("group") if group["name"] == "ios"] == node["groups"]
    assert [list(device) for device in node["usb_devices"]] == [["name", "location"]]
    assert node["usb_devices"][0]["name"] == "iphone"


@pytest.mark.parametrize("release", RELEASES)
def test_nodes_are_listed_in_order_and_none_is_an_empty_list(release: str) -> None:
    """The list is an array, also when there is nothing in it."""
    assert (
        world("{}", release).get("node"),
        [node["node_id"] for node in office(release).get("node")],
    ) == ([], [NODE, OTHER_NODE])


def test_a_node_asked_for_by_id_comes_blanked_at_first() -> None:
    """Before 1.32 a node by id is an array of one, its Anka version and capacity mode blanked in place."""
    wire = office(OLD)
    (listed, _) = wire.get("node")
    (by_id,) = wire.get("node", f"id={NODE}")

    assert listed | {"anka_version": dict.fromkeys(ANKA, ""), "capacity_mode": ""} == by_id
    assert (list(by_id), list(by_id["anka_version"])) == (KEYS, ANKA)


@pytest.mark.parametrize("release", ["1.32.0", NEW])
def test_a_node_asked_for_by_id_is_whole_later(release: str) -> None:
    """From 1.32 on a node by id is the array of one that the list shows of it."""
    wire = office(release)

    assert wire.get("node")[:1] == wire.get("node", f"id={NODE}")


def counters(wire: Wire) -> list[Any]:
    return [wire.get("node")[0][key] for key in ("vm_count", "vcpu_count", "vram", "ram_util")]


def test_the_counters_count_what_runs() -> None:
    """VMs count from when they run until they are terminated; what is only being booted does not run yet."""
    wire = office()
    seen = [counters(wire)]
    second = wire.start(vmid=TEMPLATE, node_id=NODE)
    pass_time(wire.controller, 2)
    seen.append(counters(wire))
    pass_time(wire.controller, 30)
    seen.append(counters(wire))
    for instance_id in (INSTANCE, second):
        wire.do("DELETE", "vm", {"id": instance_id})
    pass_time(wire.controller, 30)
    seen.append(counters(wire))

    assert seen == [[1, 4, 8192, 0.5], [1, 4, 8192, 0.5], [2, 8, 16384, 1], [0, 0, 0, 0]]


def test_the_disk_adds_up() -> None:
    """Disk sizes are bytes; what a pull has brought so far counts as used."""
    wire = world(
        """
        templates: [{name: t, versions: [{tag: a, size: 10GB}]}]
        nodes: [{name: n, disk: 100GB, disk_other: 30GB}]
        timings: {pull_bandwidth: 1GB/s, schedule: 0s}
        """
    )
    (template,) = wire.get("registry/vm")
    wire.start(vmid=template["id"])
    seen = []
    for seconds in (0, 4, 20):
        pass_time(wire.controller, seconds)
        (node,) = wire.get("node")
        seen.append([node["disk_size"], node["free_disk_space"], node["anka_disk_usage"]])

    gb = 10**9
    assert [[100 * gb, 70 * gb, 0], [100 * gb, 66 * gb, 4 * gb], [100 * gb, 60 * gb, 10 * gb]] == seen


def test_utilisation_is_a_share() -> None:
    """CPU and RAM utilisation are numbers from 0 to 1, whatever runs."""
    wire = office()
    for _ in range(20):
        pass_time(wire.controller, 5)
        for node in wire.get("node"):
            assert 0 <= node["cpu_util"] <= 1
            assert 0 <= node["ram_util"] <= 1


def test_the_state_is_in_the_words_of_the_wire() -> None:
    """A node's state is one of five words; one that is lost is Offline once it has timed out."""
    wire = office()
    seen = []
    for state in (NodeState.ACTIVE, NodeState.UPDATING, NodeState.UNHEALTHY, NodeState.UNLICENSED):
        nodes.set_node_state(wire.controller, NODE, state)
        seen.append(wire.get("node")[0]["state"])
    nodes.lose_node(wire.controller, NODE)
    pass_time(wire.controller, 300)
    seen.append(wire.get("node")[0]["state"])

    assert seen == ["Active", "Updating", "Unhealthy", "Inactive (Invalid License)", "Offline"]


def test_settings_show_in_the_node() -> None:
    """What a configuration names changes, under the names of the node; the answer has no body."""
    wire = office()
    before = wire.get("node")[0]
    settings = {"max_vm_count": 5, "name": "big", "host": "10.9.9.9", "capacity_mode": "resource"}
    answer = wire.ask(
        "POST", "node/config", {"node_id": NODE, **settings, "vcpu_override": 3, "ram_override": 4, "x": 1}
    )

    assert answer == {"status": "OK", "message": ""}
    assert (
        before
        | {
            "capacity": 5,
            "node_name": "big",
            "ip_address": "10.9.9.9",
            "capacity_mode": "resource",
            "vcpu_override": 3,
            "ram_override": 4,
        }
        == wire.get("node")[0]
    )


def test_a_new_address_shows_in_the_instances_of_the_node() -> None:
    """When a node gets another address, the VMs on it are reached there."""
    wire = office()
    wire.do("POST", "node/config", {"node_id": NODE, "host": "10.9.9.9"})

    assert wire.get("vm", f"id={INSTANCE}")["vminfo"]["host_ip"] == "10.9.9.9"


@pytest.mark.parametrize("blank", ["", None])
def test_blank_settings_change_nothing(blank: str | None) -> None:
    """A setting that is blank or null is not given."""
    wire = office()
    before = wire.get("node")
    wire.do("POST", "node/config", {"node_id": NODE, "name": blank, "host": blank, "capacity_mode": blank})

    assert before == wire.get("node")


@pytest.mark.parametrize("off", [True, False])
def test_central_logging_is_switched_and_never_shown(off: bool) -> None:
    """Central logging can be switched off and on; no key of the node tells."""
    wire = office()
    before = wire.get("node")
    wire.do("POST", "node/config", {"node_id": NODE, "disable_central_logging": off})

    assert (before, not off) == (wire.get("node"), wire.controller.nodes[NODE].central_logging)


def test_a_deleted_node_is_gone_and_its_instances_fail() -> None:
    """A deleted node is in no list any more, and what ran on it is in Error."""
    wire = office()
    wire.do("DELETE", "node", {"node_id": NODE})

    assert [node["node_id"] for node in wire.get("node")] == [OTHER_NODE]
    assert wire.ask("GET", "node", query=f"id={NODE}")["message"] == "Not found"
    assert wire.get("vm", f"id={INSTANCE}")["instance_state"] == "Error"


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    ("method", "path", "query", "body"),
    [
        ("GET", "node", f"id={NOWHERE}", None),
        ("DELETE", "node", "", {"node_id": NOWHERE}),
        ("POST", "node/config", "", {"node_id": NOWHERE, "name": "x"}),
    ],
)
def test_an_unknown_node_is_not_found(release: str, method: str, path: str, query: str, body: object) -> None:
    """Asking for, deleting or configuring a node that is not there fails with Not found and changes nothing."""
    wire = office(release)
    before = wire.state()

    assert wire.ask(method, path, body, query) == {"status": "FAIL", "message": "Not found"}
    assert before == wire.state()
