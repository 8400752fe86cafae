"""Instances of nodes that are Offline, because the controller has heard nothing of them for too long.

Before 1.13 the controller terminates those that run; since then they stay as they are, and continue when the node is
back (controller-facts C5). A scenario or a fault may choose otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mockanka.core import failures, instances
from mockanka.core.lifecycle import InstanceState, LostInstances

if TYPE_CHECKING:
    from mockanka.core.controller import Controller
    from mockanka.core.instance_record import Instance
    from mockanka.core.nodes import Node

_STARTING = (InstanceState.SCHEDULING, InstanceState.PULLING)
_ENDED = (InstanceState.ERROR, InstanceState.TERMINATING)


def give_up_occupants(controller: Controller, node: Node) -> None:
    """Do to the instances on a node what follows from its being Offline.

    Guesses: a start is tried again, as if it had failed; an instance in Terminating stays so until it is forgotten; and
    the texts. With the policy ``error`` a start is not tried again.
    """
    policy, message = _choose_policy(controller, node), f"node {node.name} is offline"
    for instance in failures.list_occupants(controller, node):
        if not _is_affected(instance, policy):
            continue
        if instance.state is InstanceState.ERROR:
            failures.release_failed_vm(controller, instance)
        elif policy is LostInstances.ERROR:
            failures.fail_instance(controller, instance, message, status=None)
        elif instance.state in _STARTING:
            failures.fail_start(controller, instance, message)
        else:
            instances.terminate_lost_instance(controller, instance, message)


def has_occupants_to_give_up(controller: Controller, node: Node) -> bool:
    """Return whether any instance on the node would change its state if the node became Offline."""
    policy = _choose_policy(controller, node)
    occupants = failures.list_occupants(controller, node)
    return any(instance.state not in _ENDED and _is_affected(instance, policy) for instance in occupants)


def can_stay(controller: Controller, node: Node, instance: Instance) -> bool:
    """Return whether an instance can be on a node that is Offline, in the state that it has."""
    return not _is_affected(instance, _choose_policy(controller, node))


def _choose_policy(controller: Controller, node: Node) -> LostInstances:
    chosen = node.lost_instances or controller.lost_instances
    kept = controller.release.has("lost-instances-kept")
    return chosen or (LostInstances.KEEP if kept else LostInstances.TERMINATE)


def _is_affected(instance: Instance, policy: LostInstances) -> bool:
    if policy is LostInstances.KEEP:
        return instance.state in _STARTING
    return instance.state is not InstanceState.TERMINATING
