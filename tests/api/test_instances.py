"""Instances on the wire: starting, listing, updating and terminating them, and the bytes kept for polls."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from mockanka.api.app import create_app
from mockanka.core import nodes
from mockanka.core.release import Release
from tests.api.client import (
    GROUP,
    INSTANCE,
    NEW,
    NODE,
    NOWHERE,
    OLD,
    OTHER_GROUP,
    OTHER_NODE,
    OTHER_TEMPLATE,
    RELEASES,
    TEMPLATE,
    Wire,
    office,
    world,
)
from tests.controllers import pass_time, shipped

ALWAYS = ["instance_state", "anka_registry", "vmid", "ts", "cr_time", "progress"]
SCHEDULING = "instance_state anka_registry vmid inflight_reqid ts cr_time progress".split()
PULLING = "instance_state anka_registry vmid node_id inflight_reqid ts cr_time progress".split()
STARTED = "instance_state anka_registry vmid vminfo node_id ts cr_time progress".split()
ERROR = "instance_state message anka_registry vmid vminfo node_id ts cr_time progress".split()
VMINFO = "uuid name status cpu_cores ram node_id host_ip ip vnc_port vnc_connection_string port_forwarding".split()


def seen_at(wire: Wire, instance_id: str, *moments: float) -> list[tuple[Any, list[str], Any]]:
    """State, keys and progress of an instance, each after that many more seconds."""
    seen = []
    for seconds in moments:
        pass_time(wire.controller, seconds)
        one = wire.get("vm", f"id={instance_id}")
        seen.append((one["instance_state"], list(one), one["progress"]))
    return seen


# Keys by state, at 1.8.0.


def test_an_instance_of_a_cached_template_goes_from_scheduling_to_started() -> None:
    """Without a pull an instance is Scheduling, with neither node nor VM, and then Started; progress stays 0."""
    wire = office()
    instance_id = wire.start(vmid=TEMPLATE)

    expected = [("Scheduling", SCHEDULING, 0), ("Scheduling", SCHEDULING, 0), ("Started", STARTED, 0)]
    assert expected == seen_at(wire, instance_id, 0, 2, 30)


def test_an_instance_that_pulls_shows_its_node_and_how_far_it_is() -> None:
    """A pull shows as Pulling with the node and no VM, also while the VM boots; progress ends, and stays, at 1."""
    wire = office()
    instance_id = wire.start(vmid=OTHER_TEMPLATE)

    expected = [
        ("Scheduling", SCHEDULING, 0),
        ("Pulling", PULLING, 0),
        ("Pulling", PULLING, 0.25),
        ("Pulling", PULLING, 1),
        ("Started", STARTED, 1),
    ]
    assert expected == seen_at(wire, instance_id, 0, 1, 16, 50, 30)


def test_an_instance_of_a_lost_node_is_in_error_with_a_message() -> None:
    """When its node is given up an instance is in Error; the message stands behind the state."""
    wire = office()
    nodes.lose_node(wire.controller, NODE)
    ((state, keys, _),) = seen_at(wire, INSTANCE, 300)

    assert ("Error", ["instance_state", "message", *with_tag(ERROR[2:])]) == (state, keys)
    assert wire.get("vm", f"id={INSTANCE}")["message"] == "node mini-01 is offline"


def test_an_instance_that_fails_before_it_has_a_vm_has_no_vminfo() -> None:
    """Error without a VM has a message, no vminfo, and before 1.22 no node."""
    wire = office()
    instance_id = wire.start(vmid=OTHER_TEMPLATE, node_id=NODE)
    pass_time(wire.controller, 2)
    nodes.lose_node(wire.controller, NODE)
    ((state, keys, _),) = seen_at(wire, instance_id, 300)

    expected = with_request([key for key in ERROR if key not in ("vminfo", "node_id")])
    assert ("Error", expected) == (state, keys)


def with_request(keys: list[str]) -> list[str]:
    """The keys of an instance whose request to start is still open: it never came to a VM."""
    return [key for each in keys for key in (("inflight_reqid", each) if each == "ts" else (each,))]


def with_tag(keys: list[str]) -> list[str]:
    """The keys of an instance whose request named a tag."""
    return [key for each in keys for key in ((each, "tag") if each == "vmid" else (each,))]


def test_terminating_and_terminated_keep_what_was_there() -> None:
    """A terminated instance keeps its keys until it is forgotten a minute later."""
    wire = office()
    wire.do("DELETE", "vm", {"id": INSTANCE})

    keys = with_tag(STARTED)
    assert [("Terminating", keys, 0), ("Terminated", keys, 0)] == seen_at(wire, INSTANCE, 0, 30)
    pass_time(wire.controller, 120)
    assert (wire.ask("GET", "vm", query=f"id={INSTANCE}")["message"], wire.get("vm")) == ("Not found", [])


def test_an_instance_that_never_started_is_terminated_without_a_vm() -> None:
    """Terminated while Scheduling an instance has neither node nor VM, and is never Terminated."""
    wire = office()
    instance_id = wire.start(vmid=TEMPLATE)
    wire.do("DELETE", "vm", {"id": instance_id})

    assert seen_at(wire, instance_id, 0, 59) == [("Terminating", with_request(ALWAYS), 0)] * 2
    pass_time(wire.controller, 2)
    assert wire.ask("GET", "vm", query=f"id={instance_id}")["message"] == "Not found"


def test_what_was_asked_for_shows_in_its_place() -> None:
    """Tag, version, group, metadata and device show when they were asked for, each in its place."""
    wire = office()
    asked = {"version": 1, "group_id": OTHER_GROUP, "metadata": {"b": 1, "a": "x", "c": False}, "usb_device": "iphone"}
    instance_id = wire.start(vmid=TEMPLATE, tag="xcode-15", **asked)
    one = wire.get("vm", f"id={instance_id}")

    expected = (
        "instance_state anka_registry vmid tag version inflight_reqid ts cr_time progress group_id metadata usb_device"
    )
    assert expected.split() == list(one)
    assert {**asked, "tag": "xcode-15"} == {key: one[key] for key in (*asked, "tag")}
    assert list(one["metadata"]) == ["a", "b", "c"]


def test_version_zero_vanishes_as_in_go() -> None:
    """A version that is zero is left out, as omitempty leaves it out."""
    wire = office()

    assert "version" not in wire.get("vm", f"id={wire.start(vmid=TEMPLATE, version=0)}")


@pytest.mark.parametrize(("release", "tag"), [(OLD, None), ("1.24.0", None), ("1.24.1", "xcode-15"), (NEW, "xcode-15")])
def test_the_tag_is_filled_in_from_1_24_1_on(release: str, tag: str | None) -> None:
    """A tag that was not asked for is left out at first, and filled in with the latest later."""
    wire = office(release)

    assert tag == wire.get("vm", f"id={wire.start(vmid=TEMPLATE)}").get("tag")


def test_vminfo_has_its_keys_in_the_order_of_the_wire() -> None:
    """A VM's keys, and those of its port rules, come in this order; RAM is a string with its unit."""
    info = office().get("vm", f"id={INSTANCE}")["vminfo"]

    assert list(info) == VMINFO
    assert info["port_forwarding"] == [{"Name": "ssh", "guest_port": 22, "host_port": 10000, "protocol": "tcp"}]
    assert tuple(
        info[key] for key in ("status", "cpu_cores", "ram", "node_id", "host_ip", "vnc_port", "vnc_connection_string")
    ) == ("running", 4, "8G", NODE, "10.0.0.11", 5901, "vnc://:@10.0.0.11:5901")


