"""Behaviour of clients after failures of the controller, beyond their retries (controller-facts D1 to D8)."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from mockanka import Anka
from tests.clients.clients import BEFORE_1_24, STARTERS, Outcome, at, by_release, outcome_of
from tests.clients.drone import Drone
from tests.clients.engine import Machine
from tests.clients.gitlab_executor import GitlabExecutor
from tests.clients.gitlab_runner import GitlabRunner
from tests.clients.jenkins import Jenkins, NewerJenkins
from tests.clients.teamcity import TeamCity
from tests.clients.test_situations import extended_default
from tests.clients.test_times import gaps

CACHED, COLD = "14.5-arm64", "13.6-arm64"
VM = "/api/v1/vm"
LIST: dict[str, Any] = {"method": "GET", "path": VM}
BROKEN: dict[str, dict[str, Any]] = {
    "503": {"status": 503},
    "reset": {"connection": "reset"},
    "FAIL": {"fail": "database is locked"},
}
"""Responses to a poll that are no instance."""
NULL_POINTER = Outcome("crashes", "NullPointerException: the instance is not in the list")


def client_of(client: type[Any], anka: Anka, template: str = CACHED, **settings: Any) -> Any:
    """Return a client that starts a template."""
    return client(anka, vmid=anka.templates[template].id, **settings)


def state_of_started(anka: Anka) -> str:
    """Return the state of the instance that the first start has made."""
    return anka.instances[anka.requests.where(method="POST", path=VM)[0].instances[0]].state


# Jenkins


@pytest.mark.parametrize("release", by_release())
def test_jenkins_takes_a_list_with_fail_and_200_for_a_miss(anka: Anka, release: str) -> None:
    """It bears nine of them in a row; a list with status 400 ends its wait, and not the instance."""
    anka.faults.add(match=LIST, do={"fail": "database is locked"}, times=9)
    client = client_of(Jenkins, anka)
    seen = outcome_of(anka, client.start)

    if release in BEFORE_1_24:
        assert ("works", 1, 0) == (seen.what, seen.started, seen.ended)
        assert ["not found: database is locked"] * 9 == client.log
    else:
        assert Outcome("fails", "HTTP 400") == seen


@pytest.mark.anka(clock="manual", release="1.8.0")
def test_jenkins_gives_up_at_the_tenth_fail(anka: Anka) -> None:
    """It terminates the instance then, as after ten misses."""
    anka.faults.add(match=LIST, do={"fail": "database is locked"})

    assert Outcome("fails", "the instance is not there", 1, 1) == outcome_of(anka, client_of(Jenkins, anka).start)
    assert 10 == len(anka.requests.where(**LIST))


@pytest.mark.parametrize("release", by_release())
def test_jenkins_leaves_its_instance_after_a_status_of_failure(anka: Anka, release: str) -> None:
    """A list with a status from 400 on ends the wait at once, and no DELETE is sent."""
    anka.faults.add(match=LIST, do={"status": 503}, times=1)

    assert Outcome("fails", "HTTP 503") == outcome_of(anka, client_of(Jenkins, anka).start)
    assert {"leaks"} == {finding.kind for finding in anka.report().of_kinds(["leaks"])}


@at("1.50.1", "stops-early")
def test_jenkins_spins_on_its_cache(anka: Anka) -> None:
    """The list is requested once in seven seconds while it spins."""
    client = client_of(Jenkins, anka, job_limit=300)
    outcome_of(anka, client.start)

    assert "spins in Stopped" in client.log
    assert {7.0} == set(gaps(anka.requests.where(**LIST))[-10:])


@at("1.50.1")
def test_newer_versions_of_jenkins_report_name_and_address_of_the_job(anka: Anka) -> None:
    """Both are in one request; version 3.2.0 sends the name only."""
    client = client_of(NewerJenkins, anka)
    machine = client.start()
    client.job_starts(machine)
    (update,) = anka.requests.where(method="PUT")

    assert {
        "metadata": {"jenkins-job-id": "app #7", "jenkins-job-url": "https://jenkins.example/job/app/7/"}
    } == update.body
    assert update.body["metadata"] == anka.instances[machine.id].metadata


@pytest.mark.parametrize("plugin", [Jenkins, NewerJenkins])
@at("1.50.1")
def test_jenkins_asks_once_more_for_an_instance_that_its_cache_lacks(anka: Anka, plugin: type[Jenkins]) -> None:
    """A list from before the start does not have the instance, so it is requested again at once."""
    client = client_of(plugin, anka)
    client.list_all()
    client.start()

    assert [0.0, 0.0] == [
        client.since(client.began) - client.since(poll.at) for poll in anka.requests.where(**LIST)[:2]
    ]


# TeamCity


@pytest.mark.parametrize("release", by_release())
def test_teamcity_counts_its_instances_by_external_id(anka: Anka, release: str) -> None:
    """It finds an instance by its id in any case; before 1.24 it counts none, and so starts without a limit."""
    client = client_of(TeamCity, anka)

    assert "192.0.2.12:10000" == client.start().address
    assert (0 if release in BEFORE_1_24 else 1) == client.count()


ONE_TRY = {**extended_default(), "controller": {"retries": 0}}
"""The scenario ``default`` with a controller that does not try a failed start again."""
AFTER_A_PULL: dict[str, dict[str, Any]] = {
    "Error": {"match": {"event": "pull"}, "do": {"fail": "no space left on device", "at": "50%"}},
    "Stopped": {"match": {"event": "started"}, "do": {"stop": True, "after": "0s"}},
}
"""The faults by which an instance comes into a state after its pull."""


@pytest.mark.parametrize("state", AFTER_A_PULL)
@at("1.43.0", ONE_TRY)
def test_teamcity_takes_a_failure_after_a_pull_for_booting(anka: Anka, state: str) -> None:
    """It looks thirty times, every four seconds, and terminates the instance then."""
    anka.faults.add(**AFTER_A_PULL[state])
    seen = outcome_of(anka, client_of(TeamCity, anka, COLD).start)
    (start,) = anka.requests.where(method="POST", path=VM)
    (failed,) = [stay.start for stay in anka.instances[start.instances[0]].timeline if stay.state == state]
    (end,) = anka.requests.where(method="DELETE")

    assert Outcome("fails", f"not booted within 120 s: {state}", 1, 1) == seen
    # The list is cached for up to seven seconds, and it was not looked at for up to four.
    assert -8 <= (end.at - failed).total_seconds() - 120 <= 7 + 4


@pytest.mark.parametrize("release", by_release())
def test_teamcity_uses_the_old_list_after_a_failure(anka: Anka, release: str) -> None:
    """A status from 400 on and a lost connection are only logged; FAIL with status 200 is a null pointer."""
    client = client_of(TeamCity, anka)
    before = client.list_all(fresh=True)
    anka.faults.add(match=LIST, do={"status": 503}, times=1)
    assert before == client.list_all(fresh=True)
    anka.faults.add(match=LIST, do={"connection": "close"}, times=7 * 4)
    assert before == client.list_all(fresh=True)
    assert 2 == len(client.log)
    anka.faults.add(match=LIST, do={"fail": "database is locked"}, times=1)
    seen = outcome_of(anka, lambda: str(client.list_all(fresh=True) == before))

    if release in BEFORE_1_24:
        assert Outcome("crashes", "NullPointerException: the list has no body", 0) == seen
    else:
        assert Outcome("works", "True", 0) == seen


@pytest.mark.parametrize("release", by_release())
def test_teamcity_ends_only_what_is_listed(anka: Anka, release: str) -> None:
    """It looks first, and sends no DELETE for an instance that is missing from the list."""
    client = client_of(TeamCity, anka)
    machine = client.start()
    client.end(Machine("nobody"))
    assert [] == anka.requests.where(method="DELETE")
    client.end(machine)

    assert "Terminating" == anka.instances[machine.id].state


@pytest.mark.parametrize("release", by_release())
def test_teamcity_does_not_end_an_error_after_started(anka: Anka, release: str) -> None:
    """It sees the state, and leaves the instance."""
    client = client_of(TeamCity, anka)
    machine = client.start()
    anka.fail(machine.id, "VM is not responding")

    assert "Error" == client.look(machine)
    assert [] == anka.requests.where(method="DELETE")


@at("1.50.1")
def test_teamcity_uses_port_0_without_a_rule_for_ssh(anka: Anka) -> None:
    """The address leads nowhere."""
    anka.faults.add(match={"event": "start"}, do={"without": ["port_forwarding"]})

    assert Outcome("works", "192.0.2.12:0") == outcome_of(anka, client_of(TeamCity, anka).start)


@at("1.50.1")
def test_teamcity_leaves_its_instance_after_a_null_in_the_list(anka: Anka) -> None:
    """The list cannot be read after the start, which ends it; nothing terminates the VM."""
    text = '{"status":"OK","message":"","body":[{"instance_id":"x","vm":null}]}'
    anka.faults.add(match=LIST, do={"body": text}, times=1)
    seen = outcome_of(anka, client_of(TeamCity, anka).start)

    assert Outcome("cannot decode", "None is no JSONObject (vm)") == seen


@at("1.50.1", "late-in-list")
def test_teamcity_adopts_a_late_instance_without_an_agent(anka: Anka) -> None:
    """The thread that waits for the boot has crashed, but the instance counts once it is listed."""
    client = client_of(TeamCity, anka)
    assert NULL_POINTER == outcome_of(anka, client.start)
    assert 0 == client.count()
    anka.clock.advance("15s")

    assert 1 == client.count()
    assert [] == anka.requests.where(method="DELETE")


# Clients in Go


@pytest.mark.parametrize("release", by_release(releases=("1.24.0", "1.43.0", "1.50.1", "1.51.2")))
def test_the_cleanup_of_the_gitlab_executor_ends_what_a_lost_start_left(anka: Anka, release: str) -> None:
    """The id is lost with the response, but ``external_id`` is the job's, so the next attempt begins without it."""
    anka.faults.add(match={"method": "POST", "path": VM}, do={"delay": "11s"}, times=1)
    client = client_of(GitlabExecutor, anka)
    assert "fails" == outcome_of(anka, client.start).what
    client.end(Machine(""))

    assert state_of_started(anka) in ("Terminating", "Terminated")
    assert "works" == outcome_of(anka, client.start).what


