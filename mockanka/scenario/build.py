"""A validated scenario turned into a controller that is already living."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mockanka.core import fault_effects
from mockanka.core.clock import CLOCK_MODES, Clock, read_system_time
from mockanka.core.controller import Controller
from mockanka.core.durations import END_OF_TIME, Timings
from mockanka.core.license import EXPIRED, License
from mockanka.core.registry import Registry, RegistryState
from mockanka.core.release import DEFAULT_RELEASE
from mockanka.core.scripts import ScriptRule
from mockanka.scenario import fault_rules, pending, release_fit
from mockanka.scenario.inventory import Inventory, turns
from mockanka.scenario.options import Options
from mockanka.scenario.references import InvalidScenario
from mockanka.scenario.workloads import Workloads
from mockanka.units import SECOND, parse_moment

Data = Mapping[str, Any]
HEAD_KEYS = ("saved_size", "mac_addresses", "retries")
REGISTRY_KEYS = {
    "registry": "url",
    "registry_disk": "disk_size",
    "registry_other": "disk_other",
    "registry_state": "state",
}
"""The keys of the section ``controller``, and the fields of ``Registry`` that they set."""
START = parse_moment("2024-01-01T00:00:00Z")
STEP = 5 * SECOND


def build(data: Data, options: Options) -> Controller:
    """The controller a scenario describes; what the options give beats it. Raises Broken."""
    head = data.get("controller", {})
    asked = options.release or head.get("release", DEFAULT_RELEASE)
    controller = Controller(
        clock=_clock(data.get("clock", {}), options),
        seed=options.seed if options.seed is not None else data.get("seed", 0),
        release=asked.known,
        timings=Timings(**data.get("timings", {})),
        scripts=tuple(ScriptRule(**rule) for rule in data.get("scripts", [])),
        license=_license(head),
        registry=_registry(head),
        **{key: head[key] for key in HEAD_KEYS if key in head},
    )
    is_dump = "pending" in data
    is_seen = data.get("snapshot", False)
    if is_seen and is_dump:
        raise InvalidScenario(("snapshot",), "is not for a dump, which has pending")
    for key in ("registry_state", "turns"):
        if key in head and not is_dump:
            raise InvalidScenario(("controller", key), "belongs to a dump; write a fault that turns the registry")
    land = Inventory(controller, is_dump, is_seen)
    land.lay_out(data)
    counters = dict(data.get("counters", {}))
    for index, item in enumerate(data.get("faults", [])):
        controller.faults.add(fault_rules.make(controller, ("faults", index), item, is_dump))
    controller.faults.added = counters.pop("fault", controller.faults.added)
    controller.id_counters.update(counters)
    Workloads(controller, is_dump, is_seen).begin(data)
    land.observe(data)
    controller.notes = (*release_fit.of_release(asked), *release_fit.fit(controller))
    if is_dump:
        controller.placement_due = data.get("placement_due", False)
        _schedule(controller, data["pending"])
    else:
        for rule in controller.faults:
            fault_effects.apply_begin_rule(controller, rule)
    return controller


def _license(head: Data) -> License:
    overrides = {what: until for what, until in turns(head).items() if what == EXPIRED}
    return License(head.get("license", License.tier), overrides)


def _registry(head: Data) -> Registry:
    registry = Registry(**{name: head[key] for key, name in REGISTRY_KEYS.items() if key in head})
    registry.state = RegistryState(registry.state)
    registry.overrides = {what: until for what, until in turns(head).items() if what != EXPIRED}
    return registry


def _schedule(controller: Controller, items: list[Data]) -> None:
    for index, item in enumerate(items):
        try:
            event = pending.read(item)
        except ValueError as wrong:
            raise InvalidScenario(("pending", index, "event"), str(wrong)) from None
        controller.schedule(item["at"], event)


def _clock(given: Data, options: Options) -> Clock:
    mode = options.clock or given.get("mode", options.default_clock)
    start = given.get("start", read_system_time() if mode == "real" else START)
    if start > END_OF_TIME:
        raise InvalidScenario(("clock", "start"), "is after the year 9000, where time ends")
    speed = options.speed if options.speed is not None else given.get("speed", 1.0)
    step = options.step if options.step is not None else given.get("step", STEP)
    return CLOCK_MODES[mode](start, speed, step)
