"""The operations that came later, as clients meet them: what they take, what they answer, and what they refuse."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mockanka.core.registry import RegistryState
from tests.api.client import (
    GROUP,
    INSTANCE,
    NEW,
    NODE,
    NOWHERE,
    OLD,
    OTHER_NODE,
    OTHER_TEMPLATE,
    TEMPLATE,
    Wire,
    office,
    office_controller,
    world,
)
from tests.controllers import pass_time

DONE = b'{"status":"OK","message":""}\n'


def node(wire: Wire, id: str = NODE) -> dict[str, Any]:
    (found,) = wire.get("node", f"id={id}")
    return dict(found)


# Restarting.


def test_a_restart_is_answered_as_other_changes_are() -> None:
    """OK without a body; then the VM shows as stopped, and later as running, with another start and a message."""
    wire = office(NEW)
    before = wire.get("vm", f"id={INSTANCE}")["vminfo"]
    answer = wire.send("POST", "rpc/vm/restart", json.dumps({"instance_id": INSTANCE, "vnc_password": "x"}).encode())
    pass_time(wire.controller, 10)
    between = wire.get("vm", f"id={INSTANCE}")
    pass_time(wire.controller, 100)
    after = wire.get("vm", f"id={INSTANCE}")

    assert (200, DONE) == (answer.status_code, answer.data)
    assert ("Started", "stopped") == (between["instance_state"], between["vminfo"]["status"])
    assert ("Started", "running") == (after["instance_state"], after["vminfo"]["status"])
    assert 'Unexpected VM state: "stopped"' == between["message"] == after["message"]
    assert (before["creation_date"], "x") == (after["vminfo"]["creation_date"], after["vminfo"]["vnc_password"])
    assert before["start_date"] < after["vminfo"]["start_date"]


RESTARTS = [
    ({"instance_id": NOWHERE}, "Not found"),
    ({}, "invalid request: instance_id: is required"),
    ({"instance_id": INSTANCE, "usb_device": "toaster"}, "No free USB device toaster"),
    ({"instance_id": INSTANCE, "usb_device": 1}, "invalid request: usb_device: must be"),
]


@pytest.mark.parametrize(("asked", "message"), RESTARTS)
def test_a_restart_that_cannot_be_is_refused(asked: dict[str, Any], message: str) -> None:
    """FAIL with the reason, and nothing changes."""
    wire = office(NEW)
    before = wire.state()
    answer = wire.ask("POST", "rpc/vm/restart", asked)

    assert "FAIL" == answer["status"]
    assert answer["message"].startswith(message)
    assert before == wire.state()


def test_blank_texts_of_a_restart_are_not_given() -> None:
    """The same as without them."""
    wire, plain = office(NEW), office(NEW)
    wire.do("POST", "rpc/vm/restart", {"instance_id": INSTANCE, "usb_device": "", "vnc_password": ""})
    plain.do("POST", "rpc/vm/restart", {"instance_id": INSTANCE})

    assert plain.state() == wire.state()


# The registry.


@pytest.mark.parametrize(
    ("query", "body", "asked"),
    [
        (f"id={TEMPLATE}", None, [NODE, OTHER_NODE]),
        (f"id={TEMPLATE}", b"", [NODE, OTHER_NODE]),
        (f"id={TEMPLATE}", b"{}", [NODE, OTHER_NODE]),
        (f"id={TEMPLATE}", json.dumps({"node_ids": [OTHER_NODE]}).encode(), [OTHER_NODE]),
        (f"id={OTHER_TEMPLATE}", None, []),
    ],
)
def test_a_removal_says_whom_it_asked(query: str, body: bytes | None, asked: list[str]) -> None:
    """How many requests were sent, and to which nodes; the body is optional."""
    wire = office(NEW)
    answer = json.loads(wire.send("DELETE", "registry/vm/remove", body, query).data)

    assert {"requests_sent": len(asked), "node_ids": asked} == answer["body"]
    assert ["requests_sent", "node_ids"] == list(answer["body"])


def test_a_removed_template_is_no_longer_among_the_nodes() -> None:
    """What a node shows of templates is what is on its disk."""
    wire = office(NEW)
    before = node(wire, OTHER_NODE)
    wire.do("DELETE", "registry/vm/remove", query=f"id={TEMPLATE}")
    pass_time(wire.controller, 2)
    after = node(wire, OTHER_NODE)

    assert [TEMPLATE] == sorted({each["uuid"] for each in before["templates"]})
    assert ([], True) == (after["templates"], before["free_disk_space"] < after["free_disk_space"])
    assert TEMPLATE in [each["id"] for each in wire.get("registry/vm")]


@pytest.mark.parametrize(
    ("query", "body", "message"),
    [
        ("", None, "invalid request: query parameter id is required"),
        (f"id={NOWHERE}", None, "Not found"),
        (f"id={TEMPLATE}", {"node_ids": [NOWHERE]}, f"No such node {NOWHERE}"),
        (f"id={TEMPLATE}", {"node_ids": NODE}, "invalid request: node_ids"),
    ],
)
def test_a_removal_that_cannot_be_is_refused(query: str, body: object, message: str) -> None:
    """FAIL with the reason, and nothing changes."""
    wire = office(NEW)
    before = wire.state()
    answer = wire.ask("DELETE", "registry/vm/remove", body, query)

    assert "FAIL" == answer["status"]
    assert answer["message"].startswith(message)
    assert before == wire.state()


@pytest.mark.parametrize("release", ["1.43.0", NEW])
def test_a_cancelled_distribution_stands_still(release: str) -> None:
    """OK without a body; each node that was not done says why."""
    wire = office(release)
    id = wire.do("POST", "registry/vm/distribute", {"template_id": OTHER_TEMPLATE})["request_id"]
    pass_time(wire.controller, 30)
    before = wire.get("registry/vm/distribute", f"id={id}")["distribute_status"]
    answer = wire.send("DELETE", "registry/vm/distribute", query=f"id={id}")
    pass_time(wire.controller, 1000)
    after = wire.get("registry/vm/distribute", f"id={id}")["distribute_status"]
    error = {"error": "request canceled"}

    assert (200, DONE) == (answer.status_code, answer.data)
    assert {id: {**each, **error} for id, each in before.items()} == after
    assert all(0 < each["progress"] < 1 and each["status"] is False for each in after.values())


@pytest.mark.parametrize(
    ("query", "message"), [("", "invalid request: query parameter id is required"), (f"id={NOWHERE}", "Not found")]
)
def test_an_unknown_distribution_is_not_cancelled(query: str, message: str) -> None:
    """FAIL, and nothing changes."""
    wire = office(NEW)
    before = wire.state()
    answer = wire.ask("DELETE", "registry/vm/distribute", query=query)

    assert "FAIL" == answer["status"]
    assert answer["message"].startswith(message)
    assert before == wire.state()


@pytest.mark.parametrize("release", [OLD, NEW])
def test_the_disk_of_the_registry(release: str) -> None:
    """Free and in all, in bytes; at every release."""
    wire = office(release)
    before = wire.get("registry/disk")
    size = next(each["size"] for each in wire.get("registry/vm") if each["id"] == OTHER_TEMPLATE)
    wire.do("DELETE", "registry/vm", query=f"id={OTHER_TEMPLATE}")
    after = wire.get("registry/disk")

    assert ["free", "total"] == list(before)
    assert (1_000_000_000_000, size) == (before["total"], after["free"] - before["free"])


def test_a_registry_that_is_down_does_not_tell_its_disk() -> None:
    """FAIL, as of its templates."""
    wire = office(NEW)
    wire.controller.registry.state = RegistryState.DOWN

    assert "FAIL" == wire.ask("GET", "registry/disk")["status"]


def test_the_older_registrys_list_has_no_sizes() -> None:
    """apiVer=v1 since 1.28; any other value means nothing."""
    wire = office(NEW)

    assert ["id", "name", "last_pull", "last_push"] == list(wire.get("registry/vm", "apiVer=v1")[0])
    assert "size" in wire.get("registry/vm", "apiVer=v2")[0]


# Nodes.


@pytest.mark.parametrize("body", [None, b"", b"no json"])
def test_agents_are_updated_without_a_word(body: bytes | None) -> None:
    """No parameter and no body; nodes are Updating for a while."""
    wire = office(NEW)
    answer = wire.send("PUT", "node/update", body)
    during = [each["state"] for each in wire.get("node")]
    pass_time(wire.controller, 30)

    assert (200, DONE) == (answer.status_code, answer.data)
    assert (["Updating"] * 2, ["Active"] * 2) == (during, [each["state"] for each in wire.get("node")])


def test_a_node_is_drained_by_its_configuration() -> None:
    """And back; its other settings stay."""
    wire = office(NEW)
    states = []
    for drained in (True, False):
        wire.do("POST", "node/config", {"node_id": NODE, "drain_mode": drained})
        states.append(node(wire)["state"])

    assert ["Drain Mode", "Active"] == states


def test_before_1_32_drain_mode_means_nothing() -> None:
    """It is an unknown key."""
    wire = office("1.31.0")
    wire.do("POST", "node/config", {"node_id": NODE, "drain_mode": True})

    assert "Active" == node(wire)["state"]


@pytest.mark.parametrize("value", [1, "true", {}])
def test_drain_mode_is_true_or_false(value: object) -> None:
    """Anything else is refused."""
    answer = office(NEW).ask("POST", "node/config", {"node_id": NODE, "drain_mode": value})

    assert "FAIL" == answer["status"]
    assert answer["message"].startswith("invalid request: drain_mode: must be")


def test_a_node_tells_what_it_is_and_when_it_reported() -> None:
    """Its kind of processor, its last report twice, and its agent, whose version is the controller's."""
    wire = office(NEW)
    one = node(wire)

    assert ("arm64", wire.get("status")["version"]) == (one["host_arch"], one["agent_version"])
    assert one["last_updated"].startswith("2023-12-31T23:59:5")
    assert 1704067190 <= one["timestamp"] <= 1704067200
    assert {"uuid", "name", "tag"} == set(one["templates"][0])
    assert "31-dec-2024" == one["anka_version"]["expires"]


