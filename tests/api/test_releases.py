"""What the wire knows at which release: operations, and the keys of every object. Written down here a second time."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from types import ModuleType
from typing import Any

import pytest

from mockanka.api import distributions, groups, images, instance_responses, nodes, templates
from mockanka.api.field_table import FieldTable
from mockanka.core.operations import OPERATIONS
from mockanka.core.release import KNOWN_RELEASES, OLDEST_RELEASE, Release
from tests.api.client import Wire, office, world
from tests.controllers import pass_time

Span = tuple[str | None, str | None]
"""The release that something came with, and the one that it went with."""

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")
CAME: dict[tuple[str, str], str] = {
    ("PUT", "/api/v1/node/update"): "1.18.0",
    ("DELETE", "/api/v1/registry/vm/remove"): "1.20.0",
    ("GET", "/api/v1/vlan"): "1.23.0",
    ("GET", "/livez"): "1.41.1",
    ("GET", "/readyz"): "1.41.1",
    ("DELETE", "/api/v1/registry/vm/distribute"): "1.43.0",
    ("POST", "/api/v1/rpc/vm/restart"): "1.44.0",
}
"""The operations that were not there from the beginning."""
BESIDE = {"/api/v1/registry/vm/distribute": ["GET", "POST"]}
"""What else their paths take, and took before."""


def before(release: Release) -> Release:
    """The last known release before that one."""
    return KNOWN_RELEASES[KNOWN_RELEASES.index(release) - 1]


@pytest.mark.parametrize(("method", "path"), CAME)
def test_an_operation_is_not_there_before_its_release(method: str, path: str) -> None:
    """As a path or a method that nobody knows: 404 as plain text, or 405 with what the path takes."""
    wire = office(str(before(Release.parse(CAME[method, path]))))
    for asked in METHODS:
        answer = wire.app.test_client().open(path, method=asked)
        if path not in BESIDE:
            assert (404, b"404 page not found\n") == (answer.status_code, answer.data)
        elif asked not in BESIDE[path]:
            assert (405, b"", ", ".join(BESIDE[path])) == (answer.status_code, answer.data, answer.headers["Allow"])


@pytest.mark.parametrize(("method", "path"), CAME)
def test_an_operation_is_there_from_its_release_on(method: str, path: str) -> None:
    """It is answered, and stands among those that a refused method is told of."""
    wire = office(CAME[method, path])
    taken = sorted([method, *BESIDE.get(path, [])])
    answer = wire.app.test_client().open(path, method=method)
    refused = wire.app.test_client().open(path, method="PATCH")

    assert answer.status_code in (200, 400)
    assert (405, ", ".join(taken)) == (refused.status_code, refused.headers["Allow"])


def test_no_other_operation_has_come_later() -> None:
    """Those of the table that came with a feature are these."""
    assert set(CAME) == {(operation.method, operation.path) for operation in OPERATIONS if operation.feature}


def test_a_newer_operation_changes_nothing_before_its_release() -> None:
    """Not even with a body that would be right later."""
    wire = office("1.17.0")
    state = wire.state()
    wire.send("PUT", "node/update")
    wire.send("DELETE", "registry/vm/remove", query=f"id={next(iter(wire.controller.templates))}")
    wire.send("POST", "rpc/vm/restart", json.dumps({"instance_id": next(iter(wire.controller.instances))}).encode())
    wire.send("DELETE", "registry/vm/distribute", query=f"id={next(iter(wire.controller.distributions))}")

    assert state == wire.state()


# Keys.

LAST_USED: dict[str, Span] = {"last_pull": ("1.43.0", None), "last_push": ("1.43.0", None)}
KEYS: dict[str, dict[str, Span]] = {
    "instance": {
        "instance_id": ("1.24.0", None),
        "inflight_reqid": ("1.27.0", None),
        "name": ("1.24.0", None),
        "external_id": ("1.24.0", None),
        "mac_address": ("1.9.0", None),
        "arch": ("1.22.0", None),
        "vlan": ("1.23.0", None),
        "startup_script": ("1.24.0", None),
    },
    "nameless item": {"name": ("1.24.0", None), "external_id": ("1.24.0", None)},
    "tagless instance": {
        "instance_id": ("1.24.0", None),
        "tag": ("1.24.1", None),
        "mac_address": ("1.9.0", None),
        "arch": ("1.22.0", None),
        "vlan": ("1.23.0", None),
    },
    "vminfo": {
        "version": ("1.24.0", None),
        "creation_date": ("1.24.0", None),
        "access_date": ("1.41.0", None),
        "start_date": ("1.44.0", None),
        "stop_date": ("1.24.0", None),
        "vnc_connection_string": (None, "1.41.0"),
        "vnc_password": ("1.24.0", None),
        "timestamp": ("1.41.0", None),
    },
    "port": {"Name": (None, "1.24.0"), "rule_name": ("1.24.0", "1.39.0"), "name": ("1.39.0", None)},
    "startup_script": {},
    "node": {
        "usb_devices": (None, "1.43.0"),
        "host_arch": ("1.22.0", None),
        "templates": ("1.20.0", None),
        "last_updated": ("1.43.0", None),
        "timestamp": ("1.43.0", None),
        "agent_version": ("1.43.0", None),
    },
    "anka_version": {"expires": ("1.43.0", None)},
    "anka_version by id": {"expires": ("1.43.0", None)},
    "group": {},
    "template in the list": {"arch": ("1.22.0", None), **LAST_USED},
    "template in the v1 list": {"size": (None, "1.28.0"), "arch": ("1.22.0", "1.28.0"), **LAST_USED},
    "template": {"size": ("1.22.0", None), "arch": ("1.22.0", None), **LAST_USED},
    "version": {"arch": ("1.22.0", None), **LAST_USED},
    "distribution": {},
    "delivery": {"error": ("1.43.0", None)},
    "save image request": {"script_result": ("1.15.0", None)},
    "save image task": {
        "ReserveExpiryTimestamp": ("1.15.0", None),
        "CancelOnScriptFailure": ("1.15.0", None),
    },
    "script_result": {"did_timeout": ("1.42.0", None)},
}
"""The keys of each object that were not always there. Where an object is missing altogether it has no keys."""

RICH = """
controller: {mac_addresses: 9}
templates:
  - name: mac
    port_forwarding: [{name: ssh, guest_port: 22}]
    versions: [{tag: base, size: 1GB}, {tag: tools, size: 1GB}]
  - {name: huge, versions: [{tag: base, size: 900GB}]}
