"""Each lifecycle fault as a client sees it by polling. Each request is a second later than the one before."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import pytest

import mockanka
from mockanka.core.faults import LIFECYCLE_FAULTS, NODE_OVERRIDES
from mockanka.testing.anka import Anka
from tests.server.http_client import (
    STATUS,
    VM,
    send_request,
    start_instance,
)

SCENARIO: dict[str, Any] = {
    "controller": {"release": "1.50.1"},
    "timings": {"pull_bandwidth": "8Gbit/s", "push_bandwidth": "8Gbit/s"},
    "templates": [
        {
            "name": "mac",
            "port_forwarding": [{"name": "ssh", "guest_port": 22}],
            "versions": [{"tag": "base", "size": "10GB"}],
        }
    ],
    "nodes": [{"name": "alpha", "capacity": 1}],
}
"""A pull takes 10 s; the rest is as by default: 1 s to be queued, 20 s to boot, 5 s to terminate."""
ECHO = "ZWNobw=="
Phases = list[tuple[str, int]]
BOOTED = [("Scheduling", 20)]
PULLED = [("Pulling", 10), *BOOTED]


class Client:
    """A client that speaks only HTTP, so that each of its requests moves the clock by a second."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.rule = ""

    def ask(self, method: str, target: str, body: object = None) -> Any:
        """Return the JSON of a response of the controller."""
        return send_request(self.url, method, f"/api/v1/{target}", body).json

    def add_fault(self, event: str, do: dict[str, object], **match: str) -> None:
        """Add a lifecycle fault."""
        response = send_request(self.url, "POST", "/_mock/faults", {"match": {"event": event, **match}, "do": do})
        assert 201 == response.status, response
        self.rule = response.json["id"]

    def remove_fault(self) -> None:
        """Remove the fault that was added last."""
        assert 200 == send_request(self.url, "DELETE", f"/_mock/faults/{self.rule}").status

    def start(self, **fields: object) -> str:
        """Start an instance, and return its id."""
        (id,) = self.ask("POST", "vm", {"vmid": self.template, **fields})["body"]
        return str(id)

    @cached_property
    def template(self) -> str:
        return str(self.ask("GET", "registry/vm")["body"][0]["id"])

    def poll(self, id: str) -> dict[str, Any]:
        """Return the instance as it is shown; one that is not found has the message as its state."""
        answer = self.ask("GET", f"vm?id={id}")
        instance: dict[str, Any] = answer.get("body") or {"instance_state": answer["message"]}
        return instance

    def phases(self, id: str, polls: int) -> Phases:
        """Return the states that so many polls show, each with how many polls in a row show it."""
        phases: Phases = []
        for _ in range(polls):
            state = self.poll(id)["instance_state"]
            if phases and phases[-1][0] == state:
                phases[-1] = (state, phases[-1][1] + 1)
            else:
                phases.append((state, 1))
        return phases

    def message(self, id: str) -> str:
        return str(self.poll(id)["message"])

    def start_and_wait(self, **fields: object) -> str:
        """Start an instance, poll until it is Started, and return its id."""
        id = self.start(**fields)
        assert [*PULLED, ("Started", 1)] == self.phases(id, 31)
        return id

    def node(self) -> dict[str, Any]:
        """Return the node as it is shown."""
        node: dict[str, Any] = self.ask("GET", "node")["body"][0]
        return node


@pytest.fixture
def client() -> Iterator[Client]:
    with mockanka.serve(SCENARIO, clock="step", step="1s", seed=2) as anka:
        yield Client(anka.url)


Case = Callable[[Client], None]
CASES: dict[tuple[str, str], Case] = {}


def covers(event: str, kind: str) -> Callable[[Case], Case]:
    """Make a function the test of a kind of fault at an event."""

    def register(case: Case) -> Case:
        CASES[event, kind] = case
        return case

    return register


@pytest.mark.parametrize(
    ("event", "kind"), [(event, kind) for event, kinds in LIFECYCLE_FAULTS.items() for kind in kinds]
)
def test_a_client_that_polls_sees_a_lifecycle_fault(client: Client, event: str, kind: str) -> None:
    """Each kind of fault at each event shows in what a client gets."""
    CASES[event, kind](client)


def test_an_instance_without_a_fault_starts(client: Client) -> None:
    """The case to compare the others with: it pulls for 10 s, boots for 20 s, and is Started."""
    id = client.start()

    assert [*PULLED, ("Started", 9)] == client.phases(id, 39)
    assert {"ip", "host_ip", "port_forwarding"} <= {key for key, value in client.poll(id)["vminfo"].items() if value}


