"""drone-runner-aws, which Harness runs too (controller-facts D6): Basic always, ``disk: {}``, the first port rule."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.clients.decoding import Decoder, boolean, envelope, integer, many, pointer, real, string, struct, time
from tests.clients.engine import JSON, Call, Client, Crashes, Fails, Lost, Machine, Undecodable

POLL = 5.0
PAUSES = (5.0, 10.0)
"""Between three tries of everything."""
HEADERS = {**JSON, "Authorization": "Basic cm9vdDo="}
"""``root:`` without a token: it is always sent."""

VM = struct(
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


class Drone(Client):
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
        """Above 299 it fails; below, the envelope is decoded and its status is not looked at."""
        try:
            reply = self.send(name, **values)
        except Lost as why:
            raise Fails(str(why)) from why
        if reply.status > 299:
            raise Fails(f"client error {reply.status}: {reply.text}")
        return envelope(body)(reply.json()).body

    def ping(self) -> bool:
        """Its health check."""
        found = self.ask("status", STATUS)
        return bool(found.license and found.registry_address) and found.status == "Running"

    def start(self) -> Machine:
        wrong = Fails("")
        for pause in (None, *PAUSES):
            if pause is not None:
                self.sleep(pause)
            try:
                return self._attempt()
            except Fails as why:
                wrong = why
        raise wrong

    def _attempt(self) -> Machine:
        ids = self.ask("start", many(string))
        if not ids:
            raise Crashes("panic: index out of range [0] with length 0")
        for _ in self.every(POLL):
            try:
                found = self.ask("show", VM, id=ids[0])
            except (Fails, Undecodable) as why:  # asked again for ever
                self.log.append(str(why))
                continue
            if found.instance_state not in ("Scheduling", "Pulling"):
                break
        if found.instance_state != "Started":
            self.end(Machine(ids[0]))
            raise Fails(f"{found.instance_state}: {found.message}")
        ports = found.vminfo.port_forwarding
        if not ports:
            raise Fails("no port forwarding")
        return Machine(ids[0], f"{found.vminfo.host_ip}:{ports[0].host_port}")

    def end(self, machine: Machine) -> None:
        """Any 2xx is good."""
        try:
            reply = self.send("terminate", id=machine.id)
        except Lost as why:
            raise Fails(str(why)) from why
        if reply.status > 299:
            raise Fails(f"client error {reply.status}: {reply.text}")
