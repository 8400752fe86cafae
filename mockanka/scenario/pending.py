"""Pending events written and read: the kind by name, and what the event is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mockanka.core import distributions, instances, nodes, pulls, registry, removals, restarts, save_images
from mockanka.core.events import Event
from mockanka.core.license import LicenseExpired, LicenseRenewed
from mockanka.core.templates import VersionRef
from mockanka.scenario.source import nearest

OF_INSTANCES: dict[str, Callable[[str, int], Event]] = {
    kind.kind: kind
    for kind in (
        instances.Queued,
        instances.ImageReady,
        instances.Booted,
        instances.Stopped,
        instances.Terminated,
        instances.Forgotten,
        instances.PlannedEndReached,
    )
}
OTHERS = """
    vm_fully_reported node_override_began node_override_ended registry_override_began registry_override_ended
    license_expired license_renewed instance_vanished instance_reappeared node_timed_out node_updated pull_ended
    delivery_taken delivery_ended save_stage_ended template_removed restart_stage_ended
"""
KINDS = [*OF_INSTANCES, *OTHERS.split()]
FORMER_KINDS = {
    "Queued": "instance_queued",
    "ImageReady": "instance_pulled",
    "Booted": "instance_booted",
    "Fated": "instance_planned_end",
    "Stopped": "instance_stopped",
    "Terminated": "instance_terminated",
    "Forgotten": "instance_forgotten",
    "Revealed": "vm_fully_reported",
    "NodeTurns": "node_override_began",
    "NodeTurnsBack": "node_override_ended",
    "RegistryTurns": "registry_override_began",
    "RegistryTurnsBack": "registry_override_ended",
    "LicenseExpires": "license_expired",
    "LicenseRenewed": "license_renewed",
    "Vanishes": "instance_vanished",
    "Reappears": "instance_reappeared",
    "TimedOut": "node_timed_out",
    "Updated": "node_updated",
    "Pulled": "pull_ended",
    "Taken": "delivery_taken",
    "Delivered": "delivery_ended",
    "StageEnd": "save_stage_ended",
    "Removed": "template_removed",
    "Restarts": "restart_stage_ended",
}
"""Kinds as dumps name them that have no ``format``, and the names that these kinds have now."""


def write(at: int, event: Event) -> dict[str, Any]:
    """An event as an entry of ``pending``."""
    entry: dict[str, Any] = {"at": at, "event": event.kind}
    match event:
        case pulls.PullEnded():
            entry |= {"id": event.node_id, "until": event.until}
            entry |= {"template": event.ref.template_id, "serial": event.ref.serial}
        case nodes.NodeTimedOut():
            entry |= {"id": event.node_id, "until": event.until}
        case distributions.DeliveryTaken() | distributions.DeliveryEnded():
            entry |= {"id": event.distribution_id, "node": event.node_id, "stage": event.stage.value}
            entry |= {"until": event.until} if isinstance(event, distributions.DeliveryEnded) else {}
        case nodes.NodeOverrideBegan():
            entry |= {"id": event.node_id, "what": event.what, "lasts": event.lasts}
        case nodes.NodeOverrideEnded():
            entry |= {"id": event.node_id, "what": event.what, "until": event.until}
        case registry.RegistryOverrideBegan():
            entry |= {"id": "registry", "what": event.what, "lasts": event.lasts}
        case registry.RegistryOverrideEnded():
            entry |= {"id": "registry", "what": event.what, "until": event.until}
        case LicenseExpired():
            entry |= {"id": "license", "lasts": event.lasts}
        case LicenseRenewed():
            entry |= {"id": "license", "until": event.until}
        case instances.InstanceVanished():
            entry |= {"id": event.instance_id, "lasts": event.lasts}
        case instances.InstanceReappeared() | instances.VmFullyReported():
            entry |= {"id": event.instance_id}
        case nodes.NodeUpdated():
            entry |= {"id": event.node_id, "until": event.until}
        case removals.TemplateRemoved():
            entry |= {"id": event.node_id, "template": event.template_id, "until": event.until}
        case restarts.RestartStageEnded():
            entry |= {"id": event.instance_id, "until": event.until}
        case save_images.SaveStageEnded():
            entry |= {"id": event.save_id, "stage": event.stage.value}
        case _:
            entry |= {"id": event.instance_id, "step": event.phase}  # type: ignore[attr-defined]
    return entry


def read(entry: Mapping[str, Any]) -> Event:
    """The event an entry describes. ValueError if it is of no known kind or something is missing."""
    kind, id = FORMER_KINDS.get(entry["event"], entry["event"]), entry["id"]
    try:
        match kind:
            case "pull_ended":
                return pulls.PullEnded(id, VersionRef(entry["template"], entry["serial"]), entry["until"])
            case "node_timed_out":
                return nodes.NodeTimedOut(id, entry["until"])
            case "delivery_taken":
                return distributions.DeliveryTaken(id, entry["node"], distributions.DeliveryStage(entry["stage"]))
            case "delivery_ended":
                stage = distributions.DeliveryStage(entry["stage"])
                return distributions.DeliveryEnded(id, entry["node"], stage, entry["until"])
            case "node_override_began":
                return nodes.NodeOverrideBegan(id, entry["what"], entry["lasts"])
            case "registry_override_began":
                return registry.RegistryOverrideBegan(entry["what"], entry["lasts"])
            case "registry_override_ended":
                return registry.RegistryOverrideEnded(entry["what"], entry["until"])
            case "license_expired":
                return LicenseExpired(entry["lasts"])
            case "license_renewed":
                return LicenseRenewed(entry["until"])
            case "node_override_ended":
                return nodes.NodeOverrideEnded(id, entry["what"], entry["until"])
            case "instance_vanished":
                return instances.InstanceVanished(id, entry["lasts"])
            case "instance_reappeared":
                return instances.InstanceReappeared(id)
            case "vm_fully_reported":
                return instances.VmFullyReported(id)
            case "node_updated":
                return nodes.NodeUpdated(id, entry["until"])
            case "template_removed":
                return removals.TemplateRemoved(id, entry["template"], entry["until"])
            case "restart_stage_ended":
                return restarts.RestartStageEnded(id, entry["until"])
            case "save_stage_ended":
                return save_images.SaveStageEnded(id, save_images.SaveStage(entry["stage"]))
            case _ if kind in OF_INSTANCES:
                return OF_INSTANCES[kind](id, entry["step"])
    except KeyError as missing:
        raise ValueError(f"{kind} needs {missing}") from None
    raise ValueError(f"unknown kind {kind!r}, {nearest(kind, KINDS)}")
