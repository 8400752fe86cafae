"""Save image requests, which push a running instance to the registry."""

import base64

import pytest

from mockanka.core import instances, nodes, save_images, templates
from mockanka.core.controller import Controller
from mockanka.core.errors import NoSaveTarget, NoSuchTemplate, NotFound, NotRunning, Refusal
from mockanka.core.instance_record import Instance
from mockanka.core.lifecycle import LostInstances
from mockanka.core.save_images import SaveError, SaveRequest
from mockanka.core.scripts import ScriptResult
from mockanka.units import GB, SECOND
from tests.controllers import state_of
from tests.core.builders import (
    WARM,
    build_controller,
    lose_node,
    node_named,
    pass_time,
    restore_node,
    save_instance,
    start_instance,
    started_instance,
    state_history,
    states,
    template_named,
)

ONE_NODE = (
    WARM
    + """
controller: {saved_size: 10GB}
scripts:
  - {match: fail, return_code: 3, stdout: tried, stderr: boom, takes: 30s}
"""
)
MANY_SLOTS = ONE_NODE.replace("capacity: 2", "capacity: 500, workers: 500")


def encode_script(text: str) -> str:
    """Return a script in base64."""
    return base64.b64encode(text.encode()).decode()


def tags(controller: Controller, name: str = "mac") -> list[str]:
    """Return the tags of a template, oldest first."""
    return [version.tag for version in template_named(controller, name).versions]


def ready(text: str = ONE_NODE) -> tuple[Controller, Instance]:
    """Return a controller, and an instance of it that is Started."""
    controller = build_controller(text)
    return controller, started_instance(controller)


# Pushes.


def test_a_saved_instance_becomes_a_version_and_is_gone() -> None:
    """After the push the template has the version on top; the instance is gone and its slot free (A19)."""
    controller, instance = ready()
    save = save_instance(controller, instance, tag="fresh", description="with love")
    pass_time(controller, 100)
    version = template_named(controller).versions[-1]
    expected = ("done", None)

    assert expected == (save.status, save.error)
    assert (2, "fresh", "with love") == (version.number, version.tag, version.description)
    assert "gone" == state_history(controller, instance)[-1][1]
    assert {} == controller.instances == node_named(controller).occupants


def test_an_instance_is_pushing_from_the_request_on() -> None:
    """Its state changes at once, and the request is pending until the end."""
    controller, instance = ready()
    save = save_instance(controller, instance, tag="fresh")
    expected = ("Pushing", "pending", False)

    assert expected == (instance.state, save.status, save.is_finished)


def test_a_push_takes_the_stop_and_the_upload_of_new_files() -> None:
    """5 s to suspend, then a second for each gigabyte of the new layer and the VM's state."""
    controller, instance = ready()
    mac = template_named(controller)
    before, asked = mac.size, controller.now
    save = save_instance(controller, instance, tag="fresh")
    pass_time(controller, 5)
    entered = save.stage.value
    until = save.until or 0
    pass_time(controller, 100)

    assert "pushing" == entered
    assert (mac.size - before) == pytest.approx((until - asked) / SECOND * GB - 5 * GB, abs=10)


def test_a_push_adds_to_the_size_of_the_template() -> None:
    """About the saved size is added, and the VM's RAM if it was suspended (A11)."""
    controller, instance = ready()
    save_instance(controller, instance, tag="fresh")
    pass_time(controller, 100)
    version = template_named(controller).versions[-1]
    layer = version.images[0].size

    assert 9 * GB <= layer <= 11 * GB
    assert layer + 15 * GB + 4096 * 1024**2 == template_named(controller).size


@pytest.mark.parametrize("suspend", [True, False])
def test_a_suspended_vm_is_saved_with_its_state(suspend: bool) -> None:
    """The version has a state file of the size of the VM's RAM; without suspending it has none."""
    controller, instance = ready()
    save_instance(controller, instance, tag="fresh", suspend=suspend)
    pass_time(controller, 100)
    version = template_named(controller).versions[-1]

    assert ([4096 * 1024**2] if suspend else []) == [file.size for file in version.state_files]
    assert suspend is version.suspended


def test_the_new_version_has_the_layers_of_the_instance() -> None:
    """An instance of an earlier tag brings the layers of that tag, and its own on top."""
    controller = build_controller(ONE_NODE)
    instance = started_instance(controller, tag="base")
    save_instance(controller, instance, tag="fresh")
    pass_time(controller, 100)
    versions = template_named(controller).versions

    assert versions[0].images == versions[2].images[1:]


