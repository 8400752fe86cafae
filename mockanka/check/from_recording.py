"""A recording checked without any controller: every exchange is judged, and what was seen of each thing over time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mockanka.check.catalog import REQUESTS
from mockanka.check.consistency import Watch
from mockanka.check.results import ELSEWHERE, Asked, Results
from mockanka.check.session import judge_answer
from mockanka.contract.conformance import contract_of
from mockanka.core.release import DEFAULT_RELEASE, Release
from mockanka.recording.exchanges import UNCHECKED_REASONS, RecordedExchange, find_violations
from mockanka.recording.har import read_har

OF_REQUESTS = tuple(each.id for each in REQUESTS if each.id not in ("operation", "method", "no-answer"))


def check_recording(path: Path, release: Release | None = None) -> Results:
    """Check what a HAR file holds. InvalidHar if it is none.

    It is held against the release that is given, else against that of the recording, else against today's.
    """
    recording = read_har(path)
    used = release or recording.controller_release
    results = Results(contract_of(used or DEFAULT_RELEASE), str(path), "recording")
    if used is None:
        results.remarks.append(f"the recording tells no release; it is held against {DEFAULT_RELEASE}")
    elif used != used.known:
        results.remarks.append(f"release {used} is not known; it is held against {used.known}")
    entries = [each for each in recording.exchanges if recording.is_from_proxy or _is_api(results, each)]
    if len(entries) < len(recording.exchanges):
        results.remarks.append(
            f"{len(recording.exchanges) - len(entries)} exchanges are none of the API, and passed over"
        )
    if not entries:
        results.broken_off = "there is nothing of a controller's API in the recording"
    for each in entries:
        _judge(results, each)
    watch = Watch(results)
    for each in one_after_another(entries):
        watch.see(each.exchange, _name(results, each), _request(each))
    unread = sum(each.incomplete is not None for each in entries)
    if unread:
        results.remarks.append(f"of {unread} exchanges the answer is missing or not whole")
    return results


def one_after_another(entries: list[RecordedExchange]) -> Iterator[RecordedExchange]:
    """Whole exchanges none of which began before the last one was over: of others nobody can say which is newer."""
    over = None
    for each in sorted((each for each in entries if each.incomplete is None), key=lambda each: each.started_at):
        began = each.started_at.timestamp()
        if over is None or began >= over:
            over = began + each.exchange.seconds
            yield each


def _judge(results: Results, recorded: RecordedExchange) -> None:
    exchange, operation, request = recorded.exchange, _name(results, recorded), _request(recorded)
    count = results.asked.setdefault(operation, Asked())
    count.requests, count.seconds = count.requests + 1, count.seconds + exchange.seconds
    if recorded.incomplete in UNCHECKED_REASONS:
        return
    if operation == ELSEWHERE:
        results.passed("operation", operation)
    else:
        for check in OF_REQUESTS:
            results.passed(check, operation)
    if recorded.incomplete is None:
        results.passed("no-answer", operation)
        judge_answer(results, exchange, operation, request)
    for violation in find_violations(recorded, results.contract):
        if violation.side == "client" or recorded.incomplete is not None:
            results.violation(violation, request)


def _is_api(results: Results, recorded: RecordedExchange) -> bool:
    path = recorded.exchange.path
    return path.startswith("/api/") or path in results.contract.document["paths"]


def _name(results: Results, recorded: RecordedExchange) -> str:
    operation = results.contract.operation(*recorded.exchange.key)
    return operation["operationId"] if operation else ELSEWHERE


def _request(recorded: RecordedExchange) -> str:
    exchange = recorded.exchange
    return f"{exchange.method} {exchange.path}{'?' + exchange.query if exchange.query else ''}"
