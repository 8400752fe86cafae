"""The scenario format: a dataclass for every section, with its keys in the order in which dumps have them.

What stands below ``# in a dump`` describes operations in progress. A scenario that says ``snapshot`` is what was
observed of a controller. It is taken as it is, whether somebody could have written it so or not, and may have some of
these keys too: what stands below ``# or a snapshot``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from marshmallow import fields

from mockanka.core.clock import CLOCK_MODES
from mockanka.core.controller import Controller
from mockanka.core.distributions import Delivery, DeliveryStage, Distribution
from mockanka.core.durations import Duration, Timings
from mockanka.core.groups import Group
from mockanka.core.instance_record import Instance, PlannedEnd, Stall, StartRequest
from mockanka.core.license import TIERS, License
from mockanka.core.lifecycle import InstanceState, LostInstances, NodeState
from mockanka.core.nodes import REGISTRY_UNREACHABLE, AnkaVersion, Node
from mockanka.core.overrides import Overrides
from mockanka.core.pulls import Pull, PullFailure, PullStall
from mockanka.core.registry import Registry, RegistryState
from mockanka.core.release import Release
from mockanka.core.save_images import SaveError, SaveImage, SaveRequest, SaveStage
from mockanka.core.scripts import ScriptResult, ScriptRule
from mockanka.core.templates import File, PortRule, Template, Version, VersionRef
from mockanka.core.transfers import Transfer
from mockanka.core.usb import UsbDevice
from mockanka.core.vms import PortForward, Vm
from mockanka.scenario.base import NOT_AUTHORED, ONLY_DUMPS, Section, key, list_of, nested, section
from mockanka.scenario.fault_rules import FaultSection
from mockanka.scenario.fields import (
    MAX_SPEED,
    Bandwidth,
    Boolean,
    Choice,
    FixedDuration,
    Format,
    Integer,
    Member,
    Metadata,
    Moment,
    NonEmptyText,
    Number,
    PositiveDuration,
    Ram,
    RandomDuration,
    ReleaseText,
    Size,
    Text,
    TextList,
)
from mockanka.scenario.pending import PendingSection, describe_events

DUMP_FORMAT = 1
"""The format of the dumps that are written. What any version has written, later versions read."""


@section
class OverrideSection(Section[None], definition="Turn"):
    """A state that a fault or a call forces; without ``until`` for good."""

    what: str = key(Text(required=True))
    until: int | None = key(Moment())


def _describe_overrides(overrides: Overrides) -> list[OverrideSection]:
    return [OverrideSection(what=what, until=until) for what, until in overrides.items()]


def overrides_of(sections: Sequence[OverrideSection]) -> Overrides:
    """Return the overrides that a dump has."""
    return {section.what: section.until for section in sections}


@section
class ControllerSection(Section[Controller], parts={"registry": Registry, "license": License}):
    """The controller itself, its registry and its licence."""

    release: Release | None = key(ReleaseText(), always=True, loaded=False)
    license: str | None = key(Choice(*TIERS), source="license.tier", always=True)
    registry: str | None = key(Text(), source="registry.url", always=True)
    saved_size: int | None = key(Size(), always=True)
    registry_disk: int | None = key(Size(), source="registry.disk_size", always=True)
    registry_free: int | None = key(Size(), dumped=False)
    mac_addresses: int | None = key(Integer(0, 65_536))
    # A dump without it has no retries: that was the default when dumps left it out.
    retries: int | None = key(Integer(0, 100), source="retries", dump=lambda controller: controller.retries or None)
    lost_instances: LostInstances | None = key(Member(LostInstances))
    # in a dump
    down_until: int | None = key(Moment(), origins=ONLY_DUMPS)
    registry_other: int | None = key(Integer(), source="registry.disk_other")
    registry_state: RegistryState | None = key(Member(RegistryState), source="registry.state", origins=ONLY_DUMPS)
    turns: Sequence[OverrideSection] | None = key(
        list_of(OverrideSection),
        dump=lambda controller: _describe_overrides({**controller.registry.overrides, **controller.license.overrides}),
        origins=ONLY_DUMPS,
    )


@section
class ClockSection(Section[None]):
    """The controller's clock."""

    start: int | None = key(Moment())
    mode: str | None = key(Choice(*CLOCK_MODES))
    speed: float | None = key(Number(MAX_SPEED, above_zero=True))
    step: int | None = key(FixedDuration())


