"""The Jenkins plugin, anka-build 3.2.0 (controller-facts D1).

It polls the list of instances, and terminates those in an unexpected state.
"""

from __future__ import annotations

import base64
from typing import ClassVar

from tests.clients import sdk
from tests.clients.decoding import JavaObject
from tests.clients.engine import JSON, Call, Crashes, Fails, Machine, Reply, Undecodable
from tests.clients.sdk import SSH, Instance, NotOk, Sdk

POLL = 5.0
MISSES = 10
"""Number of polls in a row that an instance may be missing from the list."""
SCHEDULING_LIMIT = 1800.0
IMAGE_POLL, IMAGE_LIMIT = 20.0, 120 * 60.0
FINE = ("Started", "Scheduling", "Pulling", "Pushing")


class Jenkins(Sdk):
    """The plugin: its cloud settings, its agents and its saving of images."""

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
        """Return the error for a status from 400 on: the message is not read."""
        return Fails({401: "not authenticated", 403: "not authorized"}.get(reply.status, f"HTTP {reply.status}"))

    def configure(self) -> list[str]:
        """Send the requests of the page with the cloud's settings, and return the tags of the template."""
        self.body_of("status").inner("body")
        self.templates()
        for group in self.body_of("groups").array("body"):
            for key in ("id", "name", "description"):
                JavaObject(group, "group").text(key)
        try:
            self.body_of("images").array("body")
        except Fails:
            self.log.append("saving images is not supported")
        return self.tags()

    def start(self) -> Machine:
        """Start an instance, and poll the list until it has an address.

        A list with FAIL and HTTP status 200 is a miss. A status from 400 on ends the waiting, and not the instance.
        """
        try:
            self.capacity()
        except (Fails, Undecodable):
            self.log.append("capacity is taken as 1")
        id, created, missed = self.post_start(), self.now, 0
        for _ in self.every(POLL):
            instance = self._find(id)
            if instance is None:
                missed += 1
                if missed == MISSES:
                    self._give_up(id, "the instance is not there")
                continue
            missed = 0
            if instance.state == "Scheduling" and self.since(created) > SCHEDULING_LIMIT:
                self._give_up(id, f"Scheduling for more than {SCHEDULING_LIMIT:.0f} s")
            if instance.state == "Error" or instance.ended:
                self._give_up(id, f"{instance.state}: {instance.message}", instance)
            if instance.state == "Started" and instance.info and instance.info.host_ip:
                return Machine(id, self._address(id, instance))
            if instance.state not in ("Scheduling", "Pulling", "Started"):
                # It does not sleep here, so only the age of its cache lets time pass (controller-facts C2).
                self.log.append(f"spins in {instance.state}")
                self.sleep(sdk.CACHE - POLL)
        raise AssertionError

    def _find(self, id: str) -> Instance | None:
        """Return the instance, or None. One that is missing from the cached list is looked for in a new one."""
        try:
            return self.list_all().get(id) or self.list_all(fresh=True).get(id)
        except NotOk as error:
            self.log.append(f"not found: {error}")
            return None

    def _give_up(self, id: str, reason: str, instance: Instance | None = None) -> None:
        if instance is None or not instance.ended:
            self.terminate(id)
        raise Fails(reason)

    def _address(self, id: str, instance: Instance) -> str:
        """Return the node's address with the port that leads to ssh, or the VM's own address without such a rule."""
        for _ in range(6):
            assert instance.info is not None
            for guest, host in instance.info.ports:
                if guest == SSH:
                    return f"{instance.info.host_ip}:{host}"
            if instance.info.ip:
                return f"{instance.info.ip}:{SSH}"
            self.sleep(10)
            instance = self.list_all(fresh=True)[id]
        raise Fails("the VM has no address")

    def job_starts(self, machine: Machine) -> None:
        """Report the job to the controller; a failure is only logged."""
        try:
            self.body_of("update", id=machine.id)
        except Fails as error:
            self.log.append(str(error))

    def look(self, machine: Machine) -> str:
        """Do what the monitor does every ten minutes: terminate an instance in an unexpected state.

        After an error while reading the list the instance counts as alive.
        """
        try:
            instance = self.list_all(fresh=True).get(machine.id)
        except (Fails, Crashes, Undecodable):
            return "alive"
        if instance is not None and instance.state in FINE:
            return "alive"
        self.end(machine)
        return f"ended: {instance.state if instance else 'gone'}"

    def end(self, machine: Machine) -> None:
        """Terminate the instance unless it is terminating already."""
        self.sleep(3)
        instance = self.list_all(fresh=True).get(machine.id)
        if instance is not None and not instance.ended:
            self.terminate(machine.id)

    def save_image(self, machine: Machine, new_tag: str, delete_latest: bool = False) -> str:
        """Save the instance as a new tag, and return the last known status. An error while polling means pending.

        The DELETE that follows is refused, since a saved instance is gone; that is only logged.
        """
        tags = self.tags() if delete_latest else []
        revert = {"revert": True, "revert_tag": tags[-1]} if len(tags) > 1 else {}
        request = self.body_of("save", id=machine.id, new_tag=new_tag, suspend=False, **revert).inner("body")
        requested_at, status = self.now, "pending"
        while status == "pending" and self.since(requested_at) < IMAGE_LIMIT:
            self.sleep(IMAGE_POLL)
            try:
                status = self.body_of("saved", request_id=request.text("request_id")).inner("body").text("status")
            except (Fails, Undecodable) as error:
                self.log.append(str(error))
        if status == "done":
            try:
                self.terminate(machine.id)
            except Fails as error:
                self.log.append(str(error))
        return status


class NewerJenkins(Jenkins):
    """A version of the plugin after 3.2.0: it reports the job's name and its address in one request."""

    DEFAULTS: ClassVar = {**Jenkins.DEFAULTS, "job_url": "https://jenkins.example/job/app/7/"}
    CALLS: ClassVar = {
        **Jenkins.CALLS,
        "update": Call(
            "PUT",
            "/api/v1/vm?id=<id>",
            JSON,
            {"metadata": {"jenkins-job-id": "<job>", "jenkins-job-url": "<job_url>"}},
        ),
    }
