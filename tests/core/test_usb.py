"""USB devices: who has which, and how many are free."""

import pytest

from mockanka.core import instances, usb
from mockanka.core.errors import NoSuchUsbDevice
from mockanka.core.usb import UsbAvailability, UsbDevice
from tests.core.builders import lose, node_of, one, pass_time, start, states, world

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
    assert answers is UsbDevice("phone", "111").matches(wanted)


def test_nothing_is_claimed_where_nothing_runs() -> None:
    """A node without instances has all its devices free."""
    controller = world(DEVICES)
    alpha = node_of(controller)

    assert set() == usb.find_claimed_devices(controller, alpha)
    assert alpha.usb[0] == usb.find_free_device(controller, alpha, "phone")


def test_an_instance_claims_one_device() -> None:
    """Whoever asks for a name gets one device of that name, and the next gets its twin."""
    controller = world(DEVICES)
    first, second = start(controller, count=2, usb_device="phone")
    pass_time(controller, 1)
    alpha = node_of(controller)

    assert {"111", "222"} == {device.location for device in usb.find_claimed_devices(controller, alpha)}
    assert first.usb != second.usb
    assert usb.find_free_device(controller, alpha, "phone") is None


def test_a_location_claims_that_very_device() -> None:
    """Who asks for a location id gets the device there, though its twin comes first."""
    controller = world(DEVICES)
    mine = one(controller, usb_device="222")
    pass_time(controller, 1)

    assert mine.usb == UsbDevice("phone", "222")


def test_the_third_of_two_devices_waits_until_one_is_free() -> None:
    """With all devices taken an instance waits in Scheduling, and is placed when one is given back (C10)."""
    controller = world(DEVICES)
    first, _, third = start(controller, count=3, usb_device="phone")
    pass_time(controller, 100)
    before = states(third)
    instances.terminate_instance(controller, first.id)
    pass_time(controller, 30)

    assert ["Scheduling"] == before
    assert (states(third), UsbDevice("phone", "111")) == (["Started"], third.usb)


def test_a_device_somewhere_is_enough_to_be_asked_for() -> None:
    """Whether a device is free does not matter to whether it exists."""
    controller = world(DEVICES)
    one(controller, usb_device="watch")
    pass_time(controller, 1)

    usb.require_usb_device(controller, "watch")
    usb.require_usb_device(controller, "444")


def test_a_device_that_no_node_has_is_refused() -> None:
    """Nobody can wait for a device that does not exist."""
    with pytest.raises(NoSuchUsbDevice, match=r"^No such USB device toaster$"):
        usb.require_usb_device(world(DEVICES), "toaster")


def test_availability_counts_by_name_in_order() -> None:
    """Free and taken devices are counted by name over all nodes."""
    controller = world(DEVICES)
    start(controller, usb_device="phone")
    pass_time(controller, 1)
    expected = {"phone": UsbAvailability(1, 1), "tablet": UsbAvailability(1, 0), "watch": UsbAvailability(1, 0)}

    assert expected == usb.count_usb_devices(controller)
    assert sorted(expected) == list(usb.count_usb_devices(controller))


def test_a_lost_nodes_devices_count_until_it_is_offline() -> None:
    """The devices of a node vanish from the count when the node is Offline, not before."""
    controller = world(DEVICES)
    lose(controller, "beta")
    pass_time(controller, 60)
    before = sorted(usb.count_usb_devices(controller))
    pass_time(controller, 70)
    expected = ["phone", "tablet", "watch"]

    assert expected == before
    assert ["phone", "tablet"] == sorted(usb.count_usb_devices(controller))
