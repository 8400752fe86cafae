"""The simulated controller: its entities, its time, and the queue of its events."""

from __future__ import annotations

import pickle
from bisect import bisect_left, insort
from dataclasses import dataclass, field
from typing import NamedTuple

from mockanka.bounded import BoundedDict
from mockanka.core import distributions, fault_effects, placement, randomness
from mockanka.core.clock import Clock
from mockanka.core.distributions import Distribution
from mockanka.core.durations import Timings
from mockanka.core.events import Event, EventLog, EventQueue
from mockanka.core.faults import NO_HIT, FaultHit, FaultRules
from mockanka.core.groups import Group
from mockanka.core.instance_record import Instance
from mockanka.core.license import License
from mockanka.core.lifecycle import LostInstances
from mockanka.core.nodes import Node
from mockanka.core.polls import AwaitedPolls
from mockanka.core.registry import Registry
from mockanka.core.release import DEFAULT_RELEASE, Release
from mockanka.core.save_images import SaveImage
from mockanka.core.scripts import ScriptRule
from mockanka.core.templates import Template
from mockanka.units import GB

MAX_FORGOTTEN = 1_000
"""Instances that are kept after the controller has forgotten them, so that their timelines can be shown."""


class Checkpoint(NamedTuple):
    """A state of the controller to restore: pickled, and how many entries its log had."""

    state: bytes
    log_count: int


