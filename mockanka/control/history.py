"""/_mock/requests, events and report: what happened, and what the client did wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from flask import Flask, Response, request

from mockanka import units
from mockanka.control.problems import Problem, allow_parameters, number_parameter
from mockanka.core.events import LogEntry
from mockanka.simulator.journal import JournalEntry
from mockanka.simulator.request_patterns import FILTERS, matches_pattern
from mockanka.simulator.simulator import Simulator

MOMENT_DETAILS = ("until",)
"""Details of events that are times, in nanoseconds."""
LISTING_PART = 256 * 1024
"""Bytes of entries that are read and written at a time, which takes a few milliseconds; then others have their turn."""


def event_to_json(entry: LogEntry) -> dict[str, object]:
    """Return an entry of the controller's log as the control API shows it."""
    detail = {
        key: units.format_moment(value) if key in MOMENT_DETAILS else value  # type: ignore[arg-type]
        for key, value in entry.detail.items()
    }
    at = units.format_moment(entry.at)
    return {"number": entry.number, "at": at, "event": entry.what, "subject": entry.subject, **detail}


FILTER_PARAMETERS = tuple(key for key in FILTERS if key != "body_matches")
"""Filters of requests that are parameters of queries; ``header`` may occur several times."""


def _filters_of_query() -> dict[str, Any]:
    """Return the filters in the query of the current request, as a pattern. Raises Problem."""
    pattern: dict[str, Any] = {
        key: request.args.getlist(key) if key == "header" else request.args[key]
        for key in FILTER_PARAMETERS
        if key in request.args
    }
    check_expression(pattern.get("body~", ""))
    return pattern


def check_expression(text: str) -> str:
    """Return a regular expression of ``body~`` as it is. Raises Problem if it is invalid."""
    try:
        re.compile(text)
        return text
    except re.error as error:
        raise Problem(400, f"body~ must be a regular expression: {error}") from None


def _write_entries(
    entries: list[JournalEntry], pattern: Mapping[str, Any], limit: int | None, end: str
) -> Iterator[str]:
    """Yield the JSON of a list of requests in parts, each of at most LISTING_PART bytes of entries; some are empty.

    Only the newest ``limit`` entries that match the pattern are listed, oldest first.
    """
    size = 0
    matching = entries
    if pattern:
        matching = []
        for entry in entries:
            if size > LISTING_PART:
                yield ""
                size = 0
            size += entry.measure()
            if matches_pattern(pattern, entry):
                matching.append(entry)
        matching = matching if limit is None else matching[-limit:] if limit else []
    texts: list[str] = []
    separator = '{"requests":['
    for entry in matching:
        if size > LISTING_PART:
            yield "".join(texts)
            texts, size = [], 0
        size += entry.measure()
        texts += [separator, json.dumps(entry.as_json(), separators=(",", ":"))]
        separator = ","
    yield "".join([*texts, "" if separator == "," else separator, end])


def add_history_routes(app: Flask, simulator: Simulator) -> None:
    """Add the routes that show the journal, the events and the client report."""
    controller = simulator.controller

    @app.get("/_mock/requests")
    def list_requests() -> Response:
        allow_parameters("method", "path", "status", "since", "limit", *FILTER_PARAMETERS)
        journal, pattern, limit = simulator.journal, _filters_of_query(), number_parameter("limit")
        entries = journal.select(
            request.args.get("method"),
            request.args.get("path"),
            number_parameter("status"),
            number_parameter("since") or 0,
            None if pattern else limit,
        )
        end = f'],"count":{journal.count},"dropped":{journal.dropped}}}\n'
        return Response(_write_entries(entries, pattern, limit, end), mimetype="application/json")

    @app.delete("/_mock/requests")
    def forget_requests() -> dict[str, object]:
        allow_parameters()
        simulator.clear_journal()
        return {"status": "ok"}

    @app.get("/_mock/events")
    def list_events() -> dict[str, object]:
        allow_parameters("since", "requests")
        if request.args.get("requests", "false") not in ("true", "false"):
            raise Problem(400, f"requests must be true or false, not {request.args['requests']!r}")
        controller.advance()
        return {"events": [event_to_json(entry) for entry in controller.log.since(number_parameter("since") or 0)]}

    @app.get("/_mock/report")
    def show_report() -> dict[str, object]:
        allow_parameters()
        return simulator.report().as_json()