nodes: [{name: alpha, capacity: 9, cached: [mac], vlans: ["12"]}]
groups: [{name: mine, nodes: [alpha]}]
"""
ECHO = base64.b64encode(b"echo").decode()


@cache
def objects(release: Release) -> dict[str, set[str]]:
    """The keys that each object has on the wire when all that may be left out is set."""
    wire = world(RICH, str(release))
    mac, huge = wire.get("registry/vm")
    (group_id,) = wire.controller.groups
    every = {
        "name": "name",
        "external_id": "external",
        "metadata": {"a": 1},
        "version": 1,
        "tag": "tools",
        "group_id": group_id,
        "startup_script": ECHO,
        "script_monitoring": True,
    }
    id, bare, saved = wire.start(vmid=mac["id"], **every), wire.start(vmid=mac["id"]), wire.start(vmid=mac["id"])
    sent = wire.do("POST", "registry/vm/distribute", {"template_id": huge["id"]})["request_id"]
    pass_time(wire.controller, 60)
    mine = wire.controller.instances[id]
    assert mine.vm is not None
    mine.vm = replace(mine.vm, vnc_password="secret")
    wire.controller.mark_changed(mine)
    made = wire.do("POST", "image", {"id": saved, "target_vm_id": mac["id"], "script": ECHO})["request_id"]
    pass_time(wire.controller, 3)
    return {name: set(thing) for name, thing in _things(wire, id, bare, sent, made, mac["id"])}


def _things(wire: Wire, id: str, bare: str, sent: str, made: str, template_id: str) -> Iterator[tuple[str, Any]]:
    instance, template = wire.get("vm", f"id={id}"), wire.get("registry/vm", f"id={template_id}")
    (node,), (by_id,) = wire.get("node"), wire.get("node", f"id={next(iter(wire.controller.nodes))}")
    request = wire.get("image", f"id={made}")
    distribution = wire.get("registry/vm/distribute", f"id={sent}")
    yield "instance", instance
    yield "vminfo", instance["vminfo"]
    yield "port", instance["vminfo"]["port_forwarding"][0]
    yield "startup_script", instance.get("startup_script", ())
    yield "nameless item", next(item for item in wire.get("vm") if item["instance_id"] == bare)
    yield "tagless instance", {key: value for key, value in wire.get("vm", f"id={bare}").items() if key in SINCE_BARE}
    yield "node", node
    yield "anka_version", node["anka_version"]
    yield "anka_version by id", by_id["anka_version"]
    yield "group", node["groups"][0]
    yield "template in the list", wire.get("registry/vm")[0]
    yield "template in the v1 list", wire.get("registry/vm", "apiVer=v1")[0]
    yield "template", template
    yield "version", template["versions"][0]
    yield "distribution", distribution
    yield "delivery", next(iter(distribution["distribute_status"].values()))
    yield "save image request", request
    yield "save image task", request["request"]
    yield "script_result", request.get("script_result") or ()


SINCE_BARE = set(KEYS["tagless instance"])
ALWAYS_HERE = ("startup_script", "script_result")
"""Objects that are missing themselves before their release, so that all their keys come with them."""


def within(span: Span, release: Release) -> bool:
    since, until = (None if each is None else Release.parse(each) for each in span)
    return (since is None or release >= since) and (until is None or release < until)


@pytest.mark.parametrize("name", KEYS)
def test_each_key_is_there_exactly_from_its_release_on(name: str) -> None:
    """At every release that is known an object has the keys of that release, and no other."""
    whole = set().union(*(objects(release)[name] for release in KNOWN_RELEASES))
    always = dict.fromkeys(whole - set(KEYS[name]), (None, None))
    spans: dict[str, Span] = {**always, **KEYS[name]}
    for release in KNOWN_RELEASES:
        found = objects(release)[name]
        if name in ALWAYS_HERE and not found:
            assert release < Release.parse({"startup_script": "1.24.0", "script_result": "1.15.0"}[name])
            continue
        assert {key for key, span in spans.items() if within(span, release)} == found, str(release)


def tables(module: ModuleType) -> Iterator[tuple[str, FieldTable[Any]]]:
    for name, each in vars(module).items():
        if isinstance(each, FieldTable):
            yield f"{module.__name__.rpartition('.')[2]}.{name}", each


TABLES = dict(
    each for module in (distributions, groups, images, instance_responses, nodes, templates) for each in tables(module)
)
PLACES = {
    "groups.GROUP_FIELDS": ["group"],
    "images.SAVE_TASK_FIELDS": ["save image task"],
    "images.SAVE_SCRIPT_FIELDS": ["script_result"],
    "images.SAVE_IMAGE_FIELDS": ["save image request"],
    "instance_responses.PORT_FIELDS": ["port"],
    "instance_responses.VM_FIELDS": ["vminfo"],
    "instance_responses.STARTUP_SCRIPT_FIELDS": ["startup_script"],
    "instance_responses.INSTANCE_FIELDS": ["instance"],
    "nodes.ANKA_VERSION_FIELDS": ["anka_version", "anka_version by id"],
    "nodes.GROUP_FIELDS": ["group"],
    "nodes.NODE_FIELDS": ["node"],
    "templates.TEMPLATE_ITEM_FIELDS": ["template in the list"],
    "templates.V1_TEMPLATE_ITEM_FIELDS": ["template in the v1 list"],
    "templates.VERSION_FIELDS": ["version"],
    "templates.TEMPLATE_FIELDS": ["template"],
    "distributions.DELIVERY_FIELDS": ["delivery"],
    "distributions.DISTRIBUTION_FIELDS": ["distribution"],
}
"""Where the objects of each table are seen."""


def test_every_table_is_seen_here() -> None:
    """No table of the code is left out, and each key of each is seen at some release."""
    unseen = {
        (name, key.name)
        for name, table in TABLES.items()
        for place in PLACES[name]
        for key in table.keys
        if not any(key.name in objects(release)[place] for release in KNOWN_RELEASES)
    }

    assert set(PLACES) == set(TABLES)
    # No instance here is in Error, or has a USB device.
    assert {
        ("instance_responses.INSTANCE_FIELDS", "message"),
        ("instance_responses.INSTANCE_FIELDS", "usb_device"),
    } == unseen


@pytest.mark.parametrize("name", TABLES)
def test_every_key_that_came_or_went_is_written_down(name: str) -> None:
    """The spans of a table's keys are those of this file."""
    spans = {
        key.name: (key.since and str(key.since), key.until and str(key.until))
        for key in TABLES[name].keys
        if key.since or key.until
    }

    assert all(spans.items() <= KEYS[place].items() for place in PLACES[name])


