"""/_mock/reset and scenario: start again, show the whole state as a scenario, load one."""

from __future__ import annotations

from flask import Flask, Response, request
from marshmallow import fields

from mockanka.control.clock import ClockSettings
from mockanka.control.problems import Problem, allow_parameters, read_object_body, read_raw_body
from mockanka.json_text import write_ascii_json
from mockanka.scenario import Scenario, to_yaml
from mockanka.scenario.base import StrictSchema
from mockanka.scenario.fields import Integer, ReleaseText
from mockanka.simulator.simulator import Simulator


class Reset(StrictSchema):
    """The optional body of POST reset."""

    scenario = fields.Raw(error_messages={"null": "has no value"})
    seed = Integer(-(2**63), 2**63 - 1)
    release = ReleaseText()
    clock = fields.Nested(ClockSettings, error_messages={"null": "has no value"})


RESET = Reset()


def add_state_routes(app: Flask, simulator: Simulator) -> None:
    """Add the routes that reset the controller, show its state and load another."""

    @app.post("/_mock/reset")
    def reset() -> dict[str, object]:
        body = RESET.load(read_object_body(optional=True))
        scenario = _find_scenario(body.pop("scenario")) if "scenario" in body else None
        clock = body.pop("clock", {})
        if "mode" in clock:
            body["clock"] = clock.pop("mode")
        simulator.reset(scenario, **body, **clock)
        return {"status": "ok", "notes": list(simulator.controller.notes)}

    @app.get("/_mock/scenario")
    def show_scenario() -> Response:
        allow_parameters()
        content_types = ["application/json", "application/yaml", "application/x-yaml", "text/yaml"]
        content_type = request.accept_mimetypes.best_match(content_types, "application/json")
        data = simulator.dump()
        text = write_ascii_json(data, indent=2) + "\n" if content_type == "application/json" else to_yaml(data)
        return Response(text, content_type=content_type)

    @app.put("/_mock/scenario")
    def load_scenario() -> dict[str, object]:
        text = read_raw_body()
        if not text.strip():
            raise Problem(400, "the body is empty; it must be a scenario, in YAML or JSON")
        if request.mimetype == "application/json":
            simulator.reset(Scenario.from_json(text, "request"))
        else:  # YAML, of which JSON is a part
            try:
                simulator.reset(Scenario.from_yaml(text.decode("utf-8"), "request"))
            except UnicodeDecodeError as error:
                raise Problem(400, f"the body is not UTF-8: {error}") from None
        return {"status": "ok", "notes": list(simulator.controller.notes)}


def _find_scenario(name_or_data: object) -> Scenario:
    """Return a shipped scenario by its name, or one given in full. Files are not opened for clients in the network."""
    if isinstance(name_or_data, str):
        return Scenario.named(name_or_data)
    return Scenario.from_data(name_or_data, "request")
