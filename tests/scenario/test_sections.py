"""The table of broken scenarios: what is wrong, its line, its key, and the nearest right one."""

import pytest

from mockanka.scenario import Scenario, ScenarioError

LAND = """\
templates:
  - name: os
    id: T1
    versions:
      - {tag: base, size: 10GB}
      - {tag: tools, size: 5GB}
  - {name: bare}
nodes:
  - {name: mini, id: N1, capacity: 1, usb: [phone]}
  - {name: maxi, id: N2, cached: ["os:base"]}
groups:
  - {name: ios, id: G1}
"""
"""Twelve lines that are right; what follows them stands from line 13 on."""


def problems_of(text: str) -> list[str]:
    with pytest.raises(ScenarioError) as raised:
        Scenario.from_yaml(text, "w.yaml").controller()
    return raised.value.problems


UNKNOWN_KEYS = {
    "nods: []": ("1: nods", "nodes"),
    "seed: 3\ncontroller: {relase: 1.8.0}": ("2: controller.relase", "release"),
    "clock:\n  sped: 3": ("2: clock.sped", "speed"),
    "timings:\n  boot: 3s\n  termnate: 3s": ("3: timings.termnate", "terminate"),
    "templates:\n  - name: a\n    vers: []": ("3: templates[0].vers", "versions"),
    "templates:\n  - name: a\n    versions:\n      - {tga: x}": ("4: templates[0].versions[0].tga", "tag"),
    "templates:\n- name: a\n  port_forwarding:\n  - {guest_port: 22, nme: ssh}": (
        "4: templates[0].port_forwarding[0].nme",
        "name",
    ),
    "templates: [{name: a, versions: [{images: [{name: f, size: 3, sise: 3}]}]}]": (
        "1: templates[0].versions[0].images[0].sise",
        "size",
    ),
    "nodes:\n  - {name: a}\n  - {name: n, capacty: 3}": ("3: nodes[1].capacty", "capacity"),
    "nodes: [{name: n, anka: {vrsion: 3}}]": ("1: nodes[0].anka.vrsion", "version"),
    "nodes: [{name: n, usb: [{name: p, locaton: 3}]}]": ("1: nodes[0].usb[0].locaton", "location"),
    "nodes: [{name: n, cached: [{templat: x}]}]": ("1: nodes[0].cached[0].templat", "template"),
    "groups:\n  - name: g\n    fallbak: x": ("3: groups[0].fallbak", "fallback"),
    "instances:\n  - {template: t, stat: Started}": ("2: instances[0].stat", "state"),
    "instances: [{template: t, vm: {uid: x}}]": ("1: instances[0].vm.uid", "uuid"),
    "instances: [{template: t, vm: {ports: [{guest_port: 3, host_port: 4, nam: x}]}}]": (
        "1: instances[0].vm.ports[0].nam",
        "name",
    ),
    "distributions: [{template: t, node: [x]}]": ("1: distributions[0].node", "nodes"),
    "distributions: [{template: t, deliveries: [{node: x, stage: done, untl: x}]}]": (
        "1: distributions[0].deliveries[0].untl",
        "until",
    ),
    "save_images: [{instance: x, tagg: y}]": ("1: save_images[0].tagg", "tag"),
    "save_images: [{instance: x, error: {message: y, cod: 3}}]": ("1: save_images[0].error.cod", "code"),
    "scripts:\n  - {macth: x}": ("2: scripts[0].macth", "match"),
}


@pytest.mark.parametrize("text", UNKNOWN_KEYS)
def test_an_unknown_key_is_refused_at_every_level(text: str) -> None:
    """An unknown key is named with file and line, and so is the key that was probably meant."""
    place, meant = UNKNOWN_KEYS[text]

    assert [f"w.yaml:{place}: unknown key, did you mean '{meant}'?"] == problems_of(text)


def test_a_key_like_no_other_names_all_there_are() -> None:
    """A key that resembles none is refused with the list of those that are known."""
    assert ["w.yaml:1: clock.xyzzy: unknown key, known are mode, speed, start, step"] == problems_of(
        "clock: {xyzzy: 1}"
    )


