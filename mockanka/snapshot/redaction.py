"""Redaction of a fetched state: names, addresses and ids are replaced, equal values by equal ones of the same kind."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mockanka.snapshot.fetch import FetchedState

PUBLIC_MESSAGES = re.compile(
    r"startup script exit code -?\d+|Unexpected VM state: \"stopped\"|VM not in the registry|request canceled|"
    r"Script execution failed|HTTP \d+|illegal base64 data at input byte \d+|Not found"
)
"""Messages without private content (controller-facts A0.4)."""
PUBLIC_PORT_NAMES = ("ssh", "vnc", "rdp", "http", "https")
REDACTED_TEXT = "redacted"
REDACTED_SCRIPT = base64.b64encode(b"exit 0\n").decode()
_CONTROLLER_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[4-7][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE)
_KEYS_BY_KIND = {
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
}
_KINDS_OF_CHILDREN = {
    "groups": "group",
    "templates": "template",
    "vminfo": "vm",
    "usb_devices": "usb",
    "port_forwarding": "port",
}
"""Kinds of the objects under a key; under other keys they are of the kind of the object that has the key."""


class _Replacements:
    """Replacements of one kind, numbered in the order in which their originals are first met."""

    def __init__(self, make: Callable[[int, str], str]) -> None:
        self._make = make
        self._known: dict[str, str] = {}

    def __call__(self, value: Any) -> Any:
        if not isinstance(value, str) or not value:
            return value
        if value not in self._known:
            self._known[value] = self._make(len(self._known) + 1, value)
        return self._known[value]


def _numbered(word: str) -> _Replacements:
    return _Replacements(lambda number, _: f"{word}-{number}")


def _replace_id(number: int, original: str) -> str:
    # The ids that controllers make have another UUID variant than those that Macs make (controller-facts A0.2).
    return f"{number:08x}-0000-4000-{'4' if _CONTROLLER_ID.fullmatch(original) else '8'}000-{number:012x}"


def _replace_address(number: int, _: str) -> str:
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def _replace_mac_address(number: int, _: str) -> str:
    digits = f"{number:012X}"
    return ":".join(digits[index : index + 2] for index in range(0, 12, 2))


def _replace_usb_device(number: int, original: str) -> str:
    return str(100_000_000 + number) if original.isdigit() else f"usb-{number}"


def _redact_text(value: Any) -> Any:
    return REDACTED_TEXT if isinstance(value, str) and value else value


def _redact_message(value: Any) -> Any:
    return value if isinstance(value, str) and PUBLIC_MESSAGES.fullmatch(value) else _redact_text(value)


def _redact_script(value: Any) -> Any:
    return REDACTED_SCRIPT if isinstance(value, str) and value else value


class _Redactor:
    """Replaces values by their keys; a ``name`` is replaced by the kind of the object that has it."""

    def __init__(self) -> None:
        words = "node template group instance vm tag external value port registry".split()
        self.replacements = {word: _numbered(word) for word in words} | {
            "id": _Replacements(_replace_id),
            "address": _Replacements(_replace_address),
            "url": _Replacements(lambda number, _: f"http://registry-{number}.example:8089"),
            "mac": _Replacements(_replace_mac_address),
            "file": _Replacements(lambda number, _: f"{number:032x}.ank"),
            "usb": _Replacements(_replace_usb_device),
            "vlan": _Replacements(lambda number, _: str(number)),
        }
        self._by_key: dict[str, Callable[[Any], Any]] = {
            key: self.replacements[kind] for kind, keys in _KEYS_BY_KIND.items() for key in keys.split()
        }
        self._by_key |= dict.fromkeys(("description", "Description", "stdout", "stderr", "vnc_password"), _redact_text)
        self._by_key |= {"message": _redact_message, "Message": _redact_message, "error": _redact_message}
        self._by_key |= {"Script": _redact_script, "metadata": self._redact_metadata}
        self._by_key |= {"vnc_connection_string": self._redact_connection}
        self._by_key |= dict.fromkeys(("config_file", "nvram", "errors"), lambda value: None)

    def redact(self, value: Any, kind: str) -> Any:
        """Redact an object of a kind, or a list of such objects."""
        if isinstance(value, list):
            return [self.redact(item, kind) for item in value]
        if not isinstance(value, dict):
            return value
        return {key: self._redact_value(key, item, kind) for key, item in value.items()}

    def _redact_value(self, key: str, value: Any, kind: str) -> Any:
        if key.lower() in ("name", "rule_name"):
            is_public = kind == "port" and value in PUBLIC_PORT_NAMES
            return value if is_public else self.replacements[kind](value)
        if key == "distribute_status" and isinstance(value, dict):
            return {self.replacements["id"](id): self.redact(item, kind) for id, item in value.items()}
        if key in self._by_key and not (key == "error" and isinstance(value, dict)):
            redact = self._by_key[key]
            return [redact(item) for item in value] if isinstance(value, list) else redact(value)
        return self.redact(value, _KINDS_OF_CHILDREN.get(key, kind))

    def _redact_metadata(self, value: Any) -> Any:
        if not isinstance(value, dict):
            return None
        return {key: self.replacements["value"](item) for key, item in value.items()}

    def _redact_connection(self, value: Any) -> Any:
        password = value.removeprefix("vnc://:").rpartition("@")[0] if isinstance(value, str) else ""
        return f"vnc://:{_redact_text(password)}@" if password else None


def redact_state(state: FetchedState) -> FetchedState:
    """Return a redacted copy of the state."""
    redactor = _Redactor()
    return replace(
        state,
        status=redactor.redact(state.status, "registry"),
        nodes=redactor.redact(state.nodes, "node"),
        templates=redactor.redact(state.templates, "template"),
        groups=redactor.redact(state.groups, "group"),
        instances=redactor.redact(state.instances, "instance"),
        distributions=redactor.redact(state.distributions, "instance"),
        save_images=redactor.redact(state.save_images, "instance"),
        usb={redactor.replacements["usb"](name): counts for name, counts in state.usb.items()},
        vlans=[redactor.replacements["vlan"](vlan) for vlan in state.vlans],
        refused={path.partition("?")[0]: _redact_message(message) for path, message in state.refused.items()},
    )
