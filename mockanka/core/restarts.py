"""Restarts of an instance's VM: a forced stop, then a start (controller-facts A5).

Before 1.47 the instance is Error in between; since then it stays Started, and only the status of its VM shows the
restart. In both cases the instance keeps RESTART_MESSAGE.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from mockanka.core import instances, transitions, usb
from mockanka.core.durations import Duration
from mockanka.core.errors import NotRunning
from mockanka.core.events import NodeEvent
from mockanka.core.lifecycle import InstanceState
from mockanka.core.randomness import draw
from mockanka.units import SECOND

if TYPE_CHECKING:
    from mockanka.core.controller import Controller
    from mockanka.core.instance_record import Instance
    from mockanka.core.nodes import Node

RESTART_MESSAGE = 'Unexpected VM state: "stopped"'
"""Message that a restart leaves, also when the instance is Started again (controller-facts A0.4)."""


@dataclass(frozen=True, slots=True)
class RestartStageEnded(NodeEvent):
    """A stage of a restart ends: the VM has stopped, or is up again. A lost node reports neither."""

    kind: ClassVar = "restart_stage_ended"

    instance_id: str
    until: int

    def reporting_node(self, controller: Controller) -> Node | None:
        instance = controller.instances.get(self.instance_id)
        if instance is None or instance.restarting_until != self.until:
            return None
        return controller.nodes.get(instance.node_id or "")

    def apply(self, controller: Controller) -> None:
        instance = controller.instances[self.instance_id]
        if instance.vm is not None and instance.vm.status == "running":
            _finish_stop(controller, instance)
        else:
            _finish_boot(controller, instance)


def restart_vm(
    controller: Controller, instance_id: str, usb_device: str | None = None, vnc_password: str | None = None
) -> None:
    """Restart the VM of a Started instance; nothing changes if a restart is under way already.

    The VM gets the USB device and the VNC password, if they are given. Raises NotFound, NotRunning, NeedsLicense or
    NoFreeUsbDevice. Guess: that another state is refused, and a device that is not free on the node.
    """
    instance = instances.find_instance(controller, instance_id)
    if instance.restarting_until is not None:
        return
    if instance.state is not InstanceState.STARTED or instance.vm is None:
        raise NotRunning(instance.state)
    if usb_device:
        controller.license.require("usb", "usb_device")
    if usb_device and not (instance.usb and instance.usb.matches(usb_device)):
        instance.usb = usb.require_free_device(controller, controller.nodes[instance.node_id or ""], usb_device)
        instance.request = replace(instance.request, usb_device=usb_device)
    if vnc_password:
        instance.vm = replace(instance.vm, vnc_password=vnc_password)
    controller.mark_changed(instance)
    controller.record("restart", instance.id)
    _begin_stage(controller, instance, "stop", controller.timings.stop)


def resume_restarts(controller: Controller, node: Node) -> None:
    """Schedule the stage ends that were due while the node was lost: it reports them now that it is back."""
    for instance in controller.instances.values():
        until = instance.restarting_until
        if instance.node_id == node.id and until is not None and until <= controller.now:
            controller.schedule(controller.now, RestartStageEnded(instance.id, until))


def _begin_stage(controller: Controller, instance: Instance, stage: str, duration: Duration) -> None:
    """Begin a stage of a restart, ``stop`` or ``boot``."""
    assert instance.vm is not None
    purpose = f"{stage} {instance.vm.started}"  # another restart of the VM draws another length
    instance.restarting_until = controller.now + duration.sample(draw(controller.seed, instance.id, purpose))
    controller.schedule(instance.restarting_until, RestartStageEnded(instance.id, instance.restarting_until))


def _finish_stop(controller: Controller, instance: Instance) -> None:
    """End the first stage: the VM has stopped, and boots."""
    assert instance.vm is not None
    if not controller.release.has("quiet-restart"):
        # Guess: vminfo is complete meanwhile, though that of another instance in Error is not before 1.49.
        transitions.transition(controller, instance, InstanceState.ERROR, "restart")
    instance.vm = replace(instance.vm, status="stopped")
    instance.message = RESTART_MESSAGE
    controller.mark_changed(instance)
    controller.record("VM stopped", instance.id, cause="restart")
    _begin_stage(controller, instance, "boot", controller.timings.boot)


def _finish_boot(controller: Controller, instance: Instance) -> None:
    """End the second stage: the VM is up again."""
    assert instance.vm is not None
    instance.restarting_until = None
    if instance.state is InstanceState.ERROR:
        transitions.transition(controller, instance, InstanceState.STARTED, "restarted")
    # start_date has whole seconds, and a client sees a restart by another start_date (controller-facts A5).
    next_second = instance.vm.started // SECOND * SECOND + SECOND
    instance.vm = replace(instance.vm, status="running", started=max(controller.now, next_second))
    controller.mark_changed(instance)
    controller.record("VM restarted", instance.id)
