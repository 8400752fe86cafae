"""The exporter anka-prometheus-exporter 4.1.0 (controller-facts D7): it reads everything, into unsigned integers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from tests.clients.decoding import Decoder, envelope, many, pointer, real, string, struct, unsigned
from tests.clients.engine import Call, Client, Crashes, Fails

INTERVAL = 15.0
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


class Exporter(Client):
    """The exporter, with the sizes and tags of templates that it has read so far."""

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
    }

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.sizes: dict[str, int] = {}
        self.tags: dict[str, list[str]] = {}

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
        """Read everything once; the tags of a template are read when its size has changed."""
        bodies = {name: self.ask(name, body) for name, body in self.BODIES.items()}
        for template in bodies["templates"] or []:
            if self.sizes.get(template.id) != template.size:
                self.sizes[template.id] = template.size
                versions = self.ask("template", VERSIONS, vmid=template.id).versions
                self.tags[template.id] = [version.tag for version in versions]
        bodies["status"] = self.ask("status", STATUS)
        return bodies

    def watch(self) -> Iterator[dict[str, Any]]:
        """Scrape again and again, every INTERVAL seconds."""
        for _ in self.every(INTERVAL):
            yield self.scrape()

    @staticmethod
    def states(bodies: dict[str, Any]) -> dict[str, int]:
        """Return the number of nodes by state, as the gauges show them."""
        return {state: sum(node.state == state for node in bodies["nodes"]) for state in STATES}
