"""/api/v1/usb: how many USB devices there are, and how many are in use (controller-facts A22)."""

from __future__ import annotations

from flask import Blueprint, Response

from mockanka.api.envelope import success
from mockanka.api.routing import OperationRoutes
from mockanka.core import usb
from mockanka.core.controller import Controller


def usb_routes(controller: Controller) -> Blueprint:
    """Return the routes of USB devices."""
    routes = OperationRoutes("usb", __name__)

    @routes.operation("listUsbDevices")
    def list_usb_devices() -> Response:
        counts = usb.count_usb_devices(controller)
        return success({name: count._asdict() for name, count in counts.items()})

    return routes
