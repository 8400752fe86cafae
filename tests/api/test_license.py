"""Requests that a basic licence refuses or ignores, and data that it hides."""

from __future__ import annotations

import pytest

from tests.api.client import GROUP, NEW, NODE, OLD, TEMPLATE, ApiClient, default_controller

BASIC: list[tuple[str, str, object, str, str]] = [
    ("POST", "vm", {"vmid": TEMPLATE, "group_id": GROUP}, "", "group_id"),
    ("POST", "vm", {"vmid": TEMPLATE, "usb_device": "iphone"}, "", "usb_device"),
    ("POST", "registry/vm/distribute", {"template_id": TEMPLATE, "group_id": GROUP}, "", "group_id"),
    ("POST", "group", {"name": "x"}, "", "Node groups"),
    ("PUT", "group", {"name": "x"}, f"id={GROUP}", "Node groups"),
    ("DELETE", "group", None, f"id={GROUP}", "Node groups"),
    ("POST", "node/group", {"group_ids": [GROUP], "node_ids": [NODE]}, "", "Node groups"),
    ("DELETE", "node/group", {"group_ids": [GROUP], "node_ids": [NODE]}, "", "Node groups"),
]


@pytest.mark.parametrize("release", [OLD, NEW])
@pytest.mark.parametrize(("method", "path", "body", "query", "feature"), BASIC)
def test_a_basic_licence_refuses_enterprise_features(
    release: str, method: str, path: str, body: object, query: str, feature: str
) -> None:
    """Groups and USB devices are refused with the licence that they require, and nothing changes (a guess)."""
    api = ApiClient(default_controller(release))
    api.controller.license.tier = "basic"
    before = api.dump()
    envelope = api.envelope(method, path, body, query)

    assert {"status": "FAIL", "message": f"{feature} requires an Enterprise license"} == envelope
    assert before == api.dump()


def test_a_basic_licence_ignores_priority_and_hides_usb_devices() -> None:
    """A start has the default priority, and GET usb is an empty object."""
    api = ApiClient(default_controller(NEW))
    api.controller.license.tier = "basic"
    instance_id = api.start(vmid=TEMPLATE, priority=1)

    assert 1000 == api.controller.instances[instance_id].request.priority
    assert {} == api.get("usb")
