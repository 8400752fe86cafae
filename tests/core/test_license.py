"""The licence: what its tiers include (controller-facts C14), and its expiry."""

import re
from collections.abc import Callable

import pytest

from mockanka.core import distributions, groups, instances, nodes, time_control, usb
from mockanka.core.controller import Controller
from mockanka.core.errors import NeedsLicense
from mockanka.core.instance_record import StartRequest
from mockanka.core.license import TIERS, License, LicensedFeature
from mockanka.core.lifecycle import NodeState
from tests.controllers import reload, state_of
from tests.core.builders import (
    PAIR,
    WARM,
    build_controller,
    group_named,
    node_named,
    node_names,
    pass_time,
    start_instance,
    started_instance,
    states,
    template_named,
)
from tests.core.fault_effects.helpers import add_fault, shown_state

SCENARIO = """
templates: [{name: mac, versions: [{tag: base, size: 10GB}]}]
nodes: [{name: alpha, capacity: 1, cached: [mac], usb: [phone]}]
groups: [{name: builders, nodes: [alpha]}]
"""
BASIC = "controller: {license: basic}\n" + SCENARIO


def start(controller: Controller, **request_fields: object) -> object:
    """Start an instance of the only template."""
    return instances.start_instances(controller, StartRequest(template_named(controller).id, **request_fields))  # type: ignore[arg-type]