def test_the_oldest_release_has_none_of_it() -> None:
    """Whatever came later is not there at 1.8.0."""
    found = objects(OLDEST_RELEASE)

    assert {} == {
        name: keys
        for name, spans in KEYS.items()
        if (keys := {key for key, (since, _) in spans.items() if since} & found[name])
    }


# What is the same key with another value.


@pytest.mark.parametrize(("release", "shown"), [("1.23.0", ""), ("1.24.0", "http://anka.registry:8089")])
def test_the_address_of_the_registry_was_blank(release: str, shown: str) -> None:
    """Of an instance, until 1.24."""
    wire = office(release)

    assert shown == wire.get("vm")[0]["vm"]["anka_registry"]


@pytest.mark.parametrize(("release", "status"), [("1.8.0", 200), ("1.19.0", 200), ("1.20.0", 400), ("1.50.1", 400)])
def test_the_status_of_a_failure(release: str, status: int) -> None:
    """200 up to 1.19, 400 from 1.20 on."""
    assert status == office(release).send("GET", "vm", query="id=nobody").status_code


@pytest.mark.parametrize(("release", "version"), [("1.31.0", ""), ("1.32.0", "3.6.1")])
def test_a_node_by_id_was_blanked(release: str, version: str) -> None:
    """Before 1.32 its Anka version is blank, with all the keys of the release."""
    wire = office(release)
    (node,) = wire.get("node", f"id={next(iter(wire.controller.nodes))}")

    assert version == node["anka_version"]["version"]


