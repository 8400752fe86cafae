"""Distributions: a template sent to nodes ahead of time."""

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

FARM = """
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


def send(controller: Controller, *names: str, tag: str | None = None, to: str | None = None) -> Distribution:
    ids = [node_named(controller, name).id for name in names]
    group_id = group_named(controller, to).id if to else None
    return distributions.create_distribution(controller, template_named(controller).id, tag, None, ids, group_id)


def targets(controller: Controller, made: Distribution) -> list[str]:
    return [controller.nodes[id].name for id in made.deliveries]


def stages(controller: Controller, made: Distribution) -> dict[str, str]:
    return {controller.nodes[id].name: delivery.stage.value for id, delivery in made.deliveries.items()}


def progress(controller: Controller, made: Distribution, name: str = "alpha") -> float:
    return made.progress(controller, node_named(controller, name).id)


# Where it goes.


def test_without_a_target_all_nodes_are_meant() -> None:
    """Named are neither nodes nor group: it goes to every node (A15)."""
    controller = build_controller(FARM)
    expected = ["alpha", "beta", "gamma", "tiny"]

    assert expected == targets(controller, send(controller))


def test_named_nodes_alone_are_meant() -> None:
    """It goes to the nodes named, and to no other."""
    controller = build_controller(FARM)
    expected = ["alpha", "beta"]

    assert expected == targets(controller, send(controller, "beta", "alpha"))


def test_a_group_means_its_nodes() -> None:
    """It goes to the nodes that are in the group."""
    controller = build_controller(FARM)
    expected = ["alpha", "gamma"]

    assert expected == targets(controller, send(controller, to="pair"))


def test_nodes_and_a_group_mean_both() -> None:
    """Named nodes and those of the group all get it, each once."""
    controller = build_controller(FARM)
    expected = ["alpha", "beta", "gamma"]

    assert expected == targets(controller, send(controller, "alpha", "beta", to="pair"))


def test_an_offline_node_is_left_out_unless_it_is_named() -> None:
    """All nodes means those that report; one asked for by name has its task waiting."""
    controller = build_controller(FARM.replace("{name: beta}", "{name: beta, state: Offline}"))
    expected = ["beta"]

    assert "beta" not in targets(controller, send(controller))
    assert expected == targets(controller, send(controller, "beta"))


@pytest.mark.parametrize(("release", "included"), [("1.8", False), ("1.32", False), ("1.33", True)])
def test_an_unhealthy_node_is_included_from_1_33_on(release: str, included: bool) -> None:
    """Before 1.33 Unhealthy nodes were passed over (A16)."""
    controller = build_controller(FARM, release=Release.parse(release))
    nodes.set_node_state(controller, node_named(controller).id, NodeState.UNHEALTHY)

    assert included is ("alpha" in targets(controller, send(controller)))


@pytest.mark.parametrize(
    ("wanted", "kind"),
    [
        ({"template_id": "nobody"}, NoSuchTemplate),
        ({"tag": "nope"}, NoSuchTag),
        ({"number": 9}, Refusal),
        ({"node_ids": ["nobody"]}, NoSuchNode),
        ({"group_id": "nobody"}, NoSuchGroup),
    ],
)
def test_what_is_not_there_is_refused(wanted: dict[str, object], kind: type[Refusal]) -> None:
    """An unknown template, version, node or group is refused, and nothing is sent."""
    controller = build_controller(FARM)
    before = repr(state_of(controller))
    with pytest.raises(kind):
        distributions.create_distribution(controller, **{"template_id": template_named(controller).id, **wanted})  # type: ignore[arg-type]

    assert before == repr(state_of(controller))


def test_a_distribution_is_found_by_its_id() -> None:
    """Find gives the distribution of that id, or says Not found."""
    controller = build_controller(FARM)
    made = send(controller)

    assert made is distributions.find_distribution(controller, made.id)
    with pytest.raises(NotFound):
        distributions.find_distribution(controller, "nobody")


# What becomes of it.


def test_every_node_is_in_the_answer_from_the_start() -> None:
    """Before any node has taken its task, each is there with nothing done (A16)."""
    controller = build_controller(FARM)
    made = send(controller, "alpha", "beta")
    expected = {"alpha": "sent", "beta": "sent"}

    assert expected == stages(controller, made)
    assert 0 == progress(controller, made)


def test_each_node_has_its_own_progress() -> None:
    """A node that has half of it is through earlier; progress grows with time and ends at 1."""
    controller = build_controller(FARM)
    made = send(controller, "alpha", "gamma")
    seen = []
    for seconds in (1, 3, 3, 20):
        pass_time(controller, seconds)
        seen.append((progress(controller, made, "alpha"), progress(controller, made, "gamma")))
    expected = [(0, 0), (0.2, 0.6), (0.4, 1), (1, 1)]

    assert expected == seen
    assert {"alpha": "done", "gamma": "done"} == stages(controller, made)


def test_it_leaves_the_version_cached() -> None:
    """An instance started afterwards does not pull."""
    controller = build_controller(FARM)
    send(controller, "alpha")
    pass_time(controller, 100)
    mine = start_instance(controller, on="alpha")
    pass_time(controller, 100)
    expected = [(0.0, "Scheduling"), (21.0, "Started")]

    assert expected == state_history(controller, mine)


def test_a_tag_sends_that_version() -> None:
    """Not the latest goes out, but the one named."""
    controller = build_controller(FARM)
    send(controller, "alpha", tag="base")
    pass_time(controller, 100)

    assert [version_ref(controller, serial=0)] == list(node_named(controller).cached)


def test_what_is_there_already_is_done_at_once() -> None:
    """A node that has the version is done as soon as it has taken its task."""
    controller = build_controller(FARM)
    made = send(controller, "gamma", tag="base")
    pass_time(controller, 1)
    expected = ({"gamma": "done"}, 1)

    assert expected == (stages(controller, made), progress(controller, made, "gamma"))


def test_two_distributions_of_a_version_are_one_pull() -> None:
    """The second joins the pull of the first, and both are done together."""
    controller = build_controller(FARM)
    first = send(controller, "alpha")
    pass_time(controller, 8)
    second = send(controller, "alpha")
    pass_time(controller, 8)
    expected = [{"alpha": "done"}] * 2

    assert expected == [stages(controller, each) for each in (first, second)]
    assert 1 == count_log_entries(controller, "pull began")


def test_an_instance_joins_the_pull_of_a_distribution() -> None:
    """An instance placed while the template is on its way waits for its rest only."""
    controller = build_controller(FARM)
    send(controller, "alpha")
    pass_time(controller, 8)
    mine = start_instance(controller, on="alpha")
    pass_time(controller, 100)
    expected = [(0.0, "Scheduling"), (1.0, "Pulling"), (8.0, "Scheduling"), (28.0, "Started")]

    assert expected == state_history(controller, mine)


def test_a_node_without_room_fails_alone() -> None:
    """A full disk is that node's error; the others go on."""
    controller = build_controller(FARM)
    made = send(controller, "alpha", "tiny")
    pass_time(controller, 100)
    expected = {"alpha": "done", "tiny": "failed"}

    assert expected == stages(controller, made)
    assert made.deliveries[node_named(controller, "tiny").id].error.startswith("no space left on node tiny")


