"""Options: settings that are given beside a scenario. They beat the scenario, and a reset keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from marshmallow import ValidationError

from mockanka.core.release import Release
from mockanka.scenario.fault_rules import FaultSection
from mockanka.scenario.source import Document, Path, ScenarioProblem, document_from_yaml, problems_in


@dataclass(frozen=True)
class FaultOption:
    """A fault rule that is given beside a scenario; ``source`` names it in errors."""

    source: str
    section: FaultSection


@dataclass(frozen=True)
class Options:
    """Settings from the command line or a test; None leaves a setting to the scenario. ``step`` is nanoseconds."""

    seed: int | None = None
    release: Release | None = None
    clock: str | None = None
    speed: float | None = None
    step: int | None = None
    default_clock: str = "real"
    """The clock of scenarios that name none."""
    faults: Sequence[FaultOption] = ()
    """Rules that are tried before those of the scenario."""
    keep_secrets: bool = False
    """True to show secrets in the journal."""
    journal_limit: int | None = None
    """Bytes of memory for the journal."""
    max_nodes: int | None = None
    """How many nodes a scenario may have; a larger one is refused before it takes time and memory."""
    max_instances: int | None = None
    """How many instances a scenario may begin with."""


def read_fault_options(text: str, source: str) -> list[FaultOption]:
    """Return the rules of a YAML text: one rule, a list of rules, or a list under the key ``faults``.

    ``source`` names the text in errors. Raises ScenarioError.
    """
    document = document_from_yaml(text, source)
    data: object = document.data
    path: Path = ()
    if isinstance(data, dict) and list(data) == ["faults"]:
        data, path = data["faults"], ("faults",)
    if not isinstance(data, list):
        return [FaultOption(source, _load_section(document, path, data))]
    return [FaultOption(source, _load_section(document, (*path, index), rule)) for index, rule in enumerate(data)]


def _load_section(document: Document, path: Path, data: object) -> FaultSection:
    try:
        return FaultSection.load(data)
    except ValidationError as error:
        problems = problems_in(error.messages)
        raise document.error([ScenarioProblem((*path, *problem.path), problem.text) for problem in problems]) from None
