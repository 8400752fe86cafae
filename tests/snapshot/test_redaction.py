"""Redaction: nothing private remains, and the redacted state has the shape of the original."""

from __future__ import annotations

import pytest

from mockanka.core.release import Release
from mockanka.snapshot.fetch import fetch_state
from mockanka.snapshot.redaction import redact_state
from tests import controllers
from tests.conftest import crossing
from tests.controllers import CORNERS, controller_of, pass_time
from tests.snapshot.rebuild import ODD_NAMES, client_of, rebuild, snapshot_of

RELEASES = ["1.8.0", "1.24.0", "1.43.0", "1.50.1"]
PRIVATE = """
controller: {registry: "http://registry.corp.example:8089"}
templates:
  - {name: secret-os, versions: [{tag: secret-tag, size: 2GB, description: secret-words}]}
nodes:
  - {name: secret-mac, ip: 10.77.1.2, cached: ["secret-os:secret-tag"], usb: [secret-phone], vlans: ["4077"]}
groups: [{name: secret-group, description: secret-words, nodes: [secret-mac]}]
instances:
  - template: secret-os
    node: secret-mac
    name: secret-job
    external_id: https://ci.corp.example/job/1
    group: secret-group
    usb_device: secret-phone
    vlan_tag: "4077"
    mac_address: "AA:BB:CC:DD:EE:01"
    metadata: {owner: secret-me, number: 5}
    vm: {vnc_password: secret-word, ip: 192.168.77.5, ports: [{name: secret-port, guest_port: 22, host_port: 10000}]}
  - {template: secret-os, state: Error, message: "no secret-mac any more", count: 2}
distributions: [{template: secret-os}]
save_images:
  - instance: gone
    stage: error
    new_template_name: secret-new
    revert_tag: secret-old
    script: c2VjcmV0
    error: {message: secret-words, code: 0}
"""


@pytest.mark.parametrize("release", RELEASES)
def test_nothing_private_remains(release: str) -> None:
    """The redacted scenario contains none of the original names, addresses, ids and texts."""
    controller = controller_of(PRIVATE, release=Release.parse(release))
    text = snapshot_of(controller, redact=True)
    ids = [
        *controller.templates,
        *controller.nodes,
        *controller.groups,
        *controller.instances,
        *controller.distributions,
    ]
    versions = [version for template in controller.templates.values() for version in template.history]
    files = [file.name for version in versions for file in version.files]
    words = ["secret", "corp", "10.77", "192.168.77", "4077", "AA:BB", "c2VjcmV0", "controller.example"]

    assert [] == [private for private in (*ids, *files, *words) if private in text]


@pytest.mark.parametrize(
    ("release", "text"), crossing([(release,) for release in reversed(RELEASES)], [PRIVATE, CORNERS, ODD_NAMES])
)
def test_a_redacted_controller_has_the_shape_of_the_original(release: str, text: str) -> None:
    """The controller rebuilt from a redacted snapshot returns the redacted state of the original."""
    controller = controller_of(text, release=Release.parse(release))
    pass_time(controller, 20)
    original = redact_state(fetch_state(client_of(controller)))
    rebuilt = fetch_state(client_of(rebuild(controller, redact=True)))

    for state in (original, rebuilt):
        for instance in state.instances:
            instance.get("vminfo", {}).pop("vnc_connection_string", None)  # it is made from the password and the port
        for version in (version for template in state.templates for version in template["versions"]):
            del version["config_file"], version["nvram"]
    assert original == rebuilt


def test_public_messages_and_ports_remain() -> None:
    """Messages and names of ports that clients depend on, and that say nothing private, are not replaced."""
    text = snapshot_of(
        controller_of(
            CORNERS + "\ninstances: [{template: layered, state: Error, message: startup script exit code 127}]\n"
        ),
        redact=True,
    )
    with_port = snapshot_of(controllers.shipped("default"), redact=True)

    assert "message: startup script exit code 127" in text
    assert "name: ssh" in with_port
