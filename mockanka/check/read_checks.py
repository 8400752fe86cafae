"""Checks that send only GETs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import uuid4

from mockanka.check.item_checks import object_at, objects_in
from mockanka.check.session import Session
from mockanka.contract.conformance import Level
from mockanka.contract.paths import (
    DISTRIBUTIONS_PATH,
    GROUPS_PATH,
    IMAGES_PATH,
    INSTANCES_PATH,
    NODES_PATH,
    NOT_FOUND_MESSAGE,
    REGISTRY_DISK_PATH,
    TEMPLATES_PATH,
)

SAMPLE_SIZE = 5
"""Items of a list, for each state, that are requested by their ids."""
UNKNOWN_PATH = "/api/v1/no-such-path"

Item = dict[str, Any]
"""An object of a list as the API returns it."""


def _distribution_id(item: Item) -> Any:
    return object_at(item, "request").get("request_id")


ITEM_IDS: dict[str, Callable[[Item], Any]] = {
    INSTANCES_PATH: lambda item: item.get("instance_id"),
    NODES_PATH: lambda item: item.get("node_id"),
    TEMPLATES_PATH: lambda item: item.get("id"),
    DISTRIBUTIONS_PATH: _distribution_id,
    IMAGES_PATH: lambda item: item.get("id"),
}
"""The paths of lists whose items can be requested by id, each with a function that returns the id of an item."""
RECORDED_MESSAGE_PATHS = (INSTANCES_PATH, NODES_PATH, TEMPLATES_PATH)
"""The paths for which the message of an unknown id is on record; for the others it is a guess."""
VOLATILE_KEYS = {"cpu_util", "ram_util", "ts", "timestamp", "last_updated", "free_disk_space", "anka_disk_usage"}
"""Keys whose values may change between any two requests."""
BLANK_NODE_KEYS = {"anka_version", "capacity_mode", "templates", "usb_devices", "groups"}
"""Keys that a single node may have without values before 1.32.0 (controller-facts A6); a guess for the last three."""
BLANK_TEMPLATE_KEYS = {"size", "arch"}
"""Keys that examples of a single template lack before 1.43.0 (controller-facts A11, B16)."""
COUNTER_LAG = 6.0
"""Seconds by which the counters of a node may lag behind its instances: it reports every 5 s (controller-facts C6)."""


def read_steps(session: Session) -> list[tuple[str, Callable[[], None]]]:
    """Return the steps in their order, each with a name for the progress display."""
    return [
        ("operations without parameters", lambda: _request_plain_operations(session)),
        *(
            (f"list and single item of {path}", partial(_compare_list_with_single, session, path))
            for path in ITEM_IDS
            if session.has_operation("GET", path)
        ),
        ("unknown ids", lambda: _check_unknown_ids(session)),
        ("other queries", lambda: _check_queries(session)),
        ("an unknown path", lambda: _request_unknown_path(session)),
        ("nodes and their instances", lambda: check_node_counters(session)),
        ("changes over time", lambda: _observe_changes(session)),
    ]


def _request_plain_operations(session: Session) -> None:
    """Request every operation without parameters, except the lists that are compared with single items."""
    for (method, path), operation in session.contract.operations.items():
        if method == "GET" and path not in ITEM_IDS and not operation.get("parameters"):
            body = session.get(path).body
            if path == REGISTRY_DISK_PATH and isinstance(body, dict):
                _check_disk(session, "getRegistryDisk", body, "free", "total")
            if path == GROUPS_PATH and isinstance(body, list):
                _check_unique(session, "listGroups", [item.get("id") for item in body if isinstance(item, dict)])


def _compare_list_with_single(session: Session, path: str) -> None:
    """Compare single items with the list before and the list after; only what did not change is compared."""
    operation = session.operation_id("GET", path)
    before = _items_by_id(session, path, unique=True)
    exchanges = {id: session.get(path, id) for id in _sample(before)}
    after = _items_by_id(session, path)
    for id, exchange in exchanges.items():
        body = exchange.body
        single = body[0] if path == NODES_PATH and isinstance(body, list) and body else body
        is_listed = id in after  # otherwise it was removed in between
        if isinstance(single, dict):
            text = _difference(session, path, before[id], single, after[id]) if is_listed else ""
            session.claim("list-and-single", operation, not text, f"{id}: {text}")
        elif is_listed and exchange.message == NOT_FOUND_MESSAGE:
            session.claim("list-and-single", operation, False, f"{id} is listed, but not found by its id")


def _items_by_id(session: Session, path: str, unique: bool = False) -> dict[str, Item]:
    items = [(ITEM_IDS[path](item), item) for item in session.list_items(path)]
    if unique:
        _check_unique(session, session.operation_id("GET", path), [id for id, _ in items])
    return {id: item for id, item in items if isinstance(id, str)}


def _check_unique(session: Session, operation: str, ids: list[Any]) -> None:
    repeated = [id for id, count in Counter(id for id in ids if isinstance(id, str)).items() if count > 1]
    session.claim("unique", operation, not repeated, f"listed more than once: {', '.join(repeated[:3])}")


def _sample(items: dict[str, Item]) -> list[str]:
    """Return ids of some items of every state, so that rare states are included."""
    ids_by_state: dict[str, list[str]] = {}
    for id, item in items.items():
        vm = item.get("vm")
        state = vm.get("instance_state") if isinstance(vm, dict) else item.get("state", item.get("status"))
        ids_by_state.setdefault(str(state), []).append(id)
    return [id for ids in ids_by_state.values() for id in ids[:SAMPLE_SIZE]]


def _difference(session: Session, path: str, before: Item, single: Item, after: Item) -> str:
    """Return a value that both lists have and the single item has not, or an empty string."""
    release = session.contract.release
    if path == INSTANCES_PATH:
        labels = {key: before.get(key) for key in ("name", "external_id") if before.get(key) == after.get(key)}
        for key, value in labels.items():
            if release.has("instance-tells-its-names") and single.get(key) != value:
                return f"{key} is {value!r} in the list and {single.get(key)!r} by its id"
        before, after = object_at(before, "vm"), object_at(after, "vm")
    skipped = VOLATILE_KEYS | _keys_of_lists_only(session, path)
    may_be_blank = _keys_blank_by_id(session, path)
    for key in before.keys() & after.keys() | (single.keys() - before.keys() - after.keys()):
        if key in skipped or before.get(key) != after.get(key):
            continue
        if key in may_be_blank and _is_blank(single.get(key)):
            continue
        if _without_volatile(before.get(key)) != _without_volatile(single.get(key)):
            listed, by_id = before.get(key, "absent"), single.get(key, "absent")
            return f"{key} is {listed!r} in the list and {by_id!r} by its id"[:300]
    return ""


def _keys_of_lists_only(session: Session, path: str) -> set[str]:
    """Return the keys in which single items differ from those of the list at this release."""
    if path == TEMPLATES_PATH:
        return {"versions"} if session.contract.release.has("template-size-by-id") else {"versions", "size"}
    return set()


def _keys_blank_by_id(session: Session, path: str) -> set[str]:
    """Return the keys that single items may have without a value at this release."""
    release = session.contract.release
    if path == NODES_PATH and not release.has("node-by-id-whole"):
        return BLANK_NODE_KEYS
    if path == TEMPLATES_PATH and not release.has("last-used"):
        return BLANK_TEMPLATE_KEYS
    return set()


def _is_blank(value: Any) -> bool:
    """Return whether a value is missing, null or empty, or an object with empty values only."""
    return not any(value.values()) if isinstance(value, dict) else value in (None, "", [])


def _without_volatile(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: member for key, member in value.items() if key not in VOLATILE_KEYS}
    return value


def _check_unknown_ids(session: Session) -> None:
    for path in ITEM_IDS:
        if session.has_operation("GET", path):
            check_unknown_id(session, "GET", path, is_recorded=path in RECORDED_MESSAGE_PATHS)


def check_unknown_id(
    session: Session,
    method: str,
    path: str,
    query: str | None = None,
    body: dict[str, Any] | None = None,
    is_recorded: bool = False,
) -> None:
    """Check that a request with a new id fails.

    The id replaces ``*`` in the query and ``...`` in the body. ``is_recorded`` says that the message of the failure is
    on record, not a guess.
    """
    id = str(uuid4())
    content = None if body is None else {key: id if value is ... else value for key, value in body.items()}
    exchange = session.request(method, path, f"id={id}" if query is None else query.replace("*", id), content)
    if session.skip_if_denied(exchange, "unknown-id"):
        return
    operation = session.operation_id(method, path)
    if session.claim("unknown-id", operation, not exchange.succeeded, "succeeds for an unknown id"):
        check = "message" if is_recorded else "message-guess"
        text = f"the message is {exchange.message!r}, not {NOT_FOUND_MESSAGE!r}"
        session.claim(check, operation, exchange.message == NOT_FOUND_MESSAGE, text)


def _check_queries(session: Session) -> None:
    """Check that an empty id counts as absent, and request the list of templates in its versions."""
    for path in ITEM_IDS:
        if session.has_operation("GET", path):
            exchange = session.get(path, "")
            if not session.skip_if_denied(exchange, "empty-id"):
                text = f"fails: {exchange.message or exchange.status}"
                session.claim("empty-id", session.operation_id("GET", path), exchange.succeeded, text)
    if session.contract.release.has("registry-v1-listing"):
        session.get(TEMPLATES_PATH, query="apiVer=v1")
        session.get(TEMPLATES_PATH, query="apiVer=v2")


def _request_unknown_path(session: Session) -> None:
    session.get(UNKNOWN_PATH)


def _observe_changes(session: Session) -> None:
    """Request the lists that change a few times; the session compares the responses."""
    for _ in range(session.pace.polls):
        session.wait_interval()
        session.get(INSTANCES_PATH)
        session.get(DISTRIBUTIONS_PATH)


def check_node_counters(session: Session) -> None:
    """Compare the counters of the nodes with the VMs that are listed both before and after the nodes.

    A node reports every few seconds, so counters that are too low are requested again before they are a finding.
    """
    for attempt in range(2 + round(COUNTER_LAG / session.pace.interval)):
        if attempt:
            session.wait_interval()
        before = _running_vms(session)
        nodes = session.list_items(NODES_PATH)
        node_request = session.last_request
        after = _running_vms(session)
        vms = {
            id: vm for id, vm in before.items() if vm and after.get(id) and after[id].get("node_id") == vm["node_id"]
        }
        if not any(_missing_counts(node, _vms_on(vms, node)) for node in nodes):
            break
    groups = session.list_items(GROUPS_PATH)
    group_ids = {str(group.get("id")) for group in groups}
    session.last_request = node_request
    for node in nodes:
        _check_counters(session, node, _vms_on(vms, node))
        own_groups = node.get("groups")
        ids = (
            [group.get("id") for group in own_groups if isinstance(group, dict)] if isinstance(own_groups, list) else []
        )
        unlisted = [str(id) for id in ids if str(id) not in group_ids]
        session.claim("references", "listNodes", not unlisted, f"groups that are not listed: {', '.join(unlisted)}")
        _check_group_copies(session, node, groups)
        _check_placements(session, node, _vms_on(vms, node))
    node_ids = {str(node.get("node_id")) for node in nodes}
    lost = [id for id, vm in vms.items() if vm["node_id"] not in node_ids]
    session.claim("references", "listVms", not lost, f"on nodes that are not listed: {', '.join(lost[:3])}")


def _check_group_copies(session: Session, node: Item, groups: list[Item]) -> None:
    """Compare the groups of a node with those in the list of groups."""
    listed = {str(group.get("id")): group for group in groups}
    for copy in objects_in(node.get("groups")):
        group = listed.get(str(copy.get("id")), copy)
        text = f"group {copy.get('id')} of node {node.get('node_name')} is not as it is listed"
        session.claim("references", "listNodes", copy == group, text, "$.body[*].groups")


def _check_placements(session: Session, node: Item, vms: list[Item]) -> None:
    """Compare the address and the architecture of a node with those of its VMs."""
    name, address, arch = node.get("node_name"), node.get("ip_address"), node.get("host_arch")
    for vm in vms:
        host = vm.get("host_ip")
        text = f"the host_ip of a VM on node {name} is {host}, and its ip_address {address}"
        is_comparable = all(re.fullmatch(r"[0-9.]{7,15}", str(value), re.ASCII) for value in (host, address))
        session.claim("references", "listVms", host == address or not is_comparable, text)
        if arch and vm["instance_arch"]:
            text = f"an instance for {vm['instance_arch']} runs on node {name}, which is {arch}"
            session.claim("vm-of-state", "listVms", arch == vm["instance_arch"], text)


def _vms_on(vms: dict[str, Item], node: Item) -> list[Item]:
    return [vm for vm in vms.values() if vm["node_id"] == node.get("node_id")]


def _running_vms(session: Session) -> dict[str, Item]:
    """Return the ``vminfo`` of every listed instance by its id, with ``instance_arch``; empty unless its VM runs."""
    return {str(item.get("instance_id")): _running_vm(item) for item in session.list_items(INSTANCES_PATH)}


def _running_vm(item: Item) -> Item:
    vm = object_at(item, "vm")
    info = vm.get("vminfo")
    if vm.get("instance_state") != "Started" or not isinstance(info, dict) or info.get("status") != "running":
        return {}
    return {**info, "instance_arch": vm.get("arch")} if isinstance(info.get("node_id"), str) else {}


def _check_counters(session: Session, node: Item, vms: list[Item]) -> None:
    missing = _missing_counts(node, vms)
    for key, check in (("vm_count", "node-counters"), ("vcpu_count", "node-sums"), ("vram", "node-sums")):
        # Examples of 1.8 show a node that counts one VM of three (controller-facts A6).
        is_printed = bool(node.get(key)) and not session.contract.release.has("script-monitoring")
        level = Level.NOTE if is_printed else None
        text = f"{node.get('node_name')}: {missing.get(key)}"
        session.claim(check, "listNodes", key not in missing, text, f"$.body[*].{key}", level)


def _missing_counts(node: Item, vms: list[Item]) -> dict[str, str]:
    """Return the counters of a node that are lower than its listed VMs require, each with a text that says so."""
    minimums = {
        "vm_count": len(vms),
        "vcpu_count": sum(_integer(vm.get("cpu_cores")) for vm in vms),
        "vram": sum(_megabytes(vm.get("ram")) for vm in vms),
    }
    return {
        key: f"{key} is {node[key]}, but its {len(vms)} listed VMs have {minimum} in total"
        for key, minimum in minimums.items()
        if isinstance(node.get(key), int) and node[key] < minimum
    }


def _integer(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _megabytes(text: Any) -> int:
    match = re.fullmatch(r"(\d+)([MG])", text, re.ASCII) if isinstance(text, str) else None
    return int(match[1]) * (1024 if match[2] == "G" else 1) if match else 0


def _check_disk(session: Session, operation: str, item: Item, free_key: str, total_key: str) -> None:
    free, total = item.get(free_key), item.get(total_key)
    if isinstance(free, int) and isinstance(total, int):
        session.claim("disk", operation, free <= total, f"{free_key} is {free} and {total_key} is {total}")


def check_release(session: Session, version: str) -> None:
    """Note it if the given release is not that of the version in the status."""
    given = str(session.contract.release)
    text = f"the status says {version}, but {given} was given"
    session.claim("release", "getStatus", version.partition("-")[0] == given, text, level=Level.NOTE)
