"""The legal transitions of the checks are those of the simulator."""

from __future__ import annotations

from mockanka.check.transitions import (
    INITIAL_STATES,
    REACHABLE_STATES,
    STATE_TRANSITIONS,
    TERMINATION_STATES,
    may_follow,
)
from mockanka.core.lifecycle import LEGAL_TRANSITIONS, InstanceState


def test_the_transitions_are_those_of_the_simulator() -> None:
    """The two independent tables are equal, except for the state of forgotten instances, which is never shown."""
    shown = {
        state.value: {following.value for following in states if following is not InstanceState.GONE}
        for state, states in LEGAL_TRANSITIONS.items()
        if state is not InstanceState.GONE
    }

    assert shown == {state: set(states) for state, states in STATE_TRANSITIONS.items()}


def test_several_transitions_may_happen_between_two_polls() -> None:
    """A state may be followed by itself and by any reachable state; unknown states are accepted."""
    assert may_follow("Scheduling", "Terminated")
    assert may_follow("Pushing", "Error")
    assert not may_follow("Terminating", "Started")
    assert not may_follow("Started", "Pulling")
    assert all(may_follow(state, state) for state in STATE_TRANSITIONS)
    assert may_follow("Unheard of", "Started")


def test_initial_states_are_not_reachable_from_termination() -> None:
    """All named states exist, and a terminated instance never returns to an initial state."""
    assert STATE_TRANSITIONS.keys() >= INITIAL_STATES | TERMINATION_STATES
    assert set() == INITIAL_STATES & {
        following for state in TERMINATION_STATES for following in REACHABLE_STATES[state]
    }
