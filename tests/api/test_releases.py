"""The operations and the keys of every object at each release, stated here independently of the code."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from types import ModuleType
from typing import Any

import pytest

from mockanka.api import distributions, groups, instance_responses, nodes, save_images, templates
from mockanka.api.field_table import FieldTable
from mockanka.core.operations import OPERATIONS
from mockanka.core.release import KNOWN_RELEASES, OLDEST_RELEASE, Release
from tests.api.client import ApiClient, api_of, default_api
from tests.controllers import pass_time

Span = tuple[str | None, str | None]
"""The release that added something, and the one that removed it."""

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")
LATER_OPERATIONS: dict[tuple[str, str], str] = {
    ("PUT", "/api/v1/node/update"): "1.18.0",
    ("DELETE", "/api/v1/registry/vm/remove"): "1.20.0",
    ("GET", "/api/v1/vlan"): "1.23.0",
    ("GET", "/livez"): "1.41.1",
    ("GET", "/readyz"): "1.41.1",
    ("DELETE", "/api/v1/registry/vm/distribute"): "1.43.0",
    ("POST", "/api/v1/rpc/vm/restart"): "1.44.0",
}
"""The operations that the oldest release lacks, and the releases that added them."""
OTHER_METHODS = {"/api/v1/registry/vm/distribute": ["GET", "POST"]}
"""The other methods of their paths, which the paths had before."""


def before(release: Release) -> Release:
    """The last known release before that one."""
    return KNOWN_RELEASES[KNOWN_RELEASES.index(release) - 1]


@pytest.mark.parametrize(("method", "path"), LATER_OPERATIONS)
def test_an_operation_is_not_there_before_its_release(method: str, path: str) -> None:
    """As a path or a method that nobody knows: 404 as plain text, or an empty 405."""
    api = default_api(str(before(Release.parse(LATER_OPERATIONS[method, path]))))
    for other_method in METHODS:
        response = api.app.test_client().open(path, method=other_method)
        if path not in OTHER_METHODS:
            assert (404, b"404 page not found\n") == (response.status_code, response.data)
        elif other_method not in OTHER_METHODS[path]:
            assert (405, b"") == (response.status_code, response.data)


@pytest.mark.parametrize(("method", "path"), LATER_OPERATIONS)
def test_an_operation_is_there_from_its_release_on(method: str, path: str) -> None:
    """It is answered, and an unknown method of its path is an empty 405."""
    api = default_api(LATER_OPERATIONS[method, path])
    response = api.app.test_client().open(path, method=method)
    refused = api.app.test_client().open(path, method="PATCH")

    assert response.status_code in (200, 400)
    assert (405, b"") == (refused.status_code, refused.data)


def test_no_other_operation_has_come_later() -> None:
    """Those of the table that came with a feature are these."""
    assert set(LATER_OPERATIONS) == {
        (operation.method, operation.path) for operation in OPERATIONS if operation.feature
    }


def test_a_newer_operation_changes_nothing_before_its_release() -> None:
    """Not even with a body that would be right later."""
    api = default_api("1.17.0")
    state = api.dump()
    api.send("PUT", "node/update")
    api.send("DELETE", "registry/vm/remove", query=f"id={next(iter(api.controller.templates))}")
    api.send("POST", "rpc/vm/restart", json.dumps({"instance_id": next(iter(api.controller.instances))}).encode())
    api.send("DELETE", "registry/vm/distribute", query=f"id={next(iter(api.controller.distributions))}")

    assert state == api.dump()


LAST_USED: dict[str, Span] = {"last_pull": ("1.43.0", None), "last_push": ("1.43.0", None)}
CHANGED_KEYS: dict[str, dict[str, Span]] = {
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
"""The keys of each object that not all releases have. An object that is missing altogether has no keys."""

SCENARIO = """
controller: {mac_addresses: 9}
templates:
  - name: mac
    port_forwarding: [{name: ssh, guest_port: 22}]
    versions: [{tag: base, size: 1GB}, {tag: tools, size: 1GB}]
  - {name: huge, versions: [{tag: base, size: 900GB}]}
