"""Which instances hold slots, and which VMs were started by hand."""

from __future__ import annotations

import pytest

from mockanka.snapshot.occupancy import derive_occupancy


@pytest.mark.parametrize(
    ("vm_count", "slot_holders", "manual_vms"),
    [
        (0, set(), {}),
        (1, {"terminating"}, {}),
        (2, {"terminating", "error"}, {}),
        (3, {"terminating", "error"}, {"n": 1}),
    ],
)
def test_an_instance_in_terminating_holds_a_slot_before_one_in_error(
    vm_count: int, slot_holders: set[str], manual_vms: dict[str, int]
) -> None:
    """VMs that are left belong to instances in Terminating first, then to those in Error; the rest are by hand."""
    instances = [
        {"instance_id": id, "node_id": "n", "instance_state": state, "vminfo": {"status": "running"}}
        for id, state in (("error", "Error"), ("terminating", "Terminating"))
    ]
    occupancy = derive_occupancy([{"node_id": "n", "vm_count": vm_count}], instances)

    assert (slot_holders, manual_vms) == (occupancy.slot_holders, occupancy.manual_vms)
