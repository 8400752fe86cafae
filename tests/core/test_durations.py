"""How long things take: each distribution within its bounds, and longer the larger the chance."""

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
CHANCES = st.floats(0, 1, exclude_max=True)
UNIFORMS = st.tuples(LENGTHS, LENGTHS).map(lambda pair: Uniform(*sorted(pair)))
DURATIONS: st.SearchStrategy[Duration] = st.one_of(
    st.builds(Fixed, LENGTHS),
    UNIFORMS,
    st.builds(Normal, LENGTHS, LENGTHS),
    st.builds(Lognormal, LENGTHS, st.floats(0, 5)),
)


@given(DURATIONS, CHANCES)
def test_a_sample_is_a_length_that_time_can_pass(duration: Duration, chance: float) -> None:
    """Whatever is drawn of whatever distribution is a whole number, not negative and not endless."""
    length = duration.sample(chance)

    assert type(length) is int
    assert 0 <= length <= MAX_DURATION


@given(DURATIONS, CHANCES, CHANCES)
def test_a_larger_chance_never_means_a_shorter_length(duration: Duration, one: float, other: float) -> None:
    """Samples are monotone in the chance."""
    low, high = sorted((one, other))

    assert duration.sample(low) <= duration.sample(high)


@given(LENGTHS, CHANCES)
def test_fixed_is_always_the_same(length: int, chance: float) -> None:
    """A fixed length does not depend on chance."""
    assert length == Fixed(length).sample(chance)


@given(UNIFORMS, CHANCES)
def test_uniform_stays_between_its_ends(duration: Uniform, chance: float) -> None:
    """A uniform length is nowhere outside its two ends."""
    assert duration.low <= duration.sample(chance) <= duration.high


def test_uniform_goes_evenly_from_low_to_high() -> None:
    """Chance 0 is the low end, half is the middle."""
    duration = Uniform(100, 300)
    expected = [100, 200, 250]

    assert expected == [duration.sample(chance) for chance in (0.0, 0.5, 0.75)]


def test_normal_is_its_mean_in_the_middle() -> None:
    """Half of the lengths are below the mean."""
    expected = 20 * SECOND

    assert expected == Normal(20 * SECOND, 3 * SECOND).sample(0.5)


def test_normal_has_its_deviation() -> None:
    """About 84 of 100 lengths are below the mean and one deviation."""
    length = Normal(20 * SECOND, 3 * SECOND).sample(0.8413447460685429)
    expected = 23 * SECOND

    assert expected == pytest.approx(length, abs=1000)


def test_normal_is_never_below_zero() -> None:
    """A draw below zero is zero."""
    assert 0 == Normal(SECOND, 10 * SECOND).sample(0.01)


def test_lognormal_is_its_median_in_the_middle() -> None:
    """Half of the lengths are below the median."""
    expected = 20 * SECOND

    assert expected == Lognormal(20 * SECOND, 0.5).sample(0.5)


def test_lognormal_is_as_often_twice_as_it_is_half() -> None:
    """Around its median a lognormal length is even in its logarithm."""
    duration = Lognormal(20 * SECOND, 0.5)
    product = duration.sample(0.2) * duration.sample(0.8)
    expected = (20 * SECOND) ** 2

    assert expected == pytest.approx(product, rel=1e-6)


def test_no_draw_is_longer_than_a_thousand_years() -> None:
    """The widest distributions end at a thousand years."""
    assert (
        MAX_DURATION == Lognormal(MAX_DURATION, 5.0).sample(0.999) == Normal(MAX_DURATION, MAX_DURATION).sample(0.999)
    )


@given(st.integers(0, 10**15), st.integers(1, 10**13))
def test_a_transfer_takes_no_less_than_it_must_and_less_than_a_nanosecond_more(size: int, bandwidth: int) -> None:
    """A transfer's length is rounded up to the nanosecond, as long as it is no thousand years."""
    length = compute_transfer_time(size, bandwidth)
    exact = (length - 1) * bandwidth < size * 8 * SECOND <= length * bandwidth

    assert exact or length == MAX_DURATION < size * 8 * SECOND / bandwidth


def test_a_gigabyte_at_eight_gigabit_takes_a_second() -> None:
    """Sizes are bytes and bandwidths bits per second."""
    expected = SECOND

    assert expected == compute_transfer_time(10**9, 8 * 10**9)


def test_seconds_are_fixed_lengths() -> None:
    """Seconds, also parts of one, make a fixed length."""
    assert Fixed(1_500_000_000) == fixed_seconds(1.5)


def test_the_defaults_are_those_of_the_real_controller() -> None:
    """Heartbeat, forgetting and giving up a node take what they really take unless configured (C6)."""
    timings = Timings()

    assert (5 * SECOND, fixed_seconds(60), 2 * MINUTE) == (timings.heartbeat, timings.forget, timings.node_timeout)
