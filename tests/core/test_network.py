"""MAC addresses that the controller hands out, and VLANs that nodes know."""

import re

import pytest

from mockanka.core import instances, network
from mockanka.core.controller import Controller
from mockanka.core.errors import BrokenMacAddress, MacAddressTaken, NoMacAddress, NoSuchVlan, Refusal
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
MINE = "0A:1B:2C:3D:4E:5F"


def addresses(controller: Controller) -> list[str | None]:
    return [instance.request.mac_address for instance in controller.instances.values()]


def test_the_pool_has_as_many_addresses_as_the_scenario_says() -> None:
    """Each is unicast, locally administered, in capitals with colons; the seed makes them."""
    pool = network.pool(build_controller(MANAGED))

    assert 3 == len(set(pool))
    assert all(re.fullmatch("02(:[0-9A-F]{2}){5}", each) for each in pool)
    assert pool == network.pool(build_controller(MANAGED))
    assert set(pool).isdisjoint(network.pool(build_controller(MANAGED, seed=1)))


def test_each_instance_gets_an_address_of_its_own() -> None:
    """From its request on, out of the pool and in its order."""
    controller = build_controller(MANAGED)
    start_instances(controller, count=3)

    assert network.pool(controller) == addresses(controller)


@pytest.mark.parametrize("left", [0, 1])
def test_an_empty_pool_refuses_the_start(left: int) -> None:
    """All of the instances asked for get an address, or none is made."""
    controller = build_controller(MANAGED)
    start_instances(controller, count=3 - left)
    before = repr(state_of(controller))
    with pytest.raises(NoMacAddress, match=r"^no MAC address is left$"):
        start_instances(controller, count=left + 1)

    assert before == repr(state_of(controller))


def test_an_address_is_free_again_when_its_instance_is_gone() -> None:
    """Not while it is Terminated, for it is still known then."""
    controller = build_controller(MANAGED)
    first, *_ = start_instances(controller, count=3)
    pass_time(controller, 100)
    instances.terminate_instance(controller, first.id)
    pass_time(controller, 10)
    with pytest.raises(NoMacAddress):
        start_instance(controller)
    pass_time(controller, 100)

    assert first.request.mac_address == start_instance(controller).request.mac_address


def test_a_request_may_ask_for_an_address() -> None:
    """Any that nobody has, in the pool or not."""
    controller = build_controller(MANAGED)
    wanted = network.pool(controller)[1]
    start_instance(controller, mac_address=wanted)
    start_instance(controller, mac_address=MINE)
    start_instances(controller, count=2)

    first, _, third = network.pool(controller)
    assert [wanted, MINE, first, third] == addresses(controller)


REFUSED = [
    ({"mac_address": MINE.lower()}, 1, BrokenMacAddress(MINE.lower())),
    ({"mac_address": MINE.replace(":", "-")}, 1, BrokenMacAddress(MINE.replace(":", "-"))),
    ({"mac_address": MINE[:-3]}, 1, BrokenMacAddress(MINE[:-3])),
    ({"mac_address": f"{MINE}:00"}, 1, BrokenMacAddress(f"{MINE}:00")),
    ({"mac_address": f"{MINE}\n"}, 1, BrokenMacAddress(f"{MINE}\n")),
    ({"mac_address": MINE}, 2, MacAddressTaken(MINE)),
    ({"vlan_tag": "99"}, 1, NoSuchVlan("99")),
]


@pytest.mark.parametrize(("wanted", "count", "refusal"), REFUSED)
def test_what_cannot_be_is_refused(wanted: dict[str, str], count: int, refusal: Refusal) -> None:
    """No address, one for two, a VLAN that no node has: refused with what it was, and nothing is made."""
    controller = build_controller(MANAGED)
    before = repr(state_of(controller))
    with pytest.raises(type(refusal), match=f"^{re.escape(str(refusal))}$"):
        start_instances(controller, count=count, **wanted)

    assert before == repr(state_of(controller))


def test_an_address_that_somebody_has_is_refused() -> None:
    """Until its instance is gone."""
    controller = build_controller(MANAGED)
    start_instance(controller, mac_address=MINE)
    with pytest.raises(MacAddressTaken, match=f"^MAC address {MINE} is in use$"):
        start_instance(controller, mac_address=MINE)


