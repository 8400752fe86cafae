"""The story of an instance: each state from when to when and by what, the requests about it, and why it waits now."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from mockanka.core import placement, time_control
from mockanka.core.controller import Controller
from mockanka.core.errors import NotFound
from mockanka.core.instance_record import Instance, TimelineEntry
from mockanka.core.lifecycle import InstanceState
from mockanka.core.templates import get_version
from mockanka.simulator.client_report import ClientMonitor
from mockanka.simulator.journal import Journal
from mockanka.units import format_moment


def tell(controller: Controller, journal: Journal, watch: ClientMonitor, instance_id: str) -> dict[str, Any]:
    """The story as plain data. NotFound if nobody knows the instance, nor did of late."""
    one = controller.instances.get(instance_id) or controller.forgotten.get(instance_id)
    if one is None:
        raise NotFound
    node = controller.nodes.get(one.node_id or "")
    return {
        "id": one.id,
        "state": one.state.value,
        "message": one.message or None,
        "template": controller.templates[one.ref.template_id].name,
        "tag": get_version(controller, one.ref).tag,
        "name": one.request.name,
        "external_id": one.request.external_id,
        "node": node.name if node else None,
        "progress": one.progress(controller),
        "started_by": watch.started_by(one.id),
        "waits_for": why_it_waits(controller, one),
        "timeline": timeline(one),
        "requests": [
            {"number": e.number, "at": format_moment(e.at), "method": e.method, "path": e.path, "status": e.status}
            for e in journal
            if instance_id in e.touched
        ],
    }


def stays(one: Instance) -> list[tuple[TimelineEntry, int | None]]:
    """Its states, oldest first, each with its end; the last has none."""
    ends = [after.since for _, after in pairwise(one.timeline)]
    return list(zip(one.timeline, [*ends, None], strict=False))


def timeline(one: Instance) -> list[dict[str, Any]]:
    """The same as the control API shows it."""
    return [
        {
            "state": stay.state.value,
            "from": format_moment(stay.since),
            "to": format_moment(end) if end is not None else None,
            "cause": stay.cause,
        }
        for stay, end in stays(one)
    ]


def why_it_waits(controller: Controller, one: Instance) -> str | None:
    """What it waits for now, in words; None if it waits for nothing."""
    node = controller.nodes.get(one.node_id or "")
    until = f" until {format_moment(one.until)}" if one.until is not None else ""
    if one.hidden:
        return "is out of sight, by a fault: nobody finds it"
    if one.state is InstanceState.PUSHING:
        return _why_it_pushes(controller, one)
    if one.stall is not None or (one.pulling and one.until is None):
        return time_control.explain_standstill(controller, one)
    if one.holds_slot and node is not None and node.lost_at is not None:
        return f"node {node.name} does not report"
    if one.booting and node is not None:
        return f"boots on node {node.name}{until}"
    if one.state is InstanceState.SCHEDULING:
        return placement.explain_waiting(controller, one) if one.ready else f"is queued{until}"
    if one.pulling and node is not None:
        return f"pulls to node {node.name}, {one.progress(controller):.0%},{until}"
    if one.state in (InstanceState.STOPPING, InstanceState.TERMINATING) and until:
        return f"its node is at it{until}"
    return f"is kept{until}" if one.state is InstanceState.TERMINATED and until else None


def _why_it_pushes(controller: Controller, one: Instance) -> str:
    save = controller.save_images.get(one.save_id or "")
    if save is None or save.stall is not None:
        return time_control.explain_standstill(controller, one)
    until = f" until {format_moment(save.until)}" if save.until is not None else ""
    return f"is saved as an image, {save.stage.value}{until}"
