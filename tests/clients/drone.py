"""The runner drone-runner-aws, which Harness runs too (controller-facts D6).

It always sends Basic authentication and ``disk: {}``, uses the first port rule, and knows its instance by the id that
the instance tells of itself.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar

from tests.clients.decoding import Decoder, boolean, envelope, integer, many, pointer, real, string, struct, time
from tests.clients.engine import JSON, Call, Crashes, Fails, Lost, Machine, Undecodable
from tests.clients.golang import GoClient

POLL = 5.0
PAUSES = (5.0, 10.0)
"""Seconds before a second and a third attempt, if the request of the attempt before has failed."""
HEADERS = {**JSON, "Authorization": "Basic cm9vdDo="}
"""The user ``root`` without a token; the header is always sent."""

VM = struct(
    instance_id=string,
    instance_state=string,
    message=string,
    anka_registry=string,
    vmid=string,
    tag=string,
    node_id=string,
    ts=time,
    cr_time=time,
    progress=real,
    arch=string,
    vlan=string,
    vminfo=struct(
        uuid=string,
        name=string,
        status=string,
        cpu_cores=integer,
        ram=string,
        node_id=string,
        host_ip=string,
        ip=string,
        vnc_port=integer,
        creation_date=time,
        stop_date=time,
        port_forwarding=many(struct(guest_port=integer, host_port=integer, protocol=string, rule_name=string)),
    ),
    startup_script=pointer(struct(return_code=integer, did_timeout=boolean, stdout=string, stderr=string)),
)
STATUS = struct(status=string, version=string, registry_address=string, registry_status=string, license=string)


class Drone(GoClient):
    """The runner: it starts anew up to three times, and terminates what failed."""

    DEFAULTS: ClassVar = {"name": "drone-1", "startup_script": "ZWNobyByZWFkeQ==", "disk": {}}
    CALLS: ClassVar = {
        "status": Call("GET", "/api/v1/status", HEADERS),
        "start": Call(
            "POST",
            "/api/v1/vm",
            HEADERS,
            {
                "name": "<name>",
                "startup_script": "<startup_script>",
                "script_monitoring": True,
                "script_timeout": 200,
                "script_fail_handler": 2,
                "vmid": "<vmid>",
                "tag": "<tag?>",
                "disk": "<disk>",
                "node_id": "<node_id?>",
                "group_id": "<group_id?>",
            },
        ),
        "show": Call("GET", "/api/v1/vm?id=<id>", HEADERS),
        "terminate": Call("DELETE", "/api/v1/vm", HEADERS, {"id": "<id>"}),
    }

    def ask(self, name: str, body: Decoder, **values: Any) -> Any:
        """Send a request, and decode the body. Fails above HTTP 299; the status in the envelope is not looked at."""
        try:
            reply = self.send(name, **values)
        except Lost as error:
            raise Fails(str(error)) from error
        if reply.status > 299:
            raise Fails(f"client error {reply.status}: {reply.text}")
        return envelope(body)(reply.json()).body

    def ping(self) -> bool:
        """Return whether the health check passes."""
        status = self.ask("status", STATUS)
        return bool(status.license and status.registry_address) and status.status == "Running"

    def start(self) -> Machine:
        """Start an instance, with three attempts; the pauses are between those whose request has failed."""
        for pause in (*PAUSES, None):
            try:
                ids = self.ask("start", many(string))
            except Fails:
                if pause is None:
                    raise
                self.sleep(pause)
                continue
            if not ids:
                raise Crashes("panic: index out of range [0] with length 0")
            vm = self._wait(ids[0])
            if vm.instance_state == "Started":
                return self._machine(vm)
            self.end(Machine(vm.instance_id))
            if pause is None:
                raise Fails(f"{vm.instance_state}: {vm.message}")
        raise AssertionError

    def _wait(self, id: str) -> SimpleNamespace:
        """Return the instance once it is neither Scheduling nor Pulling. A failed poll is repeated without end."""
        while True:
            self.sleep(POLL)
            try:
                vm: SimpleNamespace = self.ask("show", VM, id=id)
            except (Fails, Undecodable) as error:
                self.log.append(str(error))
                continue
            if vm.instance_state not in ("Scheduling", "Pulling"):
                return vm

    @staticmethod
    def _machine(vm: SimpleNamespace) -> Machine:
        """Return the machine with the first port rule; without rules the instance is left alone."""
        ports = vm.vminfo.port_forwarding
        if not ports:
            raise Fails("no port forwarding")
        return Machine(vm.instance_id, f"{vm.vminfo.host_ip}:{ports[0].host_port}")

    def end(self, machine: Machine) -> None:
        """Terminate the instance; any 2xx is a success."""
        try:
            reply = self.send("terminate", id=machine.id)
        except Lost as error:
            raise Fails(str(error)) from error
        if reply.status > 299:
            raise Fails(f"client error {reply.status}: {reply.text}")
