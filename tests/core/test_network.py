"""MAC addresses that the controller assigns, and VLANs of nodes."""

import re

import pytest

from mockanka.core import instances, network
from mockanka.core.controller import Controller
from mockanka.core.errors import InvalidMacAddress, MacAddressInUse, NoFreeMacAddress, NoSuchVlan, Refusal
from mockanka.core.release import Release
from mockanka.scenario import ScenarioError
from tests.controllers import reload, state_of
from tests.core.builders import (
    build_controller,
    count_log_entries,
    node_named,
    node_names,
    pass_time,
    start_instance,
    start_instances,
    states,
)

MANAGED = """
controller: {mac_addresses: 3}
templates:
  - {name: mac, versions: [{tag: base, size: 10GB}]}
  - {name: suspended, versions: [{tag: base, size: 10GB, state_size: 1GB}]}
nodes:
  - {name: alpha, capacity: 2, cached: [mac, suspended], vlans: ["12", "7"]}
  - {name: beta, capacity: 5, cached: [mac, suspended], vlans: ["12"]}
"""
UNMANAGED = MANAGED.replace("controller: {mac_addresses: 3}", "")
OWN_ADDRESS = "0A:1B:2C:3D:4E:5F"


def assigned_addresses(controller: Controller) -> list[str | None]:
    """Return the MAC addresses of the instances."""
    return [instance.request.mac_address for instance in controller.instances.values()]


def test_the_scenario_says_how_many_addresses_there_are() -> None:
    """Each is unicast, locally administered, in capitals with colons, and depends on the seed."""
    pool = network.list_mac_addresses(build_controller(MANAGED))

    assert 3 == len(set(pool))
    assert all(re.fullmatch("02(:[0-9A-F]{2}){5}", address) for address in pool)
    assert pool == network.list_mac_addresses(build_controller(MANAGED))
    assert set(pool).isdisjoint(network.list_mac_addresses(build_controller(MANAGED, seed=1)))


def test_each_instance_gets_an_address_of_its_own() -> None:
    """Instances get them in order when they are started."""
    controller = build_controller(MANAGED)
    start_instances(controller, count=3)

    assert network.list_mac_addresses(controller) == assigned_addresses(controller)


@pytest.mark.parametrize("left", [0, 1])
def test_a_start_without_enough_addresses_is_refused(left: int) -> None:
    """No instance is created, not even one for which an address is left."""
    controller = build_controller(MANAGED)
    start_instances(controller, count=3 - left)
    before = repr(state_of(controller))
    with pytest.raises(NoFreeMacAddress, match=r"^no MAC address is left$"):
        start_instances(controller, count=left + 1)

    assert before == repr(state_of(controller))


def test_an_address_is_free_again_when_its_instance_is_gone() -> None:
    """It is not free while the instance is Terminated."""
    controller = build_controller(MANAGED)
    first, *_ = start_instances(controller, count=3)
    pass_time(controller, 100)
    instances.terminate_instance(controller, first.id)
    pass_time(controller, 10)
    with pytest.raises(NoFreeMacAddress):
        start_instance(controller)
    pass_time(controller, 100)

    assert first.request.mac_address == start_instance(controller).request.mac_address


def test_a_start_may_ask_for_an_address() -> None:
    """It may be any that no instance has, also one that the controller does not assign."""
    controller = build_controller(MANAGED)
    wanted = network.list_mac_addresses(controller)[1]
    start_instance(controller, mac_address=wanted)
    start_instance(controller, mac_address=OWN_ADDRESS)
    start_instances(controller, count=2)

    first, _, third = network.list_mac_addresses(controller)
    assert [wanted, OWN_ADDRESS, first, third] == assigned_addresses(controller)


REFUSED = [
    ({"mac_address": OWN_ADDRESS.lower()}, 1, InvalidMacAddress(OWN_ADDRESS.lower())),
    ({"mac_address": OWN_ADDRESS.replace(":", "-")}, 1, InvalidMacAddress(OWN_ADDRESS.replace(":", "-"))),
    ({"mac_address": OWN_ADDRESS[:-3]}, 1, InvalidMacAddress(OWN_ADDRESS[:-3])),
    ({"mac_address": f"{OWN_ADDRESS}:00"}, 1, InvalidMacAddress(f"{OWN_ADDRESS}:00")),
    ({"mac_address": f"{OWN_ADDRESS}\n"}, 1, InvalidMacAddress(f"{OWN_ADDRESS}\n")),
    ({"mac_address": OWN_ADDRESS}, 2, MacAddressInUse(OWN_ADDRESS)),
    ({"vlan_tag": "99"}, 1, NoSuchVlan("99")),
]


@pytest.mark.parametrize(("wanted", "count", "refusal"), REFUSED)
def test_an_invalid_address_or_vlan_is_refused(wanted: dict[str, str], count: int, refusal: Refusal) -> None:
    """The refusal names it, and no instance is created."""
    controller = build_controller(MANAGED)
    before = repr(state_of(controller))
    with pytest.raises(type(refusal), match=f"^{re.escape(str(refusal))}$"):
        start_instances(controller, count=count, **wanted)

    assert before == repr(state_of(controller))


