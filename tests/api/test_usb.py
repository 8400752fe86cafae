"""GET usb."""

from tests.api.client import TEMPLATE, api_of, default_api
from tests.controllers import pass_time

DEVICES = """
templates: [{name: t, versions: [{tag: a, size: 1GB}]}]
nodes:
  - {name: n1, usb: [tablet, phone], cached: [t]}
  - {name: n2, usb: [phone], cached: [t]}
"""


def test_devices_are_counted_by_name_in_order_of_name() -> None:
    """Devices with the same name on all nodes are counted together; the map is sorted, as Go sorts one."""
    response = api_of(DEVICES).send("GET", "usb")

    assert (
        response.data
        == b'{"status":"OK","message":"","body":{"phone":{"busy":0,"available":2},"tablet":{"busy":0,"available":1}}}\n'
    )


def test_without_devices_the_map_is_empty() -> None:
    """Without devices the response is an empty object, not null."""
    assert api_of("{}").send("GET", "usb").data == b'{"status":"OK","message":"","body":{}}\n'


def test_an_instance_makes_its_device_busy_until_it_is_gone() -> None:
    """A device is busy from when its instance is placed until that instance is terminated."""
    api = default_api()
    instance_id = api.start(vmid=TEMPLATE, usb_device="iphone")
    counts = [api.get("usb")]
    pass_time(api.controller, 60)
    counts.append(api.get("usb"))
    api.perform("DELETE", "vm", {"id": instance_id})
    pass_time(api.controller, 30)
    counts.append(api.get("usb"))

    free, taken = {"iphone": {"available": 1, "busy": 0}}, {"iphone": {"available": 0, "busy": 1}}
    assert [free, taken, free] == counts
