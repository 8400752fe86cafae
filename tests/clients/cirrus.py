"""The Kotlin SDK of Cirrus Labs (controller-facts D8): Basic, no Content-Type, and null for whatever is not 200. Which
calls it makes is not on record: these are the reference's."""

from __future__ import annotations

import base64
from typing import Any, ClassVar

from tests.clients.engine import Call, Client, Fails, Lost, Machine

HEADERS = {"Authorization": f"Basic {base64.b64encode(b'root:token').decode()}"}


class Cirrus(Client):
    CALLS: ClassVar = {
        "start": Call("POST", "/api/v1/vm", HEADERS, {"vmid": "<vmid>", "tag": "<tag?>"}),
        "show": Call("GET", "/api/v1/vm?id=<id>", HEADERS),
        "terminate": Call("DELETE", "/api/v1/vm", HEADERS, {"id": "<id>"}),
    }

    def ask(self, name: str, **values: Any) -> dict[str, Any] | None:
        try:
            reply = self.send(name, **values)
        except Lost as why:
            raise Fails(str(why)) from why
        return reply.json() if reply.status == 200 else None

    def start(self) -> Machine:
        answer = self.ask("start")
        if answer is None or answer["status"] != "OK":
            raise Fails("null" if answer is None else answer["message"])
        shown = self.ask("show", id=answer["body"][0]) or {}
        return Machine(answer["body"][0], shown["body"]["instance_state"])

    def end(self, machine: Machine) -> None:
        answer = self.ask("terminate", id=machine.id)
        if answer is None or answer["status"] != "OK":
            raise Fails("null" if answer is None else answer["message"])
