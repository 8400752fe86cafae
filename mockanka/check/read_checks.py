"""What is checked by GETs alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any
from uuid import uuid4

from mockanka.check.consistency import DISTRIBUTIONS, INSTANCES
from mockanka.check.session import Run
from mockanka.contract.conformance import Level

NODES, TEMPLATES, IMAGES, GROUPS = "/api/v1/node", "/api/v1/registry/vm", "/api/v1/image", "/api/v1/group"
SAMPLE = 5
"""Things of a list that are asked for by their ids."""
NOT_FOUND = "Not found"
"""What clients compare a failure with (controller-facts A0.4)."""
STRAY = "/api/v1/no-such-path"

Things = list[dict[str, Any]]


def _id_of_distribution(thing: dict[str, Any]) -> Any:
    request = thing.get("request")
    return request.get("request_id") if isinstance(request, dict) else None


IDS: dict[str, Callable[[dict[str, Any]], Any]] = {
    INSTANCES: lambda thing: thing.get("instance_id"),
    NODES: lambda thing: thing.get("node_id"),
    TEMPLATES: lambda thing: thing.get("id"),
    DISTRIBUTIONS: _id_of_distribution,
    IMAGES: lambda thing: thing.get("id"),
}
"""The lists whose things can be asked for by an id, and where the id stands."""
MESSAGES_ON_RECORD = (INSTANCES, NODES, TEMPLATES)
MOVING = {"cpu_util", "ram_util", "ts", "timestamp", "last_updated", "free_disk_space", "anka_disk_usage"}
"""What may change back and forth between any two requests."""
BLANK_BY_ID = {"anka_version", "capacity_mode"}
"""Of a node before 1.32.0 (controller-facts A6)."""


def steps(run: Run) -> list[tuple[str, Callable[[], None]]]:
    """The checks in their order, each with a name for who watches."""
    return [
        ("what there is", lambda: _plain(run)),
        *((f"list and single of {path}", partial(_compare, run, path)) for path in IDS if run.has("GET", path)),
        ("unknown ids", lambda: _unknown(run)),
        ("other queries", lambda: _queries(run)),
        ("what is no operation", lambda: _strays(run)),
        ("nodes and their instances", lambda: counters(run)),
        ("what moves", lambda: _look(run)),
    ]


def _plain(run: Run) -> None:
    """Every operation that needs nothing is asked once; the lists are asked where they are compared."""
    for (method, path), operation in run.contract.operations.items():
        if method == "GET" and path not in IDS and not operation.get("parameters"):
            body = run.get(path).body
            if path == "/api/v1/registry/disk" and isinstance(body, dict):
                _disk(run, "getRegistryDisk", body.get("free"), body.get("total"), "free", "total")
            if path == GROUPS and isinstance(body, list):
                _unique(run, "listGroups", [each.get("id") for each in body if isinstance(each, dict)])


def _compare(run: Run, path: str) -> None:
    """What a list says of a thing before and after, the answer to its id says too."""
    name = run.name("GET", path)
    before = _by_id(run, path, unique=True)
    answers = {id: run.get(path, id) for id in _sample(before)}
    after = _by_id(run, path)
    for id, exchange in answers.items():
        one = exchange.body[0] if path == NODES and isinstance(exchange.body, list) and exchange.body else exchange.body
        there = id in after  # else it went meanwhile
        if isinstance(one, dict):
            text = _difference(run, path, before[id], one, after[id]) if there else ""
            run.claim("list-and-single", name, not text, f"{id}: {text}")
            if path == TEMPLATES:
                _versions(run, id, one.get("versions"))
        elif there and exchange.message == NOT_FOUND:
            run.claim("list-and-single", name, False, f"{id} is listed, and not found by its id")


def _by_id(run: Run, path: str, unique: bool = False) -> dict[str, dict[str, Any]]:
    found = [(IDS[path](each), each) for each in run.items(path)]
    if unique:
        _unique(run, run.name("GET", path), [id for id, _ in found])
    return {id: each for id, each in found if isinstance(id, str)}


def _unique(run: Run, operation: str, ids: list[Any]) -> None:
    twice = [id for id, count in Counter(id for id in ids if isinstance(id, str)).items() if count > 1]
    run.claim("unique", operation, not twice, f"listed more than once: {', '.join(twice[:3])}")


def _sample(things: dict[str, dict[str, Any]]) -> list[str]:
    """Of every state some, so that what is rare is looked at as well."""
    by_state: dict[str, list[str]] = {}
    for id, thing in things.items():
        vm = thing.get("vm")
        state = vm.get("instance_state") if isinstance(vm, dict) else thing.get("state", thing.get("status"))
        by_state.setdefault(str(state), []).append(id)
    return [id for ids in by_state.values() for id in ids[:SAMPLE]]


def _difference(run: Run, path: str, before: dict[str, Any], one: dict[str, Any], after: dict[str, Any]) -> str:
    """What the list said both times and the answer to the id does not; empty if there is nothing."""
    if path == INSTANCES:
        labels = {key: before.get(key) for key in ("name", "external_id") if before.get(key) == after.get(key)}
        for key, value in labels.items():
            if run.contract.release.has("instance-tells-its-names") and one.get(key) != value:
                return f"{key} is {value!r} in the list and {one.get(key)!r} by its id"
        before, after = _vm(before), _vm(after)
    blank = BLANK_BY_ID if path == NODES and not run.contract.release.has("node-by-id-whole") else set()
    common = run.contract.release.has("template-size-by-id") or path != TEMPLATES
    skipped = MOVING | blank | (set() if common else {"size"}) | ({"versions"} if path == TEMPLATES else set())
    for key in before.keys() & after.keys() | (one.keys() - before.keys() - after.keys()):
        same = before.get(key) == after.get(key)
        if key in skipped or not same or _still(before.get(key)) == _still(one.get(key)):
            continue
        return f"{key} is {before.get(key, 'absent')!r} in the list and {one.get(key, 'absent')!r} by its id"[:300]
    return ""


def _vm(item: dict[str, Any]) -> dict[str, Any]:
    vm = item.get("vm")
    return vm if isinstance(vm, dict) else {}


def _still(value: Any) -> Any:
    """What does not move from one report of a node to the next."""
    if isinstance(value, dict):
        return {key: each for key, each in value.items() if key not in MOVING}
    return value


def _versions(run: Run, id: str, versions: Any) -> None:
    listed = versions if isinstance(versions, list) else []
    numbers = [each.get("number") for each in listed if isinstance(each, dict)]
    whole = [each for each in numbers if isinstance(each, int)]
    rising = all(before < after for before, after in pairwise(whole))
    run.claim("versions", "listTemplates", rising, f"the versions of {id} come as {numbers}")


def _unknown(run: Run) -> None:
    for path in IDS:
        if run.has("GET", path):
            check_unknown(run, "GET", path, on_record=path in MESSAGES_ON_RECORD)


def check_unknown(
    run: Run, method: str, path: str, query: str | None = None, body: Any = None, on_record: bool = False
) -> None:
    """Something is asked of an id that nobody has; ``on_record`` is whether somebody saw the message."""
    id = str(uuid4())
    sent = None if body is None else {key: id if value is ... else value for key, value in body.items()}
    exchange = run.ask(method, path, f"id={id}" if query is None else query.replace("*", id), sent)
    if run.denied(exchange, "unknown-id"):
        return
    name = run.name(method, path)
    if run.claim("unknown-id", name, not exchange.succeeded, "succeeds for an id that nobody knows"):
        check = "message" if on_record else "message-guess"
        text = f"the message is {exchange.message!r}, not {NOT_FOUND!r}"
        run.claim(check, name, exchange.message == NOT_FOUND, text)


def _queries(run: Run) -> None:
    """An empty id is none; where the release knows versions of the list, another one than v1 is none either."""
    for path in IDS:
        if run.has("GET", path):
            exchange = run.get(path, "")
            if not run.denied(exchange, "empty-id"):
                text = f"fails: {exchange.message or exchange.status}"
                run.claim("empty-id", run.name("GET", path), exchange.succeeded, text)
    if run.contract.release.has("registry-v1-listing"):
        run.get(TEMPLATES, query="apiVer=v1")
        run.get(TEMPLATES, query="apiVer=v2")


def _strays(run: Run) -> None:
    run.get(STRAY)


def _look(run: Run) -> None:
    """Look at what moves a few times; the watch compares."""
    for _ in range(run.pace.looks):
        run.wait()
        run.get(INSTANCES)
        run.get(DISTRIBUTIONS)


def counters(run: Run) -> None:
    """A node counts at least those VMs that are listed there before and after it was asked."""
    before = {str(each.get("instance_id")): _running(each) for each in run.items(INSTANCES)}
    nodes = run.items(NODES)
    request = run.last
    groups = {each.get("id") for each in run.items(GROUPS)}
    after = {str(each.get("instance_id")): _running(each) for each in run.items(INSTANCES)}
    run.last = request
    there = {id: vm for id, vm in before.items() if vm and after.get(id) and after[id].get("node_id") == vm["node_id"]}
    for node in nodes:
        vms = [vm for vm in there.values() if vm["node_id"] == node.get("node_id")]
        _count(run, node, vms)
        _disk(run, "listNodes", node.get("free_disk_space"), node.get("disk_size"), "free_disk_space", "disk_size")
        strangers = [str(each.get("id")) for each in node.get("groups") or () if each.get("id") not in groups]
        run.claim("references", "listNodes", not strangers, f"groups that are not listed: {', '.join(strangers)}")
    known = {node.get("node_id") for node in nodes}
    lost = [id for id, vm in there.items() if vm["node_id"] not in known]
    run.claim("references", "listVms", not lost, f"on nodes that are not listed: {', '.join(lost[:3])}")


def _running(item: dict[str, Any]) -> dict[str, Any]:
    """The VM of an instance that runs on a node; else nothing."""
    vm = _vm(item)
    info = vm.get("vminfo")
    if vm.get("instance_state") != "Started" or not isinstance(info, dict) or info.get("status") != "running":
        return {}
    return info if isinstance(info.get("node_id"), str) else {}


def _count(run: Run, node: dict[str, Any], vms: Things) -> None:
    name, count = node.get("node_name"), node.get("vm_count")
    if isinstance(count, int):
        text = f"{name} counts {count} VMs, and {len(vms)} are listed there"
        run.claim("node-counters", "listNodes", count >= len(vms), text, "$.body[*].vm_count")
    sums = {
        "vcpu_count": sum(_whole(vm.get("cpu_cores")) for vm in vms),
        "vram": sum(_megabytes(vm.get("ram")) for vm in vms),
    }
    for key, least in sums.items():
        told = node.get(key)
        if isinstance(told, int):
            text = f"{name} tells {told}, and its listed VMs have {least} together"
            run.claim("node-sums", "listNodes", told >= least, text, f"$.body[*].{key}")


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _megabytes(text: Any) -> int:
    match = re.fullmatch(r"(\d+)([MG])", text, re.ASCII) if isinstance(text, str) else None
    return int(match[1]) * (1024 if match[2] == "G" else 1) if match else 0


def _disk(run: Run, operation: str, free: Any, total: Any, of_free: str, of_total: str) -> None:
    if isinstance(free, int) and isinstance(total, int):
        run.claim("disk", operation, free <= total, f"{of_free} is {free} and {of_total} is {total}")


def check_release(run: Run, told: str) -> None:
    """The release that was given is that of the status, or worth a note."""
    given = str(run.contract.release)
    text = f"the status says {told}, and {given} was given"
    run.claim("release", "getStatus", told.partition("-")[0] == given, text, level=Level.NOTE)
