"""The checks find what is wrong with a controller: each deviation by the check that is meant for it.

A deviation is one small alteration of the simulator's responses. Each names the check that must fail or note it, and
whether objects must be created for it to show.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from mockanka.check.catalog import CHECKS, REQUEST_CHECKS
from mockanka.contract.conformance import Level
from mockanka.contract.exchange import Exchange
from tests.check.simulated import SimulatedController, check_simulated, remaining_objects

VM, NODE, TEMPLATE, GROUP = "/api/v1/vm", "/api/v1/node", "/api/v1/registry/vm", "/api/v1/group"
DISTRIBUTE, IMAGE = "/api/v1/registry/vm/distribute", "/api/v1/image"
Change = Callable[[Exchange, Any], Any]
"""Gets the exchange and its envelope; changes the envelope in place, or returns another envelope or exchange."""
ItemChange = Callable[[dict[str, Any]], object]
"""Changes an object of a response in place."""


@dataclass
class Deviation:
    """A change of the responses to some requests, and the check of the operation that must find it."""

    name: str
    check: str
    operation: str
    change: Change
    path: str = VM
    method: str = "GET"
    single: bool | None = None
    """Only responses to a request with an id, or only those to one without; None for both."""
    write: bool = False
    scenario: str = "default"
    release: str | None = None
    outcome: str = "failed"

    def __call__(self, exchange: Exchange) -> Exchange:
        if (exchange.method, exchange.path) != (self.method, self.path):
            return exchange
        if self.single is not None and self.single is not ("id" in exchange.parameters):
            return exchange
        envelope = exchange.envelope
        changed = self.change(exchange, envelope)
        if isinstance(changed, Exchange):
            return changed
        content = json.dumps(envelope if changed is None else changed).encode() + b"\n"
        return replace(exchange, response_content=content)


# ---- changes -------------------------------------------------------------------------------------------------------


def items_in(envelope: Any) -> list[dict[str, Any]]:
    """Return the objects in a list, or the single one."""
    body = envelope.get("body")
    return body if isinstance(body, list) else [body] if isinstance(body, dict) else []


def instances_in(envelope: Any) -> list[dict[str, Any]]:
    """Return the instances in a response, without the wrappers of the list."""
    body = envelope.get("body")
    if isinstance(body, list):
        return [item["vm"] for item in body if isinstance(item, dict)]
    return [body] if isinstance(body, dict) else []


def on_instances(change_item: ItemChange) -> Change:
    """Change every instance."""

    def change(_: Exchange, envelope: Any) -> None:
        for instance in instances_in(envelope):
            change_item(instance)

    return change


def on_items(change_item: ItemChange) -> Change:
    """Change every object of a list, or the single object."""

    def change(_: Exchange, envelope: Any) -> None:
        for item in items_in(envelope):
            change_item(item)

    return change


def on_vms(change_item: ItemChange) -> Change:
    """Change the ``vminfo`` of every instance that has one."""
    return on_instances(lambda instance: change_item(instance["vminfo"]) if "vminfo" in instance else None)


def setting(**values: Any) -> ItemChange:
    return lambda item: item.update(values)


def without(key: str) -> ItemChange:
    return lambda item: item.pop(key, None)


def envelope_with(**values: Any) -> Change:
    """Change keys of the envelope; ``...`` removes a key."""

    def change(_: Exchange, envelope: Any) -> Any:
        return {key: value for key, value in {**envelope, **values}.items() if value is not ...}

    return change


def on_failure(change: Change) -> Change:
    """Change only failures."""
    return lambda exchange, envelope: change(exchange, envelope) if envelope.get("status") == "FAIL" else exchange


def on_success(change: Change) -> Change:
    """Change only successes."""
    return lambda exchange, envelope: change(exchange, envelope) if envelope.get("status") == "OK" else exchange


def exchange_with(**values: Any) -> Change:
    """Change fields of the exchange."""
    return lambda exchange, _: replace(exchange, **values)


def replacing(old: bytes, new: bytes) -> Change:
    """Replace bytes of the response."""
    return lambda exchange, _: replace(exchange, response_content=exchange.response_content.replace(old, new))


def header(name: str, value: str) -> Change:
    return lambda exchange, _: replace(exchange, headers={**exchange.headers, name: value})


class OverTime:
    """Changes every instance by a function that also gets the number of the response."""

    def __init__(self, change_item: Callable[[dict[str, Any], int], object]) -> None:
        self.change_item = change_item
        self.count = 0

    def __call__(self, _: Exchange, envelope: Any) -> None:
        self.count += 1
        for instance in instances_in(envelope):
            self.change_item(instance, self.count)


def over_time(change_item: Callable[[dict[str, Any], int], object]) -> Change:
    """Change every object of a list, or the single object, by a function that also gets the number of the response."""
    count: list[int] = []

    def change(_: Exchange, envelope: Any) -> None:
        count.append(1)
        for item in items_in(envelope):
            change_item(item, len(count))

    return change


def vm_over_time(change_item: Callable[[dict[str, Any], int], object]) -> Change:
    """Change the ``vminfo`` of every instance by a function that also gets the number of the response."""
    return OverTime(lambda instance, count: change_item(instance.get("vminfo", {}), count))


def second_from(count: int) -> str:
    """Return a time that goes backwards with the number of the response."""
    return f"2026-01-01T00:{59 - count // 60:02}:{59 - count % 60:02}Z"


def dated(change: Change, date: str) -> Change:
    """Change a response, and give it another Date."""

    def change_both(exchange: Exchange, envelope: Any) -> Any:
        changed = change(exchange, envelope)
        content = json.dumps(envelope if changed is None else changed).encode() + b"\n"
        return replace(exchange, response_content=content, headers={**exchange.headers, "date": date})

    return change_both


def share_ports(_: Exchange, envelope: Any) -> None:
    """Put every VM on one node, and forward the same port to each."""
    for instance in instances_in(envelope):
        if "vminfo" in instance:
            instance["node_id"] = instance["vminfo"]["node_id"] = "one"
            instance["vminfo"]["port_forwarding"] = [
                {"guest_port": 22, "host_port": 10000, "protocol": "tcp", "name": "ssh"}
            ]


def on_one_node(**values: Any) -> Change:
    """Put every VM on one node, with the same values."""

    def change(_: Exchange, envelope: Any) -> None:
        for number, instance in enumerate(instances_in(envelope)):
            if "vminfo" in instance:
                instance["node_id"] = "one"
                instance["vminfo"] |= {"node_id": "one", "port_forwarding": [], "uuid": f"vm-{number}", **values}

    return change


def renumber(numbers: Callable[[int], int]) -> Change:
    """Give the versions of a template other numbers."""
    return on_items(
        lambda template: [version.update(number=numbers(version["number"])) for version in template.get("versions", [])]
    )


def retag(_: Exchange, envelope: Any) -> None:
    """Give all versions of a template the same tag."""
    for template in items_in(envelope):
        for version in template.get("versions", []):
            version["tag"] = "latest"


def on_deliveries(**values: Any) -> Change:
    """Change the status of each distribution at each node."""

    def change(_: Exchange, envelope: Any) -> None:
        for item in items_in(envelope):
            for delivery in item["distribute_status"].values():
                delivery.update(values)

    return change


def groups_with(fallbacks: list[str | None]) -> Change:
    """List groups, named by letters, that fall back to others."""
    groups = [
        {"id": letter, "name": letter, "description": "", "fallback_group_id": fallback}
        for letter, fallback in zip("abcdef", fallbacks, strict=False)
    ]
    return lambda exchange, envelope: {**envelope, "body": [*envelope["body"], *groups]}


def not_listed_at_first(responses: int) -> Change:
    """Omit a new instance from the first lists."""
    counts: dict[str, int] = {}

    def change(_: Exchange, envelope: Any) -> None:
        for item in list(envelope["body"]):
            id = item["instance_id"]
            counts[id] = counts.get(id, 0) + 1
            if str(item["name"]).startswith("mockanka-check") and counts[id] <= responses:
                envelope["body"].remove(item)

    return change


def not_found_at_first(responses: int) -> Change:
    """Do not find a new instance by its id at first."""
    queries: list[str] = []

    def change(exchange: Exchange, envelope: Any) -> Any:
        if "mockanka-check" not in json.dumps(envelope):
            return exchange
        queries.append(exchange.query)
        return exchange if len(queries) > responses else not_found(exchange, envelope)

    return change


def not_found(exchange: Exchange, _: Any) -> Exchange:
    return replace(exchange, status=400, response_content=b'{"status":"FAIL","message":"Not found"}\n')


def accepted(exchange: Exchange, _: Any) -> Exchange:
    return replace(exchange, status=200, response_content=b'{"status":"OK","message":""}\n')


def rejected(exchange: Exchange, _: Any) -> Exchange:
    return replace(exchange, status=400, response_content=b'{"status":"FAIL","message":"no"}\n')


def success_with(body: str) -> Change:
    """Replace a failure by a success with this body."""
    content = f'{{"status":"OK","message":"","body":{body}}}\n'.encode()
    return on_failure(lambda exchange, _: replace(exchange, status=200, response_content=content))


def alternating(states: list[str]) -> Change:
    return OverTime(lambda instance, count: instance.update(instance_state=states[count % len(states)]))


def repeat_first_item(_: Exchange, envelope: Any) -> None:
    envelope["body"] += envelope["body"][:1]


def empty_list(_: Exchange, envelope: Any) -> Any:
    return {**envelope, "body": []} if "body" in envelope else envelope


def reject_second_termination() -> Change:
    accepted_contents: list[bytes] = []

    def change(exchange: Exchange, envelope: Any) -> Any:
        if envelope["status"] != "OK":
            return exchange
        accepted_contents.append(exchange.request_content)
        is_first = accepted_contents.count(exchange.request_content) == 1
        return exchange if is_first else rejected(exchange, envelope)

    return change


def keep_first_name() -> Change:
    """List every instance with the name it had first."""
    names: dict[str, str] = {}

    def change(_: Exchange, envelope: Any) -> None:
        body = envelope.get("body")
        for item in body if isinstance(body, list) else []:
            item["name"] = names.setdefault(item["instance_id"], item["name"])

    return change


def clear_key(key: str, name_suffix: str) -> Change:
    """Clear a key once the name has changed, as by a PUT that replaces the instance."""

    def change(_: Exchange, envelope: Any) -> None:
        body = envelope.get("body")
        for item in body if isinstance(body, list) else []:
            if str(item.get("name")).endswith(name_suffix):
                item[key] = None

    return change


def never_terminating(_: Exchange, envelope: Any) -> None:
    """Show terminated instances as Started."""
    for instance in instances_in(envelope):
        if instance["instance_state"] in ("Terminating", "Terminated"):
            instance["instance_state"] = "Started"


TERMINATED_INSTANCE = {
    "instance_id": "i", "instance_state": "Terminated", "anka_registry": "", "vmid": "t", "inflight_reqid": "r",
    "ts": "2019-12-25T16:06:20Z", "cr_time": "2019-12-25T16:06:20Z", "progress": 0, "arch": "arm64", "vlan": "",
}  # fmt: skip


def never_forgotten(exchange: Exchange, envelope: Any) -> Any:
    """Show unknown instances as Terminated."""
    if envelope["status"] == "OK":
        return exchange
    success = {"status": "OK", "message": "", "body": TERMINATED_INSTANCE}
    return replace(exchange, status=200, response_content=json.dumps(success).encode())


def reject_first() -> Change:
    """Reject the first request, which is the POST of a group without a content type."""
    count: list[int] = []

    def change(exchange: Exchange, envelope: Any) -> Any:
        count.append(1)
        return rejected(exchange, envelope) if len(count) == 1 else exchange

    return change


def keep_memberships() -> Change:
    """Show a node in every group that any node ever was in."""
    groups: dict[str, dict[str, Any]] = {}

    def change(_: Exchange, envelope: Any) -> None:
        for node in envelope.get("body", []):
            groups.update({group["id"]: group for group in node.get("groups", [])})
            if node["node_name"] == "mini-01":
                node["groups"] = list(groups.values())

    return change


def hide_new_groups(_: Exchange, envelope: Any) -> Any:
    groups = [group for group in envelope["body"] if not group["name"].startswith("mockanka-check")]
    return {**envelope, "body": groups}


def keep_deleted_groups() -> Change:
    """List every group that ever existed."""
    groups: dict[str, dict[str, Any]] = {}

    def change(_: Exchange, envelope: Any) -> Any:
        groups.update({group["id"]: group for group in envelope["body"]})
        return {**envelope, "body": list(groups.values())}

    return change


# ---- deviations ----------------------------------------------------------------------------------------------------

RESPONSE_DEVIATIONS = [
    Deviation("null where there is no message", "schema", "listVms", on_instances(setting(message=None)), single=True),
    Deviation("vminfo that is null", "schema", "listVms", on_instances(setting(vminfo=None))),
    Deviation("progress that is text", "schema", "listVms", on_instances(setting(progress="0"))),
    Deviation("progress above 1", "schema", "listVms", on_instances(setting(progress=1.5))),
    Deviation("an unknown state", "schema", "listVms", on_instances(setting(instance_state="Starting"))),
    Deviation("no vmid", "schema", "listVms", on_instances(without("vmid"))),
    Deviation("no state", "schema", "listVms", on_instances(without("instance_state")), single=True),
    Deviation("ts that is not a time", "time", "listVms", on_instances(setting(ts="yesterday"))),
    Deviation("ts that is empty", "time", "listVms", on_instances(setting(ts=""))),
    Deviation("cr_time without zone", "time", "listVms", on_instances(setting(cr_time="2024-01-01T00:00:00"))),
    Deviation("cr_time in unix seconds", "schema", "listVms", on_instances(setting(cr_time=1700000000))),
    Deviation("a VNC port that is text", "schema", "listVms", on_vms(setting(vnc_port="5900"))),
    Deviation("RAM of a VM that is a number", "schema", "listVms", on_vms(setting(ram=8))),
    Deviation("a VM without host_ip", "schema", "listVms", on_vms(without("host_ip"))),
    Deviation("ports with the old name of a key", "schema", "listVms",
        on_vms(lambda vm: [rule.update(Name=rule.pop("name")) for rule in vm["port_forwarding"]])),
    Deviation("a port that is text", "schema", "listVms",
        on_vms(lambda vm: [rule.update(host_port="10000") for rule in vm["port_forwarding"]])),
    Deviation("metadata that is a list", "schema", "listVms", on_instances(setting(metadata=[]))),
    Deviation("the list in response to an id", "shape", "listVms", empty_list, single=True),
    Deviation("one instance in place of the list", "shape", "listVms",
        lambda _, envelope: {**envelope, "body": envelope["body"][0]["vm"]}, single=False),
    Deviation("an empty list that is null", "shape", "listDistributions", envelope_with(body=None), path=DISTRIBUTE,
        single=False),
    Deviation("a list without body", "envelope", "listSaveImages", on_success(envelope_with(body=...)), path=IMAGE),
    Deviation("a node that is not an array", "shape", "listNodes",
        lambda _, envelope: {**envelope, "body": envelope["body"][0]} if "body" in envelope else envelope,
        path=NODE, single=True),
    Deviation("two nodes for an id", "shape", "listNodes",
        lambda _, envelope: {**envelope, "body": envelope["body"] * 2} if "body" in envelope else envelope,
        path=NODE, single=True),
    Deviation("a node's RAM as text", "schema", "listNodes", on_items(setting(ram="16G")), path=NODE),
    Deviation("a node whose capacity is true", "schema", "listNodes", on_items(setting(capacity=True)), path=NODE),
    Deviation("a node whose count has a point", "schema", "listNodes", on_items(setting(cpu_count=8.0)), path=NODE),
    Deviation("a node in an unknown state", "schema", "listNodes", on_items(setting(state="Up")), path=NODE),
    Deviation("a node without USB devices says null", "schema", "listNodes", on_items(setting(usb_devices=None)),
        path=NODE),
    Deviation("a node in no group says []", "schema", "listNodes", on_items(setting(groups=[])), path=NODE),
    Deviation("a template without size", "schema", "listTemplates", on_items(without("size")), path=TEMPLATE,
        single=False),
    Deviation("a template's size as text", "schema", "listTemplates", on_items(setting(size="20GB")), path=TEMPLATE),
    Deviation("a template without versions", "schema", "listTemplates", on_items(without("versions")), path=TEMPLATE,
        single=True),
    Deviation("an unknown arch", "schema", "listTemplates", on_items(setting(arch="x86")), path=TEMPLATE),
    Deviation("a status without licence", "schema", "getStatus", on_items(without("license")), path="/api/v1/status"),
    Deviation("an unknown licence", "schema", "getStatus", on_items(setting(license="gold")), path="/api/v1/status"),
    Deviation("a disk whose free space is text", "schema", "getRegistryDisk", on_items(setting(free="1")),
        path="/api/v1/registry/disk"),
    Deviation("a group whose description is null", "schema", "listGroups", on_items(setting(description=None)),
        path=GROUP),
    Deviation("a VLAN list that is null", "schema", "listVlans", envelope_with(body=None), path="/api/v1/vlan"),
    Deviation("success with a message", "envelope", "listVms", on_success(envelope_with(message="ok"))),
    Deviation("success without a message", "envelope", "listGroups", envelope_with(message=...), path=GROUP),
    Deviation("a status in lower case", "envelope", "listGroups", envelope_with(status="ok"), path=GROUP),
    Deviation("a failure with a body", "envelope", "listVms", on_failure(envelope_with(body=None))),
    Deviation("a failure without a message", "envelope", "listVms", on_failure(envelope_with(message=""))),
    Deviation("a status ERROR", "envelope", "listTemplates", on_failure(envelope_with(status="ERROR")), path=TEMPLATE),
    Deviation("success with 201", "status-code", "listVms", exchange_with(status=201)),
    Deviation("a failure with 200", "status-code", "listVms", on_failure(exchange_with(status=200))),
    Deviation("a failure with 404", "status-code", "listNodes", on_failure(exchange_with(status=404)), path=NODE),
    Deviation("an early failure with 400", "status-code", "listVms", on_failure(exchange_with(status=400)),
        release="1.8.0"),
    Deviation("a controller that is not ready", "status-code", "getReadyz", exchange_with(status=503), path="/readyz"),
    Deviation("plain text", "content-type", "listVms", header("content-type", "text/plain")),
    Deviation("no content type", "content-type", "listNodes", header("content-type", ""), path=NODE),
    Deviation("HTML", "json", "listGroups", exchange_with(response_content=b"<html></html>"), path=GROUP),
    Deviation("half a response", "json", "listVms",
        lambda exchange, _: replace(exchange, response_content=exchange.response_content[:40])),
    Deviation("NaN", "json", "listNodes",
        replacing(b'"cpu_util":0', b'"cpu_util":NaN'), path=NODE),
    Deviation("a success for every path", "stray", "no operation", exchange_with(status=200),
        path="/api/v1/no-such-path"),
    Deviation("a further key", "undocumented", "listVms", on_instances(setting(colour="blue")), outcome="noted"),
    Deviation("a key of a later release", "undocumented", "listVms", on_instances(setting(vlan="")), release="1.8.0",
        outcome="noted"),
    Deviation("a body before the status", "key-order", "listVms",
        lambda _, envelope: dict(sorted(envelope.items())), outcome="noted"),
    Deviation("no line break at the end", "newline", "listVms",
        lambda exchange, _: replace(exchange, response_content=exchange.response_content.rstrip()), outcome="noted"),
]  # fmt: skip

READ_DEVIATIONS = [
    Deviation("an instance listed twice", "unique", "listVms", repeat_first_item, single=False),
    Deviation("a template listed twice", "unique", "listTemplates", repeat_first_item, path=TEMPLATE, single=False),
    Deviation("another tag by id", "list-and-single", "listVms", on_instances(setting(tag="other")), single=True),
    Deviation("another name by id", "list-and-single", "listVms", on_items(setting(name="other")), single=True),
    Deviation("another state by id", "list-and-single", "listVms", on_instances(setting(instance_state="Stopping")),
        single=True),
    Deviation("an instance that is listed, but not found", "list-and-single", "listVms", not_found, single=True),
    Deviation("another capacity by id", "list-and-single", "listNodes", on_items(setting(capacity=77)), path=NODE,
        single=True),
    Deviation("another size by id", "list-and-single", "listTemplates", on_items(setting(size=1)), path=TEMPLATE,
        single=True),
    Deviation("an unknown id that succeeds", "unknown-id", "listVms", success_with("{}"), single=True),
    Deviation("another text for an unknown id", "message", "listVms", on_failure(envelope_with(message="not found")),
        single=True),
    Deviation("another text for an unknown node", "message", "listNodes",
        on_failure(envelope_with(message="No such node")),
        path=NODE),
    Deviation("another text for an unknown template", "message", "listTemplates",
        on_failure(envelope_with(message="unknown")),
        path=TEMPLATE),
    Deviation("another text for an unknown save request", "message-guess", "listSaveImages",
        on_failure(envelope_with(message="unknown")), path=IMAGE, outcome="noted"),
    Deviation("an empty id that is not ignored", "empty-id", "listVms",
        lambda exchange, envelope: rejected(exchange, envelope) if exchange.query == "id=" else exchange),
    Deviation("a Started instance that returns to Scheduling", "moves", "listVms",
        alternating(["Started", "Scheduling"]), single=False),
    Deviation("a Terminated instance that is Started again", "moves", "listVms", alternating(["Started", "Terminated"]),
        single=False),
    Deviation("a stopped VM that runs again", "moves", "listVms", alternating(["Stopped", "Started"]), single=False),
    Deviation("progress that falls", "progress", "listVms",
        OverTime(lambda instance, count: instance.update(progress=max(0, 1 - count / 10))), single=False),
    Deviation("another time of creation", "constant", "listVms",
        OverTime(lambda instance, count: instance.update(cr_time=f"2020-01-01T00:00:{count % 60:02}Z")), single=False),
    Deviation("Started without a VM", "vm-of-state", "listVms", on_instances(without("vminfo"))),
    Deviation("Scheduling with a VM", "vm-of-state", "listVms", on_instances(setting(instance_state="Scheduling"))),
    Deviation("Error without a message", "error-told", "listVms", on_instances(setting(instance_state="Error"))),
    Deviation("a report before the creation", "time-order", "listVms",
        on_instances(setting(ts="2001-01-01T00:00:00Z"))),
    Deviation("a node that counts no VMs", "node-counters", "listNodes", on_items(setting(vm_count=0)), path=NODE),
    Deviation("a node that counts no cores", "node-sums", "listNodes", on_items(setting(vcpu_count=0)), path=NODE),
    Deviation("a node that counts no RAM", "node-sums", "listNodes", on_items(setting(vram=0)), path=NODE),
    Deviation("groups that are not listed", "references", "listNodes", envelope_with(body=[]), path=GROUP,
        outcome="noted"),
    Deviation("versions in descending order", "versions", "listTemplates",
        on_items(lambda template: template["versions"].reverse()), path=TEMPLATE, single=True),
    Deviation("a registry with more free than total space", "disk", "getRegistryDisk", on_items(setting(total=0)),
        path="/api/v1/registry/disk"),
    Deviation("a node with more free than total space", "disk", "listNodes", on_items(setting(disk_size=0)), path=NODE),
]  # fmt: skip

UPDATED = "2026-01-01T00:00:00Z"

CONSISTENCY_DEVIATIONS = [
    # the text of the JSON, and HTTP
    Deviation(
        "a key twice", "json-text", "listGroups", replacing(b'"message":""', b'"message":"","message":""'), path=GROUP
    ),
    Deviation(
        "a key of an item twice", "json-text", "listVms", replacing(b'"progress":0', b'"progress":1,"progress":0')
    ),
    Deviation(
        "half of a surrogate pair",
        "json-text",
        "listGroups",
        replacing(b'"message":""', b'"message":"","x":"\\udc00"'),
        path=GROUP,
    ),
    Deviation("another charset", "content-type", "listVms", header("content-type", "application/json; charset=latin1")),
    Deviation("a response that may be cached", "caching", "listVms", header("cache-control", "public, max-age=60")),
    Deviation("a response that is private", "caching", "listVms", header("cache-control", "private")),
    Deviation("a response out of a cache", "caching", "listNodes", header("age", "7"), path=NODE),
    Deviation(
        "a compressed response",
        "encoding",
        "listVms",
        lambda exchange, _: replace(
            exchange,
            response_content=gzip.compress(exchange.response_content),
            headers={**exchange.headers, "content-encoding": "gzip"},
        ),
    ),
    Deviation(
        "a redirect",
        "status-code",
        "listGroups",
        lambda exchange, _: replace(
            exchange, status=302, response_content=b"", headers={"location": "https://login.example"}
        ),
        path=GROUP,
    ),
    Deviation("no content", "status-code", "listGroups", exchange_with(status=204, response_content=b""), path=GROUP),
    Deviation(
        "an error page",
        "status-code",
        "listGroups",
        exchange_with(status=500, response_content=b"<html></html>", headers={"content-type": "text/html"}),
        path=GROUP,
    ),
    Deviation(
        "an operation that is missing",
        "status-code",
        "listGroups",
        exchange_with(status=404, response_content=b"404 page not found\n"),
        path=GROUP,
    ),
    # what does not change
    *(
        Deviation(
            f"a Started instance with another {key}",
            "constant",
            "listVms",
            OverTime(
                lambda instance, count, key=key: instance.update({key: f"{key}-{count}"}) if key in instance else None
            ),
            single=False,
        )
        for key in ("inflight_reqid", "tag", "arch")
    ),
    Deviation(
        "a Started instance that moves to another node",
        "constant",
        "listVms",
        OverTime(
            lambda instance, count: (
                (instance.update(node_id=f"n{count}"), instance["vminfo"].update(node_id=f"n{count}"))
                if "vminfo" in instance
                else None
            )
        ),
        single=False,
    ),
    *(
        Deviation(
            f"a VM with another {key}",
            "constant",
            "listVms",
            vm_over_time(lambda vm, count, key=key, value=value: vm.update({key: value.format(count)}) if vm else None),
            single=False,
        )
        for key, value in (
            ("uuid", "u{}"),
            ("name", "n{}"),
            ("ram", "{}G"),
            ("creation_date", "2020-01-01T00:00:{:02}Z"),
        )
    ),
    Deviation(
        "a VM with another address",
        "constant",
        "listVms",
        vm_over_time(lambda vm, count: vm.update(host_ip=f"192.0.2.{count}") if vm else None),
        single=False,
        outcome="noted",
    ),
    Deviation(
        "a VM with another port",
        "constant",
        "listVms",
        vm_over_time(
            lambda vm, count: [rule.update(host_port=20000 + count) for rule in vm.get("port_forwarding", ())]
        ),
        single=False,
        outcome="noted",
    ),
    Deviation(
        "a node with other cores",
        "constant",
        "listNodes",
        over_time(lambda node, count: node.update(cpu_count=count)),
        path=NODE,
    ),
    Deviation(
        "a node with another disk",
        "constant",
        "listNodes",
        over_time(lambda node, count: node.update(disk_size=10**15 + count)),
        path=NODE,
    ),
    Deviation(
        "a distribution that is requested again",
        "constant",
        "listDistributions",
        over_time(lambda item, count: item["request"].update(time_requested=f"2019-12-26T00:00:{count:02}Z")),
        path=DISTRIBUTE,
        scenario="reference",
    ),
    Deviation(
        "a save request of another instance",
        "constant",
        "listSaveImages",
        over_time(lambda item, count: item["request"].update(InstanceID=str(count))),
        path=IMAGE,
        scenario="reference",
    ),
    # times
    Deviation(
        "ts that goes backwards",
        "time-order",
        "listVms",
        OverTime(lambda instance, count: instance.update(ts=second_from(count))),
        single=False,
    ),
    Deviation(
        "a start date that goes backwards",
        "time-order",
        "listVms",
        vm_over_time(lambda vm, count: vm.update(start_date=second_from(count)) if vm else None),
        single=False,
    ),
    Deviation(
        "a VM that is inspected after its report",
        "time-order",
        "listVms",
        on_vms(setting(timestamp="2098-01-01T00:00:00Z")),
    ),
    Deviation(
        "a VM that started before its instance",
        "time-order",
        "listVms",
        on_vms(setting(start_date="2016-01-01T00:00:00Z")),
    ),
    Deviation(
        "a node whose report goes backwards",
        "time-order",
        "listNodes",
        over_time(lambda node, count: node.update(timestamp=2_000_000_000 - count)),
        path=NODE,
    ),
    Deviation(
        "a node with two times of its report",
        "time-order",
        "listNodes",
        on_items(setting(timestamp=1_500_000_000)),
        path=NODE,
    ),
    Deviation("a creation in year 1", "clock", "listVms", on_instances(setting(cr_time="0001-01-01T00:00:00Z"))),
    Deviation(
        "a creation in 2099",
        "clock",
        "listVms",
        on_instances(setting(cr_time="2099-01-01T00:00:00Z", ts="2099-01-01T00:00:01Z")),
    ),
    Deviation(
        "a Date years before the reports",
        "clock",
        "listVms",
        dated(on_instances(setting()), "Wed, 01 Jan 2020 00:00:00 GMT"),
    ),
    Deviation(
        "a Date years after the creations",
        "clock",
        "listVms",
        dated(on_instances(setting()), "Wed, 01 Jan 2070 00:00:00 GMT"),
        outcome="noted",
    ),
    Deviation(
        "an Active node that reported long ago",
        "clock",
        "listNodes",
        on_items(setting(last_updated="2020-01-01T00:00:00Z", timestamp=1577836800)),
        path=NODE,
        outcome="noted",
    ),
    Deviation(
        "a distribution of the future",
        "clock",
        "listDistributions",
        on_items(lambda item: item["request"].update(time_requested="2099-01-01T00:00:00Z")),
        path=DISTRIBUTE,
        scenario="reference",
    ),
    # versions
    Deviation(
        "a version without a build", "version", "getStatus", on_items(setting(version="1.50.1")), path="/api/v1/status"
    ),
    Deviation(
        "a version with a v",
        "version",
        "getStatus",
        on_items(setting(version="v1.50.1-5e3c3f5b")),
        path="/api/v1/status",
    ),
    Deviation("an agent without a build", "version", "listNodes", on_items(setting(agent_version="1.50.1")), path=NODE),
    Deviation(
        "an Anka version that is none",
        "version",
        "listNodes",
        on_items(lambda node: node["anka_version"].update(version="latest")),
        path=NODE,
        outcome="noted",
    ),
    Deviation(
        "a licence that expires in ISO 8601",
        "version",
        "listNodes",
        on_items(lambda node: node["anka_version"].update(expires="2027-01-01")),
        path=NODE,
        outcome="noted",
    ),
    # what no two share
    Deviation("a port twice on a node", "unique", "listVms", share_ports, scenario="busy"),
    Deviation(
        "a port twice in a VM",
        "unique",
        "listVms",
        on_vms(lambda vm: vm.update(port_forwarding=vm["port_forwarding"] * 2)),
        single=False,
    ),
    Deviation("a VM twice", "unique", "listVms", on_vms(setting(uuid="the-same")), single=False, scenario="busy"),
    Deviation(
        "a VNC port twice on a node", "unique", "listVms", on_one_node(vnc_port=5901), single=False, scenario="busy"
    ),
    Deviation(
        "an address twice on a node",
        "unique",
        "listVms",
        on_one_node(ip="192.168.64.2"),
        single=False,
        outcome="noted",
        scenario="busy",
    ),
    Deviation(
        "a MAC address twice",
        "unique",
        "listVms",
        on_instances(setting(mac_address="AA:BB:CC:DD:EE:FF")),
        single=False,
        scenario="busy",
    ),
    Deviation(
        "a request id twice",
        "unique",
        "listVms",
        on_instances(setting(inflight_reqid="the-same")),
        single=False,
        scenario="busy",
    ),
    Deviation(
        "a template twice on a node",
        "unique",
        "listNodes",
        on_items(lambda node: node.update(templates=node["templates"] * 2)),
        path=NODE,
    ),
    Deviation(
        "a VLAN twice",
        "unique",
        "listVlans",
        lambda exchange, envelope: {**envelope, "body": ["12", "12"]},
        path="/api/v1/vlan",
    ),
    # VMs
    Deviation(
        "a VM on a node of another architecture",
        "vm-of-state",
        "listVms",
        on_items(setting(host_arch="amd64")),
        path=NODE,
        scenario="busy",
    ),
    Deviation(
        "a VM with the address of another node",
        "references",
        "listVms",
        on_vms(setting(host_ip="198.51.100.1")),
        outcome="noted",
    ),
    Deviation(
        "a group of a node that is listed under another name",
        "references",
        "listNodes",
        on_items(setting(name="other")),
        path=GROUP,
        outcome="noted",
    ),
    Deviation(
        "a template with another name in the short list",
        "constant",
        "listTemplates",
        lambda exchange, envelope: (
            on_items(setting(name="other"))(exchange, envelope) if "apiVer" in exchange.parameters else exchange
        ),
        path=TEMPLATE,
    ),
    Deviation("a VM on another node than its instance", "vm-of-state", "listVms", on_vms(setting(node_id="other"))),
    Deviation("a Started instance without a node", "vm-of-state", "listVms", on_instances(without("node_id"))),
    Deviation("half a pull when Started", "progress", "listVms", on_instances(setting(progress=0.5)), outcome="noted"),
    Deviation("a running VM that stopped", "vm-values", "listVms", on_vms(setting(stop_date=UPDATED))),
    Deviation("a VM without cores", "vm-values", "listVms", on_vms(setting(cpu_cores=0))),
    Deviation("RAM of a VM without its unit", "vm-values", "listVms", on_vms(setting(ram="8192"))),
    Deviation(
        "an access long before the inspection",
        "vm-values",
        "listVms",
        on_vms(setting(access_date="2020-01-01T00:00:00Z")),
        outcome="noted",
    ),
    Deviation(
        "a VNC address with another port",
        "vm-values",
        "listVms",
        on_vms(setting(vnc_connection_string="vnc://:@192.0.2.1:1")),
        release="1.24.0",
        outcome="noted",
    ),
    # nodes, groups and templates
    Deviation(
        "more VMs than a node's capacity",
        "node-capacity",
        "listNodes",
        on_items(setting(vm_count=99)),
        path=NODE,
        outcome="noted",
    ),
    Deviation(
        "cores of VMs that do not exist",
        "node-sums",
        "listNodes",
        on_items(setting(vm_count=0, vcpu_count=8)),
        path=NODE,
    ),
    Deviation(
        "RAM of a node in MB",
        "node-ram",
        "listNodes",
        on_items(lambda node: node.update(ram=node["ram"] * 1024)),
        path=NODE,
    ),
    Deviation(
        "a share of RAM that does not follow",
        "node-ram",
        "listNodes",
        on_items(setting(ram_util=0.9)),
        path=NODE,
        outcome="noted",
    ),
    Deviation(
        "a node with more used than total space",
        "disk",
        "listNodes",
        on_items(setting(anka_disk_usage=10**18)),
        path=NODE,
    ),
    Deviation(
        "a node whose disk has too little space",
        "disk",
        "listNodes",
        on_items(lambda node: node.update(free_disk_space=node["disk_size"], anka_disk_usage=1)),
        path=NODE,
        outcome="noted",
    ),
    Deviation(
        "a fallback group that is not listed",
        "references",
        "listGroups",
        groups_with(["gone"]),
        path=GROUP,
        outcome="noted",
    ),
    Deviation("a group that is its own fallback", "references", "listGroups", groups_with(["a"]), path=GROUP),
    Deviation(
        "fallback groups in a circle",
        "references",
        "listGroups",
        groups_with(["b", "c", "a"]),
        path=GROUP,
        outcome="noted",
    ),
    Deviation(
        "versions that begin with 1",
        "versions",
        "listTemplates",
        renumber(lambda number: number + 1),
        path=TEMPLATE,
        single=True,
    ),
    Deviation(
        "versions with a gap",
        "versions",
        "listTemplates",
        renumber(lambda number: 2 * number),
        path=TEMPLATE,
        single=True,
    ),
    Deviation("a tag twice", "versions", "listTemplates", retag, path=TEMPLATE, single=True),
    Deviation(
        "a template smaller than its version",
        "template-size",
        "listTemplates",
        on_items(setting(size=1)),
        path=TEMPLATE,
    ),
    Deviation(
        "a template larger than its versions",
        "template-size",
        "listTemplates",
        on_items(setting(size=10**15)),
        path=TEMPLATE,
    ),
    Deviation(
        "a delivery that is done in the middle",
        "task-status",
        "listDistributions",
        on_deliveries(status=True, progress=0.5),
        path=DISTRIBUTE,
        scenario="reference",
    ),
    Deviation(
        "a delivery that is done with an error",
        "task-status",
        "listDistributions",
        on_deliveries(status=True, progress=1, error="request canceled"),
        path=DISTRIBUTE,
        scenario="reference",
    ),
    Deviation(
        "a save request that is done with an error",
        "task-status",
        "listSaveImages",
        on_items(setting(status="done", error={"Message": "x"})),
        path=IMAGE,
        scenario="reference",
    ),
    Deviation(
        "a save request that failed for no reason",
        "task-status",
        "listSaveImages",
        on_items(setting(status="error", error=None)),
        path=IMAGE,
        scenario="reference",
    ),
    Deviation(
        "a save request that is done and pending",
        "moves",
        "listSaveImages",
        over_time(lambda item, count: item.update(status=["done", "pending"][count % 2])),
        path=IMAGE,
        scenario="reference",
    ),
]

WRITE_DEVIATIONS = [
    Deviation("a start without ids", "made", "startVms", on_success(envelope_with(body=[])), method="POST"),
    Deviation("a start with one id too many", "made", "startVms",
        on_success(lambda _, envelope: {**envelope, "body": [*envelope["body"], "x"]}), method="POST"),
    Deviation("a list without the new instance at first", "at-once", "startVms", not_listed_at_first(2), single=False),
    Deviation("a new id that is not found at first", "at-once", "startVms", not_found_at_first(1), single=True),
    Deviation("no name", "labels", "startVms", on_items(setting(name=None)), single=False),
    Deviation("another external id", "labels", "startVms", on_items(setting(external_id="1")), single=False),
    Deviation("a new instance in Stopping", "first-state", "startVms",
        replacing(b'"instance_state":"Scheduling"', b'"instance_state":"Stopping"')),
    Deviation("a start that ends in Error", "started", "startVms",
        replacing(b'"instance_state":"Started"', b'"instance_state":"Error"')),
    Deviation("another template", "placed", "startVms", on_instances(setting(vmid="other"))),
    Deviation("an update without effect", "partial", "updateVm", keep_first_name(), single=False),
    Deviation("an update that clears other fields", "partial", "updateVm", clear_key("external_id", "-2"),
        single=False),
    Deviation("a body that needs a content type", "any-content-type", "updateVm",
        lambda exchange, envelope: rejected(exchange, envelope) if b"-3" in exchange.request_content else exchange,
        method="PUT"),
    Deviation("unknown fields that are rejected", "unknown-field", "updateVm",
        lambda exchange, envelope: rejected(exchange, envelope) if b"no_such" in exchange.request_content else exchange,
        method="PUT"),
    Deviation("metadata that is replaced", "merged", "updateVm",
        replacing(b'"metadata":{"a":"x","b":2}', b'"metadata":{"b":2}'), single=True, outcome="noted"),
    Deviation("a restart that does not restart", "restarted", "restartVm",
        on_vms(setting(start_date="2024-01-01T00:00:00Z"))),
    Deviation("another text for an unknown tag", "message", "startVms",
        on_failure(lambda _, envelope: {**envelope, "message": envelope["message"].replace("No such", "Unknown")}),
        method="POST"),
    Deviation("another text for an unknown template at a start", "message", "startVms",
        on_failure(lambda _, envelope: {**envelope, "message": envelope["message"].replace("VM", "Template")}),
        method="POST"),
    Deviation("an impossible start that succeeds", "refused", "startVms", success_with('["x"]'), method="POST"),
    Deviation("a malformed body that is accepted", "forbidden-taken", "startVms", success_with('["x"]'), method="POST"),
    Deviation("an unknown instance that is updated", "unknown-id", "updateVm", on_failure(accepted), method="PUT"),
    Deviation("an unknown node that is deleted", "unknown-id", "deleteNode", on_failure(accepted), path=NODE,
        method="DELETE"),
    Deviation("a termination with a body", "envelope", "terminateVm", on_success(envelope_with(body=None)),
        method="DELETE"),
    Deviation("a second termination that fails", "terminated", "terminateVm", reject_second_termination(),
        method="DELETE"),
    Deviation("an instance that cannot be terminated", "terminating", "terminateVm", never_terminating),
    Deviation("an instance that is Terminated forever", "gone", "terminateVm", never_forgotten, single=True),
    Deviation("a group without id", "made", "createGroup", on_items(without("id")), path=GROUP, method="POST"),
    Deviation("a group with another description", "labels", "createGroup", on_items(setting(description="")),
        path=GROUP),
    Deviation("a new group that is not listed", "at-once", "createGroup",
        hide_new_groups, path=GROUP),
    Deviation("a group that needs a content type", "any-content-type", "createGroup",
        reject_first(), path=GROUP, method="POST"),
    Deviation("a group whose update clears other fields", "partial", "updateGroup",
        on_items(lambda group: group.update(description="") if group["name"].endswith("-2") else None), path=GROUP),
    Deviation("a node that joins no group", "member", "addNodesToGroups", on_items(without("groups")), path=NODE),
    Deviation("a node that never leaves a group", "member", "removeNodesFromGroups", keep_memberships(), path=NODE),
    Deviation("a deleted group that is listed", "deleted", "deleteGroup", keep_deleted_groups(), path=GROUP),
]  # fmt: skip


DEVIATIONS = [
    *RESPONSE_DEVIATIONS,
    *READ_DEVIATIONS,
    *CONSISTENCY_DEVIATIONS,
    *(replace(deviation, write=True) for deviation in WRITE_DEVIATIONS),
]


@pytest.mark.parametrize("deviation", DEVIATIONS, ids=lambda deviation: deviation.name)
def test_a_deviation_is_found(deviation: Deviation) -> None:
    """It is found by the check that is meant for it, of the operation in which it shows."""
    simulated = SimulatedController(deviation.scenario, deviation.release, alter=deviation)
    results = check_simulated(simulated, write=deviation.write, node="mini-01" if deviation.write else None)

    assert deviation.outcome == results.result_of(deviation.check, deviation.operation).outcome
    if deviation.outcome == "failed":
        assert results.exit_status


def test_every_check_has_a_deviation() -> None:
    """The names differ; the checks without a deviation are those of runs that do not finish and of options."""
    elsewhere = {"answered", "allowed-refused", "release", "connection"}

    assert len(DEVIATIONS) == len({deviation.name for deviation in DEVIATIONS}) == 205
    assert set(CHECKS) - elsewhere - {check.id for check in REQUEST_CHECKS} == {
        deviation.check for deviation in DEVIATIONS
    }


def test_a_status_that_is_not_spelled_ok_is_a_finding() -> None:
    """It is one finding of all operations, with what follows from it, and the check is made to its end."""
    simulated = SimulatedController(alter=envelope_everywhere(status="ok"))
    results = check_simulated(simulated)
    failed = [cause for cause in results.causes if cause.finding.level is not Level.NOTE]

    assert (1, "") == (results.exit_status, results.broken_off)
    assert [("envelope", "$.status", 'is "ok", not OK or FAIL')] == [
        (cause.check, cause.finding.where, cause.finding.text) for cause in failed
    ]
    assert len(failed[0].operations) >= 9
    assert "listVms empty-id: fails: 200" in failed[0].finding.consequences


def envelope_everywhere(**values: Any) -> Callable[[Exchange], Exchange]:
    """Return an alteration of the envelopes of all successes."""

    def alter(exchange: Exchange) -> Exchange:
        if not exchange.succeeded or exchange.envelope is None:
            return exchange
        return replace(exchange, response_content=json.dumps({**exchange.envelope, **values}).encode() + b"\n")

    return alter


@pytest.mark.parametrize("write", [False, True])
def test_a_byte_order_mark_is_one_finding(write: bool) -> None:
    """Whatever else the checks miss in these responses follows from it, and nothing is left behind."""

    def alter(exchange: Exchange) -> Exchange:
        content = b"\xef\xbb\xbf" + exchange.response_content
        return replace(exchange, response_content=content) if exchange.path == VM else exchange

    simulated = SimulatedController(alter=alter)
    results = check_simulated(simulated, write=write)

    assert 1 == results.exit_status
    assert ["json"] == [cause.check for cause in results.causes if cause.finding.level is not Level.NOTE]
    assert "Unexpected UTF-8 BOM" in results.causes[0].finding.text
    assert ([], []) == (results.leftovers, remaining_objects(simulated.controller))
