"""Restarts of the controller itself: it is down for a time, and then runs on, perhaps with another release.

The state is kept, since the real controller has it in a database. Guess: meanwhile the nodes go on by themselves, and
when the controller is back each of them registers at once and reports what has ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from mockanka.core import nodes, release_fit
from mockanka.core.events import Event, FaultEvent
from mockanka.core.release import Release

if TYPE_CHECKING:
    from mockanka.core.controller import Controller


@dataclass(frozen=True, slots=True)
class ControllerStopped(FaultEvent):
    """The controller stops for ``lasts`` nanoseconds; then it has another ``release``, or the same if that is blank."""

    kind: ClassVar = "controller_stopped"

    release: str
    lasts: int

    def apply(self, controller: Controller) -> None:
        stop_controller(controller, self.lasts, self.release)


@dataclass(frozen=True, slots=True)
class ControllerStarted(Event):
    """The controller is up again, unless it was stopped for longer since."""

    kind: ClassVar = "controller_started"

    release: str
    until: int

    def is_current(self, controller: Controller) -> bool:
        return controller.down_until == self.until

    def apply(self, controller: Controller) -> None:
        start_controller(controller, _latest_release(controller, self.release))


def stop_controller(controller: Controller, length: int, release: str = "") -> None:
    """Stop the controller for a time in nanoseconds: it hears of no node, and the server answers no request.

    If it is down already, it is up again when both times have passed, with the release that was named last.
    """
    until = controller.now + length
    if controller.down_until is not None and controller.down_until > until:
        until = controller.down_until
    release = release or _latest_release(controller)
    controller.down_until = until
    for node in controller.nodes.values():
        if node.lost_at is None:
            node.lost_at = controller.now
    controller.record("controller stopped", "controller")
    controller.schedule(until, ControllerStarted(release, until))


def _latest_release(controller: Controller, release: str = "") -> str:
    """Return the release that the last of the restarts in progress ends with, else ``release``; blank is the same."""
    restarts = [
        event for _, event in controller.queue.current_events(controller) if isinstance(event, ControllerStarted)
    ]
    return restarts[-1].release if restarts else release


def start_controller(controller: Controller, release: str = "") -> None:
    """Start the controller that is down, with its state, and with another release if one is named."""
    controller.down_until = None
    controller.record("controller started", "controller")
    changes = bool(release) and Release.parse(release).known != controller.release
    if changes:
        _change_release(controller, Release.parse(release))
    for node in list(controller.nodes.values()):
        if node.lost_at is None or node.timeout_at is not None:
            continue  # a node that was lost before the controller stopped still is
        if "offline" in node.overrides:
            # Guess: a node that was lost meanwhile is missed from now on.
            node.lost_at = None
            nodes.lose_node(controller, node.id)
        else:
            nodes.restore_node(controller, node.id)
    if changes:
        nodes.update_agents(controller)  # every agent fetches its package after an upgrade (controller-facts C5)
    for instance in controller.instances.values():
        controller.mark_changed(instance)
    controller.revision += 1  # for the list, which may be empty
    controller.placement_due = True


def _change_release(controller: Controller, release: Release) -> None:
    """Run another release from now on; what that one does not know is left out, and named in the notes."""
    controller.release = release.known
    lost = release_fit.fit(controller)
    controller.notes = (*controller.notes, *release_fit.describe_unknown(release), *lost)
    controller.record("controller release", "controller", release=str(release.known))
