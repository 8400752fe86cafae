"""What time it is, how it runs, and moving it on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask
from marshmallow import ValidationError, fields

from mockanka import units
from mockanka.control.problems import Problem, body, only
from mockanka.core import fault_effects, time_control
from mockanka.core.clock import CLOCK_MODES
from mockanka.core.controller import Controller
from mockanka.core.errors import NotFound
from mockanka.core.lifecycle import InstanceState
from mockanka.scenario.base import StrictSchema
from mockanka.scenario.fields import MAX_SPEED, Choice, FixedDuration, Number, Text
from mockanka.scenario.source import nearest
from mockanka.simulator.simulator import Simulator

ADVANCE = 'one of {"by": "30s"}, {"until": "idle"}, {"until": "next"}, {"until": {"instance": ID, "state": STATE}}'


class ClockChange(StrictSchema):
    mode = Choice(*CLOCK_MODES)
    speed = Number(MAX_SPEED, above_zero=True)
    step = FixedDuration()


class UntilInstance(StrictSchema):
    instance = Text(required=True)
    state = Choice(*(state.value for state in InstanceState if state is not InstanceState.GONE), required=True)


class Until(fields.Field[Any]):
    """``idle``, ``next``, or an instance and a state."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if value in ("idle", "next"):
            return value
        if isinstance(value, str):
            raise ValidationError(f"{value!r} is not known: {nearest(value, ['idle', 'next'])}")
        if not isinstance(value, dict):
            raise ValidationError('must be "idle", "next" or {"instance": ID, "state": STATE}')
        return INSTANCE_STATE.load(value)


class Advance(StrictSchema):
    by = FixedDuration()
    until = Until(error_messages={"null": "has no value"})


CLOCK, INSTANCE_STATE, ADVANCING = ClockChange(), UntilInstance(), Advance()


def add_routes(app: Flask, house: Simulator) -> None:
    controller = house.controller

    def clock_now() -> dict[str, object]:
        clock = controller.clock
        step = units.format_duration(clock.step)
        return {"now": units.format_moment(clock.now()), "mode": clock.mode, "speed": clock.speed, "step": step}

    @app.get("/_mock/clock")
    def show_clock() -> dict[str, object]:
        only()
        return clock_now()

    @app.put("/_mock/clock")
    def change_clock() -> dict[str, object]:
        asked = CLOCK.load(body())
        old = controller.clock
        controller.clock = CLOCK_MODES[asked.get("mode", old.mode)](
            old.now(), asked.get("speed", old.speed), asked.get("step", old.step)
        )
        return clock_now()

    @app.post("/_mock/clock/advance")
    def advance() -> dict[str, object]:
        _advance(controller, ADVANCING.load(body()))
        return clock_now()


def _advance(controller: Controller, asked: Mapping[str, Any]) -> None:
    if len(asked) != 1:
        raise Problem(400, f"the body must be {ADVANCE}")
    until = asked.get("until")
    try:
        if "by" in asked:
            time_control.advance_by(controller, asked["by"])
        elif until == "next":
            if not time_control.advance_to_next(controller):
                held = "".join(f"; {text}" for _, text in fault_effects.describe_stalls(controller))
                raise Problem(409, f"nothing is on its way, so nothing comes next{held}")
        elif until == "idle":
            time_control.settle(controller)
        else:
            time_control.wait_for_state(controller, asked["until"]["instance"], InstanceState(asked["until"]["state"]))
    except ValueError as wrong:
        raise Problem(400, str(wrong)) from None
    except NotFound:
        raise Problem(404, f"there is no instance {asked['until']['instance']}") from None
    except time_control.Never as never:
        raise Problem(409, str(never)) from None
