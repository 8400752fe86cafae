"""Depth of the tests: by default enough for every change, with ``MOCKANKA_TESTS=full`` all that takes half an hour.

By default hypothesis tries the same examples in every run if CI is set, else new ones. With ``full`` it tries more, and
always new ones, or those of ``--hypothesis-seed``. A test with slow examples sets their number with ``examples``.
"""

import os
from collections.abc import Iterable
from typing import Any

from hypothesis import Phase, settings

FULL = os.environ.get("MOCKANKA_TESTS") == "full"
"""True if everything is tried, as before a release; see .ci/full."""

pytest_plugins = ["pytester"]  # for tests/testing/pytest_plugin; only this conftest may name plugins

_PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)

settings.register_profile("default", derandomize=bool(os.environ.get("CI")), deadline=None, phases=_PHASES)
settings.register_profile("full", max_examples=300, derandomize=False, deadline=None, phases=_PHASES)
settings.load_profile("full" if FULL else "default")


def examples(default: int, full: int) -> int:
    """Return the number of examples that a test tries, of those by default and in full."""
    return full if FULL else default


def crossing(rows: Iterable[tuple[Any, ...]], values: Iterable[Any]) -> list[tuple[Any, ...]]:
    """Return every row with the first value, and the first row with every value; in full every row with every value.

    If rows and values do not depend on each other, this proves as much as all combinations.
    """
    (first_row, *other_rows), (first_value, *other_values) = rows, values
    if FULL:
        return [(*row, value) for row in (first_row, *other_rows) for value in (first_value, *other_values)]
    return [
        *((*row, first_value) for row in (first_row, *other_rows)),
        *((*first_row, value) for value in other_values),
    ]