def test_a_template_deleted_before_a_node_took_its_task_fails() -> None:
    """What is not in the registry any more cannot be pulled."""
    controller = build_controller(FARM)
    made = send(controller, "alpha")
    templates.delete_template(controller, template_named(controller).id)
    pass_time(controller, 100)
    expected = {"alpha": "failed"}

    assert expected == stages(controller, made)
    assert "VM not in the registry" == made.deliveries[node_named(controller).id].error


def test_a_template_deleted_while_it_is_pulled_still_arrives() -> None:
    """What is on its way comes through."""
    controller = build_controller(FARM)
    made = send(controller, "alpha")
    pass_time(controller, 5)
    templates.delete_template(controller, template_named(controller).id)
    pass_time(controller, 100)
    expected = {"alpha": "done"}

    assert expected == stages(controller, made)


@pytest.mark.parametrize("lost_after", [0, 5])
def test_a_lost_node_goes_on_when_it_is_back(lost_after: float) -> None:
    """A silent node reports nothing; a task that it had, taken or not, comes to its end after its return."""
    controller = build_controller(FARM)
    made = send(controller, "alpha")
    pass_time(controller, lost_after)
    lose_node(controller)
    frozen = progress(controller, made)
    pass_time(controller, 300)
    meanwhile = (progress(controller, made), stages(controller, made)["alpha"] != "done")
    restore_node(controller)
    pass_time(controller, 100)
    expected = ({"alpha": "done"}, 1)

    assert (frozen, True) == meanwhile
    assert expected == (stages(controller, made), progress(controller, made))


