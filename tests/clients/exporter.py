"""The exporter anka-prometheus-exporter 4.1.0 (controller-facts D7): it reads everything, into unsigned integers."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, ClassVar

from tests.clients.decoding import Decoder, envelope, many, pointer, real, string, struct, unsigned
from tests.clients.engine import Call, Crashes, Fails, Lost, Undecodable
from tests.clients.golang import GoClient

INTERVAL, PAUSE = 15.0, 10.0
"""Seconds from a request of a loop to its next one, and after one that has failed."""
TAGS_AGE = 60.0
"""Seconds after which the tags of a template are read again."""
AUTHENTICATION_REQUIRED = "Authentication Required"
STATES = ("Active", "Offline", "Inactive (Invalid License)", "Updating", "Drain Mode", "")
"""The node states that it has labels for; Unhealthy is not among them."""

GROUP = struct(id=string, name=string, description=string, fallback_group_id=string)
NODE = struct(
    node_id=string,
    node_name=string,
    cpu_count=unsigned,
    ram=unsigned,
    vm_count=unsigned,
    vcpu_count=unsigned,
    vram=unsigned,
    cpu_util=real,
    ram_util=real,
    ip_address=string,
    state=string,
    capacity=unsigned,
    groups=many(GROUP),
    capacity_mode=string,
    vcpu_override=unsigned,
    ram_override=unsigned,
    disk_size=unsigned,
    free_disk_space=unsigned,
    anka_disk_usage=unsigned,
    host_arch=string,
)
ITEM = struct(
    instance_id=string,
    external_id=string,
    vm=struct(
        instance_state=string,
        vmid=string,
        group_id=string,
        node_id=string,
        arch=string,
        cr_time=string,
        ts=string,
        progress=real,
        vminfo=pointer(struct(name=string, ip=string, status=string)),
    ),
)
DISK = struct(total=unsigned, free=unsigned)
TEMPLATE = struct(id=string, name=string, size=unsigned, arch=string)
VERSIONS = struct(id=string, name=string, versions=many(struct(number=unsigned, tag=string, size=unsigned)))
STATUS = struct(status=string, version=string, registry_address=string, registry_status=string, license=string)


class Exporter(GoClient):
    """The exporter: five loops that do not depend on each other, and the sizes and tags of templates it has read."""

    CALLS: ClassVar = {
        "status": Call("GET", "/api/v1/status"),
        "nodes": Call("GET", "/api/v1/node"),
        "list": Call("GET", "/api/v1/vm"),
        "disk": Call("GET", "/api/v1/registry/disk"),
        "templates": Call("GET", "/api/v1/registry/vm"),
        "template": Call("GET", "/api/v1/registry/vm?id=<vmid>"),
    }
    BODIES: ClassVar[dict[str, Decoder]] = {
        "nodes": many(NODE),
        "list": many(ITEM),
        "disk": DISK,
        "templates": many(TEMPLATE),
        "status": STATUS,
    }
    """The loops, by their requests."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.sizes: dict[str, int] = {}
        self.tags: dict[str, list[str]] = {}
        self.tags_read: dict[str, datetime] = {}

    def ask(self, name: str, body: Decoder, **values: Any) -> Any:
        """Send a request, and decode the body. The HTTP status is not looked at."""
        answer = envelope(body)(self.send(name, **values).json())
        if answer.status != "OK":
            raise Fails(answer.message)
        return answer.body

    def connect(self) -> None:
        """Do the test at the exporter's start. With an API key it expects a refusal first, and crashes without one."""
        if not self.settings.get("api_key"):
            self.ask("status", STATUS)
            return
        try:
            self.ask("status", STATUS)
        except Fails as error:
            if str(error) != AUTHENTICATION_REQUIRED:
                raise
            return
        raise Crashes("panic: nil pointer dereference: there was no error to read")

    def scrape(self) -> dict[str, Any]:
        """Do one round of each loop, and return the bodies."""
        return {name: self.read(name) for name in self.BODIES}

    def read(self, name: str) -> Any:
        """Do one round of a loop, and return the body."""
        body = self.ask(name, self.BODIES[name])
        if name == "nodes" and not all(node.host_arch for node in body or []):
            raise Crashes("panic: assignment to entry in nil map")
        for template in (body or []) if name == "templates" else []:
            if self._tags_are_old(template):
                versions = self.ask("template", VERSIONS, vmid=template.id).versions
                self.sizes[template.id] = template.size
                self.tags[template.id] = [version.tag for version in versions]
                self.tags_read[template.id] = self.now
        return body

    def _tags_are_old(self, template: SimpleNamespace) -> bool:
        """Return whether the tags of a template are to be read: its size has changed, none are known, or it is time."""
        if self.sizes.get(template.id) != template.size or not self.tags.get(template.id):
            return True
        return self.since(self.tags_read[template.id]) >= TAGS_AGE

    def watch(self, seconds: float) -> None:
        """Run the loops for some time. A loop that fails writes that to the log, and pauses alone."""
        due = dict.fromkeys(self.BODIES, self.now)
        end = self.now + timedelta(seconds=seconds)
        while (name := min(due, key=lambda loop: due[loop])) and due[name] < end:
            if due[name] > self.now:
                self.sleep((due[name] - self.now).total_seconds())
            try:
                self.read(name)
                pause = INTERVAL
            except (Fails, Lost, Undecodable) as error:
                self.log.append(f"{name}: {error}")
                pause = PAUSE
            due[name] = self.now + timedelta(seconds=pause)

    @staticmethod
    def states(bodies: dict[str, Any]) -> dict[str, int]:
        """Return the number of nodes by state, as the gauges show them."""
        return {state: sum(node.state == state for node in bodies["nodes"]) for state in STATES}
