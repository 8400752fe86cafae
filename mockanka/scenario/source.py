"""Reads YAML and JSON into plain data with the line of every key, and reports problems by these lines.

Scalars stay text, and the sections decide what they are: so ``release: 1.50`` is release 1.50 and not 1.5.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

import yaml

from mockanka.json_text import may_have_surrogates, parse_json, replace_surrogates
from mockanka.shown_text import cut, escape

Path = tuple[str | int, ...]
DEPTH = 50
REPEATS = 100_000
"""How many nodes aliases may repeat; enough for any scenario that is not an attack."""

NULL, INT, BOOL = (f"tag:yaml.org,2002:{name}" for name in ("null", "int", "bool"))
TAGS = {
    f"tag:yaml.org,2002:{name}" for name in ("null", "int", "bool", "float", "str", "timestamp", "value", "map", "seq")
}
"""The tags that a value may have: none of those that YAML builds objects of."""


MAX_REREAD = 1_000_000
"""Characters of a broken YAML text that is read again for a better message."""
MAX_WORD = 200
"""Characters of an unknown word that known ones are compared with."""
MAX_COMPARED = 2000
"""Known words that an unknown one is compared with, which takes time."""
MAX_PROBLEMS = 100
"""Problems of a scenario that are reported."""
MAX_NAMES = 40
"""Known words that a message lists."""
_TOO_DEEP = "maximum nesting depth"
_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml where PyYAML was built with it: faster, and it refuses deep nesting before it takes time."""


class Scalar(str):
    """A YAML scalar as it was written; ``tag`` is the type that YAML gives it."""

    tag: str

    def __new__(cls, text: str, tag: str) -> Scalar:
        self = super().__new__(cls, text)
        self.tag = tag
        return self

    def resolved(self) -> str | int | bool:
        """Return the whole number, true or false that YAML reads here, or the text if it reads anything else."""
        if self.tag in (INT, BOOL):
            try:
                value = yaml.safe_load(self)
            except (yaml.YAMLError, ValueError):
                return str(self)
            if isinstance(value, int):
                return value
        return str(self)


@dataclass(frozen=True)
class ScenarioProblem:
    """A problem of a scenario: where it is, and what would be right."""

    path: Path
    text: str


class ScenarioError(Exception):
    """A scenario cannot be used. ``problems`` has a line of text for each problem, with file, line and key."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass
class Document:
    """The plain data of a scenario, and the line on which each part of it stands in its file."""

    source: str
    data: object
    lines: dict[Path, int] = field(default_factory=dict)

    def error(self, problems: list[ScenarioProblem]) -> ScenarioError:
        """Return the error that reports problems, in the order of their lines."""
        texts = [self._place(problem) for problem in sorted(problems, key=self._order)[:MAX_PROBLEMS]]
        if len(problems) > MAX_PROBLEMS:
            texts.append(f"{self.source}: and {len(problems) - MAX_PROBLEMS} more problems")
        return ScenarioError(texts)

    def _order(self, problem: ScenarioProblem) -> int:
        return self._line(problem.path) or 0

    def _line(self, path: Path) -> int | None:
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)

    def _place(self, problem: ScenarioProblem) -> str:
        line = self._line(problem.path)
        where = f"{self.source}:{line}" if line else self.source
        text = escape(cut(problem.text))
        return f"{where}: {escape(cut(shown(problem.path)))}: {text}" if problem.path else f"{where}: {text}"


def shown(path: Path) -> str:
    """Return a path as people write it: ``nodes[0].capacity``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def problems_in(messages: object, path: Path = ()) -> list[ScenarioProblem]:
    """Return the messages of marshmallow's ValidationError, which are a tree by keys, as a list of problems."""
    if isinstance(messages, dict):
        found: list[ScenarioProblem] = []
        for key, below in messages.items():
            found += problems_in(below, path if key in ("_schema", "value", "key") and path else (*path, key))
        return found
    if isinstance(messages, list):
        return [problem for text in messages for problem in problems_in(text, path)]
    place = () if path == ("_schema",) else path
    return [ScenarioProblem(place, str(messages))]


