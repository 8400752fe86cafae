"""What the check takes for legal is what the simulator's life cycle knows."""

from __future__ import annotations

from mockanka.check.transitions import ENDING, FIRST, MOVES, REACHABLE, may_follow
from mockanka.core.lifecycle import LEGAL_TRANSITIONS, InstanceState


def test_the_moves_are_those_of_the_life_cycle() -> None:
    """Written down twice, and the same; what is gone never shows."""
    shown = {
        state: {each.value for each in after if each is not InstanceState.GONE}
        for state, after in LEGAL_TRANSITIONS.items()
    }
    del shown[InstanceState.GONE]

    assert {state.value: after for state, after in shown.items()} == {
        state: set(after) for state, after in MOVES.items()
    }


def test_between_two_looks_several_moves_may_have_been_made() -> None:
    """A short pull is never seen, and an end is for good."""
    assert may_follow("Scheduling", "Terminated")
    assert may_follow("Pushing", "Error")
    assert not may_follow("Terminating", "Started")
    assert not may_follow("Started", "Pulling")
    assert all(may_follow(state, state) for state in MOVES)
    assert may_follow("Unheard of", "Started")


def test_an_instance_begins_and_ends_in_states_there_are() -> None:
    """And nothing leads from the end to the beginning."""
    assert MOVES.keys() >= FIRST | ENDING
    assert set() == FIRST & {after for state in ENDING for after in REACHABLE[state]}
