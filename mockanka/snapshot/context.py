"""Data that the sections of a snapshot share."""

from __future__ import annotations

from dataclasses import dataclass

from mockanka.core.lifecycle import REPORTED_STATES, InstanceState
from mockanka.core.release import Release
from mockanka.snapshot.fetch import FetchedState
from mockanka.snapshot.names import UniqueNames
from mockanka.snapshot.occupancy import Occupancy, derive_occupancy
from mockanka.snapshot.reader import JsonObject, JsonReader
from mockanka.snapshot.templates import TemplateIndex


@dataclass(frozen=True)
class SnapshotContext:
    """The fetched state, and what is derived from all of it."""

    state: FetchedState
    release: Release
    templates: TemplateIndex
    nodes: UniqueNames
    groups: UniqueNames
    instances: list[JsonObject]
    """The instances with an id and a template."""
    pushing_saves: dict[str, JsonObject]
    """The save image requests in progress, by the id of the instance, which is Pushing."""
    occupancy: Occupancy

    def holds_slot(self, instance: JsonObject) -> bool:
        """Return whether an instance in Terminating or Error holds a slot of a listed node."""
        return (
            instance["instance_id"] in self.occupancy.slot_holders
            and JsonReader(instance).text("node_id") in self.nodes.by_id
        )

    def last_reports(self) -> dict[str, int | None]:
        """Return when each node last reported."""
        return {id: self._last_report(id) for id in self.nodes.by_id}

    def _last_report(self, node_id: str) -> int | None:
        """Return the time in the node, which it has from 1.43 on, else the earliest of its instances."""
        node = next((node for node in self.state.nodes if node.get("node_id") == node_id), None)
        last_updated = JsonReader(node).moment("last_updated") if node else None
        if last_updated is not None:
            return last_updated
        instances = [reader for reader in map(JsonReader, self.instances) if reader.data.get("node_id") == node_id]
        moments = [
            moment
            for instance in instances
            if (instance.text("instance_state") in REPORTED_STATES or self.holds_slot(instance.data))
            and (moment := instance.moment("ts"))
        ]
        return min(moments, default=None)


def create_context(state: FetchedState, release: Release, groups: list[JsonObject]) -> SnapshotContext:
    """Derive the context of a snapshot from the fetched state and the known groups."""
    node_ids = [
        (id, node.text("node_name") or id) for node in map(JsonReader, state.nodes) if (id := node.text("node_id"))
    ]
    instances = [
        instance
        for instance in state.instances
        if (reader := JsonReader(instance)).text("instance_id") and reader.text("vmid")
    ]
    return SnapshotContext(
        state,
        release,
        TemplateIndex(state),
        UniqueNames(node_ids),
        UniqueNames((group["id"], group["name"]) for group in groups),
        instances,
        _pushing_saves(state.save_images, instances),
        derive_occupancy(state.nodes, instances),
    )


def _pushing_saves(save_images: list[JsonObject], instances: list[JsonObject]) -> dict[str, JsonObject]:
    pushing = {
        instance["instance_id"] for instance in instances if instance.get("instance_state") == InstanceState.PUSHING
    }
    saves = {}
    for save in save_images:
        instance_id = JsonReader(save).child("request").text("InstanceID")
        if instance_id is not None and instance_id in pushing and save.get("status") == "pending":
            saves[instance_id] = save
    return saves
