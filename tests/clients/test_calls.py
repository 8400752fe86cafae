"""The calls of each client, and their order, when all goes well: the journal compared with the record."""

from __future__ import annotations

import json
from itertools import groupby
from typing import Any

import pytest

from mockanka import Anka
from mockanka.simulator.client_report import FINDING_KINDS
from tests.clients.clients import BEFORE_1_24, CANNOT_END, RELEASES, STARTERS, UNSUPPORTED, at, by_client, outcome_of

VM, ID, NODE = "/api/v1/vm", "/api/v1/vm?id", "/api/v1/node?id"
START, LIST, SHOW, END = f"POST {VM}", f"GET {VM}", f"GET {ID}", f"DELETE {VM}"
TEMPLATES, TEMPLATE = "GET /api/v1/registry/vm", "GET /api/v1/registry/vm?id"

ORDER: dict[str, list[str]] = {
    "jenkins": ["GET /api/v1/node", START, LIST, END],
    "teamcity": [START, LIST, END],
    "gitlab-executor": [START, SHOW, f"GET {NODE}", LIST, f"GET {NODE}", LIST, END],
    "gitlab-runner": [START, SHOW, f"GET {NODE}", SHOW, END],
    "actions-2022": [START, SHOW, LIST, END],
    "actions-2026": [START, SHOW, LIST, END],
    "drone": [START, SHOW, END],
    "mcp": [TEMPLATES, TEMPLATE, START, SHOW, END],
    "flower": [START, SHOW, END],
    "mgmtcl": [START, SHOW, END],
    "cirrus": [START, SHOW, END],
}
"""The calls from a start to its end; a repeated call stands once."""

TEMPLATE_ID = "<vmid>"
"""A placeholder for the id of the template that is started."""
BY_ACTION = {
    "count": 1,
    "vmid": TEMPLATE_ID,
    "startup_script": "Li9jb25maWcuc2ggJiYgLi9ydW4uc2g=",
    "script_monitoring": True,
    "script_fail_handler": 1,
    "external_id": "run-7-1",
}
SENT: dict[str, dict[str, Any]] = {
    "jenkins": {
        "vmid": TEMPLATE_ID,
        "name_template": "$template_name-$node_name-$ts",
        "name": "anka-1",
        "external_id": "https://jenkins.example/computer/anka-1",
    },
    "teamcity": {"vmid": TEMPLATE_ID, "name_template": "$ts", "external_id": "PROFILE-1"},
    "gitlab-executor": {
        "vmid": TEMPLATE_ID,
        "external_id": "https://gitlab.example/group/app/-/jobs/7",
        "startup_script": "c2xlZXAgNQ==",
        "script_monitoring": True,
        "script_timeout": 300,
        "startup_script_condition": 0,
    },
    "gitlab-runner": {
        "vmid": TEMPLATE_ID,
        "name": "Anka Gitlab Runner Name: runner-1",
        "external_id": "https://gitlab.example/group/app/-/jobs/7",
    },
    "actions-2022": BY_ACTION,
    "actions-2026": BY_ACTION,
    "drone": {
        "name": "drone-1",
        "startup_script": "ZWNobyByZWFkeQ==",
        "script_monitoring": True,
        "script_timeout": 200,
        "script_fail_handler": 2,
        "vmid": TEMPLATE_ID,
        "disk": {},
    },
    "mcp": {
        "vmid": TEMPLATE_ID,
        "count": 1,
        "name": "mcp-1",
        "external_id": "mcp-session-1",
        "port_forwarding_override": [{"name": "ssh", "guest_port": "22"}],
        "startup_script": "ZWNobyByZWFkeQ==",
        "startup_script_condition": 1,
    },
    "flower": {"vmid": TEMPLATE_ID, "tag": "", "name": "", "external_id": "", "startup_script": ""},
    "mgmtcl": {"vmid": TEMPLATE_ID, "count": 1},
    "cirrus": {"vmid": TEMPLATE_ID},
}
"""The body of a start with no optional setting; names, scripts and external ids are the tests' own."""

