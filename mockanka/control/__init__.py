"""The control API under /_mock: it controls the simulation, and shows what happened in it."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask.json.provider import DefaultJSONProvider

from mockanka import __version__
from mockanka.control.clock import add_clock_routes
from mockanka.control.expectations import add_expectation_routes
from mockanka.control.faults import add_fault_routes
from mockanka.control.history import add_history_routes, event_to_json
from mockanka.control.instances import add_instance_routes
from mockanka.control.nodes import add_node_routes
from mockanka.control.problems import MAX_CONTROL_BODY, PROBLEM_TYPE, Problem, encode_problem, handle_problems
from mockanka.control.state import add_state_routes
from mockanka.json_text import write_ascii_json
from mockanka.simulator.simulator import Simulator

__all__ = [
    "INDEX_LINKS",
    "MAX_CONTROL_BODY",
    "PROBLEM_TYPE",
    "Problem",
    "create_control",
    "encode_problem",
    "event_to_json",
]

INDEX_LINKS = {
    "health": "/_mock/health",
    "clock": "/_mock/clock",
    "advance": "/_mock/clock/advance",
    "reset": "/_mock/reset",
    "scenario": "/_mock/scenario",
    "requests": "/_mock/requests",
    "expect": "/_mock/requests/expect",
    "wait": "/_mock/wait",
    "settle": "/_mock/settle",
    "events": "/_mock/events",
    "faults": "/_mock/faults",
    "report": "/_mock/report",
    "instances": "/_mock/instances",
    "instance": "/_mock/instances/{id}",
    "fate": "/_mock/instances/{id}/{fate}",
    "nodes": "/_mock/nodes",
    "node": "/_mock/nodes/{id}/{state}",
}


class _JsonWithoutSurrogates(DefaultJSONProvider):
    """JSON as Flask writes it, but with U+FFFD in place of halves of surrogate pairs, and keys in their own order."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        return write_ascii_json(obj, **{"default": self.default, **kwargs})


def create_control(simulator: Simulator) -> Flask:
    """Return the control API of a simulator, as a WSGI application of its own."""
    app = Flask("mockanka.control", static_folder=None)
    app.json = _JsonWithoutSurrogates(app)
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.url_map.merge_slashes = False  # a redirect would be no JSON
    handle_problems(app)
    add_clock_routes(app, simulator)
    add_state_routes(app, simulator)
    add_history_routes(app, simulator)
    add_expectation_routes(app, simulator)
    add_fault_routes(app, simulator)
    add_node_routes(app, simulator)
    add_instance_routes(app, simulator)

    @app.get("/_mock")
    @app.get("/_mock/")
    def show_index() -> dict[str, object]:
        return {"mockanka": __version__, "release": str(simulator.controller.release), "links": INDEX_LINKS}

    @app.get("/_mock/health")
    def show_health() -> dict[str, object]:
        return {"status": "ok"}

    return app
