"""The GitHub actions ``up`` and ``down`` of anka-actions, of 2022 and of 2026 (controller-facts D5).

They send JSON as a form, and most states of an instance are not looked at.
"""

from __future__ import annotations

import base64
from typing import Any, ClassVar

from tests.clients.engine import FORM, HOUR, JSON, Call, Client, Fails, Lost, Machine, Undecodable

POLL = 5.0
JOB_LIMIT = 12 * HOUR
"""Seconds of ``job-ttl``, which users may shorten."""
SCRIPT = base64.b64encode(b"./config.sh && ./run.sh").decode()


class Actions(Client):
    """The actions of 2022: ``up`` waits for Started, and gives up on Error only."""

    DEFAULTS: ClassVar = {"external_id": "run-7-1", "startup_script": SCRIPT, "job_limit": JOB_LIMIT}
    DEAD: tuple[str, ...] = ("Error",)
    CALLS: ClassVar = {
        "start": Call(
            "POST",
            "/api/v1/vm",
            FORM,
            {
                "count": 1,
                "vmid": "<vmid>",
                "tag": "<tag?>",
                "vcpu": "<vcpu?>",
                "vram": "<vram?>",
                "group_id": "<group_id?>",
                "node_id": "<node_id?>",
                "startup_script": "<startup_script>",
                "script_monitoring": True,
                "script_fail_handler": 1,
                "external_id": "<external_id>",
            },
        ),
        "show": Call("GET", "/api/v1/vm?id=<id>"),
        "list": Call("GET", "/api/v1/vm"),
        "terminate": Call("DELETE", "/api/v1/vm", JSON, {"id": "<id>"}),
    }

    def ask(self, name: str, **values: Any) -> Any:
        """Send a request, and return the body of the answer. Fails unless HTTP and the envelope report success."""
        try:
            reply = self.send(name, **values)
        except Lost as error:
            raise Fails(f"HTTP request failed: {error}") from error
        if reply.status == 400:
            raise Fails(f"controller: {reply.text}")
        if not 200 <= reply.status < 300:
            raise Fails(f"HTTP request failed: {reply.status}")
        answer = reply.json()
        if answer.get("status") != "OK":
            raise Fails(f"API response status {answer.get('status')}: {answer.get('message')}")
        return answer.get("body")

    def start(self) -> Machine:
        """Do what ``up`` does. The runner inside the VM connects by itself, so no address is needed."""
        ids = self.ask("start")
        if not ids:
            raise Fails("no instance was created")
        for _ in self.every(POLL):
            instance = self.ask("show", id=ids[0])
            state = instance["instance_state"]
            if state == "Started":
                return Machine(ids[0], "started")
            if state in self.DEAD:
                script = instance.get("startup_script") or {}
                raise Fails(f"{state}: {instance.get('message', '')} {script.get('stderr', '')}".rstrip())
            self.log.append(f"{state} {instance['progress']:.0%}")
        raise AssertionError

    def end(self, machine: Machine) -> None:
        """Do what ``down`` does: terminate the first instance with the external id, in whatever state it is."""
        items = self.ask("list")
        if not isinstance(items, list):
            raise Undecodable("body.filter is not a function")
        for item in items:
            if item.get("external_id") == self.settings["external_id"]:
                self.ask("terminate", id=item["instance_id"])
                return
        self.log.append("there is nothing to end")


class Actions26(Actions):
    """The actions of 2026: ``up`` gives up on more states."""

    DEAD = ("Error", "Terminating", "Terminated")
