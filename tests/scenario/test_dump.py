"""Dumps: they load as the same state, at rest and at any moment in flight."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from mockanka.core import distributions, instances, nodes, save_images
from mockanka.core.controller import Controller
from mockanka.core.faults import LIFECYCLE_FAULTS
from mockanka.core.instance_record import StartRequest
from mockanka.core.lifecycle import NodeState
from mockanka.core.save_images import SaveRequest, SaveStage
from mockanka.scenario import Options, Scenario, dump, shipped, to_yaml
from tests import controllers
from tests.api import client
from tests.controllers import CORNERS, controller_of, pass_time, state_of
from tests.core.fault_effects.helpers import add_fault

Loader = Callable[[Controller], Controller]


def by_yaml(controller: Controller) -> Controller:
    return Scenario.from_yaml(to_yaml(dump(controller))).controller()


def by_json(controller: Controller) -> Controller:
    return Scenario.from_json(json.dumps(dump(controller))).controller()


def by_data(controller: Controller) -> Controller:
    return Scenario.from_data(dump(controller)).controller()


LOADERS = [by_yaml, by_json, by_data]


def story(controller: Controller) -> list[tuple[object, ...]]:
    """Return the events from now on, and the next ids.

    A dump does not have the reason why an instance waits: after a load it is logged again, even if it has not changed.
    """
    begin = controller.log.count
    for seconds in (1, 0.5, 30, 120, 900):
        pass_time(controller, seconds)
    controller.new_id("distribution")
    lines = [
        (line.at, line.what, line.subject, line.detail)
        for line in controller.log.since(begin)
        if line.what != "waiting"
    ]
    return [
        *lines,
        *((kind, controller.new_id(kind)) for kind in ("instance", "request", "group", "distribution", "save")),
    ]


def check(controller: Controller) -> None:
    """The state survives each way of writing, twice over, and goes on in the same way."""
    expected = state_of(controller)
    copies = [load(controller) for load in LOADERS]

    assert [expected] * len(copies) == [state_of(copy) for copy in copies]
    assert dump(controller) == dump(copies[0])
    stories = [story(copy) for copy in copies]
    assert [story(controller)] * len(copies) == stories
    assert [state_of(controller)] * len(copies) == [state_of(copy) for copy in copies]


@pytest.mark.parametrize("seconds", [0, 37, 600])
@pytest.mark.parametrize("name", shipped())
def test_every_shipped_scenario_survives_its_dump(name: str, seconds: int) -> None:
    """A scenario that ships is dumped and loaded as it is, at its start and some time into it."""
    controller = controllers.shipped(name)
    pass_time(controller, seconds)

    check(controller)


def corners() -> Controller:
    controller = controller_of(CORNERS)
    pass_time(controller, 1)
    return controller


def template_of(controller: Controller, name: str) -> str:
    return next(template.id for template in controller.templates.values() if template.name == name)


def node_of(controller: Controller, name: str) -> str:
    return next(node.id for node in controller.nodes.values() if node.name == name)


def start(controller: Controller, template: str, count: int = 1, **more: Any) -> list[str]:
    return instances.start_instances(controller, StartRequest(template_of(controller, template), **more), count)


@pytest.mark.parametrize("seconds", [0, 1, 2, 3, 20, 41, 60, 100, 170, 260, 400])
def test_a_pull_on_its_way_survives(seconds: float) -> None:
    """At any moment of a pull, and of the boot behind it, the dump is the state."""
    controller = corners()
    start(controller, "bulky")
    pass_time(controller, seconds)

    check(controller)


def test_work_that_waits_for_a_pull_survives() -> None:
    """An instance and a distribution that wait because their node pulls are taken by it after the dump."""
    controller = corners()
    pair = node_of(controller, "pair")
    start(controller, "layered", tag="base", node_id=pair)
    pass_time(controller, 10)
    start(controller, "layered", tag="latest", node_id=pair)
    distributions.create_distribution(controller, template_of(controller, "layered"), "latest", node_ids=[pair])
    pass_time(controller, 10)

    assert (1, 1, 1) == (len(controller.nodes[pair].pulls), len(controller.waiting), len(controller.waiting_deliveries))
    check(controller)


@pytest.mark.parametrize("seconds", [0, 1, 30, 100, 1000])
def test_a_distribution_on_its_way_survives(seconds: float) -> None:
    """Deliveries that are sent, being pulled, done and failed survive, each with its progress."""
    controller = corners()
    distributions.create_distribution(controller, template_of(controller, "bulky"))
    pass_time(controller, seconds)

    check(controller)


def test_a_distribution_to_nobody_survives() -> None:
    """A distribution to a group without nodes goes to no node after the dump either."""
    controller = corners()
    nobody = next(group.id for group in controller.groups.values() if group.name == "nobody")
    distributions.create_distribution(controller, template_of(controller, "layered"), group_id=nobody)

    check(controller)


@pytest.mark.parametrize("stage", [stage for stage in SaveStage if stage is not SaveStage.WAITING])
def test_a_save_image_request_survives_in_each_stage(stage: SaveStage) -> None:
    """Script, stop, push, done and error are dumped and loaded, with the instance that is pushed."""
    controller = corners()
    (id,) = start(controller, "layered", node_id=node_of(controller, "single"), tag="base")
    pass_time(controller, 200)
    source = "not base64" if stage is SaveStage.ERROR else "ZmFpbA=="
    save = save_images.create_save_image(controller, SaveRequest(id, new_template_name="new", script=source, tag="t"))
    for _ in range(500):
        if save.stage is stage:
            break
        pass_time(controller, 0.5)

    assert stage is save.stage
    check(controller)


def test_a_save_image_request_that_waits_its_turn_survives() -> None:
    """A second push to the same template still waits for the first after the dump."""
    controller = corners()
    target = template_of(controller, "layered")
    ids = start(controller, "layered", 2, node_id=node_of(controller, "pair"), tag="base")
    pass_time(controller, 400)
    first, second = (
        save_images.create_save_image(controller, SaveRequest(id, template_id=target, tag=f"saved {id}")) for id in ids
    )
    pass_time(controller, 1)

    assert SaveStage.WAITING is second.stage is not first.stage
    check(controller)


@pytest.mark.parametrize("event", [event for event, kinds in LIFECYCLE_FAULTS.items() if "fail" in kinds])
def test_failures_without_a_message_survive(event: str) -> None:
    """A fault may fail anything with an empty text, before and after which a dump loads."""
    controller = corners()
    rule = add_fault(controller, event, "{fail: ''}")
    (id,) = start(controller, "layered", node_id=node_of(controller, "single"), tag="base")
    distributions.create_distribution(controller, template_of(controller, "bulky"))
    pass_time(controller, 200)
    if event == "save_image":
        save_images.create_save_image(controller, SaveRequest(id, new_template_name="new"))
    check(controller)
    pass_time(controller, 600)

    assert rule.applied
    check(controller)


def test_events_of_one_moment_keep_their_order() -> None:
    """Events that are due at the same nanosecond happen in the same order after the dump."""
    text = "templates: [{name: os, versions: [{tag: t}]}]\nnodes: [{name: 'n{n}', count: 6, capacity: 3, cached: [os]}]"
    controller = controller_of(text)
    for _ in range(7):
        start(controller, "os", 2)
    pass_time(controller, 1)
    for id in list(controller.instances)[::3]:
        instances.terminate_instance(controller, id)

    dues = [at for at, _ in controller.queue.current_events(controller)]
    assert len(dues) > 3 * len(set(dues))
    check(controller)


@pytest.mark.parametrize("seconds", [0, 60, 119, 120, 300])
def test_a_lost_node_survives(seconds: float) -> None:
    """A node that went silent is as lost after the dump, and comes back or times out as it would have."""
    controller = corners()
    start(controller, "layered", 3, tag="base")
    pass_time(controller, 30)
    nodes.lose_node(controller, node_of(controller, "single"))
    nodes.lose_node(controller, node_of(controller, "pair"))
    pass_time(controller, seconds)

    check(controller)


def test_a_node_that_comes_back_after_the_dump_does_so_in_both() -> None:
    """The changes on a lost node are reported in the same order, whether there was a dump between or not."""
    controller = corners()
    start(controller, "layered", 3, tag="base")
    pass_time(controller, 2)
    single = node_of(controller, "pair")
    nodes.lose_node(controller, single)
    pass_time(controller, 100)
    copy = by_yaml(controller)
    for loaded in (controller, copy):
        nodes.restore_node(loaded, single)

    assert state_of(controller) == state_of(copy)
    assert story(controller) == story(copy)


@pytest.mark.parametrize("seconds", [0, 3, 30, 61])
def test_terminating_instances_survive(seconds: float) -> None:
    """Instances on their way out, confirmed and not, are as far after the dump."""
    controller = corners()
    ids = start(controller, "layered", 6, tag="base")
    pass_time(controller, 25)
    for id in ids[::2]:
        instances.terminate_instance(controller, id)
    pass_time(controller, seconds)

    check(controller)


def test_conditions_of_nodes_survive() -> None:
    """Nodes that are updating, unhealthy or unlicensed are so after the dump."""
    controller = corners()
    for id, condition in zip(
        controller.nodes, (NodeState.UPDATING, NodeState.UNHEALTHY, NodeState.UNLICENSED), strict=False
    ):
        nodes.set_node_state(controller, id, condition)
    start(controller, "layered", 4, priority=7)
    pass_time(controller, 3)

    check(controller)


def test_instances_of_a_deleted_node_survive() -> None:
    """An instance that failed with its node remembers the node in the dump, though there is none any more."""
    controller = corners()
    start(controller, "layered", 2, node_id=node_of(controller, "pair"), tag="base")
    pass_time(controller, 150)
    nodes.delete_node(controller, node_of(controller, "pair"))

    check(controller)


def test_what_is_terminating_on_a_deleted_node_survives() -> None:
    """An instance whose node was deleted while it was terminating is dumped too."""
    controller = corners()
    (id,) = start(controller, "layered", node_id=node_of(controller, "pair"), tag="base")
    pass_time(controller, 150)
    instances.terminate_instance(controller, id)
    nodes.delete_node(controller, node_of(controller, "pair"))

    check(controller)


def test_a_pinned_node_that_was_deleted_survives() -> None:
    """An instance that waits for a node that is no more still does after the dump."""
    controller = corners()
    start(controller, "layered", 4, node_id=node_of(controller, "single"))
    pass_time(controller, 3)
    nodes.delete_node(controller, node_of(controller, "single"))

    check(controller)


def test_deleted_templates_survive_with_who_runs_on_them() -> None:
    """A template that was deleted from the registry is still in instances and caches after the dump."""
    api = client.default_api()
    api.perform("DELETE", "registry/vm", None, query=f"id={client.TEMPLATE}")

    check(api.controller)


@pytest.mark.parametrize(
    "text",
    [
        "1.50",
        "yes",
        "~",
        "null",
        "",
        " ",
        "a: b",
        "- a",
        "#",
        "\0",
        "\u2028",
        "\ufeff",
        "\x85",
        "\x7f",
        "😀",
        "'\"\n\t",
        "=",
        "0x1",
    ],
)
def test_texts_survive_whatever_is_in_them(text: str) -> None:
    """Names, ids of others and metadata come back as they were, letter by letter."""
    api = client.default_api()
    api.start(vmid=client.TEMPLATE, name=text, external_id=text, metadata={text: text, "n": 7, "b": True})

    check(api.controller)


LIMITS = [
    ("POST", "vm", {"vmid": client.TEMPLATE, "vcpu": 1024}),
    ("POST", "vm", {"vmid": client.TEMPLATE, "vram": 16 * 1024 * 1024}),
    ("POST", "vm", {"vmid": client.TEMPLATE, "vcpu": 0, "vram": 0, "version": 0, "priority": 10_000}),
    ("POST", "node/config", {"node_id": client.NODE, "max_vm_count": 10**6}),
    ("POST", "node/config", {"node_id": client.NODE, "max_vm_count": 0}),
    ("POST", "node/config", {"node_id": client.NODE, "vcpu_override": 10**9}),
    ("POST", "node/config", {"node_id": client.NODE, "ram_override": 10**9}),
    ("POST", "node/config", {"node_id": client.NODE, "name": "", "host": ""}),
    ("POST", "group", {"name": "x", "description": ""}),
]


@pytest.mark.parametrize(("method", "path", "body"), LIMITS)
def test_whatever_the_api_takes_survives(method: str, path: str, body: dict[str, Any]) -> None:
    """A number that a request may have may stand in a dump."""
    api = client.default_api()
    api.perform(method, path, body)
    pass_time(api.controller, 60)

    check(api.controller)


@pytest.mark.parametrize(
    "text",
    [
        "clock: {start: 1970-01-01T00:00:00Z}\nnodes: [{name: n}]",
        "nodes: [{name: n, ip: ''}]",
        "nodes: [{name: n, anka: {product: ''}}]",
        "templates: [{name: a, versions: [{tag: t, own_ports: true}, {tag: '', images: []}]}]",
        "timings: {boot: {lognormal: [20s, 0.1234567890123]}, stop: 0, forget: 8760000h}",
        "controller: {registry: '', saved_size: 0}\nclock: {speed: 0.1, step: 0}",
        "nodes: [{name: n, usb: [a, a, {name: a, location: '1'}]}, {name: n}]",
    ],
)
def test_what_is_out_of_the_ordinary_survives(text: str) -> None:
    """Blank texts, odd numbers and the far past come back as they were."""
    check(controller_of(text))


def test_a_pull_that_never_ends_survives() -> None:
    """A moment that no calendar has is as far away after the dump, or its scenario is refused."""
    controller = controller_of(
        "timings: {pull_bandwidth: 1bit/s}\ntemplates: [{name: os, versions: [{tag: t, size: 900TB}]}]\n"
        "nodes: [{name: n, disk: 9000TB}]\ninstances: [{template: os}]"
    )
    pass_time(controller, 3)

    assert state_of(controller) == state_of(by_yaml(controller))


def test_a_dump_at_rest_reads_like_a_scenario() -> None:
    """A node that does nothing has none of the keys that only dumps have."""
    data = dump(controller_of("nodes: [{name: n}]"))

    assert "pulls" not in data["nodes"][0]
    assert "instances" not in data
    assert data["pending"] == []


def test_a_dump_is_plain_yaml() -> None:
    """A dump is nothing but texts, numbers, truths, lists and mappings, and has no anchors."""
    text = to_yaml(dump(controllers.shipped("reference")))

    assert dump(controllers.shipped("reference")) == yaml.safe_load(text)
    assert "&" not in text.replace("&&", "")


def test_options_beat_a_dump_as_any_scenario() -> None:
    """A dump loaded with another clock goes on with that one."""
    controller = corners()
    copy = Scenario.from_data(dump(controller)).controller(Options(clock="step", step=3))

    assert ("step", 3, controller.now) == (copy.clock.mode, copy.clock.step, copy.now)


def test_what_instances_share_is_written_for_each_of_them() -> None:
    """A dump has no aliases, of which a loader takes few: 200 instances of one start have its metadata each."""
    keys = ", ".join(f"k{number}: v" for number in range(600))
    controller = controller_of(
        f"{{templates: [{{name: a, versions: [{{tag: t}}]}}], nodes: [{{name: n}}], "
        f"instances: [{{template: a, count: 200, metadata: {{{keys}}}}}]}}"
    )
    text = to_yaml(dump(controller))

    assert "*id" not in text
    assert 200 * 600 == text.count(": v\n")
    assert dump(controller) == dump(Scenario.from_yaml(text).controller())


def test_yaml_has_no_halves_of_surrogate_pairs() -> None:
    """They are written as U+FFFD, in keys and in values."""
    assert {"a\ufffd": ["\ufffd"]} == yaml.safe_load(to_yaml({"a\ud800": ["\udc00"]}))


@pytest.mark.parametrize("load", LOADERS)
def test_a_vm_in_error_of_a_snapshot_is_in_the_dump_of_it(load: Loader) -> None:
    """A controller before 1.49 that was observed had it, so what is dumped of it keeps it."""
    text = (
        "snapshot: true\ncontroller: {release: 1.43.0}\ntemplates: [{name: a, versions: [{tag: t}]}]\n"
        "instances: [{template: a, state: Error, vm: {name: kept}}]"
    )
    controller = controller_of(text)
    (instance,) = load(controller).instances.values()

    assert instance.vm is not None
    assert "kept" == instance.vm.name
    assert dump(controller) == dump(load(controller))
