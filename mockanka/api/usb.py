"""/api/v1/usb: how many USB devices there are, and how many are taken (controller-facts A22)."""

from __future__ import annotations

from flask import Blueprint, Response

from mockanka.api.envelope import ok, respond
from mockanka.core import usb
from mockanka.core.controller import Controller


def blueprint(controller: Controller) -> Blueprint:
    routes = Blueprint("usb", __name__)

    @routes.get("/api/v1/usb")
    def show() -> Response:
        counts = usb.count_usb_devices(controller)
        return respond(ok({name: count._asdict() for name, count in counts.items()}))

    return routes
