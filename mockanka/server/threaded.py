"""A server in a thread of this process. Only that thread touches the state; other threads hand it functions."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

import uvloop

from mockanka.server.http_server import Server
from mockanka.serving import listen
from mockanka.simulator.simulator import Simulator

Result = TypeVar("Result")
__tracebackhide__ = True  # pytest shows the line of the test that failed, not one here
STOP_GRACE = 0.02
"""Seconds that responses on their way have left at the end: a test that ends waits for none."""


class _Stopped(RuntimeError):
    """The server has been stopped."""


class ServedByParent(RuntimeError):
    """This process is a fork of the one that serves the controller, whose state it cannot reach."""


class ThreadedServer:
    """Serves a simulator on a port, until ``stop``. Raises OSError if the port cannot be had.

    In a fork of this process ``stop`` does nothing, and ``call`` and ``read`` raise ServedByParent, but ``read`` works
    if the server had stopped before the fork.
    """

    def __init__(self, simulator: Simulator, host: str = "127.0.0.1", port: int = 0) -> None:
        self.server = Server(simulator, listen(host, port))
        self._loop = uvloop.new_event_loop()
        self._end = asyncio.Event()
        self._ending = False
        self._has_ended = False
        self._process = os.getpid()
        self._lock = threading.Lock()
        """Held while a function is handed over, so that none is after the end."""
        self._started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="mockanka", daemon=True)
        self._thread.start()
        self._started.result()

    def call(self, function: Callable[[], Result]) -> Result:
        """Have the server's thread call a function between two requests; return or raise what that does.

        Raises RuntimeError after ``stop``.
        """
        if threading.current_thread() is self._thread:
            return function()
        self._note_fork()
        done: Future[Result] = Future()
        with self._lock:
            if self._ending:
                raise _Stopped("this controller has been stopped")
            self._loop.call_soon_threadsafe(self._do, function, done)
        error = done.exception()
        if error is not None:
            raise error.with_traceback(None) from None
        return done.result()

    def read(self, function: Callable[[], Result]) -> Result:
        """Call a function that changes nothing; after ``stop`` it is called in this thread."""
        with suppress(_Stopped):
            return self.call(function)
        self._thread.join()
        with self._lock:
            return function()

    def stop(self) -> None:
        """Stop serving, unless that has been done."""
        if os.getpid() != self._process:
            return
        with self._lock:
            if not self._ending:
                self._ending = True
                self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
        self._has_ended = True

    def _note_fork(self) -> None:
        """Do nothing in the process that serves. In a fork of it raise ServedByParent if the server still ran then."""
        if os.getpid() == self._process:
            return
        if not self._has_ended:
            raise ServedByParent(
                f"the controller at {self.server.url} is served by process {self._process}, of which process "
                f"{os.getpid()} is a fork: here use it by HTTP, or start another one with mockanka.serve()"
            )
        self._process = os.getpid()
        self._lock = threading.Lock()  # a thread that the fork does not have may have held the old one

    def _do(self, function: Callable[[], Any], done: Future[Any]) -> None:
        try:
            result = function()
        except BaseException as error:
            done.set_exception(error)
        else:
            done.set_result(result)
            self.server.gateway.note_changes()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            asyncio.set_event_loop(None)
            self._loop.close()

    async def _serve(self) -> None:
        try:
            await self.server.start()
        except BaseException as error:
            self._ending = True
            self._started.set_exception(error)
            return
        self._started.set_result(None)
        await self._end.wait()
        await self.server.stop(STOP_GRACE)
