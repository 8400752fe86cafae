"""A server in a thread of this process. Only that thread touches the state: who wants something hands it over."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

import uvloop

from mockanka.server.asgi import Gateway
from mockanka.server.http_server import Server, bind
from mockanka.simulator.simulator import Simulator

Result = TypeVar("Result")
__tracebackhide__ = True  # what a test did wrong it did in the test
GRACE = 0.02
"""Seconds that answers in the making have left at the end: a test that ends waits for none."""


class _Stopped(RuntimeError):
    pass


class ServerThread:
    """A house served on one port until ``stop``."""

    def __init__(self, house: Simulator, host: str = "127.0.0.1", port: int = 0) -> None:
        self.house = house
        self.door = Gateway(house)
        self.server = Server(self.door, bind(host, port))
        self._loop = uvloop.new_event_loop()
        self._end = asyncio.Event()
        self._ending = False
        self._lock = threading.Lock()
        """Held while something is handed over, so that nothing is once the end has been."""
        self._up: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="mockanka", daemon=True)
        self._thread.start()
        self._up.result()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def call(self, what: Callable[[], Result]) -> Result:
        """Have the server's thread do something between two requests; what it returns or raises."""
        if threading.current_thread() is self._thread:
            return what()
        done: Future[Result] = Future()
        with self._lock:
            if self._ending:
                raise _Stopped("this controller has been stopped")
            self._loop.call_soon_threadsafe(self._do, what, done)
        wrong = done.exception()
        if wrong is not None:
            raise wrong.with_traceback(None) from None
        return done.result()

    def look(self, what: Callable[[], Result]) -> Result:
        """The same for what changes nothing, which may be asked for after the end as well."""
        with suppress(_Stopped):
            return self.call(what)
        self._thread.join()
        with self._lock:
            return what()

    def stop(self) -> None:
        """Serve no more; again is fine."""
        with self._lock:
            if not self._ending:
                self._ending = True
                self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    def _do(self, what: Callable[[], Any], done: Future[Any]) -> None:
        try:
            result = what()
        except BaseException as wrong:
            done.set_exception(wrong)
        else:
            done.set_result(result)
            self.door.listeners.wake()

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
        except BaseException as wrong:
            self._ending = True
            self._up.set_exception(wrong)
            return
        self._up.set_result(None)
        await self._end.wait()
        await self.server.stop(GRACE)
