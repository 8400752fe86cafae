"""The nodes section."""

from __future__ import annotations

from mockanka import units
from mockanka.core.lifecycle import NodeState
from mockanka.snapshot.commented_yaml import CommentedMap
from mockanka.snapshot.context import SnapshotContext
from mockanka.snapshot.reader import JsonObject, JsonReader
from mockanka.snapshot.templates import ARCHITECTURES

NODE_LIMITATIONS = (
    "Not returned by the API: whether nodes send their logs, which VLANs each node knows, pending removals of "
    "templates, pulls that no listed object waits for, and the ends of temporary states."
)
LOST_AFTER = 15 * units.SECOND
"""Three heartbeats. A node that has not reported for longer is lost."""


def node_section(context: SnapshotContext, last_reports: dict[str, int | None], now: int | None) -> list[CommentedMap]:
    """Return the section. ``last_reports`` are moments by node id, ``now`` is the controller's time if it is known."""
    items = []
    for node in map(JsonReader, context.state.nodes):
        id = node.text("node_id")
        if id is not None:
            item = _node_item(context, node, id)
            _put_state(item, node, last_reports.get(id), now)
            _put_disk(item, node)
            manual_vms = context.occupancy.manual_vms.get(id)
            item.put("by_hand", manual_vms, "VMs that no listed instance accounts for" if manual_vms else "")
            if context.state.vlans:
                item.put("vlans", context.state.vlans, "all VLANs: the API does not say which of them the node knows")
            _put_cached(item, node, context)
            item.comments += node.remarks
            items.append(item)
    return items


def _node_item(context: SnapshotContext, node: JsonReader, id: str) -> CommentedMap:
    name = node.text("node_name")
    item = CommentedMap(name=name or id, id=id, ip=node.text_or_empty("ip_address"))
    if name is None:
        item.comment_on("name", "the node has none: here it is the id")
    arch = node.text("host_arch")
    item.put("arch", arch if arch in ARCHITECTURES else None)
    if arch is not None and "arch" not in item:
        item.comments.append(f"Its host_arch is {arch!r}: here it is that of the first template.")
    item.put("cpus", node.integer("cpu_count", 1, 1024))
    item.put("ram", node.integer("ram", 1, 1024**2))
    item.put("capacity", node.integer("capacity"))
    for key, default in (("cpus", 8), ("ram", 16), ("capacity", 2)):
        if key not in item:
            item.put(key, default, "the controller did not return it: this is a guess")
    agent_version = node.text("agent_version")
    item.put("agent_version", agent_version if agent_version != context.release.known.version else None)
    mode = node.text("capacity_mode")
    item.put("capacity_mode", mode if mode == "resource" else None)
    item.put("vcpu_override", node.integer("vcpu_override") or None)
    item.put("ram_override", node.integer("ram_override") or None)
    item.put("cpu_util", node.fraction("cpu_util"))
    anka = node.child("anka_version")
    keys = ("product", "version", "build", "license", "expires")
    item.put("anka", {key: text for key in keys if (text := anka.text_or_empty(key)) is not None} or None)
    group_ids = [group_id for group in node.children("groups") if (group_id := group.text("id"))]
    item.put("groups", [context.groups.reference(group_id) for group_id in group_ids] or None)
    item.put("usb", _usb_devices(node) or None)
    item.comments += anka.remarks
    return item


def _put_state(item: CommentedMap, node: JsonReader, last_report: int | None, now: int | None) -> None:
    node.moment("last_updated")  # for the remark if it is malformed
    state = node.text_or_empty("state")
    if state in frozenset(NodeState):
        item.put("state", state if state != NodeState.ACTIVE else None)
    elif state is not None:
        item.comments.append(f"Its state is {state!r}, which a scenario does not know.")
    if last_report is None:
        return
    item["reported"] = units.format_moment(last_report)
    if state != NodeState.OFFLINE and now is not None and now - last_report > LOST_AFTER:
        item.put("lost", item["reported"], "it has not reported since, but is not shown as Offline yet")


def _put_disk(item: CommentedMap, node: JsonReader) -> None:
    size, free, used = (node.integer(key) for key in ("disk_size", "free_disk_space", "anka_disk_usage"))
    item.put("disk", None if size is None else units.format_size(size))
    if size is not None and free is not None and used is not None:
        other = size - free - used
        excess = f"free space and Anka's usage are more than the disk: {free} and {used} bytes"
        item.put("disk_other", units.format_size(max(0, other)), excess if other < 0 else "")
    item.put("disk_used", None if used is None else units.format_size(used))


def _usb_devices(node: JsonReader) -> list[JsonObject]:
    """Return the devices; of several with the same location the first."""
    devices: dict[str, JsonObject] = {}
    for device in node.children("usb_devices"):
        location = device.text("location")
        name = device.text("name") or location
        if name:
            item = {"name": name, "location": location} if location else {"name": name}
            devices.setdefault(location or str(len(devices)), item)
    return list(devices.values())


def _put_cached(item: CommentedMap, node: JsonReader, context: SnapshotContext) -> None:
    templates = context.templates
    if "templates" not in node.data:
        cached = [templates.cached_item_at(place) for place in _versions_in_use(context, item["id"])]
        item.put("cached", cached or None, "only what instances run: the API does not say what else is on the disk")
        return
    items = []
    for template in node.children("templates"):
        id = template.text("uuid")
        if id is not None:
            known = templates.get(id, template.text("name"))
            items.append(templates.cached_item(known, template.text_or_empty("tag") or ""))
    item.put("cached", items or None)


def _versions_in_use(context: SnapshotContext, node_id: str) -> list[JsonObject]:
    """Return the versions that instances on a node run, by template id and serial."""
    places: list[JsonObject] = []
    for instance in map(JsonReader, context.instances):
        if instance.data.get("node_id") == node_id and instance.child("vminfo").data:
            template = context.templates.get(instance.text("vmid") or "", arch=instance.text("arch"))
            keys = context.templates.version_keys(
                template, instance.text("tag"), instance.integer("version", high=10**6)
            )
            place = {"template": template.id, "serial": context.templates.serial(template, keys)}
            if place not in places:
                places.append(place)
    return places
