"""A controller for tests: served in this process, commanded and looked at from Python."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import lru_cache, partial
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from mockanka import units
from mockanka.core import nodes, time_control
from mockanka.core.clock import MODES
from mockanka.core.controller import Controller
from mockanka.core.errors import IllegalTransition, NoSuchNode, UnknownToRelease
from mockanka.core.faults import NODE_OVERRIDES
from mockanka.core.lifecycle import InstanceState
from mockanka.core.release import Release
from mockanka.scenario import Options, Scenario, ScenarioError, fault_rules
from mockanka.scenario.source import nearest
from mockanka.server.threaded import ServerThread
from mockanka.simulator.client_report import Report
from mockanka.simulator.simulator import Simulator
from mockanka.testing import views
from mockanka.testing.request_log import Request, Requests

Result = TypeVar("Result")
View = TypeVar("View")
__tracebackhide__ = True  # what a test did wrong it did in the test
ScenarioLike = str | os.PathLike[str] | Mapping[str, Any]


def scenario_of(given: ScenarioLike, folders: Sequence[Path] = ()) -> Scenario:
    """A scenario by the name it ships under, by its file, in one of the folders, or as data.

    ScenarioError says what is wrong.
    """
    if isinstance(given, Mapping):
        return Scenario.from_data(given)
    if not isinstance(given, str | os.PathLike):
        raise ScenarioError([f"{given!r} is no scenario: give the name of one that ships, a file, or data"])
    name = os.fspath(given)
    name = next((str(folder / name) for folder in folders if (folder / name).is_file()), name)
    try:
        status = Path(name).stat()
    except (OSError, ValueError):  # a shipped one's name, or nothing that could be a file
        return _read(name, None)
    return _read(name, (status.st_mtime_ns, status.st_size))


@lru_cache(maxsize=64)
def _read(name: str, version: object) -> Scenario:
    """Each version of a file is read once."""
    return Scenario.find(name)


def options_of(
    seed: int | None = None,
    release: str | None = None,
    clock: str | None = None,
    speed: float | None = None,
    step: str | timedelta | None = None,
    default_clock: str = "real",
) -> Options:
    """Options as a test gives them. ValueError says what is wrong."""
    _require_seed(seed)
    if clock is not None and clock not in MODES:
        raise ValueError(f"{clock!r} is no clock: {nearest(str(clock), list(MODES))}")
    if speed is not None and not (isinstance(speed, int | float) and 0 < speed <= 1e9):
        raise ValueError(f"{speed!r} is no speed: give a number above zero, like 60")
    return Options(
        seed=seed,
        release=None if release is None else Release.parse(str(release)),
        clock=clock,
        speed=speed,
        step=None if step is None else length_of(step),
        default_clock=default_clock,
    )


def _require_seed(seed: object) -> None:
    if seed is None:
        return
    if isinstance(seed, bool) or not isinstance(seed, int) or not -(2**63) <= seed < 2**63:
        raise ValueError(f"{seed!r} is no seed: give a whole number of 64 bits")


def length_of(given: str | timedelta) -> int:
    """Nanoseconds of ``"30s"``, or of a timedelta."""
    if isinstance(given, timedelta):
        if given < timedelta(0):
            raise ValueError(f"{given} is less than nothing: time does not go back")
        return given // timedelta(microseconds=1) * 1000
    if not isinstance(given, str):
        raise TypeError(f"{given!r} has no unit: write it like '30s', or give a timedelta")
    return units.parse_duration(given)


class ClockControl:
    """The controller's clock."""

    def __init__(self, anka: Anka) -> None:
        self._anka = anka

    @property
    def now(self) -> datetime:
        """What time it is, UTC."""
        return self._anka._look(lambda controller: views.moment(controller.clock.now()))

    @property
    def mode(self) -> str:
        """``real``, ``manual`` or ``step``."""
        return self._anka._look(lambda controller: controller.clock.mode)

    @property
    def speed(self) -> float:
        """How fast a real clock runs."""
        return self._anka._look(lambda controller: controller.clock.speed)

    @property
    def step(self) -> timedelta:
        """How far a stepping clock moves with each request."""
        return timedelta(microseconds=self._anka._look(lambda controller: controller.clock.step) / 1000)

    def advance(self, by: str | timedelta) -> datetime:
        """Let time pass: ``"30s"``, ``"1h30m"``, a timedelta. Returns what time it is then."""
        length = length_of(by)
        self._anka._do(lambda controller: time_control.advance_by(controller, length))
        return self.now

    def next(self) -> datetime:
        """Go to the next thing that happens. Never if nothing does."""

        def go(controller: Controller) -> None:
            if not time_control.advance_to_next(controller):
                raise time_control.Never("nothing is on its way, so nothing comes next")

        self._anka._do(go)
        return self.now

    def __repr__(self) -> str:
        return f"<clock {self.mode} {self.now.isoformat()}>"


