"""Signals that end a run against a real controller, so that it can remove what it created."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPT_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """The signals that end a run, each as a KeyboardInterrupt.

    Python drops an exception that a handler raises within a finalizer or a callback of native code. The signal is
    therefore remembered, and ``raise_pending`` raises it again.
    """

    def __init__(self) -> None:
        self._is_pending = False

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle the signals within the ``with`` statement, except those that this process ignores, as under nohup.

        In a thread that is not the main one, do nothing.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = [number for number in INTERRUPT_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        handlers = {number: signal.signal(number, self._interrupt) for number in numbers}
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def raise_pending(self) -> None:
        """Raise KeyboardInterrupt if a signal came since the last ``clear``."""
        if self._is_pending:
            self.clear()
            raise KeyboardInterrupt

    def clear(self) -> None:
        """Forget the signal, after its KeyboardInterrupt was caught."""
        self._is_pending = False

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._is_pending = True
        raise KeyboardInterrupt
