"""Loading the inventory: what is written is what the controller has, and contradictions are refused."""

import json
import time
import timeit
from functools import partial

import pytest

from mockanka.core.lifecycle import NodeState
from mockanka.core.templates import VersionRef
from mockanka.core.usb import UsbDevice
from mockanka.scenario import Options, Scenario
from mockanka.units import GB
from tests.controllers import controller_of, state_of
from tests.scenario.problems import problems_of


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
    """A node that names its groups is the same as a group that names its nodes."""
    first, second = (
        controller_of(text)
        for text in (
            "groups: [{name: g, nodes: [a]}]\nnodes: [{name: a}]",
            "groups: [{name: g}]\nnodes: [{name: a, groups: [g]}]",
        )
    )

    assert state_of(first) == state_of(second)


ALONE = {
    "templates:\n  - {name: a, id: X}\n  - {name: b, id: X}": "w.yaml:3: templates[1].id: there is another template X",
    "nodes:\n  - {name: a, id: X}\n  - {name: b, id: X}": "w.yaml:3: nodes[1].id: there is another node X",
    'templates: [{name: os, versions: [{tag: base}]}]\nnodes:\n  - {name: a, cached: ["so:base"]}': (
        "w.yaml:3: nodes[0].cached[0]: there is no 'so:base': did you mean 'os:base'?"
    ),
    'templates: [{name: os, versions: [{tag: base}]}]\nnodes:\n  - name: a\n    cached: ["os:bse"]': (
        "w.yaml:4: nodes[0].cached[0].tag: template os has no tag bse: did you mean 'base'?"
    ),
    "groups: [{name: ios}]\nnodes: [{name: a, groups: [iso]}]": (
        "w.yaml:2: nodes[0].groups[0]: there is no group 'iso': did you mean 'ios'?"
    ),
    "templates: [{name: o, versions: [{size: 10GB}]}]\nnodes: [{name: a, disk: 15GB, disk_other: 9GB, cached: [o]}]": (
        "w.yaml:2: nodes[0].disk: too small by 4000000000 bytes for what is cached and disk_other"
    ),
    "nodes: [{name: a, count: 2}]": ("w.yaml:1: nodes[0].name: 2 nodes cannot share one name; write the number as {n}"),
    'nodes: [{name: "a{n}", id: q, count: 2}]': (
        "w.yaml:1: nodes[0].id: 2 nodes cannot share one id; write the number as {n}"
    ),
    'nodes: [{name: "a{x}", count: 2}]': "w.yaml:1: nodes[0].name: the place for the number is written {n} or {n:02}",
    'nodes: [{name: "a{n", count: 2}]': "w.yaml:1: nodes[0].name: the place for the number is written {n} or {n:02}",
    'nodes: [{name: "a{n.x}", count: 2}]': "w.yaml:1: nodes[0].name: the place for the number is written {n} or {n:02}",
    "templates: [{name: a, versions: [{tag: x, number: 3}, {tag: y, number: 2}]}]": (
        "w.yaml:1: templates[0].versions[1].number: 2 does not come after 3"
    ),
    "templates: [{name: a, versions: [{size: 1, images: []}]}]": (
        "w.yaml:1: templates[0].versions[0].size: give either the size of the layer, or all images, not both"
    ),
}


@pytest.mark.parametrize("text", ALONE)
def test_an_inventory_that_does_not_fit_together_is_refused(text: str) -> None:
    """Templates, nodes and groups that contradict each other are refused where the contradiction stands."""
    assert [ALONE[text]] == problems_of(text)


def test_a_version_is_built_on_the_latest_one_that_is_not_deleted() -> None:
    """The layers of a deleted version are not below the next one."""
    text = """
    templates:
      - name: a
        versions: [{tag: x, size: 1GB}, {tag: y, size: 2GB, deleted: true}, {tag: z, size: 3GB}]
    """
    (template,) = controller_of(text).templates.values()

    assert [4 * GB, 1 * GB] == [version.size for version in reversed(template.versions)]


def test_nodes_without_an_address_have_one_that_nobody_has() -> None:
    """The first networks are those for documentation; what the scenario gives to a node is not given to another."""
    named = "{name: named, ip: 192.0.2.2}"
    controller = controller_of(f"nodes: [{{name: 'n{{n}}', count: 800}}, {named}]")
    addresses = [node.ip for node in controller.nodes.values()]

    assert ["192.0.2.1", "192.0.2.3"] == addresses[:2]
    assert ["198.51.100.1", "203.0.113.1", "198.18.0.1"] == [addresses[253], addresses[507], addresses[761]]
    assert len(addresses) == len(set(addresses))


def test_numbered_nodes_are_in_the_groups_of_their_section() -> None:
    """A section with ``count`` describes several nodes, and its groups are those of each."""
    controller = controller_of("groups: [{name: g, id: G}]\nnodes: [{name: 'n{n}', count: 2, groups: [g]}, {name: m}]")

    assert [["G"], ["G"], []] == [node.groups for node in controller.nodes.values()]


def test_nodes_load_in_linear_time() -> None:
    """Nodes, names that are looked up, and namesakes: time grows with their number, not with its square."""

    def seconds(count: int) -> float:
        numbers = range(count)
        text = json.dumps(
            {
                "groups": [{"name": f"g{number}", "nodes": [f"n{number}"]} for number in numbers],
                "nodes": [{"name": f"n{number}", "groups": [f"g{number}"]} for number in numbers],
                "templates": [{"name": f"t{number}", "versions": [{"tag": "t"}]} for number in numbers],
                "instances": [{"template": f"t{number}", "node": f"n{number}"} for number in numbers],
            }
        )
        scenario = Scenario.from_json(text)
        build = partial(scenario.controller, Options(clock="manual"))
        return min(timeit.repeat(build, timer=time.process_time, number=1, repeat=3))

    assert seconds(4000) < 24 * seconds(500)


def test_a_number_of_a_version_has_a_limit() -> None:
    """Nobody needs more; a dump may have the numbers that follow."""
    text = "templates: [{{name: a, versions: [{{tag: t, number: {number}}}]}}]"

    assert 1 == len(controller_of(text.format(number=1_000_000)).templates)
    assert ["w.yaml:1: templates[0].versions[0].number: 1000001 is more than 1000000"] == problems_of(
        text.format(number=1_000_001)
    )
