"""Sections refuse unknown keys and values that do not fit, and name the line, the key, and what would be right."""

import pytest

from tests.scenario.problems import problems_of

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
    "faults:\n  - match: {method: PSOT}\n    do: {status: 503}": (
        "w.yaml:2: faults[0].match.method: 'PSOT' is not known: did you mean 'POST'?"
    ),
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
