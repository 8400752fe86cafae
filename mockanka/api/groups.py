"""/api/v1/group: node groups (controller-facts A21)."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response
from marshmallow import post_load

from mockanka.api.envelope import empty_success, success
from mockanka.api.field_table import FieldTable, Key
from mockanka.api.request_fields import (
    RequestBody,
    TextField,
    load_body,
    read_fields,
    read_json_object,
    required_parameter,
)
from mockanka.api.routing import OperationRoutes
from mockanka.core import groups
from mockanka.core.controller import Controller
from mockanka.core.groups import Group


class GroupBody(RequestBody):
    """The body of POST group."""

    name = TextField(required=True)
    description = TextField()
    fallback_group_id = TextField(attribute="fallback_id")


class GroupChangesBody(RequestBody):
    """The body of PUT group: a blank name changes nothing, a blank or null fallback ends it (guesses)."""

    name = TextField()
    description = TextField()
    fallback_group_id = TextField(attribute="fallback_id")

    @post_load
    def _drop_blank_name(self, data: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return {key: value for key, value in data.items() if key != "name" or value}


GROUP_BODY, GROUP_CHANGES_BODY = GroupBody(), GroupChangesBody()

GROUP_FIELDS: FieldTable[Group] = FieldTable(
    Key("id", lambda c, group: group.id),
    Key("name", lambda c, group: group.name),
    Key("description", lambda c, group: group.description),
    Key("fallback_group_id", lambda c, group: group.fallback_id),
)


def group_routes(controller: Controller) -> Blueprint:
    """Return the routes of node groups."""
    routes = OperationRoutes("groups", __name__)

    @routes.operation("createGroup")
    def create_group() -> Response:
        group = groups.create_group(controller, **read_fields(GROUP_BODY))
        return success(GROUP_FIELDS.render(controller, group))

    @routes.operation("listGroups")
    def list_groups() -> Response:
        return success([GROUP_FIELDS.render(controller, group) for group in groups.list_groups(controller)])

    @routes.operation("updateGroup")
    def update_group() -> Response:
        group_id = required_parameter("id")
        data = read_json_object(GROUP_CHANGES_BODY)
        changes = load_body(GROUP_CHANGES_BODY, data)
        if any(key.casefold() == "fallback_group_id" and value is None for key, value in data.items()):
            changes["fallback_id"] = None
        groups.update_group(controller, group_id, changes)
        return empty_success()

    @routes.operation("deleteGroup")
    def delete_group() -> Response:
        groups.delete_group(controller, required_parameter("id"))
        return empty_success()

    return routes
