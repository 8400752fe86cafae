"""Checks of a recording: each exchange by itself, and the responses about each object over time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from mockanka.check.catalog import REQUEST_CHECKS
from mockanka.check.consistency import ConsistencyMonitor
from mockanka.check.results import NO_OPERATION, RequestTotals, Results
from mockanka.check.session import record_response_checks, status_release
from mockanka.contract.conformance import Contract, contract_of
from mockanka.core.release import DEFAULT_RELEASE, Release
from mockanka.recording.exchanges import UNCHECKED_REASONS, RecordedExchange, find_violations
from mockanka.recording.har import Recording, read_har

OPERATION_REQUEST_CHECKS = tuple(
    check.id for check in REQUEST_CHECKS if check.id not in ("operation", "method", "no-answer")
)
"""Checks of requests to operations of the document."""


@dataclass
class RecordedController:
    """The exchanges with one controller at one release, in their order. ``release`` is None if it is unknown."""

    origin: str
    release: Release | None
    entries: list[RecordedExchange] = field(default_factory=list)

    @property
    def contract(self) -> Contract:
        """The contract of the release, or of the default release."""
        return contract_of(self.release or DEFAULT_RELEASE)


def check_recording(path: Path, release: Release | None = None) -> Results:
    """Check the exchanges in a HAR file. InvalidHar if it is not one.

    Without a release that of the recording is used, and without that the default release. Exchanges with several
    controllers, or with one whose release changes, are checked separately, each against its own release.
    """
    recording = read_har(path)
    entries = [entry for entry in recording.exchanges if not _is_from_browser_alone(entry, recording)]
    api_entries = [entry for entry in entries if recording.is_from_proxy or _is_api(entry)]
    controllers = list(_controllers(api_entries, release, recording))
    largest = max(controllers, key=lambda controller: len(controller.entries), default=None)
    main = (
        contract_of(release or recording.controller_release or DEFAULT_RELEASE) if largest is None else largest.contract
    )
    results = Results(main, str(path), "recording")
    _add_release_remarks(results, controllers)
    if recording.is_cut:
        results.add_remark(
            f"the recording is cut off; the {len(recording.exchanges)} exchanges before the cut are checked"
        )
    if len(entries) < len(recording.exchanges):
        count = len(recording.exchanges) - len(entries)
        results.add_remark(f"{count} exchanges are preflights or answers from a cache (304), and ignored")
    if len(api_entries) < len(entries):
        results.add_remark(f"{len(entries) - len(api_entries)} exchanges are not part of the API, and ignored")
    if not api_entries:
        results.broken_off = "the recording has no exchanges of a controller's API"
    for controller in controllers:
        _check_controller(results, controller)
    incomplete = sum(entry.incomplete is not None for entry in api_entries)
    if incomplete:
        results.add_remark(f"exchanges without a complete response: {incomplete}")
    return results


def without_overlaps(entries: list[RecordedExchange]) -> Iterator[RecordedExchange]:
    """Yield the complete exchanges that began after the last one ended: the order of overlapping ones is unknown."""
    end = None
    complete = [entry for entry in entries if entry.incomplete is None]
    for entry in sorted(complete, key=lambda entry: entry.started_at):
        start = entry.started_at.timestamp()
        if end is None or start >= end:
            end = start + entry.exchange.seconds
            yield entry


def _controllers(
    entries: list[RecordedExchange], release: Release | None, recording: Recording
) -> Iterator[RecordedController]:
    """Divide exchanges by the controllers, and those with one controller at each status that has another release.

    A status applies to the exchanges that follow it; the first one also to those before it.
    """
    origins = dict.fromkeys(_origin(entry) for entry in entries)
    for origin in origins:
        own = [entry for entry in entries if _origin(entry) == origin]
        first = next(filter(None, (status_release(entry.exchange) for entry in own)), None)
        seen = None
        recorded = recording.release if len(origins) == 1 else first or recording.release
        controller = RecordedController(origin, release or recorded or first)
        for entry in own:
            current = status_release(entry.exchange)
            if current is not None and seen not in (None, current):
                yield controller
                controller = RecordedController(origin, release or current)
            seen = current or seen
            controller.entries.append(entry)
        yield controller


def _add_release_remarks(results: Results, controllers: list[RecordedController]) -> None:
    """Add remarks about unknown releases, several controllers and changes of the release."""
    for controller in controllers:
        used = controller.release
        if used is None:
            results.add_remark(f"the recording does not name its release; it is checked against {DEFAULT_RELEASE}")
        elif used != used.known:
            results.add_remark(f"release {used} is not known; it is checked against {used.known}")
    origins = list(dict.fromkeys(controller.origin for controller in controllers))
    if len(origins) > 1:
        results.add_remark(
            f"the recording has {len(origins)} controllers, each checked by itself: {', '.join(origins)}"
        )
    for origin in origins:
        releases = [str(controller.release) for controller in controllers if controller.origin == origin]
        if len(releases) > 1:
            where = f" of {origin}" if len(origins) > 1 else ""
            results.add_remark(f"the release{where} changes in the recording: {', then '.join(releases)}")


def _check_controller(results: Results, controller: RecordedController) -> None:
    contract = controller.contract
    for entry in controller.entries:
        with results.guarded(f"the checks of {_request_line(entry)}"):
            _check_exchange(results, contract, entry)
    monitor = ConsistencyMonitor(results, contract)
    for entry in without_overlaps(controller.entries):
        with results.guarded(f"the comparison of {_request_line(entry)}"):
            monitor.observe(entry.exchange, _operation_id(contract, entry), _request_line(entry))


def _check_exchange(results: Results, contract: Contract, recorded: RecordedExchange) -> None:
    exchange, operation, request = recorded.exchange, _operation_id(contract, recorded), _request_line(recorded)
    totals = results.request_totals.setdefault(operation, RequestTotals())
    totals.requests += 1
    totals.seconds += exchange.seconds
    if recorded.incomplete in UNCHECKED_REASONS:
        return
    if operation == NO_OPERATION:
        results.add_pass("operation", operation)
    else:
        for check in OPERATION_REQUEST_CHECKS:
            results.add_pass(check, operation)
    if recorded.incomplete is None:
        results.add_pass("no-answer", operation)
        record_response_checks(results, exchange, operation, request, contract)
    for violation in find_violations(recorded, contract):
        if violation.side == "client" or recorded.incomplete is not None:
            results.add_violation(violation, request)


def _is_from_browser_alone(recorded: RecordedExchange, recording: Recording) -> bool:
    """Return whether an exchange is a browser's own: a preflight, or an answer that its cache already had."""
    if recorded.exchange.status == 304:
        return True
    names = {name.lower() for name, _ in recorded.request_headers}
    asks = not recording.is_from_proxy or "access-control-request-method" in names
    return recorded.exchange.method.upper() == "OPTIONS" and asks


def _is_api(recorded: RecordedExchange) -> bool:
    path = recorded.exchange.path
    return path.startswith("/api/v1/") or path in contract_of(DEFAULT_RELEASE).document["paths"]


def _origin(recorded: RecordedExchange) -> str:
    """Return scheme, host and port of a request."""
    url = urlsplit(recorded.url)
    return f"{url.scheme}://{url.netloc}"


def _operation_id(contract: Contract, recorded: RecordedExchange) -> str:
    operation = contract.operation(*recorded.exchange.operation_key)
    return operation["operationId"] if operation else NO_OPERATION


def _request_line(recorded: RecordedExchange) -> str:
    exchange = recorded.exchange
    return f"{exchange.method} {exchange.path}{'?' + exchange.query if exchange.query else ''}"
