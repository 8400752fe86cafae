"""Save image requests, which push a running instance to the registry (controller-facts A19, A20, C13).

The stages are: run the script, suspend or stop the VM, revert the template, push; then the instance is gone. A template
is the target of one push at a time. A request that fails has status ``error``, and its instance is Started again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from mockanka.core import instances, pulls, scripts, templates, transitions
from mockanka.core.durations import compute_transfer_time
from mockanka.core.errors import NoSaveTarget, NoSuchTemplate, NotFound, NotRunning, RegistryDown, RegistryFull
from mockanka.core.events import NodeEvent
from mockanka.core.faults import apply_rules
from mockanka.core.instance_record import Stall
from mockanka.core.lifecycle import InstanceState
from mockanka.core.randomness import draw, make_host_uuid, make_image_file_name
from mockanka.core.scripts import InvalidBase64, ScriptResult
from mockanka.core.templates import File, Template, Version, collect_file_sizes
from mockanka.units import MIB

if TYPE_CHECKING:
    from mockanka.core.controller import Controller
    from mockanka.core.nodes import Node

FILE_BLOCK_SIZE = 4096


class SaveStage(StrEnum):
    """The stages of a request. The API shows all but the last two as ``pending``."""

    WAITING = "waiting"
    SCRIPT = "script"
    STOPPING = "stopping"
    PUSHING = "pushing"
    DONE = "done"
    ERROR = "error"


@dataclass(frozen=True)
class SaveRequest:
    """The request as POST image has it (controller-facts A19); ``script`` is base64."""

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
    """Why a request failed. A Go error has a ``type``, any other a ``code`` (controller-facts A20, B13)."""

    message: str
    type: str | None = None
    code: int | None = None


@dataclass
class SaveImage:
    """A save image request and its stage. ``until`` is when the stage ends; times are nanoseconds."""

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
    """The message with which its push is going to fail because of a fault."""
    stall: Stall | None = None

    @property
    def status(self) -> str:
        """``pending``, ``done`` or ``error``."""
        return self.stage.value if self.stage in (SaveStage.DONE, SaveStage.ERROR) else "pending"

    @property
    def shown_script_result(self) -> ScriptResult | None:
        """The result of its script, once that has ended."""
        return None if self.stage in (SaveStage.WAITING, SaveStage.SCRIPT) else self.script_result

    @property
    def is_finished(self) -> bool:
        """True if the request is done or has failed."""
        return self.stage in (SaveStage.DONE, SaveStage.ERROR)

    def interrupt(self, controller: Controller, message: str) -> None:
        """Fail the request, unless it is finished, because its instance has left Pushing."""
        if not self.is_finished:
            _close_save(controller, self, SaveError(message, code=0))
            _begin_waiting_saves(controller, self.request.template_id)


@dataclass(frozen=True, slots=True)
class SaveStageEnded(NodeEvent):
    """A stage of a request ends, as the node reports, and the next begins."""

    kind: ClassVar = "save_stage_ended"

    save_id: str
    stage: SaveStage

    def reporting_node(self, controller: Controller) -> Node | None:
        save = controller.save_images.get(self.save_id)
        return controller.nodes.get(save.node_id) if save and save.stage is self.stage else None

    def apply(self, controller: Controller) -> None:
        save = controller.save_images[self.save_id]
        if self.stage is SaveStage.SCRIPT:
            _end_script(controller, save)
        elif self.stage is SaveStage.STOPPING:
            _begin_pushing(controller, save)
        elif save.fails is not None:
            _fail_save(controller, save, SaveError(save.fails, code=0))
        else:
            _finish_save(controller, save)


def save_stage_end_event(save: SaveImage) -> SaveStageEnded:
    """Return the event that ends the stage of a request."""
    return SaveStageEnded(save.id, save.stage)


def create_save_image(
    controller: Controller, request: SaveRequest, id: str | None = None, requested: int | None = None
) -> SaveImage:
    """Accept a request to save an instance, which is Pushing from now on.

    Raises NotFound, NoSaveTarget, NoSuchTemplate, NotRunning or RegistryDown. A scenario may set the ``id``, and the
    time at which it was ``requested``.
    """
    source = instances.find_instance(controller, request.instance_id)
    if not request.template_id and not request.new_template_name:
        raise NoSaveTarget
    controller.registry.require_reachable()
    if request.template_id and not _is_target(controller, request.template_id):
        raise NoSuchTemplate
    # Guess: a VM cannot be saved while it restarts.
    is_running = source.state is InstanceState.STARTED and source.restarting_until is None
    if not is_running or source.vm is None or source.node_id is None:
        raise NotRunning(source.state)
    save = SaveImage(
        id or controller.new_id("save"),
        controller.now if requested is None else requested,
        request,
        source.vm.uuid,
        source.node_id,
    )
    add_save_image(controller, save)
    transitions.transition(controller, source, InstanceState.PUSHING, "save image")
    source.save_id = save.id
    controller.record("save image", save.id, instance=source.id, stage=SaveStage.WAITING.value)
    _begin_waiting_saves(controller, request.template_id)
    return save


def add_save_image(controller: Controller, save: SaveImage) -> None:
    """Put a request into the controller, in whatever stage it is; it takes the place of one with the same id."""
    if save.id in controller.save_images:
        _remove_unfinished(controller, controller.save_images[save.id])
    controller.save_images[save.id] = save
    if save.stage is SaveStage.WAITING:
        controller.waiting_saves.setdefault(save.request.template_id, {})[save.id] = save
    elif not save.is_finished:
        controller.active_saves.setdefault(save.request.template_id, set()).add(save.id)


def _remove_unfinished(controller: Controller, save: SaveImage) -> None:
    """Take a request out of those that wait or are active."""
    template_id = save.request.template_id
    if waiting := controller.waiting_saves.get(template_id):
        waiting.pop(save.id, None)
        if not waiting:
            del controller.waiting_saves[template_id]
    if active := controller.active_saves.get(template_id):
        active.discard(save.id)
        if not active:
            del controller.active_saves[template_id]


def find_save_image(controller: Controller, save_id: str) -> SaveImage:
    """Return the request with that id. Raises NotFound, whose text is a guess."""
    save = controller.save_images.get(save_id)
    if save is None:
        raise NotFound
    return save


def resume_saves(controller: Controller, node: Node) -> None:
    """Schedule for now the ends of stages that passed while the node was lost."""
    for save in controller.save_images.values():
        if save.node_id == node.id and save.until is not None and save.until <= controller.now:
            controller.schedule(controller.now, save_stage_end_event(save))


def _is_target(controller: Controller, template_id: str) -> bool:
    return template_id in controller.templates and not controller.templates[template_id].deleted


def _begin_waiting_saves(controller: Controller, template_id: str) -> None:
    """Begin the oldest waiting request for a template, unless one is active; all that make new templates."""
    while waiting := controller.waiting_saves.get(template_id):
        if template_id and template_id in controller.active_saves:
            return
        _begin_save(controller, next(iter(waiting.values())))


def _begin_save(controller: Controller, save: SaveImage) -> None:
    _remove_unfinished(controller, save)
    controller.active_saves.setdefault(save.request.template_id, set()).add(save.id)
    if not save.request.script:
        _begin_stopping(controller, save)
        return
    source = controller.instances[save.request.instance_id]
    try:
        # Guess: the script of a save image request has no timeout.
        save.script_result, takes = scripts.run_script(
            controller, source, save.request.script, None, f"script {save.id}"
        )
    except InvalidBase64 as error:
        # As late as the real controller does (controller-facts A20).
        _end_in_error(controller, save, SaveError(str(error), type="base64.CorruptInputError"))
        return
    _begin_stage(controller, save, SaveStage.SCRIPT, takes)


def _end_script(controller: Controller, save: SaveImage) -> None:
    failed = save.script_result is not None and save.script_result.return_code != 0
    if failed and save.request.cancel_on_script_failure:
        # The text is known (controller-facts A20).
        _fail_save(controller, save, SaveError("Script execution failed", code=0))
    else:
        _begin_stopping(controller, save)


def _begin_stopping(controller: Controller, save: SaveImage) -> None:
    length = controller.timings.stop.sample(draw(controller.seed, save.id, "stop"))
    _begin_stage(controller, save, SaveStage.STOPPING, length)


def _begin_pushing(controller: Controller, save: SaveImage) -> None:
    request = save.request
    problem = _find_push_problem(controller, request, controller.nodes.get(save.node_id))
    if problem is not None:
        _fail_save(controller, save, SaveError(problem, code=0))
        return
    target = controller.templates.get(request.template_id)
    if target is not None and (serial := _find_revert_serial(target, request)) < len(target.history):
        # Guess: the template stays, though no version is left, because the push adds one.
        templates.delete_versions_from(controller, target, serial)
    stored = templates.registry_files(controller)
    files = collect_file_sizes([_build_pushed_version(controller, save).files])
    upload_size = sum(size for name, size in files.items() if name not in stored)
    if upload_size > controller.registry.free_space(sum(stored.values())):
        _fail_save(controller, save, SaveError(str(RegistryFull()), code=0))
        return
    length = compute_transfer_time(upload_size, controller.timings.push_bandwidth)
    source, node = controller.instances[request.instance_id], controller.nodes.get(save.node_id)
    hit = apply_rules(controller, "save_image", source, node, source.ref)
    action = hit.action
    if action.fail is not None:
        save.fails, length = action.fail, int(length * action.fraction)
    if action.stall and action.duration is None:
        save.stage, save.until, save.stall = SaveStage.PUSHING, None, Stall(hit.rule_id, length)
        controller.record("save image", save.id, stage=SaveStage.PUSHING.value)
        return
    _begin_stage(controller, save, SaveStage.PUSHING, length + (action.duration or 0 if action.stall else 0))


def _find_push_problem(controller: Controller, request: SaveRequest, node: Node | None) -> str | None:
    """Return why the push of a request from a node cannot begin, apart from its size, or None."""
    if request.template_id and not _is_target(controller, request.template_id):
        return str(NoSuchTemplate())
    try:
        pulls.require_registry(controller, node)
        controller.registry.require_writable()
    except (RegistryDown, RegistryFull) as refusal:
        return str(refusal)
    target = controller.templates.get(request.template_id)
    if target is not None and request.tag:
        serial = _find_revert_serial(target, request)
        kept_tags = [version.tag for version in target.history[:serial] if not version.deleted]
        if request.tag in kept_tags:
            # Guess: tags are unique; what the registry says to a second one is unknown.
            return f"tag {request.tag} already exists"
    return None


def fail_push(controller: Controller, save: SaveImage, message: str) -> None:
    """Fail a request whose push is in progress; leave any other alone."""
    if save.stage is SaveStage.PUSHING:
        _fail_save(controller, save, SaveError(message, code=0))


def release_stalled_save(controller: Controller, save: SaveImage) -> None:
    """Continue the push of a request that a fault stalls."""
    if save.stall is not None:
        remaining, save.stall = save.stall.rest, None
        _begin_stage(controller, save, SaveStage.PUSHING, remaining)


def _find_revert_serial(target: Template, request: SaveRequest) -> int:
    """Return the serial of the version from which the target is reverted; one past the last if it is not reverted.

    That is the version with the tag that the request names, or the latest; an unknown tag is no error (controller-facts
    A19).
    """
    tag = request.revert_tag
    matches = [serial for serial, version in target.versions_by_serial() if not tag or version.tag == tag]
    return matches[-1] if request.revert_before_push and matches else len(target.history)


def _build_pushed_version(controller: Controller, save: SaveImage) -> Version:
    """Build the version that is pushed: the instance's layers, a new one on top, and the state of a suspended VM."""
    request = save.request
    source = controller.instances[request.instance_id]
    base = templates.get_version(controller, source.ref)
    spread = 0.9 + 0.2 * draw(controller.seed, save.id, "size")
    layer = File(
        make_image_file_name(controller.seed, save.id, "image"),
        int(controller.saved_size * spread) // FILE_BLOCK_SIZE * FILE_BLOCK_SIZE or FILE_BLOCK_SIZE,
    )
    ram = source.vm.ram if source.vm else 0
    state = File(make_image_file_name(controller.seed, save.id, "state"), ram * MIB)
    target = controller.templates.get(request.template_id)
    return Version(
        number=target.next_version_number() if target else 0,
        tag=request.tag,
        images=(layer, *base.images),
        description=request.description,
        state_files=(state,) if request.suspend else (),
        port_forwarding=controller.templates[source.ref.template_id].port_rules_for(base),
        pushed=controller.now,
        created=controller.now,  # guess
    )


