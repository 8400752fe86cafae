"""Redaction replaces every text that a snapshot can have, except those that are listed here with a reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from marshmallow import fields as base

import mockanka
from mockanka.cli.main import main
from mockanka.scenario import Scenario
from mockanka.scenario.base import Origin, Section, SectionSchema
from mockanka.scenario.fields import Choice, Metadata, ReleaseText, Text, TextList, TextMapping
from mockanka.scenario.sections import ScenarioSection

SCENARIO = """
snapshot: true
controller: {release: 1.51.2, registry: "http://registry.corp.example:8089", mac_addresses: 9}
templates:
  - {name: secret-twin, id: 11111111-1111-4111-8111-111111111111, versions: [{tag: secret-tag, size: 1GB}]}
  - {name: secret-twin, id: 22222222-2222-4222-8222-222222222222, versions: [{tag: secret-tag, size: 1GB}]}
  - name: secret-os
    port_forwarding: [{name: secret-port, guest_port: 22}]
    versions:
      - {tag: secret-tag, description: secret-words, images: [{name: secret.ank, size: 2GB}]}
      - {tag: secret-state, images: [{name: secret.ank, size: 2GB}], state_files: [{name: state.ank, size: 1GB}]}
      - {tag: secret-end, size: 1GB, port_forwarding: [{name: secret-own, guest_port: 80}]}
nodes:
  - name: secret-mac
    id: secret-id
    ip: 10.77.1.2
    cached: ["secret-os:secret-tag"]
    usb: [{name: secret-phone, location: "4711"}]
    vlans: ["4077"]
groups:
  - {name: secret-last, description: secret-words}
  - {name: secret-group, description: secret-words, nodes: [secret-mac], fallback: secret-last}
instances:
  - template: secret-os
    tag: secret-tag
    node: secret-mac
    state: Started
    id: 33333333-3333-4333-8333-333333333333
    inflight_id: 44444444-4444-4444-8444-444444444444
    name: secret-job
    external_id: https://ci.corp.example/job/1
    group: secret-group
    pinned_node: secret-mac
    usb_device: secret-phone
    vlan_tag: "4077"
    mac_address: "AA:BB:CC:DD:EE:01"
    vnc_password: secret-word
    metadata: {owner: secret-me, number: 5}
    startup_script: c2VjcmV0
    script_monitoring: true
    name_template: secret-$ts
    ports: [{name: secret-port, guest_port: 22}]
    message: secret-words
    script: {return_code: 1, stdout: secret-out, stderr: secret-err}
    vm:
      uuid: 55555555-5555-4555-8555-555555555555
      name: secret-vm
      ip: 192.168.77.5
      host_ip: 10.77.1.2
      vnc_password: secret-word
      ports: [{name: secret-port, guest_port: 22, host_port: 10000}]
distributions:
  - template: secret-os
    tag: secret-tag
    id: 66666666-6666-4666-8666-666666666666
    deliveries: [{node: secret-mac, stage: failed, error: secret-words}]
save_images:
  - instance: 33333333-3333-4333-8333-333333333333
    id: 77777777-7777-4777-8777-777777777777
    stage: error
    template: secret-os
    new_template_name: secret-new
    tag: secret-tag
    description: secret-words
    script: c2VjcmV0
    revert_tag: secret-tag
    vm_uuid: 55555555-5555-4555-8555-555555555555
    node: secret-mac
    error: {message: secret-words, type: secret-type, code: 0}
    script_result: {return_code: 1, stdout: secret-out, stderr: secret-err}
"""


def text_keys(section: type[Section[Any]], path: str = "") -> Iterator[str]:
    """Yield the paths of the keys of a snapshot that take any text."""
    for name, spec in section.layout().keys.items():
        if Origin.SNAPSHOT in spec.origins and path + name not in ("faults", "pending", "counters"):
            yield from _text_keys(spec.field, path + name)


def _text_keys(field: base.Field[Any], path: str) -> Iterator[str]:
    if isinstance(field, base.List):
        yield from _text_keys(field.inner, f"{path}[]")
    elif isinstance(field, base.Nested):
        assert isinstance(field.schema, SectionSchema)
        yield from text_keys(field.schema.section, f"{path}.")
    elif isinstance(field, TextList):
        yield f"{path}[]"
    elif isinstance(field, Text | Metadata | TextMapping) and not isinstance(field, Choice | ReleaseText):
        yield path


def texts(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the paths and texts of a scenario."""
    if isinstance(value, Section):
        for name, below in value.given().items():
            yield from texts(below, f"{path}.{name}".removeprefix("."))
    elif isinstance(value, tuple | list):
        for below in value:
            yield from texts(below, f"{path}[]")
    elif isinstance(value, dict):
        for below in value.values():
            yield from texts(below, path)
    elif isinstance(value, str) and value:
        yield path, str(value)


