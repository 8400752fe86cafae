"""Scenarios: worlds written in YAML, loaded into controllers and written out again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from marshmallow import ValidationError

from mockanka import resources
from mockanka.core.controller import Controller
from mockanka.scenario import sections
from mockanka.scenario.build import build
from mockanka.scenario.dump import dump
from mockanka.scenario.options import Options
from mockanka.scenario.references import InvalidScenario
from mockanka.scenario.source import Document, ScenarioError, nearest, problems_in, read_json, read_yaml

__all__ = ["Options", "Scenario", "ScenarioError", "dump", "shipped", "to_yaml"]


@dataclass(frozen=True)
class Scenario:
    """A scenario that was read and found well-formed; ``controller()`` brings it to life, as often as you like."""

    document: Document = field(repr=False)
    data: Mapping[str, Any] = field(repr=False)

    @classmethod
    def find(cls, name: str) -> Scenario:
        """The scenario of a file, or the one that ships under that name. ScenarioError says what is wrong."""
        if name in shipped():
            return cls.named(name)
        if not _is_there(name):
            raise ScenarioError([f"{name}: there is no such file, and no shipped scenario: {nearest(name, shipped())}"])
        try:
            text = Path(name).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as wrong:
            raise ScenarioError([f"{name}: cannot be read: {wrong}"]) from None
        return cls.from_yaml(text, name)

    @classmethod
    def named(cls, name: str) -> Scenario:
        """The scenario that ships under that name."""
        if name not in shipped():
            raise ScenarioError([f"{name}: no scenario of that name ships: {nearest(name, shipped())}"])
        return cls.from_yaml(resources.find_resource(f"scenarios/{name}.yaml").read_text("utf-8"), name)

    @classmethod
    def from_yaml(cls, text: str, source: str = "scenario") -> Scenario:
        return cls._of(read_yaml(text, source))

    @classmethod
    def from_json(cls, text: str | bytes, source: str = "scenario") -> Scenario:
        return cls._of(read_json(text, source))

    @classmethod
    def from_data(cls, data: object, source: str = "scenario") -> Scenario:
        """A scenario given as dictionaries and lists."""
        return cls._of(Document(source, data))

    @classmethod
    def _of(cls, document: Document) -> Scenario:
        try:
            data = sections.Scenario().load(document.data)  # type: ignore[arg-type]
        except ValidationError as wrong:
            raise document.error(problems_in(wrong.messages)) from None
        except RecursionError:
            raise ScenarioError([f"{document.source}: is nested too deep"]) from None
        return cls(document, data)

    def controller(self, options: Options | None = None) -> Controller:
        """A controller that begins as the scenario says; options beat it. ScenarioError if it does not fit together."""
        try:
            return build(self.data, options or Options())
        except InvalidScenario as wrong:
            raise self.document.error([wrong.problem]) from None


def _is_there(name: str) -> bool:
    try:
        return Path(name).exists()
    except (OSError, ValueError):  # no path at all: too long, or with a NUL
        return False


def shipped() -> list[str]:
    """The names of the scenarios that ship, in order."""
    return sorted(path.stem for path in resources.resource_folder("scenarios").glob("*.yaml"))


def to_yaml(data: Mapping[str, Any]) -> str:
    """A dumped scenario as YAML text."""
    text: str = yaml.dump(dict(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text


class _Dumper(yaml.SafeDumper):
    """Writes YAML that is read back as it was."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # Outside double quotes these are line breaks, which YAML folds.
    style = '"' if any(character in text for character in "\x85\u2028\u2029") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
