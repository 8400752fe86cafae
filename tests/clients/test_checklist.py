"""The requirements of all these clients together on a controller, by the numbers of controller-facts D9."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any
from urllib.parse import urlsplit

import pytest

from mockanka import Anka
from mockanka.core.release import SINCE, Release
from mockanka.scenario import Scenario, shipped
from tests.clients import decoding
from tests.clients.clients import by_release
from tests.clients.decoding import JavaObject
from tests.clients.engine import Fails
from tests.clients.jenkins import Jenkins
from tests.clients.sdk import decode_item

WAITING = {
    4: "Basic with an empty user name and the right token: authentication is not there yet",
    16: "the body of 401: authentication is not there yet",
    17: "the answer of /tap/v1/hand: authentication is not there yet",
}
"""Items that cannot be checked yet, and what they wait for."""

SEVERAL_PORTS = {
    "templates": [
        {
            "name": "several",
            "port_forwarding": [
                {"name": "ssh", "guest_port": 22},
                {"name": "admin", "guest_port": 8080},
                {"name": "ftp", "guest_port": 21},
            ],
            "versions": [{"tag": "base", "size": "1GB"}],
        }
    ],
    "nodes": [{"name": "mini-01", "ip": "192.0.2.11", "cached": ["several"]}],
}
"""A scenario whose template has ssh first, though neither its name nor its port sorts first."""

ITEMS: dict[int, Callable[[Anka, Release], None]] = {}
LATEST, COLD = "14.5-arm64", "13.6-arm64"
STATES = ("Scheduling", "Pulling", "Started", "Error", "Terminating", "Terminated")


def item(number: int) -> Callable[[Callable[[Anka, Release], None]], Callable[[Anka, Release], None]]:
    """Return a decorator that adds a check under a number of the list."""

    def add(check: Callable[[Anka, Release], None]) -> Callable[[Anka, Release], None]:
        ITEMS[number] = check
        return check

    return add


def ask(anka: Anka, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    """Send a request with these headers and no others; ``content_type`` is Content-Type. Bytes are sent unchanged."""
    address = urlsplit(anka.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    try:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        connection.request(method, f"/api/v1/{path}", data, named)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def body_of(anka: Anka, method: str, path: str, body: Any = None) -> Any:
    """Send a request, and return the body of the answer, which must be OK."""
    status, answer = ask(anka, method, path, body)
    assert (200, "OK") == (status, answer["status"]), answer
    return answer.get("body")


def start(anka: Anka, template: str = LATEST, **more: Any) -> str:
    """Start an instance, and return its id."""
    (id,) = body_of(anka, "POST", "vm", {"vmid": anka.templates[template].id, **more})
    return str(id)


def list_item(anka: Anka, id: str) -> dict[str, Any]:
    """Return the item of an instance in the list."""
    (found,) = [item for item in body_of(anka, "GET", "vm") if item["instance_id"] == id]
    return dict(found)


def items_in_all_states(anka: Anka) -> Iterator[dict[str, Any]]:
    """Yield the list's item of an instance in each state, from a cached and from an uncached template."""
    for template, state in product((LATEST, COLD), STATES):
        id = start(anka, template, external_id="job-7")
        if state == "Error":
            anka.wait(id)
            anka.fail(id, "VM is not responding")
        elif state in ("Terminating", "Terminated"):
            anka.wait(id)
            body_of(anka, "DELETE", "vm", {"id": id})
            if state == "Terminated":
                anka.wait(id, "Terminated")
        elif state == "Pulling" and template == COLD:
            anka.wait(id, "Pulling")
        elif state == "Started":
            anka.wait(id)
        yield list_item(anka, id)
        anka.reset()


