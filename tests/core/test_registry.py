"""The registry: its states, its disk, and what fails when it goes down."""

import pytest

from mockanka.core import nodes, registry, templates
from mockanka.core.errors import RegistryDown, RegistryFull
from mockanka.core.lifecycle import InstanceState, NodeState
from mockanka.core.registry import Registry, RegistryState
from mockanka.units import GB
from tests.controllers import reload, state_with_rules
from tests.core.builders import (
    COLD,
    WARM,
    build_controller,
    count_log_entries,
    node_named,
    pass_time,
    save_instance,
    start_instance,
    started_instance,
    states,
    template_named,
    version_ref,
)
from tests.core.fault_effects.helpers import (
    COLD_PAIR,
    ONE_RETRY,
    REGISTRY_DOWN,
    add_fault,
    begin_push,
    history_after,
    start_distribution,
)

DISK = """
controller: {registry_disk: 40GB, saved_size: 4GB}
templates:
  - {name: mac, versions: [{tag: base, size: 10GB}, {tag: tools, size: 5GB}]}
  - {name: other, versions: [{tag: only, size: 1GB}]}
nodes: [{name: alpha, cached: [mac]}]
"""


# The record.


@pytest.mark.parametrize("state", [RegistryState.UP, RegistryState.FULL])
def test_a_registry_that_is_not_down_is_reachable(state: RegistryState) -> None:
    """A full one can still be pulled from."""
    Registry(state=state).require_reachable()


def test_a_registry_that_is_down_is_neither_reachable_nor_writable() -> None:
    """Both raise RegistryDown."""
    down = Registry(state=RegistryState.DOWN)

    with pytest.raises(RegistryDown):
        down.require_reachable()
    with pytest.raises(RegistryDown):
        down.require_writable()


def test_only_a_registry_that_is_up_is_writable() -> None:
    """A full one raises RegistryFull."""
    Registry().require_writable()
    with pytest.raises(RegistryFull):
        Registry(state=RegistryState.FULL).require_writable()


@pytest.mark.parametrize(("used", "other", "free"), [(30, 20, 50), (80, 20, 0), (90, 20, 0), (30, -20, 90)])
def test_free_space_is_what_templates_and_other_files_leave(used: int, other: int, free: int) -> None:
    """It is never negative, and grows if ``disk_other`` is negative."""
    assert free == Registry(disk_size=100, disk_other=other).free_space(used)


# The disk.


def test_the_registrys_disk_holds_each_file_once() -> None:
    """The rest of it is free."""
    assert (24 * GB, 40 * GB) == registry.disk_space(build_controller(DISK))


def test_a_deleted_template_frees_its_files() -> None:
    """They are not in the registry any more."""
    controller = build_controller(DISK)
    templates.delete_template(controller, template_named(controller).id)

    assert (39 * GB, 40 * GB) == registry.disk_space(controller)


def test_an_overfull_disk_has_no_free_space() -> None:
    """Free space is never negative."""
    assert (0, 5 * GB) == registry.disk_space(build_controller(DISK.replace("40GB", "5GB")))


@pytest.mark.parametrize(("state", "free"), [("up", 24 * GB), ("full", 0)])
def test_a_full_registry_has_no_free_space(state: str, free: int) -> None:
    """A fault makes it full, whatever is on its disk."""
    controller = build_controller(DISK)
    controller.registry.state = RegistryState(state)

    assert (free, 40 * GB) == registry.disk_space(controller)


def test_the_disk_of_a_registry_that_is_down_is_unknown() -> None:
    """The request for it is refused."""
    controller = build_controller(DISK)
    controller.registry.state = RegistryState.DOWN
    with pytest.raises(RegistryDown):
        registry.disk_space(controller)


@pytest.mark.parametrize(("size", "state"), [("25GB", "done"), ("17GB", "error")])
def test_a_push_needs_room_on_the_disk(size: str, state: str) -> None:
    """A push that does not fit ends in an error, and the instance is Started again."""
    controller = build_controller(DISK.replace("40GB", size))
    instance = started_instance(controller)
    save = save_instance(controller, instance, tag="fresh", suspend=False)
    pass_time(controller, 100)

    assert state == save.status
    assert (state == "error") == (instance.id in controller.instances)


