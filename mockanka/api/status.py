"""/api/v1/status: what every client asks first (controller-facts A23)."""

from __future__ import annotations

from hashlib import blake2b

from flask import Blueprint, Response

from mockanka.api.envelope import ok, respond
from mockanka.core.controller import Controller


def version(controller: Controller) -> str:
    """The release and eight hex digits, as the real one reports itself; the digits depend on the release alone."""
    release = str(controller.release)
    return f"{release}-{blake2b(release.encode(), digest_size=4).hexdigest()}"


def blueprint(controller: Controller) -> Blueprint:
    routes = Blueprint("status", __name__)

    @routes.get("/api/v1/status")
    def show() -> Response:
        return respond(
            ok(
                {
                    "status": "Running",
                    "version": version(controller),
                    "registry_address": controller.registry.url,
                    # Guess: that a fault which has the registry down shows here too (controller-facts A23).
                    "registry_status": "FAIL" if controller.registry.state == "down" else "Running",
                    "license": controller.license.tier,
                }
            )
        )

    @routes.get("/livez")
    @routes.get("/readyz")
    def alive() -> Response:
        # Guess: the text, of which nobody says anything (controller-facts A24).
        return Response("ok\n", 200, {"Content-Type": "text/plain; charset=utf-8"})

    return routes
