"""What a node has cached, what it is pulling, and what it throws away to make room."""

import pytest

from mockanka.core import instances, pulls, templates
from mockanka.core.controller import Controller
from mockanka.core.errors import NodeDiskFull
from mockanka.core.pulls import Pull
from mockanka.core.release import Release
from mockanka.core.templates import VersionRef
from mockanka.units import GB, SECOND
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
    start_instances,
    state_history,
    states,
    template_named,
    version_ref,
)

SHELF = """
templates:
  - {name: a, versions: [{tag: only, size: 10GB}]}
  - {name: b, versions: [{tag: only, size: 10GB}]}
  - {name: c, versions: [{tag: only, size: 10GB}]}
  - {name: large, versions: [{tag: only, size: 35GB}]}
nodes:
  - {name: alpha, capacity: 4, disk: 50GB, disk_other: 18GB}
"""
"""A node with room for three small templates, and not for the large one."""


def cached(controller: Controller) -> list[str]:
    return sorted(controller.templates[ref.template_id].name for ref in node_named(controller).cached)


def test_a_pull_takes_size_over_bandwidth() -> None:
    """15 GB at a gigabyte a second are 15 s in Pulling, and then the VM boots."""
    controller = build_controller(COLD)
    mine = start_instance(controller)
    pass_time(controller, 100)
    expected = [(0.0, "Scheduling"), (1.0, "Pulling"), (16.0, "Scheduling"), (36.0, "Started")]

    assert expected == state_history(controller, mine)


def test_before_1_50_an_instance_is_pulling_until_its_vm_is_up() -> None:
    """Nothing tells when the pull was through but the progress (C1)."""
    controller = build_controller(COLD, release=Release.parse("1.49.0"))
    mine = start_instance(controller)
    pass_time(controller, 20)
    seen = (states(mine), mine.progress(controller))
    pass_time(controller, 100)
    expected = [(0.0, "Scheduling"), (1.0, "Pulling"), (36.0, "Started")]

    assert (["Pulling"], 1.0) == seen
    assert expected == state_history(controller, mine)


def test_a_pull_leaves_the_template_cached() -> None:
    """What was pulled is there for the next, which boots at once."""
    controller = build_controller(COLD)
    start_instance(controller)
    pass_time(controller, 100)
    mine = start_instance(controller)
    pass_time(controller, 100)
    expected = [(0.0, "Scheduling"), (21.0, "Started")]

    assert version_ref(controller) in node_named(controller).cached
    assert expected == state_history(controller, mine)


def test_an_instance_that_joins_at_half_time_is_ready_with_the_first() -> None:
    """Two pulls of one template on one node are one pull, and the second waits for its rest only."""
    controller = build_controller(COLD)
    first = start_instance(controller)
    pass_time(controller, 7.5)
    second = start_instance(controller)
    pass_time(controller, 1)
    joined = second.progress(controller)
    pass_time(controller, 100)
    expected = [(0.0, "Scheduling"), (1.0, "Pulling"), (16.0, "Scheduling"), (36.0, "Started")]

    assert expected == state_history(controller, first)
    expected = [(0.0, "Scheduling"), (1.0, "Pulling"), (8.5, "Scheduling"), (28.5, "Started")]
    assert expected == state_history(controller, second)
    assert (0.5, 1) == (joined, count_log_entries(controller, "pull began"))


def test_only_the_missing_layer_is_pulled() -> None:
    """Versions share layers: with the lower one there, a pull costs the upper one."""
    controller = build_controller(WARM.replace("cached: [mac]", 'cached: ["mac:base"]'))
    mine = start_instance(controller)
    pass_time(controller, 100)
    expected = [(0.0, "Scheduling"), (1.0, "Pulling"), (6.0, "Scheduling"), (26.0, "Started")]

    assert expected == state_history(controller, mine)


def test_a_lower_version_needs_no_pull() -> None:
    """A version whose layers all came with a later one is there."""
    controller = build_controller(WARM)
    mine = start_instance(controller, tag="base")
    pass_time(controller, 100)
    expected = [(0.0, "Scheduling"), (21.0, "Started")]

    assert expected == state_history(controller, mine)