def _finish_save(controller: Controller, save: SaveImage) -> None:
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
        _fail_save(controller, save, SaveError(str(NoSuchTemplate()), code=0))
        return
    version = _build_pushed_version(controller, save)
    target.add(version)
    controller.record("template pushed", target.id, tag=version.tag, version=version.number)
    _close_save(controller, save, None)
    transitions.forget_instance(controller, source, "saved as an image")
    _begin_waiting_saves(controller, request.template_id)


def _begin_stage(controller: Controller, save: SaveImage, stage: SaveStage, length: int) -> None:
    save.stage = stage
    save.until = controller.now + length
    controller.schedule(save.until, save_stage_end_event(save))
    controller.record("save image", save.id, stage=stage.value)


def _fail_save(controller: Controller, save: SaveImage, error: SaveError) -> None:
    _end_in_error(controller, save, error)
    _begin_waiting_saves(controller, save.request.template_id)


def _end_in_error(controller: Controller, save: SaveImage, error: SaveError) -> None:
    """End a request in error; its instance is Started again."""
    _close_save(controller, save, error)
    source = controller.instances[save.request.instance_id]
    transitions.transition(controller, source, InstanceState.STARTED, f"save image failed: {error.message}")


def _close_save(controller: Controller, save: SaveImage, error: SaveError | None) -> None:
    _remove_unfinished(controller, save)
    save.stage = SaveStage.ERROR if error else SaveStage.DONE
    save.until = save.stall = save.fails = None
    save.error = error
    controller.record("save image", save.id, stage=save.stage.value)
