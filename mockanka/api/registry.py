"""/api/v1/registry/disk: the disk of the registry."""

from __future__ import annotations

from flask import Blueprint, Response

from mockanka.api.envelope import success
from mockanka.api.routing import OperationRoutes
from mockanka.core import registry
from mockanka.core.controller import Controller


def registry_routes(controller: Controller) -> Blueprint:
    """Return the routes of the registry itself; those of its templates are in ``templates``."""
    routes = OperationRoutes("registry", __name__)

    @routes.operation("getRegistryDisk")
    def get_registry_disk() -> Response:
        free, total = registry.disk_space(controller)
        return success({"free": free, "total": total})

    return routes
