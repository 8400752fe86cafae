"""Which states may follow which, written down once more so that the simulator can be held against it too.

Evidence: controller-facts C1, C2. Between two polls several moves may have been made.
"""

from __future__ import annotations

MOVES: dict[str, frozenset[str]] = {
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
FIRST = frozenset({"Scheduling", "Pulling", "Started", "Error"})
"""What may be seen of an instance that was just made."""
ENDING = frozenset({"Terminating", "Terminated"})


def _reachable(state: str) -> frozenset[str]:
    found: set[str] = set()
    edge = [state]
    while edge:
        for after in MOVES[edge.pop()] - found:
            found.add(after)
            edge.append(after)
    return frozenset(found)


REACHABLE: dict[str, frozenset[str]] = {state: _reachable(state) | {state} for state in MOVES}


def may_follow(before: str, after: str) -> bool:
    """Whether a state can have come after another; of states that nobody knows the schema tells."""
    return before not in REACHABLE or after not in REACHABLE or after in REACHABLE[before]
