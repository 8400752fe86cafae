"""Pending events written and read: the kind by name, and what the event is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mockanka.core import distribution, instance, mishaps, node, pull, removal, restart, save_image
from mockanka.core.events import Event
from mockanka.core.template import Ref
from mockanka.scenario.reading import nearest

OF_INSTANCES: dict[str, Callable[[str, int], Event]] = {
    kind.__name__: kind
    for kind in (
        instance.Queued,
        instance.ImageReady,
        instance.Booted,
        instance.Stopped,
        instance.Terminated,
        instance.Forgotten,
        instance.Fated,
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
        case pull.Pulled():
            entry |= {"id": event.node_id, "until": event.ends}
            entry |= {"template": event.ref.template_id, "serial": event.ref.serial}
        case node.TimedOut():
            entry |= {"id": event.node_id, "until": event.at}
        case distribution.Taken() | distribution.Delivered():
            entry |= {"id": event.distribution_id, "node": event.node_id, "stage": event.stage.value}
            entry |= {"until": event.until} if isinstance(event, distribution.Delivered) else {}
        case mishaps.NodeTurns():
            entry |= {"id": event.node_id, "what": event.what, "lasts": event.lasts}
        case mishaps.NodeTurnsBack():
            entry |= {"id": event.node_id, "what": event.what, "until": event.until}
        case mishaps.RegistryTurns():
            entry |= {"id": "registry", "what": event.what, "lasts": event.lasts}
        case mishaps.RegistryTurnsBack():
            entry |= {"id": "registry", "what": event.what, "until": event.until}
        case mishaps.LicenseExpires():
            entry |= {"id": "license", "lasts": event.lasts}
        case mishaps.LicenseRenewed():
            entry |= {"id": "license", "until": event.until}
        case mishaps.Vanishes():
            entry |= {"id": event.instance_id, "lasts": event.lasts}
        case mishaps.Reappears() | instance.Revealed():
            entry |= {"id": event.instance_id}
        case node.Updated():
            entry |= {"id": event.node_id, "until": event.until}
        case removal.Removed():
            entry |= {"id": event.node_id, "template": event.template_id, "until": event.at}
        case restart.Restarts():
            entry |= {"id": event.instance_id, "until": event.until}
        case save_image.StageEnd():
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
                return pull.Pulled(id, Ref(entry["template"], entry["serial"]), entry["until"])
            case "TimedOut":
                return node.TimedOut(id, entry["until"])
            case "Taken":
                return distribution.Taken(id, entry["node"], distribution.Stage(entry["stage"]))
            case "Delivered":
                stage = distribution.Stage(entry["stage"])
                return distribution.Delivered(id, entry["node"], stage, entry["until"])
            case "NodeTurns":
                return mishaps.NodeTurns(id, entry["what"], entry["lasts"])
            case "RegistryTurns":
                return mishaps.RegistryTurns(entry["what"], entry["lasts"])
            case "RegistryTurnsBack":
                return mishaps.RegistryTurnsBack(entry["what"], entry["until"])
            case "LicenseExpires":
                return mishaps.LicenseExpires(entry["lasts"])
            case "LicenseRenewed":
                return mishaps.LicenseRenewed(entry["until"])
            case "NodeTurnsBack":
                return mishaps.NodeTurnsBack(id, entry["what"], entry["until"])
            case "Vanishes":
                return mishaps.Vanishes(id, entry["lasts"])
            case "Reappears":
                return mishaps.Reappears(id)
            case "Revealed":
                return instance.Revealed(id)
            case "Updated":
                return node.Updated(id, entry["until"])
            case "Removed":
                return removal.Removed(id, entry["template"], entry["until"])
            case "Restarts":
                return restart.Restarts(id, entry["until"])
            case "StageEnd":
                return save_image.StageEnd(id, save_image.Stage(entry["stage"]))
            case _ if kind in OF_INSTANCES:
                return OF_INSTANCES[kind](id, entry["step"])
    except KeyError as missing:
        raise ValueError(f"{kind} needs {missing}") from None
    raise ValueError(f"unknown kind {kind!r}, {nearest(kind, KINDS)}")