def test_a_vm_without_port_rules_has_no_such_key() -> None:
    """Port forwarding is left out when there are no rules."""
    wire = world(
        """
        templates: [{name: t, versions: [{tag: a, size: 1GB}]}]
        nodes: [{name: n, cached: [t]}]
        instances: [{template: t, node: n}]
        """
    )

    assert VMINFO[:-1] == list(wire.get("vm")[0]["vm"]["vminfo"])


def test_nothing_in_an_instance_is_ever_null() -> None:
    """In no moment of a life is any value of an instance null: what is not there is left out."""
    wire = office()
    instance_id = wire.start(vmid=OTHER_TEMPLATE, node_id=NODE)
    for _ in range(40):
        pass_time(wire.controller, 5)
        assert b"null" not in wire.send("GET", "vm").data
        if wire.get("vm", f"id={instance_id}")["instance_state"] == "Started":
            break
    nodes.lose_node(wire.controller, NODE)
    pass_time(wire.controller, 300)

    assert b"null" not in wire.send("GET", "vm").data


# The list.


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
    """A list item has the id, name and external id only when set, and under vm what asking by id shows."""
    wire = office()
    instance_id = wire.start(vmid=TEMPLATE, **named)
    item = wire.get("vm")[-1]

    assert (keys, instance_id) == (list(item), item["instance_id"])
    assert named.items() >= {key: item[key] for key in ("name", "external_id") if key in item}.items()
    assert wire.get("vm", f"id={instance_id}") == item["vm"]


