"""What a scenario means: the format's own example, land, life and names."""

import pytest

from mockanka.core.controller import Controller
from mockanka.core.durations import Fixed, Lognormal, Normal, Uniform
from mockanka.core.instance_record import Instance
from mockanka.core.lifecycle import InstanceState, NodeState
from mockanka.core.release import Release
from mockanka.core.scripts import ScriptRule
from mockanka.core.templates import PortRule, VersionRef
from mockanka.core.usb import UsbDevice
from mockanka.scenario import Options, Scenario
from mockanka.units import SECOND, parse_moment
from tests.controllers import controller_of, pass_time, state_of

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
    (found,) = [each for each in getattr(controller, what).values() if each.name == name]
    return found


def only(controller: Controller) -> Instance:
    (one,) = controller.instances.values()
    return one


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
    one = only(everything)
    node = everything.nodes[one.node_id or ""]

    assert (InstanceState.STARTED, "build-1", "job-1", "mini-01") == (
        one.state,
        one.request.name,
        one.request.external_id,
        node.name,
    )
    assert one.vm is not None
    assert ("10.0.0.11", [(22, 10000)]) == (
        one.vm.host_ip,
        [(port.guest_port, port.host_port) for port in one.vm.ports],
    )
    assert [one.id] == list(node.occupants)


def test_scripts_mean_what_they_say(everything: Controller) -> None:
    """A rule for scripts has its match, its result and its length."""
    assert (ScriptRule("exit 3", 3, "", "boom", Fixed(4 * SECOND)),) == everything.scripts


def test_the_same_file_is_the_same_world() -> None:
    """Two controllers of one scenario are equal, ids and all; another seed makes other ids."""
    scenario = Scenario.from_yaml(EVERYTHING)
    one, other, third = (scenario.controller(Options(clock="manual", seed=seed)) for seed in (None, None, 43))

    assert state_of(one) == state_of(other)
    assert set(one.nodes).isdisjoint(third.nodes)
    assert set(one.instances).isdisjoint(third.instances)


# Options.


def test_options_beat_the_scenario() -> None:
    """What is given beside the scenario holds, whatever the scenario says."""
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


# Land.


@pytest.mark.parametrize("cached", ["a:b:c", "ID:c", "a:b", "{version: 'a:b'}", "ID"])
def test_a_cached_version_is_named_by_template_and_tag(cached: str) -> None:
    """``template:tag`` or the template alone, by name or id, also where the name itself has a colon."""
    written = cached if cached.startswith("{") else f'"{cached}"'
    text = f"templates: [{{name: 'a:b', id: ID, versions: [{{tag: c}}]}}]\nnodes: [{{name: n, cached: [{written}]}}]"
    (node,) = controller_of(text).nodes.values()

    assert [VersionRef("ID", 0)] == list(node.cached)


def test_a_template_alone_means_its_latest_version() -> None:
    """A cached template without a tag is its latest version."""
    text = "templates: [{name: a, id: ID, versions: [{tag: b}, {tag: c}]}]\nnodes: [{name: n, cached: [a]}]"
    (node,) = controller_of(text).nodes.values()

    assert [VersionRef("ID", 1)] == list(node.cached)


def test_ports_of_a_version_beat_those_of_its_template() -> None:
    """A version with ports of its own has only those, and ``own_ports`` alone means it has none."""
    text = """
    templates:
      - name: a
        port_forwarding: [{name: ssh, guest_port: 22}]
        versions: [{tag: x}, {tag: y, port_forwarding: [{name: vnc, guest_port: 5900}]}, {tag: z, own_ports: true}]
    """
    (template,) = controller_of(text).templates.values()
    ports = [[rule.guest_port for rule in template.port_rules_for(version)] for version in template.versions]

    assert [[22], [5900], []] == ports


@pytest.mark.parametrize("state", [state.value for state in NodeState])
def test_a_node_begins_in_the_state_it_is_said_to_be_in(state: str) -> None:
    """Every state of the wire can be written, and is there from the start."""
    controller = controller_of(f"controller: {{release: 1.32.0}}\nnodes: [{{name: n, state: '{state}'}}]")
    (node,) = controller.nodes.values()

    assert state == node.state(controller.now)


