"""A controller written as a scenario: at rest it reads like one written by hand, in flight it carries every detail."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from mockanka.core import pulls
from mockanka.core.controller import Controller
from mockanka.core.distributions import Distribution
from mockanka.core.durations import Timings
from mockanka.core.groups import Group
from mockanka.core.instance_record import Instance, StartRequest
from mockanka.core.nodes import AnkaVersion, Node
from mockanka.core.overrides import Overrides
from mockanka.core.save_images import SaveImage, SaveRequest
from mockanka.core.scripts import ScriptRule
from mockanka.core.templates import PortRule, Template, Version
from mockanka.core.vms import Vm
from mockanka.scenario import fault_rules, pending, sections
from mockanka.scenario.workloads import REQUEST_KEYS

Data = dict[str, Any]


def dump(controller: Controller) -> Data:
    """The whole state as a scenario: plain text, numbers, lists and dictionaries."""
    clock = controller.clock
    raw = {
        "controller": {
            "release": controller.release,
            "license": controller.license.tier,
            "registry": controller.registry.url,
            "saved_size": controller.saved_size,
            "registry_disk": controller.registry.disk_size,
            "registry_other": controller.registry.disk_other or None,
            "mac_addresses": controller.mac_addresses or None,
            "retries": controller.retries or None,
            "registry_state": controller.registry.state.value if controller.registry.state != "up" else None,
            "turns": _turns({**controller.registry.overrides, **controller.license.overrides}),
        },
        "seed": controller.seed,
        "clock": {"start": controller.now, "mode": clock.mode, "speed": clock.speed, "step": clock.step},
        "timings": {each.name: getattr(controller.timings, each.name) for each in fields(Timings)},
        "templates": [_template(each) for each in controller.templates.values()],
        "nodes": [_node(controller, each) for each in controller.nodes.values()],
        "groups": [_group(each) for each in controller.groups.values()],
        "instances": [_instance(each) for each in controller.instances.values()],
        "distributions": [_distribution(each) for each in controller.distributions.values()],
        "save_images": [_save_image(each) for each in controller.save_images.values()],
        "scripts": [_differing(rule, ScriptRule()) for rule in controller.scripts],
        "faults": [fault_rules.raw(rule) for rule in controller.faults],
        "counters": controller.id_counters | ({"fault": controller.faults.added} if controller.faults.added else {}),
        "placement_due": controller.placement_due or None,
        "pending": [pending.write(at, event) for at, event in controller.queue.current_events(controller)],
    }
    written: Data = sections.Scenario().dump(raw)
    return written


def _differing(thing: Any, plain: Any, leave_out: tuple[str, ...] = ()) -> Data:
    """The attributes of a dataclass that differ from those of a plain one."""
    names = [each.name for each in fields(thing) if each.name not in leave_out]
    return {name: getattr(thing, name) for name in names if getattr(thing, name) != getattr(plain, name)}


def _rules(rules: tuple[PortRule, ...]) -> list[Data]:
    return [{"name": rule.name, "guest_port": rule.guest_port, **_rule_extras(rule)} for rule in rules]


def _rule_extras(rule: PortRule) -> Data:
    return _differing(rule, PortRule("", 0), ("name", "guest_port"))


def _template(template: Template) -> Data:
    return {
        "name": template.name,
        "id": template.id,
        "arch": template.arch,
        "cpus": template.cpus,
        "ram": template.ram,
        "port_forwarding": _rules(template.port_forwarding),
        "versions": [_version(version) for version in template.history],
        "deleted": template.deleted or None,
    }


def _version(version: Version) -> Data:
    own = version.port_forwarding
    return {
        "tag": version.tag,
        "number": version.number,
        "description": version.description or None,
        "images": [file._asdict() for file in version.images],
        "state_files": [file._asdict() for file in version.state_files],
        "port_forwarding": _rules(own) if own else None,
        "own_ports": True if own == () else None,
        "pushed": version.pushed,
        "pulled": version.pulled or None,
        "deleted": version.deleted or None,
    }


def _node(controller: Controller, node: Node) -> Data:
    return {
        "name": node.name,
        "id": node.id,
        "ip": node.ip,
        "cpus": node.cpus,
        "ram": node.ram,
        "capacity": node.capacity,
        "capacity_mode": node.capacity_mode,
        "vcpu_override": node.vcpu_override or None,
        "ram_override": node.ram_override or None,
        "force_overrides": node.force_overrides or None,
        "disk": node.disk_size,
        "disk_other": node.disk_other,
        "disk_anka": node.disk_anka or None,
        "cpu_load": node.cpu_load,
        "reported": node.heartbeat_anchor,
        "anka": _differing(node.anka, AnkaVersion()),
        "usb": [device._asdict() for device in node.usb],
        "arch": node.arch or None,
        "vlans": list(node.vlans),
        "removals": dict(node.removals) or None,
        "state": node.condition.value,
        "by_hand": node.manual_vms or None,
        "central_logging": None if node.central_logging else False,
        "cached": [{**ref._asdict(), "template": ref.template_id, "used": used} for ref, used in node.cached.items()],
        "groups": list(node.groups),
        "lost": node.lost_at,
        "offline": node.timeout_at,
        "pulls": [_pull(running) for running in node.pulls.values()],
        "turns": _turns(node.overrides),
    }


def _turns(turns: Overrides) -> list[Data]:
    return [{"what": what, "until": until} for what, until in turns.items()]


def _pull(running: pulls.Pull) -> Data:
    return {
        "template": running.ref.template_id,
        "serial": running.ref.serial,
        "started": running.transfer.started,
        "ends": running.transfer.ends,
        "rests_at": running.transfer.pause_at if running.transfer.pause_at < 1 else None,
        "rest": running.transfer.pause or None,
        "held_by": running.stall.rule_id if running.stall else None,
        "held_at": running.stall.progress if running.stall else None,
        "fails_at": running.failure.at if running.failure else None,
        "message": (running.failure.message or None) if running.failure else None,
        "files": [file._asdict() for file in running.files],
    }


def _group(group: Group) -> Data:
    return {"name": group.name, "id": group.id, "description": group.description or None, "fallback": group.fallback_id}


def _instance(one: Instance) -> Data:
    request = one.request
    plain = StartRequest("")
    asked = {key: getattr(request, key) for key in REQUEST_KEYS if getattr(request, key) != getattr(plain, key)}
    return {
        **asked,
        "ports": _rules(request.ports) if request.ports else None,
        "own_ports": True if request.ports == () else None,
        "template": one.ref.template_id,
        "serial": one.ref.serial,
        "pinned_node": request.node_id,
        "group": request.group_id,
        "node": one.node_id,
        "state": one.state.value,
        "id": one.id,
        "number": one.number,
        "created": one.created,
        "since": one.since,
        "reported": one.last_report or None,
        "until": one.until,
        "step": one.phase,
        "inflight_id": one.inflight_id,
        "message": one.message or None,
        "progress": one.progress_made or None,
        "ready": one.ready or None,
        "booting": one.booting or None,
        "occupies": one.holds_slot or None,
        "restarting": one.restarting_until,
        "usb_location": one.usb.location if one.usb else None,
        "save_image": one.save_id,
        "script": asdict(one.script) if one.script else None,
        "fate": one.planned_end._asdict() if one.planned_end else None,
        "held": one.stall._asdict() if one.stall else None,
        "lacks": list(one.unreported),
        "lacks_for": one.unreported_for,
        "hidden": one.hidden or None,
        "failed_on": list(one.failed_on),
        "vm": _vm(one.vm) if one.vm else None,
    }


def _vm(vm: Vm) -> Data:
    return {**{each.name: getattr(vm, each.name) for each in fields(vm)}, "ports": [asdict(port) for port in vm.ports]}


def _distribution(each: Distribution) -> Data:
    return {
        "template": each.ref.template_id,
        "serial": each.ref.serial,
        "id": each.id,
        "requested": each.requested,
        "deliveries": [
            {
                "node": node_id,
                "stage": delivery.stage.value,
                "until": delivery.until,
                "progress": delivery.progress_made or None,
                "error": delivery.error or None,
                "fate": delivery.planned_end._asdict() if delivery.planned_end else None,
            }
            for node_id, delivery in each.deliveries.items()
        ],
    }


def _save_image(save: SaveImage) -> Data:
    request = save.request
    return {
        **_differing(request, SaveRequest(""), ("instance_id", "template_id")),
        "instance": request.instance_id,
        "template": request.template_id or None,
        "id": save.id,
        "requested": save.requested,
        "vm_uuid": save.vm_uuid,
        "node": save.node_id,
        "stage": save.stage.value,
        "until": save.until,
        "error": asdict(save.error) if save.error else None,
        "script_result": asdict(save.script_result) if save.script_result else None,
        "fails": save.fails,
        "held": save.stall._asdict() if save.stall else None,
    }
