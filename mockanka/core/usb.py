"""USB devices of nodes, and which instances have them (controller-facts C10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mockanka.core.errors import NoFreeUsbDevice, NoSuchUsbDevice

if TYPE_CHECKING:
    from mockanka.core.controller import Controller
    from mockanka.core.nodes import Node


class UsbDevice(NamedTuple):
    """USB device of a node: the name of its device group, and its location id, which is unique on the node."""

    name: str
    location: str

    def matches(self, wanted: str) -> bool:
        """Return whether a request for a device group or a location id means this device (controller-facts A1)."""
        return wanted in (self.name, self.location)


class UsbAvailability(NamedTuple):
    """Numbers of claimed and of free devices of a name, in their order on the wire (controller-facts A22)."""

    busy: int
    available: int


def find_claimed_devices(controller: Controller, node: Node) -> set[UsbDevice]:
    """Return the node's devices that instances on it have, also those whose VM is not up yet."""
    return {device for id in node.occupants if (device := controller.instances[id].usb) is not None}


def find_free_device(controller: Controller, node: Node, wanted: str) -> UsbDevice | None:
    """Return the first free device of the node with that name or location id, or None."""
    matching = [device for device in node.usb if device.matches(wanted)]
    if not matching:
        return None
    claimed = find_claimed_devices(controller, node)
    return next((device for device in matching if device not in claimed), None)


def require_free_device(controller: Controller, node: Node, wanted: str) -> UsbDevice:
    """Return the first free device of the node with that name or location id, or raise NoFreeUsbDevice."""
    device = find_free_device(controller, node, wanted)
    if device is None:
        raise NoFreeUsbDevice(wanted)
    return device


def require_usb_device(controller: Controller, wanted: str) -> None:
    """Raise NoSuchUsbDevice unless a node has a device with that name or location id, free or not."""
    if not any(device.matches(wanted) for node in controller.nodes.values() for device in node.usb):
        raise NoSuchUsbDevice(wanted)


def count_usb_devices(controller: Controller) -> dict[str, UsbAvailability]:
    """Return the numbers of devices on all nodes that are not Offline, by name and in order of name."""
    if not controller.license.includes("usb"):
        return {}  # guess: a basic licence shows no devices (controller-facts C14)
    counts: dict[str, UsbAvailability] = {}
    for node in controller.nodes.values():
        if node.is_offline(controller.now):
            continue
        claimed = find_claimed_devices(controller, node)
        for device in node.usb:
            count = counts.get(device.name, UsbAvailability(0, 0))
            if device in claimed:
                counts[device.name] = count._replace(busy=count.busy + 1)
            else:
                counts[device.name] = count._replace(available=count.available + 1)
    return dict(sorted(counts.items()))
