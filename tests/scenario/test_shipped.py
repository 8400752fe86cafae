"""The scenarios that ship are what their descriptions say."""

from ipaddress import ip_address

import pytest
import requests

import mockanka
from mockanka import resources
from mockanka.core import placement, pulls
from mockanka.core.controller import Controller
from mockanka.core.lifecycle import InstanceState
from mockanka.core.release import DEFAULT_RELEASE, Release
from mockanka.core.templates import VersionRef
from mockanka.scenario import Options, Scenario, shipped
from mockanka.scenario.inventory import NODE_NETWORKS
from mockanka.units import format_moment
from tests import controllers

NAMES = sorted(
    """
    busy busy-then-free cold-cache default empty fleet late-in-list long-pull lost-answer missing-tag not-json
    null-in-list out-of-step reference slow-answer ssh-second stops-early
    """.split()
)


def free_slots(controller: Controller) -> int:
    return sum(node.capacity - len(node.occupants) for node in controller.nodes.values())


def latest(controller: Controller) -> dict[str, VersionRef]:
    return {template.name: VersionRef(id, len(template.history) - 1) for id, template in controller.templates.items()}


def test_the_promised_scenarios_ship() -> None:
    """There is the small office, nothing, a full house, an empty cache, a fleet and the reference."""
    assert NAMES == shipped()


@pytest.mark.parametrize("name", NAMES)
def test_each_begins_with_a_line_about_itself(name: str) -> None:
    """The first line of each says what it is for."""
    first = resources.find_resource(f"scenarios/{name}.yaml").read_text("utf-8").partition("\n")[0]

    assert first.startswith("# ")
    assert first.endswith(".")


@pytest.mark.parametrize("name", NAMES)
def test_each_says_by_which_clock_it_is_meant_to_run(name: str) -> None:
    """A line of the header names the mode of the clock, or that any will do, and where it matters the speed."""
    text = resources.find_resource(f"scenarios/{name}.yaml").read_text("utf-8")
    header = [line for line in text.splitlines()[:5] if line.startswith("#")]
    (clock,) = [line for line in header if line.startswith("# Clock: ")]

    assert any(word in clock for word in ("any mode", "real", "manual", "step"))
    assert clock.endswith(".")


@pytest.mark.parametrize("name", [name for name in NAMES if name != "reference"])
def test_nobody_has_the_addresses_of_the_nodes(name: str) -> None:
    """They are reserved for documentation, and clients dial what they are told. The reference has its own."""
    addresses = [ip_address(node.ip) for node in controllers.shipped(name).nodes.values()]

    assert all(any(address in network for network in NODE_NETWORKS[:3]) for address in addresses)


@pytest.mark.parametrize("speed", [1, 60])
def test_busy_then_free_frees_a_slot_after_three_polls(speed: float) -> None:
    """An instance waits however much time passes, and gets its slot once it has been looked at three times."""
    with mockanka.serve("busy-then-free", clock="step", step=f"{speed}s") as anka:
        template = next(iter(anka.templates))
        (id,) = requests.post(f"{anka.url}/api/v1/vm", json={"vmid": template}, timeout=5).json()["body"]
        anka.clock.advance("1h")
        for _ in range(3):
            answer = requests.get(f"{anka.url}/api/v1/vm", params={"id": id}, timeout=5).json()
            assert "Scheduling" == answer["body"]["instance_state"]

        assert "Started" == anka.wait(id).state


def test_an_instance_comes_and_goes_in_out_of_step() -> None:
    """By a stepping clock one list of four lacks the instance, which is Not found by its id then."""
    with mockanka.serve("out-of-step", clock="step", step="5s") as anka:
        template = next(iter(anka.templates))
        requests.post(f"{anka.url}/api/v1/vm", json={"vmid": template}, timeout=5)
        counts = [len(requests.get(f"{anka.url}/api/v1/vm", timeout=5).json()["body"]) for _ in range(12)]

    assert [0, 1, 1, 1] * 3 == counts


