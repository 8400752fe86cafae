"""The session of a run: it sends requests and checks every response, by itself and against the earlier ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mockanka.check.consistency import ConsistencyMonitor
from mockanka.check.item_checks import objects_in
from mockanka.check.results import NO_OPERATION, RequestTotals, Results, RunAborted
from mockanka.contract.conformance import DENIED_STATUSES, Contract, Level, Violation
from mockanka.contract.exchange import JSON_TYPE, Exchange
from mockanka.contract.paths import STATUS_PATH
from mockanka.core.release import Release
from mockanka.remote.client import ControllerClient, ControllerError, DeadlineExceeded, NoResponse, id_query

MAX_UNANSWERED = 3
"""Requests in a row without a response after which the run is aborted."""
BODY_CHECKS = ("envelope", "status-code", "shape", "schema", "time", "undocumented")
"""Checks that follow from each other: where the envelope or the whole body is wrong, the others find it once more."""
ENVELOPE_CHECKS = (
    *("content-type", "encoding", "connection", "caching", "json", "json-text"),
    *("envelope", "schema", "time", "undocumented", "key-order", "newline"),
)


@dataclass(frozen=True)
class Pace:
    """Time between polls, and timeouts, in seconds."""

    interval: float = 1.0
    polls: int = 2
    """Number of times that the lists are requested to observe changes."""
    start_timeout: float = 600.0
    """Until an instance is Started."""
    end_timeout: float = 150.0
    """Until a terminated instance is unknown; a controller lists it for a minute by default."""


class Session:
    """The requests of one run to one controller. ``sleep`` waits for some seconds."""

    def __init__(
        self,
        client: ControllerClient,
        contract: Contract,
        results: Results,
        sleep: Callable[[float], None],
        pace: Pace,
    ) -> None:
        self.client, self.contract, self.results = client, contract, results
        self.sleep, self.pace = sleep, pace
        self.monitor = ConsistencyMonitor(results)
        self.current_release: Release | None = None
        """The release in the latest status; None until there is one."""
        self.last_request = ""
        """Method, path and query of the last request, for findings."""
        self._last_operation = ""
        self._unusable: dict[str, str] = {}
        """The operations whose last response is unusable, each with the check that says so."""
        self._unanswered = 0
        """Requests in a row without a response."""

    # ---- requests --------------------------------------------------------------------------------------------------

    def has_operation(self, method: str, path: str) -> bool:
        """Return whether the release has the operation."""
        return self.contract.operation(method, path) is not None

    def operation_id(self, method: str, path: str) -> str:
        """Return the operationId, or ``NO_OPERATION``."""
        operation = self.contract.operation(method, path)
        return operation["operationId"] if operation else NO_OPERATION

    def request(
        self, method: str, path: str, query: str = "", body: Any = None, content_type: str | None = JSON_TYPE
    ) -> Exchange:
        """Send a request and check the response. RunAborted if the run cannot continue.

        Without a response the exchange has status 0, and neither an envelope nor a body.
        """
        operation = self.operation_id(method, path)
        self.last_request = f"{method} {path}{'?' + query if query else ''}"
        self._last_operation = operation
        totals = self.results.request_totals.setdefault(operation, RequestTotals())
        totals.requests += 1
        started = self.client.clock()
        try:
            exchange = self.client.request(method, path, query, body, content_type)
        except DeadlineExceeded as error:
            raise RunAborted(str(error)) from None
        except NoResponse as error:
            totals.seconds += self.client.clock() - started
            self._add_unanswered(operation, str(error))
            return Exchange(method, path, query, status=0)
        self._unanswered = 0
        totals.seconds += exchange.seconds
        self._check(exchange, operation)
        if exchange.status == 401:
            self._abort_if_unusable(exchange)
        if exchange.status == 403:
            reason = exchange.message or "HTTP 403"
            self.results.add_remark(f"{operation}: not checked, the permission is missing: {reason}")
        return exchange

    def get(self, path: str, id: str | None = None, query: str = "") -> Exchange:
        """Send a GET, of a single item if its id is given."""
        return self.request("GET", path, id_query(id) if id is not None else query)

    def list_items(self, path: str) -> list[Any]:
        """Return the objects in the list at a path; none if it is not a list, which the schema check reports."""
        return objects_in(self.get(path).body)

    def wait_interval(self) -> None:
        """Sleep until the next poll. RunAborted if the limit on the run is reached."""
        try:
            self.client.check_limit()
        except DeadlineExceeded as error:
            raise RunAborted(str(error)) from None
        remaining = math.inf if self.client.deadline is None else self.client.deadline - self.client.clock()
        self.sleep(min(self.pace.interval, max(0.0, remaining)))

    def poll_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Evaluate the condition at every interval until it holds or the time is over; return whether it holds."""
        for _ in range(max(1, round(seconds / self.pace.interval))):
            if condition():
                return True
            self.wait_interval()
        return condition()

    def _abort_if_unusable(self, exchange: Exchange) -> None:
        """Abort the run if authentication is missing: nothing can be said about what is behind it."""
        try:
            self.client.require_usable(exchange)
        except ControllerError as error:
            raise RunAborted(str(error)) from None

    # ---- checks ----------------------------------------------------------------------------------------------------

    def claim(
        self, check: str, operation: str, holds: bool, text: str, where: str = "", level: Level | None = None
    ) -> bool:
        """Record a check as passed if its claim holds, else ``text`` as its finding; return whether it holds.

        What fails because a response is unusable is a consequence of that finding.
        """
        unusable = next((name for name in (operation, self._last_operation) if name in self._unusable), None)
        if holds:
            self.results.add_pass(check, operation)
        elif unusable is not None:
            self.results.add_consequence(check, operation, text, (self._unusable[unusable], unusable))
        else:
            self.results.add_finding(check, operation, text, self.last_request, where, level)
        return holds

    def skip_if_denied(self, exchange: Exchange, check: str) -> bool:
        """Record a check as skipped and return True if the exchange was denied or has no response."""
        if exchange.status not in (*DENIED_STATUSES, 0):
            return False
        reason = f"HTTP {exchange.status}: {exchange.message}" if exchange.status else "no response"
        self.results.add_skip(check, self.operation_id(*exchange.operation_key), reason)
        return True

    @property
    def is_unanswered(self) -> bool:
        """True if the last request has no response."""
        return self._unanswered > 0

    def _add_unanswered(self, operation: str, reason: str) -> None:
        self.results.add_finding("answered", operation, reason, self.last_request)
        self._unusable[operation] = "answered"
        self._unanswered += 1
        if self._unanswered >= MAX_UNANSWERED:
            raise RunAborted(f"{MAX_UNANSWERED} requests in a row have no response, the last: {reason}")

    def _check(self, exchange: Exchange, operation: str) -> None:
        self.results.add_pass("answered", operation)
        with self.results.guarded(f"the checks of the response to {self.last_request}"):
            self._unusable.pop(operation, None)
            if check := record_response_checks(self.results, exchange, operation, self.last_request):
                self._unusable[operation] = check
            self.monitor.observe(exchange, operation, self.last_request)
            self.current_release = status_release(exchange) or self.current_release


