"""Distributions: their targets, their deliveries, and their cancellation."""

import pytest

from mockanka.core import distributions, nodes, templates
from mockanka.core.controller import Controller
from mockanka.core.distributions import DeliveryStage, Distribution
from mockanka.core.errors import NoSuchGroup, NoSuchNode, NoSuchTag, NoSuchTemplate, NotFound, Refusal
from mockanka.core.lifecycle import NodeState
from mockanka.core.release import Release
from tests.controllers import reload, state_of
from tests.core.builders import (
    COLD,
    build_controller,
    count_log_entries,
    group_named,
    lose_node,
    node_named,
    pass_time,
    restore_node,
    start_instance,
    state_history,
    template_named,
    version_ref,
)

FOUR_NODES = """
templates:
  - name: mac
    versions: [{tag: base, size: 10GB}, {tag: tools, size: 5GB}]
nodes:
  - {name: alpha}
  - {name: beta}
  - {name: gamma, cached: ["mac:base"]}
  - {name: tiny, disk: 20GB, disk_other: 10GB}
groups:
  - {name: pair, nodes: [alpha, gamma]}
"""


MORE_TEMPLATES = FOUR_NODES.replace(
    "nodes:\n",
    """\
  - {name: one, versions: [{tag: only, size: 2GB}]}
  - {name: two, versions: [{tag: only, size: 2GB}]}
nodes:
""",
)
"""Two small templates more."""


def send(
    controller: Controller, *names: str, tag: str | None = None, to: str | None = None, template: str = "mac"
) -> Distribution:
    """Create a distribution to nodes, and ``to`` a group, by their names."""
    ids = [node_named(controller, name).id for name in names]
    group_id = group_named(controller, to).id if to else None
    return distributions.create_distribution(
        controller, template_named(controller, template).id, tag, None, ids, group_id
    )


def targets(controller: Controller, distribution: Distribution) -> list[str]:
    """Return the names of the nodes that a distribution goes to."""
    return [controller.nodes[id].name for id in distribution.deliveries]


def stages(controller: Controller, distribution: Distribution) -> dict[str, str]:
    """Return the stages of a distribution by the names of its nodes."""
    return {controller.nodes[id].name: delivery.stage.value for id, delivery in distribution.deliveries.items()}


def progress(controller: Controller, distribution: Distribution, name: str = "alpha") -> float:
    """Return the progress of a distribution on a node."""
    return distribution.progress(controller, node_named(controller, name).id)


# Targets.


def test_without_a_target_it_goes_to_all_nodes() -> None:
    """Neither nodes nor a group are named (A15)."""
    controller = build_controller(FOUR_NODES)
    expected = ["alpha", "beta", "gamma", "tiny"]

    assert expected == targets(controller, send(controller))


def test_it_goes_to_the_named_nodes() -> None:
    """To no others."""
    controller = build_controller(FOUR_NODES)
    expected = ["alpha", "beta"]

    assert expected == targets(controller, send(controller, "beta", "alpha"))


def test_it_goes_to_the_nodes_of_a_group() -> None:
    """To no others."""
    controller = build_controller(FOUR_NODES)
    expected = ["alpha", "gamma"]

    assert expected == targets(controller, send(controller, to="pair"))


def test_it_goes_to_named_nodes_and_those_of_a_group() -> None:
    """Each node has one delivery."""
    controller = build_controller(FOUR_NODES)
    expected = ["alpha", "beta", "gamma"]

    assert expected == targets(controller, send(controller, "alpha", "beta", to="pair"))


def test_an_offline_node_is_left_out_unless_it_is_named() -> None:
    """A node named by id has its task waiting."""
    controller = build_controller(FOUR_NODES.replace("{name: beta}", "{name: beta, state: Offline}"))
    expected = ["beta"]

    assert "beta" not in targets(controller, send(controller))
    assert expected == targets(controller, send(controller, "beta"))