def _describe_clock(controller: Controller) -> ClockSection:
    clock = controller.clock
    return ClockSection(start=controller.now, mode=clock.mode, speed=clock.speed, step=clock.step)


@section
class TimingsSection(Section[Timings]):
    """How long each step of the controller and its nodes takes."""

    heartbeat: int | None = key(PositiveDuration(), always=True)
    schedule: Duration | None = key(RandomDuration(), always=True)
    pull_bandwidth: int | None = key(Bandwidth(), always=True)
    push_bandwidth: int | None = key(Bandwidth(), always=True)
    boot: Duration | None = key(RandomDuration(), always=True)
    stop: Duration | None = key(RandomDuration(), always=True)
    terminate: Duration | None = key(RandomDuration(), always=True)
    forget: Duration | None = key(RandomDuration(), always=True)
    update: Duration | None = key(RandomDuration(), always=True)
    node_timeout: int | None = key(FixedDuration(), always=True)


@section
class ReportSection(Section[None]):
    """How fast one thing may be polled before the report calls it hammering."""

    every: int | None = key(PositiveDuration(data_key="poll_every"))
    burst: int | None = key(Integer(1, 10**6, data_key="poll_burst"))


@section
class FileSection(Section[File]):
    """An image or state file."""

    name: str = key(Text(required=True))
    size: int = key(Size(required=True))


@section
class PortRuleSection(Section[PortRule]):
    """A port of the guest that VMs forward."""

    name: str = key(Text(), default="")
    guest_port: int = key(Integer(1, 65535, required=True))
    host_port: int | None = key(Integer(1, 65535))
    protocol: str | None = key(Text())


@section
class VersionSection(Section[Version]):
    """A tag of a template; ``size`` is what its layer adds to the version before."""

    tag: str = key(Text(), default="")
    number: int | None = key(Integer(0))
    description: str | None = key(Text())
    size: int | None = key(Size(), dumped=False, loaded=False)
    images: Sequence[FileSection] | None = key(list_of(FileSection), always=True)
    state_files: Sequence[FileSection] | None = key(list_of(FileSection))
    state_size: int | None = key(Size(), dumped=False)
    port_forwarding: Sequence[PortRuleSection] | None = key(list_of(PortRuleSection))
    own_ports: bool | None = key(Boolean(), dump=lambda version: version.port_forwarding == () or None)
    pushed: int | None = key(Moment(), always=True)
    pulled: int | None = key(Moment())
    created: int | None = key(Moment(), source="created", dump=lambda version: version.created_apart_from_push)
    # in a dump
    deleted: bool | None = key(Boolean())


@section
class TemplateSection(Section[Template]):
    """A template with its versions, oldest first."""

    name: str = key(Text(required=True))
    id: str | None = key(NonEmptyText())
    arch: str | None = key(Choice("amd64", "arm64"), always=True)
    cpus: int | None = key(Integer(1, 1024), always=True)
    ram: int | None = key(Ram(), always=True)
    port_forwarding: Sequence[PortRuleSection] | None = key(list_of(PortRuleSection))
    versions: Sequence[VersionSection] = key(list_of(VersionSection), default=(), source="history", loaded=False)
    # in a dump
    deleted: bool | None = key(Boolean())


@section
class AnkaSection(Section[AnkaVersion]):
    """The Anka software on a node."""

    product: str | None = key(Text())
    version: str | None = key(Text())
    build: str | None = key(Text())
    license: str | None = key(Text())
    expires: str | None = key(Text())


@section
class UsbDeviceSection(Section[UsbDevice]):
    """A device on a node: a name alone will do."""

    name: str = key(Text(required=True))
    location: str | None = key(Text())
    text_means = "name"


@section
class CachedSection(Section[None]):
    """A version on a node's disk: ``template:tag``, or ``template`` for its latest."""

    version: str | None = key(Text())
    # in a dump
    template: str | None = key(Text())
    serial: int | None = key(Integer(0))
    used: int | None = key(Moment())
    text_means = "version"