def test_an_address_in_use_is_refused() -> None:
    """No two instances have the same."""
    controller = build_controller(MANAGED)
    start_instance(controller, mac_address=OWN_ADDRESS)
    with pytest.raises(MacAddressInUse, match=f"^MAC address {OWN_ADDRESS} is in use$"):
        start_instance(controller, mac_address=OWN_ADDRESS)


@pytest.mark.parametrize("wanted", [None, OWN_ADDRESS, "no address"])
def test_a_suspended_template_keeps_its_address(wanted: str | None) -> None:
    """It gets none, and one in the request is not looked at (A1)."""
    controller = build_controller(MANAGED)

    assert start_instance(controller, "suspended", mac_address=wanted).request.mac_address is None


@pytest.mark.parametrize("text", [UNMANAGED, MANAGED.replace("mac_addresses: 3", "mac_addresses: 3, release: 1.8.0")])
def test_no_address_is_assigned_where_addresses_are_not_managed(text: str) -> None:
    """One in the request is not looked at. Before 1.9 no controller manages them."""
    controller = build_controller(text)
    start_instances(controller, count=5, mac_address="no address")

    assert [None] * 5 == assigned_addresses(controller)


def test_addresses_survive_a_dump() -> None:
    """Instances keep them in the loaded controller, and no other gets them there."""
    controller = build_controller(MANAGED)
    start_instances(controller, count=2)
    loaded = reload(controller)

    assert state_of(controller) == state_of(loaded)
    assert network.list_mac_addresses(controller)[2] == start_instance(loaded).request.mac_address


# VLANs.


def test_vlans_are_those_of_all_nodes() -> None:
    """Each is listed once, in order; without any the list is empty."""
    assert ["12", "7"] == network.list_vlans(build_controller(MANAGED))
    assert [] == network.list_vlans(build_controller("nodes: [{name: alpha}]"))


def test_an_instance_runs_on_a_node_with_its_vlan() -> None:
    """It waits for such a node, though another has a free slot, and shows its VLAN meanwhile."""
    controller = build_controller(MANAGED)
    batch = [start_instance(controller, vlan_tag="7") for _ in range(3)]
    pass_time(controller, 100)

    assert (["Started", "Started", "Scheduling"], ["alpha", "alpha", None]) == (
        states(*batch),
        node_names(controller, *batch),
    )
    assert ["7"] * 3 == [instance.vlan for instance in batch]
    assert {"has no VLAN 7 (1 node); no free slot (1 node)"} == {batch[2].waits_for}
    assert 1 == count_log_entries(controller, "waiting")


def test_a_suspended_template_is_placed_whatever_its_vlan() -> None:
    """A suspended VM keeps the network that it was suspended with."""
    controller = build_controller(UNMANAGED)
    batch = [start_instance(controller, "suspended", vlan_tag="7") for _ in range(3)]
    pass_time(controller, 100)

    assert ["Started"] * 3 == states(*batch)


def test_a_vlan_survives_a_dump() -> None:
    """Instance and node keep it."""
    controller = build_controller(MANAGED)
    start_instance(controller, vlan_tag="7")
    loaded = reload(controller)

    assert state_of(controller) == state_of(loaded)
    assert ("12", "7") == node_named(loaded).vlans


def test_the_core_takes_a_vlan_at_any_release() -> None:
    """The API does not pass it on before 1.23."""
    controller = build_controller(UNMANAGED, release=Release.parse("1.22.0"))
    start_instance(controller, vlan_tag="7")

    assert 1 == len(controller.instances)


def test_instances_of_the_scenario_get_addresses() -> None:
    """Each gets the next free one, and a start gets none of theirs."""
    controller = build_controller(
        MANAGED + "instances:\n  - {template: mac, node: alpha}\n  - {template: mac, node: beta}\n"
    )
    start_instance(controller)

    assert network.list_mac_addresses(controller) == assigned_addresses(controller)


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("count: 4", "instances[0]: no MAC address is left"),
        ("mac_address: 0a:1b", "instances[0].mac_address: invalid MAC address 0a:1b"),
    ],
)
def test_a_scenario_needs_addresses_for_its_instances(setting: str, problem: str) -> None:
    """It is refused otherwise, and the error names the instance."""
    with pytest.raises(ScenarioError, match=re.escape(problem)):
        build_controller(MANAGED + f"instances:\n  - {{template: mac, node: beta, {setting}}}\n")


def test_a_suspended_vm_shows_no_vlan() -> None:
    """Its VLAN does not apply."""
    controller = build_controller(MANAGED)

    assert ["", "7"] == [start_instance(controller, template, vlan_tag="7").vlan for template in ("suspended", "mac")]
