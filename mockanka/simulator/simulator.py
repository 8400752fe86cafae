"""The house behind the door: one controller, the application over it, the scenario it began with, and its journal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from marshmallow import ValidationError

from mockanka.api.app import create_app
from mockanka.core import failures, fault_effects, instances, nodes, transitions
from mockanka.core.errors import NotFound
from mockanka.core.faults import FaultRule
from mockanka.scenario import Options, Scenario, ScenarioError, dump, fault_rules, sections
from mockanka.scenario.references import InvalidScenario
from mockanka.scenario.source import Document, Path, Problem, problems_in
from mockanka.simulator import timeline
from mockanka.simulator.client_report import ClientMonitor, Rate, Report
from mockanka.simulator.journal import Journal

FATES = ("fail", "stop", "vanish")
"""What can be done to an instance from outside."""


class Simulator:
    """Everything that answers requests synchronously. Resetting swaps what is inside; the house stays."""

    def __init__(self, scenario: Scenario, options: Options | None = None) -> None:
        self.options = options or Options()
        self.scenario = scenario
        self.controller = scenario.controller(self.options)
        self.app = create_app(self.controller)
        self.journal = Journal()
        self.watch = ClientMonitor(self.controller, self._rate())
        self.before_reset: list[Callable[[], None]] = []
        self.when_reset: list[Callable[[], None]] = []
        self.when_fault_removed: list[Callable[[str], None]] = []

    def reset(self, scenario: Scenario | None = None, seed: int | None = None, options: Options | None = None) -> None:
        """Begin anew, with another scenario if one is given; nothing of what was before is left.

        Options given at the start hold on, unless there are others now; a seed given here counts for this time.
        """
        scenario, options = scenario or self.scenario, options or self.options
        fresh = scenario.controller(options if seed is None else replace(options, seed=seed))
        for hear in self.before_reset:
            hear()
        self.scenario, self.options = scenario, options
        self.controller.replace_with(fresh)
        self.journal = Journal()
        self.watch.begin(self._rate())
        for hear in self.when_reset:
            hear()

    def dump(self) -> dict[str, Any]:
        """The whole state as a scenario."""
        self.controller.advance()
        written = dump(self.controller)
        rate = self.scenario.data.get("report")
        return {**written, "report": sections.Report().dump(rate)} if rate else written

    def report(self) -> Report:
        """What the client did wrong so far."""
        self.controller.advance()
        return self.watch.report(self.journal)

    def add_faults(self, written: Sequence[object]) -> list[FaultRule]:
        """Put fault rules in force: all of them, or ScenarioError and none."""
        self.controller.advance()
        made: list[FaultRule] = []
        try:
            for index, item in enumerate(written):
                made.append(self._add_fault((index,) if len(written) > 1 else (), item))
        except ScenarioError:
            for rule in made:
                self.controller.faults.withdraw(rule.id)
            raise
        for rule in made:
            fault_effects.apply_begin_rule(self.controller, rule)
        self.controller.advance()
        return made

    def _add_fault(self, path: Path, item: object) -> FaultRule:
        document = Document("fault", item)
        try:
            rule = fault_rules.make(self.controller, path, fault_rules.FAULT.load(item))  # type: ignore[arg-type]
        except ValidationError as wrong:
            found = [Problem((*path, *each.path), each.text) for each in problems_in(wrong.messages)]
            raise document.error(found) from None
        except InvalidScenario as wrong:
            raise document.error([wrong.problem]) from None
        self.controller.faults.add(rule)
        return rule

    def turn_node(self, node_id: str, what: str, at_once: bool = False) -> None:
        """Make a node one of NODE_TURNS; one that goes offline is shown so at once, if asked."""
        self.controller.advance()
        nodes.override_node(self.controller, node_id, what, at_once=at_once)
        self.controller.advance()

    def strike_instance(self, instance_id: str, fate: str, message: str | None = None) -> None:
        """Have an instance fail, stop or vanish now. NotFound; IllegalMove where the life cycle knows no such move."""
        self.controller.advance()
        one = self.controller.instances.get(instance_id)
        if one is None:
            raise NotFound
        if fate == "fail":
            failures.fail_instance(self.controller, one, message or "failed")
        elif fate == "stop":
            instances.stop_instance(self.controller, instance_id)
        else:
            transitions.vanish_instance(self.controller, one, message or "vanished")
        self.controller.advance()

    def story(self, instance_id: str) -> dict[str, Any]:
        """What became of an instance, and why it waits now. NotFound if nobody knows it, nor did of late."""
        self.controller.advance()
        return timeline.tell(self.controller, self.journal, self.watch, instance_id)

    def remove_fault(self, rule_id: str) -> None:
        """Take a fault rule out of force; what it holds goes on."""
        self.controller.advance()
        fault_effects.remove_rule(self.controller, rule_id)
        for hear in self.when_fault_removed:
            hear(rule_id)

    def _rate(self) -> Rate:
        return Rate(**self.scenario.data.get("report", {}))
