"""Clocks: the time that they tell, and what advances them."""

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockanka.core.clock import CLOCK_MODES, Clock, ManualClock, ScaledClock, SteppingClock, read_system_time

CLOCKS: list[Callable[[], Clock]] = [
    lambda: ScaledClock(1000, source=lambda: 7),
    lambda: ManualClock(1000),
    lambda: SteppingClock(1000, step=10),
]


class WallClock:
    """System clock that tests move."""

    def __init__(self) -> None:
        self.time = 123

    def __call__(self) -> int:
        return self.time


@pytest.mark.parametrize("make", CLOCKS)
def test_every_clock_begins_at_its_start(make: Callable[[], Clock]) -> None:
    """A new clock tells the time of its start."""
    clock = make()

    assert 1000 == clock.now()


@pytest.mark.parametrize("make", CLOCKS)
def test_every_clock_can_be_advanced(make: Callable[[], Clock]) -> None:
    """A clock of any mode advances by exactly the length."""
    clock = make()
    clock.advance(25)

    assert 1025 == clock.now()


def test_a_clock_of_speed_one_is_exact_to_the_nanosecond() -> None:
    """At speed 1 no nanosecond of the system's time is lost, however large the number."""
    wall = WallClock()
    clock = ScaledClock(0, source=wall)
    wall.time += 2**60 + 1

    assert 2**60 + 1 == clock.now()


def test_a_scaled_clock_runs_faster_than_the_system() -> None:
    """At speed 60 a second of the system is a minute."""
    wall = WallClock()
    clock = ScaledClock(0, speed=60.0, source=wall)
    wall.time += 1_000_000_000

    assert 60_000_000_000 == clock.now()


def test_requests_do_not_move_a_scaled_clock() -> None:
    """It runs by itself."""
    clock = ScaledClock(5, source=lambda: 0)
    clock.tick()

    assert 5 == clock.now()


@given(st.floats(0.01, 1000), st.lists(st.tuples(st.integers(0, 10**12), st.integers(0, 10**12)), max_size=20))
def test_a_scaled_clock_never_goes_back(speed: float, moves: list[tuple[int, int]]) -> None:
    """However it runs and is advanced, each reading is at least the one before."""
    wall = WallClock()
    clock = ScaledClock(0, speed=speed, source=wall)
    readings = [clock.now()]
    for by_itself, by_hand in moves:
        wall.time += by_itself
        readings.append(clock.now())
        clock.advance(by_hand)
        readings.append(clock.now())

    assert sorted(readings) == readings


def test_a_manual_clock_stands_still() -> None:
    """Requests do not move it."""
    clock = ManualClock(5)
    clock.tick()

    assert 5 == clock.now()


def test_a_stepping_clock_moves_with_each_request() -> None:
    """Each request advances it by its step."""
    clock = SteppingClock(5, step=10)
    clock.tick()
    clock.tick()

    assert 25 == clock.now()


@pytest.mark.parametrize("mode", ["real", "manual", "step"])
def test_every_mode_makes_a_clock(mode: str) -> None:
    """Clocks of the table have the start, speed and step that are passed."""
    clock = CLOCK_MODES[mode](1000, 2.0, 30)
    expected = (2.0, 30)

    assert expected == (clock.speed, clock.step)
    assert clock.now() >= 1000


def test_there_are_three_modes() -> None:
    """They are real, manual and step."""
    assert ["manual", "real", "step"] == sorted(CLOCK_MODES)


def test_the_system_time_is_that_of_the_system() -> None:
    """It is nanoseconds since 1970."""
    before = time.time_ns()
    reported = read_system_time()
    after = time.time_ns()

    assert before <= reported <= after
