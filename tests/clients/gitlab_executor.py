"""anka-cloud-gitlab-executor (controller-facts D3): no Content-Type on a start, its VM found by external_id."""

from __future__ import annotations

import base64
from types import SimpleNamespace
from typing import Any, ClassVar

from tests.clients.decoding import Decoder, boolean, envelope, integer, many, pointer, real, string, struct, unsigned
from tests.clients.engine import (
    JSON,
    Call,
    Client,
    Crashes,
    CutShort,
    Fails,
    Lost,
    Machine,
    Reply,
    TimedOut,
    Undecodable,
)

POLL = 10.0
TRIES, FIRST_PAUSE, LONGEST_PAUSE = 3, 5.0, 30.0
ALIVE = ("Started", "Scheduling", "Pulling")
SSH = 22

PORT = struct(guest_port=integer, host_port=integer, protocol=string)
VM = struct(
    instance_id=string,
    instance_state=string,
    message=string,
    external_id=string,
    node_id=string,
    progress=real,
    vminfo=pointer(struct(name=string, status=string, host_ip=string, port_forwarding=many(PORT))),
    startup_script=pointer(struct(return_code=integer, did_timeout=boolean, stdout=string, stderr=string)),
)
ITEM = struct(instance_id=string, external_id=string, name=string, vm=pointer(VM))
NODE = struct(node_id=string, node_name=string, ip_address=string, capacity=unsigned)


class GitlabExecutor(Client):
    TIMEOUT = 10.0
    DEFAULTS: ClassVar = {
        "external_id": "https://gitlab.example/group/app/-/jobs/7",
        "startup_script": base64.b64encode(b"sleep 5").decode(),
    }
    CALLS: ClassVar = {
        "templates": Call("GET", "/api/v1/registry/vm?apiVer=v1"),
        "start": Call(
            "POST",
            "/api/v1/vm",
            {},
            {
                "vmid": "<vmid>",
                "external_id": "<external_id>",
                "tag": "<tag?>",
                "node_id": "<node_id?>",
                "priority": "<priority?>",
                "group_id": "<group_id?>",
                "startup_script": "<startup_script>",
                "script_monitoring": True,
                "script_timeout": 300,
                "startup_script_condition": 0,
                "vcpu": "<vcpu?>",
                "vram": "<vram?>",
            },
        ),
        "show": Call("GET", "/api/v1/vm?id=<id>"),
        "node": Call("GET", "/api/v1/node?id=<node_id>"),
        "list": Call("GET", "/api/v1/vm"),
        "terminate": Call("DELETE", "/api/v1/vm", JSON, {"id": "<id>"}),
    }

    def ask(self, name: str, body: Decoder, **values: Any) -> Any:
        reply = self._tried(name, values)
        answer = envelope(body)(reply.json())
        if answer.status != "OK" or reply.status != 200:
            raise Fails(f"HTTP {reply.status}: {answer.message}")
        return answer.body

    def _tried(self, name: str, values: dict[str, Any]) -> Reply:
        """Sent again on timeouts, and once when the answer breaks off, if there was no body to send with it."""
        pause = FIRST_PAUSE
        for attempt in range(TRIES):
            try:
                return self.send(name, **values)
            except TimedOut as why:
                if attempt == TRIES - 1:
                    raise Fails(str(why)) from why
                self.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            except CutShort as why:
                self.sleep(5)
                if self.CALLS[name].body is not None:
                    raise Fails(f"{why}; the body of the request is used up") from why
                return self.send(name, **values)
            except Lost as why:
                raise Fails(str(why)) from why
        raise AssertionError

    def template_id(self, template_name: str) -> str:
        """The first of that very name."""
        for each in self.ask("templates", many(struct(id=string, name=string))) or []:
            if each.name == template_name:
                return str(each.id)
        raise Fails(f"no template {template_name}")

    def start(self) -> Machine:
        made = self.prepare()
        return self.run(made)

    def prepare(self) -> Machine:
        """Until it is Started; any state that leads nowhere is a failure, and nothing is ended here."""
        if "template_name" in self.settings:
            self.settings["vmid"] = self.template_id(self.settings["template_name"])
        ids = self.ask("start", many(string))
        if not ids:
            raise Crashes("panic: index out of range [0]")
        while True:
            self.sleep(POLL)
            found = self.ask("show", VM, id=ids[0])
            if found.instance_state == "Started":
                break
            if found.instance_state not in ("Scheduling", "Pulling"):
                raise Fails(f"unexpected state {found.instance_state}: {found.message}")
            self.log.append(f"{found.instance_state} {found.progress:.0%}")
        node = self._node(found.node_id)
        if found.vminfo is None:
            raise Crashes("panic: nil pointer dereference: vminfo")
        return Machine(ids[0], text=f"{found.vminfo.name} on {node.node_name}")

    def run(self, machine: Machine) -> Machine:
        """Where to find the VM by ssh: on its node's own address."""
        found = self._mine()
        if found.vminfo is None:
            raise Crashes("panic: nil pointer dereference: vminfo")
        for rule in found.vminfo.port_forwarding or []:
            if rule.guest_port == SSH and rule.protocol == "tcp":
                node = self._node(found.node_id)
                return Machine(machine.id, f"{node.ip_address}:{rule.host_port}", machine.text)
        raise Fails("no tcp port leads to ssh")

    def _node(self, node_id: str) -> SimpleNamespace:
        nodes = self.ask("node", many(NODE), node_id=node_id)
        if not nodes:
            raise Fails(f"no node {node_id}")
        return nodes[0]  # type: ignore[no-any-return]

    def _mine(self) -> SimpleNamespace:
        """The VM with its external_id, if it is still of use."""
        items = self.ask("list", many(ITEM)) or []
        if any(item.vm is None for item in items):
            raise Crashes("panic: nil pointer dereference: vm")
        for item in items:
            if item.vm.external_id == self.settings["external_id"] and item.vm.instance_state in ALIVE:
                item.vm.instance_id = item.instance_id
                return item.vm  # type: ignore[no-any-return]
        raise Fails("no instance of this job is of use")

    def look(self, machine: Machine) -> str:
        """Each step of the job looks for its VM anew."""
        try:
            return self.run(machine).address
        except (Fails, Undecodable) as why:
            return str(why)

    def end(self, machine: Machine) -> None:
        self.ask("terminate", pointer(string), id=self._mine().instance_id)
