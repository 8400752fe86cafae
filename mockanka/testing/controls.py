"""The clock and the fault rules of a controller, as tests command them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from mockanka.core import time_control
from mockanka.core.controller import Controller
from mockanka.scenario import fault_rules
from mockanka.scenario.source import nearest
from mockanka.testing.handle import SimulatorHandle
from mockanka.testing.options import nanoseconds
from mockanka.testing.views import to_datetime

__tracebackhide__ = True  # an error that a test made is shown in the test


class ClockControl:
    """The clock of a controller."""

    def __init__(self, handle: SimulatorHandle) -> None:
        self._handle = handle

    @property
    def now(self) -> datetime:
        """The present time of the clock, in UTC."""
        return self._handle.read(lambda controller: to_datetime(controller.clock.now()))

    @property
    def mode(self) -> str:
        """``real``, ``manual`` or ``step``."""
        return self._handle.read(lambda controller: controller.clock.mode)

    @property
    def speed(self) -> float:
        """The speed of a real clock; 60 lets a minute pass each second."""
        return self._handle.read(lambda controller: controller.clock.speed)

    @property
    def step(self) -> timedelta:
        """How far a stepping clock moves with each request."""
        return timedelta(microseconds=self._handle.read(lambda controller: controller.clock.step) / 1000)

    def advance(self, by: str | timedelta) -> datetime:
        """Advance the clock by ``"30s"``, ``"1h30m"`` or a timedelta, and return the new time."""
        length = nanoseconds(by)
        self._handle.change(lambda controller: time_control.advance_by(controller, length))
        return self.now

    def next(self) -> datetime:
        """Advance to the next event, and return the new time. Raises Never if there is none."""

        def advance(controller: Controller) -> None:
            if not time_control.advance_to_next(controller):
                raise time_control.Never("nothing is on its way, so nothing comes next")

        self._handle.change(advance)
        return self.now

    def __repr__(self) -> str:
        return f"<clock {self.mode} {self.now.isoformat()}>"


class FaultControl:
    """The fault rules in force. The page on faults describes every kind."""

    def __init__(self, handle: SimulatorHandle) -> None:
        self._handle = handle

    def add(self, *, match: Mapping[str, Any] | None = None, do: Mapping[str, Any], **options: Any) -> str:
        """Add a rule and return its id. ``skip``, ``times``, ``probability``, ``seed``, ``id`` are as in a scenario.

        Raises ScenarioError, and changes nothing, if the rule is wrong.
        """
        rule = {"match": {} if match is None else match, "do": do, **options}
        return self._handle.run(lambda: self._handle.simulator.add_faults([rule])[0].id)

    def remove(self, id: str) -> None:
        """Remove a rule; whatever it stalls goes on. Raises KeyError if there is no such rule."""

        def remove() -> None:
            known = [rule.id for rule in self._handle.simulator.controller.faults]
            if id not in known:
                raise KeyError(f"there is no fault {id!r}: {nearest(id, known)}")
            self._handle.simulator.remove_fault(id)

        self._handle.run(remove)

    def clear(self) -> None:
        """Remove all rules."""
        for rule in self:
            self.remove(rule["id"])

    def __getitem__(self, id: str) -> dict[str, Any]:
        """Return a rule as a scenario writes it; ``seen`` counts its matches, and ``fired`` how often it fired."""
        for rule in self:
            if rule["id"] == id:
                return rule
        raise KeyError(f"there is no fault {id!r}: {nearest(id, [rule['id'] for rule in self])}")

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._handle.read(lambda controller: [fault_rules.written(rule) for rule in controller.faults]))

    def __len__(self) -> int:
        return self._handle.read(lambda controller: len(controller.faults))
