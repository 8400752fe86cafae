"""Checks of the objects in one response: of the values of each object with each other, and of the objects of a list."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

from mockanka.contract.conformance import Level
from mockanka.core.release import Release

Item = dict[str, Any]
"""An object of a response."""

CREATION_TOLERANCE = 1.0
"""Seconds that the creation time may be after the last report; it is so by a microsecond (controller-facts A0.2)."""
CLOCK_TOLERANCE = 600.0
"""Seconds by which the clocks of the controller and of a node may differ."""
DAY = 86400.0
FIRST_YEAR = datetime(2015, 1, 1, tzinfo=UTC).timestamp()
"""A time before the first controller."""
ZERO_TIME = "0001-01-01T00:00:00Z"
"""Go's zero time (controller-facts A0.2)."""
MAX_RAM = 2048
"""GB of RAM that no Mac has; a larger number is probably one of MB."""
SHARE_TOLERANCE = 0.01
FREE_VNC_PORTS = (0, 5900)
"""VNC ports that several VMs of a node have: on Apple silicon (controller-facts A2.3)."""
VERSION = re.compile(r"\d{1,4}\.\d{1,4}\.\d{1,4}-[0-9a-f]{8}", re.ASCII)
"""A release, a hyphen and the build (controller-facts A23)."""
AGENT_STATES = ("Active", "Drain Mode", "Unhealthy")
"""States of a node that reports."""


class Claim(NamedTuple):
    """One claim of a check about a response: whether it holds, and the text of the finding if it does not."""

    check: str
    holds: bool
    text: str
    where: str = ""
    level: Level | None = None


# ---- instances -----------------------------------------------------------------------------------------------------


def instance_claims(id: str, instance: Item) -> Iterator[Claim]:
    """Yield the claims about one instance."""
    state, vm = instance.get("instance_state"), object_at(instance, "vminfo")
    if state == "Started":
        has_vm = isinstance(instance.get("vminfo"), dict)
        yield Claim("vm-of-state", has_vm, f"{id} is Started and has no vminfo")
        yield from _started_claims(id, instance, vm)
    elif state in ("Scheduling", "Pulling"):
        yield Claim("vm-of-state", "vminfo" not in instance, f"{id} is {state} and has a vminfo")
    elif state == "Error":
        yield Claim("error-told", bool(instance.get("message")), f"{id} is in Error without a message")
    created, reported = timestamp(instance.get("cr_time")), timestamp(instance.get("ts"))
    if created is not None and reported is not None:
        is_ordered = reported - created >= -CREATION_TOLERANCE
        yield Claim("time-order", is_ordered, f"ts of {id} is {created - reported:.1f} s before cr_time")
    if vm.get("status") == "running":
        yield from _running_vm_claims(id, instance, vm)


def _started_claims(id: str, instance: Item, vm: Item) -> Iterator[Claim]:
    if not vm:
        return
    node_id = instance.get("node_id")
    text = f"{id} is on node {node_id}, and its VM on {vm.get('node_id')}"
    yield Claim("vm-of-state", bool(node_id) and node_id == vm.get("node_id"), text)
    progress = instance.get("progress")
    if is_number(progress):
        yield Claim("progress", progress in (0, 1), f"{id} is Started with a progress of {progress}", "", Level.NOTE)
    script = object_at(instance, "startup_script")
    if script.get("did_timeout") is True:
        text = f"the script of {id} timed out, and its return_code is {script.get('return_code')}"
        yield Claim("vm-values", script.get("return_code") == -1, text, "", Level.NOTE)


