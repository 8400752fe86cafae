"""Every field of every record of the core survives dump and load, or is named here with the reason why it need not."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, get_args, get_origin, get_type_hints

import pytest

import mockanka.core
from mockanka.core import clock, durations, faults, instance_record, placement, pulls, save_images, scripts
from mockanka.core.controller import Checkpoint, Controller
from mockanka.core.distributions import Delivery, Distribution
from mockanka.core.events import Event, LogEntry
from mockanka.core.faults import LIFECYCLE_FAULTS, REQUEST_MATCH_KEYS, RESPONSE_FAULTS, FaultAction, FaultRule
from mockanka.core.groups import Group
from mockanka.core.instance_record import Instance, StartRequest
from mockanka.core.instances import InstanceVanished
from mockanka.core.license import License
from mockanka.core.lifecycle import NodeState
from mockanka.core.nodes import AnkaVersion, Node, NodeLoad
from mockanka.core.operations import Operation
from mockanka.core.polls import AwaitedPolls
from mockanka.core.registry import Registry
from mockanka.core.release import Feature, Release
from mockanka.core.save_images import SaveImage, SaveRequest
from mockanka.core.templates import File, PortRule, Template, Version, VersionRef
from mockanka.core.transfers import Transfer
from mockanka.core.usb import UsbAvailability, UsbDevice
from mockanka.core.vms import PortForward, TakenPlaces, Vm
from mockanka.scenario.pending import EVENT_CLASSES, PendingSection, describe_event, read_event
from mockanka.units import SECOND
from tests.controllers import controller_of, reload

SCENARIO = """
controller: {release: 1.51.2}
templates:
  - {name: os, id: T, port_forwarding: [{name: ssh, guest_port: 22}], versions: [{tag: base, size: 1GB}, {tag: new}]}
