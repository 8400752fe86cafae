"""Findings about polls: hammering, and polls of terminated instances."""

from __future__ import annotations

import pytest
import requests

from tests.simulator.client_monitor.client import VM, Client, Findings, client_of


def test_more_polls_than_the_rate_allows_are_hammering(client: Client) -> None:
    """With a clock that does not move twenty polls are allowed; the finding has every further one."""
    client.list(23)

    assert [("hammering", [21, 22, 23])] == client.findings()
    assert ["the list of instances was polled more often than its rate allows"] == client.messages("hammering")


def test_twenty_polls_at_once_are_not_hammering(client: Client) -> None:
    """The burst is allowed."""
    client.list(20)

    assert [] == client.findings()


def test_each_instance_has_a_rate_of_its_own(client: Client) -> None:
    """Two instances and the list may be polled in turn; the finding names the instance that is polled more."""
    first, second = client.start(count=2)
    for _ in range(20):
        client.poll(first)
        client.poll(second)
        client.list()
    client.poll(second)
    (finding,) = client.anka.report().of_kinds(["hammering"])

    assert (second, [62]) == (finding.instance, finding.requests)
    assert f"instance {second} was polled more often than its rate allows" == finding.message


def test_a_slow_poller_never_hammers(client: Client) -> None:
    """A poll each second is always allowed; after a pause a burst is allowed again."""
    for _ in range(60):
        client.list()
        client.anka.clock.advance("1s")
    client.anka.clock.advance("20s")
    client.list(20)

    assert [] == client.findings()


def test_a_move_of_a_manual_clock_allows_a_burst_again(client: Client) -> None:
    """Where the clock does not run by itself, any move of it allows the whole burst again."""
    for _ in range(5):
        client.list(20)
        client.anka.clock.advance("1ms")

    assert [] == client.findings()


def test_a_poller_that_is_a_little_too_fast_is_found_in_the_end() -> None:
    """With a real clock two polls each second use up the burst."""
    with client_of(clock="real", speed=0.001) as client:
        for _ in range(40):
            client.list(1)
            client.anka.clock.advance("500ms")

        assert "hammering" in [kind for kind, _ in client.findings()]


def test_no_poll_is_hammering_with_a_stepping_clock() -> None:
    """Each poll is 5 s later than the one before, however fast the client is."""
    with client_of(clock="step") as client:
        client.list(60)

        assert [] == client.findings()


@pytest.mark.parametrize(("step", "expected"), [("100ms", []), ("0s", [("hammering", [21, 22, 23])])])
def test_a_stepping_clock_allows_bursts_unless_its_step_is_zero(step: str, expected: Findings) -> None:
    """However small the step is, the clock has moved; with a step of 0s it has not."""
    with client_of(clock="step", step=step) as client:
        client.list(23)

        assert expected == client.findings()


@pytest.mark.parametrize(("speed", "expected"), [(0.001, [("hammering", [21, 22])]), (1e6, [])])
def test_the_rate_is_in_the_controllers_time(speed: float, expected: Findings) -> None:
    """With a fast real clock 22 polls at once are allowed; with a slow one they are hammering."""
    with client_of(clock="real", speed=speed) as client:
        client.list(22)

        assert expected == client.findings()


def test_the_scenario_sets_the_rate() -> None:
    """A scenario's ``report: {poll_every: 10s, poll_burst: 2}`` is the rate."""
    with client_of({"report": {"poll_every": "10s", "poll_burst": 2}, "templates": [{"name": "x"}]}) as client:
        client.list(3)
        client.anka.clock.advance("25s")
        client.list(1)

        assert [("hammering", [3])] == client.findings()


def test_the_rate_comes_and_goes_with_its_scenario() -> None:
    """A load changes the rate, a reset keeps it, a dump has it."""
    strict = {"report": {"poll_every": "10s", "poll_burst": 2}}
    with client_of() as client:
        client.anka.load(strict)
        client.anka.reset()
        client.list(3)
        first = client.findings()
        client.anka.load(client.anka.dump())
        client.list(3)
        second = client.findings()
        client.anka.load("default")
        client.list(3)

        assert ([("hammering", [3])], [("hammering", [3])], []) == (first, second, client.findings())


def test_polls_that_a_fault_answers_count_too(client: Client) -> None:
    """A client that gets a 503 and polls again at once is hammering."""
    client.anka.faults.add(do={"status": 503})
    client.list(21)

    assert [("hammering", [21])] == client.findings()


def test_other_requests_are_not_polls(client: Client) -> None:
    """Nodes and templates may be asked for as often as a client likes."""
    for _ in range(25):
        client.ask("GET", "/api/v1/node")
        client.ask("GET", "/api/v1/registry/vm")

    assert [] == client.findings()


def terminated_instance(client: Client) -> str:
    """Return an instance that is Terminated, which no poll has shown yet."""
    (id,) = client.start()
    client.anka.wait(id)
    client.terminate(id)
    client.anka.wait(id, "Terminated")
    return id


def test_polls_after_one_that_shows_terminated_are_found(client: Client) -> None:
    """The first poll that shows it is none; the finding has every further one."""
    id = terminated_instance(client)
    client.poll(id, 3)

    assert [("terminated-polls", [4, 5])] == client.findings()
    assert [f"instance {id} was polled again after it was terminated"] == client.messages("terminated-polls")


def test_polls_of_a_forgotten_instance_are_found(client: Client) -> None:
    """An instance that was terminated still counts after it is forgotten."""
    id = terminated_instance(client)
    client.anka.clock.advance("10m")
    client.poll(id, 3)

    assert [("terminated-polls", [4, 5])] == client.findings()


def test_polls_of_a_vanished_instance_are_allowed(client: Client) -> None:
    """It never was Terminated, so no poll showed that."""
    (id,) = client.start()
    client.anka.wait(id)
    client.anka.vanish(id)
    client.poll(id, 3)

    assert [] == client.findings()


def test_a_client_that_stops_polling_at_terminated_has_no_findings(client: Client) -> None:
    """Polls before Terminated are allowed."""
    (id,) = client.start()
    client.anka.wait(id)
    client.terminate(id)
    client.poll(id, 5)
    client.anka.wait(id, "Terminated")
    client.poll(id)

    assert [] == client.findings()


def test_a_poll_that_shows_not_found_counts_as_well(client: Client) -> None:
    """A slow client learns of the end by Not found; a second poll is found."""
    id = terminated_instance(client)
    client.anka.clock.advance("10m")
    first = client.poll(id)
    innocent = client.findings()
    client.poll(id)

    assert ("Not found", []) == (first, innocent)
    assert [("terminated-polls", [4])] == client.findings()


def test_the_list_may_be_polled_after_an_end(client: Client) -> None:
    """A poll of the list is no poll of a terminated instance."""
    terminated_instance(client)
    client.list(5)

    assert [] == client.findings()


def test_a_poll_that_a_fault_answered_did_not_show_the_end(client: Client) -> None:
    """A client that got a 503 does not know that the instance is Terminated."""
    id = terminated_instance(client)
    client.anka.faults.add(match={"method": "GET"}, do={"status": 503, "acts": True}, times=1)
    client.ask("GET", f"{VM}?id={id}")
    client.poll(id)

    assert [] == client.findings()


def test_a_poll_counts_for_its_instance_whatever_the_other_parameters(client: Client) -> None:
    """Polls that differ in another parameter are hammering, too."""
    (id,) = client.start()
    for number in range(21):
        requests.get(f"{client.anka.url}/api/v1/vm?id={id}&_={number}", timeout=5)

    assert [22] == next(finding.requests for finding in client.anka.report().of_kinds(["hammering"]))
