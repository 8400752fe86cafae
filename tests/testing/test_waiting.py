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


def test_wait_goes_on_until_the_instance_is_started(anka: Anka) -> None:
    """It returns the instance as it is then; the client sees the same."""
    one = anka.wait(start(anka))
    body = send(anka, "GET", params={"id": one.id}).json()["body"]

    assert "Started" == one.state == body["instance_state"]
    assert START + timedelta(seconds=21) == anka.clock.now


def test_wait_goes_on_to_any_state(anka: Anka) -> None:
    """Through all the life of an instance."""
    id = start(anka)
    anka.wait(id, "Started")
    anka.shut_down(id)

    assert "Stopping" == anka.wait(id, "Stopping").state
    assert "Stopped" == anka.wait(id, "Stopped").state
    send(anka, "DELETE", json={"id": id})
    assert "Terminating" == anka.wait(id, "Terminating").state
    assert "Terminated" == anka.wait(id, "Terminated").state


def test_wait_says_that_there_is_no_capacity() -> None:
    """An instance that no node can take never starts, and Never says why."""
    with mockanka.serve(SMALL, clock="manual") as anka:
        for _ in range(2):
            anka.wait(start(anka))
        third = start(anka)
        with pytest.raises(mockanka.Never) as caught:
            anka.wait(third)

    assert f"instance {third} stays Scheduling: no free slot (1 node)" == str(caught.value)


def test_wait_says_which_fault_holds_it(anka: Anka) -> None:
    """An instance that a rule holds never starts, until the rule is gone."""
    rule = anka.faults.add(match={"event": "start"}, do={"stall": True})
    id = start(anka)
    with pytest.raises(mockanka.Never, match=f"is held in Scheduling by {rule}"):
        anka.wait(id)
    anka.faults.remove(rule)

    assert "Started" == anka.wait(id).state


def test_wait_says_with_what_message_it_failed(anka: Anka) -> None:
    """An instance in Error never starts."""
    anka.faults.add(match={"event": "start"}, do={"fail": "no license"})
    id = start(anka)
    with pytest.raises(mockanka.Never) as caught:
        anka.wait(id)

    assert "an instance that is Error is never Started (no license)" == str(caught.value)
    assert "no license" == anka.wait(id, "Error").message


def test_wait_says_that_it_vanished(anka: Anka) -> None:
    """An instance that is gone on the way never starts."""
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
    """What is no state of the wire is a ValueError that names the nearest."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        anka.wait(start(anka), state)

    assert str(caught.value).startswith(message)
    assert START == anka.clock.now


def test_wait_for_what_is_not_there_is_a_key_error(anka: Anka) -> None:
    """An unknown id is named; no time passes."""
    with pytest.raises(KeyError, match="there is no instance 'nobody'"):
        anka.wait("nobody")

    assert START == anka.clock.now


def test_settle_goes_on_until_nothing_is_on_its_way() -> None:
    """All that can start has started; what waits for capacity waits on."""
    with mockanka.serve(SMALL, clock="manual") as anka:
        ids = [start(anka) for _ in range(3)]
        anka.settle()

        assert ["Started", "Started", "Scheduling"] == [anka.instances[id].state for id in ids]


def test_settle_is_at_rest_where_nothing_moves(anka: Anka) -> None:
    """Where nothing is on its way no time passes."""
    anka.settle()

    assert START == anka.clock.now


def test_settle_leaves_everything_as_it_was_when_a_fault_holds_something(anka: Anka) -> None:
    """Never names what is held and by which rule; state, clock, events and counts of rules are untouched."""
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


def test_what_is_held_while_it_terminates_is_in_flight_until_it_is_forgotten(anka: Anka) -> None:
    """Nothing would bring it to Terminated, so settling says so; once it is forgotten all is at rest."""
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
