"""The clock and the fault rules, as tests control them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import requests

import mockanka
from mockanka.testing.anka import Anka
from tests.testing.controller import (
    START,
    UNAVAILABLE,
    send,
    start,
    visible_state,
)

# The clock.


def test_advance_takes_text_or_timedelta_and_returns_the_time(anka: Anka) -> None:
    """Both advance the clock by that much, and the new time is returned."""
    assert START == anka.clock.now
    assert START + timedelta(seconds=90) == anka.clock.advance("1m30s")
    assert START + timedelta(seconds=90, microseconds=1500) == anka.clock.advance(timedelta(microseconds=1500))
    assert START + timedelta(seconds=90, microseconds=1500) == anka.clock.now


@pytest.mark.parametrize(
    ("by", "kind", "message"),
    [
        ("-5s", ValueError, "is negative"),
        (timedelta(seconds=-5), ValueError, "time does not go back"),
        ("8766000000000h", ValueError, "longer than a thousand years"),
        (timedelta(days=365_000_000), ValueError, "beyond the year 9000"),
        (5, TypeError, "5 has no unit: write it like '30s', or give a timedelta"),
    ],
)
def test_a_wrong_duration_is_refused(anka: Anka, by: Any, kind: type[Exception], message: str) -> None:
    """A duration that is negative, has no unit or leads beyond the year 9000 is refused, and no time passes."""
    before = visible_state(anka)
    with pytest.raises(kind, match=message):
        anka.clock.advance(by)

    assert before == visible_state(anka)


def test_long_advances_add_up_to_the_year_9000(anka: Anka) -> None:
    """The clock can be advanced by a thousand years at a time, and no further than the year 9000."""
    for _ in range(6):
        anka.clock.advance("8760000h")
    with pytest.raises(ValueError, match="beyond the year 9000"):
        anka.clock.advance("8760000h")

    assert 8020 == anka.clock.now.year


def test_a_year_passes_at_once(anka: Anka) -> None:
    """After a year with a pending instance the instance has been Started all along."""
    id = start(anka)
    anka.clock.advance("8760h")

    assert START + timedelta(days=365) == anka.clock.now
    assert "Started" == anka.instances[id].state


def test_next_advances_to_the_next_event(anka: Anka) -> None:
    """An instance is placed, then Started; then no event is left, and no time passes."""
    id = start(anka)

    assert START + timedelta(seconds=1) == anka.clock.next()
    assert "mini-02" in str(anka.instances[id].waits_for)
    assert START + timedelta(seconds=21) == anka.clock.next()
    assert "Started" == anka.instances[id].state
    with pytest.raises(mockanka.Never, match="nothing comes next"):
        anka.clock.next()
    assert START + timedelta(seconds=21) == anka.clock.now


def test_a_real_clock_can_be_advanced_too() -> None:
    """With a real clock nobody waits either."""
    with mockanka.serve(seed=1) as anka:
        id = start(anka)

        assert "Started" == anka.wait(id).state
        assert anka.clock.advance("1h") - anka.instances[id].created > timedelta(hours=1)


# Faults.


def test_a_rule_fires_and_counts(anka: Anka) -> None:
    """It fires as often as it may; ``seen`` and ``fired`` count."""
    rule = anka.faults.add(match={"method": "GET", "path": "/api/v1/vm"}, do={"status": 503}, skip=1, times=1)
    answers = [send(anka, "GET").status_code for _ in range(3)]

    assert [200, 503, 200] == answers
    assert (3, 1) == (anka.faults[rule]["seen"], anka.faults[rule]["fired"])
    assert [rule] == [fault["id"] for fault in anka.faults]
    assert [rule] == [request.fault for request in anka.requests if request.fault]


def test_a_rule_is_shown_as_it_was_written(anka: Anka) -> None:
    """A rule has its id, match, do and limits."""
    rule = anka.faults[anka.faults.add(**UNAVAILABLE, times=2, id="mine")]

    assert UNAVAILABLE["match"] == rule["match"]
    assert UNAVAILABLE["do"] == rule["do"]
    assert (2, "mine", 0, 0) == (rule["times"], rule["id"], rule["seen"], rule["fired"])


def test_a_removed_rule_does_not_fire(anka: Anka) -> None:
    """``remove`` takes one rule out of force, ``clear`` all."""
    first, second = anka.faults.add(**UNAVAILABLE), anka.faults.add(do={"status": 500})
    anka.faults.remove(first)
    without_first = send(anka, "GET").status_code
    anka.faults.clear()

    assert first != second
    assert 500 == without_first
    assert 200 == send(anka, "GET").status_code
    assert (0, []) == (len(anka.faults), list(anka.faults))


def test_an_unknown_rule_is_a_key_error(anka: Anka) -> None:
    """The error of ``remove`` names the nearest id."""
    anka.faults.add(**UNAVAILABLE, id="unavailable")
    with pytest.raises(KeyError, match="there is no fault 'unavailible': did you mean 'unavailable'"):
        anka.faults.remove("unavailible")
    with pytest.raises(KeyError, match="there is no fault 'other'"):
        anka.faults["other"]

    assert 1 == len(anka.faults)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            {"match": {"event": "pul"}, "do": {"fail": "x"}},
            "fault: match.event: 'pul' is not known: did you mean",
        ),
        ({"do": {"status": 503}, "time": 1}, "fault: time: unknown key, did you mean 'times'?"),
        ({"do": {"status": 503}, "id": "taken"}, "fault: id: there is another fault 'taken'"),
        ({"do": {}}, "fault: do: it must have one of refuse, unreachable"),
        ({"match": {"event": "pull", "node": "mini-1"}, "do": {"fail": "x"}}, "fault: match.node: "),
        ({"do": {"status": 503}, "times": 1, "fired": 1}, "fault: fired: is counted by the controller"),
        ({"match": 5, "do": {"status": 503}}, "fault: match: must be keys with values"),
        ({"match": [], "do": {"status": 503}}, "fault: match: must be keys with values"),
        ({"do": 5}, "fault: do: must be keys with values"),
        ({"do": None}, "fault: do: has no value"),
    ],
)
def test_a_wrong_rule_changes_nothing(anka: Anka, rule: dict[str, Any], message: str) -> None:
    """ScenarioError names the wrong key; the rules in force stay, and so does the next id."""
    anka.faults.add(**UNAVAILABLE, id="taken")
    before = visible_state(anka)
    with pytest.raises(mockanka.ScenarioError) as caught:
        anka.faults.add(**rule)

    assert str(caught.value).startswith(message)
    assert before == visible_state(anka)


def test_connections_are_accepted_again_after_a_reset(anka: Anka) -> None:
    """When ``reset`` returns, the controller accepts connections, whatever a rule refused before."""
    refused = 0
    for _ in range(50):
        anka.faults.add(match={"path": "/api/v1/vm"}, do={"refuse": "1h"}, times=1)
        with pytest.raises(requests.ConnectionError):
            send(anka, "GET")
        anka.reset()
        try:
            send(anka, "GET")
        except requests.ConnectionError:
            refused += 1

    assert 0 == refused


def test_it_stops_while_connections_are_refused() -> None:
    """It stops then too, and right after connections are accepted again."""
    for reset in (False, True):
        with mockanka.serve("empty", clock="manual") as anka:
            anka.faults.add(do={"refuse": "1h"}, times=1)
            with pytest.raises(requests.ConnectionError):
                send(anka, "GET")
            if reset:
                anka.reset()