def _describe_cache(node: Node) -> list[CachedSection]:
    return [CachedSection(template=ref.template_id, serial=ref.serial, used=used) for ref, used in node.cached.items()]


@section
class PullSection(Section[Pull], parts={"transfer": Transfer, "stall": PullStall, "failure": PullFailure}):
    """A version on its way to a node."""

    template: str = key(Text(required=True), dump=lambda pull: pull.ref.template_id)
    serial: int = key(Integer(0, required=True), dump=lambda pull: pull.ref.serial)
    started: int = key(Moment(required=True))
    ends: int = key(Moment(required=True))
    rests_at: float | None = key(Number(high=1), source="transfer.pause_at")
    rest: int | None = key(FixedDuration(), source="transfer.pause")
    held_by: str | None = key(Text(), source="stall.rule_id")
    held_at: float | None = key(Number(high=1), source="stall.progress")
    fails_at: int | None = key(Moment(), source="failure.at")
    message: str | None = key(
        Text(), source="failure.message", dump=lambda pull: (pull.failure and pull.failure.message) or None
    )
    final: bool | None = key(Boolean(), source="failure.final")
    files: Sequence[FileSection] = key(list_of(FileSection), default=())

    def make_pull(self, ref: VersionRef) -> Pull:
        """Return the pull of a version."""
        stall = PullStall(**{"progress": 1.0, **self.values("stall")}) if self.held_by else None
        failure = None if self.fails_at is None else PullFailure(**{"message": "", **self.values("failure")})
        transfer = Transfer(**self.values("transfer"))
        return Pull(ref=ref, transfer=transfer, stall=stall, failure=failure, **self.values())


@section
class NodeSection(Section[Node]):
    """A node, or ``count`` of them."""

    name: str = key(Text(required=True))
    id: str | None = key(NonEmptyText())
    count: int | None = key(Integer(1, 10_000), dumped=False)
    ip: str | None = key(Text())
    cpus: int | None = key(Integer(1, 1024), always=True)
    ram: int | None = key(Integer(1, 1024**2), always=True)
    capacity: int | None = key(Integer(0), always=True)
    workers: int | None = key(Integer(1, 1024))
    capacity_mode: str | None = key(Choice("number", "resource"), always=True)
    vcpu_override: int | None = key(Integer(0))
    ram_override: int | None = key(Integer(0))
    force_overrides: bool | None = key(Boolean())
    disk: int | None = key(Size(), source="disk_size", always=True)
    disk_other: int | None = key(Size(), always=True)
    disk_used: int | None = key(Size(), dumped=False)
    cpu_util: float | None = key(Number(high=1), dumped=False)
    reported: int | None = key(Moment(), source="heartbeat_anchor")
    anka: AnkaSection | None = key(nested(AnkaSection), loaded=False)
    usb: Sequence[UsbDeviceSection] = key(list_of(UsbDeviceSection), default=(), loaded=False)
    arch: str | None = key(Choice("amd64", "arm64"))
    vlans: Sequence[str] | None = key(TextList())
    state: NodeState | str | None = key(
        Member(NodeState, others=[REGISTRY_UNREACHABLE]), source="condition", always=True, loaded=False
    )
    by_hand: int | None = key(Integer(0, 10_000), source="manual_vms")
    central_logging: bool | None = key(Boolean())
    cached: Sequence[CachedSection] = key(list_of(CachedSection), default=(), dump=_describe_cache)
    groups: Sequence[str] | None = key(TextList(), loaded=False)
    # in a dump
    disk_anka: int | None = key(Integer(), origins=ONLY_DUMPS)
    cpu_load: float | None = key(Number(low=-1e30, high=1), origins=ONLY_DUMPS)
    offline: int | None = key(Moment(), source="timeout_at", loaded=False, origins=ONLY_DUMPS)
    lost_instances: LostInstances | None = key(Member(LostInstances), origins=ONLY_DUMPS)
    # or a snapshot
    agent_version: str | None = key(Text(), origins=NOT_AUTHORED)
    lost: int | None = key(Moment(), source="lost_at", loaded=False, origins=NOT_AUTHORED)
    # in a dump
    removals: Mapping[str, int] | None = key(fields.Dict(keys=Text(), values=Moment()), origins=ONLY_DUMPS)
    pulls: Sequence[PullSection] | None = key(
        list_of(PullSection), dump=lambda node: node.pulls.values(), origins=ONLY_DUMPS
    )
    turns: Sequence[OverrideSection] | None = key(
        list_of(OverrideSection), dump=lambda node: _describe_overrides(node.overrides), origins=ONLY_DUMPS
    )


