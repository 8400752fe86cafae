"""The states of instances and nodes, and the legal transitions of instances, as data (controller-facts C1, C2)."""

from enum import StrEnum

from mockanka.core.errors import IllegalTransition


class InstanceState(StrEnum):
    """The states of an instance, as the API names them. GONE is never shown: the controller has forgotten it."""

    SCHEDULING = "Scheduling"
    PULLING = "Pulling"
    STARTED = "Started"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    PUSHING = "Pushing"
    ERROR = "Error"
    TERMINATING = "Terminating"
    TERMINATED = "Terminated"
    GONE = "gone"


S = InstanceState

SHOWN_STATES = frozenset(InstanceState) - {S.GONE}
"""The states that a client can see."""
LIVE_STATES = SHOWN_STATES - {S.TERMINATING, S.TERMINATED}
"""The states of an instance whose termination nobody has requested yet."""
RUNNING_STATES = frozenset({S.STARTED, S.STOPPING, S.PUSHING})
"""The states in which the VM runs on a node."""
SLOT_STATES = RUNNING_STATES | {S.SCHEDULING, S.PULLING}
"""The states in which an instance on a node always holds a slot there. In Error and Terminating some do."""
REPORTED_STATES = SLOT_STATES | {S.STOPPED}
"""The states in which the node of an instance, if it has one, reports on it."""
ON_NODE_STATES = REPORTED_STATES - {S.SCHEDULING}
"""The states that only an instance on a node has."""

LEGAL_TRANSITIONS: dict[InstanceState, frozenset[InstanceState]] = {
    S.SCHEDULING: frozenset({S.PULLING, S.STARTED, S.ERROR, S.TERMINATING}),
    # Back to Scheduling from 1.50 on, until the VM is up. Guess: also when a failed pull is tried again elsewhere.
    S.PULLING: frozenset({S.SCHEDULING, S.STARTED, S.ERROR, S.TERMINATING}),
    # Guess: it is unknown what leads to Stopping and Stopped; here it is a VM that stops by itself.
    S.STARTED: frozenset({S.STOPPING, S.PUSHING, S.ERROR, S.TERMINATING}),
    # Guess: Stopping to Terminating, because DELETE is accepted in every state.
    S.STOPPING: frozenset({S.STOPPED, S.ERROR, S.TERMINATING}),
    S.STOPPED: frozenset({S.TERMINATING}),
    S.PUSHING: frozenset({S.STARTED, S.ERROR, S.TERMINATING, S.GONE}),
    # Started again after a restart, which before 1.47 shows as Error (controller-facts A5).
    S.ERROR: frozenset({S.STARTED, S.TERMINATING}),
    S.TERMINATING: frozenset({S.TERMINATED, S.GONE}),
    S.TERMINATED: frozenset({S.GONE}),
    S.GONE: frozenset(),
}


def check_transition(before: InstanceState, after: InstanceState) -> None:
    """Raise IllegalTransition unless the transition is legal."""
    if after not in LEGAL_TRANSITIONS[before]:
        raise IllegalTransition(f"{before} -> {after}")


class LostInstances(StrEnum):
    """Policies for the instances that run on a node when it is Offline: they stay, go to Error, or are terminated."""

    KEEP = "keep"
    ERROR = "error"
    TERMINATE = "terminate"


class NodeState(StrEnum):
    """The states of a node, as the API names them (controller-facts C5)."""

    ACTIVE = "Active"
    OFFLINE = "Offline"
    UNLICENSED = "Inactive (Invalid License)"
    UPDATING = "Updating"
    UNHEALTHY = "Unhealthy"
    DRAIN = "Drain Mode"
    BLANK = ""
    """A node that has just joined and not reported. Seen before 1.48.0; a fault can force it in any release."""
