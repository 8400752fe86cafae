"""The save_images section."""

from __future__ import annotations

from mockanka import units
from mockanka.snapshot.commented_yaml import CommentedMap
from mockanka.snapshot.context import SnapshotContext
from mockanka.snapshot.instances import script_item
from mockanka.snapshot.reader import JsonReader


def save_image_section(context: SnapshotContext) -> list[CommentedMap]:
    """Return the section."""
    saves = map(JsonReader, context.state.save_images)
    return [item for save in saves if (item := _save_item(context, save)) is not None]


def _save_item(context: SnapshotContext, save: JsonReader) -> CommentedMap | None:
    request = save.child("request")
    id, instance_id = save.text("id"), request.text("InstanceID")
    if id is None or instance_id is None:
        return None
    status, requested = save.text("status"), request.unix_time("Timestamp")
    item = CommentedMap(id=id, instance=instance_id)
    template_id = request.text("TemplateID")
    if template_id is not None:
        item["template"] = context.templates.reference(context.templates.get(template_id).id)
    for key, field in (("new_template_name", "NewTemplateName"), ("tag", "Tag"), ("description", "Description")):
        item.put(key, request.text(field))
    item.put("suspend", False if request.boolean("Suspend") is False else None)
    item.put("script", request.text("Script"))
    item.put("revert_before_push", request.boolean("RevertBeforePush") or None)
    item.put("revert_tag", request.text("RevertTag"))
    item.put("do_suspend_sanity_test", request.boolean("DoSuspendTest") or None)
    item.put("cancel_on_script_failure", request.boolean("CancelOnScriptFailure") or None)
    item.put("requested", None if requested is None else units.format_moment(requested))
    if context.pushing_saves.get(instance_id) is save.data:
        item.comments.append("The API does not return its progress: here it starts again.")
    else:
        _put_stage(item, save, request, status)
    item.comments += [*save.remarks, *request.remarks]
    return item


def _put_stage(item: CommentedMap, save: JsonReader, request: JsonReader, status: str | None) -> None:
    item.put("stage", status if status in ("done", "error") else "waiting")
    if item["stage"] == "waiting":
        item.comment_on("stage", "the instance that it saves is not Pushing: the request makes no progress here")
    item.put("vm_uuid", request.text("VMID"))
    item.put("node", request.text("NodeID"))
    error, script = save.child("error"), save.child("script_result")
    if (message := error.text("Message")) is not None:
        code = error.integer("Code", -(10**9), 10**9)
        item["error"] = CommentedMap(message=message, type=error.text("Type"), code=code)
    if script.data:
        item["script_result"] = script_item(script)
    item.comments += [*error.remarks, *script.remarks]