@section
class GroupSection(Section[Group]):
    """A node group."""

    name: str = key(Text(required=True))
    id: str | None = key(NonEmptyText())
    description: str | None = key(Text())
    fallback: str | None = key(Text(), source="fallback_id", loaded=False)
    nodes: Sequence[str] = key(TextList(), default=(), dumped=False)


@section
class PortSection(Section[PortForward]):
    """A forwarded port of a VM."""

    name: str = key(Text(), default="")
    guest_port: int = key(Integer(1, 65535, required=True))
    host_port: int = key(Integer(1, 65535, required=True))
    protocol: str | None = key(Text(), always=True)


@section
class VmSection(Section[Vm]):
    """The VM behind an instance."""

    uuid: str | None = key(Text())
    name: str | None = key(Text())
    host_ip: str | None = key(Text())
    ip: str | None = key(Text())
    vnc_port: int | None = key(Integer(0, 65535))
    vnc_password: str | None = key(Text(), always=True)
    cpus: int | None = key(Integer(1))
    ram: int | None = key(Ram())
    status: str | None = key(Text(), always=True)
    created: int | None = key(Moment(), always=True)
    started: int | None = key(Moment(), always=True)
    ports: Sequence[PortSection] | None = key(list_of(PortSection))

    def make(self) -> Vm:
        """Return the VM of a dump or a snapshot, of which not everything may be known."""
        unknown = Vm(uuid="", name="", host_ip="", ip="", vnc_port=0, cpus=1, ram=1024)
        return replace(unknown, **self.values())


@section
class ScriptResultSection(Section[ScriptResult]):
    """The result of a script."""

    return_code: int | None = key(Integer(), always=True)
    did_timeout: bool | None = key(Boolean(), always=True)
    stdout: str | None = key(Text(), always=True)
    stderr: str | None = key(Text(), always=True)


@section
class PlannedEndSection(Section[PlannedEnd], definition="Fate"):
    """How a phase will end, by a fault."""

    kind: str = key(Choice("fail", "stop", required=True))
    message: str | None = key(Text(), always=True)
    progress: float | None = key(Number(high=1), always=True)
    final: bool | None = key(Boolean())


@section
class StallSection(Section[Stall], definition="Held"):
    """A phase that a fault stalls."""

    rule_id: str = key(Text(required=True))
    rest: int = key(FixedDuration(required=True))


