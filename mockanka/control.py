"""The control API under /_mock: steering the simulation. Plain JSON; errors as problem+json (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, request
from marshmallow import ValidationError, fields
from werkzeug.exceptions import HTTPException

from mockanka import __version__, units
from mockanka.core import steering
from mockanka.core.clock import MODES
from mockanka.core.controller import Controller
from mockanka.core.errors import NotFound
from mockanka.core.events import Happening
from mockanka.core.lifecycle import State
from mockanka.house import House
from mockanka.scenario import Scenario, ScenarioError, dump, to_yaml
from mockanka.scenario.fields import MAX_SPEED, Choice, Length, Real, Text, Whole
from mockanka.scenario.reading import problems_in, shown
from mockanka.scenario.strict import Strict

MAX_BODY = 256 * 1024 * 1024
"""Bytes: room for the dump of a world with tens of thousands of instances."""

ADVANCE = 'one of {"by": "30s"}, {"until": "idle"}, {"until": "next"}, {"until": {"instance": ID, "state": STATE}}'
MOMENTS = ("until",)
"""Details of events that are moments."""
LINKS = {
    "health": "/_mock/health",
    "clock": "/_mock/clock",
    "advance": "/_mock/clock/advance",
    "reset": "/_mock/reset",
    "scenario": "/_mock/scenario",
    "events": "/_mock/events",
}


class Problem(Exception):
    """A refusal of the control API."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class ClockChange(Strict):
    mode = Choice(*MODES)
    speed = Real(MAX_SPEED, above_zero=True)
    step = Length()


class InstanceState(Strict):
    instance = Text(required=True)
    state = Choice(*(state.value for state in State if state is not State.GONE), required=True)


