"""Save image requests: a running instance pushed to the registry (controller-facts A19, A20, C13).

The sequence is script, suspend or stop, revert in the registry, push, and the instance is gone. One push per
target template goes on at a time. Whatever goes wrong ends in status ``error``, and the instance runs on.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from mockanka.core import instances, scripts, templates, transitions
from mockanka.core.durations import compute_transfer_time
from mockanka.core.errors import NoSaveTarget, NoSuchTemplate, NotFound, NotRunning, RegistryDown, RegistryFull
from mockanka.core.events import NodeEvent
from mockanka.core.faults import apply_rules
from mockanka.core.instance_record import Stall
from mockanka.core.lifecycle import InstanceState
from mockanka.core.randomness import draw, make_host_uuid, make_image_file_name
from mockanka.core.scripts import InvalidBase64, ScriptResult
from mockanka.core.templates import File, Template, Version, size_by_name
from mockanka.units import MIB

if TYPE_CHECKING:
    from mockanka.core.controller import Controller
    from mockanka.core.nodes import Node

BLOCK = 4096


class SaveStage(StrEnum):
    """How far a request has come; on the wire all but the last two are ``pending``."""

    WAITING = "waiting"
    SCRIPT = "script"
    STOPPING = "stopping"
    PUSHING = "pushing"
    DONE = "done"
    ERROR = "error"


@dataclass(frozen=True)
class SaveRequest:
    """What POST image asks for (controller-facts A19); ``script`` is base64."""

    instance_id: str
    template_id: str = ""
    new_template_name: str = ""
    tag: str = ""
    description: str = ""
    suspend: bool = True
    script: str = ""
    revert_before_push: bool = False
    revert_tag: str = ""
    do_suspend_sanity_test: bool = False
    cancel_on_script_failure: bool = False


@dataclass(frozen=True)
class SaveError:
    """Why a request failed: ``type`` is that of a Go error, else there is a ``code`` (controller-facts A20, B13)."""

    message: str
    type: str | None = None
    code: int | None = None


@dataclass
class SaveImage:
    """One request, what it pushes from where, and how far it has come. ``until`` is when its stage ends."""

    id: str
    requested: int
    request: SaveRequest
    vm_uuid: str
    node_id: str
    stage: SaveStage = SaveStage.WAITING
    until: int | None = None
    error: SaveError | None = None
    script_result: ScriptResult | None = None
    fails: str | None = None
    """The message with which its push will fail, by a fault."""
    stall: Stall | None = None

    @property
    def status(self) -> str:
        """``pending``, ``done`` or ``error``."""
        return self.stage.value if self.stage in (SaveStage.DONE, SaveStage.ERROR) else "pending"

    @property
    def shown_script_result(self) -> ScriptResult | None:
        """What its script left, once that has ended."""
        return None if self.stage in (SaveStage.WAITING, SaveStage.SCRIPT) else self.script_result

    @property
    def over(self) -> bool:
        return self.stage in (SaveStage.DONE, SaveStage.ERROR)

    def interrupted(self, controller: Controller, message: str) -> None:
        """The instance has left Pushing without us."""
        if not self.over:
            _close(controller, self, SaveError(message, code=0))
            _next(controller, self.request.template_id)


@dataclass(frozen=True, slots=True)
class SaveStageEnded(NodeEvent):
    """A stage is over; the next begins. A lost node reports nothing."""

    kind: ClassVar = "save_stage_ended"

    save_id: str
    stage: SaveStage

    def reporting_node(self, controller: Controller) -> Node | None:
        save = controller.save_images.get(self.save_id)
        return controller.nodes.get(save.node_id) if save and save.stage is self.stage else None

    def apply(self, controller: Controller) -> None:
        save = controller.save_images[self.save_id]
        if self.stage is SaveStage.SCRIPT:
            _script_ended(controller, save)
        elif self.stage is SaveStage.STOPPING:
            _push(controller, save)
        elif save.fails is not None:
            _fail(controller, save, SaveError(save.fails, code=0))
        else:
            _finish(controller, save)


def save_stage_end(save: SaveImage) -> SaveStageEnded:
    """The event that ends the stage a request is in."""
    return SaveStageEnded(save.id, save.stage)


def create_save_image(
    controller: Controller, request: SaveRequest, id: str | None = None, requested: int | None = None
) -> SaveImage:
    """Accept a request; the instance is Pushing at once. Refusals: unknown instance, not Started, no target.

    A scenario may say which id the request has and when it was made; otherwise it is a new one, made now.
    """
    source = instances.find_instance(controller, request.instance_id)
    if not request.template_id and not request.new_template_name:
        raise NoSaveTarget
    controller.registry.require_reachable()
    if request.template_id and not _there(controller, request.template_id):
        raise NoSuchTemplate
    up = (
        source.state is InstanceState.STARTED and source.restarting_until is None
    )  # guess: no VM is saved while it restarts
    if not up or source.vm is None or source.node_id is None:
        raise NotRunning(source.state)
    save = SaveImage(
        id or controller.new_id("save"),
        controller.now if requested is None else requested,
        request,
        source.vm.uuid,
        source.node_id,
    )
    controller.save_images[save.id] = save
    transitions.transition(controller, source, InstanceState.PUSHING, "save image")
    source.save_id = save.id
    controller.record("save image", save.id, instance=source.id, stage=SaveStage.WAITING.value)
    _next(controller, request.template_id)
    return save


def find_save_image(controller: Controller, save_id: str) -> SaveImage:
    """The request with that id, or NotFound (a guess: the text is unknown)."""
    save = controller.save_images.get(save_id)
    if save is None:
        raise NotFound
    return save


def resume_saves(controller: Controller, node: Node) -> None:
    """The node is back: stages that came to their end while it was lost are over now."""
    for save in controller.save_images.values():
        if save.node_id == node.id and save.until is not None and save.until <= controller.now:
            controller.schedule(controller.now, save_stage_end(save))


def _there(controller: Controller, template_id: str) -> bool:
    return template_id in controller.templates and not controller.templates[template_id].deleted


def _next(controller: Controller, template_id: str) -> None:
    """Begin the oldest requests that nothing stands in the way of: one for each target, new templates never queue."""
    for save in list(controller.save_images.values()):
        if save.stage is SaveStage.WAITING and save.request.template_id == template_id:
            if template_id and _busy(controller, template_id):
                return
            _begin(controller, save)


def _busy(controller: Controller, template_id: str) -> bool:
    under_way = (SaveStage.SCRIPT, SaveStage.STOPPING, SaveStage.PUSHING)
    return any(
        save.stage in under_way and save.request.template_id == template_id for save in controller.save_images.values()
    )


def _begin(controller: Controller, save: SaveImage) -> None:
    if not save.request.script:
        _stop(controller, save)
        return
    source = controller.instances[save.request.instance_id]
    try:
        # Guess: a save image request's script has no timeout of its own.
        save.script_result, takes = scripts.run_script(
            controller, source, save.request.script, None, f"script {save.id}"
        )
    except InvalidBase64 as corrupt:
        # The real controller finds out late as well (controller-facts A20).
        _give_up(controller, save, SaveError(str(corrupt), type="base64.CorruptInputError"))
        return
    _enter(controller, save, SaveStage.SCRIPT, takes)


def _script_ended(controller: Controller, save: SaveImage) -> None:
    failed = save.script_result is not None and save.script_result.return_code != 0
    if failed and save.request.cancel_on_script_failure:
        _fail(controller, save, SaveError("Script execution failed", code=0))  # as it was seen (controller-facts A20)
    else:
        _stop(controller, save)


def _stop(controller: Controller, save: SaveImage) -> None:
    _enter(controller, save, SaveStage.STOPPING, controller.timings.stop.sample(draw(controller.seed, save.id, "stop")))


def _push(controller: Controller, save: SaveImage) -> None:
    request = save.request
    target = controller.templates.get(request.template_id)
    if request.template_id and (target is None or target.deleted):
        _fail(controller, save, SaveError(str(NoSuchTemplate()), code=0))
        return
    if controller.registry.state != "up":
        down = controller.registry.state == "down"
        _fail(controller, save, SaveError(str(RegistryDown() if down else RegistryFull()), code=0))
        return
    if target is not None:
        cut = _revert_from(target, request)
        if request.tag and any(version.tag == request.tag for serial, version in target.live() if serial < cut):
            # Guess: a tag is there once; what the registry says to a second one is unknown.
            _fail(controller, save, SaveError(f"tag {request.tag} already exists", code=0))
            return
        if cut < len(target.history):
            templates.drop_versions(controller, target, cut)
    stored = templates.registry_files(controller)
    fresh = {name: size for name, size in size_by_name([_pushed(controller, save).files]).items() if name not in stored}
    if sum(fresh.values()) > controller.registry.free_space(sum(stored.values())):
        _fail(controller, save, SaveError(str(RegistryFull()), code=0))
        return
    length = compute_transfer_time(sum(fresh.values()), controller.timings.push_bandwidth)
    source, node = controller.instances[request.instance_id], controller.nodes.get(save.node_id)
    blow = apply_rules(controller, "save_image", source, node, source.ref)
    do = blow.do
    if do.fail is not None:
        save.fails, length = do.fail, int(length * do.share)
    if do.stall and do.lasts is None:
        save.stage, save.until, save.stall = SaveStage.PUSHING, None, Stall(blow.rule_id, length)
        controller.record("save image", save.id, stage=SaveStage.PUSHING.value)
        return
    _enter(controller, save, SaveStage.PUSHING, length + (do.lasts or 0 if do.stall else 0))


def fail_save(controller: Controller, save: SaveImage, message: str) -> None:
    """A push that goes on fails now."""
    if save.stage is SaveStage.PUSHING:
        _fail(controller, save, SaveError(message, code=0))


def release_stalled_save(controller: Controller, save: SaveImage) -> None:
    """The fault that held its push is removed: it goes on."""
    if save.stall is not None:
        rest, save.stall = save.stall.rest, None
        _enter(controller, save, SaveStage.PUSHING, rest)


def _revert_from(target: Template, request: SaveRequest) -> int:
    """The version from which on the target is reverted; past its last one if it is not.

    That is the tag named, or the latest; a tag that is not there is no error (controller-facts A19).
    """
    tag = request.revert_tag
    matches = [serial for serial, version in target.live() if not tag or version.tag == tag]
    return matches[-1] if request.revert_before_push and matches else len(target.history)


def _pushed(controller: Controller, save: SaveImage) -> Version:
    """What the push brings: the instance's layers, a new one on top, and the state of a suspended VM."""
    request = save.request
    source = controller.instances[request.instance_id]
    base = templates.version_of(controller, source.ref)
    spread = 0.9 + 0.2 * draw(controller.seed, save.id, "size")
    layer = File(
        make_image_file_name(controller.seed, save.id, "image"),
        int(controller.saved_size * spread) // BLOCK * BLOCK or BLOCK,
    )
    ram = source.vm.ram if source.vm else 0
    state = File(make_image_file_name(controller.seed, save.id, "state"), ram * MIB)
    target = controller.templates.get(request.template_id)
    return Version(
        number=target.next_number() if target else 0,
        tag=request.tag,
        images=(layer, *base.images),
        description=request.description,
        state_files=(state,) if request.suspend else (),
        port_forwarding=controller.templates[source.ref.template_id].rules_of(base),
        pushed=controller.now,
    )


