"""/_mock/requests/expect, wait and settle: what a test in any language expects, and why it did not come."""

from __future__ import annotations

from typing import Any

from flask import Flask

from mockanka.control.clock import UNTIL_INSTANCE
from mockanka.control.history import check_expression
from mockanka.control.problems import Problem, allow_parameters, read_object_body
from mockanka.core import time_control
from mockanka.core.errors import NotFound
from mockanka.core.lifecycle import InstanceState
from mockanka.scenario.base import StrictSchema
from mockanka.scenario.fields import Integer, JsonValue, Text, TextMapping
from mockanka.simulator.request_patterns import (
    describe_count,
    describe_dropped,
    differences,
    matches_pattern,
    nearest_requests,
)
from mockanka.simulator.simulator import Simulator
from mockanka.simulator.timeline import summarize_instance

NEAREST_LISTED = 3
"""How many of the nearest requests an expectation that fails has."""


class Expectation(StrictSchema):
    """The body of POST requests/expect: a pattern, and how many requests shall match, by default at least one."""

    method = Text()
    path = Text()
    status = Integer(0)
    query = TextMapping()
    body = JsonValue(only_objects=True)
    external_id = Text()
    instance = Text()
    header = TextMapping()
    user_agent = Text()
    fault = Text()
    body_matches = Text(data_key="body~")
    times = Integer(0)
    since = Integer(0)


EXPECTATION = Expectation()


def add_expectation_routes(app: Flask, simulator: Simulator) -> None:
    """Add the routes that check requests, and advance the clock until what is waited for has come."""
    controller = simulator.controller

    @app.post("/_mock/requests/expect")
    def expect_requests() -> dict[str, object]:
        allow_parameters()
        pattern = EXPECTATION.load(read_object_body())
        times, since = pattern.pop("times", None), pattern.pop("since", None) or 0
        if "method" in pattern:
            pattern["method"] = pattern["method"].upper()
        if "body_matches" in pattern:
            pattern["body~"] = check_expression(pattern.pop("body_matches"))
        candidates = simulator.journal.select(since=since)
        matching = [entry for entry in candidates if matches_pattern(pattern, entry)]
        dropped = simulator.journal.dropped_since(since)
        if (len(matching) == times and not dropped) or (times is None and matching):
            return {"requests": [entry.as_json() for entry in matching]}
        best = nearest_requests(pattern, candidates, NEAREST_LISTED) if candidates else []
        nearest = [{"request": entry.as_json(), "differences": differences(pattern, entry)} for entry in best]
        text = describe_count(len(matching), times, pattern) if candidates else "there were no requests at all"
        if dropped:
            text = f"{describe_dropped(dropped)}; of the others {text}"
        raise Problem(409, text, nearest=nearest)

    @app.post("/_mock/wait")
    def wait_for_instance() -> dict[str, Any]:
        allow_parameters()
        wanted = UNTIL_INSTANCE.load(read_object_body())
        try:
            time_control.wait_for_state(controller, wanted["instance"], InstanceState(wanted["state"]))
        except NotFound:
            raise Problem(404, f"there is no instance {wanted['instance']}") from None
        except time_control.Never as never:
            raise Problem(409, str(never)) from None
        return summarize_instance(controller, controller.instances[wanted["instance"]])

    @app.post("/_mock/settle")
    def settle_controller() -> dict[str, Any]:
        allow_parameters()
        try:
            time_control.settle(controller)
        except time_control.Never as never:
            raise Problem(409, str(never)) from None
        return {"instances": [summarize_instance(controller, instance) for instance in controller.instances.values()]}