WRONG_TYPES = {
    "nodes:\n  - mini": "w.yaml:2: nodes[0]: must be keys with values",
    "controller: [a]": "w.yaml:1: controller: must be keys with values",
    "nodes: [{name: [a]}]": "w.yaml:1: nodes[0].name: ['a'] is not text",
    "instances: [{template: {a: b}}]": "w.yaml:1: instances[0].template: {'a': 'b'} is not text",
    "nodes:\n  - name: n\n    capacity: two": "w.yaml:3: nodes[0].capacity: 'two' is not a whole number",
    "nodes:\n  - name: n\n    capacity: -1": "w.yaml:3: nodes[0].capacity: -1 is not 0 or more",
    "nodes: [{name: n, count: 10001}]": "w.yaml:1: nodes[0].count: 10001 is not between 1 and 10000",
    "nodes: [{name: n, cpus: 0}]": "w.yaml:1: nodes[0].cpus: 0 is not between 1 and 1024",
    "nodes: [{name: }]": "w.yaml:1: nodes[0].name: has no value",
    "nodes: [{capacity: 2}]": "w.yaml:1: nodes[0].name: is missing",
    'nodes: [{name: ""}]': "w.yaml:1: nodes[0].name: is empty",
    "groups: [{name: g, nodes: x}]": "w.yaml:1: groups[0].nodes: must be a list",
    "groups: [{name: g, nodes: [[x]]}]": "w.yaml:1: groups[0].nodes: ['x'] is not text",
    "clock: {mode: steping}": "w.yaml:1: clock.mode: 'steping' is not known: did you mean 'step'?",
    "clock: {step: -5s}": "w.yaml:1: clock.step: '-5s' is negative: time does not go back",
    "clock: {start: 2024-01-01}": (
        "w.yaml:1: clock.start: '2024-01-01' is no moment: write it like 2024-01-01T00:00:00Z"
    ),
    "controller: {license: enterprize}": (
        "w.yaml:1: controller.license: 'enterprize' is not known: did you mean 'enterprise'?"
    ),
    "controller:\n  release: 1.5x": "w.yaml:2: controller.release: '1.5x' is no release: give one like 1.50.1",
    "controller: {release: latest}": "w.yaml:1: controller.release: 'latest' is no release: give one like 1.50.1",
    "controller: {release: 1.7.9}": (
        "w.yaml:1: controller.release: release 1.7.9 is older than 1.8.0, the oldest that is simulated"
    ),
    "templates: [{name: a, arch: arm}]": "w.yaml:1: templates[0].arch: 'arm' is not known: did you mean 'arm64'?",
    "templates: [{name: a, versions: [{size: -3}]}]": (
        "w.yaml:1: templates[0].versions[0].size: '-3' is no size: write it like 20GB, 512MiB or a number of bytes"
    ),
    "templates: [{name: a, port_forwarding: [{name: ssh, guest_port: 70000}]}]": (
        "w.yaml:1: templates[0].port_forwarding[0].guest_port: 70000 is not between 1 and 65535"
    ),
    "nodes: [{name: a, state: Ofline}]": "w.yaml:1: nodes[0].state: 'Ofline' is not known: did you mean 'Offline'?",
    "instances: [{template: t, state: started}]": (
        "w.yaml:1: instances[0].state: 'started' is not known: did you mean 'Started'?"
    ),
}


@pytest.mark.parametrize("text", WRONG_TYPES)
def test_a_value_that_does_not_fit_its_key_is_refused(text: str) -> None:
    """A wrong type or a value out of its limits is named with file, line and key, and says what would be right."""
    assert [WRONG_TYPES[text]] == problems_of(text)


@pytest.mark.parametrize("text", ["nodes: {name: a}", "templates: 5", "instances: [{template: t, vm: {ports: 3}}]"])
def test_what_should_be_a_list_is_named(text: str) -> None:
    """A mapping or a word where a list belongs is refused with its line and key."""
    (problem,) = problems_of(text)

    assert problem.startswith("w.yaml:1: ")
    assert "list" in problem


DANGLING = {
    "instances:\n  - template: oss": "13+1: instances[0].template: there is no template 'oss': did you mean 'os'?",
    "instances:\n  - {template: os, tag: tool}": (
        "13+1: instances[0].tag: template os has no tag tool: did you mean 'tools'?"
    ),
    "instances:\n  - {template: os, version: 7}": (
        "13+1: instances[0].version: template os has no version 7: known are 0, 1"
    ),
    "instances:\n  - {template: bare}": "13+1: instances[0].template: template bare has no versions",
    "instances:\n  - {template: os, node: mimi}": (
        "13+1: instances[0].node: there is no node 'mimi': did you mean 'mini'?"
    ),
    "instances:\n  - {template: os, pinned_node: mimi}": (
        "13+1: instances[0].pinned_node: there is no node 'mimi': did you mean 'mini'?"
    ),
    "instances:\n  - {template: os, group: iso}": (
        "13+1: instances[0].group: there is no group 'iso': did you mean 'ios'?"
    ),
    "  - name: spare\n    nodes: [mini, mino]": (
        "13+1: groups[1].nodes[1]: there is no node 'mino': did you mean 'mini'?"
    ),
    "  - {name: spare, fallback: oss}": "13+0: groups[1].fallback: there is no group 'oss': did you mean 'ios'?",
    "distributions: [{template: os, nodes: [mimi]}]": (
        "13+0: distributions[0].nodes[0]: there is no node 'mimi': did you mean 'mini'?"
    ),
    "distributions: [{template: os, group: iso}]": (
        "13+0: distributions[0].group: there is no group 'iso': did you mean 'ios'?"
    ),
    "distributions:\n  - {template: os, tag: bse}": (
        "13+1: distributions[0].tag: template os has no tag bse: did you mean 'base'?"
    ),
    "save_images: [{instance: I, template: os}]": (
        "13+0: save_images[0].instance: there is no instance 'I': there are none"
    ),
    "instances: [{template: os, node: maxi, id: I}]\nsave_images: [{instance: I, template: so}]": (
        "13+1: save_images[0].template: there is no template 'so': known are bare, os"
    ),
}


