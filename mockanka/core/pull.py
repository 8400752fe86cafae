"""What a node has cached, what it is pulling, and what it throws away to make room.

A node keeps files, not versions: versions of one template share their layers, so a pull fetches only what is
missing, and what another pull is already fetching is waited for, not fetched twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mockanka.core.errors import NodeDiskFull, RegistryDown
from mockanka.core.events import Event
from mockanka.core.faults import Blow
from mockanka.core.template import File, Ref, size_by_name, version_of
from mockanka.core.timing import transfer

if TYPE_CHECKING:
    from mockanka.core.controller import Controller
    from mockanka.core.instance_record import Instance
    from mockanka.core.node import Node


@dataclass(frozen=True, slots=True)
class Pull:
    """A version on its way to a node: from when to when, and the files this pull fetches itself.

    A fault may rest it for a while at a share of its way, hold it there for good, or break it off.
    """

    ref: Ref
    started: int
    ends: int
    files: tuple[File, ...]
    rests_at: float = 1.0
    rest: int = 0
    held_by: str = ""
    fails_at: int | None = None
    message: str = ""

    @property
    def over(self) -> int:
        """When it ends, one way or the other, unless it is held."""
        return self.ends if self.fails_at is None else self.fails_at

    def progress(self, at: int) -> float:
        """0 to 1, even over the time in which it moves."""
        moving = self.ends - self.started - self.rest
        gone = max(0, at - self.started)
        if self.held_by:
            return min(self.rests_at, gone / moving if moving else 1.0)
        if at >= self.ends:
            return 1.0
        before = int(moving * self.rests_at)
        return (gone if gone <= before else max(before, gone - self.rest)) / moving


@dataclass(frozen=True, slots=True)
class Pulled(Event):
    """A pull is through. Instances and distributions that wait for it have events of their own, right behind."""

    node_id: str
    ref: Ref
    ends: int

    def alive(self, controller: Controller) -> bool:
        node = controller.nodes.get(self.node_id)
        pull = node.pulls.get(self.ref) if node else None
        return pull is not None and pull.over == self.ends and not pull.held_by

    def asleep(self, controller: Controller) -> bool:
        return controller.nodes[self.node_id].lost_at is not None

    def happen(self, controller: Controller) -> None:
        node = controller.nodes[self.node_id]
        pull = node.pulls.pop(self.ref)
        named = {"template": self.ref.template_id, "tag": version_of(controller, self.ref).tag}
        if pull.fails_at is not None:
            controller.happened("pull failed", node.id, **named, message=pull.message)
            return
        node.cached[self.ref] = controller.now
        controller.happened("pulled", node.id, **named)


def begin(
    controller: Controller, node: Node, ref: Ref, one: Instance | None = None, blow: Blow | None = None
) -> Pull | None:
    """Fetch a version, for an instance or a distribution; None if the node has it all.

    ``blow`` is what a fault does to it; without one, the rules for pulls are asked. Raises NodeDiskFull or
    RegistryDown, having changed nothing.
    """
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
    if missing and controller.registry_state == "down":
        raise RegistryDown
    _make_room(controller, node, ref, size)
    blow = blow or controller.strike("pull", one, node, ref)
    ends = controller.now + transfer(size, blow.do.bandwidth or controller.timings.pull_bandwidth)
    shared = [pull for pull in node.pulls.values() if any(file.name in wanted for file in pull.files)]
    ends = max([ends, *(pull.ends for pull in shared)])
    controller.follow(blow, ends - controller.now, one, node)
    pull = _struck(Pull(ref, controller.now, ends, missing), blow)
    for other in shared:
        if other.held_by and not pull.held_by:  # what it waits for does not come
            pull = replace(pull, held_by=other.held_by, rests_at=other.rests_at)
        elif other.fails_at is not None and pull.fails_at is None:
            pull = replace(pull, fails_at=other.fails_at, message=other.message)
    node.pulls[ref] = pull
    controller.happened("pull began", node.id, template=ref.template_id, bytes=size, until=ends)
    if not pull.held_by:
        controller.schedule(pull.over, Pulled(node.id, ref, pull.over))
    return pull


def _struck(pull: Pull, blow: Blow) -> Pull:
    """The pull as a fault makes it."""
    do = blow.do
    if do.fail is not None:
        return replace(pull, fails_at=pull.started + int((pull.ends - pull.started) * do.at), message=do.fail)
    if do.stall and do.lasts is None:
        return replace(pull, held_by=blow.rule_id, rests_at=do.at)
    if do.stall:
        rest = do.lasts or 0
        return replace(pull, ends=pull.ends + rest, rests_at=do.at, rest=rest)
    return pull


def break_off(controller: Controller, node: Node, ref: Ref, message: str) -> None:
    """A pull of the node fails now."""
    pull = replace(node.pulls[ref], held_by="", fails_at=controller.now, message=message)
    node.pulls[ref] = pull
    controller.schedule(pull.over, Pulled(node.id, ref, pull.over))


def let_go(controller: Controller, node: Node, ref: Ref) -> None:
    """The fault that held a pull of the node is removed: it goes on from where it was."""
    pull = node.pulls[ref]
    moving = pull.ends - pull.started
    rest = max(0, controller.now - pull.started - int(moving * pull.rests_at))
    pull = replace(pull, held_by="", rest=rest, ends=pull.ends + rest)
    node.pulls[ref] = pull
    controller.schedule(pull.over, Pulled(node.id, ref, pull.over))
    controller.happened("let go", node.id, template=ref.template_id)


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
        if pull.over <= controller.now and not pull.held_by:
            controller.schedule(controller.now, Pulled(node.id, pull.ref, pull.over))


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
