"""Corners that were once wrong, each shown from where a user stands."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from mockanka.api.app import create_app
from mockanka.control import create_control
from mockanka.core import distributions, instances, nodes, save_images
from mockanka.core.controller import Controller
from mockanka.core.instance_record import StartRequest
from mockanka.core.lifecycle import InstanceState
from mockanka.core.release import Release
from mockanka.core.save_images import SaveRequest
from mockanka.core.templates import PortRule
from mockanka.scenario import Options, Scenario, ScenarioError
from mockanka.simulator.simulator import Simulator
from mockanka.units import SECOND
from tests.controllers import controller_of, pass_time, reload, state_of

WORLD = """
templates:
  - {name: small, versions: [{tag: one, size: 8GB}]}
  - {name: cached, versions: [{tag: one, size: 8GB}]}
nodes: [{name: mac, capacity: 5, cached: [cached]}]
instances: [{template: cached, node: mac}, {template: cached, node: mac}]
"""


def look_ahead(controller: Controller) -> Controller:
    """As an event stream does, or ``until: next``."""
    controller.next_due()
    return controller


@pytest.mark.parametrize("meanwhile", [look_ahead, reload, lambda c: c], ids=["looked ahead", "dumped", "left alone"])
def test_what_a_lost_node_was_doing_goes_on_when_it_is_back(meanwhile: object) -> None:
    """A pull, a boot, a delivery, a save and a termination all end, whatever was done while the node was lost."""
    c = controller_of(WORLD)
    saved, ended = list(c.instances)
    small, cached = c.templates
    (mac,) = c.nodes
    booting = instances.start_instances(c, StartRequest(cached))[0]
    pulling = instances.start_instances(c, StartRequest(small))[0]
    sent = distributions.create_distribution(c, small)
    pass_time(c, 3)
    save = save_images.create_save_image(c, SaveRequest(saved, new_template_name="new"))
    instances.terminate_instance(c, ended)
    pass_time(c, 1)
    nodes.lose_node(c, mac)
    c = meanwhile(c)  # type: ignore[operator]
    pass_time(c, 1)
    nodes.restore_node(c, mac)
    pass_time(c, 200)

    assert [c.instances[id].state for id in (booting, pulling)] == [InstanceState.STARTED] * 2
    assert c.distributions[sent.id].deliveries[mac].stage is distributions.DeliveryStage.DONE
    assert c.save_images[save.id].status == "done"
    assert ended not in c.instances


def test_an_id_that_a_scenario_has_given_away_is_not_minted_again() -> None:
    """Ids pasted from an earlier run into a scenario stay with their instances."""
    second = list(controller_of(WORLD + "  # seed 0").instances)[1]
    c = controller_of(
        WORLD.replace("{template: cached, node: mac}]", f"{{template: cached, id: {second}, name: mine}}]")
    )
    client = create_app(c).test_client()
    (started,) = client.post("/api/v1/vm", json={"vmid": next(iter(c.templates))}).get_json()["body"]

    assert started != second
    assert c.instances[second].request.name == "mine"
    assert len(c.instances) == 3


def test_a_request_with_every_field_set_survives_a_dump() -> None:
    """Nothing of what POST vm asked for is forgotten by a dump."""
    text = WORLD.replace("capacity: 5", "capacity: 5, usb: [phone], vlans: ['12']")
    c = controller_of("controller: {mac_addresses: 1000}" + text + "groups: [{name: all, nodes: [mac]}]")
    every = StartRequest(
        next(iter(c.templates)), "one", 0, "name", "external", next(iter(c.nodes)), next(iter(c.groups)), 7, "phone",
        2, 2048, "ZWNobwo=", 1, True, 7 * SECOND, 2, "$ts", "0A:0B:0C:0D:0E:0F", "12", (PortRule("ssh", 22, 2222),),
        "secret", {"a": "b", "c": 1, "d": True},
    )  # fmt: skip
    plain = StartRequest("")
    instances.start_instances(c, every)

    assert [each.name for each in fields(every) if getattr(every, each.name) == getattr(plain, each.name)] == []
    assert every == list(c.instances.values())[-1].request
    assert state_of(c) == state_of(reload(c))


def test_a_name_template_in_a_start_names_the_vm() -> None:
    """POST vm's name_template reaches vminfo.name."""
    c = controller_of(WORLD)
    client = create_app(c).test_client()
    template = list(c.templates)[1]
    (id,) = client.post("/api/v1/vm", json={"vmid": template, "name_template": "ci-$template_id"}).get_json()["body"]
    c.clock.advance(60 * 10**9)
    shown = client.get(f"/api/v1/vm?id={id}").get_json()["body"]["vminfo"]["name"]

    assert shown == f"mgmtManaged-ci-{template}"


