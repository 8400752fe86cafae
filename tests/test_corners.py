"""Cases that concern several packages, each seen from where a user stands."""

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

SCENARIO = """
templates:
  - {name: small, versions: [{tag: one, size: 8GB}]}
  - {name: cached, versions: [{tag: one, size: 8GB}]}
nodes: [{name: mac, capacity: 5, cached: [cached]}]
instances: [{template: cached, node: mac}, {template: cached, node: mac}]
"""


def look_ahead(controller: Controller) -> Controller:
    """Look for the next event, as an event stream does, or ``until: next``."""
    controller.next_due()
    return controller


@pytest.mark.parametrize("meanwhile", [look_ahead, reload, lambda c: c], ids=["looked ahead", "dumped", "left alone"])
def test_the_work_of_a_lost_node_goes_on_when_it_is_back(meanwhile: object) -> None:
    """A pull, a boot, a delivery, a save and a termination all end, whatever happens while the node is lost."""
    c = controller_of(SCENARIO)
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


def test_an_id_of_the_scenario_is_not_used_again() -> None:
    """An id that was copied from an earlier run into a scenario stays with its instance."""
    second = list(controller_of(SCENARIO + "  # seed 0").instances)[1]
    c = controller_of(
        SCENARIO.replace("{template: cached, node: mac}]", f"{{template: cached, id: {second}, name: copied}}]")
    )
    client = create_app(c).test_client()
    (started,) = client.post("/api/v1/vm", json={"vmid": next(iter(c.templates))}).get_json()["body"]

    assert started != second
    assert c.instances[second].request.name == "copied"
    assert len(c.instances) == 3


def test_a_request_with_every_field_set_survives_a_dump() -> None:
    """Every field of POST vm is in a dump."""
    text = SCENARIO.replace("capacity: 5", "capacity: 5, usb: [phone], vlans: ['12']")
    c = controller_of("controller: {mac_addresses: 1000}" + text + "groups: [{name: all, nodes: [mac]}]")
    every = StartRequest(
        next(iter(c.templates)), "one", 0, "name", "external", next(iter(c.nodes)), next(iter(c.groups)), 7, "phone",
        2, 2048, "ZWNobwo=", 1, True, 7 * SECOND, 2, "$ts", "0A:0B:0C:0D:0E:0F", "12", (PortRule("ssh", 22, 2222),),
        "secret", {"a": "b", "c": 1, "d": True},
    )  # fmt: skip
    plain = StartRequest("")
    instances.start_instances(c, every)

    assert [field.name for field in fields(every) if getattr(every, field.name) == getattr(plain, field.name)] == []
    assert every == list(c.instances.values())[-1].request
    assert state_of(c) == state_of(reload(c))


def test_a_name_template_in_a_start_names_the_vm() -> None:
    """The name_template of POST vm makes vminfo.name."""
    c = controller_of(SCENARIO)
    client = create_app(c).test_client()
    template = list(c.templates)[1]
    (id,) = client.post("/api/v1/vm", json={"vmid": template, "name_template": "ci-$template_id"}).get_json()["body"]
    c.clock.advance(60 * 10**9)
    shown = client.get(f"/api/v1/vm?id={id}").get_json()["body"]["vminfo"]["name"]

    assert shown == f"mgmtManaged-ci-{template}"


def test_a_vm_in_error_shows_no_address() -> None:
    """Before 1.49 its ports are given to the next VM, so it does not show them any more."""
    c = controller_of(SCENARIO, release=Release.parse("1.48.3"))
    client = create_app(c).test_client()
    (mac,) = c.nodes
    nodes.delete_node(c, mac)
    info = client.get("/api/v1/vm").get_json()["body"][0]["vm"]["vminfo"]

    assert (info["status"], info["ip"], info["vnc_port"]) == ("deleted", "", 0)
    assert "port_forwarding" not in info


def test_ram_util_stays_within_its_bounds() -> None:
    """A node with more VMs than its RAM has room for shows 1."""
    c = controller_of(SCENARIO.replace("capacity: 5", "capacity: 5, ram: 1"))

    assert create_app(c).test_client().get("/api/v1/node").get_json()["body"][0]["ram_util"] == 1


def test_every_event_has_its_number() -> None:
    """No detail of an event hides its number."""
    simulator = Simulator(Scenario.from_yaml(SCENARIO), Options(clock="manual"))
    control = create_control(simulator).test_client()
    save_images.create_save_image(
        simulator.controller, SaveRequest(next(iter(simulator.controller.instances)), new_template_name="new")
    )
    control.post("/_mock/clock/advance", json={"by": "10m"})
    events = control.get("/_mock/events").get_json()["events"]

    assert [event["number"] for event in events] == list(range(1, len(events) + 1))
    assert "template pushed" in {event["event"] for event in events}


def test_loading_an_empty_body_is_refused() -> None:
    """An empty body does not replace the state."""
    simulator = Simulator(Scenario.from_yaml(SCENARIO), Options(clock="manual"))
    response = create_control(simulator).test_client().put("/_mock/scenario", data=b" \n")

    assert (response.status_code, len(simulator.controller.nodes)) == (400, 1)


@pytest.mark.parametrize(
    ("change", "to", "message"),
    [
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
def test_an_impossible_scenario_is_refused(change: str, to: str, message: str) -> None:
    """A state that no controller can be in, or no response can show, is refused when it is read."""
    with pytest.raises(ScenarioError, match=message.replace("+", r"\+")):
        Scenario.from_yaml(SCENARIO.replace("clock: {mode: manual}", "").replace(change, to, 1)).controller(
            Options(clock="manual")
        )


def test_a_scenario_that_an_option_makes_invalid_is_refused_in_a_line(tmp_path: Path) -> None:
    """A scenario with an id of one seed is refused with another seed, with a message and status 2."""
    first = next(iter(controller_of(SCENARIO).instances))
    file = tmp_path / "scenario.yaml"
    file.write_text(SCENARIO + f"save_images: [{{instance: {first}, new_template_name: new}}]\n")
    process = subprocess.run(
        [sys.executable, "-m", "mockanka", "serve", str(file), "--seed", "5", "--port", "0"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert process.returncode == 2
    assert f"save_images[0].instance: there is no instance '{first}'" in process.stderr
    assert "Traceback" not in process.stderr


def test_the_ip_of_a_stopped_vm_follows_its_node_too() -> None:
    """Every VM on a node shows the address that the node was configured with last."""
    c = controller_of(SCENARIO)
    stopped = next(iter(c.instances))
    instances.stop_instance(c, stopped)
    pass_time(c, 30)
    nodes.configure_node(c, next(iter(c.nodes)), {"ip": "9.9.9.9"})

    assert {instance.vm.host_ip for instance in c.instances.values() if instance.vm} == {"9.9.9.9"}
