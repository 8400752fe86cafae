"""Conditions that are forced on a node, the registry or the licence, each with its own end."""

from __future__ import annotations

Overrides = dict[str, int | None]
"""What is forced, and until when; None is for good. The one that was set last stands last."""


def set_override(overrides: Overrides, what: str, until: int | None) -> None:
    """Force a condition until that time, unless it is forced for longer already."""
    before = overrides.pop(what, until)
    overrides[what] = None if before is None or until is None else max(before, until)


def override_end(now: int, lasts: int) -> int | None:
    """Return when an override ends that lasts so long from now; None for good, if ``lasts`` is 0."""
    return now + lasts if lasts else None
