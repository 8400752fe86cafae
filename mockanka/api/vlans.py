"""/api/v1/vlan: the VLANs of all nodes."""

from __future__ import annotations

from flask import Blueprint, Response

from mockanka.api.envelope import success
from mockanka.api.routing import OperationRoutes
from mockanka.core import network
from mockanka.core.controller import Controller


def vlan_routes(controller: Controller) -> Blueprint:
    """Return the routes of VLANs."""
    routes = OperationRoutes("vlans", __name__)

    @routes.operation("listVlans")
    def list_vlans() -> Response:
        return success(network.list_vlans(controller))

    return routes
