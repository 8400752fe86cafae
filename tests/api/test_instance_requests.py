"""The newer fields of a start: each from its release on, with right and wrong values."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest

from mockanka.api.instance_requests import NEVER_SHOWN, START_BODY
from mockanka.core.instance_record import SCRIPT_TIMEOUT
from mockanka.core.release import KNOWN_RELEASES, Release
from mockanka.units import SECOND
from tests.api.client import NEW, ApiClient, api_of
from tests.controllers import pass_time

SCENARIO = """
controller: {mac_addresses: 9}
templates:
  - name: mac
    port_forwarding: [{name: ssh, guest_port: 22}]
    versions: [{tag: base, size: 1GB}]
nodes: [{name: alpha, capacity: 9, cached: [mac], vlans: ["12"]}]
"""

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
"""The first release that has each field, right values and wrong ones."""
RIGHT = [(name, value) for name, (_, values, _) in FIELDS.items() for value in values]
WRONG = [(name, value) for name, (_, _, values) in FIELDS.items() for value in values]


def before(text: str) -> str:
    """Return the last known release before another."""
    return str(KNOWN_RELEASES[KNOWN_RELEASES.index(Release.parse(text)) - 1])


def start(api: ApiClient, **fields: Any) -> dict[str, Any]:
    return api.envelope("POST", "vm", {"vmid": next(iter(api.controller.templates)), **fields})


def test_every_newer_field_is_tested() -> None:
    """The fields that the code marks with a release are those of FIELDS, with the same releases."""
    marked = {name: str(since) for name, field in START_BODY.fields.items() if (since := field.metadata.get("since"))}

    assert marked == {name: since for name, (since, _, _) in FIELDS.items()}
    assert set(NEVER_SHOWN) < set(FIELDS)


@pytest.mark.parametrize(("name", "value"), RIGHT)
def test_a_right_value_is_accepted(name: str, value: object) -> None:
    """A right value is accepted at the first release that has the field, and at the default one."""
    for release in (FIELDS[name][0], NEW):
        assert "OK" == start(api_of(SCENARIO, release), **{name: value})["status"]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_refused_from_its_release_on(name: str, value: object) -> None:
    """The message names the field, and nothing is started; before its release the field is ignored."""
    api, earlier = api_of(SCENARIO, FIELDS[name][0]), api_of(SCENARIO, before(FIELDS[name][0]))
    envelope = start(api, **{name: value})

    assert "FAIL" == envelope["status"]
    assert re.match(
        rf"invalid request: {name}\b|json: cannot unmarshal .+ into Go struct field \w+\.{name}\b", envelope["message"]
    )
    assert {} == api.controller.instances
    assert "OK" == start(earlier, **{name: value})["status"]


@pytest.mark.parametrize("name", FIELDS)
def test_null_means_not_given_or_is_refused(name: str) -> None:
    """Null has the same effect as no value, or the field is refused."""
    plain, with_null = api_of(SCENARIO), api_of(SCENARIO)
    start(plain)
    envelope = start(with_null, **{name: None})

    if envelope["status"] == "OK":
        assert plain.dump() == with_null.dump()
    else:
        assert envelope["message"].startswith(f"invalid request: {name}")


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_is_ignored_before_its_release(name: str) -> None:
    """A start with the field leaves the same state as one without."""
    plain = api_of(SCENARIO, before(FIELDS[name][0]))
    start(plain)
    for value in FIELDS[name][1]:
        with_field = api_of(SCENARIO, before(FIELDS[name][0]))
        start(with_field, **{name: value})

        assert plain.dump() == with_field.dump()


@pytest.mark.parametrize(("release", "status"), [("1.27.0", "OK"), ("1.29.0", "OK"), ("1.30.0", "FAIL"), (NEW, "FAIL")])
def test_csr_active_config_can_be_forced_off_before_1_30(release: str, status: str) -> None:
    """From 1.30 on forceOff is refused with the release that removed it."""
    envelope = start(api_of(SCENARIO, release), csr_active_config="forceOff")

    assert status == envelope["status"]
    if status == "FAIL":
        expected = "invalid request: csr_active_config: must be forceOn, not forceOff: that went with 1.30.0"
        assert expected == envelope["message"]


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
    """The given port rules replace all rules of the template; an empty list leaves the key out."""
    api = api_of(SCENARIO, NEW)
    fields = {} if override is None else {"port_forwarding_override": override}
    instance_id = api.start(vmid=next(iter(api.controller.templates)), **fields)
    pass_time(api.controller, 60)
    rules = api.get("vm", f"id={instance_id}")["vminfo"].get("port_forwarding")

    assert expected == (rules and [(rule["name"], rule["guest_port"], rule["host_port"]) for rule in rules])


def test_vlan_address_and_password_show_in_the_instance() -> None:
    """VLAN and MAC address are there from the beginning, the password once there is a VM."""
    api = api_of(SCENARIO, NEW)
    fields = {"vlan_tag": "12", "mac_address": "0A:1B:2C:3D:4E:5F", "vnc_password": "secret"}
    instance_id = api.start(vmid=next(iter(api.controller.templates)), **fields)
    first = api.get("vm", f"id={instance_id}")
    pass_time(api.controller, 60)
    vminfo = api.get("vm", f"id={instance_id}")["vminfo"]

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
    """A script that is no base64, or too large, is refused at every release (a guess), and nothing is started."""
    api = api_of(SCENARIO, release)
    envelope = start(api, startup_script=script)

    assert {"status": "FAIL", "message": message} == envelope
    assert {} == api.controller.instances


def test_the_result_of_a_monitored_script_shows_once_the_vm_is_up() -> None:
    """It has the return code, the timeout and both outputs, in this order."""
    api = api_of(SCENARIO + "scripts: [{match: '', return_code: 0, stdout: out, stderr: err}]\n", NEW)
    script = base64.b64encode(b"true").decode()
    instance_id = api.start(vmid=next(iter(api.controller.templates)), startup_script=script, script_monitoring=True)
    pass_time(api.controller, 10)
    assert "startup_script" not in api.get("vm", f"id={instance_id}")
    pass_time(api.controller, 20)

    expected = {"return_code": 0, "did_timeout": False, "stdout": "out", "stderr": "err"}
    assert json.dumps(expected) == json.dumps(api.get("vm", f"id={instance_id}")["startup_script"])


def test_an_unmonitored_script_has_no_result() -> None:
    """An instance has no startup_script if the script is not monitored."""
    api = api_of(SCENARIO + "scripts: [{match: '', return_code: 3}]\n", NEW)
    instance_id = api.start(vmid=next(iter(api.controller.templates)), startup_script=base64.b64encode(b"x").decode())
    pass_time(api.controller, 60)
    instance = api.get("vm", f"id={instance_id}")

    assert ("Started", False) == (instance["instance_state"], "startup_script" in instance)


@pytest.mark.parametrize(("seconds", "expected"), [(0, SCRIPT_TIMEOUT), (1, SECOND)])
def test_a_script_timeout_of_zero_means_the_default(seconds: int, expected: int) -> None:
    """Zero counts as not given (a guess); any other number is the limit in seconds."""
    api = api_of(SCENARIO, NEW)
    template_id = next(iter(api.controller.templates))
    instance_id = api.start(vmid=template_id, script_monitoring=True, script_timeout=seconds)

    assert expected == api.controller.instances[instance_id].request.script_timeout