@at("1.50.1")
def test_the_gitlab_executor_uses_the_last_rule_for_ssh(anka: Anka) -> None:
    """Rules of other protocols and for other ports are ignored."""
    rules = [
        {"name": "ssh", "guest_port": 22},
        {"name": "again", "guest_port": 22},
        {"name": "datagrams", "guest_port": 22, "protocol": "udp"},
        {"name": "screen", "guest_port": 5900},
    ]
    template = {"name": "several", "port_forwarding": rules, "versions": [{"tag": "base", "size": "1GB"}]}
    anka.load({"templates": [template], "nodes": [{"name": "mini-01", "ip": "192.0.2.11", "cached": ["several"]}]})

    assert "192.0.2.11:10001" == client_of(GitlabExecutor, anka, "several").start().address


@at("1.50.1")
def test_the_gitlab_executor_says_that_an_instance_has_no_vm(anka: Anka) -> None:
    """The step ``run`` of a job whose instance is still Scheduling fails in an orderly way."""
    client = client_of(GitlabExecutor, anka)
    anka.faults.add(match={"event": "schedule"}, do={"stall": True})
    body = {"vmid": anka.templates[CACHED].id, "external_id": client.settings["external_id"]}
    assert requests.post(f"{anka.url}{VM}", json=body).ok

    assert Outcome("fails", "instance has no VM") == outcome_of(anka, lambda: client.run(Machine("")))


