"""Pulls of versions to nodes, the cached templates of a node, and the room that both take on its disk.

A node stores files, not versions. Versions of a template share files, so a pull fetches only those that are missing.
A node that pulls takes no new task (controller-facts C8), so it has one pull at a time, unless a dump or a snapshot has
more of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from mockanka.core.durations import compute_transfer_time
from mockanka.core.errors import NodeDiskFull, RegistryDown
from mockanka.core.events import NodeEvent
from mockanka.core.faults import FaultHit, apply_rules
from mockanka.core.templates import File, VersionRef, collect_file_sizes, get_version, record_pull
from mockanka.core.transfers import Transfer

if TYPE_CHECKING:
    from mockanka.core.controller import Controller
    from mockanka.core.instance_record import Instance
    from mockanka.core.nodes import Node


MIN_REMAINING_TIME = 1_000_000_000
"""Nanoseconds that a continued pull still takes at least, since its progress is shown as a fraction of its time."""


class PullStall(NamedTuple):
    """A pull stops at a progress, 0 to 1, until the fault rule is removed."""

    rule_id: str
    progress: float


class PullFailure(NamedTuple):
    """A pull fails at a moment, with a message. After a ``final`` failure a start that needs it is not tried again."""

    at: int
    message: str
    final: bool = False


@dataclass(frozen=True, slots=True)
class Pull:
    """A version on its way to a node.

    ``files`` are those that it fetches. ``transfer`` is its course, also the pause that a fault makes.
    A ``stall`` holds it at a progress while its transfer only seems to go on; a ``failure`` ends it early.
    """

    ref: VersionRef
    files: tuple[File, ...]
    transfer: Transfer
    stall: PullStall | None = None
    failure: PullFailure | None = None

    @property
    def size(self) -> int:
        """Bytes that it fetches."""
        return sum(file.size for file in self.files)

    @property
    def expected_end(self) -> int | None:
        """The moment at which it completes or fails; None while it is stalled."""
        if self.stall is not None:
            return None
        return self.transfer.ends if self.failure is None else self.failure.at

    def progress(self, now: int) -> float:
        """Return the share that is pulled at a moment, 0 to 1."""
        progress = self.transfer.progress(now)
        return progress if self.stall is None else min(self.stall.progress, progress)

    def resumed(self, now: int) -> Pull:
        """Return a copy that is not stalled: it goes on from its progress, as much later as it was stalled."""
        if self.stall is None:
            return self
        stalled_for = max(0, now - self.transfer.moment_of(self.stall.progress))
        return replace(self, transfer=self.transfer.shifted(stalled_for), stall=None)


@dataclass(frozen=True, slots=True)
class PullEnded(NodeEvent):
    """A pull completes or fails. Instances and distributions that wait for it have events of their own right after."""

    kind: ClassVar = "pull_ended"

    node_id: str
    ref: VersionRef
    until: int

    def reporting_node(self, controller: Controller) -> Node | None:
        return controller.nodes.get(self.node_id)

    def is_current(self, controller: Controller) -> bool:
        node = self.reporting_node(controller)
        pull = node.pulls.get(self.ref) if node else None
        return pull is not None and pull.expected_end == self.until

    def apply(self, controller: Controller) -> None:
        node = controller.nodes[self.node_id]
        pull = node.pulls.pop(self.ref)
        controller.placement_due = True
        version = {"template": self.ref.template_id, "tag": get_version(controller, self.ref).tag}
        if pull.failure is not None:
            controller.record("pull failed", node.id, **version, message=pull.failure.message)
            return
        node.cached[self.ref] = controller.now
        record_pull(controller, self.ref)
        controller.record("pulled", node.id, **version)


def begin_pull(
    controller: Controller, node: Node, ref: VersionRef, instance: Instance | None = None, hit: FaultHit | None = None
) -> Pull | None:
    """Begin the pull of a version to a node that pulls nothing, and return it; None if all of its files are there.

    ``hit`` is the fault of the distribution that wants it; without one, the rules for pulls are asked. Raises
    NodeDiskFull or RegistryDown, and changes nothing then.
    """
    if is_cached(controller, node, ref):
        node.cached[ref] = controller.now
        return None
    require_registry(controller, node)
    missing = _find_missing_files(controller, node, ref)
    size = sum(file.size for file in missing)
    _drop_cached_versions(controller, node, _find_versions_to_drop(controller, node, ref))
    hit = hit or apply_rules(controller, "pull", instance, node, ref)
    length = compute_transfer_time(size, hit.action.bandwidth or controller.timings.pull_bandwidth)
    ends = controller.now + length
    controller.schedule_effects(hit, length, instance, node)
    pull = _apply_hit(Pull(ref, missing, Transfer(controller.now, ends)), hit)
    controller.record("pull began", node.id, template=ref.template_id, bytes=size, until=ends)
    _set_pull(controller, node, pull)
    return pull


def continue_pull(controller: Controller, node: Node, ref: VersionRef, progress: float) -> Pull | None:
    """Return a pull that goes on from a progress below 1; None if all of its files are on the node.

    It is for snapshots, in which several instances may wait for a pull: they get the same one. Its room on the disk is
    taken already, and no fault rule is asked.
    """
    if is_cached(controller, node, ref):
        return None
    if ref in node.pulls:
        return node.pulls[ref]
    now = node.last_contact(controller.now)
    missing = _find_missing_files(controller, node, ref)
    whole = compute_transfer_time(sum(file.size for file in missing), controller.timings.pull_bandwidth)
    remaining = max(int(whole * (1 - progress)), MIN_REMAINING_TIME)
    started = max(0, now - int(remaining * progress / (1 - progress)))
    pull = Pull(ref, missing, Transfer(started, now + remaining))
    _set_pull(controller, node, pull)
    return pull


def _set_pull(controller: Controller, node: Node, pull: Pull) -> None:
    """Give the node a pull, or another course of one, and schedule its end."""
    node.pulls[pull.ref] = pull
    if (end := pull.expected_end) is not None:
        controller.schedule(end, PullEnded(node.id, pull.ref, end))


def _find_missing_files(controller: Controller, node: Node, ref: VersionRef) -> tuple[File, ...]:
    """Return the files of a version that are not on the node."""
    present = _collect_files(controller, node.cached)
    files = collect_file_sizes([get_version(controller, ref).files])
    return tuple(File(name, size) for name, size in files.items() if name not in present)


def _apply_hit(pull: Pull, hit: FaultHit) -> Pull:
    """Return the pull with what a fault does to it: it fails, is stalled, or makes a pause."""
    action, transfer = hit.action, pull.transfer
    if action.fail is not None:
        fails_at = transfer.started + int((transfer.ends - transfer.started) * action.fraction)
        return replace(pull, failure=PullFailure(fails_at, action.fail, action.final))
    if action.stall and action.duration is None:
        return replace(pull, stall=PullStall(hit.rule_id, action.fraction))
    if action.stall:
        pause = action.duration or 0
        return replace(pull, transfer=Transfer(transfer.started, transfer.ends + pause, action.fraction, pause))
    return pull


def fail_pull(controller: Controller, node: Node, ref: VersionRef, message: str) -> None:
    """Let a pull of the node fail now, also one that is stalled."""
    pull = node.pulls[ref].resumed(controller.now)
    _set_pull(controller, node, replace(pull, failure=PullFailure(controller.now, message)))


def cancel_pull(controller: Controller, node: Node, ref: VersionRef) -> None:
    """Drop a pull that nothing waits for any more."""
    del node.pulls[ref]
    controller.placement_due = True
    controller.record("pull given up", node.id, template=ref.template_id)


def release_stalled_pulls(controller: Controller, node: Node, rule_id: str) -> list[VersionRef]:
    """Let the pulls go on that a fault rule stalls, and return their versions."""
    stalled = [ref for ref, pull in node.pulls.items() if pull.stall is not None and pull.stall.rule_id == rule_id]
    for ref in stalled:
        _set_pull(controller, node, node.pulls[ref].resumed(controller.now))
        controller.record("let go", node.id, template=ref.template_id)
    return stalled


def is_cached(controller: Controller, node: Node, ref: VersionRef) -> bool:
    """Return whether all files of a version are on the node, so that a VM can be cloned from it at once."""
    if ref in node.cached:
        return True
    if not any(cached.template_id == ref.template_id for cached in node.cached):
        return False
    present = _collect_files(controller, node.cached)
    return all(file.name in present for file in get_version(controller, ref).files)


def compute_disk_usage(controller: Controller, node: Node, now: int) -> int:
    """Return the bytes that Anka's files take on the node; those of a pull grow with its progress."""
    pulling = sum(int(pull.progress(now) * pull.size) for pull in node.pulls.values())
    return max(0, sum(_collect_files(controller, node.cached).values()) + pulling + node.disk_anka)


