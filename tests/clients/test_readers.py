"""Clients that start no instances: the exporter, which reads everything, and the script that has a Mac join."""

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


def read_some(anka: Anka) -> None:
    """The exporter reads, and again while instances come, run, and go."""
    exporter = Exporter(anka)
    exporter.connect()
    for template in anka.templates.values():
        requests.post(f"{anka.url}/api/v1/vm", json={"vmid": template.id, "external_id": "job-1"})
    for _ in range(6):
        found = exporter.scrape()
        assert len(anka.nodes) == len(found["nodes"])
        assert len(anka.instances) == len(found["list"])
        assert {each.id: list(each.tags) for each in anka.templates.values()} == exporter.tags
        exporter.sleep(INTERVAL)


@pytest.mark.parametrize("release", by_release())
def test_the_exporter_can_decode_whatever_there_is(anka: Anka, release: str) -> None:
    """Every number is an unsigned integer where it wants one, every text a text, in every scenario without faults."""
    for scenario in LIVELY:
        anka.load(scenario)
        read_some(anka)


@pytest.mark.anka(clock="manual")
def test_the_exporter_reads_every_fifteen_seconds(anka: Anka) -> None:
    """Nodes, instances, disk and templates, and the status last."""
    rounds = Exporter(anka).watch()
    for _ in range(3):
        next(rounds)
    lines = [f"{each.method} {each.path.removeprefix('/api/v1/')}" for each in anka.requests if not each.query]
    asked = [each.at for each in anka.requests.where(path="/api/v1/status")]

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
def test_the_exporter_takes_no_counter_below_zero(anka: Anka, key: str, wrong: float) -> None:
    """Every number that counts something of a node is unsigned, and one that is not is an error."""
    exporter = Exporter(anka)
    (node, *_) = requests.get(f"{anka.url}/api/v1/node").json()["body"]
    assert isinstance(node[key], int)
    body = json.dumps({"status": "OK", "message": "", "body": [{**node, key: wrong}]})
    anka.faults.add(match={"path": "/api/v1/node"}, do={"body": body})

    assert "cannot decode" == outcome_of(anka, lambda: str(exporter.scrape())).what


@pytest.mark.parametrize("release", by_release())
def test_the_exporter_reads_the_tags_again_when_the_size_has_changed(anka: Anka, release: str) -> None:
    """A push changes a template's size, so its new tag is noticed."""
    exporter = Exporter(anka)
    exporter.scrape()
    anka.requests.clear()
    exporter.scrape()
    assert [] == [each for each in anka.requests if each.query]
    (id,) = anka.instances
    template = anka.templates["14.5-arm64"].id
    requests.post(f"{anka.url}/api/v1/image", json={"id": id, "target_vm_id": template, "tag": "new", "suspend": False})
    anka.settle()
    exporter.scrape()

    assert "new" == exporter.tags[template][-1]


@pytest.mark.parametrize("release", by_release())
def test_the_exporter_with_a_key_panics_where_nobody_asks_for_one(anka: Anka, release: str) -> None:
    """It expects to be turned away first, and authentication is off."""
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
def test_the_script_has_a_mac_pull_and_open(anka: Anka, release: str) -> None:
    """It finds its node by name, distributes to it, sees the pull end, and asks for work; then the node leaves."""
    template = anka.templates["13.6-arm64"].id
    client = AwsAmi(anka, vmid=template, node_name="mini-02")
    machine = client.start()

    assert [f"agent {release}"] == client.log
    assert "13.6-arm64:vanilla" in anka.nodes["mini-02"].cached
    assert anka.nodes["mini-02"].takes_work
    client.end(machine)
    assert ["mini-01"] == [each.name for each in anka.nodes.values()]


@pytest.mark.anka(clock="manual")
def test_the_script_says_what_it_says_and_looks_every_ten_seconds(anka: Anka) -> None:
    """It looks after two seconds for the first time; it names the node, and asks for it to leave Drain Mode."""
    template, node = anka.templates["13.6-arm64"].id, anka.nodes["mini-02"].id
    client = AwsAmi(anka, vmid=template, node_name="mini-02", tag="vanilla")
    client.end(client.start())
    asked = anka.requests.where(path="/api/v1/registry/vm/distribute")
    waits = [(after.at - before.at).total_seconds() for before, after in pairwise(asked)]
    said = [(each.method, each.path.removeprefix("/api/v1/"), each.body) for each in anka.requests if each.body]

    assert [
        ("POST", "registry/vm/distribute", {"template_id": template, "tag": "vanilla", "node_ids": [node]}),
        ("POST", "node/config", {"node_id": node, "drain_mode": False}),
        ("DELETE", "node", {"node_id": node}),
    ] == said
    assert [2.0, *[10.0] * (len(asked) - 2)] == waits
    assert 4 < len(asked)


@pytest.mark.anka(clock="manual", release="1.50.1")
def test_a_drained_mac_gets_its_template_first(anka: Anka) -> None:
    """One that joined drained is pulled to nevertheless, and takes work once the script has opened it."""
    anka.node("mini-02", "drain")
    client = AwsAmi(anka, vmid=anka.templates["13.6-arm64"].id, node_name="mini-02")
    assert not anka.nodes["mini-02"].takes_work
    client.start()

    assert "Active" == anka.nodes["mini-02"].state
    assert "13.6-arm64:vanilla" in anka.nodes["mini-02"].cached


@pytest.mark.parametrize("release", by_release())
def test_the_script_waits_for_a_node_that_never_joined(anka: Anka, release: str) -> None:
    """Without a node of that name there is nothing to distribute to."""
    client = AwsAmi(anka, vmid=anka.templates["13.6-arm64"].id, node_name="mini-09")

    assert Outcome("fails", "the node has not joined", 0) == outcome_of(anka, client.start)


SCREENS = ("vnc://:@10.0.0.12:5901", "vnc://:@10.0.0.12:0", "no vnc")
"""Apple silicon has no port of its own for the screen since about 1.24 (controller-facts A2.3)."""


@pytest.mark.parametrize(
    ("release", "expected"),
    [pytest.param(each, seen, marks=at(each), id=each) for each, seen in zip(RELEASES, SCREENS, strict=True)],
)
def test_mgmtcl_finds_the_screen_until_1_41(anka: Anka, release: str, expected: str) -> None:
    """It reads vminfo.vnc_connection_string, which later releases do not have; the tags it finds everywhere."""
    client = Mgmtcl(anka, vmid=anka.templates["14.5-arm64"].id)
    machine = client.start()
    anka.wait(machine.id)

    assert [(0, "vanilla"), (1, "xcode-15")] == client.tags()
    assert expected == client.screen(machine)


@pytest.mark.parametrize("release", by_release())
def test_mgmtcl_reads_messages_only_where_failures_come_with_200(anka: Anka, release: str) -> None:
    """It raises at an HTTP error before it looks for the words that it knows."""
    client = Mgmtcl(anka, vmid="nobody-has-this")
    text = "no such template" if release == "1.8.0" else "HTTPError: 400"

    assert Outcome("fails", text, 0) == outcome_of(anka, client.start)
