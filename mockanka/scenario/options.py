"""What is given beside a scenario, on the command line or by a test: it beats the scenario, and outlives a reset."""

from __future__ import annotations

from dataclasses import dataclass

from mockanka.core.release import Release


@dataclass(frozen=True)
class Options:
    """``step`` is nanoseconds; None leaves the matter to the scenario."""

    seed: int | None = None
    release: Release | None = None
    clock: str | None = None
    speed: float | None = None
    step: int | None = None
    default_clock: str = "real"
    """The clock of scenarios that name none."""
