"""The clock and the fault rules, as tests command them."""

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


def test_advance_takes_text_and_timedelta_and_says_what_time_it_is(anka: Anka) -> None:
    """Both let so much time pass, and the moment after it is returned."""
    assert START == anka.clock.now
    assert START + timedelta(seconds=90) == anka.clock.advance("1m30s")
    assert START + timedelta(seconds=90, microseconds=1500) == anka.clock.advance(timedelta(microseconds=1500))
    assert START + timedelta(seconds=90, microseconds=1500) == anka.clock.now


@pytest.mark.parametrize(
    ("by", "kind", "message"),
    [
        ("-5s", ValueError, "is less than nothing"),
        (timedelta(seconds=-5), ValueError, "time does not go back"),
        ("8766000000000h", ValueError, "longer than a thousand years"),
        (timedelta(days=365_000_000), ValueError, "beyond the year 9000"),
        (5, TypeError, "5 has no unit: write it like '30s', or give a timedelta"),
    ],
)
def test_time_goes_neither_back_nor_to_its_end(anka: Anka, by: Any, kind: type[Exception], message: str) -> None:
    """What is negative, has no unit or leads beyond the end of time is refused, and no time passes."""
    before = visible_state(anka)
    with pytest.raises(kind, match=message):
        anka.clock.advance(by)

    assert before == visible_state(anka)


def test_a_thousand_years_at_a_time_until_the_end_is_refused(anka: Anka) -> None:
    """Long advances add up to the year 9000 and no further."""
    for _ in range(6):
        anka.clock.advance("8760000h")
    with pytest.raises(ValueError, match="beyond the year 9000"):
        anka.clock.advance("8760000h")

    assert 8020 == anka.clock.now.year


def test_a_year_passes_at_once(anka: Anka) -> None:
    """A year with an instance on its way is lived through, and the instance is Started since."""
    id = start(anka)
    anka.clock.advance("8760h")

    assert START + timedelta(days=365) == anka.clock.now
    assert "Started" == anka.instances[id].state


def test_next_goes_from_one_thing_that_happens_to_the_next(anka: Anka) -> None:
    """An instance is placed, then it is up; then nothing comes any more, and no time passes."""
    id = start(anka)

    assert START + timedelta(seconds=1) == anka.clock.next()
    assert "mini-02" in str(anka.instances[id].waits_for)
    assert START + timedelta(seconds=21) == anka.clock.next()
    assert "Started" == anka.instances[id].state
    with pytest.raises(mockanka.Never, match="nothing comes next"):
        anka.clock.next()
    assert START + timedelta(seconds=21) == anka.clock.now


def test_a_real_clock_can_be_moved_on_too() -> None:
    """Waiting needs no wall time by any clock."""
    with mockanka.serve(seed=1) as anka:
        id = start(anka)

        assert "Started" == anka.wait(id).state
        assert anka.clock.advance("1h") - anka.instances[id].created > timedelta(hours=1)


# Faults.


def test_a_rule_strikes_and_counts(anka: Anka) -> None:
    """It strikes as often as it may; ``seen`` and ``fired`` say how it fared."""
    rule = anka.faults.add(match={"method": "GET", "path": "/api/v1/vm"}, do={"status": 503}, skip=1, times=1)
    answers = [send(anka, "GET").status_code for _ in range(3)]

    assert [200, 503, 200] == answers
    assert (3, 1) == (anka.faults[rule]["seen"], anka.faults[rule]["fired"])
    assert [rule] == [each["id"] for each in anka.faults]
    assert [rule] == [each.fault for each in anka.requests if each.fault]


def test_a_rule_is_shown_as_it_was_written(anka: Anka) -> None:
    """With its id, match, do and how often."""
    rule = anka.faults[anka.faults.add(**UNAVAILABLE, times=2, id="mine")]

    assert UNAVAILABLE["match"] == rule["match"]
    assert UNAVAILABLE["do"] == rule["do"]
    assert (2, "mine", 0, 0) == (rule["times"], rule["id"], rule["seen"], rule["fired"])


def test_a_rule_that_is_removed_strikes_no_more(anka: Anka) -> None:
    """Remove takes one out of force, clear all."""
    first, second = anka.faults.add(**UNAVAILABLE), anka.faults.add(do={"status": 500})
    anka.faults.remove(first)
    without_first = send(anka, "GET").status_code
    anka.faults.clear()

    assert first != second
    assert 500 == without_first
    assert 200 == send(anka, "GET").status_code
    assert (0, []) == (len(anka.faults), list(anka.faults))


def test_a_rule_that_is_not_there_is_a_key_error(anka: Anka) -> None:
    """The nearest is named where one is removed."""
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
        ({"do": {}}, "fault: do: it must have one of refuse, connection"),
        ({"match": {"event": "pull", "node": "mini-1"}, "do": {"fail": "x"}}, "fault: match.node: "),
        ({"do": {"status": 503}, "times": 1, "fired": 1}, "fault: fired: is counted by the controller"),
        ({"match": 5, "do": {"status": 503}}, "fault: match: must be keys with values"),
        ({"match": [], "do": {"status": 503}}, "fault: match: must be keys with values"),
        ({"do": 5}, "fault: do: must be keys with values"),
        ({"do": None}, "fault: do: has no value"),
    ],
)
def test_a_wrong_rule_changes_nothing(anka: Anka, rule: dict[str, Any], message: str) -> None:
    """ScenarioError says which key is wrong; the rules in force stay, and the next id is the one it would have been."""
    anka.faults.add(**UNAVAILABLE, id="taken")
    before = visible_state(anka)
    with pytest.raises(mockanka.ScenarioError) as caught:
        anka.faults.add(**rule)

    assert str(caught.value).startswith(message)
    assert before == visible_state(anka)


def test_refused_connections_are_taken_again_after_a_reset(anka: Anka) -> None:
    """When reset returns the controller can be reached, whatever a rule refused before."""
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
    """And right after they are taken again."""
    for reset in (False, True):
        with mockanka.serve("empty", clock="manual") as anka:
            anka.faults.add(do={"refuse": "1h"}, times=1)
            with pytest.raises(requests.ConnectionError):
                send(anka, "GET")
            if reset:
                anka.reset()