def test_instances_are_listed_in_order_of_creation_and_none_is_an_empty_list() -> None:
    """The list is an array, oldest first, also when there is nothing in it."""
    wire = office()
    made = wire.do("POST", "vm", {"vmid": TEMPLATE, "count": 3})

    assert [INSTANCE, *made] == [item["instance_id"] for item in wire.get("vm")]
    assert world("{}").get("vm") == []


@pytest.mark.parametrize("query", ["id=", f"id=&id={INSTANCE}", "ID=x", "other=x", "id"])
def test_an_empty_id_is_the_list(query: str) -> None:
    """An id that is empty, or not there, asks for the list."""
    wire = office()

    assert wire.get("vm") == wire.get("vm", query)


def test_of_several_ids_the_first_counts() -> None:
    """A parameter that is given more than once means its first value, as in Go."""
    wire = office()
    other = wire.start(vmid=TEMPLATE)

    assert wire.get("vm", f"id={other}") == wire.get("vm", f"id={other}&id={INSTANCE}")
    assert wire.ask("GET", "vm", query=f"id={NOWHERE}&id={INSTANCE}")["message"] == "Not found"


def test_a_new_instance_is_a_microsecond_older_than_its_creation() -> None:
    """ts stands just before cr_time on a new instance, and moves with the node's reports once it is Started."""
    wire = office()
    one = wire.get("vm", f"id={wire.start(vmid=TEMPLATE)}")
    seen = []
    for _ in range(3):
        pass_time(wire.controller, 5)
        seen.append(wire.get("vm", f"id={INSTANCE}")["ts"])

    assert (one["ts"], one["cr_time"]) == ("2023-12-31T23:59:59.999999Z", "2024-01-01T00:00:00Z")
    assert sorted(set(seen)) == seen


# Starting, updating, terminating.


@pytest.mark.parametrize("count", [1, 2, 10_000])
def test_a_start_hands_back_as_many_ids_as_were_asked_for(count: int) -> None:
    """The ids are all different, and all of them are there at once."""
    wire = office()
    made = wire.do("POST", "vm", {"vmid": TEMPLATE, "count": count})

    assert count == len(set(made))
    assert made == [item["instance_id"] for item in wire.get("vm")][1:]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"vmid": NOWHERE}, "VM not in the registry"),
        ({"tag": "nope"}, "No such tag nope"),
        ({"tag": "nope", "version": 0}, "No such tag nope"),
        ({"version": 2}, "No such version 2"),
        ({"node_id": NOWHERE}, f"No such node {NOWHERE}"),
        ({"node_id": "mini-01"}, "No such node mini-01"),
        ({"group_id": NOWHERE}, f"No such group {NOWHERE}"),
        ({"usb_device": "android"}, "No such USB device android"),
    ],
)
def test_a_start_of_several_is_all_or_nothing(release: str, changed: dict[str, Any], message: str) -> None:
    """A start that leans on something unknown is refused with its literal message, and starts none of several."""
    wire = office(release)
    before = wire.state()
    answer = wire.send("POST", "vm", json.dumps({"vmid": TEMPLATE, "count": 5, **changed}).encode())

    assert (wire.fail_status, {"status": "FAIL", "message": message}) == (answer.status_code, json.loads(answer.data))
    assert before == wire.state()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, ("nightly", "https://ci.example/job/1", {"k": 1})),
        ({"name": "new"}, ("new", "https://ci.example/job/1", {"k": 1})),
        ({"name": ""}, (None, "https://ci.example/job/1", {"k": 1})),
        ({"name": None}, ("nightly", "https://ci.example/job/1", {"k": 1})),
        ({"external_id": "e"}, ("nightly", "e", {"k": 1})),
        ({"metadata": {"b": True}}, ("nightly", "https://ci.example/job/1", {"b": True, "k": 1})),
        ({"metadata": {"k": "2"}}, ("nightly", "https://ci.example/job/1", {"k": "2"})),
        ({"metadata": {}}, ("nightly", "https://ci.example/job/1", {"k": 1})),
        ({"unknown": 1}, ("nightly", "https://ci.example/job/1", {"k": 1})),
    ],
)
def test_an_update_changes_what_it_names(change: dict[str, Any], expected: tuple[Any, ...]) -> None:
    """What is not sent stays, metadata is merged key by key, a blank name is no name."""
    wire = office()
    wire.do("PUT", "vm", {"metadata": {"k": 1}}, f"id={INSTANCE}")
    wire.do("PUT", "vm", change, f"id={INSTANCE}")
    (item,) = wire.get("vm")

    assert expected == (item.get("name"), item.get("external_id"), item["vm"].get("metadata"))


