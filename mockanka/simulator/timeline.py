"""The timeline of an instance: its states, each from when to when and why, the requests about it, why it waits."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from mockanka.core import placement, time_control
from mockanka.core.controller import Controller
from mockanka.core.errors import NotFound
from mockanka.core.instance_record import Instance, TimelineEntry
from mockanka.core.lifecycle import InstanceState
from mockanka.core.templates import get_version
from mockanka.simulator.client_monitor import ClientMonitor
from mockanka.simulator.journal import Journal
from mockanka.units import format_moment


def describe_instance(
    controller: Controller, journal: Journal, monitor: ClientMonitor, instance_id: str
) -> dict[str, Any]:
    """Return the timeline as the control API shows it.

    Raises NotFound if there is no such instance, and none of that id was forgotten lately.
    """
    instance = controller.instances.get(instance_id) or controller.forgotten.get(instance_id)
    if instance is None:
        raise NotFound
    node = controller.nodes.get(instance.node_id or "")
    return {
        "id": instance.id,
        "state": instance.state.value,
        "message": instance.message or None,
        "template": controller.templates[instance.ref.template_id].name,
        "tag": get_version(controller, instance.ref).tag,
        "name": instance.request.name,
        "external_id": instance.request.external_id,
        "node": node.name if node else None,
        "progress": instance.progress(controller),
        "started_by": monitor.started_by(instance.id),
        "waits_for": waiting_reason(controller, instance),
        "timeline": timeline_as_json(instance),
        "requests": [
            {
                "number": entry.number,
                "at": format_moment(entry.at),
                "method": entry.method,
                "path": entry.path,
                "status": entry.status,
            }
            for entry in journal
            if instance_id in entry.concerned_instances
        ],
    }


def summarize_instance(controller: Controller, instance: Instance) -> dict[str, Any]:
    """Return what lists of instances in the control API show of an instance."""
    node = controller.nodes.get(instance.node_id or "")
    return {
        "id": instance.id,
        "name": instance.request.name,
        "external_id": instance.request.external_id,
        "state": instance.state.value,
        "message": instance.message or None,
        "template": controller.templates[instance.ref.template_id].name,
        "tag": get_version(controller, instance.ref).tag,
        "node": node.name if node else None,
        "waits_for": waiting_reason(controller, instance),
    }


def states_with_ends(instance: Instance) -> list[tuple[TimelineEntry, int | None]]:
    """Return the states of an instance, oldest first, each with its end; the last has none."""
    ends = [entry.since for _, entry in pairwise(instance.timeline)]
    return list(zip(instance.timeline, [*ends, None], strict=False))


def timeline_as_json(instance: Instance) -> list[dict[str, Any]]:
    """Return the states of an instance as the control API shows them."""
    return [
        {
            "state": entry.state.value,
            "from": format_moment(entry.since),
            "to": format_moment(end) if end is not None else None,
            "cause": entry.cause,
        }
        for entry, end in states_with_ends(instance)
    ]


def waiting_reason(controller: Controller, instance: Instance) -> str | None:
    """Return in words what an instance waits for, or None if it waits for nothing."""
    node = controller.nodes.get(instance.node_id or "")
    until = f" until {format_moment(instance.until)}" if instance.until is not None else ""
    if instance.hidden:
        return "is hidden by a fault"
    if instance.state is InstanceState.PUSHING:
        return _pushing_reason(controller, instance)
    if instance.stall is not None or (instance.pulling and instance.until is None):
        return time_control.explain_standstill(controller, instance)
    if instance.holds_slot and node is not None and node.lost_at is not None:
        return f"node {node.name} does not report"
    if instance.booting and node is not None:
        return f"boots on node {node.name}{until}"
    if instance.state is InstanceState.SCHEDULING:
        return placement.explain_waiting(controller, instance) if instance.ready else f"is queued{until}"
    if instance.pulling and node is not None:
        return f"pulls to node {node.name}, {instance.progress(controller):.0%},{until}"
    if instance.state in (InstanceState.STOPPING, InstanceState.TERMINATING) and until:
        return f"is {instance.state.value.lower()}{until}"
    return f"is kept{until}" if instance.state is InstanceState.TERMINATED and until else None


def _pushing_reason(controller: Controller, instance: Instance) -> str:
    save = controller.save_images.get(instance.save_id or "")
    if save is None or save.stall is not None:
        return time_control.explain_standstill(controller, instance)
    until = f" until {format_moment(save.until)}" if save.until is not None else ""
    return f"is saved as an image, {save.stage.value}{until}"