@at("1.50.1")
def test_the_gitlab_runner_ends_an_instance_without_a_host(anka: Anka) -> None:
    """The guest has an address, the node has not said its own."""
    anka.faults.add(match={"event": "start"}, do={"without": "host_ip"})
    seen = outcome_of(anka, client_of(GitlabRunner, anka).start)

    assert Outcome("fails", "Unable to determine SSH Host!", 1, 1) == seen


@at("1.50.1")
def test_the_gitlab_runner_looks_once_more_after_the_node(anka: Anka) -> None:
    """It has seen Started already, and the address is there."""
    client_of(GitlabRunner, anka).start()
    node_at = [request.path for request in anka.requests].index("/api/v1/node")

    assert ["/api/v1/node", VM] == [request.path for request in anka.requests[node_at:]]


@pytest.mark.parametrize("release", by_release())
def test_drone_starts_over_without_a_pause_after_an_error(anka: Anka, release: str) -> None:
    """It pauses only after a request that failed."""
    anka.faults.add(match={"event": "start"}, do={"fail": "failed to start VM"})
    seen = outcome_of(anka, client_of(Drone, anka).start)
    starts = anka.requests.where(method="POST", path=VM)
    last_looks = [anka.requests[anka.requests.index(start) - 2] for start in starts[1:]]

    assert ("fails", 3, 0 if release in BEFORE_1_24 else 3) == (seen.what, seen.started, seen.ended)
    assert [0.0, 0.0] == [
        (start.at - look.at).total_seconds() for start, look in zip(starts[1:], last_looks, strict=True)
    ]


@at("1.50.1")
def test_drone_gives_up_without_port_rules(anka: Anka) -> None:
    """It does not start over, and does not terminate the instance."""
    anka.faults.add(match={"event": "start"}, do={"without": ["port_forwarding"]})

    assert Outcome("fails", "no port forwarding", 1, 0) == outcome_of(anka, client_of(Drone, anka).start)


