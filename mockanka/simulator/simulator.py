"""A simulator: a controller with its application, its scenario, its journal and its monitor of the client."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from marshmallow import ValidationError

from mockanka.api.app import create_app
from mockanka.core import failures, fault_effects, instances, nodes, polls, transitions
from mockanka.core.errors import NotFound
from mockanka.core.faults import FaultRule
from mockanka.scenario import Options, Scenario, ScenarioError, dump, fault_rules
from mockanka.scenario.references import InvalidScenario
from mockanka.scenario.source import Document, Path, ScenarioProblem, problems_in
from mockanka.simulator import timeline
from mockanka.simulator.client_monitor import ClientMonitor, PollRate
from mockanka.simulator.client_report import Report
from mockanka.simulator.journal import DEFAULT_JOURNAL_LIMIT, Journal, JournalEntry

INSTANCE_ACTIONS = ("fail", "stop", "vanish")
"""Actions on an instance from outside, by the control API or from Python."""


class Simulator:
    """A controller and what belongs to it; everything here is synchronous.

    A reset replaces the state inside; the simulator, its controller and its application stay the same objects.
    """

    def __init__(self, scenario: Scenario, options: Options | None = None) -> None:
        self.options = options or Options()
        self.scenario = scenario
        self.controller = scenario.controller(self.options)
        self.app = create_app(self.controller)
        self.before_entry_dropped: list[Callable[[JournalEntry], None]] = []
        """Called with an entry of the journal that makes room for newer ones."""
        self.journal = self._new_journal()
        self.client_monitor = ClientMonitor(self.controller, self._rate())
        self.before_reset: list[Callable[[], None]] = []
        self.before_journal_cleared: list[Callable[[], None]] = []
        """Called before the entries of the journal are removed, by a reset or by ``clear_journal``."""
        self.after_reset: list[Callable[[], None]] = []
        self.after_fault_removed: list[Callable[[str], None]] = []
        """Called with the id of a fault rule that is no longer in force."""

    def reset(self, scenario: Scenario | None = None, options: Options | None = None, **overrides: Any) -> None:
        """Begin again, with the last scenario or another one. Nothing of the state before is left.

        The options of the simulator still apply unless there are others now, which then replace them; ``overrides`` are
        fields of Options that apply to this reset only. Raises ScenarioError, and changes nothing, if the scenario is
        invalid.
        """
        scenario, options = scenario or self.scenario, options or self.options
        fresh = scenario.controller(replace(options, **overrides))
        for callback in (*self.before_journal_cleared, *self.before_reset):
            callback()
        self.scenario, self.options = scenario, options
        self.controller.replace_with(fresh)
        self.journal.clear()
        self.journal = self._new_journal()
        self.client_monitor.begin(self._rate())
        for callback in self.after_reset:
            callback()

    def _new_journal(self) -> Journal:
        limit = self.options.journal_limit
        return Journal(
            self.options.keep_secrets, DEFAULT_JOURNAL_LIMIT if limit is None else limit, self.before_entry_dropped
        )

    def keep_clock(self) -> None:
        """Make the mode, speed and step of the clock options, so that they apply after each reset too."""
        clock = self.controller.clock
        self.options = replace(self.options, clock=clock.mode, speed=clock.speed, step=clock.step)

    def clear_journal(self) -> None:
        """Remove all entries of the journal; the numbers go on."""
        for callback in self.before_journal_cleared:
            callback()
        self.journal.clear()

    def dump(self) -> dict[str, Any]:
        """Return the whole state as a scenario."""
        self.controller.advance()
        data = dump(self.controller)
        rate = self.scenario.section.report.dump()
        return {**data, "report": rate} if rate else data

    def report(self) -> Report:
        """Return what the client did wrong so far."""
        self.controller.advance()
        return self.client_monitor.report(self.journal)

    def add_faults(self, items: Sequence[object]) -> list[FaultRule]:
        """Put fault rules in force, as scenarios have them. Raises ScenarioError, and adds none, if one is invalid."""
        self.controller.advance()
        rules: list[FaultRule] = []
        try:
            for index, item in enumerate(items):
                rules.append(self._add_fault((index,) if len(items) > 1 else (), item))
        except ScenarioError:
            for rule in rules:
                self.controller.faults.withdraw(rule.id)
            raise
        for rule in rules:
            fault_effects.apply_begin_rule(self.controller, rule)
        self.controller.advance()
        return rules

    def _add_fault(self, path: Path, item: object) -> FaultRule:
        document = Document("fault", item)
        try:
            rule = fault_rules.read_rule(self.controller, path, fault_rules.FaultSection.load(item))
        except ValidationError as error:
            problems = problems_in(error.messages)
            raise document.error(
                [ScenarioProblem((*path, *problem.path), problem.text) for problem in problems]
            ) from None
        except InvalidScenario as error:
            raise document.error([error.problem]) from None
        self.controller.faults.add(rule)
        return rule

    def remove_fault(self, rule_id: str) -> None:
        """Take a fault rule out of force; what it stalls goes on."""
        self.controller.advance()
        fault_effects.remove_rule(self.controller, rule_id)
        for callback in self.after_fault_removed:
            callback(rule_id)

    def count_poll(self, instance_id: str | None) -> None:
        """Count a GET of an instance or of the list that was answered, for faults that wait for polls."""
        if self.controller.awaited_polls:
            polls.count_poll(self.controller, instance_id)
            self.controller.advance()

    def override_node(self, node_id: str, state: str, at_once: bool = False) -> None:
        """Force a node into one of NODE_OVERRIDES; with ``at_once`` one that goes offline is shown so at once."""
        self.controller.advance()
        nodes.override_node(self.controller, node_id, state, at_once=at_once)
        self.controller.advance()

    def act_on_instance(self, instance_id: str, action: str, message: str | None = None) -> None:
        """Have an instance fail, stop or vanish now, one of INSTANCE_ACTIONS.

        A failure is final, also that of a start that has retries left. ``message`` is the failure's.

        Raises NotFound if there is no such instance, and IllegalTransition if its state does not allow that.
        """
        self.controller.advance()
        instance = self.controller.instances.get(instance_id)
        if instance is None:
            raise NotFound
        if action == "fail":
            failures.fail_instance(self.controller, instance, message or failures.explain_failure(instance))
        elif action == "stop":
            instances.stop_instance(self.controller, instance_id)
        else:
            transitions.vanish_instance(self.controller, instance, message or "vanished")
        self.controller.advance()

    def describe_instance(self, instance_id: str) -> dict[str, Any]:
        """Return the timeline of an instance, the requests about it, and why it waits now.

        Raises NotFound if there is no such instance, and none of that id was forgotten lately.
        """
        self.controller.advance()
        return timeline.describe_instance(self.controller, self.journal, self.client_monitor, instance_id)

    def _rate(self) -> PollRate:
        return PollRate(**self.scenario.section.report.given())