def test_a_pull_waits_for_layers_that_another_pull_is_fetching() -> None:
    """What is on its way is not fetched twice; its own layer comes meanwhile, and the longer one decides."""
    controller = build_controller(COLD)
    start_instances(controller, tag="base")
    pass_time(controller, 2)
    mine = start_instance(controller)
    pass_time(controller, 1)
    alpha = node_named(controller)
    lower, upper = alpha.pulls[version_ref(controller, serial=0)], alpha.pulls[version_ref(controller)]
    expected = [5 * GB]

    assert lower.ends == upper.ends
    assert expected == [file.size for file in upper.files]
    assert "Pulling" == mine.state


def test_a_pull_that_takes_longer_than_what_it_waits_for_ends_by_itself() -> None:
    """A large layer of its own outlasts the shared one that another pull brings."""
    controller = build_controller(COLD.replace("5GB", "20GB"))
    start_instances(controller, tag="base")
    pass_time(controller, 2)
    start_instance(controller)
    pass_time(controller, 1)
    begun = controller.now
    upper = node_named(controller).pulls[version_ref(controller)]
    expected = 20 * SECOND

    assert expected == upper.ends - begun


def test_begin_gives_nothing_where_all_is_there() -> None:
    """A version that the node has is not pulled; its use is noted."""
    controller = build_controller(WARM)
    pass_time(controller, 50)
    alpha, ref = node_named(controller), version_ref(controller)

    assert pulls.begin_pull(controller, alpha, ref) is None
    assert controller.now == alpha.cached[ref]


def test_begin_twice_is_one_pull() -> None:
    """Begun again, a pull is the one that is on its way."""
    controller = build_controller(COLD)
    alpha, ref = node_named(controller), version_ref(controller)

    assert pulls.begin_pull(controller, alpha, ref) is pulls.begin_pull(controller, alpha, ref)


def test_a_node_has_what_can_be_cloned_at_once() -> None:
    """A node has a version when every layer is there, not while it comes, and not when only some are."""
    controller = build_controller(COLD)
    alpha, lower, upper = node_named(controller), version_ref(controller, serial=0), version_ref(controller)
    pulls.begin_pull(controller, alpha, lower)
    pulling = pulls.is_cached(controller, alpha, lower)
    pass_time(controller, 10)

    assert not pulling
    assert pulls.is_cached(controller, alpha, lower)
    assert not pulls.is_cached(controller, alpha, upper)


@pytest.mark.parametrize(("at", "expected"), [(0, 0.0), (100, 0.0), (150, 0.5), (200, 1.0), (999, 1.0)])
def test_progress_goes_evenly_from_nothing_to_one(at: int, expected: float) -> None:
    """Before its start a pull is at 0, in the middle at a half, and from its end on at 1."""
    assert expected == Pull(VersionRef("", 0), 100, 200, ()).progress(at)


def test_a_pull_of_no_length_is_through() -> None:
    """A pull that ends as it starts has nothing left to do."""
    assert 1.0 == Pull(VersionRef("", 0), 100, 100, ()).progress(100)


def test_disk_use_grows_with_a_pull() -> None:
    """A pull's files take disk as they come, and all of it at the end."""
    controller = build_controller(COLD)
    alpha = node_named(controller)
    pulls.begin_pull(controller, alpha, version_ref(controller))
    used = []
    for _ in range(4):
        used.append(pulls.disk_used(controller, alpha, controller.now))
        pass_time(controller, 5)
    expected = [0, 5 * GB, 10 * GB, 15 * GB]

    assert expected == used


def test_shared_layers_take_disk_once() -> None:
    """Two cached versions take no more than the union of their files."""
    controller = build_controller(WARM.replace("cached: [mac]", 'cached: ["mac:base", "mac:tools"]'))
    expected = 15 * GB

    assert expected == pulls.disk_used(controller, node_named(controller), controller.now)


def fill(controller: Controller, *names: str) -> None:
    """Pull templates one after the other, with nobody using them."""
    for name in names:
        pulls.begin_pull(controller, node_named(controller), version_ref(controller, name))
        pass_time(controller, 60)


def test_the_least_recently_used_is_dropped_for_room() -> None:
    """With the disk full the template goes that was used longest ago, though it was pulled last."""
    controller = build_controller(SHELF)
    fill(controller, "a", "b", "c", "a", "b")
    extra = template_named(controller, "large")
    extra.add(templates.Version(1, "slim", (templates.File("slim", 10 * GB),)))
    start_instance(controller, "large")
    pass_time(controller, 60)
    expected = ["a", "b", "large"]

    assert expected == cached(controller)