nodes: [{name: alpha, capacity: 9, cached: [mac], vlans: ["12"]}]
groups: [{name: group, nodes: [alpha]}]
"""
ECHO = base64.b64encode(b"echo").decode()


@cache
def objects(release: Release) -> dict[str, set[str]]:
    """The keys that each object has on the api when all that may be left out is set."""
    api = api_of(SCENARIO, str(release))
    mac, huge = api.get("registry/vm")
    (group_id,) = api.controller.groups
    fields = {
        "name": "name",
        "external_id": "external",
        "metadata": {"a": 1},
        "version": 1,
        "tag": "tools",
        "group_id": group_id,
        "startup_script": ECHO,
        "script_monitoring": True,
    }
    instance_id = api.start(vmid=mac["id"], **fields)
    bare_id, saved_id = api.start(vmid=mac["id"]), api.start(vmid=mac["id"])
    distribution_id = api.perform("POST", "registry/vm/distribute", {"template_id": huge["id"]})["request_id"]
    pass_time(api.controller, 60)
    instance = api.controller.instances[instance_id]
    assert instance.vm is not None
    instance.vm = replace(instance.vm, vnc_password="secret")
    api.controller.mark_changed(instance)
    save_id = api.perform("POST", "image", {"id": saved_id, "target_vm_id": mac["id"], "script": ECHO})["request_id"]
    pass_time(api.controller, 3)
    return {
        name: set(keys) for name, keys in _find_objects(api, instance_id, bare_id, distribution_id, save_id, mac["id"])
    }


def _find_objects(
    api: ApiClient, instance_id: str, bare_id: str, distribution_id: str, save_id: str, template_id: str
) -> Iterator[tuple[str, Any]]:
    instance, template = api.get("vm", f"id={instance_id}"), api.get("registry/vm", f"id={template_id}")
    (node,), (by_id,) = api.get("node"), api.get("node", f"id={next(iter(api.controller.nodes))}")
    request = api.get("image", f"id={save_id}")
    distribution = api.get("registry/vm/distribute", f"id={distribution_id}")
    yield "instance", instance
    yield "vminfo", instance["vminfo"]
    yield "port", instance["vminfo"]["port_forwarding"][0]
    yield "startup_script", instance.get("startup_script", ())
    yield "nameless item", next(item for item in api.get("vm") if item["instance_id"] == bare_id)
    yield "tagless instance", set(api.get("vm", f"id={bare_id}")) & set(CHANGED_KEYS["tagless instance"])
    yield "node", node
    yield "anka_version", node["anka_version"]
    yield "anka_version by id", by_id["anka_version"]
    yield "group", node["groups"][0]
    yield "template in the list", api.get("registry/vm")[0]
    yield "template in the v1 list", api.get("registry/vm", "apiVer=v1")[0]
    yield "template", template
    yield "version", template["versions"][0]
    yield "distribution", distribution
    yield "delivery", next(iter(distribution["distribute_status"].values()))
    yield "save image request", request
    yield "save image task", request["request"]
    yield "script_result", request.get("script_result") or ()


ADDED_WITH_ALL_KEYS = ("startup_script", "script_result")
"""Objects that do not exist before a release, so that it adds all their keys."""


def within(span: Span, release: Release) -> bool:
    since, until = (None if text is None else Release.parse(text) for text in span)
    return (since is None or release >= since) and (until is None or release < until)


@pytest.mark.parametrize("name", CHANGED_KEYS)
def test_each_key_is_there_exactly_from_its_release_on(name: str) -> None:
    """At every release that is known an object has the keys of that release, and no other."""
    whole = set().union(*(objects(release)[name] for release in KNOWN_RELEASES))
    always = dict.fromkeys(whole - set(CHANGED_KEYS[name]), (None, None))
    spans: dict[str, Span] = {**always, **CHANGED_KEYS[name]}
    for release in KNOWN_RELEASES:
        found = objects(release)[name]
        if name in ADDED_WITH_ALL_KEYS and not found:
            assert release < Release.parse({"startup_script": "1.24.0", "script_result": "1.15.0"}[name])
            continue
        assert {key for key, span in spans.items() if within(span, release)} == found, str(release)


def tables(module: ModuleType) -> Iterator[tuple[str, FieldTable[Any]]]:
    for name, value in vars(module).items():
        if isinstance(value, FieldTable):
            yield f"{module.__name__.rpartition('.')[2]}.{name}", value


MODULES = (distributions, groups, instance_responses, nodes, save_images, templates)
TABLES = dict(item for module in MODULES for item in tables(module))
OBJECTS_OF_TABLES = {
    "groups.GROUP_FIELDS": ["group"],
    "save_images.SAVE_TASK_FIELDS": ["save image task"],
    "save_images.SAVE_SCRIPT_FIELDS": ["script_result"],
    "save_images.SAVE_IMAGE_FIELDS": ["save image request"],
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
"""The objects that each table renders."""


def test_every_table_is_seen_here() -> None:
    """No table of the code is left out, and each key of each is seen at some release."""
    unseen = {
        (name, key.name)
        for name, table in TABLES.items()
        for place in OBJECTS_OF_TABLES[name]
        for key in table.keys
        if not any(key.name in objects(release)[place] for release in KNOWN_RELEASES)
    }

    assert set(OBJECTS_OF_TABLES) == set(TABLES)
    # No instance here is in Error, or has a USB device.
    assert {("instance_responses.INSTANCE_FIELDS", key) for key in ("message", "usb_device")} == unseen


@pytest.mark.parametrize("name", TABLES)
def test_every_key_that_came_or_went_is_written_down(name: str) -> None:
    """The spans of a table's keys are those of this file."""
    spans = {
        key.name: (key.since and str(key.since), key.until and str(key.until))
        for key in TABLES[name].keys
        if key.since or key.until
    }

    assert all(spans.items() <= CHANGED_KEYS[place].items() for place in OBJECTS_OF_TABLES[name])


