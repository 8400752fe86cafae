"""/api/v1/vm and rpc/vm/restart: start, list, update, terminate and restart instances (controller-facts A1 to A5)."""

from __future__ import annotations

from flask import Blueprint, Response

from mockanka.api.envelope import empty_success, json_response, success
from mockanka.api.instance_cache import InstanceCache
from mockanka.api.instance_requests import RESTART_BODY, START_BODY, TERMINATE_BODY, UPDATE_BODY
from mockanka.api.request_fields import query_parameter, read_fields, required_parameter
from mockanka.api.routing import OperationRoutes
from mockanka.core import instances, restarts
from mockanka.core.controller import Controller
from mockanka.core.instance_record import StartRequest


def instance_routes(controller: Controller, cache: InstanceCache) -> Blueprint:
    """Return the routes of instances; GET answers from the cache."""
    routes = OperationRoutes("instances", __name__)

    @routes.operation("startVms")
    def start_vms() -> Response:
        fields = read_fields(START_BODY)
        count = fields.pop("count")
        start = StartRequest(template_id=fields.pop("vmid"), **fields)
        return success(instances.start_instances(controller, start, count))

    @routes.operation("listVms")
    def list_vms() -> Response:
        instance_id = query_parameter("id")
        if not instance_id:
            return json_response(cache.list_response())
        return json_response(cache.instance_response(instances.find_instance(controller, instance_id)))

    @routes.operation("updateVm")
    def update_vm() -> Response:
        instance_id = required_parameter("id")
        changes = read_fields(UPDATE_BODY)
        names = {key: value or None for key, value in changes.items() if key != "metadata"}
        instances.update_instance(controller, instance_id, {**changes, **names})
        return empty_success()

    @routes.operation("terminateVm")
    def terminate_vm() -> Response:
        instances.terminate_instance(controller, read_fields(TERMINATE_BODY)["id"])
        return empty_success()

    @routes.operation("restartVm")
    def restart_vm() -> Response:
        fields = read_fields(RESTART_BODY)
        changes = {key: fields[key] for key in ("usb_device", "vnc_password") if fields.get(key)}
        restarts.restart_vm(controller, fields["instance_id"], **changes)
        return empty_success()

    return routes
