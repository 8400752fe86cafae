"""The Kotlin SDK of Cirrus Labs (controller-facts D8): Basic authentication, no Content-Type, null unless HTTP 200.

The calls that it makes are not on record: these are the reference's.
"""

from __future__ import annotations

import base64
from typing import Any, ClassVar

from tests.clients.engine import Call, Client, Fails, Lost, Machine

HEADERS = {"Authorization": f"Basic {base64.b64encode(b'root:token').decode()}"}


class Cirrus(Client):
    """The SDK with a start that shows the instance once."""

    CALLS: ClassVar = {
        "start": Call("POST", "/api/v1/vm", HEADERS, {"vmid": "<vmid>", "tag": "<tag?>"}),
        "show": Call("GET", "/api/v1/vm?id=<id>", HEADERS),
        "terminate": Call("DELETE", "/api/v1/vm", HEADERS, {"id": "<id>"}),
    }

    def ask(self, name: str, **values: Any) -> dict[str, Any] | None:
        """Send a request, and return the answer, or None if the HTTP status is not 200."""
        try:
            reply = self.send(name, **values)
        except Lost as error:
            raise Fails(str(error)) from error
        return reply.json() if reply.status == 200 else None

    def start(self) -> Machine:
        """Start an instance and show it once."""
        answer = self.ask("start")
        if answer is None or answer["status"] != "OK":
            raise Fails("null" if answer is None else answer["message"])
        shown_answer = self.ask("show", id=answer["body"][0]) or {}
        return Machine(answer["body"][0], shown_answer["body"]["instance_state"])

    def end(self, machine: Machine) -> None:
        """Terminate the instance."""
        answer = self.ask("terminate", id=machine.id)
        if answer is None or answer["status"] != "OK":
            raise Fails("null" if answer is None else answer["message"])