@pytest.mark.parametrize("text", DANGLING)
def test_a_dangling_name_is_refused(text: str) -> None:
    """A name of something that is not there is named with its line and the name that was probably meant."""
    place, _, rest = DANGLING[text].partition(":")
    line = sum(int(part) for part in place.split("+"))

    assert [f"w.yaml:{line}:{rest}"] == problems_of(LAND + text)


UNFIT = {
    "instances:\n  - {template: os, node: mini}\n  - {template: os, node: mini}": (
        "w.yaml:15: instances[1].node: node mini has only 1 slots"
    ),
    "instances: [{template: os, node: mini, count: 2}]": "w.yaml:13: instances[0].node: node mini has only 1 slots",
    "instances: [{template: os, node: mini, state: Scheduling}]": (
        "w.yaml:13: instances[0].node: an instance in Scheduling has no node yet; pinned_node binds it to one"
    ),
    "instances:\n  - {template: os, node: mini, state: Pushing}": (
        "w.yaml:14: instances[0].state: write it as Started, and a save image request for it under save_images"
    ),
    "instances: [{template: os, state: Started}]": (
        "w.yaml:13: instances[0].state: an instance in Started needs a node"
    ),
    "instances: [{template: os, tag: base, node: maxi, state: Pulling}]": (
        "w.yaml:13: instances[0].state: node maxi has that version cached, so nothing is pulled"
    ),
    "instances: [{template: os, node: maxi, usb_device: phone}]": (
        "w.yaml:13: instances[0].usb_device: node maxi has no free USB device 'phone'"
    ),
    "instances:\n  - {template: os, id: I}\n  - {template: os, id: I}": (
        "w.yaml:15: instances[1].id: there is another instance I"
    ),
    "instances: [{template: os, id: I, count: 2}]": (
        "w.yaml:13: instances[0].id: instances cannot share one id; leave out the id or the count"
    ),
    "  - {name: other, id: G1}": "w.yaml:13: groups[1].id: there is another group G1",
    "instances: [{template: os, node: maxi, id: I}]\nsave_images: [{instance: I}]": (
        "w.yaml:14: save_images[0]: One of target_vm_id and new_template_name is required"
    ),
    "instances: [{template: os, node: maxi, id: I, state: Stopped}]\nsave_images: [{instance: I, template: os}]": (
        "w.yaml:14: save_images[0]: Instance is not running, its state is Stopped"
    ),
    "instances: [{template: os, node: maxi, id: I}]\nsave_images: [{instance: I, template: os, stage: pushing}]": (
        "w.yaml:14: save_images[0].stage: only done and error can be written here; leave it out to begin anew"
    ),
}


@pytest.mark.parametrize("text", UNFIT)
def test_what_does_not_fit_together_is_refused(text: str) -> None:
    """A scenario whose parts contradict each other is refused where the contradiction stands."""
    assert [UNFIT[text]] == problems_of(LAND + text)


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
    'pending: [{at: "2024-01-01T00:00:00Z", event: instance_qeued, id: x}]': (
        "w.yaml:1: pending[0].event: unknown kind 'instance_qeued', did you mean 'instance_queued'?"
    ),
    'pending: [{at: "2024-01-01T00:00:00Z", event: instance_queued, id: x}]': (
        "w.yaml:1: pending[0].event: instance_queued needs 'step'"
    ),
    "faults:\n  - match: {method: PSOT}\n    do: {status: 503}": (
        "w.yaml:2: faults[0].match.method: 'PSOT' is not known: did you mean 'POST'?"
    ),
}


@pytest.mark.parametrize("text", ALONE)
def test_land_that_does_not_fit_together_is_refused(text: str) -> None:
    """Templates, nodes and groups that contradict each other are refused where the contradiction stands."""
    assert [ALONE[text]] == problems_of(text)


def test_a_name_that_two_things_have_is_refused() -> None:
    """A name that means two templates is refused with the ids that would tell them apart."""
    text = "templates: [{name: a, id: X, versions: [{}]}, {name: a, id: Y, versions: [{}]}]\ninstances: [{template: a}]"

    assert [
        "w.yaml:2: instances[0].template: there is more than one template 'a': name it by its id, X or Y"
    ] == problems_of(text)


def test_every_fault_is_named_in_the_order_of_lines() -> None:
    """All faults of keys and types are named at once, in the order in which they stand."""
    text = "nodes:\n  - {name: a, cpus: x}\n  - {nam: b}\nseed: y\nclok: {}\n"

    assert [
        "w.yaml:2: nodes[0].cpus: 'x' is not a whole number",
        "w.yaml:3: nodes[1].name: is missing",
        "w.yaml:3: nodes[1].nam: unknown key, did you mean 'name'?",
        "w.yaml:4: seed: 'y' is not a whole number",
        "w.yaml:5: clok: unknown key, did you mean 'clock'?",
    ] == problems_of(text)