@section
class InstanceSection(Section[Instance], parts={"request": StartRequest}):
    """An instance, or ``count`` of them."""

    template: str = key(Text(required=True), dump=lambda instance: instance.ref.template_id)
    tag: str | None = key(Text())
    version: int | None = key(Integer(0))
    node: str | None = key(Text(), source="node_id", loaded=False)
    state: InstanceState | None = key(Member(InstanceState, without=[InstanceState.GONE]), always=True)
    count: int | None = key(Integer(1, 10_000), dumped=False)
    id: str | None = key(NonEmptyText())
    name: str | None = key(Text())
    external_id: str | None = key(Text())
    metadata: Mapping[str, str | int | bool] | None = key(Metadata())
    pinned_node: str | None = key(Text(), source="request.node_id", loaded=False)
    group: str | None = key(Text(), source="request.group_id", loaded=False)
    priority: int | None = key(Integer(1, 10_000))
    usb_device: str | None = key(Text())
    vcpu: int | None = key(Integer(0, 1024))
    vram: int | None = key(Integer(0, 16 * 1024 * 1024))
    startup_script: str | None = key(Text())
    startup_script_condition: int | None = key(Integer(0, 1))
    script_monitoring: bool | None = key(Boolean())
    script_timeout: int | None = key(PositiveDuration())
    script_fail_handler: int | None = key(Integer(0, 2))
    name_template: str | None = key(Text())
    vlan_tag: str | None = key(Text())
    vnc_password: str | None = key(Text())
    ports: Sequence[PortRuleSection] | None = key(list_of(PortRuleSection), loaded=False)
    mac_address: str | None = key(Text())
    created: int | None = key(Moment())
    message: str | None = key(Text())
    progress: float | None = key(Number(high=1), source="progress_made")
    vm: VmSection | None = key(nested(VmSection), loaded=False)
    # in a dump
    number: int | None = key(Integer(1), origins=ONLY_DUMPS)
    reported: int | None = key(Moment(), source="last_report", origins=ONLY_DUMPS)
    until: int | None = key(Moment(), origins=ONLY_DUMPS)
    step: int | None = key(Integer(0), source="phase", always=True, origins=ONLY_DUMPS)
    ready: bool | None = key(Boolean(), origins=ONLY_DUMPS)
    booting: bool | None = key(Boolean(), origins=ONLY_DUMPS)
    usb_location: str | None = key(
        Text(), dump=lambda instance: instance.usb.location if instance.usb else None, origins=ONLY_DUMPS
    )
    own_ports: bool | None = key(
        Boolean(), dump=lambda instance: instance.request.ports == () or None, origins=ONLY_DUMPS
    )
    restarting: int | None = key(Moment(), source="restarting_until", origins=ONLY_DUMPS)
    save_image: str | None = key(Text(), source="save_id", origins=ONLY_DUMPS)
    fate: PlannedEndSection | None = key(nested(PlannedEndSection), source="planned_end", origins=ONLY_DUMPS)
    held: StallSection | None = key(nested(StallSection), source="stall", origins=ONLY_DUMPS)
    lacks: Sequence[str] | None = key(TextList(), source="unreported", origins=ONLY_DUMPS)
    lacks_for: int | None = key(FixedDuration(), source="unreported_for", origins=ONLY_DUMPS)
    hidden: bool | None = key(Boolean(), origins=ONLY_DUMPS)
    failed_on: Sequence[str] | None = key(TextList(), origins=ONLY_DUMPS)
    # or a snapshot
    serial: int | None = key(Integer(0), dump=lambda instance: instance.ref.serial, origins=NOT_AUTHORED)
    inflight_id: str | None = key(Text(), origins=NOT_AUTHORED)
    since: int | None = key(Moment(), origins=NOT_AUTHORED)
    occupies: bool | None = key(Boolean(), source="holds_slot", loaded=False, origins=NOT_AUTHORED)
    script: ScriptResultSection | None = key(nested(ScriptResultSection), origins=NOT_AUTHORED)


@section
class DeliverySection(Section[Delivery]):
    """The state of a distribution on one node."""

    node: str = key(Text(required=True), dumped=False)
    stage: DeliveryStage = key(Member(DeliveryStage, required=True))
    until: int | None = key(Moment())
    progress: float | None = key(Number(high=1), source="progress_made")
    error: str | None = key(Text())
    fate: PlannedEndSection | None = key(nested(PlannedEndSection), source="planned_end")


def _describe_deliveries(distribution: Distribution) -> list[DeliverySection]:
    return [DeliverySection.describe(delivery, node=node_id) for node_id, delivery in distribution.deliveries.items()]


@section
class DistributionSection(Section[Distribution]):
    """A distribution; without ``deliveries`` it has just been asked for."""

    template: str = key(Text(required=True), dump=lambda distribution: distribution.ref.template_id)
    tag: str | None = key(Text(), dumped=False)
    version: int | None = key(Integer(0), dumped=False)
    nodes: Sequence[str] = key(TextList(), default=(), dumped=False)
    group: str | None = key(Text(), dumped=False)
    id: str | None = key(NonEmptyText())
    requested: int | None = key(Moment())
    # in a dump
    serial: int | None = key(Integer(0), dump=lambda distribution: distribution.ref.serial)
    deliveries: Sequence[DeliverySection] | None = key(list_of(DeliverySection), dump=_describe_deliveries, always=True)


