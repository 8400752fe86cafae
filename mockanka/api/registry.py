"""/api/v1/registry: templates, reverting them, distributing them (controller-facts A11 to A13, A15, A16)."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response
from marshmallow import post_load

from mockanka.api.envelope import DONE, number, ok, respond
from mockanka.api.field_table import Key, Table, when_set
from mockanka.api.request_fields import Body, Text, Texts, Whole, body, load, query, query_number, required_query, since
from mockanka.core import distributions, registry, removals, templates
from mockanka.core.controller import Controller
from mockanka.core.distributions import DeliveryStage, Distribution
from mockanka.core.templates import Template, Version
from mockanka.units import SECOND, format_moment


class RevertBody(Body):
    """The selector of a revert, where it comes as a body instead of a query (controller-facts B1)."""

    tag = Text()
    number = Whole()
    version = Whole()


class DistributeBody(Body):
    """What POST distribute takes (controller-facts A15)."""

    template_id = Text(required=True)
    tag = Text()
    version = Whole(attribute="number")
    node_ids = Texts()
    group_id = Text()
    group = Text(metadata=since("permission-group"))

    @post_load
    def _blank_is_not_given(self, data: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        # A permission group means nothing where there are no permissions.
        return {key: value for key, value in data.items() if value != "" and key != "group"}


class RemovalBody(Body):
    """What DELETE registry/vm/remove takes, if it takes anything (controller-facts A14)."""

    node_ids = Texts()


RELAYED = b'{"status":"OK","body":null,"message":""}\n'
"""Revert is relayed from the registry, which has an order of its own, and says null (controller-facts A0.1, A13)."""

REVERT, DISTRIBUTE, REMOVAL = RevertBody(), DistributeBody(), RemovalBody()

LISTED: Table[Template] = Table(
    Key("id", lambda c, of: of.id),
    Key("name", lambda c, of: of.name),
    Key("size", lambda c, of: of.size),
    Key("arch", lambda c, of: of.arch, came_with="arch"),
    Key("last_pull", lambda c, of: of.pulled // SECOND, came_with="last-used"),
    Key("last_push", lambda c, of: of.pushed // SECOND, came_with="last-used"),
)

BY_REGISTRY_V1: Table[Template] = Table(
    # What apiVer=v1 lists: without size and arch (controller-facts A11). Guess: with the times, once there are any.
    Key("id", lambda c, of: of.id),
    Key("name", lambda c, of: of.name),
    Key("last_pull", lambda c, of: of.pulled // SECOND, came_with="last-used"),
    Key("last_push", lambda c, of: of.pushed // SECOND, came_with="last-used"),
)

VERSION: Table[tuple[Template, Version]] = Table(
    Key("number", lambda c, of: of[1].number),
    Key("tag", lambda c, of: of[1].tag),
    Key("config_file", lambda c, of: f"{of[0].id}.yaml"),
    Key("nvram", lambda c, of: "nvram"),
    Key("images", lambda c, of: [file.name for file in of[1].images]),
    Key("state_files", lambda c, of: [file.name for file in of[1].state_files]),
    Key("description", lambda c, of: of[1].description),
    Key("state_file", lambda c, of: of[1].state_files[-1].name if of[1].state_files else ""),
    Key("size", lambda c, of: of[1].size),
    # Blank, whatever the template's is (controller-facts A11).
    Key("arch", lambda c, of: "", came_with="arch"),
    Key("last_pull", lambda c, of: of[1].pulled // SECOND, came_with="last-used"),
    Key("last_push", lambda c, of: of[1].pushed // SECOND, came_with="last-used"),
)

TEMPLATE: Table[Template] = Table(
    Key("id", lambda c, of: of.id),
    Key("name", lambda c, of: of.name),
    Key("versions", lambda c, of: [VERSION.render(c, (of, version)) for version in of.versions]),
    Key("size", lambda c, of: of.size, came_with="template-size-by-id"),
    Key("arch", lambda c, of: of.arch, came_with="arch"),
    Key("last_pull", lambda c, of: of.pulled // SECOND, came_with="last-used"),
    Key("last_push", lambda c, of: of.pushed // SECOND, came_with="last-used"),
)


DELIVERY: Table[tuple[Distribution, str]] = Table(
    Key("status", lambda c, of: of[0].deliveries[of[1]].stage is DeliveryStage.DONE),
    Key("progress", lambda c, of: number(of[0].progress(c, of[1]))),
    Key("error", lambda c, of: when_set(of[0].deliveries[of[1]].error), came_with="distribution-error"),
)


def _status(controller: Controller, of: Distribution) -> dict[str, object]:
    # A Go map: node ids come sorted.
    return {node_id: DELIVERY.render(controller, (of, node_id)) for node_id in sorted(of.deliveries)}


DISTRIBUTION: Table[Distribution] = Table(
    Key(
        "request",
        lambda c, of: {
            "request_id": of.id,
            "template_id": of.ref.template_id,
            "time_requested": format_moment(of.requested),
        },
    ),
    Key("distribute_status", _status),
)


def blueprint(controller: Controller) -> Blueprint:
    routes = Blueprint("registry", __name__)

    @routes.get("/api/v1/registry/vm")
    def show() -> Response:
        template_id = query("id")
        if template_id:
            return respond(ok(TEMPLATE.render(controller, templates.find_template(controller, template_id))))
        table = LISTED
        if controller.release.has("registry-v1-listing") and query("apiVer") == "v1":
            table = BY_REGISTRY_V1
        return respond(ok([table.render(controller, each) for each in templates.list_templates(controller)]))

    @routes.delete("/api/v1/registry/vm")
    def delete() -> Response:
        templates.delete_template(controller, required_query("id"))
        return respond(DONE)

    @routes.delete("/api/v1/registry/vm/remove")
    def remove() -> Response:
        given = load(REMOVAL, body(optional=True))
        asked = removals.request_template_removal(controller, required_query("id"), given.get("node_ids", ()))
        return respond(ok({"requests_sent": len(asked), "node_ids": asked}))

    @routes.get("/api/v1/registry/disk")
    def disk() -> Response:
        free, total = registry.disk_space(controller)
        return respond(ok({"free": free, "total": total}))

    @routes.delete("/api/v1/registry/revert")
    def revert() -> Response:
        template_id = required_query("id")
        given = load(REVERT, body(optional=True))
        # The documents call the selector by several names (controller-facts B1).
        tag = query("tag") or query("tag_name") or given.get("tag")
        numbers = [query_number("number"), query_number("version"), given.get("number"), given.get("version")]
        templates.revert_template(controller, template_id, tag, next((n for n in numbers if n is not None), None))
        return respond(RELAYED)

    @routes.post("/api/v1/registry/vm/distribute")
    def distribute() -> Response:
        made = distributions.create_distribution(controller, **load(DISTRIBUTE, body()))
        return respond(ok({"request_id": made.id}))

    @routes.get("/api/v1/registry/vm/distribute")
    def get_distributions() -> Response:
        distribution_id = query("id")
        if distribution_id:
            return respond(
                ok(DISTRIBUTION.render(controller, distributions.find_distribution(controller, distribution_id)))
            )
        return respond(ok([DISTRIBUTION.render(controller, each) for each in controller.distributions.values()]))

    @routes.delete("/api/v1/registry/vm/distribute")
    def cancel() -> Response:
        distributions.cancel_distribution(controller, required_query("id"))
        return respond(DONE)

    return routes