def test_an_instance_can_be_saved_as_a_new_template() -> None:
    """It has one version, with number 0, and the cores and RAM of the original template."""
    controller, instance = ready()
    save = save_instance(controller, instance, "", new_template_name="saved", tag="first")
    pass_time(controller, 100)
    new = template_named(controller, "saved")
    expected = "done"

    assert expected == save.status
    assert [(0, "first")] == [(version.number, version.tag) for version in new.versions]
    assert (template_named(controller).cpus, template_named(controller).ram) == (new.cpus, new.ram)


def test_a_saved_version_can_be_started() -> None:
    """An instance of the new tag pulls the new layer and starts."""
    controller, instance = ready()
    save_instance(controller, instance, tag="fresh")
    pass_time(controller, 100)
    again = started_instance(controller, tag="fresh")
    expected = 2

    assert "Pulling" in [state for _, state in state_history(controller, again)]
    assert expected == again.ref.serial


# Reverts.


@pytest.mark.parametrize(
    ("request_fields", "left"),
    [
        ({"revert_before_push": True}, ["base", "fresh"]),
        ({"revert_before_push": True, "revert_tag": "tools"}, ["base", "fresh"]),
        ({"revert_before_push": True, "revert_tag": "base"}, ["fresh"]),
        ({"revert_before_push": True, "revert_tag": "nope"}, ["base", "tools", "fresh"]),
        ({"revert_before_push": False, "revert_tag": "base"}, ["base", "tools", "fresh"]),
        ({}, ["base", "tools", "fresh"]),
    ],
)
def test_a_revert_before_the_push_deletes_the_named_tag_and_later_ones(
    request_fields: dict[str, object], left: list[str]
) -> None:
    """Without a tag the latest goes; an unknown tag is no error, and a tag alone reverts nothing (A19)."""
    controller, instance = ready()
    save = save_instance(controller, instance, tag="fresh", **request_fields)
    pass_time(controller, 100)

    assert ("done", left) == (save.status, tags(controller))


def test_a_reverted_tag_may_be_pushed_again() -> None:
    """A push may replace the tag that it reverts."""
    controller, instance = ready()
    save = save_instance(controller, instance, tag="tools", revert_before_push=True)
    pass_time(controller, 100)
    expected = ("done", ["base", "tools"])

    assert expected == (save.status, tags(controller))


def test_numbers_continue_from_the_versions_left() -> None:
    """After a revert of all versions the new one has number 0."""
    controller, instance = ready()
    save_instance(controller, instance, tag="fresh", revert_before_push=True, revert_tag="base")
    pass_time(controller, 100)
    expected = [0]

    assert expected == [version.number for version in template_named(controller).versions]


# Refusals.


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"instance_id": "nobody"}, NotFound),
        ({"template_id": ""}, NoSaveTarget),
        ({"template_id": "nobody"}, NoSuchTemplate),
    ],
)
def test_a_request_without_instance_or_target_is_refused(fields: dict[str, str], kind: type[Refusal]) -> None:
    """An unknown instance, no target or an unknown target: nothing changes."""
    controller, instance = ready()
    before = repr(state_of(controller))
    request_fields = {"instance_id": instance.id, "template_id": template_named(controller).id, **fields}
    with pytest.raises(kind):
        save_images.create_save_image(controller, SaveRequest(**request_fields))  # type: ignore[arg-type]

    assert before == repr(state_of(controller))


def test_only_a_started_instance_can_be_saved() -> None:
    """One that is terminating, or already Pushing, is refused with its state."""
    controller = build_controller(ONE_NODE)
    young, pushed = start_instance(controller), started_instance(controller)
    save_instance(controller, pushed, tag="fresh")
    instances.terminate_instance(controller, young.id)

    with pytest.raises(NotRunning, match=r"^Instance is not running, its state is Pushing$"):
        save_instance(controller, pushed)
    with pytest.raises(NotRunning, match="Terminating"):
        save_instance(controller, young)


def test_a_deleted_template_is_no_target() -> None:
    """A push to it is refused."""
    controller, instance = ready()
    templates.delete_template(controller, template_named(controller).id)

    with pytest.raises(NoSuchTemplate):
        save_instance(controller, instance)


