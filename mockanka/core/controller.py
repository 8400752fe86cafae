"""The controller: its entities, its time, and what is due."""

from __future__ import annotations

import pickle
from bisect import bisect_left, insort
from dataclasses import dataclass, field

from mockanka.core import fault_effects, faults, placement, randomness
from mockanka.core.clock import Clock
from mockanka.core.distributions import Distribution
from mockanka.core.durations import Timings
from mockanka.core.errors import NeedsLicense
from mockanka.core.events import Event, EventLog, EventQueue
from mockanka.core.faults import FaultHit, FaultRules
from mockanka.core.groups import Group
from mockanka.core.instance_record import Instance
from mockanka.core.nodes import Node
from mockanka.core.overrides import Overrides
from mockanka.core.release import DEFAULT_RELEASE, Release
from mockanka.core.save_images import SaveImage
from mockanka.core.scripts import ScriptRule
from mockanka.core.templates import Template, VersionRef

GB = 1_000_000_000
GONE_KEPT = 1_000
"""Instances that nobody knows any more, whose story can still be told."""


@dataclass(eq=False)
class Controller:
    """One simulated controller with all its nodes. Nothing in it moves but by ``advance`` and operations.

    ``now`` is the time of whatever is happening: while an event happens, the time it was due.
    """

    clock: Clock
    seed: int = 0
    release: Release = DEFAULT_RELEASE
    license: str = "enterprise plus"
    registry: str = "http://anka.registry:8089"
    timings: Timings = field(default_factory=Timings)
    scripts: tuple[ScriptRule, ...] = ()
    saved_size: int = 2 * GB
    """About how many bytes a saved image adds to its template."""
    mac_addresses: int = 0
    """How many MAC addresses it has to hand out; with none it leaves them to the nodes."""
    registry_disk: int = 1000 * GB
    registry_other: int = 0
    """What else is on the registry's disk; less than nothing if less was told than its templates make."""
    retries: int = 0
    """How many nodes may fail to start an instance before it is Error."""
    registry_state: str = "up"
    """``up``, ``down``, or ``full``: what cannot be pulled, and what cannot be pushed."""
    overrides: Overrides = field(default_factory=dict)
    """What faults made of the registry, ``down`` or ``full``, and of the licence, ``expired``."""

    nodes: dict[str, Node] = field(default_factory=dict)
    templates: dict[str, Template] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    instances: dict[str, Instance] = field(default_factory=dict)
    distributions: dict[str, Distribution] = field(default_factory=dict)
    save_images: dict[str, SaveImage] = field(default_factory=dict)

    minted: dict[str, int] = field(default_factory=dict)
    """How many ids of each kind were made."""
    placement_due: bool = False
    """Whether something changed that may let a waiting instance find a node."""
    waiting: list[tuple[int, int, str]] = field(default_factory=list)
    """The instances that want a node: priority, number, id; in this order they get one."""
    faults: FaultRules = field(default_factory=FaultRules)
    gone: dict[str, Instance] = field(default_factory=dict)
    queue: EventQueue = field(default_factory=EventQueue)
    log: EventLog = field(default_factory=EventLog)
    notes: tuple[str, ...] = ()
    """What of its scenario it could not take over, because its release does not know it."""
    revision: int = 0
    """Grows with every change of an instance, and never goes back, not even by a reset."""
    now: int = field(init=False)

    def __post_init__(self) -> None:
        self.now = self.clock.now()

    @property
    def is_enterprise(self) -> bool:
        """Whether the licence includes groups, priority and USB devices (controller-facts C14)."""
        return self.license != "basic"

    def require_enterprise(self, what: str) -> None:
        """Raise NeedsLicense unless the licence includes what is asked for."""
        if not self.is_enterprise:
            raise NeedsLicense(what)

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
            self.minted[kind] = self.minted.get(kind, 0) + 1
            id = randomness.make_controller_uuid(self.seed, kind, self.minted[kind])
            if not any(id in taken for taken in (self.instances, self.groups, self.distributions, self.save_images)):
                return id

    def wait(self, instance: Instance) -> None:
        """Put an instance in line for a node."""
        insort(self.waiting, (instance.request.priority, instance.number, instance.id))
        self.placement_due = True

    def dequeue(self, instance: Instance) -> None:
        """Take an instance out of the line, if it stands there."""
        place = (instance.request.priority, instance.number, instance.id)
        index = bisect_left(self.waiting, place)
        if index < len(self.waiting) and self.waiting[index] == place:
            del self.waiting[index]

    def strike(
        self, event: str, one: Instance | None = None, node: Node | None = None, ref: VersionRef | None = None
    ) -> FaultHit:
        """What a fault rule does to something that begins now; most often nothing."""
        return faults.apply_rules(self, event, one, node, ref)

    def follow(self, blow: FaultHit, length: int, one: Instance | None = None, node: Node | None = None) -> None:
        """Put into the queue what a rule does beyond the phase it struck."""
        if blow is not faults.NO_HIT:
            fault_effects.schedule_effects(self, blow, length, one, node)

    def keep_forgotten(self, instance: Instance) -> None:
        """Keep an instance that is gone, for who asks what became of it."""
        self.gone[instance.id] = instance
        if len(self.gone) > GONE_KEPT:
            del self.gone[next(iter(self.gone))]

    def touch(self, instance: Instance) -> None:
        """Note that what is said of the instance may have changed."""
        self.revision += 1
        instance.revision = self.revision

    def record(self, what: str, subject: str, **detail: object) -> None:
        self.log.add(self.now, what, subject, **detail)

    def snapshot(self) -> bytes:
        """All that the future depends on, to go back to; what tells the past is left out."""
        past = ("log", "gone")
        return pickle.dumps({key: value for key, value in self.__dict__.items() if key not in past})

    def restore_checkpoint(self, snapshot: bytes, log_number: int) -> None:
        """Be as at a snapshot again, when that many lines had been logged; revisions go on."""
        revision = self.revision
        self.__dict__.update(pickle.loads(snapshot))
        self.revision = revision + 1
        self.log.forget_after(log_number)
        for id in [id for id in self.gone if id in self.instances]:
            del self.gone[id]
        for instance in self.instances.values():
            self.touch(instance)

    def replace_with(self, other: Controller) -> None:
        """Turn into another controller on the spot; who holds this one holds the other from now on."""
        revision = self.revision
        self.__dict__.update(other.__dict__)
        self.revision = revision + 1
        for instance in self.instances.values():
            self.touch(instance)
