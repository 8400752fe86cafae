"""The executor anka-cloud-gitlab-executor (controller-facts D3).

It sends no Content-Type with a start, and finds its VM by external_id.
"""

from __future__ import annotations

import base64
from types import SimpleNamespace
from typing import Any, ClassVar

from tests.clients.decoding import Decoder, boolean, envelope, integer, many, pointer, real, string, struct, unsigned
from tests.clients.engine import JSON, Call, Crashes, CutShort, Fails, Lost, Machine, Reply, TimedOut, Undecodable
from tests.clients.golang import GoClient, SentRequest

POLL = 10.0
TRIED_AGAIN = ("list", "terminate")
"""The requests that are tried again after a timeout."""
PAUSES, CUT_PAUSE = (5.0, 10.0), 5.0
"""Seconds before further attempts after timeouts, and before the one after an incomplete response."""
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


class GitlabExecutor(GoClient):
    """The executor: its stages prepare, run and cleanup."""

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
        """Send a request, and decode the body. Fails unless HTTP says 200 and the envelope OK."""
        reply = self._send_again(name, values)
        answer = envelope(body)(reply.json())
        if answer.status != "OK" or reply.status != 200:
            raise Fails(f"HTTP {reply.status}: {answer.message}")
        return answer.body

    def _send_again(self, name: str, values: dict[str, Any]) -> Reply:
        """Send a request, again after timeouts if it is of that kind, and once more after an incomplete response."""
        request = SentRequest(self, name, values)
        pauses, cut_pauses = list(PAUSES if name in TRIED_AGAIN else ()), [CUT_PAUSE]
        while True:
            try:
                return request.send()
            except Lost as error:
                left = pauses if isinstance(error, TimedOut) else cut_pauses if isinstance(error, CutShort) else []
                if not left:
                    raise Fails(str(error)) from error
                self.sleep(left.pop(0))

    def template_id(self, template_name: str) -> str:
        """Return the id of the first template with exactly that name."""
        for template in self.ask("templates", many(struct(id=string, name=string))) or []:
            if template.name == template_name:
                return str(template.id)
        raise Fails(f"no template {template_name}")

    def start(self) -> Machine:
        """Do the stages ``prepare`` and ``run``."""
        return self.run(self.prepare())

    def prepare(self) -> Machine:
        """Start an instance, and wait until it is Started. Another final state is a failure; nothing is terminated."""
        if "template_name" in self.settings:
            self.settings["vmid"] = self.template_id(self.settings["template_name"])
        ids = self.ask("start", many(string))
        if not ids:
            raise Crashes("panic: index out of range [0]")
        while True:
            self.sleep(POLL)
            vm = self.ask("show", VM, id=ids[0])
            if vm.instance_state == "Started":
                break
            if vm.instance_state not in ("Scheduling", "Pulling"):
                raise Fails(f"unexpected state {vm.instance_state}: {vm.message}")
            self.log.append(f"{vm.instance_state} {vm.progress:.0%}")
        node = self._node(vm.node_id)
        if vm.vminfo is None:
            raise Crashes("panic: nil pointer dereference: vminfo")
        return Machine(ids[0], text=f"{vm.vminfo.name} on {node.node_name}")

    def run(self, machine: Machine) -> Machine:
        """Return the machine with the address for ssh: its node's own, and the port of the last rule for ssh."""
        vm = self._find_vm()
        if vm.vminfo is None:
            raise Fails("instance has no VM")
        ports = [
            rule.host_port
            for rule in vm.vminfo.port_forwarding or []
            if rule.guest_port == SSH and rule.protocol == "tcp"
        ]
        if not ports:
            raise Fails("no tcp port leads to ssh")
        return Machine(machine.id, f"{self._node(vm.node_id).ip_address}:{ports[-1]}", machine.text)

    def _node(self, node_id: str) -> SimpleNamespace:
        nodes = self.ask("node", many(NODE), node_id=node_id)
        if not nodes:
            raise Fails(f"no node {node_id}")
        return nodes[0]  # type: ignore[no-any-return]

    def _find_vm(self) -> SimpleNamespace:
        """Return the VM with the external id of the job, if it is in a state that can be used."""
        items = self.ask("list", many(ITEM)) or []
        if any(item.vm is None for item in items):
            raise Crashes("panic: nil pointer dereference: vm")
        for item in items:
            if item.vm.external_id == self.settings["external_id"] and item.vm.instance_state in ALIVE:
                item.vm.instance_id = item.instance_id
                return item.vm  # type: ignore[no-any-return]
        raise Fails("no instance of this job is of use")

    def look(self, machine: Machine) -> str:
        """Look for the VM again, as each step of a job does."""
        try:
            return self.run(machine).address
        except (Fails, Undecodable) as error:
            return str(error)

    def end(self, machine: Machine) -> None:
        """Do the stage ``cleanup``: terminate the VM if it is in a state that can be used."""
        self.ask("terminate", pointer(string), id=self._find_vm().instance_id)
