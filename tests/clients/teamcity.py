"""The TeamCity plugin 1.10.0 (controller-facts D2).

It has the SDK of Jenkins, other time limits, and finds its instances by external_id.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from tests.clients import sdk
from tests.clients.decoding import JavaObject
from tests.clients.engine import JSON, Call, Crashes, Fails, Lost, Machine, Reply, Undecodable
from tests.clients.sdk import SSH, Instance, Sdk

POLL = 4.0
STATUS_POLL = timedelta(seconds=5)
SCHEDULING_LIMIT, PULLING_LIMIT, BOOTING_LIMIT, IP_LIMIT = 3600.0, 6 * 3600.0, 120.0, 120.0
FINE = ("Scheduling", "Pulling", "Started")


class TeamCity(Sdk):
    """The plugin: its profile settings and its agents."""

    TRIES = 7
    READS_EXTERNAL_ID = True
    DEFAULTS: ClassVar = {"external_id": "PROFILE-1", "job_limit": 12 * 3600}
    CALLS: ClassVar = {
        **sdk.CALLS,
        "start": Call(
            "POST",
            "/api/v1/vm",
            JSON,
            {
                "vmid": "<vmid>",
                "tag": "<tag?>",
                "name_template": "$ts",
                "group_id": "<group_id?>",
                "priority": "<priority?>",
                "external_id": "<external_id>",
                "vcpu": "<vcpu?>",
                "vram": "<vram?>",
            },
        ),
    }

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.status_due = self.began + STATUS_POLL

    def pass_time(self, time: timedelta) -> None:
        """Advance the clock while a thread polls the status.

        That the thread sends each poll once, and ignores errors, is a guess.
        """
        until = self.now + time
        while self.status_due <= until:
            if self.status_due > self.now:
                self.anka.clock.advance(self.status_due - self.now)
            self.status_due += STATUS_POLL
            try:
                self.send("status")
            except Lost as error:
                self.log.append(f"status: {error}")
        if until > self.now:
            self.anka.clock.advance(until - self.now)

    def pause_before(self, attempt: int) -> float:
        """Return the seconds before the attempt of that number: they double up to 32."""
        return float(min(2 ** (attempt - 1), 32))

    def refused(self, reply: Reply) -> Exception:
        """Return the error for a status from 400 on: it has the whole answer."""
        return Fails(f"HTTP {reply.status}: {reply.text}")

    def configure(self) -> list[str]:
        """Send the requests of the page with the profile's settings: groups are not read with a basic licence."""
        status = self.body_of("status").inner("body")
        if status.text("status").lower() != "running":
            raise Fails("the controller is not running")
        self.templates()
        names: list[str] = []
        if status.text("license") != "basic":
            try:
                for item in self.body_of("groups").array("body"):
                    group = JavaObject(item, "group")
                    names.append(group.text("name"))
                    group.text("description")
            except Undecodable:
                self.log.append("groups read so far are all it shows")
        return names

    def find(self, id: str) -> Instance:
        """Return an instance among those with the profile's external id; a missing one crashes the plugin."""
        for instance in self.list_all().values():
            if instance.external_id == self.settings["external_id"] and instance.id == id:
                return instance
        raise Crashes("NullPointerException: the instance is not in the list")

    def start(self) -> Machine:
        """Start an instance, and wait for its address, with a limit for each state."""
        id = self.post_start()
        self.listed = None
        self._wait(id, ("Scheduling",), SCHEDULING_LIMIT)
        self._wait(id, ("Pulling",), PULLING_LIMIT)
        # Since 1.50 a pull is followed by Scheduling, which counts for this limit (controller-facts D2).
        self._wait(id, ("Scheduling", "Pulling"), BOOTING_LIMIT)
        started_at = self.now
        for _ in self.every(POLL):
            instance = self.find(id)
            if instance.info and instance.info.ip:
                return Machine(id, self._address(instance))
            if self.since(started_at) > IP_LIMIT:
                self._give_up(id, "the VM has no address")
        raise AssertionError

    def _wait(self, id: str, states: tuple[str, ...], limit: float) -> None:
        """Wait until the instance has left these states; one that cannot become Started is terminated."""
        began = self.now
        for _ in self.every(POLL):
            instance = self.find(id)
            if instance.state not in FINE:
                self._give_up(id, f"{instance.state}: {instance.message}")
            if instance.state not in states:
                return
            if self.since(began) > limit:
                self._give_up(id, f"{instance.state} for more than {limit:.0f} s")

    def _give_up(self, id: str, reason: str) -> None:
        self.terminate(id)
        raise Fails(reason)

    def _address(self, instance: Instance) -> str:
        assert instance.info is not None
        for guest, host in instance.info.ports:
            if guest == SSH:
                return f"{instance.info.host_ip}:{host}"
        raise Fails("no port leads to ssh")

    def look(self, machine: Machine) -> str:
        """Do what the poll of every five seconds does: an instance in Error is terminated."""
        self.listed = None
        instance = self.find(machine.id)
        if instance.state == "Error":
            self.terminate(machine.id)
        return instance.state

    def end(self, machine: Machine) -> None:
        """Terminate the instance."""
        self.terminate(machine.id)