def test_the_oldest_release_has_none_of_it() -> None:
    """Whatever came later is not there at 1.8.0."""
    found = objects(OLDEST_RELEASE)

    assert {} == {
        name: keys
        for name, spans in CHANGED_KEYS.items()
        if (keys := {key for key, (since, _) in spans.items() if since} & found[name])
    }


# Keys whose values differ by release.


@pytest.mark.parametrize(("release", "address"), [("1.23.0", ""), ("1.24.0", "http://anka.registry:8089")])
def test_the_address_of_the_registry_was_blank(release: str, address: str) -> None:
    """Of an instance, until 1.24."""
    api = default_api(release)

    assert address == api.get("vm")[0]["vm"]["anka_registry"]


@pytest.mark.parametrize(("release", "status"), [("1.8.0", 200), ("1.19.0", 200), ("1.20.0", 400), ("1.50.1", 400)])
def test_the_status_of_a_failure(release: str, status: int) -> None:
    """200 up to 1.19, 400 from 1.20 on."""
    assert status == default_api(release).send("GET", "vm", query="id=nobody").status_code


@pytest.mark.parametrize(("release", "version"), [("1.31.0", ""), ("1.32.0", "3.6.1")])
def test_a_node_by_id_was_blanked(release: str, version: str) -> None:
    """Before 1.32 its Anka version is blank, with all the keys of the release."""
    api = default_api(release)
    (node,) = api.get("node", f"id={next(iter(api.controller.nodes))}")

    assert version == node["anka_version"]["version"]


@pytest.mark.parametrize("release", ["1.21.2", "1.22.0"])
def test_an_instance_that_failed_early_shows_its_node_from_1_22_on(release: str) -> None:
    """It has no VM; where it was to run is told, or not."""
    fault = "faults: [{match: {event: pull}, do: {fail: broken pipe}}]"
    api = api_of(SCENARIO.replace("cached: [mac], ", "") + fault, release)
    api.controller.retries = 0
    instance_id = api.start(vmid=api.get("registry/vm")[0]["id"])
    pass_time(api.controller, 60)
    instance = api.get("vm", f"id={instance_id}")

    assert ("Error", release == "1.22.0") == (instance["instance_state"], "node_id" in instance)
    assert "vminfo" not in instance


@pytest.mark.parametrize("release", ["1.49.0", "1.50.0"])
def test_after_its_pull_an_instance_shows_its_node(release: str) -> None:
    """Scheduling again since 1.50, with the node and progress 1; Pulling before."""
    api = api_of(SCENARIO.replace("cached: [mac], ", ""), release)
    instance_id = api.start(vmid=api.get("registry/vm")[0]["id"])
    pass_time(api.controller, 25)
    instance = api.get("vm", f"id={instance_id}")

    assert ("Scheduling" if release == "1.50.0" else "Pulling", 1) == (instance["instance_state"], instance["progress"])
    assert instance["node_id"] == next(iter(api.controller.nodes))
    assert "vminfo" not in instance


@pytest.mark.parametrize("release", ["1.48.3", "1.49.0"])
def test_an_instance_in_error_keeps_its_vm_from_1_49_on(release: str) -> None:
    """Before, it is deleted, and nothing leads to it."""
    api = default_api(release)
    instance_id = next(iter(api.controller.instances))
    before = api.get("vm", f"id={instance_id}")["vminfo"]
    api.perform("DELETE", "node", {"node_id": before["node_id"]})
    after = api.get("vm", f"id={instance_id}")["vminfo"]

    if release == "1.49.0":
        assert {**before, "timestamp": ""} == {**after, "timestamp": ""}
    else:
        assert ("deleted", "", 0) == (after["status"], after["ip"], after["vnc_port"])
        assert set(before) - set(after) == {
            *("name", "ram", "node_id", "host_ip", "port_forwarding"),
            *({"vnc_connection_string"} & set(before)),
        }
        assert {"uuid", "cpu_cores", "status", "ip", "vnc_port"} <= set(after)


