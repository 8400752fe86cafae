"""What is so because somebody wants it so, and until when: of a node, the registry, the licence.

Each of these is wanted by itself, so that the end of one leaves the others alone.
"""

from __future__ import annotations

Overrides = dict[str, int | None]
"""What is wanted, and until when; None is for good. What was wanted last stands last."""


def set_override(turns: Overrides, what: str, until: int | None) -> None:
    """Have it so until then, unless it is wanted for longer already."""
    before = turns.pop(what, until)
    turns[what] = None if before is None or until is None else max(before, until)