def test_a_request_is_found_by_its_id() -> None:
    """find_save_image returns it, or raises NotFound."""
    controller, instance = ready()
    save = save_instance(controller, instance)

    assert save is save_images.find_save_image(controller, save.id)
    with pytest.raises(NotFound):
        save_images.find_save_image(controller, "nobody")


# Scripts.


def test_a_request_has_the_result_of_its_script() -> None:
    """The first script rule that matches sets result and duration; the push follows whatever the result."""
    controller, instance = ready()
    save = save_instance(controller, instance, tag="fresh", script=encode_script("make it fail"))
    pass_time(controller, 29)
    during = save.stage.value
    pass_time(controller, 100)

    assert (during, "done") == ("script", save.status)
    assert ScriptResult(3, False, "tried", "boom") == save.script_result


def test_without_a_script_there_is_no_result() -> None:
    """The result is None."""
    controller, instance = ready()
    save = save_instance(controller, instance, tag="fresh")
    pass_time(controller, 100)

    assert save.script_result is None


@pytest.mark.parametrize(("script", "offset"), [("not base64", 3), ("QUJDRE*G", 6), ("QUJDRE", 4), ("QQ=", 3)])
def test_a_script_that_is_not_base64_ends_in_the_error_of_go(script: str, offset: int) -> None:
    """The request is accepted, and fails with Go's text and byte offset; the instance is Started again (A20)."""
    controller, instance = ready()
    save = save_instance(controller, instance, tag="fresh", script=script)
    pass_time(controller, 0)
    expected = SaveError(f"illegal base64 data at input byte {offset}", type="base64.CorruptInputError")

    assert ("error", "Started") == (save.status, instance.state)
    assert expected == save.error


# Waiting requests.


def test_pushes_to_one_template_come_one_after_the_other() -> None:
    """The second begins when the first is done; both instances are Pushing meanwhile (C13)."""
    controller = build_controller(MANY_SLOTS)
    batch = [started_instance(controller) for _ in range(3)]
    saves = [save_instance(controller, instance, tag=f"tag {n}") for n, instance in enumerate(batch)]
    seen = []
    while any(not save.is_finished for save in saves):
        seen.append([save.stage.value for save in saves])
        pass_time(controller, 1)
    expected = ["base", "tools", "tag 0", "tag 1", "tag 2"]

    assert all(sum(stage not in ("waiting", "done") for stage in stages) == 1 for stages in seen)
    assert expected == tags(controller)


def test_pushes_to_different_templates_do_not_wait() -> None:
    """A push to another template, or to new ones, begins at once."""
    controller = build_controller(MANY_SLOTS)
    batch = [started_instance(controller) for _ in range(3)]
    saves = [
        save_instance(controller, batch[0], tag="fresh"),
        save_instance(controller, batch[1], "", new_template_name="one"),
        save_instance(controller, batch[2], "", new_template_name="two"),
    ]
    expected = ["stopping"] * 3

    assert expected == [save.stage.value for save in saves]


def test_after_an_error_the_next_request_begins() -> None:
    """A failed request does not block those behind it."""
    controller = build_controller(MANY_SLOTS)
    batch = [started_instance(controller) for _ in range(2)]
    first, second = save_instance(controller, batch[0], tag="base"), save_instance(controller, batch[1], tag="fresh")
    pass_time(controller, 100)
    expected = ("error", "done")

    assert expected == (first.status, second.status)


def test_many_waiting_requests_with_corrupt_scripts_all_fail() -> None:
    """They fail when the request before them is done, without deep recursion."""
    controller = build_controller(MANY_SLOTS)
    batch = [
        controller.instances[id]
        for id in instances.start_instances(controller, instances.StartRequest(template_named(controller).id), 400)
    ]
    pass_time(controller, 60)
    first = save_instance(controller, batch[0], tag="fresh")
    others = [save_instance(controller, instance, tag="other", script="*") for instance in batch[1:]]
    pass_time(controller, 100)

    assert ("done", {"error"}) == (first.status, {save.status for save in others})
    assert {"Started"} == {*states(*batch[1:])}


# Errors.


def test_an_existing_tag_is_an_error() -> None:
    """A template cannot have a tag twice; the instance is Started again (a guess)."""
    controller, instance = ready()
    save = save_instance(controller, instance, tag="base")
    pass_time(controller, 100)
    expected = ("Started", ["base", "tools"])

    assert SaveError("tag base already exists", code=0) == save.error
    assert expected == (instance.state, tags(controller))


