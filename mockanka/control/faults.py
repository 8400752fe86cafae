"""/_mock/faults: the fault rules."""

from __future__ import annotations

import json

from flask import Flask, Response

from mockanka.control.problems import Problem, allow_parameters, parse_body, read_raw_body
from mockanka.scenario import fault_rules
from mockanka.scenario.source import nearest
from mockanka.simulator.simulator import Simulator


def add_fault_routes(app: Flask, simulator: Simulator) -> None:
    """Add the routes that list, add and remove fault rules."""

    @app.get("/_mock/faults")
    def list_faults() -> dict[str, object]:
        allow_parameters()
        return {"faults": [fault_rules.written(rule) for rule in simulator.controller.faults]}

    @app.post("/_mock/faults")
    def add_faults() -> Response:
        data = parse_body(read_raw_body())
        rules = simulator.add_faults(data if isinstance(data, list) else [data])
        added = [fault_rules.written(rule) for rule in rules]
        text = json.dumps(added if isinstance(data, list) else added[0], separators=(",", ":"))
        return Response(text + "\n", 201, content_type="application/json")

    @app.delete("/_mock/faults")
    def remove_faults() -> dict[str, object]:
        for rule in list(simulator.controller.faults):
            simulator.remove_fault(rule.id)
        return {"status": "ok"}

    @app.delete("/_mock/faults/<rule_id>")
    def remove_fault(rule_id: str) -> dict[str, object]:
        known = [rule.id for rule in simulator.controller.faults]
        if rule_id not in known:
            raise Problem(404, f"there is no fault {rule_id!r}: {nearest(rule_id, known)}")
        simulator.remove_fault(rule_id)
        return {"status": "ok"}