@item(1)
def every_success_is_200_with_an_object(anka: Anka, release: Release) -> None:
    """Requests that read and requests that write answer 200 with an object."""
    id = start(anka)
    node = anka.nodes["mini-01"].id
    template = anka.templates[LATEST].id
    anka.wait(id)
    asked: list[tuple[str, str, Any]] = [
        *(("GET", path, None) for path in ("status", "node", "vm", "registry/vm", "group", "usb", "image")),
        *(("GET", path, None) for path in (f"vm?id={id}", f"node?id={node}", f"registry/vm?id={template}")),
        ("GET", "registry/disk", None),
        ("GET", "registry/vm?apiVer=v1", None),
        ("PUT", f"vm?id={id}", {"name": "x"}),
        ("POST", "node/config", {"node_id": node, "max_vm_count": 2}),
        ("POST", "registry/vm/distribute", {"template_id": template}),
        ("POST", "group", {"name": "g"}),
        ("POST", "image", {"id": id, "target_vm_id": template, "tag": "t"}),
        ("DELETE", "vm", {"id": id}),
        ("DELETE", "node", {"node_id": node}),
    ]
    seen = {(method, path): ask(anka, method, path, body) for method, path, body in asked}

    assert {} == {
        what: answer
        for what, answer in seen.items()
        if answer[0] != 200 or not isinstance(answer[1], dict) or answer[1]["status"] != "OK"
    }


@item(2)
def bodies_are_json_whatever_their_type_says(anka: Anka, release: Release) -> None:
    """A body is read as JSON with no Content-Type, that of a form, JSON's with or without a charset, and another."""
    types: list[dict[str, str]] = [
        {},
        {"content_type": "application/x-www-form-urlencoded"},
        {"content_type": "application/json"},
        {"content_type": "application/json; charset=ISO-8859-1"},
        {"content_type": "text/plain"},
    ]
    for headers in types:
        status, answer = ask(anka, "POST", "vm", {"vmid": anka.templates[LATEST].id}, **headers)
        assert (200, "OK") == (status, answer["status"])
        id = answer["body"][0]
        assert 200 == ask(anka, "PUT", f"vm?id={id}", {"name": "put"}, **headers)[0]
        assert "put" == anka.instances[id].name
        assert 200 == ask(anka, "DELETE", "vm", {"id": id}, **headers)[0]
        assert "Terminating" == anka.instances[id].state


@item(3)
def authorization_is_ignored(anka: Anka, release: Release) -> None:
    """While authentication is off, any Authorization header is accepted."""
    body = {"vmid": anka.templates[LATEST].id}
    for value in ("Basic cm9vdDo=", "Basic OnRva2Vu", "Bearer e30=", "nonsense"):
        assert 200 == ask(anka, "POST", "vm", body, Authorization=value)[0]
        assert 200 == ask(anka, "GET", "status", Authorization=value)[0]


@item(5)
def starts_accept_the_bodies_of_clients(anka: Anka, release: Release) -> None:
    """Empty objects and texts, a count or none, and unknown keys are accepted."""
    blank = {"tag": "", "name": "", "external_id": "", "startup_script": "", "node_id": "", "group_id": ""}
    for more in ({"disk": {}}, blank, {"count": 1}, {}, {"what_is_this": {"a": [1]}, "x": None}):
        assert 1 == len(body_of(anka, "POST", "vm", {"vmid": anka.templates[LATEST].id, **more}))


@item(6)
def a_new_instance_is_visible_at_once(anka: Anka, release: Release) -> None:
    """It is listed and found by its id, with its external_id beside ``vm``, and inside it where the release has it."""
    expected = {"external_id": "job-7"} if release >= SINCE["instance-tells-its-names"] else {}
    id = start(anka, external_id="job-7")
    vm, listed = body_of(anka, "GET", f"vm?id={id}"), list_item(anka, id)

    assert "job-7" == listed["external_id"]
    assert vm == listed["vm"]
    assert expected.items() <= vm.items()
    assert "Scheduling" == vm["instance_state"]


@item(7)
def a_list_is_an_array_of_whole_items(anka: Anka, release: Release) -> None:
    """An empty list is []. An item has the keys that clients read unguarded; null stands beside ``vm``, never in it."""
    vm_keys = {"instance_state", "vmid", "cr_time", "ts", "progress", "anka_registry"}
    vm_keys |= {"instance_id"} if release >= SINCE["instance-tells-its-names"] else set()
    vm_keys |= {"arch"} if release >= SINCE["arch"] else set()
    vm_keys |= {"vlan"} if release >= SINCE["vlans"] else set()
    item_keys = {"external_id", "instance_id", "name", "vm"}
    for listed in items_in_all_states(anka):
        assert set() == vm_keys - set(listed["vm"])
        assert [] == [key for key, value in listed["vm"].items() if value is None]
        assert item_keys == set(listed) | ({"name"} if release < SINCE["instance-tells-its-names"] else set())
    anka.load("empty")

    assert [[], [], []] == [body_of(anka, "GET", path) for path in ("vm", "node", "registry/vm")]


