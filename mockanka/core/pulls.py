"""What a node has cached, what it is pulling, and what it throws away to make room.

A node keeps files, not versions: versions of one template share their layers, so a pull fetches only what is
missing, and what another pull is already fetching is waited for, not fetched twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import takewhile
from math import ceil
from typing import TYPE_CHECKING, ClassVar

from mockanka.core.durations import transfer_time
from mockanka.core.errors import NodeDiskFull
from mockanka.core.events import NodeEvent
from mockanka.core.faults import FaultHit, apply_rules
from mockanka.core.templates import File, VersionRef, collect_file_sizes, get_version, record_pull

if TYPE_CHECKING:
    from mockanka.core.controller import Controller
    from mockanka.core.instance_record import Instance
    from mockanka.core.nodes import Node


MIN_REMAINING = 1_000_000
"""Nanoseconds that are left at least of a pull that goes on: in fewer its progress would show in steps."""


@dataclass(frozen=True, slots=True)
class Pull:
    """A version on its way to a node: from when to when, and the files this pull fetches itself.

    A fault may rest it for a while at a share of its way, hold it there for good, or break it off.
    """

    ref: VersionRef
    started: int
    ends: int
    files: tuple[File, ...]
    pauses_at: float = 1.0
    rest: int = 0
    stalled_by: str = ""
    stalled_at: float = 1.0
    fails_at: int | None = None
    message: str = ""

    @property
    def over(self) -> int:
        """When it ends, one way or the other, unless it is held."""
        return self.ends if self.fails_at is None else self.fails_at

    def progress(self, at: int) -> float:
        """0 to 1, even over the time in which it moves."""
        made = self._unheld(at)
        return min(self.stalled_at, made) if self.stalled_by else made

    @property
    def moving(self) -> int:
        """How long it moves, all in all."""
        return self.ends - self.started - self.rest

    def _unheld(self, at: int) -> float:
        if at >= self.ends:
            return 1.0
        if not self.moving:  # nothing to fetch, and still it rests
            return self.pauses_at
        gone, before = max(0, at - self.started), self._gone_at(self.pauses_at)
        return (gone if gone <= before else max(before, gone - self.rest)) / self.moving

    def _gone_at(self, share: float) -> int:
        """How long it has moved at a share of its way: rounded up, so that progress never falls by it."""
        return ceil(self.moving * share)

    def resumed(self, now: int) -> Pull:
        """The same, no longer held: it goes on from where it is, by so much later as it was held."""
        reached = self.started + self._gone_at(self.stalled_at)
        if self.stalled_at > self.pauses_at:
            reached += self.rest
        late = max(0, now - reached) if self.stalled_by else 0
        return replace(self, started=self.started + late, ends=self.ends + late, stalled_by="", stalled_at=1.0)

    def delayed(self, late: int, now: int) -> Pull:
        """The same, ending so much later: it rests as much longer, where it would anyway or where it is now."""
        made, moving = self.progress(now), self.moving
        if self.rest and made <= self.pauses_at:
            return replace(self, rest=self.rest + late, ends=self.ends + late)
        started = now - self._gone_at(made)
        return replace(self, started=started, pauses_at=made, rest=late, ends=started + moving + late)


@dataclass(frozen=True, slots=True)
class PullEnded(NodeEvent):
    """A pull is through. Instances and distributions that wait for it have events of their own, right behind."""

    kind: ClassVar = "pull_ended"

    node_id: str
    ref: VersionRef
    until: int

    def reporting_node(self, controller: Controller) -> Node | None:
        return controller.nodes.get(self.node_id)

    def is_current(self, controller: Controller) -> bool:
        node = self.reporting_node(controller)
        pull = node.pulls.get(self.ref) if node else None
        return pull is not None and pull.over == self.until and not pull.stalled_by

    def apply(self, controller: Controller) -> None:
        node = controller.nodes[self.node_id]
        pull = node.pulls.pop(self.ref)
        named = {"template": self.ref.template_id, "tag": get_version(controller, self.ref).tag}
        if pull.fails_at is not None:
            controller.record("pull failed", node.id, **named, message=pull.message)
            return
        node.cached[self.ref] = controller.now
        record_pull(controller, self.ref)
        controller.record("pulled", node.id, **named)


def begin_pull(
    controller: Controller, node: Node, ref: VersionRef, one: Instance | None = None, hit: FaultHit | None = None
) -> Pull | None:
    """Fetch a version, for an instance or a distribution; None if the node has it all.

    ``hit`` is what a fault does to it; without one, the rules for pulls are asked. Raises NodeDiskFull or
    RegistryDown, having changed nothing.
    """
    if is_cached(controller, node, ref):
        node.cached[ref] = controller.now
        return None
    if ref in node.pulls:
        return node.pulls[ref]
    wanted = collect_file_sizes([get_version(controller, ref).files])
    coming = collect_file_sizes(pull.files for pull in node.pulls.values())
    there = _stored(controller, node.cached)
    missing = tuple(File(name, size) for name, size in wanted.items() if name not in there and name not in coming)
    size = sum(file.size for file in missing)
    if missing:
        controller.registry.require_reachable()
    _make_room(controller, node, ref, size)
    hit = hit or apply_rules(controller, "pull", one, node, ref)
    ends = controller.now + transfer_time(size, hit.action.bandwidth or controller.timings.pull_bandwidth)
    shared = [pull for pull in node.pulls.values() if any(file.name in wanted for file in pull.files)]
    ends = max([ends, *(pull.ends for pull in shared)])
    controller.schedule_effects(hit, ends - controller.now, one, node)
    pull = _struck(Pull(ref, controller.now, ends, missing), hit)
    for other in shared:
        if other.fails_at is not None and (pull.fails_at is None or other.fails_at < pull.fails_at):
            pull = replace(pull, fails_at=other.fails_at, message=other.message)
        elif other.stalled_by and not pull.stalled_by and pull.fails_at is None:  # what it waits for does not come
            pull = replace(pull, stalled_by=other.stalled_by, stalled_at=other.stalled_at)
    node.pulls[ref] = pull
    controller.record("pull began", node.id, template=ref.template_id, bytes=size, until=ends)
    if not pull.stalled_by:
        controller.schedule(pull.over, PullEnded(node.id, ref, pull.over))
    return pull


def continue_pull(controller: Controller, node: Node, ref: VersionRef, made: float) -> Pull | None:
    """Have a pull go on of which a share is made, less than all; None if the node has everything.

    Its room is taken already, and no fault is asked.
    """
    if is_cached(controller, node, ref):
        return None
    if ref in node.pulls:
        return node.pulls[ref]
    at = node.last_contact(controller.now)
    coming = collect_file_sizes(pull.files for pull in node.pulls.values())
    wanted = collect_file_sizes([get_version(controller, ref).files])
    there = _stored(controller, node.cached)
    missing = tuple(File(name, size) for name, size in wanted.items() if name not in there and name not in coming)
    rest = int(transfer_time(sum(file.size for file in missing), controller.timings.pull_bandwidth) * (1 - made))
    rest = max([rest, MIN_REMAINING, *(pull.ends - at for pull in node.pulls.values() if wanted.keys() & _names(pull))])
    started = max(0, at - int(rest * made / (1 - made)))
    node.pulls[ref] = pull = Pull(ref, started, at + rest, missing)
    controller.schedule(pull.over, PullEnded(node.id, ref, pull.over))
    return pull


def _names(pull: Pull) -> set[str]:
    return {file.name for file in pull.files}


def _struck(pull: Pull, hit: FaultHit) -> Pull:
    """The pull as a fault makes it."""
    do = hit.action
    if do.fail is not None:
        return replace(pull, fails_at=pull.started + int((pull.ends - pull.started) * do.fraction), message=do.fail)
    if do.stall and do.duration is None:
        return replace(pull, stalled_by=hit.rule_id, stalled_at=do.fraction)
    if do.stall:
        rest = do.duration or 0
        return replace(pull, ends=pull.ends + rest, pauses_at=do.fraction, rest=rest)
    return pull


def fail_pull(controller: Controller, node: Node, ref: VersionRef, message: str) -> None:
    """A pull of the node fails now."""
    pull = replace(node.pulls[ref].resumed(controller.now), fails_at=controller.now, message=message)
    node.pulls[ref] = pull
    controller.schedule(pull.over, PullEnded(node.id, ref, pull.over))


def cancel_pull(controller: Controller, node: Node, ref: VersionRef) -> None:
    """Nobody wants a pull of the node any more. One that others of the node lean on goes on."""
    names = {file.name for file in node.pulls[ref].files}
    others = [other for other in node.pulls if other != ref]
    if not any(file.name in names for other in others for file in get_version(controller, other).files):
        del node.pulls[ref]
        controller.record("pull given up", node.id, template=ref.template_id)


def release_stalled_pulls(controller: Controller, node: Node, rule_id: str) -> list[VersionRef]:
    """The fault that held pulls of the node is removed: they go on from where they are. Returns which.

    One that waits for layers of another ends no sooner than that.
    """
    freed = [ref for ref, pull in node.pulls.items() if pull.stalled_by == rule_id]
    for ref in freed:
        pull = node.pulls[ref].resumed(controller.now)
        wanted = collect_file_sizes([get_version(controller, ref).files])
        before = [other for other in _before(node, ref) if any(file.name in wanted for file in other.files)]
        late = max((other.ends for other in before), default=0) - pull.ends
        node.pulls[ref] = pull = pull.delayed(late, controller.now) if late > 0 else pull
        controller.schedule(pull.over, PullEnded(node.id, ref, pull.over))
        controller.record("let go", node.id, template=ref.template_id)
    return freed


def _before(node: Node, ref: VersionRef) -> Iterable[Pull]:
    """The pulls of the node that began before that one."""
    return takewhile(lambda pull: pull.ref != ref, node.pulls.values())


def is_cached(controller: Controller, node: Node, ref: VersionRef) -> bool:
    """Whether a VM of that version can be cloned on the node at once."""
    if ref in node.cached:
        return True
    if not any(cached.template_id == ref.template_id for cached in node.cached):
        return False
    there = _stored(controller, node.cached)
    return all(file.name in there for file in get_version(controller, ref).files)


def disk_used(controller: Controller, node: Node, now: int) -> int:
    """Bytes that Anka's files take on the node; a pull's files grow as it goes on."""
    pulling = sum(int(pull.progress(now) * sum(file.size for file in pull.files)) for pull in node.pulls.values())
    return max(0, sum(_stored(controller, node.cached).values()) + pulling + node.disk_anka)


def resume_pulls(controller: Controller, node: Node) -> None:
    """The node is back: what it finished pulling while it was lost is through now."""
    for pull in node.pulls.values():
        if pull.over <= controller.now and not pull.stalled_by:
            controller.schedule(controller.now, PullEnded(node.id, pull.ref, pull.over))


def drop_cached_template(controller: Controller, node: Node, template_id: str) -> None:
    """Take the versions of a template off the node's disk, but for files that VMs or pulls there lean on."""
    in_use = {controller.instances[id].ref for id in node.occupants} | {*node.pulls}
    needed = _stored(controller, in_use)
    meant = [ref for ref in node.cached if ref.template_id == template_id]
    for ref in sorted(meant, key=lambda each: each in in_use):
        others = _stored(controller, (other for other in node.cached if other != ref))
        if all(file.name in others or file.name not in needed for file in get_version(controller, ref).files):
            del node.cached[ref]


def _stored(controller: Controller, refs: Iterable[VersionRef]) -> dict[str, int]:
    return collect_file_sizes(get_version(controller, ref).files for ref in refs)


def _make_room(controller: Controller, node: Node, ref: VersionRef, size: int) -> None:
    """Drop cached templates, least recently used first, until ``size`` bytes fit (controller-facts C6, C11)."""
    kept = dict(node.cached)
    reserved = sum(file.size for pull in node.pulls.values() for file in pull.files)

    def free() -> int:
        return node.disk_size - node.disk_other - node.disk_anka - reserved - sum(_stored(controller, kept).values())

    dropped: list[VersionRef] = []
    needed = {controller.instances[id].ref for id in node.occupants} | {*node.pulls, ref}
    needed_files = _stored(controller, needed)
    while free() < size:
        idle = [
            old for old in kept if not any(file.name in needed_files for file in get_version(controller, old).files)
        ]
        if not idle:
            raise NodeDiskFull(node.name, size, max(0, free()))
        dropped.append(min(idle, key=lambda old: (kept[old], old)))
        del kept[dropped[-1]]
    for old in dropped:
        del node.cached[old]
        controller.record("cached template dropped", node.id, template=old.template_id)
