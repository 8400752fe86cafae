"""The tool mgmtcl of 2017 (controller-facts D8, A0.3): HTTP errors raise, messages are not read, and it never waits."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.clients.engine import JSON, Call, Client, Fails, Lost, Machine


class Mgmtcl(Client):
    """The tool's commands."""

    CALLS: ClassVar = {
        "nodes": Call("GET", "/api/v1/node"),
        "node": Call("GET", "/api/v1/node?id=<node_id>"),
        "templates": Call("GET", "/api/v1/registry/vm"),
        "template": Call("GET", "/api/v1/registry/vm?id=<vmid>"),
        "start": Call("POST", "/api/v1/vm", JSON, {"vmid": "<vmid>", "tag": "<tag?>", "count": "<count>"}),
        "show": Call("GET", "/api/v1/vm?id=<id>"),
        "list": Call("GET", "/api/v1/vm"),
        "terminate": Call("DELETE", "/api/v1/vm", JSON, {"id": "<id>"}),
    }
    DEFAULTS: ClassVar = {"count": 1}
    FAILED: ClassVar = {"start": None, "nodes": [], "templates": [], "list": []}
    """The results of requests that are answered FAIL with status 200; others have ``{}``."""

    def ask(self, name: str, **values: Any) -> Any:
        """Send a request, and return the body, or the result that stands for FAIL. An HTTP error is raised."""
        try:
            reply = self.send(name, **values)
        except Lost as error:
            raise Fails(str(error)) from error
        if reply.status >= 400:
            raise Fails(f"HTTPError: {reply.status}")
        answer = reply.json()
        if answer["status"] != "OK":
            return self.FAILED.get(name, {})
        return answer.get("body")

    def tags(self) -> list[tuple[int, str]]:
        """Return the numbers and tags of the template."""
        return [(version["number"], version["tag"]) for version in self.ask("template")["versions"]]

    def start(self) -> Machine:
        """Start instances, and show them once."""
        ids = self.ask("start")
        if ids is None:
            return Machine("", text="None")
        instances = [self.ask("show", id=id) for id in ids]
        return Machine(ids[0], ", ".join(instance["instance_state"] for instance in instances))

    def screen(self, machine: Machine) -> str:
        """Return the address of the VM's screen, if the controller reports one."""
        return str(self.ask("show", id=machine.id).get("vminfo", {}).get("vnc_connection_string", "no vnc"))

    def end(self, machine: Machine) -> None:
        """Terminate the instance."""
        self.ask("terminate", id=machine.id)
