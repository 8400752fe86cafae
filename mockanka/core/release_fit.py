"""Fits a scenario of one release to another: what that one does not know is left out, and named in a note."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mockanka.core.instance_record import StartRequest
from mockanka.core.lifecycle import InstanceState, NodeState
from mockanka.core.nodes import end_node_override
from mockanka.core.release import SINCE, Release

if TYPE_CHECKING:
    from mockanka.core.controller import Controller
    from mockanka.core.instance_record import Instance
    from mockanka.core.nodes import Node

REQUESTED: dict[str, tuple[str, ...]] = {
    "mac-addresses": ("mac_address",),
    "vlans": ("vlan_tag",),
    "script-monitoring": ("script_monitoring", "script_timeout", "script_fail_handler"),
    "start-overrides": ("ports",),
    "vnc-password": ("vnc_password",),
}
"""Keys of requests to start an instance, by the feature that they came with."""


def describe_unknown(release: Release) -> Iterator[str]:
    """Yield a note if another release is simulated than the one that is asked for."""
    if release != release.known:
        yield f"release {release} is not known: {release.known} is simulated, the nearest lower one"


def fit(controller: Controller, observed: bool = False) -> list[str]:
    """Remove from a controller what its release does not know. Returns a line for each thing that is lost.

    ``observed`` is True for a snapshot of a controller of this release, and for its dump: a VM in Error stays there.
    """
    notes = [
        *(note for node in controller.nodes.values() for note in _fit_node(controller, node)),
        *(note for instance in controller.instances.values() for note in _fit_instance(controller, instance, observed)),
    ]
    for save in controller.save_images.values():
        if save.request.cancel_on_script_failure and not controller.release.has("script-result"):
            save.request = replace(save.request, cancel_on_script_failure=False)
            notes.append(_lost(f"save image request {save.id}", "cancel_on_script_failure", "script-result"))
    return notes


def _lost(what: str, key: str, feature: str) -> str:
    return f"{what}: {key} came with {SINCE[feature]}, and is left out"


def _fit_node(controller: Controller, node: Node) -> Iterator[str]:
    release = controller.release
    if node.condition is NodeState.DRAIN and not release.has("drain-mode"):
        end_node_override(controller, node.id, "drain")
        yield f"node {node.name}: {NodeState.DRAIN} came with {SINCE['drain-mode']}; it is {node.condition}"
    if node.removals and not release.has("template-removal"):
        node.removals = {}
        yield _lost(f"node {node.name}", "the removal of templates", "template-removal")


def _fit_instance(controller: Controller, instance: Instance, observed: bool) -> Iterator[str]:
    release, plain = controller.release, StartRequest("")
    for feature, keys in REQUESTED.items():
        if release.has(feature):
            continue
        defaults: dict[str, Any] = {key: getattr(plain, key) for key in keys}
        lost = [key for key in keys if getattr(instance.request, key) != defaults[key]]
        instance.request = replace(instance.request, **defaults)
        if feature == "script-monitoring":
            instance.script = None
        for key in lost:
            yield _lost(f"instance {instance.id}", "port_forwarding_override" if key == "ports" else key, feature)
    _fit_state(controller, instance)
    kept = observed or instance.holds_slot or release.has("vm-kept-on-error")
    if instance.state is InstanceState.ERROR and instance.vm is not None and instance.vm.name and not kept:
        instance.vm = instance.vm.after_failure("deleted", keep_details=False)
        yield _lost(f"instance {instance.id}", "what is known of a VM in Error", "vm-kept-on-error")
    if instance.restarting_until is not None and not release.has("restart"):
        instance.restarting_until = None
        if instance.vm is not None:
            instance.vm = replace(instance.vm, status="running")
        yield _lost(f"instance {instance.id}", "its restart", "restart")


def _fit_state(controller: Controller, instance: Instance) -> None:
    """Show a state as the release does, where releases show the same one differently."""
    release = controller.release
    if instance.booting and instance.progress_made >= 1.0:
        _show(instance, InstanceState.SCHEDULING if release.has("scheduling-after-pull") else InstanceState.PULLING)
    if instance.restarting_until is not None:
        has_stopped = instance.vm is not None and instance.vm.status == "stopped"
        shows = has_stopped and release.has("restart") and not release.has("quiet-restart")
        _show(instance, InstanceState.ERROR if shows else InstanceState.STARTED)


def _show(instance: Instance, state: InstanceState) -> None:
    instance.state = state
    instance.timeline[-1] = instance.timeline[-1]._replace(state=state)
