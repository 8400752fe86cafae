"""Faults, nodes and instances: what can be done to them from outside, and what became of them."""

from __future__ import annotations

import json
from typing import Any

from flask import Flask, Response

from mockanka import units
from mockanka.control.problems import Problem, body, only, parsed, raw
from mockanka.core import nodes
from mockanka.core.errors import IllegalTransition, NoSuchNode, NotFound, UnknownToRelease
from mockanka.core.faults import NODE_OVERRIDES
from mockanka.scenario import fault_rules
from mockanka.scenario.base import StrictSchema
from mockanka.scenario.fields import Boolean, Text
from mockanka.scenario.source import nearest
from mockanka.simulator.simulator import INSTANCE_ACTIONS, Simulator


class Fate(StrictSchema):
    message = Text()


class Turn(StrictSchema):
    at_once = Boolean()


FATE, TURN = Fate(), Turn()


def add_routes(app: Flask, house: Simulator) -> None:
    _faults(app, house)
    _nodes(app, house)
    _instances(app, house)


def _faults(app: Flask, house: Simulator) -> None:
    @app.get("/_mock/faults")
    def faults() -> dict[str, object]:
        only()
        return {"faults": [fault_rules.written(rule) for rule in house.controller.faults]}

    @app.post("/_mock/faults")
    def add() -> Response:
        given = parsed(raw())
        added = [fault_rules.written(rule) for rule in house.add_faults(given if isinstance(given, list) else [given])]
        text = json.dumps(added if isinstance(given, list) else added[0], separators=(",", ":"))
        return Response(text + "\n", 201, content_type="application/json")

    @app.delete("/_mock/faults")
    def remove_all() -> dict[str, object]:
        for rule in list(house.controller.faults):
            house.remove_fault(rule.id)
        return {"status": "ok"}

    @app.delete("/_mock/faults/<rule_id>")
    def remove(rule_id: str) -> dict[str, object]:
        known = [rule.id for rule in house.controller.faults]
        if rule_id not in known:
            raise Problem(404, f"there is no fault {rule_id!r}: {nearest(rule_id, known)}")
        house.remove_fault(rule_id)
        return {"status": "ok"}


def _nodes(app: Flask, house: Simulator) -> None:
    controller = house.controller

    @app.post("/_mock/nodes/<node_id>/<what>")
    def turn(node_id: str, what: str) -> dict[str, Any]:
        asked = TURN.load(body(optional=True))
        if what not in NODE_OVERRIDES:
            raise Problem(404, f"a node cannot be made {what!r}: {nearest(what, list(NODE_OVERRIDES))}")
        try:
            one = nodes.find_node_by_id_or_name(controller, node_id)
            house.override_node(one.id, what, asked.get("at_once", False))
        except NoSuchNode:
            names = [each.name for each in controller.nodes.values()]
            raise Problem(
                404, f"there is no node {node_id!r}, or several of that name: {nearest(node_id, names)}"
            ) from None
        except UnknownToRelease as wrong:
            raise Problem(409, str(wrong)) from None
        return _shown(one, controller.now)


def _shown(one: nodes.Node, now: int) -> dict[str, Any]:
    offline = units.format_moment(one.timeout_at) if one.timeout_at is not None else None
    return {
        "id": one.id,
        "name": one.name,
        "state": one.state(now).value,
        "reports": one.lost_at is None,
        "offline_at": offline,
        "takes_work": one.takes_work and not one.manual_vms,
    }


def _instances(app: Flask, house: Simulator) -> None:
    @app.get("/_mock/instances/<instance_id>")
    def story(instance_id: str) -> dict[str, Any]:
        only()
        try:
            return house.describe_instance(instance_id)
        except NotFound:
            raise Problem(404, f"there is no instance {instance_id}, and none of late") from None

    @app.post("/_mock/instances/<instance_id>/<fate>")
    def strike(instance_id: str, fate: str) -> dict[str, Any]:
        asked = FATE.load(body(optional=True))
        if fate not in INSTANCE_ACTIONS:
            raise Problem(404, f"an instance cannot be made to {fate!r}: {nearest(fate, list(INSTANCE_ACTIONS))}")
        try:
            house.act_on_instance(instance_id, fate, asked.get("message"))
            return house.describe_instance(instance_id)
        except NotFound:
            raise Problem(404, f"there is no instance {instance_id}") from None
        except IllegalTransition as wrong:
            state = str(wrong).partition(" ")[0]
            raise Problem(409, f"an instance that is {state} cannot {fate}") from None