@pytest.mark.parametrize("name", NAMES)
def test_only_the_reference_names_a_release(name: str) -> None:
    """Scenarios that ship leave the release to who starts them, but for the reference."""
    assert (name == "reference") == (Scenario.find(name).section.controller.release is not None)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "reference"])
def test_the_defaults_are_those_of_a_fresh_controller(name: str) -> None:
    """Without options a scenario has seed 0, the default release, and by a manual clock begins with 2024."""
    controller = controllers.shipped(name)

    assert (0, DEFAULT_RELEASE, "2024-01-01T00:00:00Z") == (
        controller.seed,
        controller.release,
        start_of(name, "manual"),
    )


def start_of(name: str, clock: str) -> str:
    return format_moment(Scenario.find(name).controller(Options(clock=clock)).now)


def test_a_stepping_clock_begins_with_2024_too() -> None:
    """Only a real clock starts at the wall's time."""
    assert "2024-01-01T00:00:00Z" == start_of("default", "step")
    assert start_of("default", "real") > "2025"


def test_default_has_room() -> None:
    """In the small office a few slots are free and something runs."""
    controller = controllers.shipped("default")

    assert 3 == free_slots(controller)
    assert [InstanceState.STARTED] == [instance.state for instance in controller.instances.values()]


def test_default_has_one_template_cached_and_one_not() -> None:
    """One template starts at once on any node, the other is pulled first."""
    controller = controllers.shipped("default")
    cached = {
        name: [pulls.is_cached(controller, node, ref) for node in controller.nodes.values()]
        for name, ref in latest(controller).items()
    }

    assert {"14.5-arm64": [True, True], "13.6-arm64": [False, False]} == cached


def test_every_version_of_default_forwards_ssh() -> None:
    """Each VM of the small office can be reached by ssh."""
    controller = controllers.shipped("default")
    ports = [
        [rule.guest_port for rule in template.port_rules_for(version)]
        for template in controller.templates.values()
        for version in template.history
    ]

    assert [[22], [22], [22]] == ports


def test_empty_is_empty() -> None:
    """There is nothing at all."""
    controller = controllers.shipped("empty")

    assert [{}, {}, {}, {}] == [controller.nodes, controller.templates, controller.groups, controller.instances]


def test_busy_is_full_and_has_a_queue() -> None:
    """Every slot is taken, and those that wait find none, however long they wait."""
    controller = controllers.shipped("busy")
    controllers.pass_time(controller, 3600)
    waiting = [instance for instance in controller.instances.values() if instance.state is InstanceState.SCHEDULING]

    assert 0 == free_slots(controller)
    assert ["no free slot (3 nodes)"] * 5 == [placement.explain_waiting(controller, instance) for instance in waiting]


def test_the_urgent_ones_of_busy_come_first() -> None:
    """Those with the smaller priority stand first in line, though they came last."""
    controller = controllers.shipped("busy")
    controllers.pass_time(controller, 10)
    line = [controller.instances[id].request.name for _, _, id in controller.waiting]

    assert ["urgent"] * 2 + ["patient"] * 3 == line


def test_cold_cache_has_nothing_cached() -> None:
    """Whatever is started is pulled first."""
    controller = controllers.shipped("cold-cache")

    assert controller.nodes
    assert controller.templates
    assert [{}, {}] == [node.cached for node in controller.nodes.values()]


def test_fleet_has_a_hundred_nodes() -> None:
    """A hundred nodes, each with a name and an address of its own."""
    nodes = controllers.shipped("fleet").nodes.values()

    assert (100, 100, 100) == (len(nodes), len({node.name for node in nodes}), len({node.ip for node in nodes}))


def test_the_reference_is_of_release_1_8_0() -> None:
    """The reference's examples are those of 1.8.0."""
    assert Release(1, 8, 0) == Scenario.find("reference").section.controller.release
