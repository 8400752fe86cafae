"""VMs of instances."""

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


def start_vms(text: str = PORTS, count: int = 1, **wanted: object) -> list[Vm]:
    """Start instances and return their VMs."""
    controller = build_controller(text)
    batch = start_instances(controller, count=count, **{"tag": "stopped", **wanted})  # type: ignore[arg-type]
    pass_time(controller, 60)
    return [instance.shown_vm for instance in batch if instance.shown_vm]


def test_a_vm_gets_its_size_from_the_template_and_its_host_from_the_node() -> None:
    """It is running, without a VNC password."""
    (vm,) = start_vms(on="alpha")
    expected = (4, 8192, "10.1.2.3", "running", "")

    assert expected == (vm.cpus, vm.ram, vm.host_ip, vm.status, vm.vnc_password)


def test_a_request_may_ask_for_another_size() -> None:
    """vcpu and vram of the request replace those of the template."""
    (vm,) = start_vms(vcpu=6, vram=9000)
    expected = (6, 9000)

    assert expected == (vm.cpus, vm.ram)


def test_a_suspended_vm_keeps_its_size() -> None:
    """vcpu and vram of the request do not apply (A1)."""
    (vm,) = start_vms(tag="suspended", vcpu=6, vram=9000)
    expected = (4, 8192)

    assert expected == (vm.cpus, vm.ram)


def test_vms_on_a_node_have_different_addresses_and_ports() -> None:
    """They count up on a node; forwarded ports from the one that the rule asks for, if it does."""
    batch = start_vms(count=3, on="alpha")
    expected = ["192.168.64.2", "192.168.64.3", "192.168.64.4"]

    assert expected == [vm.ip for vm in batch]
    assert [5901, 5902, 5903] == [vm.vnc_port for vm in batch]
    assert [(10000, 8080), (10001, 8081), (10002, 8082)] == [tuple(p.host_port for p in vm.ports) for vm in batch]


def test_a_port_that_a_rule_asks_for_goes_to_no_other_rule() -> None:
    """It does not, though it would be the next free one for an earlier rule."""
    controller = build_controller(PORTS)
    rules = (PortRule("a", 22), PortRule("b", 80, 10000), PortRule("c", 81))
    instance = started_instance(controller, ports=rules)

    assert instance.vm is not None
    assert [10001, 10000, 10002] == [port.host_port for port in instance.vm.ports]


def test_ports_go_on_below_after_the_last_one() -> None:
    """The search for a free port begins anew above the reserved ones; there is no port 65536."""
    controller = build_controller(PORTS)
    rules = tuple(PortRule(f"rule {number}", number, 65534) for number in (1, 2, 3))
    instance = started_instance(controller, ports=rules)

    assert instance.vm is not None
    assert [65534, 65535, 1024] == [port.host_port for port in instance.vm.ports]


def test_vms_on_two_nodes_may_have_the_same_ports() -> None:
    """Ports are counted for each node."""
    controller = build_controller(PORTS)
    batch = [started_instance(controller, on=name) for name in ("alpha", "beta")]
    expected = 1

    assert expected == len({instance.vm.vnc_port for instance in batch if instance.vm})


def test_a_port_is_used_again_when_it_is_free() -> None:
    """The next VM gets the lowest port that no other has."""
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


def test_a_forwarded_port_has_the_fields_of_its_rule() -> None:
    """Name, guest port and protocol come from the rule."""
    (vm,) = start_vms()

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
    """They replace all rules of the template, and may be none."""
    (vm,) = start_vms(ports=ports)

    assert expected == [(port.name, port.guest_port, port.host_port) for port in vm.ports]


ARM = PORTS.replace("    cpus: 4", "    arch: arm64\n    cpus: 4")


@pytest.mark.parametrize(
    ("text", "release", "port"),
    [(ARM, "1.23.0", 5901), (ARM, "1.24.0", 0), (ARM, "1.40.0", 0), (ARM, "1.41.0", 5900), (PORTS, "1.50.1", 5901)],
)
def test_the_vnc_port_of_apple_silicon_depends_on_the_release(text: str, release: str, port: int) -> None:
    """It is 0 from 1.24 on, and 5900 from 1.41 on (A2.3)."""
    controller = build_controller(text, release=Release.parse(release))
    instance = started_instance(controller, on="alpha", tag="stopped")

    assert instance.vm
    assert port == instance.vm.vnc_port


def test_apple_silicon_has_the_vnc_port_that_a_rule_forwards() -> None:
    """A rule for port 5900 of the guest gives it one."""
    controller = build_controller(ARM, release=Release.parse("1.40.0"))
    instance = started_instance(controller, on="alpha", tag="stopped", ports=(PortRule("vnc", 5900),))

    assert instance.vm
    assert 10000 == instance.vm.vnc_port


def test_a_request_may_have_a_vnc_password() -> None:
    """The VM has it when it is cloned."""
    (vm,) = start_vms(vnc_password="secret")

    assert "secret" == vm.vnc_password


def test_a_vm_is_named_like_those_of_the_real_controller() -> None:
    """By default its name is a prefix, the template's name and nanoseconds that end with 000 (A1)."""
    (vm,) = start_vms()

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
    """Variables of a name template are replaced; text like an unknown variable stays (B42)."""
    (vm,) = start_vms(name_template=pattern)

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
def test_variables_of_a_name_template_depend_on_the_release(release: str, known: str) -> None:
    """Nodes and the tag are known from 1.25 on, the instance from 1.27 on (B42)."""
    controller = build_controller(PORTS, release=Release.parse(release))
    every = "$template_name $template_id $node_id $node_name $tag $instance_id"
    instance = started_instance(controller, on="beta", tag="stopped", name_template=every)
    values = {
        "$template_name": "mac",
        "$template_id": template_named(controller).id,
        "$node_id": node_named(controller, "beta").id,
        "$node_name": "beta",
        "$tag": "stopped",
        "$instance_id": instance.id,
    }
    expected = " ".join(values[name] if name in known.split() else name for name in every.split())

    assert instance.vm
    assert f"mgmtManaged-{expected}" == instance.vm.name


def test_the_longest_matching_variable_is_replaced() -> None:
    """A variable may begin with the name of another, and values are not searched for variables."""
    controller = build_controller(PORTS.replace("name: mac\n", "name: $ts\n").replace("mac:", "$ts:"))
    instance = started_instance(
        controller, template="$ts", on="alpha", tag="stopped", name_template="$template_names-$tagged"
    )

    assert instance.vm
    assert "mgmtManaged-$tss-stoppedged" == instance.vm.name


def test_a_name_may_have_the_id_of_the_template() -> None:
    """The variable is $template_id."""
    controller = build_controller(PORTS)
    instance = started_instance(controller, name_template="$template_id")

    assert instance.vm
    assert f"mgmtManaged-{template_named(controller).id}" == instance.vm.name


def test_vms_cloned_at_the_same_moment_differ() -> None:
    """Their names and UUIDs do."""
    batch = start_vms(count=6)

    assert 6 == len({vm.name for vm in batch}) == len({vm.uuid for vm in batch})


def test_the_same_seed_makes_the_same_vms() -> None:
    """Another seed makes others."""
    again, other = [start_instance(build_controller(PORTS, seed=seed)).id for seed in (0, 1)]

    assert start_vms(count=3) == start_vms(count=3)
    assert again != other