def explain_no_pull(controller: Controller, node: Node, ref: VersionRef) -> str | None:
    """Return why a node cannot pull a version that it does not have, as a text for people; None if it can."""
    if not controller.registry.is_reachable:
        return "the registry is down"
    if not node.reaches_registry:
        return "cannot reach the registry"
    try:
        _find_versions_to_drop(controller, node, ref)
    except NodeDiskFull:
        return "no room on the disk"
    return None


def require_registry(controller: Controller, node: Node | None) -> None:
    """Raise RegistryDown if the registry is down, or if the node cannot reach it."""
    controller.registry.require_reachable()
    if node is not None and not node.reaches_registry:
        raise RegistryDown


def resume_pulls(controller: Controller, node: Node) -> None:
    """Schedule the ends that were due while the node was lost: it reports them now that it is back."""
    for pull in node.pulls.values():
        if (end := pull.expected_end) is not None and end <= controller.now:
            controller.schedule(controller.now, PullEnded(node.id, pull.ref, end))


def drop_cached_template(controller: Controller, node: Node, template_id: str) -> None:
    """Take the versions of a template off the node's disk, except for files that its VMs or pulls need."""
    in_use = _find_refs_in_use(controller, node)
    needed = _collect_files(controller, in_use)
    cached = [ref for ref in node.cached if ref.template_id == template_id]
    for ref in sorted(cached, key=lambda ref: ref in in_use):
        others = _collect_files(controller, (other for other in node.cached if other != ref))
        if all(file.name in others or file.name not in needed for file in get_version(controller, ref).files):
            del node.cached[ref]


