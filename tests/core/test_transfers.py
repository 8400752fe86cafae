"""Transfers: their progress over time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockanka.core.transfers import Transfer

LENGTHS = st.one_of(st.integers(0, 50), st.integers(0, 10**18))
SHARES = st.one_of(st.sampled_from([0.0, 0.1, 0.3, 0.5, 1.0]), st.floats(0, 1))


@st.composite
def transfers(draw: st.DrawFn) -> Transfer:
    """Transfers with and without a pause, some of them with nothing to transfer."""
    started, moving_time = draw(LENGTHS), draw(LENGTHS)
    pause = draw(st.one_of(st.just(0), LENGTHS))
    return Transfer(started, started + moving_time + pause, draw(SHARES) if pause else 1.0, pause)


MOMENTS = st.one_of(LENGTHS, st.integers(0, 4 * 10**18))


@pytest.mark.parametrize(("now", "progress"), [(0, 0.0), (100, 0.0), (150, 0.5), (200, 1.0), (999, 1.0)])
def test_progress_is_even(now: int, progress: float) -> None:
    """Before the start it is 0, in the middle a half, and from the end on 1."""
    assert progress == Transfer(100, 200).progress(now)


@pytest.mark.parametrize(
    ("now", "progress"), [(100, 0.0), (125, 0.25), (130, 0.25), (175, 0.25), (200, 0.5), (249, 0.99), (250, 1.0)]
)
def test_progress_stands_still_in_a_pause(now: int, progress: float) -> None:
    """Before and after the pause it is even."""
    assert progress == Transfer(100, 250, pause_at=0.25, pause=50).progress(now)


def test_a_transfer_of_no_length_is_complete_at_once() -> None:
    """One that ends when it starts has nothing left."""
    assert 1.0 == Transfer(100, 100).progress(100)


def test_a_pause_of_a_transfer_of_no_length_has_its_progress() -> None:
    """With nothing to transfer it is at the progress of the pause until its end."""
    transfer = Transfer(100, 150, pause_at=0.5, pause=50)

    assert [0.5, 0.5, 1.0] == [transfer.progress(now) for now in (100, 149, 150)]


@given(transfers(), MOMENTS, MOMENTS)
def test_progress_never_falls(transfer: Transfer, now: int, later: int) -> None:
    """A later moment has no less progress, from 0 to 1."""
    now, later = sorted((now, later))

    assert 0.0 <= transfer.progress(now) <= transfer.progress(later) <= 1.0 == transfer.progress(transfer.ends)


@given(transfers(), SHARES)
def test_the_moment_of_a_share_has_its_progress(transfer: Transfer, share: float) -> None:
    """A transfer has a share at its moment, up to the rounding of a float, unless it has nothing to transfer."""
    progress = transfer.progress(transfer.moment_of(share))

    assert not transfer.moving_time or progress >= share - 1e-9
    assert transfer.started <= transfer.moment_of(share) <= transfer.ends + transfer.moving_time // 10**15


def test_the_moment_of_a_share_above_the_pause_is_after_the_pause() -> None:
    """Up to the progress of the pause it is before."""
    transfer = Transfer(100, 250, pause_at=0.25, pause=50)

    assert [100, 110, 125, 200, 250] == [transfer.moment_of(share) for share in (0.0, 0.1, 0.25, 0.5, 1.0)]


@given(transfers(), LENGTHS, MOMENTS)
def test_a_shift_moves_all_of_a_transfer(transfer: Transfer, delay: int, now: int) -> None:
    """Its progress is the same, so much later."""
    assert transfer.progress(now) == transfer.shifted(delay).progress(now + delay)
