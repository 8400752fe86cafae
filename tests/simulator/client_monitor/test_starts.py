"""Findings about starts: leaks, double starts and retried starts."""

from __future__ import annotations

from contextlib import suppress

import pytest
import requests

from tests.simulator.client_monitor.client import VM, Client, client_of, wait_until


def test_an_instance_that_is_left_behind_is_a_leak(client: Client) -> None:
    """The finding has its state, its external id and the request that started it."""
    client.list()
    (id,) = client.start(external_id="job-7")
    client.anka.wait(id)

    assert [("leaks", [2])] == client.findings("leaks")
    assert [f"instance {id}, external_id 'job-7' is still Started"] == client.messages("leaks")
    assert f"leaks: instance {id}, external_id 'job-7' is still Started (#2)" in str(client.anka.report())


def test_each_instance_of_a_count_is_a_leak_of_its_own(client: Client) -> None:
    """Three instances of one request are three leaks; one that is terminated is none."""
    ids = client.start(count=3)
    client.terminate(ids[1])

    assert [("leaks", [1])] * 2 == client.findings("leaks")
    assert [ids[0], ids[2]] == [finding.instance for finding in client.anka.report().of_kinds(["leaks"])]


@pytest.mark.parametrize("state", ["Error", "Stopped", "Started"])
def test_an_instance_in_any_live_state_is_a_leak(client: Client, state: str) -> None:
    """An instance that has failed or stopped is listed until it is terminated, too."""
    (id,) = client.start()
    client.anka.wait(id)
    if state == "Error":
        client.anka.fail(id)
    if state == "Stopped":
        client.anka.shut_down(id)
        client.anka.wait(id, "Stopped")

    assert [f"instance {id} is still {state}"] == client.messages("leaks")


def test_an_instance_that_is_terminated_or_gone_is_not_a_leak(client: Client) -> None:
    """It counts as terminated as soon as the request is accepted; one that vanished or was saved is no leak either."""
    terminated, vanished, saved = client.start(count=3)
    client.anka.settle()
    client.terminate(terminated)
    client.anka.vanish(vanished)
    client.ask("POST", "/api/v1/image", json={"id": saved, "new_template_name": "new"})
    while saved in client.anka.instances:
        client.anka.clock.advance("10s")

    assert [] == client.findings("leaks")


def test_an_instance_whose_termination_was_ignored_is_not_a_leak(client: Client) -> None:
    """The client has done its part when the request gets OK, whatever a fault makes of it."""
    (id,) = client.start()
    client.anka.faults.add(match={"event": "terminate"}, do={"ignore": True})
    client.terminate(id)

    assert "Scheduling" == client.poll(id)
    assert [] == client.findings("leaks")


def test_an_instance_whose_termination_was_answered_with_a_failure_is_a_leak(client: Client) -> None:
    """A client that gets a failure has to try again."""
    (id,) = client.start()
    client.anka.faults.add(match={"method": "DELETE"}, do={"status": 503})
    client.terminate(id)

    assert [("leaks", [1])] == client.findings("leaks")


def test_an_instance_of_the_scenario_is_not_a_leak(client: Client) -> None:
    """Only instances that the client started can be leaks."""
    client.list()

    assert 1 == len(client.anka.instances)
    assert [] == client.findings("leaks")


def test_an_instance_whose_start_had_no_response_is_a_leak(client: Client) -> None:
    """The instance exists although the response was lost."""
    client.anka.faults.add(match={"method": "POST"}, do={"connection": "close"})
    client.lose_start(external_id="job-1")

    assert [("leaks", [1])] == client.findings("leaks")


