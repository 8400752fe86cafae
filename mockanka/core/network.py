"""MAC addresses that the controller assigns, and VLANs of nodes (controller-facts A1, A27, C16).

Both apply to stopped templates only: a suspended VM keeps the network that it was suspended with.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
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


class AddressPool:
    """The MAC addresses that a controller assigns, and those that are taken.

    A caller who starts many instances keeps it from one to the next, while none of them is removed.
    """

    def __init__(self, controller: Controller) -> None:
        self.taken = {instance.request.mac_address for instance in controller.instances.values()}
        self._addresses = _generate_mac_addresses(controller)

    def take_free(self, count: int) -> list[str]:
        """Return so many free addresses, which are taken from now on. Raises NoFreeMacAddress."""
        addresses = list(islice((address for address in self._addresses if address not in self.taken), count))
        if len(addresses) < count:
            raise NoFreeMacAddress
        self.taken.update(addresses)
        return addresses


def assign_mac_addresses(
    controller: Controller, request: StartRequest, ref: VersionRef, count: int, pool: AddressPool | None = None
) -> list[str | None]:
    """Return the MAC addresses of ``count`` instances to be started; None for each if addresses are not managed.

    An address is free again when its instance is gone; the real controller looks for those once an hour (C16).
    Guess: what is refused, and how. Raises InvalidMacAddress, MacAddressInUse or NoFreeMacAddress.
    """
    managed = controller.mac_addresses and controller.release.has("mac-addresses")
    if not managed or get_version(controller, ref).suspended:
        return [None] * count
    pool = pool or AddressPool(controller)
    if wanted := request.mac_address:
        if not _MAC_ADDRESS.fullmatch(wanted):
            raise InvalidMacAddress(wanted)
        if wanted in pool.taken or count > 1:
            raise MacAddressInUse(wanted)
        pool.taken.add(wanted)
        return [wanted]
    return list(pool.take_free(count))


def list_mac_addresses(controller: Controller) -> list[str]:
    """Return the MAC addresses that the controller assigns, free or not; they depend on the seed."""
    return list(_generate_mac_addresses(controller))


def _generate_mac_addresses(controller: Controller) -> Iterator[str]:
    prefix = hash_parts(controller.seed, "mac addresses", size=3)
    for number in range(controller.mac_addresses):
        yield ":".join(f"{byte:02X}" for byte in (UNICAST_LOCAL, *prefix, *divmod(number, 256)))


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
