"""USB devices: which instances have them, and how many are free."""

import pytest

from mockanka.core import instances, usb
from mockanka.core.errors import NoSuchUsbDevice
from mockanka.core.usb import UsbAvailability, UsbDevice
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


@pytest.mark.parametrize(("wanted", "expected"), [("phone", True), ("111", True), ("222", False), ("tablet", False)])
def test_a_device_matches_its_name_and_its_location(wanted: str, expected: bool) -> None:
    """Requests name the device group or the location id (A1)."""
    assert expected is UsbDevice("phone", "111").matches(wanted)


def test_all_devices_of_an_idle_node_are_free() -> None:
    """None of them is claimed."""
    controller = build_controller(DEVICES)
    alpha = node_named(controller)

    assert set() == usb.find_claimed_devices(controller, alpha)
    assert alpha.usb[0] == usb.find_free_device(controller, alpha, "phone")


def test_an_instance_claims_one_device() -> None:
    """A second instance gets another device of the same name."""
    controller = build_controller(DEVICES)
    first, second = start_instances(controller, count=2, usb_device="phone")
    pass_time(controller, 1)
    alpha = node_named(controller)

    assert {"111", "222"} == {device.location for device in usb.find_claimed_devices(controller, alpha)}
    assert first.usb != second.usb
    assert usb.find_free_device(controller, alpha, "phone") is None


def test_a_location_id_claims_its_device() -> None:
    """It is not the first device of its name."""
    controller = build_controller(DEVICES)
    instance = start_instance(controller, usb_device="222")
    pass_time(controller, 1)

    assert instance.usb == UsbDevice("phone", "222")


def test_an_instance_waits_for_a_device_until_one_is_free() -> None:
    """It is Scheduling while all are claimed, and is placed when one is released (C10)."""
    controller = build_controller(DEVICES)
    first, _, third = start_instances(controller, count=3, usb_device="phone")
    pass_time(controller, 100)
    before = states(third)
    instances.terminate_instance(controller, first.id)
    pass_time(controller, 30)

    assert ["Scheduling"] == before
    assert (states(third), UsbDevice("phone", "111")) == (["Started"], third.usb)


def test_a_device_may_be_requested_if_a_node_has_it() -> None:
    """It need not be free."""
    controller = build_controller(DEVICES)
    start_instance(controller, usb_device="watch")
    pass_time(controller, 1)

    usb.require_usb_device(controller, "watch")
    usb.require_usb_device(controller, "444")


def test_a_device_that_no_node_has_is_refused() -> None:
    """An instance cannot wait for it."""
    with pytest.raises(NoSuchUsbDevice, match=r"^No such USB device toaster$"):
        usb.require_usb_device(build_controller(DEVICES), "toaster")


def test_devices_are_counted_by_name() -> None:
    """Free and claimed devices of all nodes are counted, in order of name."""
    controller = build_controller(DEVICES)
    start_instances(controller, usb_device="phone")
    pass_time(controller, 1)
    expected = {"phone": UsbAvailability(1, 1), "tablet": UsbAvailability(0, 1), "watch": UsbAvailability(0, 1)}

    assert expected == usb.count_usb_devices(controller)
    assert sorted(expected) == list(usb.count_usb_devices(controller))


def test_devices_of_a_lost_node_count_until_it_is_offline() -> None:
    """They are not counted any more then."""
    controller = build_controller(DEVICES)
    lose_node(controller, "beta")
    pass_time(controller, 60)
    before = sorted(usb.count_usb_devices(controller))
    pass_time(controller, 70)
    expected = ["phone", "tablet", "watch"]

    assert expected == before
    assert ["phone", "tablet"] == sorted(usb.count_usb_devices(controller))
