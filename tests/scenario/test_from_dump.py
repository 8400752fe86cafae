"""Dumps say in which format they are, and what earlier versions have written is read."""

from pathlib import Path

import pytest
import yaml

from mockanka.core import instances
from mockanka.core.instance_record import StartRequest
from mockanka.scenario import Scenario, dump, to_yaml
from mockanka.scenario.pending import EVENT_CLASSES, FORMER_KINDS
from mockanka.scenario.sections import DUMP_FORMAT
from mockanka.simulator.simulator import Simulator
from tests.controllers import controller_of, pass_time
from tests.scenario.problems import problems_of

DUMPS = Path(__file__).parent / "dumps"
"""By release: a dump from before formats, the same in format 1, and what the controller was an hour later."""

RELEASES = sorted(path.name.removesuffix(".after-an-hour.yaml") for path in DUMPS.glob("*.after-an-hour.yaml"))
HOUR = 3600


def fixture_text(release: str, name: str) -> str:
    return (DUMPS / f"{release}.{name}.yaml").read_text("utf-8")


@pytest.mark.parametrize("name", ["no-format", *(f"format-{number}" for number in range(1, DUMP_FORMAT + 1))])
@pytest.mark.parametrize("release", RELEASES)
def test_a_dump_of_an_earlier_version_is_read(release: str, name: str) -> None:
    """It loads as the state that was dumped, and goes on from there by the rules of today."""
    simulator = Simulator(Scenario.from_yaml(fixture_text(release, name)))

    assert fixture_text(release, f"format-{DUMP_FORMAT}") == to_yaml(simulator.dump())
    pass_time(simulator.controller, HOUR)
    assert fixture_text(release, "after-an-hour") == to_yaml(simulator.dump())


@pytest.mark.parametrize("release", ["1.43.0", "1.50.1"])
def test_two_pulls_on_a_node_end(release: str) -> None:
    """Earlier versions let a node pull several versions at once: all of them end, and what waits is taken."""
    simulator = Simulator(Scenario.from_yaml(fixture_text(release, "format-1")))
    controller = simulator.controller
    pulls = [len(node.pulls) for node in controller.nodes.values()]
    pass_time(controller, HOUR)

    assert 2 == max(pulls)
    assert [] == [node.name for node in controller.nodes.values() if node.pulls]
    assert [] == [instance.id for instance in controller.instances.values() if instance.pulling]
    assert ([], []) == (controller.waiting, controller.waiting_deliveries)


ONE_NODE = """
templates: [{name: mac, versions: [{tag: v, size: 10GB}]}]
nodes: [{name: alpha, capacity: 9, workers: 9}]
"""


def test_instances_that_share_a_pull_start_after_it() -> None:
    """Earlier versions let an instance wait for the pull of another one; both go on with its end."""
    controller = controller_of(ONE_NODE)
    first = instances.start_instances(controller, StartRequest(next(iter(controller.templates))))[0]
    pass_time(controller, 10)
    data = dump(controller)
    data["instances"].append({**data["instances"][0], "id": "second", "number": 2})
    (end,) = [entry for entry in data["pending"] if entry["event"] == "instance_pulled"]
    data["pending"].append({**end, "id": "second"})
    loaded = Scenario.from_data(data).controller()
    before = [loaded.instances[id].progress(loaded) for id in (first, "second")]
    pass_time(loaded, HOUR)

    assert before[0] == before[1] > 0
    assert ["Started", "Started"] == [loaded.instances[id].state for id in (first, "second")]


def test_more_starts_than_workers_go_on() -> None:
    """Earlier versions knew no workers; a node takes nothing new until enough of its VMs are up."""
    controller = controller_of(ONE_NODE.replace("workers: 9", "workers: 9, cached: [mac]"))
    request = StartRequest(next(iter(controller.templates)))
    booting = instances.start_instances(controller, request, 3)
    pass_time(controller, 5)
    data = dump(controller)
    del data["nodes"][0]["workers"]
    loaded = Scenario.from_data(data).controller()
    (late,) = instances.start_instances(loaded, request)
    pass_time(loaded, 10)
    before = (loaded.instances[late].state, loaded.instances[late].waits_for)
    pass_time(loaded, HOUR)

    assert ("Scheduling", "no free worker (1 node)") == before
    assert ["Started"] * 4 == [loaded.instances[id].state for id in (*booting, late)]


def test_the_dumps_have_every_kind_of_event() -> None:
    """Among the dumps of each format are all kinds of events that it names."""
    kinds: dict[str, set[str]] = {"no-format": set(), "format-1": set()}
    for name, found in kinds.items():
        for release in RELEASES:
            found |= {entry["event"] for entry in yaml.safe_load(fixture_text(release, name))["pending"]}

    assert set(FORMER_KINDS) == kinds["no-format"]
    assert set(FORMER_KINDS.values()) == kinds["format-1"]
    assert kinds["format-1"] <= set(EVENT_CLASSES)


def test_the_format_is_the_first_key_of_a_dump() -> None:
    """Whoever opens a dump sees the format before anything that depends on it."""
    assert ("format", 1) == next(iter(dump(controller_of("")).items()))


def test_former_kinds_are_read_without_a_format_only() -> None:
    """A dump that has a format names events by their kinds."""
    pending = "pending: [{at: '2024-01-01T00:00:00Z', event: Queued, id: x, step: 0}]"

    assert 1 == len(controller_of(pending).queue)
    (problem,) = problems_of(f"format: 1\n{pending}")
    assert problem.startswith("w.yaml:2: pending[0].event: unknown kind 'Queued', known are ")


def test_a_later_format_is_refused() -> None:
    """Of a dump in a format that is not known yet nothing else is said."""
    assert [
        "w.yaml:2: format: a later version of mockanka wrote this dump in format 2; this one reads formats up to 1"
    ] == problems_of("pending: [{what: 5}]\nformat: 2\nunheard_of: 7\n")


@pytest.mark.parametrize("written", ["0", "-1", "one", "1.0"])
def test_a_format_is_a_whole_number(written: str) -> None:
    """Formats are counted from 1."""
    (problem,) = problems_of(f"format: {written}\npending: []")

    assert problem.startswith("w.yaml:1: format: ")


@pytest.mark.parametrize("text", ["", "\nsnapshot: true"])
def test_only_a_dump_has_a_format(text: str) -> None:
    """A scenario that has no pending is no dump, and has no format."""
    assert ["w.yaml:1: format: belongs to a dump, which has pending as well; leave it out here"] == problems_of(
        f"format: 1{text}"
    )


def test_a_loaded_dump_can_be_built_again() -> None:
    """Changes of a controller do not reach the next one of the same dump, which a reset makes."""
    scenario = Scenario.from_yaml(fixture_text("1.50.1", "format-1"))
    first, second = scenario.controller(), scenario.controller()
    removals = [dict(node.removals) for node in second.nodes.values()]
    pass_time(first, HOUR)

    assert any(removals)
    assert [{}] * len(removals) == [node.removals for node in first.nodes.values()]
    assert removals == [node.removals for node in second.nodes.values()]