nodes: [{name: mac, id: N, usb: [{name: phone, location: '7'}], cached: ["os:base"]}]
groups: [{name: first, id: G}, {name: second, id: H}]
instances: [{template: os, tag: base, node: mac, id: I, usb_device: phone}]
distributions: [{template: os, tag: base, nodes: [mac], id: D}]
scripts: [{match: fail, return_code: 3}]
"""
BASE64 = "ZWNobw=="


def full_controller() -> Controller:
    """A controller that has each kind of record once."""
    controller = controller_of(SCENARIO)
    ref = VersionRef("T", 1)
    controller.nodes["N"].pulls[ref] = pulls.Pull(ref, (File("f", 7),), Transfer(1, 5))
    instance = controller.instances["I"]
    instance.script = scripts.ScriptResult()
    instance.planned_end = instance_record.PlannedEnd("fail")
    instance.stall = instance_record.Stall("fault-1", 5)
    save = SaveImage("S", 1, SaveRequest("I"), "vm", "N", save_images.SaveStage.ERROR)
    save.error = save_images.SaveError("no")
    controller.save_images["S"] = save
    controller.awaited_polls.append(AwaitedPolls("I", 1, InstanceVanished("I", 5)))
    for rule in (
        FaultRule("request", faults.FaultMatch(), FaultAction(status=503)),
        FaultRule("event", faults.FaultMatch(event="pull"), FaultAction(fail="no")),
    ):
        controller.faults.add(rule)
    return controller


def _set_rule(rule_id: str, name: str) -> Callable[[Controller, Any], None]:
    return lambda controller, record: setattr(controller.faults.get(rule_id), name, record)


def _set(owner: Callable[[Controller], Any], name: str, many: bool = False) -> Callable[[Controller, Any], None]:
    """A function that replaces a record, or the only one in a tuple of them, in a field of its owner."""
    return lambda controller, record: setattr(owner(controller), name, (record,) if many else record)


@dataclass(frozen=True)
class Place:
    """A record in the controller above: its type, how to get it, and how to put a changed one that is immutable."""

    record_type: type[Any]
    get: Callable[[Controller], Any]
    put: Callable[[Controller, Any], None] | None = None
    names: tuple[str, ...] = ()
    """The fields that this place is for; by default all."""


def _node(controller: Controller) -> Node:
    return controller.nodes["N"]


def _instance(controller: Controller) -> Instance:
    return controller.instances["I"]


def _template(controller: Controller) -> Template:
    return controller.templates["T"]


def _save(controller: Controller) -> SaveImage:
    return controller.save_images["S"]


def _pull(controller: Controller) -> pulls.Pull:
    return next(iter(_node(controller).pulls.values()))


def _put_pull(controller: Controller, pull: pulls.Pull) -> None:
    _node(controller).pulls[pull.ref] = pull


def _put_pull_part(name: str, many: bool = False) -> Callable[[Controller, Any], None]:
    """A function that replaces a field of the pull, or the only record in it."""
    return lambda controller, record: _put_pull(
        controller, dataclasses.replace(_pull(controller), **{name: (record,) if many else record})
    )


def _delivery(controller: Controller) -> Delivery:
    return controller.distributions["D"].deliveries["N"]


def _set_vm(controller: Controller, vm: Vm) -> None:
    _instance(controller).vm = vm


def _vm(controller: Controller) -> Vm:
    vm = _instance(controller).vm
    assert vm is not None
    return vm


def _set_version(controller: Controller, version: Version) -> None:
    _template(controller).history[-1] = version


def _set_clock(controller: Controller, record: Any) -> None:
    controller.clock = clock.CLOCK_MODES[record.mode](controller.now, record.speed, record.step)


@dataclass
class ClockSettings:
    """The attributes of a clock, which is no dataclass."""

    mode: str = "manual"
    speed: float = 1.0
    step: int = 0


PLACES = [
    Place(Controller, lambda controller: controller),
    Place(ClockSettings, lambda c: ClockSettings(c.clock.mode, c.clock.speed, c.clock.step), _set_clock),
    Place(License, lambda controller: controller.license),
    Place(Registry, lambda controller: controller.registry),
    Place(durations.Timings, lambda controller: controller.timings, _set(lambda c: c, "timings")),
    Place(scripts.ScriptRule, lambda controller: controller.scripts[0], _set(lambda c: c, "scripts", many=True)),
    Place(Template, _template),
    Place(Version, lambda controller: _template(controller).history[-1], _set_version),
    Place(PortRule, lambda c: _template(c).port_forwarding[0], _set(_template, "port_forwarding", many=True)),
    Place(File, lambda controller: _pull(controller).files[0], _put_pull_part("files", many=True)),
    Place(Node, _node),
    Place(AnkaVersion, lambda controller: _node(controller).anka, _set(_node, "anka")),
    Place(UsbDevice, lambda controller: _node(controller).usb[0], _set(_node, "usb", many=True)),
    Place(pulls.Pull, _pull, _put_pull),
    Place(Transfer, lambda controller: _pull(controller).transfer, _put_pull_part("transfer")),
    Place(pulls.PullStall, lambda controller: _pull(controller).stall, _put_pull_part("stall")),
    Place(pulls.PullFailure, lambda controller: _pull(controller).failure, _put_pull_part("failure")),
    Place(Group, lambda controller: controller.groups["G"]),
    Place(Instance, _instance),
    Place(StartRequest, lambda controller: _instance(controller).request, _set(_instance, "request")),
    Place(scripts.ScriptResult, lambda controller: _instance(controller).script, _set(_instance, "script")),
    Place(instance_record.PlannedEnd, lambda c: _instance(c).planned_end, _set(_instance, "planned_end")),
    Place(instance_record.PlannedEnd, lambda c: _delivery(c).planned_end, _set(_delivery, "planned_end")),
    Place(instance_record.Stall, lambda controller: _instance(controller).stall, _set(_instance, "stall")),
    Place(Vm, _vm, _set_vm),
    Place(
        PortForward,
        lambda controller: _vm(controller).ports[0],
        lambda controller, port: _set_vm(controller, dataclasses.replace(_vm(controller), ports=(port,))),
    ),
    Place(Distribution, lambda controller: controller.distributions["D"]),
    Place(Delivery, _delivery),
    Place(SaveImage, _save),
    Place(SaveRequest, lambda controller: _save(controller).request, _set(_save, "request")),
    Place(save_images.SaveError, lambda controller: _save(controller).error, _set(_save, "error")),
    Place(scripts.ScriptResult, lambda controller: _save(controller).script_result, _set(_save, "script_result")),
    Place(instance_record.Stall, lambda controller: _save(controller).stall, _set(_save, "stall")),
    Place(AwaitedPolls, lambda controller: controller.awaited_polls[0]),
    Place(FaultRule, lambda controller: controller.faults.get("request")),
    Place(
        faults.FaultMatch, lambda c: c.faults.get("request").match, _set_rule("request", "match"), REQUEST_MATCH_KEYS
    ),
    Place(
        faults.FaultMatch,
        lambda c: c.faults.get("event").match,
        _set_rule("event", "match"),
        faults.EVENT_MATCH_KEYS,
    ),
]

NOT_STATE: dict[type[Any], str] = {
    Checkpoint: "a whole state, kept in memory for the length of a call",
    LogEntry: "tells the past",
    instance_record.TimelineEntry: "tells the past",
    faults.MatchableRequest: "a request while rules are tried",
    faults.FaultHit: "what a rule did, handed from one function to the next",
    NodeLoad: "computed from the VMs of a node",
    TakenPlaces: "computed from the VMs of a node",
    placement.Requirements: "computed from a request while a node is looked for",
    UsbAvailability: "computed from the devices of all nodes",
    Operation: "an entry of a table in the code",
    Feature: "an entry of a table in the code",
    Release: "a value; the controller has it in `release`",
    VersionRef: "a value; what has one is tested with it",
    faults.ControllerRestart: "a value; FaultAction has it in `restart`",
    faults.Amount: "a value; FaultAction has it in `cut`",
    FaultAction: "has a test of its own below, as its fields exclude each other",
    durations.WallTime: "a value; see the tests of fault rules",
    durations.Fixed: "a value; see test_every_distribution_survives",
    durations.Uniform: "a value; see test_every_distribution_survives",
    durations.Normal: "a value; see test_every_distribution_survives",
    durations.Lognormal: "a value; see test_every_distribution_survives",
}
"""Dataclasses and named tuples of the core that are no part of a controller's state, or not by themselves."""

