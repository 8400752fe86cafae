"""What a start takes beyond what it always took: each field from its release on, and what is wrong with it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from mockanka.api.instance_requests import NEVER_SHOWN, START_BODY
from mockanka.core.release import KNOWN_RELEASES, Release
from tests.api.client import NEW, Wire, world
from tests.controllers import pass_time

LAND = """
controller: {mac_addresses: 9}
templates:
  - name: mac
    port_forwarding: [{name: ssh, guest_port: 22}]
    versions: [{tag: base, size: 1GB}]
nodes: [{name: alpha, capacity: 9, cached: [mac], vlans: ["12"]}]
"""

# Per field: the release it came with, values that are fine, and values that are not with what is said of them.
TEXT = ([1, True, [], {}], "must be")
RULE = {"name": "web", "guest_port": "80"}
FIELDS: dict[str, tuple[str, list[Any], list[Any]]] = {
    "script_monitoring": ("1.24.0", [True, False], [1, "true", {}]),
    "script_timeout": ("1.24.0", [0, 1, 90], [-1, 1.5, "90", True]),
    "script_fail_handler": ("1.24.0", [0, 1, 2], [-1, 3, "0", True]),
    "mac_address": ("1.9.0", ["", "0A:1B:2C:3D:4E:5F"], [1, [], {}]),
    "vlan_tag": ("1.23.0", ["", "12"], [12, [], True]),
    "video_controller": ("1.27.0", ["", "fbuf", "pg"], ["vga", 1, True]),
    "hvapic": ("1.27.0", ["", "forceOn", "forceOff"], ["on", True]),
    "csr_active_config": ("1.27.0", ["", "forceOn"], ["on", 1]),
    "network_local": ("1.30.0", ["", "forceOn", "forceOff"], ["on", True]),
    "hw_serial": ("1.37.0", ["", "C02XX"], [1, []]),
    "hw_uuid": ("1.37.0", ["", "00000000-0000-4000-4000-000000000000"], [1, []]),
    "group": ("1.38.0", ["", "qa"], [1, []]),
    "port_forwarding_override": (
        "1.39.0",
        [
            [],
            [RULE],
            [{**RULE, "host_ip": "0.0.0.0", "host_port": ""}],
            [{**RULE, "host_port": "8080"}, {"name": "ssh", "guest_port": "22"}],
            [{**RULE, "unknown": 1}],
        ],
        [
            {},
            "80",
            [1],
            [[]],
            [{}],
            [{"name": "web"}],
            [{"guest_port": "80"}],
            [{**RULE, "guest_port": 80}],
            [{**RULE, "guest_port": ""}],
            [{**RULE, "guest_port": "0"}],
            [{**RULE, "guest_port": "65536"}],
            [{**RULE, "guest_port": "٢٢"}],
            [{**RULE, "guest_port": "-1"}],
            [{**RULE, "host_port": 8080}],
            [{**RULE, "host_port": "x"}],
            [{**RULE, "host_ip": 1}],
            [{**RULE, "name": ""}],
            [RULE, {**RULE, "name": 1}],
        ],
    ),
    "network_mode": ("1.39.0", ["", "shared", "bridge"], [1, []]),
    "disk": (
        "1.39.0",
        [{}, {"size": ""}, {"size": "256G"}, {"size": "1T", "skip_container_resize": True}, {"size": "100M"}],
        [
            "256G",
            256,
            [],
            {"size": 256},
            {"size": "256"},
            {"size": "256g"},
            {"size": "256GB"},
            {"size": "-1G"},
            {"size": "1.5G"},
            {"size": "G"},
            {"size": " 1G"},
            {"size": "1G\n"},
            {"skip_container_resize": 1},
        ],
    ),
    "vnc_password": ("1.42.0", ["", "secret"], [1, []]),
}
RIGHT = [(name, value) for name, (_, values, _) in FIELDS.items() for value in values]
WRONG = [(name, value) for name, (_, _, values) in FIELDS.items() for value in values]


def before(text: str) -> str:
    return str(KNOWN_RELEASES[KNOWN_RELEASES.index(Release.parse(text)) - 1])


def ask(wire: Wire, **fields: Any) -> dict[str, Any]:
    return wire.ask("POST", "vm", {"vmid": next(iter(wire.controller.templates)), **fields})


def test_every_newer_field_is_here() -> None:
    """The fields that the code marks with a release are these, with these releases."""
    marked = {name: str(since) for name, field in START_BODY.fields.items() if (since := field.metadata.get("since"))}

    assert marked == {name: since for name, (since, _, _) in FIELDS.items()}
    assert set(NEVER_SHOWN) < set(FIELDS)


@pytest.mark.parametrize(("name", "value"), RIGHT)
def test_a_right_value_is_taken(name: str, value: object) -> None:
    """From the field's release on, and by the default one."""
    for release in (FIELDS[name][0], NEW):
        assert "OK" == ask(world(LAND, release), **{name: value})["status"]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_refused_from_its_release_on(name: str, value: object) -> None:
    """The message names the field, and nothing is started; before its release it is as any unknown key."""
    wire, earlier = world(LAND, FIELDS[name][0]), world(LAND, before(FIELDS[name][0]))
    answer = ask(wire, **{name: value})

    assert "FAIL" == answer["status"]
    assert answer["message"].startswith(f"invalid request: {name}")
    assert {} == wire.controller.instances
    assert "OK" == ask(earlier, **{name: value})["status"]