def test_a_vm_in_error_leads_nowhere() -> None:
    """Before 1.49 its ports are given to the next VM, so it must not show them any more."""
    c = controller_of(WORLD, release=Release.parse("1.48.3"))
    client = create_app(c).test_client()
    (mac,) = c.nodes
    nodes.delete_node(c, mac)
    info = client.get("/api/v1/vm").get_json()["body"][0]["vm"]["vminfo"]

    assert (info["status"], info["ip"], info["vnc_port"]) == ("deleted", "", 0)
    assert "port_forwarding" not in info


def test_ram_util_stays_within_its_bounds() -> None:
    """A node that was given more VMs than its RAM is used whole, and no more."""
    c = controller_of(WORLD.replace("capacity: 5", "capacity: 5, ram: 1"))

    assert create_app(c).test_client().get("/api/v1/node").get_json()["body"][0]["ram_util"] == 1


def test_every_line_of_the_log_has_the_number_of_its_line() -> None:
    """No detail of an event hides its number."""
    house = Simulator(Scenario.from_yaml(WORLD), Options(clock="manual"))
    control = create_control(house).test_client()
    save_images.create_save_image(
        house.controller, SaveRequest(next(iter(house.controller.instances)), new_template_name="new")
    )
    control.post("/_mock/clock/advance", json={"by": "10m"})
    lines = control.get("/_mock/events").get_json()["events"]

    assert [line["number"] for line in lines] == list(range(1, len(lines) + 1))
    assert "template pushed" in {line["event"] for line in lines}


def test_loading_nothing_is_refused() -> None:
    """An empty body does not wipe the world."""
    house = Simulator(Scenario.from_yaml(WORLD), Options(clock="manual"))
    answer = create_control(house).test_client().put("/_mock/scenario", data=b" \n")

    assert (answer.status_code, len(house.controller.nodes)) == (400, 1)


@pytest.mark.parametrize(
    ("change", "to", "message"),
    [
        ("capacity: 5", "state: Offline", "node mac is Offline, so what was on it is in Error"),
        ("capacity: 5", "lost: 2024-01-01T00:00:00Z", "belongs to a dump"),
        ("capacity: 5", "usb: [{name: a, location: x}, {name: b, location: x}]", "two devices have the same location"),
        ("node: mac}]", "step: 3}]", "belongs to a dump"),
        ("node: mac}]", "created: 2999-01-01T00:00:00Z}]", "later than the clock"),
        ("node: mac}]", "progress: 7}]", "7 is more than 1"),
        ("capacity: 5", "id: ''", "is empty"),
        ("\ntemplates:", "\nclock: {start: 9999-01-01T00:00:00Z}\ntemplates:", "after the year 9000"),
        ("\ntemplates:", "\nclock: {speed: 1e300}\ntemplates:", "1e300 is more than 1e+09"),
    ],
)  # fmt: skip
def test_a_scenario_that_could_not_be_is_refused(change: str, to: str, message: str) -> None:
    """What no controller could be in, or no answer could show, is refused when it is read."""
    with pytest.raises(ScenarioError, match=message.replace("+", r"\+")):
        Scenario.from_yaml(WORLD.replace("clock: {mode: manual}", "").replace(change, to, 1)).controller(
            Options(clock="manual")
        )


def test_a_scenario_that_an_option_breaks_is_refused_and_not_a_trace(tmp_path: Path) -> None:
    """What refers to an id of one seed fails with another seed in one line, with status 2."""
    first = next(iter(controller_of(WORLD).instances))
    file = tmp_path / "mine.yaml"
    file.write_text(WORLD + f"save_images: [{{instance: {first}, new_template_name: new}}]\n")
    done = subprocess.run(
        [sys.executable, "-m", "mockanka", "serve", str(file), "--seed", "5", "--port", "0"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert done.returncode == 2
    assert f"save_images[0].instance: there is no instance '{first}'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_ip_of_a_stopped_vm_follows_its_node_too() -> None:
    """Every VM on a node shows the host that the node was last given."""
    c = controller_of(WORLD)
    stopped = next(iter(c.instances))
    instances.stop_instance(c, stopped)
    pass_time(c, 30)
    nodes.configure_node(c, next(iter(c.nodes)), {"ip": "9.9.9.9"})

    assert {one.vm.host_ip for one in c.instances.values() if one.vm} == {"9.9.9.9"}