def _find_refs_in_use(controller: Controller, node: Node) -> set[VersionRef]:
    """Return the versions of the VMs and pulls of the node."""
    return {controller.instances[id].ref for id in node.occupants} | {*node.pulls}


def _collect_files(controller: Controller, refs: Iterable[VersionRef]) -> dict[str, int]:
    """Return the files of versions, each once, with their sizes in bytes."""
    return collect_file_sizes(get_version(controller, ref).files for ref in refs)


def _find_versions_to_drop(controller: Controller, node: Node, ref: VersionRef) -> list[VersionRef]:
    """Return the cached versions that are dropped for a pull, least recently used first (controller-facts C6, C11).

    Raises NodeDiskFull if even without them there is no room.
    """
    kept = dict(node.cached)
    size = sum(file.size for file in _find_missing_files(controller, node, ref))
    needed = _collect_files(controller, _find_refs_in_use(controller, node) | {ref})
    dropped: list[VersionRef] = []
    while (free := _count_free_bytes(controller, node, kept)) < size:
        unused = [old for old in kept if not any(file.name in needed for file in get_version(controller, old).files)]
        if not unused:
            raise NodeDiskFull(node.name, size, max(0, free))
        dropped.append(min(unused, key=lambda old: (kept[old], old)))
        del kept[dropped[-1]]
    return dropped


def _count_free_bytes(controller: Controller, node: Node, cached: Iterable[VersionRef]) -> int:
    """Return the free bytes of a node's disk with these versions cached; negative if a scenario has more on it."""
    reserved = sum(pull.size for pull in node.pulls.values())
    stored = sum(_collect_files(controller, cached).values())
    return node.disk_size - node.disk_other - node.disk_anka - reserved - stored


def _drop_cached_versions(controller: Controller, node: Node, refs: Iterable[VersionRef]) -> None:
    for ref in refs:
        del node.cached[ref]
        controller.record("cached template dropped", node.id, template=ref.template_id)