def test_devices_have_locations() -> None:
    """A device is a name, or a name with the location it is plugged in at; without one it gets its own."""
    (node,) = controller_of("nodes: [{name: n, usb: [phone, phone, {name: tablet, location: '77'}]}]").nodes.values()

    assert UsbDevice("tablet", "77") == node.usb[2]
    assert 3 == len({device.location for device in node.usb})


def test_two_nodes_of_one_name_are_two() -> None:
    """Names need not be unique; ids are."""
    nodes = controller_of("nodes: [{name: a}, {name: a}]").nodes

    assert ["a", "a"] == [node.name for node in nodes.values()]


def test_groups_can_be_written_at_their_nodes() -> None:
    """Whether a node names its groups or a group its nodes comes to the same."""
    one, two = (
        controller_of(text)
        for text in (
            "groups: [{name: g, nodes: [a]}]\nnodes: [{name: a}]",
            "groups: [{name: g}]\nnodes: [{name: a, groups: [g]}]",
        )
    )

    assert state_of(one) == state_of(two)


# Life.

PLACE = "templates: [{name: os, versions: [{tag: base, size: 10GB}]}]\nnodes: [{name: n}]\n"


@pytest.mark.parametrize("state", ["Started", "Stopping", "Stopped", "Error", "Terminating", "Terminated", "Pulling"])
def test_an_instance_begins_in_the_state_it_is_said_to_be_in(state: str) -> None:
    """Every state but Scheduling and Pushing can be written for an instance on a node."""
    controller = controller_of(PLACE + f"instances: [{{template: os, node: n, state: {state}}}]")
    controller.advance()

    assert state == only(controller).state


@pytest.mark.parametrize(
    ("state", "seconds", "later"),
    [
        ("Pulling", 101, "Started"),
        ("Stopping", 5, "Stopped"),
        ("Terminating", 5, "Terminated"),
        ("Started", 999, "Started"),
    ],
)
def test_an_instance_goes_on_from_where_it_is_said_to_be(state: str, seconds: int, later: str) -> None:
    """What is under way in the scenario comes to its end in its time."""
    controller = controller_of(PLACE + f"instances: [{{template: os, node: n, state: {state}}}]")
    pass_time(controller, seconds)

    assert later == only(controller).state


def test_an_instance_without_node_waits_for_one() -> None:
    """An instance that is only named is Scheduling, and starts by itself."""
    controller = controller_of(PLACE + "instances: [{template: os}]")
    before = only(controller).state
    pass_time(controller, 102)

    assert (InstanceState.SCHEDULING, InstanceState.STARTED) == (before, only(controller).state)


def test_count_makes_as_many() -> None:
    """``count`` makes instances that differ only in their ids."""
    controller = controller_of(PLACE + "instances: [{template: os, count: 5, name: many}]")

    assert ["many"] * 5 == [each.request.name for each in controller.instances.values()]


def test_a_distribution_without_target_goes_to_all_nodes() -> None:
    """A distribution that has just been asked for goes to the named nodes, those of its group, or all."""
    land = (
        "templates: [{name: os, versions: [{tag: base}]}]\nnodes: [{name: a, id: A}, {name: b, id: B, groups: [g]}]\n"
    )
    land += "groups: [{name: g}]\n"
    targets = [
        set(
            next(
                iter(controller_of(land + f"distributions: [{{template: os{rest}}}]").distributions.values())
            ).deliveries
        )
        for rest in ("", ", nodes: [a]", ", group: g")
    ]

    assert [{"A", "B"}, {"A"}, {"B"}] == targets


def test_a_save_image_request_begins_to_push() -> None:
    """A save image request of a Started instance makes it Pushing, and comes to its end."""
    text = PLACE + "instances: [{template: os, node: n, id: I}]\nsave_images: [{instance: I, new_template_name: new}]"
    controller = controller_of(text)
    before = only(controller).state
    pass_time(controller, 600)

    assert InstanceState.PUSHING == before
    assert {} == controller.instances
    assert ["os", "new"] == [template.name for template in controller.templates.values()]