class FaultControl:
    """The fault rules in force. What each kind does: the page on faults."""

    def __init__(self, anka: Anka) -> None:
        self._anka = anka

    def add(self, *, match: Mapping[str, Any] | None = None, do: Mapping[str, Any], **more: Any) -> str:
        """Put a rule in force; ``skip``, ``times``, ``probability``, ``seed`` and ``id`` as in a scenario.

        Returns its id. ScenarioError says what is wrong, and nothing has changed.
        """
        written = {"match": {} if match is None else match, "do": do, **more}
        return self._anka._run(lambda: self._anka._house.add_faults([written])[0].id)

    def remove(self, id: str) -> None:
        """Take a rule out of force; what it holds goes on. KeyError if there is none."""

        def remove() -> None:
            known = [rule.id for rule in self._anka._house.controller.faults]
            if id not in known:
                raise KeyError(f"there is no fault {id!r}: {nearest(id, known)}")
            self._anka._house.remove_fault(id)

        self._anka._run(remove)

    def clear(self) -> None:
        """Take all rules out of force."""
        for rule in self:
            self.remove(rule["id"])

    def __getitem__(self, id: str) -> dict[str, Any]:
        """A rule as it is written, with ``seen`` and ``fired``: how often it matched, and how often it struck."""
        for rule in self:
            if rule["id"] == id:
                return rule
        raise KeyError(f"there is no fault {id!r}: {nearest(id, [rule['id'] for rule in self])}")

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._anka._look(lambda controller: [fault_rules.written(rule) for rule in controller.faults]))

    def __len__(self) -> int:
        return self._anka._look(lambda controller: len(controller.faults))


