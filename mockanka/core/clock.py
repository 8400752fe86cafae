"""Clocks for a controller. Moments are nanoseconds since 1970, UTC; lengths are nanoseconds.

A clock only tells the time; it does not run events. Every clock can be advanced, whatever its mode, and none goes
beyond END_OF_TIME.
"""

import time
from collections.abc import Callable
from typing import Protocol

from mockanka.core.durations import END_OF_TIME


class Clock(Protocol):
    """Clock of a controller."""

    mode: str
    speed: float
    step: int

    def now(self) -> int:
        """Return the current moment; it never goes back."""

    def advance(self, length: int) -> None:
        """Move the time forward by a length."""

    def tick(self) -> None:
        """Note that an API request is about to be answered."""


class ScaledClock:
    """Clock that runs by itself, ``speed`` times as fast as ``source``, the monotonic clock of the system."""

    mode = "real"

    def __init__(
        self, start: int, speed: float = 1.0, step: int = 0, source: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self.speed = speed
        self.step = step
        self._source = source
        self._start = start
        self._source_start = source()

    def now(self) -> int:
        elapsed = self._source() - self._source_start
        if self.speed != 1.0:  # at speed 1, a float would lose nanoseconds
            elapsed = int(elapsed * self.speed)
        return min(self._start + elapsed, END_OF_TIME)

    def advance(self, length: int) -> None:
        self._start += length

    def tick(self) -> None:
        """Do nothing: requests do not move this clock."""


class ManualClock:
    """Clock that stands still until it is advanced."""

    mode = "manual"

    def __init__(self, start: int, speed: float = 1.0, step: int = 0) -> None:
        self.speed = speed
        self.step = step
        self._now = start

    def now(self) -> int:
        return self._now

    def advance(self, length: int) -> None:
        self._now = min(self._now + length, END_OF_TIME)

    def tick(self) -> None:
        """Do nothing: requests do not move this clock."""


class SteppingClock(ManualClock):
    """Clock that advances by ``step`` with each API request, so that a client that polls need not wait."""

    mode = "step"

    def tick(self) -> None:
        self.advance(self.step)


CLOCK_MODES: dict[str, Callable[[int, float, int], Clock]] = {
    "real": ScaledClock,
    "manual": ManualClock,
    "step": SteppingClock,
}
"""Makes a clock from its start, speed and step, by mode."""


def read_system_time() -> int:
    """Return the time of the system, at which a clock of mode ``real`` starts."""
    return time.time_ns()