@section
class SaveErrorSection(Section[SaveError]):
    """Why a save image request failed."""

    message: str = key(Text(), default="", always=True)
    type: str | None = key(Text())
    code: int | None = key(Integer())


@section
class SaveImageSection(Section[SaveImage], parts={"request": SaveRequest}):
    """A save image request; ``instance`` is an instance's id. Without ``stage`` it has just been asked for."""

    instance: str = key(Text(required=True), source="request.instance_id")
    template: str | None = key(Text(), source="request.template_id", loaded=False)
    new_template_name: str | None = key(Text())
    tag: str | None = key(Text())
    description: str | None = key(Text())
    suspend: bool | None = key(Boolean())
    script: str | None = key(Text())
    revert_before_push: bool | None = key(Boolean())
    revert_tag: str | None = key(Text())
    do_suspend_sanity_test: bool | None = key(Boolean())
    cancel_on_script_failure: bool | None = key(Boolean())
    id: str | None = key(NonEmptyText())
    requested: int | None = key(Moment())
    # in a dump
    vm_uuid: str | None = key(Text())
    node: str | None = key(Text(), source="node_id")
    stage: SaveStage | None = key(Member(SaveStage), always=True)
    until: int | None = key(Moment())
    error: SaveErrorSection | None = key(nested(SaveErrorSection))
    script_result: ScriptResultSection | None = key(nested(ScriptResultSection))
    fails: str | None = key(Text())
    held: StallSection | None = key(nested(StallSection), source="stall")


@section
class ScriptSection(Section[ScriptRule]):
    """How scripts end that contain ``match``."""

    match: str | None = key(Text())
    return_code: int | None = key(Integer(-(2**31), 2**31 - 1))
    stdout: str | None = key(Text())
    stderr: str | None = key(Text())
    takes: Duration | None = key(RandomDuration())


def _describe_counters(controller: Controller) -> dict[str, int] | None:
    faults = controller.faults.added
    return {**controller.id_counters, **({"fault": faults} if faults or len(controller.faults) else {})} or None


@section
class ScenarioSection(Section[Controller]):
    """The whole scenario. ``pending`` marks a dump: nothing is started that is not written there."""

    format: int | None = key(Format(DUMP_FORMAT), dump=lambda controller: DUMP_FORMAT, origins=ONLY_DUMPS)
    snapshot: bool | None = key(Boolean(), dumped=False)
    controller: ControllerSection = key(
        nested(ControllerSection), default=ControllerSection(), dump=ControllerSection.describe
    )
    seed: int | None = key(Integer(-(2**63), 2**63 - 1), always=True)
    clock: ClockSection = key(nested(ClockSection), default=ClockSection(), dump=_describe_clock)
    timings: TimingsSection = key(nested(TimingsSection), default=TimingsSection(), always=True)
    templates: Sequence[TemplateSection] = key(
        list_of(TemplateSection), default=(), dump=lambda controller: controller.templates.values()
    )
    nodes: Sequence[NodeSection] = key(
        list_of(NodeSection), default=(), dump=lambda controller: controller.nodes.values()
    )
    groups: Sequence[GroupSection] = key(
        list_of(GroupSection), default=(), dump=lambda controller: controller.groups.values()
    )
    instances: Sequence[InstanceSection] = key(
        list_of(InstanceSection), default=(), dump=lambda controller: controller.instances.values()
    )
    distributions: Sequence[DistributionSection] = key(
        list_of(DistributionSection), default=(), dump=lambda controller: controller.distributions.values()
    )
    save_images: Sequence[SaveImageSection] = key(
        list_of(SaveImageSection), default=(), dump=lambda controller: controller.save_images.values()
    )
    scripts: Sequence[ScriptSection] = key(list_of(ScriptSection), default=())
    faults: Sequence[FaultSection] = key(list_of(FaultSection), default=(), loaded=False)
    report: ReportSection = key(nested(ReportSection), default=ReportSection(), dumped=False)
    # in a dump
    counters: Mapping[str, int] | None = key(fields.Dict(keys=Text(), values=Integer(0)), dump=_describe_counters)
    placement_due: bool | None = key(Boolean(), loaded=False)
    pending: Sequence[PendingSection] | None = key(list_of(PendingSection), dump=describe_events, always=True)
