"""/api/v1/image: save a running instance to the registry (controller-facts A19, A20)."""

from __future__ import annotations

from flask import Blueprint, Response

from mockanka.api.envelope import ok, respond
from mockanka.api.field_table import Key, Table
from mockanka.api.request_fields import Body, Flag, Text, body, load, query, since
from mockanka.core import save_images
from mockanka.core.controller import Controller
from mockanka.core.save_images import SaveImage, SaveRequest
from mockanka.core.scripts import ScriptResult
from mockanka.units import SECOND


class SaveBody(Body):
    """What POST image takes (controller-facts A19)."""

    id = Text(required=True, attribute="instance_id")
    target_vm_id = Text(attribute="template_id")
    new_template_name = Text()
    tag = Text()
    description = Text()
    suspend = Flag()
    script = Text()
    revert_before_push = Flag()
    revert_tag = Text()
    do_suspend_sanity_test = Flag()
    cancel_on_script_failure = Flag(metadata=since("script-result"))


SAVE = SaveBody()

TASK: Table[SaveImage] = Table(
    # The raw task of the queue, hence its spelling (controller-facts A20).
    Key("RequestId", lambda c, of: of.id),
    Key("Priority", lambda c, of: 0),
    Key("Timestamp", lambda c, of: of.requested // SECOND),
    # Guess: what it holds.
    Key("ReserveExpiryTimestamp", lambda c, of: 0, came_with="script-result"),
    Key("RegistryAddr", lambda c, of: c.registry.url),
    Key("VMID", lambda c, of: of.vm_uuid),
    Key("InstanceID", lambda c, of: of.request.instance_id),
    Key("NodeID", lambda c, of: of.node_id),
    Key("TemplateID", lambda c, of: of.request.template_id),
    Key("NewTemplateName", lambda c, of: of.request.new_template_name),
    Key("Tag", lambda c, of: of.request.tag),
    Key("Description", lambda c, of: of.request.description),
    Key("Suspend", lambda c, of: of.request.suspend),
    Key("Script", lambda c, of: of.request.script),
    Key("DoSuspendTest", lambda c, of: of.request.do_suspend_sanity_test),
    Key("RevertBeforePush", lambda c, of: of.request.revert_before_push),
    Key("RevertTag", lambda c, of: of.request.revert_tag),
    Key("CancelOnScriptFailure", lambda c, of: of.request.cancel_on_script_failure, came_with="script-result"),
)


def _error(controller: Controller, of: SaveImage) -> object:
    if of.error is None:
        return None
    kind = {"Code": of.error.code or 0} if of.error.type is None else {"Type": of.error.type}
    return {"Message": of.error.message, **kind}


SCRIPT: Table[ScriptResult] = Table(
    # null when there are none, where a startup script leaves them out (controller-facts A20).
    Key("stdout", lambda c, of: of.stdout),
    Key("stderr", lambda c, of: of.stderr),
    Key("errors", lambda c, of: None),
    Key("did_timeout", lambda c, of: of.did_timeout, came_with="script-timeout-told"),
    Key("return_code", lambda c, of: of.return_code),
)


def _script(controller: Controller, of: SaveImage) -> object:
    result = of.shown_script_result
    return SCRIPT.render(controller, result) if result else None


SAVE_IMAGE: Table[SaveImage] = Table(
    Key("id", lambda c, of: of.id),
    Key("request", TASK.render),
    Key("status", lambda c, of: of.status),
    Key("error", _error),
    Key("script_result", _script, came_with="script-result"),
)


def blueprint(controller: Controller) -> Blueprint:
    routes = Blueprint("images", __name__)

    @routes.post("/api/v1/image")
    def save() -> Response:
        made = save_images.create_save_image(controller, SaveRequest(**load(SAVE, body())))
        return respond(ok({"request_id": made.id}))

    @routes.get("/api/v1/image")
    def show() -> Response:
        save_id = query("id")
        if save_id:
            return respond(ok(SAVE_IMAGE.render(controller, save_images.find_save_image(controller, save_id))))
        return respond(ok([SAVE_IMAGE.render(controller, each) for each in controller.save_images.values()]))

    return routes
