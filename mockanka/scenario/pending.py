"""Pending events in dumps: the kind of each, what it is about, and when it is due.

An event is a dataclass, and each of its fields has a key of the same name, but for those in ``_KEYS``. So an event that
the core gains needs nothing here, unless it has a field for which ``PendingSection`` has no key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from enum import StrEnum
from functools import cache
from types import NoneType
from typing import Any, get_args, get_type_hints

from mockanka.core.controller import Controller
from mockanka.core.events import Event
from mockanka.core.templates import VersionRef
from mockanka.scenario.base import Section, key, section
from mockanka.scenario.fields import FixedDuration, Integer, Moment, Text
from mockanka.scenario.source import nearest


@section
class PendingSection(Section[None]):
    """An event that is due: its kind, what it is about, and when."""

    at: int = key(Moment(required=True))
    event: str = key(Text(required=True))
    id: str = key(Text(required=True))
    node: str | None = key(Text())
    step: int | None = key(Integer(0))
    stage: str | None = key(Text())
    template: str | None = key(Text())
    serial: int | None = key(Integer(0))
    until: int | None = key(Moment())
    what: str | None = key(Text())
    lasts: int | None = key(FixedDuration())
    every: int | None = key(FixedDuration())
    rule: str | None = key(Text())
    release: str | None = key(Text())
    polls: int | None = key(Integer(1))
    polled: str | None = key(Text())
    lost_instances: str | None = key(Text())


_KEYS = {"node_id": "node", "template_id": "template", "phase": "step", "rule_id": "rule"}
"""Fields of events whose keys have other names; a first field that is an id has the key ``id`` in any case."""

_OPTIONAL = ("lost_instances",)
"""Fields of events that may be missing: dumps of earlier versions do not have them."""

_NOT_ENTITIES = ("registry", "license", "controller")
"""Subjects of events that have no id: the first word of the kind is in its place."""

FORMER_KINDS = {
    "Queued": "instance_queued",
    "ImageReady": "instance_pulled",
    "Booted": "instance_booted",
    "Fated": "instance_planned_end",
    "Stopped": "instance_stopped",
    "Terminated": "instance_terminated",
    "Forgotten": "instance_forgotten",
    "Revealed": "vm_fully_reported",
    "NodeTurns": "node_override_began",
    "NodeTurnsBack": "node_override_ended",
    "RegistryTurns": "registry_override_began",
    "RegistryTurnsBack": "registry_override_ended",
    "LicenseExpires": "license_expired",
    "LicenseRenewed": "license_renewed",
    "Vanishes": "instance_vanished",
    "Reappears": "instance_reappeared",
    "TimedOut": "node_timed_out",
    "Updated": "node_updated",
    "Pulled": "pull_ended",
    "Taken": "delivery_taken",
    "Delivered": "delivery_ended",
    "StageEnd": "save_stage_ended",
    "Removed": "template_removed",
    "Restarts": "restart_stage_ended",
}
"""Kinds as dumps name them that have no ``format``, and the names that these kinds have now."""


def _event_classes(base: type[Event] = Event) -> Iterator[type[Event]]:
    for event_class in base.__subclasses__():
        if "kind" in vars(event_class):
            yield event_class
        yield from _event_classes(event_class)


EVENT_CLASSES: Mapping[str, type[Event]] = {event_class.kind: event_class for event_class in _event_classes()}
"""The events of the core by their kinds."""


def describe_events(controller: Controller) -> list[PendingSection]:
    """Return the events that are due, in the order in which they will happen, and those that wait for polls."""
    due = [describe_event(at, event) for at, event in controller.queue.current_events(controller)]
    awaited = [
        replace(describe_event(controller.now, awaited.event), polls=awaited.polls, polled=awaited.instance_id)
        for awaited in controller.awaited_polls
        if awaited.event.is_current(controller)
    ]
    return due + awaited


def describe_event(at: int, event: Event) -> PendingSection:
    """Return the entry of an event that is due at a moment."""
    subject = event.kind.partition("_")[0]
    values: dict[str, Any] = {"id": subject} if subject in _NOT_ENTITIES else {}
    for name, name_of_key, _ in _fields(type(event)):
        value = getattr(event, name)
        if isinstance(value, VersionRef):
            values |= {"template": value.template_id, "serial": value.serial}
        else:
            values[name_of_key] = str(value) if isinstance(value, StrEnum) else value
    return PendingSection(at=at, event=event.kind, **values)


def read_event(section: PendingSection) -> Event:
    """Return the event that an entry describes. ValueError if its kind is unknown, or something is missing."""
    event_class = EVENT_CLASSES.get(section.event)
    if event_class is None:
        raise ValueError(f"unknown kind {section.event!r}, {nearest(section.event, list(EVENT_CLASSES))}")
    return event_class(
        **{
            name: _read_field(section, of_key, hint)
            for name, of_key, hint in _fields(event_class)
            if name not in _OPTIONAL or getattr(section, of_key) is not None
        }
    )


def _read_field(section: PendingSection, name_of_key: str, field_type: type[Any]) -> Any:
    if field_type is VersionRef:
        return VersionRef(_required(section, "template"), _required(section, "serial"))
    value = _required(section, name_of_key)
    return field_type(value) if issubclass(field_type, StrEnum) else value


def _required(section: PendingSection, name_of_key: str) -> Any:
    value = getattr(section, name_of_key)
    if value is None:
        raise ValueError(f"{section.event} needs {name_of_key!r}")
    return value


def renamed(section: PendingSection) -> PendingSection:
    """Return an entry of a dump without ``format`` with the name that its kind has now."""
    return replace(section, event=FORMER_KINDS.get(section.event, section.event))


@cache
def _fields(event_class: type[Event]) -> list[tuple[str, str, type[Any]]]:
    """The fields of an event: the name, the key, and the type of each."""
    hints = {name: _without_none(hint) for name, hint in get_type_hints(event_class).items()}
    names = [field.name for field in fields(event_class)]  # type: ignore[arg-type]
    keys = {name: _KEYS.get(name, name) for name in names}
    if names and names[0].endswith("_id"):
        keys[names[0]] = "id"
    return [(name, keys[name], hints[name]) for name in names]


def _without_none(hint: Any) -> Any:
    return next((part for part in get_args(hint) if part is not NoneType), hint)
