"""MAC addresses that the controller assigns, and VLANs of nodes (controller-facts A1, A27, C16).

Both apply to stopped templates only: a suspended VM keeps the network that it was suspended with.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from mockanka.core.errors import InvalidMacAddress, MacAddressInUse, NoFreeMacAddress, NoSuchVlan
from mockanka.core.randomness import hash_parts
from mockanka.core.templates import get_version

if TYPE_CHECKING:
    from mockanka.core.controller import Controller
    from mockanka.core.instance_record import StartRequest
    from mockanka.core.templates import VersionRef

_MAC_ADDRESS = re.compile(r"[0-9A-F]{2}(:[0-9A-F]{2}){5}", re.ASCII)
UNICAST_LOCAL = 0x02
"""First byte of a MAC address that is unicast and locally administered."""


def assign_mac_addresses(
    controller: Controller, request: StartRequest, ref: VersionRef, count: int
) -> list[str | None]:
    """Return the MAC addresses of ``count`` instances to be started; None for each if addresses are not managed.

    An address is free again when its instance is gone; the real controller looks for those once an hour (C16).
    Guess: what is refused, and how. Raises InvalidMacAddress, MacAddressInUse or NoFreeMacAddress.
    """
    managed = controller.mac_addresses and controller.release.has("mac-addresses")
    if not managed or get_version(controller, ref).suspended:
        return [None] * count
    used = {instance.request.mac_address for instance in controller.instances.values()}
    if wanted := request.mac_address:
        if not _MAC_ADDRESS.fullmatch(wanted):
            raise InvalidMacAddress(wanted)
        if wanted in used or count > 1:
            raise MacAddressInUse(wanted)
        return [wanted]
    free = [address for address in list_mac_addresses(controller) if address not in used]
    if len(free) < count:
        raise NoFreeMacAddress
    return list(free[:count])


def list_mac_addresses(controller: Controller) -> list[str]:
    """Return the MAC addresses that the controller assigns, free or not; they depend on the seed."""
    prefix = hash_parts(controller.seed, "mac addresses", size=3)
    return [
        ":".join(f"{byte:02X}" for byte in (UNICAST_LOCAL, *prefix, *divmod(number, 256)))
        for number in range(controller.mac_addresses)
    ]


def resolve_vlan(controller: Controller, request: StartRequest, ref: VersionRef) -> StartRequest:
    """Return the request, without its VLAN if the template is suspended; NoSuchVlan if no node has the VLAN."""
    if get_version(controller, ref).suspended:
        return replace(request, vlan_tag=None)
    if request.vlan_tag and request.vlan_tag not in list_vlans(controller):
        raise NoSuchVlan(request.vlan_tag)
    return request


def list_vlans(controller: Controller) -> list[str]:
    """Return the VLANs of all nodes, each once, sorted."""
    return sorted({tag for node in controller.nodes.values() for tag in node.vlans})
