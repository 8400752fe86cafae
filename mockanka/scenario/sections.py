"""The scenario format: every section and its keys. What stands below ``# in a dump`` describes a moment in flight.

A scenario that says ``snapshot`` is what was seen of a controller. It is taken as it is, whether its author could have
made it so or not, and may say some things of a moment in flight: what stands below ``# or a snapshot``.
"""

from __future__ import annotations

from typing import Any

from marshmallow import fields, post_dump

from mockanka.core.clock import CLOCK_MODES
from mockanka.core.distributions import DeliveryStage
from mockanka.core.license import TIERS
from mockanka.core.lifecycle import InstanceState, NodeState
from mockanka.core.registry import RegistryState
from mockanka.core.release import Release
from mockanka.core.save_images import SaveStage
from mockanka.scenario.base import Many, Strict
from mockanka.scenario.fault_sections import Fault
from mockanka.scenario.fields import (
    MAX_SIZE,
    MAX_SPEED,
    Bandwidth,
    Choice,
    Duration,
    Filled,
    Flag,
    Length,
    Metadata,
    Moment,
    PositiveLength,
    Ram,
    Real,
    Size,
    Text,
    Whole,
    Words,
)


class ReleaseText(Text):
    """A controller release."""

    def read(self, written: Any) -> Any:
        return Release.parse(super().read(written))

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return None if value is None else str(value)


class Turn(Strict):
    """What something was made, by a fault or by hand; without ``until`` for good."""

    what = Text(required=True)
    until = Moment()


class Controller(Strict):
    release = ReleaseText()
    license = Choice(*TIERS)
    registry = Text()
    saved_size = Size()
    registry_disk = Size()
    registry_free = Size()
    mac_addresses = Whole(0, 65_536)
    retries = Whole(0, 100)
    # in a dump
    registry_other = Whole(-MAX_SIZE, MAX_SIZE)
    registry_state = Choice(*(state.value for state in RegistryState))
    turns = Many(fields.Nested(Turn))


class Clock(Strict):
    start = Moment()
    mode = Choice(*CLOCK_MODES)
    speed = Real(MAX_SPEED, above_zero=True)
    step = Length()


class Timings(Strict):
    heartbeat = PositiveLength()
    schedule = Duration()
    pull_bandwidth = Bandwidth()
    push_bandwidth = Bandwidth()
    boot = Duration()
    stop = Duration()
    terminate = Duration()
    forget = Duration()
    update = Duration()
    node_timeout = Length()


class Report(Strict):
    """How fast one thing may be polled before the report calls it hammering."""

    every = PositiveLength(data_key="poll_every")
    burst = Whole(1, 10**6, data_key="poll_burst")


class File(Strict):
    name = Text(required=True)
    size = Size(required=True)


class PortRule(Strict):
    name = Text(load_default="")
    guest_port = Whole(1, 65535, required=True)
    host_port = Whole(1, 65535)
    protocol = Text()