def _running_vm_claims(id: str, instance: Item, vm: Item) -> Iterator[Claim]:
    if "stop_date" in vm:
        text = f"the VM of {id} runs, and its stop_date is {vm['stop_date']}"
        yield Claim("vm-values", vm["stop_date"] == ZERO_TIME, text)
    times = {key: timestamp(vm.get(key)) for key in ("access_date", "start_date", "timestamp")}
    times |= {"ts": timestamp(instance.get("ts")), "cr_time": timestamp(instance.get("cr_time"))}
    for first, second in (
        ("timestamp", "ts"),
        ("cr_time", "start_date"),
        ("start_date", "timestamp"),
    ):
        earlier, later = times[first], times[second]
        if earlier is not None and later is not None:
            text = f"{first} of {id} is {earlier - later:.0f} s after {second}"
            yield Claim("time-order", earlier <= later + CLOCK_TOLERANCE, text)
    accessed, inspected = times["access_date"], times["timestamp"]
    if accessed is not None and inspected is not None:
        text = f"access_date of {id} is {vm['access_date']}, and timestamp {vm['timestamp']}"
        yield Claim("vm-values", abs(inspected - accessed) < CLOCK_TOLERANCE, text, "", Level.NOTE)
    if isinstance(vm.get("cpu_cores"), int):
        yield Claim("vm-values", vm["cpu_cores"] > 0, f"the VM of {id} runs with {vm['cpu_cores']} cores")
    if isinstance(vm.get("ram"), str):
        text = f"the RAM of the VM of {id} is {vm['ram'][:40]!r}, not like 8G"
        yield Claim("vm-values", re.fullmatch(r"[1-9]\d*[MGT]", vm["ram"], re.ASCII) is not None, text)
    connection, port = vm.get("vnc_connection_string"), vm.get("vnc_port")
    if isinstance(connection, str) and isinstance(port, int) and connection:
        text = f"vnc_connection_string of {id} is {connection[:80]!r}, and vnc_port {port}"
        yield Claim("vm-values", connection.endswith(f":{port}"), text, "", Level.NOTE)


def instance_list_claims(instances: Iterable[tuple[str, Item]]) -> Iterator[Claim]:
    """Yield the claims about the instances of a list: what no two of them share."""
    running = [
        (id, instance, object_at(instance, "vminfo"))
        for id, instance in instances
        if instance.get("instance_state") == "Started" and object_at(instance, "vminfo").get("status") == "running"
    ]
    vms = [(id, vm) for id, _, vm in running]
    yield _unique_claim("uuid", vms, lambda vm: [vm.get("uuid")])
    yield _unique_claim("host_port on a node", vms, _host_ports)
    yield _unique_claim("vnc_port on a node", vms, _vnc_port, Level.SHOULD)
    yield _unique_claim("ip on a node", vms, lambda vm: [vm.get("ip") and (vm.get("node_id"), vm["ip"])], Level.NOTE)
    started = [(id, instance) for id, instance, _ in running]
    for key in ("mac_address", "inflight_reqid"):
        yield _unique_claim(key, started, partial(_value_at, key), Level.SHOULD)


def _value_at(key: str, item: Item) -> list[Any]:
    return [item.get(key)]


def _host_ports(vm: Item) -> list[Hashable]:
    rules = vm.get("port_forwarding")
    return [
        (vm.get("node_id"), rule.get("protocol"), rule["host_port"])
        for rule in (rules if isinstance(rules, list) else ())
        if isinstance(rule, dict) and isinstance(rule.get("host_port"), int)
    ]


def _vnc_port(vm: Item) -> list[Hashable]:
    port = vm.get("vnc_port")
    return [(vm.get("node_id"), port)] if isinstance(port, int) and port not in FREE_VNC_PORTS else []


def _unique_claim(
    name: str, items: Iterable[tuple[str, Item]], values_of: Callable[[Item], list[Any]], level: Level | None = None
) -> Claim:
    """Return the claim that no value is there twice; blank values and those that are no keys do not count."""
    holders: dict[Hashable, list[str]] = {}
    for id, item in items:
        for value in values_of(item):
            parts = value if isinstance(value, tuple) else (value,)
            if value and isinstance(value, str | tuple) and all(isinstance(part, str | int | None) for part in parts):
                holders.setdefault(value, []).append(id)
    repeated = [(value, ids) for value, ids in holders.items() if len(ids) > 1]
    shown = ""
    if repeated:
        value, ids = repeated[0]
        value_text = value if isinstance(value, str) else " ".join(str(part) for part in value)  # type: ignore[attr-defined]
        shown = f"the same {name}, {value_text}: {', '.join(ids[:3])}"
    return Claim("unique", not repeated, shown, "", level)


