"""The controller: its entities, its time, and what is due."""

from __future__ import annotations

import pickle
from bisect import bisect_left, insort
from dataclasses import dataclass, field
from typing import NamedTuple

from mockanka.bounded import BoundedDict
from mockanka.core import fault_effects, placement, randomness
from mockanka.core.clock import Clock
from mockanka.core.distributions import Distribution
from mockanka.core.durations import Timings
from mockanka.core.events import Event, EventLog, EventQueue
from mockanka.core.faults import NO_HIT, FaultHit, FaultRules
from mockanka.core.groups import Group
from mockanka.core.instance_record import Instance
from mockanka.core.license import License
from mockanka.core.nodes import Node
from mockanka.core.registry import Registry
from mockanka.core.release import DEFAULT_RELEASE, Release
from mockanka.core.save_images import SaveImage
from mockanka.core.scripts import ScriptRule
from mockanka.core.templates import Template
from mockanka.units import GB

MAX_FORGOTTEN = 1_000
"""Instances that are kept after the controller has forgotten them, so that their timelines can be shown."""


class Checkpoint(NamedTuple):
    """A controller at one moment, to go back to: its pickled state, and how many lines had been logged."""

    state: bytes
    log_count: int


@dataclass(eq=False)
class Controller:
    """One simulated controller with all its nodes. Nothing in it moves but by ``advance`` and operations.

    ``now`` is the time of whatever is happening: while an event happens, the time it was due.
    """

    clock: Clock
    seed: int = 0
    release: Release = DEFAULT_RELEASE
    license: License = field(default_factory=License)
    registry: Registry = field(default_factory=Registry)
    timings: Timings = field(default_factory=Timings)
    scripts: tuple[ScriptRule, ...] = ()
    saved_size: int = 2 * GB
    """About how many bytes a saved image adds to its template."""
    mac_addresses: int = 0
    """How many MAC addresses it has to hand out; with none it leaves them to the nodes."""
    retries: int = 0
    """How many nodes may fail to start an instance before it is Error."""

    nodes: dict[str, Node] = field(default_factory=dict)
    templates: dict[str, Template] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    instances: dict[str, Instance] = field(default_factory=dict)
    distributions: dict[str, Distribution] = field(default_factory=dict)
    save_images: dict[str, SaveImage] = field(default_factory=dict)

    id_counters: dict[str, int] = field(default_factory=dict)
    """How many ids of each kind were made."""
    placement_due: bool = False
    """Whether something changed that may let a waiting instance find a node."""
    waiting: list[tuple[int, int, str]] = field(default_factory=list)
    """The instances that want a node: priority, number, id; in this order they get one."""
    faults: FaultRules = field(default_factory=FaultRules)
    forgotten: BoundedDict[str, Instance] = field(default_factory=lambda: BoundedDict(MAX_FORGOTTEN))
    queue: EventQueue = field(default_factory=EventQueue)
    log: EventLog = field(default_factory=EventLog)
    notes: tuple[str, ...] = ()
    """What of its scenario it could not take over, because its release does not know it."""
    revision: int = 0
    """Grows with every change of an instance, and never goes back, not even by a reset."""
    now: int = field(init=False)

    def __post_init__(self) -> None:
        self.now = self.clock.now()

    def advance(self) -> None:
        """Live through everything that is due by now, each thing at its own time."""
        self._live_until(self.clock.now())

    def schedule(self, at: int, event: Event) -> None:
        self.queue.put(at, event)

    def next_due(self) -> int | None:
        """When the next thing happens that changes anything; None if nothing is on its way."""
        if self.placement_due and self.waiting:
            return self.now
        return self.queue.next_active(self)

    @property
    def idle(self) -> bool:
        """Whether nothing is on its way any more to Started, Error, Terminated or done without new capacity."""
        return not (self.placement_due and self.waiting) and not self.queue.has_progress(self)

    def _live_until(self, target: int) -> None:
        while True:
            due = self.queue.next_due()
            if self.placement_due and (due is None or due > self.now):
                # Only when all of a moment has happened do the waiting ones look for a node.
                self.placement_due = False
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
        """A new id of a kind, as the controller makes them; one that a scenario has given away is passed over."""
        while True:
            self.id_counters[kind] = self.id_counters.get(kind, 0) + 1
            id = randomness.make_controller_uuid(self.seed, kind, self.id_counters[kind])
            if not any(id in taken for taken in (self.instances, self.groups, self.distributions, self.save_images)):
                return id

    def enqueue(self, instance: Instance) -> None:
        """Put an instance in line for a node."""
        insort(self.waiting, (instance.request.priority, instance.number, instance.id))
        self.placement_due = True

    def dequeue(self, instance: Instance) -> None:
        """Take an instance out of the line, if it stands there."""
        place = (instance.request.priority, instance.number, instance.id)
        index = bisect_left(self.waiting, place)
        if index < len(self.waiting) and self.waiting[index] == place:
            del self.waiting[index]

    def schedule_effects(
        self, hit: FaultHit, length: int, instance: Instance | None = None, node: Node | None = None
    ) -> None:
        """Schedule what a fault does beyond the phase of that length that it hit.

        A method, because the modules of the entities that call it are imported by ``fault_effects``.
        """
        if hit is not NO_HIT:
            fault_effects.schedule_effects(self, hit, length, instance, node)

    def mark_changed(self, instance: Instance) -> None:
        """Give the instance a new revision: what is shown of it may have changed."""
        self.revision += 1
        instance.revision = self.revision

    def record(self, what: str, subject: str, **detail: object) -> None:
        self.log.add(self.now, what, subject, **detail)

    def checkpoint(self) -> Checkpoint:
        """Return all that the future depends on, to go back to; the log and forgotten instances are left out."""
        past = ("log", "forgotten")
        state = pickle.dumps({key: value for key, value in self.__dict__.items() if key not in past})
        return Checkpoint(state, self.log.count)

    def restore_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Go back to a checkpoint of this controller; revisions go on."""
        revision = self.revision
        self.__dict__.update(pickle.loads(checkpoint.state))
        self.revision = revision + 1
        self.log.forget_after(checkpoint.log_count)
        for id in [id for id in self.forgotten if id in self.instances]:
            del self.forgotten[id]
        for instance in self.instances.values():
            self.mark_changed(instance)

    def replace_with(self, other: Controller) -> None:
        """Turn into another controller on the spot; who holds this one holds the other from now on."""
        revision = self.revision
        self.__dict__.update(other.__dict__)
        self.revision = revision + 1
        for instance in self.instances.values():
            self.mark_changed(instance)
