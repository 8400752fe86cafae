"""/api/v1/registry/vm/distribute: distributions of templates to nodes (controller-facts A15, A16)."""

from __future__ import annotations

from typing import Any, NamedTuple

from flask import Blueprint, Response
from marshmallow import post_load

from mockanka.api.envelope import empty_success, progress_number, success
from mockanka.api.field_table import FieldTable, Key, omit_empty
from mockanka.api.request_fields import (
    RequestBody,
    TextField,
    TextListField,
    UnsignedField,
    added_with,
    query_parameter,
    read_fields,
    required_parameter,
)
from mockanka.api.routing import OperationRoutes
from mockanka.core import distributions
from mockanka.core.controller import Controller
from mockanka.core.distributions import DeliveryStage, Distribution
from mockanka.units import format_moment


class DistributeBody(RequestBody):
    """The body of POST distribute (controller-facts A15)."""

    template_id = TextField(required=True)
    tag = TextField()
    version = UnsignedField(attribute="number")
    node_ids = TextListField()
    group_id = TextField()
    group = TextField(metadata=added_with("permission-group"))

    @post_load
    def _drop_blanks(self, data: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        # A permission group has no effect: the simulator has no permissions.
        return {key: value for key, value in data.items() if value != "" and key != "group"}


DISTRIBUTE_BODY = DistributeBody()


class DeliveryToNode(NamedTuple):
    """The part of a distribution that goes to one node."""

    distribution: Distribution
    node_id: str


DELIVERY_FIELDS: FieldTable[DeliveryToNode] = FieldTable(
    Key("status", lambda c, item: item.distribution.deliveries[item.node_id].stage is DeliveryStage.DONE),
    Key("progress", lambda c, item: progress_number(item.distribution.progress(c, item.node_id))),
    Key(
        "error",
        lambda c, item: omit_empty(item.distribution.deliveries[item.node_id].error),
        added_with="distribution-error",
    ),
)


def _request(controller: Controller, distribution: Distribution) -> dict[str, object]:
    return {
        "request_id": distribution.id,
        "template_id": distribution.ref.template_id,
        "time_requested": format_moment(distribution.requested),
    }


def _status(controller: Controller, distribution: Distribution) -> dict[str, object]:
    # A Go map: its keys, which are node ids, are sorted.
    return {
        node_id: DELIVERY_FIELDS.render(controller, DeliveryToNode(distribution, node_id))
        for node_id in sorted(distribution.deliveries)
    }


DISTRIBUTION_FIELDS: FieldTable[Distribution] = FieldTable(
    Key("request", _request),
    Key("distribute_status", _status),
)


def distribution_routes(controller: Controller) -> Blueprint:
    """Return the routes of distributions."""
    routes = OperationRoutes("distributions", __name__)

    @routes.operation("distributeTemplate")
    def distribute_template() -> Response:
        distribution = distributions.create_distribution(controller, **read_fields(DISTRIBUTE_BODY))
        return success({"request_id": distribution.id})

    @routes.operation("listDistributions")
    def list_distributions() -> Response:
        distribution_id = query_parameter("id")
        if distribution_id:
            distribution = distributions.find_distribution(controller, distribution_id)
            return success(DISTRIBUTION_FIELDS.render(controller, distribution))
        listed = controller.distributions.values()
        return success([DISTRIBUTION_FIELDS.render(controller, distribution) for distribution in listed])

    @routes.operation("cancelDistribution")
    def cancel_distribution() -> Response:
        distributions.cancel_distribution(controller, required_parameter("id"))
        return empty_success()

    return routes