@pytest.mark.parametrize("free", [0, 7 * GB, 30 * GB])
def test_the_registry_shows_the_free_space_that_was_observed(free: int) -> None:
    """The difference is counted as other files, even if it is negative."""
    controller = build_controller(DISK)
    registry.match_observed_free_space(controller, free)

    assert (free, 40 * GB) == registry.disk_space(controller)


# Down and full.


def test_an_override_sets_the_state_of_the_registry() -> None:
    """Down takes precedence over full, whichever came first; each change is logged once."""
    controller = build_controller(DISK)
    states_seen = []
    for overrides in ({"full": None}, {"full": None, "down": None}, {"down": None, "full": None}, {}):
        controller.registry.overrides = dict(overrides)
        registry.refresh_registry(controller)
        states_seen.append(controller.registry.state)

    assert [RegistryState.FULL, RegistryState.DOWN, RegistryState.DOWN, RegistryState.UP] == states_seen
    assert 3 == count_log_entries(controller, "registry")


def test_the_registry_goes_down_at_a_share_of_a_pull() -> None:
    """The pull fails with the progress it had; when the registry is up again, pulls work as before."""
    controller = build_controller("controller: {retries: 0}\n" + COLD)
    add_fault(controller, "pull", "{registry: down, at: 40%, for: 1m}", times=1)
    instance = start_instance(controller)

    assert [(0.0, "Scheduling"), (1.0, "Pulling"), (7.0, "Error")] == history_after(controller, instance, 66.9)
    assert (REGISTRY_DOWN, 0.4, "down") == (instance.message, instance.progress(controller), controller.registry.state)
    pass_time(controller, 0.1)
    assert [(0.0, "Scheduling"), (1.0, "Pulling"), (16.0, "Scheduling"), (36.0, "Started")] == history_after(
        controller, start_instance(controller)
    )


def test_a_start_is_refused_while_the_registry_is_down() -> None:
    """The template is looked up when the request comes (C7)."""
    controller = build_controller(COLD)
    add_fault(controller, "begin", "{registry: down, for: 1m}")
    pass_time(controller, 1)
    with pytest.raises(RegistryDown):
        start_instance(controller)

    assert {} == controller.instances


def test_an_instance_whose_pull_failed_waits_until_the_registry_is_up() -> None:
    """The registry costs it one try, however long it is down."""
    controller = build_controller(ONE_RETRY + COLD_PAIR)
    add_fault(controller, "pull", "{registry: down, at: 40%, for: 10m}", times=1)
    instance = start_instance(controller)
    pass_time(controller, 600)
    before = (states(instance), instance.waits_for, len(instance.failed_on))

    assert (["Scheduling"], "the registry is down (2 nodes)", 1) == before
    assert [(7.0, "Scheduling"), (607.0, "Pulling")] == history_after(controller, instance, 10)[2:]


# A node that cannot reach it.


def test_a_pull_fails_when_its_node_cannot_reach_the_registry_any_more() -> None:
    """That of another node goes on, and the instance is tried there or waits (a guess)."""
    controller = build_controller(ONE_RETRY + COLD_PAIR)
    first, other = start_instance(controller), start_instance(controller)
    pass_time(controller, 5)
    nodes.override_node(controller, node_named(controller).id, "registry-unreachable")
    pass_time(controller, 1)
    failed = (states(first, other), first.waits_for, first.failed_on, node_named(controller).pulls)
    nodes.end_node_override(controller, node_named(controller).id, "registry-unreachable")
    pass_time(controller, 34.9)

    reason = "cannot reach the registry (1 node); no free slot (1 node)"
    assert (["Scheduling", "Pulling"], reason, (node_named(controller).id,), {}) == failed
    assert ["Scheduling", "Started"] == states(first, other)
    pass_time(controller, 0.1)
    assert ["Started"] == states(first)


def test_a_delivery_to_a_node_that_cannot_reach_the_registry_fails() -> None:
    """It fails when the node takes its task, or while it pulls (a guess)."""
    controller = build_controller(COLD)
    alpha = node_named(controller).id
    _, pulling = start_distribution(controller)
    pass_time(controller, 5)
    nodes.override_node(controller, alpha, "registry-unreachable")
    pass_time(controller, 0)
    _, later = start_distribution(controller)
    pass_time(controller, 2)

    assert [("failed", REGISTRY_DOWN)] * 2 == [(delivery.stage, delivery.error) for delivery in (pulling, later)]


