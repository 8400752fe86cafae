"""What a test sees of the controller: plain, typed, read-only, and as it is at the moment it looks."""

from __future__ import annotations

from collections.abc import Callable, Collection, ItemsView, Iterator, Mapping, ValuesView
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from mockanka.core import instance_record, nodes, pulls, templates
from mockanka.core.controller import Controller
from mockanka.core.events import LogEntry
from mockanka.scenario.source import nearest
from mockanka.simulator import timeline

__tracebackhide__ = True  # what a test did wrong it did in the test
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(at: int) -> datetime:
    """A moment of the controller's clock, to the microsecond."""
    return EPOCH + timedelta(microseconds=at // 1000)


@dataclass(frozen=True)
class Port:
    """A port of the guest and the one of the node that leads to it."""

    name: str
    guest: int
    host: int
    protocol: str


@dataclass(frozen=True)
class Stay:
    """A state an instance was in: from when to when, and what brought it there. ``end`` is None for the present one."""

    state: str
    start: datetime
    end: datetime | None
    cause: str


@dataclass(frozen=True)
class Instance:
    """An instance. ``template``, ``node`` and ``group`` are names; ``progress`` is 0 to 1.

    ``waits_for`` says in words what it waits for now; ``started_by`` is the number of the request that started it.
    ``ip``, ``host_ip`` and ``ports`` are what the controller shows: blank and empty until it is Started.
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
    ports: tuple[Port, ...]
    metadata: Mapping[str, str | int | bool]
    waits_for: str | None
    started_by: int | None
    timeline: tuple[Stay, ...]


@dataclass(frozen=True)
class Node:
    """A node. ``running`` counts its VMs, ``instances`` are the ids of those that hold a slot, ``cached`` are
    ``template:tag``; ``reports`` is False while it is lost, also before it is shown as Offline."""

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
class Template:
    """A template of the registry; ``tags`` stand oldest first, ``size`` is bytes."""

    id: str
    name: str
    arch: str
    size: int
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Event:
    """Something that happened."""

    number: int
    at: datetime
    event: str
    subject: str
    detail: Mapping[str, object]

    @classmethod
    def of(cls, line: LogEntry) -> Event:
        return cls(line.number, moment(line.at), line.what, line.subject, dict(line.detail))

    def __str__(self) -> str:
        detail = ", ".join(f"{key}: {value}" for key, value in self.detail.items())
        return f"{self.at.isoformat(timespec='milliseconds')} {self.event} {self.subject} {detail}".rstrip()


View = TypeVar("View")


@dataclass(frozen=True)
class Look(Generic[View]):
    """The ids and names of some things, and how one of them is looked at; ``gone`` are those whose story is kept."""

    names: Mapping[str, str]
    at: Callable[[str], View]
    gone: Collection[str] = ()


class Views(Mapping[str, View], Generic[View]):
    """Things by id, or by a name that only one of them has. Each look is a new one, and sees one moment.

    What is gone of late is still found by its id, as it was last; it is not ``in`` it, and not gone through.
    """

    def __init__(self, what: str, ask: Callable[[Callable[[Look[View]], Any]], Any]) -> None:
        self._what = what
        self._ask = ask
        """Has something done with a look at the things, where nothing else happens meanwhile."""

    def __getitem__(self, key: str) -> View:
        def find(look: Look[View]) -> View:
            return look.at(key if key in look.gone else id_of(self._what, look.names, key))

        view: View = self._ask(find)
        return view

    def __contains__(self, key: object) -> bool:
        return bool(self._ask(lambda look: isinstance(key, str) and _is_there(look.names, key)))

    def get(self, key: str, default: Any = None) -> Any:
        """One of those that are there, else the default."""
        if key not in self:
            return default
        return self[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._ask(lambda look: list(look.names)))

    def __len__(self) -> int:
        return len(self._ask(lambda look: look.names))

    def items(self) -> ItemsView[str, View]:
        """All of them, as they are at one moment."""
        return self._all().items()

    def values(self) -> ValuesView[View]:
        """All of them, as they are at one moment."""
        return self._all().values()

    def _all(self) -> dict[str, View]:
        every: dict[str, View] = self._ask(lambda look: {id: look.at(id) for id in look.names})
        return every

    def __repr__(self) -> str:
        return f"{{{', '.join(f'{id!r}: {view!r}' for id, view in self.items())}}}"


def id_of(what: str, names: Mapping[str, str], key: str) -> str:
    """The id that is meant by an id, or by a name that only one has. KeyError names the nearest."""
    found = _meant(names, key)
    if len(found) != 1:
        several = "it is the name of several"
        hint = several if found else nearest(key, [name or id for id, name in names.items()])
        raise KeyError(f"there is no {what} {key!r}: {hint}")
    return found[0]


def _meant(names: Mapping[str, str], key: str) -> list[str]:
    return [key] if key in names else [id for id, name in names.items() if name and name == key]


def _is_there(names: Mapping[str, str], key: str) -> bool:
    return len(_meant(names, key)) == 1


def names_of(controller: Controller, what: str) -> dict[str, str]:
    """Ids and names of all ``instances``, ``nodes`` or ``templates`` there are."""
    if what == "instances":
        return {one.id: one.request.name or "" for one in controller.instances.values()}
    if what == "nodes":
        return {each.id: each.name for each in controller.nodes.values()}
    return {each.id: each.name for each in controller.templates.values() if not each.deleted}


def look_at_instance(controller: Controller, started_by: Callable[[str], int | None], id: str) -> Instance:
    one = controller.instances.get(id) or controller.forgotten[id]
    request, vm = one.request, one.shown_vm
    on, group = controller.nodes.get(one.shown_node_id or ""), controller.groups.get(request.group_id or "")
    ports = () if vm is None or "port_forwarding" in one.unreported else vm.ports
    return Instance(
        id=one.id,
        state=one.state.value,
        message=one.message,
        template=controller.templates[one.ref.template_id].name,
        template_id=one.ref.template_id,
        tag=templates.get_version(controller, one.ref).tag,
        name=request.name,
        external_id=request.external_id,
        node=on.name if on else None,
        node_id=one.shown_node_id,
        group=group.name if group else request.group_id,
        progress=one.progress(controller),
        created=moment(one.created),
        ip="" if vm is None or "ip" in one.unreported else vm.ip,
        host_ip="" if vm is None or "host_ip" in one.unreported else vm.host_ip,
        ports=tuple(Port(port.name, port.guest_port, port.host_port, port.protocol) for port in ports),
        metadata=dict(request.metadata),
        waits_for=timeline.why_it_waits(controller, one),
        started_by=started_by(id),
        timeline=_timeline(one),
    )


def _timeline(one: instance_record.Instance) -> tuple[Stay, ...]:
    return tuple(
        Stay(stay.state.value, moment(stay.since), None if end is None else moment(end), stay.cause)
        for stay, end in timeline.stays(one)
    )


def look_at_node(controller: Controller, id: str) -> Node:
    one = controller.nodes[id]
    cached = [
        f"{controller.templates[ref.template_id].name}:{templates.get_version(controller, ref).tag}"
        for ref in one.cached
        if pulls.is_cached(controller, one, ref)
    ]
    return Node(
        id=one.id,
        name=one.name,
        ip=one.ip,
        state=one.state(controller.now).value,
        capacity=one.capacity,
        running=nodes.running_load(controller, one).vm_count,
        instances=tuple(one.occupants),
        cached=tuple(cached),
        groups=tuple(controller.groups[group].name for group in one.groups),
        reports=one.lost_at is None,
        takes_work=one.takes_work and not one.manual_vms,
    )


def look_at_template(controller: Controller, id: str) -> Template:
    one = controller.templates[id]
    return Template(one.id, one.name, one.arch, one.size, tuple(version.tag for version in one.versions))
