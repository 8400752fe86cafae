"""Which instances hold slots on nodes, derived from the numbers of VMs that nodes report."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from mockanka.core.lifecycle import RUNNING_STATES, InstanceState
from mockanka.snapshot.reader import JsonObject, JsonReader


@dataclass(frozen=True)
class Occupancy:
    """Instances that hold a slot although their state does not say so, and VMs that no instance accounts for."""

    slot_holders: frozenset[str]
    """Ids of instances in Terminating or Error."""
    manual_vms: dict[str, int]
    """Numbers of VMs by the id of the node; nodes without such VMs are left out."""


def derive_occupancy(nodes: list[JsonObject], instances: list[JsonObject]) -> Occupancy:
    """Compare the VMs that nodes count with the instances that run on them.

    VMs beyond those of running instances belong to instances that may still run, and if there are not enough of these,
    they were started by hand.
    """
    unaccounted = _vm_counts(nodes)
    last_reports = {reader.text("node_id"): reader.moment("last_updated") for reader in map(JsonReader, nodes)}
    slot_holders: set[str] = set()
    candidates: dict[str, list[JsonReader]] = defaultdict(list)
    for reader in map(JsonReader, instances):
        node_id, state = reader.text("node_id"), reader.text("instance_state")
        if node_id is None:
            continue
        has_vm, last_report = bool(reader.child("vminfo").data), last_reports.get(node_id)
        # A report of the node also updates the instances that are on it.
        is_gone = last_report is not None and (reader.moment("ts") or 0) < last_report
        if has_vm and state in RUNNING_STATES:
            if node_id in unaccounted:
                unaccounted[node_id] -= 1
        elif has_vm and state in (InstanceState.TERMINATING, InstanceState.ERROR) and not is_gone:
            candidates[node_id].append(reader)
        elif state == InstanceState.TERMINATING and last_report is not None and not is_gone:
            slot_holders.add(reader.data["instance_id"])
    for node_id, readers in candidates.items():
        # Guess: instances in Terminating are the most likely to run still, then those whose VM is not reported as gone.
        for reader in sorted(readers, key=_likely_running_first):
            if unaccounted.get(node_id, 0) > 0:
                unaccounted[node_id] -= 1
                slot_holders.add(reader.data["instance_id"])
    return Occupancy(frozenset(slot_holders), {id: count for id, count in unaccounted.items() if count > 0})


def _vm_counts(nodes: list[JsonObject]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for reader in map(JsonReader, nodes):
        node_id, count = reader.text("node_id"), reader.integer("vm_count")
        if node_id is not None and count is not None:
            counts[node_id] = count
    return counts


def _likely_running_first(reader: JsonReader) -> tuple[bool, bool]:
    is_present = reader.child("vminfo").text("status") in ("running", "stopped")
    return reader.text("instance_state") == InstanceState.ERROR, not is_present