@pytest.mark.parametrize("release", ["1.21.2", "1.22.0"])
def test_an_instance_that_failed_early_shows_its_node_from_1_22_on(release: str) -> None:
    """It has no VM; where it was to run is told, or not."""
    wire = world(RICH, release)
    id = wire.start(vmid=wire.get("registry/vm")[1]["id"])
    pass_time(wire.controller, 60)
    one = wire.get("vm", f"id={id}")

    assert ("Error", release == "1.22.0") == (one["instance_state"], "node_id" in one)
    assert "vminfo" not in one


@pytest.mark.parametrize("release", ["1.49.0", "1.50.0"])
def test_after_its_pull_an_instance_shows_its_node(release: str) -> None:
    """Scheduling again since 1.50, with the node and progress 1; Pulling before."""
    wire = world(RICH.replace("cached: [mac], ", ""), release)
    id = wire.start(vmid=wire.get("registry/vm")[0]["id"])
    pass_time(wire.controller, 25)
    one = wire.get("vm", f"id={id}")

    assert ("Scheduling" if release == "1.50.0" else "Pulling", 1) == (one["instance_state"], one["progress"])
    assert one["node_id"] == next(iter(wire.controller.nodes))
    assert "vminfo" not in one


@pytest.mark.parametrize("release", ["1.48.3", "1.49.0"])
def test_an_instance_in_error_keeps_its_vm_from_1_49_on(release: str) -> None:
    """Before, it is deleted, and nothing leads to it."""
    wire = office(release)
    id = next(iter(wire.controller.instances))
    before = wire.get("vm", f"id={id}")["vminfo"]
    wire.do("DELETE", "node", {"node_id": before["node_id"]})
    after = wire.get("vm", f"id={id}")["vminfo"]

    if release == "1.49.0":
        assert {**before, "timestamp": ""} == {**after, "timestamp": ""}
    else:
        assert ("deleted", "", 0) == (after["status"], after["ip"], after["vnc_port"])
        assert set(before) - set(after) == {"name", "port_forwarding"}
