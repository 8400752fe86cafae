"""How deep the tests go: what every change needs, or with ``MOCKANKA_TESTS=full`` all that half an hour may find.

By default hypothesis takes the same examples every time where CI is set, and new ones everywhere else. In full it takes
more examples, always new ones, or those of ``--hypothesis-seed``. A test whose examples cost much says itself how many
it needs, with ``examples``.
"""

import os
from collections.abc import Iterable
from typing import Any

from hypothesis import Phase, settings

FULL = os.environ.get("MOCKANKA_TESTS") == "full"
"""Whether everything is tried, as before a release; see .ci/full."""

_PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)

settings.register_profile("default", derandomize=bool(os.environ.get("CI")), deadline=None, phases=_PHASES)
settings.register_profile("full", max_examples=300, derandomize=False, deadline=None, phases=_PHASES)
settings.load_profile("full" if FULL else "default")


def examples(default: int, full: int) -> int:
    """Return how many examples a test takes, by default and in full."""
    return full if FULL else default


def crossing(rows: Iterable[tuple[Any, ...]], values: Iterable[Any]) -> list[tuple[Any, ...]]:
    """Return every row with the first value, and the first row with every value; in full every row with every value.

    For two things that do not depend on each other this proves what their product proves.
    """
    (first_row, *other_rows), (first_value, *other_values) = rows, values
    if FULL:
        return [(*row, value) for row in (first_row, *other_rows) for value in (first_value, *other_values)]
    return [
        *((*row, first_value) for row in (first_row, *other_rows)),
        *((*first_row, value) for value in other_values),
    ]
