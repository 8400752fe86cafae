"""MAC addresses that the controller hands out, and VLANs that nodes know (controller-facts A1, A27, C16).

Both hold for stopped templates only: a suspended VM keeps what it was suspended with.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from mockanka.core.errors import BrokenMacAddress, MacAddressTaken, NoMacAddress, NoSuchVlan
from mockanka.core.randomness import digest
from mockanka.core.templates import get_version

if TYPE_CHECKING:
    from mockanka.core.controller import Controller
    from mockanka.core.instance_record import StartRequest
    from mockanka.core.templates import VersionRef

_MAC_ADDRESS = re.compile(r"[0-9A-F]{2}(:[0-9A-F]{2}){5}", re.ASCII)


def addresses_for(controller: Controller, request: StartRequest, ref: VersionRef, count: int) -> list[str | None]:
    """The MAC addresses of instances that are about to be made; None where addresses are not managed.

    An address is free again when its instance is gone; the real controller looks for those once an hour (C16).
    Guess: what is refused, and how.
    """
    managed = controller.mac_addresses and controller.release.has("mac-addresses")
    if not managed or get_version(controller, ref).suspended:
        return [None] * count
    taken = {one.request.mac_address for one in controller.instances.values()}
    if wanted := request.mac_address:
        if not _MAC_ADDRESS.fullmatch(wanted):
            raise BrokenMacAddress(wanted)
        if wanted in taken or count > 1:
            raise MacAddressTaken(wanted)
        return [wanted]
    free = [address for address in pool(controller) if address not in taken]
    if len(free) < count:
        raise NoMacAddress
    return list(free[:count])


def pool(controller: Controller) -> list[str]:
    """The addresses there are to hand out: unicast, locally administered, and made from the seed."""
    first = digest(controller.seed, "mac addresses", size=3)
    return [
        ":".join(f"{byte:02X}" for byte in (0x02, *first, *divmod(number, 256)))
        for number in range(controller.mac_addresses)
    ]


def on_vlan(controller: Controller, request: StartRequest, ref: VersionRef) -> StartRequest:
    """The request with its VLAN, as far as that counts; NoSuchVlan unless some node knows it."""
    if get_version(controller, ref).suspended:
        return replace(request, vlan_tag=None)
    if request.vlan_tag and request.vlan_tag not in vlans(controller):
        raise NoSuchVlan(request.vlan_tag)
    return request


def vlans(controller: Controller) -> list[str]:
    """The VLANs that any node knows, each once, in order."""
    return sorted({tag for node in controller.nodes.values() for tag in node.vlans})
