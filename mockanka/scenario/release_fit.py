"""A scenario of one release brought to life at another: what that does not know is left out, and named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from mockanka.core.controller import Controller
from mockanka.core.instance_record import Instance, StartRequest
from mockanka.core.lifecycle import InstanceState, NodeState
from mockanka.core.nodes import Node, end_node_override
from mockanka.core.release import SINCE, Release

REQUESTED: dict[str, tuple[str, ...]] = {
    "mac-addresses": ("mac_address",),
    "vlans": ("vlan_tag",),
    "script-monitoring": ("script_monitoring", "script_timeout", "script_fail_handler"),
    "start-overrides": ("ports",),
    "vnc-password": ("vnc_password",),
}
"""What a start may have asked for, by the feature that it came with."""


def of_release(asked: Release) -> Iterator[str]:
    """A note if another release is simulated than was asked for."""
    if asked != asked.known:
        yield f"release {asked} is not known: {asked.known} is simulated, the nearest lower one"


def fit(controller: Controller) -> list[str]:
    """Make of a controller what its release can be; what is lost by that, each a line that names it."""
    notes = [
        *(note for node in controller.nodes.values() for note in _fit_node(controller, node)),
        *(note for one in controller.instances.values() for note in _fit_instance(controller, one)),
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


def _fit_instance(controller: Controller, one: Instance) -> Iterator[str]:
    release, plain = controller.release, StartRequest("")
    for feature, keys in REQUESTED.items():
        if release.has(feature):
            continue
        named = [key for key in keys if getattr(one.request, key) != getattr(plain, key)]
        given: dict[str, Any] = {key: getattr(plain, key) for key in named}
        one.request = replace(one.request, **given)
        if feature == "script-monitoring":
            one.script = None
        for key in given:
            yield _lost(f"instance {one.id}", "port_forwarding_override" if key == "ports" else key, feature)
    _fit_state(controller, one)
    kept = one.holds_slot or release.has("vm-kept-on-error")
    if one.state is InstanceState.ERROR and one.vm is not None and one.vm.name and not kept:
        one.vm = one.vm.after_failure("deleted", keep_details=False)
        yield _lost(f"instance {one.id}", "what is known of a VM in Error", "vm-kept-on-error")
    if one.restarting_until is not None and not release.has("restart"):
        one.restarting_until = None
        if one.vm is not None:
            one.vm = replace(one.vm, status="running")
        yield _lost(f"instance {one.id}", "its restart", "restart")


def _fit_state(controller: Controller, one: Instance) -> None:
    """What shows as another state at another release, and is the same."""
    release = controller.release
    if one.booting and one.progress_made >= 1.0:
        _show(one, InstanceState.SCHEDULING if release.has("scheduling-after-pull") else InstanceState.PULLING)
    if one.restarting_until is not None:
        has_stopped = one.vm is not None and one.vm.status == "stopped"
        shows = has_stopped and release.has("restart") and not release.has("quiet-restart")
        _show(one, InstanceState.ERROR if shows else InstanceState.STARTED)


def _show(one: Instance, state: InstanceState) -> None:
    one.state = state
    one.timeline[-1] = one.timeline[-1]._replace(state=state)