def test_a_deleted_node_has_failed_where_it_was() -> None:
    """What a deleted node had not finished it never will; its progress stays, and the other nodes go on."""
    controller = build_controller(FARM)
    made = send(controller, "alpha", "beta")
    pass_time(controller, 4)
    id = node_named(controller).id
    nodes.delete_node(controller, id)
    pass_time(controller, 100)
    delivery = made.deliveries[id]
    expected = (DeliveryStage.FAILED, "node alpha was deleted")

    assert expected == (delivery.stage, delivery.error)
    assert pytest.approx(0.2) == made.progress(controller, id)
    assert made.deliveries[node_named(controller, "beta").id].stage is DeliveryStage.DONE


def test_a_node_deleted_afterwards_stays_done() -> None:
    """What was delivered was delivered."""
    controller = build_controller(FARM)
    made = send(controller, "alpha")
    pass_time(controller, 100)
    id = node_named(controller).id
    nodes.delete_node(controller, id)
    expected = (DeliveryStage.DONE, 1.0)

    assert expected == (made.deliveries[id].stage, made.progress(controller, id))


def test_requests_remain_listed() -> None:
    """Nothing takes a distribution off the list (C11)."""
    controller = build_controller(FARM)
    made = send(controller)
    pass_time(controller, 100_000)

    assert [made.id] == list(controller.distributions)


def test_the_event_that_ends_a_stage_is_the_one_that_is_due() -> None:
    """What is told to end a delivery's stage is what stands in the queue for it."""
    controller = build_controller(FARM)
    made = send(controller, "alpha")
    found = []
    for seconds in (0, 5):
        pass_time(controller, seconds)
        event = distributions.delivery_stage_end_event(made, node_named(controller).id)
        found.append(event in [due for _, due in controller.queue.current_events(controller)])
    expected = [True, True]

    assert expected == found


# Cancelling.


def test_a_cancelled_distribution_stands_where_it_was() -> None:
    """Nodes that are not done say that it was cancelled, with the progress they had; their pulls are given up."""
    controller = build_controller(COLD)
    made = send(controller)
    pass_time(controller, 7)
    distributions.cancel_distribution(controller, made.id)
    pass_time(controller, 100)
    (delivery,) = made.deliveries.values()

    assert (DeliveryStage.FAILED, "request canceled", 0.4) == (
        delivery.stage,
        delivery.error,
        made.progress(controller, node_named(controller).id),
    )
    assert ({}, {}) == (node_named(controller).pulls, node_named(controller).cached)
    assert 1 == count_log_entries(controller, "pull given up")


def test_a_cancelled_distribution_leaves_what_is_done() -> None:
    """A node that has everything is done, and stays so."""
    controller = build_controller(COLD)
    made = send(controller)
    pass_time(controller, 100)
    distributions.cancel_distribution(controller, made.id)
    (delivery,) = made.deliveries.values()

    assert (DeliveryStage.DONE, "") == (delivery.stage, delivery.error)
    assert version_ref(controller) in node_named(controller).cached


@pytest.mark.parametrize("who", ["instance", "distribution"])
def test_a_pull_that_somebody_else_waits_for_goes_on(who: str) -> None:
    """An instance, or another distribution, gets what it waits for at the same time."""
    controller = build_controller(COLD)
    made = send(controller)
    pass_time(controller, 2)
    mine = start_instance(controller) if who == "instance" else None
    other = None if mine else send(controller)
    pass_time(controller, 5)
    distributions.cancel_distribution(controller, made.id)
    pass_time(controller, 9)

    assert version_ref(controller) in node_named(controller).cached
    if mine:
        pass_time(controller, 20)
        assert "Started" == mine.state
    if other:
        assert [DeliveryStage.DONE] == [each.stage for each in other.deliveries.values()]


def test_a_pull_that_others_lean_on_goes_on() -> None:
    """Who pulls the upper layer waits for the lower one, which the cancelled pull fetches."""
    controller = build_controller(COLD)
    made = send(controller, tag="base")
    pass_time(controller, 2)
    mine = start_instance(controller, tag="tools")
    pass_time(controller, 2)
    distributions.cancel_distribution(controller, made.id)
    pass_time(controller, 100)

    assert "Started" == mine.state
    assert 0 == count_log_entries(controller, "pull given up")


def test_an_unknown_distribution_is_not_cancelled() -> None:
    """It is not found."""
    with pytest.raises(NotFound):
        distributions.cancel_distribution(build_controller(COLD), "nothing")


def test_a_cancelled_distribution_survives_a_dump() -> None:
    """With its error and its progress."""
    controller = build_controller(COLD)
    made = send(controller)
    pass_time(controller, 7)
    distributions.cancel_distribution(controller, made.id)

    assert state_of(controller) == state_of(reload(controller))
