"""/api/v1/group: node groups (controller-facts A21)."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response
from marshmallow import post_load

from mockanka.api.envelope import DONE, ok, respond
from mockanka.api.field_table import Key, Table
from mockanka.api.request_fields import Body, Text, body, load, required_query
from mockanka.core import groups
from mockanka.core.controller import Controller
from mockanka.core.groups import Group


class GroupBody(Body):
    """What POST group takes."""

    name = Text(required=True)
    description = Text()
    fallback_group_id = Text(attribute="fallback_id")


class GroupChanges(Body):
    """What PUT group takes: a blank name changes nothing, a blank or null fallback ends it (guesses)."""

    name = Text()
    description = Text()
    fallback_group_id = Text(attribute="fallback_id")

    @post_load
    def _keep_the_name(self, data: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return {key: value for key, value in data.items() if key != "name" or value}


CREATE, CHANGE = GroupBody(), GroupChanges()

GROUP: Table[Group] = Table(
    Key("id", lambda c, of: of.id),
    Key("name", lambda c, of: of.name),
    Key("description", lambda c, of: of.description),
    Key("fallback_group_id", lambda c, of: of.fallback_id),
)


def blueprint(controller: Controller) -> Blueprint:
    routes = Blueprint("groups", __name__)

    @routes.post("/api/v1/group")
    def create() -> Response:
        return respond(ok(GROUP.render(controller, groups.create_group(controller, **load(CREATE, body())))))

    @routes.get("/api/v1/group")
    def show() -> Response:
        return respond(ok([GROUP.render(controller, each) for each in groups.list_groups(controller)]))

    @routes.put("/api/v1/group")
    def update() -> Response:
        group_id = required_query("id")
        given = body()
        changes = load(CHANGE, given)
        if any(key.casefold() == "fallback_group_id" and value is None for key, value in given.items()):
            changes["fallback_id"] = None
        groups.update_group(controller, group_id, changes)
        return respond(DONE)

    @routes.delete("/api/v1/group")
    def delete() -> Response:
        groups.delete_group(controller, required_query("id"))
        return respond(DONE)

    return routes
