"""What a licence does not include: groups, USB devices and priority on ``basic`` (controller-facts C14)."""

import re
from collections.abc import Callable

import pytest

from mockanka.core import distributions, groups, instances, usb
from mockanka.core.controller import Controller
from mockanka.core.errors import NeedsLicense
from mockanka.core.instance_record import StartRequest
from tests.controllers import state_of
from tests.core.builders import (
    build_controller,
    group_named,
    node_named,
    node_names,
    pass_time,
    start_instance,
    template_named,
)

LAND = """
templates: [{name: mac, versions: [{tag: base, size: 10GB}]}]
nodes: [{name: alpha, capacity: 1, cached: [mac], usb: [phone]}]
groups: [{name: mine, nodes: [alpha]}]
"""
BASIC = "controller: {license: basic}\n" + LAND


def start(controller: Controller, **wanted: object) -> object:
    return instances.start_instances(controller, StartRequest(template_named(controller).id, **wanted))  # type: ignore[arg-type]


NEEDED: dict[str, tuple[str, Callable[[Controller], object]]] = {
    "start in a group": ("group_id", lambda c: start(c, group_id=group_named(c, "mine").id)),
    "start with a device": ("usb_device", lambda c: start(c, usb_device="phone")),
    "distribute to a group": (
        "group_id",
        lambda c: distributions.create_distribution(c, template_named(c).id, group_id=group_named(c, "mine").id),
    ),
    "create": ("Node groups", lambda c: groups.create_group(c, "new")),
    "update": ("Node groups", lambda c: groups.update_group(c, group_named(c, "mine").id, {"name": "other"})),
    "delete": ("Node groups", lambda c: groups.delete_group(c, group_named(c, "mine").id)),
    "join": ("Node groups", lambda c: groups.add_nodes(c, [group_named(c, "mine").id], [node_named(c).id])),
    "leave": ("Node groups", lambda c: groups.remove_nodes(c, [group_named(c, "mine").id], [node_named(c).id])),
}


@pytest.mark.parametrize("name", NEEDED)
def test_a_basic_licence_refuses_it(name: str) -> None:
    """The refusal names what it was, and nothing changes."""
    what, operation = NEEDED[name]
    controller = build_controller(BASIC)
    before = repr(state_of(controller))
    with pytest.raises(NeedsLicense, match=f"^{re.escape(what)} requires an Enterprise license$"):
        operation(controller)

    assert before == repr(state_of(controller))


@pytest.mark.parametrize("license", ["enterprise", "enterprise plus"])
@pytest.mark.parametrize("name", NEEDED)
def test_an_enterprise_licence_includes_it(name: str, license: str) -> None:
    """Nothing is refused."""
    NEEDED[name][1](build_controller(BASIC.replace("license: basic", f"license: {license}")))


@pytest.mark.parametrize(("text", "first"), [(BASIC, 0), (LAND, 1)])
def test_priority_means_nothing_on_a_basic_licence(text: str, first: int) -> None:
    """It is passed over, so that age decides; else the lower number comes first (a guess)."""
    controller = build_controller(text)
    several = [start_instance(controller, priority=priority) for priority in (1000, 1)]
    pass_time(controller, 1)

    assert "alpha" == node_names(controller, *several)[first]
    assert (1000 if text is BASIC else 1) == several[1].request.priority


def test_nobody_hears_of_devices_on_a_basic_licence() -> None:
    """There seem to be none (a guess)."""
    assert {} == usb.availability(build_controller(BASIC))
    assert ["phone"] == list(usb.availability(build_controller(LAND)))


def test_a_basic_licence_lists_no_groups() -> None:
    """Who asks for them whatever the licence, as Jenkins does, gets an empty list, also where there were some."""
    assert ([], 1) == (groups.listed_groups(build_controller(BASIC)), len(groups.listed_groups(build_controller(LAND))))
