"""Removals of a template from the disks of nodes."""

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

THREE_NODES = """
templates:
  - name: mac
    versions: [{tag: base, size: 10GB}, {tag: tools, size: 5GB}]
  - {name: other, versions: [{tag: only, size: 1GB}]}
nodes:
  - {name: alpha, cached: ["mac:base", "mac:tools", other]}
  - {name: beta, cached: ["mac:base"]}
  - {name: gamma, cached: [other]}
"""


def list_cached_tags(controller: Controller, name: str = "alpha") -> list[str]:
    """Return the versions on the disk of a node, as template:tag."""
    cached = node_named(controller, name).cached
    return [
        f"{controller.templates[ref.template_id].name}:{templates.get_version(controller, ref).tag}" for ref in cached
    ]


def remove_template(controller: Controller, *nodes: str, name: str = "mac") -> list[str]:
    """Request a removal and return the names of the nodes that do it."""
    ids = [node_named(controller, node).id for node in nodes]
    asked = removals.request_template_removal(controller, template_named(controller, name).id, ids)
    return [controller.nodes[id].name for id in asked]


def test_all_versions_are_removed_from_the_nodes_that_have_some() -> None:
    """Those nodes remove them with their next task; other templates stay."""
    controller = build_controller(THREE_NODES)
    asked = remove_template(controller)
    before = list_cached_tags(controller)
    pass_time(controller, 1)

    assert ["alpha", "beta"] == asked
    assert ["mac:base", "mac:tools", "other:only"] == before
    assert (["other:only"], [], ["other:only"]) == tuple(
        list_cached_tags(controller, node) for node in ("alpha", "beta", "gamma")
    )
    assert (1, 2) == (
        count_log_entries(controller, "template removal"),
        count_log_entries(controller, "template removed"),
    )


def test_only_named_nodes_remove_it() -> None:
    """Each does so once, also one that has no version of it."""
    controller = build_controller(THREE_NODES)
    asked = remove_template(controller, "gamma", "beta", "gamma")
    pass_time(controller, 1)

    assert ["gamma", "beta"] == asked
    assert (3, 0) == (len(list_cached_tags(controller)), len(list_cached_tags(controller, "beta")))


def test_a_removed_template_stays_in_the_registry() -> None:
    """The template can be pulled again."""
    controller = build_controller(THREE_NODES)
    remove_template(controller)
    pass_time(controller, 1)
    instance = start_instance(controller, on="beta")
    pass_time(controller, 10)

    assert ["Pulling"] == states(instance)


def test_a_template_that_was_deleted_from_the_registry_can_be_removed() -> None:
    """It is removed from the disks."""
    controller = build_controller(THREE_NODES)
    templates.delete_template(controller, template_named(controller).id)
    remove_template(controller)
    pass_time(controller, 1)

    assert [] == list_cached_tags(controller, "beta")


def test_unknown_templates_and_nodes_are_refused() -> None:
    """An unknown template is NotFound, the refusal of an unknown node names it, and nothing changes."""
    controller = build_controller(THREE_NODES)
    before = repr(state_of(controller))
    with pytest.raises(NotFound):
        removals.request_template_removal(controller, "nothing")
    with pytest.raises(NoSuchNode, match=r"^No such node nobody$"):
        removals.request_template_removal(
            controller, template_named(controller).id, [node_named(controller).id, "nobody"]
        )

    assert before == repr(state_of(controller))


@pytest.mark.parametrize(("tag", "left"), [("base", ["mac:base"]), ("tools", ["mac:tools"])])
def test_the_version_of_a_vm_stays(tag: str, left: list[str]) -> None:
    """Versions of the template that no VM needs are removed."""
    controller = build_controller(THREE_NODES)
    started_instance(controller, on="alpha", tag=tag)
    remove_template(controller, "alpha")
    pass_time(controller, 1)

    assert [*left, "other:only"] == list_cached_tags(controller)


def test_layers_of_a_vm_stay_if_they_came_with_another_version() -> None:
    """A VM of the lower version runs on layers that were pulled for the upper one."""
    controller = build_controller(THREE_NODES.replace('"mac:base", "mac:tools", other', '"mac:tools"'))
    instance = started_instance(controller, on="alpha", tag="base")
    remove_template(controller, "alpha")
    pass_time(controller, 1)

    assert (["Started"], ["mac:base"]) == (states(instance), list_cached_tags(controller))


def test_layers_that_a_pull_needs_stay() -> None:
    """A pull that fetches only the upper layer needs the lower one for its version."""
    controller = build_controller(THREE_NODES)
    instance = start_instance(controller, on="beta", tag="tools")
    pass_time(controller, 2)
    remove_template(controller, "beta")
    pass_time(controller, 100)

    assert (["Started"], ["mac:base", "mac:tools"]) == (states(instance), list_cached_tags(controller, "beta"))


def test_the_disk_is_free_afterwards() -> None:
    """Removed files take no disk."""
    controller = build_controller(THREE_NODES)
    alpha = node_named(controller)

    before = pulls.compute_disk_usage(controller, alpha, controller.now)
    remove_template(controller)
    pass_time(controller, 1)

    assert 15 * GB == before - pulls.compute_disk_usage(controller, alpha, controller.now)


def test_a_lost_node_removes_a_template_when_it_is_back() -> None:
    """It does nothing while it is lost."""
    controller = build_controller(THREE_NODES)
    lose_node(controller, "beta")
    remove_template(controller)
    pass_time(controller, 60)
    silent = list_cached_tags(controller, "beta")
    restore_node(controller, "beta")
    pass_time(controller, 0)

    assert (["mac:base"], []) == (silent, list_cached_tags(controller, "beta"))


@pytest.mark.parametrize("seconds", [0, 0.5, 1])
def test_a_removal_survives_a_dump(seconds: float) -> None:
    """The node removes the template in the loaded controller, too."""
    controller = build_controller(THREE_NODES)
    lose_node(controller, "beta")
    remove_template(controller)
    pass_time(controller, seconds)
    loaded = reload(controller)

    assert state_of(controller) == state_of(loaded)
    for copy in (controller, loaded):
        restore_node(copy, "beta")
        pass_time(copy, 10)
        assert [] == list_cached_tags(copy, "beta")


def test_a_renewed_removal_happens_once_at_its_new_time() -> None:
    """A second request takes the place of the first, which has no effect at its time."""
    controller = build_controller(THREE_NODES)
    remove_template(controller)
    pass_time(controller, 0.5)
    remove_template(controller)
    pass_time(controller, 0.5)
    before = list_cached_tags(controller, "beta")
    pass_time(controller, 0.5)

    assert (["mac:base"], []) == (before, list_cached_tags(controller, "beta"))


def test_settle_waits_for_a_removal() -> None:
    """The removal is done afterwards."""
    controller = build_controller(THREE_NODES)
    remove_template(controller)
    settle(controller)

    assert [] == list_cached_tags(controller, "beta")
