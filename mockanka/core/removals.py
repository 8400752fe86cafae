"""Taking a template off the nodes' disks, each with its next task (controller-facts A14)."""

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
    """A node takes a template off its disk, as far as nothing that runs there needs it."""

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
        controller.record("template removed", node.id, template=self.template_id, versions=before - len(node.cached))


def request_removal(controller: Controller, template_id: str, node_ids: Sequence[str] = ()) -> list[str]:
    """Have nodes take a template off their disks: those named, or all that have some of it; returns which.

    Guess: that by default only those are asked. NotFound for a template that never was.
    """
    if template_id not in controller.templates:
        raise NotFound
    for node_id in node_ids:
        if node_id not in controller.nodes:
            raise NoSuchNode(node_id)
    has_some = (node.id for node in controller.nodes.values() if _has(node, template_id))
    asked = [controller.nodes[id] for id in dict.fromkeys(node_ids or has_some)]
    for node in asked:
        wait = controller.timings.schedule.sample(draw(controller.seed, node.id, f"remove {template_id}"))
        due = controller.now + wait
        node.removals[template_id] = due
        controller.schedule(due, TemplateRemoved(node.id, template_id, due))
    ids = [node.id for node in asked]
    controller.record("template removal", template_id, nodes=ids)
    return ids


def resume_removals(controller: Controller, node: Node) -> None:
    """The node is back: what it was to take off its disk meanwhile goes now."""
    for template_id, due in node.removals.items():
        if due <= controller.now:
            controller.schedule(controller.now, TemplateRemoved(node.id, template_id, due))


def _has(node: Node, template_id: str) -> bool:
    return any(ref.template_id == template_id for ref in node.cached)