@item(8)
def missing_values_are_left_out(anka: Anka, release: Release) -> None:
    """The keys vminfo, message, startup_script and node_id are absent, and not null."""
    new = list_item(anka, start(anka, COLD))["vm"]

    assert set() == {"vminfo", "message", "startup_script", "node_id"} & set(new)
    for listed in items_in_all_states(anka):
        assert None not in listed["vm"].values()
        assert None not in listed["vm"].get("vminfo", {}).values()


@item(9)
def vminfo_always_has_uuid_and_status(anka: Anka, release: Release) -> None:
    """It has them in every state; Go can parse its dates, and Java can read the whole item."""
    dates = decoding.struct(
        creation_date=decoding.time,
        access_date=decoding.time,
        start_date=decoding.time,
        stop_date=decoding.time,
        timestamp=decoding.time,
    )
    seen = 0
    for listed in items_in_all_states(anka):
        decode_item(JavaObject(listed), with_external_id=True)
        decoding.struct(ts=decoding.time, cr_time=decoding.time)(listed["vm"])
        if info := listed["vm"].get("vminfo"):
            dates(info)
            assert all(isinstance(info[key], str) and info[key] for key in ("uuid", "status"))
            seen += 1

    assert seen >= 6


@item(10)
def started_means_that_it_can_be_reached(anka: Anka, release: Release) -> None:
    """A Started instance has its node's address and a tcp port for ssh; ports have the order of the template."""
    anka.load(SEVERAL_PORTS)
    (node,) = anka.nodes.values()
    id = start(anka, "several")
    anka.wait(id)
    found = body_of(anka, "GET", f"vm?id={id}")
    ports = found["vminfo"]["port_forwarding"]

    assert node.ip == found["vminfo"]["host_ip"]
    assert found["node_id"] == found["vminfo"]["node_id"] == node.id
    assert [22, 8080, 21] == [rule["guest_port"] for rule in ports]
    assert {("tcp", int)} == {(rule["protocol"], type(rule["host_port"])) for rule in ports}
    assert 3 == len({rule["host_port"] for rule in ports})


@pytest.mark.parametrize("name", [name for name in shipped() if name != "ssh-second"])
def test_templates_have_ssh_first(name: str) -> None:
    """In every scenario that ships, but for the one that shows what comes of another order."""
    templates = Scenario.find(name).section.templates
    rules = [template.port_forwarding for template in templates if template.port_forwarding]

    assert [22] * len(rules) == [first.guest_port for first, *_ in rules]


@item(11)
def a_node_by_id_is_an_array_of_one(anka: Anka, release: Release) -> None:
    """The array has the node with its address."""
    for node in anka.nodes.values():
        (found,) = body_of(anka, "GET", f"node?id={node.id}")
        assert (node.id, node.ip) == (found["node_id"], found["ip_address"])


@item(12)
def groups_have_texts(anka: Anka, release: Release) -> None:
    """A description is a text, if only an empty one; a missing fallback is null."""
    body_of(anka, "POST", "group", {"name": "bare"})
    groups = {group["name"]: group for group in body_of(anka, "GET", "group")}

    assert {"spare": None, "ios": groups["spare"]["id"], "bare": None} == {
        name: group["fallback_group_id"] for name, group in groups.items()
    }
    assert ("", {str}) == (groups["bare"]["description"], {type(group["description"]) for group in groups.values()})


@item(13)
def the_status_is_running(anka: Anka, release: Release) -> None:
    """The status has a licence and a registry that are not blank."""
    found = body_of(anka, "GET", "status")

    assert ("Running", "Running") == (found["status"], found["registry_status"])
    assert all(found[key] for key in ("license", "registry_address", "version"))


