"""The fields of an instance in responses, and of its VM and its port rules (controller-facts A2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from mockanka.api.envelope import progress_number
from mockanka.api.field_table import OMIT, FieldTable, Key, omit_empty
from mockanka.core.controller import Controller
from mockanka.core.faults import BLANKED_FIELDS
from mockanka.core.instance_record import Instance
from mockanka.core.lifecycle import InstanceState
from mockanka.core.scripts import ScriptResult
from mockanka.core.templates import get_version
from mockanka.core.vms import SAMPLED_BEFORE, PortForward, Vm
from mockanka.units import MICROSECOND, SECOND, format_moment, format_ram

ZERO_TIME = "0001-01-01T00:00:00Z"


class InstanceVm(NamedTuple):
    """The VM of an instance, as far as a node has reported it."""

    instance: Instance
    vm: Vm


PORT_FIELDS: FieldTable[PortForward] = FieldTable(
    Key("guest_port", lambda c, port: port.guest_port),
    Key("host_port", lambda c, port: port.host_port),
    Key("protocol", lambda c, port: port.protocol),
    Key("Name", lambda c, port: port.name, removed_with="port-rule-name"),
    # Blank in the only capture; names are shown since 1.39 (controller-facts B4).
    Key("rule_name", lambda c, port: "", added_with="port-rule-name", removed_with="port-rule-plain-name"),
    Key("name", lambda c, port: port.name, added_with="port-rule-plain-name"),
)


def _ports(controller: Controller, item: InstanceVm) -> object:
    ports = () if "port_forwarding" in item.instance.unreported else item.vm.ports
    return omit_empty([PORT_FIELDS.render(controller, port) for port in ports])


def _sample_time(controller: Controller, item: InstanceVm) -> int:
    # The agent samples a few seconds before the controller hears of it, in whole microseconds (A2.3).
    sampled = max(item.vm.created, item.instance.updated(controller) - SAMPLED_BEFORE)
    return sampled // MICROSECOND * MICROSECOND


def _whole_second(at: int) -> str:
    return format_moment(at // SECOND * SECOND)


def _creation_date(controller: Controller, item: InstanceVm) -> str:
    # That of the template's version, not of the clone (controller-facts A2.3).
    return _whole_second(get_version(controller, item.instance.ref).created)


def _unless_lost(get: Callable[[Controller, InstanceVm], object]) -> Callable[[Controller, InstanceVm], object]:
    """Return a getter that leaves the key out if the VM has lost its details."""
    return lambda controller, item: OMIT if item.vm.details_lost else get(controller, item)


VM_FIELDS: FieldTable[InstanceVm] = FieldTable(
    # The orders: controller-facts A2.3.
    Key("uuid", lambda c, item: item.vm.uuid),
    Key("name", lambda c, item: omit_empty(item.vm.name)),
    Key("cpu_cores", lambda c, item: item.vm.cpus),
    Key("ram", _unless_lost(lambda c, item: format_ram(item.vm.ram))),
    Key("status", lambda c, item: item.vm.status),
    Key("node_id", _unless_lost(lambda c, item: item.instance.node_id)),
    Key("host_ip", _unless_lost(lambda c, item: "" if "host_ip" in item.instance.unreported else item.vm.host_ip)),
    Key("ip", lambda c, item: "" if "ip" in item.instance.unreported else item.vm.ip),
    Key("vnc_port", lambda c, item: item.vm.vnc_port),
    Key(
        "vnc_connection_string",
        _unless_lost(lambda c, item: f"vnc://:{item.vm.vnc_password}@{item.vm.host_ip}:{item.vm.vnc_port}"),
        removed_with="vm-timestamp",
    ),
    Key("vnc_password", _unless_lost(lambda c, item: omit_empty(item.vm.vnc_password)), added_with="vm-dates"),
    Key("port_forwarding", _ports),
    Key("creation_date", _creation_date, added_with="vm-dates"),
    # Go's zero time of a running VM; guess: of a stopped one too.
    Key("stop_date", lambda c, item: ZERO_TIME, added_with="vm-dates"),
    Key("version", lambda c, item: "", added_with="vm-dates"),
    # The sample cut to the second, so it moves with each report (controller-facts A2.3).
    Key("access_date", lambda c, item: _whole_second(_sample_time(c, item)), added_with="vm-timestamp"),
    Key("start_date", lambda c, item: _whole_second(item.vm.started), added_with="restart"),
    Key("timestamp", lambda c, item: format_moment(_sample_time(c, item)), added_with="vm-timestamp"),
    orders={
        "vm-timestamp": "uuid name status version creation_date access_date start_date cpu_cores ram node_id host_ip ip"
        " vnc_port vnc_password port_forwarding stop_date timestamp"
    },
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
    # A pointer in Go, so 0 is shown when it was requested (controller-facts B21).
    Key("version", lambda c, instance: OMIT if instance.request.version is None else instance.request.version),
    Key("vminfo", _vm),
    Key("node_id", _node_id),
    Key("inflight_reqid", _request_id),
    Key("ts", lambda c, instance: format_moment(instance.updated(c))),
    Key("cr_time", lambda c, instance: format_moment(instance.created)),
    Key("progress", lambda c, instance: progress_number(instance.progress(c))),
    Key("group_id", lambda c, instance: omit_empty(instance.request.group_id)),
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
