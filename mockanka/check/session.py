"""A run: what is asked of a controller, every answer judged, and what was seen of each thing over time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from mockanka.check.consistency import Watch
from mockanka.check.results import ELSEWHERE, Asked, Results
from mockanka.contract.conformance import DENIED, Contract, Level
from mockanka.contract.exchange import JSON, Exchange
from mockanka.remote.client import OutOfTime, Remote, Unanswered, Unusable

PATIENCE = 3
"""Requests in a row without an answer, after which nobody is asked any more."""
OF_ENVELOPES = ("content-type", "json", "envelope", "schema", "time", "undocumented", "key-order", "newline")


class BrokenOff(Exception):
    """The run cannot go on; the text says why."""


@dataclass(frozen=True)
class Pace:
    """How long things are waited for, in seconds, and how often one looks."""

    interval: float = 1.0
    looks: int = 2
    """At the lists, when nothing is to happen."""
    start: float = 600.0
    end: float = 150.0
    """Until a terminated instance is unknown; a controller shows it for a minute by default."""


class Run:
    """One run against one controller. ``sleep`` is how it waits."""

    def __init__(
        self, remote: Remote, contract: Contract, results: Results, sleep: Callable[[float], None], pace: Pace
    ) -> None:
        self.remote, self.contract, self.results = remote, contract, results
        self.sleep, self.pace = sleep, pace
        self.watch = Watch(results)
        self.last = ""
        """The last request, for a person."""
        self._silent = 0
        self._waited = 0.0

    # ---- asking ----------------------------------------------------------------------------------------------------

    def has(self, method: str, path: str) -> bool:
        """Whether the release has the operation."""
        return self.contract.operation(method, path) is not None

    def name(self, method: str, path: str) -> str:
        """The operation's id."""
        operation = self.contract.operation(method, path)
        return operation["operationId"] if operation else ELSEWHERE

    def ask(
        self, method: str, path: str, query: str = "", body: Any = None, content_type: str | None = JSON
    ) -> Exchange:
        """Ask, and judge the answer. Without one the exchange has status 0, and says neither OK nor FAIL."""
        operation = self.name(method, path)
        self.last = f"{method} {path}{'?' + query if query else ''}"
        count = self.results.asked.setdefault(operation, Asked())
        count.requests += 1
        begun = self.remote.clock()
        try:
            exchange = self.remote.ask(method, path, query, body, content_type)
        except OutOfTime as wrong:
            raise BrokenOff(str(wrong)) from None
        except Unanswered as wrong:
            count.seconds += self.remote.clock() - begun
            self._unanswered(operation, str(wrong))
            return Exchange(method, path, query, status=0)
        self._silent = 0
        count.seconds += exchange.seconds
        self._judge(exchange, operation)
        if exchange.status == 401:
            self._refuse_to_guess(exchange)
        if exchange.status == 403:
            self.results.remark(f"{operation}: not checked, we may not: {exchange.message or 'HTTP 403'}")
        return exchange

    def get(self, path: str, id: str | None = None, query: str = "") -> Exchange:
        """GET, of one thing if its id is given."""
        return self.ask("GET", path, f"id={quote(id, safe='')}" if id is not None else query)

    def items(self, path: str) -> list[Any]:
        """The list at a path, or nothing if it is none: what is wrong with it the judge has said."""
        body = self.get(path).body
        return [each for each in body if isinstance(each, dict)] if isinstance(body, list) else []

    def wait(self) -> None:
        """Until one looks again."""
        if self.remote.deadline is not None and self.remote.clock() > self.remote.deadline:
            raise BrokenOff(f"the limit of {self.remote.limit:g} s on the whole is reached; --limit raises it")
        left = math.inf if self.remote.deadline is None else self.remote.deadline - self.remote.clock()
        self.sleep(min(self.pace.interval, max(0.0, left)))

    def until(self, seconds: float, done: Callable[[], bool]) -> bool:
        """Look at every interval for so long; whether it came true."""
        for _ in range(max(1, round(seconds / self.pace.interval))):
            if done():
                return True
            self.wait()
        return done()

    def _refuse_to_guess(self, exchange: Exchange) -> None:
        """Without a login nothing can be said of what is behind it."""
        try:
            self.remote.usable(exchange)
        except Unusable as wrong:
            raise BrokenOff(str(wrong)) from None

    # ---- judging ---------------------------------------------------------------------------------------------------

    def claim(
        self, check: str, operation: str, holds: bool, text: str, where: str = "", level: Level | None = None
    ) -> bool:
        """A check whose claim holds, or does not for the reason given; whether it holds."""
        if holds:
            self.results.passed(check, operation)
        else:
            self.results.found(check, operation, text, self.last, where, level)
        return holds

    def denied(self, exchange: Exchange, check: str) -> bool:
        """Whether nothing can be said since we may not do that, or nobody answered; it is a skipped check then."""
        if exchange.status not in (*DENIED, 0):
            return False
        why = f"HTTP {exchange.status}: {exchange.message}" if exchange.status else "no answer"
        self.results.skipped(check, self.name(*exchange.key), why)
        return True

    @property
    def silent(self) -> bool:
        """Whether the last request had no answer."""
        return self._silent > 0

    def _unanswered(self, operation: str, why: str) -> None:
        self.results.found("answered", operation, why, self.last)
        self._silent += 1
        if self._silent >= PATIENCE:
            raise BrokenOff(f"{PATIENCE} requests in a row have no answer, the last: {why}")

    def _judge(self, exchange: Exchange, operation: str) -> None:
        self.results.passed("answered", operation)
        judge_answer(self.results, exchange, operation, self.last)
        self.watch.see(exchange, operation, self.last)


def judge_answer(results: Results, exchange: Exchange, operation: str, request: str) -> None:
    """Hold an answer against the document: what passes is counted, what is wrong is told."""
    if operation == ELSEWHERE:
        results.passed("stray", operation)
    else:
        results.passed("status-code", operation)
    described = results.contract.operation(*exchange.key)
    if described is not None and results.contract.has_envelope(described):
        for check in OF_ENVELOPES:
            results.passed(check, operation)
        if results.contract.shapes(described):
            results.passed("shape", operation)
        right = not any(each.fails for each in results.contract.requests(exchange))
        results.passed("allowed-refused" if right else "forbidden-taken", operation)
    for violation in results.contract.answers(exchange):
        results.violation(violation, request)
