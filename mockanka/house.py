"""The house behind the door: one controller, the application over it, and the scenario it began with."""

from __future__ import annotations

from dataclasses import replace

from mockanka.api.app import create_app
from mockanka.scenario import Options, Scenario


class House:
    """Everything that answers requests synchronously. Resetting swaps what is inside; the house stays."""

    def __init__(self, scenario: Scenario, options: Options | None = None) -> None:
        self.options = options or Options()
        self.scenario = scenario
        self.controller = scenario.controller(self.options)
        self.app = create_app(self.controller)

    def reset(self, scenario: Scenario | None = None, seed: int | None = None) -> None:
        """Begin anew, with another scenario if one is given; nothing of what was before is left.

        Options given at the start hold on; a seed given here counts for this time.
        """
        scenario = scenario or self.scenario
        options = self.options if seed is None else replace(self.options, seed=seed)
        self.controller.become(scenario.controller(options))
        self.scenario = scenario