OLD_VMINFO = "uuid name cpu_cores ram status node_id host_ip ip vnc_port vnc_connection_string port_forwarding"
ORDERS_OF_VMINFO = {
    "1.23.0": OLD_VMINFO,
    "1.24.0": f"{OLD_VMINFO} creation_date stop_date version",
    "1.40.0": f"{OLD_VMINFO} creation_date stop_date version",
    "1.41.0": "uuid name status version creation_date access_date cpu_cores ram node_id host_ip ip vnc_port "
    "port_forwarding stop_date timestamp",
    "1.43.0": "uuid name status version creation_date access_date cpu_cores ram node_id host_ip ip vnc_port "
    "port_forwarding stop_date timestamp",
    "1.44.0": "uuid name status version creation_date access_date start_date cpu_cores ram node_id host_ip ip vnc_port "
    "port_forwarding stop_date timestamp",
}


def started_instance(release: str, **fields: Any) -> tuple[ApiClient, dict[str, Any]]:
    """Return a client of SCENARIO, and a Started instance as the response to ``?id=`` has it."""
    api = api_of(SCENARIO, release)
    instance_id = api.start(vmid=api.get("registry/vm")[0]["id"], **fields)
    pass_time(api.controller, 60)
    instance: dict[str, Any] = api.get("vm", f"id={instance_id}")
    assert "Started" == instance["instance_state"]
    return api, instance


@pytest.mark.parametrize("release", ORDERS_OF_VMINFO)
def test_the_keys_of_vminfo_have_the_order_of_the_release(release: str) -> None:
    """It changes with 1.24 and with 1.41; start_date came with 1.44."""
    _, instance = started_instance(release)

    assert ORDERS_OF_VMINFO[release].split() == list(instance["vminfo"])


@pytest.mark.parametrize(
    ("release", "name"),
    [
        ("1.23.0", ("Name", "ssh")),
        ("1.24.0", ("rule_name", "")),
        ("1.38.0", ("rule_name", "")),
        ("1.39.0", ("name", "ssh")),
    ],
)
def test_a_port_rule_ends_with_its_name(release: str, name: tuple[str, str]) -> None:
    """It is blank from 1.24 to 1.38."""
    (rule,) = started_instance(release)[1]["vminfo"]["port_forwarding"]

    assert ["guest_port", "host_port", "protocol"] == list(rule)[:3]
    assert name == list(rule.items())[-1]
    assert 4 == len(rule)


@pytest.mark.parametrize("release", ["1.26.0", "1.27.0"])
def test_a_started_instance_shows_its_request_from_1_27_on(release: str) -> None:
    """Before, the id of the request is there only until the instance has a VM."""
    assert (release == "1.27.0") is ("inflight_reqid" in started_instance(release)[1])


@pytest.mark.parametrize("release", ["1.24.0", "1.40.0", "1.41.0", "1.51.2"])
def test_the_creation_date_is_that_of_the_version(release: str) -> None:
    """It is older than the instance, and two instances of a version have the same."""
    api, instance = started_instance(release)
    pass_time(api.controller, 60)
    later = api.get("vm", f"id={api.start(vmid=instance['vmid'])}")
    pass_time(api.controller, 60)
    later_vminfo = api.get("vm", f"id={later['instance_id']}")["vminfo"]

    assert instance["vminfo"]["creation_date"] < instance["cr_time"] < later["cr_time"]
    assert instance["vminfo"]["creation_date"] == later_vminfo["creation_date"]


@pytest.mark.parametrize("release", ["1.41.0", "1.51.2"])
def test_the_access_date_moves_with_the_reports(release: str) -> None:
    """It is the timestamp, cut to the second in UTC."""
    api, instance = started_instance(release)
    pass_time(api.controller, 300)
    after = api.get("vm", f"id={instance['instance_id']}")["vminfo"]

    assert instance["vminfo"]["access_date"] < after["access_date"]
    for vminfo in (instance["vminfo"], after):
        assert f"{vminfo['timestamp'].removesuffix('Z')[:19]}Z" == vminfo["access_date"]


@pytest.mark.parametrize("release", KNOWN_RELEASES, ids=str)
def test_the_status_and_the_agents_show_one_version(release: Release) -> None:
    """The version is the release and eight hex digits, at every known release."""
    api = default_api(str(release))
    version = api.get("status")["version"]

    assert re.fullmatch(rf"{release}-[0-9a-f]{{8}}", version)
    assert {version} == {node.get("agent_version", version) for node in api.get("node")}
    assert all(("agent_version" in node) is (release >= Release(1, 43, 0)) for node in api.get("node"))


@pytest.mark.parametrize(
    ("release", "version"),
    [
        *(("1.8.0", "1.8.0-91225db0"), ("1.11.2", "1.11.2-ae2c9036"), ("1.12.0", "1.12.0-65cba643")),
        *(("1.24.1", "1.24.1-41a53e49"), ("1.48.3", "1.48.3-4f324404"), ("1.51.2", "1.51.2-184ce875")),
    ],
)
def test_the_status_shows_the_build_on_record(release: str, version: str) -> None:
    """These builds are known; those that are made up for others depend on the release alone."""
    assert version == default_api(release).get("status")["version"]
