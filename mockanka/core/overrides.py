"""Conditions that are forced on a node, the registry or the licence, each with its own end."""

from __future__ import annotations

Overrides = dict[str, int | None]
"""When each forced condition ends; None is never. The one that was set last comes last."""


def set_override(overrides: Overrides, what: str, until: int | None) -> None:
    """Force a condition until a time, or for good if that is None; never shorten one that is forced already."""
    present_end = overrides.pop(what, until)
    overrides[what] = None if present_end is None or until is None else max(present_end, until)


def override_end(now: int, duration: int) -> int | None:
    """Return when an override of that duration ends that begins now; None, which is never, if it is 0."""
    return now + duration if duration else None
