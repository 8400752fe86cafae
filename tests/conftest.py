"""Hypothesis settings for all tests: the same examples in every run if CI is set, else new ones."""

import os

from hypothesis import Phase, settings

PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)

settings.register_profile("ci", derandomize=True, deadline=None, phases=PHASES)
settings.register_profile("here", deadline=None, phases=PHASES)
settings.load_profile("ci" if os.environ.get("CI") else "here")