@at("1.50.1")
def test_drone_takes_a_blank_host(anka: Anka) -> None:
    """The result has a port without an address."""
    anka.faults.add(match={"event": "start"}, do={"without": "host_ip"})

    assert Outcome("works", ":10000") == outcome_of(anka, client_of(Drone, anka).start)


@pytest.mark.parametrize("release", by_release())
def test_drone_takes_fail_with_200_for_a_state(anka: Anka, release: str) -> None:
    """The state of such a poll is blank, so it starts over, and ends nothing; with status 400 it asks again."""
    anka.faults.add(match=LIST, do={"fail": "database is locked"}, times=1)
    expected = (2, [""]) if release in BEFORE_1_24 else (1, [])
    seen = outcome_of(anka, client_of(Drone, anka).start)

    assert ("works", *expected) == (
        seen.what,
        seen.started,
        [request.body["id"] for request in anka.requests.where(method="DELETE")],
    )


# The GitHub actions


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("name", ["actions-2022", "actions-2026"])
@at("1.50.1")
def test_any_error_of_a_poll_fails_up(anka: Anka, name: str, broken: str) -> None:
    """The instance is left; ``down`` can find it."""
    anka.faults.add(match=LIST, do=BROKEN[broken], times=1)
    client = client_of(STARTERS[name], anka)
    seen = outcome_of(anka, client.start)
    assert ("fails", 1, 0) == (seen.what, seen.started, seen.ended)
    client.end(Machine(""))

    assert state_of_started(anka) == "Terminating"


@pytest.mark.parametrize("loss", [{"connection": "close"}, {"cut": "50%"}, {"body": "not JSON"}])
@pytest.mark.parametrize("name", ["actions-2022", "actions-2026"])
@at("1.50.1")
def test_down_cannot_find_an_instance_whose_start_was_lost(anka: Anka, name: str, loss: dict[str, Any]) -> None:
    """``up`` has failed before it had an ``action-id``, though the instance has it."""
    anka.faults.add(match={"method": "POST", "path": VM}, do=loss, times=1)
    client = client_of(STARTERS[name], anka)
    assert outcome_of(anka, client.start).what in ("fails", "cannot decode")
    client.end(Machine(""))
    anka.settle()

    assert "Started" == state_of_started(anka)
    assert ["there is no action-id"] == client.log


@pytest.mark.parametrize("name", ["actions-2022", "actions-2026"])
@at("1.50.1")
def test_the_actions_wait_for_ever_in_stopped(anka: Anka, name: str) -> None:
    """An instance that stops before they have seen Started keeps them until the job's limit."""
    client = client_of(STARTERS[name], anka, job_limit=600)
    anka.faults.add(match={"event": "started"}, do={"stop": True, "after": "0s"})

    assert Outcome("waits", "no end after 600 s") == outcome_of(anka, client.start)
    assert "Stopped" == state_of_started(anka)


@pytest.mark.parametrize("status", [400, 404, 503])
@at("1.50.1")
def test_the_action_of_2026_words_all_statuses_alike(anka: Anka, status: int) -> None:
    """The action of 2022 shows the controller's answer to status 400."""
    anka.faults.add(match={"method": "POST", "path": VM}, do={"status": status, "body": "no"})
    texts = {
        name: outcome_of(anka, client_of(STARTERS[name], anka).start).text for name in ("actions-2022", "actions-2026")
    }

    assert f"HTTP request failed: {status}" == texts["actions-2026"]
    assert ("controller: no" if status == 400 else f"HTTP request failed: {status}") == texts["actions-2022"]


@at("1.50.1")
def test_the_action_of_2026_needs_no_progress(anka: Anka) -> None:
    """It shows the progress of an instance that has one."""
    client = client_of(STARTERS["actions-2026"], anka)
    client.report_progress({"instance_state": "Pulling", "progress": 0.5})
    client.report_progress({"instance_state": "Pulling"})

    assert ["Pulling 50%", "Pulling 0%"] == client.log


# Cirrus


@pytest.mark.parametrize("release", by_release())
def test_cirrus_ends_an_instance_that_is_pulled(anka: Anka, release: str) -> None:
    """Pulling is not among the states that it knows before Started."""
    seen = outcome_of(anka, client_of(STARTERS["cirrus"], anka, COLD).start)

    assert Outcome("fails", "unexpected state Pulling", 1, 1) == seen
    assert [0.0, 2.0] == gaps(anka.requests)[:2]