class Anka:
    """A simulated controller at ``url``, until ``stop`` or the end of a ``with`` block."""

    def __init__(self, scenario: Scenario, options: Options, host: str = "127.0.0.1", port: int = 0) -> None:
        self._house = Simulator(scenario, options)
        self._thread = ServerThread(self._house, host, port)
        self.url = self._thread.server.url
        """The base URL to give to the client under test."""
        self.clock = ClockControl(self)
        self.faults = FaultControl(self)
        self._folders: Sequence[Path] = ()
        """Where scenario files are looked for, beside the working directory."""

    def __enter__(self) -> Anka:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, wrong: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<mockanka at {self.url}>"

    def stop(self) -> None:
        """Serve no more; again is fine."""
        self._thread.stop()

    # Time.

    def wait(self, instance_id: str, state: str = "Started") -> views.Instance:
        """Go on until the instance is in that state, and return it. Never says why it never will be.

        It is meant by its id, or its name if no other has that. No wall time passes, also where the clock runs by
        itself. KeyError if there is no such instance, ValueError if there is no such state.
        """
        known = [each.value for each in InstanceState if each is not InstanceState.GONE]
        if state not in known:
            raise ValueError(f"{state!r} is no state: {nearest(state, known)}")

        def go(controller: Controller) -> views.Instance:
            id = views.id_of("instance", views.names_of(controller, "instances"), instance_id)
            time_control.wait_for(controller, id, InstanceState(state))
            return views.look_at_instance(controller, self._house.watch.started_by, id)

        return self._do(go)

    def settle(self) -> None:
        """Go on until nothing is on its way any more. Never if a fault holds something; nothing has changed then."""
        self._do(time_control.settle)

    # What there is.

    @property
    def instances(self) -> views.Views[views.Instance]:
        """Instances by id, or by name; what is gone of late is still found by its id, for its timeline."""
        started_by = self._house.watch.started_by
        at = partial(views.look_at_instance, self._house.controller, started_by)
        return views.Views("instance", self._looking("instances", at))

    @property
    def nodes(self) -> views.Views[views.Node]:
        """Nodes by id, or by name."""
        return views.Views("node", self._looking("nodes", partial(views.look_at_node, self._house.controller)))

    @property
    def templates(self) -> views.Views[views.Template]:
        """Templates of the registry by id, or by name."""
        at = partial(views.look_at_template, self._house.controller)
        return views.Views("template", self._looking("templates", at))

    @property
    def requests(self) -> Requests:
        """The journal: what came in since the last reset, newest last."""

        def clear() -> None:
            self._run(self._house.journal.clear)

        return Requests(self._look(lambda _: [Request.of(entry) for entry in self._house.journal]), clear)

    @property
    def events(self) -> list[views.Event]:
        """What happened since the last reset, newest last."""
        return self._look(lambda controller: [views.Event.of(line) for line in controller.log.since(0)])

    @property
    def notes(self) -> list[str]:
        """What of its scenario the controller left out, because its release does not know it."""
        return self._look(lambda controller: list(controller.notes))

    def report(self) -> Report:
        """What the client did wrong since the last reset, and which fault rules never struck."""
        return self._look(lambda _: self._house.report())

    # What can be done to it.

    def node(self, name: str, state: str, at_once: bool = False) -> views.Node:
        """Make a node ``offline``, ``online``, ``drain``, ``unhealthy``, ``updating``, ``unlicensed`` or ``full``.

        One that goes offline is shown as Offline when it has been missed for two minutes, or ``at_once``.
        """
        if state not in NODE_OVERRIDES:
            raise ValueError(f"a node cannot be made {state!r}: {nearest(state, list(NODE_OVERRIDES))}")

        def turn() -> str:
            try:
                one = nodes.find_node_by_id_or_name(self._house.controller, name)
                self._house.turn_node(one.id, state, at_once)
            except NoSuchNode:
                known = [each.name for each in self._house.controller.nodes.values()]
                raise KeyError(f"there is no one node {name!r}: {nearest(name, known)}") from None
            except UnknownToRelease as wrong:
                raise ValueError(str(wrong)) from None
            return one.id

        return self.nodes[self._run(turn)]

    def fail(self, instance_id: str, message: str = "failed") -> None:
        """The instance goes to Error now, with that message."""
        self._strike(instance_id, "fail", message)

    def shut_down(self, instance_id: str) -> None:
        """The VM of a Started instance shuts down by itself: Stopping, then Stopped."""
        self._strike(instance_id, "stop")

    def vanish(self, instance_id: str) -> None:
        """Nobody knows the instance any more, from now on."""
        self._strike(instance_id, "vanish")

    def reset(self, seed: int | None = None) -> None:
        """Begin the scenario anew; nothing of what was before is left, faults and journal included."""
        _require_seed(seed)
        self._run(lambda: self._house.reset(seed=seed))

    def load(self, scenario: ScenarioLike) -> None:
        """Begin anew with another scenario: a shipped one's name, a file, or data. ScenarioError changes nothing."""
        found = scenario_of(scenario, self._folders)
        self._run(lambda: self._house.reset(found))

    def dump(self) -> dict[str, Any]:
        """The whole state as a scenario, which ``load`` takes."""
        return self._look(lambda _: self._house.dump())

    @contextmanager
    def _reporting(self) -> Iterator[Callable[[], Report]]:
        """Within it reports are kept that a reset would forget; what it gives makes one of all."""
        kept: list[Report] = []
        house = self._house

        def keep() -> None:
            kept.append(house.report())

        house.before_reset.append(keep)
        try:
            yield lambda: Report.together([*kept, self.report()])
        finally:
            house.before_reset.remove(keep)

    def _begin(self, scenario: Scenario, options: Options) -> None:
        self._run(lambda: self._house.reset(scenario, options=options))

    def _strike(self, instance_id: str, fate: str, message: str | None = None) -> None:
        def strike(controller: Controller) -> None:
            id = views.id_of("instance", views.names_of(controller, "instances"), instance_id)
            try:
                self._house.strike_instance(id, fate, message)
            except IllegalTransition:
                raise ValueError(f"an instance that is {controller.instances[id].state} cannot {fate}") from None

        self._do(strike)

    def _do(self, what: Callable[[Controller], Result]) -> Result:
        """Have something done with the controller as it is now, in the thread that may touch it."""

        return self._thread.call(lambda: self._now(what))

    def _look(self, what: Callable[[Controller], Result]) -> Result:
        """The same for what changes nothing; it may be asked for after the end as well."""
        return self._thread.look(lambda: self._now(what))

    def _now(self, what: Callable[[Controller], Result]) -> Result:
        self._house.controller.advance()
        return what(self._house.controller)

    def _looking(self, what: str, at: Callable[[str], View]) -> Callable[[Callable[[views.Look[View]], Any]], Any]:
        def look(controller: Controller) -> views.Look[View]:
            gone = controller.forgotten if what == "instances" else ()
            return views.Look(views.names_of(controller, what), at, gone)

        return lambda do: self._look(lambda controller: do(look(controller)))

    def _run(self, what: Callable[[], Result]) -> Result:
        return self._thread.call(what)


def serve(
    scenario: ScenarioLike = "default",
    *,
    clock: str | None = None,
    seed: int | None = None,
    release: str | None = None,
    speed: float | None = None,
    step: str | timedelta | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
) -> Anka:
    """Serve a controller in this process, on a free port unless told otherwise, until ``stop`` or the end of ``with``.

    What is given beats the scenario and outlives resets. ScenarioError, ValueError or OSError say what is wrong.
    """
    if not isinstance(port, int) or not 0 <= port <= 65535:
        raise ValueError(f"{port!r} is no port: there are 0, for any that is free, to 65535")
    return Anka(scenario_of(scenario), options_of(seed, release, clock, speed, step), host, port)


__all__ = ["Anka", "Report", "Request", "Requests", "ScenarioError", "serve"]
