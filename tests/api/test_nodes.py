"""Nodes: their fields, their settings, and deleting them."""

from __future__ import annotations

from typing import Any

import pytest

from mockanka.core import nodes
from mockanka.core.lifecycle import NodeState
from tests.api.client import (
    INSTANCE,
    NEW,
    NODE,
    OLD,
    OTHER_NODE,
    RELEASES,
    TEMPLATE,
    UNKNOWN_ID,
    ApiClient,
    api_of,
    default_api,
    get_node,
)
from tests.controllers import pass_time

KEYS = """
node_id node_name cpu_count ram vm_count vcpu_count vram cpu_util ram_util ip_address state capacity groups
anka_version usb_devices capacity_mode vcpu_override ram_override disk_size free_disk_space anka_disk_usage
""".split()


ANKA = ["product", "version", "build", "license"]


def test_a_node_has_its_keys_in_order() -> None:
    """A node has exactly these keys in this order, and so has its Anka version."""
    node = default_api().get("node")[0]

    assert (list(node), list(node["anka_version"])) == (KEYS, ANKA)


def test_without_groups_there_is_no_key_and_without_usb_devices_there_is_null() -> None:
    """Groups are left out when there are none; USB devices are null then."""
    (node,) = api_of("nodes: [{name: lone}]").get("node")

    assert ([key for key in KEYS if key != "groups"], None) == (list(node), node["usb_devices"])


def test_a_node_shows_its_groups_whole_and_its_devices() -> None:
    """A node has its groups as the list of groups shows them, and its USB devices with name and location."""
    api = default_api()
    node = api.get("node")[1]

    assert [group for group in api.get("group") if group["name"] == "ios"] == node["groups"]
    assert [list(device) for device in node["usb_devices"]] == [["name", "location"]]
    assert node["usb_devices"][0]["name"] == "iphone"


@pytest.mark.parametrize("release", RELEASES)
def test_nodes_are_listed_in_order_and_none_is_an_empty_list(release: str) -> None:
    """Nodes are listed in order of creation; without nodes the list is an empty array."""
    assert (
        api_of("{}", release).get("node"),
        [node["node_id"] for node in default_api(release).get("node")],
    ) == ([], [NODE, OTHER_NODE])


def test_a_node_by_id_has_blanked_fields_before_1_32() -> None:
    """Before 1.32 a node by id is an array of one, whose Anka version and capacity mode are blank."""
    api = default_api(OLD)
    (listed, _) = api.get("node")
    (by_id,) = api.get("node", f"id={NODE}")

    assert listed | {"anka_version": dict.fromkeys(ANKA, ""), "capacity_mode": ""} == by_id
    assert (list(by_id), list(by_id["anka_version"])) == (KEYS, ANKA)


@pytest.mark.parametrize("release", ["1.32.0", NEW])
def test_a_node_by_id_is_complete_from_1_32_on(release: str) -> None:
    """From 1.32 on a node by id is an array of one, the same as in the list."""
    api = default_api(release)

    assert api.get("node")[:1] == api.get("node", f"id={NODE}")


def counters(api: ApiClient) -> list[Any]:
    """Return the counters of the first node."""
    return [api.get("node")[0][key] for key in ("vm_count", "vcpu_count", "vram", "ram_util")]


def test_the_counters_count_running_vms() -> None:
    """A VM counts from when it runs until it is terminated; one that is booting does not count yet."""
    api = default_api()
    observed = [counters(api)]
    second = api.start(vmid=TEMPLATE, node_id=NODE)
    pass_time(api.controller, 2)
    observed.append(counters(api))
    pass_time(api.controller, 30)
    observed.append(counters(api))
    for instance_id in (INSTANCE, second):
        api.perform("DELETE", "vm", {"id": instance_id})
    pass_time(api.controller, 30)
    observed.append(counters(api))

    assert observed == [[1, 4, 8192, 0.5], [1, 4, 8192, 0.5], [2, 8, 16384, 1], [0, 0, 0, 0]]


def test_the_disk_adds_up() -> None:
    """Disk sizes are bytes, and what a pull has transferred so far counts as used."""
    api = api_of(
        """
        templates: [{name: t, versions: [{tag: a, size: 10GB}]}]
        nodes: [{name: n, disk: 100GB, disk_other: 30GB}]
        timings: {pull_bandwidth: 1GB/s, schedule: 0s}
        """
    )
    (template,) = api.get("registry/vm")
    api.start(vmid=template["id"])
    sizes = []
    for seconds in (0, 4, 20):
        pass_time(api.controller, seconds)
        (node,) = api.get("node")
        sizes.append([node["disk_size"], node["free_disk_space"], node["anka_disk_usage"]])

    gb = 10**9
    assert [[100 * gb, 70 * gb, 0], [100 * gb, 66 * gb, 4 * gb], [100 * gb, 60 * gb, 10 * gb]] == sizes


def test_utilisation_is_between_0_and_1() -> None:
    """CPU and RAM utilisation are always numbers from 0 to 1."""
    api = default_api()
    for _ in range(20):
        pass_time(api.controller, 5)
        for node in api.get("node"):
            assert 0 <= node["cpu_util"] <= 1
            assert 0 <= node["ram_util"] <= 1


def test_the_state_is_in_the_words_of_the_api() -> None:
    """A node's state is one of five words; a lost node is Offline once it has timed out."""
    api = default_api()
    states = []
    for state in (NodeState.ACTIVE, NodeState.UPDATING, NodeState.UNHEALTHY, NodeState.UNLICENSED):
        nodes.set_node_state(api.controller, NODE, state)
        states.append(api.get("node")[0]["state"])
    nodes.lose_node(api.controller, NODE)
    pass_time(api.controller, 300)
    states.append(api.get("node")[0]["state"])

    assert states == ["Active", "Updating", "Unhealthy", "Inactive (Invalid License)", "Offline"]


