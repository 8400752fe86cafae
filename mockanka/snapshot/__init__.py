"""A controller read with GETs alone, and written as a scenario."""

from __future__ import annotations

from mockanka import units
from mockanka.core.license import TIERS
from mockanka.core.release import Release
from mockanka.remote.client import ControllerClient, ControllerError
from mockanka.scenario import Options, Scenario, ScenarioError
from mockanka.snapshot import fetch as reading
from mockanka.snapshot import nodes as land
from mockanka.snapshot.commented_yaml import Noted, write
from mockanka.snapshot.fetch import Facts
from mockanka.snapshot.names import Names
from mockanka.snapshot.reader import Told
from mockanka.snapshot.redaction import redacted
from mockanka.snapshot.registry import NOT_TOLD, Registry
from mockanka.snapshot.workloads import NOT_TOLD as INSTANCES_NOT_TOLD
from mockanka.snapshot.workloads import Life

__all__ = ["snapshot"]


def snapshot(remote: ControllerClient, release: Release | None = None, redact: bool = False) -> str:
    """A controller as a scenario, in YAML. ControllerError if it is none, or makes no scenario."""
    facts = reading.read(remote)
    source = f"the controller at {remote.url.scheme}://{remote.url.netloc.decode()}"
    if redact:
        facts, source = redacted(facts), "a controller, all names, addresses and ids replaced,"
    text = write(_scenario(facts, source, release))
    try:
        Scenario.from_yaml(text, "snapshot").controller(Options(clock="manual"))
    except ScenarioError as wrong:
        raise ControllerError(f"what the controller tells makes no scenario:\n{wrong}") from None
    return text


def _scenario(facts: Facts, source: str, release: Release | None) -> Noted:
    registry = Registry(facts)
    group_list = land.groups(facts)
    groups = Names((each["id"], each["name"]) for each in group_list)
    listed = [Told(each) for each in facts.nodes]
    nodes = Names((id, each.text("node_name") or id) for each in listed if (id := each.text("node_id")))
    life = Life(facts, registry, nodes, groups)
    beats = {id: land.reported(facts, id, life.of_node(id)) for id in nodes.by_id}
    now = _latest(facts, registry)
    instances = life.instance_section(beats)
    distributions = life.distribution_section()
    saves = life.save_section()
    node_list = land.node_section(facts, registry, groups, life, beats, now)
    vms = [(each["vmid"], each["vminfo"]) for each in life.instances if isinstance(each.get("vminfo"), dict)]
    templates = registry.section([vm for vm in vms if vm[1]])

    top = Noted(snapshot=True)
    top.above.append(f"What was seen of {source} by mockanka snapshot.")
    top["controller"] = _head(facts, release)
    if now is not None:
        top["clock"] = Noted(start=units.format_moment(now))
        top["clock"].note("start", "the latest moment that anything told")
    for key, section, remark in (
        ("templates", templates, NOT_TOLD),
        ("nodes", node_list, land.NOT_TOLD),
        ("groups", land.group_section(group_list, groups), ""),
        ("instances", instances, INSTANCES_NOT_TOLD),
        ("distributions", distributions, ""),
        ("save_images", saves, ""),
    ):
        if section:
            top.put(key, section, remark)
    for what, said in facts.refused.items():
        if "?" not in what:
            top.above.append(f"GET {reading.API}{what} was refused: {said}")
    return top


def _head(facts: Facts, release: Release | None) -> Noted:
    told, disk = Told(facts.status), Told(facts.registry_disk)
    head = Noted()
    version = told.text("version") or ""
    head["release"] = str(release or _release(version))
    head.note("release", "given, not asked" if release else f"its build is made up here; it was told as {version}")
    license = told.text("license")
    if license in TIERS:
        head["license"] = license
    else:
        head.above.append(f"Its license was told as {license!r}: here it is enterprise plus.")
    head.put("registry", told.any_text("registry_address"))
    if told.text("registry_status") not in (None, "Running"):
        head.note("registry", f"its status was {told.text('registry_status')}")
    total, free = disk.whole("total"), disk.whole("free")
    head.put("registry_disk", None if total is None else units.format_size(total))
    head.put("registry_free", None if free is None else units.format_size(free))
    head.above += [*told.remarks, *disk.remarks]
    return head


def _release(version: str) -> Release:
    try:
        return Release.from_version(version)
    except ValueError as wrong:
        raise ControllerError(f"cannot tell the controller's release: {wrong}; give --release") from None


def _latest(facts: Facts, registry: Registry) -> int | None:
    """The latest moment that the controller told of anything: it was then or soon after."""
    moments = [
        *registry.moments,
        *(Told(each).moment("last_updated") for each in facts.nodes),
        *(Told(each).moment(key) for each in facts.instances for key in ("ts", "cr_time")),
        *(Told(Told(each).inside("request")).moment("time_requested") for each in facts.distributions),
        *(Told(Told(each).inside("request")).seconds("Timestamp") for each in facts.save_images),
    ]
    return max((at for at in moments if at is not None), default=None)
