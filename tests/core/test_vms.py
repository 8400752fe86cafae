"""The VMs behind instances: what a node makes of a template."""

import re

import pytest

from mockanka.core import instances
from mockanka.core.release import Release
from mockanka.core.templates import PortRule
from mockanka.core.vms import PortForward, Vm
from tests.core.builders import (
    build_controller,
    node_named,
    pass_time,
    start_instance,
    start_instances,
    started_instance,
    template_named,
)

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
    controller = build_controller(text)
    several = start_instances(controller, count=count, **{"tag": "stopped", **wanted})  # type: ignore[arg-type]
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
    """Addresses, VNC ports and ports count up on a node, those that a rule asks for from there on."""
    several = vms(count=3, on="alpha")
    expected = ["192.168.64.2", "192.168.64.3", "192.168.64.4"]

    assert expected == [vm.ip for vm in several]
    assert [5901, 5902, 5903] == [vm.vnc_port for vm in several]
    assert [(10000, 8080), (10001, 8081), (10002, 8082)] == [tuple(p.host_port for p in vm.ports) for vm in several]


def test_a_port_that_a_rule_asks_for_goes_to_no_other() -> None:
    """Also when the next free one would be it, and its rule comes later."""
    controller = build_controller(PORTS)
    rules = (PortRule("a", 22), PortRule("b", 80, 10000), PortRule("c", 81))
    mine = started_instance(controller, ports=rules)

    assert mine.vm is not None
    assert [10001, 10000, 10002] == [port.host_port for port in mine.vm.ports]


def test_vms_on_two_nodes_may_have_the_same_ports() -> None:
    """Each node picks for itself."""
    controller = build_controller(PORTS)
    several = [started_instance(controller, on=name) for name in ("alpha", "beta")]
    expected = 1

    assert expected == len({each.vm.vnc_port for each in several if each.vm})


def test_a_port_is_used_again_when_it_is_free() -> None:
    """The next VM gets the lowest port that nobody has."""
    controller = build_controller(PORTS)
    first, second = start_instances(controller, count=2, on="alpha")
    pass_time(controller, 60)
    instances.terminate_instance(controller, first.id)
    pass_time(controller, 10)
    third = started_instance(controller, on="alpha")
    expected = (5901, 5902)

    assert third.vm
    assert second.vm
    assert expected == (third.vm.vnc_port, second.vm.vnc_port)


def test_a_forwarded_port_has_what_its_rule_says() -> None:
    """Name, guest port and protocol come from the rule."""
    (vm,) = vms()

    assert (PortForward("ssh", 22, 10000, "tcp"), PortForward("web", 80, 8080, "tcp")) == vm.ports


WEB, SSH = PortRule("web", 8000), PortRule("ssh", 22, 2222)


@pytest.mark.parametrize(
    ("ports", "expected"),
    [
        (None, [("ssh", 22, 10000), ("web", 80, 8080)]),
        ((), []),
        ((WEB,), [("web", 8000, 10000)]),
        ((SSH, WEB), [("ssh", 22, 2222), ("web", 8000, 10000)]),
    ],
)
def test_a_request_may_have_port_rules_of_its_own(
    ports: tuple[PortRule, ...] | None, expected: list[tuple[str, int, int]]
) -> None:
    """They stand in place of all of the template's, and may be none."""
    (vm,) = vms(ports=ports)

    assert expected == [(port.name, port.guest_port, port.host_port) for port in vm.ports]


ARM = PORTS.replace("    cpus: 4", "    arch: arm64\n    cpus: 4")


@pytest.mark.parametrize(
    ("text", "release", "port"),
    [(ARM, "1.23.0", 5901), (ARM, "1.24.0", 0), (ARM, "1.50.1", 0), (PORTS, "1.50.1", 5901)],
)
def test_apple_silicon_has_no_vnc_port(text: str, release: str, port: int) -> None:
    """From 1.24 on a VM of that kind shows 0 (A2.3)."""
    controller = build_controller(text, release=Release.parse(release))
    mine = started_instance(controller, on="alpha", tag="stopped")

    assert mine.vm
    assert port == mine.vm.vnc_port


def test_apple_silicon_has_the_vnc_port_that_a_rule_forwards() -> None:
    """A rule for the guest's 5900 gives it one."""
    (vm,) = vms(ARM, ports=(PortRule("vnc", 5900),))

    assert 10000 == vm.vnc_port


def test_a_request_may_give_a_password_for_vnc() -> None:
    """The VM has it from the beginning."""
    (vm,) = vms(vnc_password="secret")

    assert "secret" == vm.vnc_password


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


@pytest.mark.parametrize(
    ("release", "known"),
    [
        ("1.24.1", "$template_name $template_id"),
        ("1.25.0", "$template_name $template_id $node_id $node_name $tag"),
        ("1.26.0", "$template_name $template_id $node_id $node_name $tag"),
        ("1.27.0", "$template_name $template_id $node_id $node_name $tag $instance_id"),
    ],
)
def test_the_variables_of_a_name_come_with_their_releases(release: str, known: str) -> None:
    """Nodes and the tag from 1.25 on, the instance from 1.27 on; before, their names stay as they are (B42)."""
    controller = build_controller(PORTS, release=Release.parse(release))
    every = "$template_name $template_id $node_id $node_name $tag $instance_id"
    mine = started_instance(controller, on="beta", tag="stopped", name_template=every)
    values = {
        "$template_name": "mac",
        "$template_id": template_named(controller).id,
        "$node_id": node_named(controller, "beta").id,
        "$node_name": "beta",
        "$tag": "stopped",
        "$instance_id": mine.id,
    }
    expected = " ".join(values[each] if each in known.split() else each for each in every.split())

    assert mine.vm
    assert f"mgmtManaged-{expected}" == mine.vm.name


def test_the_longest_variable_counts() -> None:
    """One name may begin with another's, and what comes in is not looked at again."""
    controller = build_controller(PORTS.replace("name: mac\n", "name: $ts\n").replace("mac:", "$ts:"))
    mine = started_instance(
        controller, template="$ts", on="alpha", tag="stopped", name_template="$template_names-$tagged"
    )

    assert mine.vm
    assert "mgmtManaged-$tss-stoppedged" == mine.vm.name


def test_a_name_may_hold_the_templates_id() -> None:
    """$template_id is the id of the template."""
    controller = build_controller(PORTS)
    mine = started_instance(controller, name_template="$template_id")

    assert mine.vm
    assert f"mgmtManaged-{template_named(controller).id}" == mine.vm.name


def test_vms_cloned_at_one_moment_differ_in_name_and_uuid() -> None:
    """Two VMs never share name or uuid."""
    several = vms(count=6)

    assert 6 == len({vm.name for vm in several}) == len({vm.uuid for vm in several})


def test_the_same_seed_makes_the_same_vms() -> None:
    """VMs are repeated with their world, and are others in another."""
    again, other = [start_instance(build_controller(PORTS, seed=seed)).id for seed in (0, 1)]

    assert vms(count=3) == vms(count=3)
    assert again != other
