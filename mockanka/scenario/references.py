"""Names in a scenario and what they refer to: an id, or a name that only one entity has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from mockanka.core import templates
from mockanka.core.controller import Controller
from mockanka.core.errors import IllegalTransition, Refusal
from mockanka.core.groups import Group
from mockanka.core.nodes import Node
from mockanka.core.templates import Template, VersionRef
from mockanka.scenario.source import Path, ScenarioProblem, nearest

E = TypeVar("E", Template, Node, Group)


class InvalidScenario(Exception):
    """Something in a scenario contradicts the rest of it. Users see it as a ScenarioError, with its line."""

    def __init__(self, path: Path, text: str) -> None:
        super().__init__(text)
        self.problem = ScenarioProblem(path, text)


@contextmanager
def refusals_at(path: Path) -> Iterator[None]:
    """Turn what the core refuses within the block into an InvalidScenario at a place of the scenario."""
    try:
        yield
    except Refusal as refusal:
        raise InvalidScenario(path, str(refusal)) from None
    except IllegalTransition as illegal:
        raise InvalidScenario(path, f"the life cycle has no {illegal}") from None


class References:
    """Looks up what a scenario names in the controller that is being built of it."""

    def __init__(self, controller: Controller) -> None:
        self.controller = controller
        self._ids: dict[str, tuple[int, dict[str, list[str]]]] = {}
        """For each kind, how many entities there were when their ids were collected by name."""
        self._template_count = -1
        """How many templates there were when their names and ids were collected."""
        self._template_texts: dict[str, tuple[int, int, str]] = {}
        """For the names and ids of templates the order in which they are looked for, and the id."""
        self._template_text_lengths: list[int] = []

    def template(self, path: Path, name: str) -> str:
        """Return the id of a template. Raises InvalidScenario, as the others do, unless there is exactly one."""
        return self._id(path, name, "template", self.controller.templates, lambda template: not template.deleted)

    def node(self, path: Path, name: str) -> str:
        """Return the id of a node."""
        return self._id(path, name, "node", self.controller.nodes)

    def group(self, path: Path, name: str) -> str:
        """Return the id of a group."""
        return self._id(path, name, "group", self.controller.groups)

    def version(
        self,
        path: Path,
        template: str,
        *,
        tag: str | None = None,
        number: int | str | None = None,
        serial: int | None = None,
    ) -> VersionRef:
        """Return the version that is named: by serial in a dump, else by tag, by number, or the latest."""
        id = self.template((*path, "template"), template)
        found = self.controller.templates[id]
        if serial is not None:
            if serial >= len(found.history):
                raise InvalidScenario((*path, "serial"), f"template {found.name} has no version of serial {serial}")
            return VersionRef(id, serial)
        for key, value in (("tag", tag), ("version", number)):
            if value is None:
                continue
            known = [v.tag if key == "tag" else str(v.number) for v in found.versions]
            if str(value) not in known:
                text = f"template {found.name} has no {key} {value}: {nearest(str(value), known)}"
                raise InvalidScenario((*path, key), text)
        if not found.versions:
            raise InvalidScenario((*path, "template"), f"template {found.name} has no versions")
        try:
            return templates.resolve_version(self.controller, id, tag, None if number is None else int(number))
        except Refusal as refusal:  # a template that was deleted is found by its id
            raise InvalidScenario((*path, "template"), str(refusal)) from None

    def cached_version(self, path: Path, text: str) -> VersionRef:
        """Return the version that ``template:tag`` names, or ``template`` alone for its latest."""
        # Names and tags may both contain colons: the template whose whole name stands in front decides.
        self._collect_template_texts()
        found = [
            (self._template_texts[text[:end]], text[end + 1 :] if end < len(text) else None)
            for end in self._template_text_lengths
            if text[end : end + 1] in ("", ":") and text[:end] in self._template_texts
        ]
        if found:
            (_, _, id), tag = min(found, key=lambda pair: pair[0])
            return self.version(path, id, tag=tag)
        known = [f"{t.name}:{version.tag}" for t in self.controller.templates.values() for version in t.versions]
        raise InvalidScenario(path, f"there is no {text!r}: {nearest(text, known)}")

    def _collect_template_texts(self) -> None:
        """Collect the names and ids of templates: longer names come first, and the name of a template before its id."""
        known = self.controller.templates
        if self._template_count == len(known):  # templates are added while a scenario is loaded, and never removed
            return
        texts: dict[str, tuple[int, int, str]] = {}
        for rank, template in enumerate(sorted(known.values(), key=lambda template: -len(template.name))):
            texts.setdefault(template.name, (rank, 0, template.id))
            texts.setdefault(template.id, (rank, 1, template.id))
        self._template_count, self._template_texts = len(known), texts
        self._template_text_lengths = sorted({len(text) for text in texts})

    def _id(
        self, path: Path, name: str, kind: str, known: Mapping[str, E], has_name: Callable[[E], bool] = lambda _: True
    ) -> str:
        if name in known:
            return name
        count, by_name = self._ids.get(kind, (-1, {}))
        if count != len(known):  # entities are added while a scenario is loaded, and never removed
            by_name = {}
            for entity in known.values():
                if has_name(entity):
                    by_name.setdefault(entity.name, []).append(entity.id)
            self._ids[kind] = len(known), by_name
        ids = by_name.get(name, [])
        if not ids:
            names = [entity.name for entity in known.values()]
            raise InvalidScenario(path, f"there is no {kind} {name!r}: {nearest(name, names)}")
        if len(ids) > 1:
            text = f"there is more than one {kind} {name!r}: name it by its id, {' or '.join(ids)}"
            raise InvalidScenario(path, text)
        return ids[0]
