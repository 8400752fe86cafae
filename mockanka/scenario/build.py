"""Builds the controller that a scenario describes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from mockanka.core import fault_effects, release_fit
from mockanka.core.clock import CLOCK_MODES, Clock, read_system_time
from mockanka.core.controller import Controller
from mockanka.core.durations import END_OF_TIME
from mockanka.core.license import EXPIRED, License
from mockanka.core.registry import Registry
from mockanka.core.release import DEFAULT_RELEASE, Release
from mockanka.scenario import fault_rules, from_dump, from_snapshot, inventory, workloads
from mockanka.scenario.base import Origin
from mockanka.scenario.inventory import Inventory, refuse_foreign_keys
from mockanka.scenario.options import Options
from mockanka.scenario.references import InvalidScenario, refusals_at
from mockanka.scenario.sections import ClockSection, InstanceSection, NodeSection, ScenarioSection, overrides_of
from mockanka.scenario.source import Document
from mockanka.scenario.workloads import Workloads
from mockanka.units import SECOND, parse_moment

DEFAULT_MAX_NODES = 10_000
DEFAULT_MAX_INSTANCES = 100_000
START = parse_moment("2024-01-01T00:00:00Z")
STEP = 5 * SECOND

LOADERS: dict[Origin, tuple[type[Inventory], type[Workloads]]] = {
    Origin.AUTHORED: (inventory.AuthoredInventory, workloads.AuthoredWorkloads),
    Origin.SNAPSHOT: (from_snapshot.ObservedInventory, from_snapshot.ObservedWorkloads),
    Origin.DUMP: (from_dump.DumpedInventory, from_dump.DumpedWorkloads),
}


def build(scenario: ScenarioSection, options: Options) -> Controller:
    """Return the controller that a scenario describes; options beat the scenario. Raises InvalidScenario."""
    _limit_size("nodes", scenario.nodes, options.max_nodes, DEFAULT_MAX_NODES)
    _limit_size("instances", scenario.instances, options.max_instances, DEFAULT_MAX_INSTANCES)
    release = options.release or scenario.controller.release or DEFAULT_RELEASE
    controller = _bare_controller(scenario, options, release)
    origin = _origin(scenario)
    dumped_ids = {section.id for section in scenario.faults if origin is Origin.DUMP}
    new_inventory, new_workloads = LOADERS[origin]
    loaded = new_inventory(controller)
    loaded.load(scenario)
    _add_fault_options(controller, options, dumped_ids)
    _add_faults(controller, scenario, origin)
    new_workloads(controller).load(scenario)
    loaded.match_observed(scenario)
    observed = origin is not Origin.AUTHORED and release == (scenario.controller.release or DEFAULT_RELEASE)
    controller.notes = (*release_fit.describe_unknown(release), *release_fit.fit(controller, observed))
    if origin is Origin.DUMP:
        controller.placement_due = scenario.placement_due or False
        from_dump.schedule_pending(controller, scenario)
    for number, rule in enumerate(controller.faults, start=len(scenario.faults) - len(controller.faults)):
        if rule.id not in dumped_ids:  # those of a dump have begun
            with refusals_at(("faults", number) if number >= 0 else ("faults",)):  # those of options come first
                fault_effects.apply_begin_rule(controller, rule)
    return controller


def _limit_size(key: str, sections: Sequence[NodeSection | InstanceSection], limit: int | None, default: int) -> None:
    """Raise InvalidScenario if the sections of a key describe more nodes or instances than the limit."""
    limit = default if limit is None else limit
    size = sum(section.count or 1 for section in sections)
    if size > limit:
        raise InvalidScenario(
            (key,),
            f"there are {size} {key}, and the limit is {limit}; raise it by --max-{key}, MOCKANKA_MAX_{key.upper()} or "
            f"mockanka.serve(max_{key}=...)",
        )


def _bare_controller(scenario: ScenarioSection, options: Options, release: Release) -> Controller:
    controller = Controller(
        **{
            "clock": _clock(scenario.clock, options),
            **scenario.values(),
            **({} if scenario.pending is None else {"retries": 0}),
            **scenario.controller.values(),
            **({} if options.seed is None else {"seed": options.seed}),
            "release": release.known,
            "license": License(**scenario.controller.values("license")),
            "registry": Registry(**scenario.controller.values("registry")),
        }
    )
    for what, until in overrides_of(scenario.controller.turns or ()).items():
        owner = controller.license if what == EXPIRED else controller.registry
        owner.overrides[what] = until
    return controller


def _origin(scenario: ScenarioSection) -> Origin:
    """Where the scenario comes from. Raises InvalidScenario for keys that it cannot have then."""
    if scenario.pending is not None:
        if scenario.snapshot:
            raise InvalidScenario(("snapshot",), "is not for a dump, which has pending")
        return Origin.DUMP
    origin = Origin.SNAPSHOT if scenario.snapshot else Origin.AUTHORED
    refuse_foreign_keys((), scenario, origin)
    for key, value in (("registry_state", scenario.controller.registry_state), ("turns", scenario.controller.turns)):
        if value is not None:
            raise InvalidScenario(
                ("controller", key), "belongs to a dump; write a fault that sets the state of the registry"
            )
    if scenario.controller.down_until is not None:
        raise InvalidScenario(
            ("controller", "down_until"), "belongs to a dump; write a fault that restarts the controller"
        )
    return origin


def _add_fault_options(controller: Controller, options: Options, dumped_ids: Collection[str | None]) -> None:
    """Add the rules of the options, but those that a dump has already, with their counts.

    Their ids are their own, so that the rules of the scenario, and what is drawn for these, are as without options.
    """
    for number, option in enumerate(options.faults, start=1):
        section = replace(option.section, id=option.section.id or f"option-{number}")
        if section.id in dumped_ids:
            continue
        try:
            controller.faults.add(fault_rules.read_rule(controller, (), section))
        except InvalidScenario as error:
            raise Document(option.source, {}).error([error.problem]) from None
    controller.faults.added = 0


def _add_faults(controller: Controller, scenario: ScenarioSection, origin: Origin) -> None:
    read = fault_rules.restore_rule if origin is Origin.DUMP else fault_rules.read_rule
    for index, section in enumerate(scenario.faults):
        controller.faults.add(read(controller, ("faults", index), section))
    counters = dict(scenario.counters or {})
    controller.faults.added = counters.pop("fault", controller.faults.added)
    controller.id_counters.update(counters)


def _clock(section: ClockSection, options: Options) -> Clock:
    mode = options.clock or section.mode or options.default_clock
    start = section.start
    if start is None:
        start = read_system_time() if mode == "real" else START
    if start > END_OF_TIME:
        raise InvalidScenario(("clock", "start"), "is after the year 9000, where time ends")
    speed = section.speed or 1.0 if options.speed is None else options.speed
    step = section.step if options.step is None else options.step
    return CLOCK_MODES[mode](start, speed, STEP if step is None else step)
