"""Scenarios: states of a controller written in YAML, loaded into controllers and dumped again."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from marshmallow import ValidationError

from mockanka import resources
from mockanka.core.controller import Controller
from mockanka.json_text import replace_surrogates
from mockanka.scenario.build import build
from mockanka.scenario.dump import dump, to_yaml
from mockanka.scenario.options import Options
from mockanka.scenario.references import InvalidScenario, refusals_at
from mockanka.scenario.sections import ScenarioSection
from mockanka.scenario.source import (
    Document,
    ScenarioError,
    document_from_json,
    document_from_yaml,
    nearest,
    problems_in,
)

__all__ = ["Options", "Scenario", "ScenarioError", "dump", "shipped", "to_yaml"]


@dataclass(frozen=True)
class Scenario:
    """A scenario that was read and is well-formed; ``controller()`` builds what it describes, as often as you like."""

    document: Document = field(repr=False)
    section: ScenarioSection = field(repr=False)

    @classmethod
    def find(cls, name: str) -> Scenario:
        """Return the scenario of a file, or the one that ships under that name. Raises ScenarioError."""
        if name in shipped():
            return cls.named(name)
        if not _exists(name):
            raise ScenarioError([f"{name}: there is no such file, and no shipped scenario: {nearest(name, shipped())}"])
        try:
            text = Path(name).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ScenarioError([f"{name}: cannot be read: {error}"]) from None
        return cls.from_yaml(text, name)

    @classmethod
    def named(cls, name: str) -> Scenario:
        """Return the scenario that ships under a name. Raises ScenarioError."""
        if name not in shipped():
            raise ScenarioError([f"{name}: no scenario of that name ships: {nearest(name, shipped())}"])
        return cls.from_yaml(resources.find_resource(f"scenarios/{name}.yaml").read_text("utf-8"), name)

    @classmethod
    def from_yaml(cls, text: str, source: str = "scenario") -> Scenario:
        """Return the scenario of a YAML text; ``source`` names it in errors. Raises ScenarioError."""
        return cls._from_document(document_from_yaml(text, source))

    @classmethod
    def from_json(cls, text: str | bytes, source: str = "scenario") -> Scenario:
        """Return the scenario of a JSON text; ``source`` names it in errors. Raises ScenarioError."""
        return cls._from_document(document_from_json(text, source))

    @classmethod
    def from_data(cls, data: object, source: str = "scenario") -> Scenario:
        """Return the scenario that dictionaries and lists describe. Raises ScenarioError."""
        try:
            return cls._from_document(Document(source, replace_surrogates(data)))
        except RecursionError:
            raise ScenarioError([f"{source}: is nested too deep"]) from None

    @classmethod
    def _from_document(cls, document: Document) -> Scenario:
        try:
            section = ScenarioSection.load(document.data)
        except ValidationError as error:
            problems = problems_in(error.messages)
            # Of a dump in another format nothing else can be said.
            raise document.error([problem for problem in problems if problem.path == ("format",)] or problems) from None
        except RecursionError:
            raise ScenarioError([f"{document.source}: is nested too deep"]) from None
        return cls(document, section)

    def controller(self, options: Options | None = None) -> Controller:
        """Return a new controller that begins as the scenario says; options beat the scenario.

        Raises ScenarioError if the scenario contradicts itself.
        """
        try:
            with refusals_at(()):
                return build(self.section, options or Options())
        except InvalidScenario as error:
            raise self.document.error([error.problem]) from None


def _exists(name: str) -> bool:
    try:
        return Path(name).exists()
    except (OSError, ValueError):  # no path at all: too long, or with a NUL
        return False


def shipped() -> list[str]:
    """Return the names of the scenarios that ship, sorted."""
    return sorted(path.stem for path in resources.resource_folder("scenarios").glob("*.yaml"))
