"""Taking a template off the nodes' disks."""

import pytest

from mockanka.core import pulls, removals, templates
from mockanka.core.controller import Controller
from mockanka.core.errors import NoSuchNode, NotFound
from mockanka.core.time_control import settle
from mockanka.units import GB
from tests.controllers import reload, state_of
from tests.core.builders import (
    build_controller,
    count_log_entries,
    lose_node,
    node_named,
    pass_time,
    restore_node,
    start_instance,
    started_instance,
    states,
    template_named,
)

THREE = """
templates:
  - name: mac
    versions: [{tag: base, size: 10GB}, {tag: tools, size: 5GB}]
  - {name: other, versions: [{tag: only, size: 1GB}]}
nodes:
  - {name: alpha, cached: ["mac:base", "mac:tools", other]}
  - {name: beta, cached: ["mac:base"]}
  - {name: gamma, cached: [other]}
"""


def tags(controller: Controller, name: str = "alpha") -> list[str]:
    """What a node has on its disk."""
    cached = node_named(controller, name).cached
    return [
        f"{controller.templates[ref.template_id].name}:{templates.get_version(controller, ref).tag}" for ref in cached
    ]


def remove(controller: Controller, *nodes: str, name: str = "mac") -> list[str]:
    """The names of the nodes that were asked."""
    ids = [node_named(controller, each).id for each in nodes]
    asked = removals.request_removal(controller, template_named(controller, name).id, ids)
    return [controller.nodes[id].name for id in asked]


def test_all_versions_go_from_the_nodes_that_have_some() -> None:
    """Those nodes are asked, and take them off with their next task; other templates stay."""
    controller = build_controller(THREE)
    asked = remove(controller)
    before = tags(controller)
    pass_time(controller, 1)

    assert ["alpha", "beta"] == asked
    assert ["mac:base", "mac:tools", "other:only"] == before
    assert (["other:only"], [], ["other:only"]) == tuple(tags(controller, each) for each in ("alpha", "beta", "gamma"))
    assert (1, 2) == (
        count_log_entries(controller, "template removal"),
        count_log_entries(controller, "template removed"),
    )


def test_named_nodes_alone_are_asked() -> None:
    """Each once, also one that has nothing of it."""
    controller = build_controller(THREE)
    asked = remove(controller, "gamma", "beta", "gamma")
    pass_time(controller, 1)

    assert ["gamma", "beta"] == asked
    assert (3, 0) == (len(tags(controller)), len(tags(controller, "beta")))


def test_the_registry_keeps_it() -> None:
    """It can be pulled again."""
    controller = build_controller(THREE)
    remove(controller)
    pass_time(controller, 1)
    mine = start_instance(controller, on="beta")
    pass_time(controller, 10)

    assert ["Pulling"] == states(mine)


def test_a_template_that_left_the_registry_can_be_removed() -> None:
    """What is still on the disks goes."""
    controller = build_controller(THREE)
    templates.delete_template(controller, template_named(controller).id)
    remove(controller)
    pass_time(controller, 1)

    assert [] == tags(controller, "beta")


def test_what_never_was_is_refused() -> None:
    """An unknown template is not found, an unknown node named; nothing is asked of anybody."""
    controller = build_controller(THREE)
    before = repr(state_of(controller))
    with pytest.raises(NotFound):
        removals.request_removal(controller, "nothing")
    with pytest.raises(NoSuchNode, match=r"^No such node nobody$"):
        removals.request_removal(controller, template_named(controller).id, [node_named(controller).id, "nobody"])

    assert before == repr(state_of(controller))


@pytest.mark.parametrize(("tag", "left"), [("base", ["mac:base"]), ("tools", ["mac:tools"])])
def test_what_a_vm_runs_on_stays(tag: str, left: list[str]) -> None:
    """The version of a VM is left, and no other of the template that it does not need."""
    controller = build_controller(THREE)
    started_instance(controller, on="alpha", tag=tag)
    remove(controller, "alpha")
    pass_time(controller, 1)

    assert [*left, "other:only"] == tags(controller)


def test_a_vm_of_a_version_that_came_with_another_keeps_its_layers() -> None:
    """A VM of the lower version runs on what was pulled for the higher one; the upper layer goes alone."""
    controller = build_controller(THREE.replace('"mac:base", "mac:tools", other', '"mac:tools"'))
    mine = started_instance(controller, on="alpha", tag="base")
    remove(controller, "alpha")
    pass_time(controller, 1)

    assert (["Started"], ["mac:base"]) == (states(mine), tags(controller))


def test_layers_that_a_pull_leans_on_stay() -> None:
    """A pull that fetches the upper layer alone needs the lower one when it is through."""
    controller = build_controller(THREE)
    mine = start_instance(controller, on="beta", tag="tools")
    pass_time(controller, 2)
    remove(controller, "beta")
    pass_time(controller, 100)

    assert (["Started"], ["mac:base", "mac:tools"]) == (states(mine), tags(controller, "beta"))


def test_the_disk_is_free_afterwards() -> None:
    """What was taken off takes no room."""
    controller = build_controller(THREE)
    alpha = node_named(controller)

    before = pulls.disk_used(controller, alpha, controller.now)
    remove(controller)
    pass_time(controller, 1)

    assert 15 * GB == before - pulls.disk_used(controller, alpha, controller.now)


def test_a_lost_node_removes_when_it_is_back() -> None:
    """It hears of nothing while it is silent."""
    controller = build_controller(THREE)
    lose_node(controller, "beta")
    remove(controller)
    pass_time(controller, 60)
    silent = tags(controller, "beta")
    restore_node(controller, "beta")
    pass_time(controller, 0)

    assert (["mac:base"], []) == (silent, tags(controller, "beta"))


@pytest.mark.parametrize("seconds", [0, 0.5, 1])
def test_a_removal_survives_a_dump(seconds: float) -> None:
    """What a node is to take off it takes off in the loaded controller as well."""
    controller = build_controller(THREE)
    lose_node(controller, "beta")
    remove(controller)
    pass_time(controller, seconds)
    loaded = reload(controller)

    assert state_of(controller) == state_of(loaded)
    for each in (controller, loaded):
        restore_node(each, "beta")
        pass_time(each, 10)
        assert [] == tags(each, "beta")


def test_settling_waits_for_a_removal() -> None:
    """It is on its way."""
    controller = build_controller(THREE)
    remove(controller)
    settle(controller)

    assert [] == tags(controller, "beta")
