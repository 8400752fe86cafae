"""The TeamCity plugin 1.10.0 (controller-facts D2).

It has the SDK of Jenkins, other time limits, and counts its instances by external_id.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar, NoReturn

from tests.clients import sdk
from tests.clients.decoding import JavaObject
from tests.clients.engine import JSON, Call, Crashes, Fails, Lost, Machine, Reply, Undecodable
from tests.clients.sdk import SSH, Info, Instance, NotOk, Sdk

POLL = 4.0
STATUS_POLL = timedelta(seconds=5)
SCHEDULING_LIMIT, PULLING_LIMIT, IP_LIMIT = 3600.0, 6 * 3600.0, 120.0
BOOTING_LOOKS = 30
"""Number of times that it looks for Started after Pulling, every POLL seconds: 120 s."""
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

    def list_all(self, fresh: bool = False) -> dict[str, Instance]:
        """Return all instances by id, from the cache if it is young, or if the list cannot be had.

        A list with FAIL and HTTP status 200, or one with a bad item, is an error that its authors did not expect.
        """
        try:
            return super().list_all(fresh)
        except NotOk as error:
            raise Crashes("NullPointerException: the list has no body") from error
        except Fails as error:
            self.log.append(f"list: {error}")
            return self.listed[1] if self.listed is not None else {}

    def count(self) -> int:
        """Return the number of instances of the profile; only here does external_id matter."""
        instances = self.list_all(fresh=True).values()
        return sum(instance.external_id == self.settings["external_id"] for instance in instances)

    def find(self, id: str) -> Instance:
        """Return an instance of the whole list; a missing one crashes the plugin."""
        instance = self.list_all().get(id)
        if instance is None:
            raise Crashes("NullPointerException: the instance is not in the list")
        return instance

    def start(self) -> Machine:
        """Start an instance, and wait for its address, with a limit for each state."""
        id = self.post_start()
        self.list_all(fresh=True)
        instance = self._wait(id, "Scheduling", SCHEDULING_LIMIT)
        if instance.state not in FINE:
            self._give_up(id, f"{instance.state}: {instance.message}")
        self._wait(id, "Pulling", PULLING_LIMIT)
        self._wait_for_boot(id)
        started_at = self.now
        for _ in self.every(POLL):
            instance = self.find(id)
            if instance.info and instance.info.ip:
                return Machine(id, self._address(instance.info))
            if self.since(started_at) > IP_LIMIT:
                self._give_up(id, "the VM has no address")
        raise AssertionError

    def _wait(self, id: str, state: str, limit: float) -> Instance:
        """Return the instance once it has left the state; it is terminated after a limit."""
        began = self.now
        for _ in self.every(POLL):
            instance = self.find(id)
            if instance.state != state:
                return instance
            if self.since(began) > limit:
                self._give_up(id, f"{state} for more than {limit:.0f} s")
        raise AssertionError

    def _wait_for_boot(self, id: str) -> None:
        """Wait for Started. Every other state counts as booting: that of a failure, and Scheduling after a pull."""
        for _ in range(BOOTING_LOOKS):
            if (instance := self.find(id)).state == "Started":
                return
            self.sleep(POLL)
        self._give_up(id, f"not booted within {BOOTING_LOOKS * POLL:.0f} s: {instance.state}")

    def _give_up(self, id: str, reason: str) -> NoReturn:
        self.terminate(id)
        raise Fails(reason)

    @staticmethod
    def _address(info: Info) -> str:
        """Return the node's address and the port that leads to ssh, or port 0 if none does."""
        return f"{info.host_ip}:{next((host for guest, host in info.ports if guest == SSH), 0)}"

    def terminate(self, id: str) -> None:
        """Terminate an instance if it is in the list."""
        if id in self.list_all(fresh=True):
            super().terminate(id)

    def look(self, machine: Machine) -> str:
        """Return the state, as the poll of every five seconds sees it; it terminates nothing."""
        self.list_all(fresh=True)
        return self.find(machine.id).state

    def end(self, machine: Machine) -> None:
        """Terminate the instance."""
        self.terminate(machine.id)
