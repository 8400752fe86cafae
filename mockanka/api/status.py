"""/api/v1/status, which every client requests first, and the probes (controller-facts A23, A24)."""

from __future__ import annotations

from flask import Blueprint, Response

from mockanka.api.envelope import success
from mockanka.api.routing import OperationRoutes
from mockanka.core.controller import Controller


def status_routes(controller: Controller) -> Blueprint:
    """Return the routes of the controller's status and of its probes."""
    routes = OperationRoutes("status", __name__)

    @routes.operation("getStatus")
    def get_status() -> Response:
        return success(
            {
                "status": "Running",
                "version": controller.release.version,
                "registry_address": controller.registry.url,
                # Guess: that a fault which has the registry down shows here too (controller-facts A23).
                "registry_status": "FAIL" if controller.registry.state == "down" else "Running",
                "license": controller.license.tier,
            }
        )

    @routes.operation("getLivez")
    @routes.operation("getReadyz")
    def probe() -> Response:
        # Guess: the text, which is documented nowhere (controller-facts A24).
        return Response("ok\n", 200, {"Content-Type": "text/plain; charset=utf-8"})

    return routes
