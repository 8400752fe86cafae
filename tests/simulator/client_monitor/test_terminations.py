"""Findings about terminations that have no effect: the controller ignores the DELETE, though its response is OK."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulator.client_monitor.client import VM, Client

KIND = "unverified-terminations"


def start_and_terminate(client: Client, ignored: int = 1) -> str:
    """Start an instance and terminate it; as many terminations from now on are ignored."""
    (id,) = client.start(external_id="job-1")
    client.anka.wait(id)
    client.anka.faults.add(match={"event": "terminate"}, do={"ignore": True}, times=ignored)
    client.terminate(id)
    return id


def test_an_ignored_termination_that_nobody_verifies_is_found(client: Client) -> None:
    """The finding names the instance and the DELETE."""
    id = start_and_terminate(client)
    client.anka.clock.advance("1h")

    assert [("unverified-terminations", [2])] == client.findings()
    assert [
        f"instance {id}, external_id 'job-1' is still Started after its termination, and was not looked at again"
    ] == client.messages(KIND)


def test_an_instance_of_the_scenario_counts_too(client: Client) -> None:
    """A client may terminate what another has started."""
    (id,) = client.anka.instances
    client.anka.faults.add(match={"event": "terminate"}, do={"ignore": True})
    client.terminate(id)

    assert [("unverified-terminations", [1])] == client.findings()


@pytest.mark.parametrize(
    "look", [lambda client, id: client.poll(id), lambda client, _: client.list()], ids=["by id", "in the list"]
)
def test_a_client_that_looks_again_is_not_found(client: Client, look: Callable[[Client, str], object]) -> None:
    """A poll after the DELETE, of the instance or of the list, shows the client that the instance lives."""
    look(client, start_and_terminate(client))

    assert [] == client.findings()


def test_a_look_at_another_instance_or_a_lost_response_does_not_count(client: Client) -> None:
    """Only a response of the controller that has the instance shows its state."""
    (other,) = client.anka.instances
    start_and_terminate(client)
    client.poll(other)
    client.anka.faults.add(match={"method": "GET", "path": VM}, do={"status": 503}, times=1)
    client.ask("GET", VM)

    assert [("unverified-terminations", [2])] == client.findings()


def test_a_second_termination_that_works_is_enough(client: Client) -> None:
    """The instance has ended, and nothing is left to look at."""
    id = start_and_terminate(client)
    client.terminate(id)

    assert [] == client.findings()


def test_a_second_termination_that_is_ignored_has_to_be_verified_as_well(client: Client) -> None:
    """A look before the last DELETE does not show what became of that one."""
    id = start_and_terminate(client, ignored=2)
    client.poll(id)
    client.terminate(id)

    assert [("unverified-terminations", [4])] == client.findings()


def test_a_termination_that_works_need_not_be_verified(client: Client) -> None:
    """Neither the instance that is Terminating nor one that failed before it was terminated is a finding."""
    first, second = client.start(count=2)
    client.anka.wait(first)
    client.anka.fail(second)
    client.terminate(first, second)

    assert [] == client.findings()
