"""USB devices: who has which, and how many are free."""

import pytest

from mockanka.core import instances, usb
from mockanka.core.errors import NoSuchUsbDevice
from mockanka.core.usb import Availability, UsbDevice
from tests.core.builders import (
    build_controller,
    lose_node,
    node_named,
    pass_time,
    start_instance,
    start_instances,
    states,
)

DEVICES = """
templates:
  - {name: mac, versions: [{tag: base, size: 10GB}]}
nodes:
  - name: alpha
    capacity: 5
    cached: [mac]
    usb: [{name: phone, location: "111"}, {name: phone, location: "222"}, {name: tablet, location: "333"}]
  - {name: beta, capacity: 5, cached: [mac], usb: [{name: watch, location: "444"}]}
"""


@pytest.mark.parametrize(("wanted", "answers"), [("phone", True), ("111", True), ("222", False), ("tablet", False)])
def test_a_device_answers_to_its_name_and_its_location(wanted: str, answers: bool) -> None:
    """Requests name a device by its group's name or by its location id (A1)."""
    assert answers is UsbDevice("phone", "111").answers_to(wanted)


def test_nothing_is_claimed_where_nothing_runs() -> None:
    """A node without instances has all its devices free."""
    controller = build_controller(DEVICES)
    alpha = node_named(controller)

    assert set() == usb.claimed(controller, alpha)
    assert alpha.usb[0] == usb.free_device(controller, alpha, "phone")


def test_an_instance_claims_one_device() -> None:
    """Whoever asks for a name gets one device of that name, and the next gets its twin."""
    controller = build_controller(DEVICES)
    first, second = start_instances(controller, count=2, usb_device="phone")
    pass_time(controller, 1)
    alpha = node_named(controller)

    assert {"111", "222"} == {device.location for device in usb.claimed(controller, alpha)}
    assert first.usb != second.usb
    assert usb.free_device(controller, alpha, "phone") is None


def test_a_location_claims_that_very_device() -> None:
    """Who asks for a location id gets the device there, though its twin comes first."""
    controller = build_controller(DEVICES)
    mine = start_instance(controller, usb_device="222")
    pass_time(controller, 1)

    assert mine.usb == UsbDevice("phone", "222")


def test_the_third_of_two_devices_waits_until_one_is_free() -> None:
    """With all devices taken an instance waits in Scheduling, and is placed when one is given back (C10)."""
    controller = build_controller(DEVICES)
    first, _, third = start_instances(controller, count=3, usb_device="phone")
    pass_time(controller, 100)
    before = states(third)
    instances.terminate_instance(controller, first.id)
    pass_time(controller, 30)

    assert ["Scheduling"] == before
    assert (states(third), UsbDevice("phone", "111")) == (["Started"], third.usb)


def test_a_device_somewhere_is_enough_to_be_asked_for() -> None:
    """Whether a device is free does not matter to whether it exists."""
    controller = build_controller(DEVICES)
    start_instance(controller, usb_device="watch")
    pass_time(controller, 1)

    usb.require_usb_device(controller, "watch")
    usb.require_usb_device(controller, "444")


def test_a_device_that_no_node_has_is_refused() -> None:
    """Nobody can wait for a device that does not exist."""
    with pytest.raises(NoSuchUsbDevice, match=r"^No such USB device toaster$"):
        usb.require_usb_device(build_controller(DEVICES), "toaster")


def test_availability_counts_by_name_in_order() -> None:
    """Free and taken devices are counted by name over all nodes."""
    controller = build_controller(DEVICES)
    start_instances(controller, usb_device="phone")
    pass_time(controller, 1)
    expected = {"phone": Availability(1, 1), "tablet": Availability(1, 0), "watch": Availability(1, 0)}

    assert expected == usb.availability(controller)
    assert sorted(expected) == list(usb.availability(controller))


def test_a_lost_nodes_devices_count_until_it_is_offline() -> None:
    """The devices of a node vanish from the count when the node is Offline, not before."""
    controller = build_controller(DEVICES)
    lose_node(controller, "beta")
    pass_time(controller, 60)
    before = sorted(usb.availability(controller))
    pass_time(controller, 70)
    expected = ["phone", "tablet", "watch"]

    assert expected == before
    assert ["phone", "tablet"] == sorted(usb.availability(controller))
