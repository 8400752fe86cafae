"""What was seen of a controller brought back to life: each thing where it was, and what was under way goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mockanka.core import instances, pulls, transitions, usb
from mockanka.core.controller import Controller
from mockanka.core.distributions import DeliveryStage, Distribution
from mockanka.core.instance_record import Instance
from mockanka.core.lifecycle import SLOT_STATES, InstanceState
from mockanka.core.nodes import Node
from mockanka.core.scripts import ScriptResult
from mockanka.core.vms import PortForward, Vm

Data = Mapping[str, Any]


def place(controller: Controller, item: Data, one: Instance, node: Node | None) -> None:
    """Put an instance where it was seen. Nobody asks for slots, devices or disks: they were there."""
    one.progress_made = unrounded(one.progress_made)
    one.script = ScriptResult(**item["script"]) if "script" in item else None
    # A new instance that nothing has happened to shows no moment of its own.
    one.phase = 0 if one.state is InstanceState.SCHEDULING and node is None and "since" not in item else 1
    if "vm" in item:
        one.vm = vm(item["vm"])
    if node is not None and (one.state in SLOT_STATES or item.get("occupies")):
        transitions.take_slot(controller, one, node)
        if one.request.usb_device:
            one.usb = usb.find_free_device(controller, node, one.request.usb_device)
    going_up = one.holds_slot and one.state in (InstanceState.SCHEDULING, InstanceState.PULLING)
    made = 1.0 if one.state is InstanceState.SCHEDULING else one.progress_made
    if going_up and node and (made >= 1 or pulls.continue_pull(controller, node, one.ref, made) is None):
        instances.boot_vm(controller, one, node)
    else:
        instances.resume_phase(controller, one)


def is_pulling(controller: Controller, of: Distribution, node_id: str) -> bool:
    """Have a delivery that was seen under way go on; False if the node is gone or has it all."""
    node = controller.nodes.get(node_id)
    delivery = of.deliveries[node_id]
    delivery.progress_made = unrounded(delivery.progress_made)
    if node is None or delivery.stage is not DeliveryStage.PULLING:
        return False
    return pulls.continue_pull(controller, node, of.ref, delivery.progress_made) is not None


def unrounded(progress: float) -> float:
    """What was made, of which the wire showed four decimals, rounded down: in the middle between that and the next."""
    return progress + 0.00005 if 0 < progress < 1 else progress


def vm(given: Data) -> Vm:
    """The VM that was told in full."""
    blank = Vm(uuid="", name="", host_ip="", ip="", vnc_port=0, cpus=1, ram=1024)
    return replace(blank, **vm_changes(given))


def vm_changes(given: Data) -> dict[str, Any]:
    changes = {key: value for key, value in given.items() if key != "ports"}
    if "ports" in given:
        changes["ports"] = tuple(PortForward(**{"name": "", **port}) for port in given["ports"])
    return changes
