"""Paths of the API that several modules request, and the failure message that clients compare."""

from __future__ import annotations

STATUS_PATH = "/api/v1/status"
INSTANCES_PATH = "/api/v1/vm"
RESTART_PATH = "/api/v1/rpc/vm/restart"
NODES_PATH = "/api/v1/node"
NODE_CONFIG_PATH = "/api/v1/node/config"
NODE_GROUPS_PATH = "/api/v1/node/group"
GROUPS_PATH = "/api/v1/group"
TEMPLATES_PATH = "/api/v1/registry/vm"
REMOVALS_PATH = "/api/v1/registry/vm/remove"
REVERT_PATH = "/api/v1/registry/revert"
DISTRIBUTIONS_PATH = "/api/v1/registry/vm/distribute"
REGISTRY_DISK_PATH = "/api/v1/registry/disk"
IMAGES_PATH = "/api/v1/image"
USB_PATH = "/api/v1/usb"
VLANS_PATH = "/api/v1/vlan"

NOT_FOUND_MESSAGE = "Not found"
"""The message of a failure that clients compare (controller-facts A0.4)."""