def nearest(word: str, known: list[str]) -> str:
    """Return the end of a message about an unknown word: the known word that is most similar, or all that are known."""
    close = get_close_matches(word[:MAX_WORD], known[:MAX_COMPARED], n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    names = [name or "''" for name in sorted(known)[:MAX_NAMES]]  # the state of a node may be blank
    more = f" and {len(known) - MAX_NAMES} more" if len(known) > MAX_NAMES else ""
    return f"known are {', '.join(names)}{more}" if names else "there are none"


def document_from_yaml(text: str, source: str) -> Document:
    """Return the document of a YAML text; ``source`` names it in errors. Raises ScenarioError."""
    document = Document(source, {})
    try:
        try:
            _read_yaml(_LOADER, text, document)
        except yaml.MarkedYAMLError as error:
            if _TOO_DEEP in str(error.problem):
                raise RecursionError from None
            if len(text) > MAX_REREAD:
                raise
            _read_yaml(yaml.SafeLoader, text, document)  # libyaml does not name what is wrong
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ScenarioError([f"{source}:{line}: not valid YAML: {error.reason}"]) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f":{mark.line + 1}" if mark else ""
        raise ScenarioError([f"{source}{where}: not valid YAML: {error.problem or error.context}"]) from None
    except RecursionError:
        raise ScenarioError([f"{source}: is nested too deep"]) from None
    if may_have_surrogates(text):
        document.data = replace_surrogates(document.data)
    return document


def _read_yaml(loader_class: type[yaml.SafeLoader], text: str, document: Document) -> None:
    """Put the data of a YAML text, and its lines, into a document."""
    loader = loader_class(text)
    try:
        node = loader.get_single_node()
        if node is not None:
            document.data = _Converter(loader, document).convert(node, ())
    finally:
        loader.dispose()


def document_from_json(text: str | bytes, source: str) -> Document:
    """Return the document of a JSON text; ``source`` names it in errors. Raises ScenarioError."""
    try:
        text = text if isinstance(text, str) else text.decode(json.detect_encoding(text), "surrogatepass")
        data = parse_json(text)
        return Document(source, replace_surrogates(data) if may_have_surrogates(text) else data)
    except (ValueError, RecursionError) as error:
        raise ScenarioError([f"{source}: not valid JSON: {error}"]) from None


class _Converter:
    """Converts the nodes of a YAML text to plain data, and records their lines."""

    def __init__(self, loader: yaml.SafeLoader, document: Document) -> None:
        self.loader = loader
        self.document = document
        self.above: list[yaml.Node] = []
        self.own_keys: dict[yaml.Node, list[str]] = {}
        self.repeats = 0

    def convert(self, node: yaml.Node, path: Path) -> object:
        self.document.lines[path] = node.start_mark.line + 1
        if node in self.above or len(path) > DEPTH:
            raise self._error(path, "is nested in itself, or too deep")
        if node.tag not in TAGS:
            raise self._error(path, f"{node.tag.rpartition(':')[2]} is no kind of value here")
        if isinstance(node, yaml.ScalarNode):
            return None if node.tag == NULL else Scalar(node.value, node.tag)
        self.above.append(node)
        data = self._mapping(node, path) if isinstance(node, yaml.MappingNode) else self._sequence(node, path)
        self.above.pop()
        return data

    def _error(self, path: Path, text: str) -> ScenarioError:
        return self.document.error([ScenarioProblem(path, text)])

    def _sequence(self, node: yaml.Node, path: Path) -> list[object]:
        self._count(node, path)
        return [self.convert(item, (*path, index)) for index, item in enumerate(node.value)]

    def _mapping(self, node: yaml.MappingNode, path: Path) -> Mapping[str, object]:
        self._count(node, path)
        own = Counter(self.own_keys[node])
        self.loader.flatten_mapping(node)
        result: dict[str, object] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._error(path, f"line {key.start_mark.line + 1}: a key must be a word")
            place = (*path, key.value)
            if own[key.value] > 1:
                self.document.lines[place] = key.start_mark.line + 1
                raise self._error(place, "stands here twice")
            result[key.value] = self.convert(value, place)
            self.document.lines[place] = key.start_mark.line + 1
        return result

    def _count(self, node: yaml.Node, path: Path) -> None:
        """Record a node's own keys the first time; later times it comes from an alias, and these must not multiply."""
        if node in self.own_keys:
            self.repeats += len(node.value) + 1
            if self.repeats > REPEATS:
                raise self._error(path, "aliases bring in too much")
            return
        keys = [key for key, _ in node.value] if isinstance(node, yaml.MappingNode) else []
        self.own_keys[node] = [key.value for key in keys if isinstance(key, yaml.ScalarNode)]
