"""A plain client of the simulated API, as the reports describe what clients sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests

from mockanka.testing.anka import Anka

VM = "/api/v1/vm"
TEMPLATE = "d05c2c8b-1a50-4718-87ef-cc20aee0d4e7"
"""The template of the default scenario that the nodes have on their disks."""
TIMEOUT = 5.0


def send(anka: Anka, method: str, path: str, **options: Any) -> requests.Response:
    """Send a request."""
    return requests.request(method, anka.url + path, timeout=TIMEOUT, **options)


def start(anka: Anka, template: str = TEMPLATE, **fields: object) -> str:
    """Start an instance and return its id."""
    (id,) = send(anka, "POST", VM, json={"vmid": template, **fields}).json()["body"]
    return str(id)


def terminate(anka: Anka, id: str) -> None:
    """Terminate an instance."""
    send(anka, "DELETE", VM, json={"id": id})


def show(anka: Anka, id: str) -> dict[str, Any]:
    """Return the envelope of GET vm?id=."""
    envelope: dict[str, Any] = send(anka, "GET", VM, params={"id": id}).json()
    return envelope


def list_instances(anka: Anka) -> list[dict[str, Any]]:
    """Return the items of the list of instances."""
    items: list[dict[str, Any]] = send(anka, "GET", VM).json()["body"]
    return items


def listed(anka: Anka, id: str) -> dict[str, Any]:
    """Return what the list has in ``vm`` of an instance."""
    (vm,) = (item["vm"] for item in list_instances(anka) if item["instance_id"] == id)
    assert isinstance(vm, dict)
    return vm


def list_names(anka: Anka, path: str, key: str) -> list[str]:
    """Return the values of a key of the items of another list."""
    items: list[Mapping[str, Any]] = send(anka, "GET", path).json()["body"]
    return [str(item[key]) for item in items]


def finding_kinds(anka: Anka) -> set[str]:
    """Return the kinds of the findings of the report."""
    return {finding.kind for finding in anka.report().findings}
