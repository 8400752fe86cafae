"""/_mock/instances: all instances, the timeline of an instance, and failures that are forced on it."""

from __future__ import annotations

from typing import Any

from flask import Flask

from mockanka.control.problems import Problem, allow_parameters, read_object_body
from mockanka.core.errors import IllegalTransition, NotFound
from mockanka.scenario.base import StrictSchema
from mockanka.scenario.fields import Text
from mockanka.scenario.source import nearest
from mockanka.simulator.simulator import INSTANCE_ACTIONS, Simulator
from mockanka.simulator.timeline import summarize_instance


class InstanceActionOptions(StrictSchema):
    """The optional body of POST instances/ID/FATE."""

    message = Text()


INSTANCE_ACTION_OPTIONS = InstanceActionOptions()


def add_instance_routes(app: Flask, simulator: Simulator) -> None:
    """Add the routes that list instances, show one with its timeline, and make it fail, stop or vanish."""

    @app.get("/_mock/instances")
    def list_instances() -> dict[str, Any]:
        allow_parameters()
        controller = simulator.controller
        controller.advance()
        return {"instances": [summarize_instance(controller, instance) for instance in controller.instances.values()]}

    @app.get("/_mock/instances/<instance_id>")
    def show_instance(instance_id: str) -> dict[str, Any]:
        allow_parameters()
        try:
            return simulator.describe_instance(instance_id)
        except NotFound:
            raise Problem(404, f"there is no instance {instance_id}, nor was there one recently") from None

    @app.post("/_mock/instances/<instance_id>/<fate>")
    def act_on_instance(instance_id: str, fate: str) -> dict[str, Any]:
        options = INSTANCE_ACTION_OPTIONS.load(read_object_body(optional=True))
        if fate not in INSTANCE_ACTIONS:
            raise Problem(404, f"an instance cannot be made to {fate!r}: {nearest(fate, list(INSTANCE_ACTIONS))}")
        try:
            simulator.act_on_instance(instance_id, fate, options.get("message"))
            return simulator.describe_instance(instance_id)
        except NotFound:
            raise Problem(404, f"there is no instance {instance_id}") from None
        except IllegalTransition as error:
            state = str(error).partition(" ")[0]
            raise Problem(409, f"an instance that is {state} cannot {fate}") from None
