"""The TeamCity plugin 1.10.0 (controller-facts D2): the SDK of Jenkins, other budgets, its own by external_id."""

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
        """A thread behind it asks for the status meanwhile. That it does so once, and bears what comes, is a guess."""
        until = self.now + time
        while self.status_due <= until:
            if self.status_due > self.now:
                self.anka.clock.advance(self.status_due - self.now)
            self.status_due += STATUS_POLL
            try:
                self.send("status")
            except Lost as why:
                self.log.append(f"status: {why}")
        if until > self.now:
            self.anka.clock.advance(until - self.now)

    def pause_before(self, attempt: int) -> float:
        return float(min(2 ** (attempt - 1), 32))

    def refused(self, reply: Reply) -> Exception:
        return Fails(f"HTTP {reply.status}: {reply.text}")

    def configure(self) -> list[str]:
        """The page for the profile's settings: no groups are asked for under a basic licence."""
        status = self.body_of("status").inner("body")
        if status.text("status").lower() != "running":
            raise Fails("the controller is not running")
        self.templates()
        names: list[str] = []
        if status.text("license") != "basic":
            try:
                for each in self.body_of("groups").array("body"):
                    group = JavaObject(each, "group")
                    names.append(group.text("name"))
                    group.text("description")
            except Undecodable:
                self.log.append("groups read so far are all it shows")
        return names

    def find(self, id: str) -> Instance:
        """Its own are those with the profile's id inside; it does not expect one to be missing."""
        mine = [each for each in self.list_all().values() if each.external_id == self.settings["external_id"]]
        for each in mine:
            if each.id == id:
                return each
        raise Crashes("NullPointerException: the instance is not in the list")

    def start(self) -> Machine:
        id = self.post_start()
        self.listed = None
        self._wait(id, ("Scheduling",), SCHEDULING_LIMIT)
        self._wait(id, ("Pulling",), PULLING_LIMIT)
        # Since 1.50 a pull is followed by Scheduling, which falls into this budget (controller-facts D2).
        self._wait(id, ("Scheduling", "Pulling"), BOOTING_LIMIT)
        asked = self.now
        for _ in self.every(POLL):
            found = self.find(id)
            if found.info and found.info.ip:
                return Machine(id, self._address(found))
            if self.since(asked) > IP_LIMIT:
                self._give_up(id, "the VM has no address")
        raise AssertionError

    def _wait(self, id: str, states: tuple[str, ...], limit: float) -> None:
        """Until it has left these states; what is in none of those that lead to Started is ended."""
        asked = self.now
        for _ in self.every(POLL):
            found = self.find(id)
            if found.state not in FINE:
                self._give_up(id, f"{found.state}: {found.message}")
            if found.state not in states:
                return
            if self.since(asked) > limit:
                self._give_up(id, f"{found.state} for more than {limit:.0f} s")

    def _give_up(self, id: str, why: str) -> None:
        self.terminate(id)
        raise Fails(why)

    def _address(self, found: Instance) -> str:
        assert found.info is not None
        for guest, host in found.info.ports:
            if guest == SSH:
                return f"{found.info.host_ip}:{host}"
        raise Fails("no port leads to ssh")

    def look(self, machine: Machine) -> str:
        """The list of every five seconds; an instance in Error is ended."""
        self.listed = None
        found = self.find(machine.id)
        if found.state == "Error":
            self.terminate(machine.id)
        return found.state

    def end(self, machine: Machine) -> None:
        self.terminate(machine.id)
