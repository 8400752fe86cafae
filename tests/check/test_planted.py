"""The check finds what is wrong with a controller: each deviation by the check that is there for it.

A deviation is one small change to the answers of the simulator, made on their way. Each names the check that must
fail, or note it, and whether things must be made for it to show.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from mockanka.check.catalog import CHECKS, REQUESTS
from mockanka.contract.exchange import Exchange
from tests.check.simulated import Simulated, checked

VM, NODE, TEMPLATE, GROUP = "/api/v1/vm", "/api/v1/node", "/api/v1/registry/vm", "/api/v1/group"
DISTRIBUTE, IMAGE = "/api/v1/registry/vm/distribute", "/api/v1/image"
Change = Callable[[Exchange, Any], Any]
"""What becomes of the envelope of an answer: it may be changed in place, or another returned."""


@dataclass
class Planted:
    """A deviation: of which answers, what is changed, and by which check of which operation it must be found."""

    name: str
    check: str
    operation: str
    change: Change
    path: str = VM
    method: str = "GET"
    single: bool | None = None
    """Of answers to an id alone, or of the others alone."""
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
        return replace(exchange, content=json.dumps(envelope if changed is None else changed).encode() + b"\n")


def vms(envelope: Any) -> list[dict[str, Any]]:
    """The instances in an answer, wrapped or bare."""
    body = envelope.get("body")
    if isinstance(body, list):
        return [item["vm"] for item in body if isinstance(item, dict)]
    return [body] if isinstance(body, dict) else []


def each(do: Callable[[dict[str, Any]], object]) -> Change:
    """Do something to every instance."""

    def change(_: Exchange, envelope: Any) -> None:
        for vm in vms(envelope):
            do(vm)

    return change


def items(do: Callable[[dict[str, Any]], object]) -> Change:
    """Do something to every thing of a list, or to the one thing."""

    def change(_: Exchange, envelope: Any) -> None:
        body = envelope.get("body")
        for item in body if isinstance(body, list) else [body] if isinstance(body, dict) else []:
            do(item)

    return change


def to(**values: Any) -> Callable[[dict[str, Any]], object]:
    return lambda thing: thing.update(values)


def without(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda thing: thing.pop(key, None)


def vminfo(do: Callable[[dict[str, Any]], object]) -> Change:
    return each(lambda vm: do(vm["vminfo"]) if "vminfo" in vm else None)


def said(**values: Any) -> Change:
    """Change the envelope itself; ``...`` takes a key away."""

    def change(_: Exchange, envelope: Any) -> Any:
        return {key: value for key, value in {**envelope, **values}.items() if value is not ...}

    return change


def failing(do: Change) -> Change:
    """Change failures alone."""
    return lambda exchange, envelope: do(exchange, envelope) if envelope.get("status") == "FAIL" else exchange


def succeeding(do: Change) -> Change:
    return lambda exchange, envelope: do(exchange, envelope) if envelope.get("status") == "OK" else exchange


def around(**values: Any) -> Change:
    """Change what is around the envelope."""
    return lambda exchange, _: replace(exchange, **values)


def header(name: str, value: str) -> Change:
    return lambda exchange, _: replace(exchange, headers={**exchange.headers, name: value})


class Later:
    """What is so from the second time on that a thing is seen, or once so much has been seen."""

    def __init__(self, do: Callable[[dict[str, Any], int], object]) -> None:
        self.do = do
        self.count = 0

    def __call__(self, _: Exchange, envelope: Any) -> None:
        self.count += 1
        for vm in vms(envelope):
            self.do(vm, self.count)


def hidden(first: int) -> Change:
    """The list does not have what was made in the last looks."""
    known: dict[str, int] = {}

    def change(_: Exchange, envelope: Any) -> None:
        for item in list(envelope["body"]):
            known[item["instance_id"]] = known.get(item["instance_id"], 0) + 1
            if str(item["name"]).startswith("mockanka-check") and known[item["instance_id"]] <= first:
                envelope["body"].remove(item)

    return change


def unfound(first: int) -> Change:
    """What was made is not found by its id at first."""
    asked: list[str] = []

    def change(exchange: Exchange, envelope: Any) -> Any:
        if "mockanka-check" not in json.dumps(envelope):
            return exchange
        asked.append(exchange.query)
        if len(asked) > first:
            return exchange
        return replace(exchange, status=400, content=b'{"status":"FAIL","message":"Not found"}\n')

    return change


def ok(exchange: Exchange, _: Any) -> Exchange:
    return replace(exchange, status=200, content=b'{"status":"OK","message":""}\n')


def refused(exchange: Exchange, _: Any) -> Exchange:
    return replace(exchange, status=400, content=b'{"status":"FAIL","message":"no"}\n')


def flapping(states: list[str]) -> Change:
    return Later(lambda vm, count: vm.update(instance_state=states[count % len(states)]))


def twice(_: Exchange, envelope: Any) -> None:
    envelope["body"] += envelope["body"][:1]


def again_refused() -> Change:
    """A second termination fails."""
    taken: list[bytes] = []

    def change(exchange: Exchange, envelope: Any) -> Any:
        if envelope["status"] != "OK":
            return exchange
        taken.append(exchange.sent)
        return exchange if taken.count(exchange.sent) == 1 else refused(exchange, envelope)

    return change


def kept_name() -> Change:
    """Names stay what they were at first."""
    first: dict[str, str] = {}

    def change(_: Exchange, envelope: Any) -> None:
        body = envelope.get("body")
        for item in body if isinstance(body, list) else []:
            item["name"] = first.setdefault(item["instance_id"], item["name"])

    return change


def wiping(key: str, after: str) -> Change:
    """An update of one thing takes another away, as a PUT that replaces would."""

    def change(_: Exchange, envelope: Any) -> None:
        body = envelope.get("body")
        for item in body if isinstance(body, list) else []:
            if str(item.get("name")).endswith(after):
                item[key] = None

    return change


def undying(_: Exchange, envelope: Any) -> None:
    """Whoever is terminated seems to run on."""
    for vm in vms(envelope):
        if vm["instance_state"] in ("Terminating", "Terminated"):
            vm["instance_state"] = "Started"


FOREVER = {
    "instance_id": "i", "instance_state": "Terminated", "anka_registry": "", "vmid": "t", "inflight_reqid": "r",
    "ts": "2019-12-25T16:06:20Z", "cr_time": "2019-12-25T16:06:20Z", "progress": 0, "arch": "arm64", "vlan": "",
}  # fmt: skip


def the_list(_: Exchange, envelope: Any) -> Any:
    return {**envelope, "body": []} if "body" in envelope else envelope


def undead(exchange: Exchange, envelope: Any) -> Any:
    """Whom nobody knows is Terminated, for ever."""
    if envelope["status"] == "OK":
        return exchange
    body = {"status": "OK", "message": "", "body": FOREVER}
    return replace(exchange, status=200, content=json.dumps(body).encode())


def taken(body: str) -> Change:
    """A success with that body in place of a failure."""
    content = f'{{"status":"OK","message":"","body":{body}}}\n'.encode()
    return failing(lambda exchange, _: replace(exchange, status=200, content=content))


def typed_only() -> Change:
    """The first POST of a group, which has no content type, is refused."""
    count: list[int] = []

    def change(exchange: Exchange, envelope: Any) -> Any:
        count.append(1)
        return refused(exchange, envelope) if len(count) == 1 else exchange

    return change


def never_leaves() -> Change:
    """The node shows every group it ever was in."""
    ever: dict[str, dict[str, Any]] = {}

    def change(_: Exchange, envelope: Any) -> None:
        for node in envelope.get("body", []):
            ever.update({each["id"]: each for each in node.get("groups", [])})
            if node["node_name"] == "mini-01":
                node["groups"] = list(ever.values())

    return change


def never_gone() -> Change:
    """The list has every group that ever was."""
    ever: dict[str, dict[str, Any]] = {}

    def change(_: Exchange, envelope: Any) -> Any:
        ever.update({each["id"]: each for each in envelope["body"]})
        return {**envelope, "body": list(ever.values())}

    return change


ANSWERS = [
    Planted("null where there is no message", "schema", "listVms", each(to(message=None)), single=True),
    Planted("vminfo that is null", "schema", "listVms", each(to(vminfo=None))),
    Planted("progress that is text", "schema", "listVms", each(to(progress="0"))),
    Planted("progress beyond all", "schema", "listVms", each(to(progress=1.5))),
    Planted("a state nobody knows", "schema", "listVms", each(to(instance_state="Starting"))),
    Planted("no vmid", "schema", "listVms", each(without("vmid"))),
    Planted("no state", "schema", "listVms", each(without("instance_state")), single=True),
    Planted("ts that is no time", "time", "listVms", each(to(ts="yesterday"))),
    Planted("ts that is empty", "time", "listVms", each(to(ts=""))),
    Planted("cr_time without zone", "time", "listVms", each(to(cr_time="2024-01-01T00:00:00"))),
    Planted("cr_time in unix seconds", "schema", "listVms", each(to(cr_time=1700000000))),
    Planted("a VNC port that is text", "schema", "listVms", vminfo(to(vnc_port="5900"))),
    Planted("RAM of a VM that is a number", "schema", "listVms", vminfo(to(ram=8))),
    Planted("a VM without host_ip", "schema", "listVms", vminfo(without("host_ip"))),
    Planted("ports with the old name of a key", "schema", "listVms",
            vminfo(lambda vm: [rule.update(Name=rule.pop("name")) for rule in vm["port_forwarding"]])),
    Planted("a port that is text", "schema", "listVms",
            vminfo(lambda vm: [rule.update(host_port="10000") for rule in vm["port_forwarding"]])),
    Planted("metadata that is a list", "schema", "listVms", each(to(metadata=[]))),
    Planted("the list in answer to an id", "shape", "listVms", the_list, single=True),
    Planted("one instance in place of the list", "shape", "listVms",
            lambda _, envelope: {**envelope, "body": envelope["body"][0]["vm"]}, single=False),
    Planted("an empty list that is null", "shape", "listDistributions", said(body=None), path=DISTRIBUTE, single=False),
    Planted("a list without body", "envelope", "listSaveImages", succeeding(said(body=...)), path=IMAGE),
    Planted("a node that is no array", "shape", "listNodes",
            lambda _, envelope: {**envelope, "body": envelope["body"][0]} if "body" in envelope else envelope,
            path=NODE, single=True),
    Planted("two nodes for an id", "shape", "listNodes",
            lambda _, envelope: {**envelope, "body": envelope["body"] * 2} if "body" in envelope else envelope,
            path=NODE, single=True),
    Planted("a node's RAM as text", "schema", "listNodes", items(to(ram="16G")), path=NODE),
    Planted("a node whose capacity is true", "schema", "listNodes", items(to(capacity=True)), path=NODE),
    Planted("a node whose count has a point", "schema", "listNodes", items(to(cpu_count=8.0)), path=NODE),
    Planted("a node in a state nobody knows", "schema", "listNodes", items(to(state="Up")), path=NODE),
    Planted("a node without USB devices says null", "schema", "listNodes", items(to(usb_devices=None)), path=NODE),
    Planted("a node in no group says []", "schema", "listNodes", items(to(groups=[])), path=NODE),
    Planted("a template without size", "schema", "listTemplates", items(without("size")), path=TEMPLATE, single=False),
    Planted("a template's size as text", "schema", "listTemplates", items(to(size="20GB")), path=TEMPLATE),
    Planted("a template without versions", "schema", "listTemplates", items(without("versions")), path=TEMPLATE,
            single=True),
    Planted("an arch nobody knows", "schema", "listTemplates", items(to(arch="x86")), path=TEMPLATE),
    Planted("a status without licence", "schema", "getStatus", items(without("license")), path="/api/v1/status"),
    Planted("a licence nobody knows", "schema", "getStatus", items(to(license="gold")), path="/api/v1/status"),
    Planted("a disk that counts in text", "schema", "getRegistryDisk", items(to(free="1")),
            path="/api/v1/registry/disk"),
    Planted("a group whose description is null", "schema", "listGroups", items(to(description=None)), path=GROUP),
    Planted("a VLAN list that is null", "schema", "listVlans", said(body=None), path="/api/v1/vlan"),
    Planted("success with a message", "envelope", "listVms", succeeding(said(message="ok"))),
    Planted("success without a message", "envelope", "listGroups", said(message=...), path=GROUP),
    Planted("a status in small letters", "envelope", "listGroups", said(status="ok"), path=GROUP),
    Planted("a failure with a body", "envelope", "listVms", failing(said(body=None))),
    Planted("a failure without a message", "envelope", "listVms", failing(said(message=""))),
    Planted("an ERROR", "envelope", "listTemplates", failing(said(status="ERROR")), path=TEMPLATE),
    Planted("success with 201", "status-code", "listVms", around(status=201)),
    Planted("a failure with 200", "status-code", "listVms", failing(around(status=200))),
    Planted("a failure with 404", "status-code", "listNodes", failing(around(status=404)), path=NODE),
    Planted("an early failure with 400", "status-code", "listVms", failing(around(status=400)), release="1.8.0"),
    Planted("a controller that is not ready", "status-code", "getReadyz", around(status=503), path="/readyz"),
    Planted("plain text", "content-type", "listVms", header("content-type", "text/plain")),
    Planted("no content type", "content-type", "listNodes", header("content-type", ""), path=NODE),
    Planted("HTML", "json", "listGroups", around(content=b"<html></html>"), path=GROUP),
    Planted("half an answer", "json", "listVms",
            lambda exchange, _: replace(exchange, content=exchange.content[:40])),
    Planted("NaN", "json", "listNodes",
            lambda exchange, _: replace(exchange, content=exchange.content.replace(b'"cpu_util":0', b'"cpu_util":NaN')),
            path=NODE),
    Planted("a page for every path", "stray", "no operation", around(status=200), path="/api/v1/no-such-path"),
    Planted("a further key", "undocumented", "listVms", each(to(colour="blue")), outcome="noted"),
    Planted("a key of a later release", "undocumented", "listVms", each(to(vlan="")), release="1.8.0", outcome="noted"),
    Planted("a body before the status", "key-order", "listVms",
            lambda _, envelope: dict(sorted(envelope.items())), outcome="noted"),
    Planted("no line break at the end", "newline", "listVms",
            lambda exchange, _: replace(exchange, content=exchange.content.rstrip()), outcome="noted"),
]  # fmt: skip

READING = [
    Planted("an instance listed twice", "unique", "listVms", twice, single=False),
    Planted("a template listed twice", "unique", "listTemplates", twice, path=TEMPLATE, single=False),
    Planted("another tag by id", "list-and-single", "listVms", each(to(tag="other")), single=True),
    Planted("another name by id", "list-and-single", "listVms", items(to(name="other")), single=True),
    Planted("another state by id", "list-and-single", "listVms", each(to(instance_state="Stopping")), single=True),
    Planted("an instance that is listed and unknown", "list-and-single", "listVms",
            lambda exchange, _: replace(exchange, status=400, content=b'{"status":"FAIL","message":"Not found"}\n'),
            single=True),
    Planted("another capacity by id", "list-and-single", "listNodes", items(to(capacity=77)), path=NODE, single=True),
    Planted("another size by id", "list-and-single", "listTemplates", items(to(size=1)), path=TEMPLATE, single=True),
    Planted("an unknown id that succeeds", "unknown-id", "listVms",
            taken("{}"),
            single=True),
    Planted("another text for an unknown id", "message", "listVms", failing(said(message="not found")), single=True),
    Planted("another text for an unknown node", "message", "listNodes", failing(said(message="No such node")),
            path=NODE),
    Planted("another text for an unknown template", "message", "listTemplates", failing(said(message="unknown")),
            path=TEMPLATE),
    Planted("another text for an unknown save request", "message-guess", "listSaveImages",
            failing(said(message="unknown")), path=IMAGE, outcome="noted"),
    Planted("an empty id that is looked for", "empty-id", "listVms",
            lambda exchange, _: refused(exchange, _) if exchange.query == "id=" else exchange),
    Planted("states that go back", "moves", "listVms", flapping(["Started", "Scheduling"]), single=False),
    Planted("an instance that comes back to life", "moves", "listVms", flapping(["Started", "Terminated"]),
            single=False),
    Planted("a stopped VM that runs again", "moves", "listVms", flapping(["Stopped", "Started"]), single=False),
    Planted("progress that falls", "progress", "listVms",
            Later(lambda vm, count: vm.update(progress=max(0, 1 - count / 10))), single=False),
    Planted("another time of creation", "constant", "listVms",
            Later(lambda vm, count: vm.update(cr_time=f"2020-01-01T00:00:{count % 60:02}Z")), single=False),
    Planted("Started without a VM", "vm-of-state", "listVms", each(without("vminfo"))),
    Planted("Scheduling with a VM", "vm-of-state", "listVms", each(to(instance_state="Scheduling"))),
    Planted("Error without a word", "error-told", "listVms", each(to(instance_state="Error"))),
    Planted("heard of before it was made", "time-order", "listVms", each(to(ts="2001-01-01T00:00:00Z"))),
    Planted("a node that counts no VMs", "node-counters", "listNodes", items(to(vm_count=0)), path=NODE),
    Planted("a node that counts no cores", "node-sums", "listNodes", items(to(vcpu_count=0)), path=NODE),
    Planted("a node that counts no RAM", "node-sums", "listNodes", items(to(vram=0)), path=NODE),
    Planted("groups that are not listed", "references", "listNodes", said(body=[]), path=GROUP, outcome="noted"),
    Planted("versions from the newest on", "versions", "listTemplates",
            items(lambda template: template["versions"].reverse()), path=TEMPLATE, single=True),
    Planted("more free than there is", "disk", "getRegistryDisk", items(to(total=0)), path="/api/v1/registry/disk"),
    Planted("a node with more free than it has", "disk", "listNodes", items(to(disk_size=0)), path=NODE),
]  # fmt: skip

WRITING = [
    Planted("a start without ids", "made", "startVms", succeeding(said(body=[])), method="POST"),
    Planted("a start with an id too many", "made", "startVms",
            succeeding(lambda _, envelope: {**envelope, "body": [*envelope["body"], "x"]}), method="POST"),
    Planted("a list that lags", "at-once", "startVms", hidden(2), single=False),
    Planted("an id that lags", "at-once", "startVms", unfound(1), single=True),
    Planted("no name", "labels", "startVms", items(to(name=None)), single=False),
    Planted("another external id", "labels", "startVms", items(to(external_id="1")), single=False),
    Planted("born while ending", "first-state", "startVms",
            each(lambda vm: vm.update(instance_state="Stopping") if vm["instance_state"] == "Scheduling" else None)),
    Planted("a start that ends in Error", "started", "startVms",
            each(lambda vm: vm.update(instance_state="Error") if vm["instance_state"] == "Started" else None)),
    Planted("another template", "placed", "startVms", each(to(vmid="other"))),
    Planted("an update that does nothing", "partial", "updateVm", kept_name(), single=False),
    Planted("an update that replaces", "partial", "updateVm", wiping("external_id", "-2"), single=False),
    Planted("JSON by its content type alone", "any-content-type", "updateVm",
            lambda exchange, _: refused(exchange, _) if b"-3" in exchange.sent else exchange, method="PUT"),
    Planted("fields that are refused", "unknown-field", "updateVm",
            lambda exchange, _: refused(exchange, _) if b"no_such" in exchange.sent else exchange, method="PUT"),
    Planted("metadata that is replaced", "merged", "updateVm",
            each(lambda vm: vm.update(metadata={"b": 2}) if vm.get("metadata", {}).get("b") == 2 else None),
            single=True, outcome="noted"),
    Planted("a restart that is none", "restarted", "restartVm", vminfo(to(start_date="2024-01-01T00:00:00Z"))),
    Planted("another text for an unknown tag", "message", "startVms",
            failing(lambda _, envelope: {**envelope, "message": envelope["message"].replace("No such", "Unknown")}),
            method="POST"),
    Planted("another text for an unknown template at a start", "message", "startVms",
            failing(lambda _, envelope: {**envelope, "message": envelope["message"].replace("VM", "Template")}),
            method="POST"),
    Planted("a start of nothing that succeeds", "refused", "startVms",
            taken('["x"]'),
            method="POST"),
    Planted("a broken body that is taken", "forbidden-taken", "startVms",
            taken('["x"]'),
            method="POST"),
    Planted("an unknown instance that is updated", "unknown-id", "updateVm", failing(ok), method="PUT"),
    Planted("an unknown node that is deleted", "unknown-id", "deleteNode", failing(ok), path=NODE, method="DELETE"),
    Planted("a termination with a body", "envelope", "terminateVm", succeeding(said(body=None)), method="DELETE"),
    Planted("a second termination that fails", "terminated", "terminateVm", again_refused(), method="DELETE"),
    Planted("whom nobody can kill", "terminating", "terminateVm", undying),
    Planted("terminated for ever", "gone", "terminateVm",
            undead, single=True),
    Planted("a group without id", "made", "createGroup", items(without("id")), path=GROUP, method="POST"),
    Planted("a group with another description", "labels", "createGroup", items(to(description="")), path=GROUP),
    Planted("groups that lag", "at-once", "createGroup",
            lambda _, envelope: {**envelope, "body": [
                each for each in envelope["body"] if not each["name"].startswith("mockanka-check")]}, path=GROUP),
    Planted("a group that wants a content type", "any-content-type", "createGroup",
            typed_only(), path=GROUP, method="POST"),
    Planted("a group whose update wipes", "partial", "updateGroup",
            items(lambda group: group.update(description="") if group["name"].endswith("-2") else None), path=GROUP),
    Planted("a node that joins no group", "member", "addNodesToGroups", items(without("groups")), path=NODE),
    Planted("a node that never leaves", "member", "removeNodesFromGroups",
            never_leaves(), path=NODE),
    Planted("a group that is never gone", "deleted", "deleteGroup",
            never_gone(), path=GROUP),
]  # fmt: skip


PLANTED = [*ANSWERS, *READING, *(replace(each_one, write=True) for each_one in WRITING)]


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_a_deviation_is_found(planted: Planted) -> None:
    """By the check that is meant for it, of the operation it shows in."""
    simulated = Simulated(planted.scenario, planted.release, spoil=planted)
    results = checked(simulated, write=planted.write, node="mini-01" if planted.write else None)
    found = {(row.check, row.operation): row.outcome for row in results.rows.values()}

    assert planted.outcome == found.get((planted.check, planted.operation))
    if planted.outcome == "failed":
        assert results.status


def test_there_are_many_deviations_each_of_its_own() -> None:
    """Every check but those of a broken run is the one that some deviation is meant for."""
    elsewhere = {"answered", "allowed-refused", "release"}

    assert len(PLANTED) == len({each.name for each in PLANTED}) >= 40
    assert set(CHECKS) - elsewhere - {each.id for each in REQUESTS} == {each.check for each in PLANTED}