def test_every_kind_of_lifecycle_fault_has_a_case() -> None:
    """CASES has every kind of fault at every event, and no others."""
    assert {(event, kind) for event, kinds in LIFECYCLE_FAULTS.items() for kind in kinds} == set(CASES)


def listed_instances(client: Client) -> list[str]:
    return [item["instance_id"] for item in client.ask("GET", "vm")["body"]]


@covers("schedule", "fail")
def scheduling_fails(client: Client) -> None:
    client.add_fault("schedule", {"fail": "no luck"})
    id = client.start()

    assert [("Error", 5)] == client.phases(id, 5)
    assert "no luck" == client.message(id)


@covers("schedule", "stall")
def scheduling_stalls(client: Client) -> None:
    client.add_fault("schedule", {"stall": True, "for": "20s"}, external_id="slow")
    client.add_fault("schedule", {"stall": True}, external_id="never")
    never = client.start(external_id="never")
    slow = client.start(external_id="slow")

    assert [("Scheduling", 20), *PULLED, ("Started", 1)] == client.phases(slow, 51)
    assert [("Scheduling", 9)] == client.phases(never, 9)
    client.ask("DELETE", "vm", {"id": slow})
    client.phases(slow, 6)
    client.remove_fault()
    assert [("Scheduling", 20), ("Started", 1)] == client.phases(never, 21)


@covers("schedule", "vanish")
def an_instance_vanishes_while_it_is_scheduled(client: Client) -> None:
    client.add_fault("schedule", {"vanish": True, "after": "15s"})
    id = client.start()

    assert [("Pulling", 10), ("Scheduling", 4), ("Not found", 6)] == client.phases(id, 20)
    assert [] == listed_instances(client)


@covers("schedule", "end")
def another_instance_is_ended_while_one_waits(client: Client) -> None:
    client.add_fault("schedule", {"end": "first", "after": "5s"}, name="second")
    first = client.start_and_wait(name="first")
    second = client.start(name="second")

    assert [("Scheduling", 29), ("Started", 1)] == client.phases(second, 30)
    assert "Terminated" == client.poll(first)["instance_state"]


@covers("started", "end")
def somebody_else_ends_an_instance(client: Client) -> None:
    client.add_fault("started", {"end": True, "after": "5s"})
    id = client.start_and_wait()

    assert [("Started", 4), ("Terminating", 5), ("Terminated", 1)] == client.phases(id, 10)


@covers("begin", "end")
def an_instance_is_ended_by_its_external_id(client: Client) -> None:
    id = client.start_and_wait(external_id="job")
    client.add_fault("begin", {"end": "job", "after": "5s"})

    assert [("Started", 4), ("Terminating", 5), ("Terminated", 1)] == client.phases(id, 10)


@covers("begin", "restart")
def the_controller_is_upgraded(client: Client) -> None:
    id = client.start_and_wait()
    client.add_fault("begin", {"restart": {"for": "3s", "release": "1.51.2"}})
    for _ in range(2):
        with pytest.raises(http.client.RemoteDisconnected):
            client.poll(id)

    assert "Started" == client.poll(id)["instance_state"]
    assert client.ask("GET", "status")["body"]["version"].startswith("1.51.2")


@covers("pull", "fail")
def a_pull_fails(client: Client) -> None:
    client.add_fault("pull", {"fail": "no space left on device", "at": "40%", "final": True})
    id = client.start()

    assert [("Pulling", 4), ("Error", 3)] == client.phases(id, 7)
    assert "no space left on device" == client.message(id)
    assert 0 == client.node()["vm_count"]


@covers("pull", "stall")
def a_pull_stalls(client: Client) -> None:
    client.add_fault("pull", {"stall": True, "at": "50%"})
    id = client.start()

    assert [("Pulling", 100)] == client.phases(id, 100)
    assert 0.5 == client.poll(id)["progress"]
    client.remove_fault()
    assert [("Pulling", 4), *BOOTED, ("Started", 1)] == client.phases(id, 25)


@covers("pull", "bandwidth")
def a_pull_is_slow(client: Client) -> None:
    client.add_fault("pull", {"bandwidth": "4Gbit/s"})

    assert [("Pulling", 20), *BOOTED, ("Started", 1)] == client.phases(client.start(), 41)


@covers("pull", "node")
def a_node_goes_offline_in_the_middle_of_a_pull(client: Client) -> None:
    client.add_fault("pull", {"node": "offline", "at": "50%", "lost_instances": "error"})
    id = client.start()
    phases = client.phases(id, 140)

    assert ["Pulling", "Error"] == [state for state, _ in phases]
    assert 115 <= phases[0][1] <= 126
    assert ("node alpha is offline", "Offline") == (client.message(id), client.node()["state"])


