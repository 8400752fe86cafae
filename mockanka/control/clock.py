"""/_mock/clock: the time, how the clock runs, and advancing it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask
from marshmallow import ValidationError, fields

from mockanka import units
from mockanka.control.problems import Problem, allow_parameters, read_object_body
from mockanka.core import fault_effects, time_control
from mockanka.core.clock import CLOCK_MODES
from mockanka.core.controller import Controller
from mockanka.core.errors import NotFound
from mockanka.core.lifecycle import InstanceState
from mockanka.scenario.base import StrictSchema
from mockanka.scenario.fields import MAX_SPEED, Boolean, Choice, FixedDuration, Number, Text
from mockanka.scenario.source import nearest
from mockanka.simulator.simulator import Simulator

ADVANCE_FORMS = (
    'one of {"by": "30s"}, {"until": "idle"}, {"until": "next"}, {"until": {"instance": ID, "state": STATE}}'
)


class ClockSettings(StrictSchema):
    """How a clock runs; what is left out stays as it is."""

    mode = Choice(*CLOCK_MODES)
    speed = Number(MAX_SPEED, above_zero=True)
    step = FixedDuration()


class ClockChange(ClockSettings):
    """The body of PUT clock; ``keep`` has the clock run so after each reset too."""

    keep = Boolean()


class UntilInstance(StrictSchema):
    """An instance, and the state that it shall come to."""

    instance = Text(required=True)
    state = Choice(*(state.value for state in InstanceState if state is not InstanceState.GONE), required=True)


class UntilField(fields.Field[Any]):
    """``idle``, ``next``, or an instance and a state."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if value in ("idle", "next"):
            return value
        if isinstance(value, str):
            raise ValidationError(f"{value!r} is not known: {nearest(value, ['idle', 'next'])}")
        if not isinstance(value, dict):
            raise ValidationError('must be "idle", "next" or {"instance": ID, "state": STATE}')
        return UNTIL_INSTANCE.load(value)


class Advance(StrictSchema):
    """The body of POST clock/advance, which has exactly one of the keys."""

    by = FixedDuration()
    until = UntilField(error_messages={"null": "has no value"})


CLOCK_CHANGE, UNTIL_INSTANCE, ADVANCE = ClockChange(), UntilInstance(), Advance()


def add_clock_routes(app: Flask, simulator: Simulator) -> None:
    """Add the routes that show, change and advance the clock."""
    controller = simulator.controller

    def describe_clock() -> dict[str, object]:
        clock = controller.clock
        step = units.format_duration(clock.step)
        return {"now": units.format_moment(clock.now()), "mode": clock.mode, "speed": clock.speed, "step": step}

    @app.get("/_mock/clock")
    def show_clock() -> dict[str, object]:
        allow_parameters()
        return describe_clock()

    @app.put("/_mock/clock")
    def change_clock() -> dict[str, object]:
        changes = CLOCK_CHANGE.load(read_object_body())
        old = controller.clock
        controller.clock = CLOCK_MODES[changes.get("mode", old.mode)](
            old.now(), changes.get("speed", old.speed), changes.get("step", old.step)
        )
        if changes.get("keep"):
            simulator.keep_clock()
        return describe_clock()

    @app.post("/_mock/clock/advance")
    def advance_clock() -> dict[str, object]:
        _advance(controller, ADVANCE.load(read_object_body()))
        return describe_clock()


def _advance(controller: Controller, advance: Mapping[str, Any]) -> None:
    if len(advance) != 1:
        raise Problem(400, f"the body must be {ADVANCE_FORMS}")
    until = advance.get("until")
    try:
        if "by" in advance:
            time_control.advance_by(controller, advance["by"])
        elif until == "next":
            if not time_control.advance_to_next(controller):
                stalls = "".join(f"; {text}" for _, text in fault_effects.describe_stalls(controller))
                raise Problem(409, f"nothing is on its way, so nothing comes next{stalls}")
        elif until == "idle":
            time_control.settle(controller)
        else:
            wanted = advance["until"]
            time_control.wait_for_state(controller, wanted["instance"], InstanceState(wanted["state"]))
    except ValueError as error:
        raise Problem(400, str(error)) from None
    except NotFound:
        raise Problem(404, f"there is no instance {advance['until']['instance']}") from None
    except time_control.Never as never:
        raise Problem(409, str(never)) from None
