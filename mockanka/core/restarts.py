"""Restarting an instance's VM: a forced stop, then a start (controller-facts A5).

Before 1.47 the instance shows as Error in between; after that it stays Started, and only its VM tells. What remains is
a message, as it was seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from mockanka.core import instances, transitions, usb
from mockanka.core.errors import NotRunning
from mockanka.core.events import NodeEvent
from mockanka.core.lifecycle import InstanceState
from mockanka.core.randomness import draw
from mockanka.units import SECOND

if TYPE_CHECKING:
    from mockanka.core.controller import Controller
    from mockanka.core.instance_record import Instance
    from mockanka.core.nodes import Node

STOPPED = 'Unexpected VM state: "stopped"'
"""What is left in ``message``, also of an instance that is Started again (controller-facts A0.4)."""


@dataclass(frozen=True, slots=True)
class RestartStageEnded(NodeEvent):
    """A stage of a restart is over: the VM has stopped, or is up again. A lost node reports neither."""

    kind: ClassVar = "restart_stage_ended"

    instance_id: str
    until: int

    def reporting_node(self, controller: Controller) -> Node | None:
        instance = controller.instances.get(self.instance_id)
        if instance is None or instance.restarting_until != self.until:
            return None
        return controller.nodes.get(instance.node_id or "")

    def apply(self, controller: Controller) -> None:
        one = controller.instances[self.instance_id]
        if one.vm is not None and one.vm.status == "running":
            _has_stopped(controller, one)
        else:
            _is_up(controller, one)


def restart_vm(
    controller: Controller, instance_id: str, usb_device: str | None = None, vnc_password: str | None = None
) -> None:
    """Accept a request to restart a Started instance; again, while it goes on, is fine.

    Guess: another state is refused, and so is a device that the node has not free.
    """
    one = instances.find_instance(controller, instance_id)
    if one.restarting_until is not None:
        return
    if one.state is not InstanceState.STARTED or one.vm is None:
        raise NotRunning(one.state)
    if usb_device:
        controller.license.require("usb", "usb_device")
    if usb_device and not (one.usb and one.usb.answers_to(usb_device)):
        one.usb = usb.take(controller, controller.nodes[one.node_id or ""], usb_device)
        one.request = replace(one.request, usb_device=usb_device)
    if vnc_password:
        one.vm = replace(one.vm, vnc_password=vnc_password)
    controller.mark_changed(one)
    controller.record("restart", one.id)
    _go_on(controller, one, controller.timings.stop.sample(draw(controller.seed, one.id, f"stop {one.vm.started}")))


def resume_restarts(controller: Controller, node: Node) -> None:
    """The node is back: what its VMs came to while it was lost happens now."""
    for one in controller.instances.values():
        until = one.restarting_until
        if one.node_id == node.id and until is not None and until <= controller.now:
            controller.schedule(controller.now, RestartStageEnded(one.id, until))


def _go_on(controller: Controller, one: Instance, length: int) -> None:
    one.restarting_until = controller.now + length
    controller.schedule(one.restarting_until, RestartStageEnded(one.id, one.restarting_until))


def _has_stopped(controller: Controller, one: Instance) -> None:
    assert one.vm is not None
    if not controller.release.has("quiet-restart"):
        # Guess: that vminfo is whole meanwhile, which it is not of another instance in Error before 1.49.
        transitions.transition(controller, one, InstanceState.ERROR, "restart")
    one.vm = replace(one.vm, status="stopped")
    one.message = STOPPED
    controller.mark_changed(one)
    controller.record("VM stopped", one.id, cause="restart")
    _go_on(controller, one, controller.timings.boot.sample(draw(controller.seed, one.id, f"boot {one.vm.started}")))


def _is_up(controller: Controller, one: Instance) -> None:
    assert one.vm is not None
    one.restarting_until = None
    if one.state is InstanceState.ERROR:
        transitions.transition(controller, one, InstanceState.STARTED, "restarted")
    # A restart shows by another start_date, which is told to the second (controller-facts A5).
    one.vm = replace(one.vm, status="running", started=max(controller.now, one.vm.started // SECOND * SECOND + SECOND))
    controller.mark_changed(one)
    controller.record("VM restarted", one.id)
