"""/api/v1/registry/vm and registry/revert: templates (controller-facts A11 to A14)."""

from __future__ import annotations

from typing import NamedTuple

from flask import Blueprint, Response

from mockanka.api.envelope import empty_success, json_response, success
from mockanka.api.field_table import FieldTable, Key
from mockanka.api.request_fields import (
    IntegerField,
    RequestBody,
    TextField,
    TextListField,
    integer_parameter,
    query_parameter,
    read_fields,
    required_parameter,
)
from mockanka.api.routing import OperationRoutes
from mockanka.core import removals, templates
from mockanka.core.controller import Controller
from mockanka.core.templates import Template, Version
from mockanka.units import SECOND


class RevertBody(RequestBody):
    """The selector of a revert, where it comes as a body instead of a query (controller-facts B1)."""

    tag = TextField()
    number = IntegerField()
    version = IntegerField()


class RemovalBody(RequestBody):
    """The optional body of DELETE registry/vm/remove (controller-facts A14)."""

    node_ids = TextListField()


REVERT_BODY, REMOVAL_BODY = RevertBody(), RemovalBody()

REVERTED = b'{"status":"OK","body":null,"message":""}\n'
"""A revert is relayed from the registry, which has another order of keys and a null (controller-facts A0.1, A13)."""

TEMPLATE_ITEM_FIELDS: FieldTable[Template] = FieldTable(
    Key("id", lambda c, template: template.id),
    Key("name", lambda c, template: template.name),
    Key("size", lambda c, template: template.size),
    Key("arch", lambda c, template: template.arch, added_with="arch"),
    Key("last_pull", lambda c, template: template.pulled // SECOND, added_with="last-used"),
    Key("last_push", lambda c, template: template.pushed // SECOND, added_with="last-used"),
)

V1_TEMPLATE_ITEM_FIELDS: FieldTable[Template] = FieldTable(
    # The list for apiVer=v1, without size and arch (controller-facts A11). Guess: with the times, once there are any.
    Key("id", lambda c, template: template.id),
    Key("name", lambda c, template: template.name),
    Key("last_pull", lambda c, template: template.pulled // SECOND, added_with="last-used"),
    Key("last_push", lambda c, template: template.pushed // SECOND, added_with="last-used"),
)


class VersionInTemplate(NamedTuple):
    """A version, and the template that it is one of."""

    template: Template
    version: Version


VERSION_FIELDS: FieldTable[VersionInTemplate] = FieldTable(
    Key("number", lambda c, item: item.version.number),
    Key("tag", lambda c, item: item.version.tag),
    Key("config_file", lambda c, item: f"{item.template.id}.yaml"),
    Key("nvram", lambda c, item: "nvram"),
    Key("images", lambda c, item: [file.name for file in item.version.images]),
    Key("state_files", lambda c, item: [file.name for file in item.version.state_files]),
    Key("description", lambda c, item: item.version.description),
    Key("state_file", lambda c, item: item.version.state_files[-1].name if item.version.state_files else ""),
    Key("size", lambda c, item: item.version.size),
    # Blank, whatever the template's is (controller-facts A11).
    Key("arch", lambda c, item: "", added_with="arch"),
    Key("last_pull", lambda c, item: item.version.pulled // SECOND, added_with="last-used"),
    Key("last_push", lambda c, item: item.version.pushed // SECOND, added_with="last-used"),
)


def _versions(controller: Controller, template: Template) -> list[dict[str, object]]:
    return [VERSION_FIELDS.render(controller, VersionInTemplate(template, version)) for version in template.versions]


TEMPLATE_FIELDS: FieldTable[Template] = FieldTable(
    Key("id", lambda c, template: template.id),
    Key("name", lambda c, template: template.name),
    Key("versions", _versions),
    Key("size", lambda c, template: template.size, added_with="template-size-by-id"),
    Key("arch", lambda c, template: template.arch, added_with="arch"),
    Key("last_pull", lambda c, template: template.pulled // SECOND, added_with="last-used"),
    Key("last_push", lambda c, template: template.pushed // SECOND, added_with="last-used"),
)


def template_routes(controller: Controller) -> Blueprint:
    """Return the routes of templates."""
    routes = OperationRoutes("templates", __name__)

    @routes.operation("listTemplates")
    def list_templates() -> Response:
        template_id = query_parameter("id")
        if template_id:
            return success(TEMPLATE_FIELDS.render(controller, templates.find_template(controller, template_id)))
        table = TEMPLATE_ITEM_FIELDS
        if controller.release.has("registry-v1-listing") and query_parameter("apiVer") == "v1":
            table = V1_TEMPLATE_ITEM_FIELDS
        return success([table.render(controller, template) for template in templates.list_templates(controller)])

    @routes.operation("deleteTemplate")
    def delete_template() -> Response:
        templates.delete_template(controller, required_parameter("id"))
        return empty_success()

    @routes.operation("removeTemplateFromNodes")
    def remove_template_from_nodes() -> Response:
        node_ids = read_fields(REMOVAL_BODY, optional=True).get("node_ids", ())
        requested = removals.request_template_removal(controller, required_parameter("id"), node_ids)
        return success({"requests_sent": len(requested), "node_ids": requested})

    @routes.operation("revertTemplate")
    def revert_template() -> Response:
        template_id = required_parameter("id")
        selector = read_fields(REVERT_BODY, optional=True)
        # The documents call the selector by several names (controller-facts B1).
        tag = query_parameter("tag") or query_parameter("tag_name") or selector.get("tag")
        numbers = [
            integer_parameter("number"),
            integer_parameter("version"),
            selector.get("number"),
            selector.get("version"),
        ]
        number = next((number for number in numbers if number is not None), None)
        templates.revert_template(controller, template_id, tag, number)
        return json_response(REVERTED)

    return routes
