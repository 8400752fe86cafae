"""The fork of gitlab-runner (controller-facts D4): HTTP statuses are ignored, and a failed start is terminated."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar

from tests.clients.decoding import Decoder, boolean, envelope, integer, many, pointer, real, string, struct, time
from tests.clients.engine import JSON, Call, Fails, Lost, Machine, Undecodable
from tests.clients.golang import GoClient, SentRequest

POLL = 2.0
TRIES = 7
START_LIMIT, IP_LIMIT = 90 * 60.0, 5 * 60.0
SPIN = 0.1
"""Seconds that a poll takes (a guess), in states where the client has no pause between polls."""
SSH = 22

VM = struct(
    instance_id=string,
    instance_state=string,
    message=string,
    anka_registry=string,
    vmid=string,
    tag=string,
    node_id=string,
    inflight_reqid=string,
    ts=time,
    cr_time=time,
    progress=real,
    vminfo=pointer(
        struct(
            uuid=string,
            name=string,
            status=string,
            image_id=string,
            node_id=string,
            host_ip=string,
            ip=string,
            vnc_port=integer,
            vnc_connection_string=string,
            cpu_cores=integer,
            ram=string,
            port_forwarding=many(struct(guest_port=integer, host_port=integer, protocol=string)),
        )
    ),
)
GROUP = struct(id=pointer(string), name=pointer(string))
NODE = struct(node_id=string, node_name=string, ip_address=string, state=string, drain_mode=boolean)


class GitlabRunner(GoClient):
    """The runner: it waits for a Started instance, then for its address."""

    TIMEOUT = 5.0
    DEFAULTS: ClassVar = {
        "name": "Anka Gitlab Runner Name: runner-1",
        "external_id": "https://gitlab.example/group/app/-/jobs/7",
    }
    CALLS: ClassVar = {
        "groups": Call("GET", "/api/v1/group", JSON),
        "start": Call(
            "POST",
            "/api/v1/vm",
            JSON,
            {
                "vmid": "<vmid>",
                "tag": "<tag?>",
                "node_id": "<node_id?>",
                "priority": "<priority?>",
                "group_id": "<group_id?>",
                "name": "<name>",
                "external_id": "<external_id>",
            },
        ),
        "show": Call("GET", "/api/v1/vm?id=<id>", JSON),
        "node": Call("GET", "/api/v1/node?id=<node_id>", JSON),
        "terminate": Call("DELETE", "/api/v1/vm", JSON, {"id": "<id>"}),
    }

    def ask(self, name: str, body: Decoder, **values: Any) -> Any:
        """Send a request, and decode the body. When the transport fails it tries again, after growing pauses."""
        request = SentRequest(self, name, values)
        for attempt in range(1, TRIES + 1):
            try:
                reply = request.send()
                break
            except Lost as error:
                if attempt == TRIES:
                    raise Fails(str(error)) from error
                self.sleep(10.0 * attempt)
        answer = envelope(body)(reply.json())
        if answer.status != "OK":
            raise Fails(answer.message)
        return answer.body

    def group_id(self, id_or_name: str) -> str:
        """Return the id of the group with that id or name; a text that names no group is returned unchanged."""
        for group in self.ask("groups", many(GROUP)) or []:
            if group.id is None or group.name is None:
                raise Fails("a group without id or name")
            if id_or_name in (group.id, group.name):
                return str(group.id)
        return id_or_name

    def start(self) -> Machine:
        """Start an instance, and wait for its address; after a failure it is terminated."""
        if "group" in self.settings:
            self.settings["group_id"] = self.group_id(self.settings["group"])
        ids = self.ask("start", many(string)) or []
        if len(ids) != 1:
            raise Fails(f"{len(ids)} instances, where 1 was asked for")
        try:
            return self._wait(ids[0])
        except (Fails, Undecodable):
            self.end(Machine(ids[0]))
            raise

    def _wait(self, id: str) -> Machine:
        vm = self._wait_for_started(id)
        node = self.ask("node", many(NODE), node_id=vm.vminfo.node_id)[0]
        vm = self.ask("show", VM, id=id)
        started_at = self.now
        while not vm.vminfo.ip:
            if self.since(started_at) > IP_LIMIT:
                raise Fails("the VM has no address")
            self.sleep(POLL)
            vm = self.ask("show", VM, id=id)
        if not vm.vminfo.host_ip:
            raise Fails("Unable to determine SSH Host!")
        for rule in vm.vminfo.port_forwarding or []:
            if rule.guest_port == SSH:
                return Machine(id, f"{vm.vminfo.host_ip}:{rule.host_port}", node.node_name)
        raise Fails("no port leads to ssh")

    def _wait_for_started(self, id: str) -> SimpleNamespace:
        requested_at = self.now
        while True:
            vm: SimpleNamespace = self.ask("show", VM, id=id)
            if vm.instance_state == "Started":
                return vm
            if vm.instance_state in ("Terminated", "Error"):
                raise Fails(f"Instance State changed to {vm.instance_state}")
            if vm.instance_state in ("Stopping", "Stopped", "Terminating"):
                raise Fails(f"unexpected state {vm.instance_state}")
            if vm.instance_state not in ("Pulling", "Scheduling"):
                self.log.append(f"spins in {vm.instance_state}")
                self.sleep(SPIN)
                continue
            if self.since(requested_at) > START_LIMIT:
                raise Fails(f"not Started within {START_LIMIT:.0f} s")
            self.sleep(POLL)

    def end(self, machine: Machine) -> None:
        """Terminate the instance."""
        self.ask("terminate", pointer(string), id=machine.id)
