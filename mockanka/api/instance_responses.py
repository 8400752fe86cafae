"""The fields of an instance in responses, and of its VM and its port rules (controller-facts A2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from mockanka.api.envelope import round_progress
from mockanka.api.field_table import OMIT, FieldTable, Key, omit_empty
from mockanka.core.controller import Controller
from mockanka.core.faults import BLANKED_FIELDS
from mockanka.core.instance_record import Instance
from mockanka.core.lifecycle import InstanceState
from mockanka.core.scripts import ScriptResult
from mockanka.core.templates import get_version
from mockanka.core.vms import PortForward, Vm
from mockanka.units import MICROSECOND, SECOND, format_moment, format_ram

ZERO_TIME = "0001-01-01T00:00:00Z"
SAMPLED_BEFORE = 3 * SECOND
"""In captures the agent's sample is 2.4 to 4.9 s older than the controller's time (controller-facts C6)."""


class InstanceVm(NamedTuple):
    """The VM of an instance, as far as a node has reported it."""

    instance: Instance
    vm: Vm


PORT_FIELDS: FieldTable[PortForward] = FieldTable(
    Key("Name", lambda c, port: port.name, removed_with="port-rule-name"),
    Key("rule_name", lambda c, port: port.name, added_with="port-rule-name", removed_with="port-rule-plain-name"),
    Key("name", lambda c, port: port.name, added_with="port-rule-plain-name"),
    Key("guest_port", lambda c, port: port.guest_port),
    Key("host_port", lambda c, port: port.host_port),
    Key("protocol", lambda c, port: port.protocol),
)


def _ports(controller: Controller, item: InstanceVm) -> object:
    ports = () if "port_forwarding" in item.instance.unreported else item.vm.ports
    return omit_empty([PORT_FIELDS.render(controller, port) for port in ports])


def _sampled(controller: Controller, item: InstanceVm) -> str:
    # The agent samples a few seconds before the controller hears of it, in whole microseconds (A2.3).
    sampled = max(item.vm.created, item.instance.updated(controller) - SAMPLED_BEFORE)
    return format_moment(sampled // MICROSECOND * MICROSECOND)


def _whole_second(at: int) -> str:
    return format_moment(at // SECOND * SECOND)


VM_FIELDS: FieldTable[InstanceVm] = FieldTable(
    Key("uuid", lambda c, item: item.vm.uuid),
    Key("name", lambda c, item: omit_empty(item.vm.name)),
    Key("status", lambda c, item: item.vm.status),
    Key("version", lambda c, item: "", added_with="vm-dates"),
    Key("creation_date", lambda c, item: _whole_second(item.vm.created), added_with="vm-dates"),
    Key("access_date", lambda c, item: _whole_second(item.vm.started), added_with="vm-timestamp"),
    Key("start_date", lambda c, item: _whole_second(item.vm.started), added_with="restart"),
    # Go's zero time of a running VM; guess: of a stopped one too.
    Key("stop_date", lambda c, item: ZERO_TIME, added_with="vm-dates"),
    Key("cpu_cores", lambda c, item: item.vm.cpus),
    Key("ram", lambda c, item: format_ram(item.vm.ram)),
    Key("node_id", lambda c, item: item.instance.node_id),
    Key("host_ip", lambda c, item: "" if "host_ip" in item.instance.unreported else item.vm.host_ip),
    Key("ip", lambda c, item: "" if "ip" in item.instance.unreported else item.vm.ip),
    Key("vnc_port", lambda c, item: item.vm.vnc_port),
    Key(
        "vnc_connection_string",
        lambda c, item: f"vnc://:{item.vm.vnc_password}@{item.vm.host_ip}:{item.vm.vnc_port}",
        removed_with="vm-timestamp",
    ),
    Key("vnc_password", lambda c, item: omit_empty(item.vm.vnc_password), added_with="vm-dates"),
    Key("port_forwarding", _ports),
    Key("timestamp", _sampled, added_with="vm-timestamp"),
)


def without_unreported(instance: Instance, rendered: Mapping[str, object]) -> Mapping[str, object]:
    """Return rendered keys of an instance without those that a fault leaves out; some are blank instead already."""
    omitted = [key for key in instance.unreported if key not in BLANKED_FIELDS]
    return {key: value for key, value in rendered.items() if key not in omitted} if omitted else rendered


def render_instance(controller: Controller, instance: Instance) -> Mapping[str, object]:
    """Return an instance as the response to ``?id=`` has it, without the keys that a fault leaves out."""
    return without_unreported(instance, INSTANCE_FIELDS.render(controller, instance))


def _tag(controller: Controller, instance: Instance) -> object:
    # Before 1.24.1 the tag is there only if the request had one (controller-facts A1).
    if instance.request.tag or controller.release.has("tag-filled-in"):
        return omit_empty(get_version(controller, instance.ref).tag)
    return OMIT


STARTUP_SCRIPT_FIELDS: FieldTable[ScriptResult] = FieldTable(
    Key("return_code", lambda c, result: result.return_code),
    Key("did_timeout", lambda c, result: result.did_timeout),
    Key("stdout", lambda c, result: result.stdout),
    Key("stderr", lambda c, result: result.stderr),
)


def _startup_script(controller: Controller, instance: Instance) -> object:
    # Only once the script has ended (controller-facts A2.2).
    has_ended = instance.shown_vm is not None and not instance.booting
    return STARTUP_SCRIPT_FIELDS.render(controller, instance.script) if instance.script and has_ended else OMIT


def _node_id(controller: Controller, instance: Instance) -> object:
    # Before 1.22 an instance that failed before it had a VM does not show its node (controller-facts C16).
    failed_early = instance.state is InstanceState.ERROR and instance.vm is None
    if failed_early and not controller.release.has("failed-node-shown"):
        return OMIT
    return omit_empty(instance.shown_node_id)


def _vm(controller: Controller, instance: Instance) -> object:
    vm = instance.shown_vm
    return without_unreported(instance, VM_FIELDS.render(controller, InstanceVm(instance, vm))) if vm else OMIT


def _request_id(controller: Controller, instance: Instance) -> object:
    # Examples of 1.8 lack it once there is a VM, captures of about 1.27 have it (controller-facts A2.2).
    return OMIT if instance.shown_vm and not controller.release.has("request-id-stays") else instance.inflight_id


def _registry(controller: Controller, instance: Instance) -> str:
    return controller.registry.url if controller.release.has("registry-address") else ""


INSTANCE_FIELDS: FieldTable[Instance] = FieldTable(
    # Order: controller-facts A2.2. At first only the list item has instance_id, name and external_id.
    Key("instance_id", lambda c, instance: instance.id, added_with="instance-tells-its-names"),
    Key("instance_state", lambda c, instance: instance.state.value),
    Key("message", lambda c, instance: omit_empty(instance.message)),
    Key("anka_registry", _registry),
    Key("vmid", lambda c, instance: instance.ref.template_id),
    Key("tag", _tag),
    # omitempty, so version 0 is left out as in Go (controller-facts B21).
    Key("version", lambda c, instance: omit_empty(instance.request.version)),
    Key("vminfo", _vm),
    Key("node_id", _node_id),
    Key("inflight_reqid", _request_id),
    Key("ts", lambda c, instance: format_moment(instance.updated(c))),
    Key("cr_time", lambda c, instance: format_moment(instance.created)),
    Key("progress", lambda c, instance: round_progress(instance.progress(c))),
    Key("group_id", lambda c, instance: omit_empty(instance.request.group_id)),
    # Guess: that the name has this place (controller-facts A2.1).
    Key("name", lambda c, instance: omit_empty(instance.request.name), added_with="instance-tells-its-names"),
    Key(
        "external_id",
        lambda c, instance: omit_empty(instance.request.external_id),
        added_with="instance-tells-its-names",
    ),
    Key("metadata", lambda c, instance: omit_empty(dict(sorted(instance.request.metadata.items())))),
    Key("mac_address", lambda c, instance: omit_empty(instance.request.mac_address), added_with="mac-addresses"),
    Key("usb_device", lambda c, instance: omit_empty(instance.request.usb_device)),
    Key("arch", lambda c, instance: c.templates[instance.ref.template_id].arch, added_with="arch"),
    Key("vlan", lambda c, instance: instance.vlan, added_with="vlans"),
    Key("startup_script", _startup_script, added_with="script-monitoring"),
)
