"""Building a controller: every section of the format's example has its effect, and options beat the scenario."""

import pytest

from mockanka.core.controller import Controller
from mockanka.core.durations import Fixed, Lognormal, Normal, Uniform
from mockanka.core.instance_record import Instance
from mockanka.core.lifecycle import InstanceState
from mockanka.core.release import Release
from mockanka.core.scripts import ScriptRule
from mockanka.core.templates import PortRule, VersionRef
from mockanka.scenario import Options, Scenario
from mockanka.units import SECOND, parse_moment
from tests.controllers import controller_of, reload, state_of
from tests.scenario.problems import problems_of

EVERYTHING = """
controller: {release: "1.43.0", license: enterprise plus, registry: "http://anka.registry:8089"}
seed: 42
clock: {start: 2024-01-01T00:00:00Z, mode: real, speed: 1}
timings:
  heartbeat: 5s
  schedule: 1s
  pull_bandwidth: 1Gbit/s
  boot: {lognormal: [20s, 0.3]}
  terminate: {uniform: [1s, 9s]}
  forget: {normal: [1m, 3s]}
templates:
  - name: 14.5-arm64
    id: d792c6f6-198c-470f-9526-9c998efe7ab4
    arch: arm64
    port_forwarding: [{name: ssh, guest_port: 22}]
    versions:
      - {tag: vanilla, size: 20GB}
      - {tag: xcode-15, size: 8GB}
nodes:
  - {name: mini-01, ip: 10.0.0.11, cpus: 8, ram: 16, capacity: 2, cached: ["14.5-arm64:vanilla"], usb: [iphone7]}
  - {count: 10, name: "studio-{n:02}", capacity: 2}
groups:
  - {name: spare, nodes: [studio-01]}
  - {name: ios, description: "iOS builds", nodes: [mini-01], fallback: spare}
instances:
  - {template: 14.5-arm64, tag: vanilla, node: mini-01, state: Started, name: build-1, external_id: job-1}
scripts:
  - {match: "exit 3", return_code: 3, stderr: "boom", takes: 4s}
"""
"""Every section of the format, in the words of its description."""


def named(controller: Controller, what: str, name: str) -> object:
    (found,) = [entity for entity in getattr(controller, what).values() if entity.name == name]
    return found


def only(controller: Controller) -> Instance:
    (instance,) = controller.instances.values()
    return instance


@pytest.fixture
def everything() -> Controller:
    return Scenario.from_yaml(EVERYTHING).controller()


def test_the_head_means_what_it_says(everything: Controller) -> None:
    """Release, license, registry, seed and clock are those of the file."""
    clock = everything.clock

    assert (Release(1, 43, 0), "enterprise plus", "http://anka.registry:8089", 42) == (
        everything.release,
        everything.license.tier,
        everything.registry.url,
        everything.seed,
    )
    assert ("real", 1.0, parse_moment("2024-01-01T00:00:00Z")) == (
        clock.mode,
        clock.speed,
        everything.now // 10**9 * 10**9,
    )


def test_timings_mean_what_they_say(everything: Controller) -> None:
    """Each timing is the length or the distribution that stands there."""
    timings = everything.timings

    assert (5 * SECOND, Fixed(SECOND), 10**9) == (timings.heartbeat, timings.schedule, timings.pull_bandwidth)
    assert (Lognormal(20 * SECOND, 0.3), Uniform(SECOND, 9 * SECOND), Normal(60 * SECOND, 3 * SECOND)) == (
        timings.boot,
        timings.terminate,
        timings.forget,
    )


def test_templates_mean_what_they_say(everything: Controller) -> None:
    """A version's size is the layer it adds, and ports of the template are those of each version."""
    template = everything.templates["d792c6f6-198c-470f-9526-9c998efe7ab4"]

    assert ("14.5-arm64", "arm64", ["vanilla", "xcode-15"]) == (
        template.name,
        template.arch,
        [version.tag for version in template.versions],
    )
    assert [20 * 10**9, 28 * 10**9] == [version.size for version in template.versions]
    assert [(PortRule("ssh", 22),)] * 2 == [template.port_rules_for(version) for version in template.versions]


def test_nodes_mean_what_they_say(everything: Controller) -> None:
    """A node has what it is said to have, and ``count`` makes as many as it says."""
    nodes = list(everything.nodes.values())
    mini = nodes[0]

    assert ["mini-01", *(f"studio-{n:02}" for n in range(1, 11))] == [node.name for node in nodes]
    assert ("10.0.0.11", 8, 16, 2, ["iphone7"]) == (
        mini.ip,
        mini.cpus,
        mini.ram,
        mini.capacity,
        [device.name for device in mini.usb],
    )
    assert [VersionRef("d792c6f6-198c-470f-9526-9c998efe7ab4", 0)] == list(mini.cached)
    assert 11 == len({node.id for node in nodes})


