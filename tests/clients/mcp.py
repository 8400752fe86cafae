"""The MCP server anka-mcp of 2026 (controller-facts D8): it brings its own port rule, and waits in Scheduling only."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.clients.engine import JSON, Call, Client, Fails, Lost, Machine

POLL, LIMIT = 3.0, 180.0
DEAD = ("Error", "Failed", "Terminated", "Terminating", "Stopped")
SSH = 22


class Mcp(Client):
    """The server's tools to list templates, and to start and terminate a VM."""

    DEFAULTS: ClassVar = {"name": "mcp-1", "external_id": "mcp-session-1", "startup_script": "ZWNobyByZWFkeQ=="}
    CALLS: ClassVar = {
        "templates": Call("GET", "/api/v1/registry/vm", JSON),
        "template": Call("GET", "/api/v1/registry/vm?id=<template_id>", JSON),
        "start": Call(
            "POST",
            "/api/v1/vm",
            JSON,
            {
                "vmid": "<vmid>",
                "count": 1,
                "tag": "<tag?>",
                "name": "<name?>",
                "external_id": "<external_id?>",
                "port_forwarding_override": [{"name": "ssh", "guest_port": "22"}],
                "startup_script": "<startup_script?>",
                "startup_script_condition": 1,
            },
        ),
        "show": Call("GET", "/api/v1/vm?id=<id>", JSON),
        "terminate": Call("DELETE", "/api/v1/vm", JSON, {"id": "<id>"}),
    }

    def ask(self, name: str, **values: Any) -> Any:
        """Send a request, and return the body. Fails unless HTTP says 2xx and the envelope OK."""
        try:
            reply = self.send(name, **values)
        except Lost as error:
            raise Fails(str(error)) from error
        answer = reply.json() if 200 <= reply.status < 300 else {}
        if answer.get("status") != "OK":
            raise Fails(f"HTTP {reply.status}: {reply.text}")
        return answer.get("body")

    def templates(self) -> dict[str, list[str]]:
        """Return the tags of all templates by name."""
        tags = {}
        for template in self.ask("templates"):
            versions = self.ask("template", template_id=template["id"])["versions"]
            tags[template["name"]] = [version["tag"] for version in versions]
        return tags

    def start(self) -> Machine:
        """Start an instance, and wait until it has an address. A pull is not waited for: its result is ``pending``."""
        self.templates()
        id, requested_at = self.ask("start")[0], self.now
        for _ in self.every(POLL):
            instance = self.ask("show", id=id)
            state = instance["instance_state"]
            if state in DEAD:
                raise Fails(f"{state}: {instance.get('message', '')}")
            if state == "Pulling":
                return Machine(id, text="pending")
            address = self._address(instance)
            if state == "Started" and address:
                return Machine(id, address)
            if self.since(requested_at) >= LIMIT:
                raise Fails(f"not ready within {LIMIT:.0f} s, last seen {state}")
        raise AssertionError

    @staticmethod
    def _address(instance: dict[str, Any]) -> str | None:
        info = instance.get("vminfo") or {}
        ports = [rule["host_port"] for rule in info.get("port_forwarding") or [] if rule["guest_port"] == SSH]
        ready = info.get("status") == "running" and info.get("host_ip") and ports
        return f"{info['host_ip']}:{ports[0]}" if ready else None

    def end(self, machine: Machine) -> None:
        """Terminate the instance."""
        self.ask("terminate", id=machine.id)
