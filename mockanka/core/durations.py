"""How long things take: fixed lengths and named distributions, all in nanoseconds."""

from dataclasses import dataclass, field
from math import exp
from statistics import NormalDist

from mockanka.units import HOUR, MINUTE, SECOND

MAX_LENGTH = 1000 * 365 * 24 * HOUR
"""Nothing takes longer than a thousand years, however wide its distribution."""

END_OF_TIME = 221_845_392_000 * SECOND
"""The year 9000: clocks go no further, so that what begins by then still ends before 9999, the last year there is."""

_STANDARD_NORMAL = NormalDist()
_SMALLEST = 2.0**-54


@dataclass(frozen=True, slots=True)
class Fixed:
    """Always the same length."""

    length: int

    def sample(self, chance: float) -> int:
        return self.length


@dataclass(frozen=True, slots=True)
class Uniform:
    """Any length from ``low`` to ``high``, each as likely as the next."""

    low: int
    high: int

    def sample(self, chance: float) -> int:
        return self.low + int(chance * (self.high - self.low))


@dataclass(frozen=True, slots=True)
class Normal:
    """Around ``mean`` with a standard ``deviation``; never below zero."""

    mean: int
    deviation: int

    def sample(self, chance: float) -> int:
        drawn = self.mean + round(self.deviation * _STANDARD_NORMAL.inv_cdf(max(chance, _SMALLEST)))
        return min(max(0, drawn), MAX_LENGTH)


@dataclass(frozen=True, slots=True)
class Lognormal:
    """Around ``median``; ``sigma`` is the standard deviation of the length's logarithm."""

    median: int
    sigma: float

    def sample(self, chance: float) -> int:
        drawn = self.median * exp(self.sigma * _STANDARD_NORMAL.inv_cdf(max(chance, _SMALLEST)))
        return round(min(drawn, MAX_LENGTH))


Duration = Fixed | Uniform | Normal | Lognormal


def seconds(length: float) -> Fixed:
    return Fixed(round(length * SECOND))


@dataclass(frozen=True)
class Timings:
    """How long each step of the controller and its nodes takes.

    Bandwidths are bits per second. The defaults of ``heartbeat``, ``forget`` and ``node_timeout`` are those of
    the real controller and its agent (controller-facts C6); ``boot`` lies in the range measured there.
    """

    heartbeat: int = 5 * SECOND
    schedule: Duration = field(default=seconds(1))
    pull_bandwidth: int = 1_000_000_000
    push_bandwidth: int = 1_000_000_000
    boot: Duration = field(default=seconds(20))
    stop: Duration = field(default=seconds(5))
    terminate: Duration = field(default=seconds(5))
    forget: Duration = field(default=seconds(60))
    update: Duration = field(default=seconds(30))
    node_timeout: int = 2 * MINUTE


def transfer_time(size: int, bandwidth: int) -> int:
    """Nanoseconds that ``size`` bytes need at ``bandwidth`` bits per second, rounded up; a thousand years at most."""
    return min(-(-size * 8 * SECOND // bandwidth), MAX_LENGTH)
