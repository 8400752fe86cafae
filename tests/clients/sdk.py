"""The Java SDK that the Jenkins and TeamCity plugins each carry a copy of (controller-facts D1, D2)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from tests.clients.decoding import JavaObject
from tests.clients.engine import JSON, Call, Client, Crashes, Fails, Lost, Refused, Reply, Undecodable

NO_NAME = "*** N/A ***"
SSH = 22
CACHE = 7.0
"""Seconds that the list of instances is kept."""

CALLS = {
    "status": Call("GET", "/api/v1/status", timeout=5.0),
    "templates": Call("GET", "/api/v1/registry/vm"),
    "template": Call("GET", "/api/v1/registry/vm?id=<vmid>"),
    "groups": Call("GET", "/api/v1/group"),
    "images": Call("GET", "/api/v1/image"),
    "nodes": Call("GET", "/api/v1/node"),
    "list": Call("GET", "/api/v1/vm"),
    "terminate": Call("DELETE", "/api/v1/vm", JSON, {"id": "<id>"}),
}


@dataclass(frozen=True)
class Info:
    """``vminfo``."""

    uuid: str
    status: str
    name: str
    ip: str
    host_ip: str
    ports: tuple[tuple[int, int], ...]
    """Port of the guest, port of the node."""


@dataclass(frozen=True)
class Instance:
    """An item of the list."""

    id: str
    state: str
    message: str
    external_id: str | None
    info: Info | None

    @property
    def ended(self) -> bool:
        return self.state in ("Terminating", "Terminated")


def decode_info(given: JavaObject) -> Info:
    ports = [JavaObject(each, "port rule") for each in given.opt("port_forwarding", [])]
    return Info(
        uuid=given.text("uuid"),
        status=given.text("status"),
        name=given.opt("name", NO_NAME),
        ip=given.opt("ip", ""),
        host_ip=given.opt("host_ip", ""),
        ports=tuple((each.whole("guest_port"), each.whole("host_port")) for each in ports),
    )


def decode_item(given: JavaObject, with_external_id: bool) -> Instance:
    """One item; whatever is wrong with it is wrong with the whole list."""
    vm = given.inner("vm")
    vm.text("vmid")
    vm.text("cr_time")
    return Instance(
        id=given.text("instance_id"),
        state=vm.text("instance_state"),
        message=vm.text("message") if vm.has("message") else "",
        external_id=vm.text("external_id") if with_external_id and vm.has("external_id") else None,
        info=decode_info(vm.inner("vminfo")) if vm.has("vminfo") else None,
    )


class Sdk(Client):
    """Requests with the SDK's retries, the cached list, and the start that falls back to the latest tag."""

    TIMEOUT = 30.0
    CHARSET = "latin-1"
    TRIES: ClassVar[int]
    READS_EXTERNAL_ID: ClassVar[bool]
    listed: tuple[datetime, dict[str, Instance]] | None = None

    def pause_before(self, attempt: int) -> float:
        """Seconds between two tries."""
        return 0.0

    def refused(self, reply: Reply) -> Exception:
        """What a status from 400 on becomes."""
        raise NotImplementedError

    def ask(self, name: str, **values: Any) -> JavaObject:
        """Sent again on whatever goes wrong but a refused connection and a status from 400 on, even if it acts."""
        wrong: Exception = Fails("")
        for attempt in range(self.TRIES):
            if attempt:
                self.sleep(self.pause_before(attempt))
            try:
                reply = self.send(name, **values)
                if reply.status >= 400:
                    raise self.refused(reply)
                if reply.status != 200:
                    raise Crashes(f"NullPointerException: HTTP {reply.status} is no answer")
                answer = JavaObject(reply.json())
                answer.text("status")
                return answer
            except Refused as why:
                raise Fails(str(why)) from why
            except (Lost, Undecodable) as why:
                wrong = why
        raise Fails(f"{self.TRIES} tries: {wrong}") from wrong

    def body_of(self, name: str, **values: Any) -> JavaObject:
        """The whole answer, if it is OK."""
        answer = self.ask(name, **values)
        if answer.text("status") != "OK":
            raise Fails(answer.text("message"))
        return answer

    def post_start(self) -> str:
        """The new instance's id. A tag that is not there is left out, if the refusal came with HTTP 200."""
        answer = self.ask("start")
        if answer.text("status") != "OK":
            message, tag = answer.text("message"), self.settings.get("tag")
            if tag is None or message != f"No such tag {tag}":
                raise Fails(message)
            self.log.append(f"tag {tag} is not there, starting the latest")
            answer = self.ask("start", tag=None)
            if answer.text("status") != "OK":
                raise Fails(answer.text("message"))
        return str(answer.array("body")[0])

    def list_all(self, fresh: bool = False) -> dict[str, Instance]:
        """All instances by id, out of the cache if that is young."""
        if fresh or self.listed is None or self.since(self.listed[0]) > CACHE:
            items = [JavaObject(each, "item") for each in self.body_of("list").array("body")]
            found = [decode_item(each, self.READS_EXTERNAL_ID) for each in items]
            self.listed = (self.now, {each.id: each for each in found})
        return self.listed[1]

    def terminate(self, id: str) -> None:
        answer = self.ask("terminate", id=id)
        if answer.text("status") != "OK":
            raise Fails(f"Failed to terminate VM instance: {answer.text('message')}")

    def templates(self) -> list[str]:
        items = self.body_of("templates").array("body")
        return [JavaObject(each, "template").text("id") for each in items]

    def tags(self) -> list[str]:
        """Of the template, oldest first."""
        found = self.body_of("template").inner("body").array("versions")
        return [JavaObject(each, "version").text("tag") for each in found]

    def capacity(self) -> int:
        """The slots of active nodes; those that count resources count half."""
        total = 0
        for each in self.body_of("nodes").array("body"):
            node = JavaObject(each, "node")
            if str(node.opt("state", "")).lower() == "active":
                slots = int(node.opt("capacity", 0))
                total += slots // 2 if node.opt("capacity_mode") == "resource" else slots
        return total
