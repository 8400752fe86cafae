"""Writes a controller as a scenario: at rest it reads like one written by hand, in progress it has every detail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from mockanka.core.controller import Controller
from mockanka.json_text import replace_surrogates
from mockanka.scenario.sections import ScenarioSection


def dump(controller: Controller) -> dict[str, Any]:
    """Return the whole state as a scenario: plain texts, numbers, lists and dictionaries."""
    return ScenarioSection.describe(controller).dump()


def to_yaml(data: Mapping[str, Any]) -> str:
    """Return a dumped scenario as YAML text."""
    try:
        text: str = yaml.dump(dict(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    except UnicodeEncodeError:
        return to_yaml(replace_surrogates(dict(data)))
    return text


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes YAML that is read back as it was, in libyaml's speed where PyYAML was built with it."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write what several objects share once for each: a loader takes few repetitions by aliases."""
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    # Outside double quotes these are line breaks, which YAML folds.
    style = '"' if any(character in text for character in "\x85\u2028\u2029") else None
    node: yaml.ScalarNode = dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)
    return node


_Dumper.add_representer(str, _represent_text)
