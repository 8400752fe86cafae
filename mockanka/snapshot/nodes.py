"""Nodes and groups as a scenario has them."""

from __future__ import annotations

from mockanka import units
from mockanka.snapshot.commented_yaml import Noted
from mockanka.snapshot.fetch import Facts
from mockanka.snapshot.names import Names
from mockanka.snapshot.reader import Json, Told
from mockanka.snapshot.registry import Registry
from mockanka.snapshot.workloads import Life

STATES = ("Active", "Offline", "Inactive (Invalid License)", "Updating", "Unhealthy", "Drain Mode")
SILENT = 15 * units.SECOND
"""Three heartbeats: who has not reported for longer is lost."""
NOT_TOLD = (
    "Not told of nodes: whether they log to the controller, which VLANs they know, what they are to take off their "
    "disks, pulls that nothing listed waits for, and when a state ends that has an end."
)


def groups(facts: Facts) -> list[Json]:
    """The groups that are listed, and those that only nodes tell of."""
    listed = {str(each.get("id")): each for each in facts.groups}
    for node in facts.nodes:
        for each in Told(node).below("groups"):
            listed.setdefault(str(each.get("id")), each)
    return [each for id, each in listed.items() if Told(each).text("id") and Told(each).text("name")]


def group_section(groups: list[Json], names: Names) -> list[Noted]:
    made = []
    for told in map(Told, groups):
        fallback = told.text("fallback_group_id")
        one = Noted(name=told.text("name"), id=told.text("id"), description=told.text("description"))
        if fallback in names.by_id:
            one["fallback"] = names.of(fallback)
        elif fallback:
            one.above.append(f"Its fallback, {fallback}, was not told of.")
        one.above += told.remarks
        made.append(one)
    return made


def reported(facts: Facts, node_id: str, on_node: list[Json]) -> int | None:
    """When the node last reported: it says so from 1.43 on, and before that its instances do, if there are any."""
    node = next((Told(each) for each in facts.nodes if each.get("node_id") == node_id), None)
    told = node.moment("last_updated") if node else None
    if told is not None:
        return told
    moments = [at for each in on_node if (at := Told(each).moment("ts"))]
    return min(moments, default=None)


def node_section(
    facts: Facts, registry: Registry, groups: Names, life: Life, beats: dict[str, int | None], now: int | None
) -> list[Noted]:
    made = []
    for told in map(Told, facts.nodes):
        id = told.text("node_id")
        if id is not None:
            one = _node(told, id, groups)
            _state(one, told, beats.get(id), now)
            _disk(one, told)
            by_hand = life.manual_vms.get(id)
            one.put("by_hand", by_hand, "VMs that no listed instance accounts for" if by_hand else "")
            if facts.vlans:
                one.put("vlans", facts.vlans, "which nodes know which of them is not told")
            _cached(one, told, registry, life.refs_on(id))
            one.above += told.remarks
            made.append(one)
    return made


def _node(told: Told, id: str, groups: Names) -> Noted:
    name = told.text("node_name")
    one = Noted(name=name or id, id=id, ip=told.any_text("ip_address"))
    if name is None:
        one.note("name", "was not told")
    arch = told.text("host_arch")
    one.put("arch", arch if arch in ("amd64", "arm64") else None)
    one.put("cpus", told.whole("cpu_count", 1, 1024))
    one.put("ram", told.whole("ram", 1, 1024**2))
    one.put("capacity", told.whole("capacity"))
    mode = told.text("capacity_mode")
    one.put("capacity_mode", mode if mode == "resource" else None)
    one.put("vcpu_override", told.whole("vcpu_override") or None)
    one.put("ram_override", told.whole("ram_override") or None)
    util = told.share("cpu_util")
    one.put("cpu_util", util)
    anka = Told(told.inside("anka_version"))
    keys = ("product", "version", "build", "license", "expires")
    one.put("anka", {key: text for key in keys if (text := anka.any_text(key)) is not None} or None)
    one.put("groups", [groups.of(of) for each in told.below("groups") if (of := Told(each).text("id"))] or None)
    one.put("usb", _usb(told) or None)
    one.above += anka.remarks
    return one


def _state(one: Noted, told: Told, beat: int | None, now: int | None) -> None:
    told.moment("last_updated")  # for the remark, if it is none
    state = told.any_text("state")
    if state in STATES:
        one.put("state", state if state != "Active" else None)
    elif state is not None:
        one.above.append(f"Its state was told as {state!r}, which a scenario does not know.")
    if beat is None:
        return
    one["reported"] = units.format_moment(beat)
    if state != "Offline" and now is not None and now - beat > SILENT:
        one.put("lost", one["reported"], "it has been silent since, and is not shown as Offline yet")


def _disk(one: Noted, told: Told) -> None:
    size, free, used = (told.whole(key) for key in ("disk_size", "free_disk_space", "anka_disk_usage"))
    one.put("disk", None if size is None else units.format_size(size))
    if size is not None and free is not None and used is not None:
        other = size - free - used
        text = f"more than its disk is told to be free or taken by Anka: {free} and {used} bytes"
        one.put("disk_other", units.format_size(max(0, other)), text if other < 0 else "")
    one.put("disk_used", None if used is None else units.format_size(used))


def _usb(told: Told) -> list[Json]:
    devices: dict[str, Json] = {}
    for each in map(Told, told.below("usb_devices")):
        name = each.text("name") or each.text("location")
        if name:
            location = each.text("location")
            device = {"name": name, "location": location} if location else {"name": name}
            devices.setdefault(location or str(len(devices)), device)
    return list(devices.values())


def _cached(one: Noted, told: Told, registry: Registry, running: list[Json]) -> None:
    cached: list[object] = []
    if "templates" not in told.raw:
        cached += [registry.on_disk_at(each) for each in running]
        one.put("cached", cached or None, "what else is on its disk was not told: here it is what runs")
        return
    for each in map(Told, told.below("templates")):
        id = each.text("uuid")
        if id is None:
            continue
        cached.append(registry.on_disk(registry.know(id, each.text("name")), each.any_text("tag") or ""))
    one.put("cached", cached or None)
