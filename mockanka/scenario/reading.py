"""YAML and JSON read into plain data, with the line of every key, and refusals that point at it.

Scalars stay text: what they are is for the schema to say, so ``release: 1.50`` is 1.50 and not 1.5.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

import yaml

Path = tuple[str | int, ...]
DEPTH = 50


class Scalar(str):
    """A YAML scalar as it was written; ``value`` is what YAML itself takes it for."""

    value: object

    def __new__(cls, text: str, value: object) -> Scalar:
        self = super().__new__(cls, text)
        self.value = value
        return self


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where, and what would be right."""

    path: Path
    text: str


class ScenarioError(Exception):
    """A scenario that cannot be used. ``problems`` has one line each, with file, line and key."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass
class Document:
    """The data of one scenario, and where each part of it stands in its file."""

    source: str
    data: object
    lines: dict[Path, int] = field(default_factory=dict)

    def error(self, problems: list[Problem]) -> ScenarioError:
        return ScenarioError([self._place(problem) for problem in sorted(problems, key=self._order)])

    def _order(self, problem: Problem) -> int:
        return self._line(problem.path) or 0

    def _line(self, path: Path) -> int | None:
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)

    def _place(self, problem: Problem) -> str:
        line = self._line(problem.path)
        where = f"{self.source}:{line}" if line else self.source
        return f"{where}: {shown(problem.path)}: {problem.text}" if problem.path else f"{where}: {problem.text}"


def shown(path: Path) -> str:
    """A path as people write it: ``nodes[0].capacity``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def nearest(word: str, known: list[str]) -> str:
    """What was probably meant, ready to stand at the end of a message."""
    close = get_close_matches(word, known, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known are {', '.join(sorted(known))}" if known else "there are none"


def read_yaml(text: str, source: str) -> Document:
    """A document out of YAML text; ScenarioError with the line if it is none."""
    try:
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            document = Document(source, {} if node is None else None)
            if node is not None:
                document.data = _convert(loader, node, (), document, frozenset())
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as wrong:
        mark = wrong.problem_mark or wrong.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise ScenarioError([f"{source}{line}: not valid YAML: {wrong.problem or wrong.context}"]) from None
    except (yaml.YAMLError, ValueError) as wrong:
        raise ScenarioError([f"{source}: not valid YAML: {wrong}"]) from None
    return document


def read_json(text: str | bytes, source: str) -> Document:
    """A document out of JSON text."""
    try:
        return Document(source, json.loads(text))
    except (ValueError, RecursionError) as wrong:
        raise ScenarioError([f"{source}: not valid JSON: {wrong}"]) from None


def _convert(loader: yaml.SafeLoader, node: yaml.Node, path: Path, document: Document, above: frozenset[int]) -> object:
    document.lines[path] = node.start_mark.line + 1
    if id(node) in above or len(path) > DEPTH:
        raise document.error([Problem(path, "is nested in itself, or too deep")])
    above |= {id(node)}
    if isinstance(node, yaml.MappingNode):
        return _mapping(loader, node, path, document, above)
    if isinstance(node, yaml.SequenceNode):
        return [_convert(loader, item, (*path, i), document, above) for i, item in enumerate(node.value)]
    value = loader.construct_object(node)
    return None if value is None else Scalar(node.value, value)


def _mapping(
    loader: yaml.SafeLoader, node: yaml.MappingNode, path: Path, document: Document, above: frozenset[int]
) -> Mapping[str, object]:
    own = [key.value for key, _ in node.value]
    loader.flatten_mapping(node)
    result: dict[str, object] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise document.error([Problem(path, f"line {key.start_mark.line + 1}: a key must be a word")])
        if own.count(key.value) > 1:
            document.lines[(*path, key.value)] = key.start_mark.line + 1
            raise document.error([Problem((*path, key.value), "stands here twice")])
        result[key.value] = _convert(loader, value, (*path, key.value), document, above)
        document.lines[(*path, key.value)] = key.start_mark.line + 1
    return result