RECORD = "holds records, which have places of their own"
DERIVED: dict[tuple[type[Any], str], str] = {
    **{(Controller, name): RECORD for name in "clock license registry timings scripts nodes templates groups".split()},
    **{(Controller, name): RECORD for name in "instances distributions save_images faults queue awaited_polls".split()},
    (Controller, "now"): "the time of the clock",
    (Controller, "waiting"): "the instances that are ready and have no slot",
    (Controller, "waiting_deliveries"): "the deliveries that are sent, and whose stage has no end",
    (Controller, "log"): "tells the past",
    (Controller, "forgotten"): "tells the past",
    (Controller, "notes"): "what was left out when the scenario was loaded",
    (Controller, "revision"): "tells caches that something has changed",
    (Template, "history"): RECORD,
    (Node, "occupants"): "the instances that hold a slot on it",
    (Node, "pulls"): RECORD,
    (Instance, "request"): RECORD,
    (Instance, "waits_for"): "found out again when the instance is placed",
    (Instance, "timeline"): "tells the past",
    (Instance, "revision"): "tells caches that something has changed",
    (StartRequest, "template_id"): "the template of the version that was resolved",
    (Distribution, "deliveries"): RECORD,
    (SaveImage, "request"): RECORD,
    (FaultRule, "match"): RECORD,
    (FaultRule, "action"): RECORD,
}
"""Fields that a dump does not have, each with the reason."""