class Until(fields.Field[Any]):
    """``idle``, ``next``, or an instance and a state."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if value in ("idle", "next"):
            return value
        if not isinstance(value, dict):
            raise ValidationError(f"must be {ADVANCE}")
        return INSTANCE_STATE.load(value)


class Advance(Strict):
    by = Length()
    until = Until()


class Reset(Strict):
    scenario = fields.Raw()
    seed = Whole(-(2**63), 2**63 - 1)


CLOCK, INSTANCE_STATE, ADVANCING, RESET = ClockChange(), InstanceState(), Advance(), Reset()


def as_json(line: Happening) -> dict[str, object]:
    """A line of the log as the control API shows it."""
    at = units.format_moment(line.at)
    detail = {key: units.format_moment(value) if key in MOMENTS else value for key, value in line.detail.items()}  # type: ignore[arg-type]
    return {"number": line.number, "at": at, "event": line.what, "subject": line.subject, **detail}


def create_control(house: House) -> Flask:
    """The control API over a house, as a WSGI application of its own."""
    app = Flask("mockanka.control", static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    _handle_problems(app)
    _steer_time(app, house)
    _steer_state(app, house)

    @app.get("/_mock")
    @app.get("/_mock/")
    def index() -> dict[str, object]:
        return {"mockanka": __version__, "release": str(house.controller.release), "links": LINKS}

    @app.get("/_mock/health")
    def health() -> dict[str, object]:
        return {"status": "ok"}

    return app


def _steer_time(app: Flask, house: House) -> None:
    controller = house.controller

    def clock_now() -> dict[str, object]:
        clock = controller.clock
        step = units.format_duration(clock.step)
        return {"now": units.format_moment(clock.now()), "mode": clock.mode, "speed": clock.speed, "step": step}

    @app.get("/_mock/clock")
    def show_clock() -> dict[str, object]:
        return clock_now()

    @app.put("/_mock/clock")
    def change_clock() -> dict[str, object]:
        asked = CLOCK.load(_body())
        old = controller.clock
        controller.clock = MODES[asked.get("mode", old.mode)](
            old.now(), asked.get("speed", old.speed), asked.get("step", old.step)
        )
        return clock_now()

    @app.post("/_mock/clock/advance")
    def advance() -> dict[str, object]:
        _advance(controller, ADVANCING.load(_body()))
        return clock_now()


def _advance(controller: Controller, asked: Mapping[str, Any]) -> None:
    if len(asked) != 1:
        raise Problem(400, f"the body must be {ADVANCE}")
    until = asked.get("until")
    try:
        if "by" in asked:
            steering.advance_by(controller, asked["by"])
        elif until == "next":
            if not steering.advance_to_next(controller):
                raise Problem(409, "nothing is on its way, so nothing comes next")
        elif until == "idle":
            steering.settle(controller)
        else:
            steering.wait_for(controller, asked["until"]["instance"], State(asked["until"]["state"]))
    except ValueError as wrong:
        raise Problem(400, str(wrong)) from None
    except NotFound:
        raise Problem(404, f"there is no instance {asked['until']['instance']}") from None
    except steering.Never as never:
        raise Problem(409, str(never)) from None


def _steer_state(app: Flask, house: House) -> None:
    controller = house.controller

    @app.post("/_mock/reset")
    def reset() -> dict[str, object]:
        asked = RESET.load(_body(optional=True))
        house.reset(_scenario(asked["scenario"]) if "scenario" in asked else None, asked.get("seed"))
        return {"status": "ok"}

    @app.get("/_mock/scenario")
    def show_scenario() -> Response:
        controller.advance()
        kinds = ["application/json", "application/yaml", "application/x-yaml", "text/yaml"]
        kind = request.accept_mimetypes.best_match(kinds, "application/json")
        data = dump(controller)
        text = json.dumps(data, indent=2) + "\n" if kind == "application/json" else to_yaml(data)
        return Response(text, content_type=kind)

    @app.put("/_mock/scenario")
    def load_scenario() -> dict[str, object]:
        raw = _raw()
        if not raw.strip():
            raise Problem(400, "the body is empty; it must be a scenario, in YAML or JSON")
        if request.mimetype == "application/json":
            house.reset(Scenario.from_json(raw, "request"))
        else:  # YAML, of which JSON is a part
            try:
                house.reset(Scenario.from_yaml(raw.decode("utf-8"), "request"))
            except UnicodeDecodeError as wrong:
                raise Problem(400, f"the body is not UTF-8: {wrong}") from None
        return {"status": "ok"}

    @app.get("/_mock/events")
    def events() -> dict[str, object]:
        controller.advance()
        since = request.args.get("since", "0")
        if not (since.isascii() and since.isdigit() and len(since) < 20):
            raise Problem(400, f"since is the number of an event, not {since!r}")
        return {"events": [as_json(line) for line in controller.log.since(int(since))]}


def _scenario(asked: object) -> Scenario:
    """A shipped scenario by its name, or one given in full. Files are not opened for who comes over the network."""
    if isinstance(asked, str):
        return Scenario.named(asked)
    return Scenario.from_data(asked, "request")


def _raw() -> bytes:
    if (request.content_length or 0) > MAX_BODY:
        raise Problem(413, f"the body has {request.content_length} bytes, at most {MAX_BODY} are read")
    return request.get_data()


def _body(optional: bool = False) -> Any:
    raw = _raw()
    if optional and not raw.strip():
        return {}
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError) as wrong:
        raise Problem(400, f"the body is not valid JSON: {wrong}") from None
    if not isinstance(data, dict):
        raise Problem(400, "the body must be a JSON object")
    return data


def _handle_problems(app: Flask) -> None:
    def problem(status: int, title: str, detail: str, **extra: object) -> Response:
        body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **extra}
        return Response(json.dumps(body) + "\n", status, content_type="application/problem+json")

    @app.errorhandler(Problem)
    def refused(wrong: Problem) -> Response:
        return problem(wrong.status, HTTPStatus(wrong.status).phrase, str(wrong))

    @app.errorhandler(ScenarioError)
    def broken_scenario(wrong: ScenarioError) -> Response:
        return problem(400, "Bad scenario", str(wrong), problems=wrong.problems)

    @app.errorhandler(ValidationError)
    def broken_body(wrong: ValidationError) -> Response:
        found = [f"{shown(each.path)}: {each.text}" if each.path else each.text for each in problems_in(wrong.messages)]
        return problem(400, "Bad Request", "; ".join(found))

    @app.errorhandler(HTTPException)
    def http(wrong: HTTPException) -> Response:
        answer = problem(wrong.code or 500, wrong.name, wrong.description or wrong.name)
        for name, value in wrong.get_headers():
            if name == "Allow":
                answer.headers[name] = value
        return answer