@pytest.mark.parametrize(("release", "included"), [("1.8", False), ("1.32", False), ("1.33", True)])
def test_an_unhealthy_node_is_included_from_1_33_on(release: str, included: bool) -> None:
    """Before 1.33 Unhealthy nodes were left out (A16)."""
    controller = build_controller(FOUR_NODES, release=Release.parse(release))
    nodes.set_node_state(controller, node_named(controller).id, NodeState.UNHEALTHY)

    assert included is ("alpha" in targets(controller, send(controller)))


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"template_id": "nobody"}, NoSuchTemplate),
        ({"tag": "nope"}, NoSuchTag),
        ({"number": 9}, Refusal),
        ({"node_ids": ["nobody"]}, NoSuchNode),
        ({"group_id": "nobody"}, NoSuchGroup),
    ],
)
def test_unknown_targets_are_refused(arguments: dict[str, object], kind: type[Refusal]) -> None:
    """An unknown template, version, node or group is refused, and nothing is sent."""
    controller = build_controller(FOUR_NODES)
    before = repr(state_of(controller))
    with pytest.raises(kind):
        distributions.create_distribution(controller, **{"template_id": template_named(controller).id, **arguments})  # type: ignore[arg-type]

    assert before == repr(state_of(controller))


def test_a_distribution_is_found_by_its_id() -> None:
    """find_distribution returns it, or raises NotFound."""
    controller = build_controller(FOUR_NODES)
    distribution = send(controller)

    assert distribution is distributions.find_distribution(controller, distribution.id)
    with pytest.raises(NotFound):
        distributions.find_distribution(controller, "nobody")


# Deliveries.


def test_every_node_has_a_delivery_from_the_start() -> None:
    """Before any node has taken its task, all are there with progress 0 (A16)."""
    controller = build_controller(FOUR_NODES)
    distribution = send(controller, "alpha", "beta")
    expected = {"alpha": "sent", "beta": "sent"}

    assert expected == stages(controller, distribution)
    assert 0 == progress(controller, distribution)


def test_each_node_has_its_own_progress() -> None:
    """A node that has half of the version cached is done earlier; progress grows with time up to 1."""
    controller = build_controller(FOUR_NODES)
    distribution = send(controller, "alpha", "gamma")
    seen = []
    for seconds in (1, 3, 3, 20):
        pass_time(controller, seconds)
        seen.append((progress(controller, distribution, "alpha"), progress(controller, distribution, "gamma")))
    expected = [(0, 0), (0.2, 0.6), (0.4, 1), (1, 1)]

    assert expected == seen
    assert {"alpha": "done", "gamma": "done"} == stages(controller, distribution)


def test_a_distributed_version_is_cached() -> None:
    """An instance started afterwards does not pull."""
    controller = build_controller(FOUR_NODES)
    send(controller, "alpha")
    pass_time(controller, 100)
    instance = start_instance(controller, on="alpha")
    pass_time(controller, 100)
    expected = [(0.0, "Scheduling"), (21.0, "Started")]

    assert expected == state_history(controller, instance)


def test_a_tag_selects_the_version() -> None:
    """Not the latest is pulled, but the named version."""
    controller = build_controller(FOUR_NODES)
    send(controller, "alpha", tag="base")
    pass_time(controller, 100)

    assert [version_ref(controller, serial=0)] == list(node_named(controller).cached)


def test_a_cached_version_is_done_at_once() -> None:
    """The delivery is done as soon as the node has taken its task."""
    controller = build_controller(FOUR_NODES)
    distribution = send(controller, "gamma", tag="base")
    pass_time(controller, 1)
    expected = ({"gamma": "done"}, 1)

    assert expected == (stages(controller, distribution), progress(controller, distribution, "gamma"))


def test_a_second_distribution_of_a_version_waits_for_the_pull_of_the_first() -> None:
    """The node takes no task while it pulls; afterwards it has the version, so both are done together (a guess)."""
    controller = build_controller(FOUR_NODES)
    first = send(controller, "alpha")
    pass_time(controller, 8)
    second = send(controller, "alpha")
    pass_time(controller, 7.9)
    before = [stages(controller, distribution) for distribution in (first, second)]
    pass_time(controller, 0.1)
    after = [stages(controller, distribution) for distribution in (first, second)]

    assert ([{"alpha": "pulling"}, {"alpha": "sent"}], [{"alpha": "done"}] * 2) == (before, after)
    assert 1 == count_log_entries(controller, "pull began")