@pytest.mark.parametrize("wanted", [None, MINE, "no address"])
def test_a_suspended_template_keeps_its_address(wanted: str | None) -> None:
    """It is not asked for one, and gets none (A1)."""
    controller = build_controller(MANAGED)

    assert start_instance(controller, "suspended", mac_address=wanted).request.mac_address is None


@pytest.mark.parametrize("text", [UNMANAGED, MANAGED.replace("mac_addresses: 3", "mac_addresses: 3, release: 1.8.0")])
def test_where_addresses_are_not_managed_none_is_given(text: str) -> None:
    """Nor is one looked at that somebody asks for; before 1.9 no controller managed them."""
    controller = build_controller(text)
    start_instances(controller, count=5, mac_address="no address")

    assert [None] * 5 == addresses(controller)


def test_addresses_survive_a_dump() -> None:
    """Who has one has it in the loaded controller, and nobody else gets it there."""
    controller = build_controller(MANAGED)
    start_instances(controller, count=2)
    loaded = reload(controller)

    assert state_of(controller) == state_of(loaded)
    assert network.pool(controller)[2] == start_instance(loaded).request.mac_address


# VLANs.


def test_the_vlans_are_those_of_all_nodes() -> None:
    """Each once, in order; none is an empty list."""
    assert ["12", "7"] == network.vlans(build_controller(MANAGED))
    assert [] == network.vlans(build_controller("nodes: [{name: alpha}]"))


def test_an_instance_goes_where_its_vlan_is() -> None:
    """It waits for such a node, though another has room; it tells its VLAN from the beginning."""
    controller = build_controller(MANAGED)
    several = [start_instance(controller, vlan_tag="7") for _ in range(3)]
    pass_time(controller, 100)

    assert (["Started", "Started", "Scheduling"], ["alpha", "alpha", None]) == (
        states(*several),
        node_names(controller, *several),
    )
    assert ["7"] * 3 == [each.vlan for each in several]
    assert {"has no VLAN 7 (1 node); no free slot (1 node)"} == {several[2].waits_for}
    assert 1 == count_log_entries(controller, "waiting")


def test_a_suspended_template_is_placed_whatever_its_vlan() -> None:
    """A suspended VM keeps the network that it was suspended with."""
    controller = build_controller(UNMANAGED)
    several = [start_instance(controller, "suspended", vlan_tag="7") for _ in range(3)]
    pass_time(controller, 100)

    assert ["Started"] * 3 == states(*several)


def test_a_vlan_survives_a_dump() -> None:
    """Of an instance, and of its node."""
    controller = build_controller(MANAGED)
    start_instance(controller, vlan_tag="7")
    loaded = reload(controller)

    assert state_of(controller) == state_of(loaded)
    assert ("12", "7") == node_named(loaded).vlans


def test_the_release_is_the_callers_affair() -> None:
    """What the wire does not know at a release never comes here; the core takes a VLAN at any."""
    controller = build_controller(UNMANAGED, release=Release.parse("1.22.0"))
    start_instance(controller, vlan_tag="7")

    assert 1 == len(controller.instances)


def test_instances_of_the_scenario_have_addresses_of_the_pool() -> None:
    """Each the next one that is free, so that a start gets none of theirs."""
    controller = build_controller(
        MANAGED + "instances:\n  - {template: mac, node: alpha}\n  - {template: mac, node: beta}\n"
    )
    start_instance(controller)

    assert network.pool(controller) == addresses(controller)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("count: 4", "instances[0]: no MAC address is left"),
        ("mac_address: 0a:1b", "instances[0].mac_address: invalid MAC address 0a:1b"),
    ],
)
def test_a_scenario_cannot_have_more_than_the_pool(given: str, why: str) -> None:
    """It is refused, and the place is named."""
    with pytest.raises(ScenarioError, match=re.escape(why)):
        build_controller(MANAGED + f"instances:\n  - {{template: mac, node: beta, {given}}}\n")


def test_a_suspended_vm_shows_no_vlan() -> None:
    """What is not honoured is not told either."""
    controller = build_controller(MANAGED)

    assert ["", "7"] == [start_instance(controller, each, vlan_tag="7").vlan for each in ("suspended", "mac")]