class Version(Strict):
    tag = Text(load_default="")
    number = Whole(0, 10**6)
    description = Text()
    size = Size()
    images = Many(fields.Nested(File))
    state_files = Many(fields.Nested(File))
    state_size = Size()
    port_forwarding = Many(fields.Nested(PortRule))
    own_ports = Flag()
    pushed = Moment()
    pulled = Moment()
    # in a dump
    deleted = Flag()

    @post_dump
    def _leave_out_nothing(self, data: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return {key: value for key, value in data.items() if value not in (None, []) or key == "images"}


class Template(Strict):
    name = Text(required=True)
    id = Filled()
    arch = Choice("amd64", "arm64")
    cpus = Whole(1, 1024)
    ram = Ram()
    port_forwarding = Many(fields.Nested(PortRule))
    versions = Many(fields.Nested(Version))
    # in a dump
    deleted = Flag()


class Anka(Strict):
    product = Text()
    version = Text()
    build = Text()
    license = Text()
    expires = Text()


class UsbDevice(Strict):
    name = Text(required=True)
    location = Text()
    text_means = "name"


class Cached(Strict):
    """A version on a node's disk: ``template:tag``, or ``template`` for its latest."""

    version = Text()
    # in a dump
    template = Text()
    serial = Whole(0)
    used = Moment()
    text_means = "version"


class Pull(Strict):
    template = Text(required=True)
    serial = Whole(0, required=True)
    started = Moment(required=True)
    ends = Moment(required=True)
    rests_at = Real(high=1)
    rest = Length()
    held_by = Text()
    held_at = Real(high=1)
    fails_at = Moment()
    message = Text()
    files = Many(fields.Nested(File), load_default=list)


class Node(Strict):
    name = Text(required=True)
    id = Filled()
    count = Whole(1, 10_000)
    ip = Text()
    cpus = Whole(1, 1024)
    ram = Whole(1, 1024**2)
    capacity = Whole(0)
    capacity_mode = Choice("number", "resource")
    vcpu_override = Whole(0)
    ram_override = Whole(0)
    force_overrides = Flag()
    disk = Size()
    disk_other = Size()
    disk_used = Size()
    cpu_util = Real(high=1)
    reported = Moment()
    anka = fields.Nested(Anka)
    usb = Many(fields.Nested(UsbDevice))
    arch = Choice("amd64", "arm64")
    vlans = Words()
    state = Choice(*(state.value for state in NodeState))
    by_hand = Whole(0, 10_000)
    central_logging = Flag()
    cached = Many(fields.Nested(Cached))
    groups = Words()
    # in a dump
    disk_anka = Whole(-MAX_SIZE, MAX_SIZE)
    cpu_load = Real(low=-1, high=1)
    offline = Moment()
    # or a snapshot
    lost = Moment()
    removals = fields.Dict(keys=Text(), values=Moment())
    pulls = Many(fields.Nested(Pull))
    turns = Many(fields.Nested(Turn))


class Group(Strict):
    name = Text(required=True)
    id = Filled()
    description = Text()
    fallback = Text()
    nodes = Words()


class Port(Strict):
    name = Text()
    guest_port = Whole(1, 65535, required=True)
    host_port = Whole(1, 65535, required=True)
    protocol = Text()


class Vm(Strict):
    uuid = Text()
    name = Text()
    host_ip = Text()
    ip = Text()
    vnc_port = Whole(0, 65535)
    vnc_password = Text()
    cpus = Whole(1)
    ram = Ram()
    status = Text()
    created = Moment()
    started = Moment()
    ports = Many(fields.Nested(Port))


class ScriptResult(Strict):
    return_code = Whole()
    did_timeout = Flag()
    stdout = Text()
    stderr = Text()


class Fate(Strict):
    kind = Choice("fail", "stop", required=True)
    message = Text(load_default="")
    progress = Real(high=1, load_default=0.0)


class Held(Strict):
    rule_id = Text(required=True)
    rest = Length(required=True)


class Instance(Strict):
    template = Text(required=True)
    tag = Text()
    version = Whole(0)
    node = Text()
    state = Choice(*(state.value for state in InstanceState if state is not InstanceState.GONE))
    count = Whole(1, 10_000)
    id = Filled()
    name = Text()
    external_id = Text()
    metadata = Metadata()
    pinned_node = Text()
    group = Text()
    priority = Whole(1, 10_000)
    usb_device = Text()
    vcpu = Whole(0)
    vram = Whole(0)
    startup_script = Text()
    startup_script_condition = Whole(0, 1)
    script_monitoring = Flag()
    script_timeout = PositiveLength()
    script_fail_handler = Whole(0, 2)
    name_template = Text()
    vlan_tag = Text()
    vnc_password = Text()
    ports = Many(fields.Nested(PortRule))
    mac_address = Text()
    created = Moment()
    message = Text()
    progress = Real(high=1)
    vm = fields.Nested(Vm)
    # in a dump
    number = Whole(1)
    reported = Moment()
    until = Moment()
    step = Whole(0)
    ready = Flag()
    booting = Flag()
    usb_location = Text()
    own_ports = Flag()
    restarting = Moment()
    save_image = Text()
    fate = fields.Nested(Fate)
    held = fields.Nested(Held)
    lacks = Words()
    lacks_for = Length()
    hidden = Flag()
    failed_on = Words()
    # or a snapshot
    serial = Whole(0)
    inflight_id = Text()
    since = Moment()
    occupies = Flag()
    script = fields.Nested(ScriptResult)


class Delivery(Strict):
    node = Text(required=True)
    stage = Choice(*(stage.value for stage in DeliveryStage), required=True)
    until = Moment()
    progress = Real(high=1)
    error = Text()
    fate = fields.Nested(Fate)


class Distribution(Strict):
    """A distribution; without ``deliveries`` it has just been asked for."""

    template = Text(required=True)
    tag = Text()
    version = Whole(0)
    nodes = Words()
    group = Text()
    id = Filled()
    requested = Moment()
    # in a dump
    serial = Whole(0)
    deliveries = Many(fields.Nested(Delivery))

    @post_dump
    def _leave_out_nothing(self, data: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return {key: value for key, value in data.items() if value is not None}


class SaveError(Strict):
    message = Text(required=True)
    type = Text()
    code = Whole()


class SaveImage(Strict):
    """A save image request; ``instance`` is an instance's id. Without ``stage`` it has just been asked for."""

    instance = Text(required=True)
    template = Text()
    new_template_name = Text()
    tag = Text()
    description = Text()
    suspend = Flag()
    script = Text()
    revert_before_push = Flag()
    revert_tag = Text()
    do_suspend_sanity_test = Flag()
    cancel_on_script_failure = Flag()
    id = Filled()
    requested = Moment()
    # in a dump
    vm_uuid = Text()
    node = Text()
    stage = Choice(*(stage.value for stage in SaveStage))
    until = Moment()
    error = fields.Nested(SaveError)
    script_result = fields.Nested(ScriptResult)
    fails = Text()
    held = fields.Nested(Held)


class Script(Strict):
    match = Text()
    return_code = Whole(-(2**31), 2**31 - 1)
    stdout = Text()
    stderr = Text()
    takes = Duration()


class Pending(Strict):
    """An event that is due: its kind, what it is about, and when."""

    at = Moment(required=True)
    event = Text(required=True)
    id = Text(required=True)
    node = Text()
    step = Whole(0)
    stage = Text()
    template = Text()
    serial = Whole(0)
    until = Moment()
    what = Text()
    lasts = Length()


class Scenario(Strict):
    """The whole. ``pending`` marks a dump: nothing is started that is not written there."""

    snapshot = Flag()
    controller = fields.Nested(Controller)
    seed = Whole(-(2**63), 2**63 - 1)
    clock = fields.Nested(Clock)
    timings = fields.Nested(Timings)
    templates = Many(fields.Nested(Template))
    nodes = Many(fields.Nested(Node))
    groups = Many(fields.Nested(Group))
    instances = Many(fields.Nested(Instance))
    distributions = Many(fields.Nested(Distribution))
    save_images = Many(fields.Nested(SaveImage))
    scripts = Many(fields.Nested(Script))
    faults = Many(fields.Nested(Fault))
    report = fields.Nested(Report)
    # in a dump
    counters = fields.Dict(keys=Text(), values=Whole(0))
    placement_due = Flag()
    pending = Many(fields.Nested(Pending))

    @post_dump
    def _leave_out_nothing(self, data: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return {key: value for key, value in data.items() if value not in (None, [], {}) or key == "pending"}
