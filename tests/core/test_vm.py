"""The VMs behind instances: what a node makes of a template."""

import re

import pytest

from mockanka.core import instance
from mockanka.core.vm import PortForward, Vm
from tests.core.small import one, pass_time, start, started, template_of, world

PORTS = """
templates:
  - name: mac
    cpus: 4
    ram: 8G
    port_forwarding: [{name: ssh, guest_port: 22}, {name: web, guest_port: 80, host_port: 8080}]
    versions: [{tag: stopped, size: 1GB}, {tag: suspended, size: 1GB, state_size: 1GB}]
nodes:
  - {name: alpha, ip: 10.1.2.3, capacity: 3, cached: ["mac:stopped", "mac:suspended"]}
  - {name: beta, ip: 10.1.2.4, capacity: 3, cached: ["mac:stopped", "mac:suspended"]}
"""


def vms(text: str = PORTS, count: int = 1, **wanted: object) -> list[Vm]:
    """The VMs of instances that are up."""
    controller = world(text)
    several = start(controller, count=count, **{"tag": "stopped", **wanted})  # type: ignore[arg-type]
    pass_time(controller, 60)
    return [each.shown_vm for each in several if each.shown_vm]


def test_a_vm_is_made_of_its_template_and_its_node() -> None:
    """Cores and RAM come from the template, the host's address from the node."""
    (vm,) = vms(on="alpha")
    expected = (4, 8192, "10.1.2.3", "running", "")

    assert expected == (vm.cpus, vm.ram, vm.host_ip, vm.status, vm.vnc_password)


def test_a_request_may_ask_for_another_size() -> None:
    """vcpu and vram of the request beat the template's."""
    (vm,) = vms(vcpu=6, vram=9000)
    expected = (6, 9000)

    assert expected == (vm.cpus, vm.ram)


def test_a_suspended_vm_keeps_its_size() -> None:
    """What was suspended resumes with what it had (A1)."""
    (vm,) = vms(tag="suspended", vcpu=6, vram=9000)
    expected = (4, 8192)

    assert expected == (vm.cpus, vm.ram)


def test_vms_on_a_node_share_neither_address_nor_port() -> None:
    """Addresses, VNC ports and picked ports count up on a node; a fixed port stays what it is."""
    several = vms(count=3, on="alpha")
    expected = ["192.168.64.2", "192.168.64.3", "192.168.64.4"]

    assert expected == [vm.ip for vm in several]
    assert [5901, 5902, 5903] == [vm.vnc_port for vm in several]
    assert [(10000, 8080), (10001, 8080), (10002, 8080)] == [tuple(p.host_port for p in vm.ports) for vm in several]


def test_vms_on_two_nodes_may_have_the_same_ports() -> None:
    """Each node picks for itself."""
    controller = world(PORTS)
    several = [started(controller, on=name) for name in ("alpha", "beta")]
    expected = 1

    assert expected == len({each.vm.vnc_port for each in several if each.vm})


def test_a_port_is_used_again_when_it_is_free() -> None:
    """The next VM gets the lowest port that nobody has."""
    controller = world(PORTS)
    first, second = start(controller, count=2, on="alpha")
    pass_time(controller, 60)
    instance.terminate(controller, first.id)
    pass_time(controller, 10)
    third = started(controller, on="alpha")
    expected = (5901, 5902)

    assert third.vm
    assert second.vm
    assert expected == (third.vm.vnc_port, second.vm.vnc_port)


def test_a_forwarded_port_has_what_its_rule_says() -> None:
    """Name, guest port and protocol come from the rule."""
    (vm,) = vms()

    assert (PortForward("ssh", 22, 10000, "tcp"), PortForward("web", 80, 8080, "tcp")) == vm.ports


def test_a_vm_is_named_as_the_real_ones_are() -> None:
    """By default the name is the prefix, the template's name and nanoseconds whose last three digits are 0 (A1)."""
    (vm,) = vms()

    assert re.fullmatch(r"mgmtManaged-mac-\d{16}000", vm.name)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("plain", "mgmtManaged-plain"),
        ("$template_name$template_name", "mgmtManaged-macmac"),
        ("$unknown", "mgmtManaged-$unknown"),
        ("", "mgmtManaged-mac-"),
    ],
)
def test_a_request_may_name_its_vm(pattern: str, expected: str) -> None:
    """The variables of a name template are filled in; what is none stays as it is (B42)."""
    (vm,) = vms(name_template=pattern)

    assert vm.name.startswith(expected)


def test_a_name_may_hold_the_templates_id() -> None:
    """$template_id is the id of the template."""
    controller = world(PORTS)
    mine = started(controller, name_template="$template_id")

    assert mine.vm
    assert f"mgmtManaged-{template_of(controller).id}" == mine.vm.name


def test_vms_cloned_at_one_moment_differ_in_name_and_uuid() -> None:
    """Two VMs never share name or uuid."""
    several = vms(count=6)

    assert 6 == len({vm.name for vm in several}) == len({vm.uuid for vm in several})


def test_the_same_seed_makes_the_same_vms() -> None:
    """VMs are repeated with their world, and are others in another."""
    again, other = [one(world(PORTS, seed=seed)).id for seed in (0, 1)]

    assert vms(count=3) == vms(count=3)
    assert again != other
