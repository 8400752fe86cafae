"""How deep the tests go: what every change needs, or with ``MOCKANKA_TESTS=full`` all that an hour may find.

By default hypothesis takes the same examples every time where CI is set, and new ones everywhere else. In full it takes
more examples, always new ones, or those of ``--hypothesis-seed``. A test whose examples cost much says itself how many
it needs, with ``examples``.
"""

import os

from hypothesis import Phase, settings

FULL = os.environ.get("MOCKANKA_TESTS") == "full"
"""Whether everything is tried, as before a release; see .ci/full."""

_PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)

settings.register_profile("default", derandomize=bool(os.environ.get("CI")), deadline=None, phases=_PHASES)
settings.register_profile("full", max_examples=1000, derandomize=False, deadline=None, phases=_PHASES)
settings.load_profile("full" if FULL else "default")


def examples(default: int, full: int) -> int:
    """Return how many examples a test takes, by default and in full."""
    return full if FULL else default
