"""What a node has cached, what it is pulling, and what it throws away to make room.

A node keeps files, not versions: versions of one template share their layers, so a pull fetches only what is
missing, and what another pull is already fetching is waited for, not fetched twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mockanka.core.errors import NodeDiskFull
from mockanka.core.events import Event
from mockanka.core.template import File, Ref, size_by_name, version_of
from mockanka.core.timing import transfer

if TYPE_CHECKING:
    from mockanka.core.controller import Controller
    from mockanka.core.node import Node


@dataclass(frozen=True, slots=True)
class Pull:
    """A version on its way to a node: from when to when, and the files this pull fetches itself."""

    ref: Ref
    started: int
    ends: int
    files: tuple[File, ...]

    def progress(self, at: int) -> float:
        """0 to 1, even over the pull's time."""
        if at >= self.ends:
            return 1.0
        return max(0.0, (at - self.started) / (self.ends - self.started))


@dataclass(frozen=True, slots=True)
class Pulled(Event):
    """A pull is through. Instances and distributions that wait for it have events of their own, right behind."""

    node_id: str
    ref: Ref
    ends: int

    def alive(self, controller: Controller) -> bool:
        node = controller.nodes.get(self.node_id)
        pull = node.pulls.get(self.ref) if node else None
        return pull is not None and pull.ends == self.ends

    def asleep(self, controller: Controller) -> bool:
        return controller.nodes[self.node_id].lost_at is not None

    def happen(self, controller: Controller) -> None:
        node = controller.nodes[self.node_id]
        del node.pulls[self.ref]
        node.cached[self.ref] = controller.now
        controller.happened("pulled", node.id, template=self.ref.template_id, tag=version_of(controller, self.ref).tag)


def begin(controller: Controller, node: Node, ref: Ref) -> Pull | None:
    """Fetch a version; None if the node has it all. Raises NodeDiskFull, having changed nothing."""
    if has(controller, node, ref):
        node.cached[ref] = controller.now
        return None
    if ref in node.pulls:
        return node.pulls[ref]
    wanted = size_by_name([version_of(controller, ref).files])
    coming = size_by_name(pull.files for pull in node.pulls.values())
    there = _stored(controller, node.cached)
    missing = tuple(File(name, size) for name, size in wanted.items() if name not in there and name not in coming)
    size = sum(file.size for file in missing)
    _make_room(controller, node, ref, size)
    ends = controller.now + transfer(size, controller.timings.pull_bandwidth)
    for pull in node.pulls.values():
        if any(file.name in wanted for file in pull.files):
            ends = max(ends, pull.ends)
    pull = node.pulls[ref] = Pull(ref, controller.now, ends, missing)
    controller.schedule(ends, Pulled(node.id, ref, ends))
    controller.happened("pull began", node.id, template=ref.template_id, bytes=size, until=ends)
    return pull


def has(controller: Controller, node: Node, ref: Ref) -> bool:
    """Whether a VM of that version can be cloned on the node at once."""
    if ref in node.cached:
        return True
    if not any(cached.template_id == ref.template_id for cached in node.cached):
        return False
    there = _stored(controller, node.cached)
    return all(file.name in there for file in version_of(controller, ref).files)


def disk_used(controller: Controller, node: Node, now: int) -> int:
    """Bytes that Anka's files take on the node; a pull's files grow as it goes on."""
    pulling = sum(int(pull.progress(now) * sum(file.size for file in pull.files)) for pull in node.pulls.values())
    return sum(_stored(controller, node.cached).values()) + pulling


def resume(controller: Controller, node: Node) -> None:
    """The node is back: what it finished pulling while it was lost is through now."""
    for pull in node.pulls.values():
        if pull.ends <= controller.now:
            controller.schedule(controller.now, Pulled(node.id, pull.ref, pull.ends))


def _stored(controller: Controller, refs: Iterable[Ref]) -> dict[str, int]:
    return size_by_name(version_of(controller, ref).files for ref in refs)


def _make_room(controller: Controller, node: Node, ref: Ref, size: int) -> None:
    """Drop cached templates, least recently used first, until ``size`` bytes fit (controller-facts C6, C11)."""
    kept = dict(node.cached)
    reserved = sum(file.size for pull in node.pulls.values() for file in pull.files)

    def free() -> int:
        return node.disk_size - node.disk_other - reserved - sum(_stored(controller, kept).values())

    dropped: list[Ref] = []
    needed = {controller.instances[id].ref for id in node.occupants} | {*node.pulls, ref}
    needed_files = _stored(controller, needed)
    while free() < size:
        idle = [old for old in kept if not any(file.name in needed_files for file in version_of(controller, old).files)]
        if not idle:
            raise NodeDiskFull(node.name, size, max(0, free()))
        dropped.append(min(idle, key=lambda old: (kept[old], old)))
        del kept[dropped[-1]]
    for old in dropped:
        del node.cached[old]
        controller.happened("cached template dropped", node.id, template=old.template_id)
