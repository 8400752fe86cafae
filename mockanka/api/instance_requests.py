"""What requests about instances take: the bodies of POST and PUT vm, and of a restart (controller-facts A1, A3, A5)."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, post_load

from mockanka.api.request_fields import (
    Body,
    Choice,
    DiskSize,
    Flag,
    Many,
    Metadata,
    One,
    PortText,
    Text,
    Whole,
    remarks,
    since,
)
from mockanka.core.instance_record import SCRIPT_TIMEOUT
from mockanka.core.release import SINCE
from mockanka.core.templates import PortRule
from mockanka.units import SECOND

MAX_COUNT = 10_000
"""Guess: nothing published limits ``count``; far more than any cloud has, and still quick to create."""

MAX_VCPU, MAX_VRAM = 1024, 16 * 1024 * 1024
"""Guess: cores and MB that no Mac has, so that what is computed of them stays within what clients can decode."""

MAX_SCRIPT_TIMEOUT = 365 * 24 * 3600
"""Guess: seconds that no script takes."""

SEEN_NOWHERE = (
    "video_controller hvapic csr_active_config network_local hw_serial hw_uuid group network_mode disk".split()
)
"""Fields of a start that are checked, and of which nothing shows on the wire afterwards."""


class ForceOn(Choice):
    """``forceOn``, and until 1.30 also ``forceOff`` (controller-facts A1)."""

    def __init__(self, **options: Any) -> None:
        super().__init__("forceOn", "forceOff", "", **options)

    def fits(self, value: Any) -> bool:
        if value == "forceOff" and remarks().release().has("csr-always-on"):
            raise ValidationError(f"must be forceOn, not forceOff: that went with {SINCE['csr-always-on']}")
        return super().fits(value)


class PortRuleBody(Body):
    """A port rule in place of the template's; its ports are strings (controller-facts A1)."""

    name = Text(required=True)
    guest_port = PortText(required=True)
    host_ip = Text()
    host_port = PortText()

    @post_load
    def _as_rule(self, data: dict[str, Any], **kwargs: Any) -> PortRule:
        host_port = data.get("host_port")
        return PortRule(data["name"], int(data["guest_port"]), int(host_port) if host_port else None)


class DiskBody(Body):
    """Another size of the VM's disk: clients send an empty object for none (controller-facts A1, D6)."""

    size = DiskSize()
    skip_container_resize = Flag()


class StartBody(Body):
    """What POST vm takes (controller-facts A1)."""

    vmid = Text(required=True)
    tag = Text()
    version = Whole()
    name = Text()
    external_id = Text()
    count = Whole(1, MAX_COUNT, load_default=1)
    node_id = Text()
    startup_script = Text()
    startup_script_condition = Whole(0, 1)
    script_monitoring = Flag(metadata=since("script-monitoring"))
    script_timeout = Whole(0, MAX_SCRIPT_TIMEOUT, metadata=since("script-monitoring"))
    script_fail_handler = Whole(0, 2, metadata=since("script-monitoring"))
    name_template = Text()
    mac_address = Text(metadata=since("mac-addresses"))
    vlan_tag = Text(metadata=since("vlans"))
    video_controller = Choice("fbuf", "pg", "", metadata=since("hardware-overrides"))
    hvapic = Choice("forceOn", "forceOff", "", metadata=since("hardware-overrides"))
    csr_active_config = ForceOn(metadata=since("hardware-overrides"))
    network_local = Choice("forceOn", "forceOff", "", metadata=since("network-local"))
    hw_serial = Text(metadata=since("hardware-ids"))
    hw_uuid = Text(metadata=since("hardware-ids"))
    group = Text(metadata=since("permission-group"))
    port_forwarding_override = Many(PortRuleBody, metadata=since("start-overrides"))
    network_mode = Text(metadata=since("start-overrides"))
    disk = One(DiskBody, metadata=since("start-overrides"))
    vnc_password = Text(metadata=since("vnc-password"))
    group_id = Text()
    priority = Whole(1, 10_000)
    usb_device = Text()
    vcpu = Whole(0, MAX_VCPU)
    vram = Whole(0, MAX_VRAM)
    metadata = Metadata()

    @post_load
    def _blank_is_not_given(self, data: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        # Clients send "" for what they do not ask for (controller-facts A0.2).
        given = {key: value for key, value in data.items() if value != ""}
        if "script_timeout" in given:
            given["script_timeout"] = given["script_timeout"] * SECOND or SCRIPT_TIMEOUT  # guess: 0 is not given
        if "port_forwarding_override" in given:
            given["ports"] = tuple(given.pop("port_forwarding_override"))
        return {key: value for key, value in given.items() if key not in SEEN_NOWHERE}


class UpdateBody(Body):
    """What PUT vm takes (controller-facts A3); a blank name is no name."""

    name = Text()
    external_id = Text()
    metadata = Metadata()


class RestartBody(Body):
    """What POST rpc/vm/restart takes (controller-facts A5)."""

    instance_id = Text(required=True)
    usb_device = Text()
    vnc_password = Text()
