"""The bodies of requests about instances: POST, PUT and DELETE vm, and restarts (controller-facts A1, A3 to A5)."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, post_load

from mockanka.api.request_fields import (
    BooleanField,
    ChoiceField,
    DiskSizeField,
    IdBody,
    IntegerField,
    MetadataField,
    ObjectField,
    ObjectListField,
    PortField,
    RequestBody,
    TextField,
    UnsignedField,
    added_with,
    current_remarks,
)
from mockanka.core.instance_record import SCRIPT_TIMEOUT
from mockanka.core.release import SINCE
from mockanka.core.templates import PortRule
from mockanka.units import SECOND

MAX_COUNT = 10_000
"""Guess: nothing published limits ``count``. More than any cloud has, and still quick to create."""

MAX_VCPU, MAX_VRAM = 1024, 16 * 1024 * 1024
"""Guess: cores and MB that no Mac has, so that sums of them stay within what clients can decode."""

MAX_SCRIPT_TIMEOUT = 365 * 24 * 3600
"""Seconds. Guess: no script takes a year."""

NEVER_SHOWN = (
    "video_controller hvapic csr_active_config network_local hw_serial hw_uuid group network_mode disk".split()
)
"""Fields of a start that are checked, and that no response shows afterwards."""


class ForceOnField(ChoiceField):
    """``forceOn``, and before 1.30 also ``forceOff`` (controller-facts A1)."""

    def __init__(self, **options: Any) -> None:
        super().__init__("forceOn", "forceOff", "", **options)

    def fits(self, value: Any) -> bool:
        if value == "forceOff" and current_remarks().release().has("csr-always-on"):
            raise ValidationError(f"must be forceOn, not forceOff: that went with {SINCE['csr-always-on']}")
        return super().fits(value)


class PortRuleBody(RequestBody):
    """A port rule in place of the template's; its ports are strings (controller-facts A1)."""

    name = TextField(required=True)
    guest_port = PortField(required=True)
    host_ip = TextField()
    host_port = PortField()

    @post_load
    def _make_rule(self, data: dict[str, Any], **kwargs: Any) -> PortRule:
        host_port = data.get("host_port")
        return PortRule(data["name"], int(data["guest_port"]), int(host_port) if host_port else None)


class DiskBody(RequestBody):
    """The size of the VM's disk; clients send an empty object for none (controller-facts A1, D6)."""

    size = DiskSizeField()
    skip_container_resize = BooleanField()


class StartBody(RequestBody):
    """The body of POST vm (controller-facts A1)."""

    vmid = TextField(required=True)
    tag = TextField()
    version = UnsignedField()
    name = TextField()
    external_id = TextField()
    count = UnsignedField(1, MAX_COUNT, load_default=1)
    node_id = TextField()
    startup_script = TextField()
    startup_script_condition = IntegerField(0, 1)
    script_monitoring = BooleanField(metadata=added_with("script-monitoring"))
    script_timeout = IntegerField(0, MAX_SCRIPT_TIMEOUT, metadata=added_with("script-monitoring"))
    script_fail_handler = IntegerField(0, 2, metadata=added_with("script-monitoring"))
    name_template = TextField()
    mac_address = TextField(metadata=added_with("mac-addresses"))
    vlan_tag = TextField(metadata=added_with("vlans"))
    video_controller = ChoiceField("fbuf", "pg", "", metadata=added_with("hardware-overrides"))
    hvapic = ChoiceField("forceOn", "forceOff", "", metadata=added_with("hardware-overrides"))
    csr_active_config = ForceOnField(metadata=added_with("hardware-overrides"))
    network_local = ChoiceField("forceOn", "forceOff", "", metadata=added_with("network-local"))
    hw_serial = TextField(metadata=added_with("hardware-ids"))
    hw_uuid = TextField(metadata=added_with("hardware-ids"))
    group = TextField(metadata=added_with("permission-group"))
    port_forwarding_override = ObjectListField(PortRuleBody, metadata=added_with("start-overrides"))
    network_mode = TextField(metadata=added_with("start-overrides"))
    disk = ObjectField(DiskBody, metadata=added_with("start-overrides"))
    vnc_password = TextField(metadata=added_with("vnc-password"))
    group_id = TextField()
    priority = IntegerField(1, 10_000)
    usb_device = TextField()
    vcpu = IntegerField(0, MAX_VCPU)
    vram = IntegerField(0, MAX_VRAM)
    metadata = MetadataField()

    @post_load
    def _drop_blanks(self, data: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        # Clients send "" for a value that they do not give (controller-facts A0.2).
        values = {key: value for key, value in data.items() if value != ""}
        if "script_timeout" in values:
            values["script_timeout"] = values["script_timeout"] * SECOND or SCRIPT_TIMEOUT  # guess: 0 means not given
        if "port_forwarding_override" in values:
            values["ports"] = tuple(values.pop("port_forwarding_override"))
        return {key: value for key, value in values.items() if key not in NEVER_SHOWN}


class UpdateBody(RequestBody):
    """The body of PUT vm (controller-facts A3); a blank name removes the name."""

    name = TextField()
    external_id = TextField()
    metadata = MetadataField()


class RestartBody(RequestBody):
    """The body of POST rpc/vm/restart (controller-facts A5)."""

    instance_id = TextField(required=True)
    usb_device = TextField()
    vnc_password = TextField()


START_BODY, UPDATE_BODY, TERMINATE_BODY, RESTART_BODY = StartBody(), UpdateBody(), IdBody(), RestartBody()
