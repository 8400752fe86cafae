"""Signals that end a run: heard at once, remembered where Python drops their exception, and never those ignored."""

import os
import signal
import threading

import pytest

from mockanka.remote.interrupts import INTERRUPT_SIGNALS, Interrupts


@pytest.mark.parametrize("number", INTERRUPT_SIGNALS)
def test_a_signal_is_an_interrupt(number: signal.Signals) -> None:
    """It is raised where the process is; caught and cleared, it is not raised again."""
    interrupts = Interrupts()
    before = signal.getsignal(number)
    with interrupts.handled():
        signal.signal(number, interrupts._interrupt)  # also where the tests run in the background, with it ignored
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
        interrupts.clear()
        interrupts.raise_pending()
    signal.signal(number, before)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_whose_exception_is_dropped_is_raised_again() -> None:
    """Python drops what a finalizer raises; the next request of the run raises it."""

    class Finalized:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    interrupts = Interrupts()
    with interrupts.handled():
        Finalized()
        with pytest.raises(KeyboardInterrupt):
            interrupts.raise_pending()
        interrupts.raise_pending()


def test_an_ignored_signal_stays_ignored() -> None:
    """Under nohup a run goes on when its terminal is closed."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts().handled():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_in_another_thread_nothing_is_handled() -> None:
    """Only the main thread can set handlers; a run in another one leaves them alone."""
    handlers = []

    def handle() -> None:
        with Interrupts().handled():
            handlers.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=handle)
    thread.start()
    thread.join()

    assert [signal.getsignal(signal.SIGTERM)] == handlers
