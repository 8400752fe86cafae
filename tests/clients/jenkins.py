"""The Jenkins plugin, anka-build 3.2.0 (controller-facts D1): polls the list, ends what is not as it should be."""

from __future__ import annotations

import base64
from typing import ClassVar

from tests.clients import sdk
from tests.clients.decoding import JavaObject
from tests.clients.engine import JSON, Call, Crashes, Fails, Machine, Reply, Undecodable
from tests.clients.sdk import SSH, Instance, Sdk

POLL = 5.0
MISSES = 10
"""Times in a row that an instance may be missing from the list."""
SCHEDULING_LIMIT = 1800.0
IMAGE_POLL, IMAGE_LIMIT = 20.0, 120 * 60.0
FINE = ("Started", "Scheduling", "Pulling", "Pushing")


class Jenkins(Sdk):
    TRIES = 10
    READS_EXTERNAL_ID = False
    DEFAULTS: ClassVar = {"name": "anka-1", "external_id": "https://jenkins.example/computer/anka-1", "job": "app #7"}
    CALLS: ClassVar = {
        **sdk.CALLS,
        "start": Call(
            "POST",
            "/api/v1/vm",
            JSON,
            {
                "vmid": "<vmid>",
                "tag": "<tag?>",
                "name_template": "$template_name-$node_name-$ts",
                "startup_script": "<startup_script?>",
                "group_id": "<group_id?>",
                "priority": "<priority?>",
                "name": "<name>",
                "external_id": "<external_id>",
                "vcpu": "<vcpu?>",
                "vram": "<vram?>",
            },
        ),
        "update": Call("PUT", "/api/v1/vm?id=<id>", JSON, {"metadata": {"jenkins-job-id": "<job>"}}),
        "save": Call(
            "POST",
            "/api/v1/image",
            JSON,
            {
                "id": "<id>",
                "target_vm_id": "<vmid>",
                "tag": "<new_tag>",
                "description": "saved by Jenkins",
                "suspend": "<suspend>",
                "script": base64.b64encode(b"sync && sleep 60").decode(),
                "revert_before_push": "<revert?>",
                "revert_tag": "<revert_tag?>",
                "do_suspend_sanity_test": True,
            },
        ),
        "saved": Call("GET", "/api/v1/image?id=<request_id>"),
    }

    def refused(self, reply: Reply) -> Exception:
        return Fails({401: "not authenticated", 403: "not authorized"}.get(reply.status, f"HTTP {reply.status}"))

    def configure(self) -> list[str]:
        """What the page for the cloud's settings asks for; the tags of the template."""
        self.body_of("status").inner("body")
        self.templates()
        for each in self.body_of("groups").array("body"):
            for key in ("id", "name", "description"):
                JavaObject(each, "group").text(key)
        try:
            self.body_of("images").array("body")
        except Fails:
            self.log.append("saving images is not supported")
        return self.tags()

    def start(self) -> Machine:
        try:
            self.capacity()
        except (Fails, Undecodable):
            self.log.append("capacity is taken as 1")
        id, created, missed = self.post_start(), self.now, 0
        for _ in self.every(POLL):
            found = self.list_all().get(id) or self.list_all(fresh=True).get(id)
            if found is None:
                missed += 1
                if missed == MISSES:
                    self._give_up(id, "the instance is not there")
                continue
            missed = 0
            if found.state == "Scheduling" and self.since(created) > SCHEDULING_LIMIT:
                self._give_up(id, f"Scheduling for more than {SCHEDULING_LIMIT:.0f} s")
            if found.state == "Error" or found.ended:
                self._give_up(id, f"{found.state}: {found.message}", found)
            if found.state == "Started" and found.info and found.info.host_ip:
                return Machine(id, self._address(id, found))
            if found.state not in ("Scheduling", "Pulling", "Started"):
                # It does not sleep here, so only the age of its cache lets time pass (controller-facts C2).
                self.log.append(f"spins in {found.state}")
                self.sleep(sdk.CACHE - POLL)
        raise AssertionError

    def _give_up(self, id: str, why: str, found: Instance | None = None) -> None:
        if found is None or not found.ended:
            self.terminate(id)
        raise Fails(why)

    def _address(self, id: str, found: Instance) -> str:
        """The node's port that leads to ssh, or without such a rule the VM itself."""
        for _ in range(6):
            assert found.info is not None
            for guest, host in found.info.ports:
                if guest == SSH:
                    return f"{found.info.host_ip}:{host}"
            if found.info.ip:
                return f"{found.info.ip}:{SSH}"
            self.sleep(10)
            found = self.list_all(fresh=True)[id]
        raise Fails("the VM has no address")

    def job_starts(self, machine: Machine) -> None:
        """Tells the controller which job it is; that this fails is only logged."""
        try:
            self.body_of("update", id=machine.id)
        except Fails as why:
            self.log.append(str(why))

    def look(self, machine: Machine) -> str:
        """The monitor of every ten minutes: ends what is in no state to be used; what it cannot see is alive."""
        try:
            found = self.list_all(fresh=True).get(machine.id)
        except (Fails, Crashes, Undecodable):
            return "alive"
        if found is not None and found.state in FINE:
            return "alive"
        self.end(machine)
        return f"ended: {found.state if found else 'gone'}"

    def end(self, machine: Machine) -> None:
        self.sleep(3)
        found = self.list_all(fresh=True).get(machine.id)
        if found is not None and not found.ended:
            self.terminate(machine.id)

    def save_image(self, machine: Machine, new_tag: str, delete_latest: bool = False) -> str:
        """What became of it. An error while asking counts as pending."""
        tags = self.tags() if delete_latest else []
        revert = {"revert": True, "revert_tag": tags[-1]} if len(tags) > 1 else {}
        made = self.body_of("save", id=machine.id, new_tag=new_tag, suspend=False, **revert).inner("body")
        asked, status = self.now, "pending"
        while status == "pending" and self.since(asked) < IMAGE_LIMIT:
            self.sleep(IMAGE_POLL)
            try:
                status = self.body_of("saved", request_id=made.text("request_id")).inner("body").text("status")
            except (Fails, Undecodable) as why:
                self.log.append(str(why))
        return status
