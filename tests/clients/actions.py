"""The GitHub actions ``up`` and ``down`` of anka-actions, of 2022 and of 2026 (controller-facts D5).

They send JSON as a form, and most states of an instance are not looked at.
"""

from __future__ import annotations

import base64
from typing import Any, ClassVar

from tests.clients.engine import FORM, HOUR, JSON, Call, Client, Fails, Lost, Machine, Reply, Undecodable

POLL = 5.0
JOB_LIMIT = 12 * HOUR
"""Seconds of ``job-ttl``, which users may shorten."""
SCRIPT = base64.b64encode(b"./config.sh && ./run.sh").decode()


class Actions(Client):
    """The actions of 2022: ``up`` waits for Started, and gives up on Error only."""

    action_id: str | None
    """The output ``action-id`` of ``up``, by which ``down`` finds the instance; before ``up`` that of a run before."""

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

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.action_id = self.settings["external_id"]

    def ask(self, name: str, **values: Any) -> Any:
        """Send a request, and return the body of the answer. Fails unless HTTP and the envelope report success."""
        try:
            reply = self.send(name, **values)
        except Lost as error:
            raise Fails(f"HTTP request failed: {error}") from error
        if not 200 <= reply.status < 300:
            raise self.refused(reply)
        answer = reply.json()
        if answer.get("status") != "OK":
            raise Fails(f"API response status {answer.get('status')}: {answer.get('message')}")
        return answer.get("body")

    def refused(self, reply: Reply) -> Fails:
        """Return the error for a status other than 2xx."""
        return Fails(f"controller: {reply.text}" if reply.status == 400 else f"HTTP request failed: {reply.status}")

    def start(self) -> Machine:
        """Do what ``up`` does. The runner inside the VM connects by itself, so no address is needed.

        After any error nothing is ended; after one of the start ``action-id`` is not set either.
        """
        self.action_id = None
        ids = self.ask("start")
        if not ids:
            raise Fails("no instance was created")
        self.action_id = self.settings["external_id"]
        for _ in self.every(POLL):
            instance = self.ask("show", id=ids[0])
            state = instance["instance_state"]
            if state == "Started":
                return Machine(ids[0], "started")
            if state in self.DEAD:
                script = instance.get("startup_script") or {}
                raise Fails(f"{state}: {instance.get('message', '')} {script.get('stderr', '')}".rstrip())
            self.report_progress(instance)
        raise AssertionError

    def report_progress(self, instance: dict[str, Any]) -> None:
        """Write nothing: the actions of 2022 do not show it."""

    def end(self, machine: Machine) -> None:
        """Do what ``down`` does: terminate the first instance with the action id, in whatever state it is."""
        if self.action_id is None:
            self.log.append("there is no action-id")
            return
        items = self.ask("list")
        if not isinstance(items, list):
            raise Undecodable("body.filter is not a function")
        for item in items:
            if item.get("external_id") == self.action_id:
                self.ask("terminate", id=item["instance_id"])
                return
        self.log.append("there is nothing to end")


class Actions26(Actions):
    """The actions of 2026: ``up`` gives up on more states, and shows the progress."""

    DEAD = ("Error", "Terminating", "Terminated")

    def refused(self, reply: Reply) -> Fails:
        """Return the error for a status other than 2xx; all are worded alike."""
        return Fails(f"HTTP request failed: {reply.status}")

    def report_progress(self, instance: dict[str, Any]) -> None:
        """Write the progress to the log; an instance need not have one."""
        self.log.append(f"{instance['instance_state']} {instance.get('progress', 0):.0%}")
