"""Waiting for a state, and settling."""

from __future__ import annotations

from datetime import timedelta

import pytest

import mockanka
from mockanka.testing.anka import Anka
from tests.testing.controller import (
    SMALL,
    START,
    send,
    start,
    visible_state,
)


def test_wait_advances_until_the_instance_is_started(anka: Anka) -> None:
    """It returns the view of the instance; the client sees the same state."""
    instance = anka.wait(start(anka))
    body = send(anka, "GET", params={"id": instance.id}).json()["body"]

    assert "Started" == instance.state == body["instance_state"]
    assert START + timedelta(seconds=21) == anka.clock.now


def test_wait_reaches_every_state(anka: Anka) -> None:
    """An instance can be waited for through all its states."""
    id = start(anka)
    anka.wait(id, "Started")
    anka.shut_down(id)

    assert "Stopping" == anka.wait(id, "Stopping").state
    assert "Stopped" == anka.wait(id, "Stopped").state
    send(anka, "DELETE", json={"id": id})
    assert "Terminating" == anka.wait(id, "Terminating").state
    assert "Terminated" == anka.wait(id, "Terminated").state


def test_wait_says_that_there_is_no_capacity() -> None:
    """An instance that no node can take never starts, and Never has the reason."""
    with mockanka.serve(SMALL, clock="manual") as anka:
        for _ in range(2):
            anka.wait(start(anka))
        third = start(anka)
        with pytest.raises(mockanka.Never) as caught:
            anka.wait(third)

    assert f"instance {third} stays Scheduling: no free slot (1 node)" == str(caught.value)


def test_wait_names_the_fault_that_stalls_the_instance(anka: Anka) -> None:
    """A stalled instance never starts, until its rule is removed."""
    rule = anka.faults.add(match={"event": "start"}, do={"stall": True})
    id = start(anka)
    with pytest.raises(mockanka.Never, match=f"is held in Scheduling by {rule}"):
        anka.wait(id)
    anka.faults.remove(rule)

    assert "Started" == anka.wait(id).state


def test_wait_has_the_message_of_an_instance_in_error(anka: Anka) -> None:
    """An instance in Error never starts."""
    anka.faults.add(match={"event": "start"}, do={"fail": "no license"})
    id = start(anka)
    with pytest.raises(mockanka.Never) as caught:
        anka.wait(id)

    assert "an instance that is Error is never Started (no license)" == str(caught.value)
    assert "no license" == anka.wait(id, "Error").message


def test_wait_says_that_it_vanished(anka: Anka) -> None:
    """An instance that vanishes before it is Started never starts."""
    anka.faults.add(match={"event": "schedule"}, do={"vanish": True, "after": "10s"})
    id = start(anka)
    with pytest.raises(mockanka.Never) as caught:
        anka.wait(id)

    assert f"instance {id} is gone without having been Started" == str(caught.value)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("Startd", "'Startd' is no state: did you mean 'Started'?"),
        ("gone", "'gone' is no state: known are Error, Pulling, Pushing"),
        ("started", "'started' is no state: did you mean 'Started'?"),
    ],
)
def test_wait_knows_the_states(anka: Anka, state: str, message: str) -> None:
    """A text that is no state of the API is a ValueError that names the nearest."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        anka.wait(start(anka), state)

    assert str(caught.value).startswith(message)
    assert START == anka.clock.now


def test_wait_for_an_unknown_instance_is_a_key_error(anka: Anka) -> None:
    """The error names the id, and no time passes."""
    with pytest.raises(KeyError, match="there is no instance 'nobody'"):
        anka.wait("nobody")

    assert START == anka.clock.now


def test_settle_advances_until_nothing_is_pending() -> None:
    """All instances that can start have started; those that wait for capacity still wait."""
    with mockanka.serve(SMALL, clock="manual") as anka:
        ids = [start(anka) for _ in range(3)]
        anka.settle()

        assert ["Started", "Started", "Scheduling"] == [anka.instances[id].state for id in ids]


def test_settle_takes_no_time_if_nothing_is_pending(anka: Anka) -> None:
    """The clock stays as it is."""
    anka.settle()

    assert START == anka.clock.now


def test_settle_changes_nothing_if_a_fault_stalls_an_instance(anka: Anka) -> None:
    """Never names the instance and the rule; state, clock, events and counts of rules stay."""
    anka.wait(start(anka))
    rule = anka.faults.add(match={"event": "start"}, do={"stall": True})
    held = start(anka)
    before = visible_state(anka)
    listed = send(anka, "GET").content
    anka.requests.clear()
    before = visible_state(anka)
    with pytest.raises(mockanka.Never) as caught:
        anka.settle()

    assert f"it would never be idle: instance {held} is held in Scheduling by {rule}" == str(caught.value)
    assert before == visible_state(anka)
    assert listed == send(anka, "GET").content
    anka.faults.clear()
    anka.settle()
    assert "Started" == anka.instances[held].state


def test_an_instance_stalled_while_terminating_is_pending_until_it_is_forgotten(anka: Anka) -> None:
    """Nothing brings it to Terminated, so ``settle`` raises Never; when it is forgotten nothing is pending."""
    id = start(anka)
    anka.wait(id)
    rule = anka.faults.add(match={"event": "terminate"}, do={"stall": True})
    send(anka, "DELETE", json={"id": id})
    before = anka.clock.now
    with pytest.raises(mockanka.Never, match=f"instance {id} is held in Terminating by {rule}"):
        anka.settle()

    assert (before, "Terminating") == (anka.clock.now, anka.instances[id].state)
    anka.clock.advance("1m")
    anka.settle()
    assert id not in anka.instances
