"""What a licence does not include: groups, USB devices and priority on ``basic`` (controller-facts C14)."""

import re
from collections.abc import Callable

import pytest

from mockanka.core import distributions, groups, instances, usb
from mockanka.core.controller import Controller
from mockanka.core.errors import NeedsLicense
from mockanka.core.instance_record import StartRequest
from tests.controllers import state_of
from tests.core.builders import group_of, node_of, one, pass_time, template_of, where, world

LAND = """
templates: [{name: mac, versions: [{tag: base, size: 10GB}]}]
nodes: [{name: alpha, capacity: 1, cached: [mac], usb: [phone]}]
groups: [{name: mine, nodes: [alpha]}]
"""
BASIC = "controller: {license: basic}\n" + LAND


def start(controller: Controller, **wanted: object) -> object:
    return instances.start_instances(controller, StartRequest(template_of(controller).id, **wanted))  # type: ignore[arg-type]


NEEDED: dict[str, tuple[str, Callable[[Controller], object]]] = {
    "start in a group": ("group_id", lambda c: start(c, group_id=group_of(c, "mine").id)),
    "start with a device": ("usb_device", lambda c: start(c, usb_device="phone")),
    "distribute to a group": (
        "group_id",
        lambda c: distributions.create_distribution(c, template_of(c).id, group_id=group_of(c, "mine").id),
    ),
    "create": ("Node groups", lambda c: groups.create_group(c, "new")),
    "update": ("Node groups", lambda c: groups.update_group(c, group_of(c, "mine").id, {"name": "other"})),
    "delete": ("Node groups", lambda c: groups.delete_group(c, group_of(c, "mine").id)),
    "join": ("Node groups", lambda c: groups.add_nodes_to_groups(c, [group_of(c, "mine").id], [node_of(c).id])),
    "leave": ("Node groups", lambda c: groups.remove_nodes_from_groups(c, [group_of(c, "mine").id], [node_of(c).id])),
}


@pytest.mark.parametrize("name", NEEDED)
def test_a_basic_licence_refuses_it(name: str) -> None:
    """The refusal names what it was, and nothing changes."""
    what, operation = NEEDED[name]
    controller = world(BASIC)
    before = repr(state_of(controller))
    with pytest.raises(NeedsLicense, match=f"^{re.escape(what)} requires an Enterprise license$"):
        operation(controller)

    assert before == repr(state_of(controller))


@pytest.mark.parametrize("license", ["enterprise", "enterprise plus"])
@pytest.mark.parametrize("name", NEEDED)
def test_an_enterprise_licence_includes_it(name: str, license: str) -> None:
    """Nothing is refused."""
    NEEDED[name][1](world(BASIC.replace("license: basic", f"license: {license}")))


@pytest.mark.parametrize(("text", "first"), [(BASIC, 0), (LAND, 1)])
def test_priority_means_nothing_on_a_basic_licence(text: str, first: int) -> None:
    """It is passed over, so that age decides; else the lower number comes first (a guess)."""
    controller = world(text)
    several = [one(controller, priority=priority) for priority in (1000, 1)]
    pass_time(controller, 1)

    assert "alpha" == where(controller, *several)[first]
    assert (1000 if text is BASIC else 1) == several[1].request.priority


def test_nobody_hears_of_devices_on_a_basic_licence() -> None:
    """There seem to be none (a guess)."""
    assert {} == usb.count_usb_devices(world(BASIC))
    assert ["phone"] == list(usb.count_usb_devices(world(LAND)))


def test_a_basic_licence_lists_no_groups() -> None:
    """Who asks for them whatever the licence, as Jenkins does, gets an empty list, also where there were some."""
    assert ([], 1) == (groups.list_groups(world(BASIC)), len(groups.list_groups(world(LAND))))
