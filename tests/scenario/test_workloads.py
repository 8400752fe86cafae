"""Loading workloads: instances and requests begin as they are written, and contradictions are refused."""

import pytest

from mockanka.core.controller import Controller
from mockanka.core.instance_record import Instance
from mockanka.core.lifecycle import InstanceState
from tests.controllers import controller_of, pass_time
from tests.scenario.problems import INVENTORY, problems_of


def only(controller: Controller) -> Instance:
    (instance,) = controller.instances.values()
    return instance


PLACE = "templates: [{name: os, versions: [{tag: base, size: 10GB}]}]\nnodes: [{name: n}]\n"


@pytest.mark.parametrize("state", ["Started", "Stopping", "Stopped", "Error", "Terminating", "Terminated", "Pulling"])
def test_an_instance_begins_in_the_state_it_is_said_to_be_in(state: str) -> None:
    """Every state but Scheduling and Pushing can be written for an instance on a node."""
    controller = controller_of(PLACE + f"instances: [{{template: os, node: n, state: {state}}}]")
    controller.advance()

    assert state == only(controller).state


@pytest.mark.parametrize(
    ("state", "seconds", "later"),
    [
        ("Pulling", 101, "Started"),
        ("Stopping", 5, "Stopped"),
        ("Terminating", 5, "Terminated"),
        ("Started", 999, "Started"),
    ],
)
def test_an_instance_goes_on_from_where_it_is_said_to_be(state: str, seconds: int, later: str) -> None:
    """A process that the scenario begins with ends when it is due."""
    controller = controller_of(PLACE + f"instances: [{{template: os, node: n, state: {state}}}]")
    pass_time(controller, seconds)

    assert later == only(controller).state


def test_an_instance_without_node_waits_for_one() -> None:
    """An instance that is only named is Scheduling, and starts by itself."""
    controller = controller_of(PLACE + "instances: [{template: os}]")
    before = only(controller).state
    pass_time(controller, 102)

    assert (InstanceState.SCHEDULING, InstanceState.STARTED) == (before, only(controller).state)


def test_count_makes_as_many() -> None:
    """``count`` makes instances that differ only in their ids."""
    controller = controller_of(PLACE + "instances: [{template: os, count: 5, name: many}]")

    assert ["many"] * 5 == [instance.request.name for instance in controller.instances.values()]


def test_a_distribution_without_target_goes_to_all_nodes() -> None:
    """A distribution that has just been asked for goes to the named nodes, those of its group, or all."""
    inventory = (
        "templates: [{name: os, versions: [{tag: base}]}]\nnodes: [{name: a, id: A}, {name: b, id: B, groups: [g]}]\n"
    )
    inventory += "groups: [{name: g}]\n"
    targets = [
        set(
            next(
                iter(controller_of(inventory + f"distributions: [{{template: os{rest}}}]").distributions.values())
            ).deliveries
        )
        for rest in ("", ", nodes: [a]", ", group: g")
    ]

    assert [{"A", "B"}, {"A"}, {"B"}] == targets


def test_a_save_image_request_begins_to_push() -> None:
    """A save image request of a Started instance makes it Pushing, and comes to its end."""
    text = PLACE + "instances: [{template: os, node: n, id: I}]\nsave_images: [{instance: I, new_template_name: new}]"
    controller = controller_of(text)
    before = only(controller).state
    pass_time(controller, 600)

    assert InstanceState.PUSHING == before
    assert {} == controller.instances
    assert ["os", "new"] == [template.name for template in controller.templates.values()]


UNFIT = {
    "instances:\n  - {template: os, node: mini}\n  - {template: os, node: mini}": (
        "w.yaml:15: instances[1].node: node mini has only 1 slots"
    ),
    "instances: [{template: os, node: mini, count: 2}]": "w.yaml:13: instances[0].node: node mini has only 1 slots",
    "instances: [{template: os, node: mini, state: Scheduling}]": (
        "w.yaml:13: instances[0].node: an instance in Scheduling has no node yet; pinned_node binds it to one"
    ),
    "instances:\n  - {template: os, node: mini, state: Pushing}": (
        "w.yaml:14: instances[0].state: write it as Started, and a save image request for it under save_images"
    ),
    "instances: [{template: os, state: Started}]": (
        "w.yaml:13: instances[0].state: an instance in Started needs a node"
    ),
    "instances: [{template: os, tag: base, node: maxi, state: Pulling}]": (
        "w.yaml:13: instances[0].state: node maxi has that version cached, so nothing is pulled"
    ),
    "instances: [{template: os, node: maxi, count: 2, state: Pulling}]": (
        "w.yaml:13: instances[0].node: node maxi pulls for another instance, and takes no more"
    ),
    "instances: [{template: os, node: maxi, usb_device: phone}]": (
        "w.yaml:13: instances[0].usb_device: node maxi has no free USB device 'phone'"
    ),
    "instances:\n  - {template: os, id: I}\n  - {template: os, id: I}": (
        "w.yaml:15: instances[1].id: there is another instance I"
    ),
    "instances: [{template: os, id: I, count: 2}]": (
        "w.yaml:13: instances[0].id: instances cannot share one id; leave out the id or the count"
    ),
    "  - {name: other, id: G1}": "w.yaml:13: groups[1].id: there is another group G1",
    "instances: [{template: os, node: maxi, id: I}]\nsave_images: [{instance: I}]": (
        "w.yaml:14: save_images[0]: One of target_vm_id and new_template_name is required"
    ),
    "instances: [{template: os, node: maxi, id: I, state: Stopped}]\nsave_images: [{instance: I, template: os}]": (
        "w.yaml:14: save_images[0]: Instance is not running, its state is Stopped"
    ),
    "instances: [{template: os, node: maxi, id: I}]\nsave_images: [{instance: I, template: os, stage: pushing}]": (
        "w.yaml:14: save_images[0].stage: only done and error can be written here; leave it out to begin anew"
    ),
}


@pytest.mark.parametrize("text", UNFIT)
def test_what_does_not_fit_together_is_refused(text: str) -> None:
    """A scenario whose parts contradict each other is refused where the contradiction stands."""
    assert [UNFIT[text]] == problems_of(INVENTORY + text)


@pytest.mark.parametrize(
    ("node", "problem"),
    [
        ("state: registry-unreachable", "the registry cannot be reached"),
        (
            "disk: 65GB",
            "no space left on node n: the pull needs 10000000000 bytes, 5000000000 can be freed",
        ),
    ],
)
def test_an_instance_cannot_pull_on_a_node_that_cannot(node: str, problem: str) -> None:
    """Such an instance would be in Scheduling."""
    text = PLACE.replace("{name: n}", f"{{name: n, {node}}}") + "instances: [{template: os, node: n, state: Pulling}]"

    assert [f"w.yaml:3: instances[0].node: {problem}"] == problems_of(text)
