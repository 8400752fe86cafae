"""The Java SDK of which the Jenkins and TeamCity plugins each have a copy (controller-facts D1, D2)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from tests.clients.decoding import JavaObject
from tests.clients.engine import JSON, Call, Client, Crashes, Fails, Lost, Refused, Reply, Undecodable

NO_NAME = "*** N/A ***"
SSH = 22
CACHE = 7.0
"""Seconds that the list of instances is cached."""

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
    """The part ``vminfo`` of an instance."""

    uuid: str
    status: str
    name: str
    ip: str
    host_ip: str
    ports: tuple[tuple[int, int], ...]
    """Pairs of a port of the guest and the port of the node."""


@dataclass(frozen=True)
class Instance:
    """An item of the list of instances."""

    id: str
    state: str
    message: str
    external_id: str | None
    info: Info | None

    @property
    def ended(self) -> bool:
        """True if it is terminating or terminated."""
        return self.state in ("Terminating", "Terminated")


def decode_info(info: JavaObject) -> Info:
    """Decode ``vminfo``."""
    rules = [JavaObject(rule, "port rule") for rule in info.opt("port_forwarding", [])]
    return Info(
        uuid=info.text("uuid"),
        status=info.text("status"),
        name=info.opt("name", NO_NAME),
        ip=info.opt("ip", ""),
        host_ip=info.opt("host_ip", ""),
        ports=tuple((rule.whole("guest_port"), rule.whole("host_port")) for rule in rules),
    )


def decode_item(item: JavaObject, with_external_id: bool) -> Instance:
    """Decode an item; an error in it is an error of the whole list."""
    vm = item.inner("vm")
    vm.text("vmid")
    vm.text("cr_time")
    return Instance(
        id=item.text("instance_id"),
        state=vm.text("instance_state"),
        message=vm.text("message") if vm.has("message") else "",
        external_id=vm.text("external_id") if with_external_id and vm.has("external_id") else None,
        info=decode_info(vm.inner("vminfo")) if vm.has("vminfo") else None,
    )


class NotOk(Fails):
    """An answer with a status other than OK in its envelope, and with an HTTP status of success."""


class Sdk(Client):
    """The SDK's retries, its cached list of instances, and its start that falls back to the latest tag.

    Each request has an Apache HttpClient 4 of its own, which repeats a GET that has no response.
    """

    GET_REPEATS = 3
    TIMEOUT = 30.0
    CHARSET = "latin-1"
    TRIES: ClassVar[int]
    READS_EXTERNAL_ID: ClassVar[bool]
    listed: tuple[datetime, dict[str, Instance]] | None = None

    def pause_before(self, attempt: int) -> float:
        """Return the seconds before the attempt of that number."""
        return 0.0

    def refused(self, reply: Reply) -> Exception:
        """Return the error for a status from 400 on."""
        raise NotImplementedError

    def ask(self, name: str, **values: Any) -> JavaObject:
        """Send a request, again after every error but a refused connection or a status from 400 on.

        A request that has an effect is sent again too.
        """
        last_error: Exception = Fails("")
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
            except Refused as error:
                raise Fails(str(error)) from error
            except (Lost, Undecodable) as error:
                last_error = error
        raise Fails(f"{self.TRIES} tries: {last_error}") from last_error

    def body_of(self, name: str, **values: Any) -> JavaObject:
        """Return the whole answer if it is OK; raises NotOk if it is not, with whatever HTTP status below 400."""
        answer = self.ask(name, **values)
        if answer.text("status") != "OK":
            raise NotOk(answer.text("message"))
        return answer

    def post_start(self) -> str:
        """Start an instance and return its id. An unknown tag is left out, if the refusal comes with HTTP 200."""
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
        """Return all instances by id, from the cache if it is young."""
        if fresh or self.listed is None or self.since(self.listed[0]) >= CACHE:
            self.listed = (self.now, self.decode_list(self.body_of("list")))
        return self.listed[1]

    def decode_list(self, answer: JavaObject) -> dict[str, Instance]:
        """Return the instances of a list by id."""
        items = [JavaObject(item, "item") for item in answer.array("body")]
        instances = [decode_item(item, self.READS_EXTERNAL_ID) for item in items]
        return {instance.id: instance for instance in instances}

    def terminate(self, id: str) -> None:
        """Terminate an instance."""
        answer = self.ask("terminate", id=id)
        if answer.text("status") != "OK":
            raise Fails(f"Failed to terminate VM instance: {answer.text('message')}")

    def templates(self) -> list[str]:
        """Return the ids of all templates."""
        items = self.body_of("templates").array("body")
        return [JavaObject(template, "template").text("id") for template in items]

    def tags(self) -> list[str]:
        """Return the tags of the template, oldest first."""
        versions = self.body_of("template").inner("body").array("versions")
        return [JavaObject(version, "version").text("tag") for version in versions]

    def capacity(self) -> int:
        """Return the number of slots of active nodes; nodes that count resources count half."""
        total = 0
        for item in self.body_of("nodes").array("body"):
            node = JavaObject(item, "node")
            if str(node.opt("state", "")).lower() == "active":
                slots = int(node.opt("capacity", 0))
                total += slots // 2 if node.opt("capacity_mode") == "resource" else slots
        return total