def test_settings_show_in_the_node() -> None:
    """A configuration changes the settings that it names, and answers without a body."""
    api = default_api()
    before = api.get("node")[0]
    settings = {"max_vm_count": 5, "name": "big", "host": "10.9.9.9", "capacity_mode": "resource"}
    envelope = api.envelope(
        "POST", "node/config", {"node_id": NODE, **settings, "vcpu_override": 3, "ram_override": 4, "x": 1}
    )

    assert envelope == {"status": "OK", "message": ""}
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
        == api.get("node")[0]
    )


def test_a_new_address_shows_in_the_instances_of_the_node() -> None:
    """When a node gets another address, its instances have it as host_ip."""
    api = default_api()
    api.perform("POST", "node/config", {"node_id": NODE, "host": "10.9.9.9"})

    assert api.get("vm", f"id={INSTANCE}")["vminfo"]["host_ip"] == "10.9.9.9"


@pytest.mark.parametrize("blank", ["", None])
def test_blank_settings_change_nothing(blank: str | None) -> None:
    """A setting that is blank or null changes nothing."""
    api = default_api()
    before = api.get("node")
    api.perform("POST", "node/config", {"node_id": NODE, "name": blank, "host": blank, "capacity_mode": blank})

    assert before == api.get("node")


@pytest.mark.parametrize("off", [True, False])
def test_central_logging_is_switched_and_never_shown(off: bool) -> None:
    """Central logging can be switched off and on; no key of the node shows it."""
    api = default_api()
    before = api.get("node")
    api.perform("POST", "node/config", {"node_id": NODE, "disable_central_logging": off})

    assert (before, not off) == (api.get("node"), api.controller.nodes[NODE].central_logging)


def test_a_deleted_node_is_gone_and_its_instances_fail() -> None:
    """A deleted node is in no list any more, and its instances are in Error."""
    api = default_api()
    api.perform("DELETE", "node", {"node_id": NODE})

    assert [node["node_id"] for node in api.get("node")] == [OTHER_NODE]
    assert api.envelope("GET", "node", query=f"id={NODE}")["message"] == "Not found"
    assert api.get("vm", f"id={INSTANCE}")["instance_state"] == "Error"


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    ("method", "path", "query", "body"),
    [
        ("GET", "node", f"id={UNKNOWN_ID}", None),
        ("DELETE", "node", "", {"node_id": UNKNOWN_ID}),
        ("POST", "node/config", "", {"node_id": UNKNOWN_ID, "name": "x"}),
    ],
)
def test_an_unknown_node_is_not_found(release: str, method: str, path: str, query: str, body: object) -> None:
    """Requests for a node that does not exist fail with Not found and change nothing."""
    api = default_api(release)
    before = api.dump()

    assert api.envelope(method, path, body, query) == {"status": "FAIL", "message": "Not found"}
    assert before == api.dump()


DONE = b'{"status":"OK","message":""}\n'


@pytest.mark.parametrize("body", [None, b"", b"no json"])
def test_agents_are_updated_without_parameters(body: bytes | None) -> None:
    """PUT node/update ignores its body and answers without one; nodes are Updating for a while."""
    api = default_api(NEW)
    response = api.send("PUT", "node/update", body)
    during = [node["state"] for node in api.get("node")]
    pass_time(api.controller, 30)

    assert (200, DONE) == (response.status_code, response.data)
    assert (["Updating"] * 2, ["Active"] * 2) == (during, [node["state"] for node in api.get("node")])


def test_drain_mode_is_switched_by_the_configuration() -> None:
    """The setting drain_mode puts a node into Drain Mode, and back to Active."""
    api = default_api(NEW)
    states = []
    for drained in (True, False):
        api.perform("POST", "node/config", {"node_id": NODE, "drain_mode": drained})
        states.append(get_node(api, NODE)["state"])

    assert ["Drain Mode", "Active"] == states


def test_drain_mode_is_ignored_before_1_32() -> None:
    """Before 1.32 drain_mode is ignored like any unknown key."""
    api = default_api("1.31.0")
    api.perform("POST", "node/config", {"node_id": NODE, "drain_mode": True})

    assert "Active" == get_node(api, NODE)["state"]


@pytest.mark.parametrize(("value", "kind"), [(1, "number"), ("true", "string"), ({}, "object")])
def test_drain_mode_is_true_or_false(value: object, kind: str) -> None:
    """A drain_mode that is no boolean is refused."""
    envelope = default_api(NEW).envelope("POST", "node/config", {"node_id": NODE, "drain_mode": value})

    assert "FAIL" == envelope["status"]
    assert (
        f"json: cannot unmarshal {kind} into Go struct field ConfigBody.drain_mode of type bool" == envelope["message"]
    )


def test_a_node_has_its_architecture_last_report_and_agent_version() -> None:
    """At the newest release a node shows these too; the agent's version is the controller's."""
    api = default_api(NEW)
    node = get_node(api, NODE)

    assert ("arm64", api.get("status")["version"]) == (node["host_arch"], node["agent_version"])
    assert node["last_updated"].startswith("2023-12-31T23:59:5")
    assert 1704067190 <= node["timestamp"] <= 1704067200
    assert {"uuid", "name", "tag"} == set(node["templates"][0])
    assert "31-dec-2024" == node["anka_version"]["expires"]
