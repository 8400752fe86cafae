"""Scenarios and options as tests write them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from mockanka import units
from mockanka.core.clock import CLOCK_MODES
from mockanka.core.release import Release
from mockanka.scenario import Options, Scenario, ScenarioError
from mockanka.scenario.source import nearest

__tracebackhide__ = True  # an error that a test made is shown in the test
ScenarioLike = str | os.PathLike[str] | Mapping[str, Any]


def find_scenario(scenario: ScenarioLike, folders: Sequence[Path] = ()) -> Scenario:
    """Return a scenario by the name it ships under, by its file, also in one of the folders, or from data.

    Raises ScenarioError.
    """
    if isinstance(scenario, Mapping):
        return Scenario.from_data(scenario)
    if not isinstance(scenario, str | os.PathLike):
        raise ScenarioError([f"{scenario!r} is no scenario: give the name of one that ships, a file, or data"])
    name = os.fspath(scenario)
    name = next((str(folder / name) for folder in folders if (folder / name).is_file()), name)
    try:
        status = Path(name).stat()
    except (OSError, ValueError):  # the name of a scenario that ships, or nothing that can be a file
        return _read_scenario(name, None)
    return _read_scenario(name, (status.st_mtime_ns, status.st_size))


@lru_cache(maxsize=64)
def _read_scenario(name: str, version: object) -> Scenario:
    """Read a scenario, each version of a file once."""
    return Scenario.find(name)


def make_options(
    seed: int | None = None,
    release: str | None = None,
    clock: str | None = None,
    speed: float | None = None,
    step: str | timedelta | None = None,
    default_clock: str = "real",
    keep_secrets: bool = False,
    journal_limit: int | str | None = None,
    max_nodes: int | None = None,
    max_instances: int | None = None,
) -> Options:
    """Return the options of a controller. Raises ValueError for a wrong value."""
    require_seed(seed)
    if clock is not None and clock not in CLOCK_MODES:
        raise ValueError(f"{clock!r} is no clock: {nearest(str(clock), list(CLOCK_MODES))}")
    if speed is not None and not (isinstance(speed, int | float) and 0 < speed <= 1e9):
        raise ValueError(f"{speed!r} is no speed: give a number above zero, like 60")
    for name, limit in (("max_nodes", max_nodes), ("max_instances", max_instances)):
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 0):
            raise ValueError(f"{name}={limit!r} is no limit: give a whole number, like 10000")
    return Options(
        seed=seed,
        release=None if release is None else Release.parse(str(release)),
        clock=clock,
        speed=speed,
        step=None if step is None else nanoseconds(step),
        default_clock=default_clock,
        keep_secrets=keep_secrets,
        journal_limit=None if journal_limit is None else units.parse_size(str(journal_limit)),
        max_nodes=max_nodes,
        max_instances=max_instances,
    )


def require_seed(seed: object) -> None:
    """Raise ValueError unless the seed is None or an integer of 64 bits."""
    if seed is None:
        return
    if isinstance(seed, bool) or not isinstance(seed, int) or not -(2**63) <= seed < 2**63:
        raise ValueError(f"{seed!r} is no seed: give a whole number of 64 bits")


def nanoseconds(length: str | timedelta) -> int:
    """Return the nanoseconds of ``"30s"``, or of a timedelta. Raises ValueError, or TypeError for a bare number."""
    if isinstance(length, timedelta):
        if length < timedelta(0):
            raise ValueError(f"{length} is negative: time does not go back")
        return length // timedelta(microseconds=1) * 1000
    if not isinstance(length, str):
        raise TypeError(f"{length!r} has no unit: write it like '30s', or give a timedelta")
    return units.parse_duration(length)
