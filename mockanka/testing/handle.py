"""Access to a simulator that is served by another thread of this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from mockanka.core.controller import Controller
from mockanka.server.threaded import ThreadedServer
from mockanka.simulator.simulator import Simulator

Value = TypeVar("Value")
__tracebackhide__ = True  # an error that a test made is shown in the test


class SimulatorHandle:
    """A simulator and the thread that serves it. Only that thread touches the state, so calls are handed over to it."""

    def __init__(self, simulator: Simulator, host: str, port: int) -> None:
        self.simulator = simulator
        self._thread = ThreadedServer(simulator, host, port)

    @property
    def url(self) -> str:
        """The base URL of the controller."""
        return self._thread.server.url

    def stop(self) -> None:
        """Stop serving. Stopping twice is fine."""
        self._thread.stop()

    def run(self, action: Callable[[], Value]) -> Value:
        """Call ``action`` in the thread of the server, between two requests."""
        return self._thread.call(action)

    def change(self, action: Callable[[Controller], Value]) -> Value:
        """Call ``action`` with the controller as it is now, in the thread of the server."""
        return self._thread.call(lambda: self._with_controller(action))

    def read(self, query: Callable[[Controller], Value]) -> Value:
        """Call ``query``, which changes nothing, with the controller as it is now; also after ``stop``."""
        return self._thread.read(lambda: self._with_controller(query))

    def _with_controller(self, action: Callable[[Controller], Value]) -> Value:
        self.simulator.controller.advance()
        return action(self.simulator.controller)
