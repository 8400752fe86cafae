"""Durations: fixed lengths and random distributions. Lengths are nanoseconds."""

from dataclasses import dataclass, field
from math import exp
from statistics import NormalDist

from mockanka.units import MAX_DURATION, MINUTE, SECOND

DEFAULT_BANDWIDTH = 1_000_000_000
"""Bits per second."""

END_OF_TIME = 221_845_392_000 * SECOND
"""The year 9000, in nanoseconds since 1970. With MAX_DURATION added, moments can still be written: up to 9999."""

_STANDARD_NORMAL = NormalDist()
_MIN_QUANTILE = 2.0**-54
"""Stands for the quantile 0, at which a normal distribution has no value; half of the smallest number drawn above 0."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """Duration that always has the same length."""

    length: int

    def sample(self, quantile: float) -> int:
        return self.length


@dataclass(frozen=True, slots=True)
class Uniform:
    """Duration from ``low`` to ``high``, uniformly distributed."""

    low: int
    high: int

    def sample(self, quantile: float) -> int:
        return self.low + int(quantile * (self.high - self.low))


@dataclass(frozen=True, slots=True)
class Normal:
    """Duration that is normally distributed, cut off at 0; ``deviation`` is the standard deviation."""

    mean: int
    deviation: int

    def sample(self, quantile: float) -> int:
        length = self.mean + round(self.deviation * _normal_quantile(quantile))
        return min(max(0, length), MAX_DURATION)


@dataclass(frozen=True, slots=True)
class Lognormal:
    """Duration that is log-normally distributed; ``sigma`` is the standard deviation of the length's logarithm."""

    median: int
    sigma: float

    def sample(self, quantile: float) -> int:
        length = self.median * exp(self.sigma * _normal_quantile(quantile))
        return round(min(length, MAX_DURATION))


@dataclass(frozen=True, slots=True)
class WallTime:
    """Length of real time, whatever the controller's clock does."""

    length: int


def _normal_quantile(quantile: float) -> float:
    return _STANDARD_NORMAL.inv_cdf(max(quantile, _MIN_QUANTILE))


Duration = Fixed | Uniform | Normal | Lognormal
"""``sample(quantile)`` returns the length at a quantile, 0 to below 1; a random quantile makes a random length."""


def fixed_seconds(length: float) -> Fixed:
    """Return a fixed duration of so many seconds."""
    return Fixed(round(length * SECOND))


@dataclass(frozen=True)
class Timings:
    """Durations of the steps of the controller and its nodes, and bandwidths in bits per second.

    The defaults of ``heartbeat``, ``forget`` and ``node_timeout`` are those of the real controller and its agent
    (controller-facts C6); ``boot`` is within the range that was measured.
    """

    heartbeat: int = 5 * SECOND
    schedule: Duration = field(default=fixed_seconds(1))
    pull_bandwidth: int = DEFAULT_BANDWIDTH
    push_bandwidth: int = DEFAULT_BANDWIDTH
    boot: Duration = field(default=fixed_seconds(20))
    stop: Duration = field(default=fixed_seconds(5))
    terminate: Duration = field(default=fixed_seconds(5))
    forget: Duration = field(default=fixed_seconds(60))
    update: Duration = field(default=fixed_seconds(30))
    node_timeout: int = 2 * MINUTE


def compute_transfer_time(size: int, bandwidth: int) -> int:
    """Return the nanoseconds that ``size`` bytes take at ``bandwidth`` bits per second, rounded up."""
    return min(-(-size * 8 * SECOND // bandwidth), MAX_DURATION)
