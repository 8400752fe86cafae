"""/api/v1/image: save a running instance to the registry (controller-facts A19, A20)."""

from __future__ import annotations

from flask import Blueprint, Response

from mockanka.api.envelope import success
from mockanka.api.field_table import FieldTable, Key
from mockanka.api.request_fields import BooleanField, RequestBody, TextField, added_with, query_parameter, read_fields
from mockanka.api.routing import OperationRoutes
from mockanka.core import save_images
from mockanka.core.controller import Controller
from mockanka.core.save_images import SaveImage, SaveRequest
from mockanka.core.scripts import ScriptResult
from mockanka.units import SECOND


class SaveBody(RequestBody):
    """The body of POST image (controller-facts A19)."""

    id = TextField(required=True, attribute="instance_id")
    target_vm_id = TextField(attribute="template_id")
    new_template_name = TextField()
    tag = TextField()
    description = TextField()
    suspend = BooleanField()
    script = TextField()
    revert_before_push = BooleanField()
    revert_tag = TextField()
    do_suspend_sanity_test = BooleanField()
    cancel_on_script_failure = BooleanField(metadata=added_with("script-result"))


SAVE_BODY = SaveBody()

SAVE_TASK_FIELDS: FieldTable[SaveImage] = FieldTable(
    # The raw task of the queue, hence its spelling (controller-facts A20).
    Key("RequestId", lambda c, save: save.id),
    Key("Priority", lambda c, save: 0),
    Key("Timestamp", lambda c, save: save.requested // SECOND),
    # Guess: what it holds.
    Key("ReserveExpiryTimestamp", lambda c, save: 0, added_with="script-result"),
    Key("RegistryAddr", lambda c, save: c.registry.url),
    Key("VMID", lambda c, save: save.vm_uuid),
    Key("InstanceID", lambda c, save: save.request.instance_id),
    Key("NodeID", lambda c, save: save.node_id),
    Key("TemplateID", lambda c, save: save.request.template_id),
    Key("NewTemplateName", lambda c, save: save.request.new_template_name),
    Key("Tag", lambda c, save: save.request.tag),
    Key("Description", lambda c, save: save.request.description),
    Key("Suspend", lambda c, save: save.request.suspend),
    Key("Script", lambda c, save: save.request.script),
    Key("DoSuspendTest", lambda c, save: save.request.do_suspend_sanity_test),
    Key("RevertBeforePush", lambda c, save: save.request.revert_before_push),
    Key("RevertTag", lambda c, save: save.request.revert_tag),
    Key("CancelOnScriptFailure", lambda c, save: save.request.cancel_on_script_failure, added_with="script-result"),
)


def _error(controller: Controller, save: SaveImage) -> object:
    if save.error is None:
        return None
    kind = {"Code": save.error.code or 0} if save.error.type is None else {"Type": save.error.type}
    return {"Message": save.error.message, **kind}


SAVE_SCRIPT_FIELDS: FieldTable[ScriptResult] = FieldTable(
    # errors is null when there are none, where a startup script leaves them out (controller-facts A20).
    Key("stdout", lambda c, result: result.stdout),
    Key("stderr", lambda c, result: result.stderr),
    Key("errors", lambda c, result: None),
    Key("did_timeout", lambda c, result: result.did_timeout, added_with="script-timeout-told"),
    Key("return_code", lambda c, result: result.return_code),
)


def _script_result(controller: Controller, save: SaveImage) -> object:
    result = save.shown_script_result
    return SAVE_SCRIPT_FIELDS.render(controller, result) if result else None


SAVE_IMAGE_FIELDS: FieldTable[SaveImage] = FieldTable(
    Key("id", lambda c, save: save.id),
    Key("request", SAVE_TASK_FIELDS.render),
    Key("status", lambda c, save: save.status),
    Key("error", _error),
    Key("script_result", _script_result, added_with="script-result"),
)


def image_routes(controller: Controller) -> Blueprint:
    """Return the routes of save image requests."""
    routes = OperationRoutes("images", __name__)

    @routes.operation("saveImage")
    def save_image() -> Response:
        save = save_images.create_save_image(controller, SaveRequest(**read_fields(SAVE_BODY)))
        return success({"request_id": save.id})

    @routes.operation("listSaveImages")
    def list_save_images() -> Response:
        save_id = query_parameter("id")
        if save_id:
            return success(SAVE_IMAGE_FIELDS.render(controller, save_images.find_save_image(controller, save_id)))
        return success([SAVE_IMAGE_FIELDS.render(controller, save) for save in controller.save_images.values()])

    return routes
