"""Clients that start no instances: the exporter, which reads everything, and the script that makes a Mac join."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
import requests

from mockanka import Anka
from mockanka.scenario import Scenario, shipped
from tests.clients.aws_ami import AwsAmi
from tests.clients.clients import RELEASES, Outcome, at, by_release, outcome_of
from tests.clients.exporter import INTERVAL, Exporter
from tests.clients.mgmtcl import Mgmtcl

LIVELY = [name for name in shipped() if not Scenario.find(name).section.faults]


def scrape_while_instances_run(anka: Anka) -> None:
    """Scrape again and again while instances start, run and end."""
    exporter = Exporter(anka)
    exporter.connect()
    for template in anka.templates.values():
        requests.post(f"{anka.url}/api/v1/vm", json={"vmid": template.id, "external_id": "job-1"})
    for _ in range(6):
        bodies = exporter.scrape()
        assert len(anka.nodes) == len(bodies["nodes"])
        assert len(anka.instances) == len(bodies["list"])
        assert {template.id: list(template.tags) for template in anka.templates.values()} == exporter.tags
        exporter.sleep(INTERVAL)


@pytest.mark.parametrize("release", by_release())
def test_the_exporter_can_decode_every_scenario(anka: Anka, release: str) -> None:
    """In scenarios without faults numbers are unsigned integers and texts are texts where the exporter wants them."""
    for scenario in LIVELY:
        anka.load(scenario)
        scrape_while_instances_run(anka)


@pytest.mark.anka(clock="manual")
def test_the_exporter_reads_every_fifteen_seconds(anka: Anka) -> None:
    """It reads nodes, instances, disk and templates, and the status last."""
    rounds = Exporter(anka).watch()
    for _ in range(3):
        next(rounds)
    lines = [
        f"{request.method} {request.path.removeprefix('/api/v1/')}" for request in anka.requests if not request.query
    ]
    asked = [request.at for request in anka.requests.where(path="/api/v1/status")]

    assert [f"GET {path}" for path in ("node", "vm", "registry/disk", "registry/vm", "status")] * 3 == lines
    assert [15.0, 15.0] == [(after - before).total_seconds() for before, after in pairwise(asked)]


COUNTERS = (
    "cpu_count",
    "ram",
    "vm_count",
    "vcpu_count",
    "vram",
    "capacity",
    "vcpu_override",
    "ram_override",
    "disk_size",
    "free_disk_space",
    "anka_disk_usage",
)


@pytest.mark.parametrize("wrong", [-1, 0.5])
@pytest.mark.parametrize("key", COUNTERS)
@pytest.mark.anka(clock="manual")
def test_the_exporter_refuses_negative_and_fractional_counters(anka: Anka, key: str, wrong: float) -> None:
    """Each number that counts something of a node is unsigned; another number is an error."""
    exporter = Exporter(anka)
    (node, *_) = requests.get(f"{anka.url}/api/v1/node").json()["body"]
    assert isinstance(node[key], int)
    body = json.dumps({"status": "OK", "message": "", "body": [{**node, key: wrong}]})
    anka.faults.add(match={"path": "/api/v1/node"}, do={"body": body})

    assert "cannot decode" == outcome_of(anka, lambda: str(exporter.scrape())).what


@pytest.mark.parametrize("release", by_release())
def test_the_exporter_reads_the_tags_again_when_the_size_has_changed(anka: Anka, release: str) -> None:
    """A push changes the size of a template, so its new tag is noticed."""
    exporter = Exporter(anka)
    exporter.scrape()
    anka.requests.clear()
    exporter.scrape()
    assert [] == [request for request in anka.requests if request.query]
    (id,) = anka.instances
    template = anka.templates["14.5-arm64"].id
    requests.post(f"{anka.url}/api/v1/image", json={"id": id, "target_vm_id": template, "tag": "new", "suspend": False})
    anka.settle()
    exporter.scrape()

    assert "new" == exporter.tags[template][-1]


@pytest.mark.parametrize("release", by_release())
def test_the_exporter_with_a_key_panics_without_authentication(anka: Anka, release: str) -> None:
    """It expects a refusal first, and authentication is off."""
    panic = Outcome("crashes", "panic: nil pointer dereference: there was no error to read", 0)

    assert panic == outcome_of(anka, Exporter(anka, api_key="key").connect)


@pytest.mark.parametrize("release", by_release())
def test_the_exporter_has_no_label_for_unhealthy(anka: Anka, release: str) -> None:
    """A node that is Unhealthy is in none of its gauges."""
    exporter = Exporter(anka)
    anka.node("mini-01", "unhealthy")
    anka.node("mini-02", "offline", at_once=True)

    assert {"Offline": 1} == {state: many for state, many in exporter.states(exporter.scrape()).items() if many}


@pytest.mark.parametrize("release", by_release())
def test_the_script_makes_a_mac_pull_and_take_work(anka: Anka, release: str) -> None:
    """It finds its node by name, distributes to it, waits for the pull, and opens the node; then the node leaves."""
    template = anka.templates["13.6-arm64"].id
    client = AwsAmi(anka, vmid=template, node_name="mini-02")
    machine = client.start()

    assert [f"agent {release}"] == client.log
    assert "13.6-arm64:vanilla" in anka.nodes["mini-02"].cached
    assert anka.nodes["mini-02"].takes_work
    client.end(machine)
    assert ["mini-01"] == [node.name for node in anka.nodes.values()]


@pytest.mark.anka(clock="manual")
def test_the_script_polls_every_ten_seconds(anka: Anka) -> None:
    """It polls for the first time after two seconds; it names the node, and ends its Drain Mode."""
    template, node = anka.templates["13.6-arm64"].id, anka.nodes["mini-02"].id
    client = AwsAmi(anka, vmid=template, node_name="mini-02", tag="vanilla")
    client.end(client.start())
    asked = anka.requests.where(path="/api/v1/registry/vm/distribute")
    waits = [(after.at - before.at).total_seconds() for before, after in pairwise(asked)]
    said = [
        (request.method, request.path.removeprefix("/api/v1/"), request.body)
        for request in anka.requests
        if request.body
    ]

    assert [
        ("POST", "registry/vm/distribute", {"template_id": template, "tag": "vanilla", "node_ids": [node]}),
        ("POST", "node/config", {"node_id": node, "drain_mode": False}),
        ("DELETE", "node", {"node_id": node}),
    ] == said
    assert [2.0, *[10.0] * (len(asked) - 2)] == waits
    assert 4 < len(asked)


@pytest.mark.anka(clock="manual", release="1.50.1")
def test_a_drained_mac_gets_its_template_first(anka: Anka) -> None:
    """A node that joined in Drain Mode pulls nevertheless, and takes work once the script has opened it."""
    anka.node("mini-02", "drain")
    client = AwsAmi(anka, vmid=anka.templates["13.6-arm64"].id, node_name="mini-02")
    assert not anka.nodes["mini-02"].takes_work
    client.start()

    assert "Active" == anka.nodes["mini-02"].state
    assert "13.6-arm64:vanilla" in anka.nodes["mini-02"].cached


@pytest.mark.parametrize("release", by_release())
def test_the_script_fails_without_its_node(anka: Anka, release: str) -> None:
    """Without a node of that name there is nothing to distribute to."""
    client = AwsAmi(anka, vmid=anka.templates["13.6-arm64"].id, node_name="mini-09")

    assert Outcome("fails", "the node has not joined", 0) == outcome_of(anka, client.start)


SCREENS = ("vnc://:@10.0.0.12:5901", "vnc://:@10.0.0.12:0", "no vnc")
"""Apple silicon has no port of its own for the screen since about 1.24 (controller-facts A2.3)."""


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        pytest.param(release, screen, marks=at(release), id=release)
        for release, screen in zip(RELEASES, SCREENS, strict=True)
    ],
)
def test_mgmtcl_finds_the_screen_until_1_41(anka: Anka, release: str, expected: str) -> None:
    """It reads vminfo.vnc_connection_string, which later releases do not have; it finds the tags on all releases."""
    client = Mgmtcl(anka, vmid=anka.templates["14.5-arm64"].id)
    machine = client.start()
    anka.wait(machine.id)

    assert [(0, "vanilla"), (1, "xcode-15")] == client.tags()
    assert expected == client.screen(machine)


@pytest.mark.parametrize("release", by_release())
def test_mgmtcl_reads_messages_only_where_failures_come_with_200(anka: Anka, release: str) -> None:
    """It raises an HTTP error before it looks for the messages that it knows."""
    client = Mgmtcl(anka, vmid="nobody-has-this")
    text = "no such template" if release == "1.8.0" else "HTTPError: 400"

    assert Outcome("fails", text, 0) == outcome_of(anka, client.start)
