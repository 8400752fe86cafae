"""Pulls of versions to nodes, and the disk of a node."""

import pytest

from mockanka.core import instances, pulls, removals, templates
from mockanka.core.controller import Controller
from mockanka.core.errors import NodeDiskFull
from mockanka.core.pulls import Pull, PullFailure, PullStall
from mockanka.core.release import Release
from mockanka.core.templates import VersionRef
from mockanka.core.transfers import Transfer
from mockanka.units import GB
from tests.core.builders import (
    COLD,
    WARM,
    build_controller,
    count_log_entries,
    lose_node,
    node_named,
    pass_time,
    restore_node,
    start_instance,
    state_history,
    states,
    template_named,
    version_ref,
)

SMALL_DISK = """
templates:
  - {name: a, versions: [{tag: only, size: 10GB}]}
  - {name: b, versions: [{tag: only, size: 10GB}]}
  - {name: c, versions: [{tag: only, size: 10GB}]}
  - {name: large, versions: [{tag: only, size: 35GB}]}
nodes:
  - {name: alpha, capacity: 4, disk: 50GB, disk_other: 18GB}
"""
"""A node with room for three small templates, but not for the large one."""


def cached_names(controller: Controller) -> list[str]:
    return sorted(controller.templates[ref.template_id].name for ref in node_named(controller).cached)


def test_a_pull_takes_size_over_bandwidth() -> None:
    """15 GB at 1 GB/s take 15 s in Pulling, and then the VM boots."""
    controller = build_controller(COLD)
    instance = start_instance(controller)
    pass_time(controller, 100)
    expected = [(0.0, "Scheduling"), (1.0, "Pulling"), (16.0, "Scheduling"), (36.0, "Started")]

    assert expected == state_history(controller, instance)


def test_before_1_50_an_instance_is_pulling_until_its_vm_is_up() -> None:
    """Only the progress shows when the pull is complete (C1)."""
    controller = build_controller(COLD, release=Release.parse("1.49.0"))
    instance = start_instance(controller)
    pass_time(controller, 20)
    seen = (states(instance), instance.progress(controller))
    pass_time(controller, 100)
    expected = [(0.0, "Scheduling"), (1.0, "Pulling"), (36.0, "Started")]

    assert (["Pulling"], 1.0) == seen
    assert expected == state_history(controller, instance)


def test_a_pull_leaves_the_template_cached() -> None:
    """The next instance of the template boots at once."""
    controller = build_controller(COLD)
    start_instance(controller)
    pass_time(controller, 100)
    instance = start_instance(controller)
    pass_time(controller, 100)
    expected = [(0.0, "Scheduling"), (21.0, "Started")]

    assert version_ref(controller) in node_named(controller).cached
    assert expected == state_history(controller, instance)


def test_only_the_missing_layer_is_pulled() -> None:
    """If the lower version is cached, a pull takes only the time of the upper layer."""
    controller = build_controller(WARM.replace("cached: [mac]", 'cached: ["mac:base"]'))
    instance = start_instance(controller)
    pass_time(controller, 100)
    expected = [(0.0, "Scheduling"), (1.0, "Pulling"), (6.0, "Scheduling"), (26.0, "Started")]

    assert expected == state_history(controller, instance)


def test_a_lower_version_needs_no_pull() -> None:
    """All of its layers came with a later version."""
    controller = build_controller(WARM)
    instance = start_instance(controller, tag="base")
    pass_time(controller, 100)
    expected = [(0.0, "Scheduling"), (21.0, "Started")]

    assert expected == state_history(controller, instance)


def test_a_cached_version_is_not_pulled() -> None:
    """Its last use is now."""
    controller = build_controller(WARM)
    pass_time(controller, 50)
    alpha, ref = node_named(controller), version_ref(controller)

    assert pulls.begin_pull(controller, alpha, ref) is None
    assert controller.now == alpha.cached[ref]