@pytest.mark.parametrize("seconds", [1, 7])
def test_a_push_fails_when_its_node_cannot_reach_the_registry(seconds: float) -> None:
    """Before it begins, or while it is in progress; the instance is Started again."""
    controller = build_controller(WARM)
    instance, save = begin_push(controller, seconds)
    nodes.override_node(controller, node_named(controller).id, "registry-unreachable")
    pass_time(controller, 10)

    assert ("error", "Started") == (save.status, instance.state)
    assert save.error is not None
    assert REGISTRY_DOWN == save.error.message


def test_a_node_that_cannot_reach_the_registry_is_active() -> None:
    """The controller reaches both, and shows nothing; what ends all overrides ends this one."""
    controller = build_controller(COLD)
    alpha = node_named(controller)
    nodes.override_node(controller, alpha.id, "registry-unreachable")
    before = (alpha.state(controller.now), alpha.reaches_registry)
    nodes.override_node(controller, alpha.id, "online")

    assert (NodeState.ACTIVE, False) == before
    assert alpha.reaches_registry


def test_a_node_that_cannot_reach_the_registry_survives_a_dump() -> None:
    """With the end of the override, after which its instance starts."""
    controller = build_controller(COLD)
    instance = start_instance(controller)
    add_fault(controller, "begin", "{node: registry-unreachable, for: 1m}")
    pass_time(controller, 30)
    loaded = reload(controller)

    assert state_with_rules(controller) == state_with_rules(loaded)
    pass_time(loaded, 70)
    assert "Started" == loaded.instances[instance.id].state


def test_a_full_registry_does_not_affect_a_pull() -> None:
    """Nothing is pushed, so nothing fails."""
    controller = build_controller(COLD)
    add_fault(controller, "pull", "{registry: full, at: 40%}")

    assert [(0.0, "Scheduling"), (1.0, "Pulling"), (16.0, "Scheduling"), (36.0, "Started")] == history_after(
        controller, start_instance(controller)
    )


def test_the_registry_goes_down_at_the_moment_a_pull_ends() -> None:
    """At 100 % the pull has either finished or failed, and its instance with it; nothing is left over."""
    controller = build_controller(COLD)
    add_fault(controller, "pull", "{registry: down, at: 100%}")
    instance = start_instance(controller)
    pass_time(controller, 100)

    assert instance.state in (InstanceState.STARTED, InstanceState.ERROR)
    assert ({}, instance.state is InstanceState.STARTED) == (
        node_named(controller).pulls,
        version_ref(controller) in node_named(controller).cached,
    )


def test_a_cached_template_starts_without_the_registry() -> None:
    """A scheduled start of a cached template continues while the registry is down."""
    controller = build_controller(WARM)
    instance = start_instance(controller)
    add_fault(controller, "begin", "{registry: down}")

    assert [(0.0, "Scheduling"), (21.0, "Started")] == history_after(controller, instance)


def test_a_delivery_fails_if_the_registry_is_down() -> None:
    """It fails when the node takes its task."""
    controller = build_controller(COLD)
    _, delivery = start_distribution(controller)
    add_fault(controller, "begin", "{registry: down}")
    pass_time(controller, 2)

    assert ("failed", REGISTRY_DOWN) == (delivery.stage, delivery.error)


@pytest.mark.parametrize(
    ("first", "second", "seen"),
    [
        ("{registry: down, for: 10m}", "{registry: down, after: 5m}", ["down", "down", "down"]),
        ("{registry: down, for: 10m}", "{registry: full, after: 5m, for: 1h}", ["down", "full", "up"]),
        ("{registry: full, for: 2h}", "{registry: down, after: 5m, for: 5m}", ["down", "full", "full"]),
        ("{registry: down, for: 1h}", "{registry: down, after: 5m, for: 1m}", ["down", "down", "up"]),
    ],
)
def test_overrides_of_the_registry_end_independently(first: str, second: str, seen: list[str]) -> None:
    """After 6, 12 and 70 minutes, with a dump in between: no override ends with another."""
    controller = build_controller(COLD)
    for action in (first, second):
        add_fault(controller, "begin", action)
    states = []
    for minutes in (6, 6, 58):
        pass_time(controller, minutes * 60)
        states.append(controller.registry.state)
        controller = reload(controller)

    assert seen == states
