"""GET usb."""

from tests.api.client import TEMPLATE, office, world
from tests.controllers import pass_time

DEVICES = """
templates: [{name: t, versions: [{tag: a, size: 1GB}]}]
nodes:
  - {name: n1, usb: [tablet, phone], cached: [t]}
  - {name: n2, usb: [phone], cached: [t]}
"""


def test_devices_are_counted_by_name_in_order_of_name() -> None:
    """Devices of one name count together over all nodes; the map is sorted as Go sorts one."""
    answer = world(DEVICES).send("GET", "usb")

    assert (
        answer.data
        == b'{"status":"OK","message":"","body":{"phone":{"available":2,"busy":0},"tablet":{"available":1,"busy":0}}}\n'
    )


def test_without_devices_the_map_is_empty() -> None:
    """No devices is an empty object, not null."""
    assert world("{}").send("GET", "usb").data == b'{"status":"OK","message":"","body":{}}\n'


def test_an_instance_makes_its_device_busy_until_it_is_gone() -> None:
    """A device is busy from when an instance is placed with it until that instance is terminated."""
    wire = office()
    instance_id = wire.start(vmid=TEMPLATE, usb_device="iphone")
    seen = [wire.get("usb")]
    pass_time(wire.controller, 60)
    seen.append(wire.get("usb"))
    wire.do("DELETE", "vm", {"id": instance_id})
    pass_time(wire.controller, 30)
    seen.append(wire.get("usb"))

    free, taken = {"iphone": {"available": 1, "busy": 0}}, {"iphone": {"available": 0, "busy": 1}}
    assert [free, taken, free] == seen
