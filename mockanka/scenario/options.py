"""Options: settings that are given beside a scenario. They beat the scenario, and a reset keeps them."""

from __future__ import annotations

from dataclasses import dataclass

from mockanka.core.release import Release


@dataclass(frozen=True)
class Options:
    """Settings from the command line or a test; None leaves a setting to the scenario. ``step`` is nanoseconds."""

    seed: int | None = None
    release: Release | None = None
    clock: str | None = None
    speed: float | None = None
    step: int | None = None
    default_clock: str = "real"
    """The clock of scenarios that name none."""
