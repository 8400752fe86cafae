"""The operations of the controller's API, as plain data."""

from __future__ import annotations

from typing import NamedTuple

from mockanka.core.release import Release


class Operation(NamedTuple):
    """An operation of the API: its method and path, its ``operationId``, and the feature it came with, if any."""

    method: str
    path: str
    id: str
    feature: str | None = None

    def is_in(self, release: Release) -> bool:
        """Return whether a release has the operation."""
        return self.feature is None or release.has(self.feature)


OPERATIONS: tuple[Operation, ...] = (
    Operation("GET", "/api/v1/vm", "listVms"),
    Operation("POST", "/api/v1/vm", "startVms"),
    Operation("PUT", "/api/v1/vm", "updateVm"),
    Operation("DELETE", "/api/v1/vm", "terminateVm"),
    Operation("POST", "/api/v1/rpc/vm/restart", "restartVm", "restart"),
    Operation("GET", "/api/v1/vlan", "listVlans", "vlans"),
    Operation("GET", "/api/v1/node", "listNodes"),
    Operation("DELETE", "/api/v1/node", "deleteNode"),
    Operation("POST", "/api/v1/node/config", "configureNode"),
    Operation("PUT", "/api/v1/node/update", "updateNodes", "node-update"),
    Operation("POST", "/api/v1/node/group", "addNodesToGroups"),
    Operation("DELETE", "/api/v1/node/group", "removeNodesFromGroups"),
    Operation("GET", "/api/v1/registry/vm", "listTemplates"),
    Operation("DELETE", "/api/v1/registry/vm", "deleteTemplate"),
    Operation("DELETE", "/api/v1/registry/revert", "revertTemplate"),
    Operation("GET", "/api/v1/registry/vm/distribute", "listDistributions"),
    Operation("POST", "/api/v1/registry/vm/distribute", "distributeTemplate"),
    Operation("DELETE", "/api/v1/registry/vm/distribute", "cancelDistribution", "distribution-cancel"),
    Operation("DELETE", "/api/v1/registry/vm/remove", "removeTemplateFromNodes", "template-removal"),
    Operation("GET", "/api/v1/registry/disk", "getRegistryDisk"),
    Operation("GET", "/api/v1/image", "listSaveImages"),
    Operation("POST", "/api/v1/image", "saveImage"),
    Operation("GET", "/api/v1/group", "listGroups"),
    Operation("POST", "/api/v1/group", "createGroup"),
    Operation("PUT", "/api/v1/group", "updateGroup"),
    Operation("DELETE", "/api/v1/group", "deleteGroup"),
    Operation("GET", "/api/v1/usb", "listUsbDevices"),
    Operation("GET", "/api/v1/status", "getStatus"),
    Operation("GET", "/livez", "getLivez", "probes"),
    Operation("GET", "/readyz", "getReadyz", "probes"),
)
"""All operations of all releases, grouped by path; texts list them in this order."""

OPERATION_METHODS: tuple[str, ...] = tuple(sorted({operation.method for operation in OPERATIONS}))
"""The methods of all operations, sorted."""

_BY_REQUEST = {(operation.method, operation.path): operation for operation in OPERATIONS}


def find_operation(method: str, path: str) -> Operation | None:
    """Return the operation with that method and path, of whatever release, or None."""
    return _BY_REQUEST.get((method, path))


def methods_by_path(release: Release | None = None) -> dict[str, list[str]]:
    """Return the methods of a release's operations by path; of all operations if no release is named."""
    methods: dict[str, list[str]] = {}
    for operation in OPERATIONS:
        if release is None or operation.is_in(release):
            methods.setdefault(operation.path, []).append(operation.method)
    return methods
