"""``mockanka.serve`` and the object that it returns: a controller served in this process, for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from mockanka.core import nodes, time_control
from mockanka.core.controller import Controller
from mockanka.core.errors import IllegalTransition, NoSuchNode, UnknownToRelease
from mockanka.core.faults import NODE_OVERRIDES
from mockanka.core.lifecycle import SHOWN_STATES, InstanceState
from mockanka.scenario import Options, Scenario, ScenarioError
from mockanka.scenario.source import nearest
from mockanka.simulator.client_report import Report
from mockanka.simulator.journal import JournalEntry
from mockanka.simulator.simulator import Simulator
from mockanka.testing import views
from mockanka.testing.controls import ClockControl, FaultControl
from mockanka.testing.handle import SimulatorHandle
from mockanka.testing.options import ScenarioLike, find_scenario, make_options
from mockanka.testing.request_log import Request, Requests

__tracebackhide__ = True  # an error that a test made is shown in the test


class Anka:
    """A simulated controller at ``url``, served until ``stop`` or the end of a ``with`` block."""

    def __init__(self, scenario: Scenario, options: Options, host: str = "127.0.0.1", port: int = 0) -> None:
        self._simulator = Simulator(scenario, options)
        self._handle = SimulatorHandle(self._simulator, host, port)
        self.url = self._handle.url
        """The base URL for the client under test."""
        self.clock = ClockControl(self._handle)
        self.faults = FaultControl(self._handle)
        self._folders: Sequence[Path] = ()
        """The folders that scenario files are looked for in, beside the working directory."""

    def __enter__(self) -> Anka:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<mockanka at {self.url}>"

    def stop(self) -> None:
        """Stop serving. Stopping twice is fine."""
        self._handle.stop()

    # Time.

    def wait(self, instance_id: str, state: str = "Started") -> views.InstanceView:
        """Advance until the instance is in that state, and return it. ``instance_id`` may be a name that is unique.

        No wall time passes, not even if the clock is real. Raises Never, with the reason, if it cannot get there;
        KeyError if there is no such instance, ValueError if there is no such state.
        """
        known = [known_state.value for known_state in InstanceState if known_state in SHOWN_STATES]
        if state not in known:
            raise ValueError(f"{state!r} is no state: {nearest(state, known)}")

        def advance(controller: Controller) -> views.InstanceView:
            id = views.find_id("instance", views.names_by_id(controller, "instances"), instance_id)
            time_control.wait_for_state(controller, id, InstanceState(state))
            return views.view_instance(controller, self._simulator.client_monitor.started_by, id)

        return self._handle.change(advance)

    def settle(self) -> None:
        """Advance until nothing is on its way any more.

        Raises Never, and changes nothing, if a fault stalls something.
        """
        self._handle.change(time_control.settle)

    # What there is.

    @property
    def instances(self) -> views.Views[views.InstanceView]:
        """The instances by id, or by a name that is unique.

        Recently forgotten ones are still found by id, with their timeline.
        """
        view = partial(views.view_instance, self._simulator.controller, self._simulator.client_monitor.started_by)
        return views.Views("instance", self._reader("instances", view))

    @property
    def nodes(self) -> views.Views[views.NodeView]:
        """The nodes by id, or by a name that is unique."""
        return views.Views("node", self._reader("nodes", partial(views.view_node, self._simulator.controller)))

    @property
    def templates(self) -> views.Views[views.TemplateView]:
        """The templates of the registry by id, or by a name that is unique."""
        view = partial(views.view_template, self._simulator.controller)
        return views.Views("template", self._reader("templates", view))

    @property
    def requests(self) -> Requests:
        """The journal: the requests since the last reset, newest last."""

        def clear() -> None:
            self._handle.run(self._simulator.clear_journal)

        # Entries are copied while no request is served, and read afterwards: reading many takes long.
        def copy_entries(_: object) -> tuple[list[JournalEntry], int]:
            journal = self._simulator.journal
            return list(map(copy, journal)), journal.dropped_since()

        entries, dropped = self._handle.read(copy_entries)
        return Requests(map(Request.from_entry, entries), clear, dropped)

    @property
    def events(self) -> list[views.LoggedEvent]:
        """The events since the last reset, newest last."""
        return self._handle.read(
            lambda controller: [views.LoggedEvent.from_entry(entry) for entry in controller.log.since(0)]
        )

    @property
    def notes(self) -> list[str]:
        """Notes on parts of the scenario that were left out because the release does not support them."""
        return self._handle.read(lambda controller: list(controller.notes))

    def report(self) -> Report:
        """Return what the client did wrong since the last reset, and which fault rules never fired."""
        return self._handle.read(lambda _: self._simulator.report())

    # What can be done to it.

    def node(self, name: str, state: str, at_once: bool = False) -> views.NodeView:
        """Force a node into a state, one of NODE_OVERRIDES, such as ``online``, ``offline``, ``drain`` or ``blank``.

        With ``registry-unreachable`` its pulls fail, and it takes only instances whose template it has.
        An offline node is shown as Offline after two minutes without a report, or now with ``at_once``.
        Raises KeyError if there is no such node, ValueError if there is no such state.
        """
        if state not in NODE_OVERRIDES:
            raise ValueError(f"a node cannot be made {state!r}: {nearest(state, list(NODE_OVERRIDES))}")

        def override() -> str:
            try:
                node = nodes.find_node_by_id_or_name(self._simulator.controller, name)
                self._simulator.override_node(node.id, state, at_once)
            except NoSuchNode:
                known = [node.name for node in self._simulator.controller.nodes.values()]
                raise KeyError(f"there is no node {name!r}: {nearest(name, known)}") from None
            except UnknownToRelease as error:
                raise ValueError(str(error)) from None
            return node.id

        return self.nodes[self._handle.run(override)]

    def fail(self, instance_id: str, message: str | None = None) -> None:
        """Bring the instance to Error now, with that message; a start that fails so is not tried again."""
        self._end_instance(instance_id, "fail", message)

    def shut_down(self, instance_id: str) -> None:
        """Shut down the VM of a Started instance from inside: Stopping, then Stopped."""
        self._end_instance(instance_id, "stop")

    def vanish(self, instance_id: str) -> None:
        """Remove the instance without a trace; the controller does not know it from now on."""
        self._end_instance(instance_id, "vanish")

    def reset(
        self,
        seed: int | None = None,
        *,
        release: str | None = None,
        clock: str | None = None,
        speed: float | None = None,
        step: str | timedelta | None = None,
    ) -> None:
        """Begin the scenario anew. Everything since is dropped, faults and journal included.

        The arguments are those of ``serve``, and apply until the next reset. Raises ValueError for a wrong value,
        ScenarioError if the scenario is not one for that release; both change nothing.
        """
        options = make_options(seed, release, clock, speed, step)
        names = ("seed", "release", "clock", "speed", "step")
        overrides = {name: value for name in names if (value := getattr(options, name)) is not None}
        self._handle.run(lambda: self._simulator.reset(**overrides))

    def load(self, scenario: ScenarioLike) -> None:
        """Begin anew with another scenario: a name, a file, or data. Raises ScenarioError, and changes nothing."""
        found = find_scenario(scenario, self._folders)
        self._handle.run(lambda: self._simulator.reset(found))

    def dump(self) -> dict[str, Any]:
        """Return the whole state as a scenario, which ``load`` takes."""
        return self._handle.read(lambda _: self._simulator.dump())

    # For fixtures.

    def begin(self, scenario: ScenarioLike, folders: Sequence[Path] = (), **options: Any) -> None:
        """Begin anew with a scenario and the options of ``serve``. Scenario files are looked for in the folders too."""
        found = find_scenario(scenario, folders)
        parsed = make_options(**options)
        self._folders = folders
        self._handle.run(lambda: self._simulator.reset(found, options=parsed))

    @contextmanager
    def collect_reports(self) -> Iterator[Callable[[], Report]]:
        """Keep the reports that resets within the block would drop, and yield a function that returns all as one."""
        kept: list[Report] = []

        def keep() -> None:
            kept.append(self._simulator.report())

        self._simulator.before_reset.append(keep)
        try:
            yield lambda: Report.merge([*kept, self.report()])
        finally:
            self._simulator.before_reset.remove(keep)

    def _end_instance(self, instance_id: str, fate: str, message: str | None = None) -> None:
        def end(controller: Controller) -> None:
            id = views.find_id("instance", views.names_by_id(controller, "instances"), instance_id)
            try:
                self._simulator.act_on_instance(id, fate, message)
            except IllegalTransition:
                raise ValueError(f"an instance that is {controller.instances[id].state} cannot {fate}") from None

        self._handle.change(end)

    def _reader(self, kind: str, view: Callable[[str], views.View]) -> views.Reader[views.View]:
        def source(controller: Controller) -> views.ViewSource[views.View]:
            forgotten = controller.forgotten if kind == "instances" else ()
            return views.ViewSource(views.names_by_id(controller, kind), view, forgotten)

        return lambda query: self._handle.read(lambda controller: query(source(controller)))


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
    keep_secrets: bool = False,
    journal_limit: int | str | None = None,
    max_nodes: int | None = None,
    max_instances: int | None = None,
) -> Anka:
    """Serve a controller in this process, by default on a free port, until ``stop`` or the end of a ``with`` block.

    Arguments take precedence over the scenario and survive resets. ``keep_secrets`` shows the secrets of
    ``requests``, which else are redacted. ``journal_limit`` is the memory for ``requests``, by default ``"64MiB"``;
    the oldest are dropped. A scenario with more than ``max_nodes`` nodes, by default 10,000, or ``max_instances``
    instances, by default 100,000, is refused. Raises ScenarioError, ValueError or OSError.
    """
    if not isinstance(port, int) or not 0 <= port <= 65535:
        raise ValueError(f"{port!r} is no port: there are 0, for any that is free, to 65535")
    return Anka(
        find_scenario(scenario),
        make_options(
            seed,
            release,
            clock,
            speed,
            step,
            keep_secrets=keep_secrets,
            journal_limit=journal_limit,
            max_nodes=max_nodes,
            max_instances=max_instances,
        ),
        host,
        port,
    )


__all__ = ["Anka", "Report", "Request", "Requests", "ScenarioError", "serve"]
