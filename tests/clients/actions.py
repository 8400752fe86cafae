"""anka-actions up and down, of 2022 and of 2026 (controller-facts D5): JSON in a form, no look at most states."""

from __future__ import annotations

import base64
from typing import Any, ClassVar

from tests.clients.engine import FORM, HOUR, JSON, Call, Client, Fails, Lost, Machine, Undecodable

POLL = 5.0
JOB_LIMIT = 12 * HOUR
"""``job-ttl``, which users may shorten."""
SCRIPT = base64.b64encode(b"./config.sh && ./run.sh").decode()


class Actions(Client):
    """That of 2022: it waits for Started, gives up on Error, and on nothing else."""

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
        try:
            reply = self.send(name, **values)
        except Lost as why:
            raise Fails(f"HTTP request failed: {why}") from why
        if reply.status == 400:
            raise Fails(f"controller: {reply.text}")
        if not 200 <= reply.status < 300:
            raise Fails(f"HTTP request failed: {reply.status}")
        answer = reply.json()
        if answer.get("status") != "OK":
            raise Fails(f"API response status {answer.get('status')}: {answer.get('message')}")
        return answer.get("body")

    def start(self) -> Machine:
        """The action ``up``. The runner inside the VM finds its own way, so no address is asked for."""
        ids = self.ask("start")
        if not ids:
            raise Fails("no instance was created")
        for _ in self.every(POLL):
            found = self.ask("show", id=ids[0])
            if found["instance_state"] == "Started":
                return Machine(ids[0], "started")
            if found["instance_state"] in self.DEAD:
                script = found.get("startup_script") or {}
                raise Fails(
                    f"{found['instance_state']}: {found.get('message', '')} {script.get('stderr', '')}".rstrip()
                )
            self.log.append(f"{found['instance_state']} {found['progress']:.0%}")
        raise AssertionError

    def end(self, machine: Machine) -> None:
        """The action ``down``: the first with the external id, whatever state it is in."""
        items = self.ask("list")
        if not isinstance(items, list):
            raise Undecodable("body.filter is not a function")
        for item in items:
            if item.get("external_id") == self.settings["external_id"]:
                self.ask("terminate", id=item["instance_id"])
                return
        self.log.append("there is nothing to end")


class Actions26(Actions):
    """That of 2026 gives up on more states."""

    DEAD = ("Error", "Terminating", "Terminated")