OPTIONAL: dict[str, set[str]] = {
    "jenkins": {"tag", "startup_script", "group_id", "priority", "vcpu", "vram"},
    "teamcity": {"tag", "group_id", "priority", "vcpu", "vram"},
    "gitlab-executor": {"tag", "node_id", "priority", "group_id", "vcpu", "vram"},
    "gitlab-runner": {"tag", "node_id", "priority", "group_id"},
    "actions-2022": {"tag", "vcpu", "vram", "group_id", "node_id"},
    "actions-2026": {"tag", "vcpu", "vram", "group_id", "node_id"},
    "drone": {"tag", "node_id", "group_id"},
    "mcp": {"tag"},
    "flower": set(),
    "mgmtcl": {"tag"},
    "cirrus": {"tag", "name_template", "startup_script"},
}
"""The optional fields of a start."""
SETTINGS: dict[str, Any] = {
    "tag": "vanilla",
    "node_id": "node",
    "group_id": "group",
    "priority": 10,
    "vcpu": 2,
    "vram": 4096,
    "name_template": "$ts",
    "startup_script": "amF2YSAtamFyIGFnZW50Lmphcg==",
}

HEADERS: dict[str, dict[str, str]] = {
    "jenkins": {"start": "application/json", "list": "", "terminate": "application/json"},
    "teamcity": {"start": "application/json", "list": "", "terminate": "application/json"},
    "gitlab-executor": {"start": "", "show": "", "terminate": "application/json"},
    "gitlab-runner": {"start": "application/json", "show": "application/json", "terminate": "application/json"},
    "actions-2022": {"start": "application/x-www-form-urlencoded", "show": "", "terminate": "application/json"},
    "actions-2026": {"start": "application/x-www-form-urlencoded", "show": "", "terminate": "application/json"},
    "drone": {"start": "application/json", "show": "application/json", "terminate": "application/json"},
    "mcp": {"start": "application/json", "show": "application/json", "terminate": "application/json"},
    "flower": {"start": "application/json", "show": "", "terminate": "application/json"},
    "mgmtcl": {"start": "application/json", "show": "", "terminate": "application/json"},
    "cirrus": {"start": "", "show": "", "terminate": ""},
}
"""The Content-Type of its calls (controller-facts D0)."""
AUTHORIZATION = {"drone": "Basic cm9vdDo=", "cirrus": "<authorization?>"}
"""The header Authorization of the clients that send it: ``root`` without a token, and what the client is set to."""
BACKGROUND = {"teamcity": "GET /api/v1/status"}
"""A call that a client repeats all the time, between all others (controller-facts D2)."""


def text_of(body: dict[str, Any]) -> str:
    """Return a body as text, in which 1 and true differ."""
    return json.dumps(body, sort_keys=True)


@pytest.mark.parametrize("name", by_client())
def test_the_calls_come_in_their_order(anka: Anka, name: str) -> None:
    """From a start to its end a client makes the calls that it is known to make, and no others."""
    client = STARTERS[name](anka, vmid=anka.templates["14.5-arm64"].id)
    client.end(client.start())
    lines = [f"{request.method} {request.path}{'?id' if 'id' in request.query else ''}" for request in anka.requests]
    background = BACKGROUND.get(name)

    assert ORDER[name] == [line for line, _ in groupby(line for line in lines if line != background)]
    assert background is None or background in lines


@pytest.mark.parametrize("name", by_client())
def test_a_start_has_the_fields_of_the_record(anka: Anka, name: str) -> None:
    """The body of a start has the fields and values that are on record, and leaves out what is optional."""
    template = anka.templates["14.5-arm64"].id
    STARTERS[name](anka, vmid=template).start()
    (start,) = anka.requests.where(method="POST", path=VM)

    assert text_of({**SENT[name], "vmid": template}) == text_of(start.body)


@pytest.mark.parametrize("name", by_client())
def test_a_start_has_the_optional_fields_of_the_client(anka: Anka, name: str) -> None:
    """With all settings set, a client sends those that it supports, unchanged, and no others."""
    outcome_of(anka, STARTERS[name](anka, vmid=anka.templates["14.5-arm64"].id, **SETTINGS).start)
    start = anka.requests.where(method="POST", path=VM)[0]
    more = {key: value for key, value in start.body.items() if key not in SENT[name]}

    assert text_of({key: SETTINGS[key] for key in OPTIONAL[name]}) == text_of(more)


