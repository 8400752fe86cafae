"""Clients that start no instances: the exporter, which reads everything, and the script that makes a Mac join."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
import requests

import mockanka
from mockanka import Anka
from mockanka.core.release import Release
from mockanka.scenario import Scenario, shipped
from tests.clients.aws_ami import AwsAmi
from tests.clients.cirrus import Cirrus
from tests.clients.clients import BEFORE_1_24, RELEASES, Outcome, at, by_release, outcome_of
from tests.clients.engine import FORM, JSON, Machine
from tests.clients.exporter import INTERVAL, Exporter
from tests.clients.helm import Helm
from tests.clients.mgmtcl import Mgmtcl
from tests.clients.packer import Packer

SINCE_1_22 = RELEASES[2:]
"""The releases on which the exporter does not panic."""
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


@pytest.mark.parametrize("release", by_release(releases=SINCE_1_22))
def test_the_exporter_can_decode_every_scenario(anka: Anka, release: str) -> None:
    """In scenarios without faults numbers are unsigned integers and texts are texts where the exporter wants them."""
    for scenario in LIVELY:
        anka.load(scenario)
        scrape_while_instances_run(anka)


@pytest.mark.parametrize("release", ["1.8.0", "1.13.0", "1.21.2", "1.22.0"])
def test_the_exporter_panics_before_1_22(release: str) -> None:
    """A node without ``host_arch`` is too much for it; a controller without nodes is not."""
    panic = Outcome("crashes", "panic: assignment to entry in nil map", 0)
    with mockanka.serve("default", clock="manual", release=release) as anka:
        seen = outcome_of(anka, lambda: str(len(Exporter(anka).scrape())))
        anka.load("empty")

        assert (panic if Release.parse(release) < Release(1, 22) else Outcome("works", "5", 0)) == seen
        assert Outcome("works", "5", 0) == outcome_of(anka, lambda: str(len(Exporter(anka).scrape())))


def seconds_of(anka: Anka, path: str) -> list[float]:
    """Return when a path was requested, without an id, in seconds since the first request of all."""
    asked = [request.at for request in anka.requests if request.path == f"/api/v1/{path}" and not request.query]
    return [(at - anka.requests[0].at).total_seconds() for at in asked]


LOOPS = ("node", "vm", "registry/disk", "registry/vm", "status")
STEADY = [0.0, 15.0, 30.0, 45.0]


@pytest.mark.anka(clock="manual")
def test_the_exporter_reads_every_fifteen_seconds(anka: Anka) -> None:
    """Each of its loops does."""
    Exporter(anka).watch(50)

    assert dict.fromkeys(LOOPS, STEADY) == {path: seconds_of(anka, path) for path in LOOPS}


@pytest.mark.parametrize("path", LOOPS)
@pytest.mark.anka(clock="manual")
def test_a_loop_of_the_exporter_that_fails_pauses_alone(anka: Anka, path: str) -> None:
    """It is back after ten seconds; the four others do not notice."""
    anka.faults.add(match={"path": f"/api/v1/{path}"}, do={"fail": "database is locked"}, times=2)
    exporter = Exporter(anka)
    exporter.watch(50)

    assert 2 == len(exporter.log)
    assert all("database is locked" in line for line in exporter.log)
    expected = {**dict.fromkeys(LOOPS, STEADY), path: [0.0, 10.0, 20.0, 35.0]}
    assert expected == {path: seconds_of(anka, path) for path in LOOPS}


@pytest.mark.anka(clock="manual")
def test_the_exporter_sends_a_lost_get_once_more(anka: Anka) -> None:
    """``net/http`` does that on a connection that was kept, unseen; on a new connection it is an error of the loop."""
    exporter = Exporter(anka)
    anka.faults.add(match={"path": "/api/v1/node"}, do={"connection": "close"}, times=1)
    exporter.watch(1)
    assert ["nodes: RemoteDisconnected"] == exporter.log
    anka.requests.clear()
    anka.faults.add(match={"path": "/api/v1/vm"}, do={"connection": "close"}, times=1)
    exporter.watch(1)

    assert 1 == len(exporter.log)
    assert 2 == len(anka.requests.where(path="/api/v1/vm"))


@pytest.mark.anka(clock="manual")
def test_the_exporter_reads_the_tags_again_after_a_minute(anka: Anka) -> None:
    """It does so without a change too, and after each round while it knows no tags."""
    template = anka.templates["14.5-arm64"].id
    asked = {"path": "/api/v1/registry/vm", "query": {"id": template}}
    exporter = Exporter(anka)
    exporter.watch(100)

    assert [0.0, 60.0] == [(request.at - exporter.began).total_seconds() for request in anka.requests.where(**asked)]
    anka.requests.clear()
    versions = {"id": template, "name": "14.5-arm64", "versions": []}
    anka.faults.add(match=asked, do={"body": json.dumps({"status": "OK", "message": "", "body": versions})})
    exporter = Exporter(anka)
    exporter.watch(40)
    assert 3 == len(anka.requests.where(**asked))


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


@pytest.mark.parametrize("release", by_release(releases=SINCE_1_22))
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


@pytest.mark.parametrize("release", by_release(releases=SINCE_1_22))
def test_the_exporter_has_no_label_for_unhealthy(anka: Anka, release: str) -> None:
    """A node that is Unhealthy is in none of its gauges."""
    exporter = Exporter(anka)
    anka.node("mini-01", "unhealthy")
    anka.node("mini-02", "offline", at_once=True)

    assert {"Offline": 1} == {state: many for state, many in exporter.states(exporter.scrape()).items() if many}


@pytest.mark.parametrize("release", by_release())
def test_the_script_loses_its_quotes(anka: Anka, release: str) -> None:
    """Its bodies arrive cut and are not JSON, so nothing is distributed and the node is not opened."""
    client = AwsAmi(anka, vmid=anka.templates["13.6-arm64"].id, node_name="mini-02")
    seen = outcome_of(anka, client.start)
    sent = anka.requests.where(method="POST")

    assert Outcome("fails", "Distribution failed", 0) == seen
    assert [f"agent {release}"] == client.log
    assert ["/api/v1/registry/vm/distribute", "/api/v1/node/config"] == [request.path for request in sent]
    assert [("FAIL", 200 if release in BEFORE_1_24 else 400)] * 2 == [
        (request.answer["status"], request.status) for request in sent
    ]
    assert ["{template_id:", "{node_id:"] == [request.body for request in sent]
    assert "13.6-arm64:vanilla" not in anka.nodes["mini-02"].cached


@pytest.mark.parametrize("release", by_release())
def test_the_script_removes_its_node(anka: Anka, release: str) -> None:
    """Its DELETE is the one request whose body is whole, and the one with the type of JSON."""
    client = AwsAmi(anka, node_name="mini-02")
    node = anka.nodes["mini-02"].id
    client.end(Machine(node))

    assert {"node_id": node} == anka.requests.expect(method="DELETE", path="/api/v1/node", times=1)[0].body
    assert ["mini-01"] == [node.name for node in anka.nodes.values()]
    assert (JSON, FORM, FORM) == tuple(AwsAmi.CALLS[name].headers for name in ("leave", "distribute", "open"))


@pytest.mark.anka(clock="manual")
def test_the_script_polls_every_ten_seconds(anka: Anka) -> None:
    """It looks for a distribution, here that of somebody else, after two seconds and then every ten."""
    template, node = anka.templates["13.6-arm64"].id, anka.nodes["mini-02"].id
    body = {"template_id": template, "node_ids": [node]}
    distributed = requests.post(f"{anka.url}/api/v1/registry/vm/distribute", json=body).json()["body"]
    client = AwsAmi(anka, node_name="mini-02")
    client.wait_for_distribution(distributed["request_id"], node)
    asked = anka.requests.where(path="/api/v1/registry/vm/distribute")
    waits = [(after.at - before.at).total_seconds() for before, after in pairwise(asked)]

    assert "13.6-arm64:vanilla" in anka.nodes["mini-02"].cached
    assert [2.0, *[10.0] * (len(asked) - 2)] == waits
    assert 4 < len(asked)


@pytest.mark.parametrize("release", by_release())
def test_the_script_fails_without_its_node(anka: Anka, release: str) -> None:
    """Without a node of that name there is nothing to distribute to."""
    client = AwsAmi(anka, vmid=anka.templates["13.6-arm64"].id, node_name="mini-09")

    assert Outcome("fails", "the node has not joined", 0) == outcome_of(anka, client.start)


SCREENS = (*["vnc://:@192.0.2.12:5901"] * 2, "vnc://:@192.0.2.12:0", *["no vnc"] * 3)
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
def test_mgmtcl_takes_a_failure_with_200_for_an_empty_result(anka: Anka, release: str) -> None:
    """It raises an HTTP error; a FAIL with status 200 is None, an empty object or an empty list, and no error."""
    client = Mgmtcl(anka, vmid="nobody-has-this")
    expected = Outcome("works", "None", 0) if release in BEFORE_1_24 else Outcome("fails", "HTTPError: 400", 0)

    assert expected == outcome_of(anka, client.start)
    anka.faults.add(match={"path": "/api/v1/vm"}, do={"fail": "database is locked"})
    if release in BEFORE_1_24:
        assert [{}, {}, []] == [client.ask("show", id="x"), client.ask("terminate", id="x"), client.ask("list")]
    else:
        assert [expected] * 2 == [
            outcome_of(anka, lambda name=name: client.ask(name, id="x")) for name in ("show", "list")
        ]


@pytest.mark.parametrize("release", by_release())
def test_cirrus_reads_nodes_and_running_instances(anka: Anka, release: str) -> None:
    """Items that it cannot decode are skipped, such as those without a VM."""
    template = anka.templates["14.5-arm64"].id
    client = Cirrus(anka, vmid=template)
    machine = client.start()
    (waiting,) = requests.post(f"{anka.url}/api/v1/vm", json={"vmid": template}).json()["body"]

    assert [("192.0.2.11", "Active", 1, 2), ("192.0.2.12", "Active", 1, 2)] == client.nodes()
    assert machine.id in client.running()
    assert waiting in anka.instances
    assert waiting not in client.running()
    assert 1 <= len(client.log)


@pytest.mark.parametrize("release", by_release())
def test_the_packer_plugin_needs_a_registry(anka: Anka, release: str) -> None:
    """It asks the registry and not the controller, and the registry is not simulated."""
    client = Packer(anka, vmid=anka.templates["14.5-arm64"].id)

    assert Outcome("fails", "unsupported http response code: 404", 0) == outcome_of(anka, client.revert)


@pytest.mark.parametrize("release", by_release())
def test_the_probes_of_helm_succeed_from_1_41_1_on(anka: Anka, release: str) -> None:
    """Before, the controller has none."""
    expected = Release.parse(release) >= Release(1, 41, 1)

    assert [expected] * 2 == [Helm(anka).succeeds(probe) for probe in ("live", "ready")]
