"""Read-only views of a controller for tests: plain typed values, made anew each time they are read."""

from __future__ import annotations

from collections.abc import Callable, Collection, ItemsView, Iterator, Mapping, ValuesView
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from mockanka.core import instance_record, nodes, pulls, templates
from mockanka.core.controller import Controller
from mockanka.core.events import LogEntry
from mockanka.scenario.source import nearest
from mockanka.simulator import timeline
from mockanka.units import EPOCH

__tracebackhide__ = True  # an error that a test made is shown in the test


def to_datetime(nanoseconds: int) -> datetime:
    """Return a time of the controller's clock, to the microsecond."""
    return EPOCH + timedelta(microseconds=nanoseconds // 1000)


@dataclass(frozen=True)
class PortView:
    """A port of the guest, and the port of the node that forwards to it."""

    name: str
    guest: int
    host: int
    protocol: str


@dataclass(frozen=True)
class Stay:
    """A state of an instance, with its start, its end, and its cause. ``end`` is None for the present state."""

    state: str
    start: datetime
    end: datetime | None
    cause: str


@dataclass(frozen=True)
class InstanceView:
    """An instance. ``template``, ``node`` and ``group`` are names; ``progress`` is 0 to 1.

    ``waits_for`` is the reason why it waits, as a text; ``started_by`` is the number of the request that started it.
    ``ip``, ``host_ip`` and ``ports`` are as the controller shows them: empty until the instance is Started.
    """

    id: str
    state: str
    message: str
    template: str
    template_id: str
    tag: str
    name: str | None
    external_id: str | None
    node: str | None
    node_id: str | None
    group: str | None
    progress: float
    created: datetime
    ip: str
    host_ip: str
    ports: tuple[PortView, ...]
    metadata: Mapping[str, str | int | bool]
    waits_for: str | None
    started_by: int | None
    timeline: tuple[Stay, ...]


@dataclass(frozen=True)
class NodeView:
    """A node. ``running`` is the number of its VMs, ``instances`` the ids of those that hold a slot, ``cached`` are
    ``template:tag``; ``reports`` is False from the moment it is lost, also before it is shown as Offline."""

    id: str
    name: str
    ip: str
    state: str
    capacity: int
    running: int
    instances: tuple[str, ...]
    cached: tuple[str, ...]
    groups: tuple[str, ...]
    reports: bool
    takes_work: bool


@dataclass(frozen=True)
class TemplateView:
    """A template of the registry. ``tags`` are sorted from oldest to newest, ``size`` is in bytes."""

    id: str
    name: str
    arch: str
    size: int
    tags: tuple[str, ...]


@dataclass(frozen=True)
class LoggedEvent:
    """An entry of the event log."""

    number: int
    at: datetime
    event: str
    subject: str
    detail: Mapping[str, object]

    @classmethod
    def from_entry(cls, entry: LogEntry) -> LoggedEvent:
        """Return the view of an entry of the event log."""
        return cls(entry.number, to_datetime(entry.at), entry.what, entry.subject, dict(entry.detail))

    def __str__(self) -> str:
        detail = ", ".join(f"{key}: {value}" for key, value in self.detail.items())
        return f"{self.at.isoformat(timespec='milliseconds')} {self.event} {self.subject} {detail}".rstrip()


View = TypeVar("View")


@dataclass(frozen=True)
class ViewSource(Generic[View]):
    """The names of some entities by id, and how to view one; ``forgotten`` ones are not listed, but can be viewed."""

    names: Mapping[str, str]
    view: Callable[[str], View]
    forgotten: Collection[str] = ()


Reader = Callable[[Callable[[ViewSource[View]], Any]], Any]
"""Calls a function with the source of some views, while nothing else touches the controller."""


class Views(Mapping[str, View], Generic[View]):
    """Views of entities by id, or by a name that is unique. Each access reads the controller anew.

    Recently forgotten entities are found by id, in their last state; they are neither ``in`` it nor iterated.
    """

    def __init__(self, kind: str, read: Reader[View]) -> None:
        self._kind = kind
        self._read = read

    def __getitem__(self, key: str) -> View:
        def find(source: ViewSource[View]) -> View:
            return source.view(key if key in source.forgotten else find_id(self._kind, source.names, key))

        view: View = self._read(find)
        return view

    def __contains__(self, key: object) -> bool:
        return bool(self._read(lambda source: isinstance(key, str) and len(_matching_ids(source.names, key)) == 1))

    def get(self, key: str, default: Any = None) -> Any:
        """Return the view of an entity that exists, else the default."""
        if key not in self:
            return default
        return self[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read(lambda source: list(source.names)))

    def __len__(self) -> int:
        return len(self._read(lambda source: source.names))

    def items(self) -> ItemsView[str, View]:
        """Return all ids and views, read at one moment."""
        return self._all().items()

    def values(self) -> ValuesView[View]:
        """Return all views, read at one moment."""
        return self._all().values()

    def _all(self) -> dict[str, View]:
        views: dict[str, View] = self._read(lambda source: {id: source.view(id) for id in source.names})
        return views

    def __repr__(self) -> str:
        return f"{{{', '.join(f'{id!r}: {view!r}' for id, view in self.items())}}}"


def find_id(kind: str, names: Mapping[str, str], key: str) -> str:
    """Return the id for an id, or for a name that is unique. Raises KeyError, which names the nearest."""
    ids = _matching_ids(names, key)
    if len(ids) != 1:
        ambiguous = "it is the name of several"
        hint = ambiguous if ids else nearest(key, [name or id for id, name in names.items()])
        raise KeyError(f"there is no {kind} {key!r}: {hint}")
    return ids[0]


def _matching_ids(names: Mapping[str, str], key: str) -> list[str]:
    return [key] if key in names else [id for id, name in names.items() if name and name == key]


def names_by_id(controller: Controller, kind: str) -> dict[str, str]:
    """Return the names of all ``instances``, ``nodes`` or ``templates`` by their ids."""
    if kind == "instances":
        return {instance.id: instance.request.name or "" for instance in controller.instances.values()}
    if kind == "nodes":
        return {node.id: node.name for node in controller.nodes.values()}
    return {template.id: template.name for template in controller.templates.values() if not template.deleted}


def view_instance(controller: Controller, started_by: Callable[[str], int | None], id: str) -> InstanceView:
    """Return the view of an instance that exists or was recently forgotten."""
    instance = controller.instances.get(id) or controller.forgotten[id]
    request, vm = instance.request, instance.shown_vm
    node = controller.nodes.get(instance.shown_node_id or "")
    group = controller.groups.get(request.group_id or "")
    ports = () if vm is None or "port_forwarding" in instance.unreported else vm.ports
    return InstanceView(
        id=instance.id,
        state=instance.state.value,
        message=instance.message,
        template=controller.templates[instance.ref.template_id].name,
        template_id=instance.ref.template_id,
        tag=templates.get_version(controller, instance.ref).tag,
        name=request.name,
        external_id=request.external_id,
        node=node.name if node else None,
        node_id=instance.shown_node_id,
        group=group.name if group else request.group_id,
        progress=instance.progress(controller),
        created=to_datetime(instance.created),
        ip="" if vm is None or "ip" in instance.unreported else vm.ip,
        host_ip="" if vm is None or "host_ip" in instance.unreported else vm.host_ip,
        ports=tuple(PortView(port.name, port.guest_port, port.host_port, port.protocol) for port in ports),
        metadata=dict(request.metadata),
        waits_for=timeline.waiting_reason(controller, instance),
        started_by=started_by(id),
        timeline=_view_timeline(instance),
    )


def _view_timeline(instance: instance_record.Instance) -> tuple[Stay, ...]:
    return tuple(
        Stay(entry.state.value, to_datetime(entry.since), None if end is None else to_datetime(end), entry.cause)
        for entry, end in timeline.states_with_ends(instance)
    )


def view_node(controller: Controller, id: str) -> NodeView:
    """Return the view of a node."""
    node = controller.nodes[id]
    cached = [
        f"{controller.templates[ref.template_id].name}:{templates.get_version(controller, ref).tag}"
        for ref in node.cached
        if pulls.is_cached(controller, node, ref)
    ]
    return NodeView(
        id=node.id,
        name=node.name,
        ip=node.ip,
        state=node.state(controller.now).value,
        capacity=node.capacity,
        running=nodes.running_load(controller, node).vm_count,
        instances=tuple(node.occupants),
        cached=tuple(cached),
        groups=tuple(controller.groups[group_id].name for group_id in node.groups),
        reports=node.lost_at is None,
        takes_work=node.takes_work and not node.manual_vms,
    )


def view_template(controller: Controller, id: str) -> TemplateView:
    """Return the view of a template."""
    template = controller.templates[id]
    tags = tuple(version.tag for version in template.versions)
    return TemplateView(template.id, template.name, template.arch, template.size, tags)
