"""The operations of the controller's document, stated independently of it."""

from functools import cache
from typing import Any

import pytest

from tests.contracts import RELEASES, contract, distinct, has

OPERATIONS = {
    ("/api/v1/status", "get"): ("getStatus", None),
    ("/api/v1/vm", "post"): ("startVms", None),
    ("/api/v1/vm", "get"): ("listVms", None),
    ("/api/v1/vm", "put"): ("updateVm", None),
    ("/api/v1/vm", "delete"): ("terminateVm", None),
    ("/api/v1/rpc/vm/restart", "post"): ("restartVm", "1.44.0"),
    ("/api/v1/node", "get"): ("listNodes", None),
    ("/api/v1/node", "delete"): ("deleteNode", None),
    ("/api/v1/node/config", "post"): ("configureNode", None),
    ("/api/v1/node/update", "put"): ("updateNodes", "1.18.0"),
    ("/api/v1/node/group", "post"): ("addNodesToGroups", None),
    ("/api/v1/node/group", "delete"): ("removeNodesFromGroups", None),
    ("/api/v1/registry/vm", "get"): ("listTemplates", None),
    ("/api/v1/registry/vm", "delete"): ("deleteTemplate", None),
    ("/api/v1/registry/vm/remove", "delete"): ("removeTemplateFromNodes", "1.20.0"),
    ("/api/v1/registry/disk", "get"): ("getRegistryDisk", None),
    ("/api/v1/registry/revert", "delete"): ("revertTemplate", None),
    ("/api/v1/registry/vm/distribute", "post"): ("distributeTemplate", None),
    ("/api/v1/registry/vm/distribute", "get"): ("listDistributions", None),
    ("/api/v1/registry/vm/distribute", "delete"): ("cancelDistribution", "1.43.0"),
    ("/api/v1/image", "post"): ("saveImage", None),
    ("/api/v1/image", "get"): ("listSaveImages", None),
    ("/api/v1/group", "post"): ("createGroup", None),
    ("/api/v1/group", "get"): ("listGroups", None),
    ("/api/v1/group", "put"): ("updateGroup", None),
    ("/api/v1/group", "delete"): ("deleteGroup", None),
    ("/api/v1/usb", "get"): ("listUsbDevices", None),
    ("/api/v1/vlan", "get"): ("listVlans", "1.23.0"),
    ("/livez", "get"): ("getLivez", "1.41.1"),
    ("/readyz", "get"): ("getReadyz", "1.41.1"),
}
"""The id of every operation, and the release that added it."""


PROBES = {"getLivez", "getReadyz"}


def operation_params(with_envelope: bool = False) -> list[Any]:
    """Return test parameters for every operation of every release that describes it differently from those before."""
    return distinct(
        (
            (contract(release).content(pointer), has(release, "1.20.0")),
            pytest.param(release, name, id=f"{release}-{name}"),
        )
        for release in RELEASES
        for name, pointer in contract(release).operations.items()
        if not (with_envelope and name in PROBES)
    )


@cache
def operations_with_several_shapes(release: str) -> list[str]:
    """Return the operations of a release whose query selects the shape of the response."""
    spec = contract(release)
    return [name for name in spec.operations if "x-when-query" in spec.at(spec.answer_media(name))]