def test_distributions_of_other_versions_wait_in_order() -> None:
    """A node that pulls takes them one by one, the oldest first, before a start that came between them (a guess)."""
    controller = build_controller(MORE_TEMPLATES)
    distributions = [send(controller, "alpha", template=name) for name in ("mac", "one")]
    pass_time(controller, 3)
    instance = start_instance(controller, "two", on="alpha")
    pass_time(controller, 3)
    distributions.append(send(controller, "alpha", template="two"))
    seen = []
    for seconds in (9.9, 2, 2, 2):
        pass_time(controller, seconds)
        seen.append([delivery["alpha"] for delivery in (stages(controller, item) for item in distributions)])

    assert [["pulling", "sent", "sent"], ["done", "pulling", "sent"], ["done", "done", "pulling"], ["done"] * 3] == seen
    pass_time(controller, 60)
    assert [(0.0, "Scheduling"), (37.0, "Started")] == state_history(controller, instance)


def test_a_distribution_waits_for_a_worker() -> None:
    """A node that boots as many VMs as it has workers takes it when the first of them is up."""
    controller = build_controller(FOUR_NODES)
    start_instance(controller, on="gamma", tag="base")
    start_instance(controller, on="gamma", tag="base")
    pass_time(controller, 5)
    distribution = send(controller, "gamma")
    pass_time(controller, 15.9)
    before = stages(controller, distribution)
    pass_time(controller, 0.1)

    assert ({"gamma": "sent"}, {"gamma": "pulling"}) == (before, stages(controller, distribution))


def test_an_instance_waits_for_the_pull_of_a_distribution() -> None:
    """It boots when the node has the version, and never is Pulling."""
    controller = build_controller(FOUR_NODES)
    send(controller, "alpha")
    pass_time(controller, 8)
    instance = start_instance(controller, on="alpha")
    pass_time(controller, 100)
    expected = [(0.0, "Scheduling"), (28.0, "Started")]

    assert expected == state_history(controller, instance)


@pytest.mark.parametrize("end", ["cancelled", "node deleted", "node lost"])
def test_a_waiting_delivery_may_end_before_it_is_taken(end: str) -> None:
    """It fails with its distribution or its node; a lost node takes it when it is back."""
    controller = build_controller(COLD)
    alpha = node_named(controller).id
    send(controller)
    waiting = send(controller, tag="base")
    pass_time(controller, 5)
    if end == "cancelled":
        distributions.cancel_distribution(controller, waiting.id)
    elif end == "node deleted":
        nodes.delete_node(controller, alpha)
    else:
        lose_node(controller)
    pass_time(controller, 60)
    while_lost = waiting.deliveries[alpha].stage
    if end == "node lost":
        restore_node(controller)
    pass_time(controller, 60)
    after = waiting.deliveries[alpha]
    expected = {
        "cancelled": ("failed", "failed", "request canceled"),
        "node deleted": ("failed", "failed", "node alpha was deleted"),
        "node lost": ("sent", "done", ""),
    }

    assert expected[end] == (while_lost, after.stage, after.error)
    assert [] == controller.waiting_deliveries


def test_a_waiting_delivery_survives_a_dump() -> None:
    """It is taken at the same moment as without the dump."""
    controller = build_controller(MORE_TEMPLATES)
    send(controller, "alpha")
    later = send(controller, "alpha", template="one")
    pass_time(controller, 5)
    loaded = reload(controller)

    assert state_of(controller) == state_of(loaded)
    pass_time(loaded, 11)
    assert {"alpha": "pulling"} == stages(loaded, loaded.distributions[later.id])


def test_a_node_without_room_fails_alone() -> None:
    """A full disk is the error of its node; the others are done."""
    controller = build_controller(FOUR_NODES)
    distribution = send(controller, "alpha", "tiny")
    pass_time(controller, 100)
    expected = {"alpha": "done", "tiny": "failed"}

    assert expected == stages(controller, distribution)
    assert distribution.deliveries[node_named(controller, "tiny").id].error.startswith("no space left on node tiny")


def test_a_template_deleted_before_a_node_took_its_task_fails() -> None:
    """It cannot be pulled any more."""
    controller = build_controller(FOUR_NODES)
    distribution = send(controller, "alpha")
    templates.delete_template(controller, template_named(controller).id)
    pass_time(controller, 100)
    expected = {"alpha": "failed"}

    assert expected == stages(controller, distribution)
    assert "VM not in the registry" == distribution.deliveries[node_named(controller).id].error


def test_a_template_deleted_while_it_is_pulled_still_arrives() -> None:
    """A pull in progress is finished."""
    controller = build_controller(FOUR_NODES)
    distribution = send(controller, "alpha")
    pass_time(controller, 5)
    templates.delete_template(controller, template_named(controller).id)
    pass_time(controller, 100)
    expected = {"alpha": "done"}

    assert expected == stages(controller, distribution)


