"""The Kotlin SDK of Cirrus Labs, anka-controller-extended (controller-facts D8): null unless HTTP 200.

It sends no Content-Type, and Basic authentication only if it has a user.
"""

from __future__ import annotations

import base64
from typing import Any, ClassVar

from tests.clients.decoding import JavaObject
from tests.clients.engine import Call, Client, Fails, Lost, Machine, Undecodable

POLL = 2.0
WAITING = ("Starting", "Scheduled", "Scheduling")
HEADERS = {"Authorization": "<authorization?>"}
INFO_TEXTS = ("uuid", "name", "status", "ip", "host_ip", "node_id")
"""The texts without which it skips an item of the list."""


class Cirrus(Client):
    """The SDK: a start that waits for the VM, and the lists that it reads. Its first look is at once (a guess)."""

    TIMEOUT = 120.0
    CALLS: ClassVar = {
        "templates": Call("GET", "/api/v1/registry/vm", HEADERS),
        "template": Call("GET", "/api/v1/registry/vm?id=<vmid>", HEADERS),
        "nodes": Call("GET", "/api/v1/node", HEADERS),
        "list": Call("GET", "/api/v1/vm", HEADERS),
        "start": Call(
            "POST",
            "/api/v1/vm",
            HEADERS,
            {
                "vmid": "<vmid>",
                "tag": "<tag?>",
                "name_template": "<name_template?>",
                "startup_script": "<startup_script?>",
            },
        ),
        "show": Call("GET", "/api/v1/vm?id=<id>", HEADERS),
        "terminate": Call("DELETE", "/api/v1/vm", HEADERS, {"id": "<id>"}),
    }

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        if user := self.settings.get("user"):
            credentials = f"{user}:{self.settings['password']}".encode()
            self.settings["authorization"] = f"Basic {base64.b64encode(credentials).decode()}"

    def ask(self, name: str, **values: Any) -> Any:
        """Send a request, and return the body. Fails unless HTTP says 200 and the envelope OK."""
        try:
            reply = self.send(name, **values)
        except Lost as error:
            raise Fails(str(error)) from error
        if reply.status != 200:
            raise Fails("null")
        answer = JavaObject(reply.json())
        if answer.text("status") != "OK":
            raise Fails(answer.text("message"))
        return answer.opt("body")

    def nodes(self) -> list[tuple[str, str, int, int]]:
        """Return address, state, number of VMs and capacity of each node."""
        nodes = [JavaObject(node, "node") for node in self.ask("nodes")]
        for node in nodes:
            node.text("node_id")
        return [
            (node.text("ip_address"), node.text("state"), node.whole("vm_count"), node.whole("capacity"))
            for node in nodes
        ]

    def running(self) -> list[str]:
        """Return the ids of the instances in the list that it can decode; others are skipped."""
        ids = []
        for value in self.ask("list"):
            try:
                item = JavaObject(value, "item")
                info = item.inner("vm").inner("vminfo")
                for key in INFO_TEXTS:
                    info.text(key)
                ids.append(item.text("instance_id"))
            except Undecodable as error:
                self.log.append(str(error))
        return ids

    def start(self) -> Machine:
        """Start an instance, and wait for it in three states only: one that is Pulling is terminated."""
        id = self.ask("start")[0]
        for _ in self.every(POLL):
            state = self.ask("show", id=id)["instance_state"]
            if state == "Started":
                return Machine(id, text=state)
            if state not in WAITING:
                self.ask("terminate", id=id)
                raise Fails(f"unexpected state {state}")
        raise AssertionError

    def end(self, machine: Machine) -> None:
        """Terminate the instance."""
        self.ask("terminate", id=machine.id)
