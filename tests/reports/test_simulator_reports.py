"""Responses of the controller that captures, the vendor's pages and reports of clients show, with their evidence."""

from __future__ import annotations

from typing import Any

import pytest

from mockanka.testing.anka import Anka
from tests.reports.api_client import TEMPLATE, list_names, listed, send, show, start

pytestmark = pytest.mark.anka(clock="manual")
REVERT = "/api/v1/registry/revert"
TEMPLATES = "/api/v1/registry/vm"


def show_vminfo(anka: Anka) -> dict[str, Any]:
    """Start an instance, and return its ``vminfo`` once it is Started."""
    id = start(anka)
    anka.wait(id, "Started")
    vminfo = show(anka, id)["body"]["vminfo"]
    assert isinstance(vminfo, dict)
    return vminfo


@pytest.mark.anka(release="1.44.0")
def test_the_creation_date_of_a_vm_is_that_of_its_template(anka: Anka) -> None:
    """Four captures: creation_date is 4 to 44 days before cr_time."""
    id = start(anka)
    anka.wait(id, "Started")
    body = show(anka, id)["body"]

    assert body["vminfo"]["creation_date"] < body["cr_time"]


ORDERS = {
    "1.27.0": "uuid name cpu_cores ram status node_id host_ip ip vnc_port vnc_connection_string port_forwarding "
    "creation_date stop_date version",
    "1.44.0": "uuid name status version creation_date access_date start_date cpu_cores ram node_id host_ip ip vnc_port "
    "port_forwarding stop_date timestamp",
}
"""Keys of vminfo in their order, by release."""


@pytest.mark.parametrize(
    "order", [pytest.param(ORDERS[release], marks=pytest.mark.anka(release=release), id=release) for release in ORDERS]
)
def test_the_keys_of_vminfo_have_the_order_of_the_captures(anka: Anka, order: str) -> None:
    """Captured at 1.24, 1.27 and 1.44."""
    assert order.split() == list(show_vminfo(anka))


def test_the_keys_of_a_port_rule_have_the_order_of_the_captures(anka: Anka) -> None:
    """All captures: the ports and the protocol, then the name."""
    assert ["guest_port", "host_port", "protocol", "name"] == list(show_vminfo(anka)["port_forwarding"][0])


def test_a_revert_to_version_0_deletes_the_template(anka: Anka) -> None:
    """The vendor's page on registry templates and tags, warning of 2023-08-07."""
    response = send(anka, "DELETE", REVERT, params={"id": TEMPLATE, "number": 0})

    assert "OK" == response.json()["status"]
    assert TEMPLATE not in list_names(anka, TEMPLATES, "id")


def test_a_revert_of_the_only_version_deletes_the_template(anka: Anka) -> None:
    """The warning on registry templates and tags covers this too."""
    template = anka.templates["13.6-arm64"].id
    response = send(anka, "DELETE", REVERT, params={"id": template})

    assert "OK" == response.json()["status"]
    assert template not in list_names(anka, TEMPLATES, "id")


@pytest.mark.anka(
    scenario={
        "templates": [
            {"name": "big", "versions": [{"tag": "v", "size": "50GB"}]},
            {"name": "hot", "versions": [{"tag": "v", "size": "1GB"}]},
        ],
        "nodes": [{"name": "mini", "capacity": 2, "cached": ["hot:v"]}],
    }
)
def test_a_node_takes_no_start_while_it_pulls(anka: Anka) -> None:
    """The vendor's page on monitoring, node common errors, 2023-05-01."""
    pulling = start(anka, anka.templates["big"].id)
    anka.clock.advance("5s")
    waiting = start(anka, anka.templates["hot"].id)
    anka.clock.advance("1m")

    assert ("Pulling", "Scheduling") == (anka.instances[pulling].state, anka.instances[waiting].state)


def test_a_start_that_fails_on_one_node_is_tried_on_another(anka: Anka) -> None:
    """The vendor's pages on Jenkins and on monitoring: the agent gives the start back."""
    anka.faults.add(match={"event": "start"}, do={"fail": "cannot start"}, times=1)
    id = start(anka)
    anka.clock.advance("5m")

    assert "Started" == anka.instances[id].state


def test_one_instance_of_several_may_lack_its_architecture(anka: Anka) -> None:
    """A client read it of each instance (anka-prometheus-exporter 229764c).

    It is missing in the list and by id, from one instance alone.
    """
    anka.faults.add(match={"event": "start"}, do={"without": ["arch"]}, times=1)
    ids = [start(anka) for _ in range(2)]
    for id in ids:
        anka.wait(id, "Started")

    assert [{"arch"}, set()] == [set(listed(anka, ids[1])) - set(listed(anka, id)) for id in ids]
    assert [False, True] == ["arch" in show(anka, id)["body"] for id in ids]


BLANK_NODE = {"nodes": [{"name": "joined", "state": ""}, {"name": "mini"}]}
"""A scenario with a node that has just joined, and another one."""


def test_a_node_that_has_just_joined_has_a_blank_state(anka: Anka) -> None:
    """The release notes of 1.48.0."""
    anka.load(BLANK_NODE)
    (joined,) = send(anka, "GET", "/api/v1/node", params={"id": anka.nodes["joined"].id}).json()["body"]

    assert ["", "Active"] == list_names(anka, "/api/v1/node", "state")
    assert "" == joined["state"]
