"""The whole state: beginning anew, writing it out as a scenario, loading one."""

from __future__ import annotations

import json

from flask import Flask, Response, request
from marshmallow import fields

from mockanka.control.problems import Problem, body, only, raw
from mockanka.scenario import Scenario, to_yaml
from mockanka.scenario.base import StrictSchema
from mockanka.scenario.fields import Integer
from mockanka.simulator.simulator import Simulator


class Reset(StrictSchema):
    scenario = fields.Raw(error_messages={"null": "has no value"})
    seed = Integer(-(2**63), 2**63 - 1)


RESET = Reset()


def add_routes(app: Flask, house: Simulator) -> None:

    @app.post("/_mock/reset")
    def reset() -> dict[str, object]:
        asked = RESET.load(body(optional=True))
        house.reset(_scenario(asked["scenario"]) if "scenario" in asked else None, asked.get("seed"))
        return {"status": "ok", "notes": list(house.controller.notes)}

    @app.get("/_mock/scenario")
    def show_scenario() -> Response:
        only()
        kinds = ["application/json", "application/yaml", "application/x-yaml", "text/yaml"]
        kind = request.accept_mimetypes.best_match(kinds, "application/json")
        data = house.dump()
        text = json.dumps(data, indent=2) + "\n" if kind == "application/json" else to_yaml(data)
        return Response(text, content_type=kind)

    @app.put("/_mock/scenario")
    def load_scenario() -> dict[str, object]:
        given = raw()
        if not given.strip():
            raise Problem(400, "the body is empty; it must be a scenario, in YAML or JSON")
        if request.mimetype == "application/json":
            house.reset(Scenario.from_json(given, "request"))
        else:  # YAML, of which JSON is a part
            try:
                house.reset(Scenario.from_yaml(given.decode("utf-8"), "request"))
            except UnicodeDecodeError as wrong:
                raise Problem(400, f"the body is not UTF-8: {wrong}") from None
        return {"status": "ok", "notes": list(house.controller.notes)}


def _scenario(asked: object) -> Scenario:
    """A shipped scenario by its name, or one given in full. Files are not opened for who comes over the network."""
    if isinstance(asked, str):
        return Scenario.named(asked)
    return Scenario.from_data(asked, "request")
