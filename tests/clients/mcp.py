"""anka-mcp of 2026 (controller-facts D8): brings its own port rule, and has three minutes."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.clients.engine import JSON, Call, Client, Fails, Lost, Machine

POLL, LIMIT = 3.0, 180.0
DEAD = ("Error", "Failed", "Terminated", "Terminating", "Stopped")
SSH = 22


class Mcp(Client):
    DEFAULTS: ClassVar = {"name": "mcp-1", "external_id": "mcp-session-1", "startup_script": "ZWNobyByZWFkeQ=="}
    CALLS: ClassVar = {
        "templates": Call("GET", "/api/v1/registry/vm", JSON),
        "template": Call("GET", "/api/v1/registry/vm?id=<each>", JSON),
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
        try:
            reply = self.send(name, **values)
        except Lost as why:
            raise Fails(str(why)) from why
        answer = reply.json() if 200 <= reply.status < 300 else {}
        if answer.get("status") != "OK":
            raise Fails(f"HTTP {reply.status}: {reply.text}")
        return answer.get("body")

    def templates(self) -> dict[str, list[str]]:
        """Names and tags of all there are."""
        listed = self.ask("templates")
        return {each["name"]: [v["tag"] for v in self.ask("template", each=each["id"])["versions"]] for each in listed}

    def start(self) -> Machine:
        self.templates()
        id, asked = self.ask("start")[0], self.now
        for _ in self.every(POLL):
            found = self.ask("show", id=id)
            if found["instance_state"] in DEAD:
                raise Fails(f"{found['instance_state']}: {found.get('message', '')}")
            address = self._address(found)
            if found["instance_state"] == "Started" and address:
                return Machine(id, address)
            if self.since(asked) >= LIMIT:
                raise Fails(f"not ready within {LIMIT:.0f} s, last seen {found['instance_state']}")
        raise AssertionError

    @staticmethod
    def _address(found: dict[str, Any]) -> str | None:
        info = found.get("vminfo") or {}
        ports = [each["host_port"] for each in info.get("port_forwarding") or [] if each["guest_port"] == SSH]
        ready = info.get("status") == "running" and info.get("host_ip") and ports
        return f"{info['host_ip']}:{ports[0]}" if ready else None

    def end(self, machine: Machine) -> None:
        self.ask("terminate", id=machine.id)
