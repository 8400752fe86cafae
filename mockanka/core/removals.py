"""Removals of a template from the disks of nodes; each node does it with its next task (controller-facts A14)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from mockanka.core import pulls
from mockanka.core.errors import NoSuchNode, NotFound
from mockanka.core.events import NodeEvent
from mockanka.core.randomness import draw

if TYPE_CHECKING:
    from mockanka.core.controller import Controller
    from mockanka.core.nodes import Node


@dataclass(frozen=True, slots=True)
class TemplateRemoved(NodeEvent):
    """A node removes a template from its disk, except for files that its VMs or pulls need.

    Guess: that it does so while it pulls, too, and needs no worker for it.
    """

    kind: ClassVar = "template_removed"

    node_id: str
    template_id: str
    until: int

    def reporting_node(self, controller: Controller) -> Node | None:
        return controller.nodes.get(self.node_id)

    def is_current(self, controller: Controller) -> bool:
        node = self.reporting_node(controller)
        return node is not None and node.removals.get(self.template_id) == self.until

    def apply(self, controller: Controller) -> None:
        node = controller.nodes[self.node_id]
        del node.removals[self.template_id]
        before = len(node.cached)
        pulls.drop_cached_template(controller, node, self.template_id)
        controller.placement_due = True
        controller.record("template removed", node.id, template=self.template_id, versions=before - len(node.cached))


def request_template_removal(controller: Controller, template_id: str, node_ids: Sequence[str] = ()) -> list[str]:
    """Have nodes remove a template from their disks, and return their ids.

    They are the nodes named, or all that have a version of the template (guess: that not all nodes are asked). Raises
    NotFound for a template that never was in the registry, and NoSuchNode.
    """
    if template_id not in controller.templates:
        raise NotFound
    for node_id in node_ids:
        if node_id not in controller.nodes:
            raise NoSuchNode(node_id)
    cached_on = (node.id for node in controller.nodes.values() if _has_version(node, template_id))
    nodes = [controller.nodes[id] for id in dict.fromkeys(node_ids or cached_on)]
    for node in nodes:
        wait = controller.timings.schedule.sample(draw(controller.seed, node.id, f"remove {template_id}"))
        due = controller.now + wait
        node.removals[template_id] = due
        controller.schedule(due, TemplateRemoved(node.id, template_id, due))
    ids = [node.id for node in nodes]
    controller.record("template removal", template_id, nodes=ids)
    return ids


def resume_removals(controller: Controller, node: Node) -> None:
    """Schedule the removals that were due while the node was lost: it does them now that it is back."""
    for template_id, due in node.removals.items():
        if due <= controller.now:
            controller.schedule(controller.now, TemplateRemoved(node.id, template_id, due))


def _has_version(node: Node, template_id: str) -> bool:
    return any(ref.template_id == template_id for ref in node.cached)
