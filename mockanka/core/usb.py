"""USB devices on nodes: what there is, and who has it (controller-facts C10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mockanka.core.errors import NoFreeUsbDevice, NoSuchUsbDevice

if TYPE_CHECKING:
    from mockanka.core.controller import Controller
    from mockanka.core.nodes import Node


class UsbDevice(NamedTuple):
    """A device on a node: the name of its device group, and its location id, which tells it from its twins."""

    name: str
    location: str

    def answers_to(self, wanted: str) -> bool:
        """Requests name the device group or the location id (controller-facts A1)."""
        return wanted in (self.name, self.location)


class Availability(NamedTuple):
    """How many devices of a name are free, and how many are taken."""

    available: int
    busy: int


def claimed(controller: Controller, node: Node) -> set[UsbDevice]:
    """The node's devices that a VM on it has, or is about to get."""
    return {device for id in node.occupants if (device := controller.instances[id].usb) is not None}


def free_device(controller: Controller, node: Node, wanted: str) -> UsbDevice | None:
    """The first free device on the node that answers to the name or location id."""
    fitting = [device for device in node.usb if device.answers_to(wanted)]
    if not fitting:
        return None
    taken = claimed(controller, node)
    return next((device for device in fitting if device not in taken), None)


def take(controller: Controller, node: Node, wanted: str) -> UsbDevice:
    """A free device of that node; NoFreeUsbDevice if there is none."""
    device = free_device(controller, node, wanted)
    if device is None:
        raise NoFreeUsbDevice(wanted)
    return device


def require_usb_device(controller: Controller, wanted: str) -> None:
    """Raise NoSuchUsbDevice unless some node has such a device, free or not."""
    if not any(device.answers_to(wanted) for node in controller.nodes.values() for device in node.usb):
        raise NoSuchUsbDevice(wanted)


def availability(controller: Controller) -> dict[str, Availability]:
    """Free and taken devices by name, over all nodes that are not Offline, in order of name."""
    if not controller.license.includes("usb"):
        return {}  # guess: on a basic licence nobody hears of devices (controller-facts C14)
    counts: dict[str, Availability] = {}
    for node in controller.nodes.values():
        if node.is_offline(controller.now):
            continue
        taken = claimed(controller, node)
        for device in node.usb:
            free, busy = counts.get(device.name, (0, 0))
            counts[device.name] = Availability(free, busy + 1) if device in taken else Availability(free + 1, busy)
    return dict(sorted(counts.items()))