OPERATIONS: dict[str, tuple[str, Callable[[Controller], object]]] = {
    "start in a group": ("group_id", lambda c: start(c, group_id=group_named(c, "builders").id)),
    "start with a device": ("usb_device", lambda c: start(c, usb_device="phone")),
    "distribute to a group": (
        "group_id",
        lambda c: distributions.create_distribution(c, template_named(c).id, group_id=group_named(c, "builders").id),
    ),
    "create": ("Node groups", lambda c: groups.create_group(c, "new")),
    "update": ("Node groups", lambda c: groups.update_group(c, group_named(c, "builders").id, {"name": "other"})),
    "delete": ("Node groups", lambda c: groups.delete_group(c, group_named(c, "builders").id)),
    "join": (
        "Node groups",
        lambda c: groups.add_nodes_to_groups(c, [group_named(c, "builders").id], [node_named(c).id]),
    ),
    "leave": (
        "Node groups",
        lambda c: groups.remove_nodes_from_groups(c, [group_named(c, "builders").id], [node_named(c).id]),
    ),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_basic_licence_refuses_an_operation(name: str) -> None:
    """The refusal names the feature, and nothing changes."""
    what, operation = OPERATIONS[name]
    controller = build_controller(BASIC)
    before = repr(state_of(controller))
    with pytest.raises(NeedsLicense, match=f"^{re.escape(what)} requires an Enterprise license$"):
        operation(controller)

    assert before == repr(state_of(controller))


@pytest.mark.parametrize("license", ["enterprise", "enterprise plus"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_enterprise_licence_includes_an_operation(name: str, license: str) -> None:
    """Nothing is refused."""
    OPERATIONS[name][1](build_controller(BASIC.replace("license: basic", f"license: {license}")))


@pytest.mark.parametrize(("text", "first"), [(BASIC, 0), (SCENARIO, 1)])
def test_priority_has_no_effect_on_a_basic_licence(text: str, first: int) -> None:
    """It is ignored, so that age decides; otherwise the lower number comes first (a guess)."""
    controller = build_controller(text)
    batch = [start_instance(controller, priority=priority) for priority in (1000, 1)]
    pass_time(controller, 1)

    assert "alpha" == node_names(controller, *batch)[first]
    assert (1000 if text is BASIC else 1) == batch[1].request.priority


def test_a_basic_licence_lists_no_usb_devices() -> None:
    """There seem to be none (a guess)."""
    assert {} == usb.count_usb_devices(build_controller(BASIC))
    assert ["phone"] == list(usb.count_usb_devices(build_controller(SCENARIO)))


def test_a_basic_licence_lists_no_groups() -> None:
    """A client that asks for them whatever the licence, as Jenkins does, gets an empty list, even if there are some."""
    assert ([], 1) == (
        groups.list_groups(build_controller(BASIC)),
        len(groups.list_groups(build_controller(SCENARIO))),
    )


# The record.


def test_the_tiers_include_their_features() -> None:
    """``basic`` includes none, the two others include all (C14)."""
    features: list[LicensedFeature] = ["groups", "priority", "usb"]
    included = {tier: [License(tier).includes(feature) for feature in features] for tier in TIERS}

    assert {"basic": [False] * 3, "enterprise": [True] * 3, "enterprise plus": [True] * 3} == included


def test_a_required_feature_is_refused_with_what_needs_it() -> None:
    """A feature of the tier is not refused."""
    License("enterprise").require("groups", "group_id")
    with pytest.raises(NeedsLicense, match=r"^group_id requires an Enterprise license$"):
        License("basic").require("groups", "group_id")


def test_an_expired_licence_still_includes_its_features() -> None:
    """Expiry makes nodes unlicensed, and nothing else."""
    expired = License(overrides={"expired": None})

    assert (False, True) == (License().expired, expired.expired)
    assert expired.includes("groups")
    expired.require("groups", "group_id")


# Expiry.


def test_the_expiry_of_the_licence_is_logged() -> None:
    """So is its renewal."""
    controller = build_controller(PAIR)
    add_fault(controller, "begin", "{license: expired, for: 1m}")
    pass_time(controller, 61)

    assert [True, False] == [entry.detail["expired"] for entry in controller.log.since(0) if entry.what == "license"]


def test_an_expired_licence_makes_active_nodes_unlicensed() -> None:
    """They start nothing until it is renewed; nodes in another state stay in it."""
    controller = build_controller(PAIR)
    nodes.set_node_state(controller, node_named(controller, "beta").id, NodeState.UPDATING)
    running = started_instance(controller)
    add_fault(controller, "begin", "{license: expired, after: 10s, for: 1h}")
    pass_time(controller, 10)
    instance = start_instance(controller)
    pass_time(controller, 3599)

    assert ["Inactive (Invalid License)", "Updating"] == [shown_state(controller), shown_state(controller, "beta")]
    assert ["Started", "Scheduling"] == states(running, instance)
    pass_time(controller, 1)
    assert ["Active", "Updating"] == [shown_state(controller), shown_state(controller, "beta")]


def test_settling_waits_for_the_renewal_of_the_licence() -> None:
    """An instance waits for it, so the renewal makes progress."""
    controller = build_controller(WARM)
    add_fault(controller, "begin", "{license: expired, for: 1h}")
    pass_time(controller, 1)
    instance = start_instance(controller)
    time_control.settle(controller)

    assert "Started" == instance.state


def test_a_renewed_licence_leaves_other_overrides_alone() -> None:
    """A node that was made unlicensed by hand stays so."""
    controller = build_controller(PAIR)
    nodes.override_node(controller, node_named(controller, "beta").id, "unlicensed")
    add_fault(controller, "begin", "{license: expired, for: 1m}")
    pass_time(controller, 61)

    assert [NodeState.ACTIVE, NodeState.UNLICENSED] == [node.condition for node in controller.nodes.values()]


@pytest.mark.parametrize(
    ("first", "second", "seen"),
    [
        ("for: 10m", "after: 5m, for: 1h", [False, False, True]),
        ("for: 10m", "after: 5m", [False, False, False]),
        ("for: 1h", "after: 5m, for: 1m", [False, False, True]),
    ],
)
def test_an_expired_licence_is_renewed_at_the_latest_end(first: str, second: str, seen: list[bool]) -> None:
    """After 6, 12 and 70 minutes, with a dump in between: nodes are Active when no rule expires the licence."""
    controller = build_controller(PAIR)
    for times in (first, second):
        add_fault(controller, "begin", f"{{license: expired, {times}}}")
    active = []
    for minutes in (6, 6, 58):
        pass_time(controller, minutes * 60)
        active.append(shown_state(controller) == "Active")
        assert shown_state(controller) == shown_state(controller, "beta")
        controller = reload(controller)

    assert seen == active


def test_a_node_whose_update_ends_under_an_expired_licence_is_unlicensed() -> None:
    """It is Active when the licence is renewed, and not before."""
    controller = build_controller(WARM)
    add_fault(controller, "begin", "{node: updating, for: 5m}")
    add_fault(controller, "begin", "{license: expired, after: 1m, for: 10m}")
    seen = []
    for seconds in (120, 240, 360):
        pass_time(controller, seconds)
        seen.append(shown_state(controller))

    assert ["Updating", "Inactive (Invalid License)", "Active"] == seen
