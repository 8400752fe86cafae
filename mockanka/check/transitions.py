"""The legal state transitions of an instance, stated independently of the simulator so that both can be compared.

Evidence: controller-facts C1, C2. Several transitions may happen between two polls.
"""

from __future__ import annotations

STATE_TRANSITIONS: dict[str, frozenset[str]] = {
    "Scheduling": frozenset({"Pulling", "Started", "Error", "Terminating"}),
    "Pulling": frozenset({"Scheduling", "Started", "Error", "Terminating"}),
    "Started": frozenset({"Stopping", "Pushing", "Error", "Terminating"}),
    "Stopping": frozenset({"Stopped", "Error", "Terminating"}),
    "Stopped": frozenset({"Terminating"}),
    "Pushing": frozenset({"Started", "Error", "Terminating"}),
    "Error": frozenset({"Started", "Terminating"}),
    "Terminating": frozenset({"Terminated"}),
    "Terminated": frozenset(),
}
INITIAL_STATES = frozenset({"Scheduling", "Pulling", "Started", "Error"})
"""States in which a new instance may be seen first."""
TERMINATION_STATES = frozenset({"Terminating", "Terminated"})


def _reachable(state: str) -> frozenset[str]:
    reachable: set[str] = set()
    pending = [state]
    while pending:
        for following in STATE_TRANSITIONS[pending.pop()] - reachable:
            reachable.add(following)
            pending.append(following)
    return frozenset(reachable)


REACHABLE_STATES: dict[str, frozenset[str]] = {state: _reachable(state) | {state} for state in STATE_TRANSITIONS}


def may_follow(before: str, after: str) -> bool:
    """Return whether ``after`` may be seen later than ``before``; true for unknown states, which the schema reports."""
    return before not in REACHABLE_STATES or after not in REACHABLE_STATES or after in REACHABLE_STATES[before]
