"""The control API under /_mock: steering the simulation, and asking what happened in it."""

from __future__ import annotations

from flask import Flask

from mockanka import __version__
from mockanka.control import clock, entities, history, state
from mockanka.control.history import as_json
from mockanka.control.problems import MAX_BODY, Problem, handle_problems
from mockanka.simulator.simulator import Simulator

__all__ = ["LINKS", "MAX_BODY", "Problem", "as_json", "create_control"]

LINKS = {
    "health": "/_mock/health",
    "clock": "/_mock/clock",
    "advance": "/_mock/clock/advance",
    "reset": "/_mock/reset",
    "scenario": "/_mock/scenario",
    "requests": "/_mock/requests",
    "events": "/_mock/events",
    "faults": "/_mock/faults",
    "report": "/_mock/report",
    "instance": "/_mock/instances/{id}",
    "fate": "/_mock/instances/{id}/{fate}",
    "node": "/_mock/nodes/{id}/{state}",
}


def create_control(house: Simulator) -> Flask:
    """The control API over a house, as a WSGI application of its own."""
    app = Flask("mockanka.control", static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    handle_problems(app)
    for part in (clock, state, history, entities):
        part.add_routes(app, house)

    @app.get("/_mock")
    @app.get("/_mock/")
    def index() -> dict[str, object]:
        return {"mockanka": __version__, "release": str(house.controller.release), "links": LINKS}

    @app.get("/_mock/health")
    def health() -> dict[str, object]:
        return {"status": "ok"}

    return app