IDENTITIES: dict[tuple[type[Any], str], str] = {
    **{(record_type, "id"): "in the scenario above" for record_type in (Node, Template, Group, Instance, Distribution)},
    **{(record_type, "id"): "in the state above" for record_type in (SaveImage, FaultRule)},
    (pulls.Pull, "ref"): "in the state above",
}
"""Fields by which records are found, and where they have values that nothing but a dump can give them again."""

VALUES: dict[tuple[type[Any], str], Any] = {
    (ClockSettings, "mode"): "step",
    (License, "tier"): "basic",
    (License, "overrides"): {"expired": 7},
    (Template, "arch"): "arm64",
    (Node, "arch"): "arm64",
    (Node, "capacity_mode"): "resource",
    (Node, "condition"): NodeState.UNHEALTHY,
    (Node, "groups"): ["G"],
    (Node, "cached"): {VersionRef("T", 1): 7},
    (Node, "cpu_load"): -0.5,
    (Group, "fallback_id"): "H",
    (Instance, "usb"): UsbDevice("phone", "7"),
    (Instance, "ref"): VersionRef("T", 1),
    (StartRequest, "startup_script"): BASE64,
    (StartRequest, "startup_script_condition"): 1,
    (StartRequest, "script_fail_handler"): 1,
    (instance_record.PlannedEnd, "kind"): "stop",
    (Distribution, "ref"): VersionRef("T", 1),
    (AwaitedPolls, "instance_id"): "J",
    (AwaitedPolls, "event"): InstanceVanished("I", 7),
    (faults.FaultMatch, "method"): "POST",
    (faults.FaultMatch, "path"): "/api/v1/vm",
    (faults.FaultMatch, "event"): "pull",
    (faults.FaultMatch, "query"): {"id": None, "x": "y"},
    (faults.FaultMatch, "header"): {"x-test": "a*"},
    (faults.FaultMatch, "nth"): (2, 5),
    (FaultAction, "status"): 503,
    (FaultAction, "connection"): "reset",
    (FaultAction, "without"): ("ip",),
    (FaultAction, "new_values"): {"vm.arch": None},
    (FaultAction, "merge_patch"): {"vm": {"arch": None}},
    (FaultAction, "item"): {"name": "x"},
    (FaultAction, "every"): 2 * SECOND,
    (FaultAction, "node"): "offline",
    (FaultAction, "registry"): "down",
    (FaultAction, "license"): "expired",
    (FaultAction, "restart"): faults.ControllerRestart(7, Release(1, 51, 2)),
}
"""Values for fields of whose type not every value will do."""

TOGETHER: dict[tuple[type[Any], str], dict[str, Any]] = {
    (Node, "timeout_at"): {"lost_at": 5},
    (FaultAction, "every"): {"duration": 5},
}
"""Fields that mean something only beside others."""


class NoMaker(Exception):
    """No value can be made of a type."""


def make(hint: Any, default: Any = ...) -> Any:
    """Return a value of a type that is not the default. Raises NoMaker."""
    if hint is Any or get_origin(hint) in (types.UnionType, typing.Union):
        return make(next(part for part in get_args(hint) if part is not types.NoneType), default)
    if hint == durations.Duration:
        return durations.Uniform(1, 2)
    if hint in SCALARS:
        return next(value for value in SCALARS[hint] if value != default)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return next(member for member in hint if member is not default)
    if get_origin(hint) is tuple:
        return (make(get_args(hint)[0]),)
    if get_origin(hint) is list:
        return [make(get_args(hint)[0])]
    if get_origin(hint) in (dict, Mapping):
        key, value = get_args(hint)
        return {make(key): make(value)}
    names = record_fields(hint)
    if not names:
        raise NoMaker(f"no value can be made of {hint}: add it to VALUES")
    hints = get_type_hints(hint)
    return hint(**{name: VALUES.get((hint, name)) or make(hints[name], default) for name, default in names.items()})


