"""Save image requests: a running instance pushed to the registry."""

import base64

import pytest

from mockanka.core import instances, nodes, save_images, templates
from mockanka.core.controller import Controller
from mockanka.core.errors import NoSuchTemplate, NoTarget, NotFound, NotRunning, Refusal
from mockanka.core.instance_record import Instance
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

RULES = (
    WARM
    + """
controller: {saved_size: 10GB}
scripts:
  - {match: fail, return_code: 3, stdout: tried, stderr: boom, takes: 30s}
"""
)
MANY = RULES.replace("capacity: 2", "capacity: 500")


def packed(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def tags(controller: Controller, name: str = "mac") -> list[str]:
    return [version.tag for version in template_named(controller, name).versions]


def ready(text: str = RULES) -> tuple[Controller, Instance]:
    controller = build_controller(text)
    return controller, started_instance(controller)


# The good end.


def test_a_saved_instance_is_a_new_tag_and_is_gone() -> None:
    """The push ends with a version on top, the instance gone and its slot free (A19)."""
    controller, mine = ready()
    made = save_instance(controller, mine, tag="fresh", description="with love")
    pass_time(controller, 100)
    version = template_named(controller).versions[-1]
    expected = ("done", None)

    assert expected == (made.status, made.error)
    assert (2, "fresh", "with love") == (version.number, version.tag, version.description)
    assert "gone" == state_history(controller, mine)[-1][1]
    assert {} == controller.instances == node_named(controller).occupants


def test_an_instance_is_pushing_from_the_request_on() -> None:
    """The state changes at once, and the request is pending until the end."""
    controller, mine = ready()
    made = save_instance(controller, mine, tag="fresh")
    expected = ("Pushing", "pending", False)

    assert expected == (mine.state, made.status, made.is_finished)


def test_a_push_takes_the_stop_and_what_is_new_over_the_bandwidth() -> None:
    """5 s to suspend, then a second for each new gigabyte: the layer, and the state of a suspended VM."""
    controller, mine = ready()
    mac = template_named(controller)
    before, asked = mac.size, controller.now
    made = save_instance(controller, mine, tag="fresh")
    pass_time(controller, 5)
    entered = made.stage.value
    until = made.until or 0
    pass_time(controller, 100)

    assert "pushing" == entered
    assert (mac.size - before) == pytest.approx((until - asked) / SECOND * GB - 5 * GB, abs=10)


def test_a_push_changes_the_size_of_the_template() -> None:
    """About the saved size comes on top, and the VM's RAM when it was suspended (A11)."""
    controller, mine = ready()
    save_instance(controller, mine, tag="fresh")
    pass_time(controller, 100)
    version = template_named(controller).versions[-1]
    layer = version.images[0].size

    assert 9 * GB <= layer <= 11 * GB
    assert layer + 15 * GB + 4096 * 1024**2 == template_named(controller).size


@pytest.mark.parametrize("suspend", [True, False])
def test_a_suspended_vm_is_saved_with_its_state(suspend: bool) -> None:
    """Suspended, the version has a state file of the size of the VM's RAM; stopped, it has none."""
    controller, mine = ready()
    save_instance(controller, mine, tag="fresh", suspend=suspend)
    pass_time(controller, 100)
    version = template_named(controller).versions[-1]

    assert ([4096 * 1024**2] if suspend else []) == [file.size for file in version.state_files]
    assert suspend is version.suspended


def test_the_new_version_stands_on_the_layers_of_the_instance() -> None:
    """An instance of an earlier tag brings that tag's layers and its own on top."""
    controller = build_controller(RULES)
    mine = started_instance(controller, tag="base")
    save_instance(controller, mine, tag="fresh")
    pass_time(controller, 100)
    versions = template_named(controller).versions

    assert versions[0].images == versions[2].images[1:]


def test_an_instance_can_be_saved_as_a_new_template() -> None:
    """A new template has one version, with number 0, and cores and RAM of the one it came from."""
    controller, mine = ready()
    made = save_instance(controller, mine, "", new_template_name="mine", tag="first")
    pass_time(controller, 100)
    new = template_named(controller, "mine")
    expected = "done"

    assert expected == made.status
    assert [(0, "first")] == [(version.number, version.tag) for version in new.versions]
    assert (template_named(controller).cpus, template_named(controller).ram) == (new.cpus, new.ram)


def test_what_was_saved_can_be_started() -> None:
    """An instance of the new tag comes up, and pulls only what is new."""
    controller, mine = ready()
    save_instance(controller, mine, tag="fresh")
    pass_time(controller, 100)
    again = started_instance(controller, tag="fresh")
    expected = 2

    assert "Pulling" in [state for _, state in state_history(controller, again)]
    assert expected == again.ref.serial


# Reverting.


@pytest.mark.parametrize(
    ("wanted", "left"),
    [
        ({"revert_before_push": True}, ["base", "fresh"]),
        ({"revert_before_push": True, "revert_tag": "tools"}, ["base", "fresh"]),
        ({"revert_before_push": True, "revert_tag": "base"}, ["fresh"]),
        ({"revert_before_push": True, "revert_tag": "nope"}, ["base", "tools", "fresh"]),
        ({"revert_before_push": False, "revert_tag": "base"}, ["base", "tools", "fresh"]),
        ({}, ["base", "tools", "fresh"]),
    ],
)
def test_a_revert_before_the_push_drops_the_named_tag_and_what_follows(
    wanted: dict[str, object], left: list[str]
) -> None:
    """Without a tag the latest goes; a tag that is not there is no error, and a tag alone reverts nothing (A19)."""
    controller, mine = ready()
    made = save_instance(controller, mine, tag="fresh", **wanted)
    pass_time(controller, 100)

    assert ("done", left) == (made.status, tags(controller))


def test_a_reverted_tag_may_come_again() -> None:
    """A push may replace the tag that it reverts."""
    controller, mine = ready()
    made = save_instance(controller, mine, tag="tools", revert_before_push=True)
    pass_time(controller, 100)
    expected = ("done", ["base", "tools"])

    assert expected == (made.status, tags(controller))


def test_numbers_go_on_from_what_is_left() -> None:
    """After a revert to nothing the new version has number 0."""
    controller, mine = ready()
    save_instance(controller, mine, tag="fresh", revert_before_push=True, revert_tag="base")
    pass_time(controller, 100)
    expected = [0]

    assert expected == [version.number for version in template_named(controller).versions]


# Refusals.


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        ({"instance_id": "nobody"}, NotFound),
        ({"template_id": ""}, NoTarget),
        ({"template_id": "nobody"}, NoSuchTemplate),
    ],
)
def test_a_request_that_names_nothing_is_refused(request_: dict[str, str], kind: type[Refusal]) -> None:
    """An unknown instance, no target or an unknown one: nothing begins."""
    controller, mine = ready()
    before = repr(state_of(controller))
    wanted = {"instance_id": mine.id, "template_id": template_named(controller).id, **request_}
    with pytest.raises(kind):
        save_images.create_save_image(controller, SaveRequest(**wanted))  # type: ignore[arg-type]

    assert before == repr(state_of(controller))


