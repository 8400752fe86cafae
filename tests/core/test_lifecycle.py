"""The states of an instance, and the moves between them."""

import pytest

from mockanka.core.errors import IllegalTransition, Refusal
from mockanka.core.lifecycle import LEGAL_TRANSITIONS, InstanceState, NodeState, check_transition

MOVES = """
Scheduling  -> Pulling Started Error Terminating
Pulling     -> Scheduling Started Error Terminating
Started     -> Stopping Pushing Error Terminating
Stopping    -> Stopped Error Terminating
Stopped     -> Terminating
Pushing     -> Started Error Terminating gone
Error       -> Started Terminating
Terminating -> Terminated gone
Terminated  -> gone
gone        ->
"""
PAIRS = {
    (InstanceState(before.strip()), InstanceState(after))
    for before, _, afters in (line.partition("->") for line in MOVES.strip().splitlines())
    for after in afters.split()
}
ALL_PAIRS = [(before, after) for before in InstanceState for after in InstanceState]


def reachable(start: InstanceState) -> set[InstanceState]:
    """All states an instance may come to."""
    found: set[InstanceState] = set()
    edge = [start]
    while edge:
        fresh = LEGAL_TRANSITIONS[edge.pop()] - found
        found |= fresh
        edge += fresh
    return found


def test_the_legal_moves_are_data_and_these() -> None:
    """The table of moves is that of the facts (C2), with the guesses that the code marks as such."""
    assert PAIRS == {(before, after) for before, afters in LEGAL_TRANSITIONS.items() for after in afters}


@pytest.mark.parametrize(("before", "after"), sorted(PAIRS))
def test_a_legal_move_passes(before: InstanceState, after: InstanceState) -> None:
    """What stands in the table is not objected to."""
    check_transition(before, after)


@pytest.mark.parametrize(("before", "after"), [pair for pair in ALL_PAIRS if pair not in PAIRS])
def test_an_illegal_move_is_an_internal_error_that_names_it(before: InstanceState, after: InstanceState) -> None:
    """What does not stand in the table raises IllegalMove with both states."""
    with pytest.raises(IllegalTransition, match=f"^{before} -> {after}$"):
        check_transition(before, after)


def test_an_illegal_move_is_no_refusal() -> None:
    """A client cannot be told of an illegal move as of its own mistake."""
    assert not issubclass(IllegalTransition, Refusal)


@pytest.mark.parametrize("state", [state for state in InstanceState if state is not InstanceState.GONE])
def test_every_state_leads_to_being_gone(state: InstanceState) -> None:
    """There is a way out of every state."""
    assert InstanceState.GONE in reachable(state)


@pytest.mark.parametrize("state", [InstanceState.TERMINATING, InstanceState.TERMINATED])
def test_from_terminating_nothing_leads_back(state: InstanceState) -> None:
    """After a request to terminate an instance is Terminated or gone, and nothing else ever (C1)."""
    assert reachable(state) <= {InstanceState.TERMINATED, InstanceState.GONE}


def test_a_node_has_the_states_of_the_wire() -> None:
    """Node states are spelled as the controller spells them (C5)."""
    expected = ["Active", "Drain Mode", "Inactive (Invalid License)", "Offline", "Unhealthy", "Updating"]

    assert expected == sorted(NodeState)