# VLANs and probes.


def test_the_vlans_are_listed() -> None:
    """Those of all nodes, once each; none is an empty array."""
    wire = world("nodes: [{name: a, vlans: ['7', '12']}, {name: b, vlans: ['12']}]", NEW)

    assert ["12", "7"] == wire.get("vlan")
    assert [] == office(NEW).get("vlan")


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_the_probes_are_plain(path: str) -> None:
    """200 and a word (a guess)."""
    answer = office(NEW).app.test_client().get(path)

    assert (200, b"ok\n", "text/plain; charset=utf-8") == (
        answer.status_code,
        answer.data,
        answer.headers["Content-Type"],
    )


# Save image requests.


@pytest.mark.parametrize(("cancel", "state"), [(True, "Started"), (False, None)])
def test_a_script_that_fails_may_cancel_a_save_image_request(cancel: bool, state: str | None) -> None:
    """Then it ends in an error and the instance runs on; what the script left is told in either case."""
    wire = world(
        "templates: [{name: mac, versions: [{tag: base, size: 1GB}]}]\n"
        "nodes: [{name: alpha, cached: [mac]}]\n"
        "instances: [{template: mac, node: alpha}]\n"
        "scripts: [{match: '', return_code: 3, stderr: boom}]\n",
        NEW,
    )
    (id,) = wire.controller.instances
    asked = {"id": id, "new_template_name": "new", "script": "dHJ1ZQ==", "cancel_on_script_failure": cancel}
    made = wire.do("POST", "image", asked)["request_id"]
    assert wire.get("image", f"id={made}")["script_result"] is None
    pass_time(wire.controller, 200)
    shown = wire.get("image", f"id={made}")
    result = {"stdout": "", "stderr": "boom", "errors": None, "did_timeout": False, "return_code": 3}

    assert result == shown["script_result"]
    assert ({"Message": "Script execution failed", "Code": 0} if cancel else None) == shown["error"]
    assert state == (wire.get("vm", f"id={id}")["instance_state"] if cancel else None)
    assert cancel is shown["request"]["CancelOnScriptFailure"]