# ---- nodes and groups ----------------------------------------------------------------------------------------------


def node_claims(node: Item, release: Release) -> Iterator[Claim]:
    """Yield the claims about one node; keys that it has without a value are passed over."""
    name = node.get("node_name")
    numbers = {key: value for key, value in node.items() if is_number(value)}
    yield from _counter_claims(f"node {name}", node, numbers, release)
    for larger, smaller in (("disk_size", "free_disk_space"), ("disk_size", "anka_disk_usage")):
        if larger in numbers and smaller in numbers:
            text = f"{smaller} of node {name} is {numbers[smaller]} and {larger} is {numbers[larger]}"
            yield Claim("disk", numbers[smaller] <= numbers[larger], text)
    if {"disk_size", "free_disk_space", "anka_disk_usage"} <= numbers.keys():
        used = numbers["free_disk_space"] + numbers["anka_disk_usage"]
        text = f"free_disk_space and anka_disk_usage of node {name} are {used} together, of {numbers['disk_size']}"
        yield Claim("disk", used <= numbers["disk_size"], text, "", Level.NOTE)
    updated, seconds = timestamp(node.get("last_updated")), numbers.get("timestamp")
    if updated is not None and seconds is not None:
        text = f"last_updated of node {name} is {node['last_updated']}, and timestamp {seconds}"
        yield Claim("time-order", abs(updated - seconds) <= CLOCK_TOLERANCE, text)
    if "agent_version" in node:
        text = f"agent_version of node {name} is {_show(node['agent_version'])}, not like {release.version}"
        yield Claim("version", is_version(node["agent_version"]), text)
    yield from _anka_version_claims(name, object_at(node, "anka_version"))
    templates = [(str(item.get("name")), item) for item in objects_in(node.get("templates"))]
    yield _unique_claim("template", templates, lambda item: [(item.get("uuid"), item.get("tag"))], Level.SHOULD)
    groups = [(str(item.get("name")), item) for item in objects_in(node.get("groups"))]
    yield _unique_claim("group of a node", groups, lambda item: [item.get("id")])


def _counter_claims(name: str, node: Item, numbers: Item, release: Release) -> Iterator[Claim]:
    count, cores, ram_used = (numbers.get(key) for key in ("vm_count", "vcpu_count", "vram"))
    capacity, ram = numbers.get("capacity"), numbers.get("ram")
    if node.get("capacity_mode") == "number" and count is not None and capacity is not None:
        # The capacity can be lowered while VMs run.
        text = f"{name} counts {count} VMs, and its capacity is {capacity}"
        yield Claim("node-capacity", count <= capacity, text, "$.body[*].vm_count", Level.NOTE)
    for key, total in (("vcpu_count", cores), ("vram", ram_used)):
        if count is not None and total is not None:
            text = f"{name} counts {count} VMs, and {key} is {total}"
            yield Claim("node-sums", total >= count if count else total == 0, text, f"$.body[*].{key}")
    # Before 1.24.0 the RAM was wrong (controller-facts A6).
    if ram is not None and release.has("script-monitoring"):
        yield Claim("node-ram", 0 < ram <= MAX_RAM, f"ram of {name} is {ram}, which is not in GB", "$.body[*].ram")
    share = numbers.get("ram_util")
    if share is not None and ram and ram_used is not None and ram <= MAX_RAM:
        expected = min(1.0, ram_used / (ram * 1024))
        text = f"ram_util of {name} is {share}, and vram is {ram_used} of {ram} GB, which is {expected:.4g}"
        is_close = abs(share - expected) <= SHARE_TOLERANCE
        yield Claim("node-ram", is_close, text, "$.body[*].ram_util", Level.NOTE)


def _anka_version_claims(name: Any, version: Item) -> Iterator[Claim]:
    patterns = {
        "version": r"\d+(\.\d+){1,3}",
        "build": r"\d+",
        "expires": r"\d{1,2}-[a-z]{3}-\d{4}",
    }
    for key, pattern in patterns.items():
        text = version.get(key)
        if isinstance(text, str) and text:
            holds = re.fullmatch(pattern, text, re.ASCII) is not None
            yield Claim("version", holds, f"{key} of the Anka of node {name} is {text[:40]!r}", "", Level.NOTE)