def test_only_a_started_instance_can_be_saved() -> None:
    """One that is on its way, or already pushed, is refused with its state."""
    controller = build_controller(RULES)
    young, pushed = start_instance(controller), started_instance(controller)
    save_instance(controller, pushed, tag="fresh")
    instances.terminate_instance(controller, young.id)

    with pytest.raises(NotRunning, match=r"^Instance is not running, its state is Pushing$"):
        save_instance(controller, pushed)
    with pytest.raises(NotRunning, match="Terminating"):
        save_instance(controller, young)


def test_a_deleted_template_is_no_target() -> None:
    """A template that was deleted cannot be pushed to."""
    controller, mine = ready()
    templates.delete_template(controller, template_named(controller).id)

    with pytest.raises(NoSuchTemplate):
        save_instance(controller, mine)


def test_a_request_is_found_by_its_id() -> None:
    """Find gives the request of that id, or says Not found."""
    controller, mine = ready()
    made = save_instance(controller, mine)

    assert made is save_images.find_save_image(controller, made.id)
    with pytest.raises(NotFound):
        save_images.find_save_image(controller, "nobody")


# Scripts.


def test_a_script_leaves_its_result() -> None:
    """The first rule that matches says what came back and how long it took; the push goes on whatever it returned."""
    controller, mine = ready()
    made = save_instance(controller, mine, tag="fresh", script=packed("make it fail"))
    pass_time(controller, 29)
    during = made.stage.value
    pass_time(controller, 100)

    assert (during, "done") == ("script", made.status)
    assert ScriptResult(3, False, "tried", "boom") == made.script_result


