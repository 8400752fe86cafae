"""Progress of a transfer over time. Moments and lengths are nanoseconds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil


@dataclass(frozen=True, slots=True)
class Transfer:
    """A transfer that moves at an even rate, with at most one pause.

    ::

        progress
             1 |                                  .------
               |                                .'
               |                              .'
      pause_at |            .----------------'
               |          .'
               |        .'
             0 |------.'
               +------+-----+----------------+----+------ time
                   started  |<--- pause ---->|   ends

    ``started`` and ``ends`` are moments, ``pause`` is a length (0 for none), and ``pause_at`` is the progress,
    0 to 1, at which the pause begins.
    """

    started: int
    ends: int
    pause_at: float = 1.0
    pause: int = 0

    @property
    def moving_time(self) -> int:
        """Length of all the time but the pause."""
        return self.ends - self.started - self.pause

    def progress(self, now: int) -> float:
        """Return the share that is transferred at a moment, 0 to 1."""
        if now >= self.ends:
            return 1.0
        if not self.moving_time:  # nothing to transfer, but a pause
            return self.pause_at
        return self._time_moved(now) / self.moving_time

    def _time_moved(self, now: int) -> int:
        """Return for how long it has moved at a moment before its end."""
        elapsed, moved_before_pause = max(0, now - self.started), self._time_to_move(self.pause_at)
        if elapsed <= moved_before_pause:
            return elapsed
        return max(moved_before_pause, elapsed - self.pause)

    def _time_to_move(self, share: float) -> int:
        """Return how long it takes, without the pause, until a share is transferred.

        Rounded up, so that progress does not fall by a nanosecond's worth where a pause is put in.
        """
        return ceil(self.moving_time * share)

    def moment_of(self, share: float) -> int:
        """Return the moment at which a share, 0 to 1, is transferred."""
        pause = self.pause if share > self.pause_at else 0
        return self.started + self._time_to_move(share) + pause

    def shifted(self, delay: int) -> Transfer:
        """Return a copy that starts and ends ``delay`` later."""
        return replace(self, started=self.started + delay, ends=self.ends + delay)
