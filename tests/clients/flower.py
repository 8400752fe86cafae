"""The Azure DevOps task of flower.fyi, 2021 (controller-facts D8).

It sends blank fields, and looks at the VM more than at the instance.
Its Content-Type is not on record; JSON is a guess.
"""

from __future__ import annotations

from typing import Any, ClassVar

from tests.clients.engine import JSON, Call, Client, Fails, Lost, Machine

POLL = 5.0


class Flower(Client):
    """The task: it waits for a Started instance whose VM is running."""

    CALLS: ClassVar = {
        "start": Call(
            "POST",
            "/api/v1/vm",
            JSON,
            {
                "vmid": "<vmid>",
                "tag": "<blank>",
                "name": "<blank>",
                "external_id": "<blank>",
                "startup_script": "<blank>",
            },
        ),
        "show": Call("GET", "/api/v1/vm?id=<id>"),
        "terminate": Call("DELETE", "/api/v1/vm", JSON, {"id": "<id>"}),
    }
    DEFAULTS: ClassVar = {"blank": ""}

    def ask(self, name: str, **values: Any) -> dict[str, Any]:
        """Send a request, and return the envelope, whatever the HTTP status."""
        try:
            envelope: dict[str, Any] = self.send(name, **values).json()
        except Lost as error:
            raise Fails(str(error)) from error
        return envelope

    def start(self) -> Machine:
        """Start an instance, and wait until its VM runs."""
        answer = self.ask("start")
        if answer["status"] != "OK":
            raise Fails(answer["message"])
        id = answer["body"][0]
        for _ in self.every(POLL):
            answer = self.ask("show", id=id)
            if answer["status"] == "FAIL" and answer["message"] == "Not found":
                raise Fails("the VM is gone")
            body = answer.get("body", {})
            state, vm = body.get("instance_state"), (body.get("vminfo") or {}).get("status")
            if state == "Started" and vm == "running":
                return Machine(id, "running")
            if state == "Terminated" or vm == "failed":
                raise Fails(f"the VM is {vm if vm == 'failed' else state}")
        raise AssertionError

    def end(self, machine: Machine) -> None:
        """Terminate the instance."""
        answer = self.ask("terminate", id=machine.id)
        if answer["status"] != "OK":
            raise Fails(answer["message"])