def test_without_a_script_there_is_no_result() -> None:
    """No script, no result."""
    controller, mine = ready()
    made = save_instance(controller, mine, tag="fresh")
    pass_time(controller, 100)

    assert made.script_result is None


@pytest.mark.parametrize(("script", "offset"), [("not base64", 3), ("QUJDRE*G", 6), ("QUJDRE", 4), ("QQ=", 3)])
def test_a_script_that_is_no_base64_is_an_error_as_go_has_it(script: str, offset: int) -> None:
    """The request is accepted and fails with Go's error and byte offset; the instance runs on (A20)."""
    controller, mine = ready()
    made = save_instance(controller, mine, tag="fresh", script=script)
    pass_time(controller, 0)
    expected = SaveError(f"illegal base64 data at input byte {offset}", type="base64.CorruptInputError")

    assert ("error", "Started") == (made.status, mine.state)
    assert expected == made.error


# One push per template at a time.


def test_pushes_to_one_template_come_one_after_the_other() -> None:
    """The second begins when the first is done; both are Pushing meanwhile (C13)."""
    controller = build_controller(MANY)
    mines = [started_instance(controller) for _ in range(3)]
    makes = [save_instance(controller, mine, tag=f"tag {n}") for n, mine in enumerate(mines)]
    seen = []
    while any(not made.is_finished for made in makes):
        seen.append([made.stage.value for made in makes])
        pass_time(controller, 1)
    expected = ["base", "tools", "tag 0", "tag 1", "tag 2"]

    assert all(sum(stage not in ("waiting", "done") for stage in stages) == 1 for stages in seen)
    assert expected == tags(controller)


def test_pushes_to_different_templates_do_not_wait() -> None:
    """A push to another template, or to new ones, begins at once."""
    controller = build_controller(MANY)
    mines = [started_instance(controller) for _ in range(3)]
    makes = [
        save_instance(controller, mines[0], tag="fresh"),
        save_instance(controller, mines[1], "", new_template_name="one"),
        save_instance(controller, mines[2], "", new_template_name="two"),
    ]
    expected = ["stopping"] * 3

    assert expected == [made.stage.value for made in makes]


def test_after_an_error_the_next_begins() -> None:
    """A request that fails does not hold up those behind it."""
    controller = build_controller(MANY)
    mines = [started_instance(controller) for _ in range(2)]
    first, second = save_instance(controller, mines[0], tag="base"), save_instance(controller, mines[1], tag="fresh")
    pass_time(controller, 100)
    expected = ("error", "done")

    assert expected == (first.status, second.status)


def test_any_number_of_corrupt_requests_in_line_fail_one_after_the_other() -> None:
    """A long line of requests with corrupt scripts is worked off when its turn comes."""
    controller = build_controller(MANY)
    mines = [
        controller.instances[id]
        for id in instances.start_instances(controller, instances.StartRequest(template_named(controller).id), 400)
    ]
    pass_time(controller, 60)
    first = save_instance(controller, mines[0], tag="fresh")
    others = [save_instance(controller, mine, tag="other", script="*") for mine in mines[1:]]
    pass_time(controller, 100)

    assert ("done", {"error"}) == (first.status, {made.status for made in others})
    assert {"Started"} == {*states(*mines[1:])}


# Bad ends.