def test_terminating_again_is_fine() -> None:
    """DELETE is taken in every state, again and again, and answers without a body."""
    wire = office()
    answers = []
    for seconds in (0, 0, 30):
        pass_time(wire.controller, seconds)
        answers.append(wire.ask("DELETE", "vm", {"id": INSTANCE}))

    assert answers == [{"status": "OK", "message": ""}] * 3


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    ("method", "query", "body"),
    [("GET", f"id={NOWHERE}", None), ("PUT", f"id={NOWHERE}", {"name": "x"}), ("DELETE", "", {"id": NOWHERE})],
)
def test_an_unknown_instance_is_not_found(release: str, method: str, query: str, body: object) -> None:
    """Asking for, updating or terminating an instance that is not there fails with Not found and changes nothing."""
    wire = office(release)
    before = wire.state()
    answer = wire.send(method, "vm", None if body is None else json.dumps(body).encode(), query)

    assert (wire.fail_status, b'{"status":"FAIL","message":"Not found"}\n') == (answer.status_code, answer.data)
    assert before == wire.state()


# The bytes kept for who polls.


def matches(wire: Wire) -> None:
    """The bytes at hand, what Flask's route says, and what an application that has kept nothing says are the same."""
    fresh = create_app(wire.controller)
    for instance_id in ("", *wire.controller.instances):
        query = f"id={instance_id}" if instance_id else ""
        wire.controller.advance()
        at_hand = wire.app.instance_cache.find_response(query.encode())
        expected = fresh.test_client().get("/api/v1/vm", query_string=query).data

        assert expected == at_hand
        assert expected == wire.send("GET", "vm", query=query).data


def start_one(wire: Wire) -> None:
    wire.start(vmid=TEMPLATE, name="another")


def start_and_pull(wire: Wire) -> None:
    wire.do("POST", "vm", {"vmid": OTHER_TEMPLATE, "count": 2, "external_id": "e"})


def update(wire: Wire) -> None:
    for instance_id in wire.controller.instances:
        wire.do("PUT", "vm", {"name": f"n{wire.controller.revision}", "metadata": {"a": 1}}, f"id={instance_id}")


def terminate(wire: Wire) -> None:
    wire.do("DELETE", "vm", {"id": next(iter(wire.controller.instances), NOWHERE)})


def terminate_last(wire: Wire) -> None:
    wire.do("DELETE", "vm", {"id": list(wire.controller.instances)[-1]})


def save(wire: Wire) -> None:
    wire.do("POST", "image", {"id": INSTANCE, "new_template_name": "saved"})


def configure(wire: Wire) -> None:
    wire.do("POST", "node/config", {"node_id": NODE, "host": "10.7.7.7"})


def lose(wire: Wire) -> None:
    nodes.lose_node(wire.controller, NODE)


def lose_other(wire: Wire) -> None:
    nodes.lose_node(wire.controller, OTHER_NODE)


def restore(wire: Wire) -> None:
    for node_id in (NODE, OTHER_NODE):
        nodes.restore_node(wire.controller, node_id)


def delete_node(wire: Wire) -> None:
    wire.do("DELETE", "node", {"node_id": NODE})


def delete_template(wire: Wire) -> None:
    wire.do("DELETE", "registry/vm", query=f"id={OTHER_TEMPLATE}")