@pytest.mark.parametrize("after", [0, 10])
def test_a_template_deleted_before_the_end_of_the_push_is_an_error(after: float) -> None:
    """Deleted before or during the push: nothing is pushed, and the instance is Started again."""
    controller, instance = ready()
    save = save_instance(controller, instance, tag="fresh")
    pass_time(controller, after)
    templates.delete_template(controller, template_named(controller).id)
    pass_time(controller, 100)
    expected = ("Started", [])

    assert SaveError("VM not in the registry", code=0) == save.error
    assert expected == (instance.state, tags(controller))


def test_an_instance_terminated_while_pushing_ends_its_request_in_error() -> None:
    """Nothing is pushed, and the next request begins."""
    controller = build_controller(MANY_SLOTS)
    instance, other = started_instance(controller), started_instance(controller)
    save, behind = save_instance(controller, instance, tag="fresh"), save_instance(controller, other, tag="other")
    pass_time(controller, 10)
    instances.terminate_instance(controller, instance.id)
    pass_time(controller, 200)
    expected = ("done", ["base", "tools", "other"])

    assert SaveError("instance is Terminating", code=0) == save.error
    assert expected == (behind.status, tags(controller))


def test_a_node_lost_for_good_while_pushing_ends_the_request_in_error() -> None:
    """When the node is Offline, instance and request are in error, if the scenario says so."""
    controller, instance = ready()
    controller.lost_instances = LostInstances.ERROR
    save = save_instance(controller, instance, tag="fresh")
    pass_time(controller, 10)
    lose_node(controller)
    pass_time(controller, 100)
    before = save.status
    pass_time(controller, 100)
    expected = ("pending", "error", "Error")

    assert expected == (before, save.status, instance.state)
    assert SaveError("instance is Error", code=0) == save.error


def test_a_push_continues_when_a_node_that_was_offline_is_back() -> None:
    """The request is pending until then, and done at the end."""
    controller, instance = ready()
    save = save_instance(controller, instance, tag="fresh")
    pass_time(controller, 10)
    lose_node(controller)
    pass_time(controller, 300)
    before = (save.status, instance.state)
    restore_node(controller)
    pass_time(controller, 300)

    assert (("pending", "Pushing"), "done") == (before, save.status)


def test_a_node_deleted_while_pushing_ends_the_request_in_error() -> None:
    """The instance is in Error too."""
    controller, instance = ready()
    save = save_instance(controller, instance, tag="fresh")
    nodes.delete_node(controller, node_named(controller).id)
    pass_time(controller, 100)
    expected = ("error", "Error")

    assert expected == (save.status, instance.state)


def test_a_stage_that_ends_on_a_lost_node_ends_on_its_return() -> None:
    """The push begins when the node is back."""
    controller, instance = ready()
    save = save_instance(controller, instance, tag="fresh")
    lose_node(controller)
    pass_time(controller, 60)
    before = save.stage.value
    restore_node(controller)
    pass_time(controller, 60)
    expected = ("stopping", "done")

    assert expected == (before, save.status)
    assert instance.id not in controller.instances


def test_an_instance_whose_request_failed_can_be_saved_again() -> None:
    """A second request is done like a first."""
    controller, instance = ready()
    save_instance(controller, instance, tag="base")
    pass_time(controller, 100)
    again = save_instance(controller, instance, tag="fresh")
    pass_time(controller, 100)

    assert "done" == again.status


def test_a_scenario_may_set_id_and_time_of_a_request() -> None:
    """The request has them."""
    controller, instance = ready()
    save = save_images.create_save_image(controller, SaveRequest(instance.id, new_template_name="x"), "my id", 42)
    expected = ("my id", 42)

    assert expected == (save.id, save.requested)


def test_the_event_that_ends_a_stage_is_in_the_queue() -> None:
    """save_stage_end_event returns an event that is scheduled."""
    controller, instance = ready()
    save = save_instance(controller, instance, tag="fresh")
    found = []
    for seconds in (0, 6):
        pass_time(controller, seconds)
        found.append(
            save_images.save_stage_end_event(save)
            in [event for _, event in controller.queue.current_events(controller)]
        )
    expected = [True, True]

    assert expected == found
