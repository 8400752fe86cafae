"""Durations: each distribution is within its bounds, and a larger quantile is a longer duration."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockanka.core.durations import (
    MAX_DURATION,
    MINUTE,
    SECOND,
    Duration,
    Fixed,
    Lognormal,
    Normal,
    Timings,
    Uniform,
    compute_transfer_time,
    fixed_seconds,
)

LENGTHS = st.integers(0, 10**15)
QUANTILES = st.floats(0, 1, exclude_max=True)
UNIFORMS = st.tuples(LENGTHS, LENGTHS).map(lambda pair: Uniform(*sorted(pair)))
DURATIONS: st.SearchStrategy[Duration] = st.one_of(
    st.builds(Fixed, LENGTHS),
    UNIFORMS,
    st.builds(Normal, LENGTHS, LENGTHS),
    st.builds(Lognormal, LENGTHS, st.floats(0, 5)),
)


@given(DURATIONS, QUANTILES)
def test_a_sample_is_a_valid_length(duration: Duration, quantile: float) -> None:
    """It is an integer from 0 to MAX_DURATION, of any distribution."""
    length = duration.sample(quantile)

    assert type(length) is int
    assert 0 <= length <= MAX_DURATION


@given(DURATIONS, QUANTILES, QUANTILES)
def test_a_larger_quantile_is_never_a_shorter_length(duration: Duration, first: float, second: float) -> None:
    """Samples are monotone in the quantile."""
    low, high = sorted((first, second))

    assert duration.sample(low) <= duration.sample(high)


@given(LENGTHS, QUANTILES)
def test_a_fixed_duration_is_always_the_same(length: int, quantile: float) -> None:
    """It does not depend on the quantile."""
    assert length == Fixed(length).sample(quantile)


@given(UNIFORMS, QUANTILES)
def test_a_uniform_duration_is_between_its_bounds(duration: Uniform, quantile: float) -> None:
    """No sample is outside."""
    assert duration.low <= duration.sample(quantile) <= duration.high


def test_a_uniform_duration_is_even() -> None:
    """Quantile 0 is the lower bound, a half is the middle."""
    duration = Uniform(100, 300)
    expected = [100, 200, 250]

    assert expected == [duration.sample(quantile) for quantile in (0.0, 0.5, 0.75)]


def test_the_median_of_a_normal_duration_is_its_mean() -> None:
    """Half of the samples are below the mean."""
    expected = 20 * SECOND

    assert expected == Normal(20 * SECOND, 3 * SECOND).sample(0.5)


def test_a_normal_duration_has_its_deviation() -> None:
    """About 84 % of the samples are below the mean plus one deviation."""
    length = Normal(20 * SECOND, 3 * SECOND).sample(0.8413447460685429)
    expected = 23 * SECOND

    assert expected == pytest.approx(length, abs=1000)


def test_a_normal_duration_is_never_below_zero() -> None:
    """A sample below zero is zero."""
    assert 0 == Normal(SECOND, 10 * SECOND).sample(0.01)


def test_a_lognormal_duration_has_its_median() -> None:
    """Half of the samples are below it."""
    expected = 20 * SECOND

    assert expected == Lognormal(20 * SECOND, 0.5).sample(0.5)


def test_a_lognormal_duration_is_symmetric_in_its_logarithm() -> None:
    """It is as often twice its median as it is half of it."""
    duration = Lognormal(20 * SECOND, 0.5)
    product = duration.sample(0.2) * duration.sample(0.8)
    expected = (20 * SECOND) ** 2

    assert expected == pytest.approx(product, rel=1e-6)


def test_no_sample_is_longer_than_a_thousand_years() -> None:
    """The widest distributions are cut off there."""
    assert (
        MAX_DURATION == Lognormal(MAX_DURATION, 5.0).sample(0.999) == Normal(MAX_DURATION, MAX_DURATION).sample(0.999)
    )


@given(st.integers(0, 10**15), st.integers(1, 10**13))
def test_the_time_of_a_transfer_is_rounded_up(size: int, bandwidth: int) -> None:
    """It is exact to the nanosecond up to a thousand years, and no longer than that."""
    length = compute_transfer_time(size, bandwidth)
    exact = (length - 1) * bandwidth < size * 8 * SECOND <= length * bandwidth

    assert exact or length == MAX_DURATION < size * 8 * SECOND / bandwidth


def test_a_gigabyte_at_eight_gigabit_per_second_takes_a_second() -> None:
    """Sizes are bytes and bandwidths bits per second."""
    expected = SECOND

    assert expected == compute_transfer_time(10**9, 8 * 10**9)


def test_a_fixed_duration_can_be_made_of_seconds() -> None:
    """Fractions of a second are allowed."""
    assert Fixed(1_500_000_000) == fixed_seconds(1.5)


def test_default_timings_are_those_of_the_real_controller() -> None:
    """Heartbeat, forget and node timeout have the values that were measured (C6)."""
    timings = Timings()

    assert (5 * SECOND, fixed_seconds(60), 2 * MINUTE) == (timings.heartbeat, timings.forget, timings.node_timeout)