SCALARS: dict[Any, tuple[Any, ...]] = {
    bool: (True, False),
    int: (7, 8),
    float: (0.25, 0.5),
    str: ("made",),
    object: ("made",),
    Release: (Release(1, 43, 0),),
    faults.Amount: (faults.Amount(0.25),),
}


def record_fields(record_type: Any) -> dict[str, Any]:
    """The fields of a dataclass or a named tuple, each with its default, or Ellipsis."""
    if hasattr(record_type, "_fields"):
        return {name: record_type._field_defaults.get(name, ...) for name in record_type._fields}
    if not dataclasses.is_dataclass(record_type):
        return {}
    return {item.name: _default(item) for item in dataclasses.fields(record_type)}


def _default(item: dataclasses.Field[Any]) -> Any:
    if item.default_factory is not dataclasses.MISSING:
        return item.default_factory()
    return ... if item.default is dataclasses.MISSING else item.default


def change(place: Place, controller: Controller, values: dict[str, Any]) -> None:
    """Set fields of the record at a place."""
    record = place.get(controller)
    if record is None:
        record = make(place.record_type)
    if place.put is None:
        for name, value in values.items():
            setattr(record, name, value)
    elif hasattr(record, "_replace"):
        place.put(controller, record._replace(**values))
    else:
        place.put(controller, dataclasses.replace(record, **values))


def lookup(table: Mapping[tuple[type[Any], str], Any], record_type: type[Any], name: str) -> Any:
    """The entry for a field of a type, or of one that it inherits from; None if there is none."""
    return next((table[base, name] for base in record_type.__mro__ if (base, name) in table), None)


def lost_fields(place: Place, begin: Callable[[], Controller] = full_controller) -> Iterator[str]:
    """The fields at a place that do not survive dump and load, with what became of each."""
    for name, default in record_fields(place.record_type).items():
        if lookup(DERIVED, place.record_type, name) or (place.names and name not in place.names):
            continue
        try:
            before, after = dumped_and_loaded(place, begin(), name, default)
        except NoMaker as error:
            yield f"{place.record_type.__name__}.{name}: {error}"
        else:
            if before != after:
                yield f"{place.record_type.__name__}.{name}: {before!r} has become {after!r}"


def dumped_and_loaded(place: Place, controller: Controller, name: str, default: Any) -> tuple[Any, Any]:
    """A field of the record at a place: a value other than the default, and what became of it."""
    if not lookup(IDENTITIES, place.record_type, name):
        value = lookup(VALUES, place.record_type, name)
        if value is None:
            value = make(get_type_hints(place.record_type)[name], default)
        assert value != default
        change(place, controller, {**(lookup(TOGETHER, place.record_type, name) or {}), name: value})
    return getattr(place.get(controller), name), getattr(place.get(reload(controller)), name, "nothing at all")


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.record_type.__name__)
def test_every_field_survives_dump_and_load(place: Place) -> None:
    """A value other than the default is the same in the controller that the dump makes."""
    assert [] == list(lost_fields(place))


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.record_type.__name__)
def test_every_default_survives_dump_and_load(place: Place) -> None:
    """A value that is equal to the record's default is no other one in the controller that the dump makes."""
    defaults = {
        name: default
        for name, default in record_fields(place.record_type).items()
        if default is not ...
        and not lookup(DERIVED, place.record_type, name)
        and not lookup(IDENTITIES, place.record_type, name)
        and (not place.names or name in place.names)
    }
    controller = full_controller()
    change(place, controller, defaults)
    after = place.get(reload(controller))

    assert defaults == {name: getattr(after, name) for name in defaults}


@dataclass
class RackedNode(Node):
    """A node that has gained a field, of which scenarios know nothing."""

    rack: str = ""


def racked() -> Controller:
    controller = full_controller()
    controller.nodes["N"] = RackedNode(**vars(controller.nodes["N"]))
    return controller


def test_a_forgotten_field_is_named() -> None:
    """A field of a node that no section has is the only one that is lost."""
    (lost,) = lost_fields(Place(RackedNode, _node), racked)

    assert lost.startswith("RackedNode.rack: 'made' has become ")