def snapshot_texts(*options: str) -> list[tuple[str, str]]:
    """Return the paths and texts in a snapshot of the controller above."""
    with mockanka.serve(yaml.safe_load(SCENARIO), clock="manual") as observed:
        # Only a snapshot has an agent of another version than the controller's.
        text = CliRunner().invoke(main, ["snapshot", observed.url]).stdout
    data = yaml.safe_load(text)
    data["nodes"][0]["agent_version"] = "1.43.0-00000000"
    with mockanka.serve(data, clock="manual") as anka:
        result = CliRunner().invoke(main, ["snapshot", anka.url, *options])
    assert 0 == result.exit_code, result.output
    return list(texts(Scenario.from_yaml(result.stdout).section))


PUBLIC = {
    "nodes[].agent_version": "a version of the controller",
    "nodes[].anka.product": "one of the products of Anka",
    "nodes[].anka.version": "a version of Anka",
    "nodes[].anka.build": "a version of Anka",
    "nodes[].anka.license": "one of the licences of Anka",
    "nodes[].anka.expires": "a date",
    "instances[].vm.status": "one of the states that nodes report",
    "save_images[].error.type": "the type of an error in the controller's code",
}
"""Keys whose texts are not redacted, because they say nothing about the owner."""

UNWRITTEN = {
    "templates[].port_forwarding[].protocol",
    "templates[].versions[].port_forwarding[].name",
    "templates[].versions[].port_forwarding[].protocol",
    "nodes[].cached[].template",
    "groups[].nodes[]",
    "instances[].pinned_node",
    "instances[].startup_script",
    "instances[].name_template",
    "instances[].vnc_password",
    "instances[].ports[].name",
    "instances[].ports[].protocol",
    "instances[].vm.ports[].protocol",
    "distributions[].tag",
    "distributions[].nodes[]",
    "distributions[].group",
    "distributions[].deliveries[].fate.message",
    "save_images[].fails",
    "save_images[].held.rule_id",
    "scripts[].match",
    "scripts[].stdout",
    "scripts[].stderr",
}
"""Keys that no snapshot has, because the API does not return their values or other keys have them."""


@pytest.fixture(scope="module")
def pairs() -> dict[str, list[tuple[str, str]]]:
    """The texts of the snapshot by their paths, each with its redacted text."""
    found: dict[str, list[tuple[str, str]]] = {}
    for (path, plain), (redacted_path, redacted) in zip(snapshot_texts(), snapshot_texts("--redact"), strict=True):
        assert path == redacted_path
        found.setdefault(path, []).append((plain, redacted))
    return found


@pytest.mark.parametrize("key", sorted({*text_keys(ScenarioSection)} - {*PUBLIC} - UNWRITTEN))
def test_every_text_is_replaced(key: str, pairs: dict[str, list[tuple[str, str]]]) -> None:
    """A key that takes any text has one in the snapshot above, and another one in the redacted snapshot."""
    assert key in pairs
    assert [] == [plain for plain, redacted in pairs[key] if plain == redacted]


def test_public_texts_are_not_replaced(pairs: dict[str, list[tuple[str, str]]]) -> None:
    """The keys that are listed with a reason are in the snapshot, and their texts are not redacted."""
    assert dict.fromkeys(PUBLIC, True) == {
        key: all(plain == redacted for plain, redacted in pairs.get(key, [("missing", "")])) for key in PUBLIC
    }


def test_unwritten_keys_are_in_no_snapshot(pairs: dict[str, list[tuple[str, str]]]) -> None:
    """The keys that are listed as unwritten are keys of scenarios, but not in the snapshot."""
    assert set() == UNWRITTEN & set(pairs)
    assert set(UNWRITTEN) <= {*text_keys(ScenarioSection)}
