"""The distributions section."""

from __future__ import annotations

from mockanka import units
from mockanka.snapshot.commented_yaml import CommentedMap
from mockanka.snapshot.context import SnapshotContext
from mockanka.snapshot.reader import JsonReader


def distribution_section(context: SnapshotContext) -> list[CommentedMap]:
    """Return the section."""
    distributions = map(JsonReader, context.state.distributions)
    return [item for distribution in distributions if (item := _distribution_item(context, distribution)) is not None]


def _distribution_item(context: SnapshotContext, distribution: JsonReader) -> CommentedMap | None:
    request = distribution.child("request")
    id, template_id = request.text("request_id"), request.text("template_id")
    if id is None or template_id is None:
        return None
    template = context.templates.get(template_id)
    keys = context.templates.version_keys(template, None, None)
    item = CommentedMap(id=id, template=context.templates.reference(template.id), **keys)
    item.comment_on("template", "the API does not say which version: here it is the latest")
    requested = request.moment("time_requested")
    item.put("requested", None if requested is None else units.format_moment(requested))
    deliveries = distribution.child("distribute_status").data
    item["deliveries"] = [
        _delivery_item(context, node_id, JsonReader(delivery))
        for node_id, delivery in deliveries.items()
        if isinstance(delivery, dict) and node_id
    ]
    item.comments += request.remarks
    return item


def _delivery_item(context: SnapshotContext, node_id: str, delivery: JsonReader) -> CommentedMap:
    progress, error = delivery.fraction("progress") or 0, delivery.text("error")
    if delivery.boolean("status"):
        stage = "done"
    elif error or node_id not in context.nodes.by_id:
        stage = "failed"
    else:
        stage = "pulling" if progress else "sent"
    item = CommentedMap(node=context.nodes.reference(node_id), stage=stage, progress=progress or None, error=error)
    item.comments += delivery.remarks
    return item