def test_a_field_that_nothing_can_be_made_for_is_named() -> None:
    """A field of a type that this test does not know fails, as it might be lost."""

    @dataclass
    class WaveringNode(Node):
        phase: complex = 0j

    (lost,) = lost_fields(Place(WaveringNode, _node))

    assert lost.startswith("WaveringNode.phase: no value can be made of ")


def core_classes() -> Iterator[type[Any]]:
    for module_info in pkgutil.iter_modules(mockanka.core.__path__):
        module = importlib.import_module(f"mockanka.core.{module_info.name}")
        for found in vars(module).values():
            if inspect.isclass(found) and found.__module__ == module.__name__:
                yield found


CLASSES = list(core_classes())


def test_every_record_has_a_place() -> None:
    """A dataclass or named tuple of the core has a place above, or a reason why it needs none."""
    records = {found for found in CLASSES if record_fields(found) and not issubclass(found, Event)}
    places = {place.record_type for place in PLACES} - {ClockSettings}

    assert set() == places & set(NOT_STATE)
    assert records == places | set(NOT_STATE)


def test_only_fields_that_there_are_have_reasons() -> None:
    """The tables above name no field that is gone."""
    named = {*DERIVED, *IDENTITIES, *VALUES, *TOGETHER}

    assert [] == [(record, name) for record, name in named if name not in record_fields(record)]


def test_every_event_is_known() -> None:
    """Each event that the core can schedule is one that a dump can have."""
    events = {found for found in CLASSES if issubclass(found, Event) and hasattr(found, "kind")}

    assert events == set(EVENT_CLASSES.values())


@pytest.mark.parametrize("event_class", EVENT_CLASSES.values(), ids=EVENT_CLASSES)
def test_every_event_survives(event_class: type[Event]) -> None:
    """An event with a value in each of its fields is the same after a dump."""
    hints = get_type_hints(event_class)
    event = event_class(**{name: make(hints[name]) for name in record_fields(event_class)})
    entry = describe_event(9, event).dump()

    assert ("1970-01-01T00:00:00.000000009Z", event_class.kind) == (entry["at"], entry["event"])
    assert event == read_event(PendingSection.load(entry))


def companion(name: str) -> tuple[str | None, str]:
    """A fault that takes a field of an action: its event, or None for a response fault, and its kind."""
    key = {"duration": "for", "new_values": "set"}.get(name, name)
    for event, kinds in ((None, RESPONSE_FAULTS), *LIFECYCLE_FAULTS.items()):
        for kind, keys in kinds.items():
            if key == kind or key in keys:
                return event, kind
    raise AssertionError(f"no fault takes {key}")


@pytest.mark.parametrize("name", record_fields(FaultAction))
def test_every_field_of_an_action_survives(name: str) -> None:
    """Each field of what a rule does is the same after a dump, beside the field that it goes with."""
    event, kind = companion(name)
    hints, defaults = get_type_hints(FaultAction), record_fields(FaultAction)
    kind = {"set": "new_values"}.get(kind, kind)
    values = {key: VALUES.get((FaultAction, key)) or make(hints[key], defaults[key]) for key in (kind, name)}
    values |= TOGETHER.get((FaultAction, name), {})
    controller = controller_of(SCENARIO)
    controller.faults.add(FaultRule("made", faults.FaultMatch(event=event), FaultAction(**values)))

    assert defaults[name] != values[name]
    assert list(controller.faults) == list(reload(controller).faults)


@pytest.mark.parametrize("duration", [durations.Fixed(7), durations.Normal(7, 8), durations.Lognormal(7, 0.25)])
def test_every_distribution_survives(duration: durations.Duration) -> None:
    """A duration of any kind is the same after a dump; uniform ones are in the tests above."""
    controller = full_controller()
    controller.timings = dataclasses.replace(controller.timings, boot=duration)

    assert duration == reload(controller).timings.boot
