"""What each client says, and in which order, when all goes well: the journal against the record."""

from __future__ import annotations

from itertools import groupby

import pytest

from mockanka import Anka
from mockanka.report import KINDS
from tests.clients.clients import CANNOT, RELEASES, STARTERS, at

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

SENT: dict[str, set[str]] = {
    "jenkins": {"vmid", "name_template", "name", "external_id"},
    "teamcity": {"vmid", "name_template", "external_id"},
    "gitlab-executor": {
        "vmid",
        "external_id",
        "startup_script",
        "script_monitoring",
        "script_timeout",
        "startup_script_condition",
    },
    "gitlab-runner": {"vmid", "name", "external_id"},
    "actions-2022": {"count", "vmid", "startup_script", "script_monitoring", "script_fail_handler", "external_id"},
    "actions-2026": {"count", "vmid", "startup_script", "script_monitoring", "script_fail_handler", "external_id"},
    "drone": {"name", "startup_script", "script_monitoring", "script_timeout", "script_fail_handler", "vmid", "disk"},
    "mcp": {
        "vmid",
        "count",
        "name",
        "external_id",
        "port_forwarding_override",
        "startup_script",
        "startup_script_condition",
    },
    "flower": {"vmid", "tag", "name", "external_id", "startup_script"},
    "mgmtcl": {"vmid"},
    "cirrus": {"vmid"},
}
"""The fields of its start, when nothing optional is asked for."""

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


@pytest.mark.parametrize("name", [pytest.param(each, marks=at("1.50.1"), id=each) for each in STARTERS])
def test_the_calls_come_in_their_order(anka: Anka, name: str) -> None:
    """From a start to its end a client makes the calls it is known to make, and no other."""
    client = STARTERS[name](anka, vmid=anka.templates["14.5-arm64"].id)
    client.end(client.start())
    lines = [f"{each.method} {each.path}{'?id' if 'id' in each.query else ''}" for each in anka.requests]

    assert ORDER[name] == [line for line, _ in groupby(lines)]


@pytest.mark.parametrize("name", [pytest.param(each, marks=at("1.50.1"), id=each) for each in STARTERS])
def test_a_start_says_what_it_says(anka: Anka, name: str) -> None:
    """The body of a start has the fields that are on record, and leaves out what is optional."""
    STARTERS[name](anka, vmid=anka.templates["14.5-arm64"].id).start()
    (start,) = anka.requests.where(method="POST", path=VM)

    assert SENT[name] == set(start.body)


@pytest.mark.parametrize("name", STARTERS)
def test_the_content_type_is_that_of_the_client(name: str) -> None:
    """Each call has the Content-Type of the record, or none."""
    calls = STARTERS[name].CALLS

    assert HEADERS[name] == {call: calls[call].headers.get("Content-Type", "") for call in HEADERS[name]}


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
    found = anka.report().of(list(KINDS))

    assert {("unknown-fields", each) for each in newer} == {
        (each.kind, each.message.partition(": release")[0]) for each in found
    }
