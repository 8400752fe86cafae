"""Names in a scenario, and what they stand for: an id, or a name that only one thing has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mockanka.core import templates
from mockanka.core.controller import Controller
from mockanka.core.templates import VersionRef
from mockanka.scenario.source import Path, Problem, nearest

Data = Mapping[str, Any]


class InvalidScenario(Exception):
    """Something in the scenario does not fit together."""

    def __init__(self, path: Path, text: str) -> None:
        super().__init__(text)
        self.problem = Problem(path, text)


def refuse_dump_keys(path: Path, item: Data, keys: frozenset[str]) -> None:
    """Keys that tell a moment in flight mean something only where everything in flight is told."""
    for key in item:
        if key in keys:
            raise InvalidScenario((*path, key), "belongs to a dump, which has pending as well; leave it out here")


class References:
    """Looks up what a scenario names in the controller that is being built of it."""

    def __init__(self, controller: Controller) -> None:
        self.controller = controller

    def template(self, path: Path, name: str) -> str:
        templates = self.controller.templates
        found = [each.id for each in templates.values() if each.name == name and not each.deleted]
        return self._one(path, name, "template", templates, found, [each.name for each in templates.values()])

    def node(self, path: Path, name: str) -> str:
        nodes = self.controller.nodes
        found = [node.id for node in nodes.values() if node.name == name]
        return self._one(path, name, "node", nodes, found, [node.name for node in nodes.values()])

    def group(self, path: Path, name: str) -> str:
        groups = self.controller.groups
        found = [group.id for group in groups.values() if group.name == name]
        return self._one(path, name, "group", groups, found, [group.name for group in groups.values()])

    def ref(self, path: Path, item: Data) -> VersionRef:
        """The version an item names: by serial in a dump, else by tag, by number, or the latest."""
        id = self.template((*path, "template"), item["template"])
        of = self.controller.templates[id]
        if "serial" in item:
            if item["serial"] >= len(of.history):
                raise InvalidScenario(
                    (*path, "serial"), f"template {of.name} has no version of serial {item['serial']}"
                )
            return VersionRef(id, item["serial"])
        for key, known in (("tag", [v.tag for v in of.versions]), ("version", [str(v.number) for v in of.versions])):
            if key in item and str(item[key]) not in known:
                raise InvalidScenario(
                    (*path, key), f"template {of.name} has no {key} {item[key]}: {nearest(str(item[key]), known)}"
                )
        if not of.versions:
            raise InvalidScenario((*path, "template"), f"template {of.name} has no versions")
        return templates.resolve_version(self.controller, id, item.get("tag"), item.get("version"))

    def cached(self, path: Path, item: Data) -> VersionRef:
        if "template" in item:
            return self.ref(path, item)
        written = item.get("version", "")
        # Names and tags may both contain colons: the template whose whole name stands in front decides.
        for each in sorted(self.controller.templates.values(), key=lambda t: len(t.name), reverse=True):
            for name in (each.name, each.id):
                if written == name:
                    return self.ref(path, {"template": each.id})
                if written.startswith(f"{name}:"):
                    return self.ref(path, {"template": each.id, "tag": written[len(name) + 1 :]})
        names = [f"{t.name}:{v.tag}" for t in self.controller.templates.values() for v in t.versions]
        raise InvalidScenario(path, f"there is no {written!r}: {nearest(written, names)}")

    def _one(
        self, path: Path, name: str, what: str, by_id: Mapping[str, object], found: list[str], names: list[str]
    ) -> str:
        if name in by_id:
            return name
        if not found:
            raise InvalidScenario(path, f"there is no {what} {name!r}: {nearest(name, names)}")
        if len(found) > 1:
            raise InvalidScenario(
                path, f"there is more than one {what} {name!r}: name it by its id, {' or '.join(found)}"
            )
        return found[0]