@covers("pull", "registry")
def the_registry_goes_down_in_the_middle_of_a_pull(client: Client) -> None:
    client.add_fault("pull", {"registry": "down", "at": "50%", "for": "20s"})
    first = client.start()

    assert [("Pulling", 5), ("Scheduling", 1)] == client.phases(first, 6)
    client.remove_fault()
    statuses = [client.ask("POST", "vm", {"vmid": client.template})["status"] for _ in range(18)]
    assert ["FAIL"] * 18 == statuses
    assert [("Scheduling", 1), *PULLED, ("Started", 1)] == client.phases(first, 32)


@covers("pull", "vanish")
def an_instance_vanishes_while_it_pulls(client: Client) -> None:
    client.add_fault("pull", {"vanish": True, "after": "3s", "for": "4s"})

    phases = client.phases(client.start(), 31)
    assert [("Pulling", 3), ("Not found", 4), ("Pulling", 3), *BOOTED, ("Started", 1)] == phases


@covers("start", "fail")
def a_start_fails(client: Client) -> None:
    client.add_fault("start", {"fail": "VM would not boot", "at": "50%", "final": True})
    id = client.start()

    assert [("Pulling", 10), ("Scheduling", 10), ("Error", 1)] == client.phases(id, 21)
    assert "VM would not boot" == client.message(id)


@covers("start", "stall")
def a_start_stalls(client: Client) -> None:
    client.add_fault("start", {"stall": True, "for": "7s"}, external_id="slow")

    assert [("Pulling", 10), ("Scheduling", 27), ("Started", 1)] == client.phases(client.start(external_id="slow"), 38)


@covers("start", "without")
def a_vm_comes_up_without_an_address(client: Client) -> None:
    client.add_fault("start", {"without": ["ip", "host_ip", "port_forwarding"], "for": "5s"})
    id = client.start_and_wait()
    vms = [client.poll(id)["vminfo"] for _ in range(6)]
    shown = [(bool(vm["ip"]), bool(vm["host_ip"]), bool(vm.get("port_forwarding"))) for vm in vms]

    assert [(False,) * 3] * 4 + [(True,) * 3] * 2 == shown
    assert {"running"} == {vm["status"] for vm in vms}


@covers("start", "node")
def a_node_is_away_while_a_vm_boots(client: Client) -> None:
    client.add_fault("start", {"node": "offline", "at": "50%", "for": "30s"})

    assert [("Pulling", 10), ("Scheduling", 40), ("Started", 1)] == client.phases(client.start(), 51)


@covers("start", "vanish")
def an_instance_vanishes_while_it_boots(client: Client) -> None:
    client.add_fault("start", {"vanish": True, "after": "3s"})
    id = client.start()

    assert [("Pulling", 10), ("Scheduling", 3), ("Not found", 1)] == client.phases(id, 14)
    assert [] == listed_instances(client)


@covers("script", "exit")
def a_script_fails(client: Client) -> None:
    client.add_fault("script", {"exit": 3, "stdout": "out", "stderr": "boom"})
    id = client.start(startup_script=ECHO, script_monitoring=True)
    client.phases(id, 40)
    instance = client.poll(id)

    assert ("Error", "startup script exit code 3") == (instance["instance_state"], instance["message"])
    assert {"return_code": 3, "did_timeout": False, "stdout": "out", "stderr": "boom"} == instance["startup_script"]


@covers("script", "timeout")
def a_script_takes_too_long(client: Client) -> None:
    client.add_fault("script", {"timeout": True, "stdout": "so far"})
    id = client.start(startup_script=ECHO, script_monitoring=True, script_timeout=30)

    assert [("Pulling", 10), ("Scheduling", 50), ("Error", 1)] == client.phases(id, 61)
    assert {"return_code": -1, "did_timeout": True, "stdout": "so far", "stderr": ""} == client.poll(id)[
        "startup_script"
    ]


@covers("started", "fail")
def a_started_vm_fails(client: Client) -> None:
    client.add_fault("started", {"fail": "VM crashed", "after": "5s"})
    id = client.start_and_wait()

    assert [("Started", 4), ("Error", 1)] == client.phases(id, 5)
    assert "VM crashed" == client.message(id)