@dataclass(eq=False)
class Controller:
    """A simulated controller with its nodes, changed by ``advance`` and by operations only.

    ``now`` is the simulated time in nanoseconds: while an event is applied, the time at which it was due.
    """

    clock: Clock
    seed: int = 0
    release: Release = DEFAULT_RELEASE
    license: License = field(default_factory=License)
    registry: Registry = field(default_factory=Registry)
    timings: Timings = field(default_factory=Timings)
    scripts: tuple[ScriptRule, ...] = ()
    saved_size: int = 2 * GB
    """The bytes that a saved image adds to its template, give or take 10 %."""
    mac_addresses: int = 0
    """How many MAC addresses the controller can assign; with 0 the nodes choose them."""
    retries: int = 2
    """How often an instance that failed to start is tried again before it is in Error.

    Guess: that the real controller tries so often is not published (controller-facts C1).
    """
    lost_instances: LostInstances | None = None
    """The policy for instances of a node that is Offline; None is that of the release."""

    nodes: dict[str, Node] = field(default_factory=dict)
    templates: dict[str, Template] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    instances: dict[str, Instance] = field(default_factory=dict)
    distributions: dict[str, Distribution] = field(default_factory=dict)
    save_images: dict[str, SaveImage] = field(default_factory=dict)

    id_counters: dict[str, int] = field(default_factory=dict)
    """How many ids of each kind have been made."""
    placement_due: bool = False
    """True if something has changed since the last placement that may let a node take waiting work."""
    waiting: list[tuple[int, int, str]] = field(default_factory=list)
    """The instances that wait for a node, in order of placement: priority, number and id of each."""
    waiting_deliveries: list[tuple[int, str, str]] = field(default_factory=list)
    """The deliveries that wait for their node: when the distribution was requested, its id and the node's, of each."""
    waiting_saves: dict[str, dict[str, SaveImage]] = field(default_factory=dict)
    """The save image requests that have not begun, by the id of their template and their own; the oldest is first."""
    active_saves: dict[str, set[str]] = field(default_factory=dict)
    """The ids of the save image requests that have begun and not ended, by the id of their template."""
    faults: FaultRules = field(default_factory=FaultRules)
    forgotten: BoundedDict[str, Instance] = field(default_factory=lambda: BoundedDict(MAX_FORGOTTEN))
    queue: EventQueue = field(default_factory=EventQueue)
    awaited_polls: list[AwaitedPolls] = field(default_factory=list)
    """The events that happen after a number of polls."""
    log: EventLog = field(default_factory=EventLog)
    down_until: int | None = None
    """When the controller is up again that a fault has stopped: meanwhile no request is answered."""
    notes: tuple[str, ...] = ()
    """Remarks on what was left out of its scenario because its release does not have it."""
    revision: int = 0
    """Grows with every change of an instance, and never shrinks, not even by a reset."""
    now: int = field(init=False)

    def __post_init__(self) -> None:
        self.now = self.clock.now()

    def advance(self) -> None:
        """Apply all events that are due by the clock's time, each at its own time."""
        self._advance_to(self.clock.now())

    def schedule(self, at: int, event: Event) -> None:
        """Put an event into the queue, due at a time in nanoseconds."""
        self.queue.put(at, event)

    def schedule_or_await(self, at: int, event: Event, instance: Instance | None = None, polls: int = 0) -> None:
        """Put an event into the queue or, with a number of polls, have it wait until the instance was looked at."""
        if polls and instance is not None:
            self.awaited_polls.append(AwaitedPolls(instance.id, polls, event))
        else:
            self.schedule(at, event)

    def next_due(self) -> int | None:
        """Return when the next change happens: an event that is not deferred, or a placement; None if none will."""
        if self._takes_waiting_work:
            return self.now
        return self.queue.next_active(self)

    @property
    def idle(self) -> bool:
        """True if nothing will make progress any more without new capacity: no instance, pull, save or delivery."""
        return not self._takes_waiting_work and not self.queue.has_progress(self)

    @property
    def _takes_waiting_work(self) -> bool:
        return self.placement_due and bool(self.waiting or self.waiting_deliveries)

    @property
    def has_changes(self) -> bool:
        """True if anything will happen by itself from which a state may follow."""
        return (self.placement_due and bool(self.waiting)) or self.queue.has_change(self)

    def _advance_to(self, target: int) -> None:
        while True:
            due = self.queue.next_due()
            if self.placement_due and (due is None or due > self.now):
                # After all events of a moment, so that their order does not decide who gets a slot.
                self.placement_due = False
                distributions.take_waiting_deliveries(self)
                placement.place_waiting_instances(self)
            elif due is not None and due <= target:
                at, event = self.queue.pop()
                self.now = max(self.now, at)
                if event.is_current(self) and not event.is_deferred(self):
                    event.apply(self)
            else:
                break
        self.now = max(self.now, target)

    def new_id(self, kind: str) -> str:
        """Return a new id for a kind of entity, in the controller's format; ids that a scenario uses are skipped."""
        while True:
            self.id_counters[kind] = self.id_counters.get(kind, 0) + 1
            id = randomness.make_controller_uuid(self.seed, kind, self.id_counters[kind])
            if not any(id in taken for taken in (self.instances, self.groups, self.distributions, self.save_images)):
                return id

    def enqueue(self, instance: Instance) -> None:
        """Add an instance to those that wait for a node."""
        insort(self.waiting, (instance.request.priority, instance.number, instance.id))
        self.placement_due = True

    def dequeue(self, instance: Instance) -> None:
        """Remove an instance from those that wait for a node, if it is there."""
        entry = (instance.request.priority, instance.number, instance.id)
        index = bisect_left(self.waiting, entry)
        if index < len(self.waiting) and self.waiting[index] == entry:
            del self.waiting[index]

    def schedule_effects(
        self, hit: FaultHit, length: int, instance: Instance | None = None, node: Node | None = None
    ) -> None:
        """Schedule what a fault does beyond the phase that it hit, whose length is in nanoseconds.

        A method, because the modules of the entities that call it are imported by ``fault_effects``.
        """
        if hit is not NO_HIT:
            fault_effects.schedule_effects(self, hit, length, instance, node)

    def mark_changed(self, instance: Instance) -> None:
        """Give the instance a new revision, because its answers may have changed."""
        self.revision += 1
        instance.revision = self.revision

    def record(self, what: str, subject: str, **detail: object) -> None:
        """Log that something happened now to a subject, which is an id as a rule."""
        self.log.add(self.now, what, subject, **detail)

    def checkpoint(self) -> Checkpoint:
        """Return a checkpoint of all that the future depends on: not of the log and the forgotten instances."""
        past = ("log", "forgotten")
        state = pickle.dumps({key: value for key, value in self.__dict__.items() if key not in past})
        return Checkpoint(state, self.log.count)

    def restore_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Restore a checkpoint of this controller. Revisions continue, so that no kept answer looks current."""
        revision = self.revision
        self.__dict__.update(pickle.loads(checkpoint.state))
        self.revision = revision + 1
        self.log.forget_after(checkpoint.log_count)
        for id in [id for id in self.forgotten if id in self.instances]:
            del self.forgotten[id]
        for instance in self.instances.values():
            self.mark_changed(instance)

    def replace_with(self, other: Controller) -> None:
        """Take over the whole state of another controller. Revisions continue, as in ``restore_checkpoint``."""
        revision = self.revision
        self.__dict__.update(other.__dict__)
        self.revision = revision + 1
        for instance in self.instances.values():
            self.mark_changed(instance)
