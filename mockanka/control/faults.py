"""/_mock/faults: the fault rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Flask, Response

from mockanka.control.problems import Problem, allow_parameters, parse_body, read_raw_body
from mockanka.json_text import write_ascii_json
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
        rules = simulator.add_faults([_without_empty_keys(rule) for rule in _as_list(data)])
        added = [fault_rules.written(rule) for rule in rules]
        text = write_ascii_json(added if isinstance(data, list) else added[0], separators=(",", ":"))
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


def _as_list(data: Any) -> list[Any]:
    return data if isinstance(data, list) else [data]


_PARTS_OF_RULES = ("match", "do", "delay")
"""Objects with keys of a rule. Elsewhere, as in new values, an empty list or object means something."""


def _without_empty_keys(part: Any, kept: Sequence[str] = ("match", "do")) -> Any:
    """Return a rule, or a part of one, without keys whose value is an empty list or object, but for those to be kept.

    Generated clients send them for lists and objects that were not given.
    """
    if not isinstance(part, dict):
        return part
    return {
        key: _without_empty_keys(value, ["body"] if key == "do" else []) if key in _PARTS_OF_RULES else value
        for key, value in part.items()
        if value not in ([], {}) or key in kept
    }