@covers("started", "stop")
def a_started_vm_stops(client: Client) -> None:
    client.add_fault("started", {"stop": True, "after": "5s"})
    id = client.start_and_wait()

    assert [("Started", 4), ("Stopping", 5), ("Stopped", 1)] == client.phases(id, 10)


@covers("started", "node")
def a_node_drains_once_a_vm_is_started(client: Client) -> None:
    client.add_fault("started", {"node": "drain", "after": "5s", "for": "20s"})
    id = client.start_and_wait()
    states = [client.node()["state"] for _ in range(26)]

    assert ["Active"] * 4 + ["Drain Mode"] * 20 + ["Active"] * 2 == states
    assert [("Started", 1)] == client.phases(id, 1)


@covers("started", "vanish")
def a_started_vm_vanishes(client: Client) -> None:
    client.add_fault("started", {"vanish": True, "after": "5s"})
    id = client.start_and_wait()

    assert [("Started", 4), ("Not found", 1)] == client.phases(id, 5)
    assert {"status": "FAIL", "message": "Not found"} == client.ask("DELETE", "vm", {"id": id})


@covers("terminate", "ignore")
def a_terminate_is_ignored(client: Client) -> None:
    client.add_fault("terminate", {"ignore": True})
    id = client.start_and_wait()

    assert {"status": "OK", "message": ""} == client.ask("DELETE", "vm", {"id": id})
    assert [("Started", 20)] == client.phases(id, 20)


def test_a_terminate_is_ignored_as_often_as_the_rule_says(anka: Anka) -> None:
    """Two DELETEs get OK and change nothing; the third terminates."""
    anka.faults.add(match={"event": "terminate"}, do={"ignore": True}, times=2)
    id = start_instance(anka.url).json["body"][0]
    anka.wait(id)
    results = []
    for _ in range(3):
        response = send_request(anka.url, "DELETE", VM, {"id": id})
        anka.clock.advance("1s")
        state = send_request(anka.url, target=f"{VM}?id={id}").json["body"]["instance_state"]
        results.append((response.json["status"], state))

    assert [("OK", "Started"), ("OK", "Started"), ("OK", "Terminating")] == results


@covers("terminate", "stall")
def a_terminate_stalls(client: Client) -> None:
    client.add_fault("terminate", {"stall": True, "for": "10s"})
    id = client.start_and_wait()
    client.ask("DELETE", "vm", {"id": id})

    assert [("Terminating", 14), ("Terminated", 60), ("Not found", 1)] == client.phases(id, 75)


def save(client: Client, id: str) -> str:
    """Save an instance as an image, and return the id of the request."""
    return str(
        client.ask("POST", "image", {"id": id, "target_vm_id": client.template, "tag": "mine"})["body"]["request_id"]
    )


@covers("save_image", "fail")
def a_push_fails(client: Client) -> None:
    client.add_fault("save_image", {"fail": "connection reset by peer", "at": "50%"})
    id = client.start_and_wait()
    saved = save(client, id)
    phases = client.phases(id, 20)
    (request,) = [request for request in client.ask("GET", "image")["body"] if request["id"] == saved]

    assert ["Pushing", "Started"] == [state for state, _ in phases]
    assert ("error", "connection reset by peer") == (request["status"], request["error"]["Message"])


@covers("save_image", "stall")
def a_push_stalls(client: Client) -> None:
    client.add_fault("save_image", {"stall": True})
    id = client.start_and_wait()
    saved = save(client, id)

    assert [("Pushing", 100)] == client.phases(id, 100)
    assert "pending" == client.ask("GET", f"image?id={saved}")["body"]["status"]
    client.remove_fault()
    assert [("Pushing", 1), ("Not found", 1)] == [(state, 1) for state, _ in client.phases(id, 10)]
    assert "done" == client.ask("GET", f"image?id={saved}")["body"]["status"]


def distribute(client: Client) -> Callable[[], tuple[bool, float]]:
    """Distribute the template; return a function that gives the status and the progress of the delivery."""
    id = client.ask("POST", "registry/vm/distribute", {"template_id": client.template})["body"]["request_id"]

    def delivery() -> tuple[bool, float]:
        (status,) = client.ask("GET", f"registry/vm/distribute?id={id}")["body"]["distribute_status"].values()
        return status["status"], status["progress"]

    return delivery


@covers("distribute", "fail")
def a_distribution_fails(client: Client) -> None:
    client.add_fault("distribute", {"fail": "disk", "at": "40%"})
    delivery = distribute(client)

    assert [(False, 0), (False, 0.1), (False, 0.2), (False, 0.3)] + [(False, 0.4)] * 16 == [
        delivery() for _ in range(20)
    ]


