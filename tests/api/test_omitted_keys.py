"""Keys of an instance that a fault leaves out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mockanka.api.instance_responses import INSTANCE_FIELDS, VM_FIELDS
from mockanka.core.faults import BLANKED_FIELDS, OMITTABLE_FIELDS
from tests.api.client import NEW, TEMPLATE, ApiClient, default_api
from tests.controllers import pass_time
from tests.core.fault_effects.helpers import add_fault


def start_two(api: ApiClient, keys: str, more: str = "") -> tuple[dict[str, Any], dict[str, Any]]:
    """Start two instances, of which the first lacks keys; return the items of the list, the first one first."""
    add_fault(api.controller, "start", f"{{without: {keys}{more}}}", times=1)
    first, second = (api.start(vmid=TEMPLATE, name="n", external_id="e") for _ in range(2))
    pass_time(api.controller, 60)
    items = {item["instance_id"]: item for item in api.get("vm")}
    return items[first], items[second]


def test_every_key_can_be_left_out() -> None:
    """The known keys are those of the field tables, and of the item of a list."""
    keys = {key.name for table in (INSTANCE_FIELDS, VM_FIELDS) for key in table.keys}

    assert {*keys, "vm"} == set(OMITTABLE_FIELDS)
    assert len(set(OMITTABLE_FIELDS)) == len(OMITTABLE_FIELDS)


def test_one_instance_of_several_lacks_its_arch() -> None:
    """It lacks the key in the list and by its id; the other instance has it."""
    api = default_api(NEW)
    lacking, whole = start_two(api, "arch")

    assert "arch" not in lacking["vm"]
    assert "arch" not in api.get("vm", f"id={lacking['instance_id']}")
    assert list(whole["vm"]) == list(api.get("vm", f"id={whole['instance_id']}"))
    assert set(whole["vm"]) - set(lacking["vm"]) == {"arch"}


@pytest.mark.parametrize("key", ["name", "external_id", "node_id"])
def test_a_key_is_left_out_wherever_it_is(key: str) -> None:
    """It is left out of the item, of its vm and of its vminfo."""
    lacking, whole = start_two(default_api(NEW), key)

    assert [key in part for part in (whole, whole["vm"], whole["vm"]["vminfo"])].count(True) >= 2
    assert not any(key in part for part in (lacking, lacking["vm"], lacking["vm"]["vminfo"]))


@pytest.mark.parametrize("key", ["vm", "vminfo"])
def test_an_object_is_left_out_as_a_whole(key: str) -> None:
    """An item without its vm has the other keys still, and the list is JSON."""
    lacking, whole = start_two(default_api(NEW), key)

    assert f'"{key}":' not in json.dumps(lacking)
    assert {"instance_id", "name", "external_id"} <= set(lacking)
    assert "vminfo" in whole["vm"]


def test_a_key_comes_back_after_its_time() -> None:
    """The time counts from when the instance is Started."""
    api = default_api(NEW)
    lacking, _ = start_two(api, "[uuid, status]", ", for: 2m")
    assert {"uuid", "status"}.isdisjoint(lacking["vm"]["vminfo"])
    pass_time(api.controller, 120)

    assert {"uuid", "status"} <= set(api.get("vm", f"id={lacking['instance_id']}")["vminfo"])


@pytest.mark.parametrize("key", BLANKED_FIELDS)
def test_an_address_is_blank_and_not_left_out(key: str) -> None:
    """A VM without an address has blank ones, and no port rules."""
    lacking, whole = start_two(default_api(NEW), key)

    assert not lacking["vm"]["vminfo"].get(key)
    assert whole["vm"]["vminfo"][key]
