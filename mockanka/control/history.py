"""What happened: the journal of requests, the events, and what the client did wrong."""

from __future__ import annotations

from flask import Flask, request

from mockanka import units
from mockanka.control.problems import number, only
from mockanka.core.events import LogEntry
from mockanka.simulator.simulator import Simulator

MOMENTS = ("until",)
"""Details of events that are moments."""


def as_json(line: LogEntry) -> dict[str, object]:
    """A line of the log as the control API shows it."""
    at = units.format_moment(line.at)
    detail = {key: units.format_moment(value) if key in MOMENTS else value for key, value in line.detail.items()}  # type: ignore[arg-type]
    return {"number": line.number, "at": at, "event": line.what, "subject": line.subject, **detail}


def add_routes(app: Flask, house: Simulator) -> None:
    controller = house.controller

    @app.get("/_mock/requests")
    def requests() -> dict[str, object]:
        only("method", "path", "status", "since", "limit")
        found = house.journal.select(
            request.args.get("method"),
            request.args.get("path"),
            number("status"),
            number("since") or 0,
            number("limit"),
        )
        journal = house.journal
        return {"requests": [entry.as_json() for entry in found], "count": journal.count, "dropped": journal.dropped}

    @app.delete("/_mock/requests")
    def forget_requests() -> dict[str, object]:
        only()
        house.journal.clear()
        return {"status": "ok"}

    @app.get("/_mock/events")
    def events() -> dict[str, object]:
        only("since")
        controller.advance()
        return {"events": [as_json(line) for line in controller.log.since(number("since") or 0)]}

    @app.get("/_mock/report")
    def report() -> dict[str, object]:
        only()
        return house.report().as_json()
