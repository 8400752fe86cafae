"""/_mock/requests, events and report: what happened, and what the client did wrong."""

from __future__ import annotations

import re
from typing import Any

from flask import Flask, request

from mockanka import units
from mockanka.control.problems import Problem, allow_parameters, number_parameter
from mockanka.core.events import LogEntry
from mockanka.simulator.request_patterns import FILTERS
from mockanka.simulator.simulator import Simulator

MOMENT_DETAILS = ("until",)
"""Details of events that are times, in nanoseconds."""


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


def add_history_routes(app: Flask, simulator: Simulator) -> None:
    """Add the routes that show the journal, the events and the client report."""
    controller = simulator.controller

    @app.get("/_mock/requests")
    def list_requests() -> dict[str, object]:
        allow_parameters("method", "path", "status", "since", "limit", *FILTER_PARAMETERS)
        journal = simulator.journal
        selected = journal.select(
            request.args.get("method"),
            request.args.get("path"),
            number_parameter("status"),
            number_parameter("since") or 0,
            number_parameter("limit"),
            _filters_of_query(),
        )
        return {
            "requests": [entry.as_json() for entry in selected],
            "count": journal.count,
            "dropped": journal.dropped,
        }

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
