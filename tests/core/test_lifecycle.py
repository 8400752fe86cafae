"""The states of instances and nodes, and the transitions of instances."""

import pytest

from mockanka.core.errors import IllegalTransition, Refusal
from mockanka.core.lifecycle import LEGAL_TRANSITIONS, InstanceState, NodeState, check_transition

TRANSITIONS = """
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
    for before, _, afters in (line.partition("->") for line in TRANSITIONS.strip().splitlines())
    for after in afters.split()
}
ALL_PAIRS = [(before, after) for before in InstanceState for after in InstanceState]


def reachable_states(start: InstanceState) -> set[InstanceState]:
    """Return all states that an instance may reach."""
    found: set[InstanceState] = set()
    pending = [start]
    while pending:
        new = LEGAL_TRANSITIONS[pending.pop()] - found
        found |= new
        pending += new
    return found


def test_the_table_of_transitions_is_that_of_the_facts() -> None:
    """It has the transitions of C2, and the guesses that the code marks as such."""
    assert PAIRS == {(before, after) for before, afters in LEGAL_TRANSITIONS.items() for after in afters}


@pytest.mark.parametrize(("before", "after"), sorted(PAIRS))
def test_a_legal_transition_passes(before: InstanceState, after: InstanceState) -> None:
    """check_transition raises nothing."""
    check_transition(before, after)


@pytest.mark.parametrize(("before", "after"), [pair for pair in ALL_PAIRS if pair not in PAIRS])
def test_an_illegal_transition_raises_an_error_that_names_it(before: InstanceState, after: InstanceState) -> None:
    """IllegalTransition has both states in its text."""
    with pytest.raises(IllegalTransition, match=f"^{before} -> {after}$"):
        check_transition(before, after)


def test_an_illegal_transition_is_no_refusal() -> None:
    """It is an error of mockanka, not one of the client's that an answer could report."""
    assert not issubclass(IllegalTransition, Refusal)


@pytest.mark.parametrize("state", [state for state in InstanceState if state is not InstanceState.GONE])
def test_every_state_leads_to_gone(state: InstanceState) -> None:
    """Every state has a way out."""
    assert InstanceState.GONE in reachable_states(state)


@pytest.mark.parametrize("state", [InstanceState.TERMINATING, InstanceState.TERMINATED])
def test_nothing_leads_back_from_terminating(state: InstanceState) -> None:
    """After a request to terminate, an instance is Terminated or gone, and nothing else (C1)."""
    assert reachable_states(state) <= {InstanceState.TERMINATED, InstanceState.GONE}


def test_node_states_have_the_names_of_the_api() -> None:
    """They are spelled as the controller spells them (C5)."""
    expected = ["", "Active", "Drain Mode", "Inactive (Invalid License)", "Offline", "Unhealthy", "Updating"]

    assert expected == sorted(NodeState)