def test_no_more_is_dropped_than_must_be() -> None:
    """A template that fits drives out nobody."""
    controller = build_controller(SHELF)
    fill(controller, "a", "b", "c")
    expected = ["a", "b", "c"]

    assert expected == cached(controller)
    assert 0 == count_log_entries(controller, "cached template dropped")


def test_a_template_in_use_is_never_dropped() -> None:
    """The least recently used stays if an instance runs on it; the next goes instead."""
    controller = build_controller(SHELF.replace("35GB", "15GB"))
    start_instance(controller, "a")
    pass_time(controller, 60)
    fill(controller, "b", "c", "large")
    expected = ["a", "large"]

    assert expected == cached(controller)


def test_with_nothing_to_drop_the_instance_is_in_error_and_its_slot_free() -> None:
    """A node without room fails the instance with a message that has the numbers; others take its slot."""
    controller = build_controller(SHELF.replace("capacity: 4", "capacity: 1"))
    doomed = start_instance(controller, "large")
    behind = start_instance(controller, "a")
    pass_time(controller, 60)
    expected = ["Error", "Started"]

    assert expected == states(doomed, behind)
    assert doomed.message == ("no space left on node alpha: the pull needs 35000000000 bytes, 32000000000 can be freed")
    assert [behind.id] == list(node_named(controller).occupants)


def test_a_pull_that_does_not_fit_changes_nothing() -> None:
    """Nothing is dropped for a pull that would not fit even then."""
    controller = build_controller(SHELF)
    fill(controller, "a", "b")
    with pytest.raises(NodeDiskFull):
        pulls.begin_pull(controller, node_named(controller), version_ref(controller, "large"))
    expected = (["a", "b"], {})

    assert expected == (cached(controller), node_named(controller).pulls)


def test_a_running_pull_reserves_its_room() -> None:
    """Two pulls at once cannot both have the last of the disk."""
    controller = build_controller(SHELF.replace("35GB", "25GB"))
    pulls.begin_pull(controller, node_named(controller), version_ref(controller, "large"))
    with pytest.raises(NodeDiskFull):
        pulls.begin_pull(controller, node_named(controller), version_ref(controller, "a"))
    expected = 1

    assert expected == len(node_named(controller).pulls)


def test_a_terminated_instances_pull_goes_on() -> None:
    """The node finishes a pull that nobody waits for any more."""
    controller = build_controller(COLD)
    mine = start_instance(controller)
    pass_time(controller, 5)
    instances.terminate_instance(controller, mine.id)
    pass_time(controller, 100)

    assert version_ref(controller) in node_named(controller).cached


def test_a_pull_that_ends_while_the_node_is_lost_is_through_when_it_is_back() -> None:
    """Nothing is cached before the node reports it."""
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


def test_a_pull_still_going_when_the_node_is_back_goes_on() -> None:
    """A node that was silent for a while loses none of its pull."""
    controller = build_controller(COLD)
    mine = start_instance(controller)
    pass_time(controller, 5)
    lose_node(controller)
    pass_time(controller, 5)
    restore_node(controller)
    pass_time(controller, 100)
    expected = [(0.0, "Scheduling"), (1.0, "Pulling"), (16.0, "Scheduling"), (36.0, "Started")]

    assert expected == state_history(controller, mine)


@pytest.mark.parametrize("moving", [7, 128_637_150_001, 81_179_869_184])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.4, 0.7, 1.0])
def test_a_pull_that_is_let_go_never_falls_back(moving: int, share: float) -> None:
    """Not by a nanosecond's worth, at whatever share of whatever length it was held, and when it is put off again."""
    held = Pull(VersionRef("mac", 0), 1000, 1000 + moving, (), stalled_by="fault-1", stalled_at=share)
    now = 1000 + 5 * moving
    freed = held.resumed(now)
    late = freed.delayed(17, now)

    assert share <= freed.progress(now) <= late.progress(now) <= min(1.0, share + 1 / moving)
    assert 1.0 == freed.progress(freed.ends) == late.progress(late.ends)