@covers("distribute", "stall")
def a_distribution_stalls(client: Client) -> None:
    client.add_fault("distribute", {"stall": True, "at": "50%", "for": "10s"})
    delivery = distribute(client)

    assert [0, 0.1, 0.2, 0.3, 0.4, *[0.5] * 11, 0.6, 0.7, 0.8, 0.9, 1] == [delivery()[1] for _ in range(21)]
    assert (True, 1) == delivery()


@covers("distribute", "bandwidth")
def a_distribution_is_slow(client: Client) -> None:
    client.add_fault("distribute", {"bandwidth": "4Gbit/s"})
    delivery = distribute(client)

    assert [number / 20 for number in range(21)] == [delivery()[1] for _ in range(21)]


@covers("begin", "node")
def a_node_is_full_from_the_beginning(client: Client) -> None:
    client.add_fault("begin", {"node": "full", "after": "2s", "for": "40s"}, node="alpha")
    client.node()
    client.node()

    assert [("Scheduling", 37), *PULLED, ("Started", 1)] == client.phases(client.start(), 68)


@pytest.mark.parametrize(
    ("override", "state"),
    [
        ("updating", "Updating"),
        ("unlicensed", "Inactive (Invalid License)"),
        ("unhealthy", "Unhealthy"),
        ("drain", "Drain Mode"),
        ("full", "Active"),
        ("registry-unreachable", "Active"),
    ],
)
def test_a_client_sees_the_forced_state_of_a_node(client: Client, override: str, state: str) -> None:
    """The node shows the state while it lasts; an instance that is started waits, and then starts like any other."""
    client.add_fault("begin", {"node": override, "for": "20s"}, node="alpha")
    id = client.start()
    shown = client.node()["state"]

    assert state == shown
    assert "Scheduling" == client.phases(id, 1)[0][0]
    later = client.phases(id, 60)
    names = [name for name, _ in later]

    assert (["Scheduling", "Pulling", "Scheduling", "Started"], "Active") == (names, client.node()["state"])


@pytest.mark.parametrize("override", [*NODE_OVERRIDES[1:]])
def test_a_client_sees_a_node_come_online_by_a_rule(client: Client, override: str) -> None:
    """Online ends a forced state without an end: the instance that waited starts."""
    client.add_fault("begin", {"node": override})
    client.add_fault("begin", {"node": "online", "after": "20s"})
    id = client.start()
    phases = client.phases(id, 60)

    assert ["Scheduling", "Pulling", "Scheduling", "Started"] == [name for name, _ in phases]
    assert 15 < phases[0][1] < 22
    assert "Active" == client.node()["state"]


@covers("begin", "registry")
def the_registry_is_full_from_the_beginning(client: Client) -> None:
    client.add_fault("begin", {"registry": "full"})
    id = client.start_and_wait()
    saved = save(client, id)
    client.phases(id, 10)
    request = client.ask("GET", f"image?id={saved}")["body"]

    assert ("error", "no space left on the registry") == (request["status"], request["error"]["Message"])


@covers("begin", "license")
def the_license_expires(client: Client) -> None:
    client.add_fault("begin", {"license": "expired", "after": "2s", "for": "40s"})
    client.node()
    client.node()

    assert "Inactive (Invalid License)" == client.node()["state"]
    assert ["Scheduling", "Pulling", "Scheduling", "Started"] == [
        state for state, _ in client.phases(client.start(), 68)
    ]
    assert "Active" == client.node()["state"]


def test_the_status_says_that_the_registry_is_down(anka: Anka) -> None:
    """The status shows FAIL while the registry is down, and Running afterwards."""
    anka.faults.add(match={"event": "begin"}, do={"registry": "down", "for": "1m"})
    down = send_request(anka.url, target=STATUS).json["body"]["registry_status"]
    anka.clock.advance("2m")

    assert ["FAIL", "Running"] == [down, send_request(anka.url, target=STATUS).json["body"]["registry_status"]]


def test_a_poll_counts_if_the_controller_has_answered_it(client: Client) -> None:
    """One that a response fault answers in its place does not count; one whose response is replaced does."""
    client.add_fault("started", {"stop": True, "after_polls": 2})
    id = client.start()
    client.phases(id, 30)
    for do in ({"status": 503, "body": "{}"}, {"body": "{}"}):
        send_request(client.url, "POST", "/_mock/faults", {"do": do, "times": 1})
        client.ask("GET", f"vm?id={id}")

    assert ["Started", "Stopping"] == [client.poll(id)["instance_state"] for _ in range(2)]
