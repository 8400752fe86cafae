"""The clocks a controller can live by. Time is nanoseconds since 1970, UTC.

A clock says what time it is; it makes nothing happen. Every clock can be moved on by hand, whatever its mode, and
none goes beyond the end of time.
"""

import time
from collections.abc import Callable
from typing import Protocol

from mockanka.core.durations import END_OF_TIME


class Clock(Protocol):
    """What the controller asks of a clock."""

    mode: str
    speed: float
    step: int

    def now(self) -> int:
        """The time; it never goes back."""

    def advance(self, by: int) -> None:
        """Move on by ``by`` nanoseconds, at once."""

    def tick(self) -> None:
        """An API request is about to be answered."""


class ScaledClock:
    """Runs by itself, ``speed`` times as fast as the wall's clock; with speed 1 it is the system's clock."""

    mode = "real"

    def __init__(
        self, start: int, speed: float = 1.0, step: int = 0, source: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self.speed = speed
        self.step = step
        self._source = source
        self._start = start
        self._anchor = source()

    def now(self) -> int:
        elapsed = self._source() - self._anchor
        return min(self._start + (elapsed if self.speed == 1.0 else int(elapsed * self.speed)), END_OF_TIME)

    def advance(self, by: int) -> None:
        self._start += by

    def tick(self) -> None:
        """Time passes without being told."""


class ManualClock:
    """Stands still until it is told to move."""

    mode = "manual"

    def __init__(self, start: int, speed: float = 1.0, step: int = 0) -> None:
        self.speed = speed
        self.step = step
        self._now = start

    def now(self) -> int:
        return self._now

    def advance(self, by: int) -> None:
        self._now = min(self._now + by, END_OF_TIME)

    def tick(self) -> None:
        """Requests do not move it."""


class SteppingClock(ManualClock):
    """Moves on by ``step`` with each API request, so that whoever polls gets there without waiting."""

    mode = "step"

    def tick(self) -> None:
        self.advance(self.step)


MODES: dict[str, Callable[[int, float, int], Clock]] = {
    "real": ScaledClock,
    "manual": ManualClock,
    "step": SteppingClock,
}


def system_time() -> int:
    """The wall's time: where a real clock starts."""
    return time.time_ns()