# Licences.

BASIC: list[tuple[str, str, object, str, str]] = [
    ("POST", "vm", {"vmid": TEMPLATE, "group_id": GROUP}, "", "group_id"),
    ("POST", "vm", {"vmid": TEMPLATE, "usb_device": "iphone"}, "", "usb_device"),
    ("POST", "registry/vm/distribute", {"template_id": TEMPLATE, "group_id": GROUP}, "", "group_id"),
    ("POST", "group", {"name": "x"}, "", "Node groups"),
    ("PUT", "group", {"name": "x"}, f"id={GROUP}", "Node groups"),
    ("DELETE", "group", None, f"id={GROUP}", "Node groups"),
    ("POST", "node/group", {"group_ids": [GROUP], "node_ids": [NODE]}, "", "Node groups"),
    ("DELETE", "node/group", {"group_ids": [GROUP], "node_ids": [NODE]}, "", "Node groups"),
]


@pytest.mark.parametrize("release", [OLD, NEW])
@pytest.mark.parametrize(("method", "path", "body", "query", "what"), BASIC)
def test_a_basic_licence_refuses(release: str, method: str, path: str, body: object, query: str, what: str) -> None:
    """FAIL with what it would take, and nothing changes (a guess)."""
    wire = Wire(office_controller(release))
    wire.controller.license.tier = "basic"
    before = wire.state()
    answer = wire.ask(method, path, body, query)

    assert {"status": "FAIL", "message": f"{what} requires an Enterprise license"} == answer
    assert before == wire.state()


def test_a_basic_licence_passes_over_priority_and_shows_no_devices() -> None:
    """The start is taken, and GET usb is an empty object."""
    wire = Wire(office_controller(NEW))
    wire.controller.license.tier = "basic"
    id = wire.start(vmid=TEMPLATE, priority=1)

    assert 1000 == wire.controller.instances[id].request.priority
    assert {} == wire.get("usb")
