"""The registry: its address and disk, its states, and the transfers that fail when it goes down."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from mockanka.core import distributions, instances, pulls, save_images, templates
from mockanka.core.errors import RegistryDown, RegistryFull
from mockanka.core.events import Event, FaultEvent
from mockanka.core.overrides import Overrides, override_end, set_override
from mockanka.core.templates import VersionRef
from mockanka.units import GB

if TYPE_CHECKING:
    from mockanka.core.controller import Controller
    from mockanka.core.nodes import Node


class RegistryState(StrEnum):
    """The states of the registry: one that is down cannot be reached, to one that is full nothing can be pushed."""

    UP = "up"
    DOWN = "down"
    FULL = "full"


@dataclass
class Registry:
    """The registry of a controller. Sizes are bytes."""

    url: str = "http://anka.registry:8089"
    disk_size: int = 1000 * GB
    disk_other: int = 0
    """Bytes on its disk besides the files of its templates; negative if a snapshot saw less on it than those."""
    state: RegistryState = RegistryState.UP
    overrides: Overrides = field(default_factory=dict)
    """The states that faults force: ``down`` and ``full``."""

    @property
    def is_reachable(self) -> bool:
        """True unless the registry is down."""
        return self.state is not RegistryState.DOWN

    def require_reachable(self) -> None:
        """Raise RegistryDown if the registry is down."""
        # Guess: at once, though the real controller may answer from its cache for 30 s (controller-facts C6).
        if not self.is_reachable:
            raise RegistryDown

    def require_writable(self) -> None:
        """Raise RegistryDown or RegistryFull if nothing can be pushed to the registry in its state."""
        self.require_reachable()
        if self.state is RegistryState.FULL:
            raise RegistryFull

    def free_space(self, used: int) -> int:
        """Return the free bytes of its disk if its templates take ``used`` bytes."""
        return 0 if self.state is RegistryState.FULL else max(0, self.disk_size - used - self.disk_other)


@dataclass(frozen=True, slots=True)
class RegistryOverrideBegan(FaultEvent):
    """A fault makes the registry ``down`` or ``full`` for ``lasts`` nanoseconds, or for good if that is 0."""

    kind: ClassVar = "registry_override_began"

    what: str
    lasts: int

    def apply(self, controller: Controller) -> None:
        until = override_end(controller.now, self.lasts)
        set_override(controller.registry.overrides, self.what, until)
        refresh_registry(controller)
        if until is not None:
            controller.schedule(until, RegistryOverrideEnded(self.what, until))


@dataclass(frozen=True, slots=True)
class RegistryOverrideEnded(Event):
    """An override of the registry ends, unless it has been extended since."""

    kind: ClassVar = "registry_override_ended"

    what: str
    until: int

    def is_current(self, controller: Controller) -> bool:
        return controller.registry.overrides.get(self.what) == self.until

    def makes_progress(self, controller: Controller) -> bool:
        return bool(controller.waiting)

    def apply(self, controller: Controller) -> None:
        del controller.registry.overrides[self.what]
        refresh_registry(controller)


def disk_space(controller: Controller) -> tuple[int, int]:
    """Return the free and the total bytes of the registry's disk. Raises RegistryDown."""
    registry = controller.registry
    registry.require_reachable()
    return registry.free_space(_used_space(controller)), registry.disk_size


def match_observed_free_space(controller: Controller, free: int) -> None:
    """Adjust what else is on the registry's disk so that ``free`` bytes are left, as a snapshot saw it."""
    controller.registry.disk_other = controller.registry.disk_size - _used_space(controller) - free


def _used_space(controller: Controller) -> int:
    return sum(templates.registry_files(controller).values())


def refresh_registry(controller: Controller) -> None:
    """Set the registry's state by its overrides, of which ``down`` outranks ``full``.

    When it goes down, the pulls and pushes that are in progress fail. While it is down, instances that need a pull wait
    in Scheduling.
    """
    forced = (state for state in (RegistryState.DOWN, RegistryState.FULL) if state in controller.registry.overrides)
    state = next(forced, RegistryState.UP)
    if state is controller.registry.state:
        return
    controller.registry.state = state
    controller.placement_due = True
    controller.record("registry", "registry", state=state.value)
    if state is RegistryState.DOWN:
        for node in controller.nodes.values():
            fail_transfers(controller, node)


def fail_transfers(controller: Controller, node: Node) -> None:
    """Let the pulls and pushes of a node fail that are in progress, because it cannot reach the registry any more.

    Guess: that they fail, instead of waiting for it, and the text.
    """
    message = str(RegistryDown())
    for ref, pull in list(node.pulls.items()):
        end = pull.expected_end
        if end is None or end > controller.now:  # a lost node may have finished it already
            pulls.fail_pull(controller, node, ref, message)
            reschedule_pull_waiters(controller, node, ref)
    for save in list(controller.save_images.values()):
        if save.node_id == node.id:
            save_images.fail_push(controller, save, message)


def reschedule_pull_waiters(controller: Controller, node: Node, ref: VersionRef) -> None:
    """Reschedule the instances and the deliveries that wait for a pull whose end has changed."""
    instances.reschedule_pulling_instances(controller, node, ref)
    distributions.reschedule_pulling_deliveries(controller, node, ref)