@pytest.mark.parametrize("size", [100, 100_000])
def test_a_leak_names_its_external_id_however_long_its_request_was(client: Client, size: int) -> None:
    """The external id is known however long the startup script is."""
    (id,) = client.start(startup_script="YWFh" * (size // 4), external_id="job-1")

    assert [f"instance {id}, external_id 'job-1' is still Scheduling"] == client.messages("leaks")


def test_a_leak_outlives_the_journal(client: Client) -> None:
    """Leaks are found after the entries of the journal are deleted."""
    client.start(external_id="job-1")
    client.anka.requests.clear()

    assert [("leaks", [1])] == client.findings("leaks")


def test_an_external_id_started_twice_is_a_double_start(client: Client) -> None:
    """The finding has both requests, and the instance of the first."""
    (id,) = client.start(external_id="job-1")
    client.start(external_id="job-2")
    client.start(external_id="job-1")

    assert [("double-starts", [1, 3])] == client.findings()
    assert [f"external_id 'job-1' was started again while instance {id} was Scheduling"] == client.messages(
        "double-starts"
    )


def test_a_third_start_is_added_to_the_second(client: Client) -> None:
    """The finding is the same; its count grows."""
    for _ in range(3):
        client.start(external_id="job-1")
    (finding,) = client.anka.report().of_kinds(["double-starts"])

    assert ([1, 2, 3], 3) == (finding.requests, finding.count)


def test_several_instances_of_a_request_are_not_a_double_start(client: Client) -> None:
    """Three instances with one external id that are asked for in one request are meant."""
    client.start(external_id="job-1", count=3)

    assert [] == client.findings()


@pytest.mark.parametrize("end", ["terminate", "vanish", "forget"])
def test_a_start_after_the_end_of_the_first_is_not_a_double_start(client: Client, end: str) -> None:
    """Once the first instance is terminated or gone, its external id may be used again."""
    (id,) = client.start(external_id="job-1")
    client.anka.wait(id)
    client.anka.vanish(id) if end == "vanish" else client.terminate(id)
    if end == "forget":
        client.anka.clock.advance("10m")
    client.start(external_id="job-1")

    assert [] == client.findings()


def test_starts_without_an_external_id_are_not_double_starts(client: Client) -> None:
    """Such starts may be intended; an empty external id counts as none."""
    for external_id in ("", ""):
        client.start()
        client.start(external_id=external_id)

    assert [] == client.findings()


def test_a_refused_start_is_not_a_double_start(client: Client) -> None:
    """A request that started nothing is no second start."""
    client.start(external_id="job-1")
    client.start(external_id="job-1", vmid="nothing")

    assert [] == client.findings("double-starts")


def test_a_start_after_an_error_is_not_a_double_start(client: Client) -> None:
    """An instance in Error does not count, though it still has to be terminated."""
    (id,) = client.start(external_id="job-1")
    client.anka.fail(id)
    client.start(external_id="job-1")

    assert [] == client.findings("double-starts")
    assert id in [finding.instance for finding in client.anka.report().of_kinds(["leaks"])]


def test_a_double_start_is_found_however_long_its_requests_are(client: Client) -> None:
    """Bodies that the journal does not keep whole are compared, too."""
    for _ in range(2):
        client.start(startup_script="YWFh" * 25_000, external_id="job-1")

    assert [("double-starts", [1, 2])] == client.findings()


def test_a_changed_external_id_counts_as_it_is_now(client: Client) -> None:
    """After the first instance has got another external id, the old one may be used again."""
    (id,) = client.start(external_id="job-1")
    client.ask("PUT", f"{VM}?id={id}", json={"external_id": "job-0"})
    client.start(external_id="job-1")

    assert [] == client.findings()


LOST: dict[str, dict[str, object]] = {
    "close": {"connection": "close"},
    "reset": {"connection": "reset"},
    "cut": {"cut": "50%"},
    "no JSON": {"body": "<html>"},
    "503": {"status": 503, "acts": True},
    "failure": {"fail": "no", "acts": True},
}


@pytest.mark.parametrize("how", LOST)
@pytest.mark.parametrize("external_id", ["job-1", None])
def test_a_start_that_is_sent_again_after_its_response_was_lost_is_found(
    client: Client, how: str, external_id: str | None
) -> None:
    """The finding has both requests; they are the same start by their external id, or by their whole body."""
    fields = {"external_id": external_id} if external_id else {"name": "mine"}
    client.anka.faults.add(match={"method": "POST"}, do=LOST[how], times=1)
    if how in ("close", "reset", "cut"):
        client.lose_start(**fields)
    else:
        client.start(**fields)
    client.start(**fields)

    assert [("retried-starts", [1, 2])] == client.findings("retried-starts")
    assert ["#1 had started something, though its answer was lost; it was sent again"] == client.messages(
        "retried-starts"
    )
    assert ([("double-starts", [1, 2])] if external_id else []) == client.findings("double-starts")


def test_a_start_sent_again_at_once_is_found_each_time() -> None:
    """The loss is known by the time the client sees its connection break."""
    counts: list[int] = []
    for _ in range(15):
        with client_of() as client:
            client.anka.faults.add(match={"method": "POST"}, do={"connection": "close"}, times=1)
            client.lose_start(name="mine")
            client.start(name="mine")
            counts.append(len(client.findings("retried-starts")))

    assert [1] * 15 == counts


@pytest.mark.parametrize("do", [{"status": 503}, {"fail": "no"}, {"connection": "close", "acts": False}])
def test_a_start_that_had_started_nothing_may_be_sent_again(client: Client, do: dict[str, object]) -> None:
    """A client that retries after a failure of a request that was not carried out does what it should."""
    client.anka.faults.add(match={"method": "POST"}, do=do, times=1)
    with suppress(requests.ConnectionError):
        client.start(external_id="job-1")
    client.start(external_id="job-1")

    assert [] == client.findings()


def test_another_start_after_a_lost_one_is_not_a_retry(client: Client) -> None:
    """A start with another external id, or with another body, is not the same."""
    client.anka.faults.add(match={"method": "POST"}, do={"connection": "close"}, times=2)
    client.lose_start(external_id="job-1")
    client.lose_start(name="one")
    client.start(external_id="job-2")
    client.start(name="two")

    assert [] == client.findings()


def test_other_requests_may_be_sent_again(client: Client) -> None:
    """A poll whose response was lost may be sent again."""
    client.anka.faults.add(match={"method": "GET"}, do={"connection": "close"}, times=1)
    with pytest.raises(requests.ConnectionError):
        client.poll(next(iter(client.anka.instances)))
    client.poll(next(iter(client.anka.instances)))

    assert [] == client.findings()


def test_long_starts_that_differ_at_their_end_are_not_the_same(client: Client) -> None:
    """Two startup scripts with the same beginning are different starts."""
    client.anka.faults.add(match={"method": "POST"}, do={"connection": "close"}, times=1)
    client.lose_start(startup_script="YWFh" * 25_000 + "YQ==")
    client.start(startup_script="YWFh" * 25_000 + "Yg==")

    assert [] == client.findings("retried-starts")


def test_a_lost_start_may_be_sent_again_after_a_cleanup(client: Client) -> None:
    """A client that finds the instance, terminates it and starts again does nothing wrong."""
    client.anka.faults.add(match={"method": "POST"}, do={"connection": "close"}, times=1)
    client.lose_start(external_id="job-1")
    items = client.ask("GET", VM).json()["body"]
    client.terminate(*[item["instance_id"] for item in items if item.get("external_id") == "job-1"])
    client.start(external_id="job-1")

    assert [] == client.findings()


def test_a_client_that_leaves_while_its_start_is_delayed_loses_the_response() -> None:
    """A retry after a timeout that is too short is found."""
    with client_of(clock="real", speed=100) as client:
        client.anka.faults.add(match={"method": "POST"}, do={"delay": "1h"}, times=1)
        with pytest.raises(requests.Timeout):
            requests.post(client.anka.url + VM, json={"vmid": client.template, "name": "x"}, timeout=0.1)
        wait_until(lambda: client.anka.requests[0].outcome == "client left")
        client.start(name="x")

        assert "client left" == client.anka.requests[0].outcome
        assert [("retried-starts", [1, 2])] == client.findings()


def test_a_response_lost_in_two_ways_is_lost_once() -> None:
    """The retry of a start whose response was replaced and not waited for is counted once."""
    with client_of(clock="real", speed=100) as client:
        client.anka.faults.add(match={"method": "POST"}, do={"body": "<p>", "delay": "1h"}, times=1)
        with pytest.raises(requests.Timeout):
            requests.post(client.anka.url + VM, json={"vmid": client.template, "name": "x"}, timeout=0.1)
        wait_until(lambda: client.anka.requests[0].outcome == "client left")
        client.start(name="x")

        assert [("retried-starts", [1, 2])] == client.findings()
