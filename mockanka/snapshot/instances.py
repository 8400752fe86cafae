"""The instances section."""

from __future__ import annotations

from mockanka import units
from mockanka.core.lifecycle import REPORTED_STATES, SHOWN_STATES, InstanceState
from mockanka.core.vms import SAMPLED_BEFORE
from mockanka.snapshot.commented_yaml import CommentedMap
from mockanka.snapshot.context import SnapshotContext
from mockanka.snapshot.reader import JsonObject, JsonReader
from mockanka.snapshot.templates import KnownTemplate, read_ram, read_rule_name

INSTANCE_LIMITATIONS = (
    "Not returned by the API: priority, pinned_node, vcpu, vram, the startup script and its options, name_template and "
    "port_forwarding of instances, the node that an instance in Scheduling has already, and the end of its phase."
)


def instance_section(context: SnapshotContext, last_reports: dict[str, int | None]) -> list[CommentedMap]:
    """Return the section; ``last_reports`` are moments by node id."""
    return [
        _instance_item(context, instance, last_reports.get(str(instance.data.get("node_id"))))
        for instance in map(JsonReader, context.instances)
    ]


def _instance_item(context: SnapshotContext, instance: JsonReader, last_report: int | None) -> CommentedMap:
    state = instance.text("instance_state")
    template = context.templates.get(instance.text("vmid") or "", arch=instance.text("arch"))
    id, node_id = instance.text("instance_id") or "", instance.text("node_id")
    item = CommentedMap(id=id, template=context.templates.reference(template.id))
    tag, number = instance.text("tag"), instance.integer("version", high=10**6)
    item.update(context.templates.version_keys(template, tag, number))
    versions = template.listed_versions
    if tag is None and number is None and (len(versions) != 1 or versions[0]["tag"]):
        item.comment_on("template", "the API does not say which version")
    arch = instance.text("arch")
    if arch is not None and arch != template.arch:
        item.comments.append(f"Its arch is {arch!r}: here it is that of its template, {template.arch or 'unknown'}.")
    if node_id is not None:
        item["node"] = context.nodes.reference(node_id)
    _put_state(context, item, instance, state, last_report)
    for key in ("name", "external_id", "mac_address", "usb_device", "message"):
        item.put(key, instance.text(key))
    item.put("vlan_tag", instance.text("vlan"))
    group_id = instance.text("group_id")
    item.put("group", None if group_id is None else context.groups.reference(group_id))
    item.put("metadata", _metadata(item, instance))
    item.put("progress", instance.fraction("progress") or None)
    item.put("inflight_id", instance.text("inflight_reqid"))
    vm = instance.child("vminfo")
    if vm.data:
        item["vm"] = _vm_item(vm, instance.moment("ts"))
        _put_version_date(context, item, template, vm)
    script = instance.child("startup_script")
    if script.data:
        item["script_monitoring"] = True
        item["script"] = script_item(script)
    item.comments += [*instance.remarks, *vm.remarks, *script.remarks]
    return item


def _put_state(
    context: SnapshotContext, item: CommentedMap, instance: JsonReader, state: str | None, last_report: int | None
) -> None:
    if state not in SHOWN_STATES:
        item.comments.append(f"Its state is {state!r}, which a scenario does not know: here it is Error.")
        state = InstanceState.ERROR.value
    if item["id"] in context.pushing_saves:
        item.put("state", InstanceState.STARTED.value, "Pushing, once its save image request has begun")
    else:
        item.put("state", state)
    is_reported = state in REPORTED_STATES
    on_node = "node" in item and (is_reported or context.holds_slot(instance.data))
    if on_node and not is_reported:
        item["occupies"] = True
    created, updated = instance.moment("cr_time"), instance.moment("ts")
    item.put("created", None if created is None else units.format_moment(created))
    if updated is None or (on_node and updated == last_report):
        return
    unchanged = created is not None and updated == created - units.MICROSECOND and state == InstanceState.SCHEDULING
    if not unchanged:
        item.put("since", units.format_moment(updated), "when its node last reported on it" if on_node else "")


def _metadata(item: CommentedMap, instance: JsonReader) -> JsonObject | None:
    metadata = instance.child("metadata").data
    kept = {key: value for key, value in metadata.items() if isinstance(value, str | int | bool)}
    for key in metadata.keys() - kept:
        item.comments.append(f"metadata: {key} is neither a string, an integer nor a boolean; it is left out")
    return kept or None


def _put_version_date(context: SnapshotContext, item: CommentedMap, template: KnownTemplate, vm: JsonReader) -> None:
    """Give the version of an instance the date that its VM shows, that of the version (controller-facts A2.3)."""
    created = vm.moment("creation_date")
    if created is None:
        return
    version = template.versions[context.templates.serial(template, item)]
    text = units.format_moment(created)
    if version.setdefault("created", text) != text:
        item.comments.append(f"Its VM shows creation_date {text}, another one of its version {version['created']}.")


def _vm_item(vm: JsonReader, reported: int | None) -> CommentedMap:
    item = CommentedMap(uuid=vm.text_or_empty("uuid"), name=vm.text_or_empty("name"), status=vm.text("status"))
    # A VM is not sampled before it exists, so a sample that is younger than usual is as old as the VM.
    sampled = vm.moment("timestamp")
    is_young = sampled is not None and reported is not None and sampled > reported - SAMPLED_BEFORE
    created, started = sampled if is_young else None, vm.moment("start_date")
    item.put("created", None if created is None else units.format_moment(created))
    item.put("started", None if started is None else units.format_moment(started))
    item.put("cpus", vm.integer("cpu_cores", 1, 1024))
    item.put("ram", read_ram(vm))
    item.put("host_ip", vm.text_or_empty("host_ip"))
    item.put("ip", vm.text_or_empty("ip"))
    item.put("vnc_port", vm.integer("vnc_port", 0, 65535))
    password = vm.text("vnc_password")
    if password is None and (connection := vm.text("vnc_connection_string")) is not None:
        password = connection.removeprefix("vnc://:").rpartition("@")[0] or None
    item.put("vnc_password", password)
    item["ports"] = [
        port_item for port in vm.children("port_forwarding") if (port_item := _port_item(port)) is not None
    ]
    return item


def _port_item(port: JsonReader) -> CommentedMap | None:
    guest_port, host_port = (port.integer(key, 1, 65535) for key in ("guest_port", "host_port"))
    if guest_port is None or host_port is None:
        return None
    protocol = port.text("protocol")
    return CommentedMap(
        name=read_rule_name(port) or None,
        guest_port=guest_port,
        host_port=host_port,
        protocol=protocol if protocol != "tcp" else None,
    )


def script_item(script: JsonReader) -> CommentedMap:
    """Return the result of a startup script or of a save image request's script."""
    return CommentedMap(
        return_code=script.integer("return_code", -(2**31), 2**31) or 0,
        did_timeout=script.boolean("did_timeout") or False,
        stdout=script.text_or_empty("stdout") or "",
        stderr=script.text_or_empty("stderr") or "",
    )