def test_a_tag_that_is_there_is_an_error() -> None:
    """A tag cannot be there twice; the instance runs on (a guess)."""
    controller, mine = ready()
    made = save_instance(controller, mine, tag="base")
    pass_time(controller, 100)
    expected = ("Started", ["base", "tools"])

    assert SaveError("tag base already exists", code=0) == made.error
    assert expected == (mine.state, tags(controller))


@pytest.mark.parametrize("after", [0, 10])
def test_a_template_deleted_before_the_push_is_through_is_an_error(after: float) -> None:
    """Deleted before or during the push: nothing is pushed and the instance runs on."""
    controller, mine = ready()
    made = save_instance(controller, mine, tag="fresh")
    pass_time(controller, after)
    templates.delete_template(controller, template_named(controller).id)
    pass_time(controller, 100)
    expected = ("Started", [])

    assert SaveError("VM not in the registry", code=0) == made.error
    assert expected == (mine.state, tags(controller))


def test_an_instance_terminated_while_pushing_ends_its_request_in_error() -> None:
    """The request says why, nothing is pushed, and the next in line begins."""
    controller = build_controller(MANY)
    mine, other = started_instance(controller), started_instance(controller)
    made, behind = save_instance(controller, mine, tag="fresh"), save_instance(controller, other, tag="other")
    pass_time(controller, 10)
    instances.terminate_instance(controller, mine.id)
    pass_time(controller, 200)
    expected = ("done", ["base", "tools", "other"])

    assert SaveError("instance is Terminating", code=0) == made.error
    assert expected == (behind.status, tags(controller))


def test_a_node_lost_for_good_while_pushing_ends_the_request_in_error() -> None:
    """When the node is Offline the instance is in Error and its request too."""
    controller, mine = ready()
    made = save_instance(controller, mine, tag="fresh")
    pass_time(controller, 10)
    lose_node(controller)
    pass_time(controller, 100)
    before = made.status
    pass_time(controller, 100)
    expected = ("pending", "error", "Error")

    assert expected == (before, made.status, mine.state)
    assert SaveError("instance is Error", code=0) == made.error


def test_a_node_deleted_while_pushing_ends_the_request_in_error() -> None:
    """The instance of a deleted node is in Error, and its request too."""
    controller, mine = ready()
    made = save_instance(controller, mine, tag="fresh")
    nodes.delete_node(controller, node_named(controller).id)
    pass_time(controller, 100)
    expected = ("error", "Error")

    assert expected == (made.status, mine.state)


def test_a_stage_that_came_due_while_the_node_was_lost_is_over_on_return() -> None:
    """A silent node reports nothing; when it is back the push goes on from where it is."""
    controller, mine = ready()
    made = save_instance(controller, mine, tag="fresh")
    lose_node(controller)
    pass_time(controller, 60)
    before = made.stage.value
    restore_node(controller)
    pass_time(controller, 60)
    expected = ("stopping", "done")

    assert expected == (before, made.status)
    assert mine.id not in controller.instances


def test_an_instance_whose_request_failed_can_be_saved_again() -> None:
    """After an error another request begins as the first did."""
    controller, mine = ready()
    save_instance(controller, mine, tag="base")
    pass_time(controller, 100)
    again = save_instance(controller, mine, tag="fresh")
    pass_time(controller, 100)

    assert "done" == again.status


def test_a_request_may_be_given_its_id_and_time() -> None:
    """A scenario says which id a request has and when it was made."""
    controller, mine = ready()
    made = save_images.create_save_image(controller, SaveRequest(mine.id, new_template_name="x"), "my id", 42)
    expected = ("my id", 42)

    assert expected == (made.id, made.requested)


def test_the_event_that_ends_a_stage_is_the_one_that_is_due() -> None:
    """What is told to end a stage is what stands in the queue for it."""
    controller, mine = ready()
    made = save_instance(controller, mine, tag="fresh")
    found = []
    for seconds in (0, 6):
        pass_time(controller, seconds)
        found.append(
            save_images.save_stage_end_event(made)
            in [event for _, event in controller.queue.current_events(controller)]
        )
    expected = [True, True]

    assert expected == found
