"""Checks of a recording: each exchange by itself, and the responses about each object over time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mockanka.check.catalog import REQUEST_CHECKS
from mockanka.check.consistency import ConsistencyMonitor
from mockanka.check.results import NO_OPERATION, RequestTotals, Results
from mockanka.check.session import record_response_checks
from mockanka.contract.conformance import contract_of
from mockanka.core.release import DEFAULT_RELEASE, Release
from mockanka.recording.exchanges import UNCHECKED_REASONS, RecordedExchange, find_violations
from mockanka.recording.har import read_har

OPERATION_REQUEST_CHECKS = tuple(
    check.id for check in REQUEST_CHECKS if check.id not in ("operation", "method", "no-answer")
)
"""Checks of requests to operations of the document."""


def check_recording(path: Path, release: Release | None = None) -> Results:
    """Check the exchanges in a HAR file. InvalidHar if it is not one.

    Without a release that of the recording is used, and without that the default release.
    """
    recording = read_har(path)
    used = release or recording.controller_release
    results = Results(contract_of(used or DEFAULT_RELEASE), str(path), "recording")
    if used is None:
        results.add_remark(f"the recording does not name its release; it is checked against {DEFAULT_RELEASE}")
    elif used != used.known:
        results.add_remark(f"release {used} is not known; it is checked against {used.known}")
    entries = [entry for entry in recording.exchanges if recording.is_from_proxy or _is_api(results, entry)]
    if len(entries) < len(recording.exchanges):
        results.add_remark(f"{len(recording.exchanges) - len(entries)} exchanges are not part of the API, and ignored")
    if not entries:
        results.broken_off = "the recording has no exchanges of a controller's API"
    for entry in entries:
        _check_exchange(results, entry)
    monitor = ConsistencyMonitor(results)
    for entry in without_overlaps(entries):
        monitor.observe(entry.exchange, _operation_id(results, entry), _request_line(entry))
    incomplete = sum(entry.incomplete is not None for entry in entries)
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


def _check_exchange(results: Results, recorded: RecordedExchange) -> None:
    exchange, operation, request = recorded.exchange, _operation_id(results, recorded), _request_line(recorded)
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
        record_response_checks(results, exchange, operation, request)
    for violation in find_violations(recorded, results.contract):
        if violation.side == "client" or recorded.incomplete is not None:
            results.add_violation(violation, request)


def _is_api(results: Results, recorded: RecordedExchange) -> bool:
    path = recorded.exchange.path
    return path.startswith("/api/") or path in results.contract.document["paths"]


def _operation_id(results: Results, recorded: RecordedExchange) -> str:
    operation = results.contract.operation(*recorded.exchange.operation_key)
    return operation["operationId"] if operation else NO_OPERATION


def _request_line(recorded: RecordedExchange) -> str:
    exchange = recorded.exchange
    return f"{exchange.method} {exchange.path}{'?' + exchange.query if exchange.query else ''}"
