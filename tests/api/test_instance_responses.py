"""The fields of instances: by state, by request, by id and in the list."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from mockanka.core import failures, nodes
from mockanka.core.lifecycle import LostInstances
from tests.api.client import (
    INSTANCE,
    NEW,
    NODE,
    OLD,
    OTHER_GROUP,
    OTHER_TEMPLATE,
    TEMPLATE,
    UNKNOWN_ID,
    ApiClient,
    api_of,
    default_api,
)
from tests.controllers import pass_time

ALWAYS = ["instance_state", "anka_registry", "vmid", "ts", "cr_time", "progress"]


SCHEDULING = "instance_state anka_registry vmid inflight_reqid ts cr_time progress".split()


PULLING = "instance_state anka_registry vmid node_id inflight_reqid ts cr_time progress".split()


STARTED = "instance_state anka_registry vmid vminfo node_id ts cr_time progress".split()


ERROR = "instance_state message anka_registry vmid vminfo node_id ts cr_time progress".split()


VMINFO = "uuid name cpu_cores ram status node_id host_ip ip vnc_port vnc_connection_string port_forwarding".split()


def describe_at(api: ApiClient, instance_id: str, *moments: float) -> list[tuple[Any, list[str], Any]]:
    """Return the state, keys and progress of an instance, each after so many more seconds."""
    descriptions = []
    for seconds in moments:
        pass_time(api.controller, seconds)
        instance = api.get("vm", f"id={instance_id}")
        descriptions.append((instance["instance_state"], list(instance), instance["progress"]))
    return descriptions


def test_an_instance_of_a_cached_template_goes_from_scheduling_to_started() -> None:
    """Without a pull an instance is Scheduling, with neither node nor VM, and then Started; progress stays 0."""
    api = default_api()
    instance_id = api.start(vmid=TEMPLATE)

    expected = [("Scheduling", SCHEDULING, 0), ("Scheduling", SCHEDULING, 0), ("Started", STARTED, 0)]
    assert expected == describe_at(api, instance_id, 0, 2, 30)


def test_a_pulling_instance_has_its_node_and_progress() -> None:
    """Pulling has a node and no VM, also while the VM boots; progress ends, and stays, at 1."""
    api = default_api()
    instance_id = api.start(vmid=OTHER_TEMPLATE)

    expected = [
        ("Scheduling", SCHEDULING, 0),
        ("Pulling", PULLING, 0),
        ("Pulling", PULLING, 0.25),
        ("Pulling", PULLING, 1),
        ("Started", STARTED, 1),
    ]
    assert expected == describe_at(api, instance_id, 0, 1, 16, 50, 30)


@pytest.mark.parametrize(
    ("release", "state"), [("1.11.1", "Terminating"), ("1.13.0", "Started"), ("1.50.1", "Started")]
)
def test_an_instance_of_a_lost_node_is_terminated_before_1_13_and_kept_since(release: str, state: str) -> None:
    """A kept one shows the same as before, to the byte: its ``ts`` stands still."""
    api = default_api(release)
    nodes.lose_node(api.controller, NODE)
    before = api.get("vm", f"id={INSTANCE}")
    pass_time(api.controller, 130)
    after = api.get("vm", f"id={INSTANCE}")

    assert state == after["instance_state"]
    assert (before == after) is (state == "Started")


def test_a_start_that_is_tried_again_shows_no_trace_of_it() -> None:
    """While it waits for another node it shows what it showed before the first attempt, but for ``ts``."""
    api = default_api()
    instance_id = api.start(vmid=OTHER_TEMPLATE, node_id=NODE)
    before = api.get("vm", f"id={instance_id}")
    pass_time(api.controller, 2)
    nodes.lose_node(api.controller, NODE)
    pass_time(api.controller, 200)
    after = api.get("vm", f"id={instance_id}")

    assert {**before, "ts": ""} == {**after, "ts": ""}


def test_an_instance_of_a_lost_node_may_be_in_error_with_a_message() -> None:
    """If the scenario says so, it is in Error when its node is Offline; the message comes after the state."""
    api = default_api()
    api.controller.lost_instances = LostInstances.ERROR
    nodes.lose_node(api.controller, NODE)
    ((state, keys, _),) = describe_at(api, INSTANCE, 300)

    assert ("Error", ["instance_state", "message", *with_tag(ERROR[2:])]) == (state, keys)
    assert api.get("vm", f"id={INSTANCE}")["message"] == "node mini-01 is offline"


def test_an_instance_that_fails_before_it_has_a_vm_has_no_vminfo() -> None:
    """Error without a VM has a message, no vminfo, and before 1.22 no node."""
    api = default_api()
    instance_id = api.start(vmid=OTHER_TEMPLATE, node_id=NODE)
    pass_time(api.controller, 2)
    failures.fail_instance(api.controller, api.controller.instances[instance_id], "no")
    ((state, keys, _),) = describe_at(api, instance_id, 300)

    expected = with_request_id([key for key in ERROR if key not in ("vminfo", "node_id")])
    assert ("Error", expected) == (state, keys)


def with_request_id(keys: list[str]) -> list[str]:
    """Return the keys of an instance that never had a VM, which keeps the id of its request."""
    place = keys.index("ts")
    return [*keys[:place], "inflight_reqid", *keys[place:]]


def with_tag(keys: list[str]) -> list[str]:
    """Return the keys of an instance whose request had a tag."""
    place = keys.index("vmid") + 1
    return [*keys[:place], "tag", *keys[place:]]


def test_terminating_and_terminated_keep_the_keys() -> None:
    """A terminated instance keeps its keys until it is forgotten a minute later."""
    api = default_api()
    api.perform("DELETE", "vm", {"id": INSTANCE})

    keys = with_tag(STARTED)
    assert [("Terminating", keys, 0), ("Terminated", keys, 0)] == describe_at(api, INSTANCE, 0, 30)
    pass_time(api.controller, 120)
    assert (api.envelope("GET", "vm", query=f"id={INSTANCE}")["message"], api.get("vm")) == ("Not found", [])


def test_an_instance_that_never_started_is_terminated_without_a_vm() -> None:
    """An instance that is terminated while Scheduling has neither node nor VM, and is never Terminated."""
    api = default_api()
    instance_id = api.start(vmid=TEMPLATE)
    api.perform("DELETE", "vm", {"id": instance_id})

    assert describe_at(api, instance_id, 0, 59) == [("Terminating", with_request_id(ALWAYS), 0)] * 2
    pass_time(api.controller, 2)
    assert api.envelope("GET", "vm", query=f"id={instance_id}")["message"] == "Not found"


def test_requested_fields_show_in_their_places() -> None:
    """Tag, version, group, metadata and device are there if they were requested, in this order."""
    api = default_api()
    fields = {"version": 1, "group_id": OTHER_GROUP, "metadata": {"b": 1, "a": "x", "c": False}, "usb_device": "iphone"}
    instance_id = api.start(vmid=TEMPLATE, tag="xcode-15", **fields)
    instance = api.get("vm", f"id={instance_id}")

    expected = (
        "instance_state anka_registry vmid tag version inflight_reqid ts cr_time progress group_id metadata usb_device"
    )
    assert expected.split() == list(instance)
    assert {**fields, "tag": "xcode-15"} == {key: instance[key] for key in (*fields, "tag")}
    assert list(instance["metadata"]) == ["a", "b", "c"]


def test_a_requested_version_is_shown_also_if_it_is_zero() -> None:
    """The version is there only if the request named one."""
    api = default_api()

    assert 0 == api.get("vm", f"id={api.start(vmid=TEMPLATE, version=0)}")["version"]
    assert "version" not in api.get("vm", f"id={api.start(vmid=TEMPLATE)}")


@pytest.mark.parametrize(("release", "tag"), [(OLD, None), ("1.24.0", None), ("1.24.1", "xcode-15"), (NEW, "xcode-15")])
def test_the_tag_is_filled_in_from_1_24_1_on(release: str, tag: str | None) -> None:
    """Without a requested tag there is none before 1.24.1, and the latest one from then on."""
    api = default_api(release)

    assert tag == api.get("vm", f"id={api.start(vmid=TEMPLATE)}").get("tag")


def test_vminfo_has_its_keys_in_order() -> None:
    """A VM and its port rules have these keys in this order; RAM is a string with its unit."""
    info = default_api().get("vm", f"id={INSTANCE}")["vminfo"]

    assert list(info) == VMINFO
    assert info["port_forwarding"] == [{"guest_port": 22, "host_port": 10000, "protocol": "tcp", "Name": "ssh"}]
    assert ["guest_port", "host_port", "protocol", "Name"] == list(info["port_forwarding"][0])
    assert tuple(
        info[key] for key in ("status", "cpu_cores", "ram", "node_id", "host_ip", "vnc_port", "vnc_connection_string")
    ) == ("running", 4, "8G", NODE, "192.0.2.11", 5901, "vnc://:@192.0.2.11:5901")


def test_a_vm_without_port_rules_has_no_such_key() -> None:
    """port_forwarding is left out when there are no rules."""
    api = api_of(
        """
        templates: [{name: t, versions: [{tag: a, size: 1GB}]}]
        nodes: [{name: n, cached: [t]}]
        instances: [{template: t, node: n}]
        """
    )

    assert VMINFO[:-1] == list(api.get("vm")[0]["vm"]["vminfo"])


def test_nothing_in_an_instance_is_ever_null() -> None:
    """No value of an instance is ever null: what does not exist is left out."""
    api = default_api()
    instance_id = api.start(vmid=OTHER_TEMPLATE, node_id=NODE)
    for _ in range(40):
        pass_time(api.controller, 5)
        assert b"null" not in api.send("GET", "vm").data
        if api.get("vm", f"id={instance_id}")["instance_state"] == "Started":
            break
    nodes.lose_node(api.controller, NODE)
    pass_time(api.controller, 300)

    assert b"null" not in api.send("GET", "vm").data


@pytest.mark.parametrize(
    ("named", "keys"),
    [
        ({}, ["instance_id", "vm"]),
        ({"name": "n"}, ["instance_id", "name", "vm"]),
        ({"external_id": "e"}, ["external_id", "instance_id", "vm"]),
        ({"name": "n", "external_id": "e"}, ["external_id", "instance_id", "name", "vm"]),
        ({"name": "", "external_id": ""}, ["instance_id", "vm"]),
        ({"name": None, "external_id": None}, ["instance_id", "vm"]),
    ],
)
def test_an_item_of_the_list_wraps_the_instance(named: dict[str, Any], keys: list[str]) -> None:
    """A list item has id, and name and external id if they are set; under vm it has the instance as by id."""
    api = default_api()
    instance_id = api.start(vmid=TEMPLATE, **named)
    item = api.get("vm")[-1]

    assert (keys, instance_id) == (list(item), item["instance_id"])
    assert named.items() >= {key: item[key] for key in ("name", "external_id") if key in item}.items()
    assert api.get("vm", f"id={instance_id}") == item["vm"]


def test_instances_are_listed_in_order_of_creation_and_none_is_an_empty_list() -> None:
    """Instances are listed oldest first; without instances the list is an empty array."""
    api = default_api()
    started = api.perform("POST", "vm", {"vmid": TEMPLATE, "count": 3})

    assert [INSTANCE, *started] == [item["instance_id"] for item in api.get("vm")]
    assert api_of("{}").get("vm") == []


@pytest.mark.parametrize("query", ["id=", f"id=&id={INSTANCE}", "ID=x", "other=x", "id"])
def test_an_empty_id_is_the_list(query: str) -> None:
    """A GET with an empty id, or without one, answers with the list."""
    api = default_api()

    assert api.get("vm") == api.get("vm", query)


def test_of_several_ids_the_first_counts() -> None:
    """The first of several parameters of one name counts, as in Go."""
    api = default_api()
    other = api.start(vmid=TEMPLATE)

    assert api.get("vm", f"id={other}") == api.get("vm", f"id={other}&id={INSTANCE}")
    assert api.envelope("GET", "vm", query=f"id={UNKNOWN_ID}&id={INSTANCE}")["message"] == "Not found"


def test_a_new_instance_is_a_microsecond_older_than_its_creation() -> None:
    """ts of a new instance is just before cr_time, and moves with the node's reports once it is Started."""
    api = default_api()
    instance = api.get("vm", f"id={api.start(vmid=TEMPLATE)}")
    times = []
    for _ in range(3):
        pass_time(api.controller, 5)
        times.append(api.get("vm", f"id={INSTANCE}")["ts"])

    assert (instance["ts"], instance["cr_time"]) == ("2023-12-31T23:59:59.999999Z", "2024-01-01T00:00:00Z")
    assert sorted(set(times)) == times


def test_a_vm_is_not_sampled_before_its_creation() -> None:
    """The timestamp of vminfo is the time of the creation at the earliest, also in the first seconds of a VM."""
    api = api_of(
        """
        timings: {boot: 500ms}
        templates: [{name: mac, versions: [{tag: base, size: 1GB}]}]
        nodes: [{name: alpha, cached: [mac]}]
        """,
        NEW,
    )
    instance_id = api.start(vmid=next(iter(api.controller.templates)))
    pass_time(api.controller, 2)
    vminfo = api.get("vm", f"id={instance_id}")["vminfo"]

    assert datetime.fromisoformat(vminfo["creation_date"]) <= datetime.fromisoformat(vminfo["timestamp"])