def test_a_version_is_cached_if_all_its_files_are() -> None:
    """It is not cached during its pull, nor if only some of its layers are."""
    controller = build_controller(COLD)
    alpha, lower, upper = node_named(controller), version_ref(controller, serial=0), version_ref(controller)
    pulls.begin_pull(controller, alpha, lower)
    pulling = pulls.is_cached(controller, alpha, lower)
    pass_time(controller, 10)

    assert not pulling
    assert pulls.is_cached(controller, alpha, lower)
    assert not pulls.is_cached(controller, alpha, upper)


def test_disk_use_grows_with_a_pull() -> None:
    """The files of a pull take disk by its progress."""
    controller = build_controller(COLD)
    alpha = node_named(controller)
    pulls.begin_pull(controller, alpha, version_ref(controller))
    used = []
    for _ in range(4):
        used.append(pulls.compute_disk_usage(controller, alpha, controller.now))
        pass_time(controller, 5)
    expected = [0, 5 * GB, 10 * GB, 15 * GB]

    assert expected == used


def test_shared_layers_take_disk_once() -> None:
    """Two cached versions take as much as the union of their files."""
    controller = build_controller(WARM.replace("cached: [mac]", 'cached: ["mac:base", "mac:tools"]'))
    expected = 15 * GB

    assert expected == pulls.compute_disk_usage(controller, node_named(controller), controller.now)


def pull_in_order(controller: Controller, *names: str) -> None:
    """Pull templates one after the other, without instances of them."""
    for name in names:
        pulls.begin_pull(controller, node_named(controller), version_ref(controller, name))
        pass_time(controller, 60)


def test_the_least_recently_used_template_is_dropped_for_a_pull() -> None:
    """It is dropped if the disk is full, though it was pulled last."""
    controller = build_controller(SMALL_DISK)
    pull_in_order(controller, "a", "b", "c", "a", "b")
    extra = template_named(controller, "large")
    extra.add(templates.Version(1, "slim", (templates.File("slim", 10 * GB),)))
    start_instance(controller, "large")
    pass_time(controller, 60)
    expected = ["a", "b", "large"]

    assert expected == cached_names(controller)


def test_nothing_is_dropped_if_a_pull_fits() -> None:
    """All cached templates stay."""
    controller = build_controller(SMALL_DISK)
    pull_in_order(controller, "a", "b", "c")
    expected = ["a", "b", "c"]

    assert expected == cached_names(controller)
    assert 0 == count_log_entries(controller, "cached template dropped")


def test_a_template_in_use_is_never_dropped() -> None:
    """The least recently used stays if an instance runs on it, and the next one is dropped."""
    controller = build_controller(SMALL_DISK.replace("35GB", "15GB"))
    start_instance(controller, "a")
    pass_time(controller, 60)
    pull_in_order(controller, "b", "c", "large")
    expected = ["a", "large"]

    assert expected == cached_names(controller)


def test_an_instance_for_whose_pull_is_no_room_stays_in_scheduling() -> None:
    """It holds no slot: the next instance gets that (C7)."""
    controller = build_controller(SMALL_DISK.replace("capacity: 4", "capacity: 1"))
    too_large = start_instance(controller, "large")
    next_instance = start_instance(controller, "a")
    pass_time(controller, 60)
    expected = ["Scheduling", "Started"]

    assert expected == states(too_large, next_instance)
    assert [next_instance.id] == list(node_named(controller).occupants)


def test_an_instance_waits_until_a_template_is_removed_from_the_disk() -> None:
    """The removal makes room, and the pull begins at that moment."""
    controller = build_controller(SMALL_DISK.replace("capacity: 4", "capacity: 4, cached: [b]"))
    alpha = node_named(controller)
    alpha.disk_anka = 25 * GB
    instance = start_instance(controller, "a")
    pass_time(controller, 10)
    before = states(instance)
    alpha.disk_anka = 5 * GB
    removals.request_template_removal(controller, template_named(controller, "b").id)
    pass_time(controller, 1)

    assert (["Scheduling"], ["Pulling"]) == (before, states(instance))