def group_list_claims(groups: list[Item]) -> Iterator[Claim]:
    """Yield the claims about the groups of a list: their fallback groups exist, and lead to an end."""
    fallbacks = {group.get("id"): group.get("fallback_group_id") for group in groups if is_key(group.get("id"))}
    for id, fallback in fallbacks.items():
        if not isinstance(fallback, str) or not fallback:
            continue
        text = f"fallback_group_id of group {id} is {fallback}, which is not listed"
        yield Claim("references", fallback in fallbacks, text, "$.body[*].fallback_group_id")
        text = f"group {id} is its own fallback group"
        yield Claim("references", fallback != id, text, "$.body[*].fallback_group_id", Level.SHOULD)
        seen: set[Any] = {id}
        following: Any = fallback
        while isinstance(following, str) and following not in seen:
            seen.add(following)
            following = fallbacks.get(following)
        text = f"the fallback groups of {id} lead back to {following}"
        yield Claim("references", not following or fallback == id, text, "$.body[*].fallback_group_id")


# ---- templates, distributions and save image requests --------------------------------------------------------------


def template_claims(template: Item) -> Iterator[Claim]:
    """Yield the claims about a template with its versions."""
    id, versions = template.get("id"), objects_in(template.get("versions"))
    numbers: list[Any] = [version.get("number") for version in versions]
    if all(isinstance(number, int) for number in numbers):
        is_ascending = all(before < after for before, after in pairwise(numbers))
        yield Claim("versions", is_ascending, f"the versions of {id} come as {numbers[:20]}")
        has_gaps = is_ascending and numbers != list(range(len(numbers)))
        # A revert deletes a version and all later ones (controller-facts A13), so that none is missing in between.
        yield Claim("versions", not has_gaps, f"the versions of {id} are not numbered from 0 on: {numbers[:20]}")
    tags = Counter(str(version.get("tag")) for version in versions)
    repeated = [tag for tag, count in tags.items() if count > 1]
    yield Claim("versions", not repeated, f"{id} has a tag more than once: {', '.join(repeated[:3])}")
    for version in versions:
        yield from _version_claims(f"version {version.get('number')} of {id}", version)
    sizes = [version["size"] for version in versions if isinstance(version.get("size"), int)]
    size = template.get("size")
    if isinstance(size, int) and sizes and len(sizes) == len(versions):
        text = f"the size of {id} is {size}, and those of its versions are {sizes[:20]}"
        yield Claim("template-size", max(sizes) <= size <= sum(sizes), text, "$.body.size")
    for key in ("last_pull", "last_push"):
        times = [version[key] for version in versions if isinstance(version.get(key), int)]
        if times and isinstance(template.get(key), int):
            text = f"{key} of {id} is {template[key]}, and one of its versions has {max(times)}"
            yield Claim("time-order", max(times) <= template[key], text, f"$.body.{key}", Level.NOTE)


def _version_claims(name: str, version: Item) -> Iterator[Claim]:
    state_file, state_files = version.get("state_file"), version.get("state_files")
    if state_file and isinstance(state_files, list):
        text = f"state_file of {name} is not one of its state_files"
        yield Claim("versions", state_file in state_files, text, "", Level.NOTE)
    images = version.get("images")
    if isinstance(images, list):
        yield Claim("versions", bool(images), f"{name} has no images", "", Level.NOTE)


def distribution_claims(distribution: Item) -> Iterator[Claim]:
    """Yield the claims about a distribution at each node."""
    id = object_at(distribution, "request").get("request_id")
    for node_id, delivery in object_at(distribution, "distribute_status").items():
        if not isinstance(delivery, dict) or delivery.get("status") is not True:
            continue
        progress, error = delivery.get("progress"), delivery.get("error")
        text = f"the delivery of {id} at {node_id} is done, and its progress is {progress}"
        yield Claim("task-status", progress == 1, text, "$.body[*].distribute_status")
        text = f"the delivery of {id} at {node_id} is done, and has an error: {error}"[:200]
        yield Claim("task-status", not error, text, "$.body[*].distribute_status")