@item(14)
def templates_change_their_size_with_a_push(anka: Anka, release: Release) -> None:
    """Templates have different sizes, and versions are in their order, the latest last."""
    id, template = start(anka), anka.templates[LATEST].id
    anka.wait(id)
    before = {template["id"]: template["size"] for template in body_of(anka, "GET", "registry/vm")}
    assert 2 == len(before) == len(set(before.values()))
    body_of(anka, "POST", "image", {"id": id, "target_vm_id": template, "tag": "new", "suspend": False})
    anka.settle()
    after = {template["id"]: template["size"] for template in body_of(anka, "GET", "registry/vm")}
    versions = body_of(anka, "GET", f"registry/vm?id={template}")["versions"]

    assert [template] == [id for id in before if before[id] != after[id]]
    assert [(0, "vanilla"), (1, "xcode-15"), (2, "new")] == [
        (version["number"], version["tag"]) for version in versions
    ]


@item(15)
def a_save_image_request_has_an_id_and_a_status(anka: Anka, release: Release) -> None:
    """The id is a text, the status is in lower case."""
    id = start(anka)
    anka.wait(id)
    request = body_of(anka, "POST", "image", {"id": id, "target_vm_id": anka.templates[LATEST].id, "tag": "new"})
    pending = body_of(anka, "GET", f"image?id={request['request_id']}")["status"]
    anka.settle()

    assert request["request_id"]
    assert ("pending", "done") == (pending, body_of(anka, "GET", f"image?id={request['request_id']}")["status"])


@item(18)
def unknown_ids_are_refused_with_the_known_messages(anka: Anka, release: Release) -> None:
    """Unknown instances, nodes, templates and tags are refused, with the HTTP status of the release."""
    status = 400 if release >= SINCE["failure-status-400"] else 200
    template = anka.templates[LATEST].id
    refusals = {
        ("GET", "vm?id=nobody", None): "Not found",
        ("GET", "node?id=nobody", None): "Not found",
        ("GET", "registry/vm?id=nobody", None): "Not found",
        ("POST", "vm", '{"vmid": "nobody"}'): "VM not in the registry",
        ("POST", "vm", f'{{"vmid": "{template}", "tag": "nightly"}}'): "No such tag nightly",
    }
    for (method, path, body), message in refusals.items():
        answer = ask(anka, method, path, body and body.encode())
        assert (status, {"status": "FAIL", "message": message}) == answer


@item(19)
def a_delete_is_seen_by_the_next_poll(anka: Anka, release: Release) -> None:
    """An instance is Terminating at once, and is gone about a minute later."""
    id = start(anka)
    anka.wait(id)
    body_of(anka, "DELETE", "vm", {"id": id})

    assert "Terminating" == body_of(anka, "GET", f"vm?id={id}")["instance_state"]
    anka.clock.advance("50s")
    assert id in anka.instances
    anka.clock.advance("30s")
    assert id not in anka.instances


@item(20)
def texts_of_another_encoding_are_accepted(anka: Anka, release: Release) -> None:
    """Jenkins writes Latin-1: other characters arrive as question marks, and umlauts as bytes that are not UTF-8."""
    client = Jenkins(anka, vmid=anka.templates[LATEST].id, name="建造-1", external_id="https://jenkins.example/Büro")
    instance = anka.instances[client.post_start()]

    url = "https://jenkins.example/B\N{REPLACEMENT CHARACTER}ro"
    assert ("??-1", url) == (instance.name, instance.external_id)
    assert url == anka.requests[-1].body["external_id"]
    anka.faults.add(match={"body": {"external_id": url}}, do={"fail": "struck"})
    failure = "HTTP 400" if release.has("failure-status-400") else "struck"
    with pytest.raises(Fails, match=failure):
        client.post_start()


@pytest.mark.parametrize("release", by_release())
@pytest.mark.parametrize("number", sorted(ITEMS))
def test_the_item_holds(anka: Anka, number: int, release: str) -> None:
    """Every item of the list holds on every release, but for those that wait for something else."""
    ITEMS[number](anka, Release.parse(release))


def test_every_item_is_checked_or_waits() -> None:
    """There are twenty items, and none is both checked and waiting."""
    assert [*range(1, 21)] == sorted([*ITEMS, *WAITING])