def _finish(controller: Controller, save: SaveImage) -> None:
    request = save.request
    source = controller.instances[request.instance_id]
    target = controller.templates.get(request.template_id)
    if target is None:
        origin = controller.templates[source.ref.template_id]
        target = Template(
            id=make_host_uuid(controller.seed, save.id, "template"),
            name=request.new_template_name,
            cpus=origin.cpus,
            ram=origin.ram,
            arch=origin.arch,
        )
        controller.templates[target.id] = target
    elif target.deleted:
        _fail(controller, save, SaveError(str(NoSuchTemplate()), code=0))
        return
    version = _pushed(controller, save)
    target.add(version)
    controller.record("template pushed", target.id, tag=version.tag, version=version.number)
    _close(controller, save, None)
    transitions.forget(controller, source, "saved as an image")
    _next(controller, request.template_id)


def _enter(controller: Controller, save: SaveImage, stage: SaveStage, length: int) -> None:
    save.stage = stage
    save.until = controller.now + length
    controller.schedule(save.until, save_stage_end(save))
    controller.record("save image", save.id, stage=stage.value)


def _fail(controller: Controller, save: SaveImage, error: SaveError) -> None:
    _give_up(controller, save, error)
    _next(controller, save.request.template_id)


def _give_up(controller: Controller, save: SaveImage, error: SaveError) -> None:
    """The request ends in error and the instance runs on."""
    _close(controller, save, error)
    source = controller.instances[save.request.instance_id]
    transitions.transition(controller, source, InstanceState.STARTED, f"save image failed: {error.message}")


def _close(controller: Controller, save: SaveImage, error: SaveError | None) -> None:
    save.stage = SaveStage.ERROR if error else SaveStage.DONE
    save.until = save.stall = save.fails = None
    save.error = error
    controller.record("save image", save.id, stage=save.stage.value)