def revert(wire: Wire) -> None:
    wire.do("DELETE", "registry/revert", query=f"id={TEMPLATE}&number=0")


def delete_group(wire: Wire) -> None:
    wire.do("DELETE", "group", query=f"id={GROUP}")


def reset(wire: Wire) -> None:
    wire.controller.replace_with(shipped("default", release=wire.controller.release))


def turn_newer(wire: Wire) -> None:
    wire.controller.replace_with(shipped("default", release=Release.parse(NEW)))


LIVES: dict[str, list[Callable[[Wire], None] | float]] = {
    "a heartbeat": [1.0, 1.0, 1.0, 2.0, 5.0, 4.999, 0.001, 0.000000001],
    "a boot": [start_one, 0.0, 0.5, 0.5, 1.0, 18.0, 3.0, 5.0, terminate_last, 1.0, 5.0, 54.0, 10.0],
    "a pull": [start_and_pull, 1.0, 0.001, 0.001, 10.0, 30.0, 24.0, 1.0, 20.0, 5.0, 5.0],
    "an update": [update, 1.0, start_one, update, 0.0, update, 1.0],
    "a pull broken off": [start_and_pull, 10.0, terminate_last, 1.0, terminate, 2.0, 30.0, 60.0],
    "an address": [configure, 1.0, configure, 5.0],
    "a save": [save, 1.0, 3.0, 5.0, 10.0, 20.0, 60.0],
    "a loss while started": [lose, 1.0, 4.0, 5.0, 60.0, restore, 0.0, 1.0, 4.0, 5.0],
    "a loss while pulling": [start_and_pull, 10.0, lose, lose_other, 1.0, 5.0, 60.0, restore, 1.0, 5.0, 30.0],
    "a loss for good": [start_and_pull, 10.0, lose, 60.0, 70.0, 5.0, restore, 5.0, 5.0],
    "a loss while terminating": [terminate, 1.0, lose, 10.0, 5.0, restore, 1.0, 60.0],
    "a deleted node": [start_and_pull, 2.0, delete_node, 1.0, 5.0, terminate, 1.0, 60.0],
    "a deleted template": [start_and_pull, delete_template, 2.0, revert, 5.0],
    "a deleted group": [start_one, delete_group, 5.0],
    "a reset": [start_one, 30.0, update, reset, 0.0, start_one, 3.0, reset, 5.0, update, 1.0],
    "a reset to another release": [start_one, 30.0, turn_newer, 0.0, start_one, 5.0],
}


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("life", LIVES)
def test_the_bytes_at_hand_are_what_is_true_now(release: str, life: str) -> None:
    """At every moment of a life the bytes kept for polls are what would be made anew."""
    wire = Wire(shipped("default", release=Release.parse(release)))
    matches(wire)
    for step in LIVES[life]:
        if isinstance(step, float):
            pass_time(wire.controller, step)
        else:
            step(wire)
        matches(wire)


def test_a_poll_that_asks_for_more_than_looking_up_is_not_at_hand() -> None:
    """An unknown id, an escaped one, and any other query go the long way."""
    wire = office()
    queries = [NOWHERE, INSTANCE + "&x=1", INSTANCE.replace("-", "%2d"), "", "é"]

    assert [None] * len(queries) == [wire.app.instance_cache.find_response(f"id={each}".encode()) for each in queries]
    assert wire.app.instance_cache.find_response(b"ID=1") is None


def test_an_answer_is_made_once_as_long_as_nothing_changes() -> None:
    """As long as nothing changes the very same bytes are handed out."""
    answers = office().app.instance_cache

    assert answers.find_response(b"") is answers.find_response(b"")
    assert answers.find_response(f"id={INSTANCE}".encode()) is answers.find_response(f"id={INSTANCE}".encode())


def test_what_is_kept_for_instances_long_gone_is_dropped() -> None:
    """Who starts and forgets thousands of instances does not fill the memory with their answers."""
    wire = office()
    for _ in range(4):
        wire.do("POST", "vm", {"vmid": TEMPLATE, "count": 200})
        wire.get("vm")
        for instance_id in list(wire.controller.instances):
            wire.do("DELETE", "vm", {"id": instance_id})
        pass_time(wire.controller, 120)
        matches(wire)

    assert len(wire.app.instance_cache._instances) < 400