def save_image_claims(task: Item) -> Iterator[Claim]:
    """Yield the claims about a save image request."""
    id, status, error = task.get("id"), task.get("status"), task.get("error")
    if status in ("pending", "done"):
        yield Claim("task-status", error is None, f"{id} is {status}, and has an error", "$.body[*].error")
    elif status == "error":
        yield Claim("task-status", error is not None, f"{id} has the status error, and no error", "$.body[*].error")
    request = object_at(task, "request")
    if "RequestId" in request:
        text = f"RequestId of {id} is {_show(request['RequestId'])}"
        yield Claim("task-status", request["RequestId"] == id, text, "$.body[*].request.RequestId")
    targets = [request.get(key) for key in ("TemplateID", "NewTemplateName")]
    if None not in targets:
        yield Claim("task-status", any(targets), f"{id} has neither TemplateID nor NewTemplateName", "", Level.NOTE)


def usb_claims(devices: Item) -> Iterator[Claim]:
    """Yield the claims about the map of USB devices: a name stands for at least one device."""
    for name, counts in devices.items():
        numbers = [value for value in counts.values() if is_number(value)] if isinstance(counts, dict) else []
        if numbers:
            yield Claim("task-status", sum(numbers) > 0, f"there are no devices named {name[:40]}", "", Level.NOTE)


# ---- clocks --------------------------------------------------------------------------------------------------------


def clock_claims(name: str, times: Item, now: float | None) -> Iterator[Claim]:
    """Yield the claims that times agree with the clock of the controller.

    ``times`` has seconds since 1970 or RFC 3339 texts by their keys, ``now`` is the header ``Date`` in seconds.
    """
    for key, value in times.items():
        moment = moment_of(value)
        if moment is None:
            continue
        yield Claim("clock", moment >= FIRST_YEAR, f"{key} of {name} is {value}, before there was a controller")
        if now is None or moment < FIRST_YEAR:
            continue
        text = f"{key} of {name} is {value}, {(moment - now) / DAY:.1f} days after the Date of the response"
        yield Claim("clock", moment <= now + DAY, text)


def age_claim(name: str, key: str, value: Any, now: float | None, days: int) -> Iterator[Claim]:
    """Yield the claim, which is a note, that a time is not many days before the Date of the response."""
    moment = moment_of(value)
    if moment is not None and now is not None and moment >= FIRST_YEAR:
        text = f"{key} of {name} is {value}, {(now - moment) / DAY:.0f} days before the Date of the response"
        yield Claim("clock", moment >= now - days * DAY, text, "", Level.NOTE)


# ---- values --------------------------------------------------------------------------------------------------------


def object_at(value: Any, key: str) -> Item:
    """Return the object at a key; empty if the value or the member is not an object."""
    member = value.get(key) if isinstance(value, dict) else None
    return member if isinstance(member, dict) else {}


def objects_in(value: Any) -> list[Item]:
    """Return the objects in a list; none if the value is not a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def is_number(value: Any) -> bool:
    """Return whether a value is a number of 64 bits; the schema check finds larger ones."""
    is_of_type = isinstance(value, int | float) and not isinstance(value, bool)
    return is_of_type and -(2**63) <= value < 2**63


def is_key(value: Any) -> bool:
    """Return whether a value can be an id."""
    return isinstance(value, str)


def is_version(value: Any) -> bool:
    """Return whether a value is a release, a hyphen and the eight hexadecimal digits of a build."""
    return isinstance(value, str) and VERSION.fullmatch(value) is not None


def timestamp(text: Any) -> float | None:
    """Return seconds since 1970, or None if it is not a time, which the schema reports."""
    try:
        # Python reads up to six digits of a fraction; from 3.11 on it ignores more.
        return datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def moment_of(value: Any) -> float | None:
    """Return the seconds since 1970 that a number or an RFC 3339 text stands for, or None."""
    return float(value) if is_number(value) else timestamp(value)


def _show(value: Any) -> str:
    return repr(value)[:60]
