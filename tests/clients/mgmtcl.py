"""mgmtcl of 2017 (controller-facts D8, A0.3): an HTTP error comes before any message, and it never waits."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.clients.engine import JSON, Call, Client, Fails, Lost, Machine


class Mgmtcl(Client):
    CALLS: ClassVar = {
        "nodes": Call("GET", "/api/v1/node"),
        "node": Call("GET", "/api/v1/node?id=<node_id>"),
        "templates": Call("GET", "/api/v1/registry/vm"),
        "template": Call("GET", "/api/v1/registry/vm?id=<vmid>"),
        "start": Call("POST", "/api/v1/vm", JSON, {"vmid": "<vmid>", "tag": "<tag?>", "count": "<count?>"}),
        "show": Call("GET", "/api/v1/vm?id=<id>"),
        "list": Call("GET", "/api/v1/vm"),
        "terminate": Call("DELETE", "/api/v1/vm", JSON, {"id": "<id>"}),
    }
    MEANINGS: ClassVar = {"VM not in the registry": "no such template", "Not found": "no such thing"}

    def ask(self, name: str, **values: Any) -> Any:
        try:
            reply = self.send(name, **values)
        except Lost as why:
            raise Fails(str(why)) from why
        if reply.status >= 400:
            raise Fails(f"HTTPError: {reply.status}")
        answer = reply.json()
        if answer["status"] != "OK":
            raise Fails(self.MEANINGS.get(answer["message"], answer["message"]))
        return answer.get("body")

    def tags(self) -> list[tuple[int, str]]:
        return [(each["number"], each["tag"]) for each in self.ask("template")["versions"]]

    def start(self) -> Machine:
        """Starts, and looks at once at what it has started; that is all."""
        ids = self.ask("start")
        shown = [self.ask("show", id=id) for id in ids]
        return Machine(ids[0], ", ".join(each["instance_state"] for each in shown))

    def screen(self, machine: Machine) -> str:
        """How to see the VM's screen, if the controller tells."""
        return str(self.ask("show", id=machine.id).get("vminfo", {}).get("vnc_connection_string", "no vnc"))

    def end(self, machine: Machine) -> None:
        self.ask("terminate", id=machine.id)