@pytest.mark.parametrize("lost_after", [0, 5])
def test_a_lost_node_continues_when_it_is_back(lost_after: float) -> None:
    """It reports nothing meanwhile; its task, taken or not, is done after its return."""
    controller = build_controller(FOUR_NODES)
    distribution = send(controller, "alpha")
    pass_time(controller, lost_after)
    lose_node(controller)
    frozen = progress(controller, distribution)
    pass_time(controller, 300)
    meanwhile = (progress(controller, distribution), stages(controller, distribution)["alpha"] != "done")
    restore_node(controller)
    pass_time(controller, 100)
    expected = ({"alpha": "done"}, 1)

    assert (frozen, True) == meanwhile
    assert expected == (stages(controller, distribution), progress(controller, distribution))


def test_a_delivery_to_a_deleted_node_fails_with_its_progress() -> None:
    """The deliveries to other nodes continue."""
    controller = build_controller(FOUR_NODES)
    distribution = send(controller, "alpha", "beta")
    pass_time(controller, 4)
    id = node_named(controller).id
    nodes.delete_node(controller, id)
    pass_time(controller, 100)
    delivery = distribution.deliveries[id]
    expected = (DeliveryStage.FAILED, "node alpha was deleted")

    assert expected == (delivery.stage, delivery.error)
    assert pytest.approx(0.2) == distribution.progress(controller, id)
    assert distribution.deliveries[node_named(controller, "beta").id].stage is DeliveryStage.DONE


def test_a_finished_delivery_stays_done_when_its_node_is_deleted() -> None:
    """Its progress stays 1."""
    controller = build_controller(FOUR_NODES)
    distribution = send(controller, "alpha")
    pass_time(controller, 100)
    id = node_named(controller).id
    nodes.delete_node(controller, id)
    expected = (DeliveryStage.DONE, 1.0)

    assert expected == (distribution.deliveries[id].stage, distribution.progress(controller, id))


def test_distributions_stay_listed() -> None:
    """Nothing removes a distribution from the list (C11)."""
    controller = build_controller(FOUR_NODES)
    distribution = send(controller)
    pass_time(controller, 100_000)

    assert [distribution.id] == list(controller.distributions)


def test_the_event_that_ends_a_stage_is_in_the_queue() -> None:
    """delivery_stage_end_event returns an event that is scheduled."""
    controller = build_controller(FOUR_NODES)
    distribution = send(controller, "alpha")
    found = []
    for seconds in (0, 5):
        pass_time(controller, seconds)
        event = distributions.delivery_stage_end_event(distribution, node_named(controller).id)
        found.append(event in [due for _, due in controller.queue.current_events(controller)])
    expected = [True, True]

    assert expected == found


# Cancellation.


def test_a_cancelled_distribution_keeps_its_progress() -> None:
    """Unfinished deliveries have the error that says so; their pulls are cancelled."""
    controller = build_controller(COLD)
    distribution = send(controller)
    pass_time(controller, 7)
    distributions.cancel_distribution(controller, distribution.id)
    pass_time(controller, 100)
    (delivery,) = distribution.deliveries.values()

    assert (DeliveryStage.FAILED, "request canceled", 0.4) == (
        delivery.stage,
        delivery.error,
        distribution.progress(controller, node_named(controller).id),
    )
    assert ({}, {}) == (node_named(controller).pulls, node_named(controller).cached)
    assert 1 == count_log_entries(controller, "pull given up")


def test_cancelling_leaves_finished_deliveries_alone() -> None:
    """A node that has the whole version stays done."""
    controller = build_controller(COLD)
    distribution = send(controller)
    pass_time(controller, 100)
    distributions.cancel_distribution(controller, distribution.id)
    (delivery,) = distribution.deliveries.values()

    assert (DeliveryStage.DONE, "") == (delivery.stage, delivery.error)
    assert version_ref(controller) in node_named(controller).cached


def test_an_unknown_distribution_is_not_cancelled() -> None:
    """It is not found."""
    with pytest.raises(NotFound):
        distributions.cancel_distribution(build_controller(COLD), "nothing")


def test_a_cancelled_distribution_survives_a_dump() -> None:
    """With its error and its progress."""
    controller = build_controller(COLD)
    distribution = send(controller)
    pass_time(controller, 7)
    distributions.cancel_distribution(controller, distribution.id)

    assert state_of(controller) == state_of(reload(controller))