def test_a_node_has_two_workers_unless_it_is_said_to_have_others() -> None:
    """As ``--num-workers`` of the real agent; at least one."""
    few, many = controller_of("nodes: [{name: a}, {name: b, workers: 7}]").nodes.values()

    assert (2, 7) == (few.workers, many.workers)
    assert ["w.yaml:1: nodes[0].workers: 0 is not between 1 and 1024"] == problems_of("nodes: [{name: a, workers: 0}]")


def test_a_node_may_be_unable_to_reach_the_registry_from_the_beginning() -> None:
    """Its state is Active; it stays so until it is made online, also in a dump."""
    controller = controller_of("nodes: [{name: a, id: N, state: registry-unreachable}]")
    loaded = reload(controller).nodes["N"]

    assert ("Active", False) == (loaded.state(controller.now), loaded.reaches_registry)
    assert {"registry-unreachable": None} == loaded.overrides


def test_every_node_has_an_address_of_its_own(everything: Controller) -> None:
    """An address that is made up is never one that another node was given."""
    assert 11 == len({node.ip for node in everything.nodes.values()})


def test_groups_mean_what_they_say(everything: Controller) -> None:
    """A group has its nodes, its description and its fallback."""
    spare, ios = everything.groups.values()
    members = {node.name: node.groups for node in everything.nodes.values() if node.groups}

    assert ("spare", "", None) == (spare.name, spare.description, spare.fallback_id)
    assert ("ios", "iOS builds", spare.id) == (ios.name, ios.description, ios.fallback_id)
    assert {"mini-01": [ios.id], "studio-01": [spare.id]} == members


def test_instances_mean_what_they_say(everything: Controller) -> None:
    """An instance that is Started runs on its node with a VM, and holds a slot."""
    instance = only(everything)
    node = everything.nodes[instance.node_id or ""]

    assert (InstanceState.STARTED, "build-1", "job-1", "mini-01") == (
        instance.state,
        instance.request.name,
        instance.request.external_id,
        node.name,
    )
    assert instance.vm is not None
    assert ("10.0.0.11", [(22, 10000)]) == (
        instance.vm.host_ip,
        [(port.guest_port, port.host_port) for port in instance.vm.ports],
    )
    assert [instance.id] == list(node.occupants)


def test_scripts_mean_what_they_say(everything: Controller) -> None:
    """A rule for scripts has its match, its result and its length."""
    assert (ScriptRule("exit 3", 3, "", "boom", Fixed(4 * SECOND)),) == everything.scripts


def test_the_same_file_makes_the_same_controller() -> None:
    """Two controllers of one scenario are equal, ids and all; another seed makes other ids."""
    scenario = Scenario.from_yaml(EVERYTHING)
    first, second, third = (scenario.controller(Options(clock="manual", seed=seed)) for seed in (None, None, 43))

    assert state_of(first) == state_of(second)
    assert set(first.nodes).isdisjoint(third.nodes)
    assert set(first.instances).isdisjoint(third.instances)


# Options.


def test_options_beat_the_scenario() -> None:
    """An option takes precedence over the scenario."""
    options = Options(seed=7, release=Release(1, 24, 0), clock="step", speed=3.0, step=9 * SECOND)
    controller = Scenario.from_yaml(EVERYTHING).controller(options)
    clock = controller.clock

    assert (7, Release(1, 24, 0), "step", 3.0, 9 * SECOND) == (
        controller.seed,
        controller.release,
        clock.mode,
        clock.speed,
        clock.step,
    )


def test_options_that_are_nothing_much_beat_the_scenario_too() -> None:
    """Seed 0 and a step of nothing are options as good as any."""
    controller = Scenario.from_yaml("seed: 42\nclock: {step: 7s}").controller(Options(seed=0, step=0, clock="step"))

    assert (0, 0) == (controller.seed, controller.clock.step)


@pytest.mark.parametrize(("mode", "moved"), [("manual", 0), ("step", 7 * SECOND)])
def test_the_clock_of_a_scenario_runs_as_it_says(mode: str, moved: int) -> None:
    """A manual clock stands still when a request comes, a stepping one moves on by its step."""
    clock = Scenario.from_yaml(f"clock: {{mode: {mode}, step: 7s}}").controller().clock
    before = clock.now()
    clock.tick()

    assert moved == clock.now() - before