def status_release(exchange: Exchange) -> Release | None:
    """Return the release in a response to the status; None for other exchanges, and if it has none."""
    version = exchange.body.get("version") if exchange.path == STATUS_PATH and isinstance(exchange.body, dict) else None
    try:
        return Release.from_version(version) if isinstance(version, str) else None
    except ValueError:
        return None


def record_response_checks(
    results: Results, exchange: Exchange, operation: str, request: str, contract: Contract | None = None
) -> str:
    """Check a response against the contract, that of the results by default; record passed checks and violations.

    Return the check that finds the response unusable, or an empty string. Violations that follow from it are recorded
    as its consequences.
    """
    contract = contract or results.contract
    if operation == NO_OPERATION:
        results.add_pass("stray", operation)
    else:
        results.add_pass("status-code", operation)
    described = contract.operation(*exchange.operation_key)
    if described is not None and contract.has_envelope(described):
        for check in ENVELOPE_CHECKS:
            results.add_pass(check, operation)
        if contract.query_shapes(described):
            results.add_pass("shape", operation)
        is_allowed = not any(violation.fails for violation in contract.check_request(exchange))
        results.add_pass("allowed-refused" if is_allowed else "forbidden-taken", operation)
    violations = contract.check_response(exchange)
    cause = next(filter(_makes_unusable, violations), None)
    for violation in violations:
        if cause is None or violation is cause or violation.check not in BODY_CHECKS:
            results.add_violation(violation, request)
    for violation in violations:
        if cause is not None and violation is not cause and violation.check in BODY_CHECKS:
            text = f"{violation.where + ': ' if violation.where else ''}{violation.text}"
            results.add_consequence(violation.check, operation, text, (cause.check, operation))
    return cause.check if cause else ""


def _makes_unusable(violation: Violation) -> bool:
    """Return whether a violation leaves nothing to look at, not even whether the request succeeded."""
    is_of_whole = violation.check in BODY_CHECKS and violation.where in ("$", "$.status")
    return violation.check == "json" or (is_of_whole and violation.fails)
