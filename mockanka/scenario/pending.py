"""Pending events written and read: the kind by name, and what the event is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mockanka.core import distributions, fault_effects, instances, nodes, pulls, removals, restarts, save_images
from mockanka.core.events import Event
from mockanka.core.templates import Ref
from mockanka.scenario.source import nearest

OF_INSTANCES: dict[str, Callable[[str, int], Event]] = {
    kind.__name__: kind
    for kind in (
        instances.Queued,
        instances.ImageReady,
        instances.Booted,
        instances.Stopped,
        instances.Terminated,
        instances.Forgotten,
        instances.Fated,
    )
}
OTHERS = """
    Pulled TimedOut Taken Delivered StageEnd NodeTurns NodeTurnsBack RegistryTurns
    RegistryTurnsBack LicenseExpires LicenseRenewed Vanishes Reappears Revealed Updated Removed Restarts
"""
KINDS = [*OF_INSTANCES, *OTHERS.split()]


def write(at: int, event: Event) -> dict[str, Any]:
    """An event as an entry of ``pending``."""
    entry: dict[str, Any] = {"at": at, "event": type(event).__name__}
    match event:
        case pulls.Pulled():
            entry |= {"id": event.node_id, "until": event.ends}
            entry |= {"template": event.ref.template_id, "serial": event.ref.serial}
        case nodes.TimedOut():
            entry |= {"id": event.node_id, "until": event.at}
        case distributions.Taken() | distributions.Delivered():
            entry |= {"id": event.distribution_id, "node": event.node_id, "stage": event.stage.value}
            entry |= {"until": event.until} if isinstance(event, distributions.Delivered) else {}
        case fault_effects.NodeTurns():
            entry |= {"id": event.node_id, "what": event.what, "lasts": event.lasts}
        case fault_effects.NodeTurnsBack():
            entry |= {"id": event.node_id, "what": event.what, "until": event.until}
        case fault_effects.RegistryTurns():
            entry |= {"id": "registry", "what": event.what, "lasts": event.lasts}
        case fault_effects.RegistryTurnsBack():
            entry |= {"id": "registry", "what": event.what, "until": event.until}
        case fault_effects.LicenseExpires():
            entry |= {"id": "license", "lasts": event.lasts}
        case fault_effects.LicenseRenewed():
            entry |= {"id": "license", "until": event.until}
        case fault_effects.Vanishes():
            entry |= {"id": event.instance_id, "lasts": event.lasts}
        case fault_effects.Reappears() | instances.Revealed():
            entry |= {"id": event.instance_id}
        case nodes.Updated():
            entry |= {"id": event.node_id, "until": event.until}
        case removals.Removed():
            entry |= {"id": event.node_id, "template": event.template_id, "until": event.at}
        case restarts.Restarts():
            entry |= {"id": event.instance_id, "until": event.until}
        case save_images.StageEnd():
            entry |= {"id": event.save_id, "stage": event.stage.value}
        case _:
            entry |= {"id": event.instance_id, "step": event.step}  # type: ignore[attr-defined]
    return entry


def read(entry: Mapping[str, Any]) -> Event:
    """The event an entry describes. ValueError if it is of no known kind or something is missing."""
    kind, id = entry["event"], entry["id"]
    try:
        match kind:
            case "Pulled":
                return pulls.Pulled(id, Ref(entry["template"], entry["serial"]), entry["until"])
            case "TimedOut":
                return nodes.TimedOut(id, entry["until"])
            case "Taken":
                return distributions.Taken(id, entry["node"], distributions.Stage(entry["stage"]))
            case "Delivered":
                stage = distributions.Stage(entry["stage"])
                return distributions.Delivered(id, entry["node"], stage, entry["until"])
            case "NodeTurns":
                return fault_effects.NodeTurns(id, entry["what"], entry["lasts"])
            case "RegistryTurns":
                return fault_effects.RegistryTurns(entry["what"], entry["lasts"])
            case "RegistryTurnsBack":
                return fault_effects.RegistryTurnsBack(entry["what"], entry["until"])
            case "LicenseExpires":
                return fault_effects.LicenseExpires(entry["lasts"])
            case "LicenseRenewed":
                return fault_effects.LicenseRenewed(entry["until"])
            case "NodeTurnsBack":
                return fault_effects.NodeTurnsBack(id, entry["what"], entry["until"])
            case "Vanishes":
                return fault_effects.Vanishes(id, entry["lasts"])
            case "Reappears":
                return fault_effects.Reappears(id)
            case "Revealed":
                return instances.Revealed(id)
            case "Updated":
                return nodes.Updated(id, entry["until"])
            case "Removed":
                return removals.Removed(id, entry["template"], entry["until"])
            case "Restarts":
                return restarts.Restarts(id, entry["until"])
            case "StageEnd":
                return save_images.StageEnd(id, save_images.Stage(entry["stage"]))
            case _ if kind in OF_INSTANCES:
                return OF_INSTANCES[kind](id, entry["step"])
    except KeyError as missing:
        raise ValueError(f"{kind} needs {missing}") from None
    raise ValueError(f"unknown kind {kind!r}, {nearest(kind, KINDS)}")