@pytest.mark.parametrize("name", FIELDS)
def test_null_is_no_value(name: str) -> None:
    """As for every other field: refused or as if it were not there, but never something else."""
    plain, with_null = world(LAND), world(LAND)
    ask(plain)
    answer = ask(with_null, **{name: None})

    if answer["status"] == "OK":
        assert plain.state() == with_null.state()
    else:
        assert answer["message"].startswith(f"invalid request: {name}")


@pytest.mark.parametrize("name", FIELDS)
def test_before_its_release_a_field_means_nothing(name: str) -> None:
    """A start with it leaves the same as one without."""
    plain = world(LAND, before(FIELDS[name][0]))
    ask(plain)
    for value in FIELDS[name][1]:
        with_it = world(LAND, before(FIELDS[name][0]))
        ask(with_it, **{name: value})

        assert plain.state() == with_it.state()


@pytest.mark.parametrize(("release", "status"), [("1.27.0", "OK"), ("1.29.0", "OK"), ("1.30.0", "FAIL"), (NEW, "FAIL")])
def test_csr_active_config_could_be_forced_off_until_1_30(release: str, status: str) -> None:
    """Then it is refused, with what has gone when."""
    answer = ask(world(LAND, release), csr_active_config="forceOff")

    assert status == answer["status"]
    if status == "FAIL":
        expected = "invalid request: csr_active_config: must be forceOn, not forceOff: that went with 1.30.0"
        assert expected == answer["message"]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (None, [("ssh", 22, 10000)]),
        ([], None),
        ([RULE], [("web", 80, 10000)]),
        ([{**RULE, "host_port": "8080"}], [("web", 80, 8080)]),
    ],
)
def test_overridden_rules_show_in_vminfo(override: object, expected: object) -> None:
    """Instead of all of the template's; none leaves the key out."""
    wire = world(LAND, NEW)
    fields = {} if override is None else {"port_forwarding_override": override}
    id = wire.start(vmid=next(iter(wire.controller.templates)), **fields)
    pass_time(wire.controller, 60)
    shown = wire.get("vm", f"id={id}")["vminfo"].get("port_forwarding")

    assert expected == (shown and [(rule["name"], rule["guest_port"], rule["host_port"]) for rule in shown])


def test_vlan_address_and_password_show_in_the_instance() -> None:
    """The first two from the beginning, the password once there is a VM."""
    wire = world(LAND, NEW)
    wanted = {"vlan_tag": "12", "mac_address": "0A:1B:2C:3D:4E:5F", "vnc_password": "secret"}
    id = wire.start(vmid=next(iter(wire.controller.templates)), **wanted)
    first = wire.get("vm", f"id={id}")
    pass_time(wire.controller, 60)
    vminfo = wire.get("vm", f"id={id}")["vminfo"]

    assert ("12", "0A:1B:2C:3D:4E:5F", "secret") == (first["vlan"], first["mac_address"], vminfo["vnc_password"])


@pytest.mark.parametrize("release", ["1.8.0", NEW])
@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("not base64", "illegal base64 data at input byte 3"),
        (base64.b64encode(b"x" * 10_000_001).decode(), "startup script is larger than 10 MB"),
    ],
)
def test_a_broken_startup_script_is_refused(release: str, script: str, message: str) -> None:
    """At every release, and nothing is started (a guess)."""
    wire = world(LAND, release)
    answer = ask(wire, startup_script=script)

    assert {"status": "FAIL", "message": message} == answer
    assert {} == wire.controller.instances


def test_what_a_script_left_shows_once_the_vm_is_up() -> None:
    """Code, timeout and both outputs, in this order."""
    wire = world(LAND + "scripts: [{match: '', return_code: 0, stdout: out, stderr: err}]\n", NEW)
    script = base64.b64encode(b"true").decode()
    id = wire.start(vmid=next(iter(wire.controller.templates)), startup_script=script, script_monitoring=True)
    pass_time(wire.controller, 10)
    assert "startup_script" not in wire.get("vm", f"id={id}")
    pass_time(wire.controller, 20)

    expected = {"return_code": 0, "did_timeout": False, "stdout": "out", "stderr": "err"}
    assert json.dumps(expected) == json.dumps(wire.get("vm", f"id={id}")["startup_script"])


def test_an_unmonitored_script_leaves_nothing() -> None:
    """Nobody hears of its end."""
    wire = world(LAND + "scripts: [{match: '', return_code: 3}]\n", NEW)
    id = wire.start(vmid=next(iter(wire.controller.templates)), startup_script=base64.b64encode(b"x").decode())
    pass_time(wire.controller, 60)
    one = wire.get("vm", f"id={id}")

    assert ("Started", False) == (one["instance_state"], "startup_script" in one)