def test_a_pull_that_does_not_fit_changes_nothing() -> None:
    """Nothing is dropped, and no pull begins; the message has the numbers of bytes."""
    controller = build_controller(SMALL_DISK)
    pull_in_order(controller, "a", "b")
    with pytest.raises(NodeDiskFull, match="node alpha: the pull needs 35000000000 bytes, 32000000000 can be freed"):
        pulls.begin_pull(controller, node_named(controller), version_ref(controller, "large"))
    expected = (["a", "b"], {})

    assert expected == (cached_names(controller), node_named(controller).pulls)


def test_a_pull_reserves_its_room() -> None:
    """Two pulls at the same time cannot use the same room."""
    controller = build_controller(SMALL_DISK.replace("35GB", "25GB"))
    pulls.begin_pull(controller, node_named(controller), version_ref(controller, "large"))
    with pytest.raises(NodeDiskFull):
        pulls.begin_pull(controller, node_named(controller), version_ref(controller, "a"))
    expected = 1

    assert expected == len(node_named(controller).pulls)


def test_the_pull_of_a_terminated_instance_goes_on() -> None:
    """The node completes it, though nothing waits for it."""
    controller = build_controller(COLD)
    instance = start_instance(controller)
    pass_time(controller, 5)
    instances.terminate_instance(controller, instance.id)
    pass_time(controller, 100)

    assert version_ref(controller) in node_named(controller).cached


def test_a_lost_node_reports_a_complete_pull_when_it_is_back() -> None:
    """The version is not cached before."""
    controller = build_controller(COLD)
    pulls.begin_pull(controller, node_named(controller), version_ref(controller))
    lose_node(controller)
    pass_time(controller, 60)
    before = dict(node_named(controller).cached)
    restore_node(controller)
    pass_time(controller, 0)
    expected = {}

    assert expected == before
    assert version_ref(controller) in node_named(controller).cached


def test_a_pull_goes_on_while_its_node_is_lost() -> None:
    """It ends when it would have ended."""
    controller = build_controller(COLD)
    instance = start_instance(controller)
    pass_time(controller, 5)
    lose_node(controller)
    pass_time(controller, 5)
    restore_node(controller)
    pass_time(controller, 100)
    expected = [(0.0, "Scheduling"), (1.0, "Pulling"), (16.0, "Scheduling"), (36.0, "Started")]

    assert expected == state_history(controller, instance)


@pytest.mark.parametrize("moving_time", [7, 128_637_150_001, 81_179_869_184])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.4, 0.7, 1.0])
def test_a_pull_that_resumes_has_the_progress_at_which_it_was_stalled(moving_time: int, share: float) -> None:
    """It is not less, not by a nanosecond's worth, whatever its length."""
    stalled = Pull(VersionRef("mac", 0), (), Transfer(1000, 1000 + moving_time), PullStall("fault-1", share))
    now = 1000 + 5 * moving_time
    resumed = stalled.resumed(now)

    assert share == stalled.progress(now)
    assert share <= resumed.progress(now) <= min(1.0, share + 1 / moving_time)
    assert (None, 1.0) == (stalled.expected_end, resumed.progress(resumed.expected_end or 0))


def test_a_pull_that_resumes_before_its_stall_is_not_delayed() -> None:
    """A stall that lies ahead has cost no time."""
    transfer = Transfer(0, 100)
    stalled = Pull(VersionRef("mac", 0), (), transfer, PullStall("fault-1", 0.5))

    assert transfer == stalled.resumed(30).transfer


def test_a_pull_ends_with_its_failure() -> None:
    """The moment of the failure is its expected end."""
    pull = Pull(VersionRef("mac", 0), (), Transfer(0, 100), failure=PullFailure(40, "broken pipe"))

    assert (40, 0.4) == (pull.expected_end, pull.progress(40))
