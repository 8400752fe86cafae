"""Names, addresses and ids replaced: what was equal stays equal, and its kind can still be told."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mockanka.snapshot.fetch import Facts

KNOWN_MESSAGES = re.compile(
    r"startup script exit code -?\d+|Unexpected VM state: \"stopped\"|VM not in the registry|request canceled|"
    r"Script execution failed|HTTP \d+|illegal base64 data at input byte \d+|Not found"
)
"""What says nothing of anybody (controller-facts A0.4)."""
KNOWN_PORTS = ("ssh", "vnc", "rdp", "http", "https")
REDACTED = "redacted"
SCRIPT = base64.b64encode(b"exit 0\n").decode()
_MINTED = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[4-7][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE)


class _Stand:
    """Stand-ins of one kind, numbered as their originals come."""

    def __init__(self, make: Callable[[int, str], str]) -> None:
        self.make = make
        self.known: dict[str, str] = {}

    def __call__(self, value: Any) -> Any:
        if not isinstance(value, str) or not value:
            return value
        if value not in self.known:
            self.known[value] = self.make(len(self.known) + 1, value)
        return self.known[value]


def _numbered(word: str) -> _Stand:
    return _Stand(lambda n, _: f"{word}-{n}")


def _id(n: int, original: str) -> str:
    # The controller's own ids have another variant than those that Macs make (controller-facts A0.2).
    return f"{n:08x}-0000-4000-{'4' if _MINTED.fullmatch(original) else '8'}000-{n:012x}"


def _free_text(value: Any) -> Any:
    return REDACTED if isinstance(value, str) and value else value


def _message(value: Any) -> Any:
    return value if isinstance(value, str) and KNOWN_MESSAGES.fullmatch(value) else _free_text(value)


def _script(value: Any) -> Any:
    return SCRIPT if isinstance(value, str) and value else value


class _Redactor:
    """Goes through what was told. A key says what its text is, and what a ``name`` names the object that it is in."""

    def __init__(self) -> None:
        words = "node template group instance vm usb tag external value vlan port registry".split()
        self.stand = {word: _numbered(word) for word in words}
        self.stand["id"] = _Stand(_id)
        self.stand["address"] = _Stand(lambda n, _: f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}")
        self.stand["url"] = _Stand(lambda n, _: f"http://registry-{n}.example:8089")
        self.stand["mac"] = _Stand(lambda n, _: ":".join(f"{n:012X}"[place : place + 2] for place in range(0, 12, 2)))
        self.stand["file"] = _Stand(lambda n, _: f"{n:032x}.ank")
        self.stand["usb"] = _Stand(lambda n, old: str(100_000_000 + n) if old.isdigit() else f"usb-{n}")
        self.stand["vlan"] = _Stand(lambda n, _: str(n))
        named: dict[str, str] = {}
        for kind, keys in {
            "id": "id node_id uuid vmid instance_id inflight_reqid group_id fallback_group_id request_id template_id "
            "RequestId VMID InstanceID NodeID TemplateID",
            "address": "ip_address host_ip ip",
            "url": "registry_address anka_registry RegistryAddr",
            "mac": "mac_address",
            "file": "images state_files state_file",
            "usb": "usb_device location",
            "vlan": "vlan",
            "node": "node_name",
            "template": "NewTemplateName",
            "tag": "tag Tag RevertTag",
            "external": "external_id",
        }.items():
            named |= dict.fromkeys(keys.split(), kind)
        self.kinds: dict[str, Callable[[Any], Any]] = {key: self.stand[kind] for key, kind in named.items()}
        self.kinds |= dict.fromkeys(("description", "Description", "stdout", "stderr", "vnc_password"), _free_text)
        self.kinds |= {"message": _message, "Message": _message, "error": _message, "Script": _script}
        self.kinds |= {"metadata": self._metadata, "vnc_connection_string": self._connection}
        self.kinds |= dict.fromkeys(("config_file", "nvram", "errors"), lambda value: None)
        self.below = {
            "groups": "group",
            "templates": "template",
            "vminfo": "vm",
            "usb_devices": "usb",
            "port_forwarding": "port",
        }

    def of(self, value: Any, what: str) -> Any:
        """An object, or a list of them, of a kind."""
        if isinstance(value, list):
            return [self.of(each, what) for each in value]
        if not isinstance(value, dict):
            return value
        return {key: self._value(key, each, what) for key, each in value.items()}

    def _value(self, key: str, value: Any, what: str) -> Any:
        if key.lower() in ("name", "rule_name"):
            known = what == "port" and value in KNOWN_PORTS
            return value if known else self.stand[what](value)
        if key == "distribute_status" and isinstance(value, dict):
            return {self.stand["id"](id): self.of(each, what) for id, each in value.items()}
        if key in self.kinds and not (key == "error" and isinstance(value, dict)):
            replaced = self.kinds[key]
            return [replaced(each) for each in value] if isinstance(value, list) else replaced(value)
        return self.of(value, self.below.get(key, what))

    def _metadata(self, value: Any) -> Any:
        if not isinstance(value, dict):
            return None
        return {key: self.stand["value"](each) for key, each in value.items()}

    def _connection(self, value: Any) -> Any:
        password = value.removeprefix("vnc://:").rpartition("@")[0] if isinstance(value, str) else ""
        return f"vnc://:{_free_text(password)}@" if password else None


def redacted(facts: Facts) -> Facts:
    """The same facts of nobody in particular."""
    by = _Redactor()
    return replace(
        facts,
        status=by.of(facts.status, "registry"),
        nodes=by.of(facts.nodes, "node"),
        templates=by.of(facts.templates, "template"),
        groups=by.of(facts.groups, "group"),
        instances=by.of(facts.instances, "instance"),
        distributions=by.of(facts.distributions, "instance"),
        save_images=by.of(facts.save_images, "instance"),
        usb={by.stand["usb"](name): counts for name, counts in facts.usb.items()},
        vlans=[by.stand["vlan"](each) for each in facts.vlans],
        refused={what.partition("?")[0]: _message(said) for what, said in facts.refused.items()},
    )
