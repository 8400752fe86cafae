"""What each client says, and in which order, when all goes well: the journal against the record."""

from __future__ import annotations

import json
from itertools import groupby
from typing import Any

import pytest

from mockanka import Anka
from mockanka.simulator.client_report import FINDING_KINDS
from tests.clients.clients import CANNOT, RELEASES, STARTERS, at, outcome_of

VM, ID, NODE = "/api/v1/vm", "/api/v1/vm?id", "/api/v1/node?id"
START, LIST, SHOW, END = f"POST {VM}", f"GET {VM}", f"GET {ID}", f"DELETE {VM}"
TEMPLATES, TEMPLATE = "GET /api/v1/registry/vm", "GET /api/v1/registry/vm?id"

ORDER: dict[str, list[str]] = {
    "jenkins": ["GET /api/v1/node", START, LIST, END],
    "teamcity": [START, LIST, END],
    "gitlab-executor": [START, SHOW, f"GET {NODE}", LIST, f"GET {NODE}", LIST, END],
    "gitlab-runner": [START, SHOW, f"GET {NODE}", END],
    "actions-2022": [START, SHOW, LIST, END],
    "actions-2026": [START, SHOW, LIST, END],
    "drone": [START, SHOW, END],
    "mcp": [TEMPLATES, TEMPLATE, START, SHOW, END],
    "flower": [START, SHOW, END],
    "mgmtcl": [START, SHOW, END],
    "cirrus": [START, SHOW, END],
}
"""From a start to its end; a call that is repeated stands once."""

TEMPLATE_ID = "<vmid>"
"""Stands for the id of the template that is started."""
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
    "mgmtcl": {"vmid": TEMPLATE_ID},
    "cirrus": {"vmid": TEMPLATE_ID},
}
"""What its start says when nothing optional is asked for; names, scripts and external ids are the tests' own."""

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
    "mgmtcl": {"tag", "count"},
    "cirrus": {"tag"},
}
"""What it says more if it is asked to."""
WISHES: dict[str, Any] = {
    "tag": "vanilla",
    "count": 1,
    "node_id": "node",
    "group_id": "group",
    "priority": 10,
    "vcpu": 2,
    "vram": 4096,
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
AUTHORIZATION = {"drone": "Basic cm9vdDo=", "cirrus": "Basic cm9vdDp0b2tlbg=="}
"""Who says at every call who it is: ``root`` without a token, and with one."""
BACKGROUND = {"teamcity": "GET /api/v1/status"}
"""What a client asks for all the while, beside everything else (controller-facts D2)."""


def text_of(body: dict[str, Any]) -> str:
    """As text, in which 1 is not true."""
    return json.dumps(body, sort_keys=True)


@pytest.mark.parametrize("name", [pytest.param(each, marks=at("1.50.1"), id=each) for each in STARTERS])
def test_the_calls_come_in_their_order(anka: Anka, name: str) -> None:
    """From a start to its end a client makes the calls it is known to make, and no other."""
    client = STARTERS[name](anka, vmid=anka.templates["14.5-arm64"].id)
    client.end(client.start())
    lines = [f"{each.method} {each.path}{'?id' if 'id' in each.query else ''}" for each in anka.requests]
    background = BACKGROUND.get(name)

    assert ORDER[name] == [line for line, _ in groupby(each for each in lines if each != background)]
    assert background is None or background in lines


@pytest.mark.parametrize("name", [pytest.param(each, marks=at("1.50.1"), id=each) for each in STARTERS])
def test_a_start_says_what_it_says(anka: Anka, name: str) -> None:
    """The body of a start has the fields and the values that are on record, and leaves out what is optional."""
    template = anka.templates["14.5-arm64"].id
    STARTERS[name](anka, vmid=template).start()
    (start,) = anka.requests.where(method="POST", path=VM)

    assert text_of({**SENT[name], "vmid": template}) == text_of(start.body)


@pytest.mark.parametrize("name", [pytest.param(each, marks=at("1.50.1"), id=each) for each in STARTERS])
def test_a_start_says_what_is_wished(anka: Anka, name: str) -> None:
    """Asked for everything there is, a client says of it what it knows to say, unchanged, and no more."""
    outcome_of(anka, STARTERS[name](anka, vmid=anka.templates["14.5-arm64"].id, **WISHES).start)
    start = anka.requests.where(method="POST", path=VM)[0]
    more = {key: value for key, value in start.body.items() if key not in SENT[name]}

    assert text_of({key: WISHES[key] for key in OPTIONAL[name]}) == text_of(more)


@pytest.mark.parametrize("name", [pytest.param(each, marks=at("1.50.1"), id=each) for each in STARTERS])
def test_an_end_names_the_instance(anka: Anka, name: str) -> None:
    """It says the id, and nothing else."""
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
def test_who_says_who_it_is_says_it_always(name: str) -> None:
    """Some send Authorization with every call, the others with none."""
    said = {call.headers.get("Authorization") for call in STARTERS[name].CALLS.values()}

    assert {AUTHORIZATION.get(name)} == said


NEWER: dict[tuple[str, str], set[str]] = {
    ("actions-2022", "1.8.0"): {"script_monitoring", "script_fail_handler"},
    ("actions-2026", "1.8.0"): {"script_monitoring", "script_fail_handler"},
    ("drone", "1.8.0"): {"script_monitoring", "script_timeout", "script_fail_handler", "disk"},
    ("drone", "1.24.0"): {"disk"},
    ("mcp", "1.8.0"): {"port_forwarding_override"},
    ("mcp", "1.24.0"): {"port_forwarding_override"},
}
"""Fields of a start that came later than the release it is sent to."""

AT_HOME = [
    pytest.param(name, release, marks=at(release), id=f"{name}-{release}")
    for name in STARTERS
    for release in RELEASES
    if (name, release) not in CANNOT
]


@pytest.mark.parametrize(("name", "release"), AT_HOME)
def test_a_client_at_home_does_nothing_wrong(anka: Anka, name: str, release: str) -> None:
    """The report finds no fault with a start and its end, but for fields that are newer than the release."""
    client = STARTERS[name](anka, vmid=anka.templates["14.5-arm64"].id)
    client.end(client.start())
    newer = {f"POST {VM}: {field}" for field in NEWER.get((name, release), ())}
    found = anka.report().of_kinds(list(FINDING_KINDS))

    assert {("unknown-fields", each) for each in newer} == {
        (each.kind, each.message.partition(": release")[0]) for each in found
    }