@pytest.mark.parametrize("name", by_client())
def test_an_end_names_the_instance(anka: Anka, name: str) -> None:
    """The body of a DELETE has the id and nothing else."""
    client = STARTERS[name](anka, vmid=anka.templates["14.5-arm64"].id)
    machine = client.start()
    client.end(machine)
    (end,) = anka.requests.where(method="DELETE")

    assert {"id": machine.id} == end.body


@pytest.mark.parametrize("name", STARTERS)
def test_the_content_type_is_that_of_the_client(name: str) -> None:
    """Each call has the Content-Type of the record, or none."""
    calls = STARTERS[name].CALLS

    assert HEADERS[name] == {call: calls[call].headers.get("Content-Type", "") for call in HEADERS[name]}


@pytest.mark.parametrize("name", STARTERS)
def test_authorization_is_sent_with_every_call_or_none(name: str) -> None:
    """A client that sends Authorization sends it with every call."""
    sent = {call.headers.get("Authorization") for call in STARTERS[name].CALLS.values()}

    assert {AUTHORIZATION.get(name)} == sent


@pytest.mark.parametrize("user", [None, "root"])
@pytest.mark.anka(clock="manual")
def test_cirrus_sends_authorization_only_if_it_has_a_user(anka: Anka, user: str | None) -> None:
    """The header is that of Basic authentication."""
    settings = {"user": user, "password": "token"} if user else {}
    client = STARTERS["cirrus"](anka, vmid=anka.templates["14.5-arm64"].id, **settings)
    headers = client.filled(client.CALLS["start"].headers, {})

    assert ({"Authorization": "Basic cm9vdDp0b2tlbg=="} if user else {}) == headers
    assert "Started" == client.start().text


ACTIONS = ("actions-2022", "actions-2026")
NEWER: dict[tuple[str, str], set[str]] = {
    **{(name, release): {"script_monitoring", "script_fail_handler"} for name in ACTIONS for release in BEFORE_1_24},
    ("drone", "1.24.0"): {"disk"},
    **{("mcp", release): {"port_forwarding_override"} for release in (*BEFORE_1_24, "1.24.0")},
}
"""Fields of a start that are newer than the release it is sent to."""

SUPPORTED = [
    pytest.param(name, release, marks=at(release), id=f"{name}-{release}")
    for name in STARTERS
    for release in RELEASES
    if (name, release) not in {**UNSUPPORTED, **CANNOT_END}
]


@pytest.mark.parametrize(("name", "release"), SUPPORTED)
def test_a_client_does_nothing_wrong_on_a_release_that_it_supports(anka: Anka, name: str, release: str) -> None:
    """The report has no finding after a start and its end, but for fields that are newer than the release."""
    client = STARTERS[name](anka, vmid=anka.templates["14.5-arm64"].id)
    client.end(client.start())
    newer = {f"POST {VM}: {field}" for field in NEWER.get((name, release), ())}
    found = anka.report().of_kinds(list(FINDING_KINDS))

    assert {("unknown-fields", field) for field in newer} == {
        (finding.kind, finding.message.partition(": release")[0]) for finding in found
    }


@pytest.mark.parametrize(
    ("name", "release"), [pytest.param(*key, marks=at(key[1]), id="-".join(key)) for key in CANNOT_END]
)
def test_drone_ends_nothing_before_1_24(anka: Anka, name: str, release: str) -> None:
    """Its DELETE has no id, so the instance is left; the answer is a success to it, as any other 2xx is."""
    client = STARTERS[name](anka, vmid=anka.templates["14.5-arm64"].id)
    client.end(client.start())
    (id,) = anka.requests.where(method="POST")[0].instances
    (end,) = anka.requests.where(method="DELETE")

    assert {"id": ""} == end.body
    assert "FAIL" == end.answer["status"]
    assert "Started" == anka.instances[id].state
    assert {"leaks", "contract"} == {finding.kind for finding in anka.report().of_kinds(["leaks", "contract"])}
